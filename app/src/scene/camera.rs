//! Zoom and pan of a pane, and the map between the screen and display indices.

use glam::{DAffine3, DMat3, DVec2, DVec3};
use serde::{Deserialize, Serialize};

use super::{Convention, DisplayGrid, Plane};

/// Zoom and pan of a pane, independent of its size and slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// Magnification; 1 fits the slice to the pane.
    pub zoom: f64,
    /// Position shown at the pane's centre, in mm from the slice's centre towards screen right and bottom.
    pub centre_mm: DVec2,
}

impl Default for Camera {
    fn default() -> Self {
        Self { zoom: 1.0, centre_mm: DVec2::ZERO }
    }
}

/// Minimum and maximum magnification.
pub const ZOOM: [f64; 2] = [0.2, 40.0];

/// Map between screen positions in a pane and display indices. Screen lengths are in one unit of choice (points for the
/// mouse, pixels for the shader), from the upper left corner of the pane, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaneMap {
    plane: Plane,
    signs: [f64; 2],
    /// Screen lengths per mm.
    scale: f64,
    size: DVec2,
    centre_mm: DVec2,
    shape: DVec2,
    spacing: DVec2,
}

impl PaneMap {
    /// For a pane of `size` (width, height).
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

    /// Screen lengths per mm.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Fractional display index along screen x and y at a screen position.
    pub fn index_at(&self, place: DVec2) -> DVec2 {
        let mm = (place - self.size / 2.0) / self.scale + self.centre_mm;
        let middle = (self.shape - DVec2::ONE) / 2.0;
        middle + DVec2::from_array(self.signs) * mm / self.spacing
    }

    /// Screen position of a fractional display index along screen x and y.
    pub fn place_of(&self, index: DVec2) -> DVec2 {
        let middle = (self.shape - DVec2::ONE) / 2.0;
        let mm = (index - middle) * self.spacing * DVec2::from_array(self.signs);
        (mm - self.centre_mm) * self.scale + self.size / 2.0
    }

    /// Screen position of a 3-D display index; its component across slices is ignored.
    pub fn place_of_index(&self, index: DVec3) -> DVec2 {
        let [x, y] = self.plane.screen_axes();
        self.place_of(DVec2::new(index[x], index[y]))
    }

    /// 3-D display index at a screen position in slice `slice`.
    pub fn index_in_space(&self, place: DVec2, slice: f64) -> DVec3 {
        let [x, y] = self.plane.screen_axes();
        let flat = self.index_at(place);
        let mut index = DVec3::splat(slice);
        index[x] = flat.x;
        index[y] = flat.y;
        index
    }

    /// [`PaneMap::index_in_space`] as an affine map of (x, y, slice).
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

    /// The camera zoomed by `factor`, with the position at the screen position `anchor` fixed.
    pub fn zoomed(&self, camera: Camera, factor: f64, anchor: DVec2) -> Camera {
        let zoom = (camera.zoom * factor).clamp(ZOOM[0], ZOOM[1]);
        let (before, after) = (self.scale, self.scale * zoom / camera.zoom);
        let offset = anchor - self.size / 2.0;
        Camera { zoom, centre_mm: camera.centre_mm + offset / before - offset / after }
    }
}
