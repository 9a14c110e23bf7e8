//! Masked patches selection, MPS (section 3.1; orders of Table 4).
//!
//! The patches of each slice are clustered once into foreground and background. Patches are ordered by label and logit, and the
//! first n_m are masked. `draw.rs` randomises that order.

use std::cmp::Ordering;

use clap::ValueEnum;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::choice::{ForegroundChoice, choose};
use crate::Result;
use crate::cluster::{Clustering, ForegroundRule, cluster};
use crate::config::Config;
use crate::event::Control;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::Slices;
use crate::seed;

/// The patches of one slice.
#[derive(Clone, Debug)]
pub struct PatchState {
    /// The clustering, computed once. Its labels are `label_ori`.
    pub clustering: Clustering,
    /// `label_new`, valid until the next update.
    pub label: Vec<u8>,
    /// Lesion patches, if the patient has a mask and it is read. Used for the log, never for training.
    pub lesion: Option<Vec<bool>>,
}

impl PatchState {
    /// Clusters the patches of one slice; `key` seeds its random draws.
    pub(in crate::pretrain) fn new(config: &Config, grid: &PatchGrid, window: &SliceData, key: u64) -> Self {
        let channels = window.pixels.len() / window.tissue.len().max(1);
        let patches = grid.patches(&window.pixels, channels);
        let air = grid.air_of_tissue(&window.tissue);
        let (n, d) = (grid.count(), grid.dimension(channels));
        let mut settings = config.method.cluster.clone();
        if config.method.foreground_choice != ForegroundChoice::Rule {
            settings.foreground = ForegroundRule::Brighter;
        }
        let clustering = cluster(&patches, n, d, &air, &settings, config.seed, &[key]);
        let lesion = window.target.as_ref().map(|target| grid.lesion_patches(target));
        Self { label: clustering.labels.clone(), clustering, lesion }
    }

    /// The patches of another crop of the same slice, each labelled by the nearer centre of this crop's clusters.
    pub(in crate::pretrain) fn moved(&self, config: &Config, grid: &PatchGrid, window: &SliceData) -> Self {
        let channels = window.pixels.len() / window.tissue.len().max(1);
        let (patches, air) = (grid.patches(&window.pixels, channels), grid.air_of_tissue(&window.tissue));
        let clustering = self.clustering.label(&patches, grid.dimension(channels), &air, &config.method.cluster);
        Self { label: clustering.labels.clone(), clustering, lesion: None }
    }

    /// Swaps foreground and background, and drops the labels learned so far.
    pub(super) fn swap(&mut self) {
        self.clustering.swap();
        self.label.clone_from(&self.clustering.labels);
    }

    /// Clusters the patches of every slice on all cores. `control` may pause or cancel between two slices.
    ///
    /// # Errors
    /// A grid that does not divide the crop; a slice that cannot be read; cancellation.
    pub fn cluster_all(config: &Config, slices: &Slices, control: &Control) -> Result<Vec<Self>> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let state = |slice: usize| {
            control.pass()?;
            Ok(Self::new(config, &grid, &slices.window(slice)?, slices.stream_key(slice)))
        };
        let mut all: Vec<Self> = (0..slices.len()).into_par_iter().map(state).collect::<Result<_>>()?;
        choose(config.method.foreground_choice, &grid, slices, &mut all)?;
        Ok(all)
    }
}

/// Order in which patches are masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Random, by seed.
    Random,
    /// Foreground before background, each by descending logit: the paper's order, "hard to easy".
    #[default]
    LesionFirst,
    /// Background before foreground, each by ascending logit: "easy to hard".
    BackgroundFirst,
}

/// All patches in masking order. Ties go by index in every order, so `background-first` is the mirror image of
/// `lesion-first` except among equal logits.
///
/// Before the first label update, `labels` come from the clustering, and with k-means the groups follow from the logits.
/// Afterwards, a patch with `label_new` 1 comes before all with 0. `seed` and `key` (epoch, slice) matter for `random` only.
pub fn order(kind: Order, labels: &[u8], logit: &[f64], seed: u64, key: &[u64]) -> Vec<usize> {
    debug_assert_eq!(labels.len(), logit.len());
    let mut order: Vec<usize> = (0..labels.len().min(logit.len())).collect();
    let rising = |a: &usize, b: &usize| {
        let group = (labels[*a] == 1).cmp(&(labels[*b] == 1));
        group.then(compare(logit[*a], logit[*b]))
    };
    // The sorts are stable, so ties are in the order of their indices.
    match kind {
        Order::Random => order.shuffle(&mut seed::stream(seed, "mask-order", key)),
        Order::LesionFirst => order.sort_by(|a, b| rising(b, a)),
        Order::BackgroundFirst => order.sort_by(rising),
    }
    order
}

/// By value, so that both zeros are equal; NaN sorts last.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::select::masked_patches;
    use proptest::prelude::*;

    #[test]
    fn patches_are_ordered_by_label_then_logit_then_index() {
        let (labels, logit) = ([0, 1, 0, 1, 0, 1], [5.0, 1.0, -1.0, 2.0, 5.0, -3.0]);
        assert_eq!(order(Order::LesionFirst, &labels, &logit, 0, &[]), [3, 1, 5, 0, 4, 2]);
        assert_eq!(order(Order::BackgroundFirst, &labels, &logit, 0, &[]), [2, 0, 4, 5, 1, 3]);
        assert_eq!(order(Order::LesionFirst, &[0; 3], &[0.0, -0.0, 0.0], 0, &[]), [0, 1, 2]);
        assert_eq!(order(Order::LesionFirst, &[0; 3], &[f64::NAN, 1.0, f64::NAN], 0, &[]), [1, 0, 2]);
    }

    #[test]
    fn the_random_order_depends_on_seed_and_key_only() {
        let draw = |seed, key: &[u64]| order(Order::Random, &[0; 64], &[0.0; 64], seed, key);
        assert_eq!(draw(1, &[2, 3]), order(Order::Random, &[1; 64], &[7.0; 64], 1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(2, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 3]));
    }

    proptest! {
        #[test]
        fn an_order_is_a_permutation_and_masks_at_higher_ratios_contain_those_at_lower_ones(
            patches in prop::collection::vec((0u8..2, -3i32..3), 1..80), kind in 0usize..3, less in 0.0f64..1.0, more in 0.0f64..1.0
        ) {
            let kind = [Order::Random, Order::LesionFirst, Order::BackgroundFirst][kind];
            let (labels, logit): (Vec<u8>, Vec<f64>) = patches.iter().map(|(l, s)| (*l, f64::from(*s))).unzip();
            let order = order(kind, &labels, &logit, 5, &[1]);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..patches.len()).collect::<Vec<_>>());
            // What is masked at a ratio stays masked at a higher one.
            let (low, high) = (masked_patches(&order, less.min(more)), masked_patches(&order, less.max(more)));
            prop_assert!(low.iter().zip(&high).all(|(low, high)| !low || *high));
            if kind == Order::LesionFirst {
                prop_assert!(order.iter().map(|i| labels[*i]).rev().is_sorted());
                for pair in order.windows(2).filter(|p| labels[p[0]] == labels[p[1]]) {
                    prop_assert!(logit[pair[0]] > logit[pair[1]] || (patches[pair[0]].1 == patches[pair[1]].1 && pair[0] < pair[1]));
                }
            }
        }
    }
}
