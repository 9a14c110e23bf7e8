//! Jobs of Train mode: looking at a cohort, estimating, training, evaluating.

use super::Jobs;
use crate::state::State;

/// What a job of Train mode brings.
pub enum Told {}

/// Lets what was told change the state.
pub fn apply(_state: &mut State, _jobs: &mut Jobs, told: Told) {
    match told {}
}

/// Takes what the running job has told and starts the next of the queue. Called every frame, before drawing.
pub fn follow(_state: &mut State, _jobs: &mut Jobs) {}
