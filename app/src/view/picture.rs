//! The picture of one pane: textures and uniforms for the shader, or a sentence why there is none.

use engine::volume::Grid;
use glam::{DVec2, DVec3};
use shaders::Slice;

use super::scene::{Masks, PaneView, Scene, canonical_from_display};
use super::stack::{Drawn, Stack, stack};
use super::{DisplayGrid, PaneMap, PlaneMode, uniforms};
use crate::gpu::{self, SlicePaint, Texture, pane_in_pixels};
use crate::state::MaskLayer;

/// What became of a pane's picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Why nothing is drawn, in one sentence.
    pub missing: Option<String>,
    /// What is drawn otherwise than asked for.
    pub notes: Vec<String>,
}

/// How far the directions of two projections may differ (1 less their cosine) and still be one.
const PARALLEL: f64 = 1e-6;

/// Puts the picture of a pane into the frame.
pub fn paint(painter: &egui::Painter, scene: &Scene<'_>, view: &PaneView<'_>, style: &Slice) -> Picture {
    let mut picture = Picture::default();
    let stack = stack(scene.wanted(view.id));
    if !stack.labels {
        picture.notes.push("Labels hidden: neither image lies on their grid".to_owned());
    }
    picture.missing = missing(scene, view);
    if picture.missing.is_none() {
        let slice = slice_paint(scene, view, &stack, style, &mut picture.notes);
        if let Err(why) = gpu::paint(painter, view.rect, slice) {
            picture.missing = Some(format!("This slice cannot be drawn: {why}."));
        }
    }
    picture
}

/// Why a pane cannot be drawn.
fn missing(scene: &Scene<'_>, view: &PaneView<'_>) -> Option<String> {
    let layer = scene.layer(view.image);
    let no_adapter = || format!("Not drawn: {}.", scene.state.adapter);
    if !view.id.is_projection() {
        return layer.texture.is_none().then(no_adapter);
    }
    if layer.volume.data.is_colour() {
        return Some("No projection: colours have no maximum.".to_owned());
    }
    if !parallel(scene, &layer.volume.grid) {
        return Some(format!("No projection: {} lies oblique to the other images.", layer.name));
    }
    match &layer.projection {
        None => Some("Projecting…".to_owned()),
        Some(projection) => projection.texture.is_none().then(no_adapter),
    }
}

/// Whether an image's projection looks along the same direction as the first image's.
fn parallel(scene: &Scene<'_>, grid: &Grid) -> bool {
    let front = |grid: &DisplayGrid| grid.direction(1);
    let other = DisplayGrid::new(grid, PlaneMode::Native);
    front(&scene.native).dot(front(&other)) > 1.0 - PARALLEL
}

/// Textures and uniforms.
fn slice_paint(
    scene: &Scene<'_>,
    view: &PaneView<'_>,
    stack: &Stack,
    style: &Slice,
    notes: &mut Vec<String>,
) -> SlicePaint {
    let (_, [width, height]) = pane_in_pixels(view.rect, scene.pixels_per_point);
    let map = scene.map(view.id, DVec2::new(f64::from(width), f64::from(height)));
    let mut paint = SlicePaint { uniforms: *style, ..SlicePaint::default() };
    // Labels need to know where their grid is even if no image lies on it.
    paint.uniforms.base.rows = rows(scene, view, &map, &scene.document.base().volume.grid);
    if let Some(drawn) = stack.base {
        (paint.base, paint.uniforms.base) = image(scene, view, &map, drawn);
    }
    if let Some(drawn) = stack.over {
        (paint.fused, paint.uniforms.fused) = image(scene, view, &map, drawn);
    }
    notes.extend([&paint.base, &paint.fused].into_iter().flatten().filter_map(|t| t.note().map(ToString::to_string)));
    if stack.labels {
        let projection = view.id.is_projection();
        match scene.masks {
            Masks::None => {}
            Masks::One(mask) => paint.labels = labels(mask, projection),
            Masks::Both { prediction, truth } => {
                (paint.labels, paint.truth) = (labels(prediction, projection), labels(truth, projection));
                paint.uniforms.comparing = 1;
            }
        }
    }
    paint
}

fn image(scene: &Scene<'_>, view: &PaneView<'_>, map: &PaneMap, drawn: Drawn) -> (Option<Texture>, shaders::Image) {
    let layer = scene.layer(drawn.image);
    let chosen = if drawn.second { scene.state.session.view.fused_colour_map } else { scene.state.session.view.colour_map };
    let (texture, colours) = if view.id.is_projection() {
        let texture = layer.projection.as_ref().and_then(|p| p.texture.clone());
        (texture, if drawn.second { chosen } else { layer.projection_colours(chosen) })
    } else {
        (layer.texture.clone(), chosen)
    };
    let rows = rows(scene, view, map, &layer.volume.grid);
    let (window, smooth) = (scene.window(view.id, layer), scene.state.session.settings.interpolate);
    let image = uniforms::image(rows, window, colours, smooth, drawn.opacity);
    (texture, shaders::Image { transparent_low: u32::from(drawn.transparent_low), ..image })
}

fn rows(scene: &Scene<'_>, view: &PaneView<'_>, map: &PaneMap, grid: &Grid) -> [[f32; 4]; 3] {
    let canonical = canonical_from_display(view.grid, &scene.document.base().volume.grid, grid);
    let rows = uniforms::rows(&canonical, map, view.slice as f64);
    if view.id.is_projection() { uniforms::projected(rows, view.plane.axis()) } else { rows }
}

fn labels(mask: &MaskLayer, projection: bool) -> Option<Texture> {
    if projection { mask.projection.as_ref().and_then(|(_, texture)| texture.clone()) } else { mask.texture.clone() }
}

/// What a pane shows in place of a picture.
pub fn paint_missing(painter: &egui::Painter, scene: &Scene<'_>, view: &PaneView<'_>, why: &str) {
    let width = (view.rect.width() - 2.0 * crate::theme::space::XL).max(40.0);
    let mut job =
        egui::text::LayoutJob::simple(why.to_owned(), crate::theme::font::body(), scene.tokens.overlay_dim, width);
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    // A quarter down: the middle belongs to the crosshair.
    let top = egui::pos2(view.rect.center().x, view.rect.top() + view.rect.height() * 0.25);
    painter.galley(top, galley, scene.tokens.overlay_dim);
}

/// The position in the patient of the largest value along a projection's ray through a place on the screen.
pub fn deepest(scene: &Scene<'_>, view: &PaneView<'_>, at: DVec3) -> Option<f64> {
    let sampler = super::sample::Sampler::new(scene.layer(view.image), view.grid, &scene.document.base().volume.grid);
    sampler.deepest(view.plane.axis(), view.grid.shape, at)
}
