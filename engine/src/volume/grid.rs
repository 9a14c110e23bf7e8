//! Voxel grid: shape and transform from voxel indices to patient space.

use std::ops::RangeInclusive;

use glam::{DAffine3, DMat3, DVec3};

use super::Orientation;
use super::orient::PERMUTATIONS;

/// Voxel sizes from micro-CT to thick slices, in mm.
const PLAUSIBLE_MM: RangeInclusive<f64> = 0.002..=200.0;

/// A voxel grid in patient space.
///
/// World coordinates are millimetres, RAS+ (x towards the patient's right, y anterior, z superior), and integer
/// voxel indices are voxel centres.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Number of voxels along i, j, k; i is fastest in memory.
    pub shape: [usize; 3],
    /// Maps a voxel index (i, j, k) to world millimetres.
    pub world_from_voxel: DAffine3,
    /// False if the file records no orientation: then no axis letters may be shown, and the transform is the usual
    /// guess (x grows towards the left, the volume is centred at the origin).
    pub oriented: bool,
}

impl Grid {
    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if the grid has no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position in memory of voxel (i, j, k), i fastest.
    pub fn index(&self, voxel: [usize; 3]) -> usize {
        voxel[0] + self.shape[0] * (voxel[1] + self.shape[1] * voxel[2])
    }

