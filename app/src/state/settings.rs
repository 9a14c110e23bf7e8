//! Preferences that persist between sessions. They contain no patient data except recent paths.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::scene::{Convention, PlaneMode};
use crate::theme::{Theme, size};

/// Maximum number of recent files.
const RECENT: usize = 8;

/// Preferences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Dark or light.
    pub theme: Theme,
    /// Which side of the patient is on the left.
    pub convention: Convention,
    /// Axes along which panes cut.
    pub planes: PlaneMode,
    /// Linear interpolation, else nearest neighbour.
    pub interpolate: bool,
    /// The left panel is visible.
    pub left_panel: bool,
    /// The right panel is visible.
    pub right_panel: bool,
    /// The bottom strip is visible.
    pub strip: bool,
    /// Opacity of the label overlay, 0 to 1.
    pub opacity: f32,
    /// Fill the labels.
    pub fill: bool,
    /// Outline the labels.
    pub outline: bool,
    /// Slices per second.
    pub cine_rate: f32,
    /// Epochs per second while the timeline plays.
    pub epoch_rate: f32,
    /// Files and folders opened before, newest first.
    pub recent: Vec<PathBuf>,
    /// Folders of studies opened before, newest first.
    pub studies: Vec<PathBuf>,
    /// Width of the left panel, in points.
    pub left_width: f32,
    /// Width of the right panel, in points.
    pub right_width: f32,
    /// Height of the bottom strip, in points.
    pub strip_height: f32,
    /// Findings with a smaller volume in ml are collapsed.
    pub minimum_ml: f64,
    /// Names, ids, dates and descriptions of patients are not drawn.
    pub hide_patient: bool,
    /// Number of CPU threads for training; 0 uses all cores except one, which is left for the window.
    pub threads: usize,
    /// Runs also write TensorBoard event files.
    pub tensorboard: bool,
    /// The reviewer's initials, stored with every verdict; requested before the first.
    pub initials: String,
    /// Workspace folder, if set by the user.
    pub workspace: Option<PathBuf>,
    /// The form of the next run and its cohort from the last session: a [`TrainSettings`](super::train::TrainSettings).
    /// Read apart from the rest, so that a form of another version does not reset the settings.
    pub training: Option<serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::Dark,
            convention: Convention::Radiological,
            planes: PlaneMode::Native,
            interpolate: true,
            left_panel: true,
            right_panel: true,
            strip: true,
            opacity: 0.45,
            fill: true,
            outline: true,
            cine_rate: 10.0,
            epoch_rate: 4.0,
            recent: Vec::new(),
            studies: Vec::new(),
            left_width: size::LEFT_PANEL,
            right_width: size::RIGHT_PANEL,
            strip_height: size::STRIP,
            minimum_ml: 0.05,
            hide_patient: false,
            threads: 0,
            tensorboard: false,
            initials: String::new(),
            workspace: None,
            training: None,
        }
    }
}

/// Name of the default workspace folder.
const WORKSPACE: &str = "amlp-runs";

impl Settings {
    /// The workspace folder: the user's choice, else a folder in their home.
    pub fn workspace(&self) -> PathBuf {
        let usual = || std::env::home_dir().unwrap_or_default().join(WORKSPACE);
        self.workspace.clone().unwrap_or_else(usual)
    }

    /// Puts a path on top of the recent ones.
    pub fn remember(&mut self, path: &Path) {
        put_on_top(&mut self.recent, path);
    }

    /// Puts a study on top of those that were opened before.
    pub fn remember_study(&mut self, folder: &Path) {
        put_on_top(&mut self.studies, folder);
    }
}

fn put_on_top(recent: &mut Vec<PathBuf>, path: &Path) {
    recent.retain(|p| p != path);
    recent.insert(0, path.to_path_buf());
    recent.truncate(RECENT);
}
