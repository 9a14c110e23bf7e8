//! Seeded watershed: segments a lesion from strokes inside and around it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::EditLabels;
use super::brush::brush;
use super::morphology::{convolve, kernel};
use super::op::Brush;
use super::region::{BoxMask, Region, VoxelBox};
use super::values::Frame;
use crate::event::Control;
use crate::volume::Grid;
use crate::{Error, Result};

/// Number of quantisation steps between the lowest and the highest value of the box.
pub(super) const LEVELS: f64 = 4095.0;
/// Added before quantisation, so that a value between two steps is rounded the same way for any order of summation.
pub(super) const BETWEEN: f64 = 1e-6;
/// Path lengths are integers in units of 1 / 1000 mm, so that their sums do not depend on the order.
pub(super) const PER_MM: f64 = 1000.0;

/// The voxels that the watershed assigns to the `inside` strokes.
///
/// The cost of a path is its largest step in value, then its length. A voxel with the same cost from both sides is outside. The
/// result is a watershed cut (Cousty et al., "Watershed cuts: minimum spanning forests and the drop of water principle", IEEE
/// TPAMI 31(8), 2009).
///
/// Only the bounding box of all strokes is used, extended to a cube. Its faces are outside seeds, except at the border of the
/// image. Values are smoothed by a Gaussian of standard deviation `smooth_mm`, by default half the finest voxel spacing.
/// Non-finite values count as the lowest.
///
/// # Errors
/// If `inside` or `outside` has no voxel in the image.
pub(super) fn watershed(
    [inside, outside]: [&[Brush]; 2],
    smooth_mm: Option<f64>,
    frame: Frame<'_>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let grid = labels.grid();
    let [inside, outside] = [seeds("inside", inside, grid, control)?, seeds("outside", outside, grid, control)?];
    let (Some(a), Some(b)) = (inside.bounds(grid.shape), outside.bounds(grid.shape)) else {
        return Ok(Region::default());
    };
    let bounds = widened(a.union(&b), grid);
    let mut sides = faces(&bounds, grid.shape);
    for (region, side) in [(inside, Side::Inside), (outside, Side::Outside)] {
        for index in region.ranges().iter().cloned().flatten() {
            sides[local(index, &bounds, grid.shape)] = side;
        }
    }
    let levels = levels(&bounds, smooth_mm, frame, grid, control)?;
    let inside = flood(&levels, &sides, &bounds, grid, control)?;
    Ok(BoxMask::region(&bounds, &inside, grid.shape))
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Open,
    Outside,
    Inside,
}

fn seeds(field: &str, brushes: &[Brush], grid: &Grid, control: &Control) -> Result<Region> {
    let mut ranges = Vec::new();
    for wanted in brushes {
        ranges.extend_from_slice(brush(wanted, grid, control)?.ranges());
    }
    let region = Region::new(ranges);
    let missing = || Error::config(field, "strokes", "they contain no voxel centre of the image");
    if region.ranges().is_empty() { Err(missing()) } else { Ok(region) }
}

/// The box extended to a cube in mm, clipped to the image.
fn widened(bounds: VoxelBox, grid: &Grid) -> VoxelBox {
    let spacing = grid.spacing_mm();
    let side = |a: usize| bounds.shape()[a] as f64 * spacing[a];
    let longest = (0..3).map(side).fold(0.0, f64::max);
    // Rounding must not decide whether an axis of that length gets another voxel.
    bounds.padded(std::array::from_fn(|a| ((longest - side(a)) / (2.0 * spacing[a]) + BETWEEN) as usize), grid.shape)
}

/// The initial sides of the voxels of a box: `Outside` on its faces, except at the border of the image.
fn faces(bounds: &VoxelBox, shape: [usize; 3]) -> Vec<Side> {
    let is_face = |voxel: [usize; 3]| {
        (0..3).any(|a| {
            let (low, high) = (bounds.min[a], bounds.max[a]);
            voxel[a] == low && low > 0 || voxel[a] == high && high + 1 < shape[a]
        })
    };
    let side = |index: usize| if is_face(bounds.voxel(index)) { Side::Outside } else { Side::Open };
    (0..bounds.len()).map(side).collect()
}

