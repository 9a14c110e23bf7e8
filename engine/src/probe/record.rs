//! What is kept of a pinned slice: once a run ([`ProbeSlice`]) and once an epoch ([`ProbeRecord`]).

use std::path::Path;

use super::Pin;
use super::codec::{self, ENVELOPE, Kind, Reader, Writer};
use super::picture::{average, quantise, range_of, side_within, values};
use crate::cluster::Clustering;
use crate::event::Stage;
use crate::patch::PatchGrid;
use crate::{Error, Result};

/// Bytes of a record's file at most.
pub const MOST_BYTES: usize = 32 << 10;
/// Patches of a slice at most; a finer grid leaves no room for a picture, and is not recorded.
pub const MOST_PATCHES: usize = 45 * 45;
/// Bytes of a record beside patches and picture: the head, the longest name, numbers and lengths.
const REST: usize = ENVELOPE + 336;
/// Side of a slice's own picture at most, in pixels.
const MOST_SIDE: usize = 512;
/// Bytes of a slice's fields at most.
const MOST_SLICE: usize = 4 << 20;

/// Side of an epoch's picture: what fits beside the worst case of `patches` patches.
fn side_for(size: usize, patches: usize) -> usize {
    // Eight flags, half a byte for the case, two for the order, three numbers of four.
    let patches = 31 * patches.div_ceil(2) + 8;
    side_within(size, MOST_BYTES.saturating_sub(REST + patches))
}

/// A pinned slice as the network sees it. All fields `[i][j]`, i along R, j along A; patches in the order of the grid.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSlice {
    /// Which slice.
    pub pin: Pin,
    /// Which loop recorded it.
    pub stage: Stage,
    /// True if the loop trains on it; in fine-tuning, if its patient is labelled.
    pub trained: bool,
    /// Pixels along the crop's side, S.
    pub size: usize,
    /// Patches along a side; 0 in fine-tuning, which knows no patches: then every list of patches is empty.
    pub grid: usize,
    /// Maps crop voxel (i, j, k), k the prepared slice, to world mm: a 4x4 matrix, row by row. The shift of the
    /// training crop is in it.
    pub world_from_crop: [f64; 16],
    /// Pixels along the stored picture's side; below `size` only for crops above 512 pixels.
    pub side: usize,
    /// What bytes 0 and 255 of the picture stand for.
    pub range: [f32; 2],
    /// The first channel, `[side][side]`.
    pub pixels: Vec<u8>,
    /// Labels of the clustering, 0 or 1.
    pub kmeans: Vec<u8>,
    /// Foreground probability of each patch, 0 to 255.
    pub probability: Vec<u8>,
    /// Patches without tissue.
    pub air: Vec<bool>,
    /// Lesion patches, where a label is known and looked at.
    pub lesion: Option<Vec<bool>>,
    /// Lesion pixels `[size][size]`, where a label is known and looked at.
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
        let side = side_within(size, MOST_SIDE * MOST_SIDE);
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

    /// The same, where it lies.
    #[must_use]
    pub(crate) fn at(self, world_from_crop: [f64; 16]) -> Self {
        Self { world_from_crop, ..self }
    }

    /// The same, cut into patches.
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

    /// The values that the picture's bytes stand for, `[side][side]`.
    pub fn values(&self) -> Vec<f32> {
        values(&self.pixels, self.range)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        write_head(&mut to, &self.pin, self.stage, self.trained);
        to.u32(self.size as u32);
        to.u32(self.grid as u32);
        self.world_from_crop.iter().for_each(|v| to.f64(*v));
        to.u32(self.side as u32);
        self.range.iter().for_each(|v| to.f32(*v));
        to.bytes(&self.pixels);
        to.flags(self.kmeans.iter().map(|l| *l == 1));
        to.bytes(&self.probability);
        to.flags(self.air.iter().copied());
        for list in [&self.lesion, &self.lesion_pixels] {
            to.u8(u8::from(list.is_some()));
            to.flags(list.iter().flatten().copied());
        }
        codec::seal(Kind::Slice, &to.into_bytes())
    }

    /// What a file holds; `path` is for the error.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let fields = codec::open(Kind::Slice, bytes, MOST_SLICE, path)?;
        Self::decode(&mut Reader::new(&fields)).filter(Self::is_sound).ok_or_else(|| unsound(path))
    }

    fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let (pin, stage, trained) = read_head(from)?;
        let (size, grid) = (from.u32()? as usize, from.u32()? as usize);
        let mut world_from_crop = [0.0; 16];
        for value in &mut world_from_crop {
            *value = from.f64()?;
        }
        let slice = Self {
            pin,
            stage,
            trained,
            size,
            grid,
            world_from_crop,
            side: from.u32()? as usize,
            range: [from.f32()?, from.f32()?],
            pixels: from.bytes()?,
            kmeans: from.labels()?,
            probability: from.bytes()?,
            air: from.flags()?,
            lesion: from.flag()?.then_some(from.flags()?),
            lesion_pixels: from.flag()?.then_some(from.flags()?),
        };
        from.is_at_end().then_some(slice)
    }

    fn is_sound(&self) -> bool {
        let patches = self.grid * self.grid;
        self.size <= 1 << 16
            && self.side <= self.size
            && self.grid <= self.size
            && self.pixels.len() == self.side * self.side
            && [self.kmeans.len(), self.probability.len(), self.air.len()] == [patches; 3]
            && self.lesion.as_ref().is_none_or(|lesion| lesion.len() == patches)
            && self.lesion_pixels.as_ref().is_none_or(|pixels| pixels.len() == self.size * self.size)
    }
}

