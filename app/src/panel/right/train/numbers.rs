//! The numbers of the epoch at the timeline's cursor.

mod layers;
mod pins;

use egui::{RichText, Ui};
use engine::event::{EpochSummary, Losses, Stage};
use engine::run::history::{RelabelRow, RunState};

use super::super::super::{format, text};
use crate::command::Sender;
use crate::state::State;
use crate::state::timeline::OpenRun;
use crate::theme::{self, font, icon, space};
use crate::widget::{Badge, PropertyRow, Section, Tone};

/// Draws it.
pub(super) fn show(ui: &mut Ui, state: &State, sender: &Sender) {
    let Some(run) = state.timeline.shown() else {
        let words = "The numbers of the epoch at the timeline's cursor are shown here once a run is open.";
        text::hint(ui, icon::CURVES, words);
        ui.add_space(space::S);
        pins::show(ui, state, sender);
        return;
    };
    let summary = run.epoch().and_then(|epoch| run.history.summary(epoch));
    match summary {
        Some(row) => epoch(ui, run, row),
        None => text::hint(ui, icon::BUSY, "The first epoch has not ended."),
    }
    pins::show(ui, state, sender);
    layers::show(ui, state, run, sender);
    if let Some(row) = summary.filter(|_| run.stage() == Stage::Pretrain) {
        update(ui, run, row.epoch);
        quality(ui, row);
        entropy(ui, row);
        gradients(ui, row);
    }
    about(ui, run);
}

/// A line of a number that may be missing.
fn line(ui: &mut Ui, label: &str, value: Option<f64>, unit: &str, hint: &str) {
    let value = value.map_or_else(|| format::NONE.to_owned(), format::figures);
    ui.add(PropertyRow::new(label, &value).unit(unit).hint(hint));
}

/// The label of a part of the loss, and what it is.
fn part(name: &str) -> (String, &'static str) {
    let hint = match name {
        "pred" => "Reconstruction: mean squared error of the masked patches",
        "rrl" => "Attention reconstruction loss (Eq. 6)",
        "lcl" => "Category consistency loss (Eq. 7)",
        "l1" => "Mean absolute error of the masked pixels",
        "dice" => "1 minus the Dice of the batch",
        "bce" => "Binary cross-entropy",
        _ => "Part of the loss",
    };
    (format!("L {name}"), hint)
}

/// Losses and schedule.
fn epoch(ui: &mut Ui, run: &OpenRun, row: &EpochSummary) {
    let note = row.epoch.to_string();
    Section::new("Epoch").note(&note).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "Loss", Some(row.loss), "", "Mean of the epoch's steps");
        for (name, value) in row.parts.iter().flat_map(Losses::iter) {
            let (label, hint) = part(name);
            line(ui, &label, Some(value), "", hint);
        }
        if let Some(literal) = &row.literal {
            line(ui, "L rrl literal", literal.get("rrl"), "", "Eq. 6 as printed: 1 by construction, no gradient");
            line(ui, "L lcl literal", literal.get("lcl"), "", "Eq. 7 as printed: a constant per flip, no gradient");
        }
        if let Some(sigma) = row.sigma {
            line(ui, "\u{3c3}", Some(sigma), "", "Masking ratio (Eq. 9)");
        }
        line(ui, "Learning rate", Some(row.learning_rate), "", "Of the epoch's last step");
        if run.stage() == Stage::Finetune {
            let found = run.history.validations.iter().find(|v| v.0 == row.epoch);
            let dice = found.map(|v| v.1);
            line(ui, "Validation Dice", dice, "", "Mean over the validation patients");
            if found.is_some_and(|v| v.2) {
                ui.add(Badge::new("best so far").tone(Tone::Ok));
            }
        }
    });
}

/// The update that judges this epoch: its own, else the last one before it.
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
        line(ui, "Not k-means", Some(row.differs as f64), "patches", "Labels that are not those of the clustering");
        line(ui, "Agreement", Some(row.agreement), "", "k-means with the importance by the loss, masked patches");
        if row.lesion_recall.is_some() {
            line(ui, "Lesion recall", row.lesion_recall, "", "Of the new labels 1");
        }
    });
}

