//! `PLAN.toml`: what a study compares, on which cohorts, with which budgets.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cohort::label_budget::LabelDraw;
use crate::config::{Config, finetune_preset, preset, toml_error};
use crate::device::DeviceList;
use crate::run::study::read_plan;
use crate::study::summary::Metric;
use crate::study::views::TablePlan;
use crate::{Error, Result};

/// A study: every method on every cohort, fold, label budget, draw of the labelled patients and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name of the study, shown above its tables.
    pub name: String,
    /// Seed of folds, labelled draws and pilots.
    #[serde(default)]
    pub seed: u64,
    /// Device, or several that share each batch.
    #[serde(default)]
    pub device: DeviceList,
    /// CPU threads; 0 uses all cores.
    #[serde(default)]
    pub threads: usize,
    /// Metrics in the order of the tables. Differences in tables and figures are those of the first.
    #[serde(default = "all_metrics", skip_serializing_if = "is_all_metrics")]
    pub metrics: Vec<Metric>,
    /// Test folds and validation patients.
    #[serde(default)]
    pub split: SplitPlan,
    /// Label budgets, draws of the labelled patients, seeds.
    pub labels: LabelPlan,
    /// Length, rates and settings of pre-training, the same for all methods.
    pub pretrain: StagePlan,
    /// Length, rates and settings of fine-tuning, the same for all methods.
    pub finetune: StagePlan,
    /// The cohorts, each with tables of its own.
    pub cohorts: Vec<CohortPlan>,
    /// The methods, in the order of the tables.
    pub methods: Vec<MethodPlan>,
    /// The tables of the report; without any, one of all methods for each cohort and label budget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TablePlan>,
}

/// A cohort of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortPlan {
    /// Its name in tables.
    pub name: String,
    /// Its folder; a relative path starts at the plan's folder.
    pub path: PathBuf,
    /// Modalities, one per channel.
    pub modality: Vec<String>,
    /// Settings of both stages for this cohort, as in `config.toml`.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub settings: toml::Table,
}

/// Test folds and validation patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitPlan {
    /// A split file instead of drawn folds, for a study of one cohort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Disjoint test folds.
    pub folds: usize,
    /// Number of test patients of a fold, or a percentage of the patients with a mask.
    pub test: String,
    /// Number or percentage of validation patients of a fold, on whom learning rates are chosen.
    pub validation: String,
    /// Number or percentage of patients of a cohort that the study uses. Those with a mask are drawn first.
    #[serde(skip_serializing_if = "is_everybody")]
    pub patients: String,
}

impl Default for SplitPlan {
    fn default() -> Self {
        Self { file: None, folds: 1, test: "20%".into(), validation: "10%".into(), patients: EVERYBODY.into() }
    }
}

/// All patients of a cohort.
const EVERYBODY: &str = "100%";

pub(super) fn is_everybody(patients: &str) -> bool {
    patients == EVERYBODY
}

/// Labelled patients and seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelPlan {
    /// Label budgets: `5%` of the training patients with a mask, a number of patients, `all`.
    pub budgets: Vec<String>,
    /// Draws of the labelled patients; every method gets the same ones.
    #[serde(default = "one")]
    pub draws: usize,
    /// How they are drawn: at random, or stratified by the lesion volumes of all training masks.
    #[serde(default)]
    pub draw: LabelDraw,
    /// Draw them among all patients with a mask, also those whose mask has no lesion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// Seeds of weights and training; every method is trained with each.
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
}

fn all_metrics() -> Vec<Metric> {
    Metric::ALL.to_vec()
}

fn is_all_metrics(metrics: &[Metric]) -> bool {
    metrics == Metric::ALL
}

fn one() -> usize {
    1
}

fn first_seed() -> Vec<u64> {
    vec![0]
}

/// Length, learning rates and settings of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StagePlan {
    /// Length in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Length in slices seen: steps times batch size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<usize>,
    /// Length in epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Length in seconds of measured compute: steps are this over the measured seconds per step of each method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Candidate learning rates, selected per method. One value is used as it is; none keeps the rate of the settings.
    pub rates: Vec<f64>,
    /// Fraction of the length that pilots, which select the rates, run for; by default half of pre-training and all of
    /// fine-tuning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pilot_share: Option<f64>,
    /// Settings as in `config.toml`, over those of the presets.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub settings: toml::Table,
}

