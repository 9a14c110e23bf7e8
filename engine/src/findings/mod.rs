//! Findings: the connected components of a mask and their measures, shared by evaluation and the viewer.
//!
//! Lesions are 26-connected components: voxels that touch by a face, an edge or a corner belong together.
//!
//! | file | idea |
//! |---|---|
//! | `components.rs` | connected components by runs and union-find |
//! | `diameter.rs` | the longest diameter in an axial slice |
//! | `comparison.rs` | a prediction against the truth: hit, missed and extra lesions, agreement slice by slice |
//! | `entropy.rs` | how undecided a probability is, slice by slice |

pub mod comparison;
mod components;
mod diameter;
mod entropy;

pub use comparison::{Comparison, Counts, Lesions, compare};
pub use components::{Components, Connectivity, Run, Smallest, remove_smaller_than};
pub use diameter::{Diameter, axial_axis};
pub use entropy::{CONSIDERED_ABOVE, slice_entropy};

use glam::DVec3;
use rayon::prelude::*;
use serde::Serialize;

use crate::volume::Grid;
use crate::{Error, Result};

/// One connected component of a mask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Rank from 1: by volume, largest first, then by the position of the first voxel in memory.
    pub number: u32,
    /// Voxels.
    pub voxels: usize,
    /// Volume in millilitres.
    pub volume_ml: f64,
    /// Smallest voxel index (i, j, k) of the bounding box.
    pub min_voxel: [usize; 3],
    /// Largest voxel index (i, j, k) of the bounding box, inclusive.
    pub max_voxel: [usize; 3],
    /// Centre of mass as a fractional voxel index.
    pub centroid_voxel: [f64; 3],
    /// Centre of mass in world millimetres (RAS+).
    pub centroid_mm: [f64; 3],
    /// Longest diameter in one axial slice, between the outer corners of voxels.
    pub diameter: Diameter,
    /// Mean of the image over the component's finite voxels, where an image was given.
    pub mean: Option<f64>,
}

impl Finding {
    /// Canonical number (0-based, from feet to head) of the axial slice in which the longest diameter lies. `grid` is
    /// the one that the finding was measured on.
    pub fn axial_slice(&self, grid: &Grid) -> usize {
        grid.axial_slices().canonical(self.diameter.slice)
    }
}

/// An image's value at a voxel, for [`Finding::mean`].
pub type ValueAt<'a> = &'a (dyn Fn([usize; 3]) -> f64 + Sync);

/// The components of a mask (`grid` order, true inside) and their measures, largest first.
///
/// The result depends on nothing but the arguments: not on the number of threads.
///
/// # Errors
/// If `mask` does not have one entry a voxel.
pub fn findings(mask: &[bool], grid: &Grid, image: Option<ValueAt<'_>>) -> Result<Vec<Finding>> {
    check_len(mask.len(), grid)?;
    let components = Components::new(mask, grid.shape);
    let axis = axial_axis(grid);
    Ok((0..components.count()).into_par_iter().map(|c| measure(&components, c, grid, axis, image)).collect())
}

/// Refuses masks that do not have one entry a voxel.
pub(crate) fn check_len(len: usize, grid: &Grid) -> Result<()> {
    if len == grid.len() {
        return Ok(());
    }
    let [nx, ny, nz] = grid.shape;
    Err(Error::config("mask", format!("{len} voxels"), format!("the grid has {nx} x {ny} x {nz} voxels")))
}

