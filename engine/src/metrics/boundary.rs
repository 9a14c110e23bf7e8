//! Boundary IoU (Eq. 12): IoU of the inner bands along the boundaries of two masks.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Options;
use super::region::Region;
use crate::findings::axial_axis;
use crate::volume::Grid;
use crate::{Error, Result};

/// Neighbourhood of the erosion that defines the boundary band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// Erosion with 3x3x3 voxels.
    #[default]
    #[serde(rename = "3d")]
    #[value(name = "3d")]
    Volume,
    /// Erosion with 3x3 pixels in each axial slice, as in the original definition.
    Slice,
}

/// Default width of the band in voxels: 2 % of the diagonal of an axial slice, max(1, round(0.02 sqrt(nx^2 + ny^2))). Rounds
/// half to even as in the original code: 5 for 160 x 160, 4 for 144 x 144.
pub fn default_width(grid: &Grid) -> usize {
    let axis = axial_axis(grid);
    let sides = (0..3).filter(|&a| a != axis).map(|a| (grid.shape[a] as f64).powi(2));
    (0.02 * sides.sum::<f64>().sqrt()).round_ties_even().max(1.0) as usize
}

/// The configured or default width.
pub(super) fn width(grid: &Grid, options: &Options) -> Result<usize> {
    match options.boundary_width {
        Some(0) => Err(Error::config("boundary-width", 0, "must be at least 1 voxel")),
        Some(width) => Ok(width),
        None => Ok(default_width(grid)),
    }
}

/// IoU of the mask voxels within `width` of the boundaries. 1 if both masks are empty, 0 if one is. Outside the scan is
/// background, so a mask has a boundary at the scan's edge.
pub(super) fn iou(region: &Region, grid: &Grid, boundary: Boundary, width: usize) -> f64 {
    let mut axes = [true; 3];
    if boundary == Boundary::Slice {
        axes[axial_axis(grid)] = false;
    }
    let (prediction, truth) = rayon::join(
        || band(&region.prediction, region.shape, width, axes),
        || band(&region.truth, region.shape, width, axes),
    );
    let (both, either) = prediction
        .par_chunks(1 << 16)
        .zip(truth.par_chunks(1 << 16))
        .map(|(p, t)| {
            let both = p.iter().zip(t).filter(|&(&p, &t)| p & t).count();
            (both, p.iter().zip(t).filter(|&(&p, &t)| p | t).count())
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// The mask minus its erosion: `width` erosions with a full neighbourhood of the given axes.
fn band(mask: &[bool], shape: [usize; 3], width: usize, axes: [bool; 3]) -> Vec<bool> {
    let mut eroded = mask.to_vec();
    let mut stride = 1;
    for axis in 0..3 {
        if axes[axis] {
            erode(&mut eroded, stride, shape[axis], width);
        }
        stride *= shape[axis];
    }
    for (e, &m) in eroded.iter_mut().zip(mask) {
        *e = m && !*e;
    }
    eroded
}

/// Erosion along one axis: a voxel stays if the `width` voxels before and after it are set. `width` erosions with a cube
/// equal one erosion with a larger cube, which separates into this along each axis.
fn erode(mask: &mut [bool], stride: usize, len: usize, width: usize) {
    let span = width.saturating_mul(2).saturating_add(1);
    if span > len {
        mask.fill(false);
        return;
    }
    let block = stride * len;
    mask.par_chunks_mut(block).with_min_len((1 << 14) / block.min(1 << 14)).for_each_init(
        || (vec![false; block], vec![false; block]),
        |(from, to), voxels| {
            from.copy_from_slice(voxels);
            // `from[n]` is the conjunction of `covered` voxels from n on. Each step up to doubles `covered`.
            let mut covered = 1;
            while covered < span {
                let step = covered.min(span - covered);
                let offset = step * stride;
                for (out, (&a, &b)) in to.iter_mut().zip(from.iter().zip(&from[offset..])) {
                    *out = a & b;
                }
                to[block - offset..].fill(false);
                std::mem::swap(from, to);
                covered += step;
            }
            let shift = width * stride;
            voxels[..shift].fill(false);
            voxels[shift..].copy_from_slice(&from[..block - shift]);
        },
    );
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;
    use proptest::prelude::*;

    fn grid(shape: [usize; 3]) -> Grid {
        Grid { shape, world_from_voxel: DAffine3::IDENTITY, oriented: true }
    }

    #[test]
    fn the_usual_width_is_that_of_the_table() {
        let width = |n| default_width(&grid([n, n, 300]));
        assert_eq!((width(160), width(144), width(10)), (5, 4, 1));
        // A diagonal of 125 gives 2.5, which rounds to 2.
        assert_eq!(default_width(&grid([75, 100, 9])), 2);
    }

    proptest! {
        #[test]
        fn one_erosion_is_as_many_small_ones(
            shape in [3_usize..9, 3_usize..9, 3_usize..9],
            axes in proptest::array::uniform3(proptest::bool::ANY),
            width in 1_usize..5,
            bits in proptest::collection::vec(proptest::bool::weighted(0.9), 9 * 9 * 9),
        ) {
            let mask = &bits[..shape.iter().product()];
            let [nx, ny, nz] = shape;
            let mut expected = mask.to_vec();
            for _ in 0..width {
                let before = expected.clone();
                let at = |i: usize, j: usize, k: usize| {
                    // Indices are shifted by one, so that 0 is outside.
                    (1..=nx).contains(&i) && (1..=ny).contains(&j) && (1..=nz).contains(&k)
                        && before[i - 1 + nx * (j - 1 + ny * (k - 1))]
                };
                for (n, kept) in expected.iter_mut().enumerate() {
                    let near = |axis: usize, v: usize| if axes[axis] { v..=v + 2 } else { v + 1..=v + 1 };
                    *kept = near(0, n % nx).all(|i| {
                        near(1, n / nx % ny).all(|j| near(2, n / nx / ny).all(|k| at(i, j, k)))
                    });
                }
            }
            let band = band(mask, shape, width, axes);
            for n in 0..mask.len() {
                prop_assert_eq!(band[n], mask[n] && !expected[n]);
            }
        }
    }
}
