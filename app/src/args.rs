//! The command line of the window.

use std::path::PathBuf;

use clap::Parser;
use engine::preprocess::LabelMap;

use crate::state::{Mode, Request};
use crate::theme::Theme;

/// Review lesion segmentations, and watch AMLP mask and relabel patches while it trains.
///
/// Research use only. Not a medical device.
#[derive(Clone, Debug, Default, PartialEq, Parser)]
#[command(name = "amlp-viewer", version, after_help = EXAMPLES)]
pub struct Args {
    /// Scans of one patient (NIfTI or DICOM), a patient folder, a cohort folder, or a folder, zip archive or DICOMDIR
    /// of studies
    #[arg(value_name = "FILES|FOLDER")]
    pub paths: Vec<PathBuf>,
    /// Segmentation to review
    #[arg(long, value_name = "F", requires = "paths")]
    pub mask: Option<PathBuf>,
    /// Reference segmentation to compare with
    #[arg(long, value_name = "F", requires = "paths")]
    pub truth: Option<PathBuf>,
    /// Probability map of the network
    #[arg(long, value_name = "F", requires = "paths")]
    pub probability: Option<PathBuf>,
    /// Meaning of the label values, such as 1=core,2=oedema,3=enhancing,4=other [default: from dseg.tsv or
    /// dataset.json, else a guess]
    #[arg(long, value_name = "MAP")]
    pub label_map: Option<LabelMap>,
    /// Run folder to show in Train mode and to segment with
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// Mode to start in
    #[arg(long, value_enum, default_value_t)]
    pub mode: ModeArg,
    /// Slice to show: index as stored, from 0, along the axis nearest to S-I
    #[arg(long, value_name = "K", requires = "paths")]
    pub slice: Option<usize>,
    /// Folder of runs [default: the last one used, at first ~/amlp-runs]
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// Epoch to show, from 1
    #[arg(long, value_name = "E")]
    pub epoch: Option<usize>,
    /// Theme [default: the last one used, at first dark]
    #[arg(long, value_enum)]
    pub theme: Option<ThemeArg>,
    /// Window size in points
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<[f32; 2]>,
    /// Save a screenshot once all jobs are done, then exit
    #[arg(long, value_name = "PNG")]
    pub screenshot: Option<PathBuf>,
    /// Save the displayed state as JSON once all jobs are done, then exit
    #[arg(long, value_name = "JSON")]
    pub state: Option<PathBuf>,
    /// Run the full pipeline live on the sample study: pre-train, fine-tune, segment, step through the findings
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
  amlp-viewer patient/flair.nii.gz --mask prediction.nii.gz --truth patient/seg.nii.gz
  amlp-viewer cohort-folder
  amlp-viewer --mode train cohort-folder --workspace runs
  amlp-viewer scan.nii.gz --screenshot scan.png --state scan.json

With --screenshot or --state the exit code is 1 if an error is shown.";

/// [`Mode`] on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ModeArg {
    /// A case, its segmentation and every finding on it.
    #[default]
    Review,
    /// How patches are clustered and masked.
    Masking,
    /// Pre-training and fine-tuning.
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

    #[test]
    fn masks_on_the_command_line_belong_to_the_files() {
        let args = Args::try_parse_from(["amlp-viewer", "a.nii.gz", "b.nii.gz", "--mask", "m.nii", "--slice", "4"]);
        let request = args.unwrap().request().unwrap();
        assert_eq!(request.paths.len(), 2);
        assert_eq!(request.segmentation, Some("m.nii".into()));
        assert_eq!(request.slice, Some(4));
        assert!(!Args::try_parse_from(["amlp-viewer", "a.nii"]).unwrap().request().unwrap().names_something());
        assert_eq!(Args::try_parse_from(["amlp-viewer"]).unwrap().request(), None);
        assert!(Args::try_parse_from(["amlp-viewer", "--mask", "m.nii"]).is_err(), "a mask of nothing");
    }
}
