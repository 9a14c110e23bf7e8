//! Exact Euclidean distance transform with anisotropic spacing: separable lower envelopes of parabolas (Felzenszwalb and
//! Huttenlocher 2012).

use crate::parallel;

/// A voxel and its distance to the nearest site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Nearest {
    /// Position in memory.
    pub voxel: usize,
    /// Distance in mm; infinite without sites.
    pub mm: f64,
}

/// Distance of every query voxel to the nearest site, in memory order. `sites` and `queries` are masks, first axis fastest,
/// `spacing` is in mm.
pub(crate) fn nearest(sites: &[bool], queries: &[bool], shape: [usize; 3], spacing: [f64; 3]) -> Vec<Nearest> {
    let [nx, ny, nz] = shape;
    let plane = nx * ny;
    if plane == 0 || nz == 0 {
        return Vec::new();
    }
    let mut in_plane = vec![f64::INFINITY; plane * nz];
    parallel::chunks_mut(&mut in_plane, plane, |k, out| {
        let sites = &sites[plane * k..plane * (k + 1)];
        within_plane(sites, out, nx, spacing, &mut Envelope::default(), &mut vec![0.0; ny]);
    });
    let of_plane = |k: usize| {
        let wanted = (plane * k..plane * (k + 1)).filter(|&voxel| queries[voxel]);
        let nearest = |voxel| Nearest { voxel, mm: across_planes(&in_plane, voxel, plane, spacing[2]) };
        wanted.map(nearest).collect::<Vec<_>>()
    };
    parallel::map(nz, of_plane).concat()
}

/// Distance in mm at one voxel, from the squared distances within each plane. Searches planes outwards until no farther plane
/// can hold a nearer site. Surfaces are usually close, so this is faster than a full transform along the axis.
fn across_planes(in_plane: &[f64], voxel: usize, plane: usize, spacing: f64) -> f64 {
    let mut best = in_plane[voxel];
    let (below, above) = (voxel / plane, (in_plane.len() - 1 - voxel) / plane);
    for step in 1..=below.max(above) {
        let squared = (step as f64 * spacing).powi(2);
        if squared >= best {
            break;
        }
        if step <= below {
            best = best.min(in_plane[voxel - step * plane] + squared);
        }
        if step <= above {
            best = best.min(in_plane[voxel + step * plane] + squared);
        }
    }
    best.sqrt()
}

/// Squared distances in mm^2 to the sites in the same plane. A plane without sites is unchanged.
fn within_plane(
    sites: &[bool],
    out: &mut [f64],
    nx: usize,
    spacing: [f64; 3],
    envelope: &mut Envelope,
    column: &mut [f64],
) {
    let mut any = false;
    for (row, squared) in sites.chunks(nx).zip(out.chunks_mut(nx)) {
        any |= along_row(row, squared, spacing[0]);
    }
    if !any {
        return;
    }
    for i in 0..nx {
        for (value, row) in column.iter_mut().zip(out.chunks(nx)) {
            *value = row[i];
        }
        envelope.build(column, spacing[1]);
        let mut values = envelope.values(column);
        for (j, row) in out.chunks_mut(nx).enumerate() {
            row[i] = values.squared_at(j);
        }
    }
}

/// Squared distances along one row. Returns false and changes nothing if the row has no site.
fn along_row(sites: &[bool], squared: &mut [f64], spacing: f64) -> bool {
    let Some(first) = sites.iter().position(|&s| s) else { return false };
    let mut last = first;
    for n in 0..sites.len() {
        if sites[n] {
            last = n;
        }
        squared[n] = (last.abs_diff(n) as f64 * spacing).powi(2);
    }
    let mut next = last;
    for n in (0..last).rev() {
        if sites[n] {
            next = n;
        }
        squared[n] = squared[n].min(((next - n) as f64 * spacing).powi(2));
    }
    true
}

/// The lower envelope of the parabolas `f[p] + (spacing (x - p))^2`.
#[derive(Default)]
struct Envelope {
    /// Positions of the parabolas in the envelope.
    sites: Vec<usize>,
    /// Start of each parabola's interval.
    from: Vec<f64>,
    spacing: f64,
}

impl Envelope {
    fn build(&mut self, f: &[f64], spacing: f64) {
        self.sites.clear();
        self.from.clear();
        self.spacing = spacing;
        let scale = 1.0 / (spacing * spacing);
        for (q, &height) in f.iter().enumerate() {
            if height == f64::INFINITY {
                continue;
            }
            let mut start = f64::NEG_INFINITY;
            while let (Some(&p), Some(&from)) = (self.sites.last(), self.from.last()) {
                let crossing = 0.5 * ((height - f[p]) * scale / (q - p) as f64 + (q + p) as f64);
                if crossing > from {
                    start = crossing;
                    break;
                }
                self.sites.pop();
                self.from.pop();
            }
            self.sites.push(q);
            self.from.push(start);
        }
    }

    fn values<'a>(&'a self, f: &'a [f64]) -> Values<'a> {
        Values { envelope: self, f, n: 0 }
    }
}

/// Evaluates an envelope at ascending positions.
struct Values<'a> {
    envelope: &'a Envelope,
    f: &'a [f64],
    n: usize,
}

impl Values<'_> {
    fn squared_at(&mut self, x: usize) -> f64 {
        let Envelope { sites, from, spacing } = self.envelope;
        while from.get(self.n + 1).is_some_and(|&next| next < x as f64) {
            self.n += 1;
        }
        sites.get(self.n).map_or(f64::INFINITY, |&p| self.f[p] + (x.abs_diff(p) as f64 * spacing).powi(2))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_match_a_search_over_all_pairs(
            shape in [1_usize..8, 1_usize..8, 1_usize..8],
            spacing in [0.2..4.0, 0.2..4.0, 0.2..4.0],
            density in 0.0..0.5,
            bits in proptest::collection::vec(0.0..1.0, 8 * 8 * 8),
        ) {
            let sites: Vec<bool> = bits[..shape.iter().product()].iter().map(|&v| v < density).collect();
            let at = |n: usize| {
                let index = [n % shape[0], n / shape[0] % shape[1], n / shape[0] / shape[1]];
                std::array::from_fn::<f64, 3, _>(|a| index[a] as f64 * spacing[a])
            };
            let queries: Vec<bool> = (0..sites.len()).map(|n| n % 3 != 1).collect();
            let actual = nearest(&sites, &queries, shape, spacing);
            prop_assert_eq!(actual.len(), queries.iter().filter(|q| **q).count());
            for Nearest { voxel, mm } in actual {
                prop_assert!(queries[voxel]);
                let here = at(voxel);
                let expected = (0..sites.len())
                    .filter(|&n| sites[n])
                    .map(|n| at(n).iter().zip(here).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt())
                    .fold(f64::INFINITY, f64::min);
                prop_assert!(mm == expected || (mm - expected).abs() < 1e-12 * expected, "{mm} {expected}");
            }
        }
    }
}