/// One epoch of a pinned slice. Patches in the order of the grid; in fine-tuning, which knows none, every list but the
/// picture is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeRecord {
    /// Which slice.
    pub pin: Pin,
    /// Which loop recorded it.
    pub stage: Stage,
    /// From 1.
    pub epoch: usize,
    /// True if the loop trains on it: then all that follows is the training step's own. Otherwise it comes from a look at
    /// the slice at the end of the epoch.
    pub trained: bool,
    /// Masking ratio (pre-training).
    pub sigma: Option<f64>,
    /// Labels in force during the epoch, 0 or 1.
    pub before: Vec<u8>,
    /// Labels after the epoch's update; the same if it had none.
    pub after: Vec<u8>,
    /// The case of each patch in the update, 0 to 4 as [`crate::pretrain::amlp::relabel::Case`]; empty if there was none.
    pub cases: Vec<u8>,
    /// What the coin showed, for the patches of cases 3 and 4; empty without an update.
    pub coins: Vec<Option<u8>>,
    /// Which patches were masked; none if the slice was in no batch of this epoch (one that was cut short).
    pub masked: Vec<bool>,
    /// The masked patches in the order in which they were masked.
    pub order: Vec<u16>,
    /// L_i of the masked patches.
    pub losses: Vec<Option<f32>>,
    /// Relative losses (Eq. 6) of the masked patches.
    pub relative: Vec<Option<f32>>,
    /// Mean relative loss over the period, which the update judged by; empty without an update.
    pub mean_relative: Vec<Option<f32>>,
    /// Pixels along the picture's side: the crop's, or the largest divisor of it whose picture fits into the file. 0 if
    /// there is no picture.
    pub side: usize,
    /// What bytes 0 and 255 of the picture stand for.
    pub range: [f32; 2],
    /// What the network made of the slice, `[side][side]`: in pre-training the reconstruction of the whole first channel,
    /// in fine-tuning the probability of the first region. Where `side` is below the crop's size, means of blocks.
    pub picture: Vec<u8>,
}

