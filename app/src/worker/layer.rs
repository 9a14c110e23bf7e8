//! Masks and probability maps that the user adds to the open case.

use std::path::{Path, PathBuf};

use super::open::{ReadMask, read_mask, read_probability};
use super::{Failure, Job, JobHandle, Jobs, Spec, analyse};
use crate::gpu::Gpu;
use crate::state::edit::UndoStep;
use crate::state::names::file_stem;
use crate::state::{
    CaseId, ImageLayer, MaskLayer, MaskRole, ProbabilityLayer, Remedy, Severity, Slot, State, UnloadedMask,
};

/// Several may be read side by side.
pub const SLOT: Slot = Slot::shared("layer");
/// The segmentation of a study's method; the last one chosen is read.
pub const METHOD: Slot = Slot::exclusive("layer of a method");

/// The role of an added file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A segmentation or a reference.
    Mask(MaskRole),
    /// A probability map.
    Probability,
}

struct OpenLayer {
    case: CaseId,
    kind: LayerKind,
    /// Several files are merged into one mask. Never empty.
    files: Vec<PathBuf>,
    /// How a mask is changed to fit the image.
    remedy: Remedy,
    slot: Slot,
    image: ImageLayer,
    gpu: Option<Gpu>,
}

enum Layer {
    Mask(Box<MaskLayer>, Vec<String>),
    /// The mask does not fit the image without a remedy.
    Unfit(UnloadedMask),
    Probability(ProbabilityLayer),
}

/// Adds a file to the open case. A mask that does not fit is listed with its remedy.
pub fn start(state: &mut State, jobs: &mut Jobs, kind: LayerKind, files: Vec<PathBuf>) {
    read(state, jobs, kind, files, (SLOT, Remedy::default()));
}

/// Shows a method's segmentation of the open case.
pub fn start_method(state: &mut State, jobs: &mut Jobs, path: &Path) {
    let kind = LayerKind::Mask(MaskRole::Segmentation);
    read(state, jobs, kind, vec![path.to_path_buf()], (METHOD, Remedy::default()));
}

/// Loads a mask that did not fit the open case, with its remedy.
pub fn load_unfit(state: &mut State, jobs: &mut Jobs, role: MaskRole) {
    let unloaded = state.document.iter().flat_map(|document| &document.unloaded).find(|mask| mask.role == role);
    if let Some((files, remedy)) = unloaded.and_then(|mask| Some((mask.files.clone(), mask.remedy?))) {
        read(state, jobs, LayerKind::Mask(role), files, (SLOT, remedy));
    }
}

fn read(state: &mut State, jobs: &mut Jobs, kind: LayerKind, files: Vec<PathBuf>, (slot, remedy): (Slot, Remedy)) {
    let Some(first) = files.first() else { return };
    let Some(document) = &state.document else {
        state.error("No image is open", format!("{}: open the image it belongs to first.", first.display()));
        return;
    };
    let (case, image, gpu) = (document.id, document.base().clone(), jobs.gpu().cloned());
    jobs.start(OpenLayer { case, kind, files, remedy, slot, image, gpu });
}

impl Job for OpenLayer {
    type Output = Layer;

    fn spec(&self) -> Spec {
        Spec::new(self.slot, format!("Opening {}", file_stem(&self.files[0]))).of_case(self.case)
    }

    fn run(&self, _: &JobHandle) -> Result<Layer, Failure> {
        match self.kind {
            LayerKind::Probability => Ok(Layer::Probability(read_probability(&self.files[0], &self.image.volume)?)),
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
                let role = layer.role;
                if let Some(before) = document.remove_mask(role) {
                    let name = format!("Open {}", role.word());
                    document.edits.list.push(name, UndoStep::Mask(role, Some(Box::new(before.stored()))));
                }
                document.set_mask(layer.with_saved_revision(revision));
                if role == MaskRole::Segmentation {
                    document.mark_unedited();
                }
                state.remove_offers(role);
                for warning in warnings {
                    state.notice(Severity::Warning, "Note on the mask", warning);
                }
            }
            Ok(Layer::Probability(layer)) => {
                document.probability = Some(layer);
                state.dismiss_failed_opens();
            }
            Ok(Layer::Unfit(mask)) => return state.add_unloaded(mask, true),
            Err(failure) => return failure.report_unopened(&self.files[0], state),
        }
        analyse::start(state, jobs);
    }
}

impl OpenLayer {
    fn mask(&self, role: MaskRole) -> Result<Layer, Failure> {
        let gpu = self.gpu.as_ref();
        let mut warnings = Vec::new();
        Ok(match read_mask(role, &self.files, (&self.image).into(), self.remedy, gpu, &mut warnings)? {
            ReadMask::Layer(layer) => Layer::Mask(layer, warnings),
            ReadMask::Unfit(mask) => Layer::Unfit(mask),
        })
    }
}
