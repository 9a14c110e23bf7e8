//! Carries out one job of a study in run folders below `OUT/runs`, and finds what is already there.

use std::fs;
use std::path::{Path, PathBuf};

use super::job::Job;
use crate::cohort::split::Split;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, EventSink, Stage};
use crate::jobs::evaluation::{RunEvaluation, evaluate_run, stored_evaluation};
use crate::jobs::{FinetuneJob, PretrainJob, Start, differences, stored_config};
use crate::run::RunFolder;
use crate::run::atomic::{sha256, write_atomic};
use crate::run::report::read_report;
use crate::{Error, ErrorKind, Result};

/// How far a job is.
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
    /// Reads the state of a job of the study in `out`.
    ///
    /// # Errors
    /// An evaluation that is damaged.
    pub fn of(job: &Job, out: &Path) -> Result<Self> {
        let folder = run_folder(out, &job.name);
        if RunFolder::is_run(&folder)
            && let Some(evaluation) = stored_evaluation(&folder)?
        {
            return Ok(Self::Done(Box::new(evaluation)));
        }
        match fs::read_to_string(failure_file(out, &job.name)) {
            Ok(why) => Ok(Self::Failed(why.trim().to_owned())),
            Err(_) => Ok(Self::Missing),
        }
    }
}

/// Folder of a run of the study in `out`.
pub fn run_folder(out: &Path, name: &str) -> PathBuf {
    out.join("runs").join(name)
}

fn failure_file(out: &Path, name: &str) -> PathBuf {
    out.join("failed").join(format!("{name}.txt"))
}

/// Seconds and steps of a finished run, from its report.
pub fn cost(out: &Path, name: &str) -> Option<(f64, usize)> {
    let run = RunFolder::open(&run_folder(out, name)).ok()?;
    let report: serde_json::Value = read_report(&run).ok()?;
    Some((report.get("seconds")?.as_f64()?, usize::try_from(report.get("steps")?.as_u64()?).ok()?))
}

/// Where and with what jobs are carried out.
pub struct Runner<'a> {
    /// Folder of the study.
    pub out: &'a Path,
    /// The device.
    pub compute: &'a Compute,
    /// Cancellation.
    pub control: &'a Control,
    /// Hears the events of every training.
    pub sink: &'a mut dyn EventSink,
}

impl Runner<'_> {
    /// Trains and measures a job unless that is done. An error other than cancellation becomes the job's state, and so does
    /// another process that works on it (missing).
    ///
    /// # Errors
    /// Cancellation; a state that cannot be stored.
    pub fn carry_out(&mut self, job: &Job) -> Result<JobState> {
        if let JobState::Done(evaluation) = JobState::of(job, self.out)? {
            return Ok(JobState::Done(evaluation));
        }
        let failure = failure_file(self.out, &job.name);
        if failure.exists() {
            fs::remove_file(&failure).map_err(Error::io("remove", &failure))?;
        }
        match self.try_job(job) {
            Ok(evaluation) => Ok(JobState::Done(Box::new(evaluation))),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::Locked { .. }) => Ok(JobState::Missing),
            Err(error) => {
                let why = error.to_string();
                make(&self.out.join("failed"))?;
                write_atomic(&failure, why.as_bytes())?;
                Ok(JobState::Failed(why))
            }
        }
    }

    fn try_job(&mut self, job: &Job) -> Result<RunEvaluation> {
        let split = self.split_file(&job.split)?;
        if let Some((name, config)) = &job.pretrain {
            self.train(name, config.clone(), &split)?;
        }
        let mut finetune = job.finetune.clone();
        if let Some((name, _)) = &job.pretrain {
            finetune.labels.from = run_folder(self.out, name);
        }
        self.train(&job.name, finetune, &split)?;
        evaluate_run(&run_folder(self.out, &job.name), self.compute, self.control, &mut |_, _, _| {})
    }

    /// Trains with these settings unless a finished run has them.
    fn train(&mut self, name: &str, mut config: Config, split: &Path) -> Result<()> {
        let folder = run_folder(self.out, name);
        if RunFolder::is_run(&folder) {
            let stored = stored_config(&folder)?;
            // Presets with equal settings share a run, which keeps the name it was started under; and the study may have
            // been moved.
            config.preset.clone_from(&stored.preset);
            config.labels.from.clone_from(&stored.labels.from);
            let differences = differences(&stored, &config)?;
            if !differences.is_empty() {
                let why = format!("holds a run with other settings ({}); choose another --out", differences.join("; "));
                return Err(Error::file(&folder, why));
            }
            if cost(self.out, name).is_some() {
                return Ok(());
            }
        } else {
            make(&self.out.join("runs"))?;
        }
        let start = Start { resume: true, split: Some(split), dry: false };
        match config.stage {
            Stage::Pretrain => {
                let mut job = PretrainJob::prepare(config, &folder, start, self.control, &mut |_, _| {})?;
                job.train(self.compute, self.sink, self.control).map(|_| ())
            }
            Stage::Finetune => {
                let mut job = FinetuneJob::prepare(config, &folder, start, self.control, &mut |_, _| {})?;
                job.train(self.compute, self.sink, self.control).map(|_| ())
            }
        }
    }

    /// The file of a split, written once.
    pub fn split_file(&self, split: &Split) -> Result<PathBuf> {
        let text = split.to_json()?;
        let folder = self.out.join("splits");
        let path = folder.join(format!("{}.json", &sha256(text.as_bytes())[..12]));
        if !path.exists() {
            make(&folder)?;
            write_atomic(&path, text.as_bytes())?;
        }
        Ok(path)
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))
}
