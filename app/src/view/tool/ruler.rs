//! Measures a length.

use egui::{CursorIcon, Painter};

use super::{Drag, Tool};
use crate::command::EditCommand;
use crate::state::{Measure, MeasureKind};
use crate::view::slice::interact::SlicePane;
use crate::view::slice::marks;

/// A length in mm between press and release.
pub struct Ruler;

impl Tool<SlicePane<'_>> for Ruler {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !pane.is_click(drag) {
            pane.sender.send(EditCommand::AddMeasure(Box::new(measure(pane, drag))));
        }
    }

    fn draw(&self, pane: &SlicePane<'_>, drag: &Drag, painter: &Painter) {
        marks::measures(painter, pane.case, pane.view, ([&measure(pane, drag)].into_iter(), false), &mut Vec::new());
    }
}

fn measure(pane: &SlicePane<'_>, drag: &Drag) -> Measure {
    Measure { kind: MeasureKind::Ruler, plane: pane.view.plane, ends_mm: pane.ends_mm(drag), statistics: None }
}
