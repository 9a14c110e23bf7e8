//! Continuing a fine-tuning run with corrected masks: its settings, and the Dice of the held-out patients before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::evaluation::{PatientRow, evaluate_case, evaluate_run, held_out};
use super::stored_config;
use crate::cohort::corrections::{Corrections, ModelId};
use crate::cohort::label_budget::LabelShare;
use crate::cohort::split::Split;
use crate::config::Config;
use crate::device::Compute;
use crate::disk::atomic::sha256;
use crate::event::{Control, Stage};
use crate::finetune::{BeforeAfter, PatientChange};
use crate::metrics::Measures;
use crate::predict::{Choice, Segmenter};
use crate::run::RunFolder;
use crate::run::checkpoint;
use crate::trainer::WEIGHTS;
use crate::{Error, ErrorKind, Result};

/// Factor applied to the learning rate of a retrained run, whose network has already been trained.
pub const LEARNING_RATE_FACTOR: f64 = 0.2;
/// Factor applied to the number of steps and epochs of a retrained run.
pub const LENGTH_FACTOR: f64 = 1.0 / 3.0;

/// The settings that continue the fine-tuning `run` with corrected masks: network, data, preprocessing, seed and split are the
/// run's. It starts from the run's last network, or from its best by validation, with a fifth of the learning rate and a third
/// of the length. The labelled patients are the run's and the corrected ones that are held out in no part of its split.
///
/// `cohort` is the current location of the run's cohort, if it was moved. `corrections` is the folder of corrected masks;
/// without one, that in the cohort's folder.
///
/// # Errors
/// A pre-training run; a run without cohort; no corrected mask, or none of a patient that may be trained on.
pub fn retrain_config(run: &Path, cohort: Option<&Path>, corrections: Option<&Path>, best: bool) -> Result<Config> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(Error::io("find", path));
    let run = absolute(run)?;
    let mut config = stored_config(&run)?;
    if config.stage != Stage::Finetune {
        return Err(Error::config("run", run.display(), "is a pre-training run. Fine-tune it first"));
    }
    if let Some(cohort) = cohort {
        config.data.cohort = absolute(cohort)?;
    }
    if config.data.cohort.as_os_str().is_empty() {
        return Err(Error::file(&run, "names no cohort. Give the folder of the patients to train on"));
    }
    let folder = corrections.map_or_else(|| Ok(Corrections::folder_of(&config.data.cohort)), absolute)?;
    let corrected_cases = Corrections::read(&folder)?;
    if corrected_cases.masks.is_empty() {
        return Err(Error::file(&folder, "has no corrected mask. Add corrected cases to training first"));
    }
    let own: Split = RunFolder::open(&run)?.read_split()?;
    let labelled = own.labelled(&config.labels.budget()?)?;
    let split = corrected_cases.extend(&config.data.discover()?, own);
    let corrected: BTreeSet<String> = corrected_cases.training_patients(&split).cloned().collect();
    if corrected.is_empty() {
        let names: Vec<&str> = corrected_cases.masks.iter().map(|mask| mask.case.as_str()).collect();
        let why = format!(
            "{} holds them out or its cohort does not have them, so none is trained on. Correct cases of other patients",
            run.display()
        );
        return Err(Error::config("corrected masks", names.join(", "), why));
    }
    let patients: BTreeSet<String> = labelled.into_iter().chain(corrected).collect();
    if let Some(id) = patients.iter().find(|id| id.contains(',')) {
        return Err(Error::config("labels", id, "patients are separated by commas, so a name must not contain one"));
    }
    let labels = &mut config.labels;
    labels.labels = LabelShare::Patients(patients.into_iter().collect()).to_string();
    (labels.from, labels.from_best, labels.corrections) = (run, best, Some(folder));
    (labels.encoder_only, labels.norm_batches) = (false, 0);
    let training = &mut config.training;
    training.lr *= LEARNING_RATE_FACTOR;
    for length in [&mut training.epochs, &mut training.min_steps, &mut training.steps] {
        *length = (*length as f64 * LENGTH_FACTOR).ceil() as usize;
    }
    Ok(config)
}

/// Identifies a network of a run, as recorded with corrected masks.
///
/// # Errors
/// A folder that is not a run, or has no such network.
pub fn model_id(run: &Path, choice: Choice) -> Result<ModelId> {
    let folder = RunFolder::open(run)?;
    let weights = checkpoint::load_part(&folder, choice.slots(), WEIGHTS)?.content;
    Ok(ModelId { run: name_of(run), weights_sha256: sha256(&weights) })
}

