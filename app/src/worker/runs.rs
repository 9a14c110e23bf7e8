//! Jobs about the runs of the workspace: listing, notes, trash.

mod forget;

use std::path::PathBuf;

use engine::run::workspace::{self, RunEntry};

use super::train::{queue, same_name};
use super::{Failure, Job, JobHandle, Jobs, Spec, name_of};
use crate::state::runs::TrashedRun;
use crate::state::train::QueuedJob;
use crate::state::{Intent, Severity, Slot, State};

const LIST: Slot = Slot::exclusive("list-runs");
/// A change of a run is never cancelled by another.
const CHANGE: Slot = Slot::shared("change-run");

/// Lists the runs of a workspace.
struct ListRuns {
    workspace: PathBuf,
    /// Also read the workspace's queue.
    with_queue: bool,
}

struct RunListing {
    runs: Vec<RunEntry>,
    queue: Option<Result<Vec<QueuedJob>, String>>,
}

/// Lists the workspace's runs. Called at the start, when a page that shows them opens, and when runs are added or
/// removed.
pub fn list(state: &mut State, jobs: &mut Jobs) {
    let workspace = state.session.settings.workspace();
    let with_queue = state.training.workspace.as_ref() != Some(&workspace);
    jobs.start(ListRuns { workspace, with_queue });
}

/// Lists the runs if the current page shows them.
pub fn list_if_shown(state: &mut State, jobs: &mut Jobs) {
    if state.shows_runs() || state.cache.runs.entries.is_none() {
        list(state, jobs);
    }
}

impl Job for ListRuns {
    type Output = RunListing;

    fn spec(&self) -> Spec {
        Spec::new(LIST, "Listing the runs").quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<RunListing, Failure> {
        let queue = self.with_queue.then(|| queue::read(&self.workspace));
        handle.check()?;
        Ok(RunListing { runs: workspace::list(&self.workspace)?, queue })
    }

    fn apply(self, result: Result<RunListing, Failure>, state: &mut State, jobs: &mut Jobs) {
        // The workspace may have been changed in the meantime.
        if self.workspace != state.session.settings.workspace() {
            return;
        }
        match result {
            Ok(RunListing { runs, queue }) => {
                listed(state, jobs, runs);
                if let Some(left) = queue {
                    queue::restored(state, jobs, self.workspace, left);
                }
            }
            Err(failure) => {
                if !state.shows_runs() {
                    failure.report(&self.spec().title, state);
                }
                (state.cache.runs.entries, state.cache.runs.failed) = (Some(Vec::new()), Some(failure.reason()));
                same_name::check_again(state, jobs);
            }
        }
    }
}

/// Stores the listed runs of the workspace.
pub(super) fn listed(state: &mut State, jobs: &mut Jobs, runs: Vec<RunEntry>) {
    (state.cache.runs.entries, state.cache.runs.failed) = (Some(runs), None);
    update_running(state);
    same_name::check_again(state, jobs);
}

/// Updates the entry of the current run from its job, since the folder is read only when runs are listed.
pub(super) fn update_running(state: &mut State) {
    let Some(job) = state.training.running.as_ref().filter(|job| job.epochs > 0) else { return };
    let Some(run) = &job.run else { return };
    let Some(entry) = state.cache.runs.run_mut(run) else { return };
    (entry.epochs, entry.epochs_done) = (job.epochs, job.epochs_done);
    entry.loss = job.epoch_loss.or(entry.loss);
    let better = |a: (usize, f64), b: (usize, f64)| if b.1 > a.1 { b } else { a };
    entry.best_validation = [entry.best_validation, job.best_validation].into_iter().flatten().reduce(better);
    entry.last_validation = job.last_validation.or(entry.last_validation);
    if !job.device.is_empty() {
        entry.device.clone_from(&job.device);
    }
}

/// Moves a run to the trash of the workspace.
struct TrashRun {
    workspace: PathBuf,
    run: PathBuf,
}

/// Moves a run to the trash of the workspace, unless a queued job needs it.
pub fn trash(state: &mut State, jobs: &mut Jobs, run: PathBuf) {
    let mut waiting = state.training.queue.iter().chain(&state.training.left);
    if let Some(job) = waiting.find(|job| forget::needs(job, &run)) {
        let why = format!("{}: {} waits in the queue and needs it. Remove that job first.", run.display(), job.name);
        return state.error(format!("{} was not deleted", name_of(&run)), why);
    }
    jobs.start(TrashRun { workspace: state.session.settings.workspace(), run });
}

impl Job for TrashRun {
    type Output = PathBuf;

    fn spec(&self) -> Spec {
        Spec::new(CHANGE, format!("Deleting {}", name_of(&self.run))).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<PathBuf, Failure> {
        Ok(workspace::trash(&self.workspace, &self.run)?)
    }

    fn apply(self, result: Result<PathBuf, Failure>, state: &mut State, jobs: &mut Jobs) {
        let now = match result {
            Ok(now) => now,
            Err(failure) => return failure.report(&self.spec().title, state),
        };
        let trashed = TrashedRun { run: self.run, now };
        forget::forget(state, jobs, &trashed.run);
        let title = format!("{} was moved to the trash", name_of(&trashed.run));
        state.notice_with_undo(title, trashed.now.display().to_string(), Intent::RestoreRun(trashed.clone()));
        state.session.run_table.trashed.push(trashed);
    }
}

/// Restores a run from the trash.
pub struct RestoreRun(pub TrashedRun);

impl Job for RestoreRun {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(CHANGE, format!("Restoring {}", name_of(&self.0.run))).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<(), Failure> {
        Ok(workspace::restore(&self.0.now, &self.0.run)?)
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, jobs: &mut Jobs) {
        if let Err(failure) = result {
            return failure.report(&self.spec().title, state);
        }
        let Self(trashed) = self;
        state.session.run_table.trashed.retain(|other| *other != trashed);
        let undone = Intent::RestoreRun(trashed.clone());
        for notice in state.notices.iter_mut().filter(|notice| notice.undo.as_ref() == Some(&undone)) {
            // The deletion can be undone only once.
            (notice.dismissed, notice.undo) = (true, None);
        }
        let title = format!("{} was restored", name_of(&trashed.run));
        state.notice(Severity::Info, title, trashed.run.display().to_string());
        list(state, jobs);
    }
}

/// Writes the notes of a run.
struct WriteNotes {
    run: PathBuf,
    text: String,
}

/// Writes the notes of a run, if they changed.
pub fn write_notes(state: &State, jobs: &mut Jobs, run: PathBuf, text: String) {
    if state.cache.runs.run(&run).is_none_or(|entry| entry.notes != text) {
        jobs.start(WriteNotes { run, text });
    }
}

impl Job for WriteNotes {
    type Output = ();

    fn spec(&self) -> Spec {
        Spec::new(CHANGE, format!("Writing the notes of {}", name_of(&self.run))).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<(), Failure> {
        Ok(workspace::set_notes(&self.run, &self.text)?)
    }

    fn apply(self, result: Result<(), Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(()) => {
                if let Some(entry) = state.cache.runs.run_mut(&self.run) {
                    entry.notes = self.text;
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
