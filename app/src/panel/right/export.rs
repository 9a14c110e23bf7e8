//! Buttons that copy or export a table.

use egui::Ui;

use crate::command::{FileCommand, Sender};
use crate::state::{Intent, PathPurpose, State, table};
use crate::theme::icon;
use crate::widget::IconButton;

/// Draws them, laid out from the right; nothing while there is no table.
pub(super) fn buttons(ui: &mut Ui, state: &State, purpose: PathPurpose, sender: &Sender) {
    if !table::is_filled(state, purpose) {
        return;
    }
    let name = table::name(purpose).to_lowercase();
    let export = format!("Export {name} as CSV…");
    if ui.add(IconButton::new(icon::DOWNLOAD, &export).small()).clicked() {
        sender.send(Intent::Ask(purpose));
    }
    let copy = format!("Copy {name} as CSV");
    if ui.add(IconButton::new(icon::COPY, &copy).small()).clicked() {
        sender.send(FileCommand::Copy(purpose));
    }
}
