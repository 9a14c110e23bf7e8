//! `amlp compare`

use std::path::PathBuf;

use super::progress::Progress;
use super::training::{Shared, put};
use super::{interruptible, print_json, print_line, use_threads};
use crate::Error;
use crate::cohort::labelled::LabelDraw;
use crate::config::{Config, preset};
use crate::device::open_all;
use crate::experiment::compare::{Method, Plan, SUPERVISED, compare, table};
use crate::run::atomic::write_atomic;

/// Shown under `--help`.
pub const EXAMPLES: &str = "Examples:
  amlp compare COHORT --modality flair --methods sup,base,amlp --seeds 0,1,2 --labels 5% --out runs/compare \\
    --spacing native --size 96 --width 8 --batch 8 --lr 1e-3 --epochs 20 --fine-batch 8 --fine-lr 1e-2 --fine-steps 300

--epochs, --steps, --batch and --lr are those of pre-training, --fine-... those of fine-tuning; all other flags and the
files of --config apply to both stages, --fine-config to fine-tuning alone. Settings under [method] override each preset.
All methods and seeds share one split and one set of labelled patients; only weights and training are seeded differently.
Without --split the split is drawn once, with --seed or the first of --seeds, and kept in --out/split.json.
Finished runs in --out with the same settings and split are reused, interrupted ones are resumed.";

