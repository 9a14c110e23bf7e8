//! Applies the method to a single slice: preprocessing, patches, clustering, masking and the reconstruction by a
//! pre-trained network. `amlp mask` and the window only display the results.
//!
//! | file | content |
//! |---|---|
//! | `masking.rs` | settings, clustering, masked patches, uncertainty |
//! | `report.rs` | the results of a slice as JSON and as CSV |
//! | `reconstruct.rs` | reconstruction of a masked slice by a pre-trained network |
//!
//! A scan is prepared once ([`InspectedCase`]). Extracting a slice then takes milliseconds, and a change of settings at most
//! one clustering.

mod masking;
mod reconstruct;
mod report;

pub use masking::{MaskSettings, Masking, Sigma};
pub use reconstruct::{Reconstruction, Reconstructor};
pub use report::{Crop, MaskReport};

use std::borrow::Borrow;

use crate::patch::PatchGrid;
use crate::preprocess::{CasePlan, Kind, KindChoice, PreparedCase, PreprocessConfig, Targets, prepare};
use crate::volume::{LabelVolume, Volume};
use crate::{Error, Result};

/// A scan prepared as for training.
#[derive(Clone, Debug)]
pub struct InspectedCase {
    prepared: PreparedCase,
    size: usize,
}

/// The training crop of one slice of an [`InspectedCase`]. Pixel fields are row-major, row i along R, column j along A. S is
/// the side of the crop, N the number of patches, C the number of channels.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectedSlice {
    /// Its patch grid.
    pub grid: PatchGrid,
    /// Slice index in the file, from 0, along its axis closest to S-I.
    pub file_slice: usize,
    /// Slice index after preprocessing, from 0 at the feet.
    pub prepared_slice: usize,
    /// Number of channels, C.
    pub channels: usize,
    /// The network's input before masking, `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// True for patches without tissue, `[N]`.
    pub air: Vec<bool>,
    /// True for lesion pixels, `[S][S]`; `None` without a reference.
    pub lesion_pixels: Option<Vec<bool>>,
    /// True for lesion patches ([`PatchGrid::lesion_patches`]), `[N]`; `None` without a reference.
    pub lesion: Option<Vec<bool>>,
    /// True for pixels inside the body (CT) or nonzero in any channel, `[S][S]`.
    pub tissue: Vec<bool>,
    /// 4x4 matrix, row by row, from crop voxel (i, j, k) to world mm (RAS+); k is the prepared slice.
    pub world_from_crop: [f64; 16],
    /// False if the file records no orientation.
    pub oriented: bool,
    /// Position of the crop.
    pub crop: Crop,
}

impl InspectedCase {
    /// Prepares a scan. `images` are its channels, `kinds` their intensity rules. Labels above 0 are lesion. `seed` only
    /// affects background noise.
    ///
    /// # Errors
    /// As [`prepare`]: without images, for invalid settings, or beyond the memory limit.
    pub fn prepare<V: Borrow<Volume>>(
        images: &[V],
        kinds: &[Kind],
        label: Option<&LabelVolume>,
        config: &PreprocessConfig,
        seed: u64,
    ) -> Result<Self> {
        let prepared = prepare(images, kinds, label, &Targets::Binary, config, seed)?;
        Ok(Self { prepared, size: config.size })
    }

    /// Permutes the channels: new channel n is old channel `order[n]`.
    #[must_use]
    pub fn reordered(self, order: &[usize]) -> Self {
        Self { prepared: self.prepared.reordered(order), ..self }
    }

    /// The recorded preprocessing.
    pub fn plan(&self) -> &CasePlan {
        &self.prepared.plan
    }

    /// Warnings of the preprocessing, one sentence each. Those of the files are in [`Volume::warnings`].
    pub fn warnings(&self) -> &[String] {
        &self.prepared.plan.warnings
    }

    /// Number of slices in the file along its axis closest to S-I.
    pub fn file_slices(&self) -> usize {
        self.prepared.plan.source_slices()
    }

    /// The training crop of the prepared slice nearest to slice `file_slice` of the file (from 0), with `grid` x `grid`
    /// patches.
    ///
    /// # Errors
    /// If the file has no such slice or `grid` does not divide the side of the crop.
    pub fn slice(&self, file_slice: usize, grid: usize) -> Result<InspectedSlice> {
        let (plan, grid) = (self.plan(), PatchGrid::new(self.size, grid)?);
        let slices = self.file_slices();
        if file_slice >= slices {
            let why = format!("the file has slices 0 to {}", slices.saturating_sub(1));
            return Err(Error::config("slice", file_slice, why));
        }
        Ok(self.cut(file_slice, grid, Crop::of(plan, self.size)))
    }

    /// The pixels of `slice`, a slice of the same scan, in all channels of this case. Its crop is used, because further
    /// channels may have moved this case's training crop.
    ///
    /// # Errors
    /// If `slice` is from a scan prepared on another grid.
    pub fn slice_like(&self, slice: &InspectedSlice) -> Result<InspectedSlice> {
        let same = self.size == slice.grid.size()
            && self.plan().source_shape == slice.crop.source_shape
            && self.plan().affine_at(slice.crop.origin) == slice.world_from_crop;
        if !same {
            let why = "belongs to a scan that was prepared on another grid";
            return Err(Error::config("slice", slice.file_slice, why));
        }
        Ok(self.cut(slice.file_slice, slice.grid, slice.crop.clone()))
    }

    fn cut(&self, file_slice: usize, grid: PatchGrid, crop: Crop) -> InspectedSlice {
        let (prepared, plan, size) = (&self.prepared, self.plan(), self.size);
        let at = plan.prepared_slice_of(file_slice);
        let (pixels, target) = prepared.window(at, crop.origin, size);
        let tissue = prepared.tissue_frame(at, crop.origin, [size; 2]);
        InspectedSlice {
            file_slice,
            prepared_slice: at,
            channels: prepared.channels.len(),
            pixels,
            air: grid.air_of_tissue(&tissue),
            lesion: target.as_ref().map(|target| grid.lesion_patches(target)),
            lesion_pixels: target.map(|target| target.into_iter().map(|bits| bits != 0).collect()),
            tissue,
            world_from_crop: crop.affine,
            oriented: plan.oriented,
            crop,
            grid,
        }
    }
}

/// The intensity rules of an image, by `modality` if given, else by the file's name, else by the values.
pub fn kind_of(name: &str, modality: Option<&str>, image: &Volume) -> Kind {
    Kind::of(modality.unwrap_or(name), image, KindChoice::Auto)
}
