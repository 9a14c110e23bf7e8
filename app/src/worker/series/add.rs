//! Adds a series to the open case as another image.

use crate::gpu::Gpu;
use crate::state::{CaseId, ImageLayer, Request, SeriesId, Severity, Slot, State};
use crate::worker::open::{Reading, read_image};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, analyse, frame, values};

/// Where an added image is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// As the image of the panes.
    InPanes,
    /// By the modalities that the user chose to see and to fuse.
    AsChosen,
}

/// Reads a series for the open case.
struct AddImage {
    case: CaseId,
    request: Request,
    placement: Placement,
    gpu: Option<Gpu>,
}

/// Adds a listed series to the open case and shows it. The masks stay.
pub fn add(state: &mut State, jobs: &mut Jobs, id: SeriesId, placement: Placement) {
    let request = state.series.as_ref().and_then(|list| list.request(&[id]));
    let (Some(document), Some(request)) = (&state.document, request) else { return };
    let (case, gpu) = (document.id, jobs.gpu().cloned());
    jobs.start(AddImage { case, request, placement, gpu });
}

impl Job for AddImage {
    type Output = (ImageLayer, Vec<String>);

    fn spec(&self) -> Spec {
        let name = self.request.title.as_deref().unwrap_or_default();
        Spec::new(Slot::shared("add image"), format!("Opening {name}")).of_case(self.case)
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        let mut warnings = Vec::new();
        let Some((named, file)) = self.request.images.first() else { return Err(Failure::Cancelled) };
        let reading = Reading { stacks: self.request.stacks.clone(), ..Reading::new(self.gpu.as_ref(), handle) };
        let image = read_image(file, named.as_deref(), true, &reading, &mut warnings)?;
        Ok((image, warnings))
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, jobs: &mut Jobs) {
        let (image, warnings) = match result {
            Ok(read) => read,
            Err(failure) => return failure.report(&self.spec().title, state),
        };
        for warning in warnings {
            state.notice(Severity::Warning, "Note on this file", warning);
        }
        show(state, image, self.placement);
        frame::project_missing(state, jobs);
        values::start(state, jobs);
        analyse::start(state, jobs);
    }
}

/// Puts an image after the others. Several images of a case are named by their modality.
fn show(state: &mut State, image: ImageLayer, placement: Placement) {
    let image = state.session.with_user_modality(image);
    let Some(document) = state.document.as_mut().filter(|document| !document.has_image(image.path())) else { return };
    let (at, view) = (document.images.len(), &mut state.session.view);
    let modality = Some(image.info.modality.clone());
    document.images.push(image);
    for image in &mut document.images {
        image.name = image.info.modality.name();
    }
    let chosen =
        |wanted: &Option<_>| document.images.iter().position(|image| Some(&image.info.modality) == wanted.as_ref());
    match placement {
        Placement::InPanes => (document.shown, view.modality) = (at, modality),
        Placement::AsChosen => {
            let (below, over) = (chosen(&view.modality), chosen(&view.fused_modality));
            document.shown = below.unwrap_or(document.shown);
            view.fused = over;
        }
    }
    view.fused = view.fused.filter(|fused| *fused != document.shown);
}
