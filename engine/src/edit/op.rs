//! The operations of the window's tools and of operation lists.

use glam::DVec3;
use serde::{Deserialize, Serialize};

use crate::volume::Grid;
use crate::{Error, Result};

/// One edit of a mask. World coordinates are in millimetres (RAS+). Voxel indices are 0-based, in the axis order of the file.
///
/// Unless stated otherwise, an operation changes only background and its own label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Sets the label of all voxels of the brush.
    Paint {
        /// The label, not 0.
        label: u16,
        /// Voxels to change.
        #[serde(flatten)]
        brush: Brush,
    },
    /// Makes the voxels of the brush background.
    Erase {
        /// Only voxels of this label.
        #[serde(default)]
        label: Option<u16>,
        /// Voxels to change.
        #[serde(flatten)]
        brush: Brush,
    },
    /// Paints only voxels with values in a range.
    ThresholdPaint {
        /// The label, not 0.
        label: u16,
        /// Voxels to change.
        #[serde(flatten)]
        brush: Brush,
        /// Lowest value, in the image's unit.
        #[serde(default)]
        min: Option<f64>,
        /// Highest value.
        #[serde(default)]
        max: Option<f64>,
    },
    /// Paints, at each point of the brush, the voxels that are connected to it by faces inside the brush and have a similar
    /// value.
    AdaptivePaint {
        /// The label, not 0.
        label: u16,
        /// Voxels to change. The points are not connected.
        #[serde(flatten)]
        brush: Brush,
        /// Largest difference from the value at the point. Default: half the spread of the values in the brush (5th to 95th
        /// percentile), at least three standard deviations of the 3 x 3 x 3 voxels around the point.
        #[serde(default)]
        tolerance: Option<f64>,
    },
    /// Changes the label of the connected area around a voxel in one slice. Pixels that share an edge are connected.
    Fill {
        /// The new label; 0 erases.
        label: u16,
        /// The voxel to start at.
        #[serde(flatten)]
        seed: Seed,
        /// Plane of the slice, through the point or the voxel's centre. Default: `axial`.
        #[serde(default, alias = "axis")]
        plane: Plane,
    },
    /// Fills the background that a label encloses: every face-connected path from it to the border of the image crosses the
    /// label.
    FillHoles {
        /// The label.
        label: u16,
        /// In the volume, or in each slice.
        #[serde(default)]
        mode: Mode,
        /// Axis across the slices of mode `2d`. Default: the one nearest to head-foot.
        #[serde(default)]
        axis: Option<usize>,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Dilates a label by a distance between voxel centres.
    Grow {
        /// The label.
        label: u16,
        /// Distance in mm.
        mm: f64,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Erodes a label by a distance between voxel centres. The border of the image does not erode it.
    Shrink {
        /// The label.
        label: u16,
        /// Distance in mm.
        mm: f64,
    },
    /// Smooths the outline of a label.
    Smooth {
        /// The label.
        label: u16,
        /// Smoothing method.
        #[serde(default)]
        method: Smoothing,
        /// Radius of the ball, or standard deviation of the Gaussian, in mm.
        mm: f64,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Fills the gaps between slices that contain a label.
    Interpolate {
        /// The label.
        label: u16,
        /// Axis across the slices (0, 1, 2).
        axis: usize,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Adds the voxels of similar value that are connected by faces to a start voxel.
    RegionGrow {
        /// The label, not 0.
        label: u16,
        /// The voxel to start at.
        #[serde(flatten)]
        seed: Seed,
        /// Largest difference from the value at the start.
        tolerance: f64,
        /// Largest distance from the start in mm.
        #[serde(default)]
        max_radius_mm: Option<f64>,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Adds the voxels with values in a range that are 26-connected to a start voxel.
    ThresholdGrow {
        /// The label, not 0.
        label: u16,
        /// The voxel to start at.
        #[serde(flatten)]
        seed: Seed,
        /// Lowest value, in the image's unit.
        #[serde(default)]
        min: Option<f64>,
        /// Highest value.
        #[serde(default)]
        max: Option<f64>,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Adds the voxels that a watershed of the values assigns to the inside strokes.
    Watershed {
        /// The label, not 0.
        label: u16,
        /// Strokes inside the lesion.
        inside: Vec<Brush>,
        /// Strokes around the lesion. The watershed is limited to the bounding box of all strokes, extended to a cube. A voxel
        /// of an inside and an outside stroke is outside.
        outside: Vec<Brush>,
        /// Standard deviation in mm of the Gaussian that smooths the values. Default: half the finest voxel spacing; 0
        /// smooths nothing.
        #[serde(default)]
        smooth_mm: Option<f64>,
        /// Also replaces other labels.
        #[serde(default)]
        overwrite: bool,
    },
    /// Removes all 26-connected components except the one at a voxel, over all labels.
    KeepComponent {
        /// A voxel of the component.
        #[serde(flatten)]
        seed: Seed,
        /// Only the components of this label.
        #[serde(default)]
        label: Option<u16>,
    },
    /// Removes the 26-connected component at a voxel, over all labels.
    RemoveComponent {
        /// A voxel of the component.
        #[serde(flatten)]
        seed: Seed,
        /// Only the component of this label.
        #[serde(default)]
        label: Option<u16>,
    },
    /// Removes all 26-connected components except the largest. Of several, the first in memory stays.
    KeepLargest {
        /// Only the components of this label. Default: components over all labels.
        #[serde(default)]
        label: Option<u16>,
    },
    /// Removes the 26-connected components below a volume. A component of exactly that volume stays.
    RemoveSmall {
        /// Volume in millilitres.
        ml: f64,
        /// Only the components of this label. Default: components over all labels.
        #[serde(default)]
        label: Option<u16>,
    },
    /// Changes the label of all voxels of a label.
    Relabel {
        /// The label.
        from: u16,
        /// The new label; 0 removes.
        to: u16,
        /// Only the 26-connected component of the label at this voxel.
        #[serde(flatten)]
        seed: Seed,
    },
    /// Combines two labels. The result gets label `a`, and the rest of `a` becomes background.
    Boolean {
        /// Set operation.
        operation: Boolean,
        /// The first label.
        a: u16,
        /// The second label.
        b: u16,
        /// The mask of label `b`.
        #[serde(default)]
        of: Operand,
    },
    /// Changes the voxels inside a polygon.
    Lasso {
        /// For `fill`, the new label. For `erase`, the only label to erase. Not used by `restore`.
        #[serde(default)]
        label: Option<u16>,
        /// The corners in world mm; the first and the last are joined.
        points_mm: Vec<[f64; 3]>,
        /// Plane of the polygon, through its first corner. Default: `axial`.
        #[serde(default, alias = "axis")]
        plane: Plane,
        /// Effect on the voxels inside.
        #[serde(default)]
        action: LassoAction,
        /// Applies to all slices along the axis of the plane, not only to the slice of the polygon.
        #[serde(default)]
        through: bool,
    },
}

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

impl Op {
    /// The name in operation lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Paint { .. } => "paint",
            Self::Erase { .. } => "erase",
            Self::ThresholdPaint { .. } => "threshold_paint",
            Self::AdaptivePaint { .. } => "adaptive_paint",
            Self::Fill { .. } => "fill",
            Self::FillHoles { .. } => "fill_holes",
            Self::Grow { .. } => "grow",
            Self::Shrink { .. } => "shrink",
            Self::Smooth { .. } => "smooth",
            Self::Interpolate { .. } => "interpolate",
            Self::RegionGrow { .. } => "region_grow",
            Self::ThresholdGrow { .. } => "threshold_grow",
            Self::Watershed { .. } => "watershed",
            Self::KeepComponent { .. } => "keep_component",
            Self::RemoveComponent { .. } => "remove_component",
            Self::KeepLargest { .. } => "keep_largest",
            Self::RemoveSmall { .. } => "remove_small",
            Self::Relabel { .. } => "relabel",
            Self::Boolean { .. } => "boolean",
            Self::Lasso { .. } => "lasso",
        }
    }

    /// The operation in words, such as `Grow by 2 mm`, without its [`Op::label`].
    pub fn action(&self) -> String {
        let by = |what: &str, mm: &f64| format!("{what} by {mm} mm");
        match self {
            Self::Paint { .. } => "Brush".to_owned(),
            Self::Erase { .. } => "Eraser".to_owned(),
            Self::ThresholdPaint { .. } => "Range brush".to_owned(),
            Self::AdaptivePaint { .. } => "Adaptive brush".to_owned(),
            Self::Fill { .. } => "Fill".to_owned(),
            Self::FillHoles { mode: Mode::Volume, .. } => "Fill holes".to_owned(),
            Self::FillHoles { mode: Mode::Slice, .. } => "Fill holes in slices".to_owned(),
            Self::Grow { mm, .. } => by("Grow", mm),
            Self::Shrink { mm, .. } => by("Shrink", mm),
            Self::Smooth { mm, .. } => by("Smooth", mm),
            Self::Interpolate { .. } => "Fill between slices".to_owned(),
            Self::RegionGrow { .. } => "Region growing".to_owned(),
            Self::ThresholdGrow { .. } => "Threshold growing".to_owned(),
            Self::Watershed { .. } => "Watershed".to_owned(),
            Self::KeepComponent { .. } => "Keep the component".to_owned(),
            Self::RemoveComponent { .. } => "Remove the component".to_owned(),
            Self::KeepLargest { .. } => "Keep the largest component".to_owned(),
            Self::RemoveSmall { ml, .. } => format!("Remove components below {ml} ml"),
            Self::Relabel { from, to: 0, .. } => format!("Erase label {from}"),
            Self::Relabel { from, to, .. } => format!("Relabel {from} as {to}"),
            Self::Boolean { operation: Boolean::Union, a, b, .. } => format!("Merge labels {a} and {b}"),
            Self::Boolean { operation: Boolean::Intersect, a, b, .. } => format!("Intersect labels {a} and {b}"),
            Self::Boolean { operation: Boolean::Subtract, a, b, .. } => format!("Subtract label {b} from {a}"),
            Self::Lasso { action: LassoAction::Fill, .. } => "Lasso".to_owned(),
            Self::Lasso { action: LassoAction::Erase, .. } => "Lasso eraser".to_owned(),
            Self::Lasso { action: LassoAction::Restore, .. } => "Restore inside lasso".to_owned(),
        }
    }

    /// The label that the operation changes; `None` if it changes any label, or if [`Op::action`] names its labels.
    pub fn label(&self) -> Option<u16> {
        match self {
            Self::Paint { label, .. }
            | Self::ThresholdPaint { label, .. }
            | Self::AdaptivePaint { label, .. }
            | Self::Fill { label, .. }
            | Self::FillHoles { label, .. }
            | Self::Grow { label, .. }
            | Self::Shrink { label, .. }
            | Self::Smooth { label, .. }
            | Self::Interpolate { label, .. }
            | Self::RegionGrow { label, .. }
            | Self::ThresholdGrow { label, .. }
            | Self::Watershed { label, .. } => Some(*label),
            Self::Erase { label, .. }
            | Self::KeepComponent { label, .. }
            | Self::RemoveComponent { label, .. }
            | Self::KeepLargest { label }
            | Self::RemoveSmall { label, .. }
            | Self::Lasso { label, action: LassoAction::Fill | LassoAction::Erase, .. } => *label,
            Self::Relabel { .. } | Self::Boolean { .. } | Self::Lasso { action: LassoAction::Restore, .. } => None,
        }
    }

    /// Action and label for a history list, such as `Grow by 2 mm, label 1`.
    pub fn title(&self) -> String {
        title(self.action(), self.label())
    }
}

/// The name of a step in a history list: an action and the label that it changes.
pub fn title(action: String, label: Option<u16>) -> String {
    match label {
        Some(label) => format!("{action}, label {label}"),
        None => action,
    }
}

impl Seed {
    /// The voxel; `None` if neither an index nor a position is set.
    ///
    /// # Errors
    /// If both are given, or the voxel lies outside the grid.
    pub(super) fn find(&self, grid: &Grid) -> Result<Option<[usize; 3]>> {
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
    pub(super) fn require(&self, grid: &Grid) -> Result<[usize; 3]> {
        let missing = || Error::config("voxel", "missing", "give voxel or point_mm");
        self.find(grid)?.ok_or_else(missing)
    }
}
