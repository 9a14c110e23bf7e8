//! Keys typed after one that opens a field, in the same frame, before the field exists.
//!
//! A slow frame can contain several key presses. Without this, a word typed right after Ctrl+K would select tools.

use egui::{Context, Event, Id, KeyboardShortcut};

use super::{Command, FileCommand, ReviewCommand, WindowCommand};
use crate::state::Intent;

/// Maximum number of frames that keys wait for a field.
const MAX_WAIT: u32 = 5;

/// Keys waiting for a field, in order, and the number of frames they have waited.
#[derive(Clone, Default)]
struct PendingKeys {
    events: Vec<Event>,
    frames: u32,
}

fn waiting_id() -> Id {
    Id::unique("keys that wait for a field")
}

fn is_key(event: &Event) -> bool {
    matches!(event, Event::Key { .. } | Event::Text(_) | Event::Paste(_))
}

fn is_pressed(event: &Event) -> bool {
    matches!(event, Event::Text(_) | Event::Paste(_) | Event::Key { pressed: true, .. })
}

/// Whether a command opens a field.
fn opens(command: &Command) -> bool {
    matches!(
        command,
        Command::Window(WindowCommand::OpenPalette)
            | Command::File(FileCommand::TypePath(_))
            | Command::Review(ReviewCommand::OpenComment)
            | Command::Intent(Intent::Ask(_))
    )
}

/// Delivers pending keys to the focused field. Returns true while they are still pending, together with those of this
/// frame.
pub(super) fn deliver(ctx: &Context) -> bool {
    let Some(mut waiting) = ctx.data_mut(|data| data.remove_temp::<PendingKeys>(waiting_id())) else { return false };
    if ctx.text_edit_focused() || waiting.frames >= MAX_WAIT {
        ctx.input_mut(|input| drop(input.events.splice(0..0, waiting.events)));
        return false;
    }
    waiting.frames += 1;
    wait(ctx, 0, waiting);
    true
}

/// Holds back the keys that follow the first shortcut that opens a field.
pub(super) fn hold<'a>(ctx: &Context, heard: impl Iterator<Item = (KeyboardShortcut, &'a Command)>) {
    let opening: Vec<KeyboardShortcut> = heard.filter(|(_, command)| opens(command)).map(|(keys, _)| keys).collect();
    let is_opening = |event: &Event| match event {
        Event::Key { key, pressed: true, modifiers, .. } => {
            opening.iter().any(|keys| keys.logical_key == *key && modifiers.matches_logically(keys.modifiers))
        }
        _ => false,
    };
    let after = ctx.input(|input| {
        // The text event follows its key.
        let at = input.events.iter().position(is_opening)? + 1;
        let own = input.events.get(at).is_some_and(|event| matches!(event, Event::Text(_)));
        let at = at + usize::from(own && opening.iter().any(|keys| keys.modifiers.is_none()));
        input.events[at..].iter().any(is_pressed).then_some(at)
    });
    if let Some(after) = after {
        wait(ctx, after, PendingKeys::default());
    }
}

/// Removes the keys at position `from` and later from this frame, and keeps them for the next.
fn wait(ctx: &Context, from: usize, mut waiting: PendingKeys) {
    ctx.input_mut(|input| {
        let (keys, others) = input.events.split_off(from).into_iter().partition(is_key);
        input.events.extend::<Vec<Event>>(others);
        waiting.events.extend::<Vec<Event>>(keys);
    });
    ctx.data_mut(|data| data.insert_temp(waiting_id(), waiting));
    ctx.request_repaint();
}
