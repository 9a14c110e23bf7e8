//! One mask from the segmentation and the reference of the open case.

use engine::edit::EditLabels;
use engine::metrics::consensus::{Method, consensus};

use crate::gpu::Gpu;
use crate::state::edit::UndoStep;
use crate::state::{CaseId, MaskLayer, MaskRole, Severity, Slot, State};
use crate::widget::format;
use crate::worker::open::mask_layer;
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, analyse};

/// One consensus is made at a time.
pub const CONSENSUS: Slot = Slot::exclusive("consensus");

/// Computes the consensus of the two masks of a case.
struct JoinMasks {
    case: CaseId,
    method: Method,
    masks: [EditLabels; 2],
    gpu: Option<Gpu>,
}

/// Replaces the segmentation by the consensus of both masks, unsaved. Neither file changes.
pub fn join(state: &mut State, jobs: &mut Jobs, method: Method) {
    let Some(document) = &state.document else { return };
    let labels = |role| document.mask(role).map(|mask| mask.labels.clone());
    let (Some(segmentation), Some(reference)) = (labels(MaskRole::Segmentation), labels(MaskRole::Reference)) else {
        return state.error("No consensus", "A consensus needs two masks. Open the second one as the reference.");
    };
    let (case, gpu) = (document.id, jobs.gpu().cloned());
    jobs.start(JoinMasks { case, method, masks: [segmentation, reference], gpu });
}

impl Job for JoinMasks {
    type Output = (MaskLayer, String);

    fn spec(&self) -> Spec {
        Spec::new(CONSENSUS, "Combining the masks").of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        // For multi-frame masks, joins the shown frame.
        let [segmentation, reference] = self.masks.each_ref().map(EditLabels::to_volume);
        let found = consensus(&[&segmentation, &reference], self.method)?;
        handle.check()?;
        let rater = |at: usize, name: &str| {
            let rater = found.raters.get(at)?;
            Some(format!("{name}: sensitivity {:.3}, specificity {:.4}", rater.sensitivity, rater.specificity))
        };
        let mut facts: Vec<String> = [rater(0, "Segmentation"), rater(1, "Reference")].into_iter().flatten().collect();
        if !found.converged {
            facts.push(format!("STAPLE has not converged after {} rounds", found.rounds));
        }
        facts.push(format::volume(found.labels.volume_ml()));
        let layer =
            mask_layer(MaskRole::Segmentation, None, EditLabels::from_volume(&found.labels), self.gpu.as_ref())?;
        Ok((layer, facts.join(". ")))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, jobs: &mut Jobs) {
        let revision = jobs.unused_id();
        match result {
            Ok((layer, facts)) => {
                if let Some(document) = &mut state.document {
                    let before = document.take_segmentation();
                    // Names and colours stay with the labels.
                    let styles = before.segmentation.as_ref().map(|mask| mask.styles.clone()).unwrap_or_default();
                    let step = UndoStep::Segmentation(Box::new(before.stored()));
                    document.edits.list.push("Consensus of both masks", step);
                    document.set_mask(MaskLayer { styles, revision, ..layer });
                    document.name_labels();
                }
                state.notice(
                    Severity::Info,
                    "The consensus is the new segmentation",
                    format!("{facts}. It is not saved."),
                );
                analyse::start(state, jobs);
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
