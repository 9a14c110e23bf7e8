//! Options of the tools that correct the segmentation.

use egui::Ui;
use engine::edit::op::Mode;

use crate::command::{EditCommand, Sender};
use crate::state::edit::RADIUS_MM;
use crate::state::{Document, State, ToolKind};
use crate::theme::{Icon, icon};
use crate::widget::{IconButton, ListRow, NumberField, Section, Segment, Segmented, Toggle, format};

/// Draws them.
pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let tool = state.session.view.tool;
    let list = &document.edits.list;
    let controls = |ui: &mut Ui| {
        // Laid out from the right.
        let mut button = |icon: Icon, verb: &str, name: Option<&str>, keys: &str, command: EditCommand| {
            let label = name.map_or_else(|| verb.to_owned(), |name| format!("{verb}: {name}"));
            ui.add_enabled_ui(name.is_some(), |ui| {
                if ui.add(IconButton::new(icon, &label).shortcut(keys).small()).clicked() {
                    sender.send(command);
                }
            });
        };
        button(icon::REDO, "Redo", list.redo_name(), "Ctrl+Shift+Z", EditCommand::Redo);
        button(icon::UNDO, "Undo", list.undo_name(), "Ctrl+Z", EditCommand::Undo);
    };
    Section::new("Correction").note(tool.name()).show_with(ui, controls, |ui| {
        if tool != ToolKind::Eraser {
            label(ui, state, document, sender);
        }
        if tool.is_brush() {
            brush(ui, state, sender);
        }
        match tool {
            ToolKind::RangeBrush => range(ui, state, document, sender),
            ToolKind::AdaptiveBrush => tolerance(ui, state, document, sender),
            _ => {}
        }
    });
}

fn label(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let mut label = state.session.edit.label;
    let name = document.label_name(label);
    ui.add(ListRow::new(&name).swatch(document.label_colour(label)));
    if NumberField::new(&mut label, "Label").range(1..=u16::MAX).decimals(0).step(1.0).show(ui).changed() {
        sender.send(EditCommand::SetLabel(label));
    }
}

fn brush(ui: &mut Ui, state: &State, sender: &Sender) {
    let choices = &state.session.edit;
    let mut radius = choices.radius_mm;
    let [least, most] = RADIUS_MM;
    let field = NumberField::new(&mut radius, "Radius").range(least..=most).decimals(1).step(0.5).unit("mm").show(ui);
    if field.accessible_name("Brush radius").changed() {
        sender.send(EditCommand::SetRadius(radius));
    }
    let shapes = [Segment::text(Mode::Slice, "2-D disc"), Segment::text(Mode::Volume, "3-D ball")];
    let mut mode = choices.mode;
    if Segmented::new("Brush shape", &shapes).fill_width().show(ui, &mut mode).changed() {
        sender.send(EditCommand::SetMode(mode));
    }
}

/// The values that the range brush paints.
fn range(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let mut visible = state.session.edit.range.is_none();
    let now = state.edit_range(image);
    if ui.add(Toggle::new(&mut visible, "Values of the window")).changed() {
        sender.send(EditCommand::SetRange((!visible).then_some(now)));
    }
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let (decimals, unit) = (format::decimals(span), image.info.unit_symbol());
    let step = (span / 500.0).max(10_f64.powi(-(decimals as i32)));
    let [mut low, mut high] = now;
    ui.add_enabled_ui(!visible, |ui| {
        let from = NumberField::new(&mut low, "From").decimals(decimals).step(step).unit(unit).show(ui);
        let to = NumberField::new(&mut high, "To").decimals(decimals).step(step).unit(unit).show(ui);
        let changed = from.accessible_name("Lowest value").changed();
        if to.accessible_name("Highest value").changed() || changed {
            sender.send(EditCommand::SetRange(Some([low, high])));
        }
    });
}

/// How far the adaptive brush may leave the value under the pointer.
fn tolerance(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let mut automatic = state.session.edit.tolerance.is_none();
    if ui.add(Toggle::new(&mut automatic, "Automatic tolerance")).changed() {
        sender.send(EditCommand::SetTolerance((!automatic).then_some(span / 20.0)));
    }
    let (decimals, unit) = (format::decimals(span), image.info.unit_symbol());
    let step = (span / 500.0).max(10_f64.powi(-(decimals as i32)));
    let mut value = state.session.edit.tolerance.unwrap_or(span / 20.0);
    ui.add_enabled_ui(!automatic, |ui| {
        let field = NumberField::new(&mut value, "Tolerance").range(0.0..=f64::MAX).decimals(decimals).step(step);
        if field.unit(unit).show(ui).changed() {
            sender.send(EditCommand::SetTolerance(Some(value)));
        }
    });
}
