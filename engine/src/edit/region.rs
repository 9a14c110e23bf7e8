//! Sets of voxels: boxes, runs, and masks over a box.

use std::ops::Range;

use super::EditLabels;

/// A box of voxels, both corners included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoxelBox {
    /// Smallest voxel index (i, j, k).
    pub min: [usize; 3],
    /// Largest voxel index (i, j, k), inclusive.
    pub max: [usize; 3],
}

impl VoxelBox {
    /// The box of a whole grid, `None` if it has no voxel.
    pub fn whole(shape: [usize; 3]) -> Option<Self> {
        shape.iter().all(|&n| n > 0).then(|| Self { min: [0; 3], max: shape.map(|n| n - 1) })
    }

    /// The box of one voxel.
    pub(super) fn of(voxel: [usize; 3]) -> Self {
        Self { min: voxel, max: voxel }
    }

    /// Voxels along i, j, k.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.max[a] - self.min[a] + 1)
    }

    /// Number of voxels.
    #[allow(clippy::len_without_is_empty, reason = "a box always contains at least one voxel")]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// True if the voxel lies inside.
    pub fn contains(&self, voxel: [usize; 3]) -> bool {
        (0..3).all(|a| (self.min[a]..=self.max[a]).contains(&voxel[a]))
    }

    /// The smallest box that contains both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            min: std::array::from_fn(|a| self.min[a].min(other.min[a])),
            max: std::array::from_fn(|a| self.max[a].max(other.max[a])),
        }
    }

    /// The box with `margin` more voxels on each side, clipped to a grid of this shape.
    #[must_use]
    pub fn padded(&self, margin: [usize; 3], shape: [usize; 3]) -> Self {
        Self {
            min: std::array::from_fn(|a| self.min[a].saturating_sub(margin[a])),
            max: std::array::from_fn(|a| self.max[a].saturating_add(margin[a]).min(shape[a] - 1)),
        }
    }

    /// The rows of the box along i. For each row, its (j, k) and its memory range in a grid of this `shape`.
    pub fn rows(&self, shape: [usize; 3]) -> impl Iterator<Item = ([usize; 2], Range<usize>)> + use<> {
        let Self { min, max } = *self;
        let row = move |j: usize, k: usize| {
            let start = shape[0] * (j + shape[1] * k);
            ([j, k], start + min[0]..start + max[0] + 1)
        };
        (min[2]..=max[2]).flat_map(move |k| (min[1]..=max[1]).map(move |j| row(j, k)))
    }

    /// The voxel index in the grid, from a position in an array over the box.
    pub(super) fn voxel(&self, index: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape();
        [self.min[0] + index % nx, self.min[1] + index / nx % ny, self.min[2] + index / (nx * ny)]
    }
}

/// Voxels as ranges of memory positions, ascending and disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Region(Vec<Range<usize>>);

impl Region {
    /// The union of ranges in any order.
    pub fn new(mut ranges: Vec<Range<usize>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// The bounding box of the voxels in a grid of this `shape`. A range may continue in the next row.
    pub fn bounds(&self, [nx, ny, _]: [usize; 3]) -> Option<VoxelBox> {
        let voxel = |index: usize| [index % nx, index / nx % ny, index / (nx * ny)];
        let boxed = |range: &Range<usize>| {
            let (first, last) = (voxel(range.start), voxel(range.end - 1));
            let corners = VoxelBox { min: first, max: first }.union(&VoxelBox { min: last, max: last });
            let (mut min, mut max) = (corners.min, corners.max);
            // From the end of one row to the beginning of the next, or over a whole slice.
            if range.start / nx < (range.end - 1) / nx {
                (min[0], max[0]) = (0, nx - 1);
            }
            if first[2] < last[2] {
                (min[1], max[1]) = (0, ny - 1);
            }
            VoxelBox { min, max }
        };
        self.0.iter().map(boxed).reduce(|a, b| a.union(&b))
    }

    /// The voxels for which `keep` holds, by position in memory.
    pub fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept: Vec<Range<usize>> = Vec::new();
        for index in self.0.iter().cloned().flatten().filter(|&index| keep(index)) {
            match kept.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ => kept.push(index..index + 1),
            }
        }
        Self(kept)
    }
}

/// One bit for each voxel of a box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BoxMask {
    pub bounds: VoxelBox,
    /// First axis fastest.
    pub bits: Vec<bool>,
}

