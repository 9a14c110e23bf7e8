//! The one place where commands change the state.

use super::{Command, look, masking, runs, timeline, train, unsaved};
use crate::state::{Dialog, PathPurpose, State};
use crate::worker::{Jobs, Kind, dialog, open, segment};

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: Command) {
    if unsaved::held_back(state, &command) {
        return;
    }
    match command {
        Command::SetMode(mode) => state.mode = mode,
        Command::SetTool(tool) => state.view.tool = tool,
        Command::SetTheme(theme) => state.settings.theme = theme,
        Command::ToggleLeft => state.settings.left_panel = !state.settings.left_panel,
        Command::ToggleRight => state.settings.right_panel = !state.settings.right_panel,
        Command::ToggleStrip => state.settings.strip = !state.settings.strip,
        Command::SetInterpolation(on) => state.settings.interpolate = on,
        Command::SetConvention(convention) => state.settings.convention = convention,
        Command::SetPlanes(planes) => state.settings.planes = planes,
        Command::SetDevice(device) => state.segment.device = device,
        Command::UseSampleModel => state.segment.model = None,
        Command::FilterCases(text) => state.cases.filter = text,
        Command::CancelJob(id) => jobs.cancel(id),
        Command::Dismiss(_) | Command::DismissAll => dismiss(state, &command),
        Command::Masking(command) => masking::dispatch(state, jobs, command),
        Command::Train(command) => train::dispatch(state, jobs, command),
        Command::Timeline(command) => timeline::dispatch(state, jobs, command),
        Command::Runs(command) => runs::dispatch(state, jobs, command),
        Command::Quit => quit(state, jobs, false),
        Command::Restart => quit(state, jobs, true),
        Command::QuitNow => crate::worker::train::run::close(state, jobs),
        Command::OpenPalette
        | Command::EditPalette(..)
        | Command::EditPath(_)
        | Command::OpenHelp
        | Command::OpenManual
        | Command::OpenLog
        | Command::OpenAbout
        | Command::TypePath(_)
        | Command::CloseDialog => dialogs(state, command),
        Command::Ask(_)
        | Command::UsePaths(..)
        | Command::OpenRequest(_)
        | Command::Visit(_)
        | Command::OpenSample
        | Command::OpenCase(_)
        | Command::StepCase(_)
        | Command::Retry
        | Command::CloseCase
        | Command::Segment
        | Command::Save
        | Command::SaveThen(_)
        | Command::Discard
        | Command::RemoveProbability
        | Command::SaveOver(..)
        | Command::RemoveMask { .. } => files(state, jobs, command),
        other => look::dispatch(state, jobs, other),
    }
}

fn dismiss(state: &mut State, command: &Command) {
    for notice in &mut state.notices {
        let this = matches!(command, Command::Dismiss(id) if *id == notice.id);
        notice.dismissed |= this || *command == Command::DismissAll;
    }
}

/// Ends the program after a question, if there is one to ask; with `restart` it starts anew.
fn quit(state: &mut State, jobs: &mut Jobs, restart: bool) {
    state.restart = restart;
    let unsaved = state.document.as_ref().is_some_and(|d| d.unsaved);
    if state.train.closing {
        // Asked a second time: a checkpoint of an earlier step is there.
        state.quit = true;
    } else if unsaved || [Kind::Segment, Kind::Save, Kind::Train].into_iter().any(|kind| jobs.runs(kind)) {
        state.dialog = Some(Dialog::Close);
    } else {
        jobs.cancel_all();
        state.quit = true;
    }
}

fn dialogs(state: &mut State, command: Command) {
    match (command, &mut state.dialog) {
        (Command::OpenPalette, dialog) => *dialog = Some(Dialog::Palette { query: String::new(), chosen: 0 }),
        (Command::EditPalette(text, line), Some(Dialog::Palette { query, chosen })) => {
            (*query, *chosen) = (text, line);
        }
        (Command::TypePath(purpose), dialog) => *dialog = Some(Dialog::Path { purpose, text: String::new() }),
        (Command::EditPath(typed), Some(Dialog::Path { text, .. })) => *text = typed,
        (Command::OpenHelp, dialog) => *dialog = Some(Dialog::Help),
        (Command::OpenManual, dialog) => *dialog = Some(Dialog::Manual),
        (Command::OpenLog, dialog) => *dialog = Some(Dialog::Log),
        (Command::OpenAbout, dialog) => *dialog = Some(Dialog::About),
        (Command::CloseDialog, dialog) => {
            *dialog = None;
            state.after_saving = None;
        }
        _ => {}
    }
}

