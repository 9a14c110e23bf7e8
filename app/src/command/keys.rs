//! Maps keys to commands. Letter keys are disabled while a text field has the focus, and view keys if no view is shown.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::{
    Action, Command, EditCommand, MaskingCommand, OverlayCommand, SeriesCommand, TimelineCommand, ViewCommand,
    WindowCommand, actions, typed_ahead,
};
use crate::state::timeline::WatchView;
use crate::state::train::TrainPage;
use crate::state::{Intent, Mode, State};
use crate::widget::focus::{self, Arrows};
use crate::widget::space_bar;

/// Parses a shortcut's text; `None` for gestures.
pub fn parse(shortcut: &str) -> Option<KeyboardShortcut> {
    let mut modifiers = Modifiers::NONE;
    let mut key = None;
    for part in shortcut.split('+') {
        match part {
            "Ctrl" => modifiers |= Modifiers::COMMAND,
            "Shift" => modifiers |= Modifiers::SHIFT,
            "Alt" => modifiers |= Modifiers::ALT,
            "Up" => key = Some(Key::ArrowUp),
            "Down" => key = Some(Key::ArrowDown),
            "PgUp" => key = Some(Key::PageUp),
            "PgDn" => key = Some(Key::PageDown),
            "?" => key = Some(Key::Questionmark),
            name => key = Some(Key::from_name(name)?),
        }
    }
    key.map(|key| KeyboardShortcut::new(modifiers, key))
}

/// Additional shortcuts, each with the main shortcut of its action.
const OTHER_KEYS: [(&str, &str); 1] = [("Ctrl+Y", "Ctrl+Shift+Z")];

/// The commands for this frame's key presses.
pub fn commands(ctx: &egui::Context, state: &State) -> Vec<Command> {
    if typed_ahead::deliver(ctx) {
        return Vec::new();
    }
    let typing = ctx.text_edit_focused();
    let pane = focus::focused(ctx);
    let had_field_focus = had_field_focus(ctx, typing);
    // A focused button or slider keeps the keys that operate it; a pane does not need them.
    let list_is_open = egui::Popup::is_any_open(ctx);
    let control = (ctx.egui_wants_keyboard_input() && pane.is_none()) || list_is_open;
    let mut found = Vec::new();
    if ctx.input(|i| i.key_pressed(Key::Escape)) {
        // Escape first closes an open list or leaves a field.
        found.extend(escape(state, had_field_focus).filter(|_| !list_is_open));
    }
    if state.dialog.is_some() {
        return found;
    }
    // A preview takes Enter first.
    if state.preview().is_some() && !typing && ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Enter)) {
        found.push(EditCommand::AcceptPreview.into());
    }
    // A focused widget keeps the space bar.
    let tap = space_bar::tapped(ctx, None);
    let mut bound: Vec<(KeyboardShortcut, Action)> =
        actions(state).into_iter().filter_map(|a| parse(a.shortcut).map(|keys| (keys, a))).collect();
    // Ctrl+Shift+O before Ctrl+O: the shortcut with more modifiers wins.
    bound.sort_by_key(|(keys, _)| std::cmp::Reverse(modifier_count(keys.modifiers)));
    bound.retain(|(keys, action)| {
        let plain = !keys.modifiers.command && !keys.modifiers.alt;
        let to_patches = pane == Some(Arrows::Patches) && is_arrow(keys.logical_key);
        // A text field handles undo itself.
        let in_text = typing && matches!(action.command, Command::Edit(_));
        let taken = typing || to_patches || (control && operates_controls(keys.logical_key));
        let is_held = matches!(action.command, Command::Overlay(OverlayCommand::Hide(_)));
        action.enabled && is_seen(&action.command, state) && !(taken && plain) && !in_text && !is_held
    });
    typed_ahead::hold(ctx, bound.iter().map(|(keys, action)| (*keys, &action.command)));
    for (keys, action) in bound {
        let again =
            OTHER_KEYS.iter().filter(|(_, usual)| *usual == action.shortcut).filter_map(|(other, _)| parse(other));
        for keys in again {
            let times = presses(ctx, keys, repeats(&action.command));
            found.extend(std::iter::repeat_n(action.command.clone(), times));
        }
        let space = keys == KeyboardShortcut::new(Modifiers::NONE, Key::Space);
        let times = if space { usize::from(tap) } else { presses(ctx, keys, repeats(&action.command)) };
        found.extend(std::iter::repeat_n(action.command, times));
    }
    found.extend(held(ctx, state, typing));
    found
}

/// Whether a field had the focus in the previous frame, before Escape removed it.
fn had_field_focus(ctx: &egui::Context, typing: bool) -> bool {
    let id = egui::Id::unique("a field has the keyboard");
    ctx.data_mut(|data| std::mem::replace(data.get_temp_mut_or_default(id), typing))
}

