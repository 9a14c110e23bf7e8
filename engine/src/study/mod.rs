//! A study compares methods on the same patients, labelled draws and seeds, with confidence intervals and tests.
//!
//! | file | contents |
//! |---|---|
//! | `plan.rs` | `PLAN.toml`: what is compared |
//! | `check.rs` | checks names, numbers and settings of a plan |
//! | `overrides.rs` | refuses settings that the rates and lengths of a stage would replace |
//! | `ready.rs` | predefined plans: the paper's tables, a quick one, a thorough one |
//! | `split.rs` | test folds, validation patients, labelled draws |
//! | `job.rs` | expands the plan into runs |
//! | `address.rs` | a run's name is a digest of what it computes |
//! | `runner.rs` | runs one job unless it is done |
//! | `rates.rs` | learning rates chosen on validation patients, frozen in `plan.lock.json` |
//! | `scale.rs` | a ready plan on a cohort, at full size or shrunk |
//! | `estimate.rs`, `clustering.rs` | seconds per step and of clusterings, measured |
//! | `results.rs` | a row per scan of a test patient |
//! | `statistics.rs`, `summary.rs` | intervals, tests, spreads |
//! | `tables.rs`, `views.rs`, `figures.rs`, `report.rs` | the tables, what each shows, the pictures and the page |
//! | `read.rs` | reads a study's status from disk |
//! | `paper.rs`, `layout.rs` | the paper's own numbers, and its tables in their own layout |
//!
//! ```text
//! OUT/
//!   plan.toml, splits.json     the plan as started; training, validation and test patients
//!   plan.lock.json             the chosen rates, written before any test patient is read
//!   runs/NAME/                 run folders; a name is a digest of what the run computes
//!   failed/NAME.txt            the error of a failed run, which the next start retries
//!   results.csv                a row per scan of a test patient, method, fold, draw and seed
//!   tables.{md,csv,tex,html}, summary.json, report.html, figures/
//! ```
//!
//! Order: pilots, which never see the test patients; the lock; the measured runs. Each step skips what an earlier start or
//! another shard has finished.

mod address;
mod check;
mod clustering;
mod estimate;
pub mod figures;
mod job;
mod layout;
mod overrides;
mod paper;
pub mod plan;
mod rates;
mod read;
mod ready;
pub mod report;
mod results;
mod runner;
mod scale;
mod split;
pub mod statistics;
pub mod summary;
pub mod tables;
pub mod views;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::device::Compute;
use crate::event::{Control, EventSink};
use crate::run::study::StudyFolder;
use crate::{Error, Result};

pub use estimate::{JobEstimate, StudyEstimate, estimate};
pub use job::{Cell, Job, Jobs, Rates};
pub use plan::Plan;
pub use rates::Lock;
pub use read::{SegmentedScan, StudyOverview, StudyRecord, StudyRun, StudyRunState, StudyStatus};
pub use read::{read_means, read_overview, read_status, read_study, segmentations};
pub use ready::{READY_PLANS, ready_plan};
pub use results::{Gap, Results, Row};
pub use runner::JobState;
use runner::Runner;
pub use scale::plan_on_cohort;
pub use split::Fold;
pub use summary::{Comparison, Group, summarise};

/// File name of the splits.
const SPLITS: &str = "splits.json";

/// Folds and lengths of a study, fixed at its first start (`splits.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Splits {
    /// SHA-256 of the plan they were drawn for.
    plan_sha256: String,
    /// Folds by cohort.
    pub folds: BTreeMap<String, Vec<Fold>>,
    /// Steps of pre-training by cohort and method, where the plan gives seconds.
    pub steps: BTreeMap<String, BTreeMap<String, usize>>,
}

/// The part of a study that a process runs: `index` (from 1) of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: usize,
    /// Number of shards.
    pub count: usize,
}

impl Shard {
    /// The whole study.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// True if a job with this key belongs to the shard. Keys end in hexadecimal digits of a digest.
    fn has(self, key: &str) -> bool {
        let digest = key.rsplit('-').next().and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
        digest % self.count as u64 == (self.index - 1) as u64
    }
}

/// Progress of a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyProgress {
    /// Runs measured on test patients.
    pub done: usize,
    /// Runs that failed.
    pub failed: usize,
    /// Runs that no shard has finished yet.
    pub waiting: usize,
    /// Pilots that other shards still have to finish.
    pub pilots_waiting: usize,
}

/// Folder, device and event sink of a study.
pub struct StudyContext<'a> {
    /// Its folder.
    pub out: &'a Path,
    /// The device.
    pub compute: &'a Compute,
    /// Cancellation, between steps.
    pub control: &'a Control,
    /// Receives the events of every run.
    pub sink: &'a mut dyn EventSink,
}

impl Splits {
    /// The splits of the study in `out`; drawn now, and not yet stored, if it was never started.
    ///
    /// # Errors
    /// Splits of another plan; a cohort that cannot be read or is too small.
    pub fn read_or_draw(plan: &Plan, folder: &StudyFolder, compute: &Compute, control: &Control) -> Result<Self> {
        let digest = rates::plan_digest(plan)?;
        if let Some(splits) = folder.read::<Self>(SPLITS)? {
            if splits.plan_sha256 != digest {
                let why = "was drawn for another plan. Choose another folder for the changed plan";
                return Err(Error::file(&folder.path(SPLITS), why));
            }
            return Ok(splits);
        }
        let mut folds = BTreeMap::new();
        for cohort in &plan.cohorts {
            folds.insert(cohort.name.clone(), split::folds(plan, cohort, control)?);
        }
        let steps = estimate::steps_of_seconds(plan, &folds, folder, compute, control)?;
        Ok(Self { plan_sha256: digest, folds, steps })
    }

