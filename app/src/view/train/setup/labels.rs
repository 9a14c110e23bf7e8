//! Labelled patients and augmentation of fine-tuning.

use std::collections::BTreeSet;

use egui::Ui;
use engine::cohort::split::Split;

use super::chip;
use super::field::{self, Number};
use crate::state::State;
use crate::state::train::form::labelled;
use crate::state::train::{Form, Labels};
use crate::theme::{icon, space};
use crate::widget::{NumberField, PushButton, Section, Toggle};
use crate::widget::{list_area, text};

/// Height above which the patients scroll.
const PATIENTS: f32 = 150.0;

pub(super) fn show(ui: &mut Ui, state: &State, form: &mut Form) {
    Section::new("Labels").show(ui, |ui| labels(ui, state, form));
    Section::new("Augmentation").closed().show(ui, |ui| augmentation(ui, state, form));
}

fn labels(ui: &mut Ui, state: &State, form: &mut Form) {
    let choices = [
        (Labels::Five, "5 %"),
        (Labels::Ten, "10 %"),
        (Labels::Percent, "A percentage"),
        (Labels::Count, "A number"),
        (Labels::Picked, "By name"),
        (Labels::All, "All"),
    ];
    let split = state.cache.train.split.as_ref().and_then(|split| split.as_ref().ok());
    let note = budget(form, split);
    let problem = match &state.cache.train.split {
        Some(Err(why)) => Some(why.as_str()),
        _ => field::problem(state, "labels.labels"),
    };
    field::row(ui, problem, &note, |ui| {
        crate::widget::Select::new("Labelled", &choices).show(ui, &mut form.labels);
    });
    match form.labels {
        Labels::Count => field::row(ui, state.label_problem().as_deref(), "drawn at random by the seed", |ui| {
            NumberField::new(&mut form.count, "Patients").range(1..=100_000).show(ui);
        }),
        Labels::Percent => field::row(ui, None, "drawn at random by the seed", |ui| {
            NumberField::new(&mut form.percent, "Share").range(0.1..=100.0).decimals(1).unit("%").show(ui);
        }),
        Labels::Picked => patients(ui, split, &mut form.picked),
        Labels::Five | Labels::Ten | Labels::All => {}
    }
    // A field that is not shown cannot be corrected.
    for (field, of) in [("Patients", Labels::Count), ("Share", Labels::Percent)] {
        if form.labels != of {
            form.enter(field, None);
        }
    }
    let labels = &mut form.finetune.labels;
    let negative = Number {
        label: "Negative slices",
        note: "fraction of training slices without lesion; paper: 0",
        unit: "",
        most: 1.0,
        decimals: 2,
        step: 0.05,
    };
    field::number(ui, state, "labels.negative_slices", &negative, &mut labels.negative_slices);
    let every = "epochs between validations; 0: never";
    field::whole(ui, state, "labels.validate_every", "Validate every", every, &mut labels.validate_every, 0..=100_000);
}

/// Number of labelled patients used.
fn budget(form: &Form, split: Option<&Split>) -> String {
    let Some(split) = split else { return String::new() };
    let of = labelled(split).count();
    let share = |percent: f64| ((percent / 100.0 * of as f64 + 1e-9).round() as usize).max(1);
    let taken = match form.labels {
        Labels::Five => share(5.0),
        Labels::Ten => share(10.0),
        Labels::Percent => share(form.percent),
        Labels::Count => form.count,
        Labels::All => of,
        Labels::Picked => form.picked.len(),
    };
    format!("{taken} of {of} training patients with a reference")
}

/// Training patients with a reference, each on or off.
fn patients(ui: &mut Ui, split: Option<&Split>, picked: &mut BTreeSet<String>) {
    let Some(split) = split else {
        return text::hint(ui, icon::PATIENT, "Choose a cohort to list its training patients.");
    };
    ui.add_space(space::XS);
    list_area("patients", PATIENTS).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::vec2(space::XS, space::XS);
            for id in labelled(split) {
                let on = picked.contains(id);
                let volume = split.lesion_ml.get(id).copied().flatten().unwrap_or_default();
                let chip = chip::chip(ui, id, &format!("Patient {id}"), on);
                if chip.on_hover_text(format!("lesion volume {volume:.1} ml")).clicked() {
                    if on {
                        picked.remove(id);
                    } else {
                        picked.insert(id.clone());
                    }
                }
            }
        });
    });
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        if ui.add_enabled(!picked.is_empty(), PushButton::new("Clear")).clicked() {
            picked.clear();
        }
    });
    ui.add_space(space::XS);
}

fn augmentation(ui: &mut Ui, state: &State, form: &mut Form) {
    let labels = &mut form.finetune.labels;
    field::row(ui, None, "along right-left and front-back", |ui| {
        ui.add(Toggle::new(&mut labels.flip, "Flip"));
    });
    let number = |label, note, unit, most, decimals, step| Number { label, note, unit, most, decimals, step };
    let rotate = number("Rotation", "maximum, both directions", "\u{b0}", 180.0, 0, 1.0);
    field::number(ui, state, "labels.rotate_deg", &rotate, &mut labels.rotate_deg);
    let scale = number("Scale", "maximum relative change", "", 1.0, 2, 0.01);
    field::number(ui, state, "labels.scale", &scale, &mut labels.scale);
    let intensity = number("Intensity", "maximum change of contrast and brightness", "", 1.0, 2, 0.01);
    field::number(ui, state, "labels.intensity", &intensity, &mut labels.intensity);
}
