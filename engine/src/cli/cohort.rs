//! `amlp cohort`: lists the contents of a cohort and the problems with its files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::files::FileFlags;
use super::masks::MaskFlags;
use crate::cohort::{CaseFingerprint, Cohort, Fingerprint, FingerprintCache, FingerprintOptions, fingerprint_with};
use crate::event::Control;
use crate::words::plural;

pub const EXAMPLES: &str = "Examples:
  amlp cohort patients
  amlp cohort BraTS2021_Training_Data --modality flair
  amlp cohort Dataset001_Lesions --json > fingerprint.json

Layouts: <patient>/<modality>.nii.gz with seg.nii.gz, sessions, BIDS, BraTS, HECKTOR, nnU-Net, Decathlon. \
See `amlp manual cohorts`.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the cohort.
    folder: PathBuf,
    /// Read only this modality.
    #[arg(long, value_name = "M")]
    modality: Option<String>,
    #[command(flatten)]
    files: FileFlags,
    #[command(flatten)]
    masks: MaskFlags,
    /// Read all files again, even if they have not changed.
    #[arg(long)]
    fresh: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let cohort = Cohort::discover_with(&args.folder, &args.files.discover_options())?;
    let cache = FingerprintCache::of_user();
    let options = FingerprintOptions {
        modality: args.modality.as_deref(),
        masks: args.masks.options_for(args.files.frame),
        cache: cache.as_ref().filter(|_| !args.fresh),
    };
    let found = fingerprint_with(&cohort, &options, &Control::default(), &progress())?;
    args.files.report(found.used(), &found.left_out, &found.masks_left_out)?;
    if args.json { super::print_json(&found) } else { super::print_text(&table(&found)) }
}

/// Reports progress on stderr every two seconds, so a quick job prints nothing.
fn progress() -> impl Fn(usize, usize) + Sync {
    let last = Mutex::new(Instant::now());
    move |done, of| {
        if let Ok(mut last) = last.lock()
            && last.elapsed() > Duration::from_secs(2)
        {
            *last = Instant::now();
            eprintln!("read {done} of {}", plural(of, "case", "cases"));
        }
    }
}

fn table(found: &Fingerprint) -> String {
    use std::fmt::Write;
    let patients = plural(found.patients, "patient", "patients");
    let scans = plural(found.scans, "scan", "scans");
    let mut text = format!("{} ({}), {patients}, {scans}, {} labelled\n", found.folder, found.layout, found.labelled);
    let counts: Vec<String> = found.modalities.iter().map(|(m, n)| format!("{m} ({n})")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "modalities  {}", counts.join(", "));
    let named = |label: &u16| found.label_names.names.get(label).map(|name| format!(" {name}")).unwrap_or_default();
    let counts: Vec<String> = found.labels.iter().map(|(l, n)| format!("{l}{} ({n})", named(l))).collect();
    let _ = writeln!(text, "labels      {}", if counts.is_empty() { "none".into() } else { counts.join(", ") });
    if let Some(meaning) = &found.label_meaning {
        let _ = writeln!(text, "meaning     {meaning}");
    }
    if let Some(range) = found.lesion_ml {
        let _ = writeln!(text, "lesions     {:.2} to {:.2} ml, median {:.2} ml", range.min, range.max, range.median);
    }
    let _ = writeln!(text, "background  {}", backgrounds(found));
    let held_out = found.cases.iter().filter(|case| case.held_out).count();
    if held_out > 0 {
        let _ = writeln!(text, "held out    {} of imagesTs, in no split", plural(held_out, "scan", "scans"));
    }
    let width_of = |of: &dyn Fn(&CaseFingerprint) -> usize| found.cases.iter().map(of).max().unwrap_or(0);
    let scan = width_of(&|case| in_one_line(&case.id).chars().count()).max(4);
    // If every patient has one scan, the patient column would repeat the scan column.
    let patient = width_of(&|case| in_one_line(&case.patient).chars().count()).max(7);
    let patient = if found.patients == found.scans { 0 } else { patient };
    let (shape, spacing) = ("shape", "spacing (mm)");
    let patients = if patient == 0 { String::new() } else { format!("{:patient$}  ", "patient") };
    let _ = writeln!(text, "\n{patients}{:scan$}  {shape:>13}  {spacing:>18}  axes  lesion (ml)  labels", "scan");
    for case in &found.cases {
        let patients = if patient == 0 { String::new() } else { format!("{:patient$}  ", in_one_line(&case.patient)) };
        let _ = writeln!(text, "{patients}{}", row(case, scan));
    }
    if !found.problems.is_empty() {
        let _ = writeln!(text, "\n{}", plural(found.problems.len(), "problem", "problems"));
    }
    for problem in &found.problems {
        let location = problem.file.as_deref().or(problem.case.as_deref()).unwrap_or("cohort");
        let _ = writeln!(text, "  {}: {}", in_one_line(location), in_one_line(&problem.what));
    }
    text
}

/// The background values and how many images have each, most frequent first.
fn backgrounds(found: &Fingerprint) -> String {
    const MAX_LISTED: usize = 6;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in found.cases.iter().flat_map(|case| case.background.values()) {
        let name = value.map_or_else(|| "not constant".into(), |v| format!("{}", (v * 1e4).round() / 1e4 + 0.0));
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, images)| std::cmp::Reverse(*images));
    let more = counts.len().saturating_sub(MAX_LISTED);
    let mut list: Vec<String> =
        counts.iter().take(MAX_LISTED).map(|(name, images)| format!("{name} ({images})")).collect();
    if more > 0 {
        list.push(format!("{more} other values"));
    }
    if list.is_empty() { "unknown, because no image was read".into() } else { list.join(", ") }
}

/// A name with its control characters escaped: a folder may contain a line break in its name.
fn in_one_line(name: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(escape).collect()
}

fn row(case: &CaseFingerprint, width: usize) -> String {
    let shape = case.shape.map_or_else(|| "-".into(), |s| s.map(|n| n.to_string()).join("x"));
    let spacing = case.spacing_mm.map_or_else(|| "-".into(), |s| s.map(|mm| format!("{mm:.2}")).join(" x "));
    let axes = case.orientation.as_deref().unwrap_or("-");
    let lesion = case.lesion_ml.map_or_else(|| "-".into(), |ml| format!("{ml:.2}"));
    let labels: Vec<String> = case.labels.iter().map(u16::to_string).collect();
    format!(
        "{:width$}  {shape:>13}  {spacing:>18}  {axes:>4}  {lesion:>11}  {}",
        in_one_line(&case.id),
        labels.join(" ")
    )
}
