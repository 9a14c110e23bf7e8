//! What the user wants next, as plain data: it may have to wait for a save, a dialog or a job.

use std::path::{Path, PathBuf};

use super::runs::TrashedRun;
use super::train::TrainExport;
use super::{CaseId, MaskRole, Request};

/// A step that can be held back and taken later. `command` carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Ask for paths with the system's file dialog.
    Ask(PathPurpose),
    /// Use paths for what they were asked for.
    UsePaths(PathRequest, Vec<PathBuf>),
    /// Open a case whose files are known.
    Open(Box<Request>),
    /// Open a patient of the results or of a study; the list of cases stays, and the way back is offered.
    Visit(Box<Request>),
    /// Open the sample study.
    OpenSample,
    /// Open a case of the list.
    OpenCase(CaseId),
    /// Open the next (1) or previous (-1) case of the list.
    StepCase(i64),
    /// Close the case.
    CloseCase,
    /// Segment the open case.
    Segment,
    /// Show the segmentation of another method of the study, by its place.
    ShowMethod(usize),
    /// Remove the segmentation.
    RemoveSegmentation,
    /// Load a mask of the open case that needs a remedy.
    LoadMask(MaskRole),
    /// Bring a run back from the trash.
    RestoreRun(TrashedRun),
    /// End the program without further questions.
    QuitNow,
}

impl Intent {
    /// Opens files or a folder, as if dropped onto the window.
    #[must_use]
    pub fn open_paths(paths: Vec<PathBuf>) -> Self {
        Self::UsePaths(PathPurpose::Files.into(), paths)
    }
}

/// A request for a path: a file dialog, a path field, the question whether to overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRequest {
    /// What the path is for.
    pub purpose: PathPurpose,
    /// What was open when the user was asked, if the purpose concerns it. The answer is refused for anything else.
    pub of: Option<CaseRevision>,
}

impl From<PathPurpose> for PathRequest {
    /// About whatever is open when the answer is used.
    fn from(purpose: PathPurpose) -> Self {
        Self { purpose, of: None }
    }
}

/// A case and the state of its segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseRevision {
    /// The case.
    pub case: CaseId,
    /// The segmentation's revision; `None` without one.
    pub revision: Option<u64>,
}

/// What a chosen path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPurpose {
    /// Scans.
    Files,
    /// A cohort or one patient.
    Folder,
    /// A segmentation of the open case.
    Segmentation,
    /// A reference for the open case.
    Reference,
    /// A probability of the open case.
    Probability,
    /// A trained run.
    Model,
    /// A cohort to train on.
    Cohort,
    /// A pre-trained run to fine-tune from.
    Pretrained,
    /// The folder of runs.
    Workspace,
    /// The file to save the segmentation to.
    SaveSegmentation,
    /// The file to save the reference to.
    SaveReference,
    /// A run to watch.
    Run,
    /// A study.
    Study,
    /// A run to compare with the shown one.
    CompareRun,
    /// A pre-trained run for reconstructions in Masking mode.
    MaskingRun,
    /// The picture to export from Masking mode.
    MaskingPicture,
    /// The table to export from Masking mode.
    MaskingTable,
    /// The picture to export from Review.
    ViewPicture,
    /// The findings, as a table.
    FindingsTable,
    /// The agreement with the reference, as a table.
    AgreementTable,
    /// The measurements, as a table.
    MeasurementsTable,
    /// A file to export from Train mode.
    TrainExport(TrainExport),
}

impl PathPurpose {
    /// Saving a mask.
    #[must_use]
    pub fn save(role: MaskRole) -> Self {
        match role {
            MaskRole::Segmentation => Self::SaveSegmentation,
            MaskRole::Reference => Self::SaveReference,
        }
    }

    /// Whether the answer belongs to the case that is open when the user is asked.
    #[must_use]
    pub fn concerns_case(self) -> bool {
        matches!(
            self,
            Self::Segmentation
                | Self::Reference
                | Self::Probability
                | Self::SaveSegmentation
                | Self::SaveReference
                | Self::MaskingPicture
                | Self::MaskingTable
                | Self::ViewPicture
                | Self::FindingsTable
                | Self::AgreementTable
                | Self::MeasurementsTable
        )
    }
}

/// A file's name without its folder, for messages.
#[must_use]
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
