//! The open runs, live or replayed: their history, the cursors of both tracks, and what was recorded there.

/// Everything that the timeline shows.
#[derive(Clone, Debug, Default)]
pub struct Timeline {}
