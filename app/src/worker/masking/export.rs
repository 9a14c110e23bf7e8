//! What Masking mode shows as a picture, and its numbers as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{CentralPanel, Pos2, RawInput, Rect, vec2};
use engine::run::atomic::write_atomic;

use super::super::{Failure, JobHandle, Jobs, Spec, save};
use super::pictures;
use crate::command::Sender;
use crate::gpu::offscreen::{Offscreen, to_png};
use crate::state::masking::{Filled, FoundSlice, MaskingState};
use crate::state::names::file_stem;
use crate::state::{Dialog, Mode, PathPurpose, Severity, State};
use crate::theme::{self, Theme};
use crate::view;

/// Size of an exported picture in points, and its pixels a point.
const PICTURE: (egui::Vec2, f32) = (vec2(1040.0, 780.0), 2.0);
/// Frames until letters and layout have settled.
const FRAMES: usize = 3;

/// The name that is proposed: the file's, its slice, and what it is.
pub fn proposed_name(state: &State, purpose: PathPurpose) -> String {
    let stem = state.document.as_ref().map_or_else(|| "slice".into(), |d| file_stem(&d.image().path));
    let slice = state.file_slice().unwrap_or(0);
    let ending = if purpose == PathPurpose::MaskingTable { "csv" } else { "png" };
    format!("{stem}_slice{slice}_masking.{ending}")
}

/// The same beside the image.
pub fn proposed_path(state: &State, purpose: PathPurpose) -> PathBuf {
    let folder = state.document.as_ref().and_then(|d| d.image().path.parent().map(Path::to_path_buf));
    folder.unwrap_or_default().join(proposed_name(state, purpose))
}

/// Writes the picture or the table. A file that is there already is only written over if the user said so.
pub fn to(state: &mut State, jobs: &mut Jobs, purpose: PathPurpose, path: &Path, overwrite: bool) {
    let Some(found) = state.current_mask().map(|found| Arc::new(found.clone())) else {
        state.error("Nothing to export", "the shown slice is not clustered yet");
        return;
    };
    if path.exists() && !overwrite {
        state.dialog = Some(Dialog::Overwrite { request: state.path_request(purpose), path: path.to_path_buf() });
        return;
    }
    let filled = state.masking.filled.clone().filter(|filled| filled.filling.wanted == found.wanted);
    // What is written belongs to the slice as it was shown: it is told even when that case is closed.
    let spec = Spec::new(save::SLOT, format!("Writing {}", path.display()));
    let path = path.to_path_buf();
    if purpose == PathPurpose::MaskingTable {
        start(jobs, spec, move |_| {
            let table = found.slice.csv(&found.clusters, &found.masking, filled.as_ref().map(|filled| &filled.made))?;
            write_atomic(&path, &table)?;
            Ok(path)
        });
        return;
    }
    let shown = shown(state);
    start(jobs, spec, move |handle| {
        handle.progress(None, "drawing");
        let picture = picture(shown, &found, filled.as_deref())?;
        handle.check()?;
        write_atomic(&path, &picture)?;
        Ok(path)
    });
}

fn start(jobs: &mut Jobs, spec: Spec, work: impl FnOnce(&JobHandle) -> Result<PathBuf, Failure> + Send + 'static) {
    jobs.start_with(spec, work, |result, spec, state, _| match result {
        Ok(path) => state.notice(Severity::Info, "Written", path.display().to_string()),
        Err(failure) => failure.report(&spec.title, state),
    });
}

/// What of the state the picture shows.
fn shown(state: &State) -> State {
    let MaskingState { controls, shown, pinned, cameras, contrast, run, prepared, .. } = state.masking.clone();
    State {
        mode: Mode::Masking,
        document: state.document.clone(),
        view: state.view.clone(),
        windows: state.windows.clone(),
        settings: state.settings.clone(),
        run: state.run.clone(),
        masking: MaskingState { controls, shown, pinned, cameras, contrast, run, prepared, ..MaskingState::default() },
        ..State::default()
    }
}

/// Draws the view on a screen that nobody sees, with textures of its own.
fn picture(mut state: State, found: &FoundSlice, filled: Option<&Filled>) -> Result<Vec<u8>, Failure> {
    let screen = Offscreen::open()?;
    let gpu = screen.gpu();
    if let Some(prepared) = &state.masking.prepared {
        let pictures = pictures::again(found, prepared.case.plan(), gpu)?;
        state.masking.found = Some(Arc::new(FoundSlice { pictures, ..found.clone() }));
    }
    if let Some(filled) = filled {
        state.masking.filled = Some(Arc::new(Filled {
            input: pictures::of_pixels(&found.slice, &filled.made.input, filled.channel, Some(gpu))?,
            output: pictures::of_pixels(&found.slice, &filled.made.output, filled.channel, Some(gpu))?,
            cells: pictures::cells_of_losses(found, &filled.made, filled.top, Some(gpu))?,
            ..filled.clone()
        }));
    }
    if let (true, Some(document)) = (state.masking.shown.native, &mut state.document) {
        let layer = &mut document.images[document.shown];
        layer.texture = Some(gpu.upload(&layer.volume, layer.held_frame())?);
        if let Some(truth) = &mut document.truth {
            truth.texture = Some(gpu.upload_labels(&truth.labels)?);
        }
    }
    draw(&screen, &state)
}

fn draw(screen: &Offscreen, state: &State) -> Result<Vec<u8>, Failure> {
    let (size, pixels_per_point) = PICTURE;
    let ctx = egui::Context::default();
    theme::install(&ctx, Theme::Dark);
    ctx.set_pixels_per_point(pixels_per_point);
    let sender = Sender::default();
    let frame = || {
        let input = RawInput { screen_rect: Some(Rect::from_min_size(Pos2::ZERO, size)), ..RawInput::default() };
        let mut output = ctx.run_ui(input, |ui| {
            CentralPanel::no_frame().show(ui, |ui| view::masking::show(ui, state, &sender));
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
