//! Exact t-SNE to two dimensions (van der Maaten and Hinton, 2008). Deterministic: it starts from the first two
//! principal components.

use super::ward::squared_between;

/// Settings of [`tsne`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TsneOptions {
    /// Effective number of neighbours, clamped to 1 to (n - 1) / 3.
    pub perplexity: f64,
    /// Gradient steps. Early exaggeration by 12 lasts half of them, at most 250.
    pub iterations: usize,
}

/// Embeds `points` `[n][d]` as `[n][2]`, all finite. Scale and position are arbitrary.
pub fn tsne(points: &[f32], d: usize, options: &TsneOptions) -> Vec<f32> {
    if d == 0 {
        return Vec::new();
    }
    let n = points.len() / d;
    if n < 3 {
        return (0..n).flat_map(|i| [i as f32, 0.0]).collect();
    }
    let affinities = affinities(points, d, n, options.perplexity.min((n as f64 - 1.0) / 3.0).max(1.0));
    let mut state = GradientDescent::new(principal(points, d, n));
    let exaggerated = (options.iterations / 2).min(250);
    for iteration in 0..options.iterations {
        let early = iteration < exaggerated;
        state.step(&affinities, if early { 12.0 } else { 1.0 }, if early { 0.5 } else { 0.8 });
    }
    state.y.iter().flatten().map(|v| if v.is_finite() { *v as f32 } else { 0.0 }).collect()
}

/// Joint probabilities `[n][n]` of Gaussians with the given perplexity, symmetrised to sum 1.
fn affinities(points: &[f32], d: usize, n: usize, perplexity: f64) -> Vec<f64> {
    let mut squared = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let distance = squared_between(&points[i * d..(i + 1) * d], &points[j * d..(j + 1) * d]);
            squared[i * n + j] = distance;
            squared[j * n + i] = distance;
        }
    }
    // Only ratios of distances matter. Normalising keeps the bisection of the width in range.
    let mean = squared.iter().sum::<f64>() / squared.len() as f64;
    for v in &mut squared {
        *v /= mean.max(f64::MIN_POSITIVE);
    }
    let mut p = vec![0.0; n * n];
    for (i, (row, squared)) in p.chunks_exact_mut(n).zip(squared.chunks_exact(n)).enumerate() {
        gaussian_row(row, squared, i, perplexity.ln());
    }
    let mut joint = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            joint[i * n + j] = ((p[i * n + j] + p[j * n + i]) / (2.0 * n as f64)).max(1e-12);
        }
    }
    joint
}

/// Fills `row` with conditional probabilities of entropy `entropy` (nats) by bisecting the precision.
fn gaussian_row(row: &mut [f64], squared: &[f64], own: usize, entropy: f64) {
    let nearest = squared.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, v)| *v).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut precision) = (0.0f64, f64::INFINITY, 1.0f64);
    for _ in 0..64 {
        let (mut sum, mut moment) = (0.0, 0.0);
        for (j, (to, v)) in row.iter_mut().zip(squared).enumerate() {
            *to = if j == own { 0.0 } else { (-(v - nearest) * precision).exp() };
            sum += *to;
            moment += *to * (v - nearest);
        }
        for v in row.iter_mut() {
            *v /= sum;
        }
        let excess = sum.ln() + precision * moment / sum - entropy;
        if excess.abs() < 1e-6 {
            break;
        }
        if excess > 0.0 {
            low = precision;
            precision = if high.is_finite() { f64::midpoint(low, high) } else { precision * 2.0 };
        } else {
            high = precision;
            precision = f64::midpoint(low, high);
        }
    }
}