/// Converts a memory position in the grid to a position in an array over the box.
fn local(index: usize, bounds: &VoxelBox, [nx, ny, _]: [usize; 3]) -> usize {
    let [wide, high, _] = bounds.shape();
    let voxel = [index % nx, index / nx % ny, index / (nx * ny)];
    let [i, j, k]: [usize; 3] = std::array::from_fn(|a| voxel[a] - bounds.min[a]);
    i + wide * (j + high * k)
}

/// The smoothed values of a box in steps from the lowest to the highest.
fn levels(
    bounds: &VoxelBox,
    smooth_mm: Option<f64>,
    frame: Frame<'_>,
    grid: &Grid,
    control: &Control,
) -> Result<Vec<u16>> {
    let spacing = grid.spacing_mm();
    let smooth_mm = smooth_mm.unwrap_or(spacing.into_iter().fold(f64::INFINITY, f64::min) / 2.0);
    let mut values: Vec<f64> =
        bounds.rows(grid.shape).flat_map(|(_, row)| row).map(|index| frame.value(index)).collect();
    let lowest = values.iter().copied().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    if !lowest.is_finite() {
        return Ok(vec![0; values.len()]);
    }
    values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = lowest);
    for axis in (0..3).filter(|_| smooth_mm > 0.0) {
        control.check()?;
        convolve(&mut values, bounds.shape(), axis, &kernel(smooth_mm / spacing[axis]));
    }
    let [low, high] = values.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(*v), b.max(*v)]);
    let step = if high > low { LEVELS / (high - low) } else { 0.0 };
    Ok(values.iter().map(|value| ((value - low) * step + BETWEEN).round() as u16).collect())
}

/// Assigns every voxel of a box to the side of the cheapest path to it. Returns true for inside.
fn flood(levels: &[u16], sides: &[Side], bounds: &VoxelBox, grid: &Grid, control: &Control) -> Result<Vec<bool>> {
    let (shape, spacing) = (bounds.shape(), grid.spacing_mm());
    let lengths = spacing.map(|spacing| (spacing * PER_MM).round() as u64);
    let strides = [1, shape[0], shape[0] * shape[1]];
    // Largest step, then length, then side: outside first.
    let key = |step: u64, length: u64, inside: bool| step << 48 | length << 1 | u64::from(inside);
    let mut cheapest = vec![u64::MAX; levels.len()];
    let mut done = vec![false; levels.len()];
    let mut inside = vec![false; levels.len()];
    let mut front = BinaryHeap::new();
    for (index, side) in sides.iter().enumerate().filter(|(_, side)| **side != Side::Open) {
        cheapest[index] = key(0, 0, *side == Side::Inside);
        front.push(Reverse((cheapest[index], index)));
    }
    let mut visited = 0_usize;
    while let Some(Reverse((cost, index))) = front.pop() {
        if std::mem::replace(&mut done[index], true) {
            continue;
        }
        visited += 1;
        if visited.is_multiple_of(1 << 16) {
            control.check()?;
        }
        inside[index] = cost & 1 == 1;
        let (largest, length) = (cost >> 48, (cost >> 1) & ((1 << 47) - 1));
        for axis in 0..3 {
            let at = index / strides[axis] % shape[axis];
            let neighbours =
                [(at > 0, index.wrapping_sub(strides[axis])), (at + 1 < shape[axis], index + strides[axis])];
            for (_, next) in neighbours.into_iter().filter(|(exists, _)| *exists) {
                let step = u64::from(levels[index].abs_diff(levels[next])).max(largest);
                let offer = key(step, length + lengths[axis], inside[index]);
                if !done[next] && offer < cheapest[next] {
                    cheapest[next] = offer;
                    front.push(Reverse((offer, next)));
                }
            }
        }
    }
    Ok(inside)
}
