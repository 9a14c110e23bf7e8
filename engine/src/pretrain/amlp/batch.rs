//! A batch of masked slices: on the host, and on a device.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use rand_distr::{Distribution, StandardNormal};

use super::ccl::ConsistencyTargets;
use super::mps::{PatchState, order};
use crate::config::{Config, MaskFill};
use crate::masking::masked_count;
use crate::patch::PatchGrid;
use crate::pretrain::tensors::{images, rows};
use crate::seed::stream;

/// Masks slices by the settings.
pub(in crate::pretrain) struct Masker<'a> {
    pub config: &'a Config,
    pub grid: &'a PatchGrid,
    /// Channels of a slice.
    pub channels: usize,
}

/// A masked slice on the host; see [`DeviceBatch`] and [`ConsistencyTargets`].
pub(in crate::pretrain) struct MaskedSlice {
    pixels: Vec<f32>,
    pixel_mask: Vec<f32>,
    noise: Vec<f32>,
    masked: Vec<f32>,
    direction: Vec<f32>,
    offset: f32,
    temperature: f32,
    label: Vec<f32>,
    flipped: Vec<f32>,
    chosen: Vec<usize>,
    label_ori: Vec<u8>,
    label_new: Vec<u8>,
}

impl Masker<'_> {
    /// Masked patches of a slice at ratio `sigma`, at least one.
    pub fn count(&self, sigma: f64) -> usize {
        masked_count(self.grid.count(), sigma).max(1)
    }

    /// One slice with its first `count` patches masked. `place` (epoch, slice) makes its random draws its own.
    pub fn slice(&self, state: &PatchState, pixels: Vec<f32>, count: usize, place: [u64; 2]) -> MaskedSlice {
        let config = self.config;
        let mut chosen = order(config.method.order, &state.label, &state.clustering.logit, config.seed, &place);
        chosen.truncate(count);
        let mut masked = vec![0.0f32; self.grid.count()];
        for &patch in &chosen {
            masked[patch] = 1.0;
        }
        let [background, foreground] = &state.clustering.centres;
        let has_centres = !foreground.is_empty();
        let flips = state.label.iter().zip(&state.clustering.labels).zip(&masked);
        let flipped = flips.map(|((new, ori), m)| if has_centres && new != ori { *m } else { 0.0 }).collect();
        let (direction, offset, distance) =
            if has_centres { self.direction(background, foreground) } else { (vec![0.0; pixels.len()], 0.0, 1.0) };
        let t = config.method.consistency_temperature;
        let temperature = if t > 0.0 { t } else { distance };
        let noise = if config.method.fill == MaskFill::Noise {
            let mut draw = stream(config.seed, "mask-noise", &place);
            pixels.iter().map(|_| StandardNormal.sample(&mut draw)).collect()
        } else {
            Vec::new()
        };
        MaskedSlice {
            pixel_mask: self.grid.spread(&masked),
            label: state.label.iter().map(|&l| f32::from(l)).collect(),
            offset: offset as f32,
            temperature: temperature.max(1e-12) as f32,
            pixels,
            masked,
            flipped,
            direction,
            noise,
            chosen,
            label_ori: state.clustering.labels.clone(),
            label_new: state.label.clone(),
        }
    }

    /// `mu_f - mu_b` over the whole slice, the difference of their mean squares, and the mean squared distance.
    fn direction(&self, background: &[f32], foreground: &[f32]) -> (Vec<f32>, f64, f64) {
        let d = foreground.len().max(1) as f64;
        let difference: Vec<f32> = foreground.iter().zip(background).map(|(f, b)| f - b).collect();
        let square = |v: &[f32]| v.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / d;
        let offset = square(foreground) - square(background);
        let distance = square(&difference);
        let tiled: Vec<f32> = difference.repeat(self.grid.count());
        (self.grid.assemble(&tiled, self.channels), offset, distance)
    }

    /// The slices numbered `members` as a batch, all with the same number of masked patches.
    pub fn batch(&self, members: &[usize], slices: Vec<MaskedSlice>) -> MaskedBatch {
        MaskedBatch {
            members: members.to_vec(),
            chosen: slices.iter().map(|s| s.chosen.clone()).collect(),
            label_ori: slices.iter().map(|s| s.label_ori.clone()).collect(),
            label_new: slices.iter().map(|s| s.label_new.clone()).collect(),
            grid: *self.grid,
            channels: self.channels,
            slices,
        }
    }
}

/// A batch of masked slices on the host.
pub struct MaskedBatch {
    /// Numbers of the slices.
    pub members: Vec<usize>,
    /// Masked patches of each slice in masking order, by index.
    pub chosen: Vec<Vec<usize>>,
    /// `label_ori` of each slice.
    pub label_ori: Vec<Vec<u8>>,
    /// `label_new` of each slice.
    pub label_new: Vec<Vec<u8>>,
    grid: PatchGrid,
    channels: usize,
    slices: Vec<MaskedSlice>,
}

/// Masked slices on a device.
pub struct DeviceBatch {
    /// The slices, `[B, C, S, S]`.
    pub image: Tensor<4>,
    /// 1 on masked pixels, `[B, 1, S, S]`.
    pub pixel_mask: Tensor<4>,
    /// What replaces masked pixels where it is noise, `[B, C, S, S]`.
    pub noise: Option<Tensor<4>>,
    /// 1 for masked patches, `[B, N]`.
    pub masked: Tensor<2>,
    /// What the consistency loss needs.
    pub consistency: ConsistencyTargets,
    /// Patches along a side.
    pub grid: usize,
    /// Masked patches of every slice.
    pub count: usize,
    /// Masked patches of all these slices whose label was flipped.
    pub flipped: usize,
}

impl MaskedBatch {
    /// Number of slices.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Some of the slices on a device.
    pub fn on(&self, range: Range<usize>, device: &Device) -> DeviceBatch {
        let slices = &self.slices[range];
        let (channels, size) = (self.channels, self.grid.size());
        let noise = slices.iter().any(|s| !s.noise.is_empty());
        let number = |of: fn(&MaskedSlice) -> f32| slices.iter().map(|s| vec![of(s)]).collect::<Vec<_>>();
        DeviceBatch {
            image: images(slices.iter().map(|s| &s.pixels), channels, size, device),
            pixel_mask: images(slices.iter().map(|s| &s.pixel_mask), 1, size, device),
            noise: noise.then(|| images(slices.iter().map(|s| &s.noise), channels, size, device)),
            masked: rows(slices.iter().map(|s| &s.masked), device),
            consistency: ConsistencyTargets {
                direction: images(slices.iter().map(|s| &s.direction), channels, size, device),
                offset: rows(number(|s| s.offset).iter(), device),
                temperature: rows(number(|s| s.temperature).iter(), device),
                label: rows(slices.iter().map(|s| &s.label), device),
                flipped: rows(slices.iter().map(|s| &s.flipped), device),
            },
            grid: self.grid.grid(),
            count: slices.first().map_or(1, |s| s.chosen.len()),
            flipped: slices.iter().map(|s| s.flipped.iter().filter(|f| **f > 0.0).count()).sum(),
        }
    }
}
