//! Tools that act on a click: fill, region growing, and One click, which previews a lesion of the probability map.

use egui::{CursorIcon, PointerButton};

use super::brush::picks;
use super::{Drag, Tool};
use crate::command::EditCommand;
use crate::view::slice::interact::SlicePane;

/// Effect of a click with the left button. The right button always erases the area of the slice under the pointer.
pub enum Click {
    /// Relabels the connected area of the slice.
    Fill,
    /// Adds connected voxels with similar values.
    Grow,
    /// Previews the component above a probability. The wheel moves the threshold, Enter accepts, Escape discards.
    Preview,
}

impl Tool<SlicePane<'_>> for Click {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::PointingHand
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        let (at, erases) = (drag.start_mm, drag.button == PointerButton::Secondary);
        if picks(drag) {
            pane.sender.send(EditCommand::PickLabel(at));
        } else if pane.is_click(drag) {
            pane.sender.send(match self {
                Self::Grow if !erases => EditCommand::Grow(at),
                Self::Preview if !erases => EditCommand::Preview(at),
                Self::Fill | Self::Grow | Self::Preview => EditCommand::Fill { pane: pane.view.id, erases, at },
            });
        }
    }
}
