//! Axial slices in canonical order, from feet to head, for any storage order.

use super::Grid;
use crate::parallel;

/// How the axial slices of a grid are stored. Canonical slice numbers are 0-based and grow towards the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxialSlices {
    /// The stored axis closest to superior-inferior, along which the slices are stacked: 0, 1 or 2 for i, j or k.
    pub axis: usize,
    /// Number of slices.
    pub count: usize,
    /// Whether the stored index grows towards the feet.
    pub reversed: bool,
}

impl AxialSlices {
    /// Canonical number of the slice with the stored index `stored`, which must be below [`AxialSlices::count`].
    pub fn canonical(self, stored: usize) -> usize {
        if self.reversed { self.count - 1 - stored } else { stored }
    }

    /// Stored index of the slice with this canonical number, which must be below [`AxialSlices::count`].
    pub fn stored(self, canonical: usize) -> usize {
        self.canonical(canonical)
    }
}

impl Grid {
    /// The axial slices of this grid.
    pub fn axial_slices(&self) -> AxialSlices {
        const SUPERIOR: usize = 2;
        let orientation = self.orientation();
        let axis = orientation.axis.iter().position(|&along| along == SUPERIOR).unwrap_or(SUPERIOR);
        AxialSlices { axis, count: self.shape[axis], reversed: orientation.flip[axis] }
    }

    /// Accumulates over the voxels of each axial slice, in parallel. `add` adds the voxel at a position in memory to
    /// a slice's accumulator, `join` adds the second accumulator to the first. Results are in canonical order.
    ///
    /// Voxels are read in memory order and accumulators joined in a fixed order, so the result is bit-identical for
    /// any number of threads.
    pub(crate) fn sum_axial<S: Clone + Default + Send>(
        &self,
        add: impl Fn(&mut S, usize) + Sync,
        join: impl Fn(&mut S, &S),
    ) -> Vec<S> {
        let ([nx, ny, nz], slices) = (self.shape, self.axial_slices());
        let of_plane = |k: usize| {
            let mut sums = vec![S::default(); if slices.axis == 2 { 1 } else { slices.count }];
            for j in 0..ny {
                let row = nx * (j + ny * k);
                match slices.axis {
                    0 => sums.iter_mut().enumerate().for_each(|(i, sum)| add(sum, row + i)),
                    1 => (row..row + nx).for_each(|at| add(&mut sums[j], at)),
                    _ => (row..row + nx).for_each(|at| add(&mut sums[0], at)),
                }
            }
            sums
        };
        let planes = parallel::map(nz, of_plane);
        let mut all = vec![S::default(); slices.count];
        for (k, plane) in planes.iter().enumerate() {
            for (at, sum) in plane.iter().enumerate() {
                join(&mut all[slices.canonical(if slices.axis == 2 { k } else { at })], sum);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Orientation;
    use glam::{DAffine3, DMat3, DVec3};

    #[test]
    fn slices_grow_towards_the_head_in_every_order() {
        let matrix3 = DMat3::from_rotation_x(0.2) * DMat3::from_diagonal(DVec3::new(1.0, 2.0, 3.0));
        let upright = Grid::new([5, 4, 3], DAffine3 { matrix3, translation: DVec3::new(9.0, -7.0, 5.0) });
        let numbers: Vec<usize> = (0..upright.len()).collect();
        for o in Orientation::all() {
            let (grid, moved) = (upright.reoriented(&o), o.apply(&numbers, upright.shape));
            let slices = grid.axial_slices();
            assert_eq!(slices.count, 3, "{o:?}");
            let sums: Vec<usize> = grid.sum_axial(|sum, index| *sum += moved[index], |all, sum| *all += sum);
            assert_eq!(sums, [190, 590, 990], "{o:?}");
            for number in 0..3 {
                assert_eq!(slices.canonical(slices.stored(number)), number);
                let mut voxel = [0; 3];
                voxel[slices.axis] = slices.stored(number);
                assert_eq!(moved[grid.index(voxel)] / 20, number, "{o:?}");
            }
        }
    }

    #[test]
    fn a_grid_without_voxels_has_empty_slices() {
        let grid = Grid::new([0, 4, 2], DAffine3::IDENTITY);
        assert_eq!(grid.sum_axial(|sum: &mut usize, _| *sum += 1, |all, sum| *all += sum), [0, 0]);
    }
}
