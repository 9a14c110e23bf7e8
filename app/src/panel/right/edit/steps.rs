//! The undo list: a click goes to the state after a step.

use egui::Ui;

use crate::command::{EditCommand, Sender};
use crate::state::Document;
use crate::theme::{icon, size};
use crate::widget::{ListRow, Section, list_area, text};

/// Rows shown before the list scrolls.
const ROWS: usize = 8;

/// Draws it, newest first.
pub(super) fn show(ui: &mut Ui, document: &Document, sender: &Sender) {
    let list = &document.edits.list;
    let (count, applied) = (list.entries().len(), list.applied());
    let note = if count > 0 { format!("{applied} of {count}") } else { String::new() };
    Section::new("Steps").note(&note).closed().show(ui, |ui| {
        if count == 0 {
            return text::hint(ui, icon::UNDO, "Nothing to undo yet.");
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        let rows = count + 1;
        let area = list_area("steps", size::ROW * rows.min(ROWS) as f32);
        area.show_rows(ui, size::ROW, rows, |ui, visible| {
            for row in visible {
                // The last row is the case as it was opened.
                let after = count - row;
                let name = after.checked_sub(1).map_or("As opened", |at| list.entries()[at].name.as_str());
                let place = if after == applied { "now" } else { "" };
                let entry = ListRow::new(name).trailing(place).selected(after == applied).dim(after > applied);
                let (response, ()) = entry.show_with(ui, |_| ());
                let response = response.accessible_name(format!("Step {after}: {name}"));
                if response.clicked() && after != applied {
                    sender.send(EditCommand::JumpTo(after));
                }
            }
        });
    });
}
