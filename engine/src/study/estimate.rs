//! Time estimate of a study: seconds per step of each method, measured on the study's data before training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::job::{Job, Jobs};
use super::plan::{Plan, StageLength};
use super::rates::Lock;
use super::runner::{JobState, cost};
use super::split::Fold;
use crate::cohort::split::Split;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, Stage};
use crate::jobs::{FinetuneJob, PretrainJob, Start};
use crate::run::study::StudyFolder;
use crate::{Error, Result};

/// Estimate of one run of a study.
#[derive(Clone, Debug, Serialize)]
pub struct JobEstimate {
    /// Cell or pilot of the run, as shown in lists.
    pub label: String,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// Name of its run folder.
    pub run: String,
    /// Number of steps.
    pub steps: usize,
    /// Estimated seconds.
    pub seconds: f64,
    /// True if the run is finished.
    pub done: bool,
}

/// All runs of a study.
#[derive(Clone, Debug, Serialize)]
pub struct StudyEstimate {
    /// Every run, estimates once. Before the lock is written, runs that follow pilots are estimates with the first pair of rates.
    pub jobs: Vec<JobEstimate>,
    /// Hours of the unfinished runs.
    pub hours: f64,
}

/// Lists the runs of a study and measures the time per step of each kind of run, which takes minutes for large networks. Calls
/// `on_measure` with the first run of each kind. Trains no run and writes no lock.
///
/// # Errors
/// A cohort that cannot be read; cancellation.
pub fn estimate(
    jobs: &Jobs<'_>,
    folder: &StudyFolder,
    compute: &Compute,
    control: &Control,
    on_measure: &mut dyn FnMut(&JobEstimate),
) -> Result<StudyEstimate> {
    let pilots = jobs.pilots()?;
    let lock = Lock::read(jobs, folder)?.map_or_else(|| Lock::preliminary(jobs), Ok)?;
    let mut all: Vec<(String, Job)> = pilots.into_iter().map(|pilot| (format!("pilot: {pilot}"), pilot.job)).collect();
    all.extend(jobs.finals(&lock)?.into_iter().map(|(cell, job)| (cell.to_string(), job)));
    let mut meter = StepMeter { folder, compute, control, known: BTreeMap::new() };
    let mut estimates: Vec<JobEstimate> = Vec::new();
    for (label, job) in &all {
        let done = matches!(JobState::of(job, folder)?, JobState::Done(_));
        let pretrain = job.pretrain.as_ref().map(|(name, config)| (name, config));
        for (name, config) in pretrain.into_iter().chain([(&job.name, &job.finetune)]) {
            if estimates.iter().any(|estimate| estimate.run == *name) {
                continue;
            }
            let known = meter.known.len();
            let (steps, per_step) = meter.measure(config, &job.split)?;
            let estimate = JobEstimate {
                label: label.clone(),
                stage: config.stage,
                run: name.clone(),
                steps,
                seconds: steps as f64 * per_step,
                done: done || cost(folder, name).is_some(),
            };
            if meter.known.len() > known {
                on_measure(&estimate);
            }
            estimates.push(estimate);
        }
    }
    let hours = estimates.iter().filter(|job| !job.done).map(|job| job.seconds).sum::<f64>() / 3600.0;
    Ok(StudyEstimate { jobs: estimates, hours })
}

/// Steps of pre-training by cohort and method, where the plan gives seconds of compute: seconds divided by the measured seconds
/// per step. Fixed at the study's first start, because each measurement differs.
pub(super) fn steps_of_seconds(
    plan: &Plan,
    folds: &BTreeMap<String, Vec<Fold>>,
    folder: &StudyFolder,
    compute: &Compute,
    control: &Control,
) -> Result<BTreeMap<String, BTreeMap<String, usize>>> {
    let mut steps: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let StageLength::Seconds(seconds) = plan.pretrain.length("pretrain")? else { return Ok(steps) };
    let mut meter = StepMeter { folder, compute, control, known: BTreeMap::new() };
    for cohort in &plan.cohorts {
        let Some(fold) = folds.get(&cohort.name).and_then(|folds| folds.first()) else { continue };
        for method in &plan.methods {
            let Some(config) = plan.pretrain_config(cohort, method)? else { continue };
            let (_, per_step) = meter.measure(&config, &fold.without_test())?;
            let count = (seconds / per_step.max(1e-9)).round().max(1.0) as usize;
            steps.entry(cohort.name.clone()).or_default().insert(method.name.clone(), count);
        }
    }
    Ok(steps)
}

/// Measures the time per step by dry runs, once for each kind of run.
struct StepMeter<'a> {
    folder: &'a StudyFolder,
    compute: &'a Compute,
    control: &'a Control,
    /// Steps per epoch and seconds per step, by the settings that determine them.
    known: BTreeMap<String, (usize, f64)>,
}

impl StepMeter<'_> {
    /// Steps of a run and seconds per step.
    fn measure(&mut self, config: &Config, split: &Split) -> Result<(usize, f64)> {
        let mut kind = config.clone();
        // With the same data and network the time does not depend on initial weights, rate or labelled draw. Two names for one
        // setting get the same time, so that a plan in seconds trains them once.
        (kind.seed, kind.training.lr, kind.labels.from, kind.preset) = (0, 1.0, PathBuf::new(), String::new());
        if kind.training.steps > 0 {
            kind.training.steps = 1;
            let labelled = kind.labels.labels.split(',').count();
            kind.labels.labels = labelled.to_string();
        }
        let kind = kind.to_toml()?;
        if let Some((steps, per_step)) = self.known.get(&kind) {
            let steps = if config.training.steps > 0 { config.training.steps } else { *steps };
            return Ok((steps, *per_step));
        }
        let mut fresh = config.clone();
        fresh.labels.from = PathBuf::new();
        let measured = self.folder.with_scratch(|scratch| self.dry_run(scratch, fresh, split))?;
        self.known.insert(kind, measured);
        Ok(measured)
    }

    fn dry_run(&self, folder: &Path, config: Config, split: &Split) -> Result<(usize, f64)> {
        let scratch = StudyFolder::new(folder);
        let file = scratch.store_split(&split.to_json()?)?;
        let start = Start { split: Some(&file), dry: true, ..Start::default() };
        let mut measured = None;
        let mut sink = |event: &Event| {
            if let Event::Estimate { steps, seconds_per_step, .. } = event {
                measured = Some((*steps, *seconds_per_step));
            }
            Ok(())
        };
        let (run, control) = (folder.join("run"), self.control);
        match config.stage {
            Stage::Pretrain => {
                let mut job = PretrainJob::prepare(config, &run, start, control, &mut |_, _| {})?;
                job.train(self.compute, &mut sink, control)?;
            }
            Stage::Finetune => {
                let mut job = FinetuneJob::prepare(config, &run, start, control, &mut |_, _| {})?;
                job.train(self.compute, &mut sink, control)?;
            }
        }
        measured.ok_or_else(|| Error::file(folder, "the dry run gave no estimate"))
    }
}
