//! The controls of Masking mode.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws them.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
