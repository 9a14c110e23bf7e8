//! How a pane cuts a volume: from a place on the pane to an index, a position in the patient and back.
//!
//! Every pane looks at a *display grid*: an orthogonal grid whose axes are R, A, S. In [`PlaneMode::Native`] it is the
//! stored grid with axes permuted and flipped to the nearest anatomical direction (the canonical grid): an oblique scan
//! is shown as it was acquired. In [`PlaneMode::World`] it lies along the patient's own axes and covers the scan.

use engine::volume::{Grid, Orientation};
use glam::{DAffine3, DMat3, DVec2, DVec3};
use serde::{Deserialize, Serialize};

/// The direction across a pane's slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Across left-right.
    Sagittal,
    /// Across front-back.
    Coronal,
    /// Across head-feet.
    Axial,
}

impl Plane {
    /// All three, by their axis.
    pub const ALL: [Self; 3] = [Self::Sagittal, Self::Coronal, Self::Axial];

    /// The display axis across the slices: 0 for R, 1 for A, 2 for S.
    pub fn axis(self) -> usize {
        self as usize
    }

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sagittal => "Sagittal",
            Self::Coronal => "Coronal",
            Self::Axial => "Axial",
        }
    }

    /// Display axes along the screen's x and y.
    pub fn screen_axes(self) -> [usize; 2] {
        match self {
            Self::Sagittal => [1, 2],
            Self::Coronal => [0, 2],
            Self::Axial => [0, 1],
        }
    }

    /// Whether display indices grow towards the screen's right and bottom (+1) or away from them (-1).
    ///
    /// Anterior and superior are up, a sagittal slice shows anterior on the left, and the patient's right is on the
    /// left by radiological convention.
    pub fn screen_signs(self, convention: Convention) -> [f64; 2] {
        match (self, convention) {
            (Self::Sagittal, _) | (_, Convention::Radiological) => [-1.0, -1.0],
            (_, Convention::Neurological) => [1.0, -1.0],
        }
    }
}

/// Which side of the patient is on the screen's left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// The patient's right: as if looking from the feet.
    #[default]
    Radiological,
    /// The patient's left: as if looking from the head.
    Neurological,
}

/// Along which axes panes cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaneMode {
    /// Along the stored grid.
    #[default]
    Native,
    /// Along the patient's axes, resampled.
    World,
}

/// The grid that all panes of a case look at.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayGrid {
    /// Display indices along R, A, S.
    pub shape: [usize; 3],
    /// Distance between them in mm.
    pub spacing_mm: [f64; 3],
    /// World mm of a display index.
    pub world_from_display: DAffine3,
    /// The inverse.
    pub display_from_world: DAffine3,
    /// Fractional canonical index of a display index: the identity in [`PlaneMode::Native`].
    pub canonical_from_display: DAffine3,
    /// Shape of the canonical grid.
    pub canonical_shape: [usize; 3],
    /// Takes stored arrays to canonical ones.
    pub orientation: Orientation,
    /// False if the file told no orientation: no letters.
    pub oriented: bool,
    /// Which of the two modes this is.
    pub mode: PlaneMode,
}

/// A tenth of a micrometre: far below any grid, far above rounding.
const ROUNDING_MM: f64 = 1e-4;

impl DisplayGrid {
    /// The display grid of a scan's grid.
    pub fn new(grid: &Grid, mode: PlaneMode) -> Self {
        let (canonical, orientation) = grid.reoriented_to_ras();
        let spacing_mm = canonical.spacing_mm();
        let (shape, world_from_display) = match mode {
            PlaneMode::Native => (canonical.shape, canonical.world_from_voxel),
            PlaneMode::World => patient_box(&canonical, spacing_mm),
        };
        let display_from_world = world_from_display.inverse();
        let canonical_from_display = match mode {
            // Exactly: rounding here would differ between the axis orders of one scan.
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

    /// Display index nearest to a world position, within the grid.
    pub fn index_at(&self, world: DVec3) -> [usize; 3] {
        let index = self.display_from_world.transform_point3(world);
        std::array::from_fn(|a| index[a].round().clamp(0.0, self.shape[a].saturating_sub(1) as f64) as usize)
    }

    /// World mm of a display index.
    pub fn world(&self, index: [usize; 3]) -> DVec3 {
        self.world_from_display.transform_point3(vector(index))
    }

    /// World mm of the middle of the grid's middle voxel.
    pub fn middle(&self) -> DVec3 {
        self.world(self.shape.map(|n| n.saturating_sub(1) / 2))
    }

    /// The stored voxel nearest to a world position; `None` outside of the scan.
    pub fn voxel_at(&self, world: DVec3) -> Option<[usize; 3]> {
        let display = self.display_from_world.transform_point3(world);
        let canonical = self.canonical_from_display.transform_point3(display);
        let inside = (0..3).all(|a| canonical[a] > -0.5 && canonical[a] < self.canonical_shape[a] as f64 - 0.5);
        let rounded = std::array::from_fn(|a| canonical[a].round().max(0.0) as usize);
        inside.then(|| self.orientation.source_voxel(rounded, self.orientation.source_shape(self.canonical_shape)))
    }

    /// World position of the middle of the voxel that a world position lies in, or nearest to it at the border. In
    /// [`PlaneMode::World`] slices lie between voxels too, so positions stay as they are.
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

    /// The direction in the patient of a display axis, as a unit vector.
    pub fn direction(&self, axis: usize) -> DVec3 {
        self.world_from_display.matrix3.col(axis).normalize_or_zero()
    }

    /// The letters at a pane's left, right, top and bottom edge; `None` without orientation.
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

    /// Extent in mm, edge to edge, along the screen's x and y.
    pub fn extent_mm(&self, plane: Plane) -> DVec2 {
        let [x, y] = plane.screen_axes();
        DVec2::new(self.shape[x] as f64 * self.spacing_mm[x], self.shape[y] as f64 * self.spacing_mm[y])
    }
}

/// The letters at the four edges of a pane, one or two each.
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

/// Edges turned by less than this (degrees) keep one letter: less cannot be seen, and hardly a scanner is straight.
const ONE_LETTER_DEGREES: f64 = 5.0;

/// One letter for a direction along a patient axis, two for one between two axes, the nearer first.
pub fn letters_of(direction: DVec3) -> String {
    const LETTERS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];
    let direction = direction.normalize_or_zero();
    let mut axes = [0, 1, 2];
    axes.sort_by(|&a, &b| direction[b].abs().total_cmp(&direction[a].abs()));
    let least = ONE_LETTER_DEGREES.to_radians().sin();
    let letter = |axis: usize| LETTERS[axis][usize::from(direction[axis] < 0.0)];
    axes.into_iter().take(2).filter(|&axis| direction[axis].abs() > least).map(letter).collect()
}

/// The patient-aligned grid with this spacing that covers a grid, edge to edge, around the same middle.
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

/// Zoom and position of a pane, kept when the pane's size or the slice changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Magnification; 1 fits the whole slice into the pane.
    pub zoom: f64,
    /// What the pane's middle shows, in mm from the slice's middle towards the screen's right and bottom.
    pub centre_mm: DVec2,
}

