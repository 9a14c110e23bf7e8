//! The slices of the training patients.

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::cohort::{Case, ExcludedScan};
use crate::config::Config;
use crate::event::Control;
use crate::preprocess::{CasePlan, LabelUse, SliceData, SliceMeta, SliceStore};
use crate::probe::Pin;
use crate::seed::stream;
use crate::trainer::Dataset;
use crate::{Error, Result};

/// The training slices, numbered from 0, each with the shift of its crop.
pub struct Slices {
    store: SliceStore,
    /// Seed of the order of an epoch.
    seed: u64,
    /// Index of each training slice in the store.
    index: Vec<usize>,
    /// Largest displacement of a crop in pixels.
    max_shift: i32,
    /// Displacement of each crop in pixels, drawn once, because patches must show the same tissue in every epoch.
    shifts: Vec<[i32; 2]>,
}

impl Slices {
    /// Preprocesses the scans of `cases` on all cores. A scan that cannot be read or preprocessed is left out. `control` may
    /// pause or cancel between scans.
    ///
    /// # Errors
    /// If no scan can be prepared, or there is no slice to train on.
    pub fn load(
        config: &Config,
        cases: &[Case],
        spill_folder: &std::path::Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let labels = if config.method.report_recall { LabelUse::Optional } else { LabelUse::None };
        let options = config.store_options(labels, spill_folder);
        let store = SliceStore::build(cases, &options, Some(control), progress)?;
        if store.is_empty() {
            return Err(Error::config("cohort", config.data.cohort.display(), "no slice with tissue to train on"));
        }
        let slices = Self::new(config, store);
        if slices.is_empty() {
            let why = "no slice is left to train on. Lower it or training.every_slice";
            return Err(Error::config("training.min_tissue", config.training.min_tissue, why));
        }
        Ok(slices)
    }

    /// The slices of a store that `training.every_slice` and `training.min_tissue` select.
    pub fn new(config: &Config, store: SliceStore) -> Self {
        let every = config.training.every_slice as u32;
        let min_tissue = config.training.min_tissue * (config.preprocess.size * config.preprocess.size) as f64;
        let is_used = |meta: &SliceMeta| meta.k.is_multiple_of(every) && f64::from(meta.tissue_pixels) >= min_tissue;
        let index: Vec<usize> = (0..store.len()).filter(|&i| is_used(store.meta(i))).collect();
        let max_shift = config.training.shift_px as i32;
        let shift = |i: &usize| drawn_shift(max_shift, config.seed, "pretrain-shift", &[*i as u64]);
        let shifts = index.iter().map(shift).collect();
        Self { store, seed: config.seed, index, max_shift, shifts }
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there are no slices.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Scans that could not be prepared, with the reason.
    pub fn left_out(&self) -> &[ExcludedScan] {
        self.store.left_out()
    }

    /// Scans that are trained on without their mask, with the reason.
    pub fn masks_left_out(&self) -> &[ExcludedScan] {
        self.store.masks_left_out()
    }

    /// Number of scans.
    pub fn patients(&self) -> usize {
        self.store.cases().len()
    }

    /// Channels of a slice.
    pub fn channels(&self) -> usize {
        self.store.channels()
    }

    /// Metadata of a slice.
    pub fn meta(&self, slice: usize) -> &SliceMeta {
        self.store.meta(self.index[slice])
    }

    /// A slice's index in the store, which seeds its random draws.
    pub(super) fn stream_key(&self, slice: usize) -> u64 {
        self.index[slice] as u64
    }

    /// Displacement of a slice's crop in pixels.
    pub fn shift(&self, slice: usize) -> [i32; 2] {
        self.shifts[slice]
    }

    /// A slice with a shift of its crop that is drawn for this epoch.
    ///
    /// # Errors
    /// A spilled slice that cannot be read.
    pub(super) fn window_in(&self, slice: usize, epoch: usize) -> Result<SliceData> {
        let key = [self.stream_key(slice), epoch as u64];
        self.store.window(self.index[slice], drawn_shift(self.max_shift, self.seed, "pretrain-epoch-shift", &key))
    }

    /// A training slice with target and tissue.
    ///
    /// # Errors
    /// A spilled slice that cannot be read.
    pub fn window(&self, slice: usize) -> Result<SliceData> {
        self.store.window(self.index[slice], self.shifts[slice])
    }

    /// A training slice, `[C][S][S]`.
    ///
    /// # Errors
    /// A spilled slice that cannot be read.
    pub fn pixels(&self, slice: usize) -> Result<Vec<f32>> {
        Ok(self.window(slice)?.pixels)
    }

    /// The index of a pinned slice, if it is trained on.
    pub fn find(&self, pin: &Pin) -> Option<usize> {
        let case = self.store.cases().iter().position(|case| case.id == pin.case)?;
        (0..self.len()).find(|&i| self.meta(i).case as usize == case && self.meta(i).k == pin.slice)
    }

    /// The recorded preprocessing of a slice's scan.
    pub(super) fn plan(&self, slice: usize) -> &CasePlan {
        &self.store.cases()[self.meta(slice).case as usize].plan
    }

    /// The patient's slice with the largest lesion area, or with the most tissue if there are no labels.
    pub fn fullest_slice(&self, patient: usize) -> Option<usize> {
        let of_patient = (0..self.len()).filter(|&i| self.meta(i).case as usize == patient);
        of_patient.max_by_key(|&i| (self.meta(i).lesion_pixels, self.meta(i).tissue_pixels))
    }
}

fn drawn_shift(max_shift: i32, seed: u64, name: &str, key: &[u64]) -> [i32; 2] {
    let mut draw = stream(seed, name, key);
    [0; 2].map(|_| if max_shift > 0 { draw.random_range(-max_shift..=max_shift) } else { 0 })
}

impl Dataset for Slices {
    fn digest(&self) -> String {
        self.store.digest()
    }

    /// All slices, shuffled.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut stream(self.seed, "pretrain-order", &[epoch as u64]));
        order
    }

    fn name(&self, slice: usize) -> String {
        let meta = self.meta(slice);
        format!("{}:{}", self.store.cases()[meta.case as usize].id, meta.k)
    }
}
