//! Estimates time and memory of a run without creating a run folder, and reports invalid settings by field.

mod count;

use std::collections::BTreeMap;

use burn::module::Module;
use serde::Serialize;

use crate::cohort::split::Split;
use crate::cohort::{Case, Cohort};
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Stage};
use crate::jobs::{corrections, planned_split, with_known_modalities};
use crate::trainer::{Head, Length, check_device, memory_mib};
use crate::{ErrorKind, Result};

use count::Count;

/// Estimated cost of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    /// Training patients.
    pub patients: usize,
    /// Training patients whose masks are used: for the log in pre-training, for training in fine-tuning.
    pub labelled: usize,
    /// Slices per epoch; see [`Assessment::notes`] for how they were counted.
    pub slices: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Weights of the network.
    pub parameters: usize,
    /// Seconds of one step, measured on synthetic slices.
    pub seconds_per_step: f64,
    /// Seconds of all steps, without preprocessing.
    pub seconds: f64,
    /// MiB of a training step, without the slices.
    pub memory_mib: u64,
    /// MiB of the prepared slices. Beyond the memory limit they go to a file.
    pub slices_mib: u64,
    /// Notes on the estimate, one sentence each.
    pub notes: Vec<String>,
}

/// Measures one step and extrapolates to the run. Reads the names and headers of a cohort's files, and for a fine-tuning run
/// also the scans and masks of a few labelled patients. `split` is the run's split, if known. Otherwise the pre-training
/// run's is used, or a drawn one with the same number of patients. `progress` gets a line for each part.
///
/// # Errors
/// Settings that cannot be trained with; a precision or an amount of memory that the device does not have; a cohort without
/// patients to train on; [`ErrorKind::Cancelled`].
pub fn assess(
    config: &Config,
    split: Option<&Split>,
    compute: &Compute,
    control: &Control,
    progress: &mut dyn FnMut(&str),
) -> Result<Assessment> {
    config.validate()?;
    progress("looking for patients");
    let mut cohort = config.data.discover()?;
    let config = &with_known_modalities(config.clone(), &cohort)?;
    let mut notes = Vec::new();
    let known = split.cloned().map_or_else(|| planned_split(config, &cohort), |split| Ok(Some(split)))?;
    let is_drawn = known.is_none();
    let split = known.unwrap_or_else(|| draw(config, &cohort));
    corrections(config)?.apply(&mut cohort, &split);
    let count = Count { config, cohort: &cohort, split: &split, is_drawn, control };
    let slices = match config.stage {
        Stage::Pretrain => count.pretraining(progress, &mut notes)?,
        Stage::Finetune => count.finetuning(progress, &mut notes)?,
    };
    let length = Length::new(&config.training, slices.of_epoch);
    let batch = config.training.batch.min(slices.of_epoch.max(1));
    control.pass()?;
    progress("measuring a step");
    let (network, head) = match config.stage {
        Stage::Pretrain => (crate::pretrain::network_config(config), crate::pretrain::head(config)),
        Stage::Finetune => (crate::predict::network_config(config), Head::default()),
    };
    check_device(config, &network, head, compute)?;
    let seconds_per_step = match config.stage {
        Stage::Pretrain => crate::pretrain::synthetic_step(config, batch, compute, control)?,
        Stage::Finetune => crate::finetune::synthetic_step(config, batch, compute, control)?,
    };
    let parameters = network.init(0, &compute.device).num_params() + head.weights;
    let side = (config.preprocess.size + 2 * config.training.shift_px) as u64;
    let slices_mib = (slices.kept as u64 * side * side * (4 * config.data.modality.len() as u64 + 1)).div_ceil(1 << 20);
    if slices_mib > config.data.memory_mib {
        notes.push(format!("The slices take {slices_mib} MiB, more than the memory limit, so they go to a file."));
    }
    if config.stage == Stage::Finetune && config.labels.validate_every > 0 {
        notes.push("Validation takes additional time.".into());
    }
    if config.stage == Stage::Finetune {
        notes.extend(split.label_notes(&config.labels.budget()?));
    }
    Ok(Assessment {
        patients: split.train.len(),
        labelled: slices.labelled,
        slices: slices.of_epoch,
        steps: length.steps,
        epochs: length.epochs,
        parameters,
        seconds_per_step,
        seconds: seconds_per_step * length.steps as f64,
        memory_mib: memory_mib(config, &network, head, compute),
        slices_mib,
        notes,
    })
}

/// Every invalid setting: its name as in `config.toml`, and the reason. In addition to [`Config::errors`], a cohort must be
/// set.
pub fn field_errors(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if config.data.cohort.as_os_str().is_empty() {
        found.push(("data.cohort".to_owned(), "choose a folder of patients".to_owned()));
    }
    found.extend(config.errors().into_iter().map(|error| match error.kind() {
        ErrorKind::Config { field, why, .. } => (field.clone(), why.clone()),
        _ => (String::new(), error.to_string()),
    }));
    found
}

/// A split that has the same number of patients as the real one, whose lesion volumes are not known yet.
fn draw(config: &Config, cohort: &Cohort) -> Split {
    let mut patients: BTreeMap<String, Option<f64>> = BTreeMap::new();
    for case in cohort.cases.iter().filter(|case| is_complete(config, case)) {
        let volume = patients.entry(case.patient.clone()).or_default();
        // The volumes are not read here. Any positive one stands for a lesion.
        *volume = volume.or((!case.masks.is_empty()).then_some(1.0));
    }
    Split::draw(&patients.into_iter().collect::<Vec<_>>(), config.seed)
}

/// True for a case that may be trained on: it has all modalities and is not in a test folder.
fn is_complete(config: &Config, case: &Case) -> bool {
    !case.held_out && case.has_all(&config.data.modality)
}
