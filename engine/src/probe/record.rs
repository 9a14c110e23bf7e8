//! Records of a pinned slice: one per run ([`ProbeSlice`]) and one per epoch ([`ProbeRecord`]).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Pin;
use super::picture::{PictureKind, average, quantise, range_of, side_within, values};
use super::tensors::{self, TensorReader, TensorWriter};
use crate::cluster::Clustering;
use crate::event::Stage;
use crate::patch::PatchGrid;
use crate::{Error, Result};

/// Maximum size of a record's file in bytes.
pub const MAX_BYTES: usize = 32 << 10;
/// Maximum number of patches of a slice; a finer grid leaves no space for a picture and is not recorded.
pub const MAX_PATCHES: usize = 40 * 40;
/// Bytes of a record besides patches and picture: the safetensors header with the longest patient name.
const HEADER: usize = 2048;
/// Maximum side of a slice's picture in pixels.
const MAX_SIDE: usize = 512;

/// Side of the largest picture that fits beside the data of `patches` patches.
fn side_for(size: usize, patches: usize) -> usize {
    // Per patch: two labels, case and coin of one byte each, an order of two bytes, and three losses of four bytes each.
    side_within(size, MAX_BYTES.saturating_sub(HEADER + 18 * patches))
}

/// A pinned slice as input of the network. All fields `[i][j]`, i along R, j along A; patches in the order of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSlice {
    /// The slice.
    pub pin: Pin,
    /// The stage that recorded it.
    pub stage: Stage,
    /// True if the run trains on it; in fine-tuning, if its patient is labelled.
    pub trained: bool,
    /// Pixels along the crop's side, S.
    pub size: usize,
    /// Patches per side; 0 in fine-tuning, which has no patches, so that all lists of patches are empty.
    pub grid: usize,
    /// Maps crop voxel (i, j, k), k the prepared slice, to world mm: a 4x4 matrix, row by row. The shift of the
    /// training crop is in it.
    pub world_from_crop: [f64; 16],
    /// Pixels along the stored picture's side; below `size` only for crops above 512 pixels.
    pub side: usize,
    /// Values of bytes 0 and 255 of the picture.
    pub range: [f32; 2],
    /// The first channel, `[side][side]`.
    pub pixels: Vec<u8>,
    /// Labels of the clustering, 0 or 1.
    pub kmeans: Vec<u8>,
    /// Foreground probability of each patch, 0 to 255.
    pub probability: Vec<u8>,
    /// Patches without tissue.
    pub air: Vec<bool>,
    /// Lesion patches, if the patient has a mask and it is read.
    pub lesion: Option<Vec<bool>>,
    /// Lesion pixels `[size][size]`, if the patient has a mask and it is read.
    pub lesion_pixels: Option<Vec<bool>>,
}

impl ProbeSlice {
    /// A slice without patches. `pixels` is `[C][S][S]`, `target` `[S][S]`.
    pub(crate) fn new(
        pin: Pin,
        stage: Stage,
        trained: bool,
        size: usize,
        pixels: &[f32],
        target: Option<&[u8]>,
    ) -> Self {
        let side = side_within(size, MAX_SIDE * MAX_SIDE);
        let picture = average(&pixels[..size * size], size, side);
        let range = range_of(&picture);
        Self {
            pin,
            stage,
            trained,
            size,
            grid: 0,
            world_from_crop: [0.0; 16],
            side,
            pixels: quantise(&picture, range),
            range,
            kmeans: Vec::new(),
            probability: Vec::new(),
            air: Vec::new(),
            lesion: None,
            lesion_pixels: target.map(|target| target.iter().map(|bits| *bits != 0).collect()),
        }
    }

    /// Sets the transform.
    #[must_use]
    pub(crate) fn at(self, world_from_crop: [f64; 16]) -> Self {
        Self { world_from_crop, ..self }
    }

    /// Adds the patches and their clustering.
    #[must_use]
    pub(crate) fn with_patches(self, grid: &PatchGrid, clustering: &Clustering, lesion: Option<&[bool]>) -> Self {
        Self {
            grid: grid.grid(),
            kmeans: clustering.labels.clone(),
            probability: quantise(&clustering.probability, [0.0, 1.0]),
            air: clustering.air.clone(),
            lesion: lesion.map(<[bool]>::to_vec),
            ..self
        }
    }

    /// Adds patches that are not clustered; all are background.
    #[must_use]
    pub(crate) fn with_unclustered(self, grid: &PatchGrid, air: Vec<bool>, lesion: Option<Vec<bool>>) -> Self {
        let n = grid.count();
        Self { grid: grid.grid(), kmeans: vec![0; n], probability: vec![0; n], air, lesion, ..self }
    }

