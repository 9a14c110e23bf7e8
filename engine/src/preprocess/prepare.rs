//! One case, prepared.

use std::borrow::Borrow;

use super::config::{Kind, PreprocessConfig, Targets};
use super::gather::{self, Tap};
use super::intensity::{self, Source};
use super::plan::CasePlan;
use crate::volume::{Grid, Interpolation, LabelVolume, Relation, Volume, resample_f32, resample_labels};
use crate::{Error, ErrorKind, Result, seed};

/// A case as the network sees it. All fields are slice-major: `(k * nx + i) * ny + j`.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// How it came to be, and the way back.
    pub plan: CasePlan,
    /// One normalised field a channel.
    pub channels: Vec<Vec<f32>>,
    /// Each channel's value outside the scan.
    pub fill: Vec<f32>,
    /// True where any channel has tissue: not zero in the file, for a CT inside the body. Patches without any are
    /// air, whatever value stands there.
    pub tissue: Vec<bool>,
    /// Bit r of a byte tells whether the voxel belongs to region r; `None` without a label.
    pub target: Option<Vec<u8>>,
    /// Voxels along R, A, S.
    pub shape: [usize; 3],
}

/// Prepares a case (method, section 1): `images` are its channels with their `kinds`, the first of which gives the
/// grid; the others, and the label, are brought onto it by world position. `seed` draws the background noise only.
pub fn prepare<V: Borrow<Volume>>(
    images: &[V],
    kinds: &[Kind],
    label: Option<&LabelVolume>,
    targets: &Targets,
    cfg: &PreprocessConfig,
    seed: u64,
) -> Result<Prepared> {
    cfg.check()?;
    let Some(first) = images.first().map(V::borrow) else {
        return Err(Error::config("modality", "", "a case needs at least one image"));
    };
    if kinds.len() != images.len() {
        return Err(Error::config("kind", kinds.len(), format!("one is needed for each of {} images", images.len())));
    }
    let mut plan = CasePlan::new(&first.grid, cfg.spacing, cfg.interpolation)?;
    let voxels = check_memory(&plan, images.len(), cfg)?;
    let taps = plan.taps_from_source();
    let (mut channels, mut tissue) = (Vec::with_capacity(images.len()), vec![false; voxels]);
    for (place, (image, &kind)) in images.iter().map(V::borrow).zip(kinds).enumerate() {
        let axial = image.grid.orientation().axis.iter().position(|&along| along == 2).unwrap_or(2);
        let found = intensity::source(values_of(image, place)?, kind, image.grid.shape, axial, cfg);
        plan.warnings.extend(found.warning.clone());
        let (mut values, region) = if place == 0 {
            on_own_grid(&found, &taps, cfg)
        } else {
            on_other_grid(&found, &image.grid, &plan, &taps, cfg)
        };
        let noise = seed::stream(seed, "background noise", &[place as u64]);
        let mut channel = intensity::normalise(&mut values, &region, kind, cfg, noise);
        channel.nonfinite = found.nonfinite;
        if channel.region_voxels == 0 {
            plan.warnings.push(format!("channel {place} is empty: it has no voxel but background"));
        }
        plan.channels.push(channel);
        channels.push(values);
        tissue.iter_mut().zip(&region).for_each(|(t, &r)| *t |= r);
    }
    plan.region_box = bounding_box(&tissue, plan.prepared_shape);
    plan.set_crop(cfg.size);
    let target = label.map(|label| {
        let bits = targets.encode(label);
        if label.grid.relation(&first.grid) == Relation::Same {
            return gather::nearest(&bits, &taps);
        }
        let to = plan.prepared_grid();
        slice_major(&resample_labels(&bits, &label.grid, &to, 0), to.shape)
    });
    let fill = plan.channels.iter().map(|c| c.fill).collect();
    let mut prepared = Prepared { shape: plan.prepared_shape, plan, channels, fill, tissue, target };
    prepared.count_lesion();
    Ok(prepared)
}

