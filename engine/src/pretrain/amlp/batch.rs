//! Batches of masked slices, on the host and on a device.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::appearance::{Appearance, Intensity, PatchScale};
use super::ccl::ConsistencyTargets;
use super::choice::ForegroundChoice;
use super::draw::Draw;
use super::mps::{Order, PatchState};
use crate::config::{Config, MaskFill};
use crate::masking::indicator;
use crate::patch::PatchGrid;
use crate::pretrain::masked::constant_error;
use crate::pretrain::tensors::{images, rows};
use crate::seed::stream;
use crate::trainer::Position;

/// Masks slices by the settings.
pub(in crate::pretrain) struct Masker<'a> {
    pub config: &'a Config,
    pub grid: &'a PatchGrid,
    /// Channels of a slice.
    pub channels: usize,
    /// Masking ratio.
    pub sigma: f64,
    order: Order,
    /// Weight of CCL.
    lambda: f64,
    /// Flips along R and A, of a whole batch.
    flip: [bool; 2],
    augments: bool,
}

/// A masked slice on the host; see [`DeviceBatch`] and [`ConsistencyTargets`].
pub(in crate::pretrain) struct MaskedSlice {
    pixels: Vec<f32>,
    pixel_mask: Vec<f32>,
    noise: Vec<f32>,
    counted: Vec<usize>,
    has_centres: bool,
    direction: Vec<f32>,
    offset: f32,
    temperature: f32,
    chosen: Vec<usize>,
    label_ori: Vec<u8>,
    label_new: Vec<u8>,
    intensity: Option<Intensity>,
    scale: Option<PatchScale>,
}

impl<'a> Masker<'a> {
    /// Masks at a ratio, without augmentation.
    pub fn new(config: &'a Config, grid: &'a PatchGrid, channels: usize, sigma: f64) -> Self {
        let (order, lambda) = (config.method.order, config.method.lambda);
        Self { config, grid, channels, sigma, order, lambda, flip: [false; 2], augments: false }
    }

    /// Masks as an epoch does, without augmentation.
    pub fn of_epoch(config: &'a Config, grid: &'a PatchGrid, channels: usize, position: Position) -> Self {
        let method = &config.method;
        let warms_up =
            method.foreground_choice == ForegroundChoice::Error && position.epoch <= method.period(position.epochs);
        Self {
            order: if warms_up { Order::Random } else { method.order },
            lambda: method.lambda_in(position.epoch, position.epochs),
            ..Self::new(config, grid, channels, method.ratio.sigma(position.epoch, position.epochs))
        }
    }

    /// Masks as a training step does.
    pub fn of_step(config: &'a Config, grid: &'a PatchGrid, channels: usize, position: Position) -> Self {
        let mut draw = stream(config.seed, "pretrain-flip", &[position.epoch as u64, position.step as u64]);
        let flip = [0; 2].map(|_| config.method.augment.flip && draw.random_bool(0.5));
        Self { flip, augments: true, ..Self::of_epoch(config, grid, channels, position) }
    }

    /// The masked patches of a slice in masking order. `key` (epoch, slice) seeds its random draws.
    pub fn chosen(&self, state: &PatchState, key: [u64; 2]) -> Vec<usize> {
        let draw = Draw::new(self.order, &self.config.method.mask, self.grid);
        draw.patches(&state.label, &state.clustering, (self.config.seed, &key)).masked(self.sigma)
    }