    /// The picture's values, `[side][side]`.
    pub fn values(&self) -> Vec<f32> {
        values(&self.pixels, self.range)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut to = TensorWriter::default();
        to.picture("pixels", self.side, &self.pixels);
        to.u8("kmeans", &self.kmeans);
        to.u8("probability", &self.probability);
        to.flags("air", &self.air);
        if let Some(lesion) = &self.lesion {
            to.flags("lesion", lesion);
        }
        if let Some(pixels) = &self.lesion_pixels {
            to.flags("lesion_pixels", pixels);
        }
        to.seal(&SliceHead {
            pin: self.pin.clone(),
            stage: self.stage,
            trained: self.trained,
            size: self.size,
            grid: self.grid,
            world_from_crop: self.world_from_crop,
            side: self.side,
            range: self.range,
        })
    }

    /// Reads a file; `path` is for the error.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let (head, from): (SliceHead, _) = tensors::open(bytes, path)?;
        let slice = Self {
            pin: head.pin,
            stage: head.stage,
            trained: head.trained,
            size: head.size,
            grid: head.grid,
            world_from_crop: head.world_from_crop,
            side: head.side,
            range: head.range,
            pixels: from.u8("pixels")?,
            kmeans: from.small("kmeans", 1)?,
            probability: from.u8("probability")?,
            air: from.flags("air")?,
            lesion: from.optional("lesion", TensorReader::flags)?,
            lesion_pixels: from.optional("lesion_pixels", TensorReader::flags)?,
        };
        if slice.is_consistent() { Ok(slice) } else { Err(mismatched(path)) }
    }

    fn is_consistent(&self) -> bool {
        if self.size > 1 << 16 || self.side > self.size || self.grid > self.size {
            return false;
        }
        let patches = self.grid * self.grid;
        self.pixels.len() == self.side * self.side
            && [self.kmeans.len(), self.probability.len(), self.air.len()] == [patches; 3]
            && self.lesion.as_ref().is_none_or(|lesion| lesion.len() == patches)
            && self.lesion_pixels.as_ref().is_none_or(|pixels| pixels.len() == self.size * self.size)
    }
}

/// One epoch of a pinned slice. Patches in the order of the grid; in fine-tuning all lists except the picture are empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// The slice.
    pub pin: Pin,
    /// The stage that recorded it.
    pub stage: Stage,
    /// Epoch, from 1.
    pub epoch: usize,
    /// True if the run trains on it. Then all fields below come from the training step, otherwise from an evaluation at the
    /// end of the epoch.
    pub trained: bool,
    /// Masking ratio (pre-training).
    pub sigma: Option<f64>,
    /// Labels in force during the epoch, 0 or 1.
    pub before: Vec<u8>,
    /// Labels after the epoch's update; the same if it had none.
    pub after: Vec<u8>,
    /// The case of each patch in the update, 0 to 4 as [`crate::pretrain::amlp::relabel::Case`]; empty if there was none.
    pub cases: Vec<u8>,
    /// Result of the coin for patches of cases 3 and 4; empty without an update.
    pub coins: Vec<Option<u8>>,
    /// True for masked patches; none if the slice was in no batch of this epoch, which may happen in a shortened epoch.
    pub masked: Vec<bool>,
    /// The masked patches in the order in which they were masked.
    pub order: Vec<u16>,
    /// L_i of the masked patches.
    pub losses: Vec<Option<f32>>,
    /// Relative losses (Eq. 6) of the masked patches.
    pub relative: Vec<Option<f32>>,
    /// Mean relative loss over the period, on which the update is based; empty without an update.
    pub mean_relative: Vec<Option<f32>>,
    /// Pixels along the picture's side: the crop's, or the largest divisor of it whose picture fits into the file. 0 if
    /// there is no picture.
    pub side: usize,
    /// Values of bytes 0 and 255 of the picture.
    pub range: [f32; 2],
    /// The network's output for the slice, `[side][side]`: in pre-training the first channel, of type `kind`; in fine-tuning
    /// the probability of the first region. Block means if `side` is below the crop's size.
    pub picture: Vec<u8>,
    /// What the picture shows.
    #[serde(default)]
    pub kind: PictureKind,
}

impl ProbeRecord {
    /// An empty record of an epoch.
    pub(crate) fn empty(pin: Pin, stage: Stage, epoch: usize, trained: bool) -> Self {
        Self {
            pin,
            stage,
            epoch,
            trained,
            sigma: None,
            before: Vec::new(),
            after: Vec::new(),
            cases: Vec::new(),
            coins: Vec::new(),
            masked: Vec::new(),
            order: Vec::new(),
            losses: Vec::new(),
            relative: Vec::new(),
            mean_relative: Vec::new(),
            side: 0,
            range: [0.0; 2],
            picture: Vec::new(),
            kind: PictureKind::default(),
        }
    }

    /// Sets the masked patches, for a method without patch labels.
    pub(crate) fn mask(&mut self, masked: Vec<bool>) {
        let n = masked.len();
        (self.before, self.after) = (vec![0; n], vec![0; n]);
        (self.losses, self.relative) = (vec![None; n], vec![None; n]);
        self.order = (0..n).filter(|&patch| masked[patch]).map(|patch| patch as u16).collect();
        self.masked = masked;
    }

