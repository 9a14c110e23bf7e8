//! Resampling by world position, and cropping.

use super::Grid;
use crate::parallel;
use glam::{DAffine3, DVec3};

/// Interpolation between voxel centres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Nearest neighbour; halfway between two voxels the lower index wins.
    Nearest,
    /// Trilinear, from the eight neighbours.
    Linear,
}

/// Tolerance in voxels when positions are compared, above the rounding error of the transforms.
const SLACK: f64 = 1e-6;

/// Resamples an array on grid `from` onto grid `to` by world position; both in file order (first axis fastest).
///
/// The border value extends half a voxel beyond the outermost voxel centres; farther out is `fill`.
pub fn resample_f32(source: &[f32], from: &Grid, to: &Grid, how: Interpolation, fill: f32) -> Vec<f32> {
    match how {
        Interpolation::Nearest => resample_labels(source, from, to, fill),
        Interpolation::Linear => over_rows(from, to, fill, |position| linear(source, from.shape, position)),
    }
}

/// Resamples an array by nearest neighbour, so that labels do not mix; outside is `fill`.
pub fn resample_labels<T: Copy + Send + Sync>(source: &[T], from: &Grid, to: &Grid, fill: T) -> Vec<T> {
    over_rows(from, to, fill, |position| nearest(from.shape, position).map(|index| source[index]))
}

/// Calls `sample` with the fractional index in `from` of every voxel of `to`, planes in parallel.
fn over_rows<T, F>(from: &Grid, to: &Grid, fill: T, sample: F) -> Vec<T>
where
    T: Copy + Send + Sync,
    F: Fn(DVec3) -> Option<T> + Sync,
{
    let [nx, ny, _] = to.shape;
    let mut out = vec![fill; to.len()];
    if out.is_empty() || from.is_empty() {
        return out;
    }
    let map: DAffine3 = from.voxel_from_world() * to.world_from_voxel;
    parallel::chunks_mut(&mut out, nx * ny, |k, plane| {
        for (j, row) in plane.chunks_mut(nx).enumerate() {
            let start = map.transform_point3(DVec3::new(0.0, j as f64, k as f64));
            for (i, voxel) in row.iter_mut().enumerate() {
                if let Some(value) = sample(start + map.matrix3.x_axis * i as f64) {
                    *voxel = value;
                }
            }
        }
    });
    out
}

fn nearest(shape: [usize; 3], position: DVec3) -> Option<usize> {
    let mut index = [0; 3];
    for a in 0..3 {
        if !reaches(position[a], shape[a]) {
            return None;
        }
        index[a] = ((position[a] + 0.5 - SLACK).floor().max(0.0) as usize).min(shape[a] - 1);
    }
    Some(index[0] + shape[0] * (index[1] + shape[1] * index[2]))
}

/// Whether a position lies within the axis, which extends half a voxel beyond its outermost voxel centres.
fn reaches(position: f64, n: usize) -> bool {
    position >= -0.5 - SLACK && position <= n as f64 - 0.5 + SLACK
}

fn linear(source: &[f32], shape: [usize; 3], position: DVec3) -> Option<f32> {
    let (mut low, mut high, mut share) = ([0; 3], [0; 3], [0.0_f32; 3]);
    for a in 0..3 {
        if !reaches(position[a], shape[a]) {
            return None;
        }
        let at = position[a].clamp(0.0, (shape[a] - 1) as f64);
        // A position at a voxel centre, up to rounding, gives exactly that voxel, so resampling to the same grid is lossless.
        let at = if (at - at.round()).abs() < SLACK { at.round() } else { at };
        low[a] = at as usize;
        high[a] = (low[a] + 1).min(shape[a] - 1);
        share[a] = at.fract() as f32;
    }
    let (row, plane) = (shape[0], shape[0] * shape[1]);
    // Not `a + t (b - a)`: a NaN neighbour of weight 0 must not propagate.
    let mix = |a: f32, b: f32, t: f32| if t == 0.0 { a } else { a * (1.0 - t) + b * t };
    let line = |j: usize, k: usize| {
        let start = j * row + k * plane;
        mix(source[start + low[0]], source[start + high[0]], share[0])
    };
    let near = mix(line(low[1], low[2]), line(high[1], low[2]), share[1]);
    if share[2] == 0.0 {
        return Some(near);
    }
    Some(mix(near, mix(line(low[1], high[2]), line(high[1], high[2]), share[1]), share[2]))
}

