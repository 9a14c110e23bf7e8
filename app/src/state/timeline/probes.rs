//! Records of pinned slices, read from disk: a small cache, because a run may have recorded thousands of epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::event::Stage;
use engine::probe::{Pin, ProbeRecord, ProbeSlice};
use glam::DAffine3;

use crate::gpu::Texture;

/// Maximum number of cached epochs.
const CAPACITY: usize = 96;

/// A pinned slice of an open run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SliceKey {
    /// The run's number.
    pub run: u64,
    /// Pre-training or fine-tuning.
    pub stage: Stage,
    /// The slice.
    pub pin: Pin,
}

/// One epoch of a pinned slice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// Run, stage and pin of the slice.
    pub slice: SliceKey,
    /// From 1.
    pub epoch: usize,
}

/// A pinned slice, ready to be drawn.
#[derive(Clone, Debug)]
pub struct PinnedSlice {
    /// The recorded slice.
    pub slice: ProbeSlice,
    /// Its position.
    pub world_from_crop: DAffine3,
    /// The scan's orientation is known. Without it there are no letters.
    pub oriented: bool,
    /// Values drawn black and white.
    pub window: [f32; 2],
    /// The slice as a texture.
    pub picture: Option<Texture>,
    /// The reference on the picture's grid, if any.
    pub lesion: Option<Texture>,
}

/// The last relabelling of a slice at an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The epoch in which it happened, from 1.
    pub epoch: usize,
    /// The case of each patch, 0 to 4.
    pub cases: Vec<u8>,
    /// Random label of each patch in cases 3 and 4.
    pub coins: Vec<Option<u8>>,
    /// Whether the label changed.
    pub flipped: Vec<bool>,
}

impl Update {
    /// The update in a record; `None` if its epoch had none.
    pub fn of(record: &ProbeRecord) -> Option<Self> {
        (!record.cases.is_empty()).then(|| Self {
            epoch: record.epoch,
            cases: record.cases.clone(),
            coins: record.coins.clone(),
            flipped: record.before.iter().zip(&record.after).map(|(before, after)| before != after).collect(),
        })
    }
}

/// Relative loss at the end of the colour map. The mean is 1.
pub const MAX_RELATIVE: f32 = 2.0;

/// Patches as textures.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Labels during the epoch.
    pub before: Texture,
    /// Labels after it, with the last update's flips.
    pub after: Texture,
    /// Relative losses.
    pub relative: Texture,
}

/// One epoch of a pinned slice, ready to be drawn.
#[derive(Clone, Debug)]
pub struct EpochRecord {
    /// The recorded epoch.
    pub record: ProbeRecord,
    /// The last update up to this epoch.
    pub update: Option<Update>,
    /// Reconstruction or probability as a texture.
    pub picture: Option<Texture>,
    /// The patches (pre-training).
    pub cells: Option<Cells>,
    /// A probability of one half or more, as labels on the slice's grid (fine-tuning).
    pub edge: Option<Texture>,
}

/// A result, or why it cannot be read.
pub type ReadResult<T> = Result<Arc<T>, String>;

/// The pinned slices and epochs read so far.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    slices: BTreeMap<SliceKey, ReadResult<PinnedSlice>>,
    records: BTreeMap<RecordKey, (u64, ReadResult<EpochRecord>)>,
    clock: u64,
}

impl Probes {
    /// A slice, if it was read.
    pub fn slice(&self, key: &SliceKey) -> Option<&ReadResult<PinnedSlice>> {
        self.slices.get(key)
    }

    /// One epoch of it, if it was read.
    pub fn record(&self, key: &RecordKey) -> Option<&ReadResult<EpochRecord>> {
        self.records.get(key).map(|(_, seen)| seen)
    }

    /// The nearest epoch that was read, to show until the requested one is read.
    pub fn nearest(&self, key: &RecordKey) -> Option<&Arc<EpochRecord>> {
        let of_slice = self.records.iter().filter(|(other, _)| other.slice == key.slice);
        let read = of_slice.filter_map(|(other, (_, seen))| Some((other.epoch, seen.as_ref().ok()?)));
        read.min_by_key(|(epoch, _)| epoch.abs_diff(key.epoch)).map(|(_, seen)| seen)
    }

    /// Whether an epoch was read, or could not be read.
    pub fn knows(&self, key: &RecordKey) -> bool {
        self.records.contains_key(key)
    }

    /// Caches a slice.
    pub fn keep_slice(&mut self, key: SliceKey, seen: ReadResult<PinnedSlice>) {
        self.slices.insert(key, seen);
    }

    /// Caches an epoch, dropping the oldest that are not `needed`.
    pub fn keep(&mut self, key: RecordKey, seen: ReadResult<EpochRecord>, needed: &BTreeSet<RecordKey>) {
        self.clock += 1;
        self.records.insert(key, (self.clock, seen));
        while self.records.len() > CAPACITY {
            let spare = self.records.iter().filter(|(key, _)| !needed.contains(key));
            let Some(oldest) = spare.min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone()) else { return };
            self.records.remove(&oldest);
        }
    }

    /// Drops the records of a closed run.
    pub fn forget(&mut self, run: u64) {
        self.slices.retain(|key, _| key.run != run);
        self.records.retain(|key, _| key.slice.run != run);
    }

    /// Drops failures, so that reads are retried.
    pub fn forget_failures(&mut self) {
        self.slices.retain(|_, seen| seen.is_ok());
        self.records.retain(|_, (_, seen)| seen.is_ok());
    }

    /// Number of cached epochs.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no epoch is cached.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