    /// The splits of a study, stored at its first start. Processes that start together wait for the first of them, because each
    /// would measure other lengths where the plan gives seconds.
    fn fix(plan: &Plan, folder: &StudyFolder, compute: &Compute, control: &Control) -> Result<Self> {
        let is_measured = plan.pretrain.seconds.is_some() && !folder.is_started();
        let _lock = is_measured.then(|| folder.wait_for_lock(control)).transpose()?;
        let splits = Self::read_or_draw(plan, folder, compute, control)?;
        splits.store(plan, folder)?;
        Ok(splits)
    }

    /// Writes the splits and the plan they were drawn for, unless they exist.
    fn store(&self, plan: &Plan, folder: &StudyFolder) -> Result<()> {
        if folder.read::<Self>(SPLITS)?.is_some() {
            return Ok(());
        }
        folder.write("plan.toml", plan.to_toml()?.as_bytes())?;
        folder.write_json(SPLITS, self)
    }

    /// The runs of the plan.
    pub fn jobs<'a>(&'a self, plan: &'a Plan) -> Jobs<'a> {
        Jobs { plan, folds: &self.folds, steps: &self.steps }
    }
}

/// Runs this shard's part of a study, then writes the tables of all finished runs. Calls `on_end` after each run.
///
/// # Errors
/// A plan that does not fit the study in the folder; cancellation. A run that fails becomes a gap in the tables.
pub fn run(
    plan: &Plan,
    context: StudyContext<'_>,
    shard: Shard,
    on_end: &mut dyn FnMut(&EndedRun<'_>),
) -> Result<StudyProgress> {
    let StudyContext { out, compute, control, sink } = context;
    let folder = &StudyFolder::new(out);
    let splits = Splits::fix(plan, folder, compute, control)?;
    let jobs = splits.jobs(plan);
    let mut runner = Runner { folder, compute, control, sink, failed: BTreeMap::new() };

    let pilots = jobs.pilots()?;
    let is_chosen = Lock::read(&jobs, folder)?.is_some_and(|lock| lock.is_complete(&jobs));
    let own: Vec<_> = pilots.iter().filter(|pilot| !is_chosen && shard.has(pilot.job.shard_key())).collect();
    let mut clock = Clock::new("pilot", own.len());
    for pilot in own {
        clock.next(&pilot.to_string(), || runner.run_job(&pilot.job), on_end)?;
    }
    let Some(lock) = Lock::read_or_freeze(&jobs, &pilots, folder)? else {
        let mut pilots_waiting = 0;
        for pilot in &pilots {
            pilots_waiting += usize::from(matches!(JobState::of(&pilot.job, folder)?, JobState::Missing));
        }
        return Ok(StudyProgress { pilots_waiting, ..StudyProgress::default() });
    };

    let finals = jobs.finals(&lock)?;
    let own: Vec<_> = finals.iter().filter(|(_, job)| shard.has(job.shard_key())).collect();
    let mut clock = Clock::new("run", own.len());
    for (cell, job) in own {
        let run_job = || match lock.failure(cell) {
            Some(why) => runner.refuse(job, why),
            None => runner.run_job(job),
        };
        clock.next(&cell.to_string(), run_job, on_end)?;
    }
    let mut results = Results::read(&finals, folder)?;
    loop {
        report::write(plan, &lock, &finals, &results, folder)?;
        // Another shard may have ended meanwhile and written fuller tables, which were just overwritten.
        let written = std::mem::replace(&mut results, Results::read(&finals, folder)?);
        if written.gaps == results.gaps {
            break;
        }
    }
    let failed = results.gaps.iter().filter(|gap| gap.failed.is_some()).count();
    let waiting = results.gaps.len() - failed;
    Ok(StudyProgress { done: finals.len() - waiting - failed, failed, waiting, pilots_waiting: 0 })
}

/// A run that has just ended.
pub struct EndedRun<'a> {
    /// `pilot` or `run`.
    pub what: &'static str,
    /// Number of the run, from 1 to `all`.
    pub number: usize,
    /// Number of runs, or of pilots.
    pub all: usize,
    /// Cell or pilot of the run, as shown in lists.
    pub label: &'a str,
    /// How it ended.
    pub state: &'a JobState,
    /// Estimated seconds for the remaining runs.
    pub seconds_left: Option<f64>,
}

/// Counts runs and measures their time.
struct Clock {
    what: &'static str,
    all: usize,
    done: usize,
    /// Number of runs trained here, and their total seconds.
    trained: (usize, f64),
}

impl Clock {
    fn new(what: &'static str, all: usize) -> Self {
        Self { what, all, done: 0, trained: (0, 0.0) }
    }

    fn next(
        &mut self,
        label: &str,
        run_job: impl FnOnce() -> Result<JobState>,
        on_end: &mut dyn FnMut(&EndedRun<'_>),
    ) -> Result<()> {
        self.done += 1;
        let start = Instant::now();
        let state = run_job()?;
        let seconds = start.elapsed().as_secs_f64();
        // Runs finished by an earlier start return at once and are not timed.
        if seconds > 0.5 {
            self.trained = (self.trained.0 + 1, self.trained.1 + seconds);
        }
        let (trained, seconds) = self.trained;
        let seconds_left = (trained > 0).then(|| seconds / trained as f64 * (self.all - self.done) as f64);
        let (what, number, all) = (self.what, self.done, self.all);
        on_end(&EndedRun { what, number, all, label, state: &state, seconds_left });
        Ok(())
    }
}
