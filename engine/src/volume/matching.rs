//! Comparison of two grids by world position. This module alone decides whether two images have the same voxels.

use super::{Grid, Orientation};
use crate::{ErrorKind, Result};

/// Relation of one grid to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Same voxels in the same order.
    Same,
    /// Same voxels with permuted or flipped axes. The orientation maps arrays of the first grid to the second.
    Reordered(Orientation),
    /// Another box of the same lattice, such as a mask cropped to its lesion: voxel (0, 0, 0) of the reoriented first grid is
    /// voxel `origin` of the second.
    Box {
        /// Maps arrays of the first grid to the axes of the second.
        orientation: Orientation,
        /// May be negative.
        origin: [i64; 3],
    },
    /// Same shape, but only one of the two files records an orientation: matched voxel by voxel.
    ByVoxel,
    /// Other voxels.
    Different,
}

/// The result of [`Grid::compare`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridMatch {
    /// Relation of the first grid to the second.
    pub relation: Relation,
    /// Largest distance between corresponding corner voxels in mm: of the whole grids, or within the lattice for
    /// [`Relation::Box`]. Infinite if the axes do not correspond.
    pub corner_mm: f64,
    /// The largest distance that was accepted, in mm.
    pub tolerance_mm: f64,
}

/// Corners may always differ by this much, in mm.
const SAME_MM: f64 = 1e-3;
/// Corners may differ by this fraction of the smallest voxel size.
const SAME_SHARE: f64 = 0.01;
/// Limits [`SAME_MM`] to this fraction of the smallest voxel size, for microscopy.
const MAX_SHARE: f64 = 0.1;
/// A difference above this is reported, in mm.
const NOTED_MM: f64 = 1e-5;
/// Maximum number of voxels of a union grid.
const MAX_UNION_VOXELS: usize = 1 << 30;
/// Relative difference below which two voxel sizes are equal.
const SAME_SIZE: f64 = 0.01;

impl Grid {
    /// [`Grid::compare`] with the default tolerance.
    pub fn relation(&self, other: &Self) -> Relation {
        self.compare(other, None).relation
    }

    /// # Errors
    /// If the grids differ in voxels or axis order. `what` names both in the message.
    pub fn require_same(&self, other: &Self, what: impl FnOnce() -> String) -> Result<()> {
        let comparison = self.compare(other, None);
        if comparison.relation == Relation::Same {
            return Ok(());
        }
        let (left, right) = (self.describe(), other.describe());
        Err(ErrorKind::Geometry { what: what(), difference: comparison.difference(self, other), left, right }.into())
    }

    /// Compares the world positions of the corner voxels.
    ///
    /// Without `tolerance_mm`, corners may differ by 1e-3 mm or 1 % of the smallest voxel size, whichever is larger.
    pub fn compare(&self, other: &Self, tolerance_mm: Option<f64>) -> GridMatch {
        let tolerance_mm = tolerance_mm.unwrap_or_else(|| self.tolerance_mm().min(other.tolerance_mm()));
        let of = |relation, corner_mm| GridMatch { relation, corner_mm, tolerance_mm };
        let by_voxel = self.shape == other.shape && self.matches_by_voxel(other);
        let different = if by_voxel { Relation::ByVoxel } else { Relation::Different };
        let Some(orientation) = self.axes_along(other) else { return of(different, f64::INFINITY) };
        let own = self.reoriented(&orientation);
        let corner_mm = own.corner_distance_mm(other);
        if own.shape == other.shape {
            let same = corner_mm <= tolerance_mm;
            let relation = match (same, orientation == Orientation::IDENTITY) {
                (true, true) => Relation::Same,
                // Without an orientation on one side, the flip is part of a guess.
                (true, false) if !by_voxel => Relation::Reordered(orientation),
                _ => different,
            };
            return of(relation, corner_mm);
        }
        let first = other.voxel_from_world().transform_point3(own.world([0; 3])).round().to_array();
        let origin = first.map(|index| index as i64);
        let overlaps = (0..3).all(|a| origin[a] < other.shape[a] as i64 && origin[a] + own.shape[a] as i64 > 0);
        let lattice_mm = own.corner_distance_mm(&other.cropped(origin, own.shape));
        if overlaps && lattice_mm <= tolerance_mm {
            return of(Relation::Box { orientation, origin }, lattice_mm);
        }
        of(Relation::Different, corner_mm)
    }

    /// The smallest grid that contains both. `None` if their lattices differ, or if it would have more than 2^30 voxels.
    pub fn union(&self, other: &Self) -> Option<Self> {
        let own = self.reoriented(&self.axes_along(other)?);
        let first = other.voxel_from_world().transform_point3(own.world([0; 3])).round().to_array();
        let origin = first.map(|index| index as i64);
        let tolerance_mm = self.tolerance_mm().min(other.tolerance_mm());
        if own.corner_distance_mm(&other.cropped(origin, own.shape)) > tolerance_mm {
            return None;
        }
        let low = origin.map(|index| index.min(0));
        let end = |a: usize| (origin[a] + own.shape[a] as i64).max(other.shape[a] as i64);
        let shape: [usize; 3] = std::array::from_fn(|a| (end(a) - low[a]) as usize);
        let voxels = shape.iter().try_fold(1_usize, |product, n| product.checked_mul(*n))?;
        (voxels <= MAX_UNION_VOXELS).then(|| other.cropped(low, shape))
    }

