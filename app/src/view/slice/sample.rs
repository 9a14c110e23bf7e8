//! Voxel values along a ray and in an ellipse, read on user actions only.

use engine::volume::{Grid, Orientation, Volume};
use glam::{DAffine3, DVec2, DVec3};

use super::case_view::canonical_from_display;
use crate::scene::{DisplayGrid, Plane};
use crate::state::ImageLayer;

/// Looks up an image's voxels by display index.
pub struct Sampler<'a> {
    volume: &'a Volume,
    frame: usize,
    canonical_from_display: DAffine3,
    orientation: Orientation,
}

impl<'a> Sampler<'a> {
    /// `display` is the display grid of `base`.
    pub fn new(layer: &'a ImageLayer, display: &DisplayGrid, base: &Grid) -> Self {
        Self::of(&layer.volume, layer.held_frame(), display, base)
    }

    fn of(volume: &'a Volume, frame: usize, display: &DisplayGrid, base: &Grid) -> Self {
        Self {
            volume,
            frame,
            canonical_from_display: canonical_from_display(display, base, &volume.grid),
            orientation: volume.grid.orientation(),
        }
    }

    /// Value of the nearest voxel; `None` outside the image, for colours and for non-finite values.
    pub fn value(&self, display: DVec3) -> Option<f64> {
        let canonical = self.canonical_from_display.transform_point3(display).round();
        let source = self.volume.grid.shape;
        let shape = self.orientation.target_shape(source);
        let inside = (0..3).all(|a| canonical[a] >= 0.0 && canonical[a] < shape[a] as f64);
        if !inside || self.volume.data.is_colour() {
            return None;
        }
        let voxel = self.orientation.source_voxel(std::array::from_fn(|a| canonical[a] as usize), source);
        Some(self.volume.value_at(voxel, self.frame)).filter(|v| v.is_finite())
    }

    /// Index along axis `across` of the largest value on the ray through a display index, the first of equal values.
    pub fn deepest(&self, across: usize, shape: [usize; 3], at: DVec3) -> Option<f64> {
        let mut best: Option<(f64, f64)> = None;
        for n in 0..shape[across] {
            let mut index = at;
            index[across] = n as f64;
            if let Some(value) = self.value(index)
                && best.is_none_or(|(largest, _)| value > largest)
            {
                best = Some((value, n as f64));
            }
        }
        best.map(|(_, depth)| depth)
    }

    /// Statistics over the display indices of a slice inside the ellipse with these two corners (display indices along the
    /// screen axes), each with the value of its nearest voxel. `None` if it contains no value.
    pub fn ellipse(
        &self,
        grid: &DisplayGrid,
        plane: Plane,
        slice: usize,
        corners: [DVec2; 2],
    ) -> Option<EllipseValues> {
        let [x, y] = plane.screen_axes();
        let (low, high) = (corners[0].min(corners[1]), corners[0].max(corners[1]));
        let (middle, radius) = ((low + high) / 2.0, (high - low) / 2.0);
        if radius.min_element() <= 0.0 {
            return None;
        }
        let range = |low: f64, high: f64, n: usize| {
            let first = low.ceil().max(0.0) as usize;
            first..((high.floor() + 1.0).max(0.0) as usize).min(n)
        };
        let mut values = Vec::new();
        for j in range(low.y, high.y, grid.shape[y]) {
            for i in range(low.x, high.x, grid.shape[x]) {
                let flat = DVec2::new(i as f64, j as f64);
                if ((flat - middle) / radius).length_squared() <= 1.0 {
                    let mut index = DVec3::splat(slice as f64);
                    (index[x], index[y]) = (flat.x, flat.y);
                    values.extend(self.value(index));
                }
            }
        }
        let radius_mm = radius * DVec2::new(grid.spacing_mm[x], grid.spacing_mm[y]);
        statistics(&values, std::f64::consts::PI * radius_mm.x * radius_mm.y)
    }
}

/// Statistics of an ellipse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EllipseValues {
    /// Number of values.
    pub voxels: usize,
    /// Mean of the values, in the image's unit.
    pub mean: f64,
    /// Standard deviation of the values (not of the mean).
    pub sd: f64,
    /// Area of the ellipse in mm2.
    pub area_mm2: f64,
}

