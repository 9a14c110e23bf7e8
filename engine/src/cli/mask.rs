//! `amlp mask`: shows how one slice is cut into patches, clustered and masked.

use std::path::PathBuf;

use super::masks::MaskFlags;
use super::recipe::DrawFlags;
use crate::cluster::{ClusterConfig, Clustering, ForegroundRule, Method};
use crate::cohort::ImageFile;
use crate::config::MaskConfig;
use crate::disk::atomic::write_atomic;
use crate::draw::{Canvas, Mark, Panel, Row, SliceView, colour, percentile_window, sheet};
use crate::inspect::{InspectedCase, InspectedSlice, MaskReport, MaskSettings, Masking, Sigma, kind_of};
use crate::patch::PatchGrid;
use crate::preprocess::{PreprocessConfig, Spacing};
use crate::pretrain::amlp::amr::MaskRatio;
use crate::pretrain::amlp::mps::Order;
use crate::volume::LabelVolume;
use crate::{Error, Result};
use clap::ValueEnum;

pub const EXAMPLES: &str = "Examples:
  amlp mask patient/flair.nii.gz --slice 20 --sigma 0.5 --out slice.png
  amlp mask patient/pet.nii.gz --slice 30 --foreground brighter --label patient/seg.nii.gz --json
  amlp mask patient/ct.nii.gz --slice 30 --epoch 100 --epochs 800 --spacing native --size 144

With --epoch, the masking ratio follows the adaptive schedule from 0.25 in the first epoch to 0.9 in the last.

Patch index = (i div q) * grid + (j div q), with i towards the patient's right, j towards the front, and q pixels \
per patch.";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scan, NIfTI or DICOM.
    volume: PathBuf,
    /// Slice as stored in the file, counted from 0, along the axis nearest to head-foot.
    #[arg(long, value_name = "K")]
    slice: usize,
    /// Masking ratio: fraction of masked patches, 0 to 1.
    #[arg(long, value_name = "S", default_value_t = 0.5, conflicts_with_all = ["epoch", "epochs"])]
    sigma: f64,
    /// Use the masking ratio of this epoch, counted from 1, in a run of --epochs epochs.
    #[arg(long, value_name = "E", requires = "epochs")]
    epoch: Option<usize>,
    /// Length of the run for --epoch.
    #[arg(long, value_name = "N", requires = "epoch")]
    epochs: Option<usize>,
    /// Order in which patches are masked.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    order: Order,
    #[command(flatten)]
    draw: DrawFlags,
    /// Which cluster is the foreground.
    #[arg(long, value_name = "RULE", value_enum, default_value_t)]
    foreground: ForegroundRule,
    /// Leave patches of air out of the clustering.
    #[arg(long)]
    tissue_only: bool,
    /// Clustering method.
    #[arg(long, value_name = "METHOD", value_enum, default_value_t)]
    clustering: Method,
    /// Side of the crop in pixels.
    #[arg(long, value_name = "PX", default_value_t = 160)]
    size: usize,
    /// Number of patches along the side of the crop.
    #[arg(long, value_name = "N", default_value_t = 16)]
    grid: usize,
    /// Spacing: iso (1 mm), native, or three numbers in mm such as 1,1,3.
    #[arg(long, value_name = "MM", default_value = "iso")]
    spacing: Spacing,
    /// Frame of a 4-D scan, counted from 0.
    #[arg(long, value_name = "N")]
    frame: Option<usize>,
    /// Lesion mask; the report then includes recall.
    #[arg(long, value_name = "SEG")]
    label: Option<PathBuf>,
    #[command(flatten)]
    masks: MaskFlags,
    /// Modality; ct selects the preprocessing of CT [default: from the file name, then from the values].
    #[arg(long, value_name = "M")]
    modality: Option<String>,
    /// Seed of the clustering and of random masks.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write an image of the slice, its patch categories and the masked slice.
    #[arg(long, value_name = "PNG")]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    let (slice, warnings) = load(args)?;
    let found = slice.cluster(&settings)?;
    let masking = slice.mask(&found, &settings)?;
    if let Some(path) = &args.out {
        write_atomic(path, &picture(args, &slice, &found, &masking).to_png()?)?;
    }
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let report = slice.report(&found, &masking);
    if args.json {
        super::print_line(&serde_json::to_string(&report)?)
    } else {
        super::print_text(&summary(&report, args))
    }
}

