//! Normalisation with `ReLU`: statistics, and gradients through both in one pass.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "compiled for the instructions in use, as vectors"
)]

use lanes::Cpu;
use rayon::prelude::*;

use super::channels::{self, Pass, some};
use super::conv::Activation;
use super::grid::Grid;
use super::zeros;

/// Pixels per partial sum. Constant, because it determines the order of sums.
const PIECE: usize = 512;

/// Source of the normalisation statistics.
#[derive(Clone, Debug)]
pub(super) enum Statistics {
    /// The whole batch (batch norm).
    Batch,
    /// Each image (instance norm).
    Image,
    /// Fixed values per channel.
    Fixed { mean: Vec<f32>, variance: Vec<f32> },
    /// No normalisation.
    None,
}

/// A normalisation with known statistics: `y = scale x + shift`, per channel or per image and channel.
#[derive(Clone, Debug)]
pub(super) struct Normalisation {
    /// `gamma / sqrt(variance + epsilon)`.
    pub scale: Vec<f32>,
    /// `beta - mean * scale`.
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    /// Biased variances.
    pub variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Vec<f32>,
    /// Whether mean and variance are computed from the values, so that gradients flow through them.
    pub depends_on_values: bool,
}

/// Gradients of a normalisation with `ReLU`.
pub(super) struct NormGradient {
    /// With respect to the values before the normalisation.
    pub dz: Vec<f32>,
    /// With respect to gamma.
    pub gamma: Vec<f32>,
    /// With respect to beta.
    pub beta: Vec<f32>,
}

/// Per channel, mean and sum of squared deviations over one row of pixels, `[2, C]`.
pub(super) fn row_moments(cpu: Cpu, row: &[f32], channels: usize) -> Vec<f32> {
    channels::run(cpu, channels, Moments { row, channels, out: vec![0.0; 2 * channels] }).out
}

struct Moments<'a> {
    row: &'a [f32],
    channels: usize,
    out: Vec<f32>,
}

impl Pass for Moments<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let (mut mean, mut squares) = ([0.0; N], [0.0; N]);
        for pixel in self.row.chunks_exact(self.channels) {
            let x = &pixel[first..][..N];
            for i in 0..N {
                mean[i] += x[i];
            }
        }
        let count = (self.row.len() / self.channels) as f32;
        for mean in &mut mean {
            *mean /= count;
        }
        for pixel in self.row.chunks_exact(self.channels) {
            let x = &pixel[first..][..N];
            for i in 0..N {
                squares[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
            }
        }
        self.out[first..][..N].copy_from_slice(&mean);
        self.out[self.channels + first..][..N].copy_from_slice(&squares);
    }
}

impl Normalisation {
    /// Computes the normalisation from the [`row_moments`] of every row of pixels, in order.
    pub fn new(
        grid: Grid,
        statistics: &Statistics,
        moments: &[Vec<f32>],
        gamma: &[f32],
        beta: &[f32],
        epsilon: f64,
    ) -> Self {
        let channels = gamma.len();
        let (mean, variance, depends_on_values) = match statistics {
            Statistics::Fixed { mean, variance } => (mean.clone(), variance.clone(), false),
            Statistics::None => (vec![0.0; channels], vec![1.0; channels], false),
            Statistics::Batch | Statistics::Image => {
                let rows = if matches!(statistics, Statistics::Batch) { moments.len() } else { grid.height };
                let groups = moments.chunks(rows.max(1)).map(|m| merge(m, grid.width, channels));
                let (mean, variance): (Vec<_>, Vec<_>) = groups.unzip();
                (mean.concat(), variance.concat(), true)
            }
        };
        let none = matches!(statistics, Statistics::None);
        let inverse: Vec<f32> =
            variance.iter().map(|&v| if none { 1.0 } else { 1.0 / (f64::from(v) + epsilon).sqrt() as f32 }).collect();
        let scale: Vec<f32> = inverse.iter().enumerate().map(|(i, v)| v * gamma[i % channels]).collect();
        let shift = (0..scale.len()).map(|i| beta[i % channels] - mean[i] * scale[i]).collect();
        Self { scale, shift, mean, variance, inverse, depends_on_values }
    }

