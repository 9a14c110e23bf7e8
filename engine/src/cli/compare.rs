//! `amlp compare`

use std::path::PathBuf;

use super::progress::Progress;
use super::training::{Shared, put};
use super::{interruptible, print_json, print_line, use_threads};
use crate::Error;
use crate::config::Config;
use crate::device::open_all;
use crate::experiment::compare::{Plan, compare, table};
use crate::run::atomic::write_atomic;

/// Shown under `--help`.
pub const EXAMPLES: &str = "Examples:
  amlp compare COHORT --modality flair --methods sup,base,amlp --seeds 0,1,2 --labels 5% --out runs/compare \\
    --spacing native --size 96 --width 8 --batch 8 --lr 1e-3 --epochs 20 --fine-steps 300

All methods and seeds share one split and one set of labelled patients; only the seed of weights and training differs.
What is finished in --out is not done again.";

/// Compares pre-training methods on the same patients with paired seeds.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    /// sup (random weights) or presets of pretrain, separated by commas; differences are to the first.
    #[arg(long, value_delimiter = ',', default_value = "sup,base,amlp")]
    methods: Vec<String>,
    /// Seeds, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,
    /// Labelled training patients: 5%, a number, or all.
    #[arg(long, default_value = "5%")]
    labels: String,
    /// Fine-tuning steps.
    #[arg(long)]
    fine_steps: Option<usize>,
    /// Fine-tuning epochs.
    #[arg(long)]
    fine_epochs: Option<usize>,
    /// Fine-tuning batch.
    #[arg(long)]
    fine_batch: Option<usize>,
}

/// Runs the verb.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = &args.shared;
    if shared.dry_run {
        let why = "it trains several networks: ask pretrain --dry-run and finetune --dry-run with the same settings";
        return Err(Error::config("dry-run", "compare", why).into());
    }
    let pretrain = shared.settle(Config::default())?;
    let mut finetune = shared.settle(Config::finetune())?;
    finetune.training = Config::finetune().training;
    finetune.training.lr = pretrain.training.lr;
    finetune.training.batch = pretrain.training.batch;
    finetune.training.shift_px = pretrain.training.shift_px;
    put(&mut finetune.training.batch, args.fine_batch);
    put(&mut finetune.training.steps, args.fine_steps);
    put(&mut finetune.training.epochs, args.fine_epochs);
    finetune.labels.labels.clone_from(&args.labels);
    use_threads(pretrain.threads)?;
    let control = interruptible()?;
    let compute = open_all(&pretrain.device)?;
    let out: PathBuf = std::path::absolute(&shared.out)?;
    std::fs::create_dir_all(&out).map_err(Error::io("create", &out))?;
    let plan = Plan { methods: args.methods.clone(), seeds: args.seeds.clone(), pretrain, finetune };
    let mut say = |line: &str| eprintln!("{line}");
    let outcomes = compare(&plan, &out, &compute, &mut Progress::new(), &control, &mut say)?;
    write_atomic(&out.join("outcomes.json"), &serde_json::to_vec_pretty(&outcomes)?)?;
    write_atomic(&out.join("table.md"), table(&outcomes).as_bytes())?;
    if shared.json {
        return print_json(&outcomes);
    }
    print_line(table(&outcomes).trim_end())
}
