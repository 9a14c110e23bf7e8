//! Comparison of a segmentation with a reference, lesion by lesion and slice by slice.
//!
//! A lesion is a 26-connected component over all labels. A lesion of either mask is hit if it overlaps any label of the other
//! by [`HIT_VOXELS`] or more. Evaluation uses the same [`Overlaps`].

use serde::{Deserialize, Serialize};

use super::{Components, Finding, check_len, measured};
use crate::Result;
use crate::volume::{Grid, LabelVolume};

/// Voxels that two lesions must share for one to hit the other.
pub const HIT_VOXELS: usize = 1;

/// Lesion-wise detection. A lesion is hit by an overlap of [`HIT_VOXELS`] or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesions {
    /// Reference lesions that the segmentation hits.
    pub tp: usize,
    /// False-positive lesions: components of the segmentation without any reference voxel.
    pub fp: usize,
    /// Reference lesions that the segmentation misses.
    #[serde(rename = "fn")]
    pub missed: usize,
}

/// The components of a segmentation and a reference, and their overlaps with the other mask.
pub struct Overlaps {
    /// Components of the reference.
    pub reference: Components,
    /// Components of the segmentation.
    pub segmentation: Components,
    /// For each component of the reference, its number of voxels in the segmentation.
    pub of_reference: Vec<usize>,
    /// For each component of the segmentation, its number of voxels in the reference.
    pub of_segmentation: Vec<usize>,
}

impl Overlaps {
    /// Finds the components of two masks of one shape (first axis fastest, true inside).
    pub fn new(segmentation: &[bool], reference: &[bool], shape: [usize; 3]) -> Self {
        let of = |mask, other| {
            let components = Components::new(mask, shape);
            let overlaps = components.overlaps(other);
            (components, overlaps)
        };
        let ((reference, of_reference), (segmentation, of_segmentation)) =
            rayon::join(|| of(reference, segmentation), || of(segmentation, reference));
        Self { reference, segmentation, of_reference, of_segmentation }
    }

    /// Counts hit, missed and false-positive lesions.
    pub fn lesions(&self) -> Lesions {
        let hits = |overlaps: &[usize]| overlaps.iter().filter(|&&voxels| is_hit(voxels)).count();
        let (tp, right) = (hits(&self.of_reference), hits(&self.of_segmentation));
        Lesions { tp, fp: self.of_segmentation.len() - right, missed: self.of_reference.len() - tp }
    }
}

/// Defines a hit, for evaluation and viewer alike.
fn is_hit(overlap_voxels: usize) -> bool {
    overlap_voxels >= HIT_VOXELS
}

/// Voxel counts of a pair of masks, or of one slice of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Voxels of the segmentation (P).
    pub segmentation: usize,
    /// Voxels of the reference (T).
    pub reference: usize,
    /// Voxels of both (TP).
    pub both: usize,
}

impl Counts {
    /// Counts two masks of the same length.
    pub fn of(segmentation: &[bool], reference: &[bool]) -> Self {
        let count = |mask: &[bool]| mask.iter().filter(|&&v| v).count();
        let both = segmentation.iter().zip(reference).filter(|&(&p, &t)| p & t).count();
        Self { both, segmentation: count(segmentation), reference: count(reference) }
    }

    /// 2 both / (segmentation + reference); `None` where both are empty. [`Counts::dsc`] has the constant of Eq. 10.
    pub fn dice(&self) -> Option<f64> {
        let sum = self.segmentation + self.reference;
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }

    /// Number of voxels on which the masks disagree.
    pub fn wrong(&self) -> usize {
        self.segmentation + self.reference - 2 * self.both
    }
}

/// Counts pairs of (in the segmentation, in the reference).
impl FromIterator<(bool, bool)> for Counts {
    fn from_iter<I: IntoIterator<Item = (bool, bool)>>(voxels: I) -> Self {
        voxels.into_iter().fold(Self::default(), |counts, (segmentation, reference)| Self {
            segmentation: counts.segmentation + usize::from(segmentation),
            reference: counts.reference + usize::from(reference),
            both: counts.both + usize::from(segmentation & reference),
        })
    }
}

