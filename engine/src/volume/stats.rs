//! Summary statistics of a volume. The result is bit-identical for any number of threads.

use super::data::for_each_type;
use super::padding::is_within;
use super::{Scale, VoxelData};
use crate::parallel;

/// Statistics over the finite values of a volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Smallest finite value; `None` if no value is finite.
    pub min: Option<f64>,
    /// Largest finite value.
    pub max: Option<f64>,
    /// Mean of the finite values.
    pub mean: Option<f64>,
    /// Number of NaN or infinite values.
    pub nonfinite: u64,
}

/// Values per partial sum. Partial sums are added in order, so the result does not depend on the number of threads.
const PIECE: usize = 1 << 16;

#[derive(Clone, Copy)]
struct PartialStats {
    min: f64,
    max: f64,
    sum: f64,
    finite: u64,
}

pub(super) trait Number: Copy + Send + Sync {
    /// Minimum, maximum, sum and count of the finite values of at most [`PIECE`] values.
    fn partial(piece: &[Self]) -> (f64, f64, f64, u64);
}

macro_rules! integers {
    ($($t:ty => $sum:ty),*) => {$(
        impl Number for $t {
            fn partial(piece: &[Self]) -> (f64, f64, f64, u64) {
                let min = piece.iter().copied().min().unwrap_or_default();
                let max = piece.iter().copied().max().unwrap_or_default();
                let sum: $sum = piece.iter().map(|&x| x as $sum).sum();
                (min as f64, max as f64, sum as f64, piece.len() as u64)
            }
        }
    )*};
}
integers!(u8 => i64, i8 => i64, u16 => i64, i16 => i64, u32 => i64, i32 => i64, u64 => i128, i64 => i128);

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Number for $t {
            fn partial(piece: &[Self]) -> (f64, f64, f64, u64) {
                outline(piece.iter().map(|&x| f64::from(x)).filter(|x| x.is_finite()))
            }
        }
    )*};
}
floats!(f32, f64);

/// Minimum, maximum, sum and count.
fn outline(values: impl Iterator<Item = f64>) -> (f64, f64, f64, u64) {
    let (mut min, mut max, mut sum, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0);
    for x in values {
        min = min.min(x);
        max = max.max(x);
        sum += x;
        count += 1;
    }
    (min, max, sum, count)
}

fn summarise<T: Number>(values: &[T]) -> PartialStats {
    joined(&parallel::map_chunks(values, PIECE, T::partial))
}

fn joined(pieces: &[(f64, f64, f64, u64)]) -> PartialStats {
    let start = PartialStats { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, finite: 0 };
    pieces.iter().fold(start, |all, &(min, max, sum, finite)| PartialStats {
        min: all.min.min(min),
        max: all.max.max(max),
        sum: all.sum + sum,
        finite: all.finite + finite,
    })
}

/// Statistics of all voxels, scaled; `None` for colours.
pub(super) fn stats(data: &VoxelData, scale: Scale) -> Option<Stats> {
    let part: PartialStats = for_each_type!(data, v => summarise(v), _c => return None);
    Some(scaled(part, data.len() as u64, scale))
}

/// The same without stored values of a range, and the number of voxels that have them.
#[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
pub(super) fn stats_without(data: &VoxelData, scale: Scale, left_out: [f64; 2]) -> Option<(Stats, u64)> {
    let is_in = |x: f64| !is_within(Some(left_out), x);
    let (part, count) = for_each_type!(
        data,
        v => {
            let of = |piece: &[_]| outline(piece.iter().map(|&x| x as f64).filter(|x| x.is_finite() && is_in(*x)));
            let count = |piece: &[_]| piece.iter().filter(|x| is_in(**x as f64)).count() as u64;
            (joined(&parallel::map_chunks(v, PIECE, of)), parallel::map_chunks(v, PIECE, count).iter().sum::<u64>())
        },
        _c => return None
    );
    Some((scaled(part, count, scale), data.len() as u64 - count))
}

/// Statistics of `count` voxels.
fn scaled(part: PartialStats, count: u64, scale: Scale) -> Stats {
    let nonfinite = count - part.finite;
    if part.finite == 0 {
        return Stats { min: None, max: None, mean: None, nonfinite };
    }
    let (a, b) = (scale.apply(part.min), scale.apply(part.max));
    // Values near f64::MAX overflow in the sum; the mean is then undefined.
    let mean = Some(scale.apply(part.sum / part.finite as f64)).filter(|m| m.is_finite());
    Stats { min: Some(a.min(b)), max: Some(a.max(b)), mean, nonfinite }
}

/// The `q`-th percentile (0 to 100) with linear interpolation between neighbouring ranks, as numpy's default.
/// Values must be finite; their order is changed. `None` if there are none.
pub fn percentile<T: Copy + Into<f64>>(values: &mut [T], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = (q.clamp(0.0, 100.0) / 100.0) * last as f64;
    let (low, share) = (rank.floor() as usize, rank.fract());
    let order = |a: &T, b: &T| f64::total_cmp(&(*a).into(), &(*b).into());
    let (_, below, rest) = values.select_nth_unstable_by(low.min(last), order);
    let below: f64 = (*below).into();
    if share == 0.0 {
        return Some(below);
    }
    let above = rest.iter().copied().min_by(order).map_or(below, Into::into);
    Some(below + share * (above - below))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn stats_skip_non_finite_values_and_follow_a_negative_slope() {
        let data = VoxelData::F32(vec![1.0, f32::NAN, 3.0, f32::INFINITY, -2.0]);
        let s = stats(&data, Scale { slope: -2.0, inter: 1.0 }).unwrap();
        assert_eq!((s.min, s.max, s.nonfinite), (Some(-5.0), Some(5.0), 2));
        assert!((s.mean.unwrap() - (1.0 - 4.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn stats_do_not_depend_on_the_number_of_threads() {
        let data = VoxelData::F32((0..1_000_000).map(|i| (i as f32 * 0.37).sin() * 1e3).collect());
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| stats(&data, Scale::IDENTITY))
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn percentile_interpolates_as_numpy() {
        let mut v = vec![3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        // numpy.percentile([3,1,4,1,5,9,2,6], [0, 1, 37, 50, 99, 100])
        for (q, expected) in [(0.0, 1.0), (1.0, 1.0), (37.0, 2.59), (50.0, 3.5), (99.0, 8.79), (100.0, 9.0)] {
            assert!((percentile(&mut v, q).unwrap() - expected).abs() < 1e-12, "{q}");
        }
        assert_eq!(percentile::<f32>(&mut [], 50.0), None);
        assert_eq!(percentile(&mut [7.0_f64], 95.0), Some(7.0));
    }
}
