//! `amlp segment`: segments scans with a fine-tuned network.

mod finished;
mod inputs;
mod output;

use std::path::PathBuf;
use std::time::Instant;

use super::files::{FileFlags, PartialFailure};
use super::{interruptible, print_json, print_line, use_threads};
use crate::cohort::split::Part;
use crate::cohort::{ExcludedScan, ImageFile};
use crate::device::{DeviceChoice, open};
use crate::disk::create_folder;
use crate::event::Control;
use crate::findings::{MinimumSize, remove_smaller_than};
use crate::predict::{Choice, Segmenter};
use crate::volume::LabelVolume;
use crate::volume::nifti::write_f32;
use crate::{Error, ErrorKind, Result};
use finished::FinishedSegmentation;
use inputs::{Inputs, Scan};
use output::{Format, Output};

pub const EXAMPLES: &str = "Examples:
  amlp segment --model runs/fine scan.nii.gz --out masks
  amlp segment --model runs/fine STUDY --series 3 --out masks      (series 3 of a DICOM study)
  amlp segment --model runs/fine STUDY --format seg --out masks    (DICOM in, DICOM SEG out)
  amlp segment --model runs/fine COHORT --out masks                (its own cohort: test patients)
  amlp segment --model runs/fine COHORT --subset all --shard 2/8 --out masks

To continue an interrupted job, run the same command again. Cases that this model has already segmented with the same \
options are skipped; CASE.segmented.json contains the checksums.";

#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Fine-tuned run, or a model of `amlp export`.
    #[arg(long, value_name = "RUN")]
    model: PathBuf,
    /// Scans, folders of scans, or cohorts.
    #[arg(required_unless_present = "cohort")]
    input: Vec<PathBuf>,
    /// Current location of the model's own cohort, if it was moved.
    #[arg(long, value_name = "FOLDER")]
    cohort: Option<PathBuf>,
    /// Segment this series of a DICOM study, by number or UID. 3:2 is the second volume of series 3.
    #[arg(long, value_name = "N|UID", conflicts_with = "cohort")]
    series: Option<String>,
    /// Folder for the masks.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Segment only this part of the run's split: train, val, test or all [default: for the run's own cohort, test and new
    /// patients; else all].
    #[arg(long, value_name = "PART", value_enum)]
    subset: Option<Part>,
    /// File format of the masks.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Nifti)]
    format: Format,
    /// CSV table of coded terms by label name, for a DICOM SEG [default: built in].
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
    /// Also write probability maps.
    #[arg(long)]
    probabilities: bool,
    /// Remove components smaller than this volume in ml.
    #[arg(long, value_name = "ML")]
    min_volume: Option<f64>,
    /// Add this offset to a CT whose values cannot be Hounsfield units; 0: use the values as they are [default: as in the run].
    #[arg(long, value_name = "HU", allow_hyphen_values = true)]
    ct_offset: Option<f64>,
    /// Use the network with the best validation instead of the last.
    #[arg(long)]
    best: bool,
    /// Segment part I of N of the scans, such as 2/8, for job arrays.
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    shard: Option<(usize, usize)>,
    /// Segment finished cases again.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    files: FileFlags,
    /// Device: auto, cpu, wgpu[:i] or cuda[:i].
    #[arg(long, value_name = "D", default_value = "auto")]
    device: DeviceChoice,
    /// CPU threads; 0: all cores.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn parse_shard(text: &str) -> std::result::Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i, n)),
        _ => Err("expected i/n with i from 1 to n".into()),
    }
}

/// Indices of the scans of job `i` (from 1) of `n`: every n-th of `count`. Neighbouring scans are often of similar size, so
/// this balances the jobs.
fn part_of(count: usize, (i, n): (usize, usize)) -> impl Iterator<Item = usize> {
    (i - 1..count).step_by(n)
}

#[derive(serde::Serialize)]
struct SegmentedScan {
    case: String,
    mask: PathBuf,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probability: Vec<PathBuf>,
    volume_ml: f64,
    seconds: f64,
    /// True if an earlier call segmented it.
    skipped: bool,
    /// Irregularities of the scan, such as uneven slices, and changes that the format of the mask required.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    use_threads(args.threads)?;
    let control = interruptible()?;
    let compute = open(args.device)?;
    let choice = if args.best { Choice::Best } else { Choice::Last };
    let mut segmenter = Segmenter::load(&args.model, choice, &compute)?;
    if let Some(hu) = args.ct_offset {
        segmenter = segmenter.with_ct_offset(hu);
        segmenter.config().preprocess.check()?;
    }
    for warning in segmenter.warnings() {
        eprintln!("warning: {warning}");
    }
    let Inputs { mut scans, mut left_out, notes } = Inputs::find(args, segmenter.config())?;
    for note in notes {
        eprintln!("amlp: {note}");
    }
    args.files.report(scans.len(), &left_out, &[])?;
    if scans.is_empty() && left_out.is_empty() {
        anyhow::bail!("no scan to segment. --subset all segments all patients");
    }
    if let Some(shard) = args.shard {
        scans = part_of(scans.len(), shard).map(|at| scans[at].clone()).collect();
    }
    create_folder(&args.out)?;
    let output = Output::new(args.format, args.terms.as_ref(), &args.model, &segmenter)?;
    let mut options = format!("probabilities {}, min_volume {:?}", args.probabilities, args.min_volume);
    if let Some(hu) = args.ct_offset {
        options += &format!(", ct_offset {hu}");
    }
    options += &output.described;
    let mut done = Vec::new();
    for scan in &scans {
        control.check()?;
        let segmented = match finished(args, scan, &segmenter, &output, &options) {
            Some(case) => Ok(case),
            None => segment(args, scan, &segmenter, &output, &options, &control),
        };
        let case = match segmented {
            Ok(case) => case,
            Err(error) if args.files.strict || stops(&error) => return Err(error.into()),
            Err(error) => {
                eprintln!("amlp: {}: {error}", scan.case);
                left_out.push(ExcludedScan::new(&scan.case, error.to_string()));
                continue;
            }
        };
        for warning in &case.warnings {
            eprintln!("warning: {}: {warning}", scan.case);
        }
        if !args.json {
            let (mask, volume_ml) = (case.mask.display(), case.volume_ml);
            let how = if case.skipped { "finished before".into() } else { format!("in {:.1} s", case.seconds) };
            print_line(&format!("{}: {volume_ml:.1} ml {how} -> {mask}", scan.case))?;
        }
        done.push(case);
    }
    if args.json {
        print_json(&serde_json::json!({
            "model": args.model, "checkpoint": choice, "device": compute.name, "cases": &done, "left_out": &left_out
        }))?;
    }
    PartialFailure::check(done.len(), left_out)
}

