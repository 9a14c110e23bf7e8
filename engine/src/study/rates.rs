//! Learning rates chosen on validation patients, and frozen in `plan.lock.json` before a test patient is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::job::{Cell, Jobs, Pilot, Rates};
use super::plan::Plan;
use super::runner::JobState;
use crate::disk::atomic::sha256;
use crate::run::study::StudyFolder;
use crate::{Error, ErrorKind, Result};

/// File name of the lock.
pub const FILE: &str = "plan.lock.json";
const VERSION: u32 = 1;

/// Choices frozen before the test patients are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    version: u32,
    /// SHA-256 of the plan's text.
    plan_sha256: String,
    /// By cohort and fold (see [`part`]), then by method.
    rates: BTreeMap<String, BTreeMap<String, Choice>>,
}

/// Name of a fold of a cohort in the lock. Names of cohorts have no comma. The first fold has the name of its cohort.
fn part(cohort: &str, fold: usize) -> String {
    if fold == 0 { cohort.to_owned() } else { format!("{cohort}, fold {}", fold + 1) }
}

/// The rates of a method on a fold of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The chosen rates; `None` if no pilot finished.
    pub rates: Option<Rates>,
    /// Every pair that was tried.
    pub tried: Vec<PilotResult>,
    /// The labelled patients of the pilots.
    pub labelled: Vec<String>,
    /// The patients whose masks selected the rates. They count towards the label budget.
    pub validated: Vec<String>,
}

/// A pair of rates and its pilot's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PilotResult {
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
    /// Mean DSC of the validation patients.
    pub dsc: Option<f64>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// SHA-256 of a plan without device and threads, which do not affect results.
pub fn plan_digest(plan: &Plan) -> Result<String> {
    let portable = Plan { device: crate::device::DeviceList::default(), threads: 0, ..plan.clone() };
    Ok(sha256(portable.to_toml()?.as_bytes()))
}

impl Lock {
    /// The lock of a study in `out`, if it exists.
    ///
    /// # Errors
    /// A lock of another plan or version.
    pub fn read(jobs: &Jobs<'_>, folder: &StudyFolder) -> Result<Option<Self>> {
        let Some(lock) = folder.read::<Self>(FILE)? else { return Ok(None) };
        let path = folder.path(FILE);
        if lock.version != VERSION {
            let (found, supported) = (lock.version.to_string(), VERSION.to_string());
            return Err(ErrorKind::Version { path, found, supported }.into());
        }
        if lock.plan_sha256 != plan_digest(jobs.plan)? {
            let why = "belongs to another version of the plan. Choose another folder for the changed plan";
            return Err(Error::file(&path, why));
        }
        Ok(Some(lock))
    }

    /// The lock of a study in `out`; frozen now if every pilot has ended. `None` while pilots are missing. Choices are final,
    /// except for methods whose pilots had all failed.
    ///
    /// # Errors
    /// A lock of another plan or version.
    pub fn read_or_freeze(jobs: &Jobs<'_>, pilots: &[Pilot], folder: &StudyFolder) -> Result<Option<Self>> {
        let frozen = Self::read(jobs, folder)?;
        if frozen.as_ref().is_some_and(|lock| lock.is_complete(jobs)) {
            return Ok(frozen);
        }
        let mut rates: BTreeMap<String, BTreeMap<String, Choice>> = BTreeMap::new();
        for (cohort, method, fold, _) in jobs.parts() {
            let is_own = |p: &&Pilot| (&p.cohort, &p.method, p.fold) == (&cohort.name, &method.name, fold);
            let own: Vec<&Pilot> = pilots.iter().filter(is_own).collect();
            let chosen = frozen.as_ref().and_then(|lock| lock.choice(&cohort.name, &method.name, fold));
            let choice = if let Some(chosen) = chosen.filter(|choice| choice.rates.is_some()) {
                chosen.clone()
            } else if own.is_empty() {
                let only = jobs.candidates(cohort, method)?.into_iter().next();
                Choice { rates: only, tried: Vec::new(), labelled: Vec::new(), validated: Vec::new() }
            } else {
                let Some(choice) = Choice::of(&own, folder)? else { return Ok(None) };
                choice
            };
            rates.entry(part(&cohort.name, fold)).or_default().insert(method.name.clone(), choice);
        }
        let lock = Self { version: VERSION, plan_sha256: plan_digest(jobs.plan)?, rates };
        if frozen.as_ref() != Some(&lock) {
            folder.write_json(FILE, &lock)?;
        }
        Ok(Some(lock))
    }

