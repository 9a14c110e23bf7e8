//! Updates the patch labels once per period (section 3.3).
//!
//! | case | `label_ori` | important | `label_new` |
//! |---|---|---|---|
//! | 1 | 1 | yes | 1 |
//! | 2 | 0 | no | 0 |
//! | 3 | 1 | no | coin |
//! | 4 | 0 | yes | coin |
//! | - | any | never masked in the period | unchanged |
//!
//! A patch is important if its relative loss (Eq. 6), averaged over the epochs of the period in which it was masked, is
//! at least 1, the mean of all. Air that is left out of the clustering is never important, so it stays background.

use clap::ValueEnum;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::arl::important;
use crate::cluster::Clustering;
use crate::config::MethodConfig;
use crate::event::CaseCounts;
use crate::seed;

/// The label that an update starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// The label of the clustering (Algorithm 1).
    #[default]
    Kmeans,
    /// The label after the last update, so that the influence of the clustering fades.
    Previous,
}

/// Sums of relative losses over one period, for every patch of every slice. Part of every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relevance {
    patches: usize,
    sum: Vec<f64>,
    count: Vec<u32>,
}

impl Relevance {
    /// Empty sums for `slices` slices of `patches` patches.
    pub fn new(slices: usize, patches: usize) -> Self {
        Self { patches, sum: vec![0.0; slices * patches], count: vec![0; slices * patches] }
    }

    /// Restores sums from a checkpoint: `sum` and `count` are `[slices][patches]`. `None` if the lengths are wrong.
    pub fn from_parts(patches: usize, sum: Vec<f64>, count: Vec<u32>) -> Option<Self> {
        let fits =
            sum.len() == count.len() && (patches > 0 || sum.is_empty()) && sum.len().is_multiple_of(patches.max(1));
        fits.then_some(Self { patches, sum, count })
    }

    /// The sums and counts, `[slices][patches]`, for a checkpoint.
    pub fn parts(&self) -> (&[f64], &[u32]) {
        (&self.sum, &self.count)
    }

    /// Number of slices.
    pub fn slices(&self) -> usize {
        self.sum.len() / self.patches.max(1)
    }

    /// Adds the relative losses of one slice in one epoch: `relative[m]` belongs to the masked patch `patches[m]`.
    pub fn add(&mut self, slice: usize, patches: &[usize], relative: &[f64]) {
        debug_assert_eq!(patches.len(), relative.len());
        let range = slice * self.patches..(slice + 1) * self.patches;
        let (Some(sum), Some(count)) = (self.sum.get_mut(range.clone()), self.count.get_mut(range)) else { return };
        for (patch, relative) in patches.iter().zip(relative) {
            if let (Some(sum), Some(count)) = (sum.get_mut(*patch), count.get_mut(*patch)) {
                *sum += relative;
                *count += 1;
            }
        }
    }

    /// Mean relative loss of each patch of a slice; `None` for those never masked in the period.
    pub fn mean(&self, slice: usize) -> Vec<Option<f64>> {
        let range = slice * self.patches..(slice + 1) * self.patches;
        let sum = self.sum.get(range.clone()).unwrap_or_default();
        let count = self.count.get(range).unwrap_or_default();
        sum.iter().zip(count).map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count))).collect()
    }

    /// Starts the next period.
    pub fn clear(&mut self) {
        self.sum.fill(0.0);
        self.count.fill(0);
    }
}

/// Case of one patch in an update, numbered as in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// Not masked in the period: the label stays.
    NeverMasked = 0,
    /// `label_ori` 1, important: 1.
    KeptForeground = 1,
    /// `label_ori` 0, not important: 0.
    KeptBackground = 2,
    /// `label_ori` 1, not important: coin.
    DoubtedForeground = 3,
    /// `label_ori` 0, important: coin.
    DoubtedBackground = 4,
}

/// Outcome of an update for one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelabelOutcome {
    /// Labels before.
    pub before: Vec<u8>,
    /// `label_new`.
    pub after: Vec<u8>,
    /// The case of each patch.
    pub case: Vec<Case>,
    /// Number of patches per case.
    pub counts: CaseCounts,
    /// Patches whose label changed.
    pub flips: u64,
    /// Patches whose new label differs from the clustering.
    pub differs_from_kmeans: u64,
    /// Patches masked in the period whose importance agrees with the clustering's label.
    pub agreeing: u64,
    /// Patches masked in the period.
    pub judged: u64,
}

/// How labels are updated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelabelRule {
    /// Meaning of `label_ori`.
    pub anchor: Anchor,
    /// Minimum distance of a patch's mean relative loss from 1; closer patches count as agreeing with `label_ori`. 0 in the
    /// paper.
    pub margin: f64,
    /// Air is left out of the clustering and is never foreground.
    pub tissue_only: bool,
}

impl RelabelRule {
    /// The rule of a method.
    pub fn of(method: &MethodConfig) -> Self {
        let MethodConfig { anchor, loss, cluster, .. } = method;
        Self { anchor: *anchor, margin: loss.doubt_margin, tissue_only: cluster.tissue_only }
    }
}

