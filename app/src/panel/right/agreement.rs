//! Agreement of the segmentation with the reference.

use egui::{Align2, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::super::chip::{Chip, chips};
use super::export;
use crate::command::{OverlayCommand, Sender};
use crate::scene::PlaneMode;
use crate::state::{Document, PathPurpose, RegionScore, State};
use crate::theme::{self, font, icon, size, space};
use crate::widget::{PropertyRow, Section};
use crate::widget::{format, text};

/// Number of worst slices listed.
const WORST: usize = 5;
/// Width of a column of scores.
const COLUMN: f32 = 58.0;

/// Draws the section if the case has a segmentation and a reference.
pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    if !document.has_both_masks() {
        return;
    }
    let controls = |ui: &mut Ui| export::buttons(ui, state, PathPurpose::AgreementTable, sender);
    let note = if document.has_old_agreement() { "updating" } else { "" };
    Section::new("Agreement").note(note).show_with(ui, controls, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        match &document.metrics {
            Some(metrics) => measures(ui, state, document, metrics),
            None => text::hint(ui, icon::BUSY, "Measuring\u{2026}"),
        }
        regions(ui, document);
        ui.add_space(space::XS);
        worst(ui, state, document, sender);
    });
}

fn measures(ui: &mut Ui, state: &State, document: &Document, m: &engine::metrics::Measures) {
    let mut row = |label: &str, value: &str, unit: &str, hint: &str| {
        ui.add(PropertyRow::new(label, value).unit(unit).hint(hint));
    };
    row("Dice", &format::ratio(m.dsc), "", "2 |A \u{2229} B| / (|A| + |B|)");
    row("Sensitivity", &format::ratio(m.sensitivity), "", "Fraction of the reference that is segmented");
    row("Precision", &format::ratio(m.precision), "", "Fraction of the segmentation inside the reference");
    row("Boundary IoU", &format::ratio(m.boundary_iou), "", "Intersection over union of the two boundaries, in 3-D");
    if let Some(by_slice) = document.slice_boundary {
        row("Boundary IoU, slices", &format::ratio(by_slice.iou), "", "The same, per axial slice");
    }
    row("HD95", &format::mm(m.hd95_mm), "mm", "95th percentile of the surface distances");
    row("Segmentation", &format::volume(m.volume_ml), "", "Volume of the segmentation");
    row("Reference", &format::volume(m.truth_volume_ml), "", "Volume of the reference");
    if let Some(wrong) = document.wrong_label_ml() {
        row("Wrong label", &format::volume(wrong), "", "In both masks, with different labels");
    }
    if let Some(comparison) = &document.comparison {
        let minimum = state.session.settings.minimum_ml;
        let lesions = comparison.lesions(minimum);
        let rule = format!(
            "Lesions of {minimum} ml or more, all labels together. A lesion is hit if it shares at least one voxel with the \
             other mask."
        );
        text::heading(ui, &format!("Lesions from {minimum} ml"));
        let mut row = |label: &str, value: &str| {
            ui.add(PropertyRow::new(label, value).hint(&rule));
        };
        row("Lesions hit", &format!("{} of {}", lesions.tp, lesions.tp + lesions.missed));
        row("Lesions missed", &lesions.missed.to_string());
        row("Lesions extra", &lesions.fp.to_string());
    }
    for note in &m.notes {
        text::note(ui, note);
    }
    if document.slice_boundary.is_some_and(|by_slice| by_slice.covers_masks) {
        text::note(ui, "In the slices, the boundary band is as wide as the masks, so this is plain IoU.");
    }
}

/// Dice and HD95 of each label and region.
fn regions(ui: &mut Ui, document: &Document) {
    if document.region_scores.is_empty() {
        if document.has_both_masks() && document.labels().len() > 1 && !document.compares_labels() {
            text::note(ui, "Labels are not compared: one of the masks has a single label.");
        }
        return;
    }
    ui.add_space(space::XS);
    line(ui, "By label", ["Dice", "HD95 mm"], true);
    for score in &document.region_scores {
        let RegionScore { name, dice, hd95_mm, .. } = score;
        let cells = [dice.map(format::ratio), hd95_mm.map(format::mm)].map(|cell| cell.unwrap_or(format::NONE.into()));
        line(ui, name, cells.each_ref().map(String::as_str), false);
    }
    if let Some(guess) = document.guessed_labels() {
        text::note(ui, &guess);
    }
}

/// A name and two numbers.
fn line(ui: &mut Ui, name: &str, cells: [&str; 2], heading: bool) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), size::ROW_DENSE), Sense::hover());
    let label = format!("{name} {}", cells.join(" "));
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
    let t = theme::tokens(ui);
    let (font, color) = if heading { (font::caption(), t.text_dim) } else { (font::number(), t.text) };
    let middle = rect.center().y;
    for (cell, right) in cells.into_iter().zip([rect.right() - COLUMN, rect.right()]) {
        ui.painter().text(pos2(right, middle), Align2::RIGHT_CENTER, cell, font.clone(), color);
    }
    let name_font = if heading { font::caption() } else { font::body() };
    let name = text::one_line(ui, name, name_font, t.text_dim, rect.width() - 2.0 * COLUMN);
    let place = Align2::LEFT_CENTER.anchor_size(pos2(rect.left(), middle), name.size());
    ui.painter().galley(place.min, name, t.text_dim);
}

/// Worst slices, lowest Dice first.
fn worst(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    let Some(comparison) = &document.comparison else { return };
    let slices = comparison.worst_first();
    if slices.is_empty() {
        return;
    }
    let shown = document.display(PlaneMode::Native).index_at(state.session.view.crosshair)[2];
    text::heading(ui, "Worst slices (Dice)");
    ui.add_space(space::XS);
    chips(ui, |ui| {
        for (rank, &slice) in slices.iter().take(WORST).enumerate() {
            let dice = comparison.slices[slice].dice().unwrap_or(f64::NAN);
            let (word, name) = (format!("{}: {dice:.2}", slice + 1), format!("Worst slice {}", rank + 1));
            let hint = format!("Slice {}, Dice {dice:.2}", slice + 1);
            if ui.add(Chip::new(&word, &name).selected(slice == shown)).on_hover_text(hint).clicked() {
                sender.send(OverlayCommand::GoToWorst(rank));
            }
        }
    });
}