    /// True if every method has its rates in every fold.
    pub fn is_complete(&self, jobs: &Jobs<'_>) -> bool {
        jobs.parts().all(|(cohort, method, fold, _)| {
            self.choice(&cohort.name, &method.name, fold).is_some_and(|choice| choice.rates.is_some())
        })
    }

    /// A lock with the first pair of rates of every method, to list the runs before the pilots are done.
    pub fn preliminary(jobs: &Jobs<'_>) -> Result<Self> {
        let mut rates: BTreeMap<String, BTreeMap<String, Choice>> = BTreeMap::new();
        for (cohort, method, fold, _) in jobs.parts() {
            let first = jobs.candidates(cohort, method)?.into_iter().next();
            let choice = Choice { rates: first, tried: Vec::new(), labelled: Vec::new(), validated: Vec::new() };
            rates.entry(part(&cohort.name, fold)).or_default().insert(method.name.clone(), choice);
        }
        Ok(Self { version: VERSION, plan_sha256: plan_digest(jobs.plan)?, rates })
    }

    /// Why the method of a cell has no rates, if it has none: every pilot failed, or none of them could be measured.
    pub fn failure(&self, cell: &Cell) -> Option<String> {
        let choice = self.choice(&cell.cohort, &cell.method, cell.fold)?;
        let reason = || choice.tried.iter().find_map(|tried| tried.failed.clone());
        let why = || reason().unwrap_or_else(|| "no validation patient could be measured".into());
        choice.rates.is_none().then(|| format!("every pilot failed, the first with: {}", why()))
    }

    /// How the rates of a method on a fold of a cohort were chosen.
    pub fn choice(&self, cohort: &str, method: &str, fold: usize) -> Option<&Choice> {
        self.rates.get(&part(cohort, fold))?.get(method)
    }
}

impl Choice {
    /// The best of a method's pilots; `None` while one is missing.
    fn of(pilots: &[&Pilot], folder: &StudyFolder) -> Result<Option<Self>> {
        let mut tried = Vec::new();
        for pilot in pilots {
            let (dsc, failed) = match JobState::of(&pilot.job, folder)? {
                JobState::Missing => return Ok(None),
                JobState::Failed(why) => (None, Some(why)),
                JobState::Done(evaluation) => (evaluation.mean.as_ref().map(|mean| mean.dsc), None),
            };
            tried.push(PilotResult { rates: pilot.rates, dsc, failed });
        }
        let mut best: Option<(f64, Rates)> = None;
        for PilotResult { rates, dsc, .. } in &tried {
            // The first one wins a tie.
            if let Some(dsc) = dsc.filter(|dsc| best.is_none_or(|(best, _)| *dsc > best)) {
                best = Some((dsc, *rates));
            }
        }
        let job = pilots.first().map(|pilot| &pilot.job);
        let labelled = job.map(|job| job.finetune.labels.labels.trim_start_matches("patients:"));
        Ok(Some(Self {
            rates: best.map(|(_, rates)| rates),
            tried,
            labelled: labelled.into_iter().flat_map(|list| list.split(',').map(str::to_owned)).collect(),
            validated: job.map(|job| job.split.val.clone()).unwrap_or_default(),
        }))
    }
}
