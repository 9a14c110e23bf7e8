//! Jobs of Masking mode: preparing the case, clustering the shown slice, reconstructing it.

use super::Jobs;
use crate::state::State;

/// What a job of Masking mode brings.
pub enum Found {}

/// Lets what was found change the state.
pub fn apply(_state: &mut State, _jobs: &mut Jobs, found: Found) {
    match found {}
}

/// Starts what the shown slice and the controls need and nothing has found yet. Called every frame, before drawing.
pub fn follow(_state: &mut State, _jobs: &mut Jobs) {}
