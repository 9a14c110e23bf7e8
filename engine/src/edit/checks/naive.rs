//! A naive implementation of every operation, which applies its definition to all voxels.

use glam::DVec3;

use crate::edit::op::{Boolean, Brush, LassoAction, Mode, Op, Operand, Plane, PlaneName, Seed, Smoothing};
use crate::volume::Grid;

/// The inputs of an operation besides the labels.
pub struct NaiveEditor<'a> {
    pub grid: &'a Grid,
    pub image: &'a [f64],
    pub other: &'a [u16],
}

pub type Voxel = [usize; 3];

fn near(mm: f64, limit: f64) -> bool {
    mm <= limit * (1.0 + 1e-9)
}

impl NaiveEditor<'_> {
    pub fn voxels(&self) -> Vec<Voxel> {
        let [nx, ny, nz] = self.grid.shape;
        (0..nx * ny * nz).map(|index| [index % nx, index / nx % ny, index / (nx * ny)]).collect()
    }

    pub fn at(&self, voxel: Voxel) -> usize {
        self.grid.index(voxel)
    }

    fn seed(&self, seed: &Seed) -> Option<Voxel> {
        let nearest = |point: [f64; 3]| {
            let far = |voxel: &Voxel| self.grid.world(*voxel).distance(DVec3::from_array(point));
            self.voxels().into_iter().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap()
        };
        seed.voxel.or_else(|| seed.point_mm.map(nearest))
    }

    fn axis(&self, plane: Plane) -> usize {
        let along = |direction: DVec3| {
            let column = |a: usize| self.grid.world_from_voxel.matrix3.col(a).normalize().dot(direction).abs();
            (0..3).max_by(|&a, &b| column(a).total_cmp(&column(b))).unwrap()
        };
        match plane {
            Plane::Axis(axis) => axis,
            Plane::Named(PlaneName::Axial) => along(DVec3::Z),
            Plane::Named(PlaneName::Coronal) => along(DVec3::Y),
            Plane::Named(PlaneName::Sagittal) => along(DVec3::X),
            Plane::Normal(normal) => along(DVec3::from_array(normal)),
        }
    }

    pub fn brush(&self, brush: &Brush) -> Vec<bool> {
        let axis = self.axis(brush.plane);
        let in_slice = |mm: [f64; 3]| {
            let mut voxel = self.grid.voxel_from_world().transform_point3(DVec3::from_array(mm));
            if brush.mode == Mode::Slice {
                voxel[axis] = voxel[axis].round();
            }
            (self.grid.world_from_voxel.transform_point3(voxel), voxel[axis])
        };
        let inside = |voxel: Voxel| {
            let here = self.grid.world(voxel);
            brush.points_mm.iter().enumerate().any(|(n, &point)| {
                let (point, slice) = in_slice(point);
                if brush.mode == Mode::Slice && (voxel[axis] as f64 - slice).abs() > 0.5 {
                    return false;
                }
                let next = brush.points_mm.get(n + 1).filter(|_| brush.connected);
                let end = next.map_or(point, |&next| in_slice(next).0);
                // Sample the line instead of using a formula.
                let steps = if next.is_some() { 4000 } else { 0 };
                (0..=steps).any(|s| {
                    let on_line = point.lerp(end, f64::from(s) / f64::from(steps.max(1)));
                    near(here.distance(on_line), brush.radius_mm)
                })
            })
        };
        self.voxels().into_iter().map(inside).collect()
    }

    /// Grows a set by wanted neighbours, which share a face if `faces`, until nothing changes.
    fn connected(&self, start: Voxel, faces: bool, wanted: &dyn Fn(Voxel) -> bool) -> Vec<bool> {
        let mut inside = vec![false; self.grid.len()];
        inside[self.at(start)] = true;
        loop {
            let before = inside.clone();
            for voxel in self.voxels().into_iter().filter(|&voxel| wanted(voxel)) {
                let touches = |other: &Voxel| {
                    let far: Vec<usize> = (0..3).map(|a| voxel[a].abs_diff(other[a])).collect();
                    far.iter().all(|&d| d <= 1) && (!faces || far.iter().sum::<usize>() == 1)
                };
                inside[self.at(voxel)] |= self.voxels().iter().any(|other| inside[self.at(*other)] && touches(other));
            }
            if inside == before {
                return inside;
            }
        }
    }

    fn components(&self, mask: &[bool]) -> Vec<Vec<bool>> {
        let mut found: Vec<Vec<bool>> = Vec::new();
        for voxel in self.voxels() {
            let index = self.at(voxel);
            if mask[index] && !found.iter().any(|component| component[index]) {
                found.push(self.connected(voxel, false, &|other| mask[self.at(other)]));
            }
        }
        found
    }

    /// Distance of each voxel to the nearest one of a set.
    fn distances(&self, sites: &[bool]) -> Vec<f64> {
        let sites: Vec<DVec3> =
            self.voxels().into_iter().filter(|&v| sites[self.at(v)]).map(|v| self.grid.world(v)).collect();
        let nearest = |voxel: Voxel| {
            let here = self.grid.world(voxel);
            sites.iter().map(|site| site.distance(here)).fold(f64::INFINITY, f64::min)
        };
        self.voxels().into_iter().map(nearest).collect()
    }

    fn majority(&self, mask: &[bool], mm: f64) -> Vec<bool> {
        let all = self.voxels();
        let new = |&voxel: &Voxel| {
            let here = self.grid.world(voxel);
            let ball = all.iter().filter(|other| near(self.grid.world(**other).distance(here), mm));
            let (inside, outside): (Vec<&Voxel>, Vec<&Voxel>) = ball.partition(|other| mask[self.at(**other)]);
            if inside.len() == outside.len() { mask[self.at(voxel)] } else { inside.len() > outside.len() }
        };
        all.iter().map(new).collect()
    }

    fn gaussian(&self, mask: &[bool], mm: f64) -> Vec<bool> {
        let outside: Vec<bool> = mask.iter().map(|m| !m).collect();
        if !mask.contains(&true) || !outside.contains(&true) {
            return mask.to_vec();
        }
        let (to_mask, to_outside) = (self.distances(mask), self.distances(&outside));
        let mut field: Vec<f64> = to_mask.iter().zip(&to_outside).map(|(a, b)| a - b).collect();
        for (axis, spacing) in self.grid.spacing_mm().into_iter().enumerate() {
            let sigma = mm / spacing;
            let radius = (4.0 * sigma + 0.5).floor() as i64;
            let weight = |n: i64| (-0.5 * (n as f64 / sigma).powi(2)).exp();
            let sum: f64 = (-radius..=radius).map(weight).sum();
            let mean = |voxel: Voxel| {
                let shifted = |n: i64| {
                    let mut other = voxel;
                    other[axis] = (voxel[axis] as i64 + n).clamp(0, self.grid.shape[axis] as i64 - 1) as usize;
                    field[self.at(other)] * weight(n) / sum
                };
                (-radius..=radius).map(shifted).sum::<f64>()
            };
            field = self.voxels().into_iter().map(mean).collect();
        }
        let tie = 1e-9 * self.grid.spacing_mm()[0];
        field.iter().zip(mask).map(|(&mean, &old)| if mean.abs() < tie { old } else { mean < 0.0 }).collect()
    }

    fn holes(&self, mask: &[bool], axis: Option<usize>) -> Vec<bool> {
        let shape = self.grid.shape;
        let on_border = |v: Voxel| (0..3).any(|a| Some(a) != axis && (v[a] == 0 || v[a] + 1 == shape[a]));
        let mut open: Vec<bool> = self.voxels().into_iter().map(|v| on_border(v) && !mask[self.at(v)]).collect();
        loop {
            let before = open.clone();
            for voxel in self.voxels().into_iter().filter(|&v| !mask[self.at(v)]) {
                for a in (0..3).filter(|&a| Some(a) != axis) {
                    for next in [voxel[a].wrapping_sub(1), voxel[a] + 1] {
                        let mut other = voxel;
                        other[a] = next;
                        if next < shape[a] && open[self.at(other)] {
                            open[self.at(voxel)] = true;
                        }
                    }
                }
            }
            if open == before {
                return open.iter().zip(mask).map(|(open, inside)| !open && !inside).collect();
            }
        }
    }

    /// The even-odd rule by the winding angle of the corners around a point.
    fn polygon(&self, points: &[[f64; 3]], plane: Plane, through: bool) -> Vec<bool> {
        let axis = self.axis(plane);
        let [u, v] = if axis == 0 { [1, 2] } else { [0, 3 - axis] };
        let corners: Vec<DVec3> =
            points.iter().map(|&p| self.grid.voxel_from_world().transform_point3(DVec3::from_array(p))).collect();
        let slice = corners[0][axis].round();
        let inside = |voxel: Voxel| {
            let from = |corner: &DVec3| [corner[u] - voxel[u] as f64, corner[v] - voxel[v] as f64];
            let turn: f64 = (0..corners.len())
                .map(|n| {
                    let ([a, b], [c, d]) = (from(&corners[n]), from(&corners[(n + 1) % corners.len()]));
                    (a * d - b * c).atan2(a * c + b * d)
                })
                .sum();
            let turns = (turn / std::f64::consts::TAU).round() as i64;
            turns % 2 != 0 && (through || (voxel[axis] as f64 - slice).abs() < 0.5)
        };
        self.voxels().into_iter().map(inside).collect()
    }

    /// The labels after an operation; `None` if it is refused.
    pub fn apply(&self, op: &Op, labels: &[u16]) -> Option<Vec<u16>> {
        match op {
            Op::Paint { .. }
            | Op::Erase { .. }
            | Op::ThresholdPaint { .. }
            | Op::AdaptivePaint { .. }
            | Op::Fill { .. }
            | Op::RegionGrow { .. }
            | Op::ThresholdGrow { .. }
            | Op::Watershed { .. }
            | Op::Lasso { .. } => self.apply_at_points(op, labels),
            Op::FillHoles { .. } | Op::Grow { .. } | Op::Shrink { .. } | Op::Smooth { .. } => {
                self.apply_to_outline(op, labels)
            }
            Op::RemoveComponent { .. }
            | Op::KeepComponent { .. }
            | Op::KeepLargest { .. }
            | Op::RemoveSmall { .. }
            | Op::Relabel { .. }
            | Op::Boolean { .. } => self.apply_to_regions(op, labels),
            Op::Interpolate { .. } => unreachable!("interpolation has separate tests"),
        }
    }

    fn apply_at_points(&self, op: &Op, labels: &[u16]) -> Option<Vec<u16>> {
        let set = |inside: &[bool], label: u16, free: &dyn Fn(u16) -> bool| set(labels, inside, label, free);
        match op {
            Op::Paint { label, brush } => set(&self.brush(brush), *label, &all),
            Op::Erase { label, brush } => set(&self.brush(brush), 0, &only(*label)),
            Op::ThresholdPaint { label, brush, min, max } => {
                let mut inside = self.brush(brush);
                for (inside, &value) in inside.iter_mut().zip(self.image) {
                    *inside &= min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
                }
                set(&inside, *label, &all)
            }
            Op::AdaptivePaint { label, brush, tolerance } => {
                let mut inside = vec![false; labels.len()];
                let in_grid = |point: &&[f64; 3]| {
                    let voxel = self.grid.voxel_from_world().transform_point3(DVec3::from_array(**point));
                    (0..3).all(|a| voxel[a] > -0.5 && voxel[a] < self.grid.shape[a] as f64 - 0.5)
                };
                for &point in brush.points_mm.iter().filter(in_grid) {
                    let ball = self.brush(&Brush { points_mm: vec![point], ..brush.clone() });
                    let start = self.seed(&Seed { voxel: None, point_mm: Some(point) })?;
                    let value = self.image[self.at(start)];
                    let wanted =
                        |v: Voxel| ball[self.at(v)] && (self.image[self.at(v)] - value).abs() <= tolerance.unwrap();
                    let found = self.connected(start, true, &wanted);
                    (0..labels.len()).for_each(|index| inside[index] |= found[index] && ball[index]);
                }
                set(&inside, *label, &all)
            }
            Op::Fill { label, seed, plane } => {
                let (start, axis) = (self.seed(seed)?, self.axis(*plane));
                let old = labels[self.at(start)];
                let wanted = |v: Voxel| labels[self.at(v)] == old && v[axis] == start[axis];
                set(&self.connected(start, true, &wanted), *label, &all)
            }
            Op::RegionGrow { label, seed, tolerance, max_radius_mm, overwrite } => {
                let start = self.seed(seed)?;
                let (value, here) = (self.image[self.at(start)], self.grid.world(start));
                let wanted = |v: Voxel| {
                    (self.image[self.at(v)] - value).abs() <= *tolerance
                        && max_radius_mm.is_none_or(|mm| near(self.grid.world(v).distance(here), mm))
                };
                set(&self.connected(start, true, &wanted), *label, &over(*overwrite))
            }
            Op::ThresholdGrow { label, seed, min, max, overwrite } => {
                let start = self.seed(seed)?;
                let inside = |v: Voxel| {
                    let value = self.image[self.at(v)];
                    min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
                };
                let found = self.connected(start, false, &inside);
                if inside(start) { set(&found, *label, &over(*overwrite)) } else { None }
            }
            Op::Watershed { label, inside, outside, smooth_mm, overwrite } => {
                set(&self.watershed(inside, outside, *smooth_mm)?, *label, &over(*overwrite))
            }
            Op::Lasso { label, points_mm, plane, action, through } => {
                let inside = self.polygon(points_mm, *plane, *through);
                match action {
                    LassoAction::Fill => set(&inside, (*label)?, &all),
                    LassoAction::Erase => set(&inside, 0, &only(*label)),
                    LassoAction::Restore => {
                        let new = |index: usize| if inside[index] { self.other[index] } else { labels[index] };
                        Some((0..labels.len()).map(new).collect())
                    }
                }
            }
            _ => unreachable!("{op:?} belongs to another function"),
        }
    }

    fn apply_to_outline(&self, op: &Op, labels: &[u16]) -> Option<Vec<u16>> {
        let is = |label: u16| is(labels, label);
        let set = |inside: &[bool], label: u16, free: &dyn Fn(u16) -> bool| set(labels, inside, label, free);
        match op {
            Op::FillHoles { label, mode, axis, overwrite } => {
                let across = axis.unwrap_or_else(|| self.axis(Plane::default()));
                let across = (*mode == Mode::Slice).then_some(across);
                // A label without voxels encloses nothing.
                if !labels.contains(label) {
                    return Some(labels.to_vec());
                }
                set(&self.holes(&is(*label), across), *label, &over(*overwrite))
            }
            Op::Grow { label, mm, overwrite } => {
                let inside: Vec<bool> = self.distances(&is(*label)).iter().map(|&d| near(d, *mm)).collect();
                set(&inside, *label, &over(*overwrite))
            }
            Op::Shrink { label, mm } => {
                let outside: Vec<bool> = is(*label).iter().map(|inside| !inside).collect();
                let inside: Vec<bool> = self.distances(&outside).iter().map(|&d| near(d, *mm)).collect();
                set(&inside, 0, &only(Some(*label)))
            }
            Op::Smooth { label, method, mm, overwrite } => {
                let mask = is(*label);
                let new = match method {
                    Smoothing::Majority => self.majority(&mask, *mm),
                    Smoothing::Gaussian => self.gaussian(&mask, *mm),
                };
                let free = over(*overwrite);
                let voxel = |index: usize| match (mask[index], new[index]) {
                    (true, false) => 0,
                    (false, true) if free(labels[index]) => *label,
                    _ => labels[index],
                };
                Some((0..labels.len()).map(voxel).collect())
            }
            _ => unreachable!("{op:?} belongs to another function"),
        }
    }

    fn apply_to_regions(&self, op: &Op, labels: &[u16]) -> Option<Vec<u16>> {
        let is = |label: u16| is(labels, label);
        let set = |inside: &[bool], label: u16, free: &dyn Fn(u16) -> bool| set(labels, inside, label, free);
        let any = |only: Option<u16>| only.map_or_else(|| labels.iter().map(|&l| l != 0).collect(), is);
        match op {
            Op::RemoveComponent { seed, label } => {
                let (start, mask) = (self.seed(seed)?, any(*label));
                let found = self.connected(start, false, &|v| mask[self.at(v)]);
                if mask[self.at(start)] { set(&found, 0, &all) } else { None }
            }
            Op::KeepComponent { seed, label } => {
                let (start, mask) = (self.seed(seed)?, any(*label));
                let kept = self.connected(start, false, &|v| mask[self.at(v)]);
                let others: Vec<bool> = (0..labels.len()).map(|index| mask[index] && !kept[index]).collect();
                if mask[self.at(start)] { set(&others, 0, &all) } else { None }
            }
            Op::KeepLargest { label } => {
                let components = self.components(&any(*label));
                let size = |c: &Vec<bool>| c.iter().filter(|inside| **inside).count();
                // Of several largest components, the first.
                let largest = components.iter().rev().max_by_key(|c| size(c));
                let removed: Vec<&Vec<bool>> = components.iter().filter(|c| Some(*c) != largest).collect();
                set(&(0..labels.len()).map(|index| removed.iter().any(|c| c[index])).collect::<Vec<_>>(), 0, &all)
            }
            Op::RemoveSmall { ml, label } => {
                let components = self.components(&any(*label));
                let size = |c: &[bool]| c.iter().filter(|inside| **inside).count() as f64;
                let small = |c: &&Vec<bool>| size(c) * self.grid.voxel_volume_ml() < ml * (1.0 - 1e-9);
                let removed: Vec<&Vec<bool>> = components.iter().filter(small).collect();
                set(&(0..labels.len()).map(|index| removed.iter().any(|c| c[index])).collect::<Vec<_>>(), 0, &all)
            }
            Op::Relabel { from, to, seed } => match self.seed(seed) {
                None => set(&is(*from), *to, &all),
                Some(start) if labels[self.at(start)] == *from => {
                    set(&self.connected(start, false, &|v| labels[self.at(v)] == *from), *to, &all)
                }
                Some(_) => None,
            },
            Op::Boolean { operation, a, b, of } => {
                let second = if *of == Operand::Other { self.other } else { labels };
                let voxel = |index: usize| {
                    let (first, second) = (labels[index] == *a, second[index] == *b);
                    let inside = match operation {
                        Boolean::Union => first || second,
                        Boolean::Intersect => first && second,
                        Boolean::Subtract => first && !second,
                    };
                    match (inside, first) {
                        (true, _) => *a,
                        (false, true) => 0,
                        (false, false) => labels[index],
                    }
                };
                Some((0..labels.len()).map(voxel).collect())
            }
            _ => unreachable!("{op:?} belongs to another function"),
        }
    }
}

fn is(labels: &[u16], label: u16) -> Vec<bool> {
    labels.iter().map(|&l| l == label).collect()
}

fn all(_: u16) -> bool {
    true
}

fn over(overwrite: bool) -> impl Fn(u16) -> bool {
    move |old| overwrite || old == 0
}

fn only(label: Option<u16>) -> impl Fn(u16) -> bool {
    move |old| label.is_none_or(|label| label == old)
}

/// The labels with `label` where `inside` and the old one is free.
#[allow(clippy::unnecessary_wraps, reason = "the callers return an Option")]
fn set(labels: &[u16], inside: &[bool], label: u16, free: &dyn Fn(u16) -> bool) -> Option<Vec<u16>> {
    let new = |(&old, &inside): (&u16, &bool)| if inside && free(old) { label } else { old };
    Some(labels.iter().zip(inside).map(new).collect())
}
