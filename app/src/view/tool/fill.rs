//! Fills the area of one label in a slice.

use egui::{CursorIcon, PointerButton};

use super::brush::picks;
use super::{Drag, Tool};
use crate::command::EditCommand;
use crate::view::slice::interact::SlicePane;

/// A click gives the area under the pointer the label; the right button erases it.
pub struct Fill;

impl Tool<SlicePane<'_>> for Fill {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::PointingHand
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if picks(drag) {
            pane.sender.send(EditCommand::PickLabel(drag.start_mm));
        } else if pane.is_click(drag) {
            let erases = drag.button == PointerButton::Secondary;
            pane.sender.send(EditCommand::Fill { pane: pane.view.id, erases, at: drag.start_mm });
        }
    }
}
