//! Brings back what was looked at before the program started anew: part by part, as files and runs are read.

use super::train::{cohort, evaluate};
use super::{Jobs, frame, open, replay};
use crate::state::State;
use crate::state::kept::{KeptCase, KeptRuns, KeptView, Returning};
use crate::state::timeline::Compare;
use crate::state::train::Results;

/// Shows what needs no reading, and starts to read the rest.
pub fn start(state: &mut State, jobs: &mut Jobs, kept: KeptView) {
    let KeptView { settings, mode, case, list, windows, segment, run, masking, train, runs, .. } = kept;
    state.returning = Returning { recent: settings.recent.clone(), case: case.map(Box::new), list, runs: None };
    (state.session.settings, state.session.mode, state.session.windows, state.run) = (settings, mode, windows, run);
    (state.session.runs.segment, state.session.device) = segment;
    state.session.masking.controls = masking.controls.within_limits();
    (state.session.masking.shown, state.session.masking.contrast, state.session.runs.reconstruct) = (masking.shown, masking.contrast, masking.run);
    (state.session.train.page, state.session.train.form) = (train.page, *train.form);
    if let Some(request) = state.returning.case.as_ref().map(|case| case.request()) {
        open::open_request(state, jobs, request);
    } else {
        open_list(state, jobs);
    }
    open_runs(state, jobs, runs);
    if let Some(folder) = train.cohort {
        cohort::start(state, jobs, &folder);
    }
    if let Some(run) = train.results {
        state.cache.results = Results::awaited(run);
        evaluate::start(state, jobs, false);
    }
}

fn open_list(state: &mut State, jobs: &mut Jobs) {
    if let Some(root) = state.returning.list.as_ref().map(|list| list.root.clone()) {
        open::open_paths(state, jobs, &[root]);
    }
}

fn open_runs(state: &mut State, jobs: &mut Jobs, runs: KeptRuns) {
    state.session.timeline.look.clone_from(&runs.look);
    state.session.timeline.wanted.clone_from(&runs.wanted);
    state.session.timeline.pin.clone_from(&runs.pin);
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
    (state.session.view, state.cache.masking.document) = (view, Some(document.id));
    state.session.view.fused = state.session.view.fused.filter(|&fused| fused < count);
    state.cache.masking.forget();
    (state.session.masking.pinned, state.session.masking.cameras) = (patch, cameras);
    state.session.settings.recent.clone_from(&state.returning.recent);
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
    let open = state.cases.cases.iter().position(|case| Some(&case.id) == kept.open.as_ref());
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
