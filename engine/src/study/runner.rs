//! Runs one job of a study, unless it is already done.

use std::collections::BTreeMap;
use std::path::Path;

use super::job::Job;
use crate::cohort::ExcludedScan;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, EventSink, Stage};
use crate::jobs::evaluation::{RunEvaluation, evaluate_run, stored_evaluation};
use crate::jobs::{FinetuneJob, PretrainJob, Start, differences, stored_config};
use crate::predict::Choice;
use crate::pretrain::Slices;
use crate::run::RunFolder;
use crate::run::study::StudyFolder;
use crate::{Error, ErrorKind, Result};

/// State of a job.
#[derive(Debug)]
pub enum JobState {
    /// Not started, or interrupted.
    Missing,
    /// Ended by an error.
    Failed(String),
    /// Trained and measured.
    Done(Box<RunEvaluation>),
}

impl JobState {
    /// Reads the state of a job of a study.
    ///
    /// # Errors
    /// An evaluation that is damaged.
    pub fn of(job: &Job, folder: &StudyFolder) -> Result<Self> {
        let run = folder.run(&job.name);
        if RunFolder::is_run(&run)
            && let Some(evaluation) = stored_evaluation(&run, Choice::Last)?
        {
            return Ok(Self::Done(Box::new(evaluation)));
        }
        Ok(folder.failure(&job.name).map_or(Self::Missing, Self::Failed))
    }
}

/// Seconds and steps of a finished run, from its report.
pub fn cost(folder: &StudyFolder, name: &str) -> Option<(f64, usize)> {
    let run = RunFolder::open(&folder.run(name)).ok()?;
    let report: serde_json::Value = run.read_report().ok()?;
    Some((report.get("seconds")?.as_f64()?, usize::try_from(report.get("steps")?.as_u64()?).ok()?))
}

/// Whether a finished fine-tuning run has converged, from its report; `None` where the report does not say.
pub fn converged(folder: &StudyFolder, name: &str) -> Option<bool> {
    let run = RunFolder::open(&folder.run(name)).ok()?;
    let report: serde_json::Value = run.read_report().ok()?;
    report.get("converged")?.as_bool()
}

/// Warnings of the last epoch of a job's pre-training, from its report.
pub fn pretraining_warnings(folder: &StudyFolder, job: &Job) -> Vec<String> {
    let of_run = |(name, _): &(String, Config)| {
        let report: serde_json::Value = RunFolder::open(&folder.run(name)).ok()?.read_report().ok()?;
        serde_json::from_value::<Vec<String>>(report.get("last")?.get("warnings")?.clone()).ok()
    };
    job.pretrain.as_ref().and_then(of_run).unwrap_or_default()
}

/// Scans that the training of a finished job left out, in either stage, from the runs' reports.
pub fn training_left_out(folder: &StudyFolder, job: &Job) -> Vec<ExcludedScan> {
    let names = job.pretrain.iter().map(|(name, _)| name).chain([&job.name]);
    let of_run = |name: &String| {
        let report: serde_json::Value = RunFolder::open(&folder.run(name)).ok()?.read_report().ok()?;
        serde_json::from_value::<Vec<ExcludedScan>>(report.get("left_out")?.clone()).ok()
    };
    names.filter_map(of_run).flatten().collect()
}

/// Runs jobs on one device.
pub struct Runner<'a> {
    /// Folder of the study.
    pub folder: &'a StudyFolder,
    /// The device.
    pub compute: &'a Compute,
    /// Cancellation.
    pub control: &'a Control,
    /// Receives the events of every run.
    pub sink: &'a mut dyn EventSink,
    /// Pre-training runs that failed in this process, with the reason, which also fails their fine-tuning runs.
    pub failed: BTreeMap<String, String>,
}

impl Runner<'_> {
    /// Trains and measures a job unless it is done. Errors other than cancellation become the job's state. A job that another
    /// process works on is `Missing`.
    ///
    /// # Errors
    /// Cancellation; a state that cannot be stored.
    pub fn run_job(&mut self, job: &Job) -> Result<JobState> {
        if let JobState::Done(evaluation) = JobState::of(job, self.folder)? {
            return Ok(JobState::Done(evaluation));
        }
        if let Some(why) = job.pretrain.as_ref().and_then(|(name, _)| self.failed.get(name)).cloned() {
            return self.refuse(job, why);
        }
        self.folder.set_failure(&job.name, None)?;
        match self.try_job(job) {
            Ok(evaluation) => Ok(JobState::Done(Box::new(evaluation))),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::Locked { .. }) => Ok(JobState::Missing),
            Err(error) => self.refuse(job, error.to_string()),
        }
    }

    /// Stores the reason why a job has no result.
    ///
    /// # Errors
    /// A state that cannot be stored.
    pub fn refuse(&self, job: &Job, why: String) -> Result<JobState> {
        self.folder.set_failure(&job.name, Some(&why))?;
        Ok(JobState::Failed(why))
    }

    fn try_job(&mut self, job: &Job) -> Result<RunEvaluation> {
        let split = self.folder.store_split(&job.split.to_json()?)?;
        self.folder.make_runs()?;
        let mut finetune = job.finetune.clone();
        if let Some((name, config)) = &job.pretrain {
            self.train(name, config.clone(), &split, !job.split.test.is_empty()).inspect_err(|error| {
                if !matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Locked { .. }) {
                    self.failed.insert(name.clone(), error.to_string());
                }
            })?;
            finetune.labels.from = self.folder.run(name);
        }
        self.train(&job.name, finetune, &split, false)?;
        evaluate_run(&self.folder.run(&job.name), Choice::Last, self.compute, self.control, &mut |_, _, _| {})
    }

    /// Trains with these settings unless a finished run exists. `watched` records the label updates of one slice.
    fn train(&mut self, name: &str, mut config: Config, split: &Path, watched: bool) -> Result<()> {
        let run = self.folder.run(name);
        if RunFolder::is_run(&run) {
            let stored = stored_config(&run)?;
            // Presets with equal settings share a run, which keeps its first name. The study may also have moved.
            config.preset.clone_from(&stored.preset);
            config.labels.from.clone_from(&stored.labels.from);
            let differences = differences(&stored, &config)?;
            if !differences.is_empty() {
                let why = format!(
                    "contains a run with other settings ({}). Choose another folder for the changed settings",
                    differences.join("; ")
                );
                return Err(Error::file(&run, why));
            }
            if cost(self.folder, name).is_some() {
                return Ok(());
            }
        }
        let start = Start { resume: true, split: Some(split), ..Start::default() };
        match config.stage {
            Stage::Pretrain => {
                let mut job = PretrainJob::prepare(config, &run, start, self.control, &mut |_, _| {})?;
                if watched && job.config.method.relabel && !job.patches.is_empty() {
                    job.pin(&pictured(&job.slices).into_iter().collect::<Vec<_>>())?;
                }
                job.train(self.compute, self.sink, self.control).map(|_| ())
            }
            Stage::Finetune => {
                let mut job = FinetuneJob::prepare(config, &run, start, self.control, &mut |_, _| {})?;
                job.train(self.compute, self.sink, self.control).map(|_| ())
            }
        }
    }
}

/// The slice whose label updates are drawn: the one with the largest lesion area in the first training patient with a lesion,
/// or in the first patient if no mask is read.
fn pictured(slices: &Slices) -> Option<usize> {
    let mut fullest = (0..slices.patients()).filter_map(|patient| slices.fullest_slice(patient));
    let first = fullest.clone().next();
    fullest.find(|slice| slices.meta(*slice).lesion_pixels > 0).or(first)
}
