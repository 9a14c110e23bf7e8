//! The voxels of brushes and polygons.

use std::ops::Range;

use glam::DVec3;

use super::op::{Brush, Mode, Plane, PlaneName};
use super::region::{Region, VoxelBox, in_plane};
use crate::event::Control;
use crate::findings::axial_axis;
use crate::volume::Grid;
use crate::{Error, Result};

/// Relative tolerance of distances, so that a voxel at exactly the radius is inside despite rounding.
pub(super) const ROUNDING: f64 = 1e-9;

/// The voxels of a brush.
pub(super) fn brush(brush: &Brush, grid: &Grid, control: &Control) -> Result<Region> {
    let points: Vec<DVec3> = brush.points_mm.iter().map(|&point| DVec3::from_array(point)).collect();
    let alone = !brush.connected || points.len() == 1;
    let segments: Vec<[DVec3; 2]> = if alone {
        points.iter().map(|&p| [p, p]).collect()
    } else {
        points.windows(2).map(|w| [w[0], w[1]]).collect()
    };
    let mut ranges = Vec::new();
    match brush.mode {
        Mode::Volume => {
            for segment in segments {
                control.check()?;
                capsule(segment, brush.radius_mm, grid, &mut ranges);
            }
        }
        Mode::Slice => {
            let plane = Slice::new(brush.plane, grid)?;
            for segment in segments {
                control.check()?;
                plane.disc(segment, brush.radius_mm, grid, &mut ranges);
            }
        }
    }
    Ok(Region::new(ranges))
}

/// Squared distance from a point to a line segment.
fn squared_distance(point: DVec3, [from, to]: [DVec3; 2]) -> f64 {
    let along = to - from;
    let length = along.length_squared();
    let share = if length > 0.0 { ((point - from).dot(along) / length).clamp(0.0, 1.0) } else { 0.0 };
    point.distance_squared(from + share * along)
}

/// Voxel indices along each axis that a brush at a segment can reach, as `first..end`, clipped to the grid.
fn reach(segment: [DVec3; 2], radius: f64, grid: &Grid) -> [Range<usize>; 3] {
    let voxel_from_world = grid.voxel_from_world();
    let ends = segment.map(|point| voxel_from_world.transform_point3(point));
    let rows = voxel_from_world.matrix3.transpose();
    std::array::from_fn(|a| {
        // A ball of radius r covers r times the length of row a of the inverse matrix along voxel axis a.
        let half = radius * rows.col(a).length() + 1e-6;
        let (low, high) = (ends[0][a].min(ends[1][a]) - half, ends[0][a].max(ends[1][a]) + half);
        let clip = |v: f64| v.clamp(0.0, grid.shape[a] as f64) as usize;
        clip(low.ceil())..clip(high.floor() + 1.0)
    })
}

/// Voxels whose centre is within `radius` of a segment. The distance is convex along a row, so each row has one range.
fn capsule(segment: [DVec3; 2], radius: f64, grid: &Grid, ranges: &mut Vec<Range<usize>>) {
    let [is, js, ks] = reach(segment, radius, grid);
    let limit = radius * radius * (1.0 + 2.0 * ROUNDING);
    let step = grid.world_from_voxel.matrix3.x_axis;
    for k in ks {
        for j in js.clone() {
            let start = grid.world([0, j, k]);
            let inside = |i: &usize| squared_distance(start + *i as f64 * step, segment) <= limit;
            if let Some(first) = is.clone().find(inside) {
                let last = is.clone().rev().find(inside).unwrap_or(first);
                let row = grid.index([0, j, k]);
                ranges.push(row + first..row + last + 1);
            }
        }
    }
}

/// The voxel axis nearest to the normal of a named plane.
fn axis_of(name: PlaneName, grid: &Grid) -> usize {
    let wanted = match name {
        PlaneName::Axial => return axial_axis(grid),
        PlaneName::Coronal => 1,
        PlaneName::Sagittal => 0,
    };
    let orientation = grid.orientation();
    (0..3).find(|&a| orientation.axis[a] == wanted).unwrap_or(wanted)
}

