//! Connected components, found by runs along the fastest axis and union-find.

use std::ops::Range;

use super::check_len;
use crate::Result;
use crate::parallel;
use crate::volume::{Grid, LabelData, LabelVolume};

/// A voxel of a mask.
pub trait Voxel: Copy + Sync {
    /// Its label; 0 is background.
    fn label(self) -> u16;
}

impl Voxel for bool {
    fn label(self) -> u16 {
        u16::from(self)
    }
}

impl Voxel for u8 {
    fn label(self) -> u16 {
        u16::from(self)
    }
}

impl Voxel for u16 {
    fn label(self) -> u16 {
        self
    }
}

/// Consecutive voxels along i with the same label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First voxel's index along i.
    pub i: u32,
    /// Index along j.
    pub j: u32,
    /// Index along k.
    pub k: u32,
    /// Number of voxels.
    pub len: u32,
    /// Their label.
    pub label: u16,
}

/// Which voxels are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// By a face: 6 neighbours in 3-D, 4 in a slice.
    Face,
    /// By a face, an edge or a corner: 26 neighbours in 3-D, 8 in a slice.
    Full,
}

/// The connected components of a mask over all labels, largest first, ties by their first voxel in memory.
#[derive(Clone, Debug)]
pub struct Components {
    shape: [usize; 3],
    /// Sorted by component, then in memory order.
    runs: Vec<Run>,
    /// Index of each component's first run; has one entry more than there are components.
    starts: Vec<usize>,
    voxels: Vec<usize>,
}

impl Components {
    /// Finds the 26-connected components of `mask` (first axis fastest). If `mask` is too short, the missing voxels are
    /// background.
    pub fn new<T: Voxel>(mask: &[T], shape: [usize; 3]) -> Self {
        Self::connected(mask, shape, Connectivity::Full)
    }

    /// Finds the 26-connected components over all labels of a mask.
    pub fn of_labels(mask: &LabelVolume) -> Self {
        match &mask.data {
            LabelData::U8(labels) => Self::new(labels, mask.grid.shape),
            LabelData::U16(labels) => Self::new(labels, mask.grid.shape),
        }
    }

    /// Finds the components of `mask` by a given connectivity.
    pub fn connected<T: Voxel>(mask: &[T], shape: [usize; 3], connectivity: Connectivity) -> Self {
        let (runs, row_starts) = find_runs(mask, shape);
        let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
        connect(&runs, &row_starts, shape, connectivity, &mut parents);
        let (of_run, voxels) = rank(&runs, &mut parents);
        let mut starts = vec![0; voxels.len() + 1];
        for &c in &of_run {
            starts[c as usize + 1] += 1;
        }
        for c in 0..voxels.len() {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let mut sorted = vec![Run { i: 0, j: 0, k: 0, len: 0, label: 0 }; runs.len()];
        for (run, c) in runs.iter().zip(of_run) {
            sorted[next[c as usize]] = *run;
            next[c as usize] += 1;
        }
        Self { shape, runs: sorted, starts, voxels }
    }

    /// Number of components.
    pub fn count(&self) -> usize {
        self.voxels.len()
    }

    /// Number of voxels of component `c`, from 0.
    pub fn voxels(&self, c: usize) -> usize {
        self.voxels[c]
    }

    /// The runs of component `c`, from 0, in memory order.
    pub fn runs(&self, c: usize) -> &[Run] {
        &self.runs[self.starts[c]..self.starts[c + 1]]
    }

    /// Memory positions of the voxels of component `c`, one range per run.
    pub fn ranges(&self, c: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let [nx, ny, _] = self.shape;
        self.runs(c).iter().map(move |run| {
            let start = run.i as usize + nx * (run.j as usize + ny * run.k as usize);
            start..start + run.len as usize
        })
    }

    /// A map of component numbers from 1, 0 outside, in memory order.
    pub fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![0; self.shape.iter().product()];
        for c in 0..self.count() {
            for range in self.ranges(c) {
                numbers[range].fill(c as u32 + 1);
            }
        }
        numbers
    }

    /// Number of voxels of each component where `other` (same shape) is true.
    pub fn overlaps(&self, other: &[bool]) -> Vec<usize> {
        let of = |c| self.ranges(c).map(|range| other[range].iter().filter(|&&inside| inside).count()).sum();
        parallel::map(self.count(), of)
    }
}

/// Minimum size of a component.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MinimumSize {
    /// Number of voxels.
    Voxels(usize),
    /// Volume in millilitres.
    Ml(f64),
}

impl MinimumSize {
    /// The size in voxels of a grid, rounded up.
    pub fn in_voxels(self, grid: &Grid) -> usize {
        match self {
            Self::Voxels(n) => n,
            // The tolerance absorbs rounding errors of sizes given as decimals.
            Self::Ml(ml) => (ml / grid.voxel_volume_ml() - 1e-6).ceil().max(0.0) as usize,
        }
    }
}

