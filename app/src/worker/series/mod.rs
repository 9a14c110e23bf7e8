//! The listed DICOM series: thumbnails, opening one, adding one to the open case.

mod add;
pub(super) mod relist;
pub(super) mod thumbnails;

pub use add::{Placement, add};

use super::layer::{self, LayerKind};
use super::{Jobs, frame, open, values};
use crate::scene::Modality;
use crate::state::{Intent, MaskRole, SeriesId, SeriesKind, SeriesList, Severity, State};

/// Opens a series: an image as a case, a segmentation over the images it was made on.
pub fn start(state: &mut State, jobs: &mut Jobs, id: SeriesId) {
    let Some(list) = &state.series else { return };
    let Some(series) = list.get(id) else {
        return state.notice(Severity::Info, "The list of series changed", "Choose the series again.");
    };
    match series.kind {
        SeriesKind::Image(_) => {
            let Some(request) = list.request(&[id]) else { return };
            open::start(state, jobs, request, Intent::OpenSeries(id));
        }
        SeriesKind::Overlay(_) => overlay(state, jobs, id, MaskRole::Segmentation),
        SeriesKind::Other => {
            let what = format!("{} has no image or segmentation to show.", series.title());
            state.notice(Severity::Info, "Listed only", what);
        }
    }
}

/// Shows a segmentation over its images, opening them first if needed.
pub fn overlay(state: &mut State, jobs: &mut Jobs, id: SeriesId, role: MaskRole) {
    let Some(list) = &mut state.series else { return };
    let Some(path) = list.get(id).map(|series| series.path.clone()) else { return };
    let image = list.image_of(id).map(|image| (image.id, image.path.clone()));
    let open = state.document.as_ref();
    match image {
        Some((image, file)) if open.is_none_or(|document| !document.has_image(&file)) => {
            let Some(mut request) = list.request(&[image]) else { return };
            match role {
                MaskRole::Segmentation => request.segmentation = Some(path),
                MaskRole::Reference => request.reference = vec![path],
            }
            open::start(state, jobs, request, Intent::OpenSeries(id));
        }
        _ => {
            list.browsing = false;
            layer::start(state, jobs, LayerKind::Mask(role), vec![path]);
        }
    }
}

/// Whether CT and PET can be fused in the open case, because it has one of them.
pub fn fuses_in_place(state: &State, pair: [SeriesId; 2]) -> bool {
    let paths = |list: &SeriesList| pair.map(|id| list.get(id).map(|series| series.path.clone()));
    let (Some(document), Some(paths)) = (&state.document, state.series.as_ref().map(paths)) else { return false };
    paths.iter().flatten().any(|path| document.has_image(path))
}

/// Shows a CT with a PET over it in colour. An open CT or PET of the pair stays open, with its masks.
pub fn fuse(state: &mut State, jobs: &mut Jobs, pair: [SeriesId; 2]) {
    let Some(list) = &mut state.series else { return };
    let Some(request) = list.request(&pair) else { return };
    (state.session.view.modality, state.session.view.fused_modality) = (Some(Modality::Ct), Some(Modality::Pet));
    let missing = |path: &std::path::Path| state.document.as_ref().is_none_or(|document| !document.has_image(path));
    let missing: Vec<SeriesId> =
        pair.into_iter().filter(|id| list.get(*id).is_some_and(|series| missing(&series.path))).collect();
    match missing[..] {
        [] => fuse_open(state, jobs),
        [one] => {
            list.browsing = false;
            add(state, jobs, one, Placement::AsChosen);
        }
        _ => {
            open::start(state, jobs, request, Intent::FuseSeries(pair));
        }
    }
}

/// Shows the CT of the open case with its PET over it.
fn fuse_open(state: &mut State, jobs: &mut Jobs) {
    if let Some(list) = &mut state.series {
        list.browsing = false;
    }
    let Some(document) = &mut state.document else { return };
    let of = |modality: Modality| document.images.iter().position(|image| image.info.modality == modality);
    if let (Some(ct), Some(pet)) = (of(Modality::Ct), of(Modality::Pet)) {
        document.shown = ct;
        state.session.view.fused = Some(pet);
        frame::project_missing(state, jobs);
        values::start(state, jobs);
    }
}
