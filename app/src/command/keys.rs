//! From keys to commands. Letter keys are dead while a text field has the focus, and those that work on views where
//! there are none.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::{Action, Command, actions};
use crate::command::masking::MaskingCommand;
use crate::command::timeline::TimelineCommand;
use crate::state::timeline::WatchView;
use crate::state::train::TrainPage;
use crate::state::{Mode, State};
use crate::widget::focus::{self, Arrows};
use crate::widget::space_bar;

/// The keys that a shortcut's text stands for; none for gestures that are written like keys.
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

/// What the keys of this frame ask for.
pub fn commands(ctx: &egui::Context, state: &State) -> Vec<Command> {
    let typing = ctx.text_edit_focused();
    let pane = focus::focused(ctx);
    let typed_before = typed_before(ctx, typing);
    // A button or slider that has the keyboard keeps the keys that work it; a pane has no use for them.
    let control = ctx.egui_wants_keyboard_input() && pane.is_none();
    let mut found = Vec::new();
    if ctx.input(|i| i.key_pressed(Key::Escape)) {
        // A field and an open list have a use of their own for it.
        found.extend(escape(state, typed_before || egui::Popup::is_any_open(ctx)));
    }
    if state.dialog.is_some() {
        return found;
    }
    // Where something has the keyboard the space bar is that one's.
    let tap = space_bar::tapped(ctx, None);
    let mut bound: Vec<(KeyboardShortcut, Action)> =
        actions(state).into_iter().filter_map(|a| parse(a.shortcut).map(|keys| (keys, a))).collect();
    // Ctrl+Shift+O before Ctrl+O: the one with more modifiers is meant.
    bound.sort_by_key(|(keys, _)| std::cmp::Reverse(modifier_count(keys.modifiers)));
    for (keys, action) in bound {
        let plain = !keys.modifiers.command && !keys.modifiers.alt;
        let to_patches = pane == Some(Arrows::Patches) && is_arrow(keys.logical_key);
        let taken = typing || to_patches || (control && works_controls(keys.logical_key));
        let seen = is_seen(&action.command, state);
        if !action.enabled || !seen || (taken && plain) || matches!(action.command, Command::HideOverlay(_)) {
            continue;
        }
        let space = keys == KeyboardShortcut::new(Modifiers::NONE, Key::Space);
        let wanted = if space { tap } else { pressed(ctx, keys, repeats(&action.command)) };
        if wanted {
            found.push(action.command);
        }
    }
    found.extend(held(ctx, state, typing));
    found
}

/// Whether a field had the keyboard in the frame before: Escape has taken it away by now.
fn typed_before(ctx: &egui::Context, typing: bool) -> bool {
    let id = egui::Id::unique("a field has the keyboard");
    ctx.data_mut(|data| std::mem::replace(data.get_temp_mut_or_default(id), typing))
}

/// Keys that press buttons, move sliders and go through lists.
fn works_controls(key: Key) -> bool {
    use Key::{Backspace, End, Enter, Home, PageDown, PageUp, Space};
    is_arrow(key) || matches!(key, Enter | Space | Home | End | PageUp | PageDown | Backspace)
}

fn is_arrow(key: Key) -> bool {
    matches!(key, Key::ArrowUp | Key::ArrowDown | Key::ArrowLeft | Key::ArrowRight)
}

/// Whether the views of a case are on the screen.
fn shows_case(state: &State) -> bool {
    state.mode != Mode::Train && state.document.is_some()
}

/// Whether what a command changes could be seen: keys that work on views are dead where there are none.
fn is_seen(command: &Command, state: &State) -> bool {
    use Command::{
        AutoContrast, ChangeOpacity, Fit, GoToWorst, Maximise, RemoveMeasure, SetInterpolation, SetTool, StepFinding,
        StepSlice, SwapTruth, ToggleCine, ToggleLinked,
    };
    match command {
        SetInterpolation(_) => shows_case(state) || shows_probe(state),
        AutoContrast
        | ChangeOpacity(_)
        | Fit
        | GoToWorst(_)
        | Maximise(_)
        | RemoveMeasure
        | SetTool(_)
        | StepFinding(_)
        | StepSlice { .. }
        | SwapTruth
        | ToggleCine
        | ToggleLinked => shows_case(state),
        _ => true,
    }
}

/// Whether the slices of a run are on the screen.
fn shows_probe(state: &State) -> bool {
    let watched = state.mode == Mode::Train && state.train.page == TrainPage::Watch;
    watched && state.timeline.shown().is_some() && state.timeline.look.view != WatchView::Curves
}

fn modifier_count(modifiers: Modifiers) -> usize {
    usize::from(modifiers.command) + usize::from(modifiers.shift) + usize::from(modifiers.alt)
}

/// Commands that go on as long as their key is held; all others take a press of their own each time.
fn repeats(command: &Command) -> bool {
    use Command::{ChangeOpacity, Masking, RemoveMeasure, StepCase, StepFinding, StepSlice, Timeline};
    match command {
        StepSlice { .. } | StepFinding(_) | StepCase(_) | ChangeOpacity(_) | RemoveMeasure => true,
        Masking(command) => matches!(command, MaskingCommand::StepEpoch(_)),
        Timeline(command) => matches!(command, TimelineCommand::StepEpoch(_)),
        _ => false,
    }
}

/// Whether a shortcut was pressed, or held if that counts; `?` is its character, wherever a keyboard has it.
fn pressed(ctx: &egui::Context, keys: KeyboardShortcut, repeats: bool) -> bool {
    if keys.logical_key == Key::Questionmark {
        let typed = |e: &egui::Event| matches!(e, egui::Event::Text(text) if text == "?");
        return ctx.input(|i| i.events.iter().any(typed) || i.key_pressed(Key::Questionmark));
    }
    ctx.input_mut(|i| {
        let first = |e: &egui::Event| {
            matches!(e, egui::Event::Key { key, pressed: true, repeat: false, .. } if *key == keys.logical_key)
        };
        let fresh = i.events.iter().any(first);
        i.consume_shortcut(&keys) && (repeats || fresh)
    })
}

/// Escape closes what is on top; then it ends what is under way.
fn escape(state: &State, taken: bool) -> Option<Command> {
    if state.dialog.is_some() {
        return Some(Command::CloseDialog);
    }
    if let Some(notice) = state.notices.iter().rev().find(|n| !n.dismissed) {
        return Some(Command::Dismiss(notice.id));
    }
    if state.mode == Mode::Masking && state.masking.pinned.is_some() {
        return Some(Command::Masking(MaskingCommand::Pin(None)));
    }
    if state.mode == Mode::Train {
        return super::back::way(state).filter(|_| !taken).map(|(_, command)| command);
    }
    state.view.maximised.is_some().then_some(Command::Maximise(None))
}

/// S hides the overlay as long as it is held.
fn held(ctx: &egui::Context, state: &State, typing: bool) -> Option<Command> {
    let heard = !typing && shows_case(state);
    let down = heard && ctx.input(|i| i.key_down(Key::S) && !i.modifiers.command && !i.modifiers.alt);
    (down != state.view.hide_overlay).then_some(Command::HideOverlay(down))
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
