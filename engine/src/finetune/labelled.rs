//! The labelled slices of a fine-tuning run, and the patients to validate on.

use std::path::Path;

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::Samples;
use crate::augment::Augmentation;
use crate::cohort::{Case, ExcludedScan};
use crate::config::Config;
use crate::event::Control;
use crate::preprocess::{LabelUse, PreparedCase, SliceStore, Targets, prepare_case};
use crate::pretrain::Slices;
use crate::probe::{Pin, TrainingSlice};
use crate::seed::stream;
use crate::trainer::{Dataset, Position};
use crate::{Error, Result};

/// Number of slices without lesion per epoch, of the `negative` available ones, for `lesion` slices with lesion.
pub(crate) fn negatives_of_epoch(config: &Config, lesion: usize, negative: usize) -> usize {
    let share = config.labels.negative_slices;
    negative.min((lesion as f64 * share / (1.0 - share)).round() as usize)
}

/// The labelled slices, and the patients to validate on.
pub struct LabelledData {
    pub(super) store: SliceStore,
    /// Slices with lesion.
    pub(super) lesion: Vec<usize>,
    negative: Vec<usize>,
    /// Number of slices without lesion per epoch.
    negatives: usize,
    /// Seed of the order of an epoch.
    seed: u64,
    pub(super) validation: Vec<(String, PreparedCase)>,
    /// Slices on which batch norm is re-estimated before the first step.
    pub(super) unmasked: Option<Slices>,
    left_out: Vec<ExcludedScan>,
}

impl LabelledData {
    /// Preprocesses the labelled `cases` and the `validation` cases. Cases that cannot be read or preprocessed are left out.
    /// `control` may pause or cancel between cases.
    ///
    /// # Errors
    /// If no labelled case can be read or preprocessed, or none has a lesion; cancellation.
    pub fn load(
        config: &Config,
        cases: &[Case],
        validation: &[Case],
        spill_folder: &Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let options = config.store_options(LabelUse::Required, spill_folder);
        let store = SliceStore::build(cases, &options, Some(control), progress)?;
        let (lesion, negative): (Vec<usize>, Vec<usize>) =
            (0..store.len()).partition(|&i| store.meta(i).lesion_pixels > 0);
        if lesion.is_empty() {
            let names: Vec<&str> = cases.iter().map(|c| c.id.as_str()).collect();
            return Err(Error::config("labels", names.join(", "), no_lesion(config, &store)));
        }
        let mut left_out = store.left_out().to_vec();
        let mut prepared = Vec::with_capacity(validation.len());
        for case in validation {
            control.pass()?;
            let d = &config.data;
            match prepare_case(case, &d.modality, true, &d.targets, &config.preprocess, config.seed) {
                Ok(volume) => prepared.push((case.id.clone(), volume)),
                Err(error) => left_out.push(ExcludedScan::new(&case.id, error.to_string())),
            }
        }
        let negatives = negatives_of_epoch(config, lesion.len(), negative.len());
        let (seed, validation, unmasked) = (config.seed, prepared, None);
        Ok(Self { store, lesion, negative, negatives, seed, validation, unmasked, left_out })
    }

    /// Preprocesses `cases`, those of all training patients, for `labels.norm_batches`. Their masks are not read.
    ///
    /// # Errors
    /// Errors of [`Slices::load`].
    pub fn load_unmasked(
        &mut self,
        config: &Config,
        cases: &[Case],
        spill_folder: &Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        let mut without_masks = config.clone();
        without_masks.method.report_recall = false;
        self.unmasked = Some(Slices::load(&without_masks, cases, spill_folder, control, progress)?);
        Ok(())
    }

    /// Cases that could not be preprocessed, with the reason.
    pub fn left_out(&self) -> &[ExcludedScan] {
        &self.left_out
    }

    /// Number of slices with lesion.
    pub fn lesion_slices(&self) -> usize {
        self.lesion.len()
    }

    /// Augmented slices with their targets. The augmentation depends on the epoch, the step and the position in the batch.
    pub(super) fn samples(&self, config: &Config, slices: &[usize], position: Position) -> Result<Samples> {
        let size = config.preprocess.size;
        let sample = |(index, &slice): (usize, &usize)| {
            let key = [position.epoch as u64, position.step as u64, index as u64];
            let mut draw = stream(config.seed, "finetune-augment", &key);
            let max_shift = config.training.shift_px as i32;
            let shift = [0; 2].map(|_| if max_shift > 0 { draw.random_range(-max_shift..=max_shift) } else { 0 });
            let window = self.store.window(slice, shift)?;
            let target = window.target.unwrap_or_else(|| vec![0; size * size]);
            let case = &self.store.cases()[self.store.meta(slice).case as usize];
            let fill: Vec<f32> = case.plan.channels.iter().map(|c| c.fill).collect();
            let augmentation = Augmentation::draw(&config.labels, &mut draw);
            Ok(augmentation.apply(&window.pixels, &target, &window.tissue, &fill, size))
        };
        let samples = slices.par_iter().enumerate().map(sample).collect::<Result<_>>()?;
        Ok(Samples::new(samples, self.store.channels(), config.data.targets.count(), size))
    }

    /// A pinned slice among those of the labelled patients.
    pub(super) fn find(&self, pin: &Pin) -> Result<TrainingSlice> {
        let store = &self.store;
        let case = store.cases().iter().position(|case| case.id == pin.case);
        let is_pinned = |i: &usize| Some(store.meta(*i).case as usize) == case && store.meta(*i).k == pin.slice;
        let stored = case.zip((0..store.len()).find(is_pinned)).map(|(case, slice)| {
            store.window(slice, [0, 0]).map(|window| (window, store.cases()[case].plan.crop_affine()))
        });
        Ok(TrainingSlice { trained: case.is_some(), stored: stored.transpose()? })
    }
}

/// Why no slice of `store` has a lesion, and what the user can change.
fn no_lesion(config: &Config, store: &SliceStore) -> String {
    let what = match config.data.targets {
        Targets::Binary => "lesion".to_owned(),
        Targets::Regions => {
            format!("label of WT, TC or ET, by the label map {},", config.preprocess.label_map)
        }
    };
    let size = config.preprocess.size;
    let voxels = store.cases().first().map_or_else(String::new, |case| {
        let [r, a, s] = case.plan.spacing_mm();
        let side = |mm: f64| mm * size as f64;
        format!(", {:.0} x {:.0} mm with voxels of {r:.2} x {a:.2} x {s:.2} mm", side(r), side(a))
    });
    format!(
        "none of these patients has a {what} in the training crop ({size} x {size} pixels{voxels}). Label more patients, \
         choose another seed, or set smaller voxels (preprocess.spacing) or a larger crop (preprocess.size)"
    )
}

impl Dataset for LabelledData {
    fn digest(&self) -> String {
        self.store.digest()
    }

    /// All slices with lesion, and the configured fraction of slices without.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut draw = stream(self.seed, "finetune-order", &[epoch as u64]);
        let mut negative = self.negative.clone();
        negative.shuffle(&mut draw);
        negative.truncate(self.negatives);
        let mut order = [self.lesion.as_slice(), &negative].concat();
        order.shuffle(&mut draw);
        order
    }

    fn name(&self, slice: usize) -> String {
        let meta = self.store.meta(slice);
        format!("{}:{}", self.store.cases()[meta.case as usize].id, meta.k)
    }
}
