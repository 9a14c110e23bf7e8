//! The numbers of the shown slice and of the chosen patch.

use egui::Ui;

use super::super::super::{format, text};
use crate::command::{Command, MaskingCommand, Sender};
use crate::state::State;
use crate::state::masking::FoundSlice;
use crate::theme::icon;
use crate::widget::{IconButton, PropertyRow, Section};

/// What stands where there is no number.
const NONE: &str = "\u{2013}";

/// Draws them. The rows stay where they are while another slice is clustered.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let found = state.masking.found.as_deref();
    Section::new("Numbers").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        slice(ui, found);
        if let Some(prepared) = &state.masking.prepared {
            for warning in prepared.case.warnings() {
                text::note(ui, warning);
            }
        }
    });
    let pinned = state.masking.pinned;
    let note = pinned.map_or_else(String::new, |patch| format!("{patch}"));
    let unpin = |ui: &mut Ui| {
        if pinned.is_some() && ui.add(IconButton::new(icon::CLOSE, "Unpin the patch").small()).clicked() {
            sender.send(Command::Masking(MaskingCommand::Pin(None)));
        }
    };
    Section::new("Patch").note(&note).show_with(ui, unpin, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        match (found, pinned) {
            (Some(found), Some(patch)) if patch < found.report.labels.len() => one(ui, state, found, patch),
            _ => text::hint(ui, icon::PIN, "Click a patch to pin its numbers."),
        }
    });
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format::fixed(share * 100.0, 1))
}

fn slice(ui: &mut Ui, found: Option<&FoundSlice>) {
    let report = found.map(|found| &found.report);
    let mut row = |label: &str, value: &str, unit: &str, hint: &str| {
        // What is not known has no unit either.
        ui.add(PropertyRow::new(label, value).unit(if value == NONE { "" } else { unit }).hint(hint));
    };
    let masked = found.map_or_else(
        || NONE.to_owned(),
        |found| format!("{} of {}", found.masking.count(), found.masking.masked.len()),
    );
    let sigma = report.map_or_else(String::new, |report| format!("at {}", format::ratio(report.sigma)));
    row("Masked", &masked, &sigma, "Patches that the network does not see, and sigma: their share as it was asked for");
    let share = percent(report.map(|report| report.foreground_share));
    row("Foreground", &share, "%", "Share of the foreground among all patches");
    let air = percent(report.and_then(|report| report.air_share));
    row("Air in it", &air, "%", "Share of the foreground patches that have no tissue at all");
    let recall = percent(report.and_then(|report| report.lesion_recall_foreground));
    let rule = "Share of the lesion patches (more than a quarter lesion in the reference) that are foreground";
    row("Recall, foreground", &recall, "%", rule);
    let recall = percent(report.and_then(|report| report.lesion_recall_masked));
    row("Recall, masked", &recall, "%", "Share of the lesion patches that are masked");
}

/// Everything that is known of a patch.
fn one(ui: &mut Ui, state: &State, found: &FoundSlice, patch: usize) {
    let (clusters, grid) = (&found.clusters, found.slice.grid.grid());
    let yes = |known: Option<bool>| match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => NONE,
    };
    let mut row = |label: &str, value: &str, hint: &str| {
        ui.add(PropertyRow::new(label, value).hint(hint));
    };
    row("Row, column", &format!("{}, {}", patch / grid, patch % grid), "From 0: rightwards, and towards the front");
    let category = if clusters.labels[patch] == 1 { "1 foreground" } else { "0 background" };
    row("Category", category, "What the clustering takes it for");
    row("Probability", &format::ratio(clusters.probability[patch].into()), "Of the foreground");
    let logit = clusters.logit[patch];
    let logit = if logit == engine::cluster::LEFT_OUT { "left out".to_owned() } else { format::fixed(logit, 2) };
    row("Logit", &logit, "Orders the patches: how much nearer it is to the foreground's centre");
    let place = format!("{} of {}", found.places[patch], found.places.len());
    row("Order", &place, "Its place in the masking order");
    row("Masked", yes(Some(found.masking.masked[patch])), "Whether the network does not see it");
    row("Air", yes(clusters.air.get(patch).copied()), "Whether it has no tissue at all");
    let lesion = found.slice.lesion.as_ref().and_then(|lesion| lesion.get(patch).copied());
    row("Lesion", yes(lesion), "Whether more than a quarter of it is lesion in the reference");
    let filled = state.masking.filled.as_deref().filter(|filled| filled.filling.wanted == found.wanted);
    let of = |values: Option<&Vec<Option<f32>>>| {
        let value = values.and_then(|values| values.get(patch).copied().flatten());
        value.map_or_else(|| NONE.to_owned(), |value| format::fixed(value.into(), 4))
    };
    row("Loss", &of(filled.map(|filled| &filled.made.losses)), "Mean squared error of the network's output");
    let hint = "Its loss over the mean of all masked patches (Eq. 6)";
    row("Relative loss", &of(filled.map(|filled| &filled.made.relative)), hint);
}
