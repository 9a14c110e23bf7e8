//! Grows from a click along similar values.

use egui::{CursorIcon, PointerButton};

use super::brush::picks;
use super::{Drag, Tool};
use crate::command::EditCommand;
use crate::view::slice::interact::SlicePane;

/// A click adds what is connected to the voxel under the pointer and has a similar value. The right button erases the area
/// of the slice, as with the other tools.
pub struct Grow;

impl Tool<SlicePane<'_>> for Grow {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::PointingHand
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !pane.is_click(drag) {
            return;
        }
        let at = drag.start_mm;
        pane.sender.send(match drag.button {
            _ if picks(drag) => EditCommand::PickLabel(at),
            PointerButton::Secondary => EditCommand::Fill { pane: pane.view.id, erases: true, at },
            _ => EditCommand::Grow(at),
        });
    }
}