/// Measures one component. Sums of indices are integers, so that the order of summation cannot matter.
fn measure(components: &Components, c: usize, grid: &Grid, axis: usize, image: Option<ValueAt<'_>>) -> Finding {
    let runs = components.runs(c);
    let (mut min, mut max) = ([u32::MAX; 3], [0; 3]);
    let mut sum = [0_u64; 3];
    let (mut total, mut finite) = (0.0, 0_usize);
    for run in runs {
        let (first, last, len) = (run.i, run.i + run.len - 1, u64::from(run.len));
        for (axis, (low, high)) in [(first, last), (run.j, run.j), (run.k, run.k)].into_iter().enumerate() {
            min[axis] = min[axis].min(low);
            max[axis] = max[axis].max(high);
        }
        sum[0] += (u64::from(first) + u64::from(last)) * len / 2;
        sum[1] += u64::from(run.j) * len;
        sum[2] += u64::from(run.k) * len;
        if let Some(value_at) = image {
            let values = (first..=last).map(|i| value_at([i, run.j, run.k].map(|v| v as usize)));
            for value in values.filter(|v| v.is_finite()) {
                total += value;
                finite += 1;
            }
        }
    }
    let voxels = components.voxels(c);
    let centroid = sum.map(|s| s as f64 / voxels as f64);
    let (min_voxel, max_voxel) = (min.map(|v| v as usize), max.map(|v| v as usize));
    Finding {
        number: c as u32 + 1,
        voxels,
        volume_ml: voxels as f64 * grid.voxel_volume_ml(),
        min_voxel,
        max_voxel,
        centroid_voxel: centroid,
        centroid_mm: grid.world_from_voxel.transform_point3(DVec3::from(centroid)).to_array(),
        diameter: diameter::longest(runs, min_voxel, max_voxel, grid, axis),
        mean: (finite > 0).then(|| total / finite as f64),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::Orientation;
    use glam::{DAffine3, DMat3};

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        let matrix = DMat3::from_diagonal(DVec3::from(spacing));
        Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::splat(-5.0)), oriented: true }
    }

    #[test]
    fn two_boxes_are_measured_and_sorted() {
        let grid = grid([12, 10, 6], [1.0, 2.0, 3.0]);
        let mut mask = vec![false; grid.len()];
        mask[grid.index([0, 0, 0])] = true;
        for k in 2..4 {
            for j in 3..6 {
                for i in 4..8 {
                    mask[grid.index([i, j, k])] = true;
                }
            }
        }
        let value = |v: [usize; 3]| if v == [4, 3, 2] { f64::NAN } else { v[0] as f64 };
        let found = findings(&mask, &grid, Some(&value)).unwrap();
        assert_eq!(found.len(), 2);
        let big = &found[0];
        assert_eq!((big.number, big.voxels), (1, 24));
        assert_eq!((big.min_voxel, big.max_voxel), ([4, 3, 2], [7, 5, 3]));
        assert!((big.volume_ml - 24.0 * 6e-3).abs() < 1e-12);
        assert_eq!(big.centroid_voxel, [5.5, 4.0, 2.5]);
        assert_eq!(big.centroid_mm, [0.5, 3.0, 2.5]);
        // The box is 4 mm by 6 mm in its slice, edge to edge.
        assert!((big.diameter.mm - 52.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!((big.diameter.axis, big.diameter.slice), (2, 2));
        // 24 voxels sum to 132; the one that is not a number is left out.
        assert!((big.mean.unwrap() - (132.0 - 4.0) / 23.0).abs() < 1e-12);
        assert_eq!((found[1].voxels, found[1].mean), (1, Some(0.0)));
        assert!((found[1].diameter.mm - 5.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_slice_of_a_finding_counts_from_the_feet_in_every_order() {
        let upright = grid([4, 3, 7], [1.0, 1.0, 2.0]);
        let mut mask = vec![false; upright.len()];
        // Two voxels in slice 4, three in slice 5.
        for (i, k) in [(0, 4), (1, 4), (1, 5), (2, 5), (3, 5)] {
            mask[upright.index([i, 1, k])] = true;
        }
        for o in Orientation::all() {
            let turned = upright.reoriented(&o);
            let found = findings(&o.apply(&mask, upright.shape), &turned, None).unwrap();
            assert_eq!((found.len(), found[0].axial_slice(&turned)), (1, 5), "{o:?}");
        }
    }

    #[test]
    fn a_mask_of_another_size_is_refused() {
        let error = findings(&[true; 5], &grid([2, 2, 2], [1.0; 3]), None).unwrap_err();
        assert!(error.to_string().contains("5 voxels"), "{error}");
    }
}
