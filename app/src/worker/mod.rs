//! Jobs: background work on separate threads, so that the window never waits.
//!
//! A [`Job`] is one typed value in one file: its fields are the request, `run` computes on a thread, `apply` changes the state
//! by the result. A result may belong to a case; [`deliver`] drops those of closed cases. A panic in a job becomes a
//! [`Failure`]. Jobs do not issue commands: follow-up work is a function of this module, or an [`Intent`](crate::state::Intent)
//! in the state.

pub mod add_labels;
pub mod analyse;
pub mod autosave;
pub mod contrast;
pub mod devices;
pub mod dialog;
pub mod edit;
pub mod export;
pub mod frame;
mod job;
mod jobs;
pub mod layer;
pub mod masking;
pub mod open;
pub mod replay;
pub mod restore;
pub mod review;
pub mod runs;
pub mod save;
pub mod segment;
pub mod series;
pub mod study;
pub mod thumbnails;
pub mod train;
pub mod values;

use std::path::Path;
use std::sync::Arc;

use crate::state::State;

pub use job::{Failure, Job, JobHandle, Spec};
pub use jobs::{Jobs, deliver};

/// Wakes the window to collect results; may be called from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Draws a view for an exported picture. It is handed to the jobs because the views are a layer above them.
pub type Painter = fn(&mut egui::Ui, &State);

/// Starts follow-up jobs after a command, a result or a timer: the slice of Masking mode, the cohort of the last session, and
/// records and places of pinned slices.
pub fn update(state: &mut State, jobs: &mut Jobs) {
    masking::update(state, jobs);
    segment::read_model(state, jobs);
    train::cohort::read_remembered(state, jobs);
    replay::read_missing_probes(state, jobs);
    replay::locate_missing_pins(state, jobs);
    review::prefetch(state, jobs);
}

/// The name of a file or folder, for messages.
pub fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
