//! Patch grid (paper, section 3.1): a square slice divided into `grid` x `grid` equal patches.
//!
//! Slices are row-major `[nx][ny]`, row i along R, column j along A. With patches of q x q pixels, pixel (i, j) is in
//! patch `(i / q) * grid + j / q`.

use std::ops::Range;

use crate::{Error, Result};

/// A patch with a larger fraction of lesion pixels is a lesion patch.
pub const LESION_SHARE: f64 = 0.25;

/// Divides a slice of `size` x `size` pixels into `grid` x `grid` patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    size: usize,
    grid: usize,
}

impl PatchGrid {
    /// # Errors
    /// If `grid` is 0 or `size` is not a positive multiple of it.
    pub fn new(size: usize, grid: usize) -> Result<Self> {
        if grid == 0 {
            return Err(Error::config("grid", grid, "must be at least 1"));
        }
        if size == 0 || !size.is_multiple_of(grid) {
            return Err(Error::config("size", size, format!("must be a positive multiple of the grid, {grid}")));
        }
        Ok(Self { size, grid })
    }

    /// Side of the slice in pixels, S.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Patches per row and column.
    pub fn grid(&self) -> usize {
        self.grid
    }

    /// Side of a patch in pixels, q.
    pub fn side(&self) -> usize {
        self.size / self.grid
    }

    /// Number of patches, N.
    pub fn count(&self) -> usize {
        self.grid * self.grid
    }

    /// Length of a patch vector, D = channels * q * q.
    pub fn dimension(&self, channels: usize) -> usize {
        channels * self.side() * self.side()
    }

    /// Rows (i) and columns (j) of a patch's pixels.
    pub fn pixels_of(&self, patch: usize) -> (Range<usize>, Range<usize>) {
        let q = self.side();
        let (row, column) = (patch / self.grid * q, patch % self.grid * q);
        (row..row + q, column..column + q)
    }

    /// Patchifies `pixels` `[C][S][S]` into patch vectors `[N][D]`, each in the order `[C][q][q]`.
    pub fn patches(&self, pixels: &[f32], channels: usize) -> Vec<f32> {
        debug_assert_eq!(pixels.len(), channels * self.size * self.size);
        let mut out = Vec::with_capacity(pixels.len());
        for patch in 0..self.count() {
            let (rows, columns) = self.pixels_of(patch);
            for channel in pixels.chunks_exact(self.size * self.size).take(channels) {
                for i in rows.clone() {
                    out.extend_from_slice(&channel[i * self.size..][columns.clone()]);
                }
            }
        }
        out
    }

    /// Inverse of [`PatchGrid::patches`]: `[N][D]` to `[C][S][S]`.
    pub fn assemble(&self, patches: &[f32], channels: usize) -> Vec<f32> {
        let (q, area) = (self.side(), self.size * self.size);
        debug_assert_eq!(patches.len(), channels * area);
        let mut out = vec![0.0; channels * area];
        let mut rest = patches.chunks_exact(q);
        for patch in 0..self.count() {
            let (rows, columns) = self.pixels_of(patch);
            for channel in 0..channels {
                for (i, line) in rows.clone().zip(rest.by_ref()) {
                    out[channel * area + i * self.size..][columns.clone()].copy_from_slice(line);
                }
            }
        }
        out
    }

    /// Sets all pixels of the masked patches to `value` (0 in the paper).
    pub fn paint(&self, pixels: &mut [f32], channels: usize, masked: &[bool], value: f32) {
        debug_assert_eq!(pixels.len(), channels * self.size * self.size);
        for channel in pixels.chunks_exact_mut(self.size * self.size).take(channels) {
            for (patch, _) in masked.iter().enumerate().take(self.count()).filter(|(_, masked)| **masked) {
                let (rows, columns) = self.pixels_of(patch);
                for i in rows {
                    channel[i * self.size..][columns.clone()].fill(value);
                }
            }
        }
    }

