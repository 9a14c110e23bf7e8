//! Agreement of a segmentation with the reference, on whole 3-D masks (paper, section 4.6, Eqs. 10 to 13).
//!
//! | measure | definition | empty masks |
//! |---|---|---|
//! | DSC (Eq. 10) | (2 TP + e) / (T + P + e), e = 1e-4 | both empty: 1 |
//! | sensitivity (Eq. 11) | (TP + e) / (TP + FN + e) | no reference: 1, noted |
//! | precision | TP / P | no segmentation: 1 without reference, else 0, noted |
//! | boundary IoU (Eq. 12) | IoU of the inner bands, see [`boundary`] | both empty: 1; one empty: 0 |
//! | HD95 (Eq. 13) | 95th percentile of surface distances, see [`surface`] | both empty: 0; one empty: the scan's diagonal, noted |
//! | lesions | 26-connected components, detected by any overlap | none to find: all zero |
//!
//! Distances are in mm along the grid's axes with the spacing of each axis, ignoring shear. Along an axis of one voxel a mask
//! has neither surface nor boundary band.

pub mod boundary;
pub mod consensus;
pub(crate) mod distance;
mod region;
pub mod surface;
mod surfel;

pub use crate::findings::{Counts, Lesions};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::findings::check_len;
use crate::findings::comparison::Overlaps;
use crate::volume::Grid;
use boundary::{Boundary, BoundaryIou};
use region::Region;
use surface::Hd95;

/// Keeps ratios of empty masks defined (Eqs. 10 and 11).
const EPSILON: f64 = 1e-4;

/// Variants of the measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which 95th percentile is the Hausdorff distance.
    pub hd95: Hd95,
    /// Neighbourhood of the boundary band.
    pub boundary: Boundary,
    /// Width of the boundary band in voxels along every axis. The default is 2 % of the diagonal of an axial slice, in voxels of
    /// each axis.
    pub boundary_width: Option<usize>,
}

/// All measures of one pair of masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Dice similarity coefficient (Eq. 10).
    pub dsc: f64,
    /// Sensitivity (Eq. 11).
    pub sensitivity: f64,
    /// Fraction of the segmentation that is in the reference.
    pub precision: f64,
    /// Boundary IoU (Eq. 12).
    pub boundary_iou: f64,
    /// 95th percentile Hausdorff distance in mm (Eq. 13).
    pub hd95_mm: f64,
    /// Volume of the segmentation in ml.
    pub volume_ml: f64,
    /// Volume of the reference in ml.
    pub truth_volume_ml: f64,
    /// Lesion-wise detection.
    pub lesions: Lesions,
    /// Values that are conventions rather than measurements, one short sentence each.
    pub notes: Vec<String>,
}

impl Counts {
    /// Dice similarity coefficient (Eq. 10).
    pub fn dsc(&self) -> f64 {
        (2.0 * self.both as f64 + EPSILON) / ((self.reference + self.segmentation) as f64 + EPSILON)
    }

    /// Sensitivity (Eq. 11); 1 without reference.
    pub fn sensitivity(&self) -> f64 {
        (self.both as f64 + EPSILON) / (self.reference as f64 + EPSILON)
    }

    /// Precision; without a segmentation 1 if there is no reference either, else 0.
    pub fn precision(&self) -> f64 {
        if self.segmentation == 0 {
            return if self.reference == 0 { 1.0 } else { 0.0 };
        }
        self.both as f64 / self.segmentation as f64
    }

    /// Notes on the conventions applied to empty masks.
    fn notes(&self) -> Vec<String> {
        let (no_reference, no_segmentation) = (self.reference == 0, self.segmentation == 0);
        let mut notes = Vec::new();
        if no_reference {
            notes.push("no reference, so sensitivity is set to 1".to_owned());
        }
        if no_segmentation {
            let value = if no_reference { "1, because there is no reference" } else { "0" };
            notes.push(format!("no segmentation, so precision is set to {value}"));
        }
        if no_reference != no_segmentation {
            notes.push("one mask is empty, so HD95 is set to the scan's diagonal".to_owned());
        }
        notes
    }
}

