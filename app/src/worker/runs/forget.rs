//! Drops all references to a run that was moved to the trash.

use std::path::{Path, PathBuf};

use engine::event::Stage;

use crate::state::State;
use crate::state::train::{QueuedJob, Results};
use crate::worker::train::{form, same_name};
use crate::worker::{Jobs, replay};

/// Drops all references to a run.
pub(super) fn forget(state: &mut State, jobs: &mut Jobs, run: &Path) {
    leave_timeline(state, run);
    leave_lists(state, run);
    leave_choices(state, run);
    leave_form(state, jobs, run);
}

/// Whether a queued job needs a run.
pub(super) fn needs(job: &QueuedJob, run: &Path) -> bool {
    let from = job.config.as_ref().map(|config| &config.labels.from);
    job.folder.iter().chain(from).any(|path| same(path, run))
}

/// Whether two paths name the same folder. It no longer exists, so its path cannot be resolved.
fn same(path: &Path, run: &Path) -> bool {
    let whole = |path: &Path| std::path::absolute(path).ok();
    path == run || (!path.as_os_str().is_empty() && whole(path) == whole(run))
}

fn names(path: Option<&PathBuf>, run: &Path) -> bool {
    path.is_some_and(|path| same(path, run))
}

/// Removes it from tracks and comparison, and cancels reads.
fn leave_timeline(state: &mut State, run: &Path) {
    for stage in [Stage::Pretrain, Stage::Finetune] {
        if state.cache.timeline.track(stage).is_some_and(|open| same(&open.path, run)) {
            replay::leave(state, stage);
        }
    }
    let timeline = &mut state.cache.timeline;
    timeline.opening.take_if(|opening| same(&opening.path, run));
    timeline.failed.take_if(|(path, _)| same(path, run));
    let mut compared = timeline.compare.iter().flat_map(|compare| &compare.runs);
    if let Some(id) = compared.find(|open| same(&open.path, run)).map(|open| open.id) {
        replay::leave_comparison(state, id);
    }
}

/// Removes it from the list of runs and from offers about ended jobs.
fn leave_lists(state: &mut State, run: &Path) {
    if let Some(runs) = &mut state.cache.runs.entries {
        runs.retain(|entry| !same(&entry.path, run));
    }
    state.session.run_table.editing.take_if(|(path, _)| same(path, run));
    state.training.ended.retain(|job| !names(job.run.as_ref(), run));
}

/// Clears the choices of the run: for segmentation, reconstruction and results.
fn leave_choices(state: &mut State, run: &Path) {
    let chosen = &mut state.session.runs;
    if names(chosen.results.as_ref(), run) {
        state.cache.results = Results::default();
    }
    chosen.ticked.retain(|path| !same(path, run));
    for choice in [&mut chosen.segment, &mut chosen.reconstruct, &mut chosen.results, &mut chosen.selected] {
        choice.take_if(|path| same(path, run));
    }
    let masking = &mut state.cache.masking;
    if masking.network.as_ref().is_some_and(|network| same(&network.run, run)) {
        masking.drop_network();
    }
}

/// Removes it from the form: as start of the next job, and as a name conflict.
fn leave_form(state: &mut State, jobs: &mut Jobs, run: &Path) {
    if same(&state.session.train.form.finetune.labels.from, run) {
        let mut form = state.session.train.form.clone();
        form.start_from(PathBuf::new());
        form::edit(state, jobs, form);
    }
    same_name::check_again(state, jobs);
}
