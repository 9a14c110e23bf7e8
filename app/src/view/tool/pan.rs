//! Moves the image.

use egui::CursorIcon;

use super::{Drag, Pane, Tool};

/// The image follows the pointer.
pub struct Pan;

impl<P: Pane> Tool<P> for Pan {
    fn cursor(&self, held: bool) -> CursorIcon {
        if held { CursorIcon::Grabbing } else { CursorIcon::Grab }
    }

    fn drag(&self, pane: &mut P, drag: &Drag) {
        pane.pan(drag.delta());
    }
}
