//! Combines the masks of several raters into one, by majority or by STAPLE.
//!
//! STAPLE (Warfield, Zou and Wells 2004, IEEE TMI 23:903) estimates the true segmentation T and each rater's sensitivity p and
//! specificity q together, by expectation maximisation:
//!
//! ```text
//! E: W_i = f a_i / (f a_i + (1 - f) b_i),  a_i = prod_j p_j^D_ij (1 - p_j)^(1 - D_ij),  b_i = prod_j q_j^(1 - D_ij) (1 - q_j)^D_ij
//! M: p_j = sum_i W_i D_ij / sum_i W_i,     q_j = sum_i (1 - W_i)(1 - D_ij) / sum_i (1 - W_i)
//! ```
//!
//! D_ij is 1 where rater j marks voxel i. The prior f is one number for all voxels: the mean fraction that the raters mark. It starts
//! from p = q = 0.99999 and stops once no p or q changes by more than 1e-7, or after 1000 rounds. A voxel is lesion if W >= 0.5.
//!
//! Voxels on which all raters decide alike have the same W, so sums are computed over patterns of decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::findings::check_len;
use crate::volume::LabelVolume;
use crate::{Error, Result};

/// Sensitivity and specificity before the first round.
const INITIAL_ESTIMATE: f64 = 0.999_99;
/// Iteration ends when no sensitivity or specificity changes by more than this.
const TOLERANCE: f64 = 1e-7;
/// Maximum number of rounds.
const MAX_ROUNDS: usize = 1000;
/// Maximum number of raters; each has one bit of a pattern.
const MAX_RATERS: usize = 64;

/// How masks are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A voxel is lesion if more than half of the masks have a label there; of two masks, if both have one.
    #[default]
    Majority,
    /// A voxel is lesion if its probability, given the estimated sensitivity and specificity of the raters, is at least 0.5.
    Staple,
}

/// STAPLE's estimates for a rater.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rater {
    /// Fraction of the true lesion that the rater marks.
    pub sensitivity: f64,
    /// Fraction of the true background that the rater leaves unmarked.
    pub specificity: f64,
}

/// The consensus of several masks.
#[derive(Clone, Debug, PartialEq)]
pub struct Consensus {
    /// The mask. A lesion voxel has the majority label, the lowest on ties.
    pub labels: LabelVolume,
    /// The raters in the order of their masks; empty for a majority.
    pub raters: Vec<Rater>,
    /// Rounds of STAPLE; 0 for a majority.
    pub rounds: usize,
    /// False if STAPLE stopped at the maximum number of rounds.
    pub converged: bool,
}

/// Combines the masks of several raters on one grid.
///
/// # Errors
/// Fewer than two masks or more than 64; masks with a different number of voxels.
pub fn consensus(masks: &[&LabelVolume], method: Method) -> Result<Consensus> {
    let [first, _, ..] = masks else {
        return Err(Error::config("masks", masks.len(), "a consensus needs at least two"));
    };
    if masks.len() > MAX_RATERS {
        return Err(Error::config("masks", masks.len(), format!("a consensus takes at most {MAX_RATERS}")));
    }
    for mask in masks {
        check_len(mask.len(), &first.grid)?;
    }
    let pattern = |index: usize| {
        masks.iter().enumerate().fold(0_u64, |bits, (rater, mask)| bits | u64::from(mask.get(index) != 0) << rater)
    };
    let patterns: Vec<u64> = (0..first.len()).map(pattern).collect();
    let (chosen, raters, rounds, converged): (Box<dyn Fn(u64) -> bool>, _, _, _) = match method {
        Method::Majority => {
            let half = masks.len() as u32 / 2;
            (Box::new(move |pattern: u64| pattern.count_ones() > half), Vec::new(), 0, true)
        }
        Method::Staple => {
            let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
            patterns.iter().for_each(|pattern| *counts.entry(*pattern).or_default() += 1);
            let staple = staple(&counts, masks.len());
            let weights = staple.weights;
            let chosen = move |pattern: u64| weights.get(&pattern).is_some_and(|weight| *weight >= 0.5);
            (Box::new(chosen), staple.raters, staple.rounds, staple.converged)
        }
    };
    let label = |(index, pattern): (usize, &u64)| if chosen(*pattern) { most_common_label(masks, index) } else { 0 };
    let labels: Vec<u16> = patterns.iter().enumerate().map(label).collect();
    Ok(Consensus { labels: LabelVolume::new(first.grid.clone(), labels)?, raters, rounds, converged })
}

