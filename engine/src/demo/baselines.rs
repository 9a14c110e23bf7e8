//! Baselines that a trained network must beat: a threshold on the image, and an ellipsoid that ignores the image.

use crate::metrics::Counts;
use crate::parallel;
use crate::volume::{Grid, LabelVolume, Volume, percentile};
use glam::{DMat3, DVec3};

/// Baseline: one threshold on the image's value (SUV for PET) for all patients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Voxels of at least this value are lesion, in the image's unit.
    pub value: f64,
    /// Mean DSC of the patients it was tuned on.
    pub training_dsc: f64,
}

/// Number of thresholds tried.
const CANDIDATES: usize = 200;

impl Threshold {
    /// The threshold with the best mean DSC over the labelled patients, among evenly spaced values up to the highest
    /// 99.9th percentile.
    pub fn tune(cases: &[(Volume, LabelVolume)]) -> Self {
        let images: Vec<(Vec<f32>, &LabelVolume)> = cases.iter().map(|(v, l)| (v.to_f32(), l)).collect();
        let brightest = |values: &Vec<f32>| percentile(&mut values.clone(), 99.9).unwrap_or(0.0);
        let high = images.iter().map(|(values, _)| brightest(values)).fold(0.0, f64::max);
        let score = |value: f64| {
            let dsc = images.iter().map(|(image, label)| dice(|i| f64::from(image[i]) >= value, label));
            dsc.sum::<f64>() / images.len().max(1) as f64
        };
        let candidate = |index: usize| {
            let value = high * (index + 1) as f64 / CANDIDATES as f64;
            Self { value, training_dsc: score(value) }
        };
        let scored = parallel::map(CANDIDATES, candidate);
        let none = Self { value: f64::INFINITY, training_dsc: 0.0 };
        scored.into_iter().fold(none, |best, new| if new.training_dsc > best.training_dsc { new } else { best })
    }

    /// Segments an image.
    pub fn mask(&self, image: &Volume) -> Vec<bool> {
        image.to_f32().into_iter().map(|v| f64::from(v) >= self.value).collect()
    }
}

/// Baseline: an ellipsoid at the same position in every scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipsoid {
    /// Offset of its centre from the middle of the scan, in mm, RAS+.
    pub offset_mm: DVec3,
    /// Covariance of the lesion voxels' positions, in mm^2; the ellipsoid of uniform density with the same covariance
    /// is `x' (5 C)^-1 x <= 1`.
    pub covariance_mm2: DMat3,
}

impl Ellipsoid {
    /// Mean position and mean covariance of the labelled patients' masks.
    pub fn fit<'a>(labels: impl IntoIterator<Item = &'a LabelVolume>) -> Self {
        let (mut offset, mut covariance, mut n) = (DVec3::ZERO, DMat3::ZERO, 0.0);
        for label in labels {
            let points: Vec<DVec3> = positions(&label.grid, |i| label.get(i) > 0);
            if points.is_empty() {
                continue;
            }
            let count = points.len() as f64;
            let centre = points.iter().sum::<DVec3>() / count;
            let mut spread = DMat3::ZERO;
            for p in points {
                let d = p - centre;
                spread += DMat3::from_cols(d * d.x, d * d.y, d * d.z);
            }
            offset += centre - middle(&label.grid);
            covariance += spread * (1.0 / count);
            n += 1.0;
        }
        let n = f64::max(n, 1.0);
        Self { offset_mm: offset / n, covariance_mm2: covariance * (1.0 / n) }
    }

    /// The ellipsoid as a mask on a scan's grid.
    pub fn mask(&self, grid: &Grid) -> Vec<bool> {
        // A mask in a single slice has no extent along its normal. Half a millimetre keeps the matrix invertible.
        let shape = (self.covariance_mm2 * 5.0 + DMat3::from_diagonal(DVec3::splat(0.25))).inverse();
        let centre = middle(grid) + self.offset_mm;
        voxels(grid)
            .map(|voxel| {
                let d = grid.world(voxel) - centre;
                d.dot(shape * d) <= 1.0
            })
            .collect()
    }
}

/// The middle of a grid in mm.
fn middle(grid: &Grid) -> DVec3 {
    let [x, y, z] = grid.shape.map(|n| (n as f64 - 1.0) / 2.0);
    grid.world_from_voxel.transform_point3(DVec3::new(x, y, z))
}

/// All voxels in memory order.
fn voxels(grid: &Grid) -> impl Iterator<Item = [usize; 3]> + use<> {
    let [nx, ny, nz] = grid.shape;
    (0..nz).flat_map(move |k| (0..ny).flat_map(move |j| (0..nx).map(move |i| [i, j, k])))
}

fn positions(grid: &Grid, chosen: impl Fn(usize) -> bool) -> Vec<DVec3> {
    voxels(grid).enumerate().filter(|(index, _)| chosen(*index)).map(|(_, voxel)| grid.world(voxel)).collect()
}

/// DSC of a mask given voxel by voxel.
fn dice(is_lesion: impl Fn(usize) -> bool, label: &LabelVolume) -> f64 {
    (0..label.grid.len()).map(|i| (is_lesion(i), label.get(i) > 0)).collect::<Counts>().dsc()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glam::DAffine3;

    use super::*;

    fn ball(shape: [usize; 3], centre: [f64; 3], radius: f64) -> LabelVolume {
        let grid = Grid::new(shape, DAffine3::from_scale(DVec3::new(2.0, 2.0, 3.0)));
        let c = DVec3::from_array(centre);
        let inside = |v: [usize; 3]| grid.world(v).distance(c) <= radius;
        let labels: Vec<u8> = voxels(&grid).map(|v| u8::from(inside(v))).collect();
        LabelVolume::new(grid, labels).unwrap()
    }

    #[test]
    fn an_ellipsoid_fitted_to_a_ball_segments_the_ball() {
        let label = ball([40, 40, 30], [35.0, 45.0, 40.0], 18.0);
        let mask = Ellipsoid::fit(std::slice::from_ref(&label)).mask(&label.grid);
        assert!(dice(|i| mask[i], &label) > 0.97);
    }

    #[test]
    fn a_tuned_threshold_separates_lesion_from_background() {
        let label = ball([20, 20, 20], [20.0, 20.0, 30.0], 12.0);
        let values = (0..label.grid.len()).map(|i| if label.get(i) > 0 { 6.0 } else { 2.0 + (i % 3) as f32 }).collect();
        let image = Volume::from_f32(label.grid.clone(), values);
        let result = Threshold::tune(&[(image.clone(), label.clone())]);
        assert!(result.value > 4.0 && result.value <= 6.0, "{result:?}");
        let mask = result.mask(&image);
        assert!((dice(|i| mask[i], &label) - 1.0).abs() < 1e-9);
    }
}
