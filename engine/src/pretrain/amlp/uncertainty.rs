//! The uncertainty of the sampling strategy, H1, H2 and H3 (section 3.1, Eqs. 1 to 5).
//!
//! # Definition
//! The paper writes H as the expected logarithm of "the joint probability of x_i and x_-i" without naming the events. The
//! strategy draws patches, each of a category (foreground or background) and either masked or not. So H is defined here as the
//! Shannon entropy, in nats, of the empirical joint distribution of those two over the patches of a slice,
//!
//! H = - sum over category c and masked m of (n_cm / N) ln(n_cm / N), with 0 ln 0 = 0
//!
//! (Eqs. 1 to 3 omit the minus sign, without which "reduced uncertainty" would be an increase). All three use the same number
//! of masked patches, so that only categories and order differ:
//! - H1: the labels of the clustering and their order, before any training;
//! - H2: the labels after the last update and their order;
//! - H3: the reference's lesion patches, masked first; only with a reference.
//!
//! Each slice is masked separately, so a run reports the mean of its slices' entropies. The entropy of pooled counts would
//! include the variation between slices.
//!
//! The paper expects H3 <= H2 <= H1, but that is not guaranteed. H grows as the categories become more balanced, so a
//! clustering with a small foreground can have a lower H than the reference. See [`Uncertainty::holds`].

use serde::{Deserialize, Serialize};

use super::mps::{Order, order};

/// H1, H2 and H3 in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// Before training.
    pub h1: f64,
    /// With the network's current labels.
    pub h2: f64,
    /// By the reference; `None` without one.
    pub h3: Option<f64>,
}

impl Uncertainty {
    /// True if H3 <= H2 <= H1 (H2 <= H1 without H3), up to rounding.
    pub fn holds(&self) -> bool {
        let h3 = self.h3.unwrap_or(f64::NEG_INFINITY);
        h3 <= self.h2 + 1e-12 && self.h2 <= self.h1 + 1e-12
    }
}

/// Entropy in nats of the empirical joint distribution of category and mask, from 0 to ln 4; 0 without patches.
pub fn joint_entropy(foreground: impl IntoIterator<Item = bool>, masked: &[bool]) -> f64 {
    let mut counts = [0usize; 4];
    for (foreground, masked) in foreground.into_iter().zip(masked) {
        counts[usize::from(foreground) * 2 + usize::from(*masked)] += 1;
    }
    let n = counts.iter().sum::<usize>() as f64;
    let terms = counts.into_iter().filter(|count| *count > 0).map(|count| count as f64 / n);
    terms.map(|p| -p * p.ln()).sum::<f64>().max(0.0)
}

/// The uncertainties of one slice with `masked` patches masked in lesion-first order.
///
/// `kmeans` are the labels of the clustering, `current` the current ones, `lesion` the lesion patches if there is a reference.
pub fn uncertainty(
    kmeans: &[u8],
    current: &[u8],
    lesion: Option<&[bool]>,
    logit: &[f64],
    masked: usize,
) -> Uncertainty {
    let of = |labels: &[u8]| {
        let mut chosen = vec![false; labels.len()];
        for i in order(Order::LesionFirst, labels, logit, 0, &[]).into_iter().take(masked) {
            chosen[i] = true;
        }
        joint_entropy(labels.iter().map(|label| *label == 1), &chosen)
    };
    let best = |lesion: &[bool]| of(&lesion.iter().map(|lesion| u8::from(*lesion)).collect::<Vec<_>>());
    Uncertainty { h1: of(kmeans), h2: of(current), h3: lesion.map(best) }
}

/// Mean of several slices' uncertainties; H3 over the slices that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanUncertainty {
    sums: [f64; 3],
    slices: usize,
    labelled: usize,
}

impl MeanUncertainty {
    /// Adds one slice.
    pub fn add(&mut self, slice: &Uncertainty) {
        self.sums[0] += slice.h1;
        self.sums[1] += slice.h2;
        self.slices += 1;
        if let Some(h3) = slice.h3 {
            self.sums[2] += h3;
            self.labelled += 1;
        }
    }

    /// The mean so far; `None` without slices.
    pub fn mean(&self) -> Option<Uncertainty> {
        (self.slices > 0).then(|| Uncertainty {
            h1: self.sums[0] / self.slices as f64,
            h2: self.sums[1] / self.slices as f64,
            h3: (self.labelled > 0).then(|| self.sums[2] / self.labelled as f64),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn entropies_match_known_tables() {
        close(joint_entropy([true, true, false, false], &[true, false, true, false]), 4f64.ln());
        close(joint_entropy([true, false], &[true, false]), 2f64.ln());
        close(joint_entropy([false; 5], &[false; 5]), 0.0);
        close(joint_entropy([], &[]), 0.0);
    }

    #[test]
    fn the_three_uncertainties_of_a_slice_match_their_definitions() {
        // Four lesion patches of sixteen; the clustering calls eight foreground, the network is down to four.
        let lesion: Vec<bool> = (0..16).map(|i| i < 4).collect();
        let kmeans: Vec<u8> = (0..16).map(|i| u8::from(i < 8)).collect();
        let current: Vec<u8> = (0..16).map(|i| u8::from(i < 4)).collect();
        let logit: Vec<f64> = (0..16).map(|i| -f64::from(i)).collect();
        let result = uncertainty(&kmeans, &current, Some(&lesion), &logit, 4);
        close(result.h1, -(0.25 * 0.25f64.ln() * 2.0 + 0.5 * 0.5f64.ln()));
        close(result.h2, -(0.25 * 0.25f64.ln() + 0.75 * 0.75f64.ln()));
        close(result.h3.unwrap(), result.h2);
        assert!(result.holds());
        assert!(!uncertainty(&current, &kmeans, None, &logit, 4).holds());
    }

    #[test]
    fn the_mean_of_h3_covers_slices_with_a_reference_only() {
        let mut mean = MeanUncertainty::default();
        assert_eq!(mean.mean(), None);
        mean.add(&Uncertainty { h1: 1.0, h2: 0.5, h3: Some(0.25) });
        mean.add(&Uncertainty { h1: 0.0, h2: 0.5, h3: None });
        assert_eq!(mean.mean(), Some(Uncertainty { h1: 0.5, h2: 0.5, h3: Some(0.25) }));
    }

    proptest! {
        #[test]
        fn the_entropy_is_between_0_and_ln_4(patches in prop::collection::vec((any::<bool>(), any::<bool>()), 0..99)) {
            let (foreground, masked): (Vec<bool>, Vec<bool>) = patches.into_iter().unzip();
            let entropy = joint_entropy(foreground, &masked);
            prop_assert!((0.0..=4f64.ln() + 1e-12).contains(&entropy));
        }
    }
}