/// The number of prepared voxels, if they may be had.
fn check_memory(plan: &CasePlan, channels: usize, cfg: &PreprocessConfig) -> Result<usize> {
    let voxels = plan.prepared_shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    // Each channel in f32, and one byte each for the region, the tissue and the target.
    let needed = voxels.and_then(|v| v.checked_mul(4 * channels + 3));
    let needed_mib = needed.map_or(u64::MAX, |bytes| (bytes >> 20) as u64);
    match voxels {
        Some(voxels) if needed_mib <= cfg.memory_mib => Ok(voxels),
        _ => {
            let [x, y, z] = plan.prepared_shape;
            let what = format!("a prepared case of {x} x {y} x {z} voxels");
            Err(ErrorKind::Memory { what, needed_mib, allowed_mib: cfg.memory_mib }.into())
        }
    }
}

/// The first frame's values; colours have none.
fn values_of(image: &Volume, channel: usize) -> Result<Vec<f32>> {
    let values = image.to_f32();
    if image.data.is_colour() {
        return Err(Error::config("modality", image.data.type_name(), "colours are for viewing only"));
    }
    if values.len() == image.grid.len() {
        return Ok(values);
    }
    let (left, right) = (format!("{} values", values.len()), format!("{} voxels", image.grid.len()));
    let what = format!("channel {channel} of {} voxels", image.data.type_name());
    Err(ErrorKind::Geometry { what, left, right }.into())
}

fn on_own_grid(found: &Source, taps: &[Vec<Tap>; 3], cfg: &PreprocessConfig) -> (Vec<f32>, Vec<bool>) {
    let values = match cfg.interpolation {
        Interpolation::Nearest => gather::nearest(&found.values, taps),
        Interpolation::Linear => gather::linear(&found.values, taps),
    };
    (values, gather::nearest(&found.region, taps))
}

/// A further channel, by world position unless it lies on the first one's grid anyway. What it does not cover is not
/// of its region.
fn on_other_grid(
    found: &Source,
    grid: &Grid,
    plan: &CasePlan,
    taps: &[Vec<Tap>; 3],
    cfg: &PreprocessConfig,
) -> (Vec<f32>, Vec<bool>) {
    if grid.relation(&plan.source_grid()) == Relation::Same {
        return on_own_grid(found, taps, cfg);
    }
    let to = plan.prepared_grid();
    let values = resample_f32(&found.values, grid, &to, cfg.interpolation, 0.0);
    let region = resample_labels(&found.region, grid, &to, false);
    (slice_major(&values, to.shape), slice_major(&region, to.shape))
}

/// From file order (i fastest) to slice-major (j fastest).
fn slice_major<T: Copy>(field: &[T], [nx, ny, nz]: [usize; 3]) -> Vec<T> {
    let mut out = Vec::with_capacity(field.len());
    for k in 0..nz {
        for i in 0..nx {
            out.extend((0..ny).map(|j| field[i + nx * (j + ny * k)]));
        }
    }
    out
}

/// First and one past the last set voxel along each axis; everything if none is set.
fn bounding_box(mask: &[bool], shape: [usize; 3]) -> [[usize; 2]; 3] {
    let [nx, ny, _] = shape;
    let mut found = [[usize::MAX, 0]; 3];
    for (row, line) in mask.chunks(ny.max(1)).enumerate() {
        let (Some(low), Some(high)) = (line.iter().position(|v| *v), line.iter().rposition(|v| *v)) else { continue };
        for (bounds, [low, high]) in found.iter_mut().zip([[row % nx; 2], [low, high], [row / nx; 2]]) {
            *bounds = [bounds[0].min(low), bounds[1].max(high + 1)];
        }
    }
    if found[0][1] == 0 { shape.map(|n| [0, n]) } else { found }
}

