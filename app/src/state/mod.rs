//! Everything the window shows, as plain data. Only [`crate::command::dispatch()`] and the results of jobs change it.

pub mod cases;
pub mod document;
pub mod kept;
pub mod layer;
pub mod masking;
pub mod report;
pub mod review;
pub mod runs;
pub mod settings;
pub mod timeline;
pub mod train;
pub mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use cases::{CaseList, ListedCase, Thumbnail};
pub use document::{Document, Entropy, Findings, Listed, Status};
pub use layer::{ImageLayer, MaskLayer, ProbabilityLayer};
pub use settings::Settings;
pub use view::{Cine, Measure, MeasureKind, Pane, PaneId, ToolKind, View};

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::scene::{Modality, WindowLevel};

/// What the window is for at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A case, its segmentation and every finding on it.
    #[default]
    Review,
    /// How patches are clustered and masked.
    Masking,
    /// Pre-training and fine-tuning.
    Train,
}

impl Mode {
    /// All modes, in the order of their keys.
    pub const ALL: [Self; 3] = [Self::Review, Self::Masking, Self::Train];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Review => "Review",
            Self::Masking => "Masking",
            Self::Train => "Train",
        }
    }
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something worth knowing.
    Info,
    /// Something odd that did not stop the work.
    Warning,
    /// Something failed.
    Error,
}

/// A message to the user: shown once as a toast, kept in the log panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Counts up.
    pub id: u64,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in one short sentence.
    pub title: String,
    /// The whole story: file, field, value.
    pub detail: String,
    /// How often it was said while it was shown.
    pub count: usize,
    /// Takes back what it tells of.
    pub undo: Option<Box<Command>>,
    /// True once the toast was closed; the log keeps it.
    pub dismissed: bool,
}

impl Notice {
    /// The title, and how often it was said if that is more than once.
    pub fn heading(&self) -> String {
        if self.count > 1 { format!("{} \u{d7}{}", self.title, self.count) } else { self.title.clone() }
    }

    /// Whether it is shown and says the same as another.
    fn stands_for(&self, other: &Self) -> bool {
        let says = |notice: &Self| notice.title == self.title && notice.detail == self.detail;
        !self.dismissed && self.severity == other.severity && says(other) && self.undo == other.undo
    }
}

/// A window above the others that waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// Every action by name.
    Palette {
        /// What was typed.
        query: String,
        /// Which of the matches is chosen.
        chosen: usize,
    },
    /// Mouse and keys.
    Help,
    /// The manuals of window and engine.
    Manual,
    /// A path to type, where no file dialog can open.
    Path {
        /// What will be done with it.
        purpose: PathPurpose,
        /// What was typed.
        text: String,
    },
    /// A file is there already.
    Overwrite {
        /// What is written.
        purpose: PathPurpose,
        /// The file.
        path: PathBuf,
    },
    /// A job is running and the window is to be closed.
    Close,
    /// The graphics device can no longer be used.
    DeviceLost {
        /// What happened to it, in one sentence.
        why: String,
    },
    /// The segmentation is not saved, and something would lose it.
    Unsaved {
        /// What waits for the answer.
        next: Box<Command>,
    },
    /// A run is to be moved to the trash.
    DeleteRun {
        /// Its folder.
        path: PathBuf,
    },
    /// Everything that was said.
    Log,
    /// Licences, versions, adapter.
    About,
}

/// What a chosen path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPurpose {
    /// Scans.
    Files,
    /// A cohort or one patient.
    Folder,
    /// The prediction.
    Mask,
    /// The reference.
    Truth,
    /// The network's probability.
    Probability,
    /// A trained run.
    Model,
    /// A cohort to train on.
    Cohort,
    /// A pre-trained run to fine-tune from.
    Pretrained,
    /// Where runs are kept.
    Workspace,
    /// Where the segmentation goes.
    SaveMask,
    /// A run to watch.
    Run,
    /// A run to compare with the shown one.
    CompareRun,
    /// A pre-trained run that fills masked patches in.
    MaskingRun,
    /// Where the picture of Masking mode goes.
    MaskingPicture,
    /// Where the numbers of Masking mode go.
    MaskingTable,
}

/// A job as the window shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Names the job in [`crate::command::Command::CancelJob`].
    pub id: u64,
    /// What it is.
    pub kind: crate::worker::Kind,
    /// What it does, in a few words.
    pub title: String,
    /// 0 to 1, if it is known.
    pub progress: Option<f32>,
    /// What it is doing now.
    pub detail: String,
    /// Shown only if it lasts.
    pub quiet: bool,
}

/// What is chosen for the next segmentation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentChoice {
    /// The trained run; the sample's model if none is chosen.
    pub model: Option<PathBuf>,
    /// `auto`, `cpu`, `wgpu:0`, ...
    pub device: String,
}