/// Updates the labels of one slice.
///
/// `current` are the labels in force, `mean` the patches' mean relative losses over the period ([`Relevance::mean`]), `coins` one
/// coin per patch ([`coins`]).
pub fn relabel(
    clustering: &Clustering,
    current: &[u8],
    mean: &[Option<f64>],
    rule: RelabelRule,
    coins: &[u8],
) -> RelabelOutcome {
    let kmeans = &clustering.labels;
    debug_assert!([clustering.air.len(), current.len(), mean.len(), coins.len()] == [kmeans.len(); 4]);
    let mut outcome = RelabelOutcome {
        before: current.to_vec(),
        after: current.to_vec(),
        case: vec![Case::NeverMasked; current.len()],
        counts: CaseCounts::default(),
        flips: 0,
        differs_from_kmeans: 0,
        agreeing: 0,
        judged: 0,
    };
    let counts = &mut outcome.counts;
    for (i, ((kmeans, current), mean)) in kmeans.iter().zip(current).zip(mean).enumerate() {
        let ori = if rule.anchor == Anchor::Kmeans { *kmeans } else { *current };
        let is_air = rule.tissue_only && clustering.air[i];
        let is_clear = |mean: f64| (mean - 1.0).abs() >= rule.margin;
        let is_important = |mean| !is_air && if is_clear(mean) { important(mean) } else { ori == 1 };
        let (case, new, count) = match mean.map(is_important) {
            None => (Case::NeverMasked, *current, &mut counts.never_masked),
            Some(true) if ori == 1 => (Case::KeptForeground, 1, &mut counts.kept_foreground),
            Some(false) if ori == 0 => (Case::KeptBackground, 0, &mut counts.kept_background),
            Some(false) => (Case::DoubtedForeground, coins[i], &mut counts.doubted_foreground),
            Some(true) => (Case::DoubtedBackground, coins[i], &mut counts.doubted_background),
        };
        *count += 1;
        outcome.case[i] = case;
        outcome.after[i] = new;
        outcome.flips += u64::from(new != *current);
        outcome.differs_from_kmeans += u64::from(new != *kmeans);
        if let Some(mean) = mean {
            outcome.judged += 1;
            outcome.agreeing += u64::from(important(*mean) == (*kmeans == 1));
        }
    }
    outcome
}

/// One coin, 0 or 1, for each patch: bit `i` of the stream of (seed, period, slice), so that a patch's coin does not
/// depend on how many others needed one. `period` counts the updates of the run, `slice` is the slice's number in it.
pub fn coins(patches: usize, seed: u64, period: u64, slice: u64) -> Vec<u8> {
    let mut stream = seed::stream(seed, "relabel-coin", &[period, slice]);
    let mut bits = 0u64;
    (0..patches)
        .map(|i| {
            if i % 64 == 0 {
                bits = stream.next_u64();
            }
            (bits >> (i % 64) & 1) as u8
        })
        .collect()
}

