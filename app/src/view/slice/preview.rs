//! The preview of a lesion: its outline, strokes and description.

use egui::{Align2, Painter, Pos2, Rect, Stroke, Vec2, vec2};
use engine::edit::{EditLabels, VoxelBox};
use glam::{DVec2, DVec3};

use super::case_view::{CaseView, PaneView};
use super::{marks, overlay};
use crate::scene::vector;
use crate::state::edit::{Preview, Search, SeedStroke};
use crate::theme::font;
use crate::widget::{format, overlay_text, place_clear};

/// Width of the outline, in points.
const WIDTH: f32 = 2.0;
/// Distance of the text from the click.
const BESIDE: f32 = 14.0;
/// Minimum distance of the text from the edge of the pane.
const EDGE: f32 = 3.0;

/// Draws the outline of the previewed lesion and the strokes that define it.
pub fn show(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>) {
    let Some(preview) = &case.document.edits.preview else { return };
    if view.id.is_projection() {
        return;
    }
    let colour = case.document.label_colour(case.state.session.edit.label);
    for stroke in preview.strokes() {
        draw_stroke(painter, case, view, stroke);
    }
    if let Some((delta, alone)) = &preview.found
        && let Some(bounds) = delta.bounds()
    {
        for segment in outline(view, alone, &bounds) {
            marks::polyline(painter, &segment, WIDTH, colour, case.tokens.overlay_halo);
        }
    }
    let at = match &preview.search {
        Search::Click { at, .. } => Some(*at),
        Search::Strokes(strokes) => strokes.last().and_then(|stroke| stroke.points.last()).copied(),
    };
    if let Some(at) = at.filter(|at| view.shows(*at) && !preview.drawing) {
        let (caption, font, color) = (caption(preview), font::number_small(), case.tokens.overlay_measure);
        let size = painter.layout_no_wrap(caption.clone(), font.clone(), color).size();
        let letters = overlay::letter_rects(painter, case, view);
        let place = words_place(view.rect, size, view.pos_of(at), &letters);
        overlay_text(painter, place.min, Align2::LEFT_TOP, &caption, font, color);
    }
}

/// Position of the text about a click or stroke at `at`: beside it, inside the pane, and over no orientation letter if
/// possible.
fn words_place(pane: Rect, size: Vec2, at: Pos2, letters: &[Rect]) -> Rect {
    let places = [
        (BESIDE, -BESIDE, Align2::LEFT_BOTTOM),
        (-BESIDE, -BESIDE, Align2::RIGHT_BOTTOM),
        (BESIDE, BESIDE, Align2::LEFT_TOP),
        (-BESIDE, BESIDE, Align2::RIGHT_TOP),
    ];
    let places = places.map(|(x, y, anchor)| (at + vec2(x, y), anchor));
    place_clear(pane.shrink(EDGE), size, &places, letters)
}

/// Describes the result, or what is missing.
fn caption(preview: &Preview) -> String {
    let search = preview.least().map_or_else(String::new, |least| format!("p \u{2265} {least:.2}, "));
    match &preview.found {
        Some((delta, _)) if delta.is_empty() => format!("{search}nothing to add. Esc: discard"),
        Some((delta, alone)) => {
            let ml = delta.voxels() as f64 * alone.grid().voxel_volume_ml();
            format!("{search}{}. Enter: add, Esc: discard", format::volume(ml))
        }
        None => preview.next_stroke().map_or_else(|| format!("{search}\u{2026}"), str::to_owned),
    }
}

/// The part of a stroke in the slice: solid inside the lesion, dashed around it.
fn draw_stroke(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>, stroke: &SeedStroke) {
    let tokens = case.tokens;
    let ink = case.document.label_colour(case.state.session.edit.label);
    for part in stroke.points.split(|point| !view.shows(*point)).filter(|part| !part.is_empty()) {
        let points: Vec<Pos2> = part.iter().map(|point| view.pos_of(*point)).collect();
        if let [point] = points[..] {
            let color = if stroke.outside { tokens.overlay_text } else { ink };
            painter.circle_filled(point, WIDTH + 1.5, tokens.overlay_halo);
            painter.circle_filled(point, WIDTH, color);
        } else if stroke.outside {
            painter.add(egui::Shape::line(points.clone(), Stroke::new(WIDTH + 2.0, tokens.overlay_halo)));
            painter.extend(egui::Shape::dashed_line(&points, Stroke::new(WIDTH, tokens.overlay_text), 5.0, 4.0));
        } else {
            marks::polyline(painter, &points, WIDTH, ink, tokens.overlay_halo);
        }
    }
}

