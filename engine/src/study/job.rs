//! The runs of a study, named by a digest of what they compute.

use std::collections::BTreeMap;

use super::address::run_name;
use super::plan::{CohortPlan, MethodPlan, Plan, StageLength, StagePlan};
use super::rates::Lock;
use super::split::Fold;
use crate::Result;
use crate::cohort::split::Split;
use crate::config::Config;

/// Identity of a fine-tuning run in the study.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Name of the cohort.
    pub cohort: String,
    /// Label budget as the plan writes it.
    pub budget: String,
    /// Name of the method.
    pub method: String,
    /// Test fold, from 0.
    pub fold: usize,
    /// Draw of the labelled patients, from 0.
    pub draw: usize,
    /// Seed of weights and training.
    pub seed: u64,
}

/// A pre-training run (if its method has one) and a fine-tuning run from it.
#[derive(Clone, Debug)]
pub struct Job {
    /// Training, validation and test patients.
    pub split: Split,
    /// The pre-training and the name of its run.
    pub pretrain: Option<(String, Config)>,
    /// Name of the fine-tuning run.
    pub name: String,
    /// The fine-tuning. Its `labels.from` holds the name of the pre-training run, not yet its folder.
    pub finetune: Config,
}

impl Job {
    /// Name of the job's first run. Jobs are assigned to shards by it, so that no two shards share a run.
    pub fn shard_key(&self) -> &str {
        self.pretrain.as_ref().map_or(&self.name, |(name, _)| name)
    }

    fn new(split: Split, pretrain: Option<Config>, mut finetune: Config) -> Result<Self> {
        let pretrain = match pretrain {
            Some(config) => Some((run_name(&config, &split)?, config)),
            None => None,
        };
        finetune.labels.from = pretrain.as_ref().map(|(name, _)| name.into()).unwrap_or_default();
        let name = run_name(&finetune, &split)?;
        Ok(Self { split, pretrain, name, finetune })
    }
}

/// One pair of learning rates of a method, tried on the validation patients.
#[derive(Clone, Debug)]
pub struct Pilot {
    /// Name of the cohort.
    pub cohort: String,
    /// Name of the method.
    pub method: String,
    /// Test fold, from 0, whose training and validation patients it uses.
    pub fold: usize,
    /// Rates of pre-training (`None` for random weights) and fine-tuning.
    pub rates: Rates,
    /// The run.
    pub job: Job,
}

/// Learning rates of both stages.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rates {
    /// Learning rate of pre-training; `None` for random weights.
    pub pretrain: Option<f64>,
    /// Learning rate of fine-tuning.
    pub finetune: f64,
}

/// Expands a plan into its runs.
pub struct Jobs<'a> {
    /// The plan to expand.
    pub plan: &'a Plan,
    /// The folds of each cohort, by name.
    pub folds: &'a BTreeMap<String, Vec<Fold>>,
    /// Steps of pre-training by cohort and method, where the plan gives seconds.
    pub steps: &'a BTreeMap<String, BTreeMap<String, usize>>,
}