/// Removes the 26-connected components of `mask` that are smaller than `smallest`, and returns their number. A component of
/// exactly that size stays.
///
/// # Errors
/// If `mask` does not have one entry per voxel.
pub fn remove_smaller_than(mask: &mut [bool], grid: &Grid, smallest: MinimumSize) -> Result<usize> {
    check_len(mask.len(), grid)?;
    let voxels = smallest.in_voxels(grid);
    let components = Components::new(mask, grid.shape);
    let mut removed = 0;
    for c in (0..components.count()).filter(|&c| components.voxels(c) < voxels) {
        removed += 1;
        for range in components.ranges(c) {
            mask[range].fill(false);
        }
    }
    Ok(removed)
}

/// All runs in memory order, and the index of the first run of each row (j + ny k).
fn find_runs<T: Voxel>(mask: &[T], [nx, ny, nz]: [usize; 3]) -> (Vec<Run>, Vec<usize>) {
    if nx == 0 || ny == 0 {
        return (Vec::new(), vec![0]);
    }
    let of_slice = |k: usize| {
        let mut runs = Vec::new();
        let mut ends = Vec::with_capacity(ny);
        for (j, row) in mask[k * nx * ny..(k + 1) * nx * ny].chunks(nx).enumerate() {
            let mut i = 0;
            while let Some(skip) = row[i..].iter().position(|v| v.label() != 0) {
                i += skip;
                let label = row[i].label();
                let len = row[i..].iter().position(|v| v.label() != label).unwrap_or(row.len() - i);
                runs.push(Run { i: i as u32, j: j as u32, k: k as u32, len: len as u32, label });
                i += len;
            }
            ends.push(runs.len());
        }
        (runs, ends)
    };
    let slices = parallel::map(nz, of_slice);
    let mut all = Vec::with_capacity(slices.iter().map(|(runs, _)| runs.len()).sum());
    let mut row_starts = Vec::with_capacity(ny * nz + 1);
    row_starts.push(0);
    for (runs, ends) in slices {
        row_starts.extend(ends.into_iter().map(|end| all.len() + end));
        all.extend(runs);
    }
    (all, row_starts)
}

/// Joins runs of different labels that touch within a row, and each row's runs with those of the rows before it.
fn connect(runs: &[Run], row_starts: &[usize], [_, ny, _]: [usize; 3], by: Connectivity, parents: &mut [u32]) {
    let row = |r: usize| row_starts[r]..row_starts[r + 1];
    for r in 0..row_starts.len() - 1 {
        if row(r).is_empty() {
            continue;
        }
        for run in row(r).start + 1..row(r).end {
            if runs[run - 1].i + runs[run - 1].len == runs[run].i {
                join(parents, run as u32 - 1, run as u32);
            }
        }
        let (j, k) = (r % ny, r / ny);
        let left = (j > 0).then(|| r - 1);
        let below = (k > 0).then(|| r - ny);
        let full = by == Connectivity::Full;
        let below_left = if full && j > 0 { below.map(|b| b - 1) } else { None };
        let below_right = if full && j + 1 < ny { below.map(|b| b + 1) } else { None };
        for neighbour in [left, below_left, below, below_right].into_iter().flatten() {
            connect_rows(runs, row(r), row(neighbour), by, parents);
        }
    }
}

/// Joins the runs of two neighbouring rows that overlap along i or, with full connectivity, touch diagonally.
fn connect_rows(runs: &[Run], mut a: Range<usize>, mut b: Range<usize>, by: Connectivity, parents: &mut [u32]) {
    let reach = u32::from(by == Connectivity::Full);
    while !a.is_empty() && !b.is_empty() {
        let (left, right) = (runs[a.start], runs[b.start]);
        let (left_end, right_end) = (left.i + left.len, right.i + right.len);
        if left.i < right_end + reach && right.i < left_end + reach {
            join(parents, a.start as u32, b.start as u32);
        }
        if left_end < right_end {
            a.start += 1;
        } else {
            b.start += 1;
        }
    }
}

/// The root of a run's tree, halving the path to it.
fn root(parents: &mut [u32], mut run: u32) -> u32 {
    while parents[run as usize] != run {
        let grandparent = parents[parents[run as usize] as usize];
        parents[run as usize] = grandparent;
        run = grandparent;
    }
    run
}

/// Joins two trees; the earlier run is the root, so that a component is named by its first voxel.
fn join(parents: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b) as usize] = a.min(b);
}

