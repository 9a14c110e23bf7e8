//! Area-weighted surface distances, equal to those of the Python package `surface-distance`.
//!
//! The two tables are derived from its marching cubes table (`lookup_tables.py`, Copyright 2018 Google Inc., Apache
//! License 2.0): triangles are merged by direction, and complementary neighbourhoods share an entry.

use rayon::prelude::*;

use super::distance::nearest;
use super::region::Region;
use crate::parallel;

/// Directions of surface normals, in units of the voxel's faces.
const DIRECTIONS: [[f64; 3]; 7] = [
    [1.0, 0.0, 0.0],
    [0.0, 1.0, 0.0],
    [0.0, 0.0, 1.0],
    [0.0, 1.0, 1.0],
    [1.0, 0.0, 1.0],
    [1.0, 1.0, 0.0],
    [1.0, 1.0, 1.0],
];

/// Kinds of surface through 2x2x2 voxels: eighths of a normal along each of [`DIRECTIONS`].
#[rustfmt::skip]
const KINDS: [[u8; 7]; 27] = [
    [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 2],
    [0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0, 4], [0, 0, 0, 0, 0, 0, 6],
    [0, 0, 0, 0, 0, 4, 0], [0, 0, 0, 0, 0, 4, 1], [0, 0, 0, 0, 0, 8, 0],
    [0, 0, 0, 0, 2, 2, 4], [0, 0, 0, 0, 4, 0, 0], [0, 0, 0, 0, 4, 0, 1],
    [0, 0, 0, 0, 8, 0, 0], [0, 0, 0, 2, 0, 2, 4], [0, 0, 0, 2, 2, 0, 4],
    [0, 0, 0, 4, 0, 0, 0], [0, 0, 0, 4, 0, 0, 1], [0, 0, 0, 8, 0, 0, 0],
    [0, 0, 4, 0, 0, 0, 3], [0, 0, 4, 0, 0, 0, 4], [0, 0, 8, 0, 0, 0, 0],
    [0, 4, 0, 0, 0, 0, 3], [0, 4, 0, 0, 0, 0, 4], [0, 8, 0, 0, 0, 0, 0],
    [4, 0, 0, 0, 0, 0, 3], [4, 0, 0, 0, 0, 0, 4], [8, 0, 0, 0, 0, 0, 0],
];

/// The kind of each neighbourhood code below 128. Code c has the same kind as 255 - c.
#[rustfmt::skip]
const KIND_OF_CODE: [u8; 128] = [
    0, 1, 1, 6, 1, 10, 2, 24, 1, 2, 10, 24, 6, 24, 24, 26,
    1, 15, 2, 21, 2, 18, 3, 5, 2, 16, 11, 14, 7, 13, 25, 24,
    1, 2, 15, 21, 2, 11, 16, 14, 2, 3, 18, 5, 7, 25, 13, 24,
    6, 21, 21, 23, 7, 9, 22, 21, 7, 22, 9, 21, 8, 7, 7, 6,
    1, 2, 2, 7, 15, 18, 16, 13, 2, 3, 11, 25, 21, 5, 14, 24,
    10, 18, 11, 9, 18, 20, 19, 18, 11, 19, 12, 11, 9, 18, 11, 10,
    2, 3, 16, 22, 16, 19, 17, 16, 3, 4, 19, 3, 22, 3, 16, 2,
    24, 5, 14, 21, 13, 18, 16, 15, 25, 3, 11, 2, 7, 2, 2, 1,
];

/// The larger of the two directed, area-weighted 95th percentiles in mm. Neither mask may be empty.
/// Along a flat axis the masks have no surface.
pub(super) fn hd95(region: &Region, spacing: [f64; 3], flat: [bool; 3]) -> f64 {
    let areas = areas(spacing);
    let segmentation = codes(&region.segmentation, region.shape, flat);
    let reference = codes(&region.reference, region.shape, flat);
    let sites = |codes: &[u8]| -> Vec<bool> { codes.iter().map(|&c| c != 0 && c != 255).collect() };
    let (segmentation_sites, reference_sites) = (sites(&segmentation), sites(&reference));
    let directed = |from: &[bool], codes: &[u8], to: &[bool]| {
        let nearest = nearest(to, from, region.shape, spacing);
        weighted(nearest.into_iter().map(|n| (n.mm, areas[usize::from(codes[n.voxel])])).collect())
    };
    directed(&segmentation_sites, &segmentation, &reference_sites).max(directed(
        &reference_sites,
        &reference,
        &segmentation_sites,
    ))
}

