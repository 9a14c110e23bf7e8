//! The centre in Masking mode: the slice with its patches, and a column of what the network gets and gives.

use egui::Ui;

use crate::command::Sender;
use crate::state::State;

/// Draws it.
pub fn show(_ui: &mut Ui, _state: &State, _sender: &Sender) {}
