//! Preparing one case.

use std::borrow::Borrow;
use std::ops::Range;

use super::config::{Kind, PreprocessConfig};
use super::ct::shift_ct;
use super::gather::{self, Tap};
use super::intensity::{self, SourceChannel};
use super::plan::CasePlan;
use super::targets::Targets;
use crate::volume::{Background, Grid, Interpolation, LabelVolume, Relation, Volume, resample_f32, resample_labels};
use crate::{Error, ErrorKind, Result, seed};

/// A preprocessed case. All fields are slice-major: `(k * nx + i) * ny + j`.
#[derive(Clone, Debug)]
pub struct PreparedCase {
    /// The preprocessing and its inverse.
    pub plan: CasePlan,
    /// One normalised field per channel.
    pub channels: Vec<Vec<f32>>,
    /// Value outside the scan, per channel.
    pub fill: Vec<f32>,
    /// True where any channel has tissue: not background in the file, or inside the body for a CT. Patches without tissue are
    /// air, whatever their values.
    pub tissue: Vec<bool>,
    /// Bit r of a byte marks region r; `None` without a reference.
    pub target: Option<Vec<u8>>,
    /// Number of voxels along R, A, S.
    pub shape: [usize; 3],
}

/// Prepares a case. `images` are its channels, `kinds` their intensity rules. The first image defines the grid; the
/// others and the label are resampled to it by world position. `seed` only affects background noise.
pub fn prepare<V: Borrow<Volume>>(
    images: &[V],
    kinds: &[Kind],
    label: Option<&LabelVolume>,
    targets: &Targets,
    cfg: &PreprocessConfig,
    seed: u64,
) -> Result<PreparedCase> {
    cfg.check()?;
    let Some(first) = images.first().map(V::borrow) else {
        return Err(Error::config("modality", "", "at least one modality is needed"));
    };
    if kinds.len() != images.len() {
        return Err(Error::config(
            "kind",
            kinds.len(),
            format!("must have one entry for each of the {} images", images.len()),
        ));
    }
    let mut plan = CasePlan::new(&first.grid, cfg.spacing, cfg.interpolation)?;
    check_memory(&plan, images.len(), cfg)?;
    let taps = plan.taps_from_source();
    let (mut channels, mut tissue) = (Vec::with_capacity(images.len()), Vec::new());
    for (place, (image, &kind)) in images.iter().map(V::borrow).zip(kinds).enumerate() {
        let axial = image.grid.orientation().axis.iter().position(|&along| along == 2).unwrap_or(2);
        let mut values = voxel_values(image, place)?;
        // Without a value, padding is background or air.
        let padded = image.replace_padding(0, &mut values, f32::NAN);
        plan.warnings.extend(shift_ct(image, kind, cfg, &mut values));
        let background = if kind == Kind::Ct { None } else { Background::of(image, 0) };
        let found = intensity::prepare_source(values, padded, kind, background, (image.grid.shape, axial), cfg);
        plan.warnings.extend(found.warnings.iter().cloned());
        let (mut values, region) = if place == 0 {
            sample_on_source_grid(&found, &taps, cfg)
        } else {
            resample_other_grid(&found, &image.grid, &plan, &taps, cfg)
        };
        let noise = seed::stream(seed, "background noise", &[place as u64]);
        let mut channel = intensity::normalise(&mut values, &region, kind, cfg, noise);
        channel.nonfinite = found.nonfinite;
        if channel.region_voxels == 0 {
            plan.warnings.push(format!("channel {place} is empty, because all its voxels are background"));
        }
        plan.channels.push(channel);
        channels.push(values);
        if place == 0 {
            tissue = region;
        } else {
            tissue.iter_mut().zip(&region).for_each(|(t, &r)| *t |= r);
        }
    }
    plan.region_box = bounding_box(&tissue, plan.prepared_shape).unwrap_or_else(|| plan.prepared_shape.map(|n| [0, n]));
    plan.set_crop(cfg.size);
    let target = label.map(|label| {
        let bits = targets.encode(label, &cfg.label_map);
        if label.grid.relation(&first.grid) == Relation::Same {
            return gather::nearest(&bits, &taps);
        }
        let to = plan.prepared_grid();
        slice_major(&resample_labels(&bits, &label.grid, &to, 0), to.shape)
    });
    let fill = plan.channels.iter().map(|c| c.fill).collect();
    let mut prepared = PreparedCase { shape: plan.prepared_shape, plan, channels, fill, tissue, target };
    prepared.count_lesion();
    Ok(prepared)
}

/// Refuses a case whose prepared voxels exceed the memory limit.
fn check_memory(plan: &CasePlan, channels: usize, cfg: &PreprocessConfig) -> Result<()> {
    let voxels = plan.prepared_shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    // 4 bytes per channel, 1 byte each for region, tissue and target.
    let needed = voxels.and_then(|v| v.checked_mul(4 * channels + 3));
    let needed_mib = needed.map_or(u64::MAX, |bytes| (bytes >> 20) as u64);
    if needed.is_some() && needed_mib <= cfg.memory_mib {
        return Ok(());
    }
    let [x, y, z] = plan.prepared_shape;
    let what = format!("a prepared case of {x} x {y} x {z} voxels");
    Err(ErrorKind::Memory { what, needed_mib, allowed_mib: cfg.memory_mib }.into())
}

