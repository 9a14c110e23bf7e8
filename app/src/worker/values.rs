//! Values of the displayed image within the findings.

use std::sync::Arc;

use engine::findings::{Finding, Values};
use engine::volume::{Grid, Volume};
use rayon::prelude::*;

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::state::document::MaskRevisions;
use crate::state::{CaseId, Slot, State, ValueSource};

/// One image is measured at a time.
pub const SLOT: Slot = Slot::exclusive("values");

/// Measures an image in the findings of the open case.
struct MeasureValues {
    case: CaseId,
    /// Results for other findings are dropped.
    revisions: MaskRevisions,
    findings: Vec<Finding>,
    /// The grid of the masks.
    grid: Grid,
    source: ValueSource,
    image: Arc<Volume>,
    /// The frame, among those in memory.
    frame: usize,
}

/// Measures the displayed image, unless the findings already have its values.
pub fn start(state: &State, jobs: &mut Jobs) {
    let Some(document) = &state.document else { return };
    let Some(list) = &document.findings else { return };
    let source = document.value_source();
    if list.values_of == Some(source) {
        // A pending measurement of the previous image would replace them.
        return jobs.cancel_slot(SLOT);
    }
    let layer = document.image();
    jobs.start(MeasureValues {
        case: document.id,
        revisions: document.mask_revisions(),
        findings: list.entries.iter().map(|entry| entry.finding.clone()).collect(),
        grid: document.base().volume.grid.clone(),
        source,
        image: Arc::clone(&layer.volume),
        frame: layer.held_frame(),
    });
}

impl Job for MeasureValues {
    type Output = Vec<Option<Values>>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Measuring the image in the findings").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let Self { grid, image, frame, source, .. } = self;
        let values = |finding: &Finding| {
            handle.check()?;
            Ok(finding.values(grid, image, *frame, source.with_peak))
        };
        self.findings.par_iter().map(values).collect()
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(values) => {
                let document = state.document.as_mut().filter(|d| d.mask_revisions() == self.revisions);
                if let Some(list) = document.and_then(|document| document.findings.as_mut()) {
                    list.entries.iter_mut().zip(values).for_each(|(entry, values)| entry.values = values);
                    list.values_of = Some(self.source);
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
