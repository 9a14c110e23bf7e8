//! Changes window/level.

use egui::CursorIcon;
use glam::DVec2;

use super::{Drag, Pane, Tool};
use crate::scene::{Modality, WindowLevel};

/// Dragging right widens the window, dragging down raises the level.
pub struct Window;

impl<P: Pane> Tool<P> for Window {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::AllScroll
    }

    fn drag(&self, pane: &mut P, drag: &Drag) {
        pane.change_window(drag.delta());
    }
}

/// Range of CT values. Metal and padding exceed it, but must not make the drag coarser.
const CT_SPAN_HU: f64 = 4096.0;
/// Length of a drag across the whole range of values.
const POINTS_PER_SPAN: f64 = 1024.0;
/// Limits the step for narrow windows: a drag across the range changes at most this many of their widths.
const WIDTHS_PER_SPAN: f64 = 12.0;

/// Change of width and level for a drag by `delta` points: to the right wider, down higher (darker). The pace follows
/// the scan's range of values.
pub fn window_change(delta: DVec2, window: WindowLevel, range: Option<[f64; 2]>, modality: &Modality) -> (f64, f64) {
    let span = range.map_or(255.0, |[low, high]| high - low);
    let span = if *modality == Modality::Ct { span.min(CT_SPAN_HU) } else { span };
    let pace = span.min(WIDTHS_PER_SPAN * window.width).max(f64::MIN_POSITIVE) / POINTS_PER_SPAN;
    (delta.x * pace, delta.y * pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_follows_the_range_and_is_finer_in_narrow_windows() {
        let soft = WindowLevel { width: 350.0, level: 50.0 };
        let ct = |window, range| window_change(DVec2::new(10.0, -5.0), window, Some(range), &Modality::Ct);
        assert_eq!(ct(soft, [-1024.0, 3072.0]), (40.0, -20.0));
        assert_eq!(ct(soft, [-1024.0, 30_000.0]), (40.0, -20.0), "metal does not set the pace");
        let brain = ct(WindowLevel { width: 80.0, level: 40.0 }, [-1024.0, 3072.0]);
        assert_eq!(brain, (9.375, -4.6875));
        let mr = window_change(
            DVec2::new(1.0, 1.0),
            WindowLevel { width: 1000.0, level: 500.0 },
            Some([0.0, 2048.0]),
            &Modality::Other,
        );
        assert_eq!(mr, (2.0, 2.0));
    }
}
