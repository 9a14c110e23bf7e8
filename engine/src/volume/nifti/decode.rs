//! Decoding bytes directly into the voxel vector.

use std::path::Path;

use nifti::NiftiType;

use super::source::Source;
use crate::volume::VoxelData;
use crate::{Error, Result};

/// Bytes decoded at a time. Small enough to stay in the CPU cache between decompression and conversion.
const PIECE: usize = 1 << 17;
/// Initial allocation in bytes for compressed data, whose length is known from the header only.
const INITIAL_BYTES: usize = 4 << 20;
/// Once 1 / `TRUST_DIVISOR` of the voxels is decoded, the size in the header is trusted and the rest is allocated.
const TRUST_DIVISOR: usize = 4;

/// A contiguous block of voxels to decode.
pub(super) struct VoxelBlock {
    pub datatype: NiftiType,
    pub big_endian: bool,
    pub count: usize,
    /// True if the file size guarantees `count` voxels.
    pub certain: bool,
}

macro_rules! number {
    ($source:expr, $path:expr, $block:expr, $t:ty, $variant:ident) => {{
        let data = if $block.big_endian {
            fill($source, $path, $block, <$t>::from_be_bytes)
        } else {
            fill($source, $path, $block, <$t>::from_le_bytes)
        };
        data.map(VoxelData::$variant)
    }};
}

pub(super) fn decode(source: &mut Source, path: &Path, block: &VoxelBlock) -> Result<VoxelData> {
    match block.datatype {
        NiftiType::Uint8 => number!(source, path, block, u8, U8),
        NiftiType::Int8 => number!(source, path, block, i8, I8),
        NiftiType::Uint16 => number!(source, path, block, u16, U16),
        NiftiType::Int16 => number!(source, path, block, i16, I16),
        NiftiType::Uint32 => number!(source, path, block, u32, U32),
        NiftiType::Int32 => number!(source, path, block, i32, I32),
        NiftiType::Uint64 => number!(source, path, block, u64, U64),
        NiftiType::Int64 => number!(source, path, block, i64, I64),
        NiftiType::Float32 => number!(source, path, block, f32, F32),
        NiftiType::Float64 => number!(source, path, block, f64, F64),
        NiftiType::Rgb24 => fill(source, path, block, |c: [u8; 3]| c).map(VoxelData::Rgb),
        NiftiType::Rgba32 => fill(source, path, block, |c: [u8; 4]| c).map(VoxelData::Rgba),
        // The header parser refuses all other types.
        other => Err(Error::field(path, "datatype", format!("{other:?}"), "is not supported")),
    }
}

fn fill<T, const N: usize>(
    source: &mut Source,
    path: &Path,
    block: &VoxelBlock,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let count = block.count;
    let mut data: Vec<T> = Vec::new();
    let mut piece = vec![0_u8; PIECE / N * N];
    let no_memory = |_| Error::file(path, format!("cannot allocate {count} voxels of {N} bytes"));
    let certain = block.certain || count * N <= TRUST_DIVISOR * INITIAL_BYTES;
    data.try_reserve_exact(if certain { count } else { INITIAL_BYTES / N }).map_err(no_memory)?;
    while data.len() < count {
        let want = piece.len().min((count - data.len()) * N);
        let got = source.read_full(&mut piece[..want])?;
        let whole = got / N;
        let arrived = data.len() + whole;
        if arrived > data.capacity() {
            data.try_reserve_exact(next_capacity(arrived, count) - data.len()).map_err(no_memory)?;
        }
        data.extend(piece[..got].as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)));
        if got < want {
            let why = format!("has {} of the {count} voxels in its header, so it is truncated", data.len());
            return Err(Error::file(path, why));
        }
    }
    Ok(data)
}

/// Capacity, in voxels, to grow to when `arrived` of `count` have been decoded.
///
/// Growing may copy, with the old and the new allocation alive at once. The last step grows from at most a quarter, so
/// the peak is 1.25 times the final size.
fn next_capacity(arrived: usize, count: usize) -> usize {
    let quarter = count / TRUST_DIVISOR;
    if arrived > quarter { count } else { (2 * arrived).min(quarter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_grows_from_a_quarter_to_the_whole_in_one_step() {
        for count in [5_000_000, 5_000_001, 5_000_002, 5_000_003, 123_456_789] {
            let (mut capacity, mut peak, mut steps) = (1 << 20, 0, 0);
            while capacity < count {
                let next = next_capacity(capacity + 1, count);
                assert!(next > capacity, "{capacity} of {count}");
                (peak, capacity, steps) = (peak.max(capacity + next), next, steps + 1);
            }
            assert!(capacity == count && peak <= count + count / 4 && steps < 10, "{count}: {peak} in {steps} steps");
        }
    }
}
