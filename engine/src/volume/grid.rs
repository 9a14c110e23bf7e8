//! Where voxels are: shape and the transform from voxel indices to patient space.

use glam::{DAffine3, DVec3};

/// A voxel grid in patient space.
///
/// World coordinates are millimetres, RAS+ (x towards the patient's right, y anterior, z superior), and integer
/// voxel indices are voxel centres.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Number of voxels along i, j, k; i is the fastest in memory.
    pub shape: [usize; 3],
    /// Maps a voxel index (i, j, k) to world millimetres.
    pub world_from_voxel: DAffine3,
    /// False if the file told nothing of its orientation: then no letters may be shown, and the axes are assumed RAS.
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
}