    /// One slice with its patches masked. `key` (epoch, slice) seeds its random draws; `tissue` `[S][S]` is where intensities
    /// may change.
    pub fn slice(&self, state: &PatchState, pixels: Vec<f32>, tissue: &[bool], key: [u64; 2]) -> MaskedSlice {
        let (config, method) = (self.config, &self.config.method);
        let chosen = self.chosen(state, key);
        let masked: Vec<f32> = indicator(self.grid.count(), &chosen);
        let scale = method.loss.normalised.then(|| PatchScale::of(self.grid, &pixels, self.channels));
        let is_air = |patch: usize| method.loss.tissue_only && state.clustering.air[patch];
        let is_flat = |patch: usize| scale.as_ref().is_some_and(|scale| scale.flat[patch]);
        let counted = chosen.iter().copied().filter(|&patch| !is_air(patch) && !is_flat(patch)).collect();
        let [background, foreground] = &state.clustering.centres;
        let has_centres = !foreground.is_empty();
        let (direction, offset, distance) =
            if has_centres { self.direction(background, foreground) } else { (vec![0.0; pixels.len()], 0.0, 1.0) };
        let t = method.consistency_temperature;
        let temperature = if t > 0.0 { t } else { distance };
        let noise = if method.fill == MaskFill::Noise {
            let mut draw = stream(config.seed, "mask-noise", &key);
            pixels.iter().map(|_| StandardNormal.sample(&mut draw)).collect()
        } else {
            Vec::new()
        };
        let strength = method.augment.intensity;
        MaskedSlice {
            pixel_mask: self.grid.spread(&masked),
            offset: offset as f32,
            temperature: temperature.max(1e-12) as f32,
            intensity: (self.augments && strength > 0.0).then(|| Intensity::draw(strength, tissue, config.seed, &key)),
            scale,
            pixels,
            counted,
            has_centres,
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

    /// The slices numbered `members` as a batch.
    pub fn batch(&self, members: &[usize], slices: Vec<MaskedSlice>) -> MaskedBatch {
        MaskedBatch {
            members: members.to_vec(),
            chosen: slices.iter().map(|s| s.chosen.clone()).collect(),
            counted: slices.iter().map(|s| s.counted.clone()).collect(),
            label_ori: slices.iter().map(|s| s.label_ori.clone()).collect(),
            label_new: slices.iter().map(|s| s.label_new.clone()).collect(),
            grid: *self.grid,
            channels: self.channels,
            lambda: self.lambda,
            flip: self.flip,
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
    /// The masked patches whose errors count.
    pub counted: Vec<Vec<usize>>,
    /// `label_ori` of each slice.
    pub label_ori: Vec<Vec<u8>>,
    /// `label_new` of each slice.
    pub label_new: Vec<Vec<u8>>,
    grid: PatchGrid,
    channels: usize,
    lambda: f64,
    flip: [bool; 2],
    slices: Vec<MaskedSlice>,
}

/// Masked slices on a device.
pub struct DeviceBatch {
    /// The slices, `[B, C, S, S]`.
    pub image: Tensor<4>,
    /// 1 on masked pixels, `[B, 1, S, S]`.
    pub pixel_mask: Tensor<4>,
    /// Noise that replaces masked pixels, if any, `[B, C, S, S]`.
    pub noise: Option<Tensor<4>>,
    /// 1 for masked patches whose errors count, `[B, N]`.
    pub masked: Tensor<2>,
    /// `masked` times `count` over the slice's masked patches, `[B, N]`, so that every slice has the same weight in a mean.
    pub weights: Tensor<2>,
    /// Counted masked patches per slice, `[B, 1]`.
    pub counts: Tensor<2>,
    /// Maximum of `counts` over the slices.
    pub count: usize,
    /// What the consistency loss needs.
    pub consistency: ConsistencyTargets,
    /// Weight of the consistency loss.
    pub lambda: f64,
    /// Patches per side.
    pub grid: usize,
    /// Masked patches of all these slices whose label was flipped.
    pub flipped: usize,
    /// Input transforms of the slices.
    pub appearance: Appearance,
}

impl MaskedBatch {
    /// Number of slices.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if there are no slices.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// `L_pred` of the best constant output, without the augmentation of intensities: the mean over the slices.
    pub(in crate::pretrain) fn constant_loss(&self) -> f64 {
        let targets: Vec<[Vec<f32>; 2]> = self.slices.par_iter().map(|slice| self.target(slice)).collect();
        constant_error(targets.iter().map(|[pixels, weights]| (&pixels[..], &weights[..])))
    }

    /// Fraction of flat patches among the masked ones, the sum over the slices; 0 if patches are not normalised.
    pub(super) fn flat_shares(&self) -> f64 {
        let share = |slice: &MaskedSlice| {
            let flat = slice.scale.as_ref().map_or(&[][..], |scale| &scale.flat);
            let masked = slice.chosen.iter().filter(|patch| flat.get(**patch) == Some(&true)).count();
            masked as f64 / slice.chosen.len().max(1) as f64
        };
        self.slices.iter().map(share).sum()
    }

    /// The target of a slice, `[C][S][S]`, and the weight of each pixel in its loss, `[S][S]`.
    fn target(&self, slice: &MaskedSlice) -> [Vec<f32>; 2] {
        let weight = 1.0 / (slice.counted.len().max(1) * (self.grid.size() / self.grid.grid()).pow(2)) as f32;
        let weights = self.grid.spread(&self.over_counted(slice, |_| weight));
        let pixels =
            slice.scale.as_ref().map_or_else(|| slice.pixels.clone(), |s| s.normalised(&self.grid, &slice.pixels));
        [pixels, weights]
    }

    /// Some of the slices on a device.
    pub fn on(&self, range: Range<usize>, device: &Device) -> DeviceBatch {
        let slices = &self.slices[range];
        let (channels, size) = (self.channels, self.grid.size());
        let noise = slices.iter().any(|s| !s.noise.is_empty());
        let number =
            |of: fn(&MaskedSlice) -> f32| rows(slices.iter().map(|s| vec![of(s)]).collect::<Vec<_>>().iter(), device);
        let count = slices.iter().map(|s| s.counted.len()).max().unwrap_or(1).max(1);
        let masked: Vec<Vec<f32>> = slices.iter().map(|s| self.over_counted(s, |_| 1.0)).collect();
        let share = |s: &MaskedSlice| count as f32 / s.counted.len().max(1) as f32;
        let weights: Vec<Vec<f32>> = slices.iter().map(|s| self.over_counted(s, |_| share(s))).collect();
        let flips = |s: &MaskedSlice| {
            let is_flipped = |patch: usize| s.has_centres && s.label_new[patch] != s.label_ori[patch];
            self.over_counted(s, |patch| if is_flipped(patch) { share(s) } else { 0.0 })
        };
        let flipped: Vec<Vec<f32>> = slices.iter().map(flips).collect();
        let labels: Vec<Vec<f32>> =
            slices.iter().map(|s| s.label_new.iter().map(|l| f32::from(*l)).collect()).collect();
        DeviceBatch {
            image: images(slices.iter().map(|s| &s.pixels), channels, size, device),
            pixel_mask: images(slices.iter().map(|s| &s.pixel_mask), 1, size, device),
            noise: noise.then(|| images(slices.iter().map(|s| &s.noise), channels, size, device)),
            masked: rows(masked.iter(), device),
            weights: rows(weights.iter(), device),
            counts: number(|s| s.counted.len() as f32),
            count,
            consistency: ConsistencyTargets {
                direction: images(slices.iter().map(|s| &s.direction), channels, size, device),
                offset: number(|s| s.offset),
                temperature: number(|s| s.temperature),
                label: rows(labels.iter(), device),
                flipped: rows(flipped.iter(), device),
            },
            lambda: self.lambda,
            grid: self.grid.grid(),
            flipped: flipped.iter().flatten().filter(|f| **f > 0.0).count(),
            appearance: Appearance {
                flip: self.flip,
                intensity: Intensity::on(slices.iter().filter_map(|s| s.intensity.as_ref()), size, device),
                scale: PatchScale::on(slices.iter().filter_map(|s| s.scale.as_ref()), &self.grid, device),
            },
        }
    }

    /// A number per patch, `[N]`: from `of` for counted patches, else 0.
    fn over_counted(&self, slice: &MaskedSlice, of: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut all = vec![0.0; self.grid.count()];
        slice.counted.iter().for_each(|&patch| all[patch] = of(patch));
        all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::{SyntheticSlices, losses};
    use super::*;
    use crate::config::preset;
    use crate::test_tensors::values;

    /// The loss of a constant output, in the units of the patch errors.
    fn pred(trial: &MaskedBatch, config: &Config, constant: f32) -> f64 {
        let batch = trial.on(0..trial.len(), &Device::flex());
        let output = batch.appearance.undo(Tensor::full(batch.image.dims(), constant, &Device::flex()));
        f64::from(values(losses(output, &batch, &config.method).pred)[0])
    }

    /// Holds for AMLP, and for its ablations `mae` and `base`.
    #[test]
    fn the_constant_loss_is_the_minimum_over_constant_outputs() {
        for (normalised, tissue_only) in [(false, false), (false, true), (true, false)] {
            let mut config = preset("mae", &["t1".into(), "t2".into()]).unwrap();
            config.preprocess.size = 32;
            (config.method.loss.normalised, config.method.loss.tissue_only) = (normalised, tissue_only);
            let batch = SyntheticSlices::new(&config, 3).unwrap().masked(0.75, 1);
            let constant = batch.constant_loss();
            let all: Vec<f64> = (-40..=40).map(|n| pred(&batch, &config, n as f32 * 0.05)).collect();
            let best = all.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(constant > 0.0 && best >= constant - 1e-5, "{normalised} {tissue_only}: {best} {constant}");
            // The nearest of the tried numbers is at most 0.025 away from the best one.
            assert!(best - constant < 0.0007, "{normalised} {tissue_only}: {best} {constant}");
        }
    }

    /// As in MAE's recipe for slices: a flat patch, normalised, is noise.
    #[test]
    fn flat_patches_do_not_count_in_the_loss_of_normalised_patches() {
        let mut config = preset("mae", &["t1".into()]).unwrap();
        config.preprocess.size = 32;
        let plain = SyntheticSlices::new(&config, 2).unwrap().masked(0.75, 1);
        assert_eq!((&plain.counted, plain.flat_shares()), (&plain.chosen, 0.0));
        config.method.loss.normalised = true;
        let normalised = SyntheticSlices::new(&config, 2).unwrap().masked(0.75, 1);
        assert_eq!(normalised.chosen, plain.chosen);
        let mut shares = 0.0;
        for (slice, counted) in normalised.slices.iter().zip(&normalised.counted) {
            let flat = &slice.scale.as_ref().unwrap().flat;
            let expected: Vec<usize> = slice.chosen.iter().copied().filter(|&patch| !flat[patch]).collect();
            assert!(*counted == expected && expected.len() < slice.chosen.len(), "air outside the body is flat");
            shares += 1.0 - expected.len() as f64 / slice.chosen.len() as f64;
        }
        assert!((normalised.flat_shares() - shares).abs() < 1e-12);
    }
}