impl Default for Camera {
    fn default() -> Self {
        Self { zoom: 1.0, centre_mm: DVec2::ZERO }
    }
}

/// Smallest and largest magnification.
pub const ZOOM: [f64; 2] = [0.2, 40.0];

/// One pane's way from places on the screen to display indices. Lengths on the screen are in any one unit (points for
/// the mouse, pixels for the shader); `x` grows to the right, `y` downwards, from the pane's upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaneMap {
    plane: Plane,
    signs: [f64; 2],
    /// Screen lengths a mm.
    scale: f64,
    size: DVec2,
    centre_mm: DVec2,
    shape: DVec2,
    spacing: DVec2,
}

impl PaneMap {
    /// The map of a pane of `size` (width, height).
    pub fn new(grid: &DisplayGrid, plane: Plane, convention: Convention, camera: Camera, size: DVec2) -> Self {
        let [x, y] = plane.screen_axes();
        let extent = grid.extent_mm(plane);
        let fit = (size / extent).min_element().max(1e-9);
        Self {
            plane,
            signs: plane.screen_signs(convention),
            scale: fit * camera.zoom,
            size,
            centre_mm: camera.centre_mm,
            shape: DVec2::new(grid.shape[x] as f64, grid.shape[y] as f64),
            spacing: DVec2::new(grid.spacing_mm[x], grid.spacing_mm[y]),
        }
    }

    /// Screen lengths a mm.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Fractional display index (along the screen's x and y axis) at a place on the screen.
    pub fn index_at(&self, place: DVec2) -> DVec2 {
        let mm = (place - self.size / 2.0) / self.scale + self.centre_mm;
        let middle = (self.shape - DVec2::ONE) / 2.0;
        middle + DVec2::from_array(self.signs) * mm / self.spacing
    }

    /// The place on the screen of a fractional display index (along the screen's x and y axis).
    pub fn place_of(&self, index: DVec2) -> DVec2 {
        let middle = (self.shape - DVec2::ONE) / 2.0;
        let mm = (index - middle) * self.spacing * DVec2::from_array(self.signs);
        (mm - self.centre_mm) * self.scale + self.size / 2.0
    }

    /// The place on the screen of a fractional display index in space; its part across the slices is left out.
    pub fn place_of_index(&self, index: DVec3) -> DVec2 {
        let [x, y] = self.plane.screen_axes();
        self.place_of(DVec2::new(index[x], index[y]))
    }

    /// The display index in space at a place on the screen, in slice `slice`.
    pub fn index_in_space(&self, place: DVec2, slice: f64) -> DVec3 {
        let [x, y] = self.plane.screen_axes();
        let flat = self.index_at(place);
        let mut index = DVec3::splat(slice);
        index[x] = flat.x;
        index[y] = flat.y;
        index
    }

    /// The affine part of [`PaneMap::index_in_space`]: takes (x, y, slice) to a display index.
    pub fn display_from_place(&self) -> DAffine3 {
        let [x, y] = self.plane.screen_axes();
        let origin = self.index_in_space(DVec2::ZERO, 0.0);
        let step = DVec2::from_array(self.signs) / (self.spacing * self.scale);
        let mut columns = [DVec3::ZERO; 3];
        columns[0][x] = step.x;
        columns[1][y] = step.y;
        columns[2][self.plane.axis()] = 1.0;
        DAffine3 { matrix3: DMat3::from_cols(columns[0], columns[1], columns[2]), translation: origin }
    }

    /// The camera after a zoom by `factor` that keeps the mm under `anchor` (a place on the screen) where it is.
    pub fn zoomed(&self, camera: Camera, factor: f64, anchor: DVec2) -> Camera {
        let zoom = (camera.zoom * factor).clamp(ZOOM[0], ZOOM[1]);
        let (before, after) = (self.scale, self.scale * zoom / camera.zoom);
        let offset = anchor - self.size / 2.0;
        Camera { zoom, centre_mm: camera.centre_mm + offset / before - offset / after }
    }
}

#[cfg(test)]
#[path = "plane_tests.rs"]
mod tests;
