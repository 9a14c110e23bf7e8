//! Preprocesses the shown scan as for training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::draw::percentile_window;
use engine::edit::EditLabels;
use engine::inspect::{InspectedCase, kind_of};
use engine::preprocess;
use engine::volume::Volume;

use crate::state::masking::{CaseKey, PreparedCase};
use crate::state::{Document, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// One scan is preprocessed at a time.
pub const SLOT: Slot = Slot::exclusive("prepare");
/// Number of slices sampled for the window.
const SAMPLED: usize = 12;
/// Percentiles of their tissue that are drawn black and white.
const PERCENTILES: (f64, f64) = (0.5, 99.5);

/// Preprocesses a scan.
struct PrepareCase {
    key: CaseKey,
    name: String,
    shown: ShownImage,
    truth: Option<EditLabels>,
}

pub(super) fn start(state: &mut State, jobs: &mut Jobs, key: CaseKey) {
    let Some(document) = &state.document else { return };
    state.cache.masking.preparing.begin(key.clone());
    jobs.start(PrepareCase {
        name: document.image().name.clone(),
        shown: ShownImage::of(document, &key),
        truth: document.reference().map(|truth| truth.labels.clone()),
        key,
    });
}

impl Job for PrepareCase {
    type Output = PreparedCase;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Preparing {}", self.name)).of_case(self.key.document)
    }

    fn run(&self, handle: &JobHandle) -> Result<PreparedCase, Failure> {
        handle.progress(None, "resampling and normalising");
        let image = self.shown.image()?;
        let kind = self.shown.kind(&image);
        handle.check()?;
        let truth = self.truth.as_ref().map(EditLabels::to_volume);
        let case = InspectedCase::prepare(&[image], &[kind], truth.as_ref(), &self.key.preprocess, 0)?;
        handle.check()?;
        let window = window_of(&case)?;
        Ok(PreparedCase { key: self.key.clone(), case: Arc::new(case), window })
    }

    fn apply(self, result: Result<PreparedCase, Failure>, state: &mut State, _: &mut Jobs) {
        let masking = &mut state.cache.masking;
        match result {
            Ok(prepared) => {
                masking.preparing.asked = None;
                if state.mask_request().is_some_and(|wanted| wanted.case == prepared.key) {
                    state.cache.masking.prepared = Some(prepared);
                }
            }
            Err(failure) => {
                masking.preparing.fail(&failure.reason());
                failure.report(&self.spec().title, state);
            }
        }
    }
}

/// The shown image, for a job.
pub(super) struct ShownImage {
    volume: Arc<Volume>,
    path: PathBuf,
    frame: usize,
    kind: Option<preprocess::Kind>,
}

impl ShownImage {
    pub(super) fn of(document: &Document, key: &CaseKey) -> Self {
        let layer = document.image();
        let (volume, path) = (Arc::clone(&layer.volume), layer.path().to_path_buf());
        Self { volume, path, frame: layer.held_frame(), kind: key.kind }
    }

    /// The displayed frame of the image.
    pub(super) fn image(&self) -> Result<Arc<Volume>, Failure> {
        self.volume.require_numbers(&self.path)?;
        Ok(match self.frame {
            0 => Arc::clone(&self.volume),
            frame => Arc::new(self.volume.like(self.volume.frame_to_f32(frame))),
        })
    }

    /// CT or not: set by the user or the cohort, else from name and values.
    pub(super) fn kind(&self, image: &Volume) -> preprocess::Kind {
        self.kind.unwrap_or_else(|| kind_of_file(&self.path, None, image))
    }
}

/// CT or not, by the modality if it is known, else by the file's name and values.
pub(super) fn kind_of_file(path: &Path, modality: Option<&str>, image: &Volume) -> preprocess::Kind {
    kind_of(&name_of(path), modality, image)
}

/// The window for all slices of a scan: tissue percentiles of some of them.
fn window_of(case: &InspectedCase) -> Result<[f32; 2], Failure> {
    let slices = case.file_slices();
    let mut values = Vec::new();
    for k in (0..slices).step_by(slices.div_ceil(SAMPLED).max(1)) {
        let slice = case.slice(k, 1)?;
        values.extend(slice.pixels.iter().zip(&slice.tissue).filter(|(_, tissue)| **tissue).map(|(value, _)| *value));
    }
    Ok(percentile_window(&values, PERCENTILES.0, PERCENTILES.1))
}
