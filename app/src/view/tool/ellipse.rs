//! Measures the values in an ellipse.

use egui::{CursorIcon, Painter};
use glam::{DVec2, DVec3};

use super::{Drag, Tool};
use crate::command::EditCommand;
use crate::state::view::Statistics;
use crate::state::{Measure, MeasureKind};
use crate::view::slice::interact::SlicePane;
use crate::view::slice::marks;
use crate::view::slice::sample::{EllipseValues, Sampler};

/// Mean and standard deviation in the ellipse between press and release. Computed at the release only, since a large ellipse
/// has many voxels.
pub struct Ellipse;

impl Tool<SlicePane<'_>> for Ellipse {
    fn cursor(&self, _held: bool) -> CursorIcon {
        CursorIcon::Crosshair
    }

    fn release(&self, pane: &mut SlicePane<'_>, drag: &Drag) {
        if !pane.is_click(drag) {
            let outline = outline(pane, drag);
            let statistics = statistics(pane, outline.ends_mm);
            pane.sender.send(EditCommand::AddMeasure(Box::new(Measure { statistics, ..outline })));
        }
    }

    fn draw(&self, pane: &SlicePane<'_>, drag: &Drag, painter: &Painter) {
        marks::measures(painter, pane.case, pane.view, ([&outline(pane, drag)].into_iter(), false), &mut Vec::new());
    }
}

fn outline(pane: &SlicePane<'_>, drag: &Drag) -> Measure {
    Measure { kind: MeasureKind::Ellipse, plane: pane.view.plane, ends_mm: pane.ends_mm(drag), statistics: None }
}

fn statistics(pane: &SlicePane<'_>, ends_mm: [DVec3; 2]) -> Option<Statistics> {
    let (view, base) = (pane.view, &pane.case.document.base().volume.grid);
    let layer = pane.case.layer(view.image);
    let sampler = Sampler::new(layer, view.grid, base);
    let [x, y] = view.plane.screen_axes();
    let corners = ends_mm.map(|end| {
        let index = view.grid.display_from_world.transform_point3(end);
        DVec2::new(index[x], index[y])
    });
    let EllipseValues { voxels, mean, sd, area_mm2 } = sampler.ellipse(view.grid, view.plane, view.slice, corners)?;
    Some(Statistics { image: view.image, frame: layer.frame, voxels, mean, sd, area_mm2 })
}
