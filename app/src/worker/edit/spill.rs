//! Undo beyond the memory budget: the oldest edits move to the disk.

use crate::state::{CaseId, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One job moves edits at a time.
const SPILL: Slot = Slot::exclusive("spill edits");

/// Moves older edits to the disk.
struct SpillEdits<F> {
    case: CaseId,
    spill: F,
}

/// Moves older edits of the open case to the disk, if they exceed the memory budget.
pub(super) fn start(state: &State, jobs: &mut Jobs) {
    let Some(document) = state.document.as_ref().filter(|_| !jobs.runs(SPILL)) else { return };
    let Some(spill) = document.edits.list.spill() else { return };
    jobs.start(SpillEdits { case: document.id, spill });
}

impl<F: Fn() -> engine::Result<()> + Send + 'static> Job for SpillEdits<F> {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(SPILL, "Moving older edits to disk").of_case(self.case).hidden()
    }

    fn run(&self, _: &JobHandle) -> Result<(), Failure> {
        Ok((self.spill)()?)
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        if let (Err(failure), Some(document)) = (result, &mut state.document) {
            document.edits.list.keep_all();
            state.error("Older edits stay in memory", failure.reason());
        }
    }
}