/// Compares pre-training methods on the same patients with paired seeds.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    /// sup (random weights) or presets of pretrain, separated by commas; differences are to the first.
    #[arg(long, value_delimiter = ',', default_value = "sup,base,amlp")]
    methods: Vec<String>,
    /// Seeds of weights and training, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Labelled training patients: 5%, a number, all, or by name: patients:ID,ID.
    #[arg(long)]
    labels: Option<String>,
    /// How --labels are drawn: at random, or stratified by the lesion volumes of all training masks.
    #[arg(long, value_enum)]
    label_draw: Option<LabelDraw>,
    /// Draw the labelled patients among all with a mask, also those without lesion.
    #[arg(long)]
    labels_any: bool,
    /// TOML file of settings for fine-tuning alone, over those of --config.
    #[arg(long)]
    fine_config: Option<PathBuf>,
    /// Fine-tuning steps, instead of epochs.
    #[arg(long)]
    fine_steps: Option<usize>,
    /// Fine-tuning epochs.
    #[arg(long)]
    fine_epochs: Option<usize>,
    /// Slices per fine-tuning step.
    #[arg(long)]
    fine_batch: Option<usize>,
    /// Learning rate of fine-tuning.
    #[arg(long)]
    fine_lr: Option<f64>,
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let method = |name: &String| -> crate::Result<Method> {
            let settle = || self.shared.settle(preset(name, &self.shared.modality)?);
            let pretrain = if name == SUPERVISED { None } else { Some(settle()?) };
            Ok(Method { name: name.clone(), pretrain })
        };
        let methods = self.methods.iter().map(method).collect::<crate::Result<_>>()?;
        let shared = Shared {
            config: self.shared.config.iter().chain(&self.fine_config).cloned().collect(),
            epochs: self.fine_epochs,
            steps: self.fine_steps,
            batch: self.fine_batch,
            lr: self.fine_lr,
            ..self.shared.clone()
        };
        let mut finetune = shared.settle(Config::finetune())?;
        put(&mut finetune.labels.labels, self.labels.clone());
        put(&mut finetune.labels.draw, self.label_draw);
        finetune.labels.any |= self.labels_any;
        // Every run has its own seed; this one draws the split.
        put(&mut finetune.seed, self.shared.seed.or(self.seeds.first().copied()));
        let split = self.shared.split.clone();
        Ok(Plan { methods, seeds: self.seeds.clone(), finetune, strict: self.shared.files.strict, split })
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let plan = args.plan()?;
    use_threads(plan.finetune.threads)?;
    let control = interruptible()?;
    let compute = open_all(&plan.finetune.device)?;
    let out = std::path::absolute(&args.shared.out)?;
    std::fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
    let mut say = |line: &str| eprintln!("{line}");
    let outcomes = compare(&plan, &out, &compute, &mut Progress::new(), &control, &mut say)?;
    let write = |name: &str, bytes: &[u8]| write_atomic(&out.join(name), bytes);
    write("outcomes.json", &serde_json::to_vec_pretty(&outcomes)?)?;
    write("table.md", table(&outcomes).as_bytes())?;
    if args.shared.json {
        return print_json(&outcomes);
    }
    print_line(table(&outcomes).trim_end())
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

    fn pretrain(plan: &Plan, method: usize) -> &Config {
        plan.methods[method].pretrain.as_ref().unwrap()
    }

    #[test]
    fn flags_of_both_stages_reach_both() {
        let plan = plan(&["--weight-decay", "0.5", "--precision", "bf16", "--micro-batch", "3", "--shift", "7"]);
        for config in [&plan.finetune, pretrain(&plan, 1), pretrain(&plan, 2)] {
            let training = &config.training;
            assert_eq!((training.weight_decay, training.precision), (0.5, Precision::Bf16), "{}", config.preset);
            assert_eq!((training.micro_batch, training.shift_px), (3, 7), "{}", config.preset);
        }
    }

    #[test]
    fn each_stage_has_its_own_rate_batch_and_length() {
        let flags = ["--lr", "0.1", "--batch", "4", "--epochs", "5", "--fine-lr", "0.2", "--fine-batch", "6"];
        let whole = plan(&[&flags[..], &["--fine-steps", "9"]].concat());
        let (pre, fine) = (&pretrain(&whole, 1).training, &whole.finetune.training);
        assert_eq!((pre.lr, pre.batch, pre.epochs, pre.steps), (0.1, 4, 5, 0));
        assert_eq!((fine.lr, fine.batch, fine.steps), (0.2, 6, 9));
        let defaults = Config::finetune().training;
        assert_eq!(plan(&["--lr", "0.1"]).finetune.training, defaults);
    }

    #[test]
    fn files_of_settings_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, fine) = (folder.path().join("shared.toml"), folder.path().join("fine.toml"));
        std::fs::write(&shared, "[training]\nlr = 0.3\ncheckpoint_every = 4\n[method]\ngrid = 8\n").unwrap();
        std::fs::write(&fine, "[training]\nlr = 0.4\n[labels]\nlabels = \"7\"\n").unwrap();
        let flags = ["--config", shared.to_str().unwrap(), "--fine-config", fine.to_str().unwrap()];
        let plan = plan(&flags);
        for method in [1, 2] {
            let pre = pretrain(&plan, method);
            assert_eq!((pre.method.grid, pre.training.lr, pre.training.checkpoint_every), (8, 0.3, 4));
        }
        assert_ne!(pretrain(&plan, 1).method.order, pretrain(&plan, 2).method.order, "the presets stay apart");
        assert_eq!((plan.finetune.training.lr, plan.finetune.training.checkpoint_every), (0.4, 4));
        assert_eq!(plan.finetune.labels.labels, "7");
    }

    #[test]
    fn a_split_file_and_its_seed_are_read() {
        let plan_of = plan(&["--split", "own.json", "--seeds", "4,5"]);
        assert_eq!((plan_of.split, plan_of.finetune.seed), (Some("own.json".into()), 4));
        let plan_of = plan(&["--seeds", "4,5", "--seed", "9"]);
        assert_eq!((plan_of.split, plan_of.finetune.seed), (None, 9));
    }

    #[test]
    fn flags_that_mean_nothing_here_are_refused() {
        let line = ["compare", "cohort", "--modality", "pet", "--out", "out"];
        for flag in ["--dry-run", "--resume"] {
            assert!(Line::try_parse_from(line.iter().chain(&[flag])).is_err(), "{flag}");
        }
    }
}