/// A plane in voxel coordinates: `normal . voxel` is constant. A stored slice contains one voxel of each column along `axis`. An
/// oblique plane contains all voxels that it crosses, which are those that a viewer shows on it.
pub(super) struct Slice {
    axis: usize,
    /// Scaled so that its component along `axis` is 1.
    normal: DVec3,
    /// The plane of a stored slice: a point is moved to the nearest one.
    stored: bool,
}

impl Slice {
    pub fn new(plane: Plane, grid: &Grid) -> Result<Self> {
        let stored = |axis: usize| Self { axis, normal: DVec3::AXES[axis], stored: true };
        match plane {
            Plane::Axis(axis) => Ok(stored(axis)),
            Plane::Named(name) => Ok(stored(axis_of(name, grid))),
            Plane::Normal(world) => {
                let in_voxels = grid.world_from_voxel.matrix3.transpose() * DVec3::from_array(world);
                let spacing = grid.spacing_mm();
                let along = |a: usize| (in_voxels[a] / spacing[a]).abs();
                let axis = (1..3).fold(0, |best, a| if along(a) > along(best) { a } else { best });
                let normal = in_voxels / in_voxels[axis];
                let usable = normal.is_finite();
                let error = || Error::config("plane", format!("{world:?}"), "the normal must not be zero");
                usable.then_some(Self { axis, normal, stored: false }).ok_or_else(error)
            }
        }
    }

    /// A point on the plane, in voxels, near a point given in world mm.
    fn anchor(&self, point: DVec3, grid: &Grid) -> DVec3 {
        let mut voxel = grid.voxel_from_world().transform_point3(point);
        if self.stored {
            voxel[self.axis] = voxel[self.axis].round();
        }
        voxel
    }

    /// The plane's coordinate along the axis in the column (u, v).
    fn along(&self, offset: f64, [u, v]: [f64; 2]) -> f64 {
        let [a, b] = in_plane(self.axis);
        offset - self.normal[a] * u - self.normal[b] * v
    }

    /// Coordinates along the axis of the voxels of column (u, v) in the plane, which crosses the column's centre at `w`.
    fn depths(&self, w: f64, grid: &Grid) -> Range<usize> {
        // Within a voxel, `normal . position` differs from that at the centre by at most this much.
        let half = self.normal.abs().element_sum() / 2.0 - ROUNDING;
        let (first, last) = ((w - half).ceil(), (w + half).floor());
        let (first, last) = if self.stored || first > last { (w.round(), w.round()) } else { (first, last) };
        let clip = |w: f64| w.clamp(0.0, grid.shape[self.axis] as f64) as usize;
        clip(first)..clip(last + 1.0)
    }

    /// The voxel of column (u, v) at a coordinate along the axis.
    fn voxel(&self, [u, v]: [usize; 2], w: usize) -> [usize; 3] {
        let [a, b] = in_plane(self.axis);
        let mut voxel = [0; 3];
        (voxel[a], voxel[b], voxel[self.axis]) = (u, v, w);
        voxel
    }

    /// Position in memory of the voxel of column (u, v) at a coordinate along the axis.
    fn index(&self, column: [usize; 2], w: usize, grid: &Grid) -> usize {
        grid.index(self.voxel(column, w))
    }

    /// Tests whether a voxel belongs to the plane through a point in world mm. The plane crosses the face between any two
    /// neighbours that it crosses, so that face-connected voxels are connected on the screen too.
    pub fn test<'a>(&'a self, point: DVec3, grid: &'a Grid) -> impl Fn([usize; 3]) -> bool + 'a {
        let offset = self.normal.dot(self.anchor(point, grid));
        let [a, b] = in_plane(self.axis);
        move |voxel| {
            let w = self.along(offset, [voxel[a] as f64, voxel[b] as f64]);
            self.depths(w, grid).contains(&voxel[self.axis])
        }
    }

