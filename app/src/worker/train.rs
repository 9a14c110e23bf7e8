//! Jobs of Train mode: looking at a cohort, estimating, training, evaluating.
//!
//! | module | idea |
//! |---|---|
//! | [`cohort`] | what is in a folder, and which of its patients train |
//! | [`assess`] | what is wrong with a form, and what its job will take |
//! | [`run`] | the training itself, on a thread and a device of its own, and what it tells |
//! | [`evaluate`] | held-out patients of a fine-tuned run |
//! | [`namesake`] | the run that has the next one's name |
//! | [`queue`] | what waits, kept beside the runs |
//! | [`workspace`] | the runs that are there: to start from, to go on with |

pub mod assess;
pub mod cohort;
pub mod evaluate;
pub mod namesake;
pub mod queue;
pub mod run;
pub mod workspace;

use std::path::PathBuf;
use std::sync::Arc;

use engine::assess::Assessment;
use engine::cohort::split::Split;
use engine::config::Config;
use engine::jobs::evaluation::RunEvaluation;
use engine::probe::Pins;
use engine::run::workspace::RunEntry;

use super::{Failure, JobHandle, Jobs, Spec};
use crate::state::train::{CohortCard, CohortState, Ending, Estimate, Form, Queued};
use crate::state::{Settings, State};

pub use run::{Live, follow, live_pins};

/// What a job of Train mode brings.
pub enum Told {
    /// A cohort that was looked at.
    Cohort(Box<CohortCard>),
    /// Which patients train, validate and test.
    Split(Result<Box<Split>, String>),
    /// What the job of the form will take.
    Assessed(Result<Box<Assessment>, String>),
    /// The settings of a run to fine-tune from.
    Settings {
        /// The run.
        run: PathBuf,
        /// Its settings.
        config: Box<Config>,
    },
    /// The settings of the run that has the next one's name.
    Namesake {
        /// The run.
        run: PathBuf,
        /// Its settings, if they can be read.
        config: Option<Box<Config>>,
    },
    /// The training begins.
    Prepared {
        /// Its run folder.
        run: PathBuf,
        /// Its settings, every name as the cohort spells it.
        config: Box<Config>,
        /// Its pinned slices.
        pins: Arc<Pins>,
    },
    /// The training is done.
    Trained,
    /// Measures of a run's held-out patients.
    Evaluated {
        /// The run.
        run: PathBuf,
        /// The measures.
        evaluation: Box<RunEvaluation>,
    },
    /// The runs of the workspace.
    Workspace {
        /// All of them, newest first.
        runs: Vec<RunEntry>,
        /// Those that stopped before their end.
        unfinished: Vec<RunEntry>,
        /// What waited when the program was closed, with the workspace that it lies in; none if that is known already.
        left: Option<(PathBuf, Result<Vec<Queued>, String>)>,
    },
}

/// Lets what was told change the state.
pub fn apply(state: &mut State, jobs: &mut Jobs, told: Told) {
    match told {
        Told::Cohort(card) => cohort::found(state, jobs, card),
        Told::Split(split) => cohort::took_split(state, jobs, split.map(|split| *split)),
        Told::Assessed(told) => {
            state.train.estimate = match told {
                Ok(assessment) => Estimate::Known(assessment),
                Err(why) => Estimate::Failed(why),
            };
        }
        Told::Settings { run, config } => workspace::start_from(state, jobs, run, &config),
        Told::Namesake { run, config } => namesake::found(state, run, config),
        Told::Prepared { run, config, pins } => run::begun(state, jobs, &run, &config, pins),
        Told::Trained => run::ended(state, jobs, Ending::Finished),
        Told::Evaluated { run, evaluation } => {
            if state.train.results.run.as_ref() == Some(&run) {
                state.train.results.set(*evaluation);
            }
        }
        Told::Workspace { runs, unfinished, left } => {
            (state.train.runs, state.train.unfinished) = (Some(runs), unfinished);
            if let Some((workspace, left)) = left {
                queue::found(state, workspace, left);
            }
            namesake::look_again(state, jobs);
        }
    }
}

/// Starts a job of Train mode.
fn start(jobs: &mut Jobs, spec: Spec, work: impl FnOnce(&JobHandle) -> Result<Told, Failure> + Send + 'static) -> u64 {
    jobs.start_with(spec, work, |result, spec, state, jobs| match result {
        Ok(told) => apply(state, jobs, told),
        Err(failure) => {
            failed(state, jobs, spec, &failure);
            // A training that was stopped reports that itself.
            if spec.slot != run::SLOT || failure != Failure::Cancelled {
                failure.report(&spec.title, state);
            }
        }
    })
}

/// What follows from a job of Train mode that ended early, beside the report.
fn failed(state: &mut State, jobs: &mut Jobs, spec: &Spec, failure: &Failure) {
    let why = match failure {
        Failure::Cancelled => "it was cancelled",
        Failure::Error(why) | Failure::Panic(why) => why.as_str(),
    };
    match spec.slot {
        run::SLOT => {
            let stopped = *failure == Failure::Cancelled;
            run::ended(state, jobs, if stopped { Ending::Stopped } else { Ending::Failed(why.to_owned()) });
        }
        cohort::SLOT => {
            if let Some(folder) = state.train.cohort.folder() {
                state.train.cohort = CohortState::Failed(folder, why.to_owned());
            }
        }
        assess::SLOT => state.train.estimate = Estimate::Failed(why.to_owned()),
        evaluate::SLOT => state.train.results.why = Some(why.to_owned()),
        // Not asked for again and again: the pages say that nothing was found.
        workspace::SLOT => state.train.runs = Some(Vec::new()),
        _ => {}
    }
}

/// Checks the form, and works out anew what hangs on what changed in it.
pub fn follow_form(state: &mut State, jobs: &mut Jobs, before: &Form) {
    let form = &state.train.form;
    state.train.problems = assess::problems(form);
    let what_splits = |form: &Form| {
        let config = form.config();
        (form.stage, config.data.clone(), config.seed, config.labels.from.clone())
    };
    if what_splits(form) != what_splits(before) || state.train.split.is_none() {
        cohort::split(state, jobs);
    }
    let form = &state.train.form;
    let changed = form.config() != before.config() || form.stage != before.stage;
    if changed || form.invalid_field() != before.invalid_field() {
        assess::start(state, jobs);
    }
    namesake::look(state, jobs);
}

/// How many threads a job may take: as the user says, else all but the window's own.
pub fn threads(settings: &Settings) -> usize {
    if settings.threads == 0 { engine::threads::beside_a_window() } else { settings.threads }
}
