//! Exported files: views and charts as pictures, tables as CSV and LaTeX.

mod picture;

use std::path::{Path, PathBuf};

use engine::disk::atomic::write_atomic;

use self::picture::Picture;
use super::{Failure, Job, JobHandle, Jobs, Spec, name_of, save};
use crate::state::names::file_name;
use crate::state::names::{file_stem, with_ending};
use crate::state::timeline::OpenRun;
use crate::state::train::TrainExport;
use crate::state::train::export::{curves_csv, network_word, results_csv, results_latex};
use crate::state::{Dialog, Mode, PathPurpose, PathRequest, Severity, State, table};

/// Writes a file from a snapshot of the state, even if the case is closed meanwhile.
struct FileExport {
    /// What is exported, with the case and revision that were open.
    request: PathRequest,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    Picture(Picture),
}

enum ExportOutcome {
    Written,
    /// The file exists, and the user has not confirmed replacing it.
    Exists,
}

/// Writes a view, chart or table. An existing file is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    match content(state, jobs, purpose) {
        Ok(content) => {
            let path = with_ending(path.to_path_buf(), ending(purpose));
            jobs.start(FileExport { request: state.path_request(purpose), path, overwrite, content });
        }
        Err(why) => state.error("Nothing to export", why),
    }
}

/// The content of a file, or the reason why it is unavailable.
fn content(state: &State, jobs: &Jobs, purpose: PathPurpose) -> Result<Content, String> {
    let picture = |mode: Mode| -> Result<Content, String> {
        let painter = jobs.painter().ok_or("Pictures need a graphics adapter, and none was found.")?;
        Ok(Content::Picture(Picture::of(state, mode, painter)))
    };
    match purpose {
        PathPurpose::TrainExport(kind) => {
            if !is_ready(state, kind) {
                return Err("Open a run or its results first.".to_owned());
            }
            let text = match kind {
                TrainExport::CurvesPicture => return picture(Mode::Train),
                TrainExport::CurvesTable => curves_csv(&shown_runs(state)),
                TrainExport::ResultsTable => results_csv(&state.cache.results),
                TrainExport::ResultsLatex => results_latex(&state.cache.results),
            };
            Ok(Content::Bytes(text.into_bytes()))
        }
        PathPurpose::MaskingPicture | PathPurpose::MaskingTable => {
            let found = state.current_mask().ok_or("This slice is not clustered yet.")?;
            if purpose == PathPurpose::MaskingPicture {
                return picture(Mode::Masking);
            }
            let filled = state.cache.masking.filled.as_ref().filter(|filled| filled.filling.wanted == found.wanted);
            let csv = found.slice.csv(&found.clusters, &found.masking, filled.map(|filled| &filled.made));
            csv.map(Content::Bytes).map_err(|error| error.to_string())
        }
        PathPurpose::ViewPicture if state.document.is_none() => Err("No case is open.".to_owned()),
        PathPurpose::ViewPicture => picture(Mode::Review),
        _ => table::csv(state, purpose).map(|text| Content::Bytes(text.into_bytes())).map_err(str::to_owned),
    }
}

/// Whether Train mode has something to export.
pub fn is_ready(state: &State, kind: TrainExport) -> bool {
    if kind.is_of_curves() {
        state.watched_run().is_some_and(|run| run.last() > 0)
    } else {
        state.cache.results.evaluation.is_some()
    }
}

/// The watched run, and those drawn over it.
fn shown_runs(state: &State) -> Vec<&OpenRun> {
    state.watched_run().into_iter().chain(state.overlaid_runs()).collect()
}

/// The extension of an exported file.
fn ending(purpose: PathPurpose) -> &'static str {
    match purpose {
        PathPurpose::TrainExport(kind) => kind.extension(),
        PathPurpose::MaskingPicture | PathPurpose::ViewPicture => "png",
        _ => "csv",
    }
}

/// The proposed file, next to the run or the image; empty if none is open.
pub fn proposed_path(state: &State, purpose: PathPurpose) -> PathBuf {
    let beside = match purpose {
        PathPurpose::TrainExport(kind) if kind.is_of_curves() => state.watched_run().map(|run| run.path.as_path()),
        PathPurpose::TrainExport(_) => state.session.runs.results.as_deref(),
        PathPurpose::MaskingPicture | PathPurpose::MaskingTable => {
            state.document.as_ref().map(|document| document.image().path())
        }
        _ => state.document.as_ref().map(|document| document.base().path()),
    };
    let Some(beside) = beside else { return PathBuf::new() };
    let what = match purpose {
        PathPurpose::TrainExport(kind) if kind.is_of_curves() => "curves".to_owned(),
        PathPurpose::TrainExport(_) => format!("results_{}", network_word(&state.cache.results)),
        PathPurpose::MaskingPicture | PathPurpose::MaskingTable => {
            format!("slice{}_masking", state.slice_number().unwrap_or_default())
        }
        PathPurpose::ViewPicture => "view".to_owned(),
        _ => table::name(purpose).to_lowercase(),
    };
    let (folder, stem) = match &state.document {
        Some(document) if document.dicom().is_some() && !matches!(purpose, PathPurpose::TrainExport(_)) => {
            document.default_output()
        }
        _ => {
            let stem = if matches!(purpose, PathPurpose::TrainExport(_)) { name_of(beside) } else { file_stem(beside) };
            (beside.parent().map(Path::to_path_buf).unwrap_or_default(), stem)
        }
    };
    folder.join(format!("{stem}_{what}.{}", ending(purpose)))
}

impl Job for FileExport {
    type Output = ExportOutcome;

    fn spec(&self) -> Spec {
        Spec::new(save::SLOT, format!("Writing {}", file_name(&self.path)))
    }

    fn run(&self, handle: &JobHandle) -> Result<ExportOutcome, Failure> {
        if !self.overwrite && self.path.exists() {
            return Ok(ExportOutcome::Exists);
        }
        let bytes = match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Picture(picture) => {
                handle.progress(None, "drawing");
                picture.png()?
            }
        };
        handle.check()?;
        write_atomic(&self.path, &bytes)?;
        Ok(ExportOutcome::Written)
    }

    fn apply(self, result: Result<ExportOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        let file = self.path.display();
        match result {
            Ok(ExportOutcome::Written) => state.notice(Severity::Info, "Exported", file.to_string()),
            Ok(ExportOutcome::Exists) if state.refusal(&self.request).is_some() => {
                let why = format!("{file} already exists, and the window now shows something else. Export again.");
                state.error("Nothing was exported", why);
            }
            Ok(ExportOutcome::Exists) => {
                state.dialog = Some(Dialog::Overwrite { request: self.request, path: self.path });
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
