//! Bytes to voxels, straight into the vector that is kept.

use std::path::Path;

use nifti::NiftiType;

use super::source::Source;
use crate::volume::VoxelData;
use crate::{Error, Result};

/// Bytes decoded at a time: small enough to stay in the cache between decompressing and converting.
const PIECE: usize = 1 << 17;
/// Bytes that room is made for at first, when only the header says how many there are.
const FIRST_BYTES: usize = 4 << 20;
/// Once one part in so many has arrived the header is believed, and room is made for everything.
const BELIEVED_SHARE: usize = 4;

/// How many voxels of which type to read.
pub(super) struct Wanted {
    pub datatype: NiftiType,
    pub big_endian: bool,
    pub count: usize,
    /// True if the file is known to hold that many.
    pub certain: bool,
}

macro_rules! number {
    ($source:expr, $path:expr, $wanted:expr, $t:ty, $variant:ident) => {{
        let data = if $wanted.big_endian {
            fill($source, $path, $wanted, <$t>::from_be_bytes)
        } else {
            fill($source, $path, $wanted, <$t>::from_le_bytes)
        };
        data.map(VoxelData::$variant)
    }};
}

/// Reads the next voxels of the source.
pub(super) fn decode(source: &mut Source, path: &Path, wanted: &Wanted) -> Result<VoxelData> {
    match wanted.datatype {
        NiftiType::Uint8 => number!(source, path, wanted, u8, U8),
        NiftiType::Int8 => number!(source, path, wanted, i8, I8),
        NiftiType::Uint16 => number!(source, path, wanted, u16, U16),
        NiftiType::Int16 => number!(source, path, wanted, i16, I16),
        NiftiType::Uint32 => number!(source, path, wanted, u32, U32),
        NiftiType::Int32 => number!(source, path, wanted, i32, I32),
        NiftiType::Uint64 => number!(source, path, wanted, u64, U64),
        NiftiType::Int64 => number!(source, path, wanted, i64, I64),
        NiftiType::Float32 => number!(source, path, wanted, f32, F32),
        NiftiType::Float64 => number!(source, path, wanted, f64, F64),
        NiftiType::Rgb24 => fill(source, path, wanted, |c: [u8; 3]| c).map(VoxelData::Rgb),
        NiftiType::Rgba32 => fill(source, path, wanted, |c: [u8; 4]| c).map(VoxelData::Rgba),
        // The header's parser lets none of the others pass.
        other => Err(Error::field(path, "datatype", format!("{other:?}"), "cannot be read")),
    }
}

fn fill<T, const N: usize>(
    source: &mut Source,
    path: &Path,
    wanted: &Wanted,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let count = wanted.count;
    let mut data: Vec<T> = Vec::new();
    let mut piece = vec![0_u8; PIECE / N * N];
    let no_memory = |_| Error::file(path, format!("no memory for {count} voxels of {N} bytes"));
    let certain = wanted.certain || count * N <= BELIEVED_SHARE * FIRST_BYTES;
    data.try_reserve_exact(if certain { count } else { FIRST_BYTES / N }).map_err(no_memory)?;
    while data.len() < count {
        let want = piece.len().min((count - data.len()) * N);
        let got = source.read_full(&mut piece[..want])?;
        let whole = got / N;
        let arrived = data.len() + whole;
        if arrived > data.capacity() {
            data.try_reserve_exact(room(arrived, count) - data.len()).map_err(no_memory)?;
        }
        data.extend(piece[..got].as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)));
        if got < want {
            let why = format!("holds {} of the {count} voxels that its header promises", data.len());
            return Err(Error::file(path, why));
        }
    }
    Ok(data)
}

/// Voxels to make room for when `arrived` of `count` are there and the room is used up.
///
/// Growing may copy, and then the old room and the new are there at once. So the last step starts from at most a quarter:
/// together they never take more than 1.25 times the whole.
fn room(arrived: usize, count: usize) -> usize {
    let quarter = count / BELIEVED_SHARE;
    if arrived > quarter { count } else { (2 * arrived).min(quarter) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_to_the_whole_in_one_last_step_from_a_quarter() {
        for count in [5_000_000, 5_000_001, 5_000_002, 5_000_003, 123_456_789] {
            let (mut capacity, mut most, mut steps) = (1 << 20, 0, 0);
            while capacity < count {
                let next = room(capacity + 1, count);
                assert!(next > capacity, "{capacity} of {count}");
                (most, capacity, steps) = (most.max(capacity + next), next, steps + 1);
            }
            assert!(capacity == count && most <= count + count / 4 && steps < 10, "{count}: {most} in {steps} steps");
        }
    }
}