    /// Distance between neighbouring voxel centres along i, j, k, in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let m = self.world_from_voxel.matrix3;
        [m.x_axis.length(), m.y_axis.length(), m.z_axis.length()]
    }

    /// A warning if the voxels have a size that no scanner produces, so that the unit of length is probably wrong. An axis of one
    /// voxel may have any size.
    pub fn size_doubt(&self) -> Option<String> {
        let spacing = self.spacing_mm();
        let is_odd = |axis: usize| self.shape[axis] > 1 && !PLAUSIBLE_MM.contains(&spacing[axis]);
        let [i, j, k] = spacing;
        (0..3).any(is_odd).then(|| {
            format!(
                "the voxels measure {i} x {j} x {k} mm, which no scanner produces. Volumes and distances are in doubt. Check the \
                 unit of length"
            )
        })
    }

    /// Volume of one voxel in millilitres.
    pub fn voxel_volume_ml(&self) -> f64 {
        self.world_from_voxel.matrix3.determinant().abs() / 1000.0
    }

    /// Maps world millimetres to a (fractional) voxel index.
    pub fn voxel_from_world(&self) -> DAffine3 {
        self.world_from_voxel.inverse()
    }

    /// World position of a voxel centre in mm.
    pub fn world(&self, voxel: [usize; 3]) -> DVec3 {
        self.world_from_voxel.transform_point3(DVec3::new(voxel[0] as f64, voxel[1] as f64, voxel[2] as f64))
    }

    /// The 4x4 matrix of `world_from_voxel`, row by row.
    pub fn affine_rows(&self) -> [f64; 16] {
        let m = self.world_from_voxel.matrix3;
        let t = self.world_from_voxel.translation;
        [
            m.x_axis.x, m.y_axis.x, m.z_axis.x, t.x, //
            m.x_axis.y, m.y_axis.y, m.z_axis.y, t.y, //
            m.x_axis.z, m.y_axis.z, m.z_axis.z, t.z, //
            0.0, 0.0, 0.0, 1.0,
        ]
    }

    /// A grid of this shape and transform whose orientation is known.
    pub fn new(shape: [usize; 3], world_from_voxel: DAffine3) -> Self {
        Self { shape, world_from_voxel, oriented: true }
    }

    /// Anatomical direction of each voxel axis: the permutation and flips that maximise the sum of absolute cosines
    /// with R, A, S. A permutation never uses a direction twice, however oblique the grid is.
    pub fn orientation(&self) -> Orientation {
        let m = self.world_from_voxel.matrix3;
        let columns = [m.x_axis, m.y_axis, m.z_axis].map(DVec3::normalize_or_zero);
        let score = |axis: &[usize; 3]| (0..3).map(|a| columns[a][axis[a]].abs()).sum::<f64>();
        let mut best = PERMUTATIONS[0];
        for axis in &PERMUTATIONS[1..] {
            // On a tie (45 degrees) the first permutation wins, independent of rounding.
            if score(axis) > score(&best) + 1e-9 {
                best = *axis;
            }
        }
        Orientation { axis: best, flip: std::array::from_fn(|a| columns[a][best[a]] < 0.0) }
    }

    /// The letters of the directions in which i, j, k grow (`RAS`, `LPS`, ...), or `None` if not [`Grid::oriented`].
    pub fn axis_codes(&self) -> Option<String> {
        self.oriented.then(|| self.orientation().codes())
    }

    /// The same voxels with axes in RAS order, and the orientation that maps arrays there ([`Orientation::apply`]) and
    /// back. An oblique grid stays oblique: no voxel is resampled.
    pub fn reoriented_to_ras(&self) -> (Self, Orientation) {
        let orientation = self.orientation();
        (self.reoriented(&orientation), orientation)
    }

    /// The grid of the same voxels after [`Orientation::apply`].
    #[must_use]
    pub fn reoriented(&self, orientation: &Orientation) -> Self {
        let m = self.world_from_voxel.matrix3;
        let columns = [m.x_axis, m.y_axis, m.z_axis];
        let (mut target, mut first) = ([DVec3::ZERO; 3], [0; 3]);
        for a in 0..3 {
            target[orientation.axis[a]] = if orientation.flip[a] { -columns[a] } else { columns[a] };
            first[a] = if orientation.flip[a] { self.shape[a].saturating_sub(1) } else { 0 };
        }
        let matrix3 = DMat3::from_cols(target[0], target[1], target[2]);
        Self {
            shape: orientation.target_shape(self.shape),
            world_from_voxel: DAffine3 { matrix3, translation: self.world(first) },
            oriented: self.oriented,
        }
    }

    /// A grid with the same axes and centre but another spacing (mm along i, j, k).
    ///
    /// Each axis gets the fewest voxels `n'` that cover the old box from edge to edge, so the first voxel centre lies
    /// `(n' - 1) s' / 2` before the centre. An axis whose spacing is not positive stays as it is.
    #[must_use]
    pub fn with_spacing(&self, spacing_mm: [f64; 3]) -> Self {
        let old = self.spacing_mm();
        let (mut shape, mut ratio, mut first) = (self.shape, [1.0; 3], [0.0; 3]);
        for a in 0..3 {
            if spacing_mm[a].is_finite() && spacing_mm[a] > 0.0 {
                ratio[a] = spacing_mm[a] / old[a];
                // 1e-4 of a voxel is rounding in the header, not an extent to cover.
                shape[a] = ((self.shape[a] as f64 / ratio[a] - 1e-4).ceil() as usize).max(1);
                first[a] = (self.shape[a] as f64 - 1.0 - (shape[a] as f64 - 1.0) * ratio[a]) / 2.0;
            }
        }
        let matrix3 = self.world_from_voxel.matrix3 * DMat3::from_diagonal(DVec3::from_array(ratio));
        let translation = self.world_from_voxel.transform_point3(DVec3::from_array(first));
        Self { shape, world_from_voxel: DAffine3 { matrix3, translation }, oriented: self.oriented }
    }

    /// The grid of a box of `shape` voxels at `origin`. A negative origin or an end beyond the grid pads.
    #[must_use]
    pub fn cropped(&self, origin: [i64; 3], shape: [usize; 3]) -> Self {
        let first = DVec3::new(origin[0] as f64, origin[1] as f64, origin[2] as f64);
        let translation = self.world_from_voxel.transform_point3(first);
        Self { shape, world_from_voxel: DAffine3 { translation, ..self.world_from_voxel }, oriented: self.oriented }
    }

    /// World positions of the eight corner voxels' centres.
    pub fn corners(&self) -> [DVec3; 8] {
        let last = self.shape.map(|n| n.saturating_sub(1));
        std::array::from_fn(|c| self.world(std::array::from_fn(|a| if c >> a & 1 == 1 { last[a] } else { 0 })))
    }

    /// Shape, spacing, axis letters and origin in one line, for messages.
    pub fn describe(&self) -> String {
        let [nx, ny, nz] = self.shape;
        let [sx, sy, sz] = self.spacing_mm().map(|s| (s * 1e4).round() / 1e4);
        let t = self.world_from_voxel.translation;
        let [x, y, z] = [t.x, t.y, t.z].map(|v| (v * 1e4).round() / 1e4);
        let codes = self.axis_codes().unwrap_or_else(|| "no orientation".to_owned());
        let tilt = if self.is_oblique() { ", oblique" } else { "" };
        format!("{nx}x{ny}x{nz} voxels of {sx}x{sy}x{sz} mm, {codes}{tilt}, first voxel at ({x}, {y}, {z}) mm")
    }

    /// True if an axis deviates from its anatomical direction by more than about 0.1 degrees.
    pub fn is_oblique(&self) -> bool {
        let (m, o) = (self.world_from_voxel.matrix3, self.orientation());
        let columns = [m.x_axis, m.y_axis, m.z_axis].map(DVec3::normalize_or_zero);
        (0..3).any(|a| columns[a][o.axis[a]].abs() < 1.0 - 2e-6)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A grid with these Euler angles, spacing and origin.
    fn oblique(angles: [f64; 3], spacing: [f64; 3], shape: [usize; 3]) -> Grid {
        let turn = DMat3::from_euler(glam::EulerRot::XYZ, angles[0], angles[1], angles[2]);
        let matrix3 = turn * DMat3::from_diagonal(DVec3::from_array(spacing));
        Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(-31.0, 17.5, 900.0) })
    }

    #[test]
    fn an_oblique_grid_uses_each_direction_once() {
        // The corpus's form_oblique: the largest cosine of each axis alone would give R twice.
        let matrix3 = DMat3::from_cols(
            DVec3::new(1.326_827_9, 0.766_044_4, -1.285_575_2),
            DVec3::new(-0.075_604_2, 2.610_005_7, 1.477_211_6),
            DVec3::new(2.991_312_3, -1.241_873_8, 2.347_296_3),
        );
        let grid = Grid::new([5, 4, 3], DAffine3 { matrix3, translation: DVec3::ZERO });
        assert_eq!(grid.axis_codes().unwrap(), "IAR");
        assert!(grid.is_oblique());
        assert_eq!(Grid { oriented: false, ..grid }.axis_codes(), None);
    }

    #[test]
    fn a_new_spacing_keeps_the_centre_and_covers_the_box() {
        let grid = oblique([0.0; 3], [2.0, 3.0, 5.0], [10, 7, 3]);
        let finer = grid.with_spacing([1.0, 2.0, 0.0]);
        assert_eq!(finer.shape, [20, 11, 3]);
        // 20 mm / 1 mm: the first edge stays, so the first centre moves by half the difference of the spacings.
        assert!((finer.world([0, 0, 0]).x - (grid.world([0, 0, 0]).x - 0.5)).abs() < 1e-12);
        let middle = |g: &Grid| g.corners().iter().sum::<DVec3>() / 8.0;
        assert!(middle(&grid).distance(middle(&finer)) < 1e-9);
        assert_eq!(grid.with_spacing(grid.spacing_mm()), grid);
    }

    /// Voxels of 100 m were accepted without a word, so that a lesion measured 10^9 ml.
    #[test]
    fn voxels_of_a_size_that_no_scanner_produces_are_doubted() {
        let doubt = |spacing, shape| oblique([0.3, 0.2, 0.1], spacing, shape).size_doubt();
        for spacing in [[1e5, 1.0, 1.0], [1.0, 1e-6, 1.0], [2000.0, 2000.0, 3000.0], [0.001; 3]] {
            assert!(doubt(spacing, [4, 4, 4]).unwrap().contains("Check the unit of length"), "{spacing:?}");
        }
        assert_eq!(doubt([0.5, 0.5, 6.0], [4, 4, 4]), None);
        assert_eq!(doubt([0.01, 0.01, 0.01], [4, 4, 4]), None);
        // The thickness of a single slice may be anything.
        assert_eq!(doubt([1.0, 1.0, 1000.0], [4, 4, 1]), None);
    }

    proptest! {
        #[test]
        fn reorientation_keeps_every_voxel_where_it_is(
            angles in prop::array::uniform3(-3.0..3.0_f64),
            spacing in prop::array::uniform3(0.3..6.0_f64),
            shape in prop::array::uniform3(1..7_usize),
            mirror in any::<bool>(),
        ) {
            let mut grid = oblique(angles, spacing, shape);
            if mirror {
                grid.world_from_voxel.matrix3.x_axis *= -1.0;
            }
            let (ras, o) = grid.reoriented_to_ras();
            prop_assert_eq!(ras.orientation(), Orientation::IDENTITY);
            for index in 0..grid.len() {
                let voxel = [index % shape[0], index / shape[0] % shape[1], index / (shape[0] * shape[1])];
                let there = ras.world(o.target_voxel(voxel, shape));
                prop_assert!(there.distance(grid.world(voxel)) < 1e-9);
            }
        }

        #[test]
        fn a_new_spacing_covers_the_old_box(
            spacing in prop::array::uniform3(0.3..6.0_f64),
            other in prop::array::uniform3(0.3..6.0_f64),
            shape in prop::array::uniform3(1..40_usize),
        ) {
            let grid = oblique([0.3, -0.2, 0.1], spacing, shape);
            let new = grid.with_spacing(other);
            for a in 0..3 {
                let (old_mm, new_mm) = (shape[a] as f64 * spacing[a], new.shape[a] as f64 * other[a]);
                prop_assert!(new_mm > old_mm - 1e-3 * other[a]);
                prop_assert!(new_mm < old_mm + other[a] + 1e-9 || new.shape[a] == 1);
                prop_assert!((new.spacing_mm()[a] - other[a]).abs() < 1e-9);
            }
        }
    }
}
