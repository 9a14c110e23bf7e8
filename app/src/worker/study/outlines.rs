//! Shows the segmentations of all methods of a study together.

use std::path::PathBuf;

use engine::edit::EditLabels;

use crate::gpu::Gpu;
use crate::state::study::{MethodOutlines, REFERENCE};
use crate::state::{CaseId, Document, ImageLayer, MaskRole, Remedy, Severity, Slot, State};
use crate::worker::open::{ReadMask, read_mask};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// One read at a time.
pub(super) const SLOT: Slot = Slot::exclusive("outlines of the methods");

struct ReadOutlines {
    case: CaseId,
    /// Method and file.
    files: Vec<(String, PathBuf)>,
    /// Methods without a stored segmentation or beyond the available colours.
    left_out: Vec<String>,
    reference: Option<EditLabels>,
    image: ImageLayer,
    gpu: Option<Gpu>,
}

/// Draws the segmentations of all methods as outlines, with the reference.
pub fn show(state: &mut State, jobs: &mut Jobs) {
    let Some(Document { id, study: Some(study), .. }) = &state.document else { return };
    let Some(document) = &state.document else { return };
    let reference = document.reference().map(|mask| mask.labels.clone());
    let most = MethodOutlines::MAX_COLOURS - usize::from(reference.is_some());
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    for mask in &study.masks {
        match &mask.mask {
            Some(path) if files.len() < most => files.push((mask.method.clone(), path.clone())),
            _ => left_out.push(mask.method.clone()),
        }
    }
    let (image, gpu) = (document.base().clone(), jobs.gpu().cloned());
    jobs.start(ReadOutlines { case: *id, files, left_out, reference, image, gpu });
}

/// Draws only the segmentation of one method again.
pub fn hide(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(SLOT);
    if let Some(document) = &mut state.document {
        document.outlines = None;
    }
}

impl Job for ReadOutlines {
    type Output = MethodOutlines;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Reading the segmentations of all methods").of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<MethodOutlines, Failure> {
        let mut masks = Vec::new();
        for (method, path) in &self.files {
            handle.check()?;
            let files = std::slice::from_ref(path);
            let target = (&self.image).into();
            let read = read_mask(MaskRole::Segmentation, files, target, Remedy::default(), None, &mut Vec::new())?;
            match read {
                ReadMask::Layer(layer) => masks.push((method.clone(), layer.labels)),
                ReadMask::Unfit(mask) => return Err(Failure::Error(format!("{}: {}", path.display(), mask.why))),
            }
        }
        masks.extend(self.reference.iter().map(|labels| (REFERENCE.to_owned(), labels.clone())));
        let mut failed = None;
        let outlines = MethodOutlines::of(&masks, |bits| {
            let gpu = self.gpu.as_ref()?;
            gpu.upload_labels(bits).map_err(|error| failed = Some(error)).ok()
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        outlines.ok_or_else(|| Failure::Error("The study kept no segmentation of this patient.".to_owned()))
    }

    fn apply(self, result: Result<MethodOutlines, Failure>, state: &mut State, _: &mut Jobs) {
        let Some(document) = &mut state.document else { return };
        match result {
            Ok(outlines) => document.outlines = Some(outlines),
            Err(failure) => return failure.report(&self.spec().title, state),
        }
        if !self.left_out.is_empty() {
            let detail = format!("{} without an outline: no segmentation was kept.", self.left_out.join(", "));
            state.notice(Severity::Info, "Not all methods are drawn", detail);
        }
    }
}
