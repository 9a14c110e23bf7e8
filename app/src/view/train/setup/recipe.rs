//! Options beyond the paper, of both stages. Their defaults are the paper's.

use egui::Ui;
use engine::config::Pretext;
use engine::event::Stage;
use engine::model::TopSkip;
use engine::pretrain::amlp::choice::ForegroundChoice;

use super::field::{self, Number};
use crate::state::State;
use crate::state::train::Form;
use crate::widget::{Section, Toggle};

pub(super) fn show(ui: &mut Ui, state: &State, form: &mut Form) {
    Section::new("Beyond the paper").note("off by default").closed().show(ui, |ui| {
        match form.stage {
            Stage::Pretrain => {
                if form.pretrain.method.pretext == Pretext::Amlp {
                    masks(ui, state, form);
                    losses(ui, state, form);
                    augmentation(ui, state, form);
                }
                tissue(ui, state, form);
            }
            Stage::Finetune => transfer(ui, state, form),
        }
        optimiser(ui, state, form);
    });
}

fn masks(ui: &mut Ui, state: &State, form: &mut Form) {
    let method = &mut form.pretrain.method;
    let choices = [
        (ForegroundChoice::Rule, "By rule"),
        (ForegroundChoice::Variance, "By variance"),
        (ForegroundChoice::Asymmetry, "By asymmetry"),
        (ForegroundChoice::Error, "By loss"),
    ];
    let note = "without labels, once for the cohort";
    field::choice(ui, "Foreground choice", note, &mut method.foreground_choice, &choices);
    let mask = &mut method.mask;
    let mut number = |key: &str, label: &str, note: &str, most: f64, value: &mut f64| {
        let number = Number { label, note, unit: "", most, decimals: 2, step: if most > 1.0 { 1.0 } else { 0.05 } };
        field::number(ui, state, key, &number, value);
    };
    let temperature = "for drawing masked patches; 0: in order";
    number("method.mask.temperature", "Temperature", temperature, 1000.0, &mut mask.temperature);
    number("method.mask.hints", "Hints", "fraction of the foreground that stays visible", 0.9, &mut mask.hints);
    let unit = "pixels per side, a multiple of a patch; 0: a patch";
    field::whole(ui, state, "method.mask.unit_px", "Mask unit", unit, &mut mask.unit_px, 0..=8192);
    field::row(ui, None, "sigma is a fraction of the units with tissue", |ui| {
        ui.add(Toggle::new(&mut mask.of_tissue, "Sigma within tissue"));
    });
    let skips = [(TopSkip::Keep, "Kept"), (TopSkip::Mask, "Masked"), (TopSkip::Drop, "Dropped")];
    field::choice(ui, "First skip", "features at full resolution", &mut mask.top_skip, &skips);
    field::row(ui, None, "adds the pixel mask as an input", |ui| {
        ui.add(Toggle::new(&mut mask.channel, "Mask channel"));
    });
}

fn losses(ui: &mut Ui, state: &State, form: &mut Form) {
    let loss = &mut form.pretrain.method.loss;
    field::row(ui, None, "leaves out masked patches of air", |ui| {
        ui.add(Toggle::new(&mut loss.tissue_only, "Loss on tissue only"));
    });
    let normalised = field::problem(state, "method.loss.normalised");
    field::row(ui, normalised, "by each patch's mean and deviation", |ui| {
        ui.add(Toggle::new(&mut loss.normalised, "Normalised patches"));
    });
    let mut number = |key: &str, label: &str, note: &str, most: f64, value: &mut f64| {
        let number = Number { label, note, unit: "", most, decimals: 2, step: 0.05 };
        field::number(ui, state, key, &number, value);
    };
    number(
        "method.loss.attention_max",
        "ARL limit",
        "maximum weight of a patch; 0: none",
        1000.0,
        &mut loss.attention_max,
    );
    number("method.loss.lambda_ramp", "CCL ramp", "fraction of the epochs", 0.9, &mut loss.lambda_ramp);
    let margin = "minimum distance of the relative loss from 1";
    number("method.loss.doubt_margin", "Doubt margin", margin, 0.9, &mut loss.doubt_margin);
}

fn augmentation(ui: &mut Ui, state: &State, form: &mut Form) {
    let config = &mut form.pretrain;
    let augment = &mut config.method.augment;
    let moved = field::problem(state, "method.augment.shift");
    field::row(ui, moved, "a new shift of each crop in every epoch", |ui| {
        ui.add(Toggle::new(&mut augment.shift, "Epoch shift"));
    });
    field::row(ui, None, "along R and A, by batch", |ui| {
        ui.add(Toggle::new(&mut augment.flip, "Flips"));
    });
    let mut number = |key: &str, label: &str, note: &str, value: &mut f64| {
        let number = Number { label, note, unit: "", most: 0.9, decimals: 2, step: 0.05 };
        field::number(ui, state, key, &number, value);
    };
    number("method.augment.intensity", "Intensity change", "contrast and brightness", &mut augment.intensity);
    let every = "epochs between validation losses; 0: never";
    let validate = &mut config.method.validate_every;
    field::whole(ui, state, "method.validate_every", "Validate", every, validate, 0..=100_000);
}

fn tissue(ui: &mut Ui, state: &State, form: &mut Form) {
    let note = "fraction of the crop; skips emptier slices";
    let number = Number { label: "Minimum tissue", note, unit: "", most: 0.9, decimals: 2, step: 0.05 };
    field::number(ui, state, "training.min_tissue", &number, &mut form.pretrain.training.min_tissue);
}

fn transfer(ui: &mut Ui, state: &State, form: &mut Form) {
    let labels = &mut form.finetune.labels;
    field::row(ui, None, "without the pre-trained decoder", |ui| {
        ui.add(Toggle::new(&mut labels.encoder_only, "Encoder only"));
    });
    let norms = "unmasked batches before the first step";
    field::whole(ui, state, "labels.norm_batches", "Norm batches", norms, &mut labels.norm_batches, 0..=10_000);
}

fn optimiser(ui: &mut Ui, state: &State, form: &mut Form) {
    let training = &mut form.config_mut().training;
    let mut number = |key: &str, label: &str, note: &str, most: f64, value: &mut f64| {
        let number = Number { label, note, unit: "", most, decimals: 4, step: 0.01 };
        field::number(ui, state, key, &number, value);
    };
    number("training.clip_norm", "Gradient limit", "norm over all weights; 0: none", 1000.0, &mut training.clip_norm);
    let layer = "rate relative to the next layer; 1: equal";
    number("training.layer_decay", "Layer decay", layer, 1.0, &mut training.layer_decay);
    let average = "decay of the averaged weights; 0: off";
    number("training.ema_decay", "Weight average", average, 0.9999, &mut training.ema_decay);
}