/// Scaled values of the first frame in memory.
fn voxel_values(image: &Volume, channel: usize) -> Result<Vec<f32>> {
    let values = image.to_f32();
    if image.data.is_colour() {
        return Err(Error::config(
            "modality",
            image.data.type_name(),
            "colour images are for viewing only. Choose a greyscale image",
        ));
    }
    if values.len() == image.grid.len() {
        return Ok(values);
    }
    let why = format!("the grid has {} voxels", image.grid.len());
    Err(Error::config(format!("channel {channel}"), format!("{} values", values.len()), why))
}

fn sample_on_source_grid(found: &SourceChannel, taps: &[Vec<Tap>; 3], cfg: &PreprocessConfig) -> (Vec<f32>, Vec<bool>) {
    let values = match cfg.interpolation {
        Interpolation::Nearest => gather::nearest(&found.values, taps),
        Interpolation::Linear => gather::linear(&found.values, taps),
    };
    (values, gather::nearest(&found.region, taps))
}

/// Values and region of a channel on another grid, resampled by world position. Voxels it does not cover are outside
/// its region.
fn resample_other_grid(
    found: &SourceChannel,
    grid: &Grid,
    plan: &CasePlan,
    taps: &[Vec<Tap>; 3],
    cfg: &PreprocessConfig,
) -> (Vec<f32>, Vec<bool>) {
    if grid.relation(&plan.source_grid()) == Relation::Same {
        return sample_on_source_grid(found, taps, cfg);
    }
    let to = plan.prepared_grid();
    let values = resample_f32(&found.values, grid, &to, cfg.interpolation, 0.0);
    let region = resample_labels(&found.region, grid, &to, false);
    (slice_major(&values, to.shape), slice_major(&region, to.shape))
}

/// Converts from file order (i fastest) to slice-major (j fastest).
fn slice_major<T: Copy>(field: &[T], [nx, ny, nz]: [usize; 3]) -> Vec<T> {
    let mut out = Vec::with_capacity(field.len());
    for k in 0..nz {
        for i in 0..nx {
            out.extend((0..ny).map(|j| field[i + nx * (j + ny * k)]));
        }
    }
    out
}

/// First and one past the last set voxel along each axis; `None` if none is set.
fn bounding_box(mask: &[bool], shape: [usize; 3]) -> Option<[[usize; 2]; 3]> {
    let [nx, ny, _] = shape;
    let mut found = [[usize::MAX, 0]; 3];
    for (row, line) in mask.chunks(ny.max(1)).enumerate() {
        // Most rows are empty, which is seen many voxels at a time.
        if !line.iter().fold(false, |any, &set| any | set) {
            continue;
        }
        let (Some(low), Some(high)) = (line.iter().position(|v| *v), line.iter().rposition(|v| *v)) else { continue };
        for (bounds, [low, high]) in found.iter_mut().zip([[row % nx; 2], [low, high], [row / nx; 2]]) {
            *bounds = [bounds[0].min(low), bounds[1].max(high + 1)];
        }
    }
    (found[0][1] > 0).then_some(found)
}

impl PreparedCase {
    /// Permutes the channels: new channel n is old channel `order[n]`.
    #[must_use]
    pub fn reordered(mut self, order: &[usize]) -> Self {
        self.channels = order.iter().map(|&at| std::mem::take(&mut self.channels[at])).collect();
        self.plan.channels = order.iter().map(|&at| self.plan.channels[at].clone()).collect();
        self.fill = order.iter().map(|&at| self.fill[at]).collect();
        self
    }

    /// Counts lesion voxels in all and outside the training crop.
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

    /// A square window of slice `k`: channels `[C][size][size]` and target `[size][size]`. `origin` is the prepared
    /// voxel (i, j) of its first pixel. Beyond the scan, pixels are the channel's fill and the target is 0.
    pub fn window(&self, k: usize, origin: [i64; 2], size: usize) -> (Vec<f32>, Option<Vec<u8>>) {
        self.frame(k, origin, [size, size])
    }

    /// A rectangular [`PreparedCase::window`]: channels `[C][shape 0][shape 1]`.
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

    /// Rows and columns of slice `k` that enclose its tissue; `None` for a slice without tissue.
    pub fn tissue_box(&self, k: usize) -> Option<[Range<usize>; 2]> {
        let [nx, ny, _] = self.shape;
        let slice = self.tissue.get(k * nx * ny..(k + 1) * nx * ny)?;
        let [rows, columns, _] = bounding_box(slice, [nx, ny, 1])?;
        Some([rows, columns].map(|[low, high]| low..high))
    }

    /// Tissue of the window that [`PreparedCase::frame`] returns, `[shape 0][shape 1]`.
    pub fn tissue_frame(&self, k: usize, origin: [i64; 2], shape: [usize; 2]) -> Vec<bool> {
        let mut tissue = Vec::with_capacity(shape[0] * shape[1]);
        self.cut(&self.tissue, false, k, origin, shape, &mut tissue);
        tissue
    }

    fn cut<T: Copy>(&self, field: &[T], fill: T, k: usize, origin: [i64; 2], shape: [usize; 2], out: &mut Vec<T>) {
        let [nx, ny, nz] = self.shape;
        let end = out.len() + shape[0] * shape[1];
        // Columns of the window inside the scan.
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