    /// The activation for a convolution that reads the values before the normalisation.
    pub fn activation(&self) -> Activation<'_> {
        Activation { scale: &self.scale, shift: &self.shift }
    }

    /// `max(0, scale z + shift)`.
    pub fn apply(&self, cpu: Cpu, grid: Grid, z: &[f32], channels: usize) -> Vec<f32> {
        let mut out = zeros(z.len());
        let size = PIECE.min(grid.area()) * channels;
        let images = out.par_chunks_mut(grid.area() * channels).zip(z.par_chunks(grid.area() * channels)).enumerate();
        images.for_each(|(image, (out, z))| {
            let (scale, shift) = self.of(image, channels);
            out.par_chunks_mut(size).zip(z.par_chunks(size)).for_each(|(to, from)| {
                channels::run(cpu, channels, Activate { from, scale, shift, to, channels, offset: 0 });
            });
        });
        out
    }

    /// [`Self::apply`] in place.
    pub fn apply_in_place(&self, cpu: Cpu, grid: Grid, z: &mut [f32], channels: usize) {
        let size = PIECE.min(grid.area()) * channels;
        z.par_chunks_mut(grid.area() * channels).enumerate().for_each(|(image, z)| {
            let (scale, shift) = self.of(image, channels);
            let activation = Activation { scale, shift };
            z.par_chunks_mut(size).for_each(|values| {
                channels::run(cpu, channels, ActivateInPlace { values, activation });
            });
        });
    }

    fn of(&self, image: usize, channels: usize) -> (&[f32], &[f32]) {
        let own = self.group(image, channels);
        (&self.scale[own..own + channels], &self.shift[own..own + channels])
    }

    fn group(&self, image: usize, channels: usize) -> usize {
        if self.scale.len() > channels { image * channels } else { 0 }
    }

    /// Gradients, given `dy`, the gradient of the values after the `ReLU`. `dy` becomes `dz` in place.
    pub fn backward(&self, cpu: Cpu, grid: Grid, z: &[f32], mut dy: Vec<f32>, channels: usize) -> NormGradient {
        let image_size = grid.area() * channels;
        let size = PIECE.min(grid.area()) * channels;
        let images = dy.par_chunks_mut(image_size).zip(z.par_chunks(image_size)).enumerate();
        // Per image and piece: sums of dy' and of dy' x, where dy' is the gradient before the ReLU and x the normalised value.
        let sums: Vec<Vec<Vec<f32>>> = images
            .map(|(image, (dy, z))| {
                let pieces = dy.par_chunks_mut(size).zip(z.par_chunks(size));
                pieces.map(|(dy, z)| self.backward_relu(cpu, image, dy, z, channels)).collect()
            })
            .collect();
        let groups = self.scale.len() / channels;
        let mut total = vec![0.0f64; groups * 2 * channels];
        for (image, pieces) in sums.iter().enumerate() {
            let to = &mut total[self.group(image, channels) * 2..][..2 * channels];
            for piece in pieces {
                to.iter_mut().zip(piece).for_each(|(to, &x)| *to += f64::from(x));
            }
        }
        let count = (grid.pixels() / groups) as f64;
        dy.par_chunks_mut(image_size).zip(z.par_chunks(image_size)).enumerate().for_each(|(image, (dy, z))| {
            let own = self.group(image, channels);
            // dz = scale (dy' - mean dy' - x mean(dy' x)) = scale dy' + slope z + constant
            let slope: Vec<f32> = (0..channels)
                .map(|c| {
                    let of_x = if self.depends_on_values { total[own * 2 + channels + c] / count } else { 0.0 };
                    -(self.scale[own + c] * self.inverse[own + c]) * of_x as f32
                })
                .collect();
            let constant: Vec<f32> = (0..channels)
                .map(|c| {
                    let of_dy = if self.depends_on_values { total[own * 2 + c] / count } else { 0.0 };
                    -self.scale[own + c] * of_dy as f32 - slope[c] * self.mean[own + c]
                })
                .collect();
            let scale = &self.scale[own..own + channels];
            dy.par_chunks_mut(size).zip(z.par_chunks(size)).for_each(|(dy, z)| {
                channels::run(cpu, channels, AffineGradient { dy, z, scale, slope: &slope, constant: &constant });
            });
        });
        let over_groups = |of: usize| {
            (0..channels).map(|c| (0..groups).map(|g| total[(2 * g + of) * channels + c]).sum::<f64>() as f32).collect()
        };
        NormGradient { dz: dy, gamma: over_groups(1), beta: over_groups(0) }
    }

    /// Sets `dy` to 0 where the `ReLU` is inactive and returns the sums of `dy` and `dy x`, `[2, C]`.
    fn backward_relu(&self, cpu: Cpu, image: usize, dy: &mut [f32], z: &[f32], channels: usize) -> Vec<f32> {
        let own = self.group(image, channels);
        let (scale, shift) = self.of(image, channels);
        let (mean, inverse) = (&self.mean[own..own + channels], &self.inverse[own..own + channels]);
        let sums = vec![0.0; 2 * channels];
        channels::run(cpu, channels, BackwardRelu { dy, z, scale, shift, mean, inverse, sums }).sums
    }
}

struct BackwardRelu<'a> {
    dy: &'a mut [f32],
    z: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
    inverse: &'a [f32],
    sums: Vec<f32>,
}

