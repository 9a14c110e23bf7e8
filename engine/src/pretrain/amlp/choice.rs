//! Chooses the foreground cluster without labels, once for the whole cohort. Slices are clustered with the brighter cluster as
//! foreground. If the darker one is chosen, the two are swapped in every slice.

use clap::ValueEnum;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::mps::PatchState;
use super::relabel::Relevance;
use crate::Result;
use crate::cluster::Clustering;
use crate::patch::PatchGrid;
use crate::pretrain::Slices;

/// How the foreground cluster is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ForegroundChoice {
    /// By the foreground rule of the clustering, in each slice.
    #[default]
    Rule,
    /// The cluster whose mean intensity varies more between slices.
    Variance,
    /// The cluster whose patches differ more from their left-right mirror images.
    Asymmetry,
    /// The cluster with the larger reconstruction error at the first label update. Until then, masks are random.
    Error,
}

/// Makes the chosen cluster the foreground of all slices, if the rule can decide before training.
pub(super) fn choose(
    choice: ForegroundChoice,
    grid: &PatchGrid,
    slices: &Slices,
    patches: &mut [PatchState],
) -> Result<()> {
    let [background, foreground] = match choice {
        ForegroundChoice::Rule | ForegroundChoice::Error => return Ok(()),
        ForegroundChoice::Variance => variances(patches.iter().map(|state| &state.clustering)),
        ForegroundChoice::Asymmetry => asymmetries(grid, slices, patches)?,
    };
    if background > foreground {
        patches.iter_mut().for_each(PatchState::swap);
    }
    Ok(())
}

/// True if the foreground is the darker cluster.
pub(super) fn is_darker(patches: &[PatchState]) -> bool {
    let [background, foreground] = sums(patches.iter().filter_map(|state| centre_means(&state.clustering)));
    foreground < background
}

/// True if the background was reconstructed worse than the foreground in this period.
pub(super) fn background_is_harder(patches: &[PatchState], relevance: &Relevance) -> bool {
    let means = patches.iter().enumerate().filter_map(|(slice, state)| {
        mean_by_label(&state.clustering.labels, &relevance.mean(slice), &state.clustering.air)
    });
    let [background, foreground] = sums(means);
    background > foreground
}

/// Variance over the slices of the mean intensity of background and foreground.
fn variances<'a>(clusterings: impl Iterator<Item = &'a Clustering>) -> [f64; 2] {
    let means: Vec<[f64; 2]> = clusterings.filter_map(centre_means).collect();
    let n = means.len().max(1) as f64;
    let centre = sums(means.iter().copied()).map(|sum| sum / n);
    sums(means.iter().map(|mean| [0, 1].map(|k| (mean[k] - centre[k]).powi(2)))).map(|sum| sum / n)
}

fn centre_means(clustering: &Clustering) -> Option<[f64; 2]> {
    let mean = |centre: &Vec<f32>| centre.iter().map(|v| f64::from(*v)).sum::<f64>() / centre.len() as f64;
    (!clustering.centres[0].is_empty()).then(|| clustering.centres.each_ref().map(mean))
}

/// Mean squared difference of the patches of background and foreground from those of the mirrored slice, air left out.
fn asymmetries(grid: &PatchGrid, slices: &Slices, patches: &[PatchState]) -> Result<[f64; 2]> {
    let of = |(slice, state): (usize, &PatchState)| {
        let differences = mirrored_differences(grid, &slices.pixels(slice)?);
        Ok(mean_by_label(&state.clustering.labels, &differences, &state.clustering.air))
    };
    let means: Vec<Option<[f64; 2]>> = patches.par_iter().enumerate().map(of).collect::<Result<_>>()?;
    Ok(sums(means.into_iter().flatten()))
}

/// Mean squared difference of each patch of `[C][S][S]` from the patch in its place once the slice is mirrored along R.
fn mirrored_differences(grid: &PatchGrid, pixels: &[f32]) -> Vec<Option<f64>> {
    let size = grid.size();
    let mirrored: Vec<f32> =
        pixels.chunks(size * size).flat_map(|channel| channel.chunks(size).rev().flatten()).copied().collect();
    let channels = pixels.len() / (size * size);
    let [a, b] = [pixels, &mirrored].map(|pixels| grid.patches(pixels, channels));
    let d = grid.dimension(channels).max(1);
    let difference = |(a, b): (&[f32], &[f32])| {
        let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
        Some(squares.sum::<f64>() / d as f64)
    };
    a.chunks(d).zip(b.chunks(d)).map(difference).collect()
}

