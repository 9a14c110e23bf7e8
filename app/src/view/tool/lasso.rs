//! Draws a line around voxels.

use egui::{CursorIcon, Painter, PointerButton, Stroke};
use engine::edit::op::LassoAction;

use super::brush::{clipped, picks};
use super::{Drag, Pane, Tool};
use crate::command::EditCommand;
use crate::view::slice::interact::SlicePane;
use crate::view::slice::marks;

/// On release, the enclosed voxels are filled, erased or restored. Shift or the right button erases.
pub struct Lasso;

impl Tool<SlicePane<'_>> for Lasso {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn press(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if picks(drag) {
            return pane.sender.send(EditCommand::PickLabel(drag.start_mm));
        }
        let erases = drag.button == PointerButton::Secondary || drag.modifiers.shift;
        pane.sender.send(EditCommand::BeginLasso { pane: pane.view.id, erases, at: drag.start_mm });
    }

    fn traces(&self) -> bool {
        true
    }

    fn drag(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        // Outside of the pane the line follows its edge.
        if clipped(pane.view.rect, [drag.last, drag.now]).is_some() {
            let at = drag.now.clamp(pane.view.rect.min, pane.view.rect.max);
            pane.sender.send(EditCommand::ExtendLasso(pane.world_at(at)));
        }
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !picks(drag) {
            pane.sender.send(EditCommand::EndStroke);
        }
    }

    fn draw(&self, pane: &SlicePane<'_>, _drag: &Drag, painter: &Painter) {
        let state = pane.case.state;
        let Some(lasso) = &pane.case.document.edits.lasso else { return };
        let tokens = pane.case.tokens;
        let colour = match lasso.action {
            LassoAction::Fill => pane.case.document.label_colour(state.session.edit.label),
            LassoAction::Erase => tokens.overlay_text,
            LassoAction::Restore => tokens.overlay_accent,
        };
        let points: Vec<_> = lasso.corners.iter().map(|corner| pane.view.pos_of(*corner)).collect();
        marks::polyline(painter, &points, 1.5, colour, tokens.overlay_halo);
        // The closing edge.
        if let [first, .., last] = points[..] {
            painter.extend(egui::Shape::dashed_line(&[first, last], Stroke::new(1.0, colour), 4.0, 3.0));
        }
    }
}
