//! The watershed against a naive implementation, and its properties.

use glam::{DAffine3, DVec3};
use proptest::prelude::*;

use super::naive::{NaiveEditor, Voxel};
use super::strategies::{brush, setting};
use super::{edited, values_of};
use crate::edit::op::{Brush, Mode, Op, Plane};
use crate::edit::watershed::{BETWEEN, LEVELS, PER_MM};
use crate::edit::{Scene, apply, op_list};
use crate::event::Control;
use crate::volume::{Grid, Scale, Volume, VoxelData};

/// The box of a watershed with its seeds and its quantised, smoothed values, computed naively.
struct Basin {
    voxels: Vec<Voxel>,
    /// True for an inside seed, false for an outside seed.
    seeds: Vec<Option<bool>>,
    levels: Vec<i64>,
}

impl NaiveEditor<'_> {
    fn basin(&self, inside: &[Brush], outside: &[Brush], smooth_mm: Option<f64>) -> Option<Basin> {
        let union = |brushes: &[Brush]| {
            let all: Vec<Vec<bool>> = brushes.iter().map(|brush| self.brush(brush)).collect();
            (0..self.grid.len()).map(|index| all.iter().any(|one| one[index])).collect::<Vec<bool>>()
        };
        let (inside, outside) = (union(inside), union(outside));
        if !inside.contains(&true) || !outside.contains(&true) {
            return None;
        }
        let (shape, spacing) = (self.grid.shape, self.grid.spacing_mm());
        let seeds: Vec<Voxel> =
            self.voxels().into_iter().filter(|&v| inside[self.at(v)] || outside[self.at(v)]).collect();
        let ends: [[usize; 2]; 3] = std::array::from_fn(|a| {
            let along = || seeds.iter().map(|seed| seed[a]);
            [along().min().unwrap(), along().max().unwrap()]
        });
        let sides: [f64; 3] = std::array::from_fn(|a| (ends[a][1] - ends[a][0] + 1) as f64 * spacing[a]);
        let longest = sides.into_iter().fold(0.0, f64::max);
        let ends: [[usize; 2]; 3] = std::array::from_fn(|a| {
            let more = ((longest - sides[a]) / (2.0 * spacing[a]) + BETWEEN).floor() as usize;
            [ends[a][0].saturating_sub(more), (ends[a][1] + more).min(shape[a] - 1)]
        });
        let in_box = |v: &Voxel| (0..3).all(|a| (ends[a][0]..=ends[a][1]).contains(&v[a]));
        let voxels: Vec<Voxel> = self.voxels().into_iter().filter(in_box).collect();
        let cut =
            |v: &Voxel| (0..3).any(|a| v[a] == ends[a][0] && v[a] > 0 || v[a] == ends[a][1] && v[a] + 1 < shape[a]);
        let side = |v: &Voxel| match (outside[self.at(*v)], inside[self.at(*v)]) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => cut(v).then_some(false),
        };
        let sigma_mm = smooth_mm.unwrap_or(spacing.into_iter().fold(f64::INFINITY, f64::min) / 2.0);
        let mut values = self.image.to_vec();
        for axis in (0..3).filter(|_| sigma_mm > 0.0) {
            let sigma = sigma_mm / spacing[axis];
            let radius = (4.0 * sigma + 0.5).floor() as i64;
            let weight = |n: i64| (-0.5 * (n as f64 / sigma).powi(2)).exp();
            let sum: f64 = (-radius..=radius).map(weight).sum();
            let mean = |voxel: Voxel| {
                let shifted = |n: i64| {
                    let mut other = voxel;
                    let [first, last] = ends[axis].map(|end| end as i64);
                    other[axis] = (voxel[axis] as i64 + n).clamp(first, last) as usize;
                    values[self.at(other)] * weight(n) / sum
                };
                if in_box(&voxel) { (-radius..=radius).map(shifted).sum() } else { 0.0 }
            };
            values = self.voxels().into_iter().map(mean).collect();
        }
        let values: Vec<f64> = voxels.iter().map(|&v| values[self.at(v)]).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let step = if high > low { LEVELS / (high - low) } else { 0.0 };
        let levels = values.iter().map(|value| ((value - low) * step + BETWEEN).round() as i64).collect();
        Some(Basin { seeds: voxels.iter().map(side).collect(), voxels, levels })
    }

    /// Voxels that the watershed assigns to the inside strokes; `None` if it is refused.
    pub fn watershed(&self, inside: &[Brush], outside: &[Brush], smooth_mm: Option<f64>) -> Option<Vec<bool>> {
        let basin = self.basin(inside, outside, smooth_mm)?;
        let lengths = self.grid.spacing_mm().map(|spacing| (spacing * PER_MM).round() as i64);
        // Largest step, length and side of the path to each voxel that is reached.
        let mut paths: Vec<Option<(i64, i64, bool)>> =
            basin.seeds.iter().map(|seed| seed.map(|inside| (0, 0, inside))).collect();
        loop {
            let mut best: Option<((i64, i64, bool), usize)> = None;
            for open in (0..paths.len()).filter(|&n| paths[n].is_none()) {
                for (from, axis) in basin.neighbours(open) {
                    let Some((largest, length, inside)) = paths[from] else { continue };
                    let step = (basin.levels[open] - basin.levels[from]).abs().max(largest);
                    let offer = ((step, length + lengths[axis], inside), open);
                    best = Some(best.map_or(offer, |best| best.min(offer)));
                }
            }
            let Some((path, index)) = best else { break };
            paths[index] = Some(path);
        }
        let mut found = vec![false; self.grid.len()];
        for (voxel, path) in basin.voxels.iter().zip(&paths) {
            found[self.at(*voxel)] = path.is_some_and(|(_, _, inside)| inside);
        }
        Some(found)
    }
}

