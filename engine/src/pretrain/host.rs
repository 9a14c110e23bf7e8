//! Masked slices on the host, and some of them on the device.

use std::ops::Range;

use burn::tensor::Device;
use rand_distr::{Distribution, StandardNormal};

use super::objective::{Batch, images, rows};
use super::slices::PatchState;
use crate::config::{Config, MaskFill};
use crate::loss::ConsistencyTargets;
use crate::masking::order::order;
use crate::masking::select::masked_count;
use crate::patch::PatchGrid;
use crate::seed::stream;

/// How slices are masked.
pub(super) struct Host<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The patch grid.
    pub grid: &'a PatchGrid,
    /// Channels of a slice.
    pub channels: usize,
}

/// A slice of a batch on the host; see [`Batch`] and [`ConsistencyTargets`].
pub(super) struct HostSlice {
    pixels: Vec<f32>,
    hidden: Vec<f32>,
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

impl Host<'_> {
    /// Masked patches of a slice at ratio `sigma`, at least one.
    pub fn count(&self, sigma: f64) -> usize {
        masked_count(self.grid.count(), sigma).max(1)
    }

    /// One slice of a batch with everything that the losses need. `place` (epoch, slice) makes its draws its own.
    pub fn slice(&self, state: &PatchState, pixels: Vec<f32>, count: usize, place: [u64; 2]) -> HostSlice {
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
        HostSlice {
            hidden: self.grid.spread(&masked),
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

    /// The slices numbered `members` as a batch, all masked in the same number of patches.
    pub fn batch(&self, members: &[usize], made: Vec<HostSlice>) -> Masked {
        Masked {
            members: members.to_vec(),
            chosen: made.iter().map(|s| s.chosen.clone()).collect(),
            label_ori: made.iter().map(|s| s.label_ori.clone()).collect(),
            label_new: made.iter().map(|s| s.label_new.clone()).collect(),
            grid: *self.grid,
            channels: self.channels,
            made,
        }
    }
}

/// A batch of masked slices on the host.
pub struct Masked {
    /// The slices' numbers.
    pub members: Vec<usize>,
    /// Masked patches of each slice, by index.
    pub chosen: Vec<Vec<usize>>,
    /// Each slice's labels by the clustering.
    pub label_ori: Vec<Vec<u8>>,
    /// Each slice's labels in force.
    pub label_new: Vec<Vec<u8>>,
    grid: PatchGrid,
    channels: usize,
    made: Vec<HostSlice>,
}

impl Masked {
    /// Number of slices.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Some of the slices on a device.
    pub fn on(&self, range: Range<usize>, device: &Device) -> Batch {
        let made = &self.made[range];
        let (channels, size) = (self.channels, self.grid.size());
        let noise = made.iter().any(|s| !s.noise.is_empty());
        let number = |of: fn(&HostSlice) -> f32| made.iter().map(|s| vec![of(s)]).collect::<Vec<_>>();
        Batch {
            image: images(made.iter().map(|s| &s.pixels), channels, size, device),
            hidden: images(made.iter().map(|s| &s.hidden), 1, size, device),
            noise: noise.then(|| images(made.iter().map(|s| &s.noise), channels, size, device)),
            masked: rows(made.iter().map(|s| &s.masked), device),
            consistency: ConsistencyTargets {
                direction: images(made.iter().map(|s| &s.direction), channels, size, device),
                offset: rows(number(|s| s.offset).iter(), device),
                temperature: rows(number(|s| s.temperature).iter(), device),
                label: rows(made.iter().map(|s| &s.label), device),
                flipped: rows(made.iter().map(|s| &s.flipped), device),
            },
            grid: self.grid.grid(),
            count: made.first().map_or(1, |s| s.chosen.len()),
            flipped: made.iter().map(|s| s.flipped.iter().filter(|f| **f > 0.0).count()).sum(),
        }
    }
}