    /// Sets a picture of `size` x `size` pixels, averaged if it is too large.
    pub(crate) fn draw(&mut self, pixels: &[f32], size: usize, range: Option<[f32; 2]>) {
        self.side = side_for(size, self.before.len());
        let pixels = average(pixels, size, self.side);
        self.range = range.unwrap_or_else(|| range_of(&pixels));
        self.picture = quantise(&pixels, self.range);
    }

    /// The picture's values, `[side][side]`.
    pub fn values(&self) -> Vec<f32> {
        values(&self.picture, self.range)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut to = TensorWriter::default();
        to.u8("before", &self.before);
        to.u8("after", &self.after);
        to.u8("cases", &self.cases);
        to.u8("coins", &self.coins.iter().map(|coin| coin.unwrap_or(NO_COIN)).collect::<Vec<_>>());
        to.u16("order", &self.order);
        to.f32("losses", self.in_order(&self.losses));
        to.f32("relative", self.in_order(&self.relative));
        to.f32("mean_relative", self.mean_relative.iter().map(|mean| mean.unwrap_or(f32::NAN)));
        to.picture("picture", self.side, &self.picture);
        to.seal(&RecordHead {
            pin: self.pin.clone(),
            stage: self.stage,
            epoch: self.epoch,
            trained: self.trained,
            sigma: self.sigma,
            side: self.side,
            range: self.range,
            kind: self.kind,
        })
    }

    /// The values of the masked patches, in the order in which they were masked.
    fn in_order(&self, values: &[Option<f32>]) -> impl Iterator<Item = f32> {
        self.order.iter().map(|patch| values.get(usize::from(*patch)).copied().flatten().unwrap_or(f32::NAN))
    }

    /// Reads a file; `path` is for the error.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let (head, from): (RecordHead, _) = tensors::open(bytes, path)?;
        let some = |value: f32| if value.is_nan() { None } else { Some(value) };
        let (before, order) = (from.small("before", 1)?, from.u16("order")?);
        let (losses, relative) = (from.f32("losses")?, from.f32("relative")?);
        let patches = before.len();
        let is_masked = |patch: &u16| usize::from(*patch) < patches;
        if !order.iter().all(is_masked) || [losses.len(), relative.len()] != [order.len(); 2] {
            return Err(mismatched(path));
        }
        let mut record = Self {
            before,
            after: from.small("after", 1)?,
            cases: from.small("cases", 4)?,
            coins: from.small("coins", NO_COIN)?.iter().map(|coin| (*coin < NO_COIN).then_some(*coin)).collect(),
            mean_relative: from.f32("mean_relative")?.into_iter().map(some).collect(),
            masked: vec![false; patches],
            losses: vec![None; patches],
            relative: vec![None; patches],
            order,
            sigma: head.sigma,
            side: head.side,
            range: head.range,
            picture: from.u8("picture")?,
            kind: head.kind,
            ..Self::empty(head.pin, head.stage, head.epoch, head.trained)
        };
        for (at, patch) in record.order.iter().map(|patch| usize::from(*patch)).enumerate() {
            record.masked[patch] = true;
            record.losses[patch] = some(losses[at]);
            record.relative[patch] = some(relative[at]);
        }
        if record.is_consistent() { Ok(record) } else { Err(mismatched(path)) }
    }

    /// True if the lists have lengths that fit each other.
    pub(crate) fn is_consistent(&self) -> bool {
        let (patches, update) = (self.before.len(), self.cases.len());
        [self.after.len(), self.masked.len(), self.losses.len(), self.relative.len()] == [patches; 4]
            && (update == patches || update == 0)
            && [self.coins.len(), self.mean_relative.len()] == [update; 2]
            && self.order.iter().all(|patch| usize::from(*patch) < patches)
            && self.side.checked_mul(self.side) == Some(self.picture.len())
    }
}

/// Marks a patch without a coin in the array of coins.
const NO_COIN: u8 = 2;

/// The scalar fields of a [`ProbeSlice`].
#[derive(Serialize, Deserialize)]
struct SliceHead {
    pin: Pin,
    stage: Stage,
    trained: bool,
    size: usize,
    grid: usize,
    world_from_crop: [f64; 16],
    side: usize,
    range: [f32; 2],
}

/// The scalar fields of a [`ProbeRecord`].
#[derive(Serialize, Deserialize)]
struct RecordHead {
    pin: Pin,
    stage: Stage,
    epoch: usize,
    trained: bool,
    sigma: Option<f64>,
    side: usize,
    range: [f32; 2],
    /// Absent in records of earlier versions, which contain outputs only.
    #[serde(default, skip_serializing_if = "is_output")]
    kind: PictureKind,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_output(kind: &PictureKind) -> bool {
    *kind == PictureKind::Output
}

fn mismatched(path: &Path) -> Error {
    Error::file(path, "is not a probe: the lengths of its arrays do not match")
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
