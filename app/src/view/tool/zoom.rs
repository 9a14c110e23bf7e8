//! Zooms.

use egui::CursorIcon;

use super::{Drag, Pane, Tool};

/// Dragging up zooms in around the position of the press.
pub struct Zoom;

impl<P: Pane> Tool<P> for Zoom {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::ZoomIn
    }

    fn drag(&self, pane: &mut P, drag: &Drag) {
        pane.zoom(factor(drag.delta().y), drag.from);
    }
}

/// Zoom factor of a drag by `dy` points: 2 for 100 points upwards.
fn factor(dy: f64) -> f64 {
    (-dy / 100.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dragging_up_and_back_restores_the_zoom() {
        assert_eq!(factor(-100.0), 2.0);
        assert!((factor(-37.0) * factor(37.0) - 1.0).abs() < 1e-12);
    }
}
