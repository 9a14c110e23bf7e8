//! The longest axial diameter of a component, as measured with calipers.

use glam::DVec3;
use serde::Serialize;

use super::Run;
use crate::volume::Grid;

/// The longest diameter of a component within one axial slice, between outer corners of its voxels. For a single voxel this is
/// its diagonal. Measuring between voxel centres would give one voxel less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Diameter {
    /// Length in mm.
    pub mm: f64,
    /// The grid axis closest to superior-inferior: 0, 1 or 2 for i, j or k.
    pub axis: usize,
    /// Index of the slice along that axis.
    pub slice: usize,
    /// End points as fractional voxel indices (corners are half a voxel off the centres).
    pub ends_voxel: [[f64; 3]; 2],
    /// End points in world mm (RAS+).
    pub ends_mm: [[f64; 3]; 2],
}

/// The grid axis closest to superior-inferior, along which axial slices are stacked: 0, 1 or 2 for i, j or k.
pub fn axial_axis(grid: &Grid) -> usize {
    grid.axial_slices().axis
}

/// A corner (u, v) of a slice's pixel lattice. Corner n lies between voxels n - 1 and n.
type Corner = [i64; 2];

/// Relative difference below which two lengths are equal, above rounding errors.
const EQUAL: f64 = 1e-9;

/// The longest diameter of a component over the slices across `axis`, given its runs and bounds. Ties go to the first by
/// slice and then by end points, in anatomical order, so that the result is the same for every axis order of a scan.
pub(super) fn longest(runs: &[Run], min: [usize; 3], max: [usize; 3], grid: &Grid, axis: usize) -> Diameter {
    let (u, v) = [(1, 2), (0, 2), (0, 1)][axis];
    let m = grid.world_from_voxel.matrix3;
    let columns = [m.x_axis, m.y_axis, m.z_axis];
    let squared =
        |a: Corner, b: Corner| (columns[u] * (b[0] - a[0]) as f64 + columns[v] * (b[1] - a[1]) as f64).length_squared();
    let place = AnatomicalOrder::new(grid, axis, u, v);
    let rows = max[v] - min[v] + 1;
    let mut best: Option<(f64, Candidate)> = None;
    for (s, slice) in extents(runs, min, max, axis, u, v).chunks(rows).enumerate() {
        let hull = convex_hull(slice, min[v]);
        for (n, &a) in hull.iter().enumerate() {
            for &b in &hull[n + 1..] {
                let length = squared(a, b);
                let shortest = best.as_ref().map_or(-1.0, |(length, _)| length * (1.0 - EQUAL));
                if length < shortest {
                    continue;
                }
                let candidate = place.of(min[axis] + s, a, b);
                let longer = best.as_ref().is_none_or(|(length_so_far, _)| length > length_so_far * (1.0 + EQUAL));
                if longer || best.as_ref().is_some_and(|(_, so_far)| candidate.key < so_far.key) {
                    best = Some((length, candidate));
                }
            }
        }
    }
    let none = Candidate { key: [0; 5], slice: min[axis], ends: [[0; 2]; 2] };
    let (length, Candidate { slice, ends, .. }) = best.unwrap_or((0.0, none));
    let ends_voxel = ends.map(|corner| {
        let mut voxel = [0.0; 3];
        voxel[axis] = slice as f64;
        voxel[u] = corner[0] as f64 - 0.5;
        voxel[v] = corner[1] as f64 - 0.5;
        voxel
    });
    let ends_mm = ends_voxel.map(|end| grid.world_from_voxel.transform_point3(DVec3::from(end)).to_array());
    Diameter { mm: length.max(0.0).sqrt(), axis, slice, ends_voxel, ends_mm }
}

/// Converts corners to anatomical order, independent of the order of the stored axes.
struct AnatomicalOrder {
    /// Number of voxels along the slice axis, `u` and `v`.
    count: [i64; 3],
    /// True for axes that run against their anatomical direction.
    flip: [bool; 3],
    /// True if `u` comes before `v` among R, A and S.
    u_first: bool,
}

/// A candidate diameter.
struct Candidate {
    /// Sort key in anatomical order.
    key: [i64; 5],
    slice: usize,
    /// End points in the order of the key.
    ends: [Corner; 2],
}

impl AnatomicalOrder {
    fn new(grid: &Grid, axis: usize, u: usize, v: usize) -> Self {
        let o = grid.orientation();
        Self {
            count: [axis, u, v].map(|a| grid.shape[a] as i64),
            flip: [axis, u, v].map(|a| o.flip[a]),
            u_first: o.axis[u] < o.axis[v],
        }
    }

    fn of(&self, slice: usize, a: Corner, b: Corner) -> Candidate {
        let along = |n: usize, at: i64, last: i64| if self.flip[n] { last - at } else { at };
        let corner = |c: Corner| {
            let (u, v) = (along(1, c[0], self.count[1]), along(2, c[1], self.count[2]));
            if self.u_first { [u, v] } else { [v, u] }
        };
        let (first, second) = (corner(a), corner(b));
        let ends = if first <= second { [a, b] } else { [b, a] };
        let (low, high) = (first.min(second), first.max(second));
        let key = [along(0, slice as i64, self.count[0] - 1), low[0], low[1], high[0], high[1]];
        Candidate { key, slice, ends }
    }
}