    /// Upsamples one value per patch, `[N]`, to pixels, `[S][S]`. Turns a patch mask into a pixel mask.
    pub fn spread<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        debug_assert_eq!(values.len(), self.count());
        let mut out = vec![T::default(); self.size * self.size];
        for (patch, value) in values.iter().enumerate().take(self.count()) {
            let (rows, columns) = self.pixels_of(patch);
            for i in rows {
                out[i * self.size..][columns.clone()].fill(*value);
            }
        }
        out
    }

    /// Lesion pixels of each patch. `target` `[S][S]` has one bit per region; any set bit is lesion.
    pub fn lesion_pixels(&self, target: &[u8]) -> Vec<u32> {
        debug_assert_eq!(target.len(), self.size * self.size);
        (0..self.count())
            .map(|patch| {
                let (rows, columns) = self.pixels_of(patch);
                rows.map(|i| target[i * self.size..][columns.clone()].iter().filter(|v| **v != 0).count() as u32).sum()
            })
            .collect()
    }

    /// Fraction of lesion pixels of each patch, 0 to 1. `target` as in [`PatchGrid::lesion_pixels`].
    pub fn lesion_share(&self, target: &[u8]) -> Vec<f64> {
        let area = (self.side() * self.side()) as f64;
        self.lesion_pixels(target).into_iter().map(|pixels| f64::from(pixels) / area).collect()
    }

    /// Whether each patch is a lesion patch: its lesion share exceeds [`LESION_SHARE`].
    pub fn lesion_patches(&self, target: &[u8]) -> Vec<bool> {
        self.lesion_share(target).into_iter().map(|share| share > LESION_SHARE).collect()
    }

    /// Whether each patch is air: every pixel equals its channel's value outside the body, `fill[channel]` (0, or the
    /// minimum of the normalised body in a CT).
    #[allow(clippy::float_cmp, reason = "air is an exact constant written by the preprocessing")]
    pub fn air(&self, pixels: &[f32], fill: &[f32]) -> Vec<bool> {
        debug_assert_eq!(pixels.len(), fill.len() * self.size * self.size);
        let mut air = vec![!fill.is_empty(); self.count()];
        for (channel, outside) in pixels.chunks_exact(self.size * self.size).zip(fill) {
            for (patch, air) in air.iter_mut().enumerate() {
                let (mut rows, columns) = self.pixels_of(patch);
                *air &= rows.all(|i| channel[i * self.size..][columns.clone()].iter().all(|v| v == outside));
            }
        }
        air
    }

    /// Whether each patch is air: none of its pixels is set in `tissue` `[S][S]`. Unlike [`PatchGrid::air`] it does not
    /// depend on the value outside the body.
    pub fn air_of_tissue(&self, tissue: &[bool]) -> Vec<bool> {
        debug_assert_eq!(tissue.len(), self.size * self.size);
        (0..self.count())
            .map(|patch| {
                let (mut rows, columns) = self.pixels_of(patch);
                rows.all(|i| tissue[i * self.size..][columns.clone()].iter().all(|tissue| !tissue))
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_slice_must_be_a_multiple_of_the_grid() {
        assert_eq!(PatchGrid::new(160, 16).unwrap().side(), 10);
        assert_eq!(PatchGrid::new(144, 16).unwrap().side(), 9);
        assert_eq!(PatchGrid::new(160, 16).unwrap().count(), 256);
        for (size, grid) in [(160, 0), (0, 16), (150, 16), (8, 16)] {
            assert!(PatchGrid::new(size, grid).is_err(), "{size}, {grid}");
        }
    }

    #[test]
    fn patch_index_is_row_times_grid_plus_column() {
        let grid = PatchGrid::new(6, 3).unwrap();
        let pixels: Vec<f32> = (0..36u8).map(f32::from).collect();
        let patches = grid.patches(&pixels, 1);
        assert_eq!(&patches[4 * 5..4 * 6], [16.0, 17.0, 22.0, 23.0]);
        assert_eq!(grid.pixels_of(5), (2..4, 4..6));
    }

    #[test]
    fn lesion_patch_needs_more_than_a_quarter() {
        let grid = PatchGrid::new(4, 2).unwrap();
        let mut target = vec![0u8; 16];
        target[0] = 1;
        target[2] = 2;
        target[3] = 4;
        assert_eq!(grid.lesion_share(&target), [0.25, 0.5, 0.0, 0.0]);
        assert_eq!(grid.lesion_patches(&target), [false, true, false, false]);
    }

    #[test]
    fn air_is_the_fill_of_every_channel() {
        let grid = PatchGrid::new(4, 2).unwrap();
        let mut pixels = vec![0.0; 16];
        pixels.extend(vec![-1.5; 16]);
        pixels[15] = 0.1;
        pixels[16] = 0.0;
        assert_eq!(grid.air(&pixels, &[0.0, -1.5]), [false, true, true, false]);
        assert_eq!(grid.air(&[-0.0; 16], &[0.0]), [true; 4]);
        assert_eq!(grid.air(&[f32::NAN; 16], &[0.0]), [false; 4]);
        let tissue: Vec<bool> = (0..16).map(|at| at == 6).collect();
        assert_eq!(grid.air_of_tissue(&tissue), [true, false, true, true]);
    }

    proptest! {
        #[test]
        fn assemble_inverts_patches(grid in 1usize..5, q in 1usize..5, channels in 1usize..4, seed in 0u32..1000) {
            let grid = PatchGrid::new(grid * q, grid).unwrap();
            let pixels: Vec<f32> = (0..channels * grid.size() * grid.size()).map(|v| (v as u32 ^ seed) as f32).collect();
            prop_assert_eq!(grid.assemble(&grid.patches(&pixels, channels), channels), pixels);
        }

        #[test]
        fn paint_changes_masked_patches_only(masked in prop::collection::vec(any::<bool>(), 9)) {
            let grid = PatchGrid::new(6, 3).unwrap();
            let mut pixels = vec![1.0f32; 72];
            grid.paint(&mut pixels, 2, &masked, 0.0);
            let spread = grid.spread(&masked);
            for (pixel, value) in pixels.iter().enumerate() {
                prop_assert_eq!(*value == 0.0, spread[pixel % 36]);
                let (i, j) = (pixel % 36 / 6, pixel % 6);
                prop_assert_eq!(spread[pixel % 36], masked[i / 2 * 3 + j / 2]);
            }
        }
    }
}