    /// The largest distance between corresponding corner voxels' centres in mm; infinite if a position is not finite.
    fn corner_distance_mm(&self, other: &Self) -> f64 {
        let distances = self.corners().into_iter().zip(other.corners()).map(|(a, b)| a.distance(b));
        distances.map(|mm| if mm.is_nan() { f64::INFINITY } else { mm }).fold(0.0, f64::max)
    }

    fn tolerance_mm(&self) -> f64 {
        let finest = self.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        SAME_MM.max(SAME_SHARE * finest).min(MAX_SHARE * finest)
    }

    /// Whether exactly one grid records an orientation and the other one's voxel sizes do not contradict it: they are equal, or
    /// the default 1 mm of an unset header.
    fn matches_by_voxel(&self, other: &Self) -> bool {
        let (known, unknown) = match (self.oriented, other.oriented) {
            (true, false) => (self.spacing_mm(), other.spacing_mm()),
            (false, true) => (other.spacing_mm(), self.spacing_mm()),
            _ => return false,
        };
        let near = |a: f64, b: f64| (a - b).abs() <= SAME_SIZE * b;
        unknown.iter().all(|&mm| near(mm, 1.0)) || unknown.iter().zip(known).all(|(&a, b)| near(a, b))
    }

    /// The axis of the other grid that each of this grid's axes runs along; `None` if the mapping is not one to one.
    fn axes_along(&self, other: &Self) -> Option<Orientation> {
        // Directions decide, not step lengths: an axis of one voxel has a direction but no extent.
        let (own, others) = (self.world_from_voxel.matrix3, other.world_from_voxel.matrix3);
        let (mut along, mut taken) = (Orientation::IDENTITY, [false; 3]);
        for a in 0..3 {
            let direction = own.col(a).normalize_or_zero();
            let cosine = |b: usize| direction.dot(others.col(b).normalize_or_zero());
            let b = (0..3).max_by(|&x, &y| cosine(x).abs().total_cmp(&cosine(y).abs()))?;
            if taken[b] {
                return None;
            }
            taken[b] = true;
            along.axis[a] = b;
            along.flip[a] = cosine(b) < 0.0;
        }
        Some(along)
    }
}

impl GridMatch {
    /// Note for the user on how two grids were matched. `names` are the names of their images in the text, as in
    /// `["mask", "image"]`.
    pub fn note(&self, [name, its]: [&str; 2], own: &Grid, other: &Grid) -> Option<String> {
        let codes = |g: &Grid| g.axis_codes().unwrap_or_else(|| "no orientation".to_owned());
        let size = |g: &Grid| g.shape.map(|n| n.to_string()).join("x");
        match self.relation {
            Relation::Same => (self.corner_mm > NOTED_MM).then(|| {
                let (mm, limit) = (millimetres(self.corner_mm), millimetres(self.tolerance_mm));
                format!("a corner of the {name} differs by {mm} mm from the {its}. Up to {limit} mm is accepted")
            }),
            Relation::Reordered(_) => Some(format!(
                "the {name}'s axes ({}) differ from the {its}'s ({}), so it is aligned by world position",
                codes(own),
                codes(other)
            )),
            Relation::Box { .. } => Some(format!(
                "the {name} covers a box of {} voxels of the {its}'s {}. The rest is background",
                size(own),
                size(other)
            )),
            Relation::ByVoxel => {
                let which = if own.oriented { its } else { name };
                Some(format!(
                    "the {which} records no orientation. Both have the same shape and are matched voxel by voxel"
                ))
            }
            Relation::Different => None,
        }
    }

    /// Describes how two grids differ, for an error.
    pub fn difference(&self, own: &Grid, other: &Grid) -> String {
        let sorted = |g: &Grid| {
            let mut shape = g.shape;
            shape.sort_unstable();
            shape
        };
        if sorted(own) == sorted(other) && self.corner_mm.is_finite() {
            format!(
                "a corner differs by {} mm, more than the {} mm of rounding",
                millimetres(self.corner_mm),
                millimetres(self.tolerance_mm)
            )
        } else {
            "size or axes differ".to_owned()
        }
    }
}

