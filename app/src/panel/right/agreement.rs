//! Agreement of the segmentation with the reference.

use egui::Ui;

use super::super::chip::{Chip, chips};
use crate::command::{OverlayCommand, Sender};
use crate::scene::PlaneMode;
use crate::state::{Document, State};
use crate::theme::icon;
use crate::widget::{PropertyRow, Section};
use crate::widget::{format, text};

/// Number of worst slices listed.
const WORST: usize = 5;

/// Draws the section if the case has a segmentation and a reference.
pub(super) fn show(ui: &mut Ui, state: &State, document: &Document, sender: &Sender) {
    if document.prediction.is_none() || document.truth.is_none() {
        return;
    }
    Section::new("Agreement").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        match &document.metrics {
            Some(metrics) => measures(ui, metrics),
            None => text::hint(ui, icon::BUSY, "Measuring\u{2026}"),
        }
        ui.add_space(crate::theme::space::XS);
        worst(ui, state, document, sender);
    });
}

fn measures(ui: &mut Ui, m: &engine::metrics::Measures) {
    let mut row = |label: &str, value: &str, unit: &str, hint: &str| {
        ui.add(PropertyRow::new(label, value).unit(unit).hint(hint));
    };
    row("Dice", &format::ratio(m.dsc), "", "2 |A \u{2229} B| / (|A| + |B|)");
    row("Sensitivity", &format::ratio(m.sensitivity), "", "Fraction of the reference that is segmented");
    row("Precision", &format::ratio(m.precision), "", "Fraction of the segmentation that lies in the reference");
    row("Boundary IoU", &format::ratio(m.boundary_iou), "", "Intersection over union of the two boundaries");
    row("HD95", &format::mm(m.hd95_mm), "mm", "95th percentile of the surface distances");
    let volumes = format!("{} / {}", format::ml(m.volume_ml), format::ml(m.truth_volume_ml));
    row("Volumes", &volumes, "ml", "Segmentation / reference");
    let lesions = format!("{} hit, {} extra, {} missed", m.lesions.tp, m.lesions.fp, m.lesions.missed);
    let rule = "A lesion is hit if it shares at least one voxel with the other mask";
    row("Lesions", &lesions, "", rule);
    for note in &m.notes {
        text::note(ui, note);
    }
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
    ui.add_space(crate::theme::space::XS);
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