/// Commands about files, cases and jobs.
fn files(state: &mut State, jobs: &mut Jobs, command: Command) {
    match command {
        Command::Ask(purpose) => {
            state.dialog = None;
            dialog::ask(state, jobs, purpose);
        }
        Command::UsePaths(purpose, paths) => {
            state.dialog = None;
            if matches!(purpose, PathPurpose::Files | PathPurpose::Folder) {
                use_paths(state, jobs, &paths);
            } else {
                dialog::go_on(state, jobs, purpose, &paths);
            }
        }
        Command::OpenRequest(request) => {
            leave_cases(state);
            open::open_request(state, jobs, *request);
        }
        Command::Visit(request) => {
            state.cases.open = state.cases.place_of(&request.images);
            state.train.visiting = true;
            open::open_request(state, jobs, *request);
        }
        Command::OpenSample => match crate::sample::folder() {
            Some(folder) => open::open_paths(state, jobs, &[folder]),
            None => state.error("No sample study", "assets/sample was not found beside the program nor here"),
        },
        Command::OpenCase(index) => open::open_case(state, jobs, index),
        Command::StepCase(by) => step_case(state, jobs, by),
        Command::Retry => retry(state, jobs),
        Command::CloseCase => {
            for kind in [Kind::Open, Kind::Layer, Kind::Analyse, Kind::Project, Kind::Frame, Kind::Segment] {
                jobs.cancel_kind(kind);
            }
            (state.document, state.failed) = (None, None);
            leave_cases(state);
        }
        Command::Segment => segment::start(state, jobs),
        Command::Save => dialog::ask(state, jobs, PathPurpose::SaveMask),
        Command::SaveThen(next) => unsaved::save_then(state, jobs, next),
        Command::Discard => unsaved::discard(state, jobs),
        Command::RemoveProbability => {
            if let Some(document) = &mut state.document {
                document.probability = None;
                document.entropy = None;
            }
        }
        Command::SaveOver(purpose, path) => {
            state.dialog = None;
            dialog::write(state, jobs, purpose, &path, true);
        }
        Command::RemoveMask { truth } => {
            if let Some(document) = &mut state.document {
                *(if truth { &mut document.truth } else { &mut document.prediction }) = None;
                document.unsaved &= truth;
                if !truth {
                    document.replaced = None;
                }
                document.forget_results();
                if !truth {
                    document.probability = None;
                }
                state.view.finding = None;
            }
            crate::worker::analyse::start(state, jobs);
        }
        _ => {}
    }
}

/// Paths that were opened, typed or dropped: masks alone go onto the open image.
fn use_paths(state: &mut State, jobs: &mut Jobs, paths: &[std::path::PathBuf]) {
    use crate::worker::layer::{self, Role};
    let masks_only = !paths.is_empty() && paths.iter().all(|p| p.is_file() && open::is_mask_name(p));
    if state.document.is_some() && masks_only {
        for path in paths {
            let predicted = open::file_stem(path).to_lowercase().contains("pred");
            let role = if predicted { Role::Prediction } else { Role::Truth };
            layer::start(state, jobs, role, path);
        }
        return;
    }
    leave_cases(state);
    open::open_paths(state, jobs, paths);
}

fn leave_cases(state: &mut State) {
    state.cases = crate::state::CaseList::default();
    state.train.visiting = false;
}

fn step_case(state: &mut State, jobs: &mut Jobs, by: i64) {
    let matching = state.cases.matching();
    let place = state.cases.open.and_then(|open| matching.iter().position(|&i| i == open));
    let next = match place {
        Some(place) => place as i64 + by,
        None => 0,
    };
    if let Some(&index) = usize::try_from(next).ok().and_then(|n| matching.get(n)) {
        open::open_case(state, jobs, index);
    }
}

fn retry(state: &mut State, jobs: &mut Jobs) {
    match (state.cases.open, state.failed.take()) {
        (Some(index), _) => open::open_case(state, jobs, index),
        (None, Some((path, _))) => open::open_paths(state, jobs, &[path]),
        (None, None) => {}
    }
}
