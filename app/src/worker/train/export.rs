//! Writing curves and results to files.

use std::path::{Path, PathBuf};

use engine::run::atomic::write_atomic;

use crate::gpu::offscreen::Offscreen;
use crate::state::timeline::{OpenRun, TimelineCache};
use crate::state::train::TrainExport;
use crate::state::train::export::{curves_csv, network_word, results_csv, results_latex};
use crate::state::{Cache, Dialog, Mode, PathPurpose, Session, Severity, State};
use crate::worker::masking::export::draw;
use crate::worker::{Failure, Job, JobHandle, Jobs, Painter, Spec, name_of, save};

/// Size of a picture in points.
const PICTURE: egui::Vec2 = egui::vec2(1040.0, 900.0);

/// Writes a file of Train mode.
struct Export {
    kind: TrainExport,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    content: Content,
}

enum Content {
    Text(String),
    /// What the picture shows, and what draws it.
    Picture(Box<State>, Painter),
}

enum ExportOutcome {
    Written,
    /// The file exists, and the user has not said that it may be replaced.
    Exists,
}

/// Whether there is something to export.
pub fn is_ready(state: &State, kind: TrainExport) -> bool {
    if kind.is_of_curves() {
        state.watched_run().is_some_and(|run| run.last() > 0)
    } else {
        state.cache.results.evaluation.is_some()
    }
}

/// The proposed file, beside the run.
pub fn proposed_path(state: &State, kind: TrainExport) -> PathBuf {
    let run = if kind.is_of_curves() {
        state.watched_run().map(|run| run.path.as_path())
    } else {
        state.session.runs.results.as_deref()
    };
    let Some(run) = run else { return PathBuf::new() };
    let what = if kind.is_of_curves() {
        "curves".to_owned()
    } else {
        format!("results_{}", network_word(&state.cache.results))
    };
    let name = format!("{}_{what}.{}", name_of(run), kind.extension());
    run.parent().unwrap_or(Path::new("")).join(name)
}

/// Writes a file. An existing one is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, kind: TrainExport, path: &Path, overwrite: bool) {
    if !is_ready(state, kind) {
        return state.error("Nothing to export", "Open a run, or the results of one, first.");
    }
    let content = match (kind, jobs.painter()) {
        (TrainExport::CurvesTable, _) => Content::Text(curves_csv(&shown_runs(state))),
        (TrainExport::ResultsTable, _) => Content::Text(results_csv(&state.cache.results)),
        (TrainExport::ResultsLatex, _) => Content::Text(results_latex(&state.cache.results)),
        (TrainExport::CurvesPicture, Some(painter)) => Content::Picture(Box::new(shown_part(state)), painter),
        (TrainExport::CurvesPicture, None) => {
            return state.error("Nothing to export", "This window does not draw charts.");
        }
    };
    jobs.start(Export { kind, path: path.to_path_buf(), overwrite, content });
}

/// The watched run, and those drawn over it.
fn shown_runs(state: &State) -> Vec<&OpenRun> {
    state.watched_run().into_iter().chain(state.overlaid_runs()).collect()
}

/// The part of the state that the charts show.
fn shown_part(state: &State) -> State {
    let session = &state.session;
    let timeline = TimelineCache {
        pretrain: state.cache.timeline.pretrain.clone(),
        finetune: state.cache.timeline.finetune.clone(),
        compare: state.cache.timeline.compare.clone(),
        ..TimelineCache::default()
    };
    State {
        session: Session {
            mode: Mode::Train,
            settings: session.settings.clone(),
            timeline: session.timeline.clone(),
            ..Session::default()
        },
        cache: Cache { timeline, ..Cache::default() },
        ..State::default()
    }
}

impl Job for Export {
    type Output = ExportOutcome;

    fn spec(&self) -> Spec {
        Spec::new(save::SLOT, format!("Writing {}", self.path.display()))
    }

    fn run(&self, handle: &JobHandle) -> Result<ExportOutcome, Failure> {
        if !self.overwrite && self.path.exists() {
            return Ok(ExportOutcome::Exists);
        }
        let bytes = match &self.content {
            Content::Text(text) => text.clone().into_bytes(),
            Content::Picture(state, painter) => {
                handle.progress(None, "drawing");
                draw(&Offscreen::open()?, state, *painter, PICTURE, state.session.settings.theme)?
            }
        };
        handle.check()?;
        write_atomic(&self.path, &bytes)?;
        Ok(ExportOutcome::Written)
    }

    fn apply(self, result: Result<ExportOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(ExportOutcome::Written) => state.notice(Severity::Info, "Written", self.path.display().to_string()),
            Ok(ExportOutcome::Exists) => {
                let request = state.path_request(PathPurpose::TrainExport(self.kind));
                state.dialog = Some(Dialog::Overwrite { request, path: self.path });
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}
