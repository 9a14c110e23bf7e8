//! Stores segments that may overlap in several label masks, each with at most one label per voxel.

use crate::volume::{Grid, LabelData, LabelVolume};

/// One slice of a segment: slice index k and whether each of its pixels is in the segment, row by row.
pub(super) type Plane = (usize, Vec<bool>);

/// Label masks on one grid. Each segment is in the first mask where its voxels are free.
pub(super) struct Layers {
    grid: Grid,
    wide: bool,
    masks: Vec<LabelData>,
}

impl Layers {
    /// No masks yet; labels up to `largest` will be painted.
    pub fn new(grid: &Grid, largest: u16) -> Self {
        Self { grid: grid.clone(), wide: largest > 255, masks: Vec::new() }
    }

    /// Adds the slices of a segment. Planes with the same slice index are joined.
    pub fn add(&mut self, label: u16, planes: &[Plane]) {
        let [columns, rows, _] = self.grid.shape;
        let size = columns * rows;
        let is_free = |layer: &LabelData| {
            planes.iter().all(|(k, plane)| {
                let taken = |index: usize| match layer {
                    LabelData::U8(v) => v[k * size + index] != 0,
                    LabelData::U16(v) => v[k * size + index] != 0,
                };
                plane.iter().enumerate().all(|(index, inside)| !inside || !taken(index))
            })
        };
        let layer = match self.masks.iter().position(is_free) {
            Some(layer) => layer,
            None => self.push(),
        };
        for (k, plane) in planes {
            let voxels = k * size..(k + 1) * size;
            match &mut self.masks[layer] {
                LabelData::U8(v) => paint(&mut v[voxels], plane, label as u8),
                LabelData::U16(v) => paint(&mut v[voxels], plane, label),
            }
        }
    }

    /// Adds a slice of labels to the first mask.
    pub fn add_labels(&mut self, k: usize, labels: &[u16]) {
        let size = labels.len();
        if self.masks.is_empty() {
            self.push();
        }
        match &mut self.masks[0] {
            LabelData::U8(v) => v[k * size..][..size].iter_mut().zip(labels).for_each(|(v, &label)| *v = label as u8),
            LabelData::U16(v) => v[k * size..][..size].copy_from_slice(labels),
        }
    }

    fn push(&mut self) -> usize {
        let voxels = self.grid.len();
        self.masks.push(if self.wide { LabelData::U16(vec![0; voxels]) } else { LabelData::U8(vec![0; voxels]) });
        self.masks.len() - 1
    }

    /// The masks, at least one.
    pub fn into_volumes(mut self) -> Vec<LabelVolume> {
        if self.masks.is_empty() {
            self.push();
        }
        let grid = &self.grid;
        self.masks.into_iter().map(|data| LabelVolume { grid: grid.clone(), data }).collect()
    }
}

fn paint<T: Copy>(voxels: &mut [T], plane: &[bool], label: T) {
    voxels.iter_mut().zip(plane).filter(|(_, inside)| **inside).for_each(|(voxel, _)| *voxel = label);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid::new([2, 2, 2], glam::DAffine3::IDENTITY)
    }

    #[test]
    fn overlapping_segments_are_stored_in_separate_masks() {
        let mut layers = Layers::new(&grid(), 3);
        layers.add(1, &[(0, vec![true, true, false, false])]);
        layers.add(2, &[(0, vec![false, true, true, false]), (1, vec![true; 4])]);
        layers.add(3, &[(0, vec![false, false, true, true])]);
        let result: Vec<Vec<u16>> = layers.into_volumes().iter().map(|mask| mask.iter().collect()).collect();
        assert_eq!(result, [[1, 1, 3, 3, 0, 0, 0, 0], [0, 2, 2, 0, 2, 2, 2, 2]]);
    }

    #[test]
    fn planes_of_a_segment_on_the_same_slice_are_joined() {
        let mut layers = Layers::new(&grid(), 300);
        layers.add(300, &[(1, vec![true, false, false, false]), (1, vec![true, true, false, false])]);
        layers.add_labels(0, &[1, 2, 3, 300]);
        let volumes = layers.into_volumes();
        assert_eq!(volumes.len(), 1);
        assert_eq!(volumes[0].iter().collect::<Vec<_>>(), [1, 2, 3, 300, 300, 300, 0, 0]);
        assert!(Layers::new(&grid(), 1).into_volumes()[0].iter().all(|label| label == 0));
    }
}
