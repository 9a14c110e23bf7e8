//! Findings: the connected components of a mask and their measures, shared by evaluation and the viewer.
//!
//! Lesions are 26-connected components: voxels that share a face, an edge or a corner are connected.
//!
//! | file | contents |
//! |---|---|
//! | `components.rs` | connected components over all labels by runs and union-find |
//! | `diameter.rs` | the longest diameter in an axial slice |
//! | `values.rs` | image values inside a finding: mean, maximum, SUVpeak |
//! | `comparison.rs` | segmentation vs reference: hit, missed and false-positive lesions, agreement per slice |
//! | `entropy.rs` | entropy of the probabilities per slice |

pub mod comparison;
mod components;
mod diameter;
mod entropy;
mod values;

pub use comparison::{Comparison, Counts, Lesions, MatchedFinding, compare};
pub use components::{Components, Connectivity, MinimumSize, Run, Voxel, remove_smaller_than};
pub use diameter::{Diameter, axial_axis};
pub use entropy::{CONSIDERED_ABOVE, mean_entropy, slice_entropy};
pub use values::Values;

use std::collections::BTreeMap;
use std::sync::Arc;

use glam::DVec3;
use serde::Serialize;

use crate::parallel;
use crate::volume::{Grid, LabelVolume};
use crate::{Error, Result};

/// A lesion: one connected component of a mask, over all of its labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Rank from 1: by volume, largest first, then by the position of the first voxel in memory.
    pub number: u32,
    /// Number of voxels.
    pub voxels: usize,
    /// Volume in millilitres.
    pub volume_ml: f64,
    /// The labels inside, ascending.
    pub labels: Vec<LabelPart>,
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
    /// Its voxels, in memory order.
    #[serde(skip)]
    pub runs: Arc<[Run]>,
}

/// The part of a finding that has one label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LabelPart {
    /// Value of the label in the mask.
    pub label: u16,
    /// Number of voxels.
    pub voxels: usize,
    /// Volume in millilitres.
    pub volume_ml: f64,
}

impl Finding {
    /// Canonical number (0-based, from feet to head) of the axial slice that contains the longest diameter. `grid` is the
    /// grid on which the finding was measured.
    pub fn axial_slice(&self, grid: &Grid) -> usize {
        grid.axial_slices().canonical(self.diameter.slice)
    }

    /// The most frequent label of its voxels; the lowest one in a tie.
    pub fn main_label(&self) -> u16 {
        let largest = self.labels.iter().rev().max_by_key(|part| part.voxels);
        largest.map_or(0, |part| part.label)
    }
}

/// The lesions of a mask and their measures, largest first. The result does not depend on the number of threads.
pub fn findings(mask: &LabelVolume) -> Vec<Finding> {
    measured(&Components::of_labels(mask), &mask.grid)
}

fn measured(components: &Components, grid: &Grid) -> Vec<Finding> {
    let axis = axial_axis(grid);
    parallel::map(components.count(), |c| measure(components, c, grid, axis))
}

/// Fails if a mask does not have one entry per voxel.
pub(crate) fn check_len(len: usize, grid: &Grid) -> Result<()> {
    if len == grid.len() {
        return Ok(());
    }
    let [nx, ny, nz] = grid.shape;
    Err(Error::config("mask", format!("{len} voxels"), format!("the grid has {nx} x {ny} x {nz} voxels")))
}

/// Measures one component. Sums of indices are integers, so the order of summation does not matter.
fn measure(components: &Components, c: usize, grid: &Grid, axis: usize) -> Finding {
    let runs = components.runs(c);
    let (mut min, mut max) = ([u32::MAX; 3], [0; 3]);
    let mut sum = [0_u64; 3];
    let mut labels: BTreeMap<u16, usize> = BTreeMap::new();
    for run in runs {
        let (first, last, len) = (run.i, run.i + run.len - 1, u64::from(run.len));
        for (axis, (low, high)) in [(first, last), (run.j, run.j), (run.k, run.k)].into_iter().enumerate() {
            min[axis] = min[axis].min(low);
            max[axis] = max[axis].max(high);
        }
        sum[0] += (u64::from(first) + u64::from(last)) * len / 2;
        sum[1] += u64::from(run.j) * len;
        sum[2] += u64::from(run.k) * len;
        *labels.entry(run.label).or_default() += run.len as usize;
    }
    let voxels = components.voxels(c);
    let centroid = sum.map(|s| s as f64 / voxels as f64);
    let (min_voxel, max_voxel) = (min.map(|v| v as usize), max.map(|v| v as usize));
    let ml = |voxels: usize| voxels as f64 * grid.voxel_volume_ml();
    Finding {
        number: c as u32 + 1,
        voxels,
        volume_ml: ml(voxels),
        labels: labels.into_iter().map(|(label, n)| LabelPart { label, voxels: n, volume_ml: ml(n) }).collect(),
        min_voxel,
        max_voxel,
        centroid_voxel: centroid,
        centroid_mm: grid.world_from_voxel.transform_point3(DVec3::from(centroid)).to_array(),
        diameter: diameter::longest(runs, min_voxel, max_voxel, grid, axis),
        runs: runs.into(),
    }
}

/// A mask of label 1, for tests.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) fn mask_of(inside: &[bool], grid: &Grid) -> LabelVolume {
    LabelVolume::new(grid.clone(), inside.iter().map(|&v| u8::from(v)).collect::<Vec<_>>()).unwrap()
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
        let mut mask = vec![0_u8; grid.len()];
        mask[grid.index([0, 0, 0])] = 1;
        for k in 2..4 {
            for j in 3..6 {
                for i in 4..8 {
                    mask[grid.index([i, j, k])] = if i < 7 { 1 } else { 4 };
                }
            }
        }
        let found = findings(&LabelVolume::new(grid, mask).unwrap());
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
        let inside: Vec<(u16, usize)> = big.labels.iter().map(|part| (part.label, part.voxels)).collect();
        assert_eq!((inside, big.main_label()), (vec![(1, 18), (4, 6)], 1));
        assert!((big.labels[1].volume_ml - 6.0 * 6e-3).abs() < 1e-12);
        assert_eq!(found[1].voxels, 1);
        assert!((found[1].diameter.mm - 5.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_slice_of_a_finding_counts_from_the_feet_in_every_axis_order() {
        let upright = grid([4, 3, 7], [1.0, 1.0, 2.0]);
        let mut mask = vec![false; upright.len()];
        // Two voxels in slice 4, three in slice 5.
        for (i, k) in [(0, 4), (1, 4), (1, 5), (2, 5), (3, 5)] {
            mask[upright.index([i, 1, k])] = true;
        }
        for o in Orientation::all() {
            let turned = upright.reoriented(&o);
            let found = findings(&mask_of(&o.apply(&mask, upright.shape), &turned));
            assert_eq!((found.len(), found[0].axial_slice(&turned)), (1, 5), "{o:?}");
        }
    }
}
