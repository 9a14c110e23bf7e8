//! The views of Review as a picture, and its tables as CSV.

use std::path::{Path, PathBuf};

use engine::run::atomic::write_atomic;

use super::masking::export::draw;
use super::{Failure, Job, JobHandle, Jobs, Painter, Spec, save};
use crate::gpu::Gpu;
use crate::gpu::offscreen::Offscreen;
use crate::state::names::{file_stem, with_ending};
use crate::state::{Dialog, Document, PathPurpose, Session, Severity, State, table};

/// Size of the picture in points.
const PICTURE: egui::Vec2 = egui::vec2(1040.0, 780.0);

/// The proposed file, beside the image.
pub fn proposed_path(state: &State, purpose: PathPurpose) -> PathBuf {
    let Some(document) = &state.document else { return PathBuf::new() };
    let path = document.base().path();
    let stem = file_stem(path);
    let name = match purpose {
        PathPurpose::ViewPicture => format!("{stem}_view.png"),
        _ => format!("{stem}_{}.csv", table::name(purpose).to_lowercase()),
    };
    path.with_file_name(name)
}

/// Writes a picture or a table of a case. It is written as it was shown, even if the case is closed by then.
struct Export {
    purpose: PathPurpose,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    content: Content,
}

enum Content {
    Table(String),
    /// What the picture shows, and what draws it.
    Picture(Box<State>, Painter),
}

enum ExportOutcome {
    Written,
    /// The file exists, and the user has not said that it may be replaced.
    Exists,
}

/// Writes the shown views or a table. An existing file is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    let (content, ending) = match purpose {
        PathPurpose::ViewPicture => match (jobs.painter(), &state.document) {
            (Some(painter), Some(document)) => (Content::Picture(Box::new(shown(state, document)), painter), "png"),
            _ => return state.error("Nothing to export", "No case is shown."),
        },
        _ => match table::csv(state, purpose) {
            Some(text) => (Content::Table(text), "csv"),
            None => return state.error("Nothing to export", table::missing(purpose)),
        },
    };
    jobs.start(Export { purpose, path: with_ending(path.to_path_buf(), ending), overwrite, content });
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
            Content::Table(text) => text.clone().into_bytes(),
            Content::Picture(state, painter) => {
                handle.progress(None, "drawing");
                picture(State::clone(state), *painter)?
            }
        };
        handle.check()?;
        write_atomic(&self.path, &bytes)?;
        Ok(ExportOutcome::Written)
    }

    fn apply(self, result: Result<ExportOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(ExportOutcome::Written) => state.notice(Severity::Info, "Exported", self.path.display().to_string()),
            Ok(ExportOutcome::Exists) => {
                let request = state.path_request(self.purpose);
                state.dialog = Some(Dialog::Overwrite { request, path: self.path });
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// The part of the state that the picture shows.
fn shown(state: &State, document: &Document) -> State {
    let session = &state.session;
    State {
        session: Session {
            view: session.view.clone(),
            measures: session.measures.clone(),
            windows: session.windows.clone(),
            settings: session.settings.clone(),
            ..Session::default()
        },
        document: Some(document.clone()),
        adapter: state.adapter.clone(),
        ..State::default()
    }
}

/// Draws the views on a screen that nobody sees, with textures of its own.
fn picture(mut state: State, painter: Painter) -> Result<Vec<u8>, Failure> {
    let screen = Offscreen::open()?;
    if let Some(document) = &mut state.document {
        upload(document, screen.gpu())?;
    }
    draw(&screen, &state, painter, PICTURE, state.session.settings.theme)
}

/// Uploads every image and mask to another device.
fn upload(document: &mut Document, gpu: &Gpu) -> Result<(), Failure> {
    for layer in &mut document.images {
        layer.texture = Some(gpu.upload(&layer.volume, layer.held_frame())?);
        if let Some(projection) = &mut layer.projection {
            projection.texture = Some(gpu.upload(&projection.volume, 0)?);
        }
    }
    for mask in &mut document.masks {
        mask.texture = Some(gpu.upload_labels(&mask.labels)?);
        if let Some((labels, texture)) = &mut mask.projection {
            *texture = Some(gpu.upload_labels(labels)?);
        }
    }
    Ok(())
}