/// A method of a study.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodPlan {
    /// Its name in tables.
    pub name: String,
    /// Preset of its pre-training; without one, fine-tuning starts from random weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Label budgets instead of those of the study.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
    /// Settings of its pre-training, over all others.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub pretrain: toml::Table,
    /// Settings of its fine-tuning, over all others.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub finetune: toml::Table,
}

/// Length of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StageLength {
    /// That of the settings.
    Settings,
    /// Number of steps.
    Steps(usize),
    /// Number of slices seen.
    Slices(usize),
    /// Number of epochs.
    Epochs(usize),
    /// Seconds of measured compute.
    Seconds(f64),
}

impl StagePlan {
    /// The length; only one unit may be given. `stage` names the stage in the error.
    pub fn length(&self, stage: &str) -> Result<StageLength> {
        let given = [
            self.steps.map(StageLength::Steps),
            self.slices.map(StageLength::Slices),
            self.epochs.map(StageLength::Epochs),
            self.seconds.map(StageLength::Seconds),
        ];
        let mut given = given.into_iter().flatten();
        let length = given.next().unwrap_or(StageLength::Settings);
        if given.next().is_some() {
            return Err(Error::config(stage, "", "give one of steps, slices, epochs and seconds, not several"));
        }
        let is_positive = match length {
            StageLength::Settings => true,
            StageLength::Steps(n) | StageLength::Slices(n) | StageLength::Epochs(n) => n > 0,
            StageLength::Seconds(seconds) => seconds.is_finite() && seconds > 0.0,
        };
        if is_positive { Ok(length) } else { Err(Error::config(stage, "0", "the length must be above 0")) }
    }

    /// Fraction of the length that a pilot is trained for.
    pub fn pilot_share(&self, default: f64) -> f64 {
        self.pilot_share.unwrap_or(default)
    }
}

impl Plan {
    /// Reads a plan. Relative paths of cohorts start at the plan's folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_plan(path)?;
        let mut plan = Self::from_toml(&text, path)?;
        let folder = std::path::absolute(path).map_err(Error::io("find", path))?;
        for cohort in &mut plan.cohorts {
            if let Some(folder) = folder.parent() {
                cohort.path = folder.join(&cohort.path);
            }
        }
        if let (Some(file), Some(folder)) = (&mut plan.split.file, folder.parent()) {
            *file = folder.join(&*file);
        }
        Ok(plan)
    }

    /// Parses a plan and checks it; `path` is for the error.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let plan: Self = toml::from_str(text).map_err(|e| toml_error(&e, text, path))?;
        plan.check().map_err(|error| Error::file(path, error.to_string()))?;
        Ok(plan)
    }

    /// The text of the plan.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::config("plan", &self.name, e.to_string()))
    }

    /// Label budgets of a method.
    pub fn budgets<'a>(&'a self, method: &'a MethodPlan) -> &'a [String] {
        if method.budgets.is_empty() { &self.labels.budgets } else { &method.budgets }
    }

    /// Settings of a method's pre-training; `None` for random weights.
    pub fn pretrain_config(&self, cohort: &CohortPlan, method: &MethodPlan) -> Result<Option<Config>> {
        let Some(name) = &method.preset else { return Ok(None) };
        let own = (format!("methods.{}.pretrain", method.name), &method.pretrain);
        let tables = [settings_of(cohort), ("pretrain.settings".into(), &self.pretrain.settings), own];
        self.settle(preset(name, &cohort.modality)?, cohort, &tables).map(Some)
    }

    /// Settings of a method's fine-tuning. The preset `finetune` is the start unless the settings name another.
    pub fn finetune_config(&self, cohort: &CohortPlan, method: &MethodPlan) -> Result<Config> {
        let named = |table: &toml::Table| table.get("preset").and_then(|name| name.as_str().map(str::to_owned));
        let own = (format!("methods.{}.finetune", method.name), &method.finetune);
        let tables = [settings_of(cohort), ("finetune.settings".into(), &self.finetune.settings), own];
        let name = tables.iter().rev().find_map(|(_, table)| named(table)).unwrap_or_else(|| "finetune".into());
        self.settle(finetune_preset(&name)?, cohort, &tables)
    }

    /// `config` overridden by named tables of the plan.
    fn settle(&self, mut config: Config, cohort: &CohortPlan, tables: &[(String, &toml::Table)]) -> Result<Config> {
        for (name, table) in tables {
            let path = Path::new(name);
            let text = toml::to_string(table).map_err(|e| Error::file(path, e.to_string()))?;
            config = config.overlay(&text, path)?;
        }
        config.data.cohort.clone_from(&cohort.path);
        config.data.modality.clone_from(&cohort.modality);
        (config.device, config.threads) = (self.device.clone(), self.threads);
        config.validate()?;
        Ok(config)
    }
}