fn cases(ui: &mut Ui, row: &RelabelRow) {
    let all = row.cases;
    let judged = all.kept_foreground + all.kept_background + all.doubted_foreground + all.doubted_background;
    let mut case = |label: &str, count: u64, hint: &str| {
        let share = 100.0 * count as f64 / judged.max(1) as f64;
        let value = format!("{count}   {share:.0} %");
        ui.add(PropertyRow::new(label, &value).hint(hint));
    };
    case("1  stays 1", all.kept_foreground, "k-means 1, important");
    case("2  stays 0", all.kept_background, "k-means 0, not important");
    case("3  coin", all.doubted_foreground, "k-means 1, not important");
    case("4  coin", all.doubted_background, "k-means 0, important");
    let never = all.never_masked.to_string();
    ui.add(PropertyRow::new("Never masked", &never).unit("patches").hint("In this period; they keep their label"));
}

/// What the foreground is worth.
fn quality(ui: &mut Ui, row: &EpochSummary) {
    Section::new("Foreground").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "Agreement", row.agreement, "", "k-means with the importance by the loss, masked patches");
        line(ui, "Lesion recall", row.lesion_recall_foreground, "", "Lesion patches that are labelled 1");
        line(ui, "Recall masked", row.lesion_recall_masked, "", "Lesion patches that are masked");
        line(ui, "Air", row.air_share, "", "Share of air among the patches labelled 1");
    });
}

/// Eqs. 1 to 3, and whether they are in the order that the paper claims.
fn entropy(ui: &mut Ui, row: &EpochSummary) {
    let values = row.entropy.unwrap_or_default();
    Section::new("Entropy").show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        line(ui, "H1", values[0], "nat", "Of category and masking before training (Eq. 1)");
        line(ui, "H2", values[1], "nat", "As the network's estimate changes it (Eq. 2)");
        line(ui, "H3", values[2], "nat", "Of the best assignment known (Eq. 3)");
        let (words, tone) = order(values);
        ui.add_space(space::XS);
        ui.add(Badge::new(words).tone(tone));
    });
}

/// Whether H3 <= H2 <= H1.
fn order(values: [Option<f64>; 3]) -> (&'static str, Tone) {
    match values {
        [Some(h1), Some(h2), Some(h3)] if h3 <= h2 && h2 <= h1 => ("H3 \u{2264} H2 \u{2264} H1 holds", Tone::Ok),
        [Some(_), Some(_), Some(_)] => ("H3 \u{2264} H2 \u{2264} H1 fails", Tone::Warn),
        [Some(h1), Some(h2), None] if h2 <= h1 => ("H2 \u{2264} H1 holds", Tone::Ok),
        [Some(_), Some(_), None] => ("H2 \u{2264} H1 fails", Tone::Warn),
        _ => ("not known in this epoch", Tone::Neutral),
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

/// What the run is.
fn about(ui: &mut Ui, run: &OpenRun) {
    Section::new("Run").note(&run.name).closed().show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let history = &run.history;
        ui.add(PropertyRow::new("Preset", &run.config.preset));
        ui.add(PropertyRow::new("Modality", &run.config.data.modality.join(", ")));
        ui.add(PropertyRow::new("Seed", &run.config.seed.to_string()));
        ui.add(PropertyRow::new("Slices", &history.slices.to_string()).hint("Of an epoch"));
        ui.add(PropertyRow::new("Parameters", &history.parameters.to_string()));
        ui.add(PropertyRow::new("Device", &history.device));
        let state = match &history.state {
            RunState::Idle => "not under way",
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
    fn the_order_of_entropies_is_told_as_far_as_it_is_known() {
        assert_eq!(order([Some(3.0), Some(2.0), Some(1.0)]).1, Tone::Ok);
        assert_eq!(order([Some(3.0), Some(2.0), Some(2.5)]).1, Tone::Warn);
        assert_eq!(order([Some(1.0), Some(2.0), None]).0, "H2 \u{2264} H1 fails");
        assert_eq!(order([Some(1.0), None, None]).1, Tone::Neutral);
    }
}
