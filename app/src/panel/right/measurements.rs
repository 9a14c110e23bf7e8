//! Rulers and ellipses of the open case.

use egui::Ui;

use super::export;
use crate::command::{EditCommand, Sender};
use crate::state::{Document, Measure, MeasureKind, PathPurpose, State};
use crate::theme::icon;
use crate::widget::{IconButton, PropertyRow, Section};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let measures = state.measures();
    let clear = |ui: &mut Ui| {
        if measures.is_empty() {
            return;
        }
        if ui.add(IconButton::new(icon::TRASH, "Remove all measurements").small()).clicked() {
            sender.send(EditCommand::ClearMeasures);
        }
        let undo = IconButton::new(icon::UNDO, "Remove the last measurement").shortcut("Backspace").small();
        if ui.add(undo).clicked() {
            sender.send(EditCommand::RemoveMeasure);
        }
        export::buttons(ui, state, PathPurpose::MeasurementsTable, sender);
    };
    Section::new("Measurements").show_with(ui, clear, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        if measures.is_empty() {
            text::hint(ui, icon::RULER, "No measurements. Draw with the ruler (5) or the ellipse (6).");
        }
        for (at, measure) in measures.iter().enumerate() {
            row(ui, at, measure, document);
        }
    });
}

fn row(ui: &mut Ui, at: usize, measure: &Measure, document: &Document) {
    let (number, plane) = (at + 1, measure.plane.name().to_lowercase());
    match (measure.kind, &measure.statistics) {
        (MeasureKind::Ruler, _) => {
            let [a, b] = measure.ends_mm;
            let label = format!("{number}  Ruler, {plane}");
            ui.add(PropertyRow::new(&label, &format::mm(a.distance(b))).unit("mm"));
        }
        (MeasureKind::Ellipse, Some(s)) => {
            let value = format!("{} \u{b1} {}", format::value(s.mean), format::value(s.sd));
            let label = format!("{number}  Ellipse, {plane}");
            let area = format!(
                "mean \u{b1} standard deviation of {}, {:.1} mm\u{b2}",
                format::plural(s.voxels, "voxel", "voxels"),
                s.area_mm2
            );
            let unit = document.images.get(s.image).map_or("", |layer| layer.info.unit_symbol());
            ui.add(PropertyRow::new(&label, &value).unit(unit).hint(&area));
        }
        (MeasureKind::Ellipse, None) => {
            let label = format!("{number}  Ellipse, {plane}");
            ui.add(PropertyRow::new(&label, "no voxels").hint("The ellipse contains no voxel of the image"));
        }
    }
}
