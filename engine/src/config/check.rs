//! Validation of a configuration. It lists all errors, so that a form can show each at its field.

use super::{Config, LabelConfig, MethodConfig, Number, Pin, Pretext};
use crate::event::Stage;
use crate::model::{Norm, Precision};
use crate::patch::PatchGrid;
use crate::{Error, ErrorKind, Result};

impl Config {
    /// The first of [`Self::errors`].
    pub fn validate(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every unusable setting, under its name in `config.toml`. Settings of the other stage are not checked.
    pub fn errors(&self) -> Vec<Error> {
        let mut found = under("preprocess.", self.preprocess.errors());
        found.extend(self.network.errors());
        self.check_training(&mut found);
        if self.data.modality.is_empty() {
            found.push(Error::config("data.modality", "", "name at least one modality"));
        }
        let multiple = self.network.errors().is_empty().then(|| self.network.multiple());
        if let Some(multiple) = multiple
            && !self.preprocess.size.is_multiple_of(multiple)
        {
            let why = format!("must be a multiple of 2^depth = {multiple}");
            found.push(Error::config("preprocess.size", self.preprocess.size, why));
        }
        match self.stage {
            Stage::Pretrain => self.check_method(&mut found),
            Stage::Finetune => {
                check_labels(&self.labels, &mut found);
                if self.labels.norm_batches > 0 && self.network.norm != Norm::Batch {
                    let why = "only batch norm has running statistics. Use 0";
                    found.push(Error::config("labels.norm_batches", self.labels.norm_batches, why));
                }
            }
        }
        found
    }

    fn check_training(&self, found: &mut Vec<Error>) {
        let training = &self.training;
        let pins = self.method.probes.iter().filter_map(|pin| pin.parse::<Pin>().err());
        found.extend(renamed(pins.collect(), |_| "method.probes".into()));
        for (field, value) in [
            ("training.epochs", training.epochs),
            ("training.batch", training.batch),
            ("training.every_slice", training.every_slice),
            ("training.checkpoint_every", training.checkpoint_every),
        ] {
            if value == 0 {
                found.push(Error::config(field, value, "must be at least 1"));
            }
        }
        if !(training.lr.is_finite() && training.lr > 0.0) {
            found.push(Error::config("training.lr", training.lr, "must be above 0"));
        }
        if !(0.0..=0.5).contains(&training.warmup) {
            found.push(Error::config("training.warmup", training.warmup, "must be between 0 and 0.5"));
        }
        for (field, value) in
            [("training.weight_decay", training.weight_decay), ("training.min_tissue", training.min_tissue)]
        {
            if !(0.0..=1.0).contains(&value) {
                found.push(Error::config(field, value, "must be between 0 and 1"));
            }
        }
        if !(training.clip_norm.is_finite() && training.clip_norm >= 0.0) {
            found.push(Error::config("training.clip_norm", training.clip_norm, "must not be negative"));
        }
        if !(training.layer_decay > 0.0 && training.layer_decay <= 1.0) {
            found.push(Error::config("training.layer_decay", training.layer_decay, "must be above 0 and at most 1"));
        }
        if !(0.0..1.0).contains(&training.ema_decay) {
            found.push(Error::config("training.ema_decay", training.ema_decay, "must be at least 0 and below 1"));
        }
        if training.precision == Precision::F16 {
            let why = "small gradients would become 0, since losses are not scaled. Use bf16";
            found.push(Error::config("training.precision", training.precision.name(), why));
        }
        if training.shift_px > 512 {
            found.push(Error::config("training.shift_px", training.shift_px, "must be at most 512"));
        }
    }

    fn check_method(&self, found: &mut Vec<Error>) {
        let method = &self.method;
        found.extend(crate::pretrain::errors(self));
        found.extend(Number::errors(crate::pretrain::numbers(method.pretext), self));
        if method.pretext != Pretext::Amlp {
            let shared = MethodConfig {
                pretext: method.pretext,
                numbers: method.numbers.clone(),
                report_recall: method.report_recall,
                probes: method.probes.clone(),
                ..MethodConfig::default()
            };
            if *method != shared {
                let why = "this method does not use AMLP's patches, masks and losses. Leave them at their defaults";
                found.push(Error::config("method.pretext", &self.preset, why));
            }
            return;
        }
        if let Err(error) = PatchGrid::new(self.preprocess.size, method.grid) {
            // Reported at the grid, which is easier to change than the crop.
            let why = format!("the crop's side, {}, must be a positive multiple of it", self.preprocess.size);
            let error = if method.grid == 0 { error } else { Error::config("grid", method.grid, why) };
            found.extend(under("method.", vec![error]));
        }
        let mut cluster = method.cluster.errors();
        if cluster.is_empty() {
            cluster.extend(method.cluster.check_patches(method.grid.saturating_mul(method.grid)).err());
        }
        found.extend(under("method.", cluster));
        found.extend(under("method.", method.ratio.errors()));
        found.extend(method.recipe_errors(self.preprocess.size));
        for (field, value) in
            [("method.lambda", method.lambda), ("method.consistency_temperature", method.consistency_temperature)]
        {
            if !(value.is_finite() && value >= 0.0) {
                found.push(Error::config(field, value, "must not be negative"));
            }
        }
    }
}

fn check_labels(labels: &LabelConfig, found: &mut Vec<Error>) {
    let share = labels.labels.parse::<crate::cohort::label_budget::LabelShare>().err();
    found.extend(renamed(share.into_iter().collect(), |_| "labels.labels".into()));
    for (field, value, max) in [
        ("labels.negative_slices", labels.negative_slices, 0.9),
        ("labels.rotate_deg", labels.rotate_deg, 180.0),
        ("labels.scale", labels.scale, 0.5),
        ("labels.intensity", labels.intensity, 1.0),
    ] {
        if !(0.0..=max).contains(&value) {
            found.push(Error::config(field, value, format!("must be between 0 and {max}")));
        }
    }
}

/// A section's errors, with the section before each field.
fn under(section: &str, errors: Vec<Error>) -> Vec<Error> {
    renamed(errors, |field| format!("{section}{field}"))
}

/// Errors of settings under another name.
fn renamed(errors: Vec<Error>, name: impl Fn(&str) -> String) -> Vec<Error> {
    let rename = |error: Error| match error.kind() {
        ErrorKind::Config { field, value, why } => Error::config(name(field), value, why.as_str()),
        _ => error,
    };
    errors.into_iter().map(rename).collect()
}
