//! Agreement of a predicted mask with the truth, on whole 3-D masks (paper, section 4.6, Eqs. 10 to 13).
//!
//! | measure | definition | empty masks |
//! |---|---|---|
//! | DSC (Eq. 10) | (2 TP + e) / (T + P + e), e = 1e-4 | both empty: 1 |
//! | sensitivity (Eq. 11) | (TP + e) / (TP + FN + e) | no truth: 1, noted |
//! | precision | TP / P | no prediction: 1 without truth, else 0, noted |
//! | boundary IoU (Eq. 12) | IoU of the inner bands, see [`boundary`] | both empty: 1; one empty: 0 |
//! | HD95 (Eq. 13) | 95th percentile of surface distances, see [`surface`] | both empty: 0; one empty: the scan's diagonal, noted |
//! | lesions | 26-connected components, detected by any overlap | none to find: all zero |
//!
//! Distances are in mm along the grid's axes with the spacing of each axis, so a sheared grid is taken as straight.

pub mod boundary;
mod distance;
mod region;
pub mod surface;
mod surfel;

pub use crate::findings::{Counts, Lesions};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::findings::check_len;
use crate::findings::comparison::Overlaps;
use crate::volume::Grid;
use boundary::Boundary;
use region::Region;
use surface::Hd95;

/// Keeps ratios of empty masks defined (Eqs. 10 and 11).
const EPSILON: f64 = 1e-4;

/// Which variants to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which 95th percentile is the Hausdorff distance.
    pub hd95: Hd95,
    /// In which neighbourhood the boundary band is taken.
    pub boundary: Boundary,
    /// Width of the boundary band in voxels; by default [`boundary::default_width`].
    pub boundary_width: Option<usize>,
}

/// All measures of one pair of masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Dice similarity coefficient (Eq. 10).
    pub dsc: f64,
    /// Sensitivity (Eq. 11).
    pub sensitivity: f64,
    /// Share of the prediction that is true.
    pub precision: f64,
    /// Boundary IoU (Eq. 12).
    pub boundary_iou: f64,
    /// 95th percentile Hausdorff distance in mm (Eq. 13).
    pub hd95_mm: f64,
    /// Volume of the prediction in ml.
    pub volume_ml: f64,
    /// Volume of the truth in ml.
    pub truth_volume_ml: f64,
    /// Lesion-wise detection.
    pub lesions: Lesions,
    /// Values that are conventions rather than measurements, one short sentence each.
    pub notes: Vec<String>,
}

impl Counts {
    /// Dice similarity coefficient (Eq. 10).
    pub fn dsc(&self) -> f64 {
        (2.0 * self.both as f64 + EPSILON) / ((self.truth + self.prediction) as f64 + EPSILON)
    }

    /// Sensitivity (Eq. 11); 1 without truth.
    pub fn sensitivity(&self) -> f64 {
        (self.both as f64 + EPSILON) / (self.truth as f64 + EPSILON)
    }

    /// Precision; without a prediction 1 if there is no truth either, else 0.
    pub fn precision(&self) -> f64 {
        if self.prediction == 0 {
            return if self.truth == 0 { 1.0 } else { 0.0 };
        }
        self.both as f64 / self.prediction as f64
    }

    /// The conventions that empty masks called for.
    fn notes(&self) -> Vec<String> {
        let (no_truth, no_prediction) = (self.truth == 0, self.prediction == 0);
        let mut notes = Vec::new();
        if no_truth {
            notes.push("no truth: sensitivity is set to 1".to_owned());
        }
        if no_prediction {
            let value = if no_truth { "1, as there is no truth" } else { "0" };
            notes.push(format!("no prediction: precision is set to {value}"));
        }
        if no_truth != no_prediction {
            notes.push("one mask is empty: hd95_mm is set to the scan's diagonal".to_owned());
        }
        notes
    }
}

/// Measures a predicted mask against the truth, both in the memory order of `grid` (true inside).
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// If a mask does not have one entry a voxel, or the boundary width is 0.
pub fn measure(prediction: &[bool], truth: &[bool], grid: &Grid, options: &Options) -> Result<Measures> {
    check_len(prediction.len(), grid)?;
    check_len(truth.len(), grid)?;
    let width = boundary::width(grid, options)?;
    let counts = Counts::of(prediction, truth);
    let region = Region::around(prediction, truth, grid.shape);
    let overlaps = || Overlaps::new(&region.prediction, &region.truth, region.shape);
    let (boundary_iou, (hd95_mm, lesions)) = rayon::join(
        || boundary::iou(&region, grid, options.boundary, width),
        || rayon::join(|| surface::hd95(&region, &counts, grid, options.hd95), || overlaps().lesions()),
    );
    Ok(Measures {
        dsc: counts.dsc(),
        sensitivity: counts.sensitivity(),
        precision: counts.precision(),
        boundary_iou,
        hd95_mm,
        volume_ml: counts.prediction as f64 * grid.voxel_volume_ml(),
        truth_volume_ml: counts.truth as f64 * grid.voxel_volume_ml(),
        lesions,
        notes: counts.notes(),
    })
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
        // Along a line: one prediction hits two true lesions; one true lesion is missed; one prediction is invented.
        let truth: Vec<bool> = "1101100110000".chars().map(|c| c == '1').collect();
        let prediction: Vec<bool> = "0111000000011".chars().map(|c| c == '1').collect();
        let measured = measure(&prediction, &truth, &grid([13, 1, 1]), &Options::default()).unwrap();
        assert_eq!(measured.lesions, Lesions { tp: 2, fp: 1, missed: 1 });
        assert!(measured.notes.is_empty());
        assert!((measured.volume_ml - 0.05).abs() < 1e-12 && (measured.truth_volume_ml - 0.06).abs() < 1e-12);
        assert_eq!(measured.precision, 0.4);
    }

    #[test]
    fn unusable_arguments_are_refused() {
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
