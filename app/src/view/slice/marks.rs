//! Lines over an image: crosshair, findings with calipers, rulers and ellipses.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, pos2, vec2};
use engine::findings::Finding;
use glam::{DAffine3, DVec3};

use super::case_view::{CaseView, PaneView};
use super::text;
use crate::scene::Plane;
use crate::state::{Measure, MeasureKind, Status};
use crate::theme::font;
use crate::widget::{clear_place, overlay_text, place_clear, place_within};

/// Half the gap at the centre of the crosshair, in points.
const OPENING: f32 = 14.0;
/// Half the size of a letter at the edge.
const LETTER: f32 = 14.0;
/// Half the length of the end ticks of calipers and rulers.
const TICK: f32 = 5.0;
/// Gap between a line and its text.
const BESIDE: f32 = 8.0;
/// Minimum distance of text from the edge of the pane.
const EDGE: f32 = 3.0;
/// Distance from a number's usual places to the next ones, if those are taken.
const NEXT_LINE: f32 = 16.0;
/// Arm length of the bracket at a finding's number.
const BRACKET: f32 = 7.0;
/// Length of the segments of a line that text must not cover.
const STRIDE: f32 = 16.0;
/// Width of measuring lines.
const WIDTH: f32 = 1.5;

/// Colour of a plane's line in other panes.
pub fn plane_color(plane: Plane) -> Color32 {
    match plane {
        Plane::Sagittal => Color32::from_rgb(0xE3, 0xC1, 0x6F),
        Plane::Coronal => Color32::from_rgb(0x86, 0xC5, 0xA4),
        Plane::Axial => Color32::from_rgb(0x8F, 0xB8, 0xE8),
    }
}

/// A line with a dark halo, visible on bright anatomy.
pub fn polyline(painter: &Painter, points: &[Pos2], width: f32, color: Color32, halo: Color32) {
    painter.line(points.to_vec(), Stroke::new(width + 2.0, halo));
    painter.line(points.to_vec(), Stroke::new(width, color));
}

/// The slices of the other panes, with a gap at their common point.
pub fn crosshair(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>) {
    let at = view.pos_of(case.state.session.view.crosshair);
    let (x, y) = (painter.round_to_pixel_center(at.x), painter.round_to_pixel_center(at.y));
    let [across_x, across_y] = view.plane.screen_axes().map(|axis| plane_color(Plane::ALL[axis]).gamma_multiply(0.8));
    let width = 1.0_f32.max((painter.pixels_per_point() * 0.75).round()) / painter.pixels_per_point();
    let strokes = |color| {
        let halo = Stroke::new(width + 2.0, case.tokens.overlay_halo.gamma_multiply(0.5));
        [halo, Stroke::new(width, color)]
    };
    let rect = view.rect;
    // Lines end before a letter that they would cross.
    let inset = |line: f32, middle: f32| if (line - middle).abs() < LETTER { LETTER * 2.0 } else { 0.0 };
    let [beside, above] = [inset(y, rect.center().y), inset(x, rect.center().x)];
    for (from, to) in [(rect.left() + beside, x - OPENING), (x + OPENING, rect.right() - beside)] {
        for stroke in strokes(across_y).into_iter().filter(|_| from < to) {
            painter.hline(from..=to, y, stroke);
        }
    }
    for (from, to) in [(rect.top() + above, y - OPENING), (y + OPENING, rect.bottom() - above)] {
        for stroke in strokes(across_x).into_iter().filter(|_| from < to) {
            painter.vline(x, from..=to, stroke);
        }
    }
}

/// Fraction of a pane above which a lesion is too large for text to avoid it.
const FILLS: f32 = 0.35;

/// Screen rectangles of the lesions in the slice, marked or not; in a projection that of the selected one. Those that
/// fill the pane are ignored, or no text could be placed when zoomed in.
pub fn lesions(case: &CaseView<'_>, view: &PaneView<'_>) -> Vec<Rect> {
    let Some(findings) = &case.document.findings else { return Vec::new() };
    let display_from_voxel = view.grid.display_from_world * case.document.base().volume.grid.world_from_voxel;
    let chosen = case.state.session.view.finding;
    let entries = findings.entries.iter().take(case.state.shown_findings()).enumerate();
    let boxes = entries.filter_map(|(at, entry)| {
        let bounds = bounds(&display_from_voxel, &entry.finding);
        let met = (bounds[0][view.plane.axis()]..=bounds[1][view.plane.axis()]).contains(&(view.slice as f64));
        let shown = if view.id.is_projection() { chosen == Some(at) } else { met };
        let [a, b] = bounds.map(|index| view.pos(view.map.place_of_index(index)));
        shown.then(|| Rect::from_two_pos(a, b).intersect(view.rect))
    });
    boxes.filter(|rect| rect.is_positive() && rect.area() < FILLS * view.rect.area()).collect()
}

