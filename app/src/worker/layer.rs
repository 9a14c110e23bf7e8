//! Masks and probabilities that the user adds to the open case.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::volume::Volume;

use super::open::{read_mask, read_probability};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse};
use crate::gpu::Gpu;
use crate::state::names::file_stem;
use crate::state::{CaseId, MaskLayer, ProbabilityLayer, Severity, Slot, State};

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
    gpu: Option<Gpu>,
}

enum Layer {
    Mask(MaskLayer, Vec<String>),
    Probability(ProbabilityLayer),
}

/// Adds a file to the open case.
pub fn start(state: &mut State, jobs: &mut Jobs, role: Role, path: &Path) {
    let Some(document) = &state.document else {
        state.error("No image is open", format!("{}: open the image that it belongs to first", path.display()));
        return;
    };
    let (case, image, gpu) = (document.id, Arc::clone(&document.base().volume), jobs.gpu().cloned());
    jobs.start(OpenLayer { case, role, path: path.to_path_buf(), image, gpu });
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
        let layer = read_mask(&self.path, &self.image, self.gpu.as_ref(), &mut warnings)?;
        Ok(Layer::Mask(layer, warnings))
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
