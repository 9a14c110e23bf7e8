//! Patch clustering, the first half of masked patches selection (MPS; paper, section 3.1): splits the patches of a slice
//! into foreground and background and computes the foreground logit of each patch.
//!
//! | file | content |
//! |---|---|
//! | `config.rs` | settings |
//! | `kmeans.rs` | fast k-means with two centres |
//! | `ward.rs`, `tsne.rs`, `dbscan.rs` | the alternatives of Table 6 |
//! | `foreground.rs` | choice of the foreground cluster, logit and probability |
//!
//! # Invariants
//! - Every result is finite. Non-finite pixels count as 0.
//! - The same patches, configuration, seed and key give bit-identical results on one platform, for any number of threads.
//! - For every method the centres are the cluster means in pixel space, so that logits are comparable.
//!
//! # Libraries
//! `reference_tests.rs` compares with scikit-learn; `engine/benches/RESULTS.md` has the measurements.
//! - Ward's linkage uses kodama: exact, fast, safe code without dependencies.
//! - DBSCAN is implemented here. petal-clustering and linfa-clustering would add 4 and 18 packages and replace only the neighbour
//!   search, while the choice of the radius needs all distances anyway.
//! - t-SNE is implemented here. bhtsne ends in a higher divergence and is not deterministic. linfa-tsne, built on an old bhtsne, takes
//!   three times as long and does not expose the probabilities, so they could not be tested.
//! - k-means is implemented here, specialised for two centres.

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

/// The logit of air patches excluded by `tissue_only`. Below every other logit, so that air is masked last.
pub const LEFT_OUT: f64 = f64::MIN;

/// Foreground and background patches of one slice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// `label_ori` of each patch: 1 foreground, 0 background.
    pub labels: Vec<u8>,
    /// s_i = (d2_background - d2_foreground) / (D t), where d2 is the squared distance to a centre. All 0 without a
    /// foreground; [`LEFT_OUT`] for air that was not clustered.
    pub logit: Vec<f64>,
    /// p_i = softmax over the two centres of -d2 / (D t). For display only, as it saturates at 1 in f32. All 0 without a
    /// foreground.
    pub probability: Vec<f32>,
    /// Mean patch of the background and of the foreground, `[D]` each; both empty without a foreground.
    pub centres: [Vec<f32>; 2],
    /// True for patches of air.
    pub air: Vec<bool>,
    /// Radius that DBSCAN used; `None` for other methods and without a foreground.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dbscan_radius: Option<f64>,
}

impl Clustering {
    /// True if two clusters were found.
    pub fn has_foreground(&self) -> bool {
        self.labels.contains(&1)
    }

    /// Fraction of foreground among all patches, 0 to 1.
    pub fn foreground_share(&self) -> f64 {
        crate::masking::select::foreground_share(&self.labels)
    }

    /// Fraction of air among the foreground patches, 0 to 1; `None` without a foreground.
    pub fn air_share(&self) -> Option<f64> {
        crate::masking::select::air_share(&self.labels, &self.air)
    }
}

impl Clustering {
    /// Labels other patches `[n][d]` of the same slice, such as those of a shifted crop, by the nearer of its centres.
    #[must_use]
    pub fn label(&self, patches: &[f32], d: usize, air: &[bool], config: &ClusterConfig) -> Self {
        let n = air.len();
        let (mut labels, mut logit, mut probability) = (vec![0; n], vec![0.0; n], vec![0.0; n]);
        if !self.centres[0].is_empty() {
            let wide = |centre: &Vec<f32>| -> Vec<f64> { centre.iter().map(|v| f64::from(*v)).collect() };
            let [background, foreground] = self.centres.each_ref().map(wide);
            for (i, patch) in patches.chunks_exact(d).enumerate() {
                let left_out = config.tissue_only && air[i];
                logit[i] = if left_out {
                    LEFT_OUT
                } else {
                    foreground::logit(patch, &background, &foreground, config.temperature)
                };
                labels[i] = u8::from(logit[i] > 0.0);
                probability[i] = if left_out { 0.0 } else { foreground::sigmoid(logit[i]) as f32 };
            }
        }
        Self { labels, logit, probability, air: air.to_vec(), ..self.clone() }
    }

    /// Swaps foreground and background. Excluded air stays background.
    pub fn swap(&mut self) {
        if self.centres[0].is_empty() {
            return;
        }
        self.centres.swap(0, 1);
        for ((label, logit), probability) in self.labels.iter_mut().zip(&mut self.logit).zip(&mut self.probability) {
            if *logit != LEFT_OUT {
                (*label, *logit, *probability) = (1 - *label, -*logit + 0.0, 1.0 - *probability);
            }
        }
    }
}

/// Clusters the patches of one slice, `patches` `[n][d]`. `air[i]` is true for patches without tissue. With `tissue_only`, they
/// are neither clustered nor foreground.
///
/// Random numbers depend only on `seed` and `key`, which identifies the slice. Fewer than two distinct patches give
/// no foreground.
pub fn cluster(
    patches: &[f32],
    n: usize,
    d: usize,
    air: &[bool],
    config: &ClusterConfig,
    seed: u64,
    key: &[u64],
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
    let Some((parts, radius)) = two_clusters(&points, d, config, seed, key) else { return result };
    let Some(scored) = foreground::score(&points, d, &parts, config.foreground, config.temperature) else {
        return result;
    };
    result.dbscan_radius = radius;
    result.logit.fill(LEFT_OUT);
    for (index, i) in chosen.into_iter().enumerate() {
        result.labels[i] = scored.labels[index];
        result.logit[i] = scored.logit[index];
        result.probability[i] = foreground::sigmoid(scored.logit[index]) as f32;
    }
    result.centres = scored.centres;
    result
}

/// Splits `points` `[n][d]` into clusters 0 and 1, in no particular order, with the radius of DBSCAN; `None` if there are
/// not two clusters.
fn two_clusters(
    points: &[f32],
    d: usize,
    config: &ClusterConfig,
    seed: u64,
    key: &[u64],
) -> Option<(Vec<u8>, Option<f64>)> {
    let first = points.get(..d)?;
    if points.chunks_exact(d).all(|point| point == first) {
        return None;
    }
    let options = config.kmeans();
    let mut stream = seed::stream(seed, "cluster", key);
    let labels = match config.method {
        Method::Kmeans => kmeans(points, d, &options, &mut stream).map(|result| result.labels),
        Method::Agglomerative => ward(points, d),
        Method::Tsne => {
            let embedding = tsne(points, d, &config.tsne());
            kmeans(&embedding, 2, &options, &mut stream).map(|result| result.labels)
        }
        Method::Dbscan => {
            let result = dbscan(points, d, config.dbscan_eps, config.dbscan_min_points)?;
            return Some((result.labels, Some(result.radius)));
        }
    };
    labels.map(|labels| (labels, None))
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;
