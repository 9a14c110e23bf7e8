//! Findings of the mask, one row each.

use egui::{Id, Rect, ScrollArea, Ui};

use super::finding_row::{self, FindingRow};
use crate::command::{OverlayCommand, Sender};
use crate::state::{CaseId, Document, Listed, State};
use crate::theme::{Icon, icon};
use crate::widget::{IconButton, Section};
use crate::widget::{format, text};

/// Rows shown before the list scrolls.
const ROWS: usize = 10;

/// Draws them.
pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let list = document.findings.as_ref().map_or(&[][..], |findings| &findings.list);
    let note = note(document, list);
    let step = |ui: &mut Ui| {
        // Laid out from the right.
        ui.add_enabled_ui(!list.is_empty(), |ui| {
            let mut button = |icon: Icon, label: &str, key: &str, by: i64| {
                if ui.add(IconButton::new(icon, label).shortcut(key).small()).clicked() {
                    sender.send(OverlayCommand::StepFinding(by));
                }
            };
            button(icon::CHEVRON_RIGHT, "Next finding", "N", 1);
            button(icon::CHEVRON_LEFT, "Previous finding", "P", -1);
        });
    };
    Section::new("Findings").note(&note).show_with(ui, step, |ui| match (document.mask(), &document.findings) {
        (None, _) => text::hint(ui, icon::FINDING, "No segmentation. Press Segment now, or open one."),
        (Some(_), None) => text::hint(ui, icon::BUSY, "Measuring\u{2026}"),
        (Some(_), Some(_)) if list.is_empty() => text::hint(ui, icon::DONE, "No findings. The mask is empty."),
        (Some(_), Some(_)) => rows(ui, state, document, list, sender),
    });
}

/// Number of findings, and the mask they are of.
fn note(document: &Document, list: &[Listed]) -> String {
    match &document.findings {
        Some(findings) if !list.is_empty() => {
            let whose = if findings.of_prediction { "segmentation" } else { "reference" };
            format!("{}, {whose}", list.len())
        }
        _ => String::new(),
    }
}

fn rows(ui: &mut Ui, state: &State, document: &Document, list: &[Listed], sender: &Sender) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let unit = document.base().info.unit_symbol();
    let span = document.base().range.map_or(f64::NAN, |[low, high]| high - low);
    let decimals = format::decimals(span).min(3);
    let compared = document.comparison.is_some();
    let colours = finding_row::Colours::of(state, document);
    finding_row::head(ui, unit, compared);
    let seen = Id::unique("finding in sight");
    let moved = ui.data(|data| data.get_temp::<(CaseId, Option<usize>)>(seen))
        != Some((document.id, state.session.view.finding));
    let height = finding_row::HEIGHT * list.len().min(ROWS) as f32;
    let area = ScrollArea::vertical().id_salt("findings").max_height(height).auto_shrink([false, true]);
    area.show_rows(ui, finding_row::HEIGHT, list.len(), |ui, visible| {
        if let (true, Some(chosen)) = (moved && list.len() > ROWS, state.session.view.finding) {
            let top = ui.max_rect().top() + (chosen as f32 - visible.start as f32) * finding_row::HEIGHT;
            let row = Rect::from_x_y_ranges(ui.max_rect().x_range(), top..=top + finding_row::HEIGHT);
            ui.scroll_to_rect(row, None);
        }
        for at in visible {
            let row = FindingRow { at, listed: &list[at], unit, decimals, compared, colours };
            if row.show(ui, state.session.view.finding == Some(at)).clicked() {
                sender.send(OverlayCommand::GoToFinding(at));
            }
        }
    });
    ui.data_mut(|data| data.insert_temp(seen, (document.id, state.session.view.finding)));
}
