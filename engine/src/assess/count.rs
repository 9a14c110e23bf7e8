//! Counts the slices of a run.

use std::path::Path;

use super::is_complete;
use crate::cohort::label_budget::LabelShare;
use crate::cohort::split::Split;
use crate::cohort::{Case, Cohort};
use crate::config::Config;
use crate::event::Control;
use crate::finetune::negatives_of_epoch;
use crate::preprocess::{LabelUse, SliceStore, geometry};
use crate::volume::Volume;
use crate::words::plural;
use crate::{Error, Result};

/// Maximum number of labelled scans that are preprocessed to count their lesion slices. Others are extrapolated.
const MAX_PREPARED: usize = 8;

/// Input of the slice count.
pub(super) struct Count<'a> {
    pub config: &'a Config,
    pub cohort: &'a Cohort,
    pub split: &'a Split,
    /// The split is not the run's, but has the same number of patients.
    pub is_drawn: bool,
    pub control: &'a Control,
}

/// The slices of a run.
pub(super) struct Slices {
    /// Slices per epoch.
    pub of_epoch: usize,
    /// Slices that are kept, in memory or in a file.
    pub kept: usize,
    /// Training patients whose masks are read.
    pub labelled: usize,
}

impl Count<'_> {
    /// Slices of the training patients, from the headers of their images.
    pub fn pretraining(&self, progress: &mut dyn FnMut(&str), notes: &mut Vec<String>) -> Result<Slices> {
        let (config, train) = (self.config, &self.split.train);
        // A new split would depend on the lesion volumes, which are not read here, so all patients are counted.
        let counted: Vec<&Case> = if self.is_drawn {
            self.cohort.cases.iter().filter(|case| is_complete(config, case)).collect()
        } else {
            train.iter().flat_map(|id| self.cohort.scans_of(id)).collect()
        };
        progress(&format!("reading the headers of {}", plural(counted.len(), "patient", "patients")));
        let scans = train.iter().flat_map(|id| self.cohort.scans_of(id)).count();
        let (mut total, mut counted_scans) = (0, 0);
        for case in counted {
            self.control.pass()?;
            match slices_by_header(config, case) {
                Ok(slices) => (total, counted_scans) = (total + slices, counted_scans + 1),
                Err(error) => notes.push(not_counted(case, &error)),
            }
        }
        if counted_scans != scans {
            notes.push(
                "The training patients are drawn at the start. Slices are estimated from the cohort's mean.".into(),
            );
        }
        notes.push("The number of slices is an upper bound: those without tissue in the crop are left out.".into());
        let of_epoch = (total * scans).div_ceil(counted_scans.max(1));
        let has_label = |id: &&String| self.cohort.scans_of(id).any(|case| !case.masks.is_empty());
        let labelled = if config.method.report_recall { train.iter().filter(has_label).count() } else { 0 };
        Ok(Slices { of_epoch, kept: of_epoch, labelled })
    }

    /// Slices of the labelled patients with lesion, and the share without, from their prepared scans and masks.
    pub fn finetuning(&self, progress: &mut dyn FnMut(&str), notes: &mut Vec<String>) -> Result<Slices> {
        let config = self.config;
        let budget = config.labels.budget()?;
        let ids = match &budget.share {
            // The drawn split may not have these patients in its training part.
            LabelShare::Patients(ids) if self.is_drawn => ids.clone(),
            _ => self.split.labelled(&budget)?,
        };
        let labelled = ids.len();
        let cases: Vec<&Case> =
            ids.iter().flat_map(|id| self.cohort.scans_of(id)).filter(|case| !case.masks.is_empty()).collect();
        let scans = cases.len();
        let cases = &cases[..scans.min(MAX_PREPARED)];
        progress(&format!("counting the lesion slices of {}", plural(cases.len(), "scan", "scans")));
        let (mut lesion, mut negative, mut prepared) = (0, 0, 0);
        for case in cases {
            match lesion_slices(config, case, self.control) {
                Ok((with, without)) => {
                    (lesion, negative, prepared) = (lesion + with, negative + without, prepared + 1);
                }
                Err(error) => {
                    self.control.check()?;
                    notes.push(not_counted(case, &error));
                }
            }
        }
        if self.is_drawn {
            notes.push("The labelled patients are drawn at the start. Slices are counted for the same number of other patients.".into());
        } else if prepared != scans {
            notes.push(format!(
                "Slices are estimated from {prepared} of {} of the labelled patients.",
                plural(scans, "scan", "scans")
            ));
        }
        let scaled = |slices: usize| (slices * scans).div_ceil(prepared.max(1));
        let (lesion, negative) = (scaled(lesion), scaled(negative));
        let of_epoch = lesion + negatives_of_epoch(config, lesion, negative);
        Ok(Slices { of_epoch, kept: lesion + negative, labelled })
    }
}

/// Number of slices of a case that are trained on, from the header of its first image.
fn slices_by_header(config: &Config, case: &Case) -> Result<usize> {
    let modality = config.data.modality.first().map_or("", String::as_str);
    let image =
        case.images.get(modality).ok_or_else(|| Error::config("modality", modality, "this patient lacks it"))?;
    let grid = Volume::read_grid(&image.path)?;
    let [_, _, slices] = geometry(&grid, &config.preprocess)?.prepared_shape;
    Ok(slices.div_ceil(config.training.every_slice))
}

/// Numbers of slices of a case with and without lesion in the training crop.
fn lesion_slices(config: &Config, case: &Case, control: &Control) -> Result<(usize, usize)> {
    let mut options = config.store_options(LabelUse::Required, Path::new(""));
    // One patient at a time stays in memory.
    options.memory_budget = u64::MAX;
    let store = SliceStore::build(std::slice::from_ref(case), &options, Some(control), &mut |_, _| {})?;
    let lesion = (0..store.len()).filter(|&slice| store.meta(slice).lesion_pixels > 0).count();
    Ok((lesion, store.len() - lesion))
}

fn not_counted(case: &Case, error: &crate::Error) -> String {
    format!("{} is not counted: {error}.", case.id)
}
