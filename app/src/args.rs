//! The command line of the window.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PathBufValueParser, TypedValueParser};
use engine::preprocess::LabelMap;

use crate::state::{Mode, Request};
use crate::theme::Theme;
use crate::worker::dialog::absolute_path;

/// Review and correct lesion segmentations, and train and inspect AMLP networks.
///
/// Research use only. Not a medical device.
#[derive(Clone, Debug, Default, PartialEq, Parser)]
#[command(name = "amlp-viewer", version, after_help = EXAMPLES)]
pub struct Args {
    /// Scans of one patient (NIfTI or DICOM), a patient folder, a cohort, or DICOM studies (a folder, zip archive or
    /// DICOMDIR)
    #[arg(value_name = "FILES|FOLDER", value_parser = absolute())]
    pub paths: Vec<PathBuf>,
    /// Segmentation to review
    #[arg(long, value_name = "F", requires = "paths", value_parser = absolute())]
    pub mask: Option<PathBuf>,
    /// Reference segmentation to compare with
    #[arg(long, value_name = "F", requires = "paths", value_parser = absolute())]
    pub truth: Option<PathBuf>,
    /// Probability map of the network
    #[arg(long, value_name = "F", requires = "paths", value_parser = absolute())]
    pub probability: Option<PathBuf>,
    /// Meaning of the label values, such as 1=core,2=oedema,3=enhancing,4=other [default: from dseg.tsv or
    /// dataset.json, else a guess]
    #[arg(long, value_name = "MAP")]
    pub label_map: Option<LabelMap>,
    /// Run folder to show on the Train timeline; Masking and Segment now use its network
    #[arg(long, value_name = "RUN", value_parser = absolute())]
    pub run: Option<PathBuf>,
    /// Mode at start
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub mode: ModeArg,
    /// Slice to show, as stored in the file, counted from 0, along the axis nearest to head-foot
    #[arg(long, value_name = "K", requires = "paths")]
    pub slice: Option<usize>,
    /// Folder of the runs [default: the last one used, at first ~/amlp-runs]
    #[arg(long, value_name = "DIR", value_parser = absolute())]
    pub workspace: Option<PathBuf>,
    /// Epoch to show, counted from 1
    #[arg(long, value_name = "E")]
    pub epoch: Option<usize>,
    /// Theme [default: the last one used, at first dark]
    #[arg(long, value_name = "THEME", value_enum)]
    pub theme: Option<ThemeArg>,
    /// Window size in points
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<[f32; 2]>,
    /// Write a screenshot when all jobs are done, then exit
    #[arg(long, value_name = "PNG")]
    pub screenshot: Option<PathBuf>,
    /// Write the displayed state as JSON when all jobs are done, then exit
    #[arg(long, value_name = "JSON")]
    pub state: Option<PathBuf>,
    /// Run the full pipeline live on the sample study: pre-train, fine-tune, segment, review
    #[arg(long)]
    pub demo: bool,
    /// Steps of each run of the demo
    #[arg(long, value_name = "N", requires = "demo", hide = true)]
    pub demo_steps: Option<usize>,
    /// Session saved by a restart; replaces all other arguments
    #[arg(long, value_name = "JSON", hide = true)]
    pub session: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  amlp-viewer p01/flair.nii.gz --mask seg.nii.gz --truth p01/seg.nii.gz
  amlp-viewer patients
  amlp-viewer patients --mode train --workspace runs
  amlp-viewer scan.nii.gz --screenshot scan.png --state scan.json

With --screenshot or --state, the exit code is 1 if an error was displayed.";

/// [`Mode`] on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    /// Review a case: segmentation, findings, correction.
    #[default]
    Review,
    /// Show how patches are clustered and masked.
    Masking,
    /// Pre-train and fine-tune networks.
    Train,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Review => Self::Review,
            ModeArg::Masking => Self::Masking,
            ModeArg::Train => Self::Train,
        }
    }
}

/// [`Theme`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ThemeArg {
    /// For a dark room.
    Dark,
    /// For a bright room.
    Light,
}

impl From<ThemeArg> for Theme {
    fn from(theme: ThemeArg) -> Self {
        match theme {
            ThemeArg::Dark => Self::Dark,
            ThemeArg::Light => Self::Light,
        }
    }
}

fn absolute() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(absolute_path)
}

fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    parsed
        .filter(|[w, h]: &[f32; 2]| *w >= 1.0 && *h >= 1.0 && *w <= 16384.0 && *h <= 16384.0)
        .ok_or_else(|| format!("{text}: expected WIDTHxHEIGHT in points, such as 1280x800"))
}

impl Args {
    /// True if the program writes its output and exits.
    pub fn is_report(&self) -> bool {
        self.screenshot.is_some() || self.state.is_some()
    }

    /// The request, if options name files or one patient's folder with masks.
    pub fn request(&self) -> Option<Request> {
        (!self.paths.is_empty()).then(|| Request {
            paths: self.paths.clone(),
            segmentation: self.mask.clone(),
            reference: self.truth.iter().cloned().collect(),
            probability: self.probability.clone(),
            slice: self.slice,
            ..Request::default()
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert_eq!(parse_size("1280x800"), Ok([1280.0, 800.0]));
        for bad in ["1280", "1280x", "0x4", "-1x5", "axb", "1e9x4", "NaNx4"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    /// The journal of unsaved edits and the recent files named paths that only the same working folder could resolve.
    #[test]
    fn paths_of_the_command_line_are_absolute() {
        let folder = std::env::current_dir().unwrap();
        let line = ["amlp-viewer", "cohort", "--run", "runs/a", "--workspace", "runs"];
        let args = Args::try_parse_from(line).unwrap();
        assert_eq!(args.paths, [folder.join("cohort")]);
        assert_eq!((args.run, args.workspace), (Some(folder.join("runs/a")), Some(folder.join("runs"))));
        let elsewhere = std::env::temp_dir().join("scan.nii");
        let args = Args::try_parse_from(["amlp-viewer".as_ref(), elsewhere.as_os_str()]).unwrap();
        assert_eq!(args.paths, [elsewhere]);
    }

    #[test]
    fn masks_on_the_command_line_belong_to_the_files() {
        let args = Args::try_parse_from(["amlp-viewer", "a.nii.gz", "b.nii.gz", "--mask", "m.nii", "--slice", "4"]);
        let request = args.unwrap().request().unwrap();
        assert_eq!(request.paths.len(), 2);
        assert_eq!(request.segmentation, Some(std::env::current_dir().unwrap().join("m.nii")));
        assert_eq!(request.slice, Some(4));
        assert!(!Args::try_parse_from(["amlp-viewer", "a.nii"]).unwrap().request().unwrap().has_more_than_images());
        assert_eq!(Args::try_parse_from(["amlp-viewer"]).unwrap().request(), None);
        assert!(Args::try_parse_from(["amlp-viewer", "--mask", "m.nii"]).is_err(), "a mask of nothing");
    }
}
