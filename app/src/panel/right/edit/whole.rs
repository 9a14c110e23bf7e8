//! Operations on the whole of the painted label.

use egui::Ui;
use engine::edit::Op;

use super::choose;
use crate::command::edit::mask::{action, operations};
use crate::command::{EditCommand, Sender};
use crate::state::{Document, State};
use crate::widget::{NumberField, PushButton, Section};

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let choices = &state.session.edit;
    let name = document.label_name(choices.label);
    let has = document.segmentation().is_some_and(|mask| mask.labels.voxel_counts().contains_key(&choices.label));
    Section::new("Whole label").note(&name).closed().show(ui, |ui| {
        // Each number above the operations that use it.
        let mut changed = choices.clone();
        for op in operations(choices, document) {
            if matches!(op, Op::Grow { .. }) {
                let field = NumberField::new(&mut changed.distance_mm, "Distance").range(0.1..=100.0).decimals(1);
                field.step(0.5).unit("mm").show(ui).accessible_name("Distance of grow, shrink and smooth");
            }
            let removes_small = matches!(op, Op::RemoveSmall { .. });
            if removes_small {
                let field = NumberField::new(&mut changed.small_ml, "Smallest").range(0.0..=1000.0).decimals(3);
                field.step(0.05).unit("ml").show(ui).accessible_name("Volume below which components are small");
            }
            if ui.add_enabled(has, PushButton::new(&action(&op, document)).fill_width()).clicked() {
                sender.send(EditCommand::Apply(Box::new(op)));
            }
            if removes_small {
                let field = NumberField::new(&mut changed.other_label, "Other label").range(1..=u16::MAX);
                field.decimals(0).step(1.0).show(ui);
            }
        }
        if changed != *choices {
            choose(changed, sender);
        }
    });
}
