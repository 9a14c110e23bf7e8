//! The operations of the window's tools and of operation lists.

mod parameters;
mod words;

use serde::{Deserialize, Serialize};

pub use parameters::{Boolean, Brush, LassoAction, Mode, Operand, Plane, PlaneName, Seed, Smoothing};
pub use words::title;

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