/// Numbers of the findings in the slice, and calipers of the selected one. Adds what it draws to `kept`.
pub fn findings(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>, kept: &mut Vec<Rect>) {
    let Some(findings) = &case.document.findings else { return };
    let grid = &case.document.base().volume.grid;
    let display_from_voxel = view.grid.display_from_world * grid.world_from_voxel;
    let marked = findings.entries.iter().take(case.state.shown_findings()).enumerate().filter_map(|(at, entry)| {
        let chosen = case.state.session.view.finding == Some(at);
        let bounds = bounds(&display_from_voxel, &entry.finding);
        let met = (bounds[0][view.plane.axis()]..=bounds[1][view.plane.axis()]).contains(&(view.slice as f64));
        // A projection shows all findings: only the selected one is marked.
        let shown = if view.id.is_projection() { chosen } else { met };
        let [a, b] = bounds.map(|index| view.pos(view.map.place_of_index(index)));
        let corner = pos2(a.x.max(b.x), a.y.min(b.y));
        (shown && case.state.marks(case.document, entry)).then_some((at, entry, chosen, corner))
    });
    let mut marked: Vec<_> = marked.collect();
    // The selected finding is placed first, so it gets the best position.
    marked.sort_by_key(|(_, _, chosen, _)| !chosen);
    // Text must not cover any bracket, including those of later findings.
    kept.extend(marked.iter().map(|(.., corner)| Rect::from_points(&bracket(*corner))));
    for (at, entry, chosen, corner) in marked {
        if chosen {
            calipers(painter, case, view, &entry.finding, kept);
        }
        number(painter, case, corner, (&label(at, entry.status, chosen), chosen), kept);
    }
}

/// Connects the number of a finding with the upper right corner of its box.
fn bracket(corner: Pos2) -> [Pos2; 3] {
    [corner - vec2(BRACKET, 0.0), corner, corner + vec2(0.0, BRACKET)]
}

/// Number of a finding; for the selected one also its status.
fn label(at: usize, status: Status, chosen: bool) -> String {
    match status {
        Status::Missed | Status::Extra if chosen => format!("{} {}", at + 1, status.name()),
        _ => (at + 1).to_string(),
    }
}

/// Bounding box of a finding, voxel edge to edge, in display indices.
fn bounds(display_from_voxel: &DAffine3, finding: &Finding) -> [DVec3; 2] {
    let low = crate::scene::vector(finding.min_voxel) - 0.5;
    let high = crate::scene::vector(finding.max_voxel) + 0.5;
    let middle = display_from_voxel.transform_point3((low + high) / 2.0);
    let half = (high - low) / 2.0;
    let m = display_from_voxel.matrix3;
    let reach = m.x_axis.abs() * half.x + m.y_axis.abs() * half.y + m.z_axis.abs() * half.z;
    [middle - reach, middle + reach]
}

fn number(painter: &Painter, case: &CaseView<'_>, corner: Pos2, (label, chosen): (&str, bool), kept: &mut Vec<Rect>) {
    let (font, color) =
        if chosen { (font::body(), case.tokens.overlay_measure) } else { (font::caption(), case.tokens.overlay_text) };
    polyline(painter, &bracket(corner), 1.0, color, case.tokens.overlay_halo);
    let size = painter.layout_no_wrap(label.to_owned(), font.clone(), color).size();
    let (bounds, places) = (painter.clip_rect().shrink(EDGE), number_places(corner));
    // A number that would cover other text is left out; the list has it. The selected one is always drawn.
    let place = clear_place(bounds, size, &places, kept);
    let place = place.or_else(|| chosen.then(|| place_within(bounds, size, &places)));
    if let Some(place) = place {
        kept.push(overlay_text(painter, place.min, Align2::LEFT_TOP, label, font, color));
    }
}

/// Candidate positions of a finding's number: around its bracket, then a line further above or below.
fn number_places(corner: Pos2) -> [(Pos2, Align2); 6] {
    [
        (corner + vec2(4.0, -1.0), Align2::LEFT_BOTTOM),
        (corner + vec2(-BRACKET, -1.0), Align2::RIGHT_BOTTOM),
        (corner + vec2(4.0, BRACKET), Align2::LEFT_TOP),
        (corner + vec2(4.0, -1.0 - NEXT_LINE), Align2::LEFT_BOTTOM),
        (corner + vec2(4.0, BRACKET + NEXT_LINE), Align2::LEFT_TOP),
        (corner + vec2(4.0, BRACKET + 2.0 * NEXT_LINE), Align2::LEFT_TOP),
    ]
}