/// Cuts a box of `shape` voxels at `origin` (which may be negative) out of an array, first axis fastest. Outside the
/// array is `fill`. [`Grid::cropped`] gives the grid of the result.
pub fn crop<T: Copy>(source: &[T], source_shape: [usize; 3], origin: [i64; 3], shape: [usize; 3], fill: T) -> Vec<T> {
    let mut out = vec![fill; shape.iter().product()];
    // Box indices along an axis that lie inside the source.
    let range = |a: usize| {
        let first = (-origin[a]).clamp(0, shape[a] as i64);
        let last = (source_shape[a] as i64 - origin[a]).clamp(first, shape[a] as i64);
        first as usize..last as usize
    };
    let (is, js, ks) = (range(0), range(1), range(2));
    if is.is_empty() {
        return out;
    }
    for k in ks {
        for j in js.clone() {
            let (sj, sk) = ((j as i64 + origin[1]) as usize, (k as i64 + origin[2]) as usize);
            let from = (is.start as i64 + origin[0]) as usize + source_shape[0] * (sj + source_shape[1] * sk);
            let to = is.start + shape[0] * (j + shape[1] * k);
            out[to..to + is.len()].copy_from_slice(&source[from..from + is.len()]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::DMat3;
    use proptest::prelude::*;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
        let matrix3 = DMat3::from_rotation_x(0.4) * DMat3::from_diagonal(DVec3::from_array(spacing));
        Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(5.0, 6.0, -7.0) })
    }

    #[test]
    fn a_linear_field_stays_linear_and_labels_do_not_mix() {
        let from = grid([9, 8, 7], [2.0, 2.0, 3.0]);
        let to = from.with_spacing([1.0, 1.5, 1.0]);
        let field = |g: &Grid| -> Vec<f32> {
            let voxels =
                (0..g.len()).map(|n| [n % g.shape[0], n / g.shape[0] % g.shape[1], n / (g.shape[0] * g.shape[1])]);
            voxels.map(|v| g.world(v).dot(DVec3::new(0.5, -0.3, 0.2)) as f32).collect()
        };
        let got = resample_f32(&field(&from), &from, &to, Interpolation::Linear, f32::NAN);
        let map = from.voxel_from_world() * to.world_from_voxel;
        let mut inside = 0;
        for (n, (got, expected)) in got.iter().zip(field(&to)).enumerate() {
            let v = [n % to.shape[0], n / to.shape[0] % to.shape[1], n / (to.shape[0] * to.shape[1])];
            let p = map.transform_point3(DVec3::new(v[0] as f64, v[1] as f64, v[2] as f64));
            if (0..3).all(|a| p[a] >= 0.0 && p[a] <= (from.shape[a] - 1) as f64) {
                inside += 1;
                assert!((got - expected).abs() < 1e-4);
            }
        }
        assert!(inside > 1000);
        let labels: Vec<u8> = (0..from.len()).map(|n| if n % 2 == 0 { 7 } else { 0 }).collect();
        let mut compared = 0;
        for (n, label) in resample_labels(&labels, &from, &to, 9).into_iter().enumerate() {
            let v = [n % to.shape[0], n / to.shape[0] % to.shape[1], n / (to.shape[0] * to.shape[1])];
            let p = map.transform_point3(DVec3::new(v[0] as f64, v[1] as f64, v[2] as f64));
            let nearest = p.round();
            // In the middle between two voxels either is right.
            let tie = (p - nearest).abs().max_element() > 0.499;
            if !tie && (0..3).all(|a| nearest[a] >= 0.0 && nearest[a] < from.shape[a] as f64) {
                compared += 1;
                assert_eq!(label, labels[from.index(nearest.to_array().map(|x| x as usize))], "{v:?}");
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    #[test]
    fn positions_beyond_half_a_voxel_get_the_fill_value() {
        let from = grid([2, 2, 2], [1.0; 3]);
        let to = from.cropped([-2, 0, 0], [6, 2, 2]);
        let got = resample_f32(&[1.0; 8], &from, &to, Interpolation::Linear, -9.0);
        assert_eq!(got[..6], [-9.0, -9.0, 1.0, 1.0, -9.0, -9.0]);
        let finer = from.with_spacing([0.5; 3]);
        assert!(
            resample_f32(&[1.0; 8], &from, &finer, Interpolation::Linear, -9.0).iter().all(|&v| (v - 1.0).abs() < 1e-6)
        );
    }

    #[test]
    fn a_crop_pads_and_can_be_reversed() {
        let (shape, data) = ([3, 2, 2], (1..=12).collect::<Vec<u16>>());
        let padded = crop(&data, shape, [-1, -2, 0], [6, 5, 3], 0);
        assert_eq!(crop(&padded, [6, 5, 3], [1, 2, 0], shape, 99), data);
        assert_eq!(padded.iter().filter(|&&v| v != 0).count(), 12);
        assert_eq!(crop(&data, shape, [5, 0, 0], [2, 2, 2], 4), vec![4; 8]);
        assert_eq!(crop(&data, shape, [i64::from(i32::MIN), 0, 0], [2, 1, 1], 4), vec![4; 2]);
    }

    proptest! {
        #[test]
        fn the_same_grid_gives_the_same_bits(shape in prop::array::uniform3(1..6_usize), seed in any::<u32>()) {
            let g = grid(shape, [1.3, 0.7, 2.9]);
            let data: Vec<f32> = (0..g.len()).map(|n| f32::from_bits((n as u32).wrapping_mul(seed | 1) >> 4)).collect();
            for how in [Interpolation::Nearest, Interpolation::Linear] {
                let got = resample_f32(&data, &g, &g, how, 0.0);
                prop_assert!(got.iter().zip(&data).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }
    }
}
