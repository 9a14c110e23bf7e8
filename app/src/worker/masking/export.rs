//! The view of Masking mode as a picture, and its numbers as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{CentralPanel, Pos2, RawInput, Rect, vec2};
use engine::run::atomic::write_atomic;

use super::pictures;
use crate::gpu::offscreen::{Offscreen, to_png};
use crate::state::masking::{ClusteredSlice, MaskingCache, ReconstructedSlice};
use crate::state::names::file_stem;
use crate::state::session::ChosenRuns;
use crate::state::{Cache, CaseId, Dialog, Document, MaskRole, Mode, PathPurpose, Session, Severity, State};
use crate::theme::{self, Theme};
use crate::worker::{Failure, Job, JobHandle, Jobs, Painter, Spec, save};

/// Size of an exported picture in points.
const PICTURE: egui::Vec2 = vec2(1040.0, 780.0);
/// Pixels of an exported picture per point.
const PIXELS_PER_POINT: f32 = 2.0;
/// Frames until letters and layout have settled.
const FRAMES: usize = 3;

/// The proposed file, beside the image: named by the image, its slice, and what it is.
pub fn proposed_path(state: &State, purpose: PathPurpose) -> PathBuf {
    let image = state.document.as_ref().map(Document::image);
    let stem = image.map_or_else(|| "slice".into(), |image| file_stem(image.path()));
    let folder = image.and_then(|image| image.path().parent()).map(Path::to_path_buf);
    let slice = state.file_slice().unwrap_or(0);
    let ending = if purpose == PathPurpose::MaskingTable { "csv" } else { "png" };
    folder.unwrap_or_default().join(format!("{stem}_slice{slice}_masking.{ending}"))
}

/// Writes the picture or the table of a slice.
struct Export {
    case: CaseId,
    purpose: PathPurpose,
    path: PathBuf,
    /// An existing file may be replaced.
    overwrite: bool,
    found: Arc<ClusteredSlice>,
    filled: Option<Arc<ReconstructedSlice>>,
    /// What the picture shows, and what draws it.
    view: Option<(State, Painter)>,
}

enum ExportOutcome {
    Written,
    /// The file exists, and the user has not said that it may be replaced.
    Exists,
}

/// Writes the picture or the table of the shown slice. An existing file is replaced only if `overwrite`.
pub fn to(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    let Some(found) = state.current_mask().map(|found| Arc::new(found.clone())) else {
        return state.error("Nothing to export", "The shown slice is not clustered yet.");
    };
    let filled = state.cache.masking.filled.clone().filter(|filled| filled.filling.wanted == found.wanted);
    let view = match (purpose, jobs.painter()) {
        (PathPurpose::MaskingTable, _) => None,
        (_, Some(painter)) => Some((shown(state), painter)),
        (_, None) => return state.error("Nothing to export", "This window does not draw the view."),
    };
    let (case, path) = (found.wanted.case.document, path.to_path_buf());
    jobs.start(Export { case, purpose, path, overwrite, found, filled, view });
}

impl Job for Export {
    type Output = ExportOutcome;

    fn spec(&self) -> Spec {
        // It is written as it was shown, and reported even if the case is closed by then.
        Spec::new(save::SLOT, format!("Writing {}", self.path.display()))
    }

    fn run(&self, handle: &JobHandle) -> Result<ExportOutcome, Failure> {
        let Self { path, found, filled, .. } = self;
        if !self.overwrite && path.exists() {
            return Ok(ExportOutcome::Exists);
        }
        let bytes = match &self.view {
            None => found.slice.csv(&found.clusters, &found.masking, filled.as_ref().map(|filled| &filled.made))?,
            Some((view, painter)) => {
                handle.progress(None, "drawing");
                picture(view.clone(), found, filled.as_deref(), *painter)?
            }
        };
        handle.check()?;
        write_atomic(path, &bytes)?;
        Ok(ExportOutcome::Written)
    }

    fn apply(self, result: Result<ExportOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(ExportOutcome::Written) => state.notice(Severity::Info, "Written", self.path.display().to_string()),
            Ok(ExportOutcome::Exists) => {
                let request = state.path_request(self.purpose);
                if request.of.is_some_and(|of| of.case == self.case) {
                    state.dialog = Some(Dialog::Overwrite { request, path: self.path });
                } else {
                    let why = format!("{} already exists, and its case is closed.", self.path.display());
                    state.error("Nothing was exported", why);
                }
            }
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// The part of the state that the picture shows.
fn shown(state: &State) -> State {
    let session = &state.session;
    let mut masking = MaskingCache { prepared: state.cache.masking.prepared.clone(), ..MaskingCache::default() };
    masking.document = state.cache.masking.document;
    State {
        session: Session {
            mode: Mode::Masking,
            view: session.view.clone(),
            windows: session.windows.clone(),
            settings: session.settings.clone(),
            masking: session.masking.clone(),
            runs: ChosenRuns { reconstruct: session.runs.reconstruct.clone(), ..ChosenRuns::default() },
            ..Session::default()
        },
        cache: Cache { masking, ..Cache::default() },
        document: state.document.clone(),
        ..State::default()
    }
}

/// Draws the view on a screen that nobody sees, with textures of its own.
fn picture(
    mut state: State,
    found: &ClusteredSlice,
    filled: Option<&ReconstructedSlice>,
    painter: Painter,
) -> Result<Vec<u8>, Failure> {
    let screen = Offscreen::open()?;
    let gpu = screen.gpu();
    let masking = &mut state.cache.masking;
    if let Some(prepared) = &masking.prepared {
        let pictures = pictures::again(found, prepared.case.plan(), gpu)?;
        masking.found = Some(Arc::new(ClusteredSlice { pictures, ..found.clone() }));
    }
    if let Some(filled) = filled {
        masking.filled = Some(Arc::new(ReconstructedSlice {
            input: pictures::of_pixels(&found.slice, &filled.made.input, filled.channel, Some(gpu))?,
            output: pictures::of_pixels(&found.slice, &filled.made.output, filled.channel, Some(gpu))?,
            cells: pictures::cells_of_losses(found, &filled.made, filled.top, Some(gpu))?,
            ..filled.clone()
        }));
    }
    if let (true, Some(document)) = (state.session.masking.shown.native, &mut state.document) {
        let layer = &mut document.images[document.shown];
        layer.texture = Some(gpu.upload(&layer.volume, layer.held_frame())?);
        if let Some(reference) = document.mask_mut(MaskRole::Reference) {
            reference.texture = Some(gpu.upload_labels(&reference.labels)?);
        }
    }
    draw(&screen, &state, painter, PICTURE, Theme::Dark)
}

/// Draws a part of the window as PNG, `size` in points.
pub(in crate::worker) fn draw(
    screen: &Offscreen,
    state: &State,
    painter: Painter,
    size: egui::Vec2,
    theme: Theme,
) -> Result<Vec<u8>, Failure> {
    let ctx = egui::Context::default();
    theme::install(&ctx, theme);
    ctx.set_pixels_per_point(PIXELS_PER_POINT);
    let frame = || {
        let input = RawInput { screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)), ..RawInput::default() };
        let mut output = ctx.run_ui(input, |ui| {
            CentralPanel::no_frame().show(ui, |ui| painter(ui, state));
        });
        screen.take_textures(&mut output);
        output
    };
    for _ in 1..FRAMES {
        frame();
    }
    let picture = screen.draw(&ctx, &frame())?;
    to_png(&picture).map_err(Failure::Error)
}