fn calipers(painter: &Painter, case: &CaseView<'_>, view: &PaneView<'_>, finding: &Finding, kept: &mut Vec<Rect>) {
    let ends = finding.diameter.ends_mm.map(DVec3::from_array);
    if view.plane != Plane::Axial || !view.shows((ends[0] + ends[1]) / 2.0) {
        return;
    }
    let ends = ends.map(|end| view.pos_of(end));
    ruler(painter, case, ends, &text::length(finding.diameter.mm), kept);
}

/// Measurements in the slice; `finished` ones with their statistics. Adds what it draws to `kept`.
pub fn measures<'a>(
    painter: &Painter,
    case: &CaseView<'_>,
    view: &PaneView<'_>,
    (measures, finished): (impl Iterator<Item = &'a Measure>, bool),
    kept: &mut Vec<Rect>,
) {
    for measure in measures {
        if measure.plane != view.plane || !measure.ends_mm.iter().all(|end| view.shows(*end)) {
            continue;
        }
        let [a, b] = measure.ends_mm;
        let ends = [a, b].map(|end| view.pos_of(end));
        match measure.kind {
            MeasureKind::Ruler => ruler(painter, case, ends, &text::length(a.distance(b)), kept),
            MeasureKind::Ellipse => {
                let label = if finished {
                    text::statistics(case, view, measure.statistics.as_ref())
                } else {
                    // During the drag only the size is known.
                    let size = view.map.index_at(view.place(ends[0])) - view.map.index_at(view.place(ends[1]));
                    let [x, y] = view.plane.screen_axes();
                    let (width, height) =
                        (size.x.abs() * view.grid.spacing_mm[x], size.y.abs() * view.grid.spacing_mm[y]);
                    [format!("{width:.1} × {height:.1} mm"), String::new(), String::new()]
                };
                ellipse(painter, case, ends, &label, kept);
            }
        }
    }
}

/// A line with end ticks and its length.
fn ruler(painter: &Painter, case: &CaseView<'_>, [a, b]: [Pos2; 2], label: &str, kept: &mut Vec<Rect>) {
    let (color, halo) = (case.tokens.overlay_measure, case.tokens.overlay_halo);
    let along = (b - a).normalized();
    let tick = vec2(-along.y, along.x) * TICK;
    for line in [[a, b], [a - tick, a + tick], [b - tick, b + tick]] {
        polyline(painter, &line, WIDTH, color, halo);
    }
    // Beside the right end, clear of the line; elsewhere around it if the text would leave the pane.
    let (left, right) = if a.x > b.x { (b, a) } else { (a, b) };
    let (top, bottom) = if a.y > b.y { (b, a) } else { (a, b) };
    let places = [
        (right + vec2(BESIDE, 0.0), Align2::LEFT_CENTER),
        (left - vec2(BESIDE, 0.0), Align2::RIGHT_CENTER),
        (bottom + vec2(0.0, BESIDE), Align2::CENTER_TOP),
        (top - vec2(0.0, BESIDE), Align2::CENTER_BOTTOM),
    ];
    kept.extend(along_line([a, b]).filter(|rect| rect.intersects(painter.clip_rect())));
    write(painter, &places, label, (font::number_small(), color), kept);
}

/// Small rectangles along a line. The bounding box of a slanted line would keep text off most of the pane.
fn along_line([a, b]: [Pos2; 2]) -> impl Iterator<Item = Rect> {
    let steps = (a.distance(b) / STRIDE).ceil().max(1.0);
    (0..steps as usize).map(move |n| {
        let [from, to] = [n, n + 1].map(|n| a + (b - a) * (n as f32 / steps));
        Rect::from_two_pos(from, to).expand(TICK)
    })
}

/// Writes text at the first of `places` where it overlaps nothing in `kept` and is not clipped by the pane.
fn write(
    painter: &Painter,
    places: &[(Pos2, Align2)],
    label: &str,
    (font, color): (FontId, Color32),
    kept: &mut Vec<Rect>,
) {
    let size = painter.layout_no_wrap(label.to_owned(), font.clone(), color).size();
    let place = place_clear(painter.clip_rect().shrink(EDGE), size, places, kept);
    kept.push(overlay_text(painter, place.min, Align2::LEFT_TOP, label, font, color));
}

