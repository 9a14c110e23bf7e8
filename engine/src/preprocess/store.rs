//! The training slices of a cohort, within a memory budget.
//!
//! Cases are prepared in parallel, a few at a time, and reduced to their training slices. These stay in memory if they
//! fit the budget, else in one temporary file. Slices are ordered by case and position for any number of threads.

mod cache;
mod digest;
mod frames;
mod spill;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use self::digest::DigestMatch;
use self::frames::{CaseFrames, load_or_prepare_frames};
use self::spill::{FrameStorage, Rows, TISSUE};
use super::config::PreprocessConfig;
use super::plan::CasePlan;
use super::targets::Targets;
use crate::cohort::{Case, ExcludedScan};
use crate::event::Control;
use crate::parallel;
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Warnings already given, by case, since the runs of a demo or a study preprocess the same cases.
static WARNED: Mutex<BTreeSet<[String; 2]>> = Mutex::new(BTreeSet::new());

/// Selects the slices of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SliceFilter {
    /// All slices.
    All,
    /// Slices with tissue in the central crop: all-black slices are dropped (paper, section 4.1).
    #[default]
    NonZero,
}

/// Whether a store reads the labels of its cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelUse {
    /// Never.
    None,
    /// If they can be read. Pre-training uses them for its log only.
    Optional,
    /// Always: a case whose label cannot be read is left out.
    Required,
}

/// Settings of a [`SliceStore`].
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Modalities of the channels, in order.
    pub modalities: Vec<String>,
    /// Whether labels are read.
    pub labels: LabelUse,
    /// Segmentation targets derived from the labels.
    pub targets: Targets,
    /// Preprocessing; `config.size` is the side of the crop.
    pub config: PreprocessConfig,
    /// Largest shift of a window from the central crop, in pixels.
    pub margin: usize,
    /// Selects the slices to keep.
    pub keep: SliceFilter,
    /// Bytes of frames to keep in memory.
    pub memory_budget: u64,
    /// Folder of the temporary file for frames beyond the budget.
    pub spill_folder: PathBuf,
    /// Folder where prepared cases are cached between runs, if any.
    pub cache: Option<PathBuf>,
    /// Seed of the background noise.
    pub seed: u64,
}

/// Metadata of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceMeta {
    /// Index of its case in [`SliceStore::cases`].
    pub case: u32,
    /// Index of the prepared slice, along S.
    pub k: u32,
    /// Pixels of the central crop in any region of the target; 0 without a label.
    pub lesion_pixels: u32,
    /// Pixels of the central crop with tissue.
    pub tissue_pixels: u32,
    /// False for an all-black slice.
    pub nonzero: bool,
}

/// Metadata of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseMeta {
    /// The case's id.
    pub id: String,
    /// True if its label was read.
    pub labelled: bool,
    /// Recorded preprocessing.
    pub plan: CasePlan,
    /// Index of its first slice in the store.
    pub first: usize,
    /// Number of its slices in the store.
    pub slices: usize,
    /// Number of these with lesion.
    pub lesion_slices: usize,
    /// Mean lesion pixels over the slices with lesion; 0 if there are none.
    pub mean_lesion_pixels: f64,
}

/// A window of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceData {
    /// `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// Bit r of a byte marks region r, `[S][S]`; `None` if the case has no label.
    pub target: Option<Vec<u8>>,
    /// True for tissue, `[S][S]`.
    pub tissue: Vec<bool>,
}

/// The training slices of a cohort.
pub struct SliceStore {
    storage: FrameStorage,
    metas: Vec<SliceMeta>,
    cases: Vec<CaseMeta>,
    left_out: Vec<ExcludedScan>,
    masks_left_out: Vec<ExcludedScan>,
    channels: usize,
    size: usize,
    margin: usize,
}

impl SliceStore {
    /// Prepares `cases`. `progress(done, total)` is called after each batch of cases; `control` may pause or cancel
    /// between cases. A case that cannot be read or prepared is left out (see [`SliceStore::left_out`]).
    ///
    /// # Errors
    /// If no case can be prepared; the message names the first one's file. Also if the temporary file cannot be written.
    pub fn build(
        cases: &[Case],
        options: &StoreOptions,
        control: Option<&Control>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        options.config.check()?;
        if options.modalities.is_empty() {
            return Err(Error::config("modality", "", "at least one is needed"));
        }
        let mut store = Self {
            storage: FrameStorage::Memory(Vec::new()),
            metas: Vec::new(),
            cases: Vec::new(),
            left_out: Vec::new(),
            masks_left_out: Vec::new(),
            channels: options.modalities.len(),
            size: options.config.size,
            margin: options.margin,
        };
        // Bounds memory: each case being prepared is in memory as a whole.
        let in_flight = rayon::current_num_threads().clamp(1, 4);
        let mut first_error = None;
        for (done, batch) in cases.chunks(in_flight).enumerate() {
            let frames = |case: &Case| {
                // Inside the batch too, so that pausing does not wait for the whole batch.
                control.map_or(Ok(()), Control::pass)?;
                load_or_prepare_frames(case, options)
            };
            let batch_frames = parallel::map(batch.len(), |at| frames(&batch[at]));
            for (case, frames) in batch.iter().zip(batch_frames) {
                match frames {
                    Ok(frames) => store.add(frames, options)?,
                    Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
                    Err(error) => {
                        store.left_out.push(ExcludedScan::new(&case.id, error.to_string()));
                        first_error.get_or_insert(error);
                    }
                }
            }
            progress((done * in_flight + batch.len()).min(cases.len()), cases.len());
        }
        if let Some(error) = first_error.filter(|_| store.cases.is_empty()) {
            return Err(error);
        }
        let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in store.new_warnings(&mut warned) {
            tracing::warn!("{warning}");
        }
        drop(warned);
        let (slices, mib) = (store.len(), store.bytes() >> 20);
        let place = if store.on_disk() { "on disk" } else { "in memory" };
        tracing::info!(slices, mib, cases = cases.len(), "slice store {place}");
        Ok(store)
    }