/// The edges between voxels inside and outside in the slice of a pane, as lines on the screen.
fn outline(view: &PaneView<'_>, labels: &EditLabels, bounds: &VoxelBox) -> Vec<[Pos2; 2]> {
    let (grid, display) = (labels.grid(), view.grid);
    let canonical_from_display = display.canonical_from_display;
    let inside = |index: DVec3| {
        let canonical = canonical_from_display.transform_point3(index).round();
        let within = (0..3).all(|a| canonical[a] >= 0.0 && canonical[a] < display.canonical_shape[a] as f64);
        let canonical = std::array::from_fn(|a| canonical[a].max(0.0) as usize);
        within && labels.get(grid.index(display.orientation.source_voxel(canonical, grid.shape))) != 0
    };
    let [x, y] = view.plane.screen_axes();
    let at = |i: f64, j: f64| {
        let mut index = DVec3::splat(view.slice as f64);
        (index[x], index[y]) = (i, j);
        index
    };
    let [low, high] = reach(view, labels, bounds);
    let pos = |i: f64, j: f64| view.pos(view.map.place_of(DVec2::new(i, j)));
    let mut lines = Vec::new();
    let steps = |axis: usize| (low[axis].floor() as i64)..=(high[axis].ceil() as i64);
    for j in steps(y).map(|j| j as f64) {
        for i in steps(x).map(|i| i as f64) {
            let here = inside(at(i, j));
            if here != inside(at(i + 1.0, j)) {
                lines.push([pos(i + 0.5, j - 0.5), pos(i + 0.5, j + 0.5)]);
            }
            if here != inside(at(i, j + 1.0)) {
                lines.push([pos(i - 0.5, j + 0.5), pos(i + 0.5, j + 0.5)]);
            }
        }
    }
    lines
}

/// The box of voxels in display indices, one wider on each side.
fn reach(view: &PaneView<'_>, labels: &EditLabels, bounds: &VoxelBox) -> [DVec3; 2] {
    let display_from_voxel = view.grid.display_from_world * labels.grid().world_from_voxel;
    let (min, max) = (vector(bounds.min), vector(bounds.max));
    let middle = display_from_voxel.transform_point3((min + max) / 2.0);
    let half = (max - min) / 2.0;
    let m = display_from_voxel.matrix3;
    let reach = m.x_axis.abs() * half.x + m.y_axis.abs() * half.y + m.z_axis.abs() * half.z + DVec3::ONE;
    [middle - reach, middle + reach]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Camera, Convention, DisplayGrid, PaneMap, Plane, PlaneMode};
    use crate::state::PaneId;
    use engine::volume::{Grid, LabelVolume, Orientation};

    #[test]
    fn the_description_stays_inside_the_pane_and_off_its_letters() {
        let (pane, size) = (Rect::from_min_size(Pos2::ZERO, vec2(390.0, 320.0)), vec2(190.0, 13.0));
        let letter = Rect::from_center_size(egui::pos2(380.0, 160.0), vec2(10.0, 18.0));
        for at in [egui::pos2(200.0, 160.0), egui::pos2(385.0, 176.0), egui::pos2(5.0, 3.0), egui::pos2(388.0, 318.0)] {
            let place = words_place(pane, size, at, &[letter]);
            assert!(pane.contains_rect(place) && !letter.intersects(place), "{at:?}: {place:?}");
        }
        let usual = words_place(pane, size, egui::pos2(100.0, 100.0), &[letter]);
        assert_eq!(usual.left_bottom(), egui::pos2(114.0, 86.0));
    }

    #[test]
    fn the_outline_of_two_voxels_has_six_edges_in_every_axis_order() {
        let canonical = Grid::new([7, 6, 5], glam::DAffine3::from_scale(DVec3::new(2.0, 2.0, 3.0)));
        let voxels: Vec<u8> = (0..canonical.len())
            .map(|n| u8::from([[3, 2, 2], [4, 2, 2]].map(|v| canonical.index(v)).contains(&n)))
            .collect();
        for orientation in Orientation::all() {
            let grid = canonical.reoriented(&orientation);
            let stored = orientation.apply(&voxels, canonical.shape);
            let labels = EditLabels::from_volume(&LabelVolume::new(grid.clone(), stored).expect("of the grid's size"));
            let bounds = labels.bounds_of(|label| label != 0).expect("two voxels");
            let display = DisplayGrid::new(&grid, PlaneMode::Native);
            let rect = egui::Rect::from_min_size(Pos2::ZERO, egui::vec2(100.0, 100.0));
            let map = PaneMap::new(
                &display,
                Plane::Axial,
                Convention::Radiological,
                Camera::default(),
                DVec2::new(100.0, 100.0),
            );
            let view =
                |slice| PaneView { id: PaneId::Axial, rect, grid: &display, plane: Plane::Axial, map, slice, image: 0 };
            assert_eq!(outline(&view(2), &labels, &bounds).len(), 6, "{orientation:?}");
            assert!(outline(&view(3), &labels, &bounds).is_empty(), "{orientation:?}");
        }
    }
}