fn ellipse(painter: &Painter, case: &CaseView<'_>, ends: [Pos2; 2], label: &[String; 3], kept: &mut Vec<Rect>) {
    let (color, halo) = (case.tokens.overlay_measure, case.tokens.overlay_halo);
    let rect = Rect::from_two_pos(ends[0], ends[1]);
    for stroke in [Stroke::new(WIDTH + 2.0, halo), Stroke::new(WIDTH, color)] {
        painter.add(egui::epaint::EllipseShape::stroke(rect.center(), rect.size() / 2.0, stroke));
    }
    let lines: Vec<&str> = label.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
    let places = [
        (rect.right_center() + vec2(6.0, 0.0), Align2::LEFT_CENTER),
        (rect.left_center() - vec2(6.0, 0.0), Align2::RIGHT_CENTER),
    ];
    kept.push(rect);
    write(painter, &places, &lines.join("\n"), (font::number_small(), color), kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{DisplayGrid, PlaneMode};
    use engine::findings::findings;
    use engine::volume::{Grid, LabelVolume};

    #[test]
    fn the_box_of_a_finding_includes_whole_voxels() {
        let matrix3 = glam::DMat3::from_diagonal(DVec3::new(-2.0, 1.0, 3.0));
        let grid = Grid::new([6, 5, 4], DAffine3 { matrix3, translation: DVec3::new(3.0, 4.0, 5.0) });
        let mut mask = vec![0_u8; grid.len()];
        for voxel in [[1, 2, 1], [2, 2, 1], [2, 3, 2]] {
            mask[grid.index(voxel)] = 1;
        }
        let found = findings(&LabelVolume::new(grid.clone(), mask).expect("a mask of the grid's size"));
        let display = DisplayGrid::new(&grid, PlaneMode::Native);
        let [low, high] = bounds(&(display.display_from_world * grid.world_from_voxel), &found[0]);
        // Voxels 1 and 2 of six, counted from the other side.
        assert!(low.abs_diff_eq(DVec3::new(2.5, 1.5, 0.5), 1e-9), "{low}");
        assert!(high.abs_diff_eq(DVec3::new(4.5, 3.5, 2.5), 1e-9), "{high}");
    }

    /// The number is placed next to its bracket, and caliper text avoids it.
    #[test]
    fn caliper_text_covers_no_bracket() {
        let corner = pos2(120.0, 60.0);
        let kept = [Rect::from_points(&bracket(corner))];
        assert_eq!(kept[0], Rect::from_min_max(pos2(113.0, 60.0), pos2(120.0, 67.0)));
        let (pane, size) = (Rect::from_min_max(Pos2::ZERO, pos2(300.0, 200.0)), vec2(48.0, 12.0));
        let places = number_places(corner);
        assert_eq!(place_clear(pane, vec2(7.0, 14.0), &places, &kept).left_bottom(), corner + vec2(4.0, -1.0));
        // Calipers that end left of the corner.
        let at_end =
            [(corner + vec2(-20.0, 3.0), Align2::LEFT_CENTER), (corner + vec2(-40.0, 20.0), Align2::CENTER_TOP)];
        assert_eq!(place_clear(pane, size, &at_end, &kept).top(), 80.0);
    }

    #[test]
    fn text_avoids_a_slanted_line_but_not_its_bounding_box() {
        let [a, b] = [pos2(10.0, 10.0), pos2(310.0, 310.0)];
        let parts: Vec<Rect> = along_line([a, b]).collect();
        let covered = |at: Pos2| parts.iter().any(|part| part.contains(at));
        assert!((0..=30).all(|n| covered(a + (b - a) * (n as f32 / 30.0))), "all of the line");
        assert!(!covered(pos2(30.0, 290.0)) && !covered(pos2(290.0, 30.0)), "no corner beside it");
        assert_eq!(along_line([a, a]).count(), 1);
    }

    #[test]
    fn a_number_without_a_clear_place_is_left_out() {
        let (bounds, size) = (Rect::from_min_max(Pos2::ZERO, pos2(300.0, 200.0)), vec2(7.0, 14.0));
        let places = number_places(pos2(120.0, 60.0));
        let first = clear_place(bounds, size, &places, &[]).expect("an empty pane");
        let second = clear_place(bounds, size, &places, &[first]).expect("beside the first");
        assert!(!first.intersects(second));
        assert_eq!(clear_place(bounds, size, &places, &[bounds]), None);
    }

    #[test]
    fn only_the_selected_finding_shows_its_status() {
        assert_eq!(label(2, Status::Missed, true), "3 missed");
        assert_eq!(label(2, Status::Extra, false), "3");
        assert_eq!(label(0, Status::Hit, true), "1");
    }
}