/// Keys that operate a focused button, slider or list.
fn operates_controls(key: Key) -> bool {
    use Key::{Backspace, End, Enter, Home, PageDown, PageUp, Space};
    is_arrow(key) || matches!(key, Enter | Space | Home | End | PageUp | PageDown | Backspace)
}

fn is_arrow(key: Key) -> bool {
    matches!(key, Key::ArrowUp | Key::ArrowDown | Key::ArrowLeft | Key::ArrowRight)
}

/// Whether the views of a case are on the screen.
fn shows_case(state: &State) -> bool {
    state.session.mode != Mode::Train && state.document.is_some()
}

/// Whether the effect of a command is visible. View keys do nothing while no view is shown.
fn is_seen(command: &Command, state: &State) -> bool {
    match command {
        Command::View(ViewCommand::SetInterpolation(_)) => shows_case(state) || shows_probe(state),
        Command::Review(_) => state.session.mode == Mode::Review,
        Command::View(_) | Command::Overlay(_) | Command::Edit(_) => shows_case(state),
        _ => true,
    }
}

/// Whether the slices of a run are on the screen.
fn shows_probe(state: &State) -> bool {
    let watched = state.session.mode == Mode::Train && state.session.train.page == TrainPage::Watch;
    watched && state.watched_run().is_some() && state.session.timeline.options.view != WatchView::Curves
}

fn modifier_count(modifiers: Modifiers) -> usize {
    usize::from(modifiers.command) + usize::from(modifiers.shift) + usize::from(modifiers.alt)
}

/// Commands that repeat while their key is held; others need one press each time.
fn repeats(command: &Command) -> bool {
    matches!(
        command,
        Command::View(ViewCommand::StepSlice { .. })
            | Command::Overlay(OverlayCommand::StepFinding(_) | OverlayCommand::ChangeOpacity(_))
            | Command::Edit(
                EditCommand::RemoveMeasure | EditCommand::Resize(_) | EditCommand::Undo | EditCommand::Redo
            )
            | Command::Intent(Intent::StepCase(_))
            | Command::Masking(MaskingCommand::StepEpoch(_))
            | Command::Timeline(TimelineCommand::StepEpoch(_))
    )
}

/// Presses of a shortcut in this frame, optionally including key repeat; `?` is matched by character on any keyboard.
fn presses(ctx: &egui::Context, keys: KeyboardShortcut, repeats: bool) -> usize {
    if keys.logical_key == Key::Questionmark {
        let typed = |e: &egui::Event| matches!(e, egui::Event::Text(text) if text == "?");
        return usize::from(ctx.input(|i| i.events.iter().any(typed) || i.key_pressed(Key::Questionmark)));
    }
    ctx.input_mut(|i| {
        let first = |e: &egui::Event| {
            matches!(e, egui::Event::Key { key, pressed: true, repeat: false, .. } if *key == keys.logical_key)
        };
        let fresh = i.events.iter().any(first);
        let count = i.count_and_consume_key(keys.modifiers, keys.logical_key);
        // Toggles, questions and dialogs accept one press per frame, since two would cancel out.
        if repeats { count } else { usize::from(count > 0 && fresh) }
    })
}

/// Escape closes the topmost dialog or message, else cancels the action in progress.
fn escape(state: &State, taken: bool) -> Option<Command> {
    if state.dialog.is_some() {
        return Some(WindowCommand::CloseDialog.into());
    }
    if state.is_drawing() {
        return Some(EditCommand::CancelStroke.into());
    }
    if state.preview().is_some() {
        return Some(EditCommand::DropPreview.into());
    }
    if let Some(notice) = state.notices.iter().rev().find(|n| !n.dismissed) {
        return Some(WindowCommand::Dismiss(notice.id).into());
    }
    if state.session.mode == Mode::Masking && state.session.masking.pinned.is_some() {
        return Some(MaskingCommand::Pin(None).into());
    }
    if state.document.is_some() && state.series.as_ref().is_some_and(|list| list.browsing) {
        return Some(SeriesCommand::Browse(false).into());
    }
    if state.session.mode == Mode::Train {
        return super::back::destination(state).filter(|_| !taken).map(|(_, command)| command);
    }
    state.session.view.maximised.is_some().then(|| ViewCommand::Maximise(None).into())
}

/// S hides the overlay while held.
fn held(ctx: &egui::Context, state: &State, typing: bool) -> Option<Command> {
    let heard = !typing && shows_case(state);
    let down = heard && ctx.input(|i| i.key_down(Key::S) && !i.modifiers.command && !i.modifiers.alt);
    (down != state.session.view.hide_overlay).then(|| OverlayCommand::Hide(down).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shortcut_of_an_action_can_be_pressed() {
        for action in actions(&State::default()) {
            let by_mouse = action.shortcut.is_empty();
            assert!(by_mouse || parse(action.shortcut).is_some(), "{}: {}", action.label, action.shortcut);
        }
    }
}