/// True for an error that would affect the next scan too.
fn stops(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Device { .. } | ErrorKind::DeviceLost { .. })
}

/// The result of an earlier call, if nothing has changed since.
fn finished(args: &Args, scan: &Scan, segmenter: &Segmenter, output: &Output, options: &str) -> Option<SegmentedScan> {
    if args.again {
        return None;
    }
    let started = Instant::now();
    let record = FinishedSegmentation::find(scan, segmenter.digest(), options, &args.out)?;
    let [mask, probability @ ..] = &*output_names(args, scan, segmenter, output) else { return None };
    Some(SegmentedScan {
        case: record.case,
        mask: args.out.join(mask),
        probability: probability.iter().map(|name| args.out.join(name)).collect(),
        volume_ml: record.volume_ml,
        seconds: started.elapsed().as_secs_f64(),
        skipped: true,
        warnings: Vec::new(),
    })
}

/// File names of a case's outputs: the mask, then with --probabilities one probability per region.
fn output_names(args: &Args, scan: &Scan, segmenter: &Segmenter, output: &Output) -> Vec<String> {
    let mut names = vec![output.name(&scan.case)];
    if args.probabilities {
        let regions = segmenter.config().data.targets.names();
        names.extend(regions.iter().map(|region| {
            let suffix = if regions.len() == 1 { "prob".to_string() } else { format!("prob_{region}") };
            format!("{}_{suffix}.nii.gz", scan.case)
        }));
    }
    names
}

/// Segments one scan and writes its outputs atomically, then the record that the case is finished.
fn segment(
    args: &Args,
    scan: &Scan,
    segmenter: &Segmenter,
    output: &Output,
    options: &str,
    control: &Control,
) -> Result<SegmentedScan> {
    let started = Instant::now();
    // Fail before the network runs if the result could not be written.
    let series = output.source(scan)?;
    let images = scan.images.iter().map(ImageFile::read).collect::<Result<Vec<_>>>()?;
    let mut result = segmenter.segment(&images, &mut |_| {}, control)?;
    if let Some(ml) = args.min_volume {
        result.label = without_small(&result.label, ml)?;
    }
    let Some(source) = images.first() else { return Err(Error::config("input", &scan.case, "it has no image")) };
    let names = output_names(args, scan, segmenter, output);
    let mask = args.out.join(&names[0]);
    let mut warnings: Vec<String> = images.iter().flat_map(|image| image.warnings.iter().cloned()).collect();
    warnings.extend(output.write(&mask, &result.label, source, series.as_ref())?);
    let mut probability = Vec::new();
    for (field, name) in result.probability.into_iter().zip(&names[1..]) {
        let path = args.out.join(name);
        write_f32(&path, &field, source)?;
        probability.push(path);
    }
    let voxels = (0..source.grid.len()).filter(|&i| result.label.get(i) > 0).count();
    let volume_ml = voxels as f64 * source.grid.voxel_volume_ml();
    FinishedSegmentation::of(scan, segmenter.digest(), options, (&args.out, &names), volume_ml)?.write(&args.out)?;
    let (case, seconds) = (scan.case.clone(), started.elapsed().as_secs_f64());
    Ok(SegmentedScan { case, mask, probability, volume_ml, seconds, skipped: false, warnings })
}

/// Removes components smaller than `ml` ml. Components are those of all labels together.
fn without_small(label: &LabelVolume, ml: f64) -> Result<LabelVolume> {
    let mut kept: Vec<bool> = (0..label.grid.len()).map(|i| label.get(i) > 0).collect();
    remove_smaller_than(&mut kept, &label.grid, MinimumSize::Ml(ml))?;
    let values: Vec<u16> = kept.iter().enumerate().map(|(i, &kept)| if kept { label.get(i) } else { 0 }).collect();
    LabelVolume::new(label.grid.clone(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Every scan is in exactly one part, and the sizes of the parts differ by at most one.
        #[test]
        fn the_parts_of_a_job_array_are_the_whole(count in 0_usize..200, n in 1_usize..40) {
            let parts: Vec<Vec<usize>> = (1..=n).map(|i| part_of(count, (i, n)).collect()).collect();
            let mut all = parts.concat();
            all.sort_unstable();
            proptest::prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            let sizes = || parts.iter().map(Vec::len);
            proptest::prop_assert!(sizes().max().unwrap_or(0) - sizes().min().unwrap_or(0) <= 1);
        }
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!(parse_shard("2/8"), Ok((2, 8)));
        for text in ["0/8", "9/8", "2", "a/b", ""] {
            assert!(parse_shard(text).is_err(), "{text}");
        }
    }
}
