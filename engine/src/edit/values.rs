//! Operations that use image values: adaptive brush and region growing.

use std::ops::RangeInclusive;

use glam::DVec3;

use super::EditLabels;
use super::brush::{ROUNDING, brush};
use super::flood::flood;
use super::op::Brush;
use super::region::{Region, VoxelBox};
use crate::event::Control;
use crate::findings::Connectivity;
use crate::volume::{Grid, Volume};
use crate::{Error, Result};

/// One frame of an image, scaled.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    image: &'a Volume,
    offset: usize,
}

impl<'a> Frame<'a> {
    pub fn new(image: &'a Volume, frame: usize) -> Self {
        Self { image, offset: frame * image.grid.len() }
    }

    pub fn value(&self, index: usize) -> f64 {
        self.image.scale.apply(self.image.data.stored(self.offset + index))
    }
}

/// Voxels connected to `start` whose value differs from its value by at most `tolerance`, within a radius in mm.
pub(super) fn region_grow(
    start: [usize; 3],
    tolerance: f64,
    max_radius_mm: Option<f64>,
    frame: Frame<'_>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let grid = labels.grid();
    let Some(whole) = VoxelBox::whole(grid.shape) else { return Ok(Region::default()) };
    let radius = max_radius_mm.unwrap_or(f64::INFINITY);
    let steps = grid.spacing_mm().map(|spacing| (radius / shear_bound(grid, spacing) + 1.0) as usize);
    let bounds = if radius.is_finite() { VoxelBox { min: start, max: start }.padded(steps, grid.shape) } else { whole };
    let (centre, seed) = (grid.world(start), frame.value(grid.index(start)));
    let near = |index: usize| {
        let voxel =
            [index % grid.shape[0], index / grid.shape[0] % grid.shape[1], index / (grid.shape[0] * grid.shape[1])];
        radius.is_infinite() || grid.world(voxel).distance(centre) <= radius * (1.0 + ROUNDING)
    };
    let similar = |index: usize| (frame.value(index) - seed).abs() <= tolerance;
    flood(start, &bounds, grid.shape, Connectivity::Face, |index| similar(index) && near(index), control)
}

/// The voxels with values in a range that are 26-connected to `start`, whose value must lie in the range.
///
/// # Errors
/// If the value of `start` is outside the range.
pub(super) fn threshold_grow(
    start: [usize; 3],
    range: &RangeInclusive<f64>,
    frame: Frame<'_>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let grid = labels.grid();
    let Some(whole) = VoxelBox::whole(grid.shape) else { return Ok(Region::default()) };
    let seed = frame.value(grid.index(start));
    if !range.contains(&seed) {
        let why = format!("its value {seed} is outside {} to {}", range.start(), range.end());
        return Err(Error::config("voxel", format!("{start:?}"), why));
    }
    let inside = |index: usize| range.contains(&frame.value(index));
    flood(start, &whole, grid.shape, Connectivity::Full, inside, control)
}

/// A lower bound of the distance between neighbouring planes of voxels, for a grid whose axes may be sheared.
fn shear_bound(grid: &Grid, spacing: f64) -> f64 {
    let rows = grid.voxel_from_world().matrix3.transpose();
    (0..3).map(|a| 1.0 / rows.col(a).length()).fold(spacing, f64::min)
}

/// The voxels of an adaptive brush. A point outside the image paints nothing.
pub(super) fn adaptive(
    wanted: &Brush,
    tolerance: Option<f64>,
    frame: Frame<'_>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let grid = labels.grid();
    let mut ranges = Vec::new();
    for &point in &wanted.points_mm {
        control.check()?;
        let voxel = grid.voxel_from_world().transform_point3(DVec3::from_array(point)).to_array().map(f64::round);
        if !(0..3).all(|a| voxel[a] >= 0.0 && voxel[a] < grid.shape[a] as f64) {
            continue;
        }
        let start = voxel.map(|v| v as usize);
        let ball = brush(&Brush { points_mm: vec![point], ..wanted.clone() }, grid, control)?;
        let here = VoxelBox { min: start, max: start };
        let bounds = ball.bounds(grid.shape).map_or(here, |ball| ball.union(&here));
        let seed = frame.value(grid.index(start));
        let limit = tolerance.unwrap_or_else(|| similarity(start, &ball, frame, grid));
        let inside = |voxel: usize| {
            let ranges = ball.ranges();
            let after = ranges.partition_point(|range| range.end <= voxel);
            ranges.get(after).is_some_and(|range| range.contains(&voxel))
        };
        let similar = |voxel: usize| (frame.value(voxel) - seed).abs() <= limit && inside(voxel);
        let found = flood(start, &bounds, grid.shape, Connectivity::Face, similar, control)?;
        // The start may be outside a brush smaller than a voxel.
        ranges.extend_from_slice(found.filtered(inside).ranges());
    }
    Ok(Region::new(ranges))
}

/// Half the spread of the values in the brush, at least three standard deviations of the voxels around its centre.
fn similarity(centre: [usize; 3], ball: &Region, frame: Frame<'_>, grid: &Grid) -> f64 {
    let mut values: Vec<f64> = ball.ranges().iter().cloned().flatten().map(|index| frame.value(index)).collect();
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| values.get(((values.len() as f64 - 1.0) * share).round() as usize).copied();
    let spread = quantile(0.95).zip(quantile(0.05)).map_or(0.0, |(high, low)| high - low);
    let around = VoxelBox { min: centre, max: centre }.padded([1; 3], grid.shape);
    let near: Vec<f64> = around
        .rows(grid.shape)
        .flat_map(|(_, row)| row)
        .map(|index| frame.value(index))
        .filter(|value| value.is_finite())
        .collect();
    let n = near.len().max(1) as f64;
    let mean = near.iter().sum::<f64>() / n;
    let deviation = (near.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
    (spread / 2.0).max(3.0 * deviation)
}
