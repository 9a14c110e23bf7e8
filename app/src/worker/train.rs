//! Jobs of Train mode: looking at a cohort, estimating, training, evaluating.

use std::path::PathBuf;
use std::sync::Arc;

use engine::probe::Pins;

use super::Jobs;
use crate::state::State;

/// What a job of Train mode brings.
pub enum Told {}

/// Lets what was told change the state.
pub fn apply(_state: &mut State, _jobs: &mut Jobs, told: Told) {
    match told {}
}

/// The run of the job under way and its pins, which may be changed while it runs; none while nothing is trained.
pub fn live_pins(_jobs: &Jobs) -> Option<(PathBuf, Arc<Pins>)> {
    None
}

/// Takes what the running job has told and starts the next of the queue. Called every frame, before drawing.
pub fn follow(_state: &mut State, _jobs: &mut Jobs) {}
