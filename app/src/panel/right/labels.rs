//! The labels of the open case: names, colours, which one is painted, hidden or locked, and their volumes.

use std::sync::Arc;

use egui::{Align, Galley, Id, Layout, Popup, PopupCloseBehavior, RichText, TextBuffer, TextEdit, Ui};

use crate::command::labels::{LOCKED, LabelCommand, cannot_remove, is_locked};
use crate::command::{EditCommand, OverlayCommand, Sender};
use crate::state::{Document, LabelRow, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{IconButton, ListRow, Section, colour_swatch, format, list_area, text};

/// Rows shown before the list scrolls.
const ROWS: usize = 8;
/// Width of a volume.
const VOLUME: f32 = 58.0;
/// Width of the list of labels to merge into.
const MENU: f32 = 220.0;

pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let rows = document.label_rows();
    let note = if rows.is_empty() { String::new() } else { rows.len().to_string() };
    let controls = |ui: &mut Ui| {
        if ui.add(IconButton::new(icon::ADD, "Add a label").small()).clicked() {
            sender.send(LabelCommand::Add);
        }
    };
    Section::new("Labels").note(&note).show_with(ui, controls, |ui| {
        if rows.is_empty() {
            return text::hint(ui, icon::LABEL, "No labels. Paint, or press Segment now.");
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        let height = size::ROW * rows.len().min(ROWS) as f32;
        let area = list_area("labels", height);
        area.show(ui, |ui| {
            for row in &rows {
                line(ui, state, &rows, row, sender);
            }
        });
    });
}

fn line(ui: &mut Ui, state: &State, rows: &[LabelRow], row: &LabelRow, sender: &Sender) {
    let value = row.value;
    ui.allocate_ui_with_layout(
        egui::vec2(ui.available_width(), size::ROW),
        Layout::left_to_right(Align::Center),
        |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let active = state.session.edit.label == value;
            let radio = ui.radio(active, "").accessible_name(format!("Paint with label {value}"));
            if radio.on_hover_text(format!("Paint with label {value}")).clicked() {
                sender.send(EditCommand::SetLabel(value));
            }
            colour(ui, row, sender);
            ui.add_space(2.0);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 2.0;
                more(ui, state, rows, row, sender);
                switches(ui, state, value, sender);
                let volume = row.volume_ml.map_or_else(|| format::NONE.to_owned(), format::volume);
                ui.allocate_ui_with_layout(egui::vec2(VOLUME, size::ROW), Layout::right_to_left(Align::Center), |ui| {
                    let shown = RichText::new(volume).font(font::number_small()).color(theme::tokens(ui).text_dim);
                    text::line(ui, shown);
                });
                name(ui, row, sender);
            });
        },
    );
}

/// The colour, a button that opens a picker.
fn colour(ui: &mut Ui, row: &LabelRow, sender: &Sender) {
    let mut colour = row.colour;
    if colour_swatch(ui, &mut colour, &format!("Colour of label {}", row.value)).changed() {
        sender.send(LabelCommand::SetColour(row.value, colour));
    }
}

/// The name, a field that ends in an ellipsis while it is too long and not edited.
fn name(ui: &mut Ui, row: &LabelRow, sender: &Sender) {
    let t = theme::tokens(ui);
    let id = Id::unique(("name of label", row.value));
    let is_edited = ui.memory(|memory| memory.has_focus(id));
    let room = ui.available_width() - 2.0 * space::XS;
    let width = if is_edited { f32::INFINITY } else { room };
    let mut layout = |ui: &Ui, name: &dyn TextBuffer, _: f32| written(ui, name.as_str(), width);
    let mut typed = row.name.clone();
    let field = TextEdit::singleline(&mut typed)
        .id(id)
        .font(font::body())
        .layouter(&mut layout)
        .text_color(t.text)
        .hint_text(RichText::new(format!("Label {}", row.value)).font(font::body()).color(t.text_dim))
        .frame(egui::Frame::NONE)
        .align(egui::Align2::LEFT_CENTER)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name(format!("Name of label {}", row.value));
    if response.on_hover_text(row.title()).changed() {
        sender.send(LabelCommand::Rename(row.value, typed));
    }
}

/// The name, ending in an ellipsis beyond `width`.
fn written(ui: &Ui, name: &str, width: f32) -> Arc<Galley> {
    text::one_line(ui, name, font::body(), theme::tokens(ui).text, width)
}

/// Hide and lock.
fn switches(ui: &mut Ui, state: &State, value: u16, sender: &Sender) {
    let shown = !state.session.view.hidden_labels.contains(&value);
    let locked = is_locked(state, value);
    let (eye, does) = if shown { (icon::EYE, "hide") } else { (icon::EYE_OFF, "show") };
    if ui.add(IconButton::new(eye, &format!("Label {value}: {does}")).small()).clicked() {
        sender.send(OverlayCommand::ShowLabel(value, !shown));
    }
    let (lock, does) = if locked { (icon::LOCKED, "unlock") } else { (icon::UNLOCKED, "lock") };
    let label = format!("Label {value}: {does}");
    let button = IconButton::new(lock, &label).small().selected(locked);
    if ui.add(button).clicked() {
        sender.send(LabelCommand::Lock(value, !locked));
    }
}

/// Delete and merge.
fn more(ui: &mut Ui, state: &State, rows: &[LabelRow], row: &LabelRow, sender: &Sender) {
    let value = row.value;
    let response = ui.add(IconButton::new(icon::MORE, &format!("More actions for label {value}")).small());
    let popup = Popup::menu(&response).close_behavior(PopupCloseBehavior::CloseOnClick).gap(space::XS);
    popup.width(MENU).accessible_name(format!("Label {value}")).show(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let refusal = cannot_remove(state, value);
        ui.add_enabled_ui(refusal.is_none(), |ui| {
            let delete = format!("Delete {}", row.title());
            let delete = ui.add(ListRow::new(&delete).icon(icon::TRASH));
            if delete.accessible_name(format!("Delete label {value}")).clicked() {
                sender.send(LabelCommand::Delete(value));
            }
            for other in rows.iter().filter(|other| other.value != value) {
                let merge = format!("Merge into {}", other.title());
                let unlocked = !is_locked(state, other.value);
                let row = ui.add_enabled(unlocked, ListRow::new(&merge).swatch(other.colour));
                let row = row.on_disabled_hover_text(LOCKED);
                if row.accessible_name(format!("Merge label {value} into label {}", other.value)).clicked() {
                    sender.send(LabelCommand::Merge { from: value, into: other.value });
                }
            }
        });
        if let Some(why) = refusal {
            text::note(ui, why);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widget::testing::harness;

    #[test]
    fn a_long_name_ends_in_an_ellipsis_before_the_volume_unless_it_is_edited() {
        let name = "Oedema and infiltrating tumour";
        let layout = |ui: &mut Ui, elided: &mut Vec<bool>| {
            let widths = [80.0, f32::INFINITY];
            *elided = widths.map(|width| written(ui, name, width).elided).to_vec();
            assert!(written(ui, name, 80.0).size().x <= 80.0);
        };
        assert_eq!(*harness(layout, Vec::new()).state(), [true, false]);
    }
}
