//! The image of a pane: textures and uniforms for the shader, or the reason for a missing image.

use engine::volume::Grid;
use glam::{DVec2, DVec3};
use shaders::{ComparisonMode, LabelMode, Slice};

use super::case_view::{CaseView, PaneMasks, PaneView, canonical_from_display};
use super::stack::{ImagePass, Stack, stack};
use crate::gpu::{self, SlicePaint, Texture, pane_in_pixels};
use crate::scene::{DisplayGrid, PaneMap, PlaneMode};
use crate::state::MaskLayer;
use crate::view::uniforms;

/// Result of painting an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Why nothing is drawn.
    pub missing: Option<String>,
    /// Deviations of the drawing from the request.
    pub notes: Vec<String>,
}

/// Tolerance of parallel projections: 1 minus the cosine of their angle.
const PARALLEL: f64 = 1e-6;

/// Adds the image of a pane to the frame.
pub fn paint(painter: &egui::Painter, case: &CaseView<'_>, view: &PaneView<'_>, style: &Slice) -> Picture {
    let mut picture = Picture::default();
    let stack = stack(case.stack_input(view.id));
    if !stack.labels {
        picture.notes.push("Labels hidden: neither image is on their grid".to_owned());
    }
    picture.missing = missing(case, view);
    if picture.missing.is_none() {
        let slice = slice_paint(case, view, &stack, style, &mut picture.notes);
        if let Err(why) = gpu::paint(painter, view.rect, slice) {
            picture.missing = Some(format!("Cannot draw this slice: {why}."));
        }
    }
    picture
}

fn missing(case: &CaseView<'_>, view: &PaneView<'_>) -> Option<String> {
    let layer = case.layer(view.image);
    let no_adapter = || format!("Not drawn: {}.", case.state.adapter);
    if !view.id.is_projection() {
        return layer.texture.is_none().then(no_adapter);
    }
    if layer.volume.data.is_colour() {
        return Some("Colour images cannot be projected.".to_owned());
    }
    if !parallel(case, &layer.volume.grid) {
        return Some(format!("{} cannot be projected: it is oblique to the other images.", layer.name));
    }
    match &layer.projection {
        None => Some("Projecting…".to_owned()),
        Some(projection) => projection.texture.is_none().then(no_adapter),
    }
}

/// Whether an image is projected along the same direction as the first image.
fn parallel(case: &CaseView<'_>, grid: &Grid) -> bool {
    let front = |grid: &DisplayGrid| grid.direction(1);
    let other = DisplayGrid::new(grid, PlaneMode::Native);
    front(&case.native).dot(front(&other)) > 1.0 - PARALLEL
}

fn slice_paint(
    case: &CaseView<'_>,
    view: &PaneView<'_>,
    stack: &Stack,
    style: &Slice,
    notes: &mut Vec<String>,
) -> SlicePaint {
    let (_, [width, height]) = pane_in_pixels(view.rect, case.pixels_per_point);
    let map = case.map(view.id, DVec2::new(f64::from(width), f64::from(height)));
    let mut paint = SlicePaint { uniforms: *style, ..SlicePaint::default() };
    // Labels need the rows of their grid even if no image has it.
    paint.uniforms.base.rows = rows(case, view, &map, &case.document.base().volume.grid);
    if let Some(drawn) = stack.base {
        (paint.base, paint.uniforms.base) = image(case, view, &map, drawn);
    }
    if let Some(drawn) = stack.over {
        (paint.fused, paint.uniforms.fused) = image(case, view, &map, drawn);
    }
    notes.extend([&paint.base, &paint.fused].into_iter().flatten().filter_map(|t| t.note().map(ToString::to_string)));
    if stack.labels {
        let projection = view.id.is_projection();
        match case.masks {
            PaneMasks::None => {}
            PaneMasks::One(mask) => paint.labels = labels(mask, projection),
            // A projection of the bits of several masks has no meaning.
            PaneMasks::Methods(_) if projection => {}
            PaneMasks::Methods(outlines) => {
                paint.labels.clone_from(&outlines.texture);
                paint.uniforms.comparing = ComparisonMode::Several as u32;
                // Drawn whether labels are filled, outlined or neither.
                paint.uniforms.label_mode = LabelMode::Outline as u32;
            }
            PaneMasks::Both { segmentation, reference } => {
                (paint.labels, paint.truth) = (labels(segmentation, projection), labels(reference, projection));
                // A projection shows the largest label along a ray, so labels of voxels cannot be compared.
                let labels = case.document.compares_labels() && !projection;
                paint.uniforms.comparing = if labels { ComparisonMode::Labels } else { ComparisonMode::Place } as u32;
            }
        }
    }
    paint
}

fn image(
    case: &CaseView<'_>,
    view: &PaneView<'_>,
    map: &PaneMap,
    drawn: ImagePass,
) -> (Option<Texture>, shaders::Image) {
    let layer = case.layer(drawn.image);
    let chosen =
        if drawn.second { case.state.session.view.fused_colour_map } else { case.state.session.view.colour_map };
    let is_projection = view.id.is_projection();
    let texture =
        if is_projection { layer.projection.as_ref().and_then(|p| p.texture.clone()) } else { layer.texture.clone() };
    let colours = if drawn.second { chosen } else { layer.colours(chosen, is_projection) };
    let rows = rows(case, view, map, &layer.volume.grid);
    let (window, smooth) = (case.window(view.id, layer), case.state.session.settings.interpolate);
    let image = uniforms::image(rows, window, colours, smooth, drawn.opacity);
    (texture, shaders::Image { transparent_low: u32::from(drawn.transparent_low), ..image })
}

fn rows(case: &CaseView<'_>, view: &PaneView<'_>, map: &PaneMap, grid: &Grid) -> [[f32; 4]; 3] {
    let canonical = canonical_from_display(view.grid, &case.document.base().volume.grid, grid);
    let rows = uniforms::rows(&canonical, map, view.slice as f64);
    if view.id.is_projection() { uniforms::projected(rows, view.plane.axis()) } else { rows }
}

fn labels(mask: &MaskLayer, projection: bool) -> Option<Texture> {
    if projection { mask.projection.as_ref().and_then(|(_, texture)| texture.clone()) } else { mask.texture.clone() }
}

/// Draws the reason why there is no image.
pub fn paint_missing(painter: &egui::Painter, case: &CaseView<'_>, view: &PaneView<'_>, why: &str) {
    let width = (view.rect.width() - 2.0 * crate::theme::space::XL).max(40.0);
    let mut job =
        egui::text::LayoutJob::simple(why.to_owned(), crate::theme::font::body(), case.tokens.overlay_dim, width);
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    // A quarter down, clear of the crosshair.
    let top = egui::pos2(view.rect.center().x, view.rect.top() + view.rect.height() * 0.25);
    painter.galley(top, galley, case.tokens.overlay_dim);
}

/// Depth (display index) of the largest value along the projection ray at a display index.
pub fn deepest(case: &CaseView<'_>, view: &PaneView<'_>, at: DVec3) -> Option<f64> {
    let sampler = super::sample::Sampler::new(case.layer(view.image), view.grid, &case.document.base().volume.grid);
    sampler.deepest(view.plane.axis(), view.grid.shape, at)
}
