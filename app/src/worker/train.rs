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

use super::{Failure, Jobs, Kind, Spec};
use crate::state::train::{CohortCard, CohortState, Ending, Estimate, Queued};
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
            state.cache.train.estimate = match told {
                Ok(assessment) => Estimate::Known(assessment),
                Err(why) => Estimate::Failed(why),
            };
        }
        Told::Settings { run, config } => workspace::start_from(state, jobs, run, &config),
        Told::Namesake { run, config } => namesake::found(state, run, config),
        Told::Prepared { run, config, pins } => run::begun(state, jobs, &run, &config, pins),
        Told::Trained => run::ended(state, jobs, Ending::Finished),
        Told::Evaluated { run, evaluation } => {
            if state.session.runs.results.as_ref() == Some(&run) {
                state.cache.results.set(*evaluation);
            }
        }
        Told::Workspace { runs, unfinished, left } => {
            (state.cache.runs.entries, state.cache.runs.unfinished()) = (Some(runs), unfinished);
            if let Some((workspace, left)) = left {
                queue::found(state, workspace, left);
            }
            namesake::look_again(state, jobs);
        }
    }
}

/// A job of Train mode did not end well. That it failed is said elsewhere; this is what follows from it.
pub fn failed(state: &mut State, jobs: &mut Jobs, spec: &Spec, failure: &Failure) {
    let why = match failure {
        Failure::Cancelled => "it was cancelled",
        Failure::Error(why) | Failure::Panic(why) => why.as_str(),
    };
    match spec.kind {
        Kind::Train => {
            let stopped = *failure == Failure::Cancelled;
            run::ended(state, jobs, if stopped { Ending::Stopped } else { Ending::Failed(why.to_owned()) });
        }
        Kind::Cohort => {
            if let Some(folder) = state.cache.train.cohort.folder() {
                state.cache.train.cohort = CohortState::Failed(folder, why.to_owned());
            }
        }
        Kind::Assess => state.cache.train.estimate = Estimate::Failed(why.to_owned()),
        Kind::Evaluate => state.cache.results.why = Some(why.to_owned()),
        // Not asked for again and again: the pages say that nothing was found.
        Kind::Workspace => state.cache.runs.entries = Some(Vec::new()),
        _ => {}
    }
}

/// How many threads a job may take: as the user says, else all but the window's own.
pub fn threads(settings: &Settings) -> usize {
    if settings.threads == 0 { engine::threads::beside_a_window() } else { settings.threads }
}
