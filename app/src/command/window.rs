//! Commands about the window: modes, panels, dialogs, messages, quit and restart.

use super::action::ActionList;
use crate::state::{Dialog, Document, Mode, State};
use crate::theme::Theme;
use crate::worker::{Jobs, review, runs, save, segment, study, train};

/// A command about the window.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowCommand {
    /// Changes the mode.
    SetMode(Mode),
    /// Selects the dark or light theme.
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
    /// Opens the command palette.
    OpenPalette,
    /// Replaces the palette's search text and the selected line.
    EditPalette(String, usize),
    /// Replaces the typed path.
    EditPath(String),
    /// Opens the help on mouse and keys.
    OpenHelp,
    /// Opens the manuals of the viewer and the engine.
    OpenManual,
    /// Shows all messages.
    OpenLog,
    /// Shows versions and licences.
    OpenAbout,
    /// Closes the dialog on top.
    CloseDialog,
    /// Dismisses a message.
    Dismiss(u64),
    /// Dismisses all messages.
    DismissAll,
    /// Quits, after a question if a job is running or something is unsaved.
    Quit,
    /// Quits in the same way, then restarts with the same view.
    Restart,
}

/// Executes a command.
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

/// Quits, after a question if needed.
fn quit(state: &mut State, jobs: &mut Jobs, restart: bool) {
    state.restart = restart;
    let unsaved = state.document.as_ref().is_some_and(Document::is_unsaved);
    let busy = [segment::SLOT, save::SLOT, review::KEEP, train::run::SLOT].into_iter().any(|slot| jobs.runs(slot));
    if state.training.closing {
        // Asked for a second time: quit now, with the last checkpoint.
        state.quit = true;
    } else if unsaved || busy {
        state.dialog = Some(Dialog::Close);
    } else {
        jobs.cancel_all();
        state.quit = true;
    }
}

/// Quits, and restarts if that was requested.
pub(super) fn quit_now(state: &mut State, jobs: &mut Jobs) {
    train::run::close(state, jobs);
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
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
    list.add_if(!state.notices.is_empty(), group, "Dismiss all messages", "", WindowCommand::DismissAll);
    list.add(group, "Quit", "Ctrl+Q", WindowCommand::Quit);
}
