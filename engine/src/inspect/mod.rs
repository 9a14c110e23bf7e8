//! One slice looked at as the method sees it: prepared, cut into patches, clustered, masked, and what a pre-trained network
//! makes of it. The program `amlp mask` and the window show what these functions return and compute nothing themselves.
//!
//! | file | idea |
//! |---|---|
//! | `masking.rs` | settings, clustering, masked set, uncertainty |
//! | `report.rs` | the numbers of a slice as one document and as a table |
//! | `reconstruct.rs` | a pre-trained network's reconstruction of a masked slice |
//!
//! A scan is prepared once ([`InspectedCase`]); a slice of it is then cut within milliseconds, and every change of a
//! setting costs one clustering at most.

mod masking;
mod reconstruct;
mod report;

pub use masking::{MaskSettings, Masking, Sigma};
pub use reconstruct::{Reconstruction, Reconstructor};
pub use report::{Crop, MaskReport};

use std::borrow::Borrow;

use crate::patch::PatchGrid;
use crate::preprocess::{CasePlan, Kind, KindChoice, Prepared, PreprocessConfig, Targets, prepare};
use crate::volume::{LabelVolume, Volume};
use crate::{Error, Result};

/// A scan prepared as for training: what all slices of it share.
#[derive(Clone, Debug)]
pub struct InspectedCase {
    prepared: Prepared,
    size: usize,
}

/// A slice of an [`InspectedCase`]: its training crop. Fields of pixels are row-major, row i along R, column j along A; S is
/// the crop's side, N the number of patches.
#[derive(Clone, Debug, PartialEq)]
pub struct InspectedSlice {
    /// How it is cut into patches.
    pub grid: PatchGrid,
    /// The file's own slice, from 0, along its axis nearest to S-I.
    pub file_slice: usize,
    /// The prepared slice, from 0 at the feet.
    pub prepared_slice: usize,
    /// Channels, C.
    pub channels: usize,
    /// What the network is given before it is masked, `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// Patches without any tissue, `[N]`.
    pub air: Vec<bool>,
    /// Pixels of the label, `[S][S]`; `None` without one.
    pub lesion_pixels: Option<Vec<bool>>,
    /// Lesion patches: more than a quarter of their pixels are lesion, `[N]`; `None` without a label.
    pub lesion: Option<Vec<bool>>,
    /// Pixels inside the body (CT) or not zero in any channel, `[S][S]`.
    pub tissue: Vec<bool>,
    /// Maps crop voxel (i, j, k), k the prepared slice, to world mm (RAS+): a 4x4 matrix, row by row.
    pub world_from_crop: [f64; 16],
    /// False if the file told nothing of its orientation.
    pub oriented: bool,
    /// Where the crop lies.
    pub crop: Crop,
}

impl InspectedCase {
    /// Prepares the scan whose channels are `images`, of `kinds`. Labels above 0 are lesion. `seed` draws the background
    /// noise, where the settings ask for one.
    ///
    /// # Errors
    /// Those of [`prepare`]: no image, settings that cannot be used, too little memory.
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

    /// The same with its channels in another order: the first is the one that was number `order[0]` before, and so on, each
    /// once.
    #[must_use]
    pub fn reordered(self, order: &[usize]) -> Self {
        Self { prepared: self.prepared.reordered(order), ..self }
    }

    /// How the scan was prepared.
    pub fn plan(&self) -> &CasePlan {
        &self.prepared.plan
    }

    /// What was odd while it was prepared, one sentence each; what was odd in the files, the volumes say themselves.
    pub fn warnings(&self) -> &[String] {
        &self.prepared.plan.warnings
    }

    /// Slices of the file along its axis nearest to S-I.
    pub fn file_slices(&self) -> usize {
        self.prepared.plan.source_slices()
    }

    /// The training crop of the prepared slice nearest to the file's slice `file_slice` (from 0), cut into `grid` x `grid`
    /// patches.
    ///
    /// # Errors
    /// If the file has no such slice, or `grid` does not divide the crop's side.
    pub fn slice(&self, file_slice: usize, grid: usize) -> Result<InspectedSlice> {
        let (plan, grid) = (self.plan(), PatchGrid::new(self.size, grid)?);
        let slices = self.file_slices();
        if file_slice >= slices {
            let why = format!("the file has slices 0 to {}", slices.saturating_sub(1));
            return Err(Error::config("slice", file_slice, why));
        }
        Ok(self.cut(file_slice, grid, Crop::of(plan, self.size)))
    }

    /// The same pixels as `slice`, which was cut from the same scan, in all channels of this case: those that were prepared
    /// beside the one that gives the grid may have moved the training crop.
    ///
    /// # Errors
    /// A slice of a scan that was prepared on another grid.
    pub fn slice_like(&self, slice: &InspectedSlice) -> Result<InspectedSlice> {
        let same = self.size == slice.grid.size()
            && self.plan().source_shape == slice.crop.source_shape
            && self.plan().affine_at(slice.crop.origin) == slice.world_from_crop;
        if !same {
            let why = "it was cut from a scan that was prepared on another grid";
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

/// CT or not: as `modality` says, else by the file's name, else by its values.
pub fn kind_of(name: &str, modality: Option<&str>, image: &Volume) -> Kind {
    let name = modality.unwrap_or(name);
    Kind::named(name, KindChoice::Auto).unwrap_or_else(|| Kind::of(name, &image.to_f32(), KindChoice::Auto))
}
