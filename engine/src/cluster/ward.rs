//! Agglomerative clustering with Ward's linkage, cut at two clusters.

use kodama::{Method, linkage};

/// The two clusters joined by the last merge, as labels 0 and 1 of `points` `[n][d]`. Cluster 0 holds the first point.
/// `None` for fewer than two points.
///
/// O(n^2) time; stores half a matrix of distances.
pub fn ward(points: &[f32], d: usize) -> Option<Vec<u8>> {
    if d == 0 {
        return None;
    }
    let rows: Vec<&[f32]> = points.chunks_exact(d).collect();
    let n = rows.len();
    if n < 2 {
        return None;
    }
    let mut distances = Vec::with_capacity(n * (n - 1) / 2);
    for (i, a) in rows.iter().enumerate() {
        distances.extend(rows[i + 1..].iter().map(|b| squared_between(a, b).sqrt()));
    }
    let tree = linkage(&mut distances, n, Method::Ward);
    // Merge k creates cluster n + k. Going back from the last merge, each cluster gives its label to its two parts.
    let mut labels = vec![0u8; 2 * n - 1];
    for (k, merge) in tree.steps().iter().enumerate().rev() {
        let label = labels[n + k];
        labels[merge.cluster1] = label;
        labels[merge.cluster2] = if k == n - 2 { 1 } else { label };
    }
    Some(labels[..n].iter().map(|label| label ^ labels[0]).collect())
}

/// Squared Euclidean distance between two points, in f64.
pub(super) fn squared_between(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}