/// The most frequent label of a voxel, ignoring background; the lowest one in a tie.
fn most_common_label(masks: &[&LabelVolume], voxel: usize) -> u16 {
    let mut votes: BTreeMap<u16, usize> = BTreeMap::new();
    masks
        .iter()
        .map(|mask| mask.get(voxel))
        .filter(|label| *label != 0)
        .for_each(|l| *votes.entry(l).or_default() += 1);
    votes.into_iter().rev().max_by_key(|(_, count)| *count).map_or(0, |(label, _)| label)
}

struct Staple {
    /// Probability of lesion by pattern of decisions.
    weights: BTreeMap<u64, f64>,
    raters: Vec<Rater>,
    rounds: usize,
    converged: bool,
}

/// STAPLE over patterns of decisions with their number of voxels. If no voxel or every voxel is marked, the initial values are
/// returned.
fn staple(counts: &BTreeMap<u64, usize>, raters: usize) -> Staple {
    let voxels: usize = counts.values().sum();
    let marked: f64 = counts.iter().map(|(pattern, count)| f64::from(pattern.count_ones()) * *count as f64).sum();
    let prior = marked / (voxels.max(1) * raters) as f64;
    let mut estimates = vec![Rater { sensitivity: INITIAL_ESTIMATE, specificity: INITIAL_ESTIMATE }; raters];
    let (mut rounds, mut converged) = (0, false);
    while rounds < MAX_ROUNDS && !converged {
        let weights = weights(counts, &estimates, prior);
        let next = update_raters(counts, &weights, &estimates);
        let change = estimates
            .iter()
            .zip(&next)
            .map(|(old, new)| (old.sensitivity - new.sensitivity).abs().max((old.specificity - new.specificity).abs()));
        converged = change.fold(0.0, f64::max) <= TOLERANCE;
        (estimates, rounds) = (next, rounds + 1);
    }
    Staple { weights: weights(counts, &estimates, prior), raters: estimates, rounds, converged }
}

/// E-step. Logarithms avoid underflow of the products over many raters.
fn weights(counts: &BTreeMap<u64, usize>, raters: &[Rater], prior: f64) -> BTreeMap<u64, f64> {
    let weight = |pattern: u64| {
        let (mut lesion, mut background) = (prior.ln(), (1.0 - prior).ln());
        for (index, rater) in raters.iter().enumerate() {
            let marks = pattern >> index & 1 == 1;
            lesion += if marks { rater.sensitivity } else { 1.0 - rater.sensitivity }.ln();
            background += if marks { 1.0 - rater.specificity } else { rater.specificity }.ln();
        }
        // Both are zero only where raters with perfect estimates contradict each other.
        if lesion == f64::NEG_INFINITY && background == f64::NEG_INFINITY {
            return prior;
        }
        1.0 / (1.0 + (background - lesion).exp())
    };
    counts.keys().map(|pattern| (*pattern, weight(*pattern))).collect()
}

