//! A predicted mask against the true one, as a reviewer looks at it: lesion by lesion and slice by slice.
//!
//! A lesion is a 26-connected component. A true lesion is hit, and a predicted one is right, by an overlap of
//! [`HIT_VOXELS`] or more; evaluation counts lesions by the same [`Overlaps`].

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Components, Finding, ValueAt, axial_axis, check_len, measure};
use crate::Result;
use crate::volume::Grid;

/// Voxels that two lesions must share for one to hit the other.
pub const HIT_VOXELS: usize = 1;

/// Lesion-wise detection: a true lesion is hit, and a predicted one is right, by an overlap of one voxel or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesions {
    /// True lesions that the prediction hits.
    pub tp: usize,
    /// Predicted components without any true voxel.
    pub fp: usize,
    /// True lesions that the prediction misses.
    #[serde(rename = "fn")]
    pub missed: usize,
}

/// The components of two masks, and how much of each lies in the other mask.
pub struct Overlaps {
    /// The true lesions.
    pub truth: Components,
    /// The predicted components.
    pub prediction: Components,
    /// Voxels of each true lesion that are predicted.
    pub of_truth: Vec<usize>,
    /// Voxels of each predicted component that are true.
    pub of_prediction: Vec<usize>,
}

impl Overlaps {
    /// Finds the components of two masks of one shape (first axis fastest, true inside).
    pub fn new(prediction: &[bool], truth: &[bool], shape: [usize; 3]) -> Self {
        let of = |mask, other| {
            let components = Components::new(mask, shape);
            let overlaps = components.overlaps(other);
            (components, overlaps)
        };
        let ((truth, of_truth), (prediction, of_prediction)) =
            rayon::join(|| of(truth, prediction), || of(prediction, truth));
        Self { truth, prediction, of_truth, of_prediction }
    }

    /// Counts hit, missed and invented lesions.
    pub fn lesions(&self) -> Lesions {
        let hits = |overlaps: &[usize]| overlaps.iter().filter(|&&voxels| is_hit(voxels)).count();
        let (tp, right) = (hits(&self.of_truth), hits(&self.of_prediction));
        Lesions { tp, fp: self.of_prediction.len() - right, missed: self.of_truth.len() - tp }
    }
}

/// The one rule by which a lesion counts as hit.
fn is_hit(overlap_voxels: usize) -> bool {
    overlap_voxels >= HIT_VOXELS
}

/// Voxel counts of a pair of masks, or of one slice of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Voxels of the prediction (P).
    pub prediction: usize,
    /// Voxels of the truth (T).
    pub truth: usize,
    /// Voxels of both (TP).
    pub both: usize,
}

impl Counts {
    /// Counts two masks of one length.
    pub fn of(prediction: &[bool], truth: &[bool]) -> Self {
        let count = |mask: &[bool]| mask.iter().filter(|&&v| v).count();
        let both = prediction.iter().zip(truth).filter(|&(&p, &t)| p & t).count();
        Self { both, prediction: count(prediction), truth: count(truth) }
    }

    /// 2 both / (prediction + truth); `None` where both are empty. [`Counts::dsc`] has the constant of Eq. 10.
    pub fn dice(&self) -> Option<f64> {
        let sum = self.prediction + self.truth;
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }

    /// Voxels on which the two masks disagree.
    pub fn wrong(&self) -> usize {
        self.prediction + self.truth - 2 * self.both
    }
}

/// Counts (predicted, true) voxel by voxel.
impl FromIterator<(bool, bool)> for Counts {
    fn from_iter<I: IntoIterator<Item = (bool, bool)>>(voxels: I) -> Self {
        voxels.into_iter().fold(Self::default(), |counts, (prediction, truth)| Self {
            prediction: counts.prediction + usize::from(prediction),
            truth: counts.truth + usize::from(truth),
            both: counts.both + usize::from(prediction & truth),
        })
    }
}

/// A true lesion that the prediction hits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The true lesion.
    pub finding: Finding,
    /// Its voxels that are predicted.
    pub overlap_voxels: usize,
}

impl Hit {
    /// Share of the lesion that is predicted: above 0, at most 1.
    pub fn overlap(&self) -> f64 {
        self.overlap_voxels as f64 / self.finding.voxels as f64
    }
}

