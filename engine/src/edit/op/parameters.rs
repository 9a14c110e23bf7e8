//! Parameters of operations: where they work, and how.

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::volume::Grid;
use crate::{Error, Result};

/// A round brush at points in world mm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brush {
    /// Radius in mm, measured from a point to voxel centres.
    pub radius_mm: f64,
    /// Ball or disc.
    #[serde(default)]
    pub mode: Mode,
    /// Plane of the discs of mode `2d`, through each point. Default: `axial`.
    #[serde(default, alias = "axis")]
    pub plane: Plane,
    /// The points.
    pub points_mm: Vec<[f64; 3]>,
    /// Also paints the lines between consecutive points, as in a stroke.
    #[serde(default)]
    pub connected: bool,
}

/// The voxel that an operation starts at, by its index or by a world position inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seed {
    /// Index (i, j, k).
    #[serde(default)]
    pub voxel: Option<[usize; 3]>,
    /// World position in mm; the nearest voxel is used.
    #[serde(default)]
    pub point_mm: Option<[f64; 3]>,
}

impl Seed {
    /// The voxel; `None` if neither an index nor a position is set.
    ///
    /// # Errors
    /// If both are given, or the voxel lies outside the grid.
    pub(in crate::edit) fn find(&self, grid: &Grid) -> Result<Option<[usize; 3]>> {
        let [nx, ny, nz] = grid.shape;
        let outside = || format!("is outside the image of {nx}x{ny}x{nz} voxels");
        match (self.voxel, self.point_mm) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Error::config("point_mm", "given", "voxel is given too. Give only one")),
            (Some(voxel), None) => {
                let inside = (0..3).all(|a| voxel[a] < grid.shape[a]);
                if inside { Ok(Some(voxel)) } else { Err(Error::config("voxel", format!("{voxel:?}"), outside())) }
            }
            (None, Some(point)) => {
                let position =
                    grid.voxel_from_world().transform_point3(DVec3::from_array(point)).to_array().map(f64::round);
                let inside = (0..3).all(|a| position[a] >= 0.0 && position[a] < grid.shape[a] as f64);
                let voxel = position.map(|v| v as usize);
                if inside { Ok(Some(voxel)) } else { Err(Error::config("point_mm", format!("{point:?}"), outside())) }
            }
        }
    }

    /// # Errors
    /// As [`Seed::find`], and if neither an index nor a position is set.
    pub(in crate::edit) fn require(&self, grid: &Grid) -> Result<[usize; 3]> {
        let missing = || Error::config("voxel", "missing", "give voxel or point_mm");
        self.find(grid)?.ok_or_else(missing)
    }
}

/// Whether an operation works in the volume or in slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Mode {
    #[serde(rename = "2d")]
    Slice,
    #[default]
    #[serde(rename = "3d")]
    Volume,
}

/// A plane of voxels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected 0, 1, 2, \"axial\", \"coronal\", \"sagittal\" or a normal [x, y, z] in world mm"
)]
pub enum Plane {
    /// Across a voxel axis of the file: the stored slice nearest to the point.
    Axis(usize),
    /// Across the voxel axis nearest to a direction of the patient.
    Named(PlaneName),
    /// Perpendicular to a direction in world mm, through the point. Contains all voxels that the plane crosses.
    Normal([f64; 3]),
}

impl Default for Plane {
    fn default() -> Self {
        Self::Named(PlaneName::Axial)
    }
}

/// A plane of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaneName {
    /// Across head-foot.
    Axial,
    /// Across front-back.
    Coronal,
    /// Across left-right.
    Sagittal,
}

/// How an outline is smoothed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Smoothing {
    /// A voxel gets the label if most voxels of the ball around it have it; ties do not change it.
    #[default]
    Majority,
    /// A voxel has the label if the Gaussian mean of the signed distance to the outline is negative.
    Gaussian,
}

/// How two labels are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boolean {
    /// Voxels of either.
    Union,
    /// Voxels of both.
    Intersect,
    /// Voxels of the first label that do not belong to the second.
    Subtract,
}

/// The mask of the second label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// The edited mask, in which each voxel has only one label.
    #[default]
    Own,
    /// The other mask (`Scene::other`).
    Other,
}

/// Effect of a lasso on the voxels inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LassoAction {
    /// Sets their label.
    #[default]
    Fill,
    /// Makes them background.
    Erase,
    /// Copies their labels from the other mask (`Scene::other`).
    Restore,
}