/// A lesion of one mask and its overlap with the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatchedFinding {
    /// The lesion.
    pub finding: Finding,
    /// Number of its voxels that have any label in the other mask.
    pub overlap_voxels: usize,
}

impl MatchedFinding {
    /// True if the other mask overlaps it.
    pub fn is_hit(&self) -> bool {
        is_hit(self.overlap_voxels)
    }

    /// Fraction of the lesion in the other mask, 0 to 1.
    pub fn overlap(&self) -> f64 {
        self.overlap_voxels as f64 / self.finding.voxels as f64
    }
}

/// Agreement of a segmentation with a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// One entry per axial slice in canonical order, from feet to head.
    pub slices: Vec<Counts>,
    /// The lesions of the segmentation, as [`super::findings`] lists them.
    pub segmentation: Vec<MatchedFinding>,
    /// The lesions of the reference.
    pub reference: Vec<MatchedFinding>,
    /// Voxels in both masks with different labels.
    pub mislabelled_voxels: usize,
}

impl Comparison {
    /// Dice of each axial slice in canonical order; `None` where both masks are empty.
    pub fn slice_dice(&self) -> Vec<Option<f64>> {
        self.slices.iter().map(Counts::dice).collect()
    }

    /// Canonical numbers of the slices where either mask has a voxel, lowest Dice first. Ties go to the slice with more wrong
    /// voxels, then to the lower number.
    pub fn worst_first(&self) -> Vec<usize> {
        let mut order: Vec<(f64, usize, usize)> = self
            .slices
            .iter()
            .enumerate()
            .filter_map(|(number, slice)| Some((slice.dice()?, slice.wrong(), number)))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        order.into_iter().map(|(_, _, number)| number).collect()
    }

    /// Counts the lesions of at least `minimum_ml`: hits and misses of the reference, and false positives of the segmentation.
    /// A lesion is hit by a segmented lesion of any size.
    pub fn lesions(&self, minimum_ml: f64) -> Lesions {
        let count = |lesions: &[MatchedFinding], hit: bool| {
            lesions.iter().filter(|l| l.finding.volume_ml >= minimum_ml && l.is_hit() == hit).count()
        };
        Lesions {
            tp: count(&self.reference, true),
            fp: count(&self.segmentation, false),
            missed: count(&self.reference, false),
        }
    }
}

/// Compares a segmentation with a reference of the same shape. The result does not depend on the number of threads.
///
/// # Errors
/// If the masks do not have the same number of voxels.
pub fn compare(segmentation: &LabelVolume, reference: &LabelVolume) -> Result<Comparison> {
    let grid = &segmentation.grid;
    check_len(segmentation.len(), grid)?;
    check_len(reference.len(), grid)?;
    // Voxels outside both masks are visited only once, while the components are found.
    let (segmented, referenced) =
        rayon::join(|| Components::of_labels(segmentation), || Components::of_labels(reference));
    let slices = grid.axial_slices();
    let (mut counts, mut mislabelled_voxels) = (vec![Counts::default(); slices.count], 0);
    let in_segmentation = matched(&segmented, grid, |slice, at| {
        let (label, reference_label) = (segmentation.get(at), reference.get(at));
        counts[slices.canonical(slice)].segmentation += 1;
        counts[slices.canonical(slice)].both += usize::from(reference_label != 0);
        mislabelled_voxels += usize::from(reference_label != 0 && reference_label != label);
        reference_label != 0
    });
    let in_reference = matched(&referenced, grid, |slice, at| {
        counts[slices.canonical(slice)].reference += 1;
        segmentation.get(at) != 0
    });
    Ok(Comparison { mislabelled_voxels, slices: counts, segmentation: in_segmentation, reference: in_reference })
}

