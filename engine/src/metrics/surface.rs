//! The 95th percentile Hausdorff distance (Eq. 13) by its three common definitions.

use serde::{Deserialize, Serialize};

use super::distance::nearest;
use super::region::Region;
use super::{Counts, surfel};
use crate::parallel;
use crate::volume::{Grid, percentile};

/// Definition of the 95th percentile of the surface distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Hd95 {
    /// The larger of the two directed 95th percentiles, as in MONAI and MetricsReloaded. The surface is the mask minus its
    /// 6-connected erosion.
    #[default]
    Directed,
    /// The 95th percentile of the distances in both directions, pooled, as in medpy.
    Pooled,
    /// The larger of the two directed 95th percentiles, weighted by surface area, as in the package surface-distance. The
    /// area of a surface element follows from the 2x2x2 voxels around it.
    Area,
}

/// The scan's diagonal in mm: the distance used for an empty mask.
pub fn diagonal_mm(grid: &Grid) -> f64 {
    let spacing = grid.spacing_mm();
    (0..3).map(|axis| (grid.shape[axis] as f64 * spacing[axis]).powi(2)).sum::<f64>().sqrt()
}

/// The Hausdorff distance in mm; 0 if both masks are empty, the scan's diagonal if one is.
pub(super) fn hd95(region: &Region, counts: &Counts, grid: &Grid, kind: Hd95) -> f64 {
    match (counts.segmentation == 0, counts.reference == 0) {
        (true, true) => return 0.0,
        (true, false) | (false, true) => return diagonal_mm(grid),
        (false, false) => {}
    }
    let (spacing, flat) = (grid.spacing_mm(), flat_axes(grid));
    if kind == Hd95::Area {
        return surfel::hd95(region, spacing, flat);
    }
    let segmentation = surface(&region.segmentation, region.shape, flat);
    let reference = surface(&region.reference, region.shape, flat);
    let distances = |from: &[bool], to: &[bool]| -> Vec<f64> {
        nearest(to, from, region.shape, spacing).into_iter().map(|n| n.mm).collect()
    };
    // Neither mask is empty, so neither surface is.
    let p95 = |mm: &mut [f64]| percentile(mm, 95.0).unwrap_or(f64::NAN);
    let mut forth = distances(&segmentation, &reference);
    let mut back = distances(&reference, &segmentation);
    if kind == Hd95::Pooled {
        forth.append(&mut back);
        return p95(&mut forth);
    }
    p95(&mut forth).max(p95(&mut back))
}

/// Axes of one voxel. Along them a mask has no surface: that of a single slice is its contour in the plane.
pub(super) fn flat_axes(grid: &Grid) -> [bool; 3] {
    grid.shape.map(|n| n == 1)
}

/// The voxels of a mask with a face neighbour outside it along an axis that is not flat. The mask must have a margin of
/// background.
fn surface(mask: &[bool], [nx, ny, _]: [usize; 3], flat: [bool; 3]) -> Vec<bool> {
    let plane = nx * ny;
    let mut out = vec![false; mask.len()];
    let inner = mask.len().saturating_sub(2 * plane);
    // Rows and planes are contiguous in memory; neighbours that wrap around are in the margin, which is never surface.
    parallel::chunks_mut(&mut out[plane..plane + inner], 1 << 15, |chunk, out| {
        let start = plane + (chunk << 15);
        let window = |offset: usize| &mask[offset..offset + out.len()];
        let (here, left, right) = (window(start), window(start - 1), window(start + 1));
        let (front, back) = (window(start - nx), window(start + nx));
        let (below, above) = (window(start - plane), window(start + plane));
        for (n, out) in out.iter_mut().enumerate() {
            let inside =
                (flat[0] | left[n] & right[n]) & (flat[1] | front[n] & back[n]) & (flat[2] | below[n] & above[n]);
            *out = here[n] && !inside;
        }
    });
    out
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_surface_of_a_cube_is_its_outer_layer() {
        let mut mask = vec![false; 125];
        for (n, inside) in mask.iter_mut().enumerate() {
            *inside = [n % 5, n / 5 % 5, n / 25].iter().all(|v| (1..4).contains(v));
        }
        let surface = surface(&mask, [5, 5, 5], [false; 3]);
        assert_eq!(surface.iter().filter(|v| **v).count(), 26);
        assert!(!surface[62]);
    }

    #[test]
    fn the_surface_of_a_slice_is_its_contour() {
        // 3 x 3 pixels within a margin, as the only slice of each axis.
        for axis in 0..3 {
            let shape: [usize; 3] = std::array::from_fn(|a| if a == axis { 3 } else { 5 });
            let place = |n: usize| [n % shape[0], n / shape[0] % shape[1], n / (shape[0] * shape[1])];
            let inside =
                |n: usize| (0..3).all(|a| if a == axis { place(n)[a] == 1 } else { (1..4).contains(&place(n)[a]) });
            let mask: Vec<bool> = (0..75).map(inside).collect();
            let surface = surface(&mask, shape, std::array::from_fn(|a| a == axis));
            let centre = (0..75).find(|&n| (0..3).all(|a| place(n)[a] == if a == axis { 1 } else { 2 }));
            assert_eq!(surface.iter().filter(|s| **s).count(), 8, "axis {axis}");
            assert!(centre.is_some_and(|n| mask[n] && !surface[n]));
        }
    }
}
