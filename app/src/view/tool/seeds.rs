//! Draws strokes inside a lesion and around it.

use egui::{CursorIcon, PointerButton};

use super::brush::{clipped, picks};
use super::{Drag, Pane, Tool};
use crate::command::EditCommand;
use crate::view::slice::interact::SlicePane;

/// The left button draws inside, the right one or Shift around. A click is a stroke of one point.
pub struct Seeds;

impl Tool<SlicePane<'_>> for Seeds {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn press(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if picks(drag) {
            return pane.sender.send(EditCommand::PickLabel(drag.start_mm));
        }
        let outside = drag.button == PointerButton::Secondary || drag.modifiers.shift;
        pane.sender.send(EditCommand::BeginSeeds { outside, at: drag.start_mm });
    }

    fn traces(&self) -> bool {
        true
    }

    fn drag(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if clipped(pane.view.rect, [drag.last, drag.now]).is_some() {
            let at = drag.now.clamp(pane.view.rect.min, pane.view.rect.max);
            pane.sender.send(EditCommand::ExtendSeeds(pane.world_at(at)));
        }
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !picks(drag) {
            pane.sender.send(EditCommand::EndStroke);
        }
    }
}
