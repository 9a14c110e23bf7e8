//! The cohort, and the form of the next job.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