    fn add(&mut self, mut case: CaseFrames, options: &StoreOptions) -> Result<()> {
        case.meta.first = self.metas.len();
        let number = self.cases.len() as u32;
        self.masks_left_out.extend(case.mask_left_out.map(|why| ExcludedScan::new(&case.meta.id, why)));
        self.metas.extend(case.metas.iter().map(|meta| SliceMeta { case: number, ..*meta }));
        self.cases.push(case.meta);
        if self.bytes() > options.memory_budget {
            self.storage.spill(&options.spill_folder)?;
        }
        case.frames.into_iter().try_for_each(|frame| self.storage.push(frame))
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// True if no slice was kept.
    pub fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    /// Metadata of slice `index`, which must be below [`SliceStore::len`].
    pub fn meta(&self, index: usize) -> &SliceMeta {
        &self.metas[index]
    }

    /// Metadata of all slices.
    pub fn metas(&self) -> &[SliceMeta] {
        &self.metas
    }

    /// Metadata of all cases.
    pub fn cases(&self) -> &[CaseMeta] {
        &self.cases
    }

    /// Cases that could not be prepared, with the reason.
    pub fn left_out(&self) -> &[ExcludedScan] {
        &self.left_out
    }

    /// Cases in the store whose label could not be read, with the reason.
    pub fn masks_left_out(&self) -> &[ExcludedScan] {
        &self.masks_left_out
    }

    /// Preprocessing warnings that are not in `warned` yet, each once with its cases. Adds them to `warned`.
    fn new_warnings(&self, warned: &mut BTreeSet<[String; 2]>) -> Vec<String> {
        let mut cases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in &self.cases {
            // Two channels of a case may have the same warning.
            for warning in &case.plan.warnings {
                if warned.insert([case.id.clone(), warning.clone()]) {
                    cases.entry(warning).or_default().push(&case.id);
                }
            }
        }
        let all = self.cases.len();
        let sentence = |(warning, ids): (&str, Vec<&str>)| match ids.len() {
            1 => format!("{}: {warning}", ids[0]),
            many => format!("{many} of {all} cases: {warning} ({})", ids.join(", ")),
        };
        cases.into_iter().map(sentence).collect()
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Side of a window in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Largest shift of a window, in pixels.
    pub fn margin(&self) -> usize {
        self.margin
    }

    /// Size of all frames in bytes.
    pub fn bytes(&self) -> u64 {
        let side = (self.size + 2 * self.margin) as u64;
        self.metas.len() as u64 * side * side * (4 * self.channels as u64 + 1)
    }

    /// True if the frames exceed the memory budget.
    pub fn on_disk(&self) -> bool {
        matches!(self.storage, FrameStorage::Disk(_))
    }

    /// The window of slice `index`, shifted by `shift` voxels along R and A from the central crop.
    ///
    /// # Errors
    /// If `index` or `shift` is out of range, or the temporary file cannot be read.
    pub fn window(&self, index: usize, shift: [i32; 2]) -> Result<SliceData> {
        let Some(meta) = self.metas.get(index).filter(|_| index < self.storage.len()) else {
            return Err(Error::config(
                "slice",
                index,
                format!("the store has {}", plural(self.len(), "slice", "slices")),
            ));
        };
        if shift.iter().any(|s| s.unsigned_abs() as usize > self.margin) {
            return Err(Error::config(
                "shift",
                format!("{shift:?}"),
                format!("must be at most {} pixels", self.margin),
            ));
        }
        let [first, left] = shift.map(|s| (self.margin as i64 + i64::from(s)) as usize);
        let (size, width) = (self.size, self.size + 2 * self.margin);
        let rows = self.storage.rows(index, self.channels, Rows { first, count: size, width })?;
        let pixels = rows.pixels.chunks(width).flat_map(|row| &row[left..left + size]).copied().collect();
        let flags = || rows.flags.chunks(width).flat_map(|row| &row[left..left + size]);
        let labelled = self.cases.get(meta.case as usize).is_some_and(|case| case.labelled);
        let target = labelled.then(|| flags().map(|flag| flag & !TISSUE).collect());
        Ok(SliceData { pixels, target, tissue: flags().map(|flag| flag & TISSUE != 0).collect() })
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
