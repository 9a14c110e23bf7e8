//! Grow, shrink, fill holes and smooth: operations on the outline of one label, with distances in mm.

use rayon::prelude::*;

use super::EditLabels;
use super::op::{Mode, Smoothing};
use super::region::{BoxMask, Region, SliceLayout, VoxelBox};
use crate::Result;
use crate::event::Control;
use crate::findings::{Components, Connectivity};
use crate::metrics::distance::nearest;

/// Relative tolerance of distances along the voxel axes. A header stores voxel sizes in single precision, so that an oblique
/// grid of 1 mm has spacings of 1 mm within 1e-7.
const ROUNDING: f64 = 1e-6;

/// Number of voxels that a distance of `mm` spans along each axis.
fn margin(mm: f64, labels: &EditLabels) -> [usize; 3] {
    labels.grid().spacing_mm().map(|spacing| (mm / spacing * (1.0 + ROUNDING)) as usize)
}

/// The voxels of the label in its padded bounding box; `None` if the label does not occur.
fn mask_of(label: u16, labels: &EditLabels, padding: [usize; 3]) -> Option<BoxMask> {
    let bounds = labels.bounds_of(|other| other == label)?.padded(padding, labels.shape());
    Some(BoxMask::of(labels, bounds, |other| other == label))
}

fn inverted(bits: &[bool]) -> Vec<bool> {
    bits.iter().map(|bit| !bit).collect()
}

/// Voxels of `queries` within `mm` of a voxel of `sites`.
fn within(sites: &[bool], queries: &[bool], bounds: &VoxelBox, mm: f64, labels: &EditLabels) -> Region {
    let found = nearest(sites, queries, bounds.shape(), labels.grid().spacing_mm());
    let mut bits = vec![false; bounds.len()];
    for near in found {
        bits[near.voxel] = near.mm <= mm * (1.0 + ROUNDING);
    }
    BoxMask::region(bounds, &bits, labels.shape())
}

/// Voxels outside the label and within `mm` of it.
pub(super) fn grow(label: u16, mm: f64, labels: &EditLabels) -> Region {
    let Some(mask) = mask_of(label, labels, margin(mm, labels)) else { return Region::default() };
    within(&mask.bits, &inverted(&mask.bits), &mask.bounds, mm, labels)
}

/// Voxels of the label within `mm` of a voxel without it.
pub(super) fn shrink(label: u16, mm: f64, labels: &EditLabels) -> Region {
    // The nearest voxel outside is never farther than the layer around the label's box.
    let Some(mask) = mask_of(label, labels, [1; 3]) else { return Region::default() };
    within(&inverted(&mask.bits), &mask.bits, &mask.bounds, mm, labels)
}

/// Holes of the label: voxels of other labels that are not connected by faces, without crossing the label, to the border of the
/// image or, in mode `Slice`, of their slice across `axis`.
pub(super) fn holes(label: u16, mode: Mode, axis: usize, labels: &EditLabels, control: &Control) -> Result<Region> {
    let Some(mask) = mask_of(label, labels, [1; 3]) else { return Ok(Region::default()) };
    let mut bits = vec![false; mask.bits.len()];
    match mode {
        Mode::Volume => enclosed(&inverted(&mask.bits), mask.shape(), 3, |index| bits[index] = true),
        Mode::Slice => {
            let slicing = SliceLayout::new(mask.shape(), axis);
            let outside = inverted(&mask.bits);
            for n in 0..slicing.count {
                control.check()?;
                let [u, v] = slicing.size;
                enclosed(&slicing.slice(&outside, n), [u, v, 1], 2, |p| bits[slicing.at(n, p)] = true);
            }
        }
    }
    Ok(BoxMask::region(&mask.bounds, &bits, labels.shape()))
}

/// Calls `found` for each voxel of the components of `outside` that do not touch the border along the first `axes` axes.
fn enclosed(outside: &[bool], shape: [usize; 3], axes: usize, mut found: impl FnMut(usize)) {
    let components = Components::connected(outside, shape, Connectivity::Face);
    for c in 0..components.count() {
        let open = components.runs(c).iter().any(|run| {
            let first = [run.i, run.j, run.k].map(|v| v as usize);
            let last = [first[0] + run.len as usize - 1, first[1], first[2]];
            (0..axes).any(|a| first[a] == 0 || last[a] + 1 == shape[a])
        });
        if !open {
            components.ranges(c).flatten().for_each(&mut found);
        }
    }
}

/// The voxels that smoothing adds to the label, and those that it removes.
pub(super) fn smooth(
    label: u16,
    method: Smoothing,
    mm: f64,
    labels: &EditLabels,
    control: &Control,
) -> Result<[Region; 2]> {
    let found = match method {
        Smoothing::Majority => majority(label, mm, labels, control)?,
        Smoothing::Gaussian => gaussian(label, mm, labels, control)?,
    };
    let Some((mask, smoothed)) = found else { return Ok([Region::default(), Region::default()]) };
    let pairs = || mask.bits.iter().zip(&smoothed);
    let gained: Vec<bool> = pairs().map(|(&old, &new)| new && !old).collect();
    let lost: Vec<bool> = pairs().map(|(&old, &new)| old && !new).collect();
    Ok([gained, lost].map(|bits| BoxMask::region(&mask.bounds, &bits, labels.shape())))
}

/// A label's box and its voxels after smoothing.
type SmoothedLabel = Option<(BoxMask, Vec<bool>)>;

