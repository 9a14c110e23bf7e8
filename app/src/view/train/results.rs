//! Measures of a fine-tuned run, patient by patient.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
