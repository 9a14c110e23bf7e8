//! Percentiles and histograms of a frame. Voxels are counted in place, never copied or sorted.
//!
//! Every numeric type maps to unsigned integers in the order of its values. The value of a rank is found digit by digit, 16
//! bits per pass over the voxels: one pass for types of up to 16 bits, two for 32 bits, four for 64 bits. The percentiles are
//! therefore exact for every type.

use super::data::for_each_type;
use super::padding::is_within;
use super::{Scale, Volume, VoxelData};
use crate::parallel;

/// Minimum voxels per work item.
const PIECE: usize = 1 << 18;
/// Number of bits that one pass determines.
const DIGIT: u32 = 16;
/// Maximum number of prefixes that are counted in one pass. Bounds the memory of the tables.
const PREFIXES: usize = 8;

/// A numeric voxel type that maps to unsigned integers in the order of its values.
trait OrderedBits: Copy + Send + Sync {
    /// Bits of the key.
    const BITS: u32;
    /// A number that grows with the value.
    fn key(self) -> u64;
    /// The value of a key.
    fn of_key(key: u64) -> f64;
    /// Whether the scaled value is a finite number.
    fn is_finite(self, scale: Scale) -> bool;
}

macro_rules! unsigned {
    ($($t:ty),*) => {$(
        impl OrderedBits for $t {
            const BITS: u32 = <$t>::BITS;
            fn key(self) -> u64 {
                u64::from(self)
            }
            fn of_key(key: u64) -> f64 {
                key as f64
            }
            fn is_finite(self, _: Scale) -> bool {
                true
            }
        }
    )*};
}
unsigned!(u8, u16, u32, u64);

macro_rules! signed {
    ($($t:ty as $u:ty),*) => {$(
        impl OrderedBits for $t {
            const BITS: u32 = <$t>::BITS;
            fn key(self) -> u64 {
                u64::from(self as $u ^ (1 << (<$t>::BITS - 1)))
            }
            fn of_key(key: u64) -> f64 {
                f64::from((key as $u ^ (1 << (<$t>::BITS - 1))) as $t)
            }
            fn is_finite(self, _: Scale) -> bool {
                true
            }
        }
    )*};
}
signed!(i8 as u8, i16 as u16, i32 as u32);

impl OrderedBits for i64 {
    const BITS: u32 = 64;
    fn key(self) -> u64 {
        self as u64 ^ (1 << 63)
    }
    fn of_key(key: u64) -> f64 {
        (key ^ (1 << 63)) as i64 as f64
    }
    fn is_finite(self, _: Scale) -> bool {
        true
    }
}

macro_rules! floats {
    ($($t:ty as $u:ty),*) => {$(
        impl OrderedBits for $t {
            const BITS: u32 = <$u>::BITS;
            fn key(self) -> u64 {
                let (bits, sign) = (self.to_bits(), 1 << (<$u>::BITS - 1));
                u64::from(if bits & sign == 0 { bits | sign } else { !bits })
            }
            fn of_key(key: u64) -> f64 {
                let (key, sign) = (key as $u, 1 << (<$u>::BITS - 1));
                f64::from(<$t>::from_bits(if key & sign == 0 { !key } else { key ^ sign }))
            }
            fn is_finite(self, scale: Scale) -> bool {
                scale.apply(f64::from(self)).is_finite()
            }
        }
    )*};
}
floats!(f32 as u32, f64 as u64);

/// Selects the stored values to count: finite when scaled, and not padding.
#[derive(Clone, Copy)]
struct CountedValues {
    scale: Scale,
    padding: Option<[f64; 2]>,
}

impl CountedValues {
    fn contains<T: OrderedBits>(self, value: T) -> bool {
        // The value itself matters only if there is padding.
        value.is_finite(self.scale) && (self.padding.is_none() || !is_within(self.padding, T::of_key(value.key())))
    }
}

/// Values per work item: two items per thread. Each item has its own `counts` counters. An item's values take at least eight
/// times the memory of its counters, so that the counters of many threads do not add up to a second volume.
fn piece_of<T>(values: usize, counts: usize) -> usize {
    let beside_counts = 8 * counts * size_of::<u32>() / size_of::<T>();
    // A counter must be able to count a whole item.
    values.div_ceil(2 * rayon::current_num_threads()).max(PIECE).max(beside_counts).min(u32::MAX as usize)
}