/// Adds the cases of one slice to those of others.
pub fn add_counts(sum: &mut CaseCounts, more: &CaseCounts) {
    sum.kept_foreground += more.kept_foreground;
    sum.kept_background += more.kept_background;
    sum.doubted_foreground += more.doubted_foreground;
    sum.doubted_background += more.doubted_background;
    sum.never_masked += more.never_masked;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KMEANS: RelabelRule = RelabelRule { anchor: Anchor::Kmeans, margin: 0.0, tissue_only: false };

    /// Patches of tissue with these labels.
    fn clustered(labels: &[u8]) -> Clustering {
        Clustering { labels: labels.to_vec(), air: vec![false; labels.len()], ..Clustering::default() }
    }

    #[test]
    fn with_a_margin_only_clear_losses_question_a_label() {
        let mean = [Some(0.8), Some(1.2), Some(0.4), Some(1.6)];
        let labels = [1, 0, 1, 0];
        let of = |margin| relabel(&clustered(&labels), &labels, &mean, RelabelRule { margin, ..KMEANS }, &[0; 4]);
        assert_eq!(of(0.0).counts.doubted_foreground + of(0.0).counts.doubted_background, 4);
        let careful = of(0.5);
        assert_eq!(careful.case[..2], [Case::KeptForeground, Case::KeptBackground]);
        assert_eq!(careful.case[2..], [Case::DoubtedForeground, Case::DoubtedBackground]);
        assert_eq!(careful.after[..2], [1, 0]);
        assert_eq!(careful.agreeing, 0, "what is logged is how far clustering and loss agree");
    }

    #[test]
    fn labels_follow_the_four_cases_and_unmasked_patches_keep_theirs() {
        use Case::{DoubtedBackground, DoubtedForeground, KeptBackground, KeptForeground, NeverMasked};
        let kmeans = clustered(&[1, 0, 1, 0, 1, 0]);
        let current = [0, 1, 0, 1, 0, 1];
        let mean = [Some(1.0), Some(0.99), Some(0.2), Some(7.0), None, None];
        let coins = coins(6, 1, 2, 3);
        let outcome = relabel(&kmeans, &current, &mean, KMEANS, &coins);
        let expected = [KeptForeground, KeptBackground, DoubtedForeground, DoubtedBackground, NeverMasked, NeverMasked];
        assert_eq!(outcome.case, expected);
        assert_eq!(outcome.after[..2], [1, 0]);
        assert_eq!(outcome.after[4..], [0, 1], "the current label stays, not that of k-means");
        assert_eq!(outcome.after[2..4], coins[2..4]);
        assert_eq!((outcome.agreeing, outcome.judged, outcome.counts.never_masked), (2, 4, 2));

        let previous = relabel(&kmeans, &current, &mean, RelabelRule { anchor: Anchor::Previous, ..KMEANS }, &coins);
        assert_eq!(previous.case[..4], [DoubtedBackground, DoubtedForeground, KeptBackground, KeptForeground]);
        assert_eq!(previous.after[2..4], [0, 1]);
    }

    #[test]
    fn with_tissue_only_air_stays_background_however_hard_it_is() {
        let kmeans = Clustering { air: vec![false, true, true], ..clustered(&[0; 3]) };
        let mean = [Some(3.0), Some(3.0), None];
        for anchor in [Anchor::Kmeans, Anchor::Previous] {
            let paper = RelabelRule { anchor, ..KMEANS };
            assert_eq!(relabel(&kmeans, &[0; 3], &mean, paper, &[1; 3]).after, [1, 1, 0]);
            let outcome = relabel(&kmeans, &[0; 3], &mean, RelabelRule { tissue_only: true, ..paper }, &[1; 3]);
            assert_eq!(outcome.after, [1, 0, 0]);
            assert_eq!(outcome.case, [Case::DoubtedBackground, Case::KeptBackground, Case::NeverMasked]);
        }
    }

    #[test]
    fn relevance_is_the_mean_over_epochs_in_which_a_patch_was_masked() {
        let mut relevance = Relevance::new(2, 3);
        relevance.add(1, &[0, 2], &[0.5, 1.5]);
        relevance.add(1, &[2], &[1.0]);
        relevance.add(9, &[2], &[1.0]);
        assert_eq!(relevance.mean(1), [Some(0.5), None, Some(1.25)]);
        assert_eq!(relevance.mean(0), [None; 3]);
        assert_eq!(relevance.slices(), 2);
        let (sum, count) = relevance.parts();
        assert_eq!(Relevance::from_parts(3, sum.to_vec(), count.to_vec()).as_ref(), Some(&relevance));
        assert_eq!(Relevance::from_parts(4, sum.to_vec(), count.to_vec()), None);
        relevance.clear();
        assert_eq!(relevance, Relevance::new(2, 3));
    }

    #[test]
    fn coins_are_fair_and_depend_on_seed_period_and_slice() {
        let all: Vec<u8> = (0..200).flat_map(|slice| coins(256, 4, 1, slice)).collect();
        let share = all.iter().map(|c| f64::from(*c)).sum::<f64>() / all.len() as f64;
        assert!((share - 0.5).abs() < 0.01, "{share}");
        assert_eq!(coins(256, 4, 1, 9)[..100], coins(100, 4, 1, 9), "a patch's coin does not depend on their number");
        assert_ne!(coins(256, 4, 1, 9), coins(256, 4, 2, 9));
        assert_ne!(coins(256, 4, 1, 9), coins(256, 4, 1, 10));
        assert_ne!(coins(256, 4, 1, 9), coins(256, 5, 1, 9));
    }

    fn patch() -> impl Strategy<Value = (u8, u8, Option<f64>)> {
        (0u8..2, 0u8..2, prop::option::of(0.0f64..2.0))
    }

    proptest! {
        #[test]
        fn the_update_of_a_patch_does_not_depend_on_other_patches(patches in prop::collection::vec(patch(), 1..150), other in patch(), index in 0usize..150) {
            let run = |patches: &[(u8, u8, Option<f64>)]| {
                let kmeans: Vec<u8> = patches.iter().map(|p| p.0).collect();
                let current: Vec<u8> = patches.iter().map(|p| p.1).collect();
                let mean: Vec<Option<f64>> = patches.iter().map(|p| p.2).collect();
                relabel(&clustered(&kmeans), &current, &mean, KMEANS, &coins(patches.len(), 3, 1, 2))
            };
            let first = run(&patches);
            let counts = first.counts;
            let all = counts.kept_foreground + counts.kept_background + counts.doubted_foreground
                + counts.doubted_background + counts.never_masked;
            prop_assert_eq!(all, patches.len() as u64);
            prop_assert_eq!(counts.kept_foreground + counts.kept_background, first.agreeing);
            let mut changed = patches.clone();
            let index = index % patches.len();
            changed[index] = other;
            let second = run(&changed);
            for i in (0..patches.len()).filter(|i| *i != index) {
                prop_assert_eq!((first.after[i], first.case[i]), (second.after[i], second.case[i]));
            }
        }
    }
}