/// Coordinates along the first two principal components, scaled to a standard deviation of 1e-4 along the first.
fn principal(points: &[f32], d: usize, n: usize) -> Vec<[f64; 2]> {
    let mut mean = vec![0.0; d];
    for point in points.chunks_exact(d) {
        mean.iter_mut().zip(point).for_each(|(mean, v)| *mean += f64::from(*v) / n as f64);
    }
    let mut centred: Vec<Vec<f64>> =
        points.chunks_exact(d).map(|point| point.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect()).collect();
    let mut y = vec![[0.0; 2]; n];
    for component in 0..2 {
        let axis = leading_axis(&centred, d);
        for (row, y) in centred.iter_mut().zip(&mut y) {
            let along: f64 = row.iter().zip(&axis).map(|(v, a)| v * a).sum();
            y[component] = along;
            row.iter_mut().zip(&axis).for_each(|(v, a)| *v -= along * a);
        }
    }
    let deviation = (y.iter().map(|y| y[0] * y[0]).sum::<f64>() / n as f64).sqrt();
    let scale = if deviation > 0.0 { 1e-4 / deviation } else { 0.0 };
    for v in y.iter_mut().flatten() {
        *v *= scale;
    }
    y
}

/// Unit vector of largest variance by power iteration, signed so that its largest coordinate is positive.
fn leading_axis(rows: &[Vec<f64>], d: usize) -> Vec<f64> {
    // Starting at the longest row cannot be orthogonal to all of the variance.
    let length = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>();
    let mut axis = vec![0.0; d];
    let mut longest = 0.0;
    for row in rows {
        if length(row) > longest {
            longest = length(row);
            axis.clone_from(row);
        }
    }
    for _ in 0..100 {
        let mut next = vec![0.0; d];
        for row in rows {
            let along: f64 = row.iter().zip(&axis).map(|(v, a)| v * a).sum();
            next.iter_mut().zip(row).for_each(|(to, v)| *to += along * v);
        }
        let norm = length(&next).sqrt();
        if norm.is_nan() || norm <= 0.0 || !norm.is_finite() {
            return vec![0.0; d];
        }
        axis = next.into_iter().map(|v| v / norm).collect();
    }
    let largest = axis.iter().copied().fold(0.0f64, |a, b| if b.abs() > a.abs() { b } else { a });
    if largest < 0.0 {
        for v in &mut axis {
            *v = -*v;
        }
    }
    axis
}

/// Gradient descent with momentum and adaptive gains.
struct GradientDescent {
    y: Vec<[f64; 2]>,
    velocity: Vec<[f64; 2]>,
    gain: Vec<[f64; 2]>,
    kernel: Vec<f64>,
    rate: f64,
}

impl GradientDescent {
    fn new(y: Vec<[f64; 2]>) -> Self {
        let n = y.len();
        // scikit-learn's automatic learning rate.
        let rate = (n as f64 / 12.0 / 4.0).max(50.0);
        Self { y, velocity: vec![[0.0; 2]; n], gain: vec![[1.0; 2]; n], kernel: vec![0.0; n * n], rate }
    }

    fn step(&mut self, affinities: &[f64], exaggeration: f64, momentum: f64) {
        let n = self.y.len();
        let mut sum = 0.0;
        for i in 0..n {
            for j in 0..i {
                let (dx, dy) = (self.y[i][0] - self.y[j][0], self.y[i][1] - self.y[j][1]);
                let value = 1.0 / (1.0 + dx * dx + dy * dy);
                self.kernel[i * n + j] = value;
                self.kernel[j * n + i] = value;
                sum += 2.0 * value;
            }
        }
        let norm = 1.0 / sum.max(1e-300);
        let gradient: Vec<[f64; 2]> = (0..n)
            .map(|i| {
                let mut gradient = [0.0; 2];
                for j in 0..n {
                    let kernel = self.kernel[i * n + j];
                    let weight = 4.0 * (exaggeration * affinities[i * n + j] - kernel * norm) * kernel;
                    gradient[0] += weight * (self.y[i][0] - self.y[j][0]);
                    gradient[1] += weight * (self.y[i][1] - self.y[j][1]);
                }
                gradient
            })
            .collect();
        let moving = self.y.iter_mut().flatten().zip(self.velocity.iter_mut().flatten());
        for (((y, velocity), gain), gradient) in
            moving.zip(self.gain.iter_mut().flatten()).zip(gradient.iter().flatten())
        {
            let same = (*gradient > 0.0) == (*velocity > 0.0);
            *gain = if same { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
            *velocity = momentum * *velocity - self.rate * *gain * gradient;
            *y += *velocity;
        }
    }
}
