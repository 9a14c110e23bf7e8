//! Jobs of the table of runs: listing, notes, trash.

use std::path::{Path, PathBuf};

use engine::run::workspace::{self, RunEntry};

use super::{Jobs, Kind, Outcome, Spec};
use crate::state::{Severity, State};

/// What a job of the table brings.
pub enum Listed {
    /// The runs of a workspace, or why there is no list.
    Runs(PathBuf, Result<Vec<RunEntry>, String>),
    /// A run was moved to the trash.
    Trashed {
        /// Where it was.
        run: PathBuf,
        /// Where it is.
        now: PathBuf,
    },
    /// The notes of a run were written.
    Noted {
        /// The run.
        run: PathBuf,
        /// What was written.
        text: String,
    },
}

/// Lets what was listed change the state.
pub fn apply(state: &mut State, _jobs: &mut Jobs, listed: Listed) {
    match listed {
        // The workspace may have been changed in the meantime.
        Listed::Runs(workspace, _) if workspace != state.settings.workspace() => {}
        Listed::Runs(workspace, Ok(runs)) => {
            state.runs.listed = Some((workspace, runs));
            state.runs.failed = None;
        }
        Listed::Runs(_, Err(why)) => (state.runs.listed, state.runs.failed) = (None, Some(why)),
        Listed::Trashed { run, now } => {
            if let Some((_, runs)) = &mut state.runs.listed {
                runs.retain(|entry| entry.path != run);
            }
            if state.runs.chosen.as_ref() == Some(&run) {
                state.runs.chosen = None;
            }
            let name = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            state.notice(Severity::Info, format!("{name} was moved to the trash"), now.display().to_string());
        }
        Listed::Noted { run, text } => {
            let entries = state.runs.listed.iter_mut().flat_map(|(_, runs)| runs);
            for entry in entries.filter(|entry| entry.path == run) {
                entry.notes.clone_from(&text);
            }
        }
    }
}

/// Lists the workspace whenever the table comes onto the screen, the workspace changes or a training begins or ends.
/// Called every frame, before drawing.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    if !state.shows_runs() {
        // Looked at anew the next time.
        state.runs.asked = None;
        return;
    }
    let training = state.jobs.iter().filter(|job| job.kind == Kind::Train).count();
    let workspace = state.settings.workspace();
    let due = state.runs.asked.as_ref().is_none_or(|(asked, jobs)| *asked != workspace || *jobs != training);
    if due && !jobs.runs(Kind::Runs) {
        state.runs.asked = Some((workspace.clone(), training));
        start(jobs, "Listing runs", move || {
            let runs = workspace::list(&workspace).map_err(|e| e.to_string());
            Ok(Listed::Runs(workspace, runs))
        });
    }
}

/// Moves a run to the trash folder of the workspace.
pub fn trash(state: &State, jobs: &mut Jobs, run: PathBuf) {
    let workspace = state.settings.workspace();
    start(jobs, &format!("Deleting {}", name(&run)), move || {
        let now = workspace::trash(&workspace, &run)?;
        Ok(Listed::Trashed { run, now })
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
    let spec = Spec { kind: Kind::Runs, document: None, title: title.into(), quiet: true };
    jobs.start(spec, move |_| Ok(Outcome::Runs(Box::new(work()?))));
}
