//! A DICOM series while it loads: pictures of the slices that have arrived, for viewing only.

use std::sync::Arc;

use super::Thumbnail;
use crate::scene::{DisplayGrid, Plane};

/// Pictures of the slices that have arrived.
#[derive(Clone, Debug)]
pub struct PartialSeries {
    /// Grid of the volume.
    pub grid: DisplayGrid,
    /// Plane of the slices.
    pub plane: Plane,
    /// By slice number in the plane; `None` until the slice arrives. Long series have a picture of every few slices.
    pub slices: Vec<Option<Arc<Thumbnail>>>,
    /// Number of the current slice.
    pub at: usize,
}

impl PartialSeries {
    /// No pictures yet of a stack along the third stored axis. The middle slice is the current one.
    pub fn new(grid: DisplayGrid) -> Self {
        let plane = Plane::ALL[grid.orientation.axis[2]];
        let count = grid.shape[plane.axis()];
        Self { grid, plane, slices: vec![None; count], at: count.saturating_sub(1) / 2 }
    }

    /// The slice number in the plane of a stored slice.
    pub fn number_of(&self, stored: usize) -> usize {
        if self.grid.orientation.flip[2] { (self.slices.len() - 1).saturating_sub(stored) } else { stored }
    }

    /// The picture nearest to the current slice, with its number.
    pub fn shown(&self) -> Option<(usize, &Arc<Thumbnail>)> {
        let pictures = self.slices.iter().enumerate().filter_map(|(at, picture)| Some((at, picture.as_ref()?)));
        pictures.min_by_key(|(at, _)| at.abs_diff(self.at))
    }

    /// Steps through the pictures, `by` positive towards higher slice numbers.
    pub fn step(&mut self, by: i64) {
        for _ in 0..by.unsigned_abs() {
            let Some((shown, _)) = self.shown() else { return };
            let there = |at: &usize| self.slices[*at].is_some();
            let next = if by > 0 { (shown + 1..self.slices.len()).find(there) } else { (0..shown).rev().find(there) };
            self.at = next.unwrap_or(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::volume::Grid;
    use glam::{DAffine3, DVec3};

    use super::*;
    use crate::scene::PlaneMode;

    fn picture(grey: u8) -> Arc<Thumbnail> {
        Arc::new(Thumbnail { size: [1, 1], pixels: vec![grey] })
    }

    #[test]
    fn only_slices_that_have_arrived_are_stepped_through() {
        let grid = Grid::new([4, 4, 9], DAffine3::from_scale(DVec3::new(-1.0, -1.0, 2.0)));
        let mut series = PartialSeries::new(DisplayGrid::new(&grid, PlaneMode::Native));
        assert_eq!((series.plane, series.at, series.slices.len()), (Plane::Axial, 4, 9));
        assert!(series.shown().is_none());
        series.step(1);
        for at in [3, 5, 8] {
            series.slices[at] = Some(picture(at as u8));
        }
        let mut seen = vec![series.shown().map(|(at, _)| at)];
        for by in [1, 1, 1, -1, -1, -1, 2] {
            series.step(by);
            seen.push(series.shown().map(|(at, _)| at));
        }
        assert_eq!(seen, [3, 5, 8, 8, 5, 3, 3, 8].map(Some));
    }

    #[test]
    fn slices_are_numbered_as_in_the_views() {
        // Stored from head to feet, from left to right, and from front to back.
        let downwards = DAffine3::from_scale(DVec3::new(1.0, 1.0, -2.0));
        let rightwards = DAffine3::from_cols(DVec3::Y, DVec3::Z, 2.0 * DVec3::X, DVec3::ZERO);
        let backwards = DAffine3::from_cols(DVec3::X, DVec3::Z, -2.0 * DVec3::Y, DVec3::ZERO);
        for (stored, plane, number) in
            [(downwards, Plane::Axial, 3), (rightwards, Plane::Sagittal, 1), (backwards, Plane::Coronal, 3)]
        {
            let series = PartialSeries::new(DisplayGrid::new(&Grid::new([3, 4, 5], stored), PlaneMode::Native));
            assert_eq!((series.plane, series.slices.len(), series.number_of(1)), (plane, 5, number));
            let voxel = series.grid.orientation.target_voxel([0, 0, 1], [3, 4, 5]);
            assert_eq!(voxel[plane.axis()], number);
        }
    }
}
