//! Pins a patch.

use egui::CursorIcon;

use super::{Drag, Tool};
use crate::view::patch_pane::Surface;

/// A click pins the patch under the pointer, or unpins it.
pub struct Pin;

impl Tool<Surface<'_>> for Pin {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::PointingHand
    }

    fn release(&self, pane: &mut Surface<'_>, drag: &Drag) {
        if drag.is_click() {
            pane.click(drag.now);
        }
    }
}