/// Measures a segmentation against the reference, both in the memory order of `grid` (true inside).
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// If a mask does not have one entry per voxel, or the boundary width is 0.
pub fn measure(segmentation: &[bool], reference: &[bool], grid: &Grid, options: &Options) -> Result<Measures> {
    check_len(segmentation.len(), grid)?;
    check_len(reference.len(), grid)?;
    let widths = boundary::widths(grid, options)?;
    let counts = Counts::of(segmentation, reference);
    let region = Region::around(segmentation, reference, grid.shape);
    let overlaps = || Overlaps::new(&region.segmentation, &region.reference, region.shape);
    let (boundary, (hd95_mm, lesions)) = rayon::join(
        || boundary::iou(&region, widths),
        || rayon::join(|| surface::hd95(&region, &counts, grid, options.hd95), || overlaps().lesions()),
    );
    let mut notes = counts.notes();
    if counts.segmentation > 0 && counts.reference > 0 && surface::flat_axes(grid).contains(&true) {
        notes.push("in a single slice, the surface is the contour in the plane".to_owned());
    }
    if boundary.covers_masks {
        notes.push("the boundary band is as wide as the masks, so boundary IoU is their IoU".to_owned());
    }
    Ok(Measures {
        dsc: counts.dsc(),
        sensitivity: counts.sensitivity(),
        precision: counts.precision(),
        boundary_iou: boundary.iou,
        hd95_mm,
        volume_ml: counts.segmentation as f64 * grid.voxel_volume_ml(),
        truth_volume_ml: counts.reference as f64 * grid.voxel_volume_ml(),
        lesions,
        notes,
    })
}

