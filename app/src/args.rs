//! The command line of the window.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum as _};

use crate::scene::{DisplayGrid, PlaneMode};
use crate::state::{Document, MaskLayer, Mode, State};
use crate::theme::Theme;
use crate::worker::open::Request;

/// Review lesion segmentations, and watch AMLP mask and relabel patches while it trains.
///
/// Research use only. Not a medical device.
#[derive(Clone, Debug, Default, PartialEq, Parser)]
#[command(name = "amlp-viewer", version, after_help = EXAMPLES)]
pub struct Args {
    /// Scans of one patient (.nii, .nii.gz, .hdr), or one folder: a patient or a cohort
    #[arg(value_name = "FILES|FOLDER")]
    pub paths: Vec<PathBuf>,
    /// The automatic segmentation
    #[arg(long, value_name = "F", requires = "paths")]
    pub mask: Option<PathBuf>,
    /// The reference segmentation
    #[arg(long, value_name = "F", requires = "paths")]
    pub truth: Option<PathBuf>,
    /// The network's probability
    #[arg(long, value_name = "F", requires = "paths")]
    pub probability: Option<PathBuf>,
    /// A run folder: shown on the timeline of Train mode; its network is used to segment
    #[arg(long, value_name = "RUN")]
    pub run: Option<PathBuf>,
    /// What the window shows first
    #[arg(long, value_enum, default_value_t)]
    pub mode: ModeArg,
    /// The file's own slice, from 0, along its axis nearest to S-I
    #[arg(long, value_name = "K", requires = "paths")]
    pub slice: Option<usize>,
    /// The folder in which runs are kept; by default as last time, at first amlp-runs in the home folder
    #[arg(long, value_name = "DIR")]
    pub workspace: Option<PathBuf>,
    /// The epoch that is shown, from 1
    #[arg(long, value_name = "E")]
    pub epoch: Option<usize>,
    /// Colours of the window; by default as last time, at first dark
    #[arg(long, value_enum)]
    pub theme: Option<ThemeArg>,
    /// Size of the window in points
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<[f32; 2]>,
    /// Wait until nothing is being done, write what is shown, and end
    #[arg(long, value_name = "PNG")]
    pub screenshot: Option<PathBuf>,
    /// Wait until nothing is being done, write what is shown in numbers, and end
    #[arg(long, value_name = "JSON")]
    pub state: Option<PathBuf>,
    /// The whole job on the sample study, live: pre-train, relabel, fine-tune, segment, and step through the findings
    #[arg(long)]
    pub demo: bool,
    /// Steps of each training of the demonstration
    #[arg(long, value_name = "N", requires = "demo", hide = true)]
    pub demo_steps: Option<usize>,
    /// The view that the program showed before it started itself anew; taken in place of everything else that is named
    #[arg(long, value_name = "JSON", hide = true)]
    pub view: Option<PathBuf>,
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

impl From<Mode> for ModeArg {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Review => Self::Review,
            Mode::Masking => Self::Masking,
            Mode::Train => Self::Train,
        }
    }
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
    /// For a bright one.
    Light,
}

impl From<Theme> for ThemeArg {
    fn from(theme: Theme) -> Self {
        match theme {
            Theme::Dark => Self::Dark,
            Theme::Light => Self::Light,
        }
    }
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
    /// True if the program writes what it shows and ends.
    pub fn is_report(&self) -> bool {
        self.screenshot.is_some() || self.state.is_some()
    }

    /// The command line that shows what `state` shows, as far as one can say it.
    pub fn of(state: &State) -> Self {
        // Train mode takes a folder as its cohort; elsewhere files can be named, and what belongs to them.
        let cohort = state.train.cohort.folder().filter(|_| state.mode == Mode::Train);
        let document = state.document.as_ref().filter(|_| cohort.is_none());
        let mut paths: Vec<PathBuf> = document.iter().flat_map(|d| &d.images).map(|image| image.path.clone()).collect();
        if paths.is_empty() {
            paths.extend(cohort.or_else(|| state.cases.root.clone()));
        }
        let file = |mask: Option<&MaskLayer>| mask.and_then(|mask| mask.path.clone());
        let run = state.timeline.shown();
        Self {
            mask: file(document.and_then(|d| d.prediction.as_ref())),
            truth: file(document.and_then(|d| d.truth.as_ref())),
            probability: document.and_then(|d| d.probability.as_ref()).and_then(|p| p.path.clone()),
            slice: document.and_then(|document| base_slice(state, document)),
            paths,
            run: run.map(|run| run.path.clone()).or_else(|| state.run.clone()),
            epoch: run.and_then(|run| run.cursor),
            mode: state.mode.into(),
            workspace: state.settings.workspace.clone(),
            theme: Some(state.settings.theme.into()),
            ..Self::default()
        }
    }