impl Prepared {
    /// The same with its channels in another order: the first is the one that was number `order[0]` before.
    #[must_use]
    pub fn reordered(mut self, order: &[usize]) -> Self {
        self.channels = order.iter().map(|&at| std::mem::take(&mut self.channels[at])).collect();
        self.plan.channels = order.iter().map(|&at| self.plan.channels[at].clone()).collect();
        self.fill = order.iter().map(|&at| self.fill[at]).collect();
        self
    }

    /// Counts the lesion's voxels, and those that the training crop leaves out.
    fn count_lesion(&mut self) {
        let Some(target) = &self.target else { return };
        let ([nx, ny, _], [x, y]) = (self.shape, self.plan.crop_origin);
        let side = self.plan.crop_size as i64;
        let (mut all, mut outside) = (0, 0);
        for (row, line) in target.chunks(ny.max(1)).enumerate() {
            let row_inside = (x..x + side).contains(&((row % nx) as i64));
            for (j, _) in line.iter().enumerate().filter(|(_, bits)| **bits != 0) {
                all += 1;
                outside += u64::from(!(row_inside && (y..y + side).contains(&(j as i64))));
            }
        }
        self.plan.lesion_voxels = Some(all);
        self.plan.lesion_voxels_outside_crop = Some(outside);
    }

    /// Cuts a square of slice `k`: the channels as `[C][size][size]` and the target as `[size][size]`. `origin` is
    /// the prepared voxel (i, j) of its first pixel; what lies beyond the scan is the channels' fill, and no lesion.
    pub fn window(&self, k: usize, origin: [i64; 2], size: usize) -> (Vec<f32>, Option<Vec<u8>>) {
        self.frame(k, origin, [size, size])
    }

    /// Like [`Prepared::window`], with sides of their own: `[C][shape 0][shape 1]`.
    pub fn frame(&self, k: usize, origin: [i64; 2], shape: [usize; 2]) -> (Vec<f32>, Option<Vec<u8>>) {
        let mut pixels = Vec::with_capacity(self.channels.len() * shape[0] * shape[1]);
        for (channel, &fill) in self.channels.iter().zip(&self.fill) {
            self.cut(channel, fill, k, origin, shape, &mut pixels);
        }
        let target = self.target.as_ref().map(|target| {
            let mut bits = Vec::with_capacity(shape[0] * shape[1]);
            self.cut(target, 0, k, origin, shape, &mut bits);
            bits
        });
        (pixels, target)
    }

    /// Where a window of [`Prepared::frame`] has tissue: `[shape 0][shape 1]`.
    pub fn tissue_frame(&self, k: usize, origin: [i64; 2], shape: [usize; 2]) -> Vec<bool> {
        let mut tissue = Vec::with_capacity(shape[0] * shape[1]);
        self.cut(&self.tissue, false, k, origin, shape, &mut tissue);
        tissue
    }

    fn cut<T: Copy>(&self, field: &[T], fill: T, k: usize, origin: [i64; 2], shape: [usize; 2], out: &mut Vec<T>) {
        let [nx, ny, nz] = self.shape;
        let end = out.len() + shape[0] * shape[1];
        // Columns of the window that lie in the scan.
        let low = (-origin[1]).clamp(0, shape[1] as i64) as usize;
        let high = (ny as i64 - origin[1]).clamp(low as i64, shape[1] as i64) as usize;
        for row in 0..shape[0] as i64 {
            let i = origin[0] + row;
            if k >= nz || i < 0 || i >= nx as i64 || low == high {
                out.resize(out.len() + shape[1], fill);
                continue;
            }
            let base = (k * nx + i as usize) * ny;
            let first = (origin[1] + low as i64) as usize;
            out.resize(out.len() + low, fill);
            out.extend_from_slice(&field[base + first..base + first + high - low]);
            out.resize(out.len() + shape[1] - high, fill);
        }
        debug_assert_eq!(out.len(), end);
    }
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
