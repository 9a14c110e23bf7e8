//! The rest of a case, after its first image is shown: other images, and the probability.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::volume::Volume;

use super::{read_image, read_probability};
use crate::gpu::Gpu;
use crate::state::names::file_stem;
use crate::state::{CaseId, ImageLayer, ProbabilityLayer, Request, Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, analyse, restore};

/// The rest of one case is read at a time.
pub const REST: Slot = Slot::exclusive("open rest");

/// Reads what belongs to a case beside its first image. Each part is shown as soon as it is read; one that cannot be
/// read does not stop the others.
pub struct OpenRest {
    case: CaseId,
    base: Arc<Volume>,
    images: Vec<Other>,
    probability: Option<PathBuf>,
    gpu: Option<Gpu>,
}

/// An image beside the first.
struct Other {
    modality: Option<String>,
    path: PathBuf,
    /// It was read on the way to the first image.
    layer: Option<ImageLayer>,
}

impl OpenRest {
    /// Starts to read the rest of the open case; `request` names the base image first.
    pub(super) fn start(state: &State, jobs: &mut Jobs, request: Request, read: &[ImageLayer]) {
        let Some(document) = &state.document else { return };
        let gpu = jobs.gpu().cloned();
        let other = |(modality, path): (Option<String>, PathBuf)| {
            let layer = read.iter().find(|layer| layer.path() == path).cloned();
            Other { modality, path, layer }
        };
        jobs.start(Self {
            case: document.id,
            base: Arc::clone(&document.base().volume),
            images: request.images.into_iter().skip(1).map(other).collect(),
            probability: request.probability,
            gpu,
        });
    }
}

impl Job for OpenRest {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(REST, "Opening the other files of the case").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let gpu = self.gpu.as_ref();
        for Other { modality, path, layer } in &self.images {
            let mut warnings = Vec::new();
            let layer = match layer {
                Some(layer) => Ok(layer.clone()),
                None => read_image(path, modality.as_deref(), true, gpu, &mut warnings),
            };
            send(handle, path, layer, warnings, add_image)?;
        }
        if let Some(path) = &self.probability {
            send(handle, path, read_probability(path, &self.base), Vec::new(), add_probability)?;
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, jobs: &mut Jobs) {
        if let Err(failure) = &result {
            failure.report(&self.spec().title, state);
        }
        restore::case_opened(state, jobs);
        analyse::start(state, jobs);
        let next = state.document.as_mut().and_then(|document| document.once_opened.take());
        state.intents.extend(next);
    }
}

/// Hands one part over, or says why it could not be read.
fn send<T: Send + 'static>(
    handle: &JobHandle,
    path: &Path,
    part: Result<T, Failure>,
    warnings: Vec<String>,
    add: impl FnOnce(&mut State, &mut Jobs, T) + Send + 'static,
) -> Result<(), Failure> {
    handle.check()?;
    let title = format!("Opening {}", file_stem(path));
    handle.progress(None, file_stem(path));
    handle.send(move |state, jobs| {
        for warning in warnings {
            state.notice(Severity::Warning, "About this file", warning);
        }
        match part {
            Ok(part) => add(state, jobs, part),
            Err(failure) => failure.report(&title, state),
        }
    });
    Ok(())
}

fn add_image(state: &mut State, _: &mut Jobs, image: ImageLayer) {
    if let Some(document) = &mut state.document {
        document.images.push(image);
    }
}

fn add_probability(state: &mut State, _: &mut Jobs, probability: ProbabilityLayer) {
    if let Some(document) = &mut state.document {
        document.probability = Some(probability);
    }
}