/// How a prediction agrees with the truth. Findings keep the number that [`super::findings`] gives them among all
/// components of their own mask, and its order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// One entry an axial slice in canonical order, from feet to head.
    pub slices: Vec<Counts>,
    /// True lesions that the prediction hits.
    pub hits: Vec<Hit>,
    /// True lesions that the prediction misses.
    pub missed: Vec<Finding>,
    /// Predicted components without any true voxel.
    pub extra: Vec<Finding>,
    /// Their numbers, as evaluation counts them.
    pub lesions: Lesions,
}

impl Comparison {
    /// Dice of each axial slice in canonical order; `None` where both masks are empty.
    pub fn slice_dice(&self) -> Vec<Option<f64>> {
        self.slices.iter().map(Counts::dice).collect()
    }

    /// Canonical numbers of the slices where either mask has a voxel, lowest Dice first; of equal ones that with more
    /// wrong voxels, then the lower.
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
}

/// Compares a predicted mask with the truth, both in the memory order of `grid` (true inside). `image` is for
/// [`Finding::mean`].
///
/// The result does not depend on the number of threads.
///
/// # Errors
/// If a mask does not have one entry a voxel.
pub fn compare(prediction: &[bool], truth: &[bool], grid: &Grid, image: Option<ValueAt<'_>>) -> Result<Comparison> {
    check_len(prediction.len(), grid)?;
    check_len(truth.len(), grid)?;
    let count = |sum: &mut Counts, at: usize| {
        sum.prediction += usize::from(prediction[at]);
        sum.truth += usize::from(truth[at]);
        sum.both += usize::from(prediction[at] & truth[at]);
    };
    let join = |all: &mut Counts, sum: &Counts| {
        all.prediction += sum.prediction;
        all.truth += sum.truth;
        all.both += sum.both;
    };
    let (slices, overlaps) =
        rayon::join(|| grid.sum_axial(count, join), || Overlaps::new(prediction, truth, grid.shape));
    let axis = axial_axis(grid);
    let of = |components: &Components, overlap: &[usize], hit: bool| -> Vec<Finding> {
        let wanted: Vec<usize> = (0..components.count()).filter(|&c| is_hit(overlap[c]) == hit).collect();
        wanted.into_par_iter().map(|c| measure(components, c, grid, axis, image)).collect()
    };
    let hit = of(&overlaps.truth, &overlaps.of_truth, true);
    let overlap_voxels = overlaps.of_truth.iter().copied().filter(|&voxels| is_hit(voxels));
    Ok(Comparison {
        slices,
        hits: hit.into_iter().zip(overlap_voxels).map(|(finding, n)| Hit { finding, overlap_voxels: n }).collect(),
        missed: of(&overlaps.truth, &overlaps.of_truth, false),
        extra: of(&overlaps.prediction, &overlaps.of_prediction, false),
        lesions: overlaps.lesions(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::findings::findings;
    use crate::volume::Orientation;
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

    /// A lesion hit in part, one hit by a single voxel, one missed, and an invention; slice 5 is empty.
    fn case() -> (Grid, Vec<bool>, Vec<bool>) {
        let grid = grid([10, 8, 6]);
        let truth = boxes(
            &grid,
            &[([0, 0, 0], [4, 4, 2]), ([7, 0, 3], [10, 2, 4]), ([0, 6, 4], [2, 8, 5]), ([9, 7, 0], [10, 8, 1])],
        );
        let prediction = boxes(
            &grid,
            &[([0, 0, 0], [4, 2, 2]), ([9, 1, 3], [10, 2, 5]), ([5, 5, 2], [7, 7, 3]), ([9, 7, 0], [10, 8, 1])],
        );
        (grid, prediction, truth)
    }

    #[test]
    fn hits_misses_and_inventions_by_hand() {
        let (grid, prediction, truth) = case();
        let image = |v: [usize; 3]| v[2] as f64;
        let found = compare(&prediction, &truth, &grid, Some(&image)).unwrap();
        assert_eq!(found.lesions, Lesions { tp: 3, fp: 1, missed: 1 });
        let hits: Vec<(u32, usize, usize)> =
            found.hits.iter().map(|h| (h.finding.number, h.finding.voxels, h.overlap_voxels)).collect();
        assert_eq!(hits, [(1, 32, 16), (2, 6, 1), (4, 1, 1)]);
        assert!((found.hits[1].overlap() - 1.0 / 6.0).abs() < 1e-15);
        assert_eq!((found.missed.len(), found.extra.len()), (1, 1));
        let (missed, extra) = (&found.missed[0], &found.extra[0]);
        assert_eq!((missed.number, missed.voxels, missed.axial_slice(&grid), missed.mean), (3, 4, 4, Some(4.0)));
        assert_eq!((extra.number, extra.voxels, extra.axial_slice(&grid), extra.mean), (2, 4, 2, Some(2.0)));
        // They are the very findings of their own masks.
        assert_eq!(*missed, findings(&truth, &grid, Some(&image)).unwrap()[2]);
        assert_eq!(*extra, findings(&prediction, &grid, Some(&image)).unwrap()[1]);
    }

    #[test]
    fn slices_by_hand() {
        let (grid, prediction, truth) = case();
        let found = compare(&prediction, &truth, &grid, None).unwrap();
        let counts: Vec<[usize; 3]> = found.slices.iter().map(|s| [s.prediction, s.truth, s.both]).collect();
        assert_eq!(counts, [[9, 17, 9], [8, 16, 8], [4, 0, 0], [1, 6, 1], [1, 4, 0], [0, 0, 0]]);
        let dice = [Some(18.0 / 26.0), Some(16.0 / 24.0), Some(0.0), Some(2.0 / 7.0), Some(0.0), None];
        assert_eq!(found.slice_dice(), dice);
        // Slices 2 and 4 are equally bad; 4 has five wrong voxels, 2 has four.
        assert_eq!(found.worst_first(), [4, 2, 3, 1, 0]);
    }

    #[test]
    fn slices_count_from_the_feet_in_every_order() {
        let (upright, prediction, truth) = case();
        let expected = compare(&prediction, &truth, &upright, None).unwrap();
        for o in Orientation::all() {
            let grid = upright.reoriented(&o);
            let turn = |mask: &[bool]| o.apply(mask, upright.shape);
            let found = compare(&turn(&prediction), &turn(&truth), &grid, None).unwrap();
            assert_eq!((&found.slices, found.lesions), (&expected.slices, expected.lesions), "{o:?}");
            let slice = |c: &Comparison, g: &Grid| (c.missed[0].axial_slice(g), c.extra[0].axial_slice(g));
            assert_eq!(slice(&found, &grid), slice(&expected, &upright), "{o:?}");
        }
    }

    #[test]
    fn empty_masks_and_wrong_sizes() {
        let grid = grid([3, 2, 2]);
        let found = compare(&[false; 12], &[false; 12], &grid, None).unwrap();
        assert_eq!((found.lesions, found.slice_dice()), (Lesions::default(), vec![None, None]));
        assert!(found.worst_first().is_empty());
        for (p, t) in [(11, 12), (12, 13)] {
            let error = compare(&vec![true; p], &vec![true; t], &grid, None).unwrap_err();
            assert!(error.to_string().contains("3 x 2 x 2"), "{error}");
        }
    }

    proptest! {
        /// The definition, on numbered components; and evaluation says the same.
        #[test]
        fn detection_is_that_of_the_numbered_components(
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
            let found = compare(&p, &t, &grid, None).unwrap();
            let expected = Lesions { tp: hit.len(), fp: components - right.len(), missed: lesions - hit.len() };
            prop_assert_eq!(found.lesions, expected);
            prop_assert_eq!(found.hits.iter().map(|h| h.finding.number).collect::<Vec<_>>(), hit);
            prop_assert!(found.extra.iter().all(|f| !right.contains(&f.number)));
            prop_assert_eq!((found.missed.len(), found.extra.len()), (expected.missed, expected.fp));
            let evaluated = crate::metrics::measure(&p, &t, &grid, &crate::metrics::Options::default()).unwrap();
            prop_assert_eq!(evaluated.lesions, expected);
        }
    }
}