/// Counts the digits at `shift` of the values with each of these prefixes: one table per prefix, concatenated.
fn count<T: OrderedBits>(values: &[T], counted: CountedValues, prefixes: &[u64], shift: u32) -> Vec<u64> {
    let size = 1_usize << DIGIT.min(T::BITS);
    let above = shift + DIGIT;
    let of_piece = |piece: &[T]| {
        let mut tables = vec![0_u32; size * prefixes.len()];
        let keys = piece.iter().filter(|value| counted.contains(**value)).map(|value| value.key());
        let digit = |key: u64| (key >> shift) as usize & (size - 1);
        if above >= T::BITS {
            // First pass: no prefix above the digit.
            keys.for_each(|key| tables[digit(key)] += 1);
        } else {
            for key in keys {
                if let Some(table) = prefixes.iter().position(|&prefix| prefix == key >> above) {
                    tables[table * size + digit(key)] += 1;
                }
            }
        }
        tables
    };
    let counts = size * prefixes.len();
    sum(&parallel::map_chunks(values, piece_of::<T>(values.len(), counts), of_piece), counts)
}

/// The sum of tables of `size` counts.
fn sum(tables: &[Vec<u32>], size: usize) -> Vec<u64> {
    let mut all = vec![0; size];
    tables.iter().for_each(|counts| all.iter_mut().zip(counts).for_each(|(all, &count)| *all += u64::from(count)));
    all
}

/// The digit whose bin contains a rank, and the rank within the bin.
fn bin_of(table: &[u64], rank: u64) -> (u64, u64) {
    let mut below = 0;
    for (digit, &count) in table.iter().enumerate() {
        if rank < below + count {
            return (digit as u64, rank - below);
        }
        below += count;
    }
    // Ranks are below the table's sum.
    (table.len() as u64 - 1, 0)
}

/// Search state of one rank.
struct Search {
    prefix: u64,
    /// Rank among the values with this prefix.
    rest: u64,
}

