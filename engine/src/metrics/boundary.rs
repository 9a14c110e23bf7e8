//! Boundary IoU (Eq. 12): IoU of the inner bands along the boundaries of two masks.

use serde::{Deserialize, Serialize};

use super::Options;
use super::region::Region;
use crate::findings::axial_axis;
use crate::parallel;
use crate::volume::Grid;
use crate::{Error, Result};

/// Neighbourhood of the erosion that defines the boundary band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Boundary {
    /// In 3-D: erosion with 3x3x3 voxels.
    #[default]
    #[serde(rename = "3d")]
    #[value(name = "3d")]
    Volume,
    /// In each axial slice, as in the original definition: erosion with 3x3 pixels.
    Slice,
}

/// Width of the band along each axis in voxels; 0 along an axis that is not eroded.
///
/// A configured width counts voxels along every axis, as in the original definition. The default width is one length in mm, 2 %
/// of the diagonal of an axial slice, so that the band does not cover whole scans with thick slices: at least 1 voxel within
/// the slice, and possibly none across. An axis of one voxel is never eroded.
pub(super) fn widths(grid: &Grid, options: &Options) -> Result<[usize; 3]> {
    let (axial, spacing) = (axial_axis(grid), grid.spacing_mm());
    let of_axis = |a: usize| {
        // In voxels of this axis: round(0.02 sqrt(nx^2 + ny^2)) for equal spacings, half to even as in the original code.
        let sides = (0..3).filter(|&b| b != axial).map(|b| (grid.shape[b] as f64 * (spacing[b] / spacing[a])).powi(2));
        let width = (0.02 * sides.sum::<f64>().sqrt()).round_ties_even();
        (if a == axial { width } else { width.max(1.0) }) as usize
    };
    let mut widths = match options.boundary_width {
        Some(0) => return Err(Error::config("boundary-width", 0, "must be at least 1 voxel")),
        Some(width) => [width; 3],
        None => [0, 1, 2].map(of_axis),
    };
    if options.boundary == Boundary::Slice {
        widths[axial] = 0;
    }
    for (width, _) in widths.iter_mut().zip(grid.shape).filter(|(_, n)| *n == 1) {
        *width = 0;
    }
    Ok(widths)
}

/// IoU of the boundary bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundaryIou {
    /// 1 if both masks are empty, 0 if one is.
    pub iou: f64,
    /// True if neither mask is empty and the bands cover both masks, so that the value is their plain IoU.
    pub covers_masks: bool,
}

/// IoU of the mask voxels within `widths` of the boundaries. Everything outside the scan is background, so a mask that
/// touches the edge of the scan has a boundary there.
pub(super) fn iou(region: &Region, widths: [usize; 3]) -> BoundaryIou {
    let (segmentation, reference) = rayon::join(
        || band(&region.segmentation, region.shape, widths),
        || band(&region.reference, region.shape, widths),
    );
    let count =
        |holds: fn(bool, bool) -> bool| segmentation.iter().zip(&reference).filter(|&(&s, &r)| holds(s, r)).count();
    let (both, either) = rayon::join(|| count(|s, r| s & r), || count(|s, r| s | r));
    let iou = if either == 0 { 1.0 } else { both as f64 / either as f64 };
    let covers = |band: &[bool], mask: &[bool]| band == mask && mask.contains(&true);
    let covers_masks = covers(&segmentation, &region.segmentation) && covers(&reference, &region.reference);
    BoundaryIou { iou, covers_masks }
}

/// The mask minus its erosion by a box that reaches `widths` voxels to each side. Without any erosion, the whole mask.
fn band(mask: &[bool], shape: [usize; 3], widths: [usize; 3]) -> Vec<bool> {
    if widths == [0; 3] {
        return mask.to_vec();
    }
    let mut eroded = mask.to_vec();
    let mut stride = 1;
    for axis in 0..3 {
        if widths[axis] > 0 {
            erode(&mut eroded, stride, shape[axis], widths[axis]);
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
    // Many lines along the first axis, one block along the last.
    parallel::chunks_mut(mask, block * ((1 << 14) / block).max(1), |_, blocks| {
        let (mut from, mut to) = (vec![false; block], vec![false; block]);
        for voxels in blocks.chunks_exact_mut(block) {
            let (from, to) = (&mut from, &mut to);
            from.copy_from_slice(voxels);
            // `from[n]` is the conjunction of `covered` voxels, starting at n. Each step up to doubles `covered`.
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
        }
    });
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use glam::DAffine3;
    use proptest::prelude::*;

    #[test]
    fn the_default_width_is_two_percent_of_the_diagonal_and_follows_the_spacing_of_each_axis() {
        let of = |shape, mm, boundary, boundary_width| {
            let grid = Grid::new(shape, DAffine3::from_scale(glam::DVec3::from_array(mm)));
            widths(&grid, &Options { boundary, boundary_width, ..Options::default() }).ok()
        };
        let volume = |shape, mm| of(shape, mm, Boundary::Volume, None);
        assert_eq!(volume([160, 160, 40], [1.0; 3]), Some([5, 5, 5]));
        assert_eq!(volume([144, 144, 300], [1.0; 3]), Some([4, 4, 4]));
        assert_eq!(volume([10, 10, 300], [1.0; 3]), Some([1, 1, 0]), "0.28 voxels, at least 1 within a slice");
        // A diagonal of 125 gives 2.5, which rounds to 2.
        assert_eq!(volume([75, 100, 9], [1.0; 3]), Some([2, 2, 2]));
        assert_eq!(volume([160, 160, 40], [0.9, 0.9, 3.0]), Some([5, 5, 1]));
        // Slices thicker than twice the band: no band across them.
        assert_eq!(volume([30, 28, 8], [0.4, 0.4, 6.0]), Some([1, 1, 0]));
        assert_eq!(volume([160, 160, 40], [1.0, 2.0, 1.0]), Some([7, 4, 7]));
        assert_eq!(volume([160, 160, 1], [1.0, 1.0, 9.0]), Some([5, 5, 0]));
        assert_eq!(of([160, 160, 40], [1.0, 1.0, 3.0], Boundary::Slice, None), Some([5, 5, 0]));
        assert_eq!(of([160, 160, 40], [1.0, 1.0, 3.0], Boundary::Volume, Some(2)), Some([2, 2, 2]));
    }

    proptest! {
        #[test]
        fn an_erosion_by_n_equals_n_erosions_by_one(
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
                let is_set = |i: usize, j: usize, k: usize| {
                    // Indices are shifted by one, so that 0 is outside.
                    (1..=nx).contains(&i) && (1..=ny).contains(&j) && (1..=nz).contains(&k)
                        && before[i - 1 + nx * (j - 1 + ny * (k - 1))]
                };
                for (n, kept) in expected.iter_mut().enumerate() {
                    let near = |axis: usize, v: usize| if axes[axis] { v..=v + 2 } else { v + 1..=v + 1 };
                    *kept = near(0, n % nx).all(|i| {
                        near(1, n / nx % ny).all(|j| near(2, n / nx / ny).all(|k| is_set(i, j, k)))
                    });
                }
            }
            let band = band(mask, shape, axes.map(|eroded| if eroded { width } else { 0 }));
            for n in 0..mask.len() {
                prop_assert_eq!(band[n], mask[n] && !(axes.contains(&true) && expected[n]));
            }
        }
    }
}