/// The boundary IoU (Eq. 12) alone, as in [`measure`].
///
/// # Errors
/// As [`measure`].
pub fn boundary_iou(segmentation: &[bool], reference: &[bool], grid: &Grid, options: &Options) -> Result<BoundaryIou> {
    check_len(segmentation.len(), grid)?;
    check_len(reference.len(), grid)?;
    let widths = boundary::widths(grid, options)?;
    Ok(boundary::iou(&Region::around(segmentation, reference, grid.shape), widths))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use glam::{DAffine3, DVec3};
    use proptest::prelude::*;

    fn grid(shape: [usize; 3]) -> Grid {
        Grid { shape, world_from_voxel: DAffine3::from_scale(DVec3::new(1.0, 2.0, 5.0)), oriented: true }
    }

    fn all_options() -> impl Iterator<Item = Options> {
        [Hd95::Directed, Hd95::Pooled, Hd95::Area].into_iter().flat_map(|hd95| {
            [Boundary::Volume, Boundary::Slice].map(|boundary| Options { hd95, boundary, boundary_width: None })
        })
    }

    #[test]
    fn empty_masks_follow_the_conventions() {
        let grid = grid([4, 3, 2]);
        let empty = vec![false; 24];
        let mut one = empty.clone();
        one[5] = true;
        for options in all_options() {
            let both = measure(&empty, &empty, &grid, &options).unwrap();
            assert_eq!((both.dsc, both.sensitivity, both.precision), (1.0, 1.0, 1.0));
            assert_eq!((both.boundary_iou, both.hd95_mm, both.lesions), (1.0, 0.0, Lesions::default()));
            assert_eq!(both.notes.len(), 2, "{:?}", both.notes);
            let diagonal = (16.0_f64 + 36.0 + 100.0).sqrt();
            let extra = measure(&one, &empty, &grid, &options).unwrap();
            assert!(extra.dsc < 2e-4 && extra.sensitivity == 1.0 && extra.precision == 0.0);
            assert_eq!((extra.boundary_iou, extra.hd95_mm), (0.0, diagonal));
            assert_eq!(extra.lesions, Lesions { tp: 0, fp: 1, missed: 0 });
            assert_eq!(extra.notes.len(), 2, "{:?}", extra.notes);
            let missed = measure(&empty, &one, &grid, &options).unwrap();
            assert!(missed.dsc < 2e-4 && missed.sensitivity < 2e-4 && missed.precision == 0.0);
            assert_eq!((missed.boundary_iou, missed.hd95_mm), (0.0, diagonal));
            assert_eq!(missed.lesions, Lesions { tp: 0, fp: 0, missed: 1 });
            assert_eq!(missed.notes.len(), 2, "{:?}", missed.notes);
        }
    }

    #[test]
    fn lesions_are_detected_by_any_overlap() {
        // Along a line: one segmented component hits two reference lesions, one lesion is missed, one component is false.
        let reference: Vec<bool> = "1101100110000".chars().map(|c| c == '1').collect();
        let segmentation: Vec<bool> = "0111000000011".chars().map(|c| c == '1').collect();
        let measured = measure(&segmentation, &reference, &grid([13, 1, 1]), &Options::default()).unwrap();
        assert_eq!(measured.lesions, Lesions { tp: 2, fp: 1, missed: 1 });
        assert!(measured.notes[0].starts_with("in a single slice"), "{:?}", measured.notes);
        assert!((measured.volume_ml - 0.05).abs() < 1e-12 && (measured.truth_volume_ml - 0.06).abs() < 1e-12);
        assert_eq!(measured.precision, 0.4);
    }

    /// Two discs of radius 20, one with a spike. In 3-D every voxel of a slice is surface, which hides the spike.
    #[test]
    fn a_single_slice_is_measured_in_its_plane() {
        let disc = |n: usize| (n % 64).abs_diff(32).pow(2) + (n / 64).abs_diff(32).pow(2) <= 400;
        let reference: Vec<bool> = (0..64 * 64).map(disc).collect();
        let segmentation: Vec<bool> =
            (0..64 * 64).map(|n| disc(n) || (n % 64 > 45 && (n / 64).abs_diff(32) < 7)).collect();
        let pixels = |mask: &[bool], ring: bool| -> Vec<[f64; 2]> {
            let inside = |i: usize, j: usize| mask[i + 64 * j];
            let edge = |n: usize| {
                let (i, j) = (n % 64, n / 64);
                i == 0
                    || j == 0
                    || i == 63
                    || j == 63
                    || !(inside(i - 1, j) && inside(i + 1, j) && inside(i, j - 1) && inside(i, j + 1))
            };
            (0..64 * 64)
                .filter(|&n| mask[n] && (!ring || edge(n)))
                .map(|n| [(n % 64) as f64, (n / 64) as f64 * 2.0])
                .collect()
        };
        // By definition, from the contours.
        let directed = |from: &[[f64; 2]], to: &[[f64; 2]]| {
            let nearest =
                |a: &[f64; 2]| to.iter().map(|b| (a[0] - b[0]).hypot(a[1] - b[1])).fold(f64::INFINITY, f64::min);
            crate::volume::percentile(&mut from.iter().map(nearest).collect::<Vec<_>>(), 95.0).unwrap()
        };
        let (s, r) = (pixels(&segmentation, true), pixels(&reference, true));
        let expected = directed(&s, &r).max(directed(&r, &s));
        let actual = measure(&segmentation, &reference, &grid([64, 64, 1]), &Options::default()).unwrap();
        assert!((actual.hd95_mm - expected).abs() < 1e-9 && expected > 3.0, "{} {expected}", actual.hd95_mm);
        assert!(actual.boundary_iou < actual.dsc && actual.notes.len() == 1, "{actual:?}");
        let area =
            measure(&segmentation, &reference, &grid([64, 64, 1]), &Options { hd95: Hd95::Area, ..Options::default() });
        assert!(area.unwrap().hd95_mm > 3.0);
    }

    #[test]
    fn a_boundary_band_as_wide_as_the_mask_is_noted() {
        // Two slices of 5 mm. Erosion by voxels removes everything; by 1.8 mm it keeps the inside of each slice.
        let shape = [40, 40, 4];
        let slab = |shift: usize| -> Vec<bool> {
            let inside = |n: usize| {
                let (i, j, k) = (n % 40, n / 40 % 40, n / 1600);
                (8 + shift..32 + shift).contains(&i) && (8..32).contains(&j) && (1..3).contains(&k)
            };
            (0..40 * 40 * 4).map(inside).collect()
        };
        let run = |boundary_width| {
            let options = Options { boundary_width, ..Options::default() };
            measure(&slab(2), &slab(0), &grid(shape), &options).unwrap()
        };
        let iou = |m: &Measures| m.dsc / (2.0 - m.dsc);
        let (voxels, spacing) = (run(Some(2)), run(None));
        assert!((voxels.boundary_iou - iou(&voxels)).abs() < 1e-6 && voxels.notes[0].starts_with("the boundary band"));
        assert!(spacing.boundary_iou < 0.7 * iou(&spacing) && spacing.notes.is_empty(), "{spacing:?}");
        let by_slice = Options { boundary: Boundary::Slice, boundary_width: Some(2), ..Options::default() };
        let alone = boundary_iou(&slab(2), &slab(0), &grid(shape), &by_slice).unwrap();
        let all = measure(&slab(2), &slab(0), &grid(shape), &by_slice).unwrap();
        assert!(alone.iou == all.boundary_iou && alone.iou < voxels.boundary_iou && !alone.covers_masks, "{alone:?}");
    }

    #[test]
    fn masks_of_the_wrong_size_and_a_zero_width_are_refused() {
        let grid = grid([2, 2, 2]);
        assert!(measure(&[true; 7], &[true; 8], &grid, &Options::default()).is_err());
        let options = Options { boundary_width: Some(0), ..Options::default() };
        let error = measure(&[true; 8], &[true; 8], &grid, &options).unwrap_err();
        assert!(error.to_string().starts_with("boundary-width = 0"), "{error}");
    }

    proptest! {
        #[test]
        fn measures_are_bounded_symmetric_and_shift_with_the_masks(
            p in proptest::collection::vec(proptest::bool::weighted(0.3), 5 * 4 * 3),
            t in proptest::collection::vec(proptest::bool::weighted(0.3), 5 * 4 * 3),
        ) {
            let small = grid([5, 4, 3]);
            for options in all_options().map(|o| Options { boundary_width: Some(1), ..o }) {
                let forth = measure(&p, &t, &small, &options).unwrap();
                let back = measure(&t, &p, &small, &options).unwrap();
                prop_assert_eq!(forth.dsc, back.dsc);
                prop_assert_eq!(forth.boundary_iou, back.boundary_iou);
                prop_assert!((forth.hd95_mm - back.hd95_mm).abs() < 1e-12);
                for share in [forth.dsc, forth.sensitivity, forth.precision, forth.boundary_iou] {
                    prop_assert!((0.0..=1.0).contains(&share));
                }
                let same = measure(&t, &t, &small, &options).unwrap();
                prop_assert_eq!((same.dsc, same.boundary_iou, same.hd95_mm), (1.0, 1.0, 0.0));
                prop_assert_eq!((same.lesions.fp, same.lesions.missed), (0, 0));
                // The same masks inside a larger grid measure the same, except for the diagonal of an empty one.
                let large = grid([9, 9, 6]);
                let embed = |mask: &[bool]| {
                    let mut out = vec![false; large.len()];
                    for n in (0..mask.len()).filter(|&n| mask[n]) {
                        out[large.index([n % 5 + 2, n / 5 % 4 + 3, n / 20 + 1])] = true;
                    }
                    out
                };
                let moved = measure(&embed(&p), &embed(&t), &large, &options).unwrap();
                if p.contains(&true) && t.contains(&true) {
                    prop_assert_eq!(moved, forth);
                }
            }
        }
    }
}
