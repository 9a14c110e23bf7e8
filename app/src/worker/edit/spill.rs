//! Undo beyond the memory budget: the oldest edits move to the disk.

use crate::state::{Slot, State};
use crate::worker::{Failure, JobHandle, Jobs, Spec};

/// One job moves edits at a time.
const SPILL: Slot = Slot::exclusive("spill edits");

/// Moves older edits of the open case to the disk, if they exceed the memory budget.
pub(super) fn start(state: &State, jobs: &mut Jobs) {
    let Some(document) = state.document.as_ref().filter(|_| !jobs.runs(SPILL)) else { return };
    let Some(spill) = document.edits.list.spill() else { return };
    let spec = Spec::new(SPILL, "Moving older edits to the disk").of_case(document.id).hidden();
    let run = move |_: &JobHandle| Ok(spill()?);
    jobs.start_with(spec, run, |result: Result<(), Failure>, _, state, _| {
        if let (Err(failure), Some(document)) = (result, &mut state.document) {
            document.edits.list.keep_all();
            state.error("Older edits stay in memory", failure.reason());
        }
    });
}