/// The distance at which the cumulative area of the sorted elements reaches 95 % of the total.
fn weighted(mut elements: Vec<(f64, f64)>) -> f64 {
    elements.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let total = pairwise_sum(&elements);
    let mut covered = 0.0;
    for &(distance, area) in &elements {
        covered += area;
        if covered / total >= 0.95 {
            return distance;
        }
    }
    elements.last().map_or(f64::NAN, |e| e.0)
}

/// Sums areas in numpy's order, so that exactly 95 % is reached at the same element.
fn pairwise_sum(elements: &[(f64, f64)]) -> f64 {
    let n = elements.len();
    if n < 8 {
        return elements.iter().fold(0.0, |sum, e| sum + e.1);
    }
    if n > 128 {
        let half = n / 2 - (n / 2) % 8;
        return pairwise_sum(&elements[..half]) + pairwise_sum(&elements[half..]);
    }
    let mut sums: [f64; 8] = std::array::from_fn(|lane| elements[lane].1);
    let blocks = elements[8..].chunks_exact(8);
    let rest = blocks.remainder();
    for block in blocks {
        for (sum, element) in sums.iter_mut().zip(block) {
            *sum += element.1;
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    rest.iter().fold(sum, |sum, e| sum + e.1)
}

/// Area in mm^2 of the surface in each neighbourhood.
fn areas([x, y, z]: [f64; 3]) -> [f64; 256] {
    let faces = [y * z, x * z, x * y];
    let lengths = DIRECTIONS.map(|d| (0..3).map(|axis| (d[axis] * faces[axis]).powi(2)).sum::<f64>().sqrt());
    std::array::from_fn(|code| {
        let kind = KINDS[usize::from(KIND_OF_CODE[code.min(255 - code)])];
        kind.iter().zip(lengths).map(|(&eighths, length)| f64::from(eighths) / 8.0 * length).sum()
    })
}

/// The neighbourhood code at each corner point. Entry (i, j, k) covers voxels i - 1 and i, j - 1 and j, k - 1 and k; the first
/// of the eight is the highest bit, and k changes fastest. Along a flat axis both voxels are the same. The mask must have a
/// margin of background.
fn codes(mask: &[bool], [nx, ny, _]: [usize; 3], flat: [bool; 3]) -> Vec<u8> {
    let strides = [1, nx, nx * ny];
    let [i, j, k] = [0, 1, 2].map(|a| if flat[a] { 0 } else { strides[a] });
    let first = 1 + nx + nx * ny;
    let mut out = vec![0; mask.len()];
    parallel::chunks_mut(&mut out[first..], 1 << 15, |chunk, out| {
        let start = first + (chunk << 15);
        for (bit, offset) in [0, k, j, j + k, i, i + k, i + j, i + j + k].into_iter().enumerate() {
            for (code, &inside) in out.iter_mut().zip(&mask[start - offset..]) {
                *code |= u8::from(inside) << bit;
            }
        }
    });
    out
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_area_of_a_planar_surface_is_that_of_its_voxel_faces() {
        let areas = areas([2.0, 3.0, 5.0]);
        assert_eq!((areas[0], areas[255]), (0.0, 0.0));
        // The upper four bits are the voxels before along i, then j, then k.
        assert!((areas[0b1111_0000] - 15.0).abs() < 1e-12);
        assert!((areas[0b1100_1100] - 10.0).abs() < 1e-12);
        assert!((areas[0b1010_1010] - 6.0).abs() < 1e-12);
        // One corner cuts off a triangle: an eighth of each face.
        let corner = (15.0_f64.powi(2) + 100.0 + 36.0).sqrt() / 8.0;
        assert!((areas[1] - corner).abs() < 1e-12 && (areas[127] - corner).abs() < 1e-12);
    }

    #[test]
    fn a_code_has_one_bit_per_voxel_around_the_corner() {
        let mut mask = vec![false; 27];
        mask[13] = true;
        let codes = codes(&mask, [3, 3, 3], [false; 3]);
        assert_eq!((codes[13], codes[26]), (1, 128));
        assert_eq!((codes[14], codes[16], codes[22]), (16, 4, 2));
        assert_eq!(codes.iter().filter(|c| **c != 0).count(), 8);
    }

    #[test]
    fn the_percentile_is_weighted_by_area() {
        assert_eq!(weighted(vec![(5.0, 1.0), (1.0, 94.0), (3.0, 5.0)]), 3.0);
        assert_eq!(weighted(vec![(1.0, 96.0), (9.0, 4.0)]), 1.0);
        let many: Vec<(f64, f64)> = (0..1000).map(|n| (f64::from(n), 0.5)).collect();
        assert!((pairwise_sum(&many) - 500.0).abs() < 1e-9);
        assert_eq!(weighted(many), 949.0);
    }
}
