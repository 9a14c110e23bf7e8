//! Jobs of the table of runs: listing, notes, trash.

mod forget;

use std::path::{Path, PathBuf};

use engine::run::workspace::{self, DiceOf, RunEntry};

use super::{Jobs, Spec};
use crate::state::runs::{Asked, Trashed};
use crate::state::train::Phase;
use crate::state::{Intent, Severity, Slot, State};

/// Listing, notes and trash may run side by side.
pub const SLOT: Slot = Slot::shared("runs");

/// What a job of the table brings.
pub enum Listed {
    /// The runs of a workspace, or why there is no list.
    Runs(PathBuf, Result<Vec<RunEntry>, String>),
    /// A run was moved to the trash.
    Trashed(Trashed),
    /// A run was brought back from the trash.
    Restored(Trashed),
    /// The notes of a run were written.
    Noted {
        /// The run.
        run: PathBuf,
        /// What was written.
        text: String,
    },
}

/// Lets what was listed change the state.
pub fn apply(state: &mut State, jobs: &mut Jobs, listed: Listed) {
    match listed {
        // The workspace may have been changed in the meantime.
        Listed::Runs(workspace, _) if workspace != state.settings.workspace() => {}
        Listed::Runs(workspace, Ok(runs)) => {
            state.runs.listed = Some((workspace, runs));
            state.runs.failed = None;
        }
        Listed::Runs(_, Err(why)) => (state.runs.listed, state.runs.failed) = (None, Some(why)),
        Listed::Trashed(trashed) => {
            forget::forget(state, jobs, &trashed.run);
            let title = format!("{} was moved to the trash", name(&trashed.run));
            let undo = Intent::RestoreRun(trashed.clone());
            state.notice_with_undo(title, trashed.now.display().to_string(), undo);
            state.runs.trashed.push(trashed);
        }
        Listed::Restored(trashed) => restored(state, jobs, &trashed),
        Listed::Noted { run, text } => {
            let entries = state.runs.listed.iter_mut().flat_map(|(_, runs)| runs);
            for entry in entries.filter(|entry| entry.path == run) {
                entry.notes.clone_from(&text);
            }
        }
    }
}

/// A run is back: everything that lists runs looks again.
fn restored(state: &mut State, jobs: &mut Jobs, trashed: &Trashed) {
    state.runs.trashed.retain(|other| other != trashed);
    let undone = Intent::RestoreRun(trashed.clone());
    for notice in state.notices.iter_mut().filter(|notice| notice.undo.as_ref() == Some(&undone)) {
        // It cannot be undone twice.
        (notice.dismissed, notice.undo) = (true, None);
    }
    state.notice(Severity::Info, format!("{} is back", name(&trashed.run)), trashed.run.display().to_string());
    state.runs.asked = None;
    super::train::workspace::start(state, jobs);
}

/// Lists the workspace whenever the table comes onto the screen, the workspace changes or a training begins, has its
/// folder or ends; in between the row of the job under way follows what it tells. Called every frame, before drawing.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    if !state.shows_runs() {
        // Looked at anew the next time.
        state.runs.asked = None;
        return;
    }
    let workspace = state.settings.workspace();
    let job = state.train.running.as_ref().map(|job| (job.id, job.phase != Phase::Preparing));
    let asked = Asked { workspace: workspace.clone(), job };
    if state.runs.asked.as_ref() != Some(&asked) && !jobs.runs(SLOT) {
        state.runs.asked = Some(asked);
        start(jobs, "Listing runs", move || {
            let runs = workspace::list(&workspace).map_err(|e| e.to_string());
            Ok(Listed::Runs(workspace, runs))
        });
    }
    follow_job(state);
}

/// The row of the job under way tells what the job does, not what its folder told when it was listed.
fn follow_job(state: &mut State) {
    let Some(job) = state.train.running.as_ref().filter(|job| job.epochs > 0) else { return };
    let entries = state.runs.listed.iter_mut().flat_map(|(_, runs)| runs);
    for entry in entries.filter(|entry| Some(&entry.path) == job.run.as_ref()) {
        (entry.epochs, entry.epochs_done) = (job.epochs, job.epochs_done);
        entry.loss = job.epoch_loss.or(entry.loss);
        if entry.dice_of == DiceOf::Validation {
            entry.dice = [entry.dice, job.best_dice].into_iter().flatten().reduce(f64::max);
        }
        if !job.device.is_empty() {
            entry.device.clone_from(&job.device);
        }
    }
}

/// Moves a run to the trash folder of the workspace, unless a job that waits needs it.
pub fn trash(state: &mut State, jobs: &mut Jobs, run: PathBuf) {
    let mut waiting = state.train.queue.iter().chain(&state.train.left);
    if let Some(job) = waiting.find(|job| forget::needs(job, &run)) {
        let why = format!("{}: {} waits in the queue and needs it; take that out first", run.display(), job.name);
        return state.error(format!("{} was not deleted", name(&run)), why);
    }
    let workspace = state.settings.workspace();
    start(jobs, &format!("Deleting {}", name(&run)), move || {
        let now = workspace::trash(&workspace, &run)?;
        Ok(Listed::Trashed(Trashed { run, now }))
    });
}

/// Brings a run back from the trash.
pub fn restore(jobs: &mut Jobs, trashed: Trashed) {
    start(jobs, &format!("Bringing {} back", name(&trashed.run)), move || {
        workspace::restore(&trashed.now, &trashed.run)?;
        Ok(Listed::Restored(trashed))
    });
}

/// Writes the notes of a run.
pub fn note(state: &State, jobs: &mut Jobs, run: PathBuf, text: String) {
    if state.runs.run(&run).is_some_and(|entry| entry.notes == text) {
        return;
    }
    start(jobs, &format!("Writing the notes of {}", name(&run)), move || {
        workspace::set_notes(&run, &text)?;
        Ok(Listed::Noted { run, text })
    });
}

fn name(run: &Path) -> String {
    run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn start(jobs: &mut Jobs, title: &str, work: impl FnOnce() -> engine::Result<Listed> + Send + 'static) {
    jobs.start_with(
        Spec::new(SLOT, title).quiet(),
        move |_| Ok(work()?),
        |result, spec, state, jobs| match result {
            Ok(listed) => apply(state, jobs, listed),
            Err(failure) => failure.report(&spec.title, state),
        },
    );
}