/// First and one past the last voxel along `u`, for each slice and row `v` in the bounding box; `None` for rows without
/// voxels.
fn extents(runs: &[Run], min: [usize; 3], max: [usize; 3], axis: usize, u: usize, v: usize) -> Vec<Option<[u32; 2]>> {
    let rows = max[v] - min[v] + 1;
    let mut extents = vec![None; (max[axis] - min[axis] + 1) * rows];
    let mut add = |slice: u32, row: u32, low: u32, high: u32| {
        let extent: &mut Option<[u32; 2]> = &mut extents[(slice as usize - min[axis]) * rows + row as usize - min[v]];
        *extent = Some(extent.map_or([low, high], |[a, b]| [a.min(low), b.max(high)]));
    };
    for run in runs {
        if axis == 0 {
            (run.i..run.i + run.len).for_each(|i| add(i, run.k, run.j, run.j + 1));
        } else {
            let at = [run.i, run.j, run.k];
            debug_assert_eq!(u, 0, "runs are along i, the first in-plane axis");
            add(at[axis], at[v], run.i, run.i + run.len);
        }
    }
    extents
}

/// Corners of the convex hull of a slice's rows (row 0 is voxel `first_row`), by the monotone chain algorithm in exact
/// integers. The hull does not depend on the spacing.
fn convex_hull(rows: &[Option<[u32; 2]>], first_row: usize) -> Vec<Corner> {
    let mut points: Vec<Corner> = Vec::with_capacity(4 * rows.len());
    for (row, extent) in rows.iter().enumerate() {
        if let Some([low, high]) = *extent {
            let v = (first_row + row) as i64;
            for v in [v, v + 1] {
                points.push([i64::from(low), v]);
                points.push([i64::from(high), v]);
            }
        }
    }
    points.sort_unstable();
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let left_turn = |a: Corner, b: Corner, c: Corner| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0;
    let chain = |points: &mut dyn Iterator<Item = Corner>| {
        let mut chain: Vec<Corner> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..] {
                if left_turn(a, b, point) {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = chain(&mut points.iter().copied());
    hull.extend(chain(&mut points.iter().rev().copied()));
    hull
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use crate::findings::{findings, mask_of};
    use glam::{DAffine3, DMat3};
    use proptest::prelude::*;

    /// Brute force by definition: all pairs of corners of all voxels of each slice.
    fn brute(mask: &[bool], grid: &Grid, axis: usize) -> f64 {
        let [nx, ny, _] = grid.shape;
        let corners: Vec<(usize, DVec3)> = (0..mask.len())
            .filter(|&n| mask[n])
            .flat_map(|n| {
                let at = [n % nx, n / nx % ny, n / nx / ny];
                [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)].map(|(du, dv)| {
                    let mut corner = at.map(|v| v as f64);
                    corner[(axis + 1) % 3] += du;
                    corner[(axis + 2) % 3] += dv;
                    (at[axis], grid.world_from_voxel.transform_point3(DVec3::from(corner)))
                })
            })
            .collect();
        let pairs = corners.iter().flat_map(|a| corners.iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a.0 == b.0).map(|(a, b)| a.1.distance(b.1)).fold(0.0, f64::max)
    }

    /// A box has several longest diameters in each of several slices.
    #[test]
    fn ties_are_broken_the_same_way_in_all_48_axis_orders() {
        let grid = Grid::new([9, 8, 7], DAffine3::from_scale(DVec3::new(1.0, 1.5, 3.0)));
        let inside = |n: usize| [n % 9, n / 9 % 8, n / 72];
        let mask: Vec<bool> = (0..grid.len())
            .map(|n| inside(n).into_iter().zip([2..7, 2..6, 1..6]).all(|(at, range)| range.contains(&at)))
            .collect();
        let expected = findings(&mask_of(&mask, &grid))[0].diameter.ends_mm;
        for orientation in crate::volume::Orientation::all() {
            let other = grid.reoriented(&orientation);
            let found = findings(&mask_of(&orientation.apply(&mask, grid.shape), &other))[0].diameter.ends_mm;
            for (a, b) in found.iter().zip(&expected) {
                assert!(
                    DVec3::from(*a).distance(DVec3::from(*b)) < 1e-9,
                    "{orientation:?}: {found:?}, not {expected:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn the_diameter_matches_a_search_over_all_pairs(
            order in 0_usize..3,
            angle in -0.3..0.3,
            bits in proptest::collection::vec(proptest::bool::ANY, 5 * 4 * 3),
        ) {
            // Dense enough to be nearly always one component. Each axis is the axial one in turn.
            let mut axes = [DVec3::X * 1.5, DVec3::Y * 0.8, DVec3::Z * 3.0];
            axes.rotate_left(order);
            let matrix = DMat3::from_rotation_x(angle) * DMat3::from_cols(axes[0], axes[1], axes[2]);
            let world_from_voxel = DAffine3::from_mat3(matrix);
            let grid = Grid { shape: [5, 4, 3], world_from_voxel, oriented: true };
            let axis = axial_axis(&grid);
            prop_assert_eq!(axis, 2 - order);
            for finding in findings(&mask_of(&bits, &grid)) {
                let numbers = crate::findings::Components::new(&bits, grid.shape).numbers();
                let mask: Vec<bool> = numbers.iter().map(|&n| n == finding.number).collect();
                let expected = brute(&mask, &grid, axis);
                prop_assert!((finding.diameter.mm - expected).abs() < 1e-9, "{} {expected}", finding.diameter.mm);
                let [a, b] = finding.diameter.ends_mm.map(DVec3::from);
                prop_assert!((a.distance(b) - expected).abs() < 1e-9);
                prop_assert_eq!(finding.diameter.ends_voxel[0][axis], finding.diameter.slice as f64);
            }
        }
    }
}