fn statistics(values: &[f64], area_mm2: f64) -> Option<EllipseValues> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (!values.is_empty()).then(|| EllipseValues { voxels: values.len(), mean, sd: variance.sqrt(), area_mm2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::PlaneMode;
    use engine::volume::{Scale, VoxelData};
    use glam::{DMat3, DQuat};

    /// 6 x 5 x 2 voxels of 2 x 3 x 4 mm; canonical voxel (i, j, k) holds 100 k + 10 j + i.
    fn volume(orientation: &Orientation, turn: f64) -> Volume {
        let matrix3 = DMat3::from_quat(DQuat::from_rotation_y(turn)) * DMat3::from_diagonal(DVec3::new(2.0, 3.0, 4.0));
        let grid = Grid::new([6, 5, 2], DAffine3 { matrix3, translation: DVec3::new(5.0, -8.0, 1.0) });
        let voxels = (0..60).map(|n| (100 * (n / 30) + 10 * (n / 6 % 5) + n % 6) as i16).collect::<Vec<_>>();
        let moved = orientation.apply(&voxels, grid.shape);
        Volume::new(grid.reoriented(orientation), VoxelData::I16(moved), Scale::IDENTITY)
    }

    #[test]
    fn an_ellipse_counts_the_voxels_whose_centres_lie_inside() {
        for orientation in Orientation::all() {
            let volume = volume(&orientation, 0.2);
            let display = DisplayGrid::new(&volume.grid, PlaneMode::Native);
            let sampler = Sampler::of(&volume, 0, &display, &volume.grid);
            // A radius of 1 voxel around (2, 2) in the slice k = 1: the middle and its four neighbours.
            let corners = [DVec2::new(3.0, 1.0), DVec2::new(1.0, 3.0)];
            let found = sampler.ellipse(&display, Plane::Axial, 1, corners).expect("voxels inside");
            // 122, 121, 123, 112, 132: mean 122, squares 0, 1, 1, 100, 100.
            assert_eq!((found.voxels, found.mean), (5, 122.0));
            assert!((found.sd - (202.0_f64 / 5.0).sqrt()).abs() < 1e-9);
            assert!((found.area_mm2 - std::f64::consts::PI * 2.0 * 3.0).abs() < 1e-9);
        }
    }

    #[test]
    fn an_ellipse_between_voxels_or_outside_has_no_statistics() {
        let volume = volume(&Orientation::IDENTITY, 0.0);
        let display = DisplayGrid::new(&volume.grid, PlaneMode::Native);
        let sampler = Sampler::of(&volume, 0, &display, &volume.grid);
        let of = |a, b| sampler.ellipse(&display, Plane::Axial, 0, [a, b]);
        assert_eq!(of(DVec2::new(1.2, 1.2), DVec2::new(1.4, 1.4)), None);
        assert_eq!(of(DVec2::new(-9.0, -9.0), DVec2::new(-2.0, -2.0)), None);
        assert_eq!(of(DVec2::new(1.0, 1.0), DVec2::new(1.0, 3.0)), None);
        // Half outside: only voxels inside count: (0, 0), (1, 0), (0, 1).
        assert_eq!(of(DVec2::new(-1.1, -1.1), DVec2::new(1.1, 1.1)).map(|s| s.voxels), Some(3));
    }

    #[test]
    fn a_ray_stops_at_the_first_of_its_largest_values() {
        for orientation in Orientation::all() {
            let volume = volume(&orientation, 0.0);
            let display = DisplayGrid::new(&volume.grid, PlaneMode::Native);
            let sampler = Sampler::of(&volume, 0, &display, &volume.grid);
            // Values grow along j: the farthest voxel is the brightest.
            assert_eq!(sampler.deepest(1, display.shape, DVec3::new(2.0, 0.0, 1.0)), Some(4.0));
            assert_eq!(sampler.deepest(1, display.shape, DVec3::new(9.0, 0.0, 1.0)), None);
        }
        let grid = Grid::new([1, 4, 1], DAffine3::IDENTITY);
        let volume = Volume::from_f32(grid, vec![1.0, f32::NAN, 7.0, 7.0]);
        let display = DisplayGrid::new(&volume.grid, PlaneMode::Native);
        let sampler = Sampler::of(&volume, 0, &display, &volume.grid);
        assert_eq!(sampler.deepest(1, display.shape, DVec3::ZERO), Some(2.0));
    }
}
