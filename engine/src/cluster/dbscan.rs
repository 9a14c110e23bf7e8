//! DBSCAN, reduced to two clusters.

use super::ward::squared_between;

/// Two clusters and the radius used.
#[derive(Clone, Debug, PartialEq)]
pub struct DbscanClusters {
    /// 0 for the largest dense cluster, 1 for all else.
    pub labels: Vec<u8>,
    /// Radius of a neighbourhood, in units of the points.
    pub radius: f64,
}

/// Labels `points` `[n][d]`: 0 for the largest dense cluster, 1 for all other clusters and noise. `None` if nothing is
/// dense or everything is one cluster.
///
/// Masking needs exactly a foreground and a background. Most of a slice is homogeneous and forms the dense cluster; a
/// rare lesion is a small cluster or noise, so noise joins the small clusters.
///
/// `eps` is the radius. 0 uses the knee of the k-distance curve: the sorted distances of all points to their
/// (`min_points` - 1)-th neighbour, at the point farthest below the chord between the curve's ends.
pub fn dbscan(points: &[f32], d: usize, eps: f64, min_points: usize) -> Option<DbscanClusters> {
    if d == 0 {
        return None;
    }
    let n = points.len() / d;
    let squared = |i: usize, j: usize| squared_between(&points[i * d..(i + 1) * d], &points[j * d..(j + 1) * d]);
    let mut distances = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let distance = squared(i, j).sqrt();
            distances[i * n + j] = distance;
            distances[j * n + i] = distance;
        }
    }
    let eps = if eps > 0.0 { eps } else { knee(&distances, n, min_points) };
    let neighbours: Vec<Vec<usize>> =
        (0..n).map(|i| (0..n).filter(|j| distances[i * n + j] <= eps).collect()).collect();
    let mut cluster = vec![None; n];
    let mut sizes = Vec::new();
    for start in 0..n {
        if cluster[start].is_some() || neighbours[start].len() < min_points {
            continue;
        }
        let name = sizes.len();
        sizes.push(0usize);
        let mut open = vec![start];
        while let Some(i) = open.pop() {
            if cluster[i].is_some() {
                continue;
            }
            cluster[i] = Some(name);
            sizes[name] += 1;
            if neighbours[i].len() >= min_points {
                open.extend(neighbours[i].iter().copied().filter(|j| cluster[*j].is_none()));
            }
        }
    }
    let largest = sizes.iter().copied().max()?;
    let bulk = sizes.iter().position(|size| *size == largest)?;
    let labels: Vec<u8> = cluster.into_iter().map(|name| u8::from(name != Some(bulk))).collect();
    labels.contains(&1).then_some(DbscanClusters { labels, radius: eps })
}

/// The radius at the knee of the k-distance curve.
fn knee(distances: &[f64], n: usize, min_points: usize) -> f64 {
    let rank = min_points.saturating_sub(1).min(n.saturating_sub(1));
    let mut curve: Vec<f64> = distances
        .chunks_exact(n.max(1))
        .map(|row| {
            let mut row = row.to_vec();
            *row.select_nth_unstable_by(rank, f64::total_cmp).1
        })
        .collect();
    curve.sort_by(f64::total_cmp);
    let (Some(low), Some(high)) = (curve.first().copied(), curve.last().copied()) else { return 0.0 };
    let (span, last) = (high - low, (curve.len() - 1).max(1) as f64);
    if span <= 0.0 {
        return high;
    }
    let below = |(index, value): (usize, f64)| index as f64 / last - (value - low) / span;
    let mut best = (f64::NEG_INFINITY, high);
    for (index, value) in curve.into_iter().enumerate() {
        let depth = below((index, value));
        if depth >= best.0 {
            best = (depth, value);
        }
    }
    best.1
}
