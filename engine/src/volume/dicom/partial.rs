//! A volume while its slices are decoded.

use glam::{DAffine3, DVec3};

use super::ImageStack;
use crate::volume::{Grid, Scale, Volume, VoxelData};

/// Called with the slices that are decoded so far; returns false to cancel.
pub type Step<'a> = &'a mut dyn FnMut(&PartialVolume) -> bool;

/// The slices of a volume that are decoded so far.
pub struct PartialVolume<'a> {
    pub(super) stack: &'a ImageStack,
    pub(super) data: &'a VoxelData,
    pub(super) scale: Option<Scale>,
    /// Whether each slice of each loaded frame is decoded.
    pub(super) decoded: &'a [bool],
}

impl PartialVolume<'_> {
    /// Number of decoded slices, over all frames.
    pub fn done(&self) -> usize {
        self.decoded.iter().filter(|decoded| **decoded).count()
    }

    /// Number of slices of all frames that are loaded.
    pub fn total(&self) -> usize {
        self.decoded.len()
    }

    /// Which slices of the first frame are decoded, by k.
    pub fn decoded(&self) -> &[bool] {
        &self.decoded[..self.stack.grid().shape[2].min(self.decoded.len())]
    }

    /// Slice `k` of the first frame as a volume of one slice; `None` until it is decoded.
    pub fn slice(&self, k: usize) -> Option<Volume> {
        let [nx, ny, _] = self.stack.grid().shape;
        let decoded = self.decoded().get(k).is_some_and(|decoded| *decoded);
        decoded.then(|| self.stack.one_slice(k, self.data.part(k * nx * ny..(k + 1) * nx * ny), self.scale))
    }
}

impl ImageStack {
    /// Slice `k` as a volume of one slice at its position.
    pub(super) fn one_slice(&self, k: usize, data: VoxelData, scale: Option<Scale>) -> Volume {
        let grid = self.grid();
        let [nx, ny, _] = grid.shape;
        let to_slice = DAffine3::from_translation(DVec3::new(0.0, 0.0, k as f64));
        let grid = Grid { shape: [nx, ny, 1], world_from_voxel: grid.world_from_voxel * to_slice, ..grid.clone() };
        Volume { padding: self.padding(scale.is_some()), ..Volume::new(grid, data, scale.unwrap_or(Scale::IDENTITY)) }
    }
}
