//! Numbers of the epoch at the timeline cursor.

mod layers;
mod pins;

use egui::{RichText, Ui};
use engine::event::{EpochSummary, Losses, Stage};
use engine::run::history::{RelabelRow, RunState};

use crate::command::Sender;
use crate::state::State;
use crate::state::timeline::series::shares;
use crate::state::timeline::{OpenRun, Quantity};
use crate::theme::{self, font, icon, space};
use crate::widget::{Badge, PropertyRow, Section, Tone};
use crate::widget::{format, text};

pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(run) = state.watched_run() else {
        let message = "Open a run to see the numbers of the epoch at the timeline cursor.";
        text::hint(ui, icon::CURVES, message);
        ui.add_space(space::S);
        pins::show(ui, state, sender);
        return;
    };
    let summary = run.epoch().and_then(|epoch| run.history.summary(epoch));
    match summary {
        Some(row) => epoch(ui, run, row),
        None => text::hint(ui, icon::BUSY, run.before_first_epoch()),
    }
    pins::show(ui, state, sender);
    layers::show(ui, state, run, sender);
    if let Some(row) = summary.filter(|_| run.has_labels()) {
        if run.updates_labels() {
            update(ui, run, row.epoch);
        }
        quality(ui, row);
        entropy(ui, row);
        gradients(ui, row);
    }
    about(ui, run);
}

fn line(ui: &mut Ui, label: &str, value: Option<f64>, unit: &str, hint: &str) {
    let value = value.map_or_else(|| format::NONE.to_owned(), format::figures);
    ui.add(PropertyRow::new(label, &value).unit(unit).hint(hint));
}

/// Label and description of a loss term.
fn part(name: &str) -> (String, &'static str) {
    let hint = match name {
        "pred" => "Reconstruction: mean squared error of the masked patches",
        "rrl" => "Attention reconstruction loss (Eq. 6)",
        "lcl" => "Category consistency loss (Eq. 7)",
        "l1" => "Mean absolute error of the masked pixels",
        "l2" => "Mean squared error of the masked square. Its rim counts tenfold",
        "hog" => "Mean squared error of the oriented gradients of masked cells",
        "spectrum" => "Error of the low and high frequencies",
        "pixel" => "Mean squared error of the masked pixels of normalised patches",
        "feature" => "Error of the teacher's features of masked cells",
        "rank" => "Ranking of the patches by loss",
        "mae" => "The teacher's mean squared error of the masked patches",
        "cosine" => "1 minus the cosine of the tokenizer's and the teacher's features",
        "commitment" => "Squared distance of the features from their codes",
        "ce" => "Cross-entropy of the codes of masked cells",
        "dice" => "1 minus the Dice of the batch",
        "bce" => "Binary cross-entropy",
        _ => "Part of the loss",
    };
    (format!("L_{name}"), hint)
}

/// Losses and schedule.
fn epoch(ui: &mut Ui, run: &OpenRun, row: &EpochSummary) {
    let note = row.epoch.to_string();
    Section::new("Epoch").note(&note).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "Loss", Some(row.loss), "", "Mean over the steps of the epoch");
        for (name, value) in row.parts.iter().flat_map(Losses::iter) {
            let (label, hint) = part(name);
            line(ui, &label, Some(value), "", hint);
        }
        if let Some(literal) = &row.literal {
            let rrl = "Eq. 6 as printed is 1 by construction and has no gradient";
            let lcl = "Eq. 7 as printed is constant per flip and has no gradient";
            line(ui, "L_rrl as printed", literal.get("rrl"), "", rrl);
            line(ui, "L_lcl as printed", literal.get("lcl"), "", lcl);
        }
        if let Some(sigma) = row.sigma {
            line(ui, "Sigma", Some(sigma), "", "Masking ratio (Eq. 9)");
        }
        line(ui, "Learning rate", Some(row.learning_rate), "", "At the last step of the epoch");
        for quantity in Quantity::diagnostics(&run.history) {
            line(ui, quantity.name(), quantity.value(&run.history, row.epoch), "", quantity.meaning());
        }
        let warn = theme::tokens(ui).warn;
        for warning in &row.warnings {
            ui.add_space(space::XS);
            text::with_icon(ui, icon::WARN, warn, |ui| text::sentence(ui, warning));
        }
        if run.stage() == Stage::Finetune {
            let hint = "Batch Dice of the augmented training slices";
            let dice = |value: Option<f64>| value.map_or_else(|| format::NONE.to_owned(), format::ratio);
            ui.add(PropertyRow::new("Training Dice", &dice(row.training_dice)).hint(hint));
            let found = run.history.validations.iter().find(|v| v.0 == row.epoch);
            if run.config.labels.validate_every > 0 {
                let validated = dice(found.map(|v| v.1));
                ui.add(PropertyRow::new("Validation Dice", &validated).hint("Mean over the validation patients"));
            }
            if found.is_some_and(|v| v.2) {
                ui.add(Badge::new("best so far").tone(Tone::Ok));
            }
        }
    });
}

