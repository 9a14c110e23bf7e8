//! `amlp compare`: a small study that is set up by flags instead of a plan file.

use std::path::{Path, PathBuf};

use super::study::report;
use super::training::{LabelFlags, TrainingFlags};
use super::{interruptible, use_threads};
use crate::Error;
use crate::cohort::Cohort;
use crate::config::{Config, preset};
use crate::device::open_all;
use crate::study::plan::{CohortPlan, LabelPlan, MethodPlan, SplitPlan, StagePlan};
use crate::study::summary::Metric;
use crate::study::{Plan, Shard};

/// Method name for fine-tuning from random weights.
const SUPERVISED: &str = "sup";

pub const EXAMPLES: &str = "Examples:
  amlp compare COHORT --modality flair --methods sup,base,amlp --labels 5% --out runs/compare \\
    --spacing native --size 96 --width 8 --batch 8 --lr 1e-3 --epochs 20 --fine-batch 8

--epochs, --steps, --batch and --lr apply to pre-training, --fine-... to fine-tuning, all other options to both. \
Settings under [method] in a --config file override each preset.

All methods and seeds share one split and one set of labelled patients. Only weights and training differ between \
seeds. Without --split, the split is drawn with --seed or the first of --seeds.

This is a study with one draw and fixed rates. `amlp study` adds folds, draws of the labelled patients, and rates \
chosen on validation patients.

To continue an interrupted comparison, run the same command again.";

#[derive(clap::Args)]
pub struct Args {
    /// Methods separated by commas: sup (random weights) or pre-training presets. The first is the reference.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "sup,base,amlp")]
    methods: Vec<String>,
    /// Seeds of weights and training, separated by commas.
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    #[command(flatten)]
    labels: LabelFlags,
    /// TOML file with settings for fine-tuning only; overrides --config.
    #[arg(long, value_name = "FILE")]
    fine_config: Option<PathBuf>,
    /// Number of fine-tuning steps; replaces the length in epochs.
    #[arg(long, value_name = "N")]
    fine_steps: Option<usize>,
    /// Number of fine-tuning epochs.
    #[arg(long, value_name = "N")]
    fine_epochs: Option<usize>,
    /// Slices per fine-tuning step.
    #[arg(long, value_name = "N")]
    fine_batch: Option<usize>,
    /// Learning rate of fine-tuning.
    #[arg(long, value_name = "X")]
    fine_lr: Option<f64>,
    #[command(flatten, next_help_heading = "Options of both stages")]
    shared: TrainingFlags,
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let method = |name: &String| -> anyhow::Result<MethodPlan> {
            if name == SUPERVISED {
                return Ok(MethodPlan { name: name.clone(), ..MethodPlan::default() });
            }
            let defaults = preset(name, &self.shared.modality)?;
            let pretrain = overrides(&defaults, &self.shared.resolve(defaults.clone())?)?;
            Ok(MethodPlan { name: name.clone(), preset: Some(name.clone()), pretrain, ..MethodPlan::default() })
        };
        let methods = self.methods.iter().map(method).collect::<anyhow::Result<_>>()?;
        let shared = TrainingFlags {
            config: self.shared.config.iter().chain(&self.fine_config).cloned().collect(),
            epochs: self.fine_epochs,
            steps: self.fine_steps,
            batch: self.fine_batch,
            lr: self.fine_lr,
            ..self.shared.clone()
        };
        let mut finetune = shared.resolve(Config::finetune())?;
        self.labels.apply(&mut finetune.labels);
        let plan = Plan {
            name: "compare".into(),
            // This seed draws the split. Weights and training use `labels.seeds`.
            seed: self.shared.seed.or(self.seeds.first().copied()).unwrap_or_default(),
            device: finetune.device.clone(),
            threads: finetune.threads,
            metrics: Metric::ALL.to_vec(),
            split: SplitPlan { file: self.shared.split.as_deref().map(absolute).transpose()?, ..SplitPlan::default() },
            labels: LabelPlan {
                budgets: vec![finetune.labels.labels.clone()],
                draws: 1,
                draw: finetune.labels.draw,
                any: finetune.labels.any,
                seeds: self.seeds.clone(),
            },
            pretrain: StagePlan::default(),
            finetune: StagePlan { settings: overrides(&Config::finetune(), &finetune)?, ..StagePlan::default() },
            cohorts: vec![CohortPlan {
                name: "cohort".into(),
                path: absolute(&self.shared.cohort)?,
                modality: self.shared.modality.clone(),
                settings: toml::Table::new(),
            }],
            methods,
            tables: Vec::new(),
        };
        plan.check()?;
        Ok(plan)
    }
}

fn absolute(path: &Path) -> crate::Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}

/// The settings in which `config` differs from `defaults`, except those that the plan stores itself.
fn overrides(defaults: &Config, config: &Config) -> anyhow::Result<toml::Table> {
    let mut config = config.clone();
    config.data.cohort.clone_from(&defaults.data.cohort);
    config.data.modality.clone_from(&defaults.data.modality);
    config.labels.labels.clone_from(&defaults.labels.labels);
    config.labels.draw = defaults.labels.draw;
    (config.seed, config.threads, config.device) = (defaults.seed, defaults.threads, defaults.device.clone());
    Ok(difference(&toml::Table::try_from(defaults)?, &toml::Table::try_from(config)?))
}

