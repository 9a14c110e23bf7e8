//! The right panel of Train mode: the job under way and the queue, then the numbers at the timeline's cursor.

mod job;
mod numbers;

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    job::show(ui, state, sender);
    numbers::show(ui, state, sender);
}
