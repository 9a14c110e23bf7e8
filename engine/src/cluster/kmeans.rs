//! k-means with two centres as in scikit-learn: greedy k-means++, Lloyd to convergence, best of `n_init` starts.
//!
//! With two centres, the sign of one dot product with their difference gives the nearer centre, and the sum of one
//! cluster gives that of the other. Points are centred, scaled by a power of two (to avoid overflow) and padded to whole
//! SIMD lanes; the best start is refined in f64 on the original values.

use rand::RngExt;

use crate::seed::Stream;

/// Lanes of the inner loops. The compiler vectorises them into two accumulators of the widest common registers.
const LANES: usize = 16;

/// Settings of [`kmeans`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KmeansOptions {
    /// Number of starts. The one with the lowest inertia wins.
    pub n_init: usize,
    /// Maximum iterations per start.
    pub max_iter: usize,
    /// A start ends when the squared shift of its centres is at most this fraction of the mean feature variance.
    pub tolerance: f64,
}

/// Result of [`kmeans`].
#[derive(Clone, Debug, PartialEq)]
pub struct Kmeans {
    /// Cluster of each point, 0 or 1; both occur.
    pub labels: Vec<u8>,
    /// Means of the two clusters, `[D]` each.
    pub centres: [Vec<f64>; 2],
    /// Sum of squared distances of the points to their centres.
    pub inertia: f64,
}

/// Clusters finite `points` `[n][d]`; `None` if fewer than two are distinct.
///
/// The result is a fixed point of Lloyd's iteration in f64: each point belongs to its nearer centre.
pub fn kmeans(points: &[f32], d: usize, options: &KmeansOptions, stream: &mut Stream) -> Option<Kmeans> {
    let first = points.get(..d).filter(|_| d > 0)?;
    if points.chunks_exact(d).all(|point| point == first) {
        return None;
    }
    let data = ScaledPoints::new(points, d);
    let mut scratch = Scratch::new(&data);
    let mut best: Option<(f64, Vec<u8>)> = None;
    for _ in 0..options.n_init.max(1) {
        let Some(inertia) = data.start(options, stream, &mut scratch) else { continue };
        if best.as_ref().is_none_or(|(lowest, _)| inertia < *lowest) {
            best = Some((inertia, scratch.labels.clone()));
        }
    }
    best.map(|(_, labels)| finish(points, d, labels, options.max_iter))
}

/// Points centred at their mean and scaled to about [-1, 1], rows zero-padded to whole lanes.
struct ScaledPoints {
    rows: Vec<f32>,
    width: usize,
    n: usize,
    total: Vec<f64>,
    squares: f64,
    mean_variance: f64,
}

/// Buffers of one start; `labels` is its result.
struct Scratch {
    labels: Vec<u8>,
    sum: Vec<f64>,
    centres: [Vec<f64>; 2],
    difference: Vec<f32>,
    closest: Vec<f32>,
    candidates: [Vec<f32>; 2],
}

impl Scratch {
    fn new(data: &ScaledPoints) -> Self {
        let (n, width) = (data.n, data.width);
        Self {
            labels: vec![0; n],
            sum: vec![0.0; width],
            centres: [vec![0.0; width], vec![0.0; width]],
            difference: vec![0.0; width],
            closest: vec![0.0; n],
            candidates: [vec![0.0; n], vec![0.0; n]],
        }
    }
}

impl ScaledPoints {
    fn new(points: &[f32], d: usize) -> Self {
        let n = points.len() / d;
        let width = d.next_multiple_of(LANES);
        let mut mean = vec![0.0f64; d];
        for point in points.chunks_exact(d) {
            for (mean, v) in mean.iter_mut().zip(point) {
                *mean += f64::from(*v);
            }
        }
        for mean in &mut mean {
            *mean /= n as f64;
        }
        let largest = points
            .chunks_exact(d)
            .flat_map(|point| point.iter().zip(&mean).map(|(v, mean)| (f64::from(*v) - mean).abs()))
            .fold(0.0, f64::max);
        let scale = (-largest.log2().ceil()).exp2();
        let mut rows = vec![0.0f32; n * width];
        let (mut total, mut squares) = (vec![0.0f64; width], 0.0f64);
        for (row, point) in rows.chunks_exact_mut(width).zip(points.chunks_exact(d)) {
            for (((to, v), mean), total) in row.iter_mut().zip(point).zip(&mean).zip(&mut total) {
                *to = ((f64::from(*v) - mean) * scale) as f32;
                *total += f64::from(*to);
                squares += f64::from(*to) * f64::from(*to);
            }
        }
        let mean_variance = squares / (n * d) as f64;
        Self { rows, width, n, total, squares, mean_variance }
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.rows[i * self.width..(i + 1) * self.width]
    }

