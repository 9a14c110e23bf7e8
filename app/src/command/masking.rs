//! Commands of Masking mode.

use crate::state::State;
use crate::worker::Jobs;

use super::action::List;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskingCommand {}

/// Carries out a command.
pub fn dispatch(state: &mut State, _jobs: &mut Jobs, command: MaskingCommand) {
    match command {}
}

/// What the palette offers.
pub fn actions(_list: &mut List, _state: &State) {}
