//! Reorientation and resampling between axis-aligned grids in one pass.
//!
//! A prepared grid is the source grid with its axes permuted, flipped and rescaled. Each output axis runs along exactly
//! one source axis, so three tables of taps describe the whole transform.

use crate::parallel;

/// Interpolation tap of one output position along one axis: memory offsets of the nearest, lower and upper source
/// position, and the weight of the upper one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tap {
    pub near: usize,
    pub low: usize,
    pub high: usize,
    pub weight: f32,
}

/// Maps output positions along one axis to a source axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisMap {
    /// Source coordinate of output position 0, in the direction of the output axis.
    pub start: f64,
    /// Source voxels per output voxel.
    pub step: f64,
    /// Number of output positions.
    pub count: usize,
    /// Number of source positions.
    pub source: usize,
    /// Whether the source axis runs against the output axis.
    pub flipped: bool,
    /// Memory stride between source positions.
    pub stride: usize,
}

/// Tolerance in voxels for ties at the midpoint; ties go to the lower voxel along the output axis.
const TIE: f64 = 1e-6;

impl AxisMap {
    /// The tap of every output position. Positions outside the source are clamped to its edge.
    pub fn taps(&self) -> Vec<Tap> {
        let last = self.source.saturating_sub(1);
        let offset = |index: usize| (if self.flipped { last - index } else { index }) * self.stride;
        (0..self.count)
            .map(|position| {
                let at = (self.start + self.step * position as f64).clamp(0.0, last as f64);
                let near = ((at + 0.5 - TIE).floor() as usize).min(last);
                let low = if (at - near as f64).abs() < TIE { near } else { at.floor() as usize };
                let high = (low + 1).min(last);
                let weight = if low == near && (at - near as f64).abs() < TIE { 0.0 } else { (at - low as f64) as f32 };
                Tap { near: offset(near), low: offset(low), high: offset(high), weight }
            })
            .collect()
    }
}

/// Output rows that are filled together. Where rows are not read along the source's own, a line of the cache serves them all.
const ROWS: usize = 16;

/// Nearest-neighbour gather. `taps` are ordered from the slowest output axis to the fastest.
pub(super) fn nearest<T: Copy + Default + Send + Sync>(source: &[T], taps: &[Vec<Tap>; 3]) -> Vec<T> {
    let [slow, middle, fast] = taps;
    let mut out = vec![T::default(); slow.len() * middle.len() * fast.len()];
    if out.is_empty() {
        return out;
    }
    parallel::chunks_mut(&mut out, middle.len() * fast.len(), |k, plane| {
        for (rows, middle) in plane.chunks_mut(ROWS * fast.len()).zip(middle.chunks(ROWS)) {
            for (j, c) in fast.iter().enumerate() {
                let base = slow[k].near + c.near;
                for (row, b) in rows.chunks_exact_mut(fast.len()).zip(middle) {
                    row[j] = source[base + b.near];
                }
            }
        }
    });
    out
}

/// Trilinear gather. `taps` are ordered from the slowest output axis to the fastest.
pub(super) fn linear(source: &[f32], taps: &[Vec<Tap>; 3]) -> Vec<f32> {
    // Positions that are not between voxels need no sum.
    if taps.iter().flatten().all(|tap| tap.weight == 0.0) {
        return nearest(source, taps);
    }
    let [slow, middle, fast] = taps;
    let mut out = vec![0.0; slow.len() * middle.len() * fast.len()];
    if out.is_empty() {
        return out;
    }
    parallel::chunks_mut(&mut out, middle.len() * fast.len(), |k, plane| {
        let a = &slow[k];
        for (row, b) in plane.chunks_mut(fast.len()).zip(middle) {
            let bases = [a.low + b.low, a.low + b.high, a.high + b.low, a.high + b.high];
            for (value, c) in row.iter_mut().zip(fast) {
                let along = bases.map(|base| mix(source[base + c.low], source[base + c.high], c.weight));
                *value = mix(mix(along[0], along[1], b.weight), mix(along[2], along[3], b.weight), a.weight);
            }
        }
    });
    out
}

/// Linear interpolation; returns exactly `low` at weight 0, even if `high` is NaN.
fn mix(low: f32, high: f32, weight: f32) -> f32 {
    if weight == 0.0 { low } else { low + weight * (high - low) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(start: f64, step: f64, count: usize, source: usize, flipped: bool) -> Vec<Tap> {
        AxisMap { start, step, count, source, flipped, stride: 1 }.taps()
    }

    #[test]
    fn integral_positions_have_no_weight() {
        for tap in axis(1e-9, 1.0, 5, 5, true) {
            assert!(tap.weight == 0.0 && tap.near == tap.low);
        }
        assert_eq!(axis(0.0, 1.0, 3, 3, true).iter().map(|t| t.near).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn ties_do_not_depend_on_the_storage_direction() {
        let forward: Vec<usize> = axis(-0.25 - 1e-12, 0.5, 8, 4, false).iter().map(|t| t.near).collect();
        assert_eq!(forward, [0, 0, 1, 1, 2, 2, 3, 3]);
        let tie: Vec<usize> = axis(0.5, 1.0, 3, 4, false).iter().map(|t| t.near).collect();
        let tie_flipped: Vec<usize> = axis(0.5 - 1e-9, 1.0, 3, 4, true).iter().map(|t| 3 - t.near).collect();
        assert_eq!(tie, [0, 1, 2]);
        assert_eq!(tie, tie_flipped);
    }

    /// More rows than are filled together, along and across the rows of the source.
    #[test]
    fn every_voxel_comes_from_its_place_in_any_order_of_axes() {
        let source: Vec<f32> = (0..3 * 37 * 5).map(|v| v as f32).collect();
        let axis =
            |count, stride, flipped| AxisMap { start: 0.0, step: 1.0, count, source: count, flipped, stride }.taps();
        let axes = [axis(3, 1, false), axis(37, 3, true), axis(5, 3 * 37, false)];
        for order in [[2, 0, 1], [2, 1, 0], [0, 1, 2], [1, 2, 0]] {
            let taps = order.map(|a| axes[a].clone());
            let mut expected = Vec::new();
            for a in &taps[0] {
                for b in &taps[1] {
                    expected.extend(taps[2].iter().map(|c| source[a.near + b.near + c.near]));
                }
            }
            assert_eq!(nearest(&source, &taps), expected, "{order:?}");
            assert_eq!(linear(&source, &taps), expected, "{order:?}");
        }
    }

    #[test]
    fn linear_is_exact_on_a_ramp_and_clamps_outside() {
        let one = || axis(0.0, 1.0, 1, 1, false);
        let ramp: Vec<f32> = (0..4).map(|v| v as f32).collect();
        let out = linear(&ramp, &[one(), one(), axis(-1.0, 0.75, 8, 4, false)]);
        let expected = [0.0, 0.0, 0.5, 1.25, 2.0, 2.75, 3.0, 3.0];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}");
    }
}
