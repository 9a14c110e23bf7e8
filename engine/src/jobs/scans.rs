//! Selects the scans that a job trains on, and records why others are left out.

use crate::cohort::split::Split;
use crate::cohort::{Case, Cohort, ExcludedScan, Selection, summary};
use crate::config::Config;
use crate::preprocess::read_case;
use crate::{Error, ErrorKind, Result};

/// The scans of the training patients. Scans of patients in no part of the split are left out: they lack a modality, or the
/// user's split omits them.
pub(super) fn training_scans(cohort: &Cohort, split: &Split, modalities: &[String]) -> Selection {
    let mut selection = cohort.select(&split.train, modalities);
    let held_out: Vec<&String> = split.val.iter().chain(&split.test).collect();
    for case in cohort.cases.iter().filter(|case| !case.held_out && !case.has_all(modalities)) {
        if !held_out.iter().any(|id| **id == case.patient || **id == case.id) {
            let missing: Vec<&str> =
                modalities.iter().filter(|m| !case.images.contains_key(*m)).map(String::as_str).collect();
            selection.leave_out(&case.id, format!("missing modality {}", missing.join(", ")));
        }
    }
    cohort.left_out.iter().for_each(|left| selection.leave_out(&left.case, &left.why));
    selection
}

/// The scans of the labelled patients. Training patients with an unreadable mask are never drawn, and are reported.
pub(super) fn labelled_scans(cohort: &Cohort, split: &Split, config: &Config) -> Result<Selection> {
    let modalities = &config.data.modality;
    let refused = refused_scans(cohort, split, config);
    let ids = split.labelled(&config.labels.budget()?).map_err(|error| with_reasons(error, &refused))?;
    let mut selection = with_mask(cohort.select(&ids, modalities));
    for left in refused {
        if !selection.cases.iter().any(|used| used.id == left.case) {
            selection.leave_out(&left.case, left.why);
        }
    }
    for left in training_scans(cohort, split, modalities).left_out {
        selection.leave_out(&left.case, left.why);
    }
    Ok(selection)
}

/// The scans of training patients of whom no mask could be read, with the reason.
fn refused_scans(cohort: &Cohort, split: &Split, config: &Config) -> Vec<ExcludedScan> {
    let modalities = &config.data.modality;
    let unknown = split.train.iter().filter(|id| split.lesion_ml.get(*id).copied().flatten().is_none());
    let scans = unknown.flat_map(|id| cohort.scans_of(id));
    let scans = scans.filter(|case| !case.masks.is_empty() && case.has_all(modalities));
    let reason = |case: &Case| match read_case(case, modalities, true, &config.preprocess.masks()) {
        Ok(_) => "its mask was not known when the split was drawn".to_owned(),
        Err(error) => error.to_string(),
    };
    scans.map(|case| ExcludedScan::new(&case.id, reason(case))).collect()
}

/// An error of the draw of labelled patients, with the scans whose masks could not be read.
fn with_reasons(error: Error, refused: &[ExcludedScan]) -> Error {
    match error.kind() {
        ErrorKind::Config { field, value, why } if !refused.is_empty() => {
            Error::config(field.clone(), value, format!("{why} ({})", summary(0, refused, &[])))
        }
        _ => error,
    }
}

/// The scans that have a mask.
pub(super) fn with_mask(mut selection: Selection) -> Selection {
    let (with, without) = selection.cases.into_iter().partition(|case| !case.masks.is_empty());
    selection.cases = with;
    let without: Vec<Case> = without;
    without.iter().for_each(|case| selection.leave_out(&case.id, "missing mask"));
    selection
}
