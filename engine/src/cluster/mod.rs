//! Masked patches selection, first half (section 3.1): the patches of a slice in two clusters, of which one is called
//! foreground, and how strongly each patch belongs to it.
//!
//! | file | idea |
//! |---|---|
//! | `config.rs` | what can be chosen |
//! | `kmeans.rs` | k-means with two centres, fast |
//! | `ward.rs`, `tsne.rs`, `dbscan.rs` | the alternatives of Table 6 |
//! | `foreground.rs` | which cluster is the foreground; logit and probability |
//!
//! # Invariants
//! - Every result is finite; a pixel that is not a finite number counts as 0.
//! - The same patches, configuration, seed and place give the same bits on one platform, on any number of threads.
//! - Whatever the method, centres are the clusters' means in pixel space, so that logits always mean the same.

mod config;
mod dbscan;
mod foreground;
mod kmeans;
mod tsne;
mod ward;

pub use config::{ClusterConfig, ForegroundRule, Method};
pub use dbscan::dbscan;
pub use kmeans::{Kmeans, KmeansOptions, kmeans};
pub use tsne::{TsneOptions, tsne};
pub use ward::ward;

use serde::{Deserialize, Serialize};

use crate::seed;

/// The logit of a patch that `tissue_only` left out: below every other, so that air is masked last.
pub const LEFT_OUT: f64 = f64::MIN;

/// The patches of one slice in two categories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// `label_ori` of each patch: 1 foreground, 0 background.
    pub labels: Vec<u8>,
    /// s_i = (d2_background - d2_foreground) / (D t); 0 everywhere where there is no foreground, [`LEFT_OUT`] for
    /// air that was not clustered.
    pub logit: Vec<f64>,
    /// p_i = softmax over the two centres of -d2 / (D t), for display: in f32 it saturates at 1. 0 everywhere where
    /// there is no foreground.
    pub probability: Vec<f32>,
    /// Mean patch of the background and of the foreground, D values each; both empty where there is no foreground.
    pub centres: [Vec<f32>; 2],
    /// Which patches are air.
    pub air: Vec<bool>,
}

impl Clustering {
    /// True if the patches fell apart into two clusters.
    pub fn has_foreground(&self) -> bool {
        self.labels.contains(&1)
    }

    /// Share of the foreground among all patches, 0 to 1.
    pub fn foreground_share(&self) -> f64 {
        crate::masking::select::foreground_share(&self.labels)
    }

    /// Share of air among the foreground; `None` without a foreground.
    pub fn air_share(&self) -> Option<f64> {
        crate::masking::select::air_share(&self.labels, &self.air)
    }
}

/// Clusters the patches of one slice, `patches` `[n][d]`, of which `air[i]` have nothing but the value outside the body.
///
/// `place` names the slice: the random numbers depend on it and on `seed` only. Fewer than two distinct patches give
/// no foreground. With `tissue_only`, air is neither clustered nor foreground.
pub fn cluster(
    patches: &[f32],
    n: usize,
    d: usize,
    air: &[bool],
    config: &ClusterConfig,
    seed: u64,
    place: &[u64],
) -> Clustering {
    debug_assert!(patches.len() == n * d && air.len() == n);
    let mut result = Clustering {
        labels: vec![0; n],
        logit: vec![0.0; n],
        probability: vec![0.0; n],
        air: air.to_vec(),
        ..Clustering::default()
    };
    let chosen: Vec<usize> =
        (0..n).filter(|i| !(config.tissue_only && air.get(*i).copied().unwrap_or(false))).collect();
    let points: Vec<f32> = chosen
        .iter()
        .flat_map(|i| patches.get(i * d..(i + 1) * d).unwrap_or_default())
        .map(|v| if v.is_finite() { *v } else { 0.0 })
        .collect();
    if d == 0 || points.len() != chosen.len() * d {
        return result;
    }
    let Some(parts) = two_clusters(&points, d, config, seed, place) else { return result };
    let Some(scored) = foreground::score(&points, d, &parts, config.foreground, config.temperature) else {
        return result;
    };
    result.logit.fill(LEFT_OUT);
    for (at, i) in chosen.into_iter().enumerate() {
        result.labels[i] = scored.labels[at];
        result.logit[i] = scored.logit[at];
        result.probability[i] = foreground::sigmoid(scored.logit[at]) as f32;
    }
    result.centres = scored.centres;
    result
}

/// The two clusters of `points` `[n][d]` as 0 and 1, not yet named; `None` if there are no two.
fn two_clusters(points: &[f32], d: usize, config: &ClusterConfig, seed: u64, place: &[u64]) -> Option<Vec<u8>> {
    let first = points.get(..d)?;
    if points.chunks_exact(d).all(|point| point == first) {
        return None;
    }
    let options = config.kmeans();
    let mut stream = seed::stream(seed, "cluster", place);
    match config.method {
        Method::Kmeans => kmeans(points, d, &options, &mut stream).map(|found| found.labels),
        Method::Agglomerative => ward(points, d),
        Method::Tsne => {
            let embedding = tsne(points, d, &config.tsne());
            kmeans(&embedding, 2, &options, &mut stream).map(|found| found.labels)
        }
        Method::Dbscan => dbscan(points, d, config.dbscan_eps, config.dbscan_min_points),
    }
}

#[cfg(test)]
mod tests;