impl Args {
    /// The masking ratio: `--sigma`, or the ratio of `--epoch`.
    fn sigma(&self) -> Result<Sigma> {
        match (self.epoch, self.epochs) {
            (Some(epoch), Some(epochs)) if (1..=epochs).contains(&epoch) => {
                Ok(Sigma::Epoch { epoch, epochs, ratio: MaskRatio::default() })
            }
            (Some(epoch), Some(epochs)) => Err(Error::config("--epoch", epoch, format!("must be 1 to {epochs}"))),
            _ if (0.0..=1.0).contains(&self.sigma) => Ok(Sigma::Fixed(self.sigma)),
            _ => Err(Error::config("--sigma", self.sigma, "must be 0 to 1")),
        }
    }

    fn settings(&self) -> Result<MaskSettings> {
        let cluster = ClusterConfig {
            method: self.clustering,
            foreground: self.foreground,
            tissue_only: self.tissue_only,
            ..ClusterConfig::default()
        };
        let mut mask = MaskConfig::default();
        self.draw.apply(&mut mask);
        Ok(MaskSettings { cluster, order: self.order, mask, sigma: self.sigma()?, seed: self.seed })
    }
}

/// Reads and preprocesses the scan; returns the slice, and the warnings of its files and preprocessing.
fn load(args: &Args) -> Result<(InspectedSlice, Vec<String>)> {
    // Refuse an impossible grid before reading any file.
    PatchGrid::new(args.size, args.grid)?;
    let image = ImageFile::with_frame(args.volume.clone(), args.frame).read()?;
    let mut warnings = image.warnings.clone();
    let label = match &args.label {
        Some(path) => {
            let mask = LabelVolume::read_frame_for(path, &image, args.frame.unwrap_or(0), &args.masks.options())?;
            warnings.extend(mask.notes);
            Some(mask.labels)
        }
        None => None,
    };
    let name = args.volume.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = kind_of(&name, args.modality.as_deref(), &image);
    let config = PreprocessConfig { spacing: args.spacing, size: args.size, ..PreprocessConfig::default() };
    let case = InspectedCase::prepare(&[image], &[kind], label.as_ref(), &config, args.seed)?;
    warnings.extend_from_slice(case.warnings());
    let slices = case.file_slices();
    if args.slice >= slices {
        return Err(Error::config("--slice", args.slice, format!("the file has slices 0 to {}", slices - 1)));
    }
    Ok((case.slice(args.slice, args.grid)?, warnings))
}

/// The report as text.
fn summary(report: &MaskReport, args: &Args) -> String {
    use std::fmt::Write;
    let count = |values: usize| format!("{values} of {}", report.labels.len());
    let foreground = report.labels.iter().map(|label| usize::from(*label)).sum();
    let masked = report.masked.iter().filter(|masked| **masked).count();
    let percent = |share: Option<f64>| share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "slice        {} of the file, {} of the preprocessed scan ({} mm)",
        report.slice,
        report.preprocessed_slice,
        report.crop.spacing_mm.map(|mm| format!("{mm:.2}")).join(" x "),
    );
    let _ = writeln!(
        text,
        "crop         {0} x {0} px from ({1}, {2}), {3} x {3} patches",
        report.crop.size, report.crop.origin[0], report.crop.origin[1], report.grid
    );
    let air = if args.tissue_only { ", tissue only" } else { "" };
    let _ = writeln!(
        text,
        "foreground   {} patches ({}; {}{air}), air in it {}",
        count(foreground),
        name_of(&args.clustering),
        name_of(&args.foreground),
        percent(report.air_share)
    );
    let order = name_of(&args.order);
    let _ = writeln!(text, "masked       {} patches (sigma {:.3}, {})", count(masked), report.sigma, order);
    if args.label.is_some() {
        let _ = writeln!(
            text,
            "lesion       recall of the foreground {}, of the masked set {}",
            percent(report.lesion_recall_foreground),
            percent(report.lesion_recall_masked)
        );
    }
    text
}