/// A length with two significant digits below 1 mm, else two decimals.
fn millimetres(mm: f64) -> String {
    let decimals = if mm > 0.0 && mm < 1.0 { (1.0 - mm.log10().floor()).clamp(2.0, 9.0) as usize } else { 2 };
    let text = format!("{mm:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
    fn a_rounding_difference_is_accepted_and_a_shift_is_not() {
        assert_eq!(grid().relation(&grid()), Relation::Same);
        // 1 % of the smallest voxel size of 2 mm.
        for (mm, noted) in [(2e-6, false), (2e-4, true), (1e-3, true), (0.019, true)] {
            let result = grid().compare(&shifted(mm), None);
            assert_eq!(result.relation, Relation::Same, "{mm}");
            assert!((result.corner_mm - mm).abs() < 1e-9);
            assert_eq!(result.note(["mask", "image"], &grid(), &shifted(mm)).is_some(), noted, "{mm}");
        }
        for mm in [0.021, 0.21, 1.5] {
            assert_eq!(grid().relation(&shifted(mm)), Relation::Different, "{mm}");
        }
        assert_eq!(grid().relation(&Grid { shape: [4, 5, 3], ..shifted(0.5) }), Relation::Different);
    }

    #[test]
    fn a_difference_is_given_in_millimetres_and_can_be_allowed() {
        let result = grid().compare(&shifted(0.21), None);
        let text = result.difference(&grid(), &shifted(0.21));
        assert_eq!(text, "a corner differs by 0.21 mm, more than the 0.02 mm of rounding");
        assert_eq!(grid().compare(&shifted(0.21), Some(0.25)).relation, Relation::Same);
        assert_eq!(grid().compare(&shifted(2e-4), Some(1e-4)).relation, Relation::Different);
        for (mm, text) in [(2e-4, "0.0002"), (0.21, "0.21"), (1.5, "1.5"), (12.345, "12.35"), (3.1e-5, "0.000031")] {
            assert_eq!(millimetres(mm), text);
        }
    }

    #[test]
    fn small_voxels_have_a_small_tolerance() {
        let micrometre = |shift| {
            Grid::new(
                [4, 4, 4],
                DAffine3 {
                    matrix3: DMat3::from_diagonal(DVec3::splat(1e-3)),
                    translation: DVec3::new(shift, 0.0, 0.0),
                },
            )
        };
        assert_eq!(micrometre(0.0).relation(&micrometre(5e-4)), Relation::Different);
        assert_eq!(micrometre(0.0).relation(&micrometre(5e-6)), Relation::Same);
    }

    #[test]
    fn every_order_and_flip_is_recognised() {
        for o in Orientation::all().filter(|&o| o != Orientation::IDENTITY) {
            assert_eq!(grid().relation(&grid().reoriented(&o)), Relation::Reordered(o));
        }
    }

    #[test]
    fn a_box_of_the_lattice_is_recognised_in_every_order() {
        let part = grid().cropped([1, 0, 1], [3, 2, 2]);
        for orientation in Orientation::all() {
            let stored = part.reoriented(&orientation.inverted());
            let expected = Relation::Box { orientation, origin: [1, 0, 1] };
            assert_eq!(stored.relation(&grid()), expected);
        }
        // Also a larger grid; the caller decides about the voxels outside.
        let larger = grid().cropped([-1, -2, 0], [7, 7, 3]);
        let expected = Relation::Box { orientation: Orientation::IDENTITY, origin: [-1, -2, 0] };
        assert_eq!(larger.relation(&grid()), expected);
        // Off the lattice by a tenth of a voxel, next to the image, or with other voxel sizes.
        let mut off = part.clone();
        off.world_from_voxel.translation.x += 0.2;
        let beside = grid().cropped([5, 0, 0], [3, 2, 2]);
        let coarse = part.with_spacing([4.0, 3.0, 4.0]);
        for other in [off, beside, coarse] {
            assert_eq!(other.relation(&grid()), Relation::Different);
        }
        // Same shape, a voxel further: a wrong origin, not a crop.
        assert_eq!(grid().cropped([1, 0, 0], [5, 4, 3]).relation(&grid()), Relation::Different);
    }

    #[test]
    fn a_grid_without_orientation_is_matched_by_voxel() {
        let known = grid();
        let sizes = |mm: [f64; 3]| Grid {
            oriented: false,
            ..Grid::new([5, 4, 3], DAffine3::from_scale(DVec3::new(-mm[0], mm[1], mm[2])))
        };
        for unknown in [sizes([2.0, 3.0, 4.0]), sizes([1.0; 3])] {
            assert_eq!(known.relation(&unknown), Relation::ByVoxel);
            assert_eq!(unknown.relation(&known), Relation::ByVoxel);
            assert!(known.compare(&unknown, None).note(["mask", "image"], &known, &unknown).is_some());
        }
        assert_eq!(known.relation(&sizes([2.0, 3.0, 5.0])), Relation::Different);
        // A mirrored box does not prove a flip if one orientation is only a guess.
        let oriented = Grid { oriented: true, ..sizes([2.0, 3.0, 4.0]) };
        let mirrored = oriented.reoriented(&Orientation { flip: [true, false, false], ..Orientation::IDENTITY });
        assert_eq!(mirrored.relation(&sizes([2.0, 3.0, 4.0])), Relation::ByVoxel);
    }
}