    /// The arguments that are read as this.
    pub fn to_line(&self) -> Vec<OsString> {
        let mut line = Vec::new();
        let mut add = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                // In one word, so that a name that begins with a dash is not taken for an option.
                let mut word = OsString::from(format!("--{name}="));
                word.push(value);
                line.push(word);
            }
        };
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        let number = |number: Option<usize>| number.map(|number| number.to_string().into());
        let named = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().into());
        add("mask", path(&self.mask));
        add("truth", path(&self.truth));
        add("probability", path(&self.probability));
        add("run", path(&self.run));
        add("mode", named(self.mode.to_possible_value()));
        add("slice", number(self.slice));
        add("workspace", path(&self.workspace));
        add("epoch", number(self.epoch));
        add("theme", named(self.theme.and_then(|theme| theme.to_possible_value())));
        add("size", self.size.map(|[width, height]| format!("{width}x{height}").into()));
        add("screenshot", path(&self.screenshot));
        add("state", path(&self.state));
        add("demo-steps", number(self.demo_steps));
        add("view", path(&self.view));
        if self.demo {
            line.push("--demo".into());
        }
        line.push("--".into());
        line.extend(self.paths.iter().map(|path| path.clone().into_os_string()));
        line
    }

    /// What to open where something is named beside the paths: files, or one patient's folder, with their masks.
    pub fn request(&self) -> Option<Request> {
        let folder = self.paths.first().filter(|p| self.paths.len() == 1 && p.is_dir());
        let files = self.paths.iter().filter(|_| folder.is_none());
        let request = Request {
            title: None,
            folder: folder.cloned(),
            images: files.map(|p| (None, p.clone())).collect(),
            mask: self.mask.clone(),
            truth: self.truth.clone(),
            probability: self.probability.clone(),
            slice: self.slice,
        };
        Some(request).filter(Request::names_something)
    }
}

/// The slice that `--slice` would name: that of the first image's grid at the crosshair.
fn base_slice(state: &State, document: &Document) -> Option<usize> {
    let grid = &document.base().volume.grid;
    let voxel = DisplayGrid::new(grid, PlaneMode::Native).voxel_at(state.view.crosshair)?;
    Some(voxel[engine::findings::axial_axis(grid)])
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
    fn a_command_line_is_read_as_it_was_written() {
        let args = Args {
            paths: vec!["-a b.nii".into(), "c.nii".into()],
            mask: Some("-m.nii".into()),
            truth: Some("t.nii".into()),
            probability: Some("p.nii".into()),
            run: Some("run".into()),
            mode: ModeArg::Train,
            slice: Some(3),
            workspace: Some("w=x".into()),
            epoch: Some(7),
            theme: Some(ThemeArg::Light),
            size: Some([900.0, 600.5]),
            screenshot: Some("s.png".into()),
            state: Some("s.json".into()),
            demo: true,
            demo_steps: Some(9),
            view: Some("view.json".into()),
        };
        for args in [args, Args::default()] {
            let line = std::iter::once(OsString::from("amlp-viewer")).chain(args.to_line());
            assert_eq!(Args::try_parse_from(line).unwrap(), args);
        }
    }

    #[test]
    fn masks_named_on_the_command_line_go_with_the_files() {
        let args = Args::try_parse_from(["amlp-viewer", "a.nii.gz", "b.nii.gz", "--mask", "m.nii", "--slice", "4"]);
        let request = args.unwrap().request().unwrap();
        assert_eq!(request.images.len(), 2);
        assert_eq!(request.mask, Some("m.nii".into()));
        assert_eq!(request.slice, Some(4));
        assert_eq!(Args::try_parse_from(["amlp-viewer", "a.nii"]).unwrap().request(), None);
        assert!(Args::try_parse_from(["amlp-viewer", "--mask", "m.nii"]).is_err(), "a mask of nothing");
    }
}
