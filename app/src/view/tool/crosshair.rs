//! Moves the crosshair.

use egui::{CursorIcon, Pos2};
use glam::DVec3;

use super::{Drag, Tool};
use crate::command::ViewCommand;
use crate::view::slice::case_view::{CaseView, PaneView};
use crate::view::slice::interact::SlicePane;
use crate::view::slice::picture;

/// The crosshair follows the pointer.
pub struct Crosshair;

impl Tool<SlicePane<'_>> for Crosshair {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn press(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        self.drag(pane, drag);
    }

    fn drag(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        pane.sender.send(ViewCommand::MoveCrosshair(crosshair_at(pane.case, pane.view, drag.now)));
    }
}

/// World mm of the crosshair for a screen position: within the crosshair's slice, on a projection at the depth of the
/// largest value under the pointer.
pub fn crosshair_at(case: &CaseView<'_>, view: &PaneView<'_>, pos: Pos2) -> DVec3 {
    let crosshair = case.state.session.view.crosshair;
    let mut depth = view.depth_of(crosshair);
    if view.id.is_projection() {
        let index = view.map.index_in_space(view.place(pos), 0.0);
        depth = picture::deepest(case, view, index).unwrap_or(depth);
    }
    view.world_at(pos, depth)
}
