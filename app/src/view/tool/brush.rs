//! Paints and erases labels with a round brush.

use egui::{Color32, CursorIcon, Id, Painter, PointerButton, Pos2, Rect, Stroke};
use engine::edit::op::Mode;
use glam::DVec3;

use super::{Drag, Pane, Tool};
use crate::command::EditCommand;
use crate::command::edit::StrokeStart;
use crate::state::{PaneId, ToolKind};
use crate::view::slice::interact::SlicePane;

/// Every brush and the eraser, by the drag's tool. The right button erases, Alt picks the label under the pointer.
pub struct Brush;

/// Width of the outline of a brush, in points.
const WIDTH: f32 = 1.5;

pub(super) fn picks(drag: &Drag) -> bool {
    drag.button == PointerButton::Primary && drag.modifiers.alt
}

impl Tool<SlicePane<'_>> for Brush {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn press(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if picks(drag) {
            pane.sender.send(EditCommand::PickLabel(drag.start_mm));
            return;
        }
        let erases = drag.button == PointerButton::Secondary;
        let start = StrokeStart { tool: drag.tool, erases, pane: pane.view.id, at: drag.start_mm };
        pane.sender.send(EditCommand::BeginStroke(start));
    }

    fn traces(&self) -> bool {
        true
    }

    fn drag(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if picks(drag) {
            pane.sender.send(EditCommand::PickLabel(pane.world_at(drag.now)));
        } else if let Some(segment) = clipped(pane.view.rect, [drag.last, drag.now]) {
            // Only the visible part of the stroke is painted.
            pane.sender.send(EditCommand::ExtendStroke(segment.map(|at| pane.world_at(at))));
        }
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !picks(drag) {
            pane.sender.send(EditCommand::EndStroke);
        }
    }

    fn hover(&self, pane: &SlicePane<'_>, at: Pos2, painter: &Painter) {
        let radius_mm = pane.case.state.session.edit.radius_mm;
        circle(pane, at, radius_mm, painter);
        let held = BrushPlace { pane: pane.view.id, at: pane.world_at(at), pass: painter.ctx().cumulative_pass_nr() };
        painter.ctx().data_mut(|data| data.insert_temp(held_id(), held));
    }
}

/// Where a brush is: its pane and world position.
#[derive(Clone, Copy)]
struct BrushPlace {
    pane: PaneId,
    at: DVec3,
    pass: u64,
}

fn held_id() -> Id {
    Id::unique("where the brush is")
}

/// Draws the section of a ball brush whose pointer is over another pane.
pub fn ball_section(pane: &SlicePane<'_>, painter: &Painter) {
    let choices = &pane.case.state.session.edit;
    let held: Option<BrushPlace> = painter.ctx().data(|data| data.get_temp(held_id()));
    let now = painter.ctx().cumulative_pass_nr();
    let Some(held) = held.filter(|held| held.pass + 1 >= now && held.pane != pane.view.id) else { return };
    if choices.mode == Mode::Slice || pane.view.id.is_projection() {
        return;
    }
    let view = pane.view;
    let apart_mm = (view.depth_of(held.at) - view.slice as f64) * view.grid.spacing_mm[view.plane.axis()];
    let squared = choices.radius_mm.powi(2) - apart_mm.powi(2);
    if squared > 0.0 {
        circle(pane, view.pos_of(held.at), squared.sqrt(), painter);
    }
}

fn circle(pane: &SlicePane<'_>, at: Pos2, radius_mm: f64, painter: &Painter) {
    let state = pane.case.state;
    let radius = ((radius_mm * pane.view.map.scale()) as f32).max(WIDTH);
    let colour = match state.session.view.tool {
        ToolKind::Eraser => Color32::WHITE,
        _ => pane.case.document.label_colour(state.session.edit.label),
    };
    for stroke in [Stroke::new(WIDTH + 2.0, pane.case.tokens.overlay_halo), Stroke::new(WIDTH, colour)] {
        painter.circle_stroke(at, radius, stroke);
    }
}

/// The part of a segment inside a rectangle.
pub(super) fn clipped(rect: Rect, [from, to]: [Pos2; 2]) -> Option<[Pos2; 2]> {
    let by = to - from;
    let (mut first, mut last) = (0.0_f32, 1.0_f32);
    for (start, by, low, high) in [(from.x, by.x, rect.left(), rect.right()), (from.y, by.y, rect.top(), rect.bottom())]
    {
        if by == 0.0 {
            if start < low || start > high {
                return None;
            }
            continue;
        }
        let (a, b) = ((low - start) / by, (high - start) / by);
        (first, last) = (first.max(a.min(b)), last.min(a.max(b)));
    }
    (first <= last).then(|| [from + first * by, from + last * by])
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn only_the_part_of_a_segment_inside_the_pane_is_painted() {
        let rect = Rect::from_min_max(pos2(0.0, 0.0), pos2(10.0, 10.0));
        let inside = |a: (f32, f32), b: (f32, f32)| clipped(rect, [pos2(a.0, a.1), pos2(b.0, b.1)]);
        assert_eq!(inside((1.0, 2.0), (3.0, 4.0)), Some([pos2(1.0, 2.0), pos2(3.0, 4.0)]));
        assert_eq!(inside((5.0, 5.0), (15.0, 5.0)), Some([pos2(5.0, 5.0), pos2(10.0, 5.0)]));
        assert_eq!(inside((-5.0, 5.0), (5.0, 5.0)), Some([pos2(0.0, 5.0), pos2(5.0, 5.0)]));
        assert_eq!(inside((-5.0, 5.0), (15.0, 5.0)), Some([pos2(0.0, 5.0), pos2(10.0, 5.0)]));
        assert_eq!(inside((12.0, 5.0), (15.0, 5.0)), None);
        assert_eq!(inside((-1.0, 12.0), (15.0, 11.0)), None);
    }
}
