//! The user's next steps as plain data, since they may have to wait for a save, a dialog or a job.

use std::path::PathBuf;

use engine::metrics::consensus::Method;

use super::dicom::SeriesId;
use super::runs::TrashedRun;
use super::train::TrainExport;
use super::{CaseId, MaskRole, Request, ReviewStep};

/// A step that can be deferred. `command` executes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Ask for paths with the system's file dialog.
    Ask(PathPurpose),
    /// Use paths for their purpose.
    UsePaths(PathRequest, Vec<PathBuf>),
    /// Open a case with known files.
    Open(Box<Request>),
    /// Open a patient of the results or of a study, keeping the list of cases and offering to go back.
    Visit(Box<Request>),
    /// Open the sample study.
    OpenSample,
    /// Open a case of the list.
    OpenCase(CaseId),
    /// Open a listed DICOM series. A segmentation is opened with the images it was made on, or added to them if they
    /// are open.
    OpenSeries(SeriesId),
    /// Open a CT series with a PET series over it in colour.
    FuseSeries([SeriesId; 2]),
    /// Open the next (1) or previous (-1) case of the list.
    StepCase(i64),
    /// Close the open case and the list of cases.
    CloseCase,
    /// Segment the open case.
    Segment,
    /// Show the segmentation of another method of the study, by its place.
    ShowMethod(usize),
    /// Remove the segmentation from the case. Its file stays.
    RemoveSegmentation,
    /// Replace the segmentation by a copy of the reference.
    CorrectReference,
    /// Load a mask of the open case that needs a remedy.
    LoadMask(MaskRole),
    /// Replace the segmentation by the consensus of both masks.
    Consensus(Method),
    /// Take a step of the review.
    Review(ReviewStep),
    /// Restore unsaved edits of the open case from their journal.
    RestoreEdits(PathBuf),
    /// Add reviewed segmentations to the labels of the next fine-tuning run.
    AddToLabels(LabelScope),
    /// Restore a run from the trash.
    RestoreRun(TrashedRun),
    /// Quit without further questions.
    QuitNow,
}

impl Intent {
    /// Opens files or a folder, as if dropped onto the window.
    #[must_use]
    pub fn open_paths(paths: Vec<PathBuf>) -> Self {
        Self::UsePaths(PathPurpose::Files.into(), paths)
    }
}

/// A request for a path, asked by a file dialog, the path field or the question whether to overwrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRequest {
    /// What the path is for.
    pub purpose: PathPurpose,
    /// The case that was open at the request, if the purpose depends on it. The answer is refused if another one is
    /// open by then.
    pub of: Option<CaseRevision>,
    /// What else the path is about. The answer is refused if the window shows another one by then.
    pub subject: Option<Subject>,
}

/// What an exported file is about, besides the open case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A folder of cases.
    Folder(PathBuf),
    /// The run in this folder.
    Run(PathBuf),
    /// A slice in Masking mode.
    Slice(usize),
}

impl From<PathPurpose> for PathRequest {
    /// Applies to whatever is open when the answer is used.
    fn from(purpose: PathPurpose) -> Self {
        Self { purpose, of: None, subject: None }
    }
}

/// A case and the state of its segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaseRevision {
    /// The case that was open.
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
    /// A probability map of the open case.
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
    /// A study to list and read.
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
    /// A file of the review of the open folder.
    Review(ReviewFile),
}

/// Which segmentations are added to the labels of the next fine-tuning run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelScope {
    /// The segmentation of the open case.
    OpenCase {
        /// Replace another reviewer's mask.
        replace: bool,
    },
    /// All accepted and corrected cases of the folder.
    Reviewed,
}

/// A file of the review of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewFile {
    /// One row per case, as a table.
    Cases,
    /// One row per finding of any case, as a table.
    Findings,
    /// The page of the open case.
    CasePage,
    /// The folder for the pages of all cases.
    Pages,
    /// The user's table that orders the cases.
    Order,
}

impl ReviewFile {
    /// All exports, in the order of the palette.
    pub const EXPORTS: [Self; 4] = [Self::Cases, Self::Findings, Self::CasePage, Self::Pages];

    /// Title of its dialog and of its palette entry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cases => "Export the verdicts as CSV",
            Self::Findings => "Export the findings of all cases as CSV",
            Self::CasePage => "Export the report of this case",
            Self::Pages => "Export the report of the cohort",
            Self::Order => "Choose a list of cases",
        }
    }

    /// Description of the file for a dialog.
    #[must_use]
    pub fn content(self) -> &'static str {
        match self {
            Self::Cases => "CSV, one row per case. Existing files are only overwritten after confirmation.",
            Self::Findings => "CSV, one row per finding. Existing files are only overwritten after confirmation.",
            Self::CasePage => "An HTML page with images. Existing files are only overwritten after confirmation.",
            Self::Pages => {
                "A folder for index.html and one page per case. An existing report is only overwritten after confirmation."
            }
            Self::Order => {
                "CSV with a column \"case\". Cases are listed in row order or, with a column \"score\", from the highest \
                 score."
            }
        }
    }

    /// Extension of the file; empty for a folder.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Cases | Self::Findings | Self::Order => "csv",
            Self::CasePage => "html",
            Self::Pages => "",
        }
    }
}

impl PathPurpose {
    /// The purpose of saving a mask.
    #[must_use]
    pub fn save(role: MaskRole) -> Self {
        match role {
            MaskRole::Segmentation => Self::SaveSegmentation,
            MaskRole::Reference => Self::SaveReference,
        }
    }

    /// Whether the answer belongs to the case open at the request.
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
                | Self::Review(ReviewFile::CasePage)
        )
    }
}
