//! Operations on the whole of the painted label.

use egui::Ui;

use super::choose;
use crate::command::edit::mask::operations;
use crate::command::{EditCommand, Sender};
use crate::state::{Document, State};
use crate::widget::{ButtonKind, NumberField, PushButton, Section};

/// Draws them.
pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let choices = &state.session.edit;
    let name = document.label_name(choices.label);
    let has = document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&choices.label));
    Section::new("Whole label").note(&name).closed().show(ui, |ui| {
        let mut changed = choices.clone();
        let distance = NumberField::new(&mut changed.distance_mm, "Distance").range(0.1..=100.0).decimals(1).step(0.5);
        distance.unit("mm").show(ui).accessible_name("Distance of grow, shrink and smooth");
        let small = NumberField::new(&mut changed.small_ml, "Smallest").range(0.0..=1000.0).decimals(3).step(0.05);
        small.unit("ml").show(ui).accessible_name("Volume below which components are small");
        let other = NumberField::new(&mut changed.other_label, "Other label").range(1..=u16::MAX).decimals(0).step(1.0);
        other.show(ui);
        if changed != *choices {
            choose(changed, sender);
        }
        ui.add_enabled_ui(has, |ui| {
            for (name, op) in operations(choices, document) {
                if ui.add(PushButton::new(&name).kind(ButtonKind::Quiet).fill_width()).clicked() {
                    sender.send(EditCommand::Apply(Box::new(op)));
                }
            }
        });
    });
}
