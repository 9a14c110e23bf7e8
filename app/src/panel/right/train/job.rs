//! The job under way and the queue: start, pause, resume, cancel.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
