//! Batches of masked slices on the host, and parts of them as tensors.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use crate::config::Config;
use crate::patch::PatchGrid;
use crate::pretrain::tensors::images;

/// A slice, its mask and its target.
pub struct MaskedSlice<T> {
    /// `[C][S][S]`.
    pub pixels: Vec<f32>,
    /// `[S][S]`, 1 on masked pixels, else 0.
    pub mask: Vec<f32>,
    /// Target of the loss.
    pub target: T,
}

/// A batch of masked slices on the host.
pub struct MaskedBatch<T> {
    channels: usize,
    size: usize,
    slices: Vec<MaskedSlice<T>>,
    constant_loss: f64,
}

impl<T> MaskedBatch<T> {
    /// `constant_loss` is the loss of the best constant output.
    pub fn new(config: &Config, slices: Vec<MaskedSlice<T>>, constant_loss: f64) -> Self {
        Self { channels: config.data.modality.len(), size: config.preprocess.size, slices, constant_loss }
    }

    /// Loss of the best constant output.
    pub fn constant_loss(&self) -> f64 {
        self.constant_loss
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// True if there are no slices.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Some of the slices.
    pub fn slices(&self, range: Range<usize>) -> &[MaskedSlice<T>] {
        &self.slices[range]
    }

    #[cfg(test)]
    pub(in crate::pretrain) fn slices_mut(&mut self) -> &mut [MaskedSlice<T>] {
        &mut self.slices
    }

    /// Images `[b, C, S, S]` of some of the slices.
    pub fn images(&self, range: Range<usize>, device: &Device) -> Tensor<4> {
        images(self.slices[range].iter().map(|slice| &slice.pixels), self.channels, self.size, device)
    }

    /// Pixel masks `[b, 1, S, S]` of some of the slices.
    pub fn masks(&self, range: Range<usize>, device: &Device) -> Tensor<4> {
        images(self.slices[range].iter().map(|slice| &slice.mask), 1, self.size, device)
    }

    /// Maps `[channels][side][side]` of the targets of some of the slices, `[b, channels, side, side]`.
    pub fn maps(
        &self,
        range: Range<usize>,
        [channels, side]: [usize; 2],
        of: impl Fn(&T) -> &Vec<f32>,
        device: &Device,
    ) -> Tensor<4> {
        images(self.slices[range].iter().map(|slice| of(&slice.target)), channels, side, device)
    }

    /// The patches of a grid of `grid` per side whose first pixel is masked in a slice; none for a grid of 0.
    pub fn masked_patches(&self, slice: usize, grid: usize) -> Vec<bool> {
        let Ok(grid) = PatchGrid::new(self.size, grid) else { return Vec::new() };
        let mask = &self.slices[slice].mask;
        let first = |patch: usize| {
            let (rows, columns) = grid.pixels_of(patch);
            mask[rows.start * self.size + columns.start] > 0.0
        };
        (0..grid.count()).map(first).collect()
    }
}
