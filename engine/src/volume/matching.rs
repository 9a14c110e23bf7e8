//! Comparing two grids by world position.

use super::{Grid, Orientation};

/// How one grid lies against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Same voxels in the same order.
    Same,
    /// Same voxels with permuted or flipped axes. The orientation maps arrays of the first grid to the second.
    Reordered(Orientation),
    /// Other voxels.
    Different,
}

/// Smallest tolerance, in mm.
const SAME_MM: f64 = 2e-6;

impl Grid {
    /// Compares the world positions of the corner voxels.
    ///
    /// The tolerance is 1e-6 of the largest coordinate (the precision of a NIfTI header's 32-bit floats), at most
    /// 1e-3 of the smallest voxel size and at least 2e-6 mm.
    pub fn relation(&self, other: &Self) -> Relation {
        let Some(orientation) = self.axes_along(other) else { return Relation::Different };
        if orientation.target_shape(self.shape) != other.shape {
            return Relation::Different;
        }
        let reordered = self.reoriented(&orientation);
        let mut pairs = reordered.corners().into_iter().zip(other.corners());
        let tolerance = self.tolerance_mm().min(other.tolerance_mm());
        let far = pairs.any(|(a, b)| a.distance(b).is_nan() || a.distance(b) > tolerance);
        if far {
            return Relation::Different;
        }
        if orientation == Orientation::IDENTITY { Relation::Same } else { Relation::Reordered(orientation) }
    }

    fn tolerance_mm(&self) -> f64 {
        let reach = self.corners().iter().map(|c| c.abs().max_element()).fold(0.0, f64::max);
        let finest = self.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        (1e-6 * reach).min(1e-3 * finest).max(SAME_MM)
    }

    /// The axis of the other grid that each of this grid's axes runs along; `None` if the mapping is not one to one.
    fn axes_along(&self, other: &Self) -> Option<Orientation> {
        // Directions decide, not step lengths: an axis of one voxel has a direction but no extent.
        let (mine, its) = (self.world_from_voxel.matrix3, other.world_from_voxel.matrix3);
        let (mut found, mut taken) = (Orientation::IDENTITY, [false; 3]);
        for a in 0..3 {
            let direction = mine.col(a).normalize_or_zero();
            let cosine = |b: usize| direction.dot(its.col(b).normalize_or_zero());
            let b = (0..3).max_by(|&x, &y| cosine(x).abs().total_cmp(&cosine(y).abs()))?;
            if taken[b] {
                return None;
            }
            taken[b] = true;
            found.axis[a] = b;
            found.flip[a] = cosine(b) < 0.0;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::{DAffine3, DMat3, DVec3};

    fn grid() -> Grid {
        let matrix3 = DMat3::from_rotation_z(0.2) * DMat3::from_diagonal(DVec3::new(-2.0, 3.0, 4.0));
        Grid::new([5, 4, 3], DAffine3 { matrix3, translation: DVec3::new(10.0, -20.0, 30.0) })
    }

    fn shifted(mm: f64) -> Grid {
        let mut moved = grid();
        moved.world_from_voxel.translation.y += mm;
        moved
    }

    #[test]
    fn rounding_is_the_same_place_and_a_shift_is_not() {
        assert_eq!(grid().relation(&grid()), Relation::Same);
        assert_eq!(grid().relation(&shifted(2e-6)), Relation::Same);
        assert_eq!(grid().relation(&shifted(1e-3)), Relation::Different);
        assert_eq!(grid().relation(&shifted(1.5)), Relation::Different);
        assert_eq!(grid().relation(&Grid { shape: [5, 4, 2], ..grid() }), Relation::Different);
        assert_eq!(grid().relation(&Grid { shape: [4, 5, 3], ..grid() }), Relation::Different);
    }

    #[test]
    fn every_order_and_flip_is_recognised() {
        for o in Orientation::all().filter(|&o| o != Orientation::IDENTITY) {
            assert_eq!(grid().relation(&grid().reoriented(&o)), Relation::Reordered(o));
        }
    }
}
