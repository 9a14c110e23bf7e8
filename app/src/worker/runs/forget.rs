//! A run that lies in the trash is gone for the window too: whatever shows it, or would use it next, lets go of it.

use std::path::{Path, PathBuf};

use engine::event::Stage;

use crate::state::State;
use crate::state::train::{Queued, Results};
use crate::worker::train::{follow_form, namesake};
use crate::worker::{Jobs, replay};

/// Lets go of a run everywhere.
pub(super) fn forget(state: &mut State, jobs: &mut Jobs, run: &Path) {
    timeline(state, run);
    offers(state, run);
    form(state, jobs, run);
    models(state, run);
}

/// Whether a job that waits cannot do without a run.
pub(super) fn needs(job: &Queued, run: &Path) -> bool {
    let from = job.config.as_ref().map(|config| &config.labels.from);
    job.goes_on.iter().chain(from).any(|path| same(path, run))
}

/// Whether two paths name one folder. It is not there any more, so that the disk cannot tell.
fn same(path: &Path, run: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).ok();
    path == run || (!path.as_os_str().is_empty() && whole(path) == whole(run))
}

fn is(path: Option<&PathBuf>, run: &Path) -> bool {
    path.is_some_and(|path| same(path, run))
}

/// Tracks, the comparison, and what is being read.
fn timeline(state: &mut State, run: &Path) {
    for stage in [Stage::Pretrain, Stage::Finetune] {
        if state.timeline.track(stage).is_some_and(|open| same(&open.path, run)) {
            replay::leave(state, stage);
        }
    }
    let timeline = &mut state.timeline;
    timeline.opening.take_if(|opening| same(&opening.path, run));
    timeline.failed.take_if(|(path, _)| same(path, run));
    let beside = timeline.compare.as_ref().and_then(|compare| compare.run.as_ref());
    if beside.is_some_and(|open| same(&open.path, run)) {
        replay::end_comparison(state);
    }
    state.run.take_if(|path| same(path, run));
}

/// The lists of runs, and what is offered about jobs that ended.
fn offers(state: &mut State, run: &Path) {
    let table = &mut state.runs;
    if let Some((_, runs)) = &mut table.listed {
        runs.retain(|entry| !same(&entry.path, run));
    }
    table.chosen.take_if(|path| same(path, run));
    table.editing.take_if(|(path, _)| same(path, run));
    let train = &mut state.train;
    if let Some(runs) = &mut train.runs {
        runs.retain(|entry| !same(&entry.path, run));
    }
    train.unfinished.retain(|entry| !same(&entry.path, run));
    train.ended.retain(|job| !is(job.run.as_ref(), run));
    if is(train.results.run.as_ref(), run) {
        train.results = Results::default();
    }
}

/// The form of the next job: what it starts from, and what its name means.
fn form(state: &mut State, jobs: &mut Jobs, run: &Path) {
    if same(&state.train.form.finetune.labels.from, run) {
        let before = state.train.form.clone();
        let mut form = before.clone();
        form.finetune.labels.from = PathBuf::new();
        state.train.form = form.settled(&before, &state.devices);
        follow_form(state, jobs, &before);
    }
    namesake::look_again(state, jobs);
}

/// What segments, and what fills masked patches in.
fn models(state: &mut State, run: &Path) {
    state.segment.model.take_if(|path| same(path, run));
    let masking = &mut state.masking;
    masking.run.take_if(|path| same(path, run));
    if masking.network.as_ref().is_some_and(|network| same(&network.run, run)) {
        masking.drop_network();
    }
}
