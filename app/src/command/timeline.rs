//! Commands of the timeline: cursors, pins, comparison.

use crate::state::State;
use crate::worker::Jobs;

use super::action::List;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineCommand {}

/// Carries out a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: TimelineCommand) {
    match command {}
}

/// What the palette offers.
pub fn actions(_list: &mut List, _state: &State) {}
