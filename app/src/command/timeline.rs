//! Commands of the timeline: cursors, pins, comparison.

use std::path::PathBuf;

use crate::state::State;
use crate::state::train::TrainPage;
use crate::worker::Jobs;

use super::action::List;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineCommand {
    /// Shows the run of a folder.
    Open(PathBuf),
    /// Opens another run beside the shown one.
    Compare(PathBuf),
}

/// Carries out a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: TimelineCommand) {
    match command {
        TimelineCommand::Open(run) | TimelineCommand::Compare(run) => {
            (state.run, state.train.page) = (Some(run), TrainPage::Watch);
        }
    }
}

/// What the palette offers.
pub fn actions(_list: &mut List, _state: &State) {}
