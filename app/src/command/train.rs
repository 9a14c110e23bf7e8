//! Commands of Train mode: the form, the queue, the job.

use crate::state::State;
use crate::state::train::TrainPage;
use crate::worker::Jobs;

use super::action::List;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainCommand {
    /// Shows a page in the centre.
    ShowPage(TrainPage),
}

/// Carries out a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: TrainCommand) {
    match command {
        TrainCommand::ShowPage(page) => state.train.page = page,
    }
}

/// What the palette offers.
pub fn actions(_list: &mut List, _state: &State) {}
