//! Everything the window shows, as plain data. Only commands and the results of jobs change it.

pub mod cache;
pub mod cases;
pub mod dicom;
pub mod document;
pub mod edit;
pub mod intent;
pub mod job;
pub mod labels;
pub mod layer;
pub mod masking;
pub mod names;
pub mod notice;
pub mod partial_series;
pub mod queue;
pub mod report;
pub mod request;
pub mod review;
pub mod runs;
pub mod session;
pub mod settings;
pub mod study;
pub mod table;
pub mod timeline;
pub mod train;
pub mod unsaved_edits;
pub mod view;

use std::path::PathBuf;

pub use cache::{Cache, ModelChannels};
pub use cases::{CaseId, CaseList, CasePlace, ListedCase, Thumbnail};
pub use dicom::{DicomInfo, ListedSeries, SeriesId, SeriesKind, SeriesList};
pub use document::{Document, Entropy, FindingEntry, FindingList, RegionScore, Status, ValueSource};
pub use intent::{CaseRevision, Intent, PathPurpose, PathRequest, Subject};
pub use job::{JobStatus, Slot};
pub use labels::LabelRow;
pub use layer::{ImageLayer, LabelEntry, MaskLayer, MaskRole, ProbabilityLayer, Remedy, Source, UnloadedMask};
pub use notice::{NamedCase, Notice, Severity};
pub use queue::{QueueOrder, Review, ReviewStep};
pub use request::Request;
pub use session::Session;
pub use settings::Settings;
pub use view::{Cine, Measure, MeasureKind, Pane, PaneId, ToolKind, View};

use serde::{Deserialize, Serialize};

use self::session::RunUse;
use crate::scene::WindowLevel;

/// Mode of the window.
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

/// A modal dialog.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// Every action by name.
    Palette {
        /// What was typed.
        query: String,
        /// Index of the selected match.
        chosen: usize,
    },
    /// Mouse and keys.
    Help,
    /// The manuals of the viewer and the engine.
    Manual,
    /// Entry of a path where the system has no file dialog.
    Path {
        /// What the path is for.
        request: PathRequest,
        /// What was typed.
        text: String,
    },
    /// The file to write already exists.
    Overwrite {
        /// What is written.
        request: PathRequest,
        /// The file.
        path: PathBuf,
    },
    /// Closing with a running job or unsaved work.
    Close,
    /// The graphics device can no longer be used.
    DeviceLost {
        /// What happened to it, in one sentence.
        why: String,
    },
    /// A step would discard the unsaved segmentation.
    Unsaved {
        /// What to do after the answer.
        next: Intent,
    },
    /// An earlier session left unsaved edits.
    UnsavedEdits {
        /// Their journal.
        path: PathBuf,
    },
    /// A run is to be moved to the trash.
    DeleteRun {
        /// Its folder.
        path: PathBuf,
    },
    /// The message log.
    Log,
    /// Licences, versions, adapter.
    About,
    /// The reviewer's initials, before the first verdict.
    Initials {
        /// What was typed.
        text: String,
        /// The intent to run once they are known.
        next: Option<Intent>,
    },
}

/// A case that could not be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedOpen {
    /// The file or folder.
    pub path: PathBuf,
    /// The error.
    pub why: String,
    /// Opens the same files again.
    pub retry: Intent,
}

/// Everything the window shows.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// State that a restart restores.
    pub session: Session,
    /// Data that can be read or computed again.
    pub cache: Cache,
    /// The current, queued and ended training jobs.
    pub training: train::Training,
    /// The open case.
    pub document: Option<Document>,
    /// A case that could not be opened, with the reason, which replaces the views.
    pub failed: Option<FailedOpen>,
    /// The cases of the open folder.
    pub cases: CaseList,
    /// The series of the open DICOM folder or archive.
    pub series: Option<SeriesList>,
    /// Messages, oldest first.
    pub notices: Vec<Notice>,
    /// Running jobs, oldest first.
    pub jobs: Vec<JobStatus>,
    /// The dialog on top.
    pub dialog: Option<Dialog>,
    /// Hide everything that identifies a patient, for demonstrations and screenshots.
    pub anonymous: bool,
    /// The graphics adapter, or the reason for its absence.
    pub adapter: String,
    /// Intent to run once the segmentation is saved.
    pub after_saving: Option<Intent>,
    /// Follow-up intents of jobs, executed before the window is drawn.
    pub intents: Vec<Intent>,
    /// Cache of cohort fingerprints.
    pub fingerprints: Option<engine::cohort::FingerprintCache>,
    /// Unsaved edits of earlier sessions.
    pub unsaved_edits: unsaved_edits::UnsavedEditList,
    /// Text for the clipboard.
    pub copied: Option<String>,
    /// The saved session that a restart is restoring, part by part.
    pub restoring: Option<Box<Session>>,
    /// Set when the program should end.
    pub quit: bool,
    /// Restart with the same view after exit.
    pub restart: bool,
}

