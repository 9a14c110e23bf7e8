//! `amlp study`: compares methods with statistics.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::progress::duration;
use super::{interruptible, print_json, print_line, print_text, use_threads};
use crate::cohort::Cohort;
use crate::device::{Compute, open_all};
use crate::event::{Control, Event, Stage};
use crate::run::study::StudyFolder;
use crate::study::{
    EndedRun, JobEstimate, JobState, Plan, Shard, Splits, StudyContext, StudyProgress, estimate, plan_on_cohort,
    ready_plan, run as run_study,
};
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp study --print-plan evidence > plan.toml     (then enter your cohort in it)
  amlp study plan.toml --out study --dry-run       (lists the runs and their hours)
  amlp study plan.toml --out study                 (Ctrl+C saves; the same command continues)
  amlp study plan.toml --out study --shard 2/8     (job 2 of 8 that share the folder)
  amlp study paper --cohort BRATS --out paper --scale 0.25 --dry-run

Learning rates are chosen per method on the validation patients and frozen in plan.lock.json before any test patient \
is read. Results: tables.md, .csv, .tex, .html and report.html in the folder of the study.

Submit the shards twice. The first round may end with the pilots, because the rates are frozen only when all shards \
have finished theirs.";

#[derive(clap::Args)]
pub struct Args {
    /// Plan in TOML, or with --cohort the name of a built-in plan.
    #[arg(required_unless_present = "print_plan")]
    plan: Option<PathBuf>,
    /// Folder of the study.
    #[arg(long, value_name = "DIR", required_unless_present = "print_plan")]
    out: Option<PathBuf>,
    /// Run a built-in plan on this cohort.
    #[arg(long, value_name = "DIR")]
    cohort: Option<PathBuf>,
    /// Modalities to study separately [default: all of the cohort].
    #[arg(long, value_name = "M,M", value_delimiter = ',', requires = "cohort")]
    modality: Vec<String>,
    /// Multiply crop size, network width and number of patients of the plan by this factor, 0.1 to 1.
    #[arg(long, value_name = "S", requires = "cohort")]
    scale: Option<f64>,
    /// Do part I of N of the runs, such as 2/8, for job arrays.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<Shard>,
    /// List the runs and their estimated hours, then exit.
    #[arg(long)]
    dry_run: bool,
    /// Print a built-in plan to edit: quick, evidence, ablation, paper, paper-table-1 to paper-table-6, paper-figures.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["plan", "out", "cohort", "shard", "dry_run", "json"])]
    print_plan: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    progress: StudyProgress,
    groups: Option<serde_json::Value>,
}

fn parse_shard(text: &str) -> std::result::Result<Shard, String> {
    let (index, count) = super::segment::parse_shard(text)?;
    Ok(Shard { index, count })
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(name) = &args.print_plan {
        return print_text(&ready_plan(name)?);
    }
    let (plan, out) = (args.plan.as_ref().context("no plan")?, args.out.as_ref().context("no --out")?);
    let plan = match &args.cohort {
        Some(cohort) => on_cohort(plan, cohort, args)?,
        None if !plan.exists() && plan.extension().is_none() => {
            let name = plan.to_string_lossy();
            ready_plan(&name)?;
            anyhow::bail!(
                "{name}: a built-in plan needs --cohort DIR, or print it with --print-plan {name} and edit it"
            );
        }
        None => Plan::read(plan)?,
    };
    let out = std::path::absolute(out)?;
    use_threads(plan.threads)?;
    let control = interruptible()?;
    let compute = open_all(&plan.device)?;
    if args.dry_run {
        let folder = StudyFolder::new(&out);
        let splits = Splits::read_or_draw(&plan, &folder, &compute, &control)?;
        let mut on_measure = |job: &JobEstimate| {
            let stage = if job.stage == Stage::Pretrain { "pre-training" } else { "fine-tuning" };
            eprintln!("timed a step of {stage}, {}: the run takes about {}", job.label, duration(job.seconds));
        };
        let estimate = estimate(&splits.jobs(&plan), &folder, &compute, &control, &mut on_measure)?;
        if args.json {
            return print_json(&estimate);
        }
        for job in &estimate.jobs {
            let time = if job.done { "done".into() } else { duration(job.seconds) };
            print_line(&format!("{:<34} {:>7} steps {time:>8}  {}", job.run, job.steps, job.label))?;
        }
        let runs = plural(estimate.jobs.len(), "run", "runs");
        return print_line(&format!("{runs}, {}", duration(3600.0 * estimate.hours)));
    }
    report(&plan, &out, args.shard.unwrap_or(Shard::WHOLE), &compute, &control, args.json)
}

/// A built-in plan, applied to a cohort.
fn on_cohort(name: &Path, cohort: &Path, args: &Args) -> anyhow::Result<Plan> {
    let cohort = std::path::absolute(cohort)?;
    let found = Cohort::discover(&cohort)?;
    let modalities = if args.modality.is_empty() {
        found.modalities().into_keys().collect()
    } else {
        args.modality.iter().map(|modality| found.modality(modality)).collect::<Result<Vec<_>, _>>()?
    };
    Ok(plan_on_cohort(&name.to_string_lossy(), &cohort, &modalities, args.scale.unwrap_or(1.0))?)
}

/// Runs a study and prints its tables.
pub(super) fn report(
    plan: &Plan,
    out: &Path,
    shard: Shard,
    compute: &Compute,
    control: &Control,
    json: bool,
) -> anyhow::Result<()> {
    let mut silent = |_: &Event| Ok(());
    let context = StudyContext { out, compute, control, sink: &mut silent };
    let progress = run_study(plan, context, shard, &mut |ended| eprintln!("{}", line(ended)))?;
    let waiting = progress.pilots_waiting;
    if waiting > 0 {
        eprintln!(
            "{} missing. Run this shard again once they have ended.",
            plural(waiting, "pilot of other shards is", "pilots of other shards are")
        );
    }
    let tables = out.join("tables.md");
    if json {
        let summary = std::fs::read(out.join("summary.json")).ok();
        let groups = summary.map(|bytes| serde_json::from_slice(&bytes)).transpose()?;
        print_json(&Document { progress, groups })?;
    } else if tables.exists() {
        print_line(std::fs::read_to_string(&tables)?.trim_end())?;
    }
    if progress.failed > 0 {
        anyhow::bail!("{} failed. The reasons are below the tables", plural(progress.failed, "run", "runs"));
    }
    Ok(())
}

fn line(ended: &EndedRun<'_>) -> String {
    let outcome = match ended.state {
        JobState::Done(evaluation) => {
            evaluation.mean.as_ref().map_or("no reference".into(), |mean| format!("DSC {:.3}", mean.dsc))
        }
        JobState::Failed(why) => format!("failed: {why}"),
        JobState::Missing => "another process is working on it".into(),
    };
    let left = ended.seconds_left.filter(|seconds| *seconds > 0.0);
    let left = left.map(|seconds| format!(" (about {} left)", duration(seconds))).unwrap_or_default();
    let EndedRun { what, number, all, label, .. } = ended;
    format!("{what} {number} of {all}, {label}: {outcome}{left}")
}
