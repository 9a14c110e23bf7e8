//! Jobs of the timeline: reading runs and what they recorded; the live run's events.

use std::path::Path;

use engine::config::Config;
use engine::event::Event;

use super::Jobs;
use crate::state::State;

/// What a job of the timeline brings.
pub enum Read {}

/// Lets what was read change the state.
pub fn apply(_state: &mut State, _jobs: &mut Jobs, read: Read) {
    match read {}
}

/// A job begins to train in `run`: its track follows it from now on.
pub fn begin_live(_state: &mut State, _jobs: &mut Jobs, _run: &Path, _config: &Config) {}

/// What the job in `run` has told since the last call, in order.
pub fn live_events(_state: &mut State, _jobs: &mut Jobs, _run: &Path, _events: &[Event]) {}

/// The job in `run` ended: nothing more will be told.
pub fn end_live(_state: &mut State, _jobs: &mut Jobs, _run: &Path) {}

/// Reads what the cursors need and plays the timeline; `now` in seconds. Called every frame, before drawing.
pub fn follow(_state: &mut State, _jobs: &mut Jobs, _now: f64) {}
