//! Commands of the table of runs.

use crate::state::State;
use crate::worker::Jobs;

use super::action::List;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum RunsCommand {}

/// Carries out a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: RunsCommand) {
    match command {}
}

/// What the palette offers.
pub fn actions(_list: &mut List, _state: &State) {}
