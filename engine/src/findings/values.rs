//! Image values inside a finding.

use glam::{DAffine3, DVec3};
use serde::Serialize;

use super::Finding;
use crate::parallel;
use crate::volume::{Grid, Volume};

/// Radius of a sphere of 1 ml, in mm.
const PEAK_RADIUS_MM: f64 = 6.203_504_908_994;

/// Values of an image inside a finding. Voxels without a finite value do not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Values {
    /// Mean over the finding's voxels.
    pub mean: f64,
    /// Largest value.
    pub max: f64,
    /// Highest mean of a sphere of 1 ml whose centre is one of the image's voxels inside the finding (SUVpeak in a PET scan in
    /// SUV), if requested. The sphere includes the voxels whose centres are in it, even outside the finding.
    pub peak: Option<f64>,
}

impl Finding {
    /// The values of a frame of an image. `grid` is the grid on which the finding was measured. An image on another grid is
    /// sampled at its nearest voxels. `None` for colour images, and if no value is finite.
    pub fn values(&self, grid: &Grid, image: &Volume, frame: usize, with_peak: bool) -> Option<Values> {
        if image.data.is_colour() {
            return None;
        }
        let image_from_mask = image.grid.voxel_from_world() * grid.world_from_voxel;
        let (mut sum, mut count, mut max) = (0.0, 0_usize, f64::NEG_INFINITY);
        let mut centres = Vec::new();
        for voxel in self.voxel_centres().filter_map(|voxel| nearest(&image_from_mask, voxel, image.grid.shape)) {
            let value = image.value_at(voxel, frame);
            if value.is_finite() {
                sum += value;
                count += 1;
                max = max.max(value);
                centres.extend(with_peak.then_some(voxel));
            }
        }
        // Several voxels of a fine mask may fall into the same voxel of a coarse image.
        centres.sort_unstable();
        centres.dedup();
        (count > 0).then(|| Values { mean: sum / count as f64, max, peak: peak(&centres, image, frame) })
    }

    fn voxel_centres(&self) -> impl Iterator<Item = DVec3> + '_ {
        let along = |run: &super::Run| {
            let run = *run;
            (run.i..run.i + run.len).map(move |i| DVec3::new(f64::from(i), f64::from(run.j), f64::from(run.k)))
        };
        self.runs.iter().flat_map(along)
    }
}

/// The image's voxel nearest to a voxel of the mask; `None` outside of the image.
fn nearest(image_from_mask: &DAffine3, voxel: DVec3, shape: [usize; 3]) -> Option<[usize; 3]> {
    let at = image_from_mask.transform_point3(voxel).round().to_array();
    let inside = (0..3).all(|a| at[a] >= 0.0 && at[a] < shape[a] as f64);
    inside.then(|| at.map(|v| v as usize))
}

/// The highest mean of the spheres around these voxels.
fn peak(centres: &[[usize; 3]], image: &Volume, frame: usize) -> Option<f64> {
    if centres.is_empty() {
        return None;
    }
    let sphere = sphere(&image.grid);
    let mean = |centre: &[usize; 3]| {
        let (mut sum, mut count) = (0.0, 0_usize);
        for offset in &sphere {
            let at: [i64; 3] = std::array::from_fn(|a| centre[a] as i64 + offset[a]);
            if (0..3).all(|a| at[a] >= 0 && at[a] < image.grid.shape[a] as i64) {
                let value = image.value_at(at.map(|v| v as usize), frame);
                if value.is_finite() {
                    sum += value;
                    count += 1;
                }
            }
        }
        // The sphere contains at least its centre, which is finite.
        sum / count as f64
    };
    parallel::map(centres.len(), |at| mean(&centres[at])).into_iter().max_by(f64::total_cmp)
}