impl Jobs<'_> {
    /// Candidate pairs of rates of a method.
    pub fn candidates(&self, cohort: &CohortPlan, method: &MethodPlan) -> Result<Vec<Rates>> {
        let rates = |plan: &StagePlan, own: f64| if plan.rates.is_empty() { vec![own] } else { plan.rates.clone() };
        let fine = rates(&self.plan.finetune, self.plan.finetune_config(cohort, method)?.training.lr);
        let pre: Vec<Option<f64>> = match self.plan.pretrain_config(cohort, method)? {
            Some(config) => rates(&self.plan.pretrain, config.training.lr).into_iter().map(Some).collect(),
            None => vec![None],
        };
        let pair = |pretrain: Option<f64>| fine.iter().map(move |finetune| Rates { pretrain, finetune: *finetune });
        Ok(pre.into_iter().flat_map(pair).collect())
    }

    /// The pilots: for every fold of every cohort and method with more than one pair of rates, each pair with the first draw of
    /// the smallest budget. A fold has its own, because its test patients train and validate in the other folds.
    pub fn pilots(&self) -> Result<Vec<Pilot>> {
        let mut pilots = Vec::new();
        for (cohort, method, index, fold) in self.parts() {
            let candidates = self.candidates(cohort, method)?;
            if candidates.len() < 2 {
                continue;
            }
            let smallest = self.plan.budgets(method).iter().min_by_key(|budget| fold.labelled(budget, 0).len());
            let labelled = smallest.map_or(&[][..], |budget| fold.labelled(budget, 0));
            for rates in candidates {
                let pretrain =
                    self.pretrain(cohort, method, rates, self.plan.seed, self.plan.pretrain.pilot_share(0.5))?;
                let share = self.plan.finetune.pilot_share(1.0);
                let finetune = self.finetune(cohort, method, rates, self.plan.seed, labelled, share)?;
                let job = Job::new(fold.without_test(), pretrain, finetune)?;
                let (cohort, method) = (cohort.name.clone(), method.name.clone());
                pilots.push(Pilot { cohort, method, fold: index, rates, job });
            }
        }
        Ok(pilots)
    }

    /// The runs that are measured on test patients, with the rates of the lock. A method whose pilots all failed has no rates:
    /// it is listed with the first pair and not run.
    pub fn finals(&self, lock: &Lock) -> Result<Vec<(Cell, Job)>> {
        let mut finals = Vec::new();
        for (cohort, method, index, fold) in self.parts() {
            let candidates = self.candidates(cohort, method)?;
            let chosen = lock.choice(&cohort.name, &method.name, index).and_then(|choice| choice.rates);
            let Some(rates) = chosen.or_else(|| candidates.first().copied()) else { continue };
            for seed in &self.plan.labels.seeds {
                let pretrain = self.pretrain(cohort, method, rates, *seed, 1.0)?;
                for budget in self.plan.budgets(method) {
                    for draw in 0..self.plan.labels.draws {
                        let labelled = fold.labelled(budget, draw);
                        let finetune = self.finetune(cohort, method, rates, *seed, labelled, 1.0)?;
                        let cell = Cell {
                            cohort: cohort.name.clone(),
                            budget: budget.clone(),
                            method: method.name.clone(),
                            fold: index,
                            draw,
                            seed: *seed,
                        };
                        finals.push((cell, Job::new(fold.split.clone(), pretrain.clone(), finetune)?));
                    }
                }
            }
        }
        Ok(finals)
    }

    /// Every method on every fold of every cohort, with the number of the fold from 0.
    pub fn parts(&self) -> impl Iterator<Item = (&CohortPlan, &MethodPlan, usize, &Fold)> {
        let pairs =
            self.plan.cohorts.iter().flat_map(|cohort| self.plan.methods.iter().map(move |method| (cohort, method)));
        pairs.flat_map(|(cohort, method)| {
            let folds = self.folds.get(&cohort.name).into_iter().flatten().enumerate();
            folds.map(move |(index, fold)| (cohort, method, index, fold))
        })
    }

    fn pretrain(
        &self,
        cohort: &CohortPlan,
        method: &MethodPlan,
        rates: Rates,
        seed: u64,
        share: f64,
    ) -> Result<Option<Config>> {
        let Some(mut config) = self.plan.pretrain_config(cohort, method)? else { return Ok(None) };
        let length = match self.plan.pretrain.length("pretrain")? {
            StageLength::Seconds(_) => {
                let steps = self.steps.get(&cohort.name).and_then(|steps| steps.get(&method.name)).copied();
                StageLength::Steps(steps.unwrap_or(1))
            }
            length => length,
        };
        set_length(&mut config, length, share);
        config.training.lr = rates.pretrain.unwrap_or(config.training.lr);
        config.seed = seed;
        Ok(Some(config))
    }

    fn finetune(
        &self,
        cohort: &CohortPlan,
        method: &MethodPlan,
        rates: Rates,
        seed: u64,
        labelled: &[String],
        share: f64,
    ) -> Result<Config> {
        let mut config = self.plan.finetune_config(cohort, method)?;
        set_length(&mut config, self.plan.finetune.length("finetune")?, share);
        config.training.lr = rates.finetune;
        config.labels.labels = format!("patients:{}", labelled.join(","));
        config.seed = seed;
        Ok(config)
    }
}

fn set_length(config: &mut Config, length: StageLength, share: f64) {
    let scaled = |n: usize| ((n as f64 * share).round() as usize).max(1);
    let training = &mut config.training;
    match length {
        StageLength::Steps(steps) => training.steps = scaled(steps),
        StageLength::Slices(slices) => training.steps = scaled(slices / training.batch.max(1)),
        StageLength::Epochs(epochs) => (training.steps, training.min_steps, training.epochs) = (0, 0, scaled(epochs)),
        StageLength::Settings | StageLength::Seconds(_) if training.steps > 0 => {
            training.steps = scaled(training.steps);
        }
        StageLength::Settings | StageLength::Seconds(_) => training.epochs = scaled(training.epochs),
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cohort, budget, method, fold, draw, seed } = self;
        write!(to, "{cohort}, {budget} labelled, {method}, fold {}, draw {}, seed {seed}", fold + 1, draw + 1)
    }
}

impl std::fmt::Display for Pilot {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cohort, method, fold, rates, .. } = self;
        write!(to, "{cohort}, {method}, fold {}, rates {rates}", fold + 1)
    }
}

impl std::fmt::Display for Rates {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pretrain {
            Some(pretrain) => write!(to, "{pretrain:e} and {:e}", self.finetune),
            None => write!(to, "{:e}", self.finetune),
        }
    }
}
