//! Bytes to voxels, straight into the vector that is kept.

use std::path::Path;

use nifti::NiftiType;

use super::source::Source;
use crate::volume::VoxelData;
use crate::{Error, Result};

/// Bytes decoded at a time: small enough to stay in the cache between decompressing and converting.
const PIECE: usize = 1 << 17;
/// Voxels that room is made for at first, when only the header says how many there are.
const FIRST_VOXELS: usize = 1 << 20;

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
    data.try_reserve_exact(if wanted.certain { count } else { count.min(FIRST_VOXELS) }).map_err(no_memory)?;
    while data.len() < count {
        let want = piece.len().min((count - data.len()) * N);
        let got = source.read_full(&mut piece[..want])?;
        let whole = got / N;
        if data.capacity() - data.len() < whole {
            // Grows with what has arrived, never beyond what is wanted.
            let more = (count - data.len()).min(data.len().max(whole));
            data.try_reserve_exact(more).map_err(no_memory)?;
        }
        data.extend(piece[..got].as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)));
        if got < want {
            let why = format!("holds {} of the {count} voxels that its header promises", data.len());
            return Err(Error::file(path, why));
        }
    }
    Ok(data)
}