impl Basin {
    /// The voxels that share a face with voxel `n`, each with the axis across that face.
    fn neighbours(&self, n: usize) -> Vec<(usize, usize)> {
        let apart =
            |m: usize| -> Vec<usize> { (0..3).map(|a| self.voxels[n][a].abs_diff(self.voxels[m][a])).collect() };
        let touching = (0..self.voxels.len()).map(|m| (m, apart(m)));
        let touching = touching.filter(|(_, apart)| apart.iter().sum::<usize>() == 1);
        touching.map(|(m, apart)| (m, apart.iter().position(|&d| d == 1).unwrap())).collect()
    }

    /// For every voxel, the cost of the best path from the seeds of a side. The cost of a path is its largest step. Relaxes
    /// until nothing changes.
    fn cost(&self, side: bool) -> Vec<i64> {
        let start = |seed: &Option<bool>| if *seed == Some(side) { 0 } else { i64::MAX };
        let mut cost: Vec<i64> = self.seeds.iter().map(start).collect();
        loop {
            let relaxed = |n: usize| {
                let through = |(m, _): (usize, usize)| cost[m].max((self.levels[n] - self.levels[m]).abs());
                self.neighbours(n).into_iter().map(through).fold(cost[n], i64::min)
            };
            let new: Vec<i64> = (0..cost.len()).map(relaxed).collect();
            if new == cost {
                return cost;
            }
            cost = new;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A voxel belongs to the side that is reached over smaller steps. Ties may go either way.
    #[test]
    fn a_voxel_belongs_to_the_side_with_the_smaller_steps((setting, inside, outside) in setting().prop_flat_map(|s| {
        let strokes = || prop::collection::vec(brush(s.grid()), 1..3);
        let (inside, outside) = (strokes(), strokes());
        (Just(s), inside, outside)
    })) {
        let image = setting.values();
        let naive = NaiveEditor { grid: setting.grid(), image: &image, other: &setting.other };
        let Some(basin) = naive.basin(&inside, &outside, None) else { return Ok(()) };
        let mut labels = edited(setting.grid(), &vec![0; image.len()]);
        let op = Op::Watershed { label: 1, inside, outside, smooth_mm: None, overwrite: false };
        let scene = Scene { image: Some(&setting.image), ..Scene::default() };
        apply(&op, &mut labels, &scene, &Control::default()).unwrap();
        let found = values_of(&labels);
        let (to_inside, to_outside) = (basin.cost(true), basin.cost(false));
        for (n, voxel) in basin.voxels.iter().enumerate() {
            let is_inside = found[naive.at(*voxel)] == 1;
            match basin.seeds[n] {
                Some(side) => prop_assert_eq!(is_inside, side),
                None if to_inside[n] < to_outside[n] => prop_assert!(is_inside),
                None if to_inside[n] > to_outside[n] => prop_assert!(!is_inside),
                None => {}
            }
        }
    }
}

fn stroke(points_mm: Vec<[f64; 3]>) -> Brush {
    Brush { radius_mm: 0.8, mode: Mode::Slice, plane: Plane::Axis(2), points_mm, connected: true }
}

/// A line inside and a ring around, drawn in one slice, find a noisy ball through all its slices.
#[test]
fn two_strokes_in_one_slice_find_the_lesion() {
    let grid = Grid::new([48, 48, 24], DAffine3::from_scale(DVec3::new(1.0, 1.0, 2.0)));
    let centre = DVec3::new(24.0, 22.0, 24.0);
    let world = |index: usize| grid.world([index % 48, index / 48 % 48, index / 2304]);
    let is_lesion = |index: usize| world(index).distance(centre) <= 9.0;
    let noise = |index: usize| ((index * 7919) % 101) as i16 - 50;
    let values = (0..grid.len()).map(|index| noise(index) + if is_lesion(index) { 1200 } else { 800 }).collect();
    let image = Volume::new(grid.clone(), VoxelData::I16(values), Scale::IDENTITY);
    let scene = Scene { image: Some(&image), ..Scene::default() };
    let ring = (0..=32).map(|n| {
        let angle = f64::from(n) / 32.0 * std::f64::consts::TAU;
        (centre + 14.0 * DVec3::new(angle.cos(), angle.sin(), 0.0)).to_array()
    });
    let line = vec![(centre - 4.0 * DVec3::X).to_array(), (centre + 4.0 * DVec3::X).to_array()];
    let (inside, outside) = (vec![stroke(line)], vec![stroke(ring.collect())]);
    let op = Op::Watershed { label: 1, inside: inside.clone(), outside, smooth_mm: None, overwrite: false };
    let mut labels = edited(&grid, &vec![0; grid.len()]);
    apply(&op, &mut labels, &scene, &Control::default()).unwrap();
    let found = values_of(&labels);
    let wrong = (0..grid.len()).filter(|&index| (found[index] == 1) != is_lesion(index)).count();
    assert_eq!(wrong, 0);

    // Both sides need a voxel of the image.
    let refused = |outside: Vec<Brush>| {
        let op = Op::Watershed { label: 1, inside: inside.clone(), outside, smooth_mm: None, overwrite: false };
        apply(&op, &mut labels.clone(), &scene, &Control::default()).unwrap_err().to_string()
    };
    assert!(refused(Vec::new()).contains("outside = []: a watershed needs strokes inside and outside"));
    assert!(refused(vec![stroke(vec![[500.0; 3]])]).contains("outside = strokes: they contain no voxel centre"));
}

#[test]
fn strokes_in_a_list_are_read_and_their_keys_checked() {
    let list = |key: &str| {
        format!(
            r#"[{{"op":"watershed","label":2,"inside":[{{"radius_mm":1,"points_mm":[[1,2,3]]}}],
            "outside":[{{"radius_mm":1,"mode":"2d","axis":2,"{key}":true,"points_mm":[[1,2,3],[4,5,6]]}}]}}]"#
        )
    };
    let read = op_list::parse(&list("connected")).unwrap();
    let op_list::ListedOp::Edit(Op::Watershed { outside, smooth_mm: None, .. }) = &read[0] else { panic!("{read:?}") };
    assert_eq!((outside[0].plane, outside[0].connected), (Plane::Axis(2), true));
    let error = op_list::parse(&list("conected")).unwrap_err().to_string();
    assert!(error.contains("operation 1: conected = given: unknown key. Known: connected, mode"), "{error}");
}