/// Mean of the values of patches labelled 0 and 1, air left out; `None` if one of the two has none.
fn mean_by_label(labels: &[u8], values: &[Option<f64>], air: &[bool]) -> Option<[f64; 2]> {
    let mut sums = [(0.0, 0usize); 2];
    for ((label, value), _) in labels.iter().zip(values).zip(air).filter(|(_, air)| !**air) {
        if let Some(value) = value {
            let (sum, n) = &mut sums[usize::from(*label == 1)];
            (*sum, *n) = (*sum + value, *n + 1);
        }
    }
    sums.iter().all(|(_, n)| *n > 0).then(|| sums.map(|(sum, n)| sum / n as f64))
}

fn sums(pairs: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    pairs.fold([0.0; 2], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn slice(background: f32, foreground: f32) -> PatchState {
        let clustering = Clustering {
            labels: vec![1, 0, 0, 0],
            logit: vec![2.0, -1.0, -3.0, crate::cluster::LEFT_OUT],
            probability: vec![0.9, 0.2, 0.1, 0.0],
            centres: [vec![background; 4], vec![foreground; 4]],
            air: vec![false, false, false, true],
            dbscan_radius: None,
        };
        PatchState { label: clustering.labels.clone(), clustering, lesion: None }
    }

    #[test]
    fn variance_chooses_the_cluster_that_varies_more_between_slices() {
        let of = |slices: &[PatchState]| variances(slices.iter().map(|s| &s.clustering));
        let [background, foreground] = of(&[slice(0.0, 1.0), slice(0.0, 3.0)]);
        assert!(foreground > background && (foreground - 1.0).abs() < 1e-9);
        let [background, foreground] = of(&[slice(-1.0, 1.0), slice(0.5, 1.0)]);
        assert!(background > foreground);
    }

    #[test]
    fn swapping_clusters_keeps_excluded_air_in_the_background() {
        let mut state = slice(0.0, 1.0);
        assert!(!is_darker(&[state.clone()]));
        let before = state.clone();
        state.swap();
        assert_eq!((state.label.as_slice(), &state.clustering.labels[..]), (&[0, 1, 1, 0][..], &[0, 1, 1, 0][..]));
        assert_eq!(state.clustering.logit[..3], [-2.0, 1.0, 3.0]);
        assert!(is_darker(&[state.clone()]) && state.clustering.logit[3] == crate::cluster::LEFT_OUT);
        state.swap();
        assert_eq!(state.clustering.labels, before.clustering.labels);
    }

    /// A lesion in the left half: its patch and the healthy one across differ, and the lesion's cluster has only such patches.
    #[test]
    fn a_lesion_on_one_side_is_asymmetric() {
        let grid = PatchGrid::new(8, 4).unwrap();
        let mut pixels = vec![1.0f32; 64];
        for i in 0..2 {
            for j in 2..4 {
                pixels[i * 8 + j] = 5.0;
            }
        }
        let differences = mirrored_differences(&grid, &pixels);
        assert_eq!((differences[1], differences[13], differences[5]), (Some(16.0), Some(16.0), Some(0.0)));
        let lesion: Vec<u8> = (0..16).map(|patch| u8::from(patch == 1)).collect();
        let [healthy, lesion] = mean_by_label(&lesion, &differences, &[false; 16]).unwrap();
        assert!(lesion > healthy, "{lesion} {healthy}");
    }

    #[test]
    fn error_chooses_the_cluster_with_the_larger_losses() {
        let patches = [slice(0.0, 1.0)];
        let harder = |relative: [f64; 4]| {
            let mut relevance = Relevance::new(1, 4);
            relevance.add(0, &[0, 1, 2, 3], &relative);
            background_is_harder(&patches, &relevance)
        };
        assert!(harder([0.5, 1.0, 1.2, 0.0]) && !harder([1.5, 1.0, 0.5, 9.0]), "air does not count");
        assert!(!background_is_harder(&patches, &Relevance::new(1, 4)), "no losses are known yet");
    }
}
