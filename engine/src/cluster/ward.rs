//! Agglomerative clustering with Ward's linkage, cut at two clusters.

/// The two clusters joined by the last merge, as labels 0 and 1 of `points` `[n][d]`. Cluster 0 holds the first point.
/// `None` for fewer than two points.
///
/// Nearest-neighbour chain algorithm: O(n^2) time, an n x n matrix of distances. Ties go to the lower index.
pub fn ward(points: &[f32], d: usize) -> Option<Vec<u8>> {
    if d == 0 {
        return None;
    }
    let n = points.len() / d;
    if n < 2 {
        return None;
    }
    let mut merges = chain(Distances::new(points, d, n), n);
    // Chains find merges out of order. The sort is stable, so each merge stays after those it depends on.
    merges.sort_by(|a, b| a.height.total_cmp(&b.height));
    merges.pop();
    let mut parent: Vec<usize> = (0..n).collect();
    for merge in merges {
        let (a, b) = (root(&parent, merge.a), root(&parent, merge.b));
        parent[a.max(b)] = a.min(b);
    }
    let first = root(&parent, 0);
    Some((0..n).map(|i| u8::from(root(&parent, i) != first)).collect())
}

struct Merge {
    a: usize,
    b: usize,
    height: f64,
}

/// Squared Ward distances between clusters. The lowest index among its points identifies a cluster.
struct Distances {
    n: usize,
    values: Vec<f64>,
}

impl Distances {
    fn new(points: &[f32], d: usize, n: usize) -> Self {
        let mut values = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                let distance = squared_between(&points[i * d..(i + 1) * d], &points[j * d..(j + 1) * d]);
                values[i * n + j] = distance;
                values[j * n + i] = distance;
            }
        }
        Self { n, values }
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n + j]
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i * self.n + j] = value;
        self.values[j * self.n + i] = value;
    }
}

/// Squared Euclidean distance between two points, in f64.
pub(super) fn squared_between(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// All n - 1 merges in the order the chains find them.
fn chain(mut distances: Distances, n: usize) -> Vec<Merge> {
    let mut size = vec![1.0f64; n];
    let mut alive: Vec<usize> = (0..n).collect();
    let mut merges = Vec::with_capacity(n - 1);
    let mut chain: Vec<usize> = Vec::with_capacity(n);
    while alive.len() > 1 {
        let Some(top) = chain.last().copied() else {
            chain.push(alive[0]);
            continue;
        };
        // The previous cluster of the chain wins ties, or the chain could cycle.
        let before = chain.len().checked_sub(2).map(|at| chain[at]);
        let mut nearest = before.map(|before| (distances.get(top, before), before));
        for other in alive.iter().copied().filter(|other| *other != top) {
            let distance = distances.get(top, other);
            if nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, other));
            }
        }
        let Some((height, other)) = nearest else { break };
        if before != Some(other) {
            chain.push(other);
            continue;
        }
        chain.truncate(chain.len() - 2);
        let (keep, gone) = (top.min(other), top.max(other));
        alive.retain(|k| *k != gone);
        for k in alive.iter().copied().filter(|k| *k != keep) {
            let together = size[keep] + size[gone] + size[k];
            let joined = ((size[keep] + size[k]) * distances.get(keep, k)
                + (size[gone] + size[k]) * distances.get(gone, k)
                - size[k] * height)
                / together;
            distances.set(keep, k, joined);
        }
        size[keep] += size[gone];
        merges.push(Merge { a: keep, b: gone, height });
    }
    merges
}

fn root(parent: &[usize], mut i: usize) -> usize {
    while parent[i] != i {
        i = parent[i];
    }
    i
}