/// M-step. A class without weight keeps its estimate.
fn update_raters(counts: &BTreeMap<u64, usize>, weights: &BTreeMap<u64, f64>, before: &[Rater]) -> Vec<Rater> {
    let update = |(index, before): (usize, &Rater)| {
        let (mut lesion, mut marked, mut background, mut left) = (0.0, 0.0, 0.0, 0.0);
        for (pattern, count) in counts {
            let (weight, count) = (weights[pattern], *count as f64);
            let marks = pattern >> index & 1 == 1;
            lesion += weight * count;
            background += (1.0 - weight) * count;
            marked += if marks { weight * count } else { 0.0 };
            left += if marks { 0.0 } else { (1.0 - weight) * count };
        }
        Rater {
            sensitivity: if lesion > 0.0 { marked / lesion } else { before.sensitivity },
            specificity: if background > 0.0 { left / background } else { before.specificity },
        }
    };
    before.iter().enumerate().map(update).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::Grid;
    use glam::DAffine3;
    use proptest::prelude::*;

    fn mask(labels: &[u8]) -> LabelVolume {
        LabelVolume::new(Grid::new([labels.len(), 1, 1], DAffine3::IDENTITY), labels.to_vec()).unwrap()
    }

    fn joined(masks: &[&[u8]], method: Method) -> (Vec<u16>, Consensus) {
        let masks: Vec<LabelVolume> = masks.iter().map(|labels| mask(labels)).collect();
        let result = consensus(&masks.iter().collect::<Vec<_>>(), method).unwrap();
        (result.labels.iter().collect(), result)
    }

    #[test]
    fn a_majority_is_more_than_half_and_labels_are_voted_on() {
        let three: [&[u8]; 3] = [&[1, 1, 0, 2, 3, 0], &[1, 0, 0, 2, 1, 0], &[1, 0, 1, 1, 2, 0]];
        assert_eq!(joined(&three, Method::Majority).0, [1, 0, 0, 2, 1, 0], "the lowest label wins a tie");
        assert_eq!(joined(&three[..2], Method::Majority).0, [1, 0, 0, 2, 1, 0], "with two raters, both must agree");
    }

    /// 10 voxels and three raters. All mark voxels 0 and 1; rater 3 also marks voxel 2.
    #[test]
    fn the_first_round_matches_values_computed_by_hand() {
        let counts = BTreeMap::from([(0b111, 2), (0b100, 1), (0b000, 7)]);
        let start = [Rater { sensitivity: 0.9, specificity: 0.8 }; 3];
        let prior = 7.0 / 30.0;
        let result = weights(&counts, &start, prior);
        // f p^3 / (f p^3 + (1 - f)(1 - q)^3) = .17010 / (.17010 + .0061333)
        assert!((result[&0b111] - 0.965_197).abs() < 1e-6, "{result:?}");
        // f p (1 - p)^2 / (... + (1 - f) q^2 (1 - q)) = .0021 / (.0021 + .0981333)
        assert!((result[&0b100] - 0.020_951).abs() < 1e-6, "{result:?}");
        // f (1 - p)^3 / (... + (1 - f) q^3) = .00023333 / (.00023333 + .3925333)
        assert!((result[&0b000] - 0.000_594_08).abs() < 1e-8, "{result:?}");
        let next = update_raters(&counts, &result, &start);
        let sum = 2.0 * 0.965_197 + 0.020_951 + 7.0 * 0.000_594_08;
        assert!((next[0].sensitivity - 2.0 * 0.965_197 / sum).abs() < 1e-5);
        assert!((next[2].sensitivity - (2.0 * 0.965_197 + 0.020_951) / sum).abs() < 1e-5);
        assert!((next[0].specificity - (10.0 - sum - 2.0 * (1.0 - 0.965_197)) / (10.0 - sum)).abs() < 1e-5);
    }

    #[test]
    fn staple_trusts_the_raters_that_agree() {
        // Raters 1 and 2 agree on voxels 0 to 3. Rater 3 marks only one of them, and half of the background.
        let good: &[u8] = &[1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let bad: &[u8] = &[1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0];
        let (labels, estimates) = joined(&[good, good, bad], Method::Staple);
        assert_eq!(labels, good.iter().map(|l| u16::from(*l)).collect::<Vec<_>>());
        assert!(estimates.converged && estimates.rounds > 1);
        let [a, b, c] = [0, 1, 2].map(|index| estimates.raters[index]);
        assert!(a == b && a.sensitivity > 0.999 && a.specificity > 0.999, "{a:?}");
        assert!((c.sensitivity - 0.25).abs() < 1e-3 && (c.specificity - 0.5).abs() < 1e-3, "{c:?}");
    }

    #[test]
    fn empty_masks_give_an_empty_consensus_and_a_single_mask_is_refused() {
        let (labels, estimates) = joined(&[&[0, 0], &[0, 0]], Method::Staple);
        assert_eq!((labels, estimates.converged), (vec![0, 0], true));
        assert_eq!(joined(&[&[1, 2], &[1, 2]], Method::Staple).0, [1, 2]);
        let one = mask(&[1]);
        assert!(consensus(&[&one], Method::Majority).unwrap_err().to_string().contains("at least two"));
        assert!(consensus(&[&one, &mask(&[1, 1])], Method::Majority).is_err());
        assert!(consensus(&[&one; 65], Method::Staple).is_err());
    }

    /// Voxel by voxel, as in the published equations.
    fn naive(masks: &[Vec<bool>]) -> (Vec<bool>, Vec<[f64; 2]>) {
        let (raters, voxels) = (masks.len(), masks[0].len());
        let marked = masks.iter().flatten().filter(|m| **m).count();
        let f = marked as f64 / (raters * voxels) as f64;
        let mut estimates = vec![[INITIAL_ESTIMATE; 2]; raters];
        let weights = |estimates: &[[f64; 2]]| -> Vec<f64> {
            let of = |i: usize| {
                let (mut a, mut b) = (f, 1.0 - f);
                for (mask, [p, q]) in masks.iter().zip(estimates) {
                    a *= if mask[i] { *p } else { 1.0 - p };
                    b *= if mask[i] { 1.0 - q } else { *q };
                }
                if a + b == 0.0 { f } else { a / (a + b) }
            };
            (0..voxels).map(of).collect()
        };
        for _ in 0..MAX_ROUNDS {
            let w = weights(&estimates);
            let all: f64 = w.iter().sum();
            let mut change = 0.0_f64;
            for (mask, estimate) in masks.iter().zip(&mut estimates) {
                let p: f64 = w.iter().zip(mask).filter(|(_, m)| **m).map(|(w, _)| w).sum();
                let q: f64 = w.iter().zip(mask).filter(|(_, m)| !**m).map(|(w, _)| 1.0 - w).sum();
                let rest = voxels as f64 - all;
                let next =
                    [if all > 0.0 { p / all } else { estimate[0] }, if rest > 0.0 { q / rest } else { estimate[1] }];
                change = change.max((next[0] - estimate[0]).abs()).max((next[1] - estimate[1]).abs());
                *estimate = next;
            }
            if change <= TOLERANCE {
                break;
            }
        }
        (weights(&estimates).into_iter().map(|w| w >= 0.5).collect(), estimates)
    }

    proptest! {
        #[test]
        fn staple_over_patterns_equals_staple_over_voxels(
            truth in proptest::collection::vec(proptest::bool::weighted(0.3), 60),
            errors in proptest::collection::vec(proptest::collection::vec(proptest::bool::weighted(0.15), 60), 3..5),
        ) {
            let masks: Vec<Vec<bool>> =
                errors.iter().map(|errors| truth.iter().zip(errors).map(|(t, e)| t ^ e).collect()).collect();
            let volumes: Vec<LabelVolume> =
                masks.iter().map(|m| mask(&m.iter().map(|m| u8::from(*m)).collect::<Vec<_>>())).collect();
            let actual = consensus(&volumes.iter().collect::<Vec<_>>(), Method::Staple).unwrap();
            let (expected, estimates) = naive(&masks);
            for (rater, [p, q]) in actual.raters.iter().zip(&estimates) {
                prop_assert!((rater.sensitivity - p).abs() < 1e-6 && (rater.specificity - q).abs() < 1e-6);
            }
            prop_assert_eq!(actual.labels.inside(), expected);
        }
    }
}