/// Each run's component, numbered by size and first voxel, and the components' sizes.
fn rank(runs: &[Run], parents: &mut [u32]) -> (Vec<u32>, Vec<usize>) {
    let mut of_run = vec![0_u32; runs.len()];
    let mut voxels: Vec<usize> = Vec::new();
    for r in 0..runs.len() {
        let first = root(parents, r as u32) as usize;
        if first == r {
            of_run[r] = voxels.len() as u32;
            voxels.push(0);
        } else {
            of_run[r] = of_run[first];
        }
        voxels[of_run[r] as usize] += runs[r].len as usize;
    }
    let mut order: Vec<u32> = (0..voxels.len() as u32).collect();
    order.sort_by_key(|&c| std::cmp::Reverse(voxels[c as usize]));
    let mut place = vec![0_u32; voxels.len()];
    for (new, &old) in order.iter().enumerate() {
        place[old as usize] = new as u32;
    }
    for c in &mut of_run {
        *c = place[*c as usize];
    }
    (of_run, order.iter().map(|&c| voxels[c as usize]).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use glam::{DAffine3, DVec3};
    use proptest::prelude::*;

    /// The definition: a flood fill over the neighbours, seeded in memory order; largest first, stable.
    fn flood(mask: &[bool], [nx, ny, nz]: [usize; 3], by: Connectivity) -> Vec<Vec<usize>> {
        let mut seen = vec![false; mask.len()];
        let mut components = Vec::new();
        for start in 0..mask.len() {
            if !mask[start] || seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut members, mut stack) = (vec![start], vec![start]);
            while let Some(at) = stack.pop() {
                let (i, j, k) = (at % nx, at / nx % ny, at / nx / ny);
                for c in k.saturating_sub(1)..(k + 2).min(nz) {
                    for b in j.saturating_sub(1)..(j + 2).min(ny) {
                        for a in i.saturating_sub(1)..(i + 2).min(nx) {
                            let to = a + nx * (b + ny * c);
                            let steps = a.abs_diff(i) + b.abs_diff(j) + c.abs_diff(k);
                            if mask[to] && !seen[to] && (by == Connectivity::Full || steps <= 1) {
                                seen[to] = true;
                                members.push(to);
                                stack.push(to);
                            }
                        }
                    }
                }
            }
            members.sort_unstable();
            components.push(members);
        }
        components.sort_by_key(|m| std::cmp::Reverse(m.len()));
        components
    }

    proptest! {
        /// Labels touch within a row, across rows and across slices.
        #[test]
        fn labels_do_not_affect_components(
            shape in [1_usize..8, 1_usize..8, 1_usize..6],
            all in proptest::collection::vec(0_u8..4, 8 * 8 * 6),
        ) {
            // Half of the voxels are background.
            let labels: Vec<u8> = all[..shape.iter().product()].iter().map(|&l| if l > 1 { l } else { 0 }).collect();
            let inside: Vec<bool> = labels.iter().map(|&l| l != 0).collect();
            for by in [Connectivity::Face, Connectivity::Full] {
                let (with, without) =
                    (Components::connected(&labels, shape, by), Components::connected(&inside, shape, by));
                prop_assert_eq!(with.numbers(), without.numbers());
                for c in 0..with.count() {
                    for (run, range) in with.runs(c).iter().zip(with.ranges(c)) {
                        prop_assert!(labels[range].iter().all(|&l| u16::from(l) == run.label));
                    }
                }
            }
        }

        #[test]
        fn components_agree_with_a_flood_fill(
            shape in [1_usize..8, 1_usize..8, 1_usize..6],
            density in 0.05..0.95,
            bits in proptest::collection::vec(0.0..1.0, 8 * 8 * 6),
        ) {
            let mask: Vec<bool> = bits[..shape.iter().product()].iter().map(|&v| v < density).collect();
            for by in [Connectivity::Face, Connectivity::Full] {
                let components = Components::connected(&mask, shape, by);
                let expected = flood(&mask, shape, by);
                prop_assert_eq!(components.count(), expected.len());
                for (c, members) in expected.iter().enumerate() {
                    prop_assert_eq!(&components.ranges(c).flatten().collect::<Vec<_>>(), members);
                    prop_assert_eq!(components.voxels(c), members.len());
                }
                let numbers = components.numbers();
                prop_assert!(numbers.iter().zip(&mask).all(|(&n, &m)| (n > 0) == m));
            }
        }
    }

    #[test]
    fn voxels_that_share_a_corner_are_connected() {
        let mut mask = [false; 27];
        mask[0] = true;
        mask[13] = true;
        assert_eq!(Components::new(&mask, [3, 3, 3]).count(), 1);
        mask[13] = false;
        mask[26] = true;
        assert_eq!(Components::new(&mask, [3, 3, 3]).count(), 2);
        assert_eq!(Components::new::<bool>(&[], [0, 3, 3]).count(), 0);
    }

    #[test]
    fn components_below_the_minimum_size_are_removed() {
        let world_from_voxel = DAffine3::from_scale(DVec3::new(1.0, 1.0, 10.0));
        let grid = Grid { shape: [9, 1, 1], world_from_voxel, oriented: true };
        let all = [true, true, true, false, true, true, false, true, false];
        let mut mask = all;
        assert_eq!(remove_smaller_than(&mut mask, &grid, MinimumSize::Voxels(2)).unwrap(), 1);
        assert_eq!(mask, [true, true, true, false, true, true, false, false, false]);
        let mut mask = all;
        assert_eq!(remove_smaller_than(&mut mask, &grid, MinimumSize::Ml(0.03)).unwrap(), 2);
        assert_eq!(mask, [true, true, true, false, false, false, false, false, false]);
        assert!(remove_smaller_than(&mut [true; 3], &grid, MinimumSize::Voxels(2)).is_err());
    }
}
