//! Brings back what was looked at before the program started anew: part by part, as files and runs are read.

use super::train::{cohort, evaluate};
use super::{Jobs, frame, open, replay};
use crate::state::kept::{KeptCase, KeptRuns, KeptView, Returning};
use crate::state::timeline::Compare;
use crate::state::train::Results;
use crate::state::{Intent, PathPurpose, Request, State};

/// Shows what needs no reading, and starts to read the rest.
pub fn start(state: &mut State, jobs: &mut Jobs, kept: KeptView) {
    let KeptView { settings, mode, case, list, windows, segment, run, masking, train, runs, .. } = kept;
    state.returning = Returning { recent: settings.recent.clone(), case: case.map(Box::new), list, runs: None };
    (state.settings, state.mode, state.windows, state.run) = (settings, mode, windows, run);
    (state.segment.model, state.segment.device) = segment;
    state.masking.controls = masking.controls.within_limits();
    (state.masking.shown, state.masking.contrast, state.masking.run) = (masking.shown, masking.contrast, masking.run);
    (state.train.page, state.train.form) = (train.page, *train.form);
    if let Some(request) = state.returning.case.as_ref().map(|case| case.request()) {
        let again = Intent::Open(Box::new(request.clone()));
        open::start(state, jobs, request, again);
    } else {
        open_list(state, jobs);
    }
    open_runs(state, jobs, runs);
    if let Some(folder) = train.cohort {
        cohort::start(state, jobs, &folder);
    }
    if let Some(run) = train.results {
        state.train.results = Results::awaited(run);
        evaluate::start(state, jobs, false);
    }
}

fn open_list(state: &mut State, jobs: &mut Jobs) {
    if let Some(root) = state.returning.list.as_ref().map(|list| list.root.clone()) {
        let request = Request { paths: vec![root.clone()], ..Request::default() };
        open::start(state, jobs, request, Intent::UsePaths(PathPurpose::Folder.into(), vec![root]));
    }
}

fn open_runs(state: &mut State, jobs: &mut Jobs, runs: KeptRuns) {
    state.timeline.look.clone_from(&runs.look);
    state.timeline.wanted.clone_from(&runs.wanted);
    state.timeline.pin.clone_from(&runs.pin);
    // A fine-tuning brings the pre-training that it started from.
    let Some(run) = runs.finetune.as_ref().or(runs.pretrain.as_ref()) else { return };
    let path = run.path.clone();
    state.returning.runs = Some(Box::new(runs));
    replay::open(state, jobs, &path, None);
}

/// A case was opened: if it is the one that was looked at, it is looked at as before.
pub(super) fn case_arrived(state: &mut State, jobs: &mut Jobs) {
    let Some(kept) = state.returning.case.take() else { return };
    let Some(document) = state.document.as_mut().filter(|document| kept.is(document)) else {
        // The user was faster, and wants something else.
        state.returning.list = None;
        return;
    };
    let KeptCase { images, shown, view, patch, cameras, .. } = *kept;
    let count = images.len();
    let mut frames = Vec::new();
    for (at, (layer, image)) in document.images.iter_mut().zip(images).enumerate() {
        (layer.name, layer.modality, layer.default_window) = (image.name, image.modality, image.window);
        frames.extend((image.frame != layer.frame).then_some((at, image.frame)));
    }
    document.shown = shown.min(count.saturating_sub(1));
    document.opened_at = None;
    (state.view, state.masking.document) = (view, Some(document.id));
    state.view.fused = state.view.fused.filter(|&fused| fused < count);
    state.masking.forget();
    (state.masking.pinned, state.masking.cameras) = (patch, cameras);
    state.settings.recent.clone_from(&state.returning.recent);
    // One frame is read at a time: that of the image in the panes is read in any case.
    let shown = state.document.as_ref().map_or(0, |document| document.shown);
    frames.sort_by_key(|(at, _)| *at == shown);
    for (at, number) in frames {
        frame::start(state, jobs, at, number);
    }
    open_list(state, jobs);
}

/// A case or a folder could not be opened: what else there was is brought back all the same.
pub(super) fn opening_failed(state: &mut State, jobs: &mut Jobs) {
    if state.returning.case.take().is_some() {
        open_list(state, jobs);
    } else {
        state.returning.list = None;
    }
}

/// A folder was looked through. True if it is the one that was open: its case is, or will be, open already.
pub(super) fn list_arrived(state: &mut State, jobs: &mut Jobs) -> bool {
    let Some(kept) = state.returning.list.take().filter(|kept| Some(&kept.root) == state.cases.root.as_ref()) else {
        return false;
    };
    let open = state.cases.cases.iter().find(|case| Some(&case.name) == kept.open.as_ref()).map(|case| case.id);
    state.cases.filter = kept.filter;
    match (&state.document, open) {
        (Some(_), _) => state.cases.open = open,
        (None, Some(open)) => open::open_case(state, jobs, open),
        (None, None) => return false,
    }
    true
}

/// A run was opened, `beside` the shown one or on its track: cursors and comparison are put back.
pub(super) fn run_arrived(state: &mut State, jobs: &mut Jobs, beside: bool) {
    let Some(kept) = state.returning.runs.take() else { return };
    let timeline = &mut state.timeline;
    if beside {
        if let (Some(compare), Some((_, epoch))) = (&mut timeline.compare, &kept.compare) {
            (compare.epoch, timeline.look.view) = (*epoch, kept.look.view);
        }
        timeline.pin = kept.pin;
        return;
    }
    let mut found = false;
    for run in [&kept.pretrain, &kept.finetune].into_iter().flatten() {
        if let Some(open) = timeline.of_path(&run.path) {
            (open.cursor, found) = (run.cursor, true);
        }
    }
    if !found {
        return;
    }
    if timeline.track(kept.active).is_some() {
        timeline.active = kept.active;
    }
    timeline.pin.clone_from(&kept.pin);
    match kept.compare.clone() {
        None => {}
        Some((None, epoch)) => timeline.compare = Some(Compare { run: None, epoch }),
        Some((Some(run), _)) => {
            state.returning.runs = Some(kept);
            replay::compare(state, jobs, &run);
        }
    }
}

/// A run could not be opened.
pub(super) fn run_failed(state: &mut State) {
    state.returning.runs = None;
}