fn difference(defaults: &toml::Table, table: &toml::Table) -> toml::Table {
    let entry = |(key, value): (&String, &toml::Value)| match (defaults.get(key), value) {
        (Some(same), value) if same == value => None,
        (Some(toml::Value::Table(before)), toml::Value::Table(after)) => {
            Some((key.clone(), toml::Value::Table(difference(before, after))))
        }
        (_, value) => Some((key.clone(), value.clone())),
    };
    table.iter().filter_map(entry).collect()
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let plan = args.plan()?;
    let files = &args.shared.files;
    let cohort = Cohort::discover_with(&args.shared.cohort, &files.discover_options())?;
    let modalities =
        args.shared.modality.iter().map(|name| cohort.modality(name)).collect::<crate::Result<Vec<_>>>()?;
    let everyone: Vec<String> = cohort.patients().into_iter().map(str::to_owned).collect();
    let selection = cohort.select(&everyone, &modalities);
    files.report(selection.cases.len(), &selection.left_out, &[])?;
    use_threads(plan.threads)?;
    let control = interruptible()?;
    let compute = open_all(&plan.device)?;
    report(&plan, &absolute(&args.shared.out)?, Shard::WHOLE, &compute, &control, args.shared.json)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::model::Precision;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn plan(flags: &[&str]) -> Plan {
        let line = ["compare", "cohort", "--modality", "pet", "--out", "out", "--methods", "sup,base,amlp"];
        Line::parse_from(line.iter().chain(flags)).args.plan().unwrap()
    }

    /// Settings of a method's pre-training, and of fine-tuning.
    fn configs(plan: &Plan, method: usize) -> (Config, Config) {
        let (cohort, method) = (&plan.cohorts[0], &plan.methods[method]);
        (plan.pretrain_config(cohort, method).unwrap().unwrap(), plan.finetune_config(cohort, method).unwrap())
    }

    #[test]
    fn flags_of_both_stages_reach_both() {
        let plan = plan(&["--weight-decay", "0.5", "--precision", "bf16", "--micro-batch", "3", "--shift", "7"]);
        let ((base, fine), (amlp, _)) = (configs(&plan, 1), configs(&plan, 2));
        for config in [fine, base, amlp] {
            let training = &config.training;
            assert_eq!((training.weight_decay, training.precision), (0.5, Precision::Bf16), "{}", config.preset);
            assert_eq!((training.micro_batch, training.shift_px), (3, 7), "{}", config.preset);
        }
    }

    #[test]
    fn each_stage_has_its_own_rate_batch_and_length() {
        let flags = ["--lr", "0.1", "--batch", "4", "--epochs", "5", "--fine-lr", "0.2", "--fine-batch", "6"];
        let whole = plan(&[&flags[..], &["--fine-steps", "9"]].concat());
        let (pre, fine) = configs(&whole, 1);
        let (pre, fine) = (pre.training, fine.training);
        assert_eq!((pre.lr, pre.batch, pre.epochs, pre.steps), (0.1, 4, 5, 0));
        assert_eq!((fine.lr, fine.batch, fine.steps), (0.2, 6, 9));
        let defaults = Config::finetune().training;
        assert_eq!(configs(&plan(&["--lr", "0.1"]), 1).1.training, defaults);
    }

    #[test]
    fn each_settings_file_reaches_its_stages() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, fine) = (folder.path().join("shared.toml"), folder.path().join("fine.toml"));
        std::fs::write(&shared, "[training]\nlr = 0.3\ncheckpoint_every = 4\n[method]\ngrid = 8\n").unwrap();
        std::fs::write(&fine, "[training]\nlr = 0.4\n[labels]\nlabels = \"7\"\n").unwrap();
        let flags = ["--config", shared.to_str().unwrap(), "--fine-config", fine.to_str().unwrap()];
        let plan = plan(&flags);
        for method in [1, 2] {
            let (pre, _) = configs(&plan, method);
            assert_eq!((pre.method.grid, pre.training.lr, pre.training.checkpoint_every), (8, 0.3, 4));
        }
        let ((base, fine), (amlp, _)) = (configs(&plan, 1), configs(&plan, 2));
        assert_ne!(base.method.order, amlp.method.order, "the settings files do not replace the presets");
        assert_eq!((fine.training.lr, fine.training.checkpoint_every), (0.4, 4));
        assert_eq!(plan.labels.budgets, ["7"]);
    }

    #[test]
    fn the_split_comes_from_the_file_or_is_drawn_with_the_seed() {
        let plan_of = plan(&["--split", "split.json", "--seeds", "4,5"]);
        assert!(plan_of.split.file.unwrap().ends_with("split.json"));
        assert_eq!((plan_of.seed, plan_of.labels.seeds), (4, vec![4, 5]));
        let plan_of = plan(&["--seeds", "4,5", "--seed", "9"]);
        assert_eq!((plan_of.split.file, plan_of.seed), (None, 9));
    }

    #[test]
    fn flags_of_a_single_run_are_refused() {
        let line = ["compare", "cohort", "--modality", "pet", "--out", "out"];
        for flag in ["--dry-run", "--resume"] {
            assert!(Line::try_parse_from(line.iter().chain(&[flag])).is_err(), "{flag}");
        }
    }
}