/// The name that a value has on the command line.
fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

/// The slice, its categories and the masked image side by side.
fn picture(args: &Args, slice: &InspectedSlice, found: &Clustering, masking: &Masking) -> Canvas {
    let masked = masking.masked.as_slice();
    let (size, grid) = (slice.grid.size(), &slice.grid);
    let view = SliceView::new(0, 0, [size, size], (480 / size).clamp(1, 8));
    let tissue: Vec<f32> = {
        let air = grid.spread(&slice.air);
        slice.pixels.iter().zip(air).filter(|(_, air)| !air).map(|(v, _)| *v).collect()
    };
    let window = percentile_window(if tissue.is_empty() { &slice.pixels } else { &tissue }, 0.5, 99.5);
    let show = |pixels: &[f32]| {
        let mut canvas = Canvas::new(view.rect.w as usize, view.rect.h as usize);
        canvas.blit_slice(&view, pixels, window, false);
        canvas
    };
    let mut plain = show(&slice.pixels);
    if let Some(lesion) = &slice.lesion_pixels {
        plain.contour(&view, lesion, colour::TRUE_POSITIVE, 1, false);
    }
    plain.side_letters(&view, colour::FAINT);
    let mut categories = show(&slice.pixels);
    categories.categories(&view, grid, &found.labels);
    let mut input = slice.pixels.clone();
    grid.paint(&mut input, 1, masked, 0.0);
    let mut input = show(&input);
    input.hatch_patches(&view, grid, masked);
    let count = |hits: usize| format!("{hits} of {}", masked.len());
    let hidden = count(masked.iter().filter(|masked| **masked).count());
    let foreground = count(found.labels.iter().map(|label| usize::from(*label)).sum());
    let outlined = if slice.lesion_pixels.is_some() { ", lesion of the label outlined" } else { "" };
    let panels = vec![
        Panel::new(format!("Slice {} (preprocessed {}){outlined}", args.slice, slice.prepared_slice), plain),
        Panel::new(format!("Categories: {foreground} patches foreground"), categories),
        Panel::new(format!("Masked image: {hidden} patches, sigma {:.3}", masking.sigma), input),
    ];
    let settings = format!(
        "Clustering {}, foreground {}, order {}. Masked patches are hatched and set to 0.",
        name_of(&args.clustering),
        name_of(&args.foreground),
        name_of(&args.order)
    );
    let legend = [
        (Mark::Patch(colour::LESION, "1"), "foreground (lesion)".to_string()),
        (Mark::Patch(colour::BACKGROUND, "0"), "background".to_string()),
        (Mark::None, settings),
    ];
    sheet("", &[Row { heading: String::new(), panels }], &legend)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;
    use glam::{DAffine3, DMat3, DVec3};

    use super::*;
    use crate::volume::Volume;
    use crate::volume::{Grid, nifti};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Args {
        Line::try_parse_from(std::iter::once("mask").chain(line.split_whitespace())).unwrap().args
    }

    /// A scan stored L, P, I with a bright box; its label is the box. Returns the report on file slice `k`.
    fn report_on(k: usize, more: &str) -> MaskReport {
        let folder = tempfile::tempdir().unwrap();
        let turned = DMat3::from_diagonal(DVec3::new(-1.0, -1.0, -1.0));
        let grid = Grid::new([32, 32, 5], DAffine3::from_mat3_translation(turned, DVec3::new(10.0, 20.0, 30.0)));
        let inside = |at: usize| (4..12).contains(&(at % 32)) && (8..16).contains(&(at / 32 % 32)) && at / 1024 == 1;
        let value = |at: usize| if inside(at) { 900.0 } else { 100.0 + (at * 7 % 13) as f32 };
        let image = Volume::from_f32(grid.clone(), (0..grid.len()).map(value).collect());
        let label = LabelVolume::new(grid.clone(), (0..grid.len()).map(|at| u8::from(inside(at))).collect::<Vec<u8>>());
        let (scan, mask) = (folder.path().join("flair.nii.gz"), folder.path().join("seg.nii.gz"));
        nifti::write_volume(&scan, &image).unwrap();
        nifti::write_label(&mask, &label.unwrap(), &image).unwrap();
        let line = format!("{} --slice {k} --label {} --size 32 --grid 8 {more}", scan.display(), mask.display());
        let args = parse(&line);
        let (settings, (slice, _)) = (args.settings().unwrap(), load(&args).unwrap());
        let found = slice.cluster(&settings).unwrap();
        let masking = slice.mask(&found, &settings).unwrap();
        assert!(picture(&args, &slice, &found, &masking).to_png().unwrap().starts_with(b"\x89PNG"));
        slice.report(&found, &masking)
    }

    #[test]
    fn patches_follow_the_patient_not_the_file() {
        let report = report_on(1, "--sigma 0.0625");
        assert_eq!((report.slice, report.preprocessed_slice, report.masked.len()), (1, 3, 64));
        // File i 4..12 runs to the left: R 20..28; file j 8..16 runs back: A 16..24.
        let expected: Vec<usize> = (0..64).filter(|p| (5..7).contains(&(p / 8)) && (4..6).contains(&(p % 8))).collect();
        let labelled: Vec<usize> = (0..64).filter(|p| report.labels[*p] == 1).collect();
        assert_eq!(labelled, expected);
        assert_eq!((0..64).filter(|p| report.masked[*p]).collect::<Vec<_>>(), expected);
        assert_eq!((report.lesion_recall_foreground, report.lesion_recall_masked), (Some(1.0), Some(1.0)));
        assert_eq!((report.air_share, report.crop.source_shape, report.crop.origin), (Some(0.0), [32, 32, 5], [0, 0]));
        // Crop voxel (31, 31, 4) is file voxel (0, 0, 0).
        let at = |row: usize| {
            let a = &report.crop.affine[row * 4..row * 4 + 4];
            31.0 * a[0] + 31.0 * a[1] + 4.0 * a[2] + a[3]
        };
        for (row, expected) in [10.0, 20.0, 30.0].into_iter().enumerate() {
            assert!((at(row) - expected).abs() < 1e-4, "{row}");
        }
        assert!(report_on(4, "").lesion_recall_masked.is_none(), "a slice without lesion");
    }

    #[test]
    fn hints_units_and_temperature_affect_the_masked_patches() {
        let masked = |report: &MaskReport| report.masked.iter().filter(|masked| **masked).count();
        let hinted = report_on(1, "--sigma 0.9 --hints 0.5");
        assert!(hinted.lesion_recall_masked.unwrap() <= 0.5, "half of the foreground stays visible");
        let units = report_on(1, "--sigma 0.5 --unit 8");
        assert_eq!(masked(&units), 32);
        for corner in (0..64).filter(|p| p / 8 % 2 == 0 && p % 2 == 0) {
            let unit = [corner, corner + 1, corner + 8, corner + 9].map(|p| units.masked[p]);
            assert_eq!(unit, [unit[0]; 4], "whole units of 2 x 2 patches");
        }
        let drawn = report_on(1, "--temperature 1e6 --sigma 0.1");
        assert_ne!(drawn.masked, report_on(1, "--sigma 0.1").masked, "at a high temperature, any patch may come first");
    }

    #[test]
    fn sigma_is_fixed_or_that_of_an_epoch() {
        let sigma = |more: &str| parse(&format!("scan.nii --slice 0{more}")).sigma()?.value();
        assert!((sigma("").unwrap() - 0.5).abs() < 1e-12);
        assert!((sigma(" --epoch 1 --epochs 9").unwrap() - 0.25).abs() < 1e-12);
        assert!((sigma(" --epoch 9 --epochs 9").unwrap() - 0.9).abs() < 1e-12);
        for wrong in [" --sigma 1.1", " --sigma nan", " --epoch 0 --epochs 9", " --epoch 10 --epochs 9"] {
            assert!(sigma(wrong).is_err(), "{wrong}");
        }
    }
}