/// True if a run with these settings continues a fine-tuning run. If the run it starts from is missing, it is taken for a
/// pre-training run, unless the settings name corrected masks.
///
/// # Errors
/// A run with corrected masks whose start cannot be read.
pub fn is_continuation(config: &Config) -> Result<bool> {
    let from = &config.labels.from;
    if config.stage != Stage::Finetune || from.as_os_str().is_empty() {
        return Ok(false);
    }
    match stored_config(from) {
        Ok(source) => Ok(source.stage == Stage::Finetune),
        Err(error) if config.labels.corrections.is_some() => Err(error),
        Err(_) => Ok(false),
    }
}

/// Measures the Dice of the held-out patients of a finished retraining before and after: by the network that it started from,
/// and by its own network (see [`evaluate_run`]). The result is stored in the run's report. `None` if the run does not
/// continue a fine-tuning run. `progress` gets the number of finished segmentations, the total, and the next case.
///
/// # Errors
/// The run that it started from is gone; no held-out patient can be read; [`ErrorKind::Cancelled`].
pub fn measure_change(
    run: &Path,
    compute: &Compute,
    control: &Control,
    progress: &mut dyn FnMut(usize, usize, &str),
) -> Result<Option<BeforeAfter>> {
    let config = stored_config(run)?;
    if !is_continuation(&config)? {
        return Ok(None);
    }
    let choice = if config.labels.from_best { Choice::Best } else { Choice::Last };
    let (part, selection) = held_out(&RunFolder::open(run)?, &config.data)?;
    let segmenter = Segmenter::load(&config.labels.from, choice, compute)?;
    let count = selection.cases.len();
    let mut before = Vec::with_capacity(count);
    for (done, case) in selection.cases.iter().enumerate() {
        control.pass()?;
        progress(done, 2 * count, &case.id);
        match evaluate_case(&segmenter, case, PathBuf::new(), None, control) {
            Ok(row) => before.push(row),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            // The evaluation below reports the same problem.
            Err(_) => {}
        }
    }
    let after =
        evaluate_run(run, choice, compute, control, &mut |done, _, case| progress(count + done, 2 * count, case))?;
    let of = |rows: &[PatientRow]| {
        mean_dice(rows.iter().filter_map(|row| Some((row.patient.as_str(), row.measures.as_ref()?))))
    };
    let change = compare(name_of(&config.labels.from), part, &of(&before), &of(&after.patients));
    let folder = RunFolder::resume(run)?;
    let mut report: serde_json::Value = folder.read_report()?;
    if let Some(fields) = report.as_object_mut() {
        let value = serde_json::to_value(&change).map_err(|error| Error::file(run, error.to_string()))?;
        fields.insert("before_after".to_owned(), value);
    }
    folder.write_report(&report)?;
    Ok(Some(change))
}

/// Mean Dice of each patient over the scans.
fn mean_dice<'a>(rows: impl Iterator<Item = (&'a str, &'a Measures)>) -> BTreeMap<String, f64> {
    let mut by_patient: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (patient, measures) in rows {
        by_patient.entry(patient.to_owned()).or_default().push(measures.dsc);
    }
    by_patient.into_iter().map(|(patient, dice)| (patient, dice.iter().sum::<f64>() / dice.len() as f64)).collect()
}

fn compare(from: String, part: &str, before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BeforeAfter {
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |id: &String| PatientChange {
        patient: id.clone(),
        before: before.get(id).copied(),
        after: after.get(id).copied(),
    };
    let patients: Vec<PatientChange> = ids.into_iter().map(change).collect();
    let both: Vec<(f64, f64)> = patients.iter().filter_map(|row| Some((row.before?, row.after?))).collect();
    let mean =
        |of: fn(&(f64, f64)) -> f64| (!both.is_empty()).then(|| both.iter().map(of).sum::<f64>() / both.len() as f64);
    BeforeAfter { from, part: part.to_owned(), before: mean(|pair| pair.0), after: mean(|pair| pair.1), patients }
}

/// The last part of a path.
fn name_of(run: &Path) -> String {
    let run = std::path::absolute(run).unwrap_or_else(|_| run.to_path_buf());
    run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_include_only_patients_that_both_networks_segmented() {
        let of = |rows: &[(&str, f64)]| rows.iter().map(|(id, dice)| ((*id).to_owned(), *dice)).collect();
        let change = compare("fine".into(), "test", &of(&[("A", 0.5), ("B", 0.3)]), &of(&[("A", 0.7), ("C", 0.9)]));
        let rows: Vec<_> = change.patients.iter().map(|row| (row.patient.as_str(), row.before, row.after)).collect();
        assert_eq!(rows, [("A", Some(0.5), Some(0.7)), ("B", Some(0.3), None), ("C", None, Some(0.9))]);
        assert_eq!((change.before, change.after), (Some(0.5), Some(0.7)));
        assert_eq!(compare("fine".into(), "test", &of(&[]), &of(&[("A", 1.0)])).after, None);
    }
}
