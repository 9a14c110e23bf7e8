//! Magnifies.

use egui::CursorIcon;

use super::{Drag, Pane, Tool};

/// Dragging up magnifies around the position of the press.
pub struct Zoom;

impl<P: Pane> Tool<P> for Zoom {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::ZoomIn
    }

    fn drag(&self, pane: &mut P, drag: &Drag) {
        pane.zoom(factor(drag.delta().y), drag.from);
    }
}

/// Magnification of a drag by `dy` points: upwards larger, twofold in 100 points.
fn factor(dy: f64) -> f64 {
    (-dy / 100.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_magnifies_and_back_again() {
        assert_eq!(factor(-100.0), 2.0);
        assert!((factor(-37.0) * factor(37.0) - 1.0).abs() < 1e-12);
    }
}
