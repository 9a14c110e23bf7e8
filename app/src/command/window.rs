//! Commands about the window: modes, panels, dialogs, messages, the end of the program.

use super::action::List;
use crate::state::{Dialog, Document, Mode, State};
use crate::theme::Theme;
use crate::worker::{Jobs, review, runs, save, segment, study, train};

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowCommand {
    /// Changes the mode.
    SetMode(Mode),
    /// Dark or light.
    SetTheme(Theme),
    /// Shows or hides the left panel.
    ToggleLeft,
    /// Shows or hides the right panel.
    ToggleRight,
    /// Shows or hides the bottom strip.
    ToggleStrip,
    /// Sets the width of the left panel, in points.
    SetLeftWidth(f32),
    /// Sets the width of the right panel, in points.
    SetRightWidth(f32),
    /// Sets the height of the bottom strip, in points.
    SetStripHeight(f32),
    /// Shows every action by name.
    OpenPalette,
    /// The text typed into the palette, and the chosen line.
    EditPalette(String, usize),
    /// The text typed into the path field.
    EditPath(String),
    /// Shows mouse and keys.
    OpenHelp,
    /// Shows the manuals of window and engine.
    OpenManual,
    /// Shows all messages.
    OpenLog,
    /// Shows versions and licences.
    OpenAbout,
    /// Closes the dialog on top.
    CloseDialog,
    /// Closes a toast.
    Dismiss(u64),
    /// Closes all toasts.
    DismissAll,
    /// Ends the program; asks first if a job runs or something is unsaved.
    Quit,
    /// The same, and restarts it with the same view.
    Restart,
}

/// Carries out a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: WindowCommand) {
    match command {
        WindowCommand::SetMode(mode) => {
            state.session.mode = mode;
            if state.shows_runs() {
                runs::list(state, jobs);
            }
            study::refresh_if_shown(state, jobs);
        }
        WindowCommand::SetTheme(theme) => state.session.settings.theme = theme,
        WindowCommand::ToggleLeft => state.session.settings.left_panel = !state.session.settings.left_panel,
        WindowCommand::ToggleRight => state.session.settings.right_panel = !state.session.settings.right_panel,
        WindowCommand::ToggleStrip => state.session.settings.strip = !state.session.settings.strip,
        WindowCommand::SetLeftWidth(width) => state.session.settings.left_width = width,
        WindowCommand::SetRightWidth(width) => state.session.settings.right_width = width,
        WindowCommand::SetStripHeight(height) => state.session.settings.strip_height = height,
        WindowCommand::OpenPalette => state.dialog = Some(Dialog::Palette { query: String::new(), chosen: 0 }),
        WindowCommand::EditPalette(text, line) => {
            if let Some(Dialog::Palette { query, chosen }) = &mut state.dialog {
                (*query, *chosen) = (text, line);
            }
        }
        WindowCommand::EditPath(typed) => {
            if let Some(Dialog::Path { text, .. }) = &mut state.dialog {
                *text = typed;
            }
        }
        WindowCommand::OpenHelp => state.dialog = Some(Dialog::Help),
        WindowCommand::OpenManual => state.dialog = Some(Dialog::Manual),
        WindowCommand::OpenLog => state.dialog = Some(Dialog::Log),
        WindowCommand::OpenAbout => state.dialog = Some(Dialog::About),
        WindowCommand::CloseDialog => (state.dialog, state.after_saving) = (None, None),
        WindowCommand::Dismiss(id) => {
            state.notices.iter_mut().filter(|notice| notice.id == id).for_each(|notice| notice.dismissed = true);
        }
        WindowCommand::DismissAll => state.notices.iter_mut().for_each(|notice| notice.dismissed = true),
        WindowCommand::Quit => quit(state, jobs, false),
        WindowCommand::Restart => quit(state, jobs, true),
    }
}

/// Ends the program, after a question if needed.
fn quit(state: &mut State, jobs: &mut Jobs, restart: bool) {
    state.restart = restart;
    let unsaved = state.document.as_ref().is_some_and(Document::is_unsaved);
    let busy = [segment::SLOT, save::SLOT, review::KEEP, train::run::SLOT].into_iter().any(|slot| jobs.runs(slot));
    if state.training.closing {
        // Asked a second time: the checkpoint of an earlier step exists.
        state.quit = true;
    } else if unsaved || busy {
        state.dialog = Some(Dialog::Close);
    } else {
        jobs.cancel_all();
        state.quit = true;
    }
}

/// Ends the program, and restarts it if requested.
pub(super) fn quit_now(state: &mut State, jobs: &mut Jobs) {
    train::run::close(state, jobs);
}

/// What the palette offers.
pub fn actions(list: &mut List, state: &State) {
    let group = "Window";
    for (mode, key) in Mode::ALL.into_iter().zip(["F1", "F2", "F3"]) {
        list.add(group, format!("Mode: {}", mode.name()), key, WindowCommand::SetMode(mode));
    }
    let other = if state.session.settings.theme == Theme::Dark { Theme::Light } else { Theme::Dark };
    list.add(group, "Light or dark theme", "", WindowCommand::SetTheme(other));
    list.add(group, "Left panel", "Ctrl+B", WindowCommand::ToggleLeft);
    list.add(group, "Right panel", "Ctrl+Alt+B", WindowCommand::ToggleRight);
    list.add(group, "Bottom strip", "", WindowCommand::ToggleStrip);
    list.add(group, "Command palette", "Ctrl+K", WindowCommand::OpenPalette);
    list.add(group, "Help: mouse and keys", "?", WindowCommand::OpenHelp);
    list.add(group, "Manual", "", WindowCommand::OpenManual);
    list.add(group, "Restart with the same view", "", WindowCommand::Restart);
    list.add(group, "Messages", "", WindowCommand::OpenLog);
    list.add(group, "About", "", WindowCommand::OpenAbout);
    list.add_if(!state.notices.is_empty(), group, "Close all toasts", "", WindowCommand::DismissAll);
    list.add(group, "Quit", "Ctrl+Q", WindowCommand::Quit);
}
