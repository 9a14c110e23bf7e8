//! Reads the status of a study from disk. Changes nothing, so other processes may work on the study.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::job::{Cell, Job, Jobs, Pilot};
use super::plan::Plan;
use super::rates::{Lock, plan_digest};
use super::results::{Results, Row};
use super::runner::cost;
use super::summary::{Comparison, Group, means};
use super::{SPLITS, Splits};
use crate::event::Stage;
use crate::jobs::evaluation::{PatientRow, stored_evaluation};
use crate::predict::Choice;
use crate::run::History;
use crate::run::study::{StudyFolder, read_plan};
use crate::{Error, Result};

/// State of a run of a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StudyRunState {
    /// Trained and measured.
    Done,
    /// Ended by this error. It is tried again when the study is started again.
    Failed(String),
    /// A process is training or measuring it.
    Running,
    /// Not started, or interrupted.
    Waiting,
}

/// A run of a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyRun {
    /// What it stands for.
    pub label: String,
    /// Its cell of the tables; `None` for a pilot.
    pub cell: Option<Cell>,
    /// Folder of its fine-tuning.
    pub folder: PathBuf,
    /// How far it is.
    pub state: StudyRunState,
}

/// How far a study is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyStatus {
    /// The pilots, then the runs that are measured on test patients.
    pub runs: Vec<StudyRun>,
    /// True once the learning rates are frozen. Before that, run folders of the measured runs are preliminary.
    pub frozen: bool,
    /// Processes working on the study.
    pub processes: usize,
    /// Estimated seconds left with these processes (at least one); `None` if no run has finished.
    pub seconds_left: Option<f64>,
}

impl StudyStatus {
    /// Number of runs in a state.
    fn count(&self, is: impl Fn(&StudyRunState) -> bool) -> usize {
        self.runs.iter().filter(|run| is(&run.state)).count()
    }

    /// Runs that are measured.
    pub fn done(&self) -> usize {
        self.count(|state| *state == StudyRunState::Done)
    }

    /// Runs that failed.
    pub fn failed(&self) -> usize {
        self.count(|state| matches!(state, StudyRunState::Failed(_)))
    }

    /// Runs in progress.
    pub fn running(&self) -> usize {
        self.count(|state| *state == StudyRunState::Running)
    }

    /// Runs that are still to be started.
    pub fn waiting(&self) -> usize {
        self.count(|state| *state == StudyRunState::Waiting)
    }

    /// True if no run is left to do.
    pub fn is_complete(&self) -> bool {
        self.done() + self.failed() == self.runs.len()
    }
}

/// A study in a list: what it compares and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyOverview {
    /// What is compared.
    pub plan: Plan,
    /// How far it is.
    pub status: StudyStatus,
    /// Time of its last change, in seconds since 1970; 0 if unknown.
    pub changed: f64,
}

/// A study with its status and results so far.
#[derive(Clone, Debug)]
pub struct StudyRecord {
    /// What is compared.
    pub plan: Plan,
    /// How far it is.
    pub status: StudyStatus,
    /// The measured test patients.
    pub results: Results,
    /// Means, spreads and, from [`read_study`], differences; empty before the learning rates are frozen.
    pub groups: Vec<Group>,
}

/// A scan of a test patient as one method segmented it.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentedScan {
    /// The method.
    pub method: String,
    /// Its run.
    pub run: PathBuf,
    /// Files, measures and worst slice.
    pub patient: PatientRow,
    /// True if the file of the segmentation exists; else the run can recompute it.
    pub has_mask: bool,
}

/// A run of the plan: its label, and its cell unless it is a pilot.
struct PlannedRun {
    label: String,
    cell: Option<Cell>,
    job: Job,
}

/// The documents of a study that was started.
struct StudyDocuments {
    folder: StudyFolder,
    plan: Plan,
    splits: Splits,
}

