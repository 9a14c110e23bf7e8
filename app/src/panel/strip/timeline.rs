//! Train mode: the tracks of pre-training and fine-tuning.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