/// The voxels of a sphere of 1 ml around a voxel, as index offsets.
fn sphere(grid: &Grid) -> Vec<[i64; 3]> {
    let matrix = grid.world_from_voxel.matrix3;
    // The rows of the inverse give the sphere's extent along each axis, also for oblique axes.
    let rows = matrix.inverse().transpose();
    let reach = [rows.x_axis, rows.y_axis, rows.z_axis].map(|row| (PEAK_RADIUS_MM * row.length()).floor() as i64);
    let mut offsets = Vec::new();
    for k in -reach[2]..=reach[2] {
        for j in -reach[1]..=reach[1] {
            for i in -reach[0]..=reach[0] {
                let offset = matrix * DVec3::new(i as f64, j as f64, k as f64);
                if offset.length() <= PEAK_RADIUS_MM {
                    offsets.push([i, j, k]);
                }
            }
        }
    }
    offsets
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use crate::findings::{findings, mask_of};
    use glam::DMat3;

    fn grid(shape: [usize; 3], spacing: [f64; 3], origin: DVec3) -> Grid {
        let matrix3 = DMat3::from_diagonal(DVec3::from(spacing));
        Grid::new(shape, DAffine3 { matrix3, translation: origin })
    }

    #[test]
    fn mean_and_maximum_ignore_nan() {
        let grid = grid([6, 4, 3], [1.0, 2.0, 3.0], DVec3::ZERO);
        let inside: Vec<bool> = (0..grid.len()).map(|n| n < 4).collect();
        let values: Vec<f32> = (0..grid.len()).map(|n| if n == 2 { f32::NAN } else { n as f32 }).collect();
        let finding = &findings(&mask_of(&inside, &grid))[0];
        let found = finding.values(&grid, &Volume::from_f32(grid.clone(), values), 0, false);
        assert_eq!(found, Some(Values { mean: 4.0 / 3.0, max: 3.0, peak: None }));
        let nothing = Volume::from_f32(grid.clone(), vec![f32::NAN; grid.len()]);
        assert_eq!(finding.values(&grid, &nothing, 0, true), None);
    }

    #[test]
    fn an_image_on_another_grid_is_read_by_world_position() {
        let (fine, coarse) =
            (grid([8, 8, 8], [1.0; 3], DVec3::ZERO), grid([3, 4, 4], [2.0; 3], DVec3::new(0.5, 0.5, 0.5)));
        let inside: Vec<bool> = (0..fine.len()).map(|n| n / 64 == 0 && n / 8 % 8 == 0).collect();
        let values: Vec<f32> = (0..coarse.len()).map(|n| (n % 3) as f32).collect();
        let image = Volume::from_f32(coarse, values);
        // Voxels 0 to 7 along i: two for each of the image's three voxels, two outside of it.
        let found = findings(&mask_of(&inside, &fine))[0].values(&fine, &image, 0, false).unwrap();
        assert_eq!((found.mean, found.max), (1.0, 2.0));
    }

    /// Compares with the definition: for each voxel of the lesion, the mean of all voxels within the radius.
    #[test]
    fn the_peak_is_the_highest_mean_of_a_1_ml_sphere() {
        let grid = grid([14, 13, 9], [1.5, 2.0, 3.0], DVec3::new(4.0, -7.0, 2.0));
        let at = |n: usize| [n % 14, n / 14 % 13, n / 182];
        let values: Vec<f32> = (0..grid.len()).map(|n| ((n * 7919) % 101) as f32 + at(n)[0] as f32).collect();
        let inside: Vec<bool> = (0..grid.len()).map(|n| at(n)[0] > 4 && at(n)[1] < 6 && at(n)[2] > 3).collect();
        let image = Volume::from_f32(grid.clone(), values.clone());
        let sphere = |centre: usize| {
            let near = |n: &usize| grid.world(at(*n)).distance(grid.world(at(centre))) <= PEAK_RADIUS_MM;
            let all: Vec<f64> = (0..grid.len()).filter(near).map(|n| f64::from(values[n])).collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        let expected = (0..grid.len()).filter(|&n| inside[n]).map(sphere).fold(f64::MIN, f64::max);
        let found = findings(&mask_of(&inside, &grid))[0].values(&grid, &image, 0, true).unwrap();
        assert!((found.peak.unwrap() - expected).abs() < 1e-9, "{found:?}, not {expected}");
        assert!(found.mean < expected && expected < found.max);
    }
}
