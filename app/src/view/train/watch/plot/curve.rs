//! Curves as separate strokes.
//!
//! Strokes are not joined: a mitre at a sharp turn would exceed the values. If points are denser than pixels, only the minimum
//! and maximum of every few pixels are drawn.

use egui::{Color32, Pos2, Shape, Stroke};
use egui_plot::LineStyle;

/// Width of a curve, and radius of a point on it.
const WIDTH: f32 = 1.5;
const POINT: f32 = 1.8;
/// Points at least this far apart are marked.
const MARKED_FROM: f32 = 7.0;
/// Width of the columns into which dense points are merged.
const GATHERED: f32 = 3.0;

/// A curve through `places`, which follow each other from left to right.
pub(super) fn shapes(places: &[Pos2], color: Color32, style: LineStyle) -> Vec<Shape> {
    let apart = match places {
        [first, .., last] => (last.x - first.x) / (places.len() - 1) as f32,
        _ => f32::INFINITY,
    };
    let places = if apart < GATHERED / 2.0 { gathered(places) } else { places.to_vec() };
    let mut shapes = stroke_of(&places, Stroke::new(WIDTH, color), style);
    if apart >= MARKED_FROM {
        shapes.extend(places.iter().map(|place| Shape::circle_filled(*place, POINT, color)));
    }
    shapes
}

/// The strokes of a curve.
pub(in crate::view::train) fn stroke_of(places: &[Pos2], stroke: Stroke, style: LineStyle) -> Vec<Shape> {
    match style {
        LineStyle::Solid => places.windows(2).map(|ends| Shape::line_segment([ends[0], ends[1]], stroke)).collect(),
        LineStyle::Dashed { length } => Shape::dashed_line(places, stroke, length, length * 0.62),
        LineStyle::Dotted { spacing } => Shape::dotted_line(places, stroke.color, spacing, stroke.width),
    }
}

/// The lowest and the highest point of each column, in their order.
fn gathered(places: &[Pos2]) -> Vec<Pos2> {
    let column = |place: &Pos2| (place.x / GATHERED).floor();
    let mut kept = Vec::new();
    for column in places.chunk_by(|a, b| column(a) == column(b)) {
        let by_height = |a: &&Pos2, b: &&Pos2| a.y.total_cmp(&b.y);
        let ends = [column.iter().min_by(by_height), column.iter().max_by(by_height)];
        let mut ends: Vec<Pos2> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.x.total_cmp(&b.x));
        ends.dedup();
        kept.extend(ends);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    /// A noisy curve of 400 epochs over 200 points.
    fn noisy() -> Vec<Pos2> {
        (0..400).map(|n| pos2(n as f32 * 0.5, 50.0 + ((n * 37) % 40) as f32)).collect()
    }

    #[test]
    fn no_curve_reaches_beyond_its_values() {
        for style in [LineStyle::Solid, LineStyle::Dashed { length: 7.0 }, LineStyle::Dotted { spacing: 4.0 }] {
            let zigzag: Vec<Pos2> =
                (0..20).map(|n| pos2(n as f32 * 2.0, if n % 2 == 0 { 40.0 } else { 90.0 })).collect();
            for shape in shapes(&zigzag, Color32::WHITE, style) {
                assert!(!matches!(shape, Shape::Path(_)), "a path has mitres");
                let y = shape.visual_bounding_rect().y_range();
                assert!(y.min >= 40.0 - WIDTH && y.max <= 90.0 + WIDTH, "{style:?}: {y:?}");
            }
        }
    }

    #[test]
    fn many_epochs_keep_their_extremes_and_are_not_marked() {
        let all = noisy();
        let kept = gathered(&all);
        let range = |places: &[Pos2]| {
            places.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], p| [low.min(p.y), high.max(p.y)])
        };
        assert!(kept.len() <= 140 && kept.iter().all(|place| all.contains(place)), "{}", kept.len());
        assert_eq!(range(&kept), range(&all));
        assert!(kept.is_sorted_by(|a, b| a.x <= b.x));
        let circles = |places: &[Pos2]| {
            let shapes = shapes(places, Color32::WHITE, LineStyle::Solid);
            shapes.iter().filter(|shape| matches!(shape, Shape::Circle(_))).count()
        };
        assert_eq!([circles(&all), circles(&all[..1])], [0, 1]);
        let few: Vec<Pos2> = (0..12).map(|n| pos2(n as f32 * 20.0, 50.0)).collect();
        assert_eq!(circles(&few), 12);
    }
}
