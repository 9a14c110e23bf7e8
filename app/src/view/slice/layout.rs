//! Arrangement of panes on whole pixels, with thin lines between them.

use egui::{Rect, pos2};

use crate::state::PaneId;

/// Width of the lines between panes, in points.
const GAP: f32 = 1.0;

/// Rectangles of the panes in reading order, with edges on whole physical pixels: up to three linked panes in one row,
/// four in two rows of two, more in rows of three; others in rows of two, a single pane on the whole area.
pub fn arrange(area: Rect, panes: &[PaneId], pixels_per_point: f32) -> Vec<(PaneId, Rect)> {
    let pixel = |v: f32| (v * pixels_per_point).round() as i64;
    let gap = pixel(GAP).max(1);
    let linked = matches!(panes.first(), Some(PaneId::Linked(_)));
    let columns = match panes.len() {
        4 => 2,
        0..=3 if linked => panes.len().max(1),
        _ if linked => 3,
        n => n.clamp(1, 2),
    };
    let rows = panes.len().div_ceil(columns).max(1);
    let point = |v: i64| v as f32 / pixels_per_point;
    let place = |(n, &pane): (usize, &PaneId)| {
        let [left, right] = part([pixel(area.left()), pixel(area.right())], n % columns, columns, gap);
        let [top, bottom] = part([pixel(area.top()), pixel(area.bottom())], n / columns, rows, gap);
        (pane, Rect::from_min_max(pos2(point(left), point(top)), pos2(point(right), point(bottom))))
    };
    panes.iter().enumerate().map(place).collect()
}

/// Part `k` of `count` parts with gaps between them, equal to within a pixel.
fn part([from, to]: [i64; 2], k: usize, count: usize, gap: i64) -> [i64; 2] {
    let (k, count) = (k as i64, count as i64);
    let length = (to - from - gap * (count - 1)).max(0);
    [from + length * k / count + gap * k, from + length * (k + 1) / count + gap * k]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(rect: Rect, scale: f32) -> [f32; 4] {
        [rect.left(), rect.top(), rect.right(), rect.bottom()].map(|v| v * scale)
    }

    #[test]
    fn four_panes_tile_the_area_with_one_line_between_them() {
        let area = Rect::from_min_max(pos2(220.0, 40.0), pos2(1001.0, 680.0));
        let panes = arrange(area, &PaneId::REVIEW, 1.0);
        let names: Vec<PaneId> = panes.iter().map(|(pane, _)| *pane).collect();
        assert_eq!(names, PaneId::REVIEW);
        assert_eq!(pixels(panes[0].1, 1.0), [220.0, 40.0, 610.0, 359.0]);
        assert_eq!(pixels(panes[3].1, 1.0), [611.0, 360.0, 1001.0, 680.0]);
    }

    #[test]
    fn edges_are_whole_pixels_on_every_screen() {
        let area = Rect::from_min_max(pos2(220.3, 40.7), pos2(999.9, 680.2));
        for scale in [1.0, 1.25, 1.5, 2.0, 3.0] {
            let linked: Vec<PaneId> = (0..3).map(PaneId::Linked).collect();
            for panes in [&PaneId::REVIEW[..], &linked, &PaneId::REVIEW[..1]] {
                for (pane, rect) in arrange(area, panes, scale) {
                    let whole = |v: f32| (v - v.round()).abs() < 1e-3;
                    assert!(pixels(rect, scale).into_iter().all(whole), "{pane:?} at {scale}");
                }
            }
        }
    }

    #[test]
    fn three_images_stand_in_a_row_and_four_two_by_two() {
        let area = Rect::from_min_max(pos2(0.0, 0.0), pos2(800.0, 300.0));
        let linked = |n: usize| arrange(area, &(0..n).map(PaneId::Linked).collect::<Vec<_>>(), 1.0);
        assert!(linked(3).iter().all(|(_, r)| r.height() == 300.0 && (r.width() - 266.0).abs() <= 1.0));
        let four = linked(4);
        assert!(four.iter().all(|(_, r)| (r.height() - 149.5).abs() <= 1.0 && (r.width() - 399.5).abs() <= 1.0));
        assert_eq!((four[1].1.right(), four[2].1.left(), four[3].1.bottom()), (800.0, 0.0, 300.0));
        assert_eq!(linked(5).iter().filter(|(_, r)| r.top() == 0.0).count(), 3);
    }

    #[test]
    fn an_area_too_small_gives_empty_panes_and_no_panic() {
        let area = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 0.0));
        assert!(arrange(area, &PaneId::REVIEW, 1.0).iter().all(|(_, r)| r.width() <= 1.0 && r.height() <= 0.0));
    }
}