impl Pass for BackwardRelu<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let [scale, shift, mean, inverse] =
            [self.scale, self.shift, self.mean, self.inverse].map(|values| some::<N>(values, first));
        let channels = self.scale.len();
        let (mut sum, mut product) = ([0.0; N], [0.0; N]);
        for (dy, z) in self.dy.chunks_exact_mut(channels).zip(self.z.chunks_exact(channels)) {
            let (dy, z) = (&mut dy[first..][..N], &z[first..][..N]);
            for i in 0..N {
                let gradient = if scale[i] * z[i] + shift[i] > 0.0 { dy[i] } else { 0.0 };
                dy[i] = gradient;
                sum[i] += gradient;
                product[i] += gradient * (z[i] - mean[i]);
            }
        }
        for i in 0..N {
            self.sums[first + i] = sum[i];
            self.sums[channels + first + i] = product[i] * inverse[i];
        }
    }
}

/// `dy = scale dy + slope z + constant`.
struct AffineGradient<'a> {
    dy: &'a mut [f32],
    z: &'a [f32],
    scale: &'a [f32],
    slope: &'a [f32],
    constant: &'a [f32],
}

impl Pass for AffineGradient<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let [scale, slope, constant] = [self.scale, self.slope, self.constant].map(|values| some::<N>(values, first));
        let channels = self.scale.len();
        for (dy, z) in self.dy.chunks_exact_mut(channels).zip(self.z.chunks_exact(channels)) {
            let (dy, z) = (&mut dy[first..][..N], &z[first..][..N]);
            for i in 0..N {
                dy[i] = scale[i] * dy[i] + slope[i] * z[i] + constant[i];
            }
        }
    }
}

/// `max(0, x)` that propagates NaN, so that the loss reveals it.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if 0.0 > x { 0.0 } else { x }
}

/// `max(0, scale x + shift)` of pixels, into pixels of `channels` channels, starting at channel `offset`.
pub(super) struct Activate<'a> {
    /// `[pixels, C]`.
    pub from: &'a [f32],
    /// `[C]`.
    pub scale: &'a [f32],
    /// `[C]`.
    pub shift: &'a [f32],
    /// `[pixels, channels]`.
    pub to: &'a mut [f32],
    pub channels: usize,
    pub offset: usize,
}

impl Pass for Activate<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let [scale, shift] = [self.scale, self.shift].map(|values| some::<N>(values, first));
        let own = self.scale.len();
        for (to, from) in self.to.chunks_exact_mut(self.channels).zip(self.from.chunks_exact(own)) {
            let (to, from) = (&mut to[self.offset + first..][..N], &from[first..][..N]);
            for i in 0..N {
                to[i] = relu(scale[i] * from[i] + shift[i]);
            }
        }
    }
}

/// [`Activate`] in place.
pub(super) struct ActivateInPlace<'a> {
    /// `[pixels, C]`.
    pub values: &'a mut [f32],
    /// `[C]` each.
    pub activation: Activation<'a>,
}

impl Pass for ActivateInPlace<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let Activation { scale, shift } = self.activation;
        let channels = scale.len();
        let [scale, shift] = [scale, shift].map(|values| some::<N>(values, first));
        for pixel in self.values.chunks_exact_mut(channels) {
            let x = &mut pixel[first..][..N];
            for i in 0..N {
                x[i] = relu(scale[i] * x[i] + shift[i]);
            }
        }
    }
}

/// Merges the moments of rows of `width` pixels into mean and biased variance.
fn merge(rows: &[Vec<f32>], width: usize, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let count = rows.len() as f64;
    let merged = |c: usize| {
        let mean = rows.iter().map(|r| f64::from(r[c])).sum::<f64>() / count;
        let within = rows.iter().map(|r| f64::from(r[channels + c])).sum::<f64>();
        let between = rows.iter().map(|r| (f64::from(r[c]) - mean).powi(2)).sum::<f64>() * width as f64;
        (mean as f32, ((within + between) / (count * width as f64)) as f32)
    };
    (0..channels).map(merged).unzip()
}

/// Sums of the columns of `values`, `[rows, columns]`.
pub(super) fn column_sums(cpu: Cpu, values: &[f32], columns: usize) -> Vec<f32> {
    let one = |values| channels::run(cpu, columns, Sums { values, sums: vec![0.0; columns] }).sums;
    let pieces: Vec<Vec<f32>> = values.par_chunks(PIECE * columns).map(one).collect();
    (0..columns).map(|c| pieces.iter().map(|p| f64::from(p[c])).sum::<f64>() as f32).collect()
}

struct Sums<'a> {
    values: &'a [f32],
    sums: Vec<f32>,
}

impl Pass for Sums<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let mut sum = [0.0; N];
        for row in self.values.chunks_exact(self.sums.len()) {
            let x = &row[first..][..N];
            for i in 0..N {
                sum[i] += x[i];
            }
        }
        self.sums[first..][..N].copy_from_slice(&sum);
    }
}