impl StudyDocuments {
    fn open(path: &Path) -> Result<Self> {
        let folder = StudyFolder::new(path);
        if !folder.is_started() {
            return Err(Error::file(path, "is not a study folder: it has no plan.toml and splits.json"));
        }
        let file = folder.path("plan.toml");
        // As it was stored: its digest depends on how its paths are written.
        let plan = Plan::from_toml(&read_plan(&file)?, &file)?;
        let missing = || Error::file(&folder.path(SPLITS), "does not exist");
        let splits = folder.read::<Splits>(SPLITS)?.ok_or_else(missing)?;
        if splits.plan_sha256 != plan_digest(&plan)? {
            return Err(Error::file(&file, "has changed since the study was started, so its runs are unknown"));
        }
        Ok(Self { folder, plan, splits })
    }

    /// The runs, and whether their rates are frozen.
    fn runs(&self, jobs: &Jobs<'_>) -> Result<(Vec<PlannedRun>, bool)> {
        let lock = Lock::read(jobs, &self.folder)?;
        let frozen = lock.is_some();
        let lock = lock.map_or_else(|| Lock::preliminary(jobs), Ok)?;
        let pilot = |pilot: Pilot| PlannedRun { label: format!("pilot: {pilot}"), cell: None, job: pilot.job };
        let measured = |(cell, job): (Cell, Job)| PlannedRun { label: cell.to_string(), cell: Some(cell), job };
        let (pilots, finals) = (jobs.pilots()?, jobs.finals(&lock)?);
        let all = pilots.into_iter().map(pilot).chain(finals.into_iter().map(measured)).collect();
        Ok((all, frozen))
    }

    fn status(&self) -> Result<StudyStatus> {
        let (all, frozen) = self.runs(&self.splits.jobs(&self.plan))?;
        let mut clock = Clock { folder: &self.folder, trained: BTreeMap::new(), left: BTreeMap::new() };
        let mut working = BTreeSet::new();
        let mut runs = Vec::new();
        for PlannedRun { label, cell, job } in all {
            let measured = self.folder.is_measured(&job.name);
            let kind = cell.as_ref().map_or("pilot", |cell| cell.method.as_str());
            let own = job.pretrain.iter().map(|(name, _)| (name, Stage::Pretrain));
            let mut is_worked_on = false;
            for (name, stage) in own.chain([(&job.name, Stage::Finetune)]) {
                let is_locked = !measured && self.folder.is_locked(name);
                // A pre-training run that several wait for is under way for the first of them.
                is_worked_on |= is_locked && working.insert(name.clone());
                clock.add(name, (stage, kind), is_locked);
            }
            let failure = self.folder.failure(&job.name);
            let state = match failure {
                _ if measured => StudyRunState::Done,
                _ if is_worked_on => StudyRunState::Running,
                Some(why) => StudyRunState::Failed(why),
                None => StudyRunState::Waiting,
            };
            if matches!(state, StudyRunState::Done | StudyRunState::Failed(_)) {
                clock.settle(&job);
            }
            runs.push(StudyRun { label, cell, folder: self.folder.run(&job.name), state });
        }
        let seconds_left = clock.seconds_left().map(|seconds| seconds / working.len().max(1) as f64);
        Ok(StudyStatus { runs, frozen, processes: working.len(), seconds_left })
    }
}

/// Stage and method of a run. Runs of the same kind take about the same time.
type Kind = (Stage, String);

/// Estimates the remaining time from finished runs.
struct Clock<'a> {
    folder: &'a StudyFolder,
    /// Seconds of finished runs, each once.
    trained: BTreeMap<String, (Kind, f64)>,
    /// Runs that are not finished, and the share that is still to be trained.
    left: BTreeMap<String, (Kind, f64)>,
}

