//! Restores a session after a restart, part by part, as files and runs are read.

use std::path::PathBuf;

use super::train::{cohort, evaluate};
use super::{Jobs, frame, open, replay, review, series, study};
use crate::state::session::{OpenCase, OpenRuns, OpenTrack};
use crate::state::timeline::Compare;
use crate::state::{Document, Intent, PathPurpose, Request, Session, State};

/// Restores what needs no file access, and starts reading the rest.
pub fn start(state: &mut State, jobs: &mut Jobs, session: Session) {
    state.session = session.clone();
    let controls = std::mem::take(&mut state.session.masking.controls);
    state.session.masking.controls = controls.within_limits();
    let (cohort, runs) = (session.open.cohort.clone(), session.open.runs.clone());
    let series = session.open.series.clone();
    let case = session.open.case.as_ref().map(OpenCase::request);
    state.restoring = Some(Box::new(session));
    if let Some(request) = case {
        let again = Intent::Open(Box::new(request.clone()));
        open::start(state, jobs, request, again);
    } else if let Some(source) = series {
        open_source(state, jobs, source);
    } else {
        open_folder(state, jobs);
    }
    if let Some(OpenRuns { pretrain, finetune, .. }) = runs {
        // A fine-tuning run brings the pre-training run that it started from.
        if let Some(track) = finetune.or(pretrain) {
            replay::open(state, jobs, &track.path, None);
        }
    }
    if let Some(folder) = cohort {
        cohort::start(state, jobs, &folder);
    }
    if let Some(run) = state.session.runs.results.clone() {
        evaluate::start(state, jobs, run, false);
    }
    study::refresh_if_shown(state, jobs);
}

fn open_folder(state: &mut State, jobs: &mut Jobs) {
    let folder = state.restoring.as_ref().and_then(|saved| saved.open.folder.as_ref());
    if let Some(root) = folder.map(|folder| folder.root.clone()) {
        open_source(state, jobs, root);
    }
}

fn open_source(state: &mut State, jobs: &mut Jobs, source: PathBuf) {
    let request = Request { paths: vec![source.clone()], ..Request::default() };
    open::start(state, jobs, request, Intent::UsePaths(PathPurpose::Folder.into(), vec![source]));
}

/// Called when all images of a case are open. Restores the view if it is the saved case.
pub(super) fn case_opened(state: &mut State, jobs: &mut Jobs) {
    let Some(saved) = &mut state.restoring else { return };
    let Some(case) = saved.open.case.take() else { return };
    let Some(document) = state.document.as_mut().filter(|document| case.is(document)) else {
        // The user has opened another case meanwhile.
        saved.open.folder = None;
        return;
    };
    let source = saved.open.series.take();
    let frames = restore_images(document, case);
    let count = document.images.len();
    let (session, id) = (&mut state.session, document.id);
    session.view = saved.view.clone();
    session.view.fused = session.view.fused.filter(|&fused| fused < count);
    (session.masking.pinned, session.masking.cameras) = (saved.masking.pinned, saved.masking.cameras);
    // Files reopened at the restart do not change the recent list.
    session.settings.recent.clone_from(&saved.settings.recent);
    state.cache.masking.change_case(Some(id));
    for (image, number) in frames {
        frame::start(state, jobs, image, number);
    }
    if let Some(source) = source {
        series::relist::restore(jobs, source);
    }
    open_folder(state, jobs);
}

/// Returns the frames still to read, by image. One is read at a time, the displayed image's last, so that nothing
/// cancels it.
fn restore_images(document: &mut Document, case: OpenCase) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    for (at, (layer, image)) in document.images.iter_mut().zip(case.images).enumerate() {
        (layer.name, layer.info, layer.default_window) = (image.name, image.info, image.window);
        frames.extend((image.frame != layer.frame).then_some((at, image.frame)));
    }
    document.shown = case.shown.min(document.images.len() - 1);
    document.opened_at = None;
    frames.sort_by_key(|(at, _)| *at == document.shown);
    frames
}

/// Called when a case or folder could not be opened. The rest is restored anyway.
pub(super) fn opening_failed(state: &mut State, jobs: &mut Jobs) {
    let Some(saved) = &mut state.restoring else { return };
    if saved.open.case.take().is_some() {
        // The folder is shown in place of the error, which becomes a message.
        let has_folder = saved.open.folder.is_some();
        if let Some(failed) = state.failed.take_if(|_| has_folder) {
            state.error(format!("{} was not reopened", failed.path.display()), failed.why);
        }
        open_folder(state, jobs);
    } else {
        saved.open.folder = None;
    }
}

/// Called when the cases of a folder are listed. True if it is the saved folder, whose case is already open or opening.
pub(super) fn folder_listed(state: &mut State, jobs: &mut Jobs) -> bool {
    let Some(saved) = &mut state.restoring else { return false };
    let Some(folder) = saved.open.folder.take().filter(|folder| Some(&folder.root) == state.cases.root.as_ref()) else {
        return false;
    };
    let open = state.cases.cases.iter().find(|case| Some(&case.name) == folder.open.as_ref()).map(|case| case.id);
    (state.cases.filter, state.cases.review.filter) = (folder.filter, folder.verdict);
    review::set_order(state, jobs, folder.order);
    match (&mut state.document, open) {
        (Some(document), _) => (state.cases.open, document.listed) = (open, open),
        (None, Some(open)) => open::open_case(state, jobs, open),
        (None, None) => return false,
    }
    true
}

/// Restores cursors and comparison after a run was opened on its track.
pub(super) fn run_opened(state: &mut State, jobs: &mut Jobs) {
    let Some(saved) = &mut state.restoring else { return };
    let Some(runs) = &saved.open.runs else { return };
    let timeline = &mut state.cache.timeline;
    let mut found = false;
    for OpenTrack { path, cursor } in [&runs.pretrain, &runs.finetune].into_iter().flatten() {
        if let Some(open) = timeline.of_path(path) {
            (open.cursor, found) = (*cursor, true);
        }
    }
    let compare = runs.compare.clone().filter(|_| found);
    if found && timeline.track(saved.timeline.active).is_some() {
        state.session.timeline.active = saved.timeline.active;
    }
    if found {
        state.session.timeline.pin.clone_from(&saved.timeline.pin);
    }
    match compare {
        Some((others, _)) if !others.is_empty() => {
            let shown = state.watched_run().map(|run| run.path.clone());
            replay::compare(state, jobs, &shown.into_iter().chain(others).collect::<Vec<_>>());
        }
        Some((_, epoch)) => {
            saved.open.runs = None;
            timeline.compare = Some(Compare { runs: Vec::new(), epoch });
            state.session.timeline.options.view = saved.timeline.options.view;
        }
        None => saved.open.runs = None,
    }
}

/// Restores the comparison after a further run was opened.
pub(super) fn compared_run_opened(state: &mut State) {
    let Some(saved) = &mut state.restoring else { return };
    let Some(runs) = saved.open.runs.take() else { return };
    if let (Some(compare), Some((_, epoch))) = (&mut state.cache.timeline.compare, runs.compare) {
        compare.epoch = epoch;
        state.session.timeline.options.view = saved.timeline.options.view;
    }
    state.session.timeline.pin.clone_from(&saved.timeline.pin);
}

/// Called when a run could not be opened.
pub(super) fn run_failed(state: &mut State) {
    if let Some(saved) = &mut state.restoring {
        saved.open.runs = None;
    }
}
