//! Clipping and z-score of one channel over its foreground region.

use std::sync::atomic::{AtomicU64, Ordering};

use super::body::body_mask;
use super::config::{BackgroundFill, Kind, PreprocessConfig};
use super::plan::ChannelPlan;
use crate::parallel::{self, PIECE};
use crate::seed::Stream;
use crate::volume::{Background, percentile};
use crate::words::plural;
use rand::RngExt;

/// Value of air in a CT, also used for non-finite voxels.
const AIR_HU: f32 = -1024.0;

/// A region with a smaller standard deviation relative to its mean is constant.
const CONSTANT: f64 = 1e-9;

/// A channel on its source grid, before resampling.
pub(super) struct SourceChannel {
    /// Values in the scan's unit, in file order. A CT is clipped to its window.
    pub values: Vec<f32>,
    /// Foreground region, in file order.
    pub region: Vec<bool>,
    /// Number of non-finite values, without padding.
    pub nonfinite: u64,
    pub warnings: Vec<String>,
}

/// Finds the foreground region and clips a CT to its window. `padded` of the values are NaN because they are padding. `grid`
/// is the shape of the array and its axis closest to S-I.
pub(super) fn prepare_source(
    mut values: Vec<f32>,
    padded: u64,
    kind: Kind,
    background: Option<Background>,
    grid: ([usize; 3], usize),
    cfg: &PreprocessConfig,
) -> SourceChannel {
    let mut warnings = Vec::new();
    // A non-finite value is outside the region.
    let outside = match (kind, background) {
        (Kind::Ct, _) => AIR_HU,
        (Kind::Other, Some(background)) if (background.value as f32).is_finite() => background.value as f32,
        (Kind::Other, _) => 0.0,
    };
    let tissue = |v: f32| background.map_or(v != 0.0, |b| !b.contains(f64::from(v)));
    let mut region = vec![false; values.len()];
    let nonfinite = AtomicU64::new(0);
    let pieces = values.chunks_mut(PIECE).zip(region.chunks_mut(PIECE));
    parallel::for_each_piece(pieces, |(values, region)| {
        let mut found = 0;
        for (value, inside) in values.iter_mut().zip(region) {
            if value.is_finite() {
                *inside = tissue(*value);
            } else {
                *value = outside;
                found += 1;
            }
        }
        nonfinite.fetch_add(found, Ordering::Relaxed);
    });
    let nonfinite = nonfinite.into_inner() - padded;
    if nonfinite > 0 {
        warnings.push(format!(
            "{} treated as background",
            plural(nonfinite as usize, "voxel is not finite and is", "voxels are not finite and are")
        ));
    }
    if kind == Kind::Ct {
        // Before clipping: clipped to -150 HU, air and fat are indistinguishable.
        region = body_mask(&values, grid.0, grid.1);
        if !region.contains(&true) {
            warnings.push("no voxel is above -500 HU, so the whole scan is treated as the body".into());
            region.fill(true);
        }
        let [low, high] = cfg.ct_window.map(|v| v as f32);
        parallel::change_values(&mut values, |_, v| v.clamp(low, high));
    } else if background.is_none() {
        warnings.push("no value is constant along the border, so every voxel except 0 counts as tissue".into());
    }
    SourceChannel { values, region, nonfinite, warnings }
}

