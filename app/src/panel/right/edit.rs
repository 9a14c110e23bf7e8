//! Options of the tools that correct the segmentation, operations on whole labels, and the list of steps.

mod steps;
mod whole;

use egui::Ui;
use engine::edit::op::{LassoAction, Mode};

use crate::command::{EditCommand, Sender};
use crate::state::edit::{EditChoices, RADIUS_MM};
use crate::state::{Document, Intent, State, ToolKind};
use crate::theme::{Icon, icon};
use crate::widget::{IconButton, ListRow, NumberField, PushButton, Section, Segment, SegmentedControl, Toggle, text};

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
        if document.segmentation().is_none() && document.reference().is_some() {
            text::note(ui, "Edits start a new segmentation. The reference does not change.");
            if ui.add(PushButton::new("Correct a copy of the reference").fill_width()).clicked() {
                sender.send(Intent::CorrectReference);
            }
        }
        if tool != ToolKind::Eraser {
            label(ui, state, document, sender);
        }
        if tool.is_brush() {
            brush(ui, state, sender);
        }
        match tool {
            ToolKind::RangeBrush => range(ui, state, document, sender),
            ToolKind::AdaptiveBrush => tolerance(ui, state, document, sender),
            ToolKind::Lasso => lasso(ui, &state.session.edit, sender),
            ToolKind::Grow => grow(ui, state, document, sender),
            ToolKind::OneClick => one_click(ui, state, document, sender),
            _ => {}
        }
    });
    whole::show(ui, state, document, sender);
    steps::show(ui, document, sender);
}

/// Sends changed choices.
fn choose(choices: EditChoices, sender: &Sender) {
    sender.send(EditCommand::Choose(Box::new(choices)));
}

fn lasso(ui: &mut Ui, choices: &EditChoices, sender: &Sender) {
    let actions = [
        Segment::text(LassoAction::Fill, "Fill"),
        Segment::text(LassoAction::Erase, "Erase"),
        Segment::text(LassoAction::Restore, "Restore"),
    ];
    let mut changed = choices.clone();
    let action = SegmentedControl::new("Inside the lasso", &actions).fill_width().show(ui, &mut changed.lasso);
    let action = action.on_hover_text("Restore brings back the labels of the automatic segmentation");
    if action.changed() | ui.add(Toggle::new(&mut changed.through, "In all slices")).changed() {
        choose(changed, sender);
    }
}

fn grow(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let mut changed = state.session.edit.clone();
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let unit = image.info.unit_symbol();
    let mut value = state.edit_tolerance(image);
    let field = NumberField::new(&mut value, "Tolerance").range(0.0..=f64::MAX).in_span(span);
    if field.unit(unit).show(ui).changed() {
        changed.tolerance = Some(value);
    }
    let mut limited = changed.reach_mm.is_some();
    if ui.add(Toggle::new(&mut limited, "Limit the distance")).changed() {
        changed.reach_mm = limited.then_some(EditChoices::default().reach_mm).flatten();
    }
    let mut reach = changed.reach_mm.or(EditChoices::default().reach_mm).unwrap_or_default();
    ui.add_enabled_ui(limited, |ui| {
        let field =
            NumberField::new(&mut reach, "Distance").range(1.0..=1000.0).decimals(0).step(1.0).unit("mm").show(ui);
        if field.accessible_name("Maximum distance").changed() {
            changed.reach_mm = Some(reach);
        }
    });
    if changed != state.session.edit {
        choose(changed, sender);
    }
}

/// Settings of the one-click tool, and the preview.
fn one_click(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let by_strokes = state.clicks_by_strokes(document);
    if document.probability.is_some() {
        let sources = [Segment::text(false, "Network"), Segment::text(true, "Strokes")];
        let mut changed = state.session.edit.clone();
        if SegmentedControl::new("Found by", &sources).fill_width().show(ui, &mut changed.by_strokes).changed() {
            choose(changed, sender);
        }
    }
    let Some(preview) = &document.edits.preview else {
        let what = match (document.probability.is_some(), by_strokes) {
            (_, false) => "Click on a lesion. The wheel then moves the threshold, Enter adds the lesion.",
            (true, true) => "Draw inside a lesion with the left button and around it with the right one.",
            (false, true) => {
                "This case has no probability map. Draw inside a lesion with the left button and around it with the right \
                 one."
            }
        };
        return text::hint(ui, icon::ONE_CLICK, what);
    };
    match (preview.least(), preview.next_stroke()) {
        (Some(least), _) => text::note(ui, &format!("Voxels connected to the click with p \u{2265} {least:.2}")),
        (None, Some(next)) => text::note(ui, &format!("{next}.")),
        (None, None) => {
            text::note(ui, "Draw more strokes to correct the outline. It stays within the strokes around it.")
        }
    };
    ui.horizontal(|ui| {
        let adds = preview.found.as_ref().is_some_and(|(delta, _)| !delta.is_empty());
        ui.add_enabled_ui(adds, |ui| {
            let add = ui.add(PushButton::primary("Add lesion").shortcut("Enter"));
            if add.on_disabled_hover_text("There is nothing to add yet.").clicked() {
                sender.send(EditCommand::AcceptPreview);
            }
        });
        if ui.add(PushButton::new("Discard").shortcut("Esc")).clicked() {
            sender.send(EditCommand::DropPreview);
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
    if SegmentedControl::new("Brush shape", &shapes).fill_width().show(ui, &mut mode).changed() {
        sender.send(EditCommand::SetMode(mode));
    }
}

/// The values that the range brush paints.
fn range(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let mut visible = state.session.edit.range.is_none();
    let now = state.edit_range(image);
    if ui.add(Toggle::new(&mut visible, "Range of the window")).changed() {
        sender.send(EditCommand::SetRange((!visible).then_some(now)));
    }
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let unit = image.info.unit_symbol();
    let [mut low, mut high] = now;
    ui.add_enabled_ui(!visible, |ui| {
        let from = NumberField::new(&mut low, "From").in_span(span).unit(unit).show(ui);
        let to = NumberField::new(&mut high, "To").in_span(span).unit(unit).show(ui);
        let changed = from.accessible_name("Lowest value").changed();
        if to.accessible_name("Highest value").changed() || changed {
            sender.send(EditCommand::SetRange(Some([low, high])));
        }
    });
}

/// Tolerance of the adaptive brush around the value under the pointer.
fn tolerance(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let image = document.image();
    let span = image.range.map_or(255.0, |[low, high]| high - low);
    let mut automatic = state.session.edit.tolerance.is_none();
    if ui.add(Toggle::new(&mut automatic, "Automatic tolerance")).changed() {
        sender.send(EditCommand::SetTolerance((!automatic).then_some(span / 20.0)));
    }
    let unit = image.info.unit_symbol();
    let mut value = state.session.edit.tolerance.unwrap_or(span / 20.0);
    ui.add_enabled_ui(!automatic, |ui| {
        let field = NumberField::new(&mut value, "Tolerance").range(0.0..=f64::MAX).in_span(span);
        if field.unit(unit).show(ui).changed() {
            sender.send(EditCommand::SetTolerance(Some(value)));
        }
    });
}
