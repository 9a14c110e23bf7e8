//! Reads the rest of a case after its first image is shown: other images and the probability map.

use std::path::Path;
use std::sync::Arc;

use engine::cohort::ImageFile;
use engine::volume::Volume;

use super::{Reading, read_image, read_probability};
use crate::gpu::Gpu;
use crate::state::names::file_stem;
use crate::state::{CaseId, ImageLayer, ProbabilityLayer, Request, Severity, Slot, Source, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, analyse, frame, restore};

/// The rest of one case is read at a time.
pub const REST: Slot = Slot::exclusive("open rest");

/// Reads the other files of a case. Each is shown as soon as it is read; one that cannot be read does not stop the
/// others.
pub struct OpenOtherFiles {
    case: CaseId,
    base: Arc<Volume>,
    /// The base image first.
    request: Request,
    /// Images that are already shown.
    read: Vec<Source>,
    gpu: Option<Gpu>,
}

impl OpenOtherFiles {
    /// Starts to read the rest of the open case; `request` names the base image first.
    pub(super) fn start(state: &State, jobs: &mut Jobs, request: Request) {
        let Some(document) = &state.document else { return };
        jobs.start(Self {
            case: document.id,
            base: Arc::clone(&document.base().volume),
            read: document.images.iter().map(|layer| layer.source.clone()).collect(),
            request,
            gpu: jobs.gpu().cloned(),
        });
    }
}

impl Job for OpenOtherFiles {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(REST, "Opening the other files of the case").of_case(self.case).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<(), Failure> {
        let gpu = self.gpu.as_ref();
        let reading = Reading { stacks: self.request.stacks.clone(), ..Reading::new(gpu, handle) };
        let is_read = |file: &ImageFile| self.read.iter().any(|source| source.is(file));
        for (modality, file) in self.request.images.iter().filter(|(_, file)| !is_read(file)) {
            let mut warnings = Vec::new();
            let layer = read_image(file, modality.as_deref(), true, &reading, &mut warnings);
            let request = self.request.clone();
            send(handle, &file.path, layer, warnings, move |state, image| add_image(state, &request, image))?;
        }
        if let Some(path) = &self.request.probability {
            send(handle, path, read_probability(path, &self.base), Vec::new(), add_probability)?;
        }
        Ok(())
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, jobs: &mut Jobs) {
        if let Err(failure) = &result {
            failure.report(&self.spec().title, state);
        }
        restore::case_opened(state, jobs);
        frame::project_missing(state, jobs);
        analyse::start(state, jobs);
        let next = state.document.as_mut().and_then(|document| document.once_opened.take());
        state.intents.extend(next);
    }
}

/// Delivers one part, or reports why it could not be read.
fn send<T: Send + 'static>(
    handle: &JobHandle,
    path: &Path,
    part: Result<T, Failure>,
    warnings: Vec<String>,
    add: impl FnOnce(&mut State, T) + Send + 'static,
) -> Result<(), Failure> {
    handle.check()?;
    handle.progress(None, file_stem(path));
    let path = path.to_path_buf();
    handle.send(move |state, _| {
        for warning in warnings {
            state.notice(Severity::Warning, "Note on this file", warning);
        }
        match part {
            Ok(part) => add(state, part),
            Err(failure) => failure.report_unopened(&path, state),
        }
    });
    Ok(())
}

/// Adds an image at its place in the request. The modalities displayed and fused in the previous case are selected
/// again as soon as they are read.
pub(super) fn add_image(state: &mut State, request: &Request, image: ImageLayer) {
    let image = state.session.with_user_modality(image);
    let Some(document) = &mut state.document else { return };
    let rank = |source: &Source| request.images.iter().position(|(_, file)| source.is(file));
    let at = document.images.partition_point(|layer| rank(&layer.source) <= rank(&image.source));
    let (view, modality) = (&mut state.session.view, Some(image.info.modality.clone()));
    document.images.insert(at, image);
    let moved = |index: usize| if index >= at { index + 1 } else { index };
    if let Some(measured) = document.findings.as_mut().and_then(|list| list.values_of.as_mut()) {
        measured.image = moved(measured.image);
    }
    document.shown = if view.modality == modality { at } else { moved(document.shown) };
    view.fused = if view.fused_modality == modality { Some(at) } else { view.fused.map(moved) };
    view.fused = view.fused.filter(|&fused| fused != document.shown);
}

fn add_probability(state: &mut State, probability: ProbabilityLayer) {
    if let Some(document) = &mut state.document {
        document.probability = Some(probability);
    }
}