/// Clips `values` to the percentiles of the region and normalises the region to mean 0 and standard deviation 1.
/// Outside it, values become 0 or N(0, 1) noise; in a CT, where 0 is mean tissue, the lowest normalised value of the
/// body.
pub(super) fn normalise(
    values: &mut [f32],
    region: &[bool],
    kind: Kind,
    cfg: &PreprocessConfig,
    mut noise: Stream,
) -> ChannelPlan {
    // Allocated at full size: growing would need up to three times the memory.
    let mut inside = Vec::with_capacity(region.iter().filter(|r| **r).count());
    inside.extend(values.iter().zip(region).filter(|(_, r)| **r).map(|(v, _)| *v));
    let region_voxels = inside.len() as u64;
    // In the precision of the values, which are clipped to them.
    let [low, high] = cfg.percentiles.map(|p| f64::from(percentile(&mut inside, p).unwrap_or(0.0) as f32));
    let count = (inside.len() as f64).max(1.0);
    let clipped = || inside.iter().map(|&v| f64::from(v).clamp(low, high));
    let mean = clipped().sum::<f64>() / count;
    let deviation = (clipped().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    // A constant region becomes 0 instead of being divided by 0.
    let std = if deviation > CONSTANT * mean.abs().max(f64::from(f32::MIN_POSITIVE)) { deviation } else { 1.0 };
    let scaled = |v: f32| ((f64::from(v).clamp(low, high) - mean) / std) as f32;
    let fill = match kind {
        Kind::Other => 0.0,
        Kind::Ct => inside.iter().map(|&v| scaled(v)).fold(f32::INFINITY, f32::min),
    };
    let fill = if fill.is_finite() { fill } else { 0.0 };
    parallel::change_values(values, |at, v| if region[at] { scaled(v) } else { fill });
    if kind == Kind::Other && cfg.background == BackgroundFill::Noise {
        for (value, _) in values.iter_mut().zip(region).filter(|(_, r)| !**r) {
            *value = gaussian(&mut noise);
        }
    }
    ChannelPlan { kind, clip: [low, high], mean, std, fill, region_voxels, nonfinite: 0 }
}

/// One sample of N(0, 1) by the Box-Muller transform.
fn gaussian(stream: &mut Stream) -> f32 {
    let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()) as f32
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests of exact values")]
mod tests {
    use super::*;
    use crate::seed::stream;

    fn noise() -> Stream {
        stream(3, "test", &[])
    }

    #[test]
    fn the_region_gets_mean_0_and_deviation_1_and_background_stays_0() {
        let mut values: Vec<f32> =
            (0..1000).map(|v| if v % 3 == 0 { 0.0 } else { (v * 7 % 501) as f32 + 1.0 }).collect();
        let region: Vec<bool> = values.iter().map(|&v| v != 0.0).collect();
        let plan = normalise(&mut values, &region, Kind::Other, &PreprocessConfig::default(), noise());
        let inside: Vec<f64> = values.iter().zip(&region).filter(|(_, r)| **r).map(|(v, _)| f64::from(*v)).collect();
        let mean = inside.iter().sum::<f64>() / inside.len() as f64;
        let variance = inside.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / inside.len() as f64;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        assert!(values.iter().zip(&region).all(|(v, r)| *r || *v == 0.0));
        assert!(plan.clip[0] > 1.0 && plan.clip[1] < 501.0 && plan.region_voxels == 666);
    }

    #[test]
    fn ct_is_windowed_after_the_body_was_found_and_air_is_its_minimum() {
        // A slice of 6 x 6: a body of 4 x 4 with fat (-100), muscle (50), bone (1000) and an air bubble (-1000).
        let mut hu = vec![-1000.0; 36];
        for j in 1..5 {
            for i in 1..5 {
                hu[i + 6 * j] = [-100.0, 50.0, 50.0, 1000.0][i - 1];
            }
        }
        hu[2 + 6 * 2] = -1000.0;
        let cfg = PreprocessConfig { percentiles: [0.0, 100.0], ..PreprocessConfig::default() };
        let found = prepare_source(hu, 0, Kind::Ct, None, ([6, 6, 1], 2), &cfg);
        assert_eq!(found.region.iter().filter(|r| **r).count(), 16);
        assert_eq!(found.values.iter().copied().fold(0.0, f32::max), 150.0);
        let mut values = found.values;
        let plan = normalise(&mut values, &found.region, Kind::Ct, &cfg, noise());
        assert_eq!(plan.clip, [-150.0, 150.0]);
        assert!(plan.fill < -1.0 && values[0] == plan.fill && values[2 + 6 * 2] == plan.fill);
    }

    #[test]
    fn constant_and_empty_scans_survive() {
        for values in [vec![5.0; 8], vec![0.0; 8], vec![f32::NAN; 8], vec![]] {
            for kind in [Kind::Other, Kind::Ct] {
                let shape = [values.len().min(2), 2, 2];
                let cfg = PreprocessConfig::default();
                let mut found = prepare_source(values.clone(), 0, kind, None, (shape, 2), &cfg);
                let plan = normalise(&mut found.values, &found.region, kind, &cfg, noise());
                assert!(found.values.iter().all(|v| v.is_finite()) && plan.std > 0.0 && plan.fill.is_finite());
            }
        }
    }

    #[test]
    fn noise_is_seeded_and_standard_normal() {
        let cfg = PreprocessConfig { background: BackgroundFill::Noise, ..PreprocessConfig::default() };
        let run = || {
            let mut values = vec![0.0; 20_000];
            values[7] = 3.0;
            let region: Vec<bool> = values.iter().map(|&v| v != 0.0).collect();
            normalise(&mut values, &region, Kind::Other, &cfg, noise());
            values
        };
        let values = run();
        assert_eq!(values, run());
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