impl BoxMask {
    /// The voxels of a box whose label `wanted` selects.
    pub fn of(labels: &EditLabels, bounds: VoxelBox, wanted: impl Fn(u16) -> bool) -> Self {
        let mut bits = Vec::with_capacity(bounds.len());
        for (_, row) in bounds.rows(labels.shape()) {
            labels.each_run(row, |run, label| bits.resize(bits.len() + run.len(), wanted(label)));
        }
        Self { bounds, bits }
    }

    pub fn shape(&self) -> [usize; 3] {
        self.bounds.shape()
    }

    /// The voxels of a box in a grid of this `shape` whose bit is set in `bits`, an array over the box.
    pub fn region(bounds: &VoxelBox, bits: &[bool], shape: [usize; 3]) -> Region {
        let mut ranges = Vec::new();
        let width = bounds.shape()[0];
        for (n, (_, row)) in bounds.rows(shape).enumerate() {
            let bits = &bits[n * width..(n + 1) * width];
            let mut index = 0;
            while let Some(skip) = bits[index..].iter().position(|&bit| bit) {
                let start = index + skip;
                let len = bits[start..].iter().position(|&bit| !bit).unwrap_or(width - start);
                ranges.push(row.start + start..row.start + start + len);
                index = start + len;
            }
        }
        Region::new(ranges)
    }
}

/// Memory layout of a 2-D slice of a box across `axis`; the lower of the other two axes is fastest.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceLayout {
    /// Pixels along both axes of a slice.
    pub size: [usize; 2],
    /// Number of slices.
    pub count: usize,
    steps: [usize; 3],
}

impl SliceLayout {
    pub fn new(shape: [usize; 3], axis: usize) -> Self {
        let [u, v] = in_plane(axis);
        let step = [1, shape[0], shape[0] * shape[1]];
        Self { size: [shape[u], shape[v]], count: shape[axis], steps: [step[u], step[v], step[axis]] }
    }

    /// Position of pixel `p` of slice `n` in an array over the box.
    pub fn at(&self, n: usize, p: usize) -> usize {
        p % self.size[0] * self.steps[0] + p / self.size[0] * self.steps[1] + n * self.steps[2]
    }

    /// A slice of an array over the box.
    pub fn slice<T: Copy>(&self, array: &[T], n: usize) -> Vec<T> {
        (0..self.size[0] * self.size[1]).map(|p| array[self.at(n, p)]).collect()
    }
}

/// The axes of a slice across `axis`, in ascending order.
pub(super) fn in_plane(axis: usize) -> [usize; 2] {
    [usize::from(axis == 0), if axis == 2 { 1 } else { 2 }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_merges_overlapping_ranges_in_any_order() {
        let region = Region::new(vec![5..7, 0..2, 6..9, 2..3, 4..4]);
        assert_eq!(region.ranges(), [0..3, 5..9]);
        assert_eq!(region.filtered(|index| index != 6).ranges(), [0..3, 5..6, 7..9]);
    }

    #[test]
    fn a_range_beyond_the_end_of_a_row_has_the_width_of_the_grid() {
        let bounds = |ranges| Region::new(ranges).bounds([5, 3, 4]).map(|b| (b.min, b.max));
        assert_eq!(bounds(vec![1..3, 11..14]), Some(([1, 0, 0], [3, 2, 0])));
        assert_eq!(bounds(vec![3..5, 5..6]), Some(([0, 0, 0], [4, 1, 0])));
        assert_eq!(bounds(vec![13..16, 16..17]), Some(([0, 0, 0], [4, 2, 1])));
        assert_eq!(bounds(Vec::new()), None);
    }

    #[test]
    fn a_slice_layout_covers_the_box_across_every_axis() {
        let shape = [2, 3, 4];
        let values: Vec<usize> = (0..24).collect();
        for axis in 0..3 {
            let (slicing, [u, v]) = (SliceLayout::new(shape, axis), in_plane(axis));
            for n in 0..slicing.count {
                for (p, value) in slicing.slice(&values, n).into_iter().enumerate() {
                    let voxel = [value % 2, value / 2 % 3, value / 6];
                    assert_eq!((voxel[axis], voxel[u], voxel[v]), (n, p % shape[u], p / shape[u]));
                }
            }
        }
    }
}
