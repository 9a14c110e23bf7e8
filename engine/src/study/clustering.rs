//! Cost of clustering and its growth with the number of patches (the paper claims O(n) for k-means).

use std::time::Instant;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::tables::TextTable;
use crate::Result;
use crate::cluster::{ClusterConfig, cluster};
use crate::config::{Config, Pretext};
use crate::patch::PatchGrid;
use crate::pretrain::synthetic_slice;
use crate::run::study::StudyFolder;

/// File of the costs, which are measured once per study.
const FILE: &str = "clustering.json";
/// Patches per side of the slices that are clustered.
const GRIDS: [usize; 3] = [8, 16, 32];
/// Slices per grid; the median is reported.
const SLICES: u64 = 3;

/// Cost of a clustering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusteringCost {
    /// The clustering: `kmeans`, `agglomerative`, `tsne` or `dbscan`.
    pub method: String,
    /// Numbers of patches per slice.
    pub patches: Vec<usize>,
    /// Seconds per slice, for each number of patches.
    pub seconds: Vec<f64>,
}

impl ClusteringCost {
    /// The exponent e of `seconds ~ patches^e`: the slope of the least-squares line through the logarithms.
    pub fn exponent(&self) -> f64 {
        let points: Vec<[f64; 2]> = self
            .patches
            .iter()
            .zip(&self.seconds)
            .map(|(n, seconds)| [(*n as f64).ln(), seconds.max(1e-9).ln()])
            .collect();
        let mean = |k: usize| points.iter().map(|point| point[k]).sum::<f64>() / points.len() as f64;
        let [x, y] = [mean(0), mean(1)];
        let products: f64 = points.iter().map(|point| (point[0] - x) * (point[1] - y)).sum();
        products / points.iter().map(|point| (point[0] - x).powi(2)).sum::<f64>()
    }
}

/// Clustering costs of a plan's methods, if they use different clusterings. Measured once on synthetic slices, then read from
/// the study's folder.
///
/// # Errors
/// A folder that cannot be read or written.
pub fn costs(plan: &Plan, folder: &StudyFolder) -> Result<Vec<ClusteringCost>> {
    let clusterings = clusterings(plan)?;
    if clusterings.len() < 2 {
        return Ok(Vec::new());
    }
    if let Some(known) = folder.read::<Vec<ClusteringCost>>(FILE)? {
        return Ok(known);
    }
    let costs: Vec<ClusteringCost> =
        clusterings.iter().map(|(name, config)| measure(name, config)).collect::<Result<_>>()?;
    folder.write_json(FILE, &costs)?;
    Ok(costs)
}

/// The different clusterings of a plan's methods by name, each with the settings of its first method.
fn clusterings(plan: &Plan) -> Result<Vec<(String, Config)>> {
    let mut named: Vec<(String, Config)> = Vec::new();
    let Some(cohort) = plan.cohorts.first() else { return Ok(named) };
    for method in &plan.methods {
        let Some(config) = plan.pretrain_config(cohort, method)? else { continue };
        let Some(value) = config.method.cluster.method.to_possible_value() else { continue };
        let name = value.get_name().to_owned();
        if config.method.pretext == Pretext::Amlp && named.iter().all(|(known, _)| *known != name) {
            named.push((name, config));
        }
    }
    Ok(named)
}

/// Times a clustering on slices with an increasing number of patches of one size.
fn measure(name: &str, config: &Config) -> Result<ClusteringCost> {
    let side = (config.preprocess.size / config.method.grid.max(1)).max(1);
    let seconds = |grid: usize| -> Result<f64> {
        let mut sized = config.clone();
        sized.preprocess.size = grid * side;
        let grid = PatchGrid::new(sized.preprocess.size, grid)?;
        let mut times: Vec<f64> =
            (0..SLICES).map(|index| seconds_of(&sized, &grid, &config.method.cluster, index)).collect();
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    };
    Ok(ClusteringCost {
        method: name.to_owned(),
        patches: GRIDS.iter().map(|grid| grid * grid).collect(),
        seconds: GRIDS.into_iter().map(seconds).collect::<Result<_>>()?,
    })
}

