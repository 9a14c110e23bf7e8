//! The centre in Train mode: one page at a time.

mod results;
mod runs;
mod setup;
mod watch;

use egui::Ui;

use crate::command::Sender;
use crate::state::State;
use crate::state::train::TrainPage;

/// Draws it.
pub fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    match state.train.page {
        TrainPage::Setup => setup::show(ui, state, sender),
        TrainPage::Watch => watch::show(ui, state, sender),
        TrainPage::Runs => runs::show(ui, state, sender),
        TrainPage::Results => results::show(ui, state, sender),
    }
}
