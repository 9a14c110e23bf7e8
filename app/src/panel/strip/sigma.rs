//! Masking mode: the masking ratio over the epochs.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub(super) fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
