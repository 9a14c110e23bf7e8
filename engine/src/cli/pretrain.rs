//! `amlp pretrain`: pre-training from the command line.

use std::path::Path;

use super::progress;
use super::recipe::RecipeFlags;
use super::training::{
    Output, RunFlags, TrainingFlags, finished_report, parse_word, print_if_complete, put, with_progress,
};
use super::{interruptible, print_json, print_line, use_threads};
use crate::cluster::{ForegroundRule, Method};
use crate::cohort::ExcludedScan;
use crate::config::{self, Config, MaskFill};
use crate::device::open_all;
use crate::jobs::{JobReport, PretrainJob, Start};
use crate::pretrain::PretrainReport;
use crate::pretrain::amlp::amr::{MaskRatio, RatioMode};
use crate::pretrain::amlp::arl::Attention;
use crate::pretrain::amlp::ccl::Consistency;
use crate::pretrain::amlp::mps::Order;
use crate::pretrain::amlp::relabel::Anchor;
use crate::words::plural;

pub fn examples() -> String {
    format!(
        "Examples:
  amlp pretrain COHORT --modality flair --out runs/pre
  amlp pretrain COHORT --modality pet --out runs/pre --preset amlp-plus --size 96 --epochs 50
  amlp pretrain COHORT --modality flair --out runs/pre --dry-run

Options have the defaults of the preset; `amlp manual config.toml` lists them.

Presets (`amlp presets NAME` describes them):

{}
Ctrl+C finishes the step, saves and exits with code 130. `amlp resume RUN` continues.",
        super::presets::list()
    )
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunFlags,
    /// Preset to start from.
    #[arg(long, value_name = "NAME", default_value = "amlp")]
    preset: String,
    /// Number of patches along the side of the crop.
    #[arg(long, value_name = "N")]
    grid: Option<usize>,
    /// Masking ratio of the first epoch.
    #[arg(long, value_name = "X")]
    sigma_0: Option<f64>,
    /// Masking ratio of the last epoch.
    #[arg(long, value_name = "X")]
    sigma_max: Option<f64>,
    /// Masking ratio of every epoch.
    #[arg(long, value_name = "X", conflicts_with_all = ["sigma_0", "sigma_max"])]
    sigma: Option<f64>,
    /// Order in which patches are masked.
    #[arg(long, value_name = "ORDER", value_enum)]
    order: Option<Order>,
    /// Which cluster is the foreground.
    #[arg(long, value_name = "RULE", value_enum)]
    foreground: Option<ForegroundRule>,
    /// Leave patches of air out of the clustering.
    #[arg(long)]
    tissue_only: bool,
    /// Clustering method.
    #[arg(long, value_name = "METHOD", value_enum)]
    clustering: Option<Method>,
    /// Value of masked pixels: zero, learned or noise.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<MaskFill>)]
    fill: Option<MaskFill>,
    /// Attention reconstruction loss (ARL): weighted, ratio, literal or off.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<Attention>)]
    attention: Option<Attention>,
    /// Category consistency loss (CCL): logit, literal or off.
    #[arg(long, value_name = "NAME", value_parser = parse_word::<Consistency>)]
    consistency: Option<Consistency>,
    /// Weight of the category consistency loss.
    #[arg(long, value_name = "X")]
    lambda: Option<f64>,
    /// Label that an update starts from.
    #[arg(long, value_name = "LABEL", value_enum)]
    anchor: Option<Anchor>,
    /// Epochs between label updates; 0: a twentieth of the run.
    #[arg(long, value_name = "N")]
    period: Option<usize>,
    /// Set a parameter of the method; `amlp presets NAME` lists them. Repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = config::parse_number)]
    number: Vec<(String, f64)>,
    /// Record this preprocessed slice, counted from 0, at every epoch. Repeatable.
    #[arg(long, value_name = "PATIENT:SLICE")]
    probe: Vec<String>,
    #[command(flatten, next_help_heading = "Options of both stages")]
    shared: TrainingFlags,
    #[command(flatten, next_help_heading = "Options beyond the paper")]
    recipe: RecipeFlags,
}

impl Args {
    fn config(&self) -> anyhow::Result<Config> {
        let defaults = config::preset(&self.preset, &self.shared.modality)?;
        let mut config = self.shared.resolve(self.run.start_from(&self.shared.out, defaults)?)?;
        self.recipe.apply(&mut config);
        let m = &mut config.method;
        put(&mut m.grid, self.grid);
        put(&mut m.order, self.order);
        put(&mut m.cluster.foreground, self.foreground);
        put(&mut m.cluster.method, self.clustering);
        m.cluster.tissue_only |= self.tissue_only;
        put(&mut m.fill, self.fill);
        put(&mut m.attention, self.attention);
        put(&mut m.consistency, self.consistency);
        put(&mut m.lambda, self.lambda);
        put(&mut m.anchor, self.anchor);
        put(&mut m.period, self.period);
        m.numbers.extend(self.number.iter().cloned());
        if !self.probe.is_empty() {
            m.probes.clone_from(&self.probe);
        }
        if let Some(sigma) = self.sigma {
            m.ratio = MaskRatio::fixed(sigma);
        } else if self.sigma_0.is_some() || self.sigma_max.is_some() {
            if m.ratio.mode == RatioMode::Fixed {
                m.ratio = MaskRatio::default();
            }
            put(&mut m.ratio.sigma_0, self.sigma_0);
            put(&mut m.ratio.sigma_max, self.sigma_max);
        }
        Ok(config)
    }
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    train(args.config()?, &args.shared.out, args.run.start(&args.shared), args.run.output(&args.shared))
}

/// Pre-trains and prints the report.
pub(super) fn train(config: Config, out: &Path, start: Start<'_>, output: Output) -> anyhow::Result<()> {
    if start.resume
        && let Some(report) = finished_report::<PretrainReport>(out)?
    {
        return print(&report, &[], out, output);
    }
    use_threads(config.threads)?;
    let control = interruptible()?;
    let compute = open_all(&config.device)?;
    let mut job = PretrainJob::prepare(config, out, start, &control, &mut progress::cases())?;
    print_if_complete(&job.selection);
    let report = with_progress(output, out, |sink| job.train(&compute, sink, &control))?;
    report.map_or(Ok(()), |report| print(&report, &job.selection.left_out, out, output))
}

fn print(report: &PretrainReport, left_out: &[ExcludedScan], out: &Path, output: Output) -> anyhow::Result<()> {
    if output.json {
        return print_json(&JobReport { report, left_out });
    }
    print_line(&format!(
        "pre-trained {} on {} of {} in {}: loss {:.4}; run folder {}",
        plural(report.epochs, "epoch", "epochs"),
        plural(report.slices, "slice", "slices"),
        plural(report.patients, "patient", "patients"),
        progress::duration(report.seconds),
        report.last.loss,
        out.display()
    ))
}