/// Counts the label in the ball around each voxel, within the image, by running sums along i.
fn majority(label: u16, mm: f64, labels: &EditLabels, control: &Control) -> Result<SmoothedLabel> {
    let reach = margin(mm, labels);
    let Some(mask) = mask_of(label, labels, reach) else { return Ok(None) };
    let (shape, spacing) = (mask.shape(), labels.grid().spacing_mm());
    // Rows of the ball: offsets along j and k, and half-length along i.
    let mut rows = Vec::new();
    for k in -(reach[2] as isize)..=reach[2] as isize {
        for j in -(reach[1] as isize)..=reach[1] as isize {
            let left =
                mm * mm * (1.0 + 2.0 * ROUNDING) - (j as f64 * spacing[1]).powi(2) - (k as f64 * spacing[2]).powi(2);
            if left >= 0.0 {
                rows.push((j, k, (left.sqrt() / spacing[0] * (1.0 + ROUNDING)) as usize));
            }
        }
    }
    let [nx, ny, _] = shape;
    let mut sums = vec![0_u32; (nx + 1) * mask.bits.len() / nx];
    for (row, sums) in mask.bits.chunks(nx).zip(sums.chunks_mut(nx + 1)) {
        for (i, &bit) in row.iter().enumerate() {
            sums[i + 1] = sums[i] + u32::from(bit);
        }
    }
    control.check()?;
    let (min, image) = (mask.bounds.min, labels.shape());
    let new = (0..mask.bits.len()).into_par_iter().map(|index| {
        let voxel = mask.bounds.voxel(index);
        let (mut inside, mut all) = (0_usize, 0_usize);
        for &(dj, dk, half) in &rows {
            let (j, k) = (voxel[1].wrapping_add_signed(dj), voxel[2].wrapping_add_signed(dk));
            if j >= image[1] || k >= image[2] {
                continue;
            }
            all += (voxel[0] + half).min(image[0] - 1) - voxel[0].saturating_sub(half) + 1;
            let (j, k) = (j.wrapping_sub(min[1]), k.wrapping_sub(min[2]));
            if j < shape[1] && k < shape[2] {
                let sums = &sums[(nx + 1) * (j + ny * k)..];
                let i = voxel[0] - min[0];
                inside += (sums[(i + half + 1).min(nx)] - sums[i.saturating_sub(half)]) as usize;
            }
        }
        match (2 * inside).cmp(&all) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => mask.bits[index],
            std::cmp::Ordering::Greater => true,
        }
    });
    let new = new.collect();
    Ok(Some((mask, new)))
}

/// Smooths the signed distance to the outline (negative inside) with a Gaussian of four standard deviations, which repeats the
/// border.
fn gaussian(label: u16, mm: f64, labels: &EditLabels, control: &Control) -> Result<SmoothedLabel> {
    let spacing = labels.grid().spacing_mm();
    let kernels = spacing.map(|spacing| kernel(mm / spacing));
    let reach: [usize; 3] = std::array::from_fn(|a| kernels[a].len() / 2);
    // Beyond the kernel's radius all distances are positive, so distances up to twice the radius are needed.
    let Some(mask) = mask_of(label, labels, reach.map(|n| 2 * n + 1)) else { return Ok(None) };
    let (shape, outside) = (mask.shape(), inverted(&mask.bits));
    if !outside.contains(&true) {
        return Ok(None);
    }
    control.check()?;
    let mut field = vec![0.0; mask.bits.len()];
    for near in nearest(&mask.bits, &outside, shape, spacing) {
        field[near.voxel] = near.mm;
    }
    control.check()?;
    for near in nearest(&outside, &mask.bits, shape, spacing) {
        field[near.voxel] = -near.mm;
    }
    for (axis, kernel) in kernels.iter().enumerate() {
        control.check()?;
        convolve(&mut field, shape, axis, kernel);
    }
    // A mean of 0 up to rounding does not change the voxel, so that the result is the same for every axis order.
    let scale = 1e-9 * spacing[0];
    let new = mask.bits.iter().zip(&field).map(|(&old, &mean)| if mean.abs() < scale { old } else { mean < 0.0 });
    let new = new.collect();
    Ok(Some((mask, new)))
}

/// Weights of a Gaussian, `sigma` in voxels, cut at four standard deviations.
pub(super) fn kernel(sigma: f64) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5) as isize;
    let weights: Vec<f64> = (-radius..=radius).map(|n| (-0.5 * (n as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Convolves `field` along one axis. Along i, each row is padded; along j and k, whole rows are added.
pub(super) fn convolve(field: &mut [f64], shape: [usize; 3], axis: usize, kernel: &[f64]) {
    let ([nx, ny, _], radius) = (shape, kernel.len() / 2);
    let source = field.to_vec();
    let within = |index: usize, offset: usize, n: usize| (index + offset).saturating_sub(radius).min(n - 1);
    field.par_chunks_mut(nx).enumerate().for_each_init(Vec::new, |padded: &mut Vec<f64>, (row, out)| {
        out.fill(0.0);
        if axis == 0 {
            let own = &source[row * nx..(row + 1) * nx];
            padded.clear();
            padded.extend((0..nx + 2 * radius).map(|index| own[within(index, 0, nx)]));
        }
        let (j, k) = (row % ny, row / ny);
        for (offset, weight) in kernel.iter().enumerate() {
            let other = match axis {
                0 => &padded[offset..offset + nx],
                1 => &source[nx * (within(j, offset, ny) + ny * k)..][..nx],
                _ => &source[nx * (j + ny * within(k, offset, shape[2]))..][..nx],
            };
            out.iter_mut().zip(other).for_each(|(value, other)| *value += weight * other);
        }
    });
}
