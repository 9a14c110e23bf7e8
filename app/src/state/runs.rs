//! The runs of the workspace folder.

/// The table of runs.
#[derive(Clone, Debug, Default)]
pub struct RunsState {}