    /// One start: two seeds, then Lloyd. Leaves the labels in `scratch` and returns the inertia. `None` if a cluster is
    /// empty, which rounding can cause for nearly equal points.
    fn start(&self, options: &KmeansOptions, stream: &mut Stream, scratch: &mut Scratch) -> Option<f64> {
        let seeds = self.seeds(stream, scratch);
        for (centre, seed) in scratch.centres.iter_mut().zip(seeds) {
            centre.iter_mut().zip(self.row(seed)).for_each(|(to, v)| *to = f64::from(*v));
        }
        scratch.labels.fill(0);
        scratch.sum.fill(0.0);
        let mut members = 0usize;
        for iteration in 0..options.max_iter.max(1) {
            let changed = self.assign(scratch, &mut members);
            if members == 0 || members == self.n {
                return None;
            }
            if changed == 0 && iteration > 0 {
                break;
            }
            if self.recentre(scratch, members) <= options.tolerance * self.mean_variance {
                self.assign(scratch, &mut members);
                break;
            }
        }
        if members == 0 || members == self.n {
            return None;
        }
        // Sum of squares about the means: total sum of squares minus the part explained by the means.
        let (ones, zeros) = (members as f64, (self.n - members) as f64);
        let explained: f64 = scratch
            .sum
            .iter()
            .zip(&self.total)
            .map(|(one, total)| one * one / ones + (total - one) * (total - one) / zeros)
            .sum();
        Some(self.squares - explained)
    }

    /// Greedy k-means++: a random point, then the better of two candidates drawn by squared distance. scikit-learn tries
    /// 2 + ln k candidates, also two for k = 2.
    fn seeds(&self, stream: &mut Stream, scratch: &mut Scratch) -> [usize; 2] {
        let first = stream.random_range(0..self.n);
        let mut sum = 0.0;
        for (i, closest) in scratch.closest.iter_mut().enumerate() {
            *closest = squared(self.row(i), self.row(first));
            sum += f64::from(*closest);
        }
        let draws: [f64; 2] = [stream.random(), stream.random()];
        let mut best = (f64::INFINITY, first);
        for (draw, left) in draws.into_iter().zip(&mut scratch.candidates) {
            let candidate = weighted(&scratch.closest, draw * sum);
            let mut potential = 0.0;
            for (i, left) in left.iter_mut().enumerate() {
                *left = squared(self.row(i), self.row(candidate)).min(scratch.closest[i]);
                potential += f64::from(*left);
            }
            if potential < best.0 {
                best = (potential, candidate);
            }
        }
        [first, best.1]
    }

    /// Assigns each point to its nearer centre (ties to 0), updates the sum of cluster 1, and returns how many changed.
    fn assign(&self, scratch: &mut Scratch, members: &mut usize) -> usize {
        let [zero, one] = &scratch.centres;
        let mut threshold = 0.0f64;
        for ((to, one), zero) in scratch.difference.iter_mut().zip(one).zip(zero) {
            *to = (one - zero) as f32;
            threshold += one * one - zero * zero;
        }
        let threshold = (threshold / 2.0) as f32;
        let mut changed = 0;
        for (row, label) in self.rows.chunks_exact(self.width).zip(&mut scratch.labels) {
            let new = u8::from(dot(row, &scratch.difference) > threshold);
            if new == *label {
                continue;
            }
            *label = new;
            changed += 1;
            let sign = if new == 1 { 1.0 } else { -1.0 };
            *members = if new == 1 { *members + 1 } else { *members - 1 };
            for (sum, v) in scratch.sum.iter_mut().zip(row) {
                *sum += sign * f64::from(*v);
            }
        }
        changed
    }

