//! Tables and pages of the review as files.

use std::path::{Path, PathBuf};

use engine::cohort::Cohort;
use engine::disk::atomic::write_atomic;
use engine::review::{CaseVolumes, LatestEntries, MeasuredCase, case_page, page_name};
use engine::run::review::{Export, INDEX};
use engine::volume::MaskOptions;

use crate::state::intent::ReviewFile;
use crate::state::names::file_name;
use crate::state::names::with_ending;
use crate::state::{Dialog, Document, PathPurpose, PathRequest, Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Several files may be written at once.
pub const EXPORT: Slot = Slot::shared("review export");

/// Writes a file of the review, or the pages of all cases.
struct ExportReview {
    request: PathRequest,
    file: ReviewFile,
    path: PathBuf,
    overwrite: bool,
    root: PathBuf,
    latest: LatestEntries,
    /// The case whose page is written.
    case: Option<String>,
}

enum Outcome {
    /// Written, with the cases that could not be read.
    Written(Vec<String>),
    Exists,
}

/// Title of a refusal.
pub const NOTHING: &str = "Nothing to export";

/// Why a file of the review cannot be written now, if it cannot.
pub fn refusal(state: &State, file: ReviewFile) -> Option<&'static str> {
    let page = file == ReviewFile::CasePage;
    if state.cases.root.is_none() {
        Some("No folder of cases is open.")
    } else if page && state.reviewed().is_none() {
        Some("No case of the list is open.")
    } else if page && state.document.as_ref().is_some_and(Document::is_unsaved) {
        Some("The report reads the saved segmentation. Save this case first.")
    } else {
        None
    }
}

/// Writes a file of the review. An existing one is replaced only if `overwrite`.
pub fn export(state: &mut State, jobs: &mut Jobs, file: ReviewFile, path: &Path, overwrite: bool) {
    if let Some(why) = refusal(state, file) {
        return state.error(NOTHING, why);
    }
    let Some(root) = state.cases.root.clone() else { return };
    let case = state.reviewed().map(|(case, _)| case.name.clone());
    let names = state.cases.cases.iter().map(|case| case.name.clone());
    let latest = names.filter_map(|name| Some((name.clone(), state.cases.review.entry(&name)?.clone()))).collect();
    let path =
        if file == ReviewFile::Pages { path.to_path_buf() } else { with_ending(path.to_path_buf(), file.extension()) };
    let request = state.path_request(PathPurpose::Review(file));
    jobs.start(ExportReview { request, file, path, overwrite, root, latest, case });
}

/// Proposed path of a review file: in the cases' folder.
pub fn proposed_path(state: &State, file: ReviewFile) -> PathBuf {
    let Some(root) = &state.cases.root else { return PathBuf::new() };
    match file {
        ReviewFile::Cases => root.join("review_cases.csv"),
        ReviewFile::Findings => root.join("review_findings.csv"),
        ReviewFile::CasePage => {
            let case = state.reviewed().map(|(case, _)| case.name.as_str()).unwrap_or_default();
            root.join(format!("review_{}", page_name(case)))
        }
        ReviewFile::Pages => root.join("review_report"),
        ReviewFile::Order => PathBuf::new(),
    }
}

impl Job for ExportReview {
    type Output = Outcome;

    fn spec(&self) -> Spec {
        Spec::new(EXPORT, format!("Writing {}", file_name(&self.path)))
    }

    fn run(&self, handle: &JobHandle) -> Result<Outcome, Failure> {
        let own = if self.file == ReviewFile::Pages { self.path.join(INDEX) } else { self.path.clone() };
        if !self.overwrite && own.exists() {
            return Ok(Outcome::Exists);
        }
        let cohort = Cohort::discover(&self.root)?;
        if self.file == ReviewFile::CasePage {
            return self.page(&cohort);
        }
        let path = Some(self.path.clone());
        let to = match self.file {
            ReviewFile::Cases => Export { cases: path, ..Export::default() },
            ReviewFile::Findings => Export { findings: path, ..Export::default() },
            ReviewFile::Pages | ReviewFile::CasePage | ReviewFile::Order => {
                Export { report: path, ..Export::default() }
            }
        };
        let progress = |done: usize, all: usize, case: &str| handle.progress(Some(done as f32 / all as f32), case);
        let masks = MaskOptions::default();
        let cases = engine::run::review::export(&cohort, &self.latest, &to, &masks, &handle.control, &progress)?;
        let problem = |case: MeasuredCase| Some(format!("{}: {}", case.case, case.problem?));
        Ok(Outcome::Written(cases.into_iter().filter_map(problem).collect()))
    }

    fn apply(self, result: Result<Outcome, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(Outcome::Written(problems)) => {
                state.notice(Severity::Info, "Exported", self.path.display().to_string());
                if !problems.is_empty() {
                    state.notice(Severity::Warning, "Cases that could not be read", problems.join("\n"));
                }
            }
            Ok(Outcome::Exists) if state.refusal(&self.request).is_some() => {
                let why = format!(
                    "{} already exists, and the window now shows something else. Export again.",
                    self.path.display()
                );
                state.error("Nothing was exported", why);
            }
            Ok(Outcome::Exists) => {
                state.dialog = Some(Dialog::Overwrite { request: self.request, path: self.path });
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

impl ExportReview {
    /// The page of the open case.
    fn page(&self, cohort: &Cohort) -> Result<Outcome, Failure> {
        let id = self.case.as_deref().unwrap_or_default();
        let case =
            cohort.case(id).ok_or_else(|| Failure::Error(format!("{id}: the folder no longer has this case")))?;
        let volumes = CaseVolumes::read(case, &MaskOptions::default())?;
        let measured = MeasuredCase::new(case, &volumes, self.latest.get(id));
        write_atomic(&self.path, case_page(&measured, Some(&volumes))?.as_bytes())?;
        Ok(Outcome::Written(Vec::new()))
    }
}
