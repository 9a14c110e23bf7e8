//! Clustering settings.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{KmeansOptions, TsneOptions};
use crate::{Error, Result};

/// Maximum number of patches for methods with a matrix of all pairs (128 MiB).
const MAX_PATCHES: usize = 4096;

/// Clustering method (paper, Table 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// k-means with k = 2, as in the paper.
    #[default]
    #[serde(alias = "k-means")]
    #[value(alias = "k-means")]
    Kmeans,
    /// Agglomerative clustering with Ward's linkage, cut at two clusters ("hierarchical" in the paper).
    #[serde(alias = "hierarchical")]
    #[value(alias = "hierarchical")]
    Agglomerative,
    /// t-SNE to two dimensions, then k-means on the embedding.
    #[serde(alias = "t-sne")]
    #[value(alias = "t-sne")]
    Tsne,
    /// DBSCAN: the largest cluster against everything else, noise included.
    Dbscan,
}

/// Rule that selects the foreground cluster. Ties go to the brighter cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ForegroundRule {
    /// The cluster with fewer patches, as in the paper.
    #[default]
    Minority,
    /// The cluster whose centre has the higher mean.
    Brighter,
    /// The cluster whose centre has the lower mean.
    Darker,
}

/// Settings of [`super::cluster`]. The defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// The clustering method.
    pub method: Method,
    /// Rule that selects the foreground cluster.
    pub foreground: ForegroundRule,
    /// Excludes air from clustering and from the foreground.
    pub tissue_only: bool,
    /// Temperature t of the logit and the probability.
    pub temperature: f64,
    /// k-means: number of starts. The one with the lowest inertia wins.
    pub n_init: usize,
    /// k-means: maximum iterations per start.
    pub max_iter: usize,
    /// k-means: a start ends when the squared shift of its centres is at most this fraction of the mean feature variance, as
    /// in scikit-learn.
    pub tolerance: f64,
    /// t-SNE: effective number of neighbours, at most (N - 1) / 3.
    pub tsne_perplexity: f64,
    /// t-SNE: gradient steps.
    pub tsne_iterations: usize,
    /// DBSCAN: radius as Euclidean distance between patch vectors. 0 uses the knee of the k-distance curve.
    pub dbscan_eps: f64,
    /// DBSCAN: minimum number of patches within the radius of a core patch, itself included.
    pub dbscan_min_points: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            method: Method::Kmeans,
            foreground: ForegroundRule::Minority,
            tissue_only: false,
            temperature: 0.1,
            n_init: 10,
            max_iter: 300,
            tolerance: 1e-4,
            tsne_perplexity: 30.0,
            tsne_iterations: 500,
            dbscan_eps: 0.0,
            dbscan_min_points: 5,
        }
    }
}

impl ClusterConfig {
    /// Returns the first of [`ClusterConfig::errors`].
    pub fn validate(&self) -> Result<()> {
        self.errors().into_iter().next().map_or(Ok(()), Err)
    }

    /// One error for each value out of range.
    pub fn errors(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        for (field, value) in [("temperature", self.temperature), ("tsne_perplexity", self.tsne_perplexity)] {
            if !(value.is_finite() && value > 0.0) {
                errors.push(Error::config(format!("cluster.{field}"), value, "must be a positive number"));
            }
        }
        for (field, value) in [("tolerance", self.tolerance), ("dbscan_eps", self.dbscan_eps)] {
            if !(value.is_finite() && value >= 0.0) {
                errors.push(Error::config(format!("cluster.{field}"), value, "must be 0 or a positive number"));
            }
        }
        for (field, value) in [
            ("n_init", self.n_init),
            ("max_iter", self.max_iter),
            ("tsne_iterations", self.tsne_iterations),
            ("dbscan_min_points", self.dbscan_min_points),
        ] {
            if value == 0 {
                errors.push(Error::config(format!("cluster.{field}"), value, "must be at least 1"));
            }
        }
        errors
    }

    /// # Errors
    /// As [`ClusterConfig::validate`]. Also for more than 4096 patches with any method but k-means, because the others need a
    /// matrix of all pairs.
    pub fn check_patches(&self, patches: usize) -> Result<()> {
        self.validate()?;
        if self.method != Method::Kmeans && patches > MAX_PATCHES {
            let why = format!("supports at most {MAX_PATCHES} patches per slice. Use k-means or a coarser grid");
            return Err(Error::config("cluster.method", format!("{:?} with {patches} patches", self.method), why));
        }
        Ok(())
    }

    pub(crate) fn kmeans(&self) -> KmeansOptions {
        KmeansOptions { n_init: self.n_init, max_iter: self.max_iter, tolerance: self.tolerance }
    }

    pub(crate) fn tsne(&self) -> TsneOptions {
        TsneOptions { perplexity: self.tsne_perplexity, iterations: self.tsne_iterations }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn settings_round_trip_through_toml() {
        let config = ClusterConfig { method: Method::Tsne, foreground: ForegroundRule::Darker, ..Default::default() };
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("method = \"tsne\"") && text.contains("foreground = \"darker\""), "{text}");
        assert_eq!(toml::from_str::<ClusterConfig>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<ClusterConfig>("").unwrap(), ClusterConfig::default());
        assert_eq!(toml::from_str::<ClusterConfig>("method = \"k-means\"").unwrap(), ClusterConfig::default());
        assert!(toml::from_str::<ClusterConfig>("tissueonly = true").is_err());
    }

    #[test]
    fn errors_name_the_invalid_setting() {
        ClusterConfig::default().validate().unwrap();
        let wrong = [
            ClusterConfig { temperature: 0.0, ..Default::default() },
            ClusterConfig { temperature: f64::NAN, ..Default::default() },
            ClusterConfig { n_init: 0, ..Default::default() },
            ClusterConfig { tolerance: -1.0, ..Default::default() },
        ];
        for config in wrong {
            assert!(config.validate().unwrap_err().to_string().starts_with("cluster."));
        }
    }
}