/// The lesions of a mask with their overlap. `is_in_other` takes a voxel's stored axial slice and memory position.
fn matched(
    components: &Components,
    grid: &Grid,
    mut is_in_other: impl FnMut(usize, usize) -> bool,
) -> Vec<MatchedFinding> {
    let axis = grid.axial_slices().axis;
    let mut overlap = |c: usize| {
        let mut voxels = 0;
        for (run, range) in components.runs(c).iter().zip(components.ranges(c)) {
            for (n, at) in range.enumerate() {
                let slice = [run.i as usize + n, run.j as usize, run.k as usize][axis];
                voxels += usize::from(is_in_other(slice, at));
            }
        }
        voxels
    };
    let overlaps: Vec<usize> = (0..components.count()).map(&mut overlap).collect();
    let join = |(finding, overlap_voxels)| MatchedFinding { finding, overlap_voxels };
    measured(components, grid).into_iter().zip(overlaps).map(join).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::findings::{findings, mask_of};
    use crate::volume::{Grid, Orientation};
    use glam::{DAffine3, DVec3};
    use proptest::prelude::*;

    fn grid(shape: [usize; 3]) -> Grid {
        Grid::new(shape, DAffine3::from_scale(DVec3::new(1.0, 2.0, 5.0)))
    }

    fn boxes(grid: &Grid, all: &[([usize; 3], [usize; 3])]) -> Vec<bool> {
        let mut mask = vec![false; grid.len()];
        for (low, high) in all {
            for k in low[2]..high[2] {
                for j in low[1]..high[1] {
                    (low[0]..high[0]).for_each(|i| mask[grid.index([i, j, k])] = true);
                }
            }
        }
        mask
    }

    /// A lesion hit in part, one hit by a single voxel, one missed, and a false-positive lesion; slice 5 is empty.
    fn case() -> (Grid, Vec<bool>, Vec<bool>) {
        let grid = grid([10, 8, 6]);
        let reference = boxes(
            &grid,
            &[([0, 0, 0], [4, 4, 2]), ([7, 0, 3], [10, 2, 4]), ([0, 6, 4], [2, 8, 5]), ([9, 7, 0], [10, 8, 1])],
        );
        let segmentation = boxes(
            &grid,
            &[([0, 0, 0], [4, 2, 2]), ([9, 1, 3], [10, 2, 5]), ([5, 5, 2], [7, 7, 3]), ([9, 7, 0], [10, 8, 1])],
        );
        (grid, segmentation, reference)
    }

    fn compared(segmentation: &[bool], reference: &[bool], grid: &Grid) -> Comparison {
        compare(&mask_of(segmentation, grid), &mask_of(reference, grid)).unwrap()
    }

    #[test]
    fn hits_misses_and_false_positives_match_values_computed_by_hand() {
        let (grid, segmentation, reference) = case();
        let found = compared(&segmentation, &reference, &grid);
        assert_eq!(found.lesions(0.0), Lesions { tp: 3, fp: 1, missed: 1 });
        let of = |all: &[MatchedFinding]| -> Vec<(u32, usize, usize)> {
            all.iter().map(|m| (m.finding.number, m.finding.voxels, m.overlap_voxels)).collect()
        };
        assert_eq!(of(&found.reference), [(1, 32, 16), (2, 6, 1), (3, 4, 0), (4, 1, 1)]);
        assert_eq!(of(&found.segmentation), [(1, 16, 16), (2, 4, 0), (3, 2, 1), (4, 1, 1)]);
        assert!((found.reference[1].overlap() - 1.0 / 6.0).abs() < 1e-15);
        // They equal the findings of each mask.
        let own: Vec<Finding> = found.reference.iter().map(|m| m.finding.clone()).collect();
        assert_eq!(own, findings(&mask_of(&reference, &grid)));
        // Voxels of 10 mm3: with a minimum of four voxels, the hit of one voxel does not count, nor that of two.
        assert_eq!(found.lesions(0.04), Lesions { tp: 2, fp: 1, missed: 1 });
        assert_eq!(found.lesions(0.05), Lesions { tp: 2, fp: 0, missed: 0 });
    }

    #[test]
    fn a_mislabelled_lesion_is_neither_missed_nor_a_false_positive() {
        let grid = grid([4, 1, 1]);
        let labels = |values: [u8; 4]| LabelVolume::new(grid.clone(), values.to_vec()).unwrap();
        let found = compare(&labels([1, 1, 4, 0]), &labels([1, 2, 2, 2])).unwrap();
        assert_eq!((found.mislabelled_voxels, found.slices[0].both), (2, 3));
        let extra = compare(&labels([1, 1, 4, 3]), &labels([1, 2, 0, 0])).unwrap();
        assert_eq!((extra.mislabelled_voxels, extra.slices[0].both), (1, 2), "an extra voxel has no wrong label");
        assert_eq!(found.lesions(0.0), Lesions { tp: 1, fp: 0, missed: 0 });
    }

    #[test]
    fn slice_counts_match_values_computed_by_hand() {
        let (grid, segmentation, reference) = case();
        let found = compared(&segmentation, &reference, &grid);
        let counts: Vec<[usize; 3]> = found.slices.iter().map(|s| [s.segmentation, s.reference, s.both]).collect();
        assert_eq!(counts, [[9, 17, 9], [8, 16, 8], [4, 0, 0], [1, 6, 1], [1, 4, 0], [0, 0, 0]]);
        let dice = [Some(18.0 / 26.0), Some(16.0 / 24.0), Some(0.0), Some(2.0 / 7.0), Some(0.0), None];
        assert_eq!(found.slice_dice(), dice);
        // Slices 2 and 4 are equally bad; 4 has five wrong voxels, 2 has four.
        assert_eq!(found.worst_first(), [4, 2, 3, 1, 0]);
    }

    #[test]
    fn slices_count_from_the_feet_in_every_axis_order() {
        let (upright, segmentation, reference) = case();
        let expected = compared(&segmentation, &reference, &upright);
        for o in Orientation::all() {
            let grid = upright.reoriented(&o);
            let turn = |mask: &[bool]| o.apply(mask, upright.shape);
            let found = compared(&turn(&segmentation), &turn(&reference), &grid);
            assert_eq!((&found.slices, found.lesions(0.0)), (&expected.slices, expected.lesions(0.0)), "{o:?}");
            let missed =
                |all: &[MatchedFinding], g: &Grid| all.iter().find(|m| !m.is_hit()).map(|m| m.finding.axial_slice(g));
            let slice = |c: &Comparison, g: &Grid| (missed(&c.reference, g), missed(&c.segmentation, g));
            assert_eq!(slice(&found, &grid), slice(&expected, &upright), "{o:?}");
        }
    }

    #[test]
    fn empty_masks_have_no_dice_and_unequal_sizes_are_refused() {
        let grid = grid([3, 2, 2]);
        let found = compared(&[false; 12], &[false; 12], &grid);
        assert_eq!((found.lesions(0.0), found.slice_dice()), (Lesions::default(), vec![None, None]));
        assert!(found.worst_first().is_empty());
        let other = LabelVolume::new(Grid { shape: [3, 2, 3], ..grid.clone() }, vec![1_u8; 18]).unwrap();
        let error = compare(&mask_of(&[true; 12], &grid), &other).unwrap_err();
        assert!(error.to_string().contains("3 x 2 x 2"), "{error}");
    }

    proptest! {
        /// Compares with the definition on numbered components, and with the evaluation.
        #[test]
        fn detection_matches_its_definition(
            p in proptest::collection::vec(proptest::bool::weighted(0.12), 6 * 5 * 4),
            t in proptest::collection::vec(proptest::bool::weighted(0.12), 6 * 5 * 4),
        ) {
            let grid = grid([6, 5, 4]);
            let touched = |mask: &[bool], other: &[bool]| {
                let components = Components::new(mask, grid.shape);
                let numbers = components.numbers();
                let mut hit: Vec<u32> = numbers.iter().zip(other).filter(|(n, o)| **n > 0 && **o).map(|(n, _)| *n).collect();
                hit.sort_unstable();
                hit.dedup();
                (components.count(), hit)
            };
            let ((lesions, hit), (components, right)) = (touched(&t, &p), touched(&p, &t));
            let found = compared(&p, &t, &grid);
            let expected = Lesions { tp: hit.len(), fp: components - right.len(), missed: lesions - hit.len() };
            prop_assert_eq!(found.lesions(0.0), expected);
            let hits = |all: &[MatchedFinding]| -> Vec<u32> {
                all.iter().filter(|m| m.is_hit()).map(|m| m.finding.number).collect()
            };
            prop_assert_eq!(&hits(&found.reference), &hit);
            prop_assert_eq!(&hits(&found.segmentation), &right);
            let evaluated = crate::metrics::measure(&p, &t, &grid, &crate::metrics::Options::default()).unwrap();
            prop_assert_eq!(evaluated.lesions, expected);
        }
    }
}
