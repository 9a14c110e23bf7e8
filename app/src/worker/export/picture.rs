//! Renders the window's view offscreen.

use std::sync::Arc;

use egui::{CentralPanel, Pos2, RawInput, Rect, vec2};

use crate::gpu::Gpu;
use crate::gpu::offscreen::{Offscreen, to_png};
use crate::state::masking::{ClusteredSlice, MaskingCache, ReconstructedSlice};
use crate::state::session::ChosenRuns;
use crate::state::timeline::TimelineCache;
use crate::state::{Cache, Document, Mode, Session, State};
use crate::theme::{self, Theme};
use crate::worker::masking::pictures;
use crate::worker::{Failure, Painter};

/// Size of a picture in points; charts are taller.
const VIEW: egui::Vec2 = vec2(1040.0, 780.0);
const CHARTS: egui::Vec2 = vec2(1040.0, 900.0);
/// Pixels per point.
const PIXELS_PER_POINT: f32 = 2.0;
/// Frames until letters and layout have settled.
const FRAMES: usize = 3;

/// A picture of a mode's view.
pub(super) struct Picture {
    state: Box<State>,
    painter: Painter,
}

impl Picture {
    /// A picture of the current view.
    pub(super) fn of(state: &State, mode: Mode, painter: Painter) -> Self {
        Self { state: Box::new(shown(state, mode)), painter }
    }

    /// Renders it with separate textures.
    pub(super) fn png(&self) -> Result<Vec<u8>, Failure> {
        let mut state = State::clone(&self.state);
        let screen = Offscreen::open()?;
        let (mode, gpu) = (state.session.mode, screen.gpu());
        let with_case = mode == Mode::Review || (mode == Mode::Masking && state.session.masking.shown.native);
        if let Some(document) = state.document.as_mut().filter(|_| with_case) {
            upload(document, gpu)?;
        }
        upload_patches(&mut state.cache.masking, gpu)?;
        let theme = if mode == Mode::Masking { Theme::Dark } else { state.session.settings.theme };
        let size = if mode == Mode::Train { CHARTS } else { VIEW };
        draw(&screen, &state, self.painter, size, theme)
    }
}

/// The part of the state that a mode's view shows.
fn shown(state: &State, mode: Mode) -> State {
    let Session { view, measures, windows, settings, masking, timeline, runs, .. } = &state.session;
    let (of_masking, of_runs) = (&state.cache.masking, &state.cache.timeline);
    let mut masking_cache = MaskingCache { document: of_masking.document, ..MaskingCache::default() };
    let mut timeline_cache = TimelineCache::default();
    match mode {
        Mode::Review => {}
        Mode::Masking => {
            masking_cache.prepared.clone_from(&of_masking.prepared);
            let found = state.current_mask().map(|found| Arc::new(found.clone()));
            let of_slice = |filled: &&Arc<ReconstructedSlice>| {
                found.as_ref().is_some_and(|found| filled.filling.wanted == found.wanted)
            };
            masking_cache.filled = of_masking.filled.as_ref().filter(of_slice).cloned();
            masking_cache.found = found;
        }
        Mode::Train => {
            timeline_cache.pretrain.clone_from(&of_runs.pretrain);
            timeline_cache.finetune.clone_from(&of_runs.finetune);
            timeline_cache.compare.clone_from(&of_runs.compare);
        }
    }
    State {
        session: Session {
            mode,
            view: view.clone(),
            measures: measures.clone(),
            windows: windows.clone(),
            settings: settings.clone(),
            masking: masking.clone(),
            timeline: timeline.clone(),
            runs: ChosenRuns { reconstruct: runs.reconstruct.clone(), ..ChosenRuns::default() },
            ..Session::default()
        },
        cache: Cache { masking: masking_cache, timeline: timeline_cache, ..Cache::default() },
        document: state.document.clone().filter(|_| mode != Mode::Train),
        adapter: state.adapter.clone(),
        ..State::default()
    }
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
        mask.texture = Some(gpu.upload_labels(&mask.labels.to_volume())?);
        if let Some((labels, texture)) = &mut mask.projection {
            *texture = Some(gpu.upload_labels(labels)?);
        }
    }
    Ok(())
}

/// The same of a slice with its patches and its reconstruction.
fn upload_patches(masking: &mut MaskingCache, gpu: &Gpu) -> Result<(), Failure> {
    let (Some(prepared), Some(found)) = (&masking.prepared, &masking.found) else { return Ok(()) };
    if let Some(filled) = &masking.filled {
        masking.filled = Some(Arc::new(ReconstructedSlice {
            input: pictures::of_pixels(&found.slice, &filled.made.input, filled.channel, Some(gpu))?,
            output: pictures::of_pixels(&found.slice, &filled.made.output, filled.channel, Some(gpu))?,
            cells: pictures::cells_of_losses(found, &filled.made, filled.top, Some(gpu))?,
            ..ReconstructedSlice::clone(filled)
        }));
    }
    let pictures = pictures::again(found, prepared.case.plan(), gpu)?;
    masking.found = Some(Arc::new(ClusteredSlice { pictures, ..ClusteredSlice::clone(found) }));
    Ok(())
}

/// Draws a part of the window as PNG, `size` in points.
fn draw(
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