impl State {
    /// The running job that opens a case or a folder.
    pub fn opening(&self) -> Option<&JobStatus> {
        self.jobs.iter().find(|job| job.slot == Slot::OPEN)
    }

    /// The open case and the revision of its segmentation.
    pub fn case_revision(&self) -> Option<CaseRevision> {
        let document = self.document.as_ref()?;
        let revision = document.segmentation().map(|mask| mask.revision);
        Some(CaseRevision { case: document.id, revision })
    }

    /// A path request bound to the open case, and to what the window shows besides it.
    pub fn path_request(&self, purpose: PathPurpose) -> PathRequest {
        PathRequest { purpose, of: self.case_revision(), subject: self.subject(purpose) }
    }

    /// What an exported file would be about now, besides the open case.
    fn subject(&self, purpose: PathPurpose) -> Option<Subject> {
        let run = |run_use| self.run_for(run_use).map(|run| Subject::Run(run.to_path_buf()));
        match purpose {
            PathPurpose::Review(_) => self.cases.root.clone().map(Subject::Folder),
            PathPurpose::TrainExport(kind) => run(if kind.is_of_curves() { RunUse::Watch } else { RunUse::Results }),
            PathPurpose::MaskingPicture | PathPurpose::MaskingTable => self.file_slice().map(Subject::Slice),
            _ => None,
        }
    }

    /// Why the answer to a request cannot be used; `None` if it can.
    pub fn refusal(&self, request: &PathRequest) -> Option<&'static str> {
        if let Some(of) = request.of.filter(|_| request.purpose.concerns_case()) {
            let now = self.case_revision();
            if now.is_none_or(|now| now.case != of.case) {
                return Some(
                    "it was chosen for another case, which is no longer open. Open that case and choose again.",
                );
            }
            if request.purpose == PathPurpose::SaveSegmentation && now != Some(of) {
                return Some("the segmentation changed after you were asked. Save it again.");
            }
        }
        let subject =
            request.subject.as_ref().filter(|subject| self.subject(request.purpose).as_ref() != Some(subject))?;
        Some(match subject {
            Subject::Folder(_) => {
                "it was chosen for another folder, which is no longer open. Open that folder and choose again."
            }
            Subject::Run(_) => "it was chosen for another run. Show that run and choose again.",
            Subject::Slice(_) => "it was chosen for another slice. Go back to that slice and choose again.",
        })
    }

    /// Window/level of an image: the user's for its modality, else its default.
    pub fn window_of(&self, layer: &ImageLayer) -> WindowLevel {
        self.session.windows.get(&layer.info.window_key()).copied().unwrap_or(layer.default_window)
    }

    /// Sets window and level of an image for its modality. The width is at least a ten-thousandth of the scan's range;
    /// values that are not finite are ignored.
    pub fn set_window(&mut self, image: usize, window: WindowLevel) {
        let Some(image) = self.document.as_ref().and_then(|document| document.images.get(image)) else { return };
        let range = image.range.map_or(255.0, |[low, high]| (high - low).max(f64::MIN_POSITIVE));
        let width = window.width.max(range * 1e-4);
        if width.is_finite() && window.level.is_finite() {
            self.session.windows.insert(image.info.window_key(), WindowLevel { width, level: window.level });
        }
    }

    /// Window/level of an image's projection. If values have a unit, it equals that of the slices; otherwise it is
    /// separate and follows changes of the slices' window.
    pub fn projection_window_of(&self, layer: &ImageLayer) -> WindowLevel {
        let slices = self.window_of(layer);
        let own = layer.projection.as_ref().and_then(|projection| projection.window);
        match own {
            Some(own) if !layer.info.is_absolute() => own.following(layer.default_window, slices),
            _ => slices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::intent::ReviewFile;
    use super::train::TrainExport;
    use super::*;

    /// They were used for whatever was shown by then, under the name proposed for the other one.
    #[test]
    fn a_path_for_another_folder_or_run_is_refused() {
        let mut state = State::default();
        state.cases.root = Some("/a".into());
        state.session.runs.results = Some("/runs/a".into());
        let folder = state.path_request(PathPurpose::Review(ReviewFile::Order));
        let run = state.path_request(PathPurpose::TrainExport(TrainExport::ResultsTable));
        let curves = state.path_request(PathPurpose::TrainExport(TrainExport::CurvesTable));
        assert_eq!([&folder, &run, &curves].map(|request| state.refusal(request)), [None; 3]);
        state.cases.root = Some("/b".into());
        assert!(state.refusal(&folder).is_some_and(|why| why.contains("another folder")));
        state.session.runs.results = None;
        assert!(state.refusal(&run).is_some_and(|why| why.contains("another run")));
        assert_eq!(state.refusal(&curves), None, "no run was shown");
        assert_eq!(state.refusal(&PathPurpose::Review(ReviewFile::Order).into()), None, "of whatever is open");
    }
}
