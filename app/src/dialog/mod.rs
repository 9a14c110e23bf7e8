//! Modal dialogs.
//!
//! | dialog | purpose |
//! |---|---|
//! | `palette` | every action by name |
//! | `help` | mouse and keys |
//! | `path` | path entry where the system has no file dialog |
//! | `initials` | the reviewer's initials |
//! | `confirm` | overwrite, delete, unsaved work, quit |
//! | `unsaved_edits` | unsaved edits of an earlier session |
//! | `manual` | manuals of the viewer and the engine |
//! | `log` | all messages |
//! | `about` | versions, licences, adapter |

mod about;
mod confirm;
mod help;
mod initials;
mod log;
mod manual;
mod palette;
mod path;
mod sheet;
mod unsaved_edits;

use egui::{Context, Ui};

use crate::command::Sender;
use crate::state::{Dialog, State};

/// Draws the content below dialogs. While one is open, it gets no pointer events, so that no tooltip covers the dialog.
pub fn below(ui: &mut Ui, state: &State, draw: impl FnOnce(&mut Ui)) {
    if state.dialog.is_none() {
        return draw(ui);
    }
    let pointer = ui.input_mut(|input| std::mem::take(&mut input.pointer));
    draw(ui);
    ui.input_mut(|input| input.pointer = pointer);
}

/// Draws the open dialog, if any.
pub fn show(ctx: &Context, state: &State, sender: &Sender) {
    match &state.dialog {
        None => {}
        Some(Dialog::Palette { query, chosen }) => palette::show(ctx, state, query, *chosen, sender),
        Some(Dialog::Help) => help::show(ctx, state, sender),
        Some(Dialog::Manual) => manual::show(ctx, sender),
        Some(Dialog::Path { request, text }) => path::show(ctx, request, text, sender),
        Some(Dialog::Overwrite { request, path }) => confirm::overwrite(ctx, request, path, sender),
        Some(Dialog::Close) => confirm::close(ctx, state, sender),
        Some(Dialog::DeviceLost { why }) => confirm::device_lost(ctx, why, sender),
        Some(Dialog::Unsaved { next }) => confirm::unsaved(ctx, state, next, sender),
        Some(Dialog::UnsavedEdits { path }) => unsaved_edits::show(ctx, state, path, sender),
        Some(Dialog::DeleteRun { path }) => confirm::delete_run(ctx, path, sender),
        Some(Dialog::Log) => log::show(ctx, state, sender),
        Some(Dialog::Initials { text, .. }) => initials::show(ctx, text, sender),
        Some(Dialog::About) => about::show(ctx, state, sender),
    }
}
