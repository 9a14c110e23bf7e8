//! Which patients train, validate and test in the next job, by name.

use std::collections::BTreeSet;

use egui::Ui;
use engine::cohort::split::Split;
use engine::event::Stage;

use crate::state::State;
use crate::theme::space;
use crate::widget::{Section, list_area, text};

/// Height above which the names scroll.
const NAMES: f32 = 180.0;

/// Draws it, once the split is known.
pub(super) fn show(ui: &mut Ui, state: &State) {
    let Some(Ok(split)) = &state.cache.train.split else { return };
    let unused = unused(state, split);
    let mut counts = format!("{} train, {} validation, {} test", split.train.len(), split.val.len(), split.test.len());
    if !unused.is_empty() {
        counts += &format!(", {} unused", unused.len());
    }
    ui.add_space(space::S);
    Section::new("Split").note(&counts).closed().show(ui, |ui| {
        list_area("split", NAMES).show(ui, |ui| {
            let unused = (!unused.is_empty()).then_some(("Unused", unused));
            for (part, patients) in parts(state, split).into_iter().chain(unused) {
                let names = if patients.is_empty() { "none".to_owned() } else { patients.join(", ") };
                text::note(ui, &format!("{part}: {names}"));
                ui.add_space(space::XS);
            }
        });
    });
}

/// The parts of the split, with the labelled patients of a fine-tuning run.
fn parts(state: &State, split: &Split) -> Vec<(&'static str, Vec<String>)> {
    let form = &state.session.train.form;
    let mut parts = vec![("Train", split.train.clone())];
    if form.stage == Stage::Finetune {
        let labels = &form.finetune.labels;
        let labelled = labels.budget().and_then(|budget| split.labelled(&budget));
        // Problems of the choice are shown at its field.
        parts.extend(labelled.ok().map(|labelled| ("Labelled", labelled)));
    }
    parts.extend([("Validation", split.val.clone()), ("Test", split.test.clone())]);
    parts
}

/// Patients of the cohort that the split does not name: those without the modality, or those that the split of a pre-trained
/// run does not know.
fn unused(state: &State, split: &Split) -> Vec<String> {
    let Some(card) = state.cache.train.cohort.card() else { return Vec::new() };
    let parts = [&split.train, &split.val, &split.test];
    let scans = parts.into_iter().flatten().flat_map(|id| card.cohort.scans_of(id));
    let named: BTreeSet<&str> = scans.map(|case| case.patient.as_str()).collect();
    card.cohort.patients().difference(&named).map(|id| (*id).to_owned()).collect()
}
