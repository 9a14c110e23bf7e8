//! Jobs of the table of runs: listing, notes, trash.

use super::Jobs;
use crate::state::State;

/// What a job of the table brings.
pub enum Listed {}

/// Lets what was listed change the state.
pub fn apply(_state: &mut State, _jobs: &mut Jobs, listed: Listed) {
    match listed {}
}