impl Clock<'_> {
    fn add(&mut self, run: &str, (stage, method): (Stage, &str), is_locked: bool) {
        let kind = (stage, method.to_owned());
        if let Some((seconds, _)) = cost(self.folder, run) {
            self.trained.insert(run.to_owned(), (kind, seconds));
        } else if !self.left.contains_key(run) {
            let history = is_locked.then(|| History::read(&self.folder.run(run)).ok()).flatten();
            let done = history.map_or(0.0, |history| history.epochs_done() as f64 / history.epochs.max(1) as f64);
            self.left.insert(run.to_owned(), (kind, (1.0 - done).max(0.0)));
        }
    }

    /// The run needs no more time.
    fn settle(&mut self, job: &Job) {
        self.left.remove(&job.name);
    }

    fn seconds_left(&self) -> Option<f64> {
        let mean = |is: &dyn Fn(&Kind) -> bool| {
            let seconds: Vec<f64> = self.trained.values().filter(|(kind, _)| is(kind)).map(|(_, s)| *s).collect();
            (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
        };
        let each = |(kind, share): &(Kind, f64)| {
            let seconds = mean(&|other| other == kind).or_else(|| mean(&|other| other.0 == kind.0))?;
            Some(seconds * share)
        };
        self.left.values().map(each).sum()
    }
}

/// How far the study in a folder is.
///
/// # Errors
/// A folder without a study, or with one whose documents do not belong together.
pub fn read_status(folder: &Path) -> Result<StudyStatus> {
    StudyDocuments::open(folder)?.status()
}

/// What the study in a folder compares, and how far it is.
///
/// # Errors
/// As [`read_status`].
pub fn read_overview(folder: &Path) -> Result<StudyOverview> {
    let stored = StudyDocuments::open(folder)?;
    Ok(StudyOverview { status: stored.status()?, changed: stored.folder.changed(), plan: stored.plan })
}

/// The study in a folder: how far it is, and the statistics of all that is measured.
///
/// # Errors
/// As [`read_status`]; an evaluation that is damaged.
pub fn read_study(folder: &Path) -> Result<StudyRecord> {
    let mut study = read_means(folder)?;
    let mut comparison = Comparison::new(&study.plan, &study.results);
    study.groups.iter_mut().for_each(|group| comparison.add_differences(group));
    Ok(study)
}

/// The study in a folder without differences of methods, which take longer: see [`Comparison`].
///
/// # Errors
/// As [`read_study`].
pub fn read_means(folder: &Path) -> Result<StudyRecord> {
    let stored = StudyDocuments::open(folder)?;
    let status = stored.status()?;
    let (mut results, mut groups) = (Results::default(), Vec::new());
    if status.frozen {
        let (all, _) = stored.runs(&stored.splits.jobs(&stored.plan))?;
        let finals: Vec<(Cell, Job)> =
            all.into_iter().filter_map(|planned| Some((planned.cell?, planned.job))).collect();
        results = Results::read(&finals, &stored.folder)?;
        groups = means(&stored.plan, &results);
    }
    Ok(StudyRecord { plan: stored.plan, status, results, groups })
}

/// Where the segmentations of `rows` of the study in a folder are.
///
/// # Errors
/// A run whose evaluation is missing or damaged.
pub fn segmentations(folder: &Path, rows: &[Row]) -> Result<Vec<SegmentedScan>> {
    let study = StudyFolder::new(folder);
    let mut scans = Vec::new();
    for row in rows {
        let run = study.run(&row.run);
        let evaluation = stored_evaluation(&run, Choice::Last)?;
        let patients = evaluation.map(|evaluation| evaluation.patients).unwrap_or_default();
        let Some(patient) = patients.into_iter().find(|patient| patient.case == row.scan) else {
            return Err(Error::file(&run, format!("has no evaluation of {} any more", row.scan)));
        };
        let has_mask = study.has_file(&patient.mask);
        scans.push(SegmentedScan { method: row.cell.method.clone(), run, patient, has_mask });
    }
    Ok(scans)
}
