//! A scan: voxels in the file's own type, scaled on use.

use super::Grid;

/// Voxel values in the type of the file, first axis fastest.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are the types they hold")]
pub enum VoxelData {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// Red, green, blue: for viewing only.
    Rgb(Vec<[u8; 3]>),
    /// Red, green, blue, opacity: for viewing only.
    Rgba(Vec<[u8; 4]>),
}

/// `value = slope * stored + inter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Slope.
    pub slope: f64,
    /// Intercept.
    pub inter: f64,
}

/// Which frames of a 4-D file to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// One, 0-based.
    One(usize),
    /// All of them, one after the other.
    All,
}

/// How to read a volume.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Which frames to keep.
    pub frames: Frames,
    /// Refuse files whose decoded voxels need more bytes than this.
    pub memory_budget: u64,
}

/// A scan on its grid.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Where the voxels are.
    pub grid: Grid,
    /// The frames that were read, in the file's own type, unscaled.
    pub data: VoxelData,
    /// Turns stored values into the scan's unit (HU, SUV, ...).
    pub scale: Scale,
    /// How many frames the file has (1 for a 3-D scan).
    pub file_frames: usize,
    /// Oddities that did not keep the file from loading, one sentence each.
    pub warnings: Vec<String>,
}
