//! Masks and probabilities that the user adds to the open case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::cohort::read_masks;
use engine::volume::{MaskOptions, Volume};

use super::open::{OtherGrid, ReadMask, mask_layer, read_mask, read_probability};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse};
use crate::gpu::Gpu;
use crate::state::names::file_stem;
use crate::state::{CaseId, Dialog, MaskLayer, MaskOffer, MaskRole, ProbabilityLayer, Severity, Slot, State};

/// Several may be read side by side.
pub const SLOT: Slot = Slot::shared("layer");
/// Of the methods of a study, the one that was chosen last is read.
pub const METHOD: Slot = Slot::exclusive("layer of a method");

/// What a file is to the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A segmentation or a reference.
    Mask(MaskRole),
    /// The network's probability.
    Probability,
}

struct OpenLayer {
    case: CaseId,
    kind: LayerKind,
    /// Several are regions of one mask; never empty.
    files: Vec<PathBuf>,
    /// A mask of another grid is resampled.
    resample: bool,
    slot: Slot,
    image: Arc<Volume>,
    /// The shown frame of the image.
    frame: usize,
    gpu: Option<Gpu>,
}

enum Layer {
    Mask(MaskLayer, Vec<String>),
    /// The mask lies on another grid.
    Offer(MaskOffer),
    Probability(ProbabilityLayer),
}

/// Adds a file to the open case. A mask of another grid is offered to be resampled.
pub fn start(state: &mut State, jobs: &mut Jobs, kind: LayerKind, files: Vec<PathBuf>) {
    read(state, jobs, kind, files, (SLOT, false));
}

/// Shows a method's segmentation of the open case.
pub fn start_method(state: &mut State, jobs: &mut Jobs, path: &Path) {
    read(state, jobs, LayerKind::Mask(MaskRole::Segmentation), vec![path.to_path_buf()], (METHOD, false));
}

/// Adds a mask of another grid to the case that it was opened for, by the nearest of its voxels.
pub fn resample(state: &mut State, jobs: &mut Jobs, offer: &MaskOffer) {
    if state.document.as_ref().is_some_and(|document| document.id == offer.case) {
        read(state, jobs, LayerKind::Mask(offer.role), offer.files.clone(), (SLOT, true));
    }
}

fn read(state: &mut State, jobs: &mut Jobs, kind: LayerKind, files: Vec<PathBuf>, (slot, resample): (Slot, bool)) {
    let Some(first) = files.first() else { return };
    let Some(document) = &state.document else {
        state.error("No image is open", format!("{}: open the image that it belongs to first", first.display()));
        return;
    };
    let (case, base, gpu) = (document.id, document.base(), jobs.gpu().cloned());
    let (image, frame) = (Arc::clone(&base.volume), base.frame);
    jobs.start(OpenLayer { case, kind, files, resample, slot, image, frame, gpu });
}

impl Job for OpenLayer {
    type Output = Layer;

    fn spec(&self) -> Spec {
        Spec::new(self.slot, format!("Opening {}", file_stem(&self.files[0]))).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<Layer, Failure> {
        match self.kind {
            LayerKind::Probability => Ok(Layer::Probability(read_probability(&self.files[0], &self.image)?)),
            LayerKind::Mask(role) => self.mask(role),
        }
    }

    fn apply(self, result: Result<Layer, Failure>, state: &mut State, jobs: &mut Jobs) {
        let revision = jobs.unused_id();
        let Some(document) = &mut state.document else { return };
        match result {
            Ok(Layer::Mask(layer, warnings)) => {
                if layer.role == MaskRole::Segmentation {
                    document.replaced = None;
                }
                document.set_mask(layer.as_read(revision));
                for warning in warnings {
                    state.notice(Severity::Warning, "About the mask", warning);
                }
            }
            Ok(Layer::Probability(layer)) => document.probability = Some(layer),
            Ok(Layer::Offer(offer)) => return state.dialog = Some(Dialog::Resample(offer)),
            Err(failure) => return failure.report(&self.spec().title, state),
        }
        analyse::start(state, jobs);
    }
}

impl OpenLayer {
    fn mask(&self, role: MaskRole) -> Result<Layer, Failure> {
        let gpu = self.gpu.as_ref();
        if self.resample {
            // No file holds the resampled mask: saving it asks for a name.
            let resampled = Arc::new(read_masks(&self.files, &MaskOptions::default())?.0.on_grid(&self.image.grid));
            return Ok(Layer::Mask(mask_layer(role, None, resampled, gpu)?, Vec::new()));
        }
        let mut warnings = Vec::new();
        Ok(match read_mask(role, &self.files, (&self.image, self.frame), gpu, &mut warnings)? {
            ReadMask::Layer(layer) => Layer::Mask(*layer, warnings),
            ReadMask::OtherGrid(OtherGrid { summary, details }) => {
                Layer::Offer(MaskOffer { case: self.case, role, files: self.files.clone(), summary, details })
            }
        })
    }
}

/// Uploads what changed of the masks. A few slices take less than a frame.
pub fn upload_changes(state: &mut State, jobs: &Jobs) {
    let (Some(document), Some(gpu)) = (&mut state.document, jobs.gpu()) else { return };
    let mut failed = None;
    for mask in &mut document.masks {
        let Some(part) = mask.dirty.take() else { continue };
        let Some(texture) = &mask.texture else { continue };
        failed = gpu.update_labels(texture, &mask.labels, &part).err().or(failed);
    }
    if let Some(error) = failed {
        state.error("The overlay could not be updated", error);
    }
}
