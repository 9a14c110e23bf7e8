//! `amlp review`: prints the review verdicts of a cohort, and exports them as tables and pages.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;

use super::files::{FileFlags, PartialFailure};
use super::masks::MaskFlags;
use crate::cohort::{Cohort, ExcludedScan};
use crate::disk::clock::utc;
use crate::review::{CaseScore, LatestEntries, Order, Progress, Verdict, latest, rank, scores};
use crate::run::review::{Export, export, read, read_ranking};

pub const EXAMPLES: &str = "\
Examples:
  amlp review patients
  amlp review patients --order lowest-dice --segmentations out
  amlp review patients --csv verdicts.csv --findings findings.csv --report report
  amlp review patients --order list --list priorities.csv --json

Verdicts are given in the viewer and stored in review.jsonl in the folder of the cohort.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the cohort.
    folder: PathBuf,
    /// Folder of segmentations named CASE.nii.gz [default: those saved beside the scans].
    #[arg(long, value_name = "FOLDER")]
    segmentations: Option<PathBuf>,
    /// Order of the cases.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    order: OrderName,
    /// CSV file with a column case, for --order list. A column score sorts it, highest first; without one, row order counts.
    #[arg(long, value_name = "FILE", required_if_eq("order", "list"))]
    list: Option<PathBuf>,
    /// Write a CSV file with one row per case.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a CSV file with one row per finding.
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
    /// Write a report page for each case, and index.html for the cohort.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// How masks are read.
    #[command(flatten)]
    masks: MaskFlags,
    /// How files are found, and whether all must be used.
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The values of `--order`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OrderName {
    /// By name.
    #[default]
    Listed,
    /// Highest mean entropy of the saved probability first.
    Uncertain,
    /// Lowest Dice between segmentation and reference first.
    LowestDice,
    /// Largest volume change since the patient's previous scan first.
    VolumeChange,
    /// The order of --list.
    List,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    folder: String,
    #[serde(flatten)]
    progress: &'a Progress,
    warnings: &'a [String],
    queue: Vec<Row<'a>>,
}

/// A case in the review queue.
#[derive(Serialize)]
struct Row<'a> {
    case: &'a str,
    verdict: Verdict,
    comment: &'a str,
    reviewer: &'a str,
    time: Option<String>,
    seconds: Option<f64>,
    score: Option<f64>,
    no_score: Option<&'a str>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.list.is_some() && args.order != OrderName::List {
        bail!("--list needs --order list");
    }
    let mut cohort = Cohort::discover_with(&args.folder, &args.files.discover_options())?;
    let mut warnings = Vec::new();
    if let Some(folder) = &args.segmentations {
        let unknown = cohort.take_segmentations(folder)?;
        if !unknown.is_empty() {
            warnings.push(format!("{}: no case is named {}", folder.display(), unknown.join(", ")));
        }
    }
    args.files.report(cohort.cases.len(), &cohort.left_out, &[])?;
    let log = read(&args.folder)?;
    let latest = latest(&log.entries);
    warnings.extend(log.warnings());
    let gone = latest.keys().filter(|case| cohort.case(case).is_none());
    warnings.extend(gone.map(|case| format!("review.jsonl: {case} is not a case of this folder")));
    let order = args.order()?;
    if let Order::Ranking(ranking) = &order {
        warnings.extend(ranking.warnings(&cohort));
    }
    let control = super::interruptible()?;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(cohort.cases.len() as u64)
    } else {
        ProgressBar::hidden()
    };
    let progress = |done: usize, _: usize, _: &str| bar.set_position(done as u64);
    let scored = scores(&cohort, &order, &args.masks.options(), &control, &progress)?;
    let to = Export { cases: args.csv.clone(), findings: args.findings.clone(), report: args.report.clone() };
    let mut failed = Vec::new();
    if to != Export::default() {
        let cases = export(&cohort, &latest, &to, &args.masks.options(), &control, &progress)?;
        let problem = |case: crate::review::MeasuredCase| Some(ExcludedScan::new(&case.case, case.problem?));
        failed.extend(cases.into_iter().filter_map(problem));
    }
    bar.finish_and_clear();
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let state = Progress::of(cohort.cases.iter().map(|case| case.id.as_str()), &latest);
    let ranking = rank(&order, &scored);
    let rows = ranking.iter().map(|&at| row(&scored[at], &latest));
    if args.json {
        let folder = args.folder.display().to_string();
        super::print_json(&Report { folder, progress: &state, warnings: &warnings, queue: rows.collect() })?;
    } else {
        super::print_text(&table(&state, &rows.collect::<Vec<_>>()))?;
    }
    PartialFailure::check(cohort.cases.len() - failed.len(), failed)
}

impl Args {
    fn order(&self) -> anyhow::Result<Order> {
        Ok(match (self.order, &self.list) {
            (OrderName::Listed, _) => Order::Listed,
            (OrderName::Uncertain, _) => Order::Uncertain,
            (OrderName::LowestDice, _) => Order::LowestDice,
            (OrderName::VolumeChange, _) => Order::VolumeChange,
            (OrderName::List, Some(list)) => Order::Ranking(read_ranking(list)?),
            (OrderName::List, None) => bail!("--order list needs --list FILE"),
        })
    }
}

fn row<'a>(scored: &'a CaseScore, latest: &'a LatestEntries) -> Row<'a> {
    let entry = latest.get(&scored.case);
    Row {
        case: &scored.case,
        verdict: entry.map_or(Verdict::ToDo, |entry| entry.verdict),
        comment: entry.map_or("", |entry| &entry.comment),
        reviewer: entry.map_or("", |entry| &entry.reviewer),
        time: entry.map(|entry| utc(entry.time_ms)),
        seconds: entry.map(|entry| entry.seconds),
        score: scored.score,
        no_score: scored.why.as_deref(),
    }
}

fn table(progress: &Progress, rows: &[Row]) -> String {
    let counts: BTreeMap<Verdict, usize> =
        progress.verdicts.iter().filter(|(_, count)| **count > 0).map(|(verdict, count)| (*verdict, *count)).collect();
    let counts: Vec<String> =
        counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.name().to_lowercase())).collect();
    let width = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0).max(4);
    let mut text = format!("{progress} ({})\n\n", counts.join(", "));
    for row in rows {
        let score = match (row.score, row.no_score) {
            (Some(score), _) => format!("{score:.3}"),
            (None, Some(why)) => format!("({why})"),
            (None, None) => String::new(),
        };
        let facts = [row.verdict.name(), row.reviewer, row.time.as_deref().unwrap_or_default(), row.comment];
        let line = format!(
            "{:width$}  {:<11}  {:<4}  {:<20}  {score:<8}  {}",
            row.case, facts[0], facts[1], facts[2], facts[3]
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}