/// Everything the window shows.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The mode.
    pub mode: Mode,
    /// The open case.
    pub document: Option<Document>,
    /// A case that could not be opened, with the reason: shown in place of the views.
    pub failed: Option<(PathBuf, String)>,
    /// The cases of the open folder.
    pub cases: CaseList,
    /// How the case is looked at.
    pub view: View,
    /// Window/level by modality, kept across cases.
    pub windows: BTreeMap<String, WindowLevel>,
    /// What the user chose once and for all.
    pub settings: Settings,
    /// Messages, oldest first.
    pub notices: Vec<Notice>,
    /// Running jobs, oldest first.
    pub jobs: Vec<JobStatus>,
    /// The dialog on top.
    pub dialog: Option<Dialog>,
    /// For the next segmentation.
    pub segment: SegmentChoice,
    /// Devices that can compute, once probed.
    pub devices: Vec<engine::device::DeviceInfo>,
    /// The run given on the command line.
    pub run: Option<PathBuf>,
    /// Masking mode.
    pub masking: masking::MaskingState,
    /// Train mode.
    pub train: train::TrainState,
    /// The open runs.
    pub timeline: timeline::Timeline,
    /// The table of runs.
    pub runs: runs::RunsState,
    /// The demonstration is under way, or was shown.
    pub demo: bool,
    /// The adapter that draws, or why there is none.
    pub adapter: String,
    /// What is done once the segmentation is saved.
    pub after_saving: Option<Box<Command>>,
    /// What a new start is still to bring back.
    pub returning: kept::Returning,
    /// Set when the program should end.
    pub quit: bool,
    /// Once it ends it starts anew, with the same view.
    pub restart: bool,
}

impl State {
    /// Adds a message.
    pub fn notice(&mut self, severity: Severity, title: impl Into<String>, detail: impl Into<String>) {
        self.tell(severity, title.into(), detail.into(), None);
    }

    /// Adds a message about something that `undo` takes back.
    pub fn notice_with_undo(&mut self, title: impl Into<String>, detail: impl Into<String>, undo: Command) {
        self.tell(Severity::Info, title.into(), detail.into(), Some(Box::new(undo)));
    }

    /// A message that is shown already is counted there: it comes last again, and its time begins anew.
    fn tell(&mut self, severity: Severity, title: String, detail: String, undo: Option<Box<Command>>) {
        let id = self.notices.last().map_or(1, |n| n.id + 1);
        let mut notice = Notice { id, severity, title, detail, count: 1, undo, dismissed: false };
        if let Some(at) = self.notices.iter().position(|shown| shown.stands_for(&notice)) {
            notice.count += self.notices.remove(at).count;
        }
        self.notices.push(notice);
    }

    /// Adds an error; `error` names the file, the field and the value.
    pub fn error(&mut self, title: impl Into<String>, error: impl std::fmt::Display) {
        self.notice(Severity::Error, title, error.to_string());
    }

    /// True if an error is shown: a toast that was not closed, or the error in place of the views.
    pub fn shows_error(&self) -> bool {
        self.failed.is_some() || self.notices.iter().any(|n| n.severity == Severity::Error && !n.dismissed)
    }

    /// Window/level of an image: what was chosen for its modality, else its own default.
    pub fn window_of(&self, layer: &ImageLayer) -> WindowLevel {
        self.windows.get(&layer.modality.key()).copied().unwrap_or(layer.default_window)
    }

    /// Window/level of an image's projection. Where values have a unit it is that of the slices; elsewhere the
    /// projection has one of its own, which follows what is done to that of the slices.
    pub fn projection_window_of(&self, layer: &ImageLayer) -> WindowLevel {
        let slices = self.window_of(layer);
        let own = layer.projection.as_ref().and_then(|projection| projection.window);
        match (&layer.modality, own) {
            (Modality::Ct | Modality::Pet, _) | (_, None) => slices,
            (_, Some(own)) => own.following(layer.default_window, slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_shown_is_counted_and_one_that_was_closed_is_said_again() {
        let mut state = State::default();
        state.error("Not saved", "disk full");
        state.notice(Severity::Info, "Saved", "a.nii.gz");
        let first = state.notices[0].id;
        state.error("Not saved", "disk full");
        state.error("Not saved", "disk full");
        let said: Vec<String> = state.notices.iter().map(Notice::heading).collect();
        assert_eq!(said, ["Saved", "Not saved \u{d7}3"]);
        assert!(state.notices[1].id > first, "its time begins anew");
        state.error("Not saved", "no such folder");
        state.notices[1].dismissed = true;
        state.error("Not saved", "disk full");
        let said: Vec<String> = state.notices.iter().map(Notice::heading).collect();
        assert_eq!(said, ["Saved", "Not saved \u{d7}3", "Not saved", "Not saved"]);
    }
}
