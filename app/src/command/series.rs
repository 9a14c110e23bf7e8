//! Commands for the series of a DICOM folder, and for patient identification.

use super::Command;
use super::action::ActionList;
use super::intent;
use crate::state::dicom::ListedStudy;
use crate::state::{Intent, MaskRole, Request, SeriesId, SeriesKind, SeriesList, State};
use crate::worker::Jobs;
use crate::worker::series::{Placement, add, overlay};

/// A command about DICOM series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SeriesCommand {
    /// Shows the series browser in place of the views, or the views again.
    Browse(bool),
    /// Selects a series.
    Choose(SeriesId),
    /// Shows a series dropped on a view: with the open images if it is aligned with them, else alone.
    Drop(SeriesId),
    /// Shows a segmentation as the reference.
    OpenReference(SeriesId),
    /// Steps through the slices that have arrived of a series that is loading.
    StepPartial(i64),
    /// Opens the patients as a list of cases.
    OpenAsCases,
    /// Shows or hides the patient's identification.
    ShowPatient(bool),
}

/// Executes a command.
pub fn dispatch(state: &mut State, jobs: &mut Jobs, command: SeriesCommand) {
    use SeriesCommand as Do;
    match command {
        Do::Browse(on) => {
            if let Some(list) = &mut state.series {
                list.browsing = on;
            }
        }
        Do::Choose(id) => {
            if let Some(list) = &mut state.series {
                list.chosen = Some(id);
            }
        }
        Do::Drop(id) => drop_on_view(state, jobs, id),
        Do::OpenReference(id) => overlay(state, jobs, id, MaskRole::Reference),
        Do::StepPartial(by) => {
            if let Some(series) = &mut state.cache.partial_series {
                series.step(by);
            }
        }
        Do::OpenAsCases => {
            if let Some(list) = &state.series {
                let request = Request { paths: vec![list.source.clone()], as_cases: true, ..Request::default() };
                intent::dispatch(state, jobs, Intent::Open(Box::new(request)));
            }
        }
        Do::ShowPatient(on) => state.session.settings.hide_patient = !on,
    }
}

fn drop_on_view(state: &mut State, jobs: &mut Jobs, id: SeriesId) {
    let Some(series) = state.series.as_ref().and_then(|list| list.get(id)) else { return };
    let document = state.document.as_ref();
    let open = document.and_then(|document| document.images.iter().position(|image| image.path() == series.path));
    match open {
        Some(image) => super::dispatch(state, jobs, super::ViewCommand::ShowImage(image)),
        None if state.is_aligned(series) => add(state, jobs, id, Placement::InPanes),
        None => intent::dispatch(state, jobs, Intent::OpenSeries(id)),
    }
}

/// Adds this topic's palette entries.
pub fn actions(list: &mut ActionList, state: &State) {
    let group = "Series";
    let series = state.series.as_ref();
    let browsing = state.browsed().is_some();
    let back = browsing && state.document.is_some();
    let label = if back { "Back to the views" } else { "Series browser" };
    let possible = series.is_some() && (back || !browsing);
    list.add_if(possible, group, label, "Ctrl+D", SeriesCommand::Browse(!back));
    let studies = || series.into_iter().flat_map(SeriesList::studies);
    let pair = studies().find_map(ListedStudy::ct_and_pet);
    list.add_if(pair.is_some(), group, "Fuse CT and PET", "", Intent::FuseSeries(pair.unwrap_or_default()));
    for series in series.into_iter().flat_map(SeriesList::series) {
        match series.kind {
            SeriesKind::Image(_) => {
                list.add(group, format!("Open {}", series.title()), "", Intent::OpenSeries(series.id));
            }
            SeriesKind::Overlay(_) => {
                list.add(group, format!("Open {}", series.title()), "", Intent::OpenSeries(series.id));
                let reference = Command::Series(SeriesCommand::OpenReference(series.id));
                list.add(group, format!("Open {} as reference", series.title()), "", reference);
            }
            SeriesKind::Other => {}
        }
    }
    let folder = series.is_some_and(|list| list.is_folder);
    list.add_if(folder, group, "Open as cases", "", SeriesCommand::OpenAsCases);
    let shown = !state.session.settings.hide_patient;
    let label = if shown { "Hide the patient" } else { "Show the patient" };
    list.add(group, label, "H", SeriesCommand::ShowPatient(!shown));
}