fn seconds_of(config: &Config, grid: &PatchGrid, settings: &ClusterConfig, number: u64) -> f64 {
    let slice = synthetic_slice(config, number);
    let channels = config.data.modality.len();
    let (patches, air) = (grid.patches(&slice.pixels, channels), grid.air_of_tissue(&slice.tissue));
    let start = Instant::now();
    let clustering = cluster(&patches, grid.count(), grid.dimension(channels), &air, settings, config.seed, &[number]);
    std::hint::black_box(clustering);
    start.elapsed().as_secs_f64()
}

/// The costs as a table.
pub fn table(costs: &[ClusteringCost]) -> Option<TextTable> {
    let first = costs.first()?;
    let mut heading = vec!["Clustering".to_owned()];
    heading.extend(first.patches.iter().map(|n| format!("{n} patches (ms)")));
    heading.push("Grows as".into());
    let row = |cost: &ClusteringCost| {
        let mut cells = vec![cost.method.clone()];
        cells.extend(cost.seconds.iter().map(|seconds| format!("{:.2}", 1e3 * seconds)));
        cells.push(format!("n^{:.1}", cost.exponent()));
        cells
    };
    let note = format!(
        "One thread, median of {SLICES} synthetic slices; patches keep their size. The paper states O(n) for k-means and O(n^2) \
         for the others."
    );
    let caption = "Clustering: milliseconds per slice, and growth with the number of patches n".into();
    Some(TextTable { caption, heading, rows: costs.iter().map(row).collect(), notes: vec![note], paper: 0 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::study::ready_plan;

    fn cost(seconds: Vec<f64>) -> ClusteringCost {
        ClusteringCost { method: "x".into(), patches: vec![64, 256, 1024], seconds }
    }

    #[test]
    fn the_exponent_is_the_slope_of_the_logarithms() {
        assert!((cost(vec![1.0, 16.0, 256.0]).exponent() - 2.0).abs() < 1e-9);
        assert!((cost(vec![0.5, 2.0, 8.0]).exponent() - 1.0).abs() < 1e-9);
        assert!(cost(vec![0.3; 3]).exponent().abs() < 1e-9);
    }

    #[test]
    fn costs_are_measured_only_for_plans_with_several_clusterings() {
        let temp = tempfile::tempdir().unwrap();
        let folder = StudyFolder::new(temp.path());
        let plan = |name: &str| Plan::from_toml(&ready_plan(name).unwrap(), Path::new(name)).unwrap();
        assert!(costs(&plan("paper-table-3"), &folder).unwrap().is_empty() && table(&[]).is_none());
        let known = vec![cost(vec![1.0, 2.0, 3.0])];
        folder.write_json(FILE, &known).unwrap();
        assert_eq!(costs(&plan("paper-table-6"), &folder).unwrap(), known, "measured once");
        let text = table(&known).unwrap().markdown();
        assert!(text.contains("| 64 patches (ms) | 256 patches (ms) |") && text.contains("| 1000.00 |"), "{text}");
    }

    /// Several methods of a plan use k-means, so a clustering is named by its algorithm and not by a method.
    #[test]
    fn a_clustering_is_named_by_its_algorithm() {
        for plan in ["paper", "paper-table-6"] {
            let plan = Plan::from_toml(&ready_plan(plan).unwrap(), Path::new(plan)).unwrap();
            let names: Vec<String> = clusterings(&plan).unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["kmeans", "agglomerative", "tsne", "dbscan"]);
        }
    }

    #[test]
    fn a_clustering_is_timed_at_each_number_of_patches() {
        let mut config = Config::default();
        config.data.modality = vec!["pet".into()];
        config.preprocess.size = 32;
        let cost = measure("kmeans", &config).unwrap();
        assert_eq!((cost.patches.as_slice(), cost.seconds.len()), (&[64, 256, 1024][..], 3));
        assert!(cost.seconds.iter().all(|seconds| *seconds > 0.0));
    }
}
