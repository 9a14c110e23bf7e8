//! Exact t-SNE to two dimensions (van der Maaten and Hinton, 2008) as in scikit-learn. Deterministic: it starts from the
//! first two principal components.

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
    let mut y = principal(points, d, n);
    let exaggerated = (options.iterations / 2).min(250);
    descend(&mut y, &affinities, exaggerated, 12.0, 0.5);
    descend(&mut y, &affinities, options.iterations - exaggerated, 1.0, 0.8);
    let [x, y] = y;
    x.into_iter().zip(y).flat_map(|(x, y)| [x, y]).map(|v| if v.is_finite() { v as f32 } else { 0.0 }).collect()
}

/// Joint probabilities `[n][n]` of Gaussians with the given perplexity, symmetrised to sum 1.
pub(super) fn affinities(points: &[f32], d: usize, n: usize, perplexity: f64) -> Vec<f64> {
    let mut p = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let distance = squared_between(&points[i * d..(i + 1) * d], &points[j * d..(j + 1) * d]);
            p[i * n + j] = distance;
            p[j * n + i] = distance;
        }
    }
    // Only ratios of distances matter. A scale near 1 keeps the bisection of the precision in range, and as a power of two it
    // leaves the sequence of bisections unchanged.
    let mean = p.iter().sum::<f64>() / p.len() as f64;
    let scale = (-mean.max(f64::MIN_POSITIVE).log2().round()).exp2();
    let mut squared = vec![0.0; n];
    for (i, row) in p.chunks_exact_mut(n).enumerate() {
        squared.iter_mut().zip(&*row).for_each(|(to, v)| *to = v * scale);
        gaussian_row(row, &squared, i, perplexity.ln());
    }
    for i in 0..n {
        for j in 0..=i {
            let joint = ((p[i * n + j] + p[j * n + i]) / (2.0 * n as f64)).max(f64::EPSILON);
            p[i * n + j] = joint;
            p[j * n + i] = joint;
        }
    }
    p
}

/// Fills `row` with conditional probabilities of entropy `entropy` (nats) by bisecting the precision, to the tolerance of
/// scikit-learn.
fn gaussian_row(row: &mut [f64], squared: &[f64], own: usize, entropy: f64) {
    let nearest = squared.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, v)| *v).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut precision) = (0.0f64, f64::INFINITY, 1.0f64);
    for _ in 0..100 {
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
        if excess.abs() <= 1e-5 {
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
fn principal(points: &[f32], d: usize, n: usize) -> [Vec<f64>; 2] {
    let mut mean = vec![0.0; d];
    for point in points.chunks_exact(d) {
        mean.iter_mut().zip(point).for_each(|(mean, v)| *mean += f64::from(*v) / n as f64);
    }
    let mut centred: Vec<Vec<f64>> =
        points.chunks_exact(d).map(|point| point.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect()).collect();
    let mut y = [0, 1].map(|_| {
        let axis = leading_axis(&centred, d);
        let along_axis = |row: &mut Vec<f64>| {
            let along: f64 = row.iter().zip(&axis).map(|(v, a)| v * a).sum();
            row.iter_mut().zip(&axis).for_each(|(v, a)| *v -= along * a);
            along
        };
        centred.iter_mut().map(along_axis).collect::<Vec<f64>>()
    });
    let deviation = (y[0].iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
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

/// Moves the coordinates `y` by gradient descent with momentum and adaptive gains, starting at rest.
fn descend(y: &mut [Vec<f64>; 2], affinities: &[f64], steps: usize, exaggeration: f64, momentum: f64) {
    let n = y[0].len();
    // scikit-learn's automatic learning rate.
    let rate = (n as f64 / 12.0 / 4.0).max(50.0);
    let (mut velocity, mut gain) = (vec![[0.0f64; 2]; n], vec![[1.0f64; 2]; n]);
    for _ in 0..steps {
        let forces: Vec<Forces> = affinities.chunks_exact(n).enumerate().map(|(i, row)| forces(row, y, i)).collect();
        let norm = 1.0 / forces.iter().map(|forces| forces.kernel).sum::<f64>().max(1e-300);
        for (i, forces) in forces.into_iter().enumerate() {
            for axis in 0..2 {
                let gradient = 4.0 * (exaggeration * forces.attraction[axis] - norm * forces.repulsion[axis]);
                let (velocity, gain) = (&mut velocity[i][axis], &mut gain[i][axis]);
                *gain = if *velocity * gradient < 0.0 { *gain + 0.2 } else { (*gain * 0.8).max(0.01) };
                *velocity = momentum * *velocity - rate * *gain * gradient;
                y[axis][i] += *velocity;
            }
        }
    }
}

/// Forces of all points j on point i: the sums of p k (y_i - y_j), of k^2 (y_i - y_j) and, over j other than i, of k, where
/// k = 1 / (1 + |y_i - y_j|^2).
struct Forces {
    attraction: [f64; 2],
    repulsion: [f64; 2],
    kernel: f64,
}

fn forces(affinities: &[f64], [xs, ys]: &[Vec<f64>; 2], i: usize) -> Forces {
    let mut sums = Forces { attraction: [0.0; 2], repulsion: [0.0; 2], kernel: -1.0 };
    for ((p, x), y) in affinities.iter().zip(xs).zip(ys) {
        let (dx, dy) = (xs[i] - x, ys[i] - y);
        let kernel = 1.0 / (1.0 + dx * dx + dy * dy);
        let (pull, push) = (p * kernel, kernel * kernel);
        sums.attraction[0] += pull * dx;
        sums.attraction[1] += pull * dy;
        sums.repulsion[0] += push * dx;
        sums.repulsion[1] += push * dy;
        sums.kernel += kernel;
    }
    sums
}
