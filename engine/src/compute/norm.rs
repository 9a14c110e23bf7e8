//! Normalisation with `ReLU`: statistics, and gradients through both in one pass.

use rayon::prelude::*;

use super::conv::Activation;
use super::grid::Grid;

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
    Fixed {
        /// Means.
        mean: Vec<f32>,
        /// Variances.
        variance: Vec<f32>,
    },
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
    /// Means.
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
pub(super) fn row_moments(row: &[f32], channels: usize) -> Vec<f32> {
    let mut moments = vec![0.0; 2 * channels];
    let (mean, squares) = moments.split_at_mut(channels);
    for pixel in row.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(m, x)| *m += x);
    }
    let count = (row.len() / channels) as f32;
    mean.iter_mut().for_each(|m| *m /= count);
    for pixel in row.chunks_exact(channels) {
        for ((s, &m), &x) in squares.iter_mut().zip(&*mean).zip(pixel) {
            *s += (x - m) * (x - m);
        }
    }
    moments
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
    pub fn apply(&self, grid: Grid, z: &[f32], channels: usize) -> Vec<f32> {
        let mut out = vec![0.0; z.len()];
        let size = PIECE.min(grid.area()) * channels;
        let images = out.par_chunks_mut(grid.area() * channels).zip(z.par_chunks(grid.area() * channels)).enumerate();
        images.for_each(|(image, (out, z))| {
            let (scale, shift) = self.of(image, channels);
            out.par_chunks_mut(size).zip(z.par_chunks(size)).for_each(|(out, z)| activate(out, z, scale, shift));
        });
        out
    }

    fn of(&self, image: usize, channels: usize) -> (&[f32], &[f32]) {
        let own = self.group(image, channels);
        (&self.scale[own..own + channels], &self.shift[own..own + channels])
    }

    fn group(&self, image: usize, channels: usize) -> usize {
        if self.scale.len() > channels { image * channels } else { 0 }
    }

    /// Gradients, given `dy`, the gradient of the values after the `ReLU`. `dy` becomes `dz` in place.
    pub fn backward(&self, grid: Grid, z: &[f32], mut dy: Vec<f32>, channels: usize) -> NormGradient {
        let image_size = grid.area() * channels;
        let size = PIECE.min(grid.area()) * channels;
        let images = dy.par_chunks_mut(image_size).zip(z.par_chunks(image_size)).enumerate();
        // Per image and piece: sums of dy' and of dy' x, where dy' is the gradient before the ReLU and x the normalised value.
        let sums: Vec<Vec<Vec<f32>>> = images
            .map(|(image, (dy, z))| {
                let pieces = dy.par_chunks_mut(size).zip(z.par_chunks(size));
                pieces.map(|(dy, z)| self.backward_relu(image, dy, z, channels)).collect()
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
                for (dy, z) in dy.chunks_exact_mut(channels).zip(z.chunks_exact(channels)) {
                    let terms = scale.iter().zip(&slope).zip(&constant);
                    for ((dy, &z), ((&scale, &slope), &constant)) in dy.iter_mut().zip(z).zip(terms) {
                        *dy = scale * *dy + slope * z + constant;
                    }
                }
            });
        });
        let over_groups = |of: usize| {
            (0..channels).map(|c| (0..groups).map(|g| total[(2 * g + of) * channels + c]).sum::<f64>() as f32).collect()
        };
        NormGradient { dz: dy, gamma: over_groups(1), beta: over_groups(0) }
    }

    /// Sets `dy` to 0 where the `ReLU` is inactive and returns the sums of `dy` and `dy x`, `[2, C]`.
    fn backward_relu(&self, image: usize, dy: &mut [f32], z: &[f32], channels: usize) -> Vec<f32> {
        let own = self.group(image, channels);
        let (scale, shift) = self.of(image, channels);
        let (mean, inverse) = (&self.mean[own..own + channels], &self.inverse[own..own + channels]);
        let mut sums = vec![0.0; 2 * channels];
        let (sum, product) = sums.split_at_mut(channels);
        for (dy, z) in dy.chunks_exact_mut(channels).zip(z.chunks_exact(channels)) {
            let constants = scale.iter().zip(shift).zip(mean);
            let to = sum.iter_mut().zip(product.iter_mut());
            for (((dy, &z), ((&scale, &shift), &mean)), (sum, product)) in dy.iter_mut().zip(z).zip(constants).zip(to) {
                let kept = if scale * z + shift > 0.0 { *dy } else { 0.0 };
                *dy = kept;
                *sum += kept;
                *product += kept * (z - mean);
            }
        }
        product.iter_mut().zip(inverse).for_each(|(p, i)| *p *= i);
        sums
    }
}

/// `max(0, x)` that propagates NaN, so that the loss reveals it.
#[inline]
pub(super) fn relu(x: f32) -> f32 {
    if 0.0 > x { 0.0 } else { x }
}

/// `max(0, scale z + shift)` per channel.
fn activate(out: &mut [f32], z: &[f32], scale: &[f32], shift: &[f32]) {
    let channels = scale.len();
    for (out, z) in out.chunks_exact_mut(channels).zip(z.chunks_exact(channels)) {
        for (((out, &z), &scale), &shift) in out.iter_mut().zip(z).zip(scale).zip(shift) {
            *out = relu(scale * z + shift);
        }
    }
}

/// [`activate`] in place.
pub(super) fn activate_in_place(values: &mut [f32], activation: Activation<'_>, channels: usize) {
    for pixel in values.chunks_exact_mut(channels) {
        for ((x, &scale), &shift) in pixel.iter_mut().zip(activation.scale).zip(activation.shift) {
            *x = relu(scale * *x + shift);
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

/// Column sums.
pub(super) fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let pieces: Vec<Vec<f32>> = values
        .par_chunks(PIECE * columns)
        .map(|piece| {
            let mut sum = vec![0.0; columns];
            for row in piece.chunks_exact(columns) {
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
            }
            sum
        })
        .collect();
    (0..columns).map(|c| pieces.iter().map(|p| f64::from(p[c])).sum::<f64>() as f32).collect()
}
