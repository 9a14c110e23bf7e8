//! Numbers of the slice and of the pinned patch.

use egui::Ui;

use crate::command::{Command, MaskingCommand, Sender};
use crate::scene::crop;
use crate::state::State;
use crate::state::masking::ClusteredSlice;
use crate::theme::icon;
use crate::widget::format::{self, NONE};
use crate::widget::text;
use crate::widget::{IconButton, PropertyRow, Section};

/// Draws them. Rows keep their position while another slice is clustered.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let found = state.cache.masking.found.as_deref();
    Section::new("Numbers").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        slice(ui, found);
        if let Some(prepared) = &state.cache.masking.prepared {
            for warning in prepared.case.warnings() {
                text::note(ui, &format::sentence(warning));
            }
        }
    });
    let pinned = state.session.masking.pinned;
    // As in the exported table.
    let note = pinned.map_or_else(String::new, |patch| format!("index {patch}"));
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

fn slice(ui: &mut Ui, found: Option<&ClusteredSlice>) {
    let report = found.map(|found| &found.report);
    let mut row = |label: &str, value: &str, unit: &str, hint: &str| {
        ui.add(PropertyRow::new(label, value).unit(if value == NONE { "" } else { unit }).hint(hint));
    };
    let masked = found.map_or_else(
        || NONE.to_owned(),
        |found| format!("{} of {}", found.masking.count(), found.masking.masked.len()),
    );
    let sigma = report.map_or_else(String::new, |report| format!("at {}", format::ratio(report.sigma)));
    row("Masked", &masked, &sigma, "Patches hidden from the network, and the masking ratio sigma");
    let share = percent(report.map(|report| report.foreground_share));
    row("Foreground", &share, "%", "Fraction of the patches that are foreground");
    let air = percent(report.and_then(|report| report.air_share));
    row("Air in foreground", &air, "%", "Fraction of the foreground patches that have no tissue");
    let recall = percent(report.and_then(|report| report.lesion_recall_foreground));
    let rule = "Lesion patches (more than a quarter of the patch is lesion in the reference) that are foreground";
    row("Lesion recall, foreground", &recall, "%", rule);
    let recall = percent(report.and_then(|report| report.lesion_recall_masked));
    row("Lesion recall, masked", &recall, "%", "Lesion patches that are masked");
}

fn one(ui: &mut Ui, state: &State, found: &ClusteredSlice, patch: usize) {
    let (clusters, grid) = (&found.clusters, found.slice.grid.grid());
    let yes = |known: Option<bool>| match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => NONE,
    };
    let mut row = |label: &str, value: &str, hint: &str| {
        ui.add(PropertyRow::new(label, value).hint(hint));
    };
    let place = crop::place_words(patch, grid, state.session.settings.convention);
    row("Place", &place, "Counted from 1, from the left and from the top of the view");
    let category = if clusters.labels[patch] == 1 { "1 foreground" } else { "0 background" };
    row("Category", category, "Cluster of the patch");
    row("Probability", &format::ratio(clusters.probability[patch].into()), "Probability of being foreground");
    let logit = clusters.logit[patch];
    let logit = if logit == engine::cluster::LEFT_OUT { "excluded".to_owned() } else { format::fixed(logit, 2) };
    row("Logit", &logit, "How much closer the patch is to the foreground centre. Decides the masking order");
    let place = format!("{} of {}", found.places[patch], found.places.len());
    row("Order", &place, "Rank in the masking order");
    row("Masked", yes(Some(found.masking.masked[patch])), "Whether it is hidden from the network");
    row("Air", yes(clusters.air.get(patch).copied()), "Whether it has no tissue");
    let lesion = found.slice.lesion.as_ref().and_then(|lesion| lesion.get(patch).copied());
    row("Lesion", yes(lesion), "Whether more than a quarter of it is lesion in the reference");
    let filled = state.cache.masking.filled.as_deref().filter(|filled| filled.filling.wanted == found.wanted);
    let of = |values: Option<&Vec<Option<f32>>>| {
        let value = values.and_then(|values| values.get(patch).copied().flatten());
        value.map_or_else(|| NONE.to_owned(), |value| format::figures(value.into()))
    };
    row("Loss", &of(filled.map(|filled| &filled.made.losses)), "Mean squared error of the reconstruction");
    let hint = "Loss divided by the mean over the masked patches (Eq. 6)";
    row("Relative loss", &of(filled.map(|filled| &filled.made.relative)), hint);
}