/// The stored values at the ranks that `ranks` returns for the number of counted values; `None` without counted values.
fn select<T: OrderedBits>(
    values: &[T],
    counted: CountedValues,
    ranks: impl FnOnce(u64) -> Vec<u64>,
) -> Option<Vec<f64>> {
    let size = 1_usize << DIGIT.min(T::BITS);
    let mut shift = T::BITS.saturating_sub(DIGIT);
    let table = count(values, counted, &[0], shift);
    let n: u64 = table.iter().sum();
    if n == 0 {
        return None;
    }
    let find = |rank| {
        let (prefix, rest) = bin_of(&table, rank);
        Search { prefix, rest }
    };
    let mut searches: Vec<Search> = ranks(n).into_iter().map(find).collect();
    while shift > 0 {
        shift -= DIGIT;
        let mut prefixes: Vec<u64> = searches.iter().map(|search| search.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let tables: Vec<Vec<u64>> = prefixes.chunks(PREFIXES).map(|some| count(values, counted, some, shift)).collect();
        for search in &mut searches {
            let Ok(index) = prefixes.binary_search(&search.prefix) else { continue };
            let start = index % PREFIXES * size;
            let (digit, rest) = bin_of(&tables[index / PREFIXES][start..start + size], search.rest);
            *search = Search { prefix: search.prefix << DIGIT | digit, rest };
        }
    }
    Some(searches.into_iter().map(|search| T::of_key(search.prefix)).collect())
}

/// The percentiles of some stored values, scaled.
fn percentiles<T: OrderedBits>(values: &[T], counted: CountedValues, q: &[f64]) -> Option<Vec<f64>> {
    let scale = counted.scale;
    let mut shares = Vec::with_capacity(q.len());
    let selected = select(values, counted, |n| {
        let last = n - 1;
        let rank = |r: u64| if scale.slope < 0.0 { last - r.min(last) } else { r.min(last) };
        let mut ranks = Vec::with_capacity(2 * q.len());
        for q in q {
            let index = (q.clamp(0.0, 100.0) / 100.0) * last as f64;
            shares.push(index.fract());
            ranks.extend([rank(index as u64), rank(index as u64 + 1)]);
        }
        ranks
    })?;
    let between = |(pair, share): (&[f64], &f64)| {
        let (low, high) = (scale.apply(pair[0]), scale.apply(pair[1]));
        if *share == 0.0 { low } else { low + share * (high - low) }
    };
    Some(selected.chunks_exact(2).zip(&shares).map(between).collect())
}

/// Counts of values in bins of equal width.
fn histogram<T: OrderedBits>(
    values: &[T],
    value_of: impl Fn(T) -> f64 + Sync,
    [low, high]: [f64; 2],
    bins: usize,
) -> Vec<u64> {
    let per_bin = bins as f64 / (high - low);
    let of_piece = |piece: &[T]| {
        let mut counts = vec![0_u32; bins];
        for value in piece.iter().map(|&x| value_of(x)).filter(|v| (low..=high).contains(v)) {
            counts[(((value - low) * per_bin) as usize).min(bins - 1)] += 1;
        }
        counts
    };
    sum(&parallel::map_chunks(values, piece_of::<T>(values.len(), bins), of_piece), bins)
}

impl Volume {
    /// The percentiles `q` (clamped to 0 to 100) of a loaded frame, scaled, with linear interpolation between neighbouring
    /// values as numpy's default.
    ///
    /// Exact for every type, and bit-identical for any number of threads. Values that are not finite, and padding, are left
    /// out. `None` for colours, a frame that is not loaded, or without values.
    pub fn percentiles(&self, frame: usize, q: &[f64]) -> Option<Vec<f64>> {
        let voxels = self.frame_range(frame)?;
        let counted = CountedValues { scale: self.scale, padding: self.padding };
        for_each_type!(&self.data, v => percentiles(&v[voxels], counted, q), _c => None)
    }

    /// Histogram of the scaled values of a loaded frame: `bins` bins of equal width from `range[0]` to `range[1]`. A value on a
    /// border belongs to the upper bin, `range[1]` to the last. Values outside, values that are not finite, and padding are not
    /// counted.
    ///
    /// `None` for colours, a frame that is not loaded, no bin, or a range that is not finite and ascending.
    #[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
    pub fn histogram(&self, frame: usize, range: [f64; 2], bins: usize) -> Option<Vec<u64>> {
        let voxels = self.frame_range(frame)?;
        let (scale, padding) = (self.scale, self.padding);
        if bins == 0 || !(range[1] - range[0]).is_finite() || range[0] >= range[1] {
            return None;
        }
        for_each_type!(
            &self.data,
            v => {
                let value = |x| if is_within(padding, x) { f64::NAN } else { scale.apply(x) };
                Some(histogram(&v[voxels], |x| value(x as f64), range, bins))
            },
            _c => None
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::Grid;
    use glam::DAffine3;
    use proptest::prelude::*;

    fn volume(data: VoxelData, frames: usize, scale: Scale) -> Volume {
        Volume::new(Grid::new([data.len() / frames, 1, 1], DAffine3::IDENTITY), data, scale)
    }

    /// The definition: all scaled finite values, sorted.
    fn sorted(volume: &Volume, frame: usize) -> Vec<f64> {
        let n = volume.grid.len();
        let mut all: Vec<f64> =
            (0..n).map(|i| volume.value_at([i, 0, 0], frame)).filter(|value| value.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn by_definition(sorted: &[f64], q: f64) -> f64 {
        let rank = q / 100.0 * (sorted.len() - 1) as f64;
        let (low, share) = (sorted[rank as usize], rank.fract());
        let high = sorted[(rank as usize + 1).min(sorted.len() - 1)];
        if share == 0.0 { low } else { low + share * (high - low) }
    }

    /// Two frames of every numeric type from the same random bytes, among them NaN and infinities of the floats.
    fn every_type(bytes: &[[u8; 8]]) -> Vec<VoxelData> {
        macro_rules! of {
            ($($t:ty as $variant:ident),*) => {
                vec![$(VoxelData::$variant(
                    bytes.iter().map(|b| <$t>::from_le_bytes(b[..size_of::<$t>()].try_into().unwrap())).collect(),
                )),*]
            };
        }
        of!(
            u8 as U8, i8 as I8, u16 as U16, i16 as I16, u32 as U32, i32 as I32, u64 as U64, i64 as I64, f32 as F32,
            f64 as F64
        )
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            half in proptest::collection::vec(proptest::array::uniform8(any::<u8>()), 1..60),
            q in proptest::collection::vec(0.0..100.0_f64, 1..12),
            slope in prop::sample::select(vec![1.0, 0.001, -2.5]),
        ) {
            // Repeated values, so that ranks fall within a value's run, and values that share a leading digit.
            let near = half.iter().map(|b| [b[0] ^ 1, b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
            let bytes: Vec<[u8; 8]> = half.iter().copied().chain(near.clone()).chain(half.clone()).chain(near).collect();
            let q: Vec<f64> = q.into_iter().chain([0.0, 50.0, 100.0]).collect();
            for data in every_type(&bytes) {
                let volume = volume(data, 2, Scale { slope, inter: 3.0 });
                for frame in 0..2 {
                    let all = sorted(&volume, frame);
                    let expected: Option<Vec<f64>> =
                        (!all.is_empty()).then(|| q.iter().map(|&q| by_definition(&all, q)).collect());
                    prop_assert_eq!(volume.percentiles(frame, &q), expected, "{}", volume.data.type_name());
                }
            }
        }
    }

    #[test]
    fn percentiles_equal_those_of_numpy() {
        let volume = volume(VoxelData::I16(vec![3, 1, 4, 1, 5, 9, 2, 6]), 1, Scale::IDENTITY);
        // numpy.percentile([3,1,4,1,5,9,2,6], [0, 1, 37, 50, 99, 100]); q is clamped.
        let actual = volume.percentiles(0, &[0.0, 1.0, 37.0, 50.0, 99.0, 100.0, -5.0, 200.0]).unwrap();
        for (actual, expected) in actual.iter().zip([1.0, 1.0, 2.59, 3.5, 8.79, 9.0, 1.0, 9.0]) {
            assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
        }
        assert_eq!(volume.percentiles(0, &[]), Some(Vec::new()));
    }

    #[test]
    fn colours_missing_frames_and_nan_have_no_percentiles() {
        let nan = VoxelData::F32(vec![f32::NAN, f32::INFINITY]);
        assert_eq!(volume(nan, 1, Scale::IDENTITY).percentiles(0, &[50.0]), None);
        let huge = VoxelData::F64(vec![1e300, 2.0]);
        assert_eq!(volume(huge, 1, Scale { slope: 1e300, inter: 0.0 }).percentiles(0, &[100.0]), Some(vec![2e300]));
        let colours = volume(VoxelData::Rgb(vec![[1, 2, 3]]), 1, Scale::IDENTITY);
        assert_eq!((colours.percentiles(0, &[50.0]), colours.histogram(0, [0.0, 1.0], 4)), (None, None));
        let one = volume(VoxelData::U8(vec![7, 9]), 2, Scale::IDENTITY);
        assert_eq!((one.percentiles(1, &[50.0]), one.percentiles(2, &[50.0])), (Some(vec![9.0]), None));
    }

    #[test]
    fn bins_are_half_open_and_the_last_is_closed() {
        let data = VoxelData::F32(vec![-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.1, f32::NAN, f32::INFINITY]);
        let volume = volume(data, 1, Scale { slope: 2.0, inter: 1.0 });
        assert_eq!(volume.histogram(0, [1.0, 5.0], 2), Some(vec![2, 3]));
        assert_eq!(volume.histogram(0, [1.0, 5.0], 4), Some(vec![1, 1, 1, 2]));
        for (range, bins) in [([1.0, 1.0], 2), ([2.0, 1.0], 2), ([0.0, f64::NAN], 2), ([0.0, 1.0], 0)] {
            assert_eq!(volume.histogram(0, range, bins), None, "{range:?} {bins}");
        }
        assert_eq!(volume.histogram(1, [1.0, 5.0], 2), None);
    }
}
