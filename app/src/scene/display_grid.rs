//! The display grid of panes: orthogonal, with axes R, A, S.
//!
//! In [`PlaneMode::Native`] it is the stored grid with axes permuted and flipped to the nearest anatomical direction (the
//! canonical grid), so an oblique scan is shown as acquired. In [`PlaneMode::World`] it is along the patient's axes and covers
//! the scan.

use engine::volume::{Grid, Orientation};
use glam::{DAffine3, DMat3, DVec2, DVec3};
use serde::Serialize;

use super::{Convention, Plane, PlaneMode};

/// The grid that all panes of a case cut.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayGrid {
    /// Size along R, A, S.
    pub shape: [usize; 3],
    /// Spacing along R, A, S, in mm.
    pub spacing_mm: [f64; 3],
    /// Display index to world mm.
    pub world_from_display: DAffine3,
    /// World mm to display index.
    pub display_from_world: DAffine3,
    /// Display index to fractional canonical index; the identity in [`PlaneMode::Native`].
    pub canonical_from_display: DAffine3,
    /// Shape of the canonical grid.
    pub canonical_shape: [usize; 3],
    /// Stored to canonical axis order.
    pub orientation: Orientation,
    /// False if the file has no orientation: no letters are shown.
    pub oriented: bool,
    /// Whether the axes are those of the file or of the patient.
    pub mode: PlaneMode,
}

/// Far below any voxel size, far above rounding errors.
const ROUNDING_MM: f64 = 1e-4;

impl DisplayGrid {
    /// The display grid of a scan.
    pub fn new(grid: &Grid, mode: PlaneMode) -> Self {
        let (canonical, orientation) = grid.reoriented_to_ras();
        let spacing_mm = canonical.spacing_mm();
        let (shape, world_from_display) = match mode {
            PlaneMode::Native => (canonical.shape, canonical.world_from_voxel),
            PlaneMode::World => patient_box(&canonical, spacing_mm),
        };
        let display_from_world = world_from_display.inverse();
        let canonical_from_display = match mode {
            // Exact, so that all axis orders of a scan agree.
            PlaneMode::Native => DAffine3::IDENTITY,
            PlaneMode::World => canonical.world_from_voxel.inverse() * world_from_display,
        };
        Self {
            shape,
            spacing_mm,
            world_from_display,
            display_from_world,
            canonical_from_display,
            canonical_shape: canonical.shape,
            orientation,
            oriented: grid.oriented,
            mode,
        }
    }

    /// Nearest display index to a world position, clamped to the grid.
    pub fn index_at(&self, world: DVec3) -> [usize; 3] {
        let index = self.display_from_world.transform_point3(world);
        std::array::from_fn(|a| index[a].round().clamp(0.0, self.shape[a].saturating_sub(1) as f64) as usize)
    }

    /// World mm of a display index.
    pub fn world(&self, index: [usize; 3]) -> DVec3 {
        self.world_from_display.transform_point3(vector(index))
    }

    /// World mm of the centre of the middle voxel.
    pub fn middle(&self) -> DVec3 {
        self.world(self.shape.map(|n| n.saturating_sub(1) / 2))
    }

    /// Nearest stored voxel to a world position; `None` outside the scan.
    pub fn voxel_at(&self, world: DVec3) -> Option<[usize; 3]> {
        let display = self.display_from_world.transform_point3(world);
        let canonical = self.canonical_from_display.transform_point3(display);
        let inside = (0..3).all(|a| canonical[a] > -0.5 && canonical[a] < self.canonical_shape[a] as f64 - 0.5);
        let rounded = std::array::from_fn(|a| canonical[a].round().max(0.0) as usize);
        inside.then(|| self.orientation.source_voxel(rounded, self.orientation.source_shape(self.canonical_shape)))
    }

    /// A world position clamped to the grid and, in [`PlaneMode::Native`], rounded to the voxel centre. In [`PlaneMode::World`]
    /// slices may be between voxels.
    pub fn snapped(&self, world: DVec3) -> DVec3 {
        match self.mode {
            PlaneMode::Native => self.world(self.index_at(world)),
            PlaneMode::World => {
                let last = vector(self.shape.map(|n| n.saturating_sub(1)));
                let index = self.display_from_world.transform_point3(world).clamp(DVec3::ZERO, last);
                self.world_from_display.transform_point3(index)
            }
        }
    }

    /// Unit vector of a display axis in world space.
    pub fn direction(&self, axis: usize) -> DVec3 {
        self.world_from_display.matrix3.col(axis).normalize_or_zero()
    }

    /// Orientation letters at the edges of a pane; `None` without orientation.
    pub fn letters(&self, plane: Plane, convention: Convention) -> Option<Letters> {
        let [x, y] = plane.screen_axes();
        let [sign_x, sign_y] = plane.screen_signs(convention);
        let (right, bottom) = (self.direction(x) * sign_x, self.direction(y) * sign_y);
        self.oriented.then(|| Letters {
            left: letters_of(-right),
            right: letters_of(right),
            top: letters_of(-bottom),
            bottom: letters_of(bottom),
        })
    }

    /// Extent in mm, edge to edge, along screen x and y.
    pub fn extent_mm(&self, plane: Plane) -> DVec2 {
        let [x, y] = plane.screen_axes();
        DVec2::new(self.shape[x] as f64 * self.spacing_mm[x], self.shape[y] as f64 * self.spacing_mm[y])
    }
}

/// Orientation letters at the four edges of a pane, one or two each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letters {
    /// Patient direction at the left edge.
    pub left: String,
    /// Patient direction at the right edge.
    pub right: String,
    /// Patient direction at the upper edge.
    pub top: String,
    /// Patient direction at the lower edge.
    pub bottom: String,
}

/// Below this angle (degrees) an edge has one letter: smaller tilts are invisible and common.
const ONE_LETTER_DEGREES: f64 = 5.0;

/// One letter for a direction along a patient axis, two between axes, the nearer first.
pub fn letters_of(direction: DVec3) -> String {
    const LETTERS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];
    let direction = direction.normalize_or_zero();
    let mut axes = [0, 1, 2];
    axes.sort_by(|&a, &b| direction[b].abs().total_cmp(&direction[a].abs()));
    let least = ONE_LETTER_DEGREES.to_radians().sin();
    let letter = |axis: usize| LETTERS[axis][usize::from(direction[axis] < 0.0)];
    axes.into_iter().take(2).filter(|&axis| direction[axis].abs() > least).map(letter).collect()
}

/// The patient-aligned grid with this spacing that covers a grid, edge to edge, with the same centre.
fn patient_box(grid: &Grid, spacing_mm: [f64; 3]) -> ([usize; 3], DAffine3) {
    let matrix = grid.world_from_voxel.matrix3;
    let shape = vector(grid.shape);
    let middle = grid.world_from_voxel.transform_point3((shape - DVec3::ONE) / 2.0);
    let extent: [f64; 3] = std::array::from_fn(|r| (0..3).map(|c| matrix.col(c)[r].abs() * shape[c]).sum());
    let count: [usize; 3] =
        std::array::from_fn(|a| (((extent[a] - ROUNDING_MM) / spacing_mm[a]).ceil() as usize).max(1));
    let spacing = DVec3::from_array(spacing_mm);
    let translation = middle - spacing * (vector(count) - DVec3::ONE) / 2.0;
    (count, DAffine3 { matrix3: DMat3::from_diagonal(spacing), translation })
}

/// An index as a vector.
pub fn vector(index: [usize; 3]) -> DVec3 {
    DVec3::new(index[0] as f64, index[1] as f64, index[2] as f64)
}
