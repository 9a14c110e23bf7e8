//! Masks and probabilities that the user adds to the open case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::volume::Volume;

use super::open::{Fit, MaskFailure, read_mask, read_probability};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse};
use crate::gpu::Gpu;
use crate::state::names::file_stem;
use crate::state::{CaseId, Intent, MaskFile, MaskLayer, Offer, ProbabilityLayer, Severity, Slot, State};

/// Several may be read side by side.
pub const SLOT: Slot = Slot::shared("layer");

/// What a file is to the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The segmentation.
    Segmentation,
    /// The reference.
    Reference,
    /// The network's probability.
    Probability,
}

struct OpenLayer {
    case: CaseId,
    role: Role,
    path: PathBuf,
    image: Arc<Volume>,
    /// The shown frame of the image.
    frame: usize,
    fit: Fit,
    gpu: Option<Gpu>,
}

enum Layer {
    Mask(Box<MaskLayer>, Vec<String>),
    /// The mask lies on another grid; why.
    OtherGrid(String),
    Probability(ProbabilityLayer),
}

/// Adds a file to the open case.
pub fn start(state: &mut State, jobs: &mut Jobs, role: Role, path: &Path) {
    open(state, jobs, role, path, Fit::SameVoxels);
}

/// Adds a mask of another grid to the case it was opened with, by the nearest voxel.
pub fn resample(state: &mut State, jobs: &mut Jobs, mask: &MaskFile) {
    if state.document.as_ref().is_none_or(|document| document.id != mask.case) {
        return state.error("The mask was not used", format!("{}: its case is closed", mask.path.display()));
    }
    let role = if mask.reference { Role::Reference } else { Role::Segmentation };
    open(state, jobs, role, &mask.path, Fit::NearestVoxel);
}

/// Says that a mask lies on another grid, and offers to resample it.
pub fn offer_to_resample(state: &mut State, mask: MaskFile, why: &str) {
    let title = format!("{} lies on another grid", file_stem(&mask.path));
    state.error_with_offer(title, why, Offer { label: "Resample", intent: Intent::ResampleMask(mask) });
}

fn open(state: &mut State, jobs: &mut Jobs, role: Role, path: &Path, fit: Fit) {
    let Some(document) = &state.document else {
        state.error("No image is open", format!("{}: open the image that it belongs to first", path.display()));
        return;
    };
    let (case, base, gpu) = (document.id, document.base(), jobs.gpu().cloned());
    let (image, frame) = (Arc::clone(&base.volume), base.frame);
    jobs.start(OpenLayer { case, role, path: path.to_path_buf(), image, frame, fit, gpu });
}

impl Job for OpenLayer {
    type Output = Layer;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Opening {}", file_stem(&self.path))).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<Layer, Failure> {
        if self.role == Role::Probability {
            return Ok(Layer::Probability(read_probability(&self.path, &self.image)?));
        }
        let mut warnings = Vec::new();
        match read_mask(&self.path, (&self.image, self.frame), self.fit, self.gpu.as_ref(), &mut warnings) {
            Ok(layer) => Ok(Layer::Mask(Box::new(layer), warnings)),
            Err(MaskFailure::OtherGrid(why)) => Ok(Layer::OtherGrid(why)),
            Err(MaskFailure::Other(failure)) => Err(failure),
        }
    }

    fn apply(self, result: Result<Layer, Failure>, state: &mut State, jobs: &mut Jobs) {
        let revision = jobs.unused_id();
        let Some(document) = &mut state.document else { return };
        match result {
            Ok(Layer::Mask(layer, warnings)) => {
                let layer = layer.as_read(revision);
                if self.role == Role::Reference {
                    document.truth = Some(layer);
                } else {
                    (document.prediction, document.replaced) = (Some(layer), None);
                }
                for warning in warnings {
                    state.notice(Severity::Warning, "About the mask", warning);
                }
            }
            Ok(Layer::Probability(layer)) => document.probability = Some(layer),
            Ok(Layer::OtherGrid(why)) => {
                let reference = self.role == Role::Reference;
                return offer_to_resample(state, MaskFile { case: self.case, reference, path: self.path }, &why);
            }
            Err(failure) => return failure.report(&self.spec().title, state),
        }
        analyse::start(state, jobs);
    }
}

/// Uploads what changed of the masks. A few slices take less than a frame.
pub fn upload_changes(state: &mut State, jobs: &Jobs) {
    let (Some(document), Some(gpu)) = (&mut state.document, jobs.gpu()) else { return };
    let mut failed = None;
    for mask in [&mut document.prediction, &mut document.truth].into_iter().flatten() {
        let Some(part) = mask.not_uploaded.take() else { continue };
        let Some(texture) = &mask.texture else { continue };
        failed = gpu.update_labels(texture, &mask.labels, &part).err().or(failed);
    }
    if let Some(error) = failed {
        state.error("The overlay could not be updated", error);
    }
}
