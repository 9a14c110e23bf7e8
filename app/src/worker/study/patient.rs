//! A patient of a study in Review, with the segmentations of all methods.

use std::path::PathBuf;

use engine::cohort::ImageFile;
use engine::predict::Choice;
use engine::study::{Row, SegmentedScan, segmentations};

use super::outlines;
use crate::state::study::{StudyMask, StudyMasks};
use crate::state::{Intent, Mode, Request, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, layer, segment};

/// The patient that was clicked last is opened.
const SLOT: Slot = Slot::exclusive("study patient");

/// Finds the files of a patient of a study.
pub(super) struct FindPatient {
    pub folder: PathBuf,
    pub patient: String,
    /// Index in `rows` of the method shown first.
    pub shown: usize,
    /// The patient as each method segmented it.
    pub rows: Vec<Row>,
}

impl Job for FindPatient {
    type Output = Vec<SegmentedScan>;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Finding the files of {}", self.patient)).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Vec<SegmentedScan>, Failure> {
        Ok(segmentations(&self.folder, &self.rows)?)
    }

    fn apply(self, result: Result<Vec<SegmentedScan>, Failure>, state: &mut State, _: &mut Jobs) {
        let found = match result {
            Ok(found) => found,
            Err(failure) => return failure.report(&format!("Opening {}", self.patient), state),
        };
        let Some(shown) = found.get(self.shown) else { return };
        let image = |path: &PathBuf, modality: &String| ImageFile {
            path: path.clone(),
            frame: shown.patient.frames.get(modality).copied(),
        };
        let request = Request {
            title: Some(self.patient),
            images: shown
                .patient
                .images
                .iter()
                .map(|(modality, path)| (Some(modality.clone()), image(path, modality)))
                .collect(),
            segmentation: shown.has_mask.then(|| shown.patient.mask.clone()),
            reference: shown.patient.reference(),
            slice: shown.patient.worst_slice,
            study: Some(StudyMasks { masks: found.iter().map(mask).collect(), shown: self.shown }),
            ..Request::default()
        };
        state.session.mode = Mode::Review;
        state.intents.push(Intent::Visit(Box::new(request)));
    }
}

fn mask(found: &SegmentedScan) -> StudyMask {
    StudyMask {
        method: found.method.clone(),
        run: found.run.clone(),
        mask: found.has_mask.then(|| found.patient.mask.clone()),
        dice: found.patient.measures.as_ref().map(|measures| measures.dsc),
    }
}

/// Shows the segmentation of a method of the study. If the file was not kept, its network computes it.
pub fn show_method(state: &mut State, jobs: &mut Jobs, at: usize) {
    let Some(document) = &mut state.document else { return };
    let Some(study) = &mut document.study else { return };
    let Some(StudyMask { run, mask, .. }) = study.masks.get(at).cloned() else { return };
    study.shown = at;
    document.outlines = None;
    jobs.cancel_slot(outlines::SLOT);
    jobs.cancel_slot(layer::METHOD);
    jobs.cancel_slot(segment::SLOT);
    // Discard another method's partial segmentation.
    document.restore_stashed();
    if let Some(path) = mask {
        layer::start_method(state, jobs, &path);
    } else {
        segment::choose_model(state, &run);
        state.session.runs.network = Choice::Last;
        segment::start(state, jobs);
    }
}

/// After a case of a study was opened: segments it with the shown method's network if its file does not exist.
pub fn case_opened(state: &mut State, jobs: &mut Jobs) {
    let study = state.document.as_ref().and_then(|document| document.study.as_ref());
    if let Some(shown) = study.filter(|study| study.is_remade()).map(|study| study.shown) {
        show_method(state, jobs, shown);
    }
}