/// The label update of this epoch, else the last one before it.
fn update(ui: &mut Ui, run: &OpenRun, epoch: usize) {
    let row = run.update_at(epoch).and_then(|at| run.history.relabel(at));
    let note = row.map(|row| format!("epoch {}", row.epoch)).unwrap_or_default();
    Section::new("Label update").note(&note).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let Some(row) = row else {
            text::note(ui, "No update has happened yet.");
            return;
        };
        cases(ui, row);
        line(ui, "Flips", Some(row.flips as f64), "patches", "Patches whose label changed");
        line(ui, "Differs from k-means", Some(row.differs as f64), "patches", "Labels that differ from the clustering");
        line(
            ui,
            "Agreement",
            Some(row.agreement),
            "",
            "Agreement of k-means and loss-based importance on masked patches",
        );
        if row.lesion_recall.is_some() {
            line(ui, "Lesion recall", row.lesion_recall, "", "Lesion patches that are labelled 1 after the update");
        }
    });
}

fn cases(ui: &mut Ui, row: &RelabelRow) {
    let all = row.cases;
    // Shares of all patches, as in the chart.
    let shares = shares(&all);
    let mut case = |at: usize, label: &str, count: u64, hint: &str| {
        let value = format!("{count}   {:.0} %", 100.0 * shares[at]);
        ui.add(PropertyRow::new(label, &value).hint(hint));
    };
    case(0, "1  stays 1", all.kept_foreground, "k-means 1, important");
    case(1, "2  stays 0", all.kept_background, "k-means 0, not important");
    case(2, "3  was 1, coin", all.doubted_foreground, "k-means 1, not important: drawn at random");
    case(3, "4  was 0, coin", all.doubted_background, "k-means 0, important: drawn at random");
    case(4, "Never masked", all.never_masked, "Not masked since the last update, so the label stays");
}

fn quality(ui: &mut Ui, row: &EpochSummary) {
    Section::new("Foreground").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "Agreement", row.agreement, "", "Agreement of k-means and loss-based importance on masked patches");
        line(ui, "Lesion recall", row.lesion_recall_foreground, "", "Lesion patches that are labelled 1");
        line(ui, "Masked recall", row.lesion_recall_masked, "", "Lesion patches that are masked");
        line(ui, "Air", row.air_share, "", "Fraction of air among the patches labelled 1");
    });
}

/// Eqs. 1 to 3, and whether they have the order that the paper claims.
fn entropy(ui: &mut Ui, row: &EpochSummary) {
    let values = row.entropy.unwrap_or_default();
    Section::new("Entropy").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "H1", values[0], "nat", "Entropy before training (Eq. 1)");
        line(ui, "H2", values[1], "nat", "Entropy given the network's estimate (Eq. 2)");
        line(ui, "H3", values[2], "nat", "Entropy given the best known assignment (Eq. 3)");
        let (label, tone) = order(values);
        ui.add_space(space::XS);
        ui.add(Badge::new(label).tone(tone));
    });
}

/// Whether H3 <= H2 <= H1.
fn order(values: [Option<f64>; 3]) -> (&'static str, Tone) {
    match values {
        [Some(h1), Some(h2), Some(h3)] if h3 <= h2 && h2 <= h1 => ("H3 \u{2264} H2 \u{2264} H1 holds", Tone::Ok),
        [Some(_), Some(_), Some(_)] => ("H3 \u{2264} H2 \u{2264} H1 fails", Tone::Warn),
        [Some(h1), Some(h2), None] if h2 <= h1 => ("H2 \u{2264} H1 holds", Tone::Ok),
        [Some(_), Some(_), None] => ("H2 \u{2264} H1 fails", Tone::Warn),
        _ => ("not recorded in this epoch", Tone::Neutral),
    }
}

fn gradients(ui: &mut Ui, row: &EpochSummary) {
    let Some(norms) = &row.gradient_norm else { return };
    Section::new("Gradient norms").closed().show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (name, value) in norms.iter() {
            line(ui, &part(name).0, Some(value), "", "At the sampled step");
        }
    });
}

fn about(ui: &mut Ui, run: &OpenRun) {
    Section::new("Run").note(&run.name).closed().show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let history = &run.history;
        ui.add(PropertyRow::new("Preset", &run.config.preset));
        ui.add(PropertyRow::new("Modality", &run.config.data.modality.join(", ")));
        ui.add(PropertyRow::new("Seed", &run.config.seed.to_string()));
        ui.add(PropertyRow::new("Slices", &history.slices.to_string()).hint("Per epoch"));
        ui.add(PropertyRow::new("Parameters", &history.parameters.to_string()));
        ui.add(PropertyRow::new("Device", &history.device));
        let state = match &history.state {
            RunState::Idle => "not running",
            RunState::Running => "running",
            RunState::Paused => "paused",
            RunState::Finished => "finished",
            RunState::Failed(_) => "failed",
        };
        ui.add(PropertyRow::new("State", state));
        if let RunState::Failed(why) = &history.state {
            text::note(ui, why);
        }
        let path = RichText::new(run.path.display().to_string()).font(font::mono()).color(theme::tokens(ui).text_dim);
        text::line(ui, path).on_hover_text(run.path.display().to_string());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_entropies_is_judged_as_far_as_recorded() {
        assert_eq!(order([Some(3.0), Some(2.0), Some(1.0)]).1, Tone::Ok);
        assert_eq!(order([Some(3.0), Some(2.0), Some(2.5)]).1, Tone::Warn);
        assert_eq!(order([Some(1.0), Some(2.0), None]).0, "H2 \u{2264} H1 fails");
        assert_eq!(order([Some(1.0), None, None]).1, Tone::Neutral);
    }
}