    /// Moves the centres to their cluster means and returns the sum of both squared shifts.
    fn recentre(&self, scratch: &mut Scratch, members: usize) -> f64 {
        let (ones, zeros) = (1.0 / members as f64, 1.0 / (self.n - members) as f64);
        let [zero, one] = &mut scratch.centres;
        let mut shift = 0.0;
        for (((zero, one), sum), total) in zero.iter_mut().zip(one).zip(&scratch.sum).zip(&self.total) {
            let (new_one, new_zero) = (sum * ones, (total - sum) * zeros);
            shift += (new_one - *one).powi(2) + (new_zero - *zero).powi(2);
            (*one, *zero) = (new_one, new_zero);
        }
        shift
    }
}

/// The first index of nonzero weight at which the running sum of `weights` exceeds `position`.
fn weighted(weights: &[f32], position: f64) -> usize {
    let (mut sum, mut last) = (0.0, 0);
    for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        sum += f64::from(*weight);
        last = i;
        if sum > position {
            break;
        }
    }
    last
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    reduce(lanes)
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            lanes[lane] += difference * difference;
        }
    }
    reduce(lanes)
}

/// Sums the lanes as a tree, so that the halves are added as SIMD vectors.
fn reduce(lanes: [f32; LANES]) -> f32 {
    let mut half = [0.0f32; LANES / 2];
    for lane in 0..LANES / 2 {
        half[lane] = lanes[lane] + lanes[lane + LANES / 2];
    }
    (half[0] + half[4]) + (half[1] + half[5]) + ((half[2] + half[6]) + (half[3] + half[7]))
}

/// Lloyd's iteration in f64 from `labels` until nothing changes, so that labels do not depend on rounding in the f32
/// passes. An equidistant point keeps its label.
fn finish(points: &[f32], d: usize, mut labels: Vec<u8>, max_iter: usize) -> Kmeans {
    let mut centres = means(points, d, &labels);
    let mut inertia = 0.0;
    for _ in 0..max_iter.max(1) {
        let mut next = labels.clone();
        inertia = 0.0;
        for (label, point) in next.iter_mut().zip(points.chunks_exact(d)) {
            let [zero, one] = [squared_to(point, &centres[0]), squared_to(point, &centres[1])];
            if one < zero {
                *label = 1;
            } else if zero < one {
                *label = 0;
            }
            inertia += zero.min(one);
        }
        let ones: usize = next.iter().map(|label| usize::from(*label)).sum();
        if next == labels || ones == 0 || ones == next.len() {
            break;
        }
        labels = next;
        centres = means(points, d, &labels);
    }
    Kmeans { labels, centres, inertia }
}

/// Means of the points labelled 0 and 1; zeros for a label without points.
pub(super) fn means(points: &[f32], d: usize, labels: &[u8]) -> [Vec<f64>; 2] {
    let mut sums = [vec![0.0f64; d], vec![0.0f64; d]];
    let mut counts = [0.0f64; 2];
    for (point, label) in points.chunks_exact(d).zip(labels) {
        let which = usize::from(*label == 1);
        counts[which] += 1.0;
        for (sum, v) in sums[which].iter_mut().zip(point) {
            *sum += f64::from(*v);
        }
    }
    for (sum, count) in sums.iter_mut().zip(counts) {
        for sum in sum {
            *sum /= count.max(1.0);
        }
    }
    sums
}

/// Squared Euclidean distance of a point to a centre, in f64.
pub(super) fn squared_to(point: &[f32], centre: &[f64]) -> f64 {
    let mut lanes = [0.0f64; 4];
    let (points, point_rest) = point.as_chunks::<4>();
    let (centres, centre_rest) = centre.as_chunks::<4>();
    for (p, c) in points.iter().zip(centres) {
        for lane in 0..4 {
            let difference = f64::from(p[lane]) - c[lane];
            lanes[lane] += difference * difference;
        }
    }
    let rest: f64 = point_rest.iter().zip(centre_rest).map(|(p, c)| (f64::from(*p) - c).powi(2)).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}