    /// The smallest box around the voxels of the plane through a point in world mm, `None` if it misses the grid.
    pub fn bounds(&self, point: DVec3, grid: &Grid) -> Option<VoxelBox> {
        let offset = self.normal.dot(self.anchor(point, grid));
        let [a, b] = in_plane(self.axis);
        let columns = (0..grid.shape[b]).flat_map(|v| (0..grid.shape[a]).map(move |u| [u, v]));
        let boxes = columns.filter_map(|[u, v]| {
            let depths = self.depths(self.along(offset, [u as f64, v as f64]), grid);
            let last = depths.end.checked_sub(1).filter(|last| *last >= depths.start)?;
            Some(VoxelBox { min: self.voxel([u, v], depths.start), max: self.voxel([u, v], last) })
        });
        boxes.reduce(|all, column| all.union(&column))
    }

    /// Voxels of the plane within `radius` of a segment, measured at their columns' intersection with the plane.
    fn disc(&self, segment: [DVec3; 2], radius: f64, grid: &Grid, ranges: &mut Vec<Range<usize>>) {
        let anchors = segment.map(|point| self.anchor(point, grid));
        let offset = self.normal.dot(anchors[0]);
        let [a, b] = in_plane(self.axis);
        let on_plane = anchors.map(|anchor| {
            let mut point = anchor;
            point[self.axis] = self.along(offset, [anchor[a], anchor[b]]);
            grid.world_from_voxel.transform_point3(point)
        });
        let reach = reach(on_plane, radius, grid);
        let limit = radius * radius * (1.0 + 2.0 * ROUNDING);
        for v in reach[b].clone() {
            for u in reach[a].clone() {
                let w = self.along(offset, [u as f64, v as f64]);
                let mut crossing = DVec3::ZERO;
                (crossing[a], crossing[b], crossing[self.axis]) = (u as f64, v as f64, w);
                let near = squared_distance(grid.world_from_voxel.transform_point3(crossing), on_plane) <= limit;
                if near {
                    let voxels = self.depths(w, grid).map(|depth| self.index([u, v], depth, grid));
                    ranges.extend(voxels.map(|index| index..index + 1));
                }
            }
        }
    }

    /// Voxels of the plane through the first corner whose column lies inside a polygon (even-odd rule). With `through`, the
    /// whole columns.
    pub fn polygon(&self, corners_mm: &[[f64; 3]], through: bool, grid: &Grid) -> Region {
        let corners: Vec<DVec3> =
            corners_mm.iter().map(|&corner| self.anchor(DVec3::from_array(corner), grid)).collect();
        let [a, b] = in_plane(self.axis);
        let offset = corners.first().map_or(0.0, |corner| self.normal.dot(*corner));
        let mut ranges = Vec::new();
        for v in 0..grid.shape[b] {
            let mut crossings = crossings(&corners, a, b, v as f64);
            crossings.sort_unstable_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let clip = |index: f64| index.ceil().clamp(0.0, grid.shape[a] as f64) as usize;
                for u in clip(pair[0])..clip(pair[1]) {
                    let w = self.along(offset, [u as f64, v as f64]);
                    let depths = if through { 0..grid.shape[self.axis] } else { self.depths(w, grid) };
                    let voxels = depths.map(|depth| self.index([u, v], depth, grid));
                    ranges.extend(voxels.map(|index| index..index + 1));
                }
            }
        }
        Region::new(ranges)
    }
}

/// Intersections of a polygon's sides with the line `v`, along `a`. A side includes only its lower end, so that a corner counts
/// once.
fn crossings(corners: &[DVec3], a: usize, b: usize, v: f64) -> Vec<f64> {
    let next = corners.iter().cycle().skip(1);
    let sides = corners.iter().zip(next);
    let crossed = sides.filter(|(p, q)| (p[b] <= v) != (q[b] <= v));
    crossed.map(|(p, q)| p[a] + (v - p[b]) / (q[b] - p[b]) * (q[a] - p[a])).collect()
}