impl ProbeRecord {
    /// A record of an epoch with nothing in it yet.
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
        }
    }

    /// Puts a picture of `size` x `size` pixels in, averaged where it is too large.
    pub(crate) fn draw(&mut self, pixels: &[f32], size: usize, range: Option<[f32; 2]>) {
        self.side = side_for(size, self.before.len());
        let pixels = average(pixels, size, self.side);
        self.range = range.unwrap_or_else(|| range_of(&pixels));
        self.picture = quantise(&pixels, self.range);
    }

    /// The values that the picture's bytes stand for, `[side][side]`.
    pub fn values(&self) -> Vec<f32> {
        values(&self.picture, self.range)
    }

    /// The bytes of its file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        self.encode(&mut to);
        codec::seal(Kind::Record, &to.into_bytes())
    }

    /// What a file holds; `path` is for the error.
    pub(super) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let fields = codec::open(Kind::Record, bytes, MOST_BYTES, path)?;
        let mut from = Reader::new(&fields);
        Self::decode(&mut from).filter(|_| from.is_at_end()).ok_or_else(|| unsound(path))
    }

    /// Puts its fields.
    pub(crate) fn encode(&self, to: &mut Writer) {
        write_head(to, &self.pin, self.stage, self.trained);
        to.u32(self.epoch as u32);
        to.u8(u8::from(self.sigma.is_some()));
        to.f64(self.sigma.unwrap_or(0.0));
        for labels in [&self.before, &self.after] {
            to.flags(labels.iter().map(|l| *l == 1));
        }
        to.nibbles(&self.cases);
        to.flags(self.coins.iter().map(Option::is_some));
        to.flags(self.coins.iter().map(|coin| *coin == Some(1)));
        to.flags(self.masked.iter().copied());
        to.u32(self.order.len() as u32);
        self.order.iter().flat_map(|patch| patch.to_le_bytes()).for_each(|byte| to.u8(byte));
        for list in [&self.losses, &self.relative, &self.mean_relative] {
            to.options(list);
        }
        to.u32(self.side as u32);
        self.range.iter().for_each(|v| to.f32(*v));
        to.bytes(&self.picture);
    }

    /// Takes its fields, if they are sound.
    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let (pin, stage, trained) = read_head(from)?;
        let epoch = from.u32()? as usize;
        let (has_sigma, sigma) = (from.flag()?, from.f64()?);
        let (before, after, cases) = (from.labels()?, from.labels()?, from.nibbles()?);
        let (thrown, heads) = (from.flags()?, from.labels()?);
        let masked = from.flags()?;
        let patches = before.len();
        let order: Vec<u16> =
            (0..from.u32()?).map(|_| Some(u16::from_le_bytes([from.u8()?, from.u8()?]))).collect::<Option<_>>()?;
        let record = Self {
            pin,
            stage,
            epoch,
            trained,
            sigma: has_sigma.then_some(sigma),
            before,
            after,
            cases,
            coins: thrown.iter().zip(&heads).map(|(thrown, shows)| thrown.then_some(*shows)).collect(),
            masked,
            order,
            losses: from.options()?,
            relative: from.options()?,
            mean_relative: from.options()?,
            side: from.u32()? as usize,
            range: [from.f32()?, from.f32()?],
            picture: from.bytes()?,
        };
        let fits = |length: usize| length == patches;
        let update = |length: usize| length == patches || length == 0;
        let sound = fits(record.after.len())
            && update(record.cases.len())
            && [heads.len(), thrown.len(), record.mean_relative.len()] == [record.cases.len(); 3]
            && record.cases.iter().all(|case| *case <= 4)
            && [record.masked.len(), record.losses.len(), record.relative.len()] == [patches; 3]
            && record.order.iter().all(|patch| usize::from(*patch) < patches)
            && record.side.checked_mul(record.side) == Some(record.picture.len());
        sound.then_some(record)
    }
}

fn write_head(to: &mut Writer, pin: &Pin, stage: Stage, trained: bool) {
    to.bytes(pin.case.as_bytes());
    to.u32(pin.slice);
    to.u8(u8::from(stage == Stage::Finetune));
    to.u8(u8::from(trained));
}

fn read_head(from: &mut Reader<'_>) -> Option<(Pin, Stage, bool)> {
    let pin = Pin::new(from.text()?, from.u32()?);
    let stage = if from.flag()? { Stage::Finetune } else { Stage::Pretrain };
    Some((pin, stage, from.flag()?))
}

fn unsound(path: &Path) -> Error {
    Error::file(path, "is no probe: its fields do not fit each other")
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
