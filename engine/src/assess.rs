//! What a training would take, without making a run folder, and what is wrong with its settings, field by field.

use std::collections::BTreeMap;

use burn::module::Module;
use serde::Serialize;

use crate::cohort::split::Split;
use crate::cohort::{Case, Cohort};
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Stage};
use crate::jobs::{inherited, with_known_modalities};
use crate::preprocess::prepared_shape;
use crate::trainer::{Length, check_device, memory_mib};
use crate::volume::Volume;
use crate::{ErrorKind, Result};

/// What a training would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assessment {
    /// Training patients.
    pub patients: usize,
    /// Of these, the ones whose masks are used: read for the log in pre-training, trained on in fine-tuning.
    pub labelled: usize,
    /// Slices of an epoch; see [`Assessment::notes`] for how they were counted.
    pub slices: usize,
    /// Steps in all.
    pub steps: usize,
    /// Epochs.
    pub epochs: usize,
    /// Weights of the network.
    pub parameters: usize,
    /// Seconds of one step, measured on synthetic slices.
    pub seconds_per_step: f64,
    /// Seconds of all steps; preparing the patients comes on top.
    pub seconds: f64,
    /// MiB of a training step, beside the slices.
    pub memory_mib: u64,
    /// MiB of the slices.
    pub slices_mib: u64,
    /// How the numbers were found, and what was odd, one sentence each.
    pub notes: Vec<String>,
}

/// Reads the names and headers of a cohort's files, measures one step, and adds up. `progress` gets a line for each part.
///
/// # Errors
/// Settings that cannot be trained with; a precision or an amount of memory that the device does not have; a cohort without
/// patients to train on; [`ErrorKind::Cancelled`].
pub fn assess(
    config: &Config,
    compute: &Compute,
    control: &Control,
    progress: &mut dyn FnMut(&str),
) -> Result<Assessment> {
    config.validate()?;
    progress("looking for patients");
    let cohort = config.data.discover()?;
    let config = &with_known_modalities(config.clone(), &cohort)?;
    let mut notes = Vec::new();
    let drawn = inherited(config)?;
    let split = drawn.clone().unwrap_or_else(|| draw(config, &cohort));
    let chosen = chosen(config, &cohort, &split)?;
    // A new split depends on the lesion volumes, which are not read here: all patients are counted then.
    let counted: Vec<&Case> = if drawn.is_some() && config.stage == Stage::Pretrain {
        split.train.iter().flat_map(|id| cohort.scans_of(id)).collect()
    } else {
        cohort.cases.iter().filter(|case| is_complete(config, case)).collect()
    };
    let slices_by_case = count_slices(config, &counted, control, progress, &mut notes)?;
    let total: usize = slices_by_case.values().sum();
    let slices = (total * chosen.slices_of).div_ceil(slices_by_case.len().max(1));
    if slices_by_case.len() != chosen.slices_of {
        notes.push("The training patients are drawn at the start. Slices are estimated from the cohort's mean.".into());
    }
    notes.push(match config.stage {
        Stage::Pretrain => "Slices is an upper bound: slices without tissue in the crop are left out.".into(),
        Stage::Finetune => "Slices is an upper bound: all of the labelled patients' slices, with lesion or not.".into(),
    });
    let length = Length::new(&config.training, slices);
    let batch = config.training.batch.min(slices.max(1));
    control.pass()?;
    progress("measuring a step");
    let network = match config.stage {
        Stage::Pretrain => crate::pretrain::network_config(config),
        Stage::Finetune => crate::finetune::network_config(config),
    };
    check_device(config, &network, compute)?;
    let seconds_per_step = match config.stage {
        Stage::Pretrain => crate::pretrain::synthetic_step(config, batch, compute, control)?,
        Stage::Finetune => crate::finetune::synthetic_step(config, batch, compute, control)?,
    };
    let parameters = network.init(0, &compute.device).num_params();
    let side = (config.preprocess.size + 2 * config.training.shift_px) as u64;
    let slices_mib = (slices as u64 * side * side * (4 * config.data.modality.len() as u64 + 1)).div_ceil(1 << 20);
    if slices_mib > config.data.memory_mib {
        notes.push(format!(
            "The slices take {slices_mib} MiB. That is more than may stay in memory, so they go to a file."
        ));
    }
    if config.stage == Stage::Finetune && config.labels.validate_every > 0 {
        notes.push("Validation takes additional time.".into());
    }
    if config.stage == Stage::Finetune {
        notes.extend(split.label_notes(&config.labels.budget()?));
    }
    Ok(Assessment {
        patients: split.train.len(),
        labelled: chosen.labelled,
        slices,
        steps: length.steps,
        epochs: length.epochs,
        parameters,
        seconds_per_step,
        seconds: seconds_per_step * length.steps as f64,
        memory_mib: memory_mib(config, &network, compute),
        slices_mib,
        notes,
    })
}

/// Every setting that cannot be trained with: its name as in `config.toml`, and why. Besides what [`Config::errors`] finds, a
/// cohort must be named.
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

/// How many patients' slices and labels are used.
struct Chosen {
    slices_of: usize,
    labelled: usize,
}

fn chosen(config: &Config, cohort: &Cohort, split: &Split) -> Result<Chosen> {
    if config.stage == Stage::Finetune {
        let labelled = split.labelled(&config.labels.budget()?)?;
        let scans = labelled.iter().flat_map(|id| cohort.scans_of(id)).count();
        return Ok(Chosen { slices_of: scans, labelled: labelled.len() });
    }
    let has_label = |id: &&String| cohort.scans_of(id).any(|case| !case.masks.is_empty());
    let labelled = if config.method.report_recall { split.train.iter().filter(has_label).count() } else { 0 };
    let scans = split.train.iter().flat_map(|id| cohort.scans_of(id)).count();
    Ok(Chosen { slices_of: scans, labelled })
}

/// A split of as many patients as the real one: which they are is another matter.
fn draw(config: &Config, cohort: &Cohort) -> Split {
    let mut patients: BTreeMap<String, Option<f64>> = BTreeMap::new();
    for case in cohort.cases.iter().filter(|case| is_complete(config, case)) {
        let volume = patients.entry(case.patient.clone()).or_default();
        // The volumes are not read here. Any will do that is a lesion's.
        *volume = volume.or((!case.masks.is_empty()).then_some(1.0));
    }
    Split::draw(&patients.into_iter().collect::<Vec<_>>(), config.seed)
}

/// True for a patient who may be trained on: with all modalities, and not of a test folder.
fn is_complete(config: &Config, case: &Case) -> bool {
    !case.held_out && case.has_all(&config.data.modality)
}

/// Slices of each case that can be read, by its first image's header.
fn count_slices(
    config: &Config,
    cases: &[&Case],
    control: &Control,
    progress: &mut dyn FnMut(&str),
    notes: &mut Vec<String>,
) -> Result<BTreeMap<String, usize>> {
    progress(&format!("reading the headers of {} patients", cases.len()));
    let every = if config.stage == Stage::Pretrain { config.training.every_slice } else { 1 };
    let mut found = BTreeMap::new();
    for case in cases {
        control.pass()?;
        let Some(image) = config.data.modality.first().and_then(|modality| case.images.get(modality)) else { continue };
        match Volume::read_grid(&image.path).and_then(|grid| prepared_shape(&grid, &config.preprocess)) {
            Ok([_, _, slices]) => {
                found.insert(case.id.clone(), slices.div_ceil(every));
            }
            Err(error) => notes.push(format!("{} is not counted: {error}.", case.id)),
        }
    }
    Ok(found)
}