/// The settings of a cohort, by their name in the plan.
fn settings_of(cohort: &CohortPlan) -> (String, &toml::Table) {
    (format!("cohorts.{}.settings", cohort.name), &cohort.settings)
}

/// A number, or a percentage of `total` that is rounded.
pub fn count_of(text: &str, total: usize, field: &str) -> Result<usize> {
    let why = "expected a percentage such as 20%, or a number of patients";
    let bad = || Error::config(field, text, why);
    match text.strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().map_err(|_| bad())?;
            if !(0.0..=100.0).contains(&share) {
                return Err(bad());
            }
            Ok((share / 100.0 * total as f64).round() as usize)
        }
        None => text.parse().map_err(|_| bad()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SMALL: &str = r#"
name = "small"
[labels]
budgets = ["5%", "10%"]
draws = 2
[pretrain]
slices = 1000
rates = [1e-3]
[pretrain.settings.preprocess]
size = 64
[finetune]
steps = 300
rates = [3e-3, 1e-2]
[finetune.settings.preprocess]
size = 64
[[cohorts]]
name = "a"
path = "a"
modality = ["flair"]
[[methods]]
name = "sup"
[[methods]]
name = "grid 8"
preset = "amlp"
[methods.pretrain.method]
grid = 8
"#;

    fn parse(text: &str) -> Result<Plan> {
        Plan::from_toml(text, Path::new("plan.toml"))
    }

    #[test]
    fn a_plan_is_read_back_from_its_text() {
        let plan = parse(SMALL).unwrap();
        assert_eq!(parse(&plan.to_toml().unwrap()).unwrap(), plan);
        assert_eq!((plan.labels.seeds.as_slice(), plan.split.folds), (&[0][..], 1));
        assert_eq!(plan.pretrain.length("pretrain").unwrap(), StageLength::Slices(1000));
    }

    #[test]
    fn settings_of_study_and_method_are_applied_to_their_stage() {
        let plan = parse(SMALL).unwrap();
        let (cohort, methods) = (&plan.cohorts[0], &plan.methods);
        assert_eq!(plan.pretrain_config(cohort, &methods[0]).unwrap(), None);
        let own = plan.pretrain_config(cohort, &methods[1]).unwrap().unwrap();
        assert_eq!(
            (own.method.grid, own.preprocess.size, own.data.modality.as_slice()),
            (8, 64, &["flair".into()][..])
        );
        assert_eq!(plan.finetune_config(cohort, &methods[1]).unwrap().preprocess.size, 64);
    }

    #[test]
    fn an_invalid_plan_is_refused_by_its_field() {
        let said = |from: &str, to: &str| parse(&SMALL.replace(from, to)).unwrap_err().to_string();
        for (from, to, expected) in [
            ("slices = 1000", "slices = 1000\nsteps = 3", "not several"),
            ("rates = [1e-3]", "rates = [0.0]", "pretrain.rates = 0"),
            ("\"5%\", ", "\"five\", ", "labels = five"),
            ("name = \"grid 8\"", "name = \"sup\"", "used twice"),
            ("preset = \"amlp\"", "preset = \"ampl\"", "preset = ampl"),
            ("grid = 8", "grdi = 8", "methods.grid 8.pretrain: method: unknown key `grdi`"),
            ("size = 64\n[[cohorts]]", "size = \"x\"\n[[cohorts]]", "finetune.settings: preprocess.size: invalid type"),
            ("steps = 300", "stpes = 300", "line 12"),
            ("draws = 2", "draws = 0", "labels.draws"),
            ("name = \"small\"", "name = \"small\"\nmetrics = [\"dsc\", \"dice\"]", "dice"),
            ("name = \"small\"", "name = \"small\"\nmetrics = [\"dsc\", \"dsc\"]", "twice"),
            ("name = \"small\"", "name = \"small\"\nmetrics = []", "metrics"),
        ] {
            let error = said(from, to);
            assert!(error.starts_with("plan.toml: ") && error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn counts_are_numbers_or_percentages() {
        assert_eq!([count_of("20%", 33, "x").unwrap(), count_of("4", 33, "x").unwrap()], [7, 4]);
        assert!(count_of("a fifth", 33, "x").is_err() && count_of("120%", 33, "x").is_err());
    }
}
