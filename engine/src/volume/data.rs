//! A scan: voxels in the file's own type, scaled when read.

use std::path::Path;
use std::sync::Arc;

use super::{Grid, Stats, dicom, nifti, stats};
use crate::parallel;
use crate::{Error, Result};

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

/// Runs one expression on the vector of any numeric variant and another on the two colour variants.
macro_rules! for_each_type {
    ($data:expr, $v:ident => $number:expr, $c:ident => $colour:expr) => {
        match $data {
            VoxelData::U8($v) => $number,
            VoxelData::I8($v) => $number,
            VoxelData::U16($v) => $number,
            VoxelData::I16($v) => $number,
            VoxelData::U32($v) => $number,
            VoxelData::I32($v) => $number,
            VoxelData::U64($v) => $number,
            VoxelData::I64($v) => $number,
            VoxelData::F32($v) => $number,
            VoxelData::F64($v) => $number,
            VoxelData::Rgb($c) => $colour,
            VoxelData::Rgba($c) => $colour,
        }
    };
}
pub(super) use for_each_type;

impl VoxelData {
    /// Number of voxels over all frames.
    pub fn len(&self) -> usize {
        for_each_type!(self, v => v.len(), v => v.len())
    }

    /// True if there are no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// NIfTI name of the stored type: `uint8`, `int16`, `float32`, `rgb24`, ...
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "uint8",
            Self::I8(_) => "int8",
            Self::U16(_) => "uint16",
            Self::I16(_) => "int16",
            Self::U32(_) => "uint32",
            Self::I32(_) => "int32",
            Self::U64(_) => "uint64",
            Self::I64(_) => "int64",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
            Self::Rgb(_) => "rgb24",
            Self::Rgba(_) => "rgba32",
        }
    }

    /// A copy of the voxels in a range of memory positions.
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Self {
        macro_rules! part {
            ($($kind:ident)*) => { match self { $(Self::$kind(v) => Self::$kind(v[range].to_vec()),)* } };
        }
        part!(U8 I8 U16 I16 U32 I32 U64 I64 F32 F64 Rgb Rgba)
    }

    /// Bytes of one voxel.
    pub fn bytes_per_voxel(&self) -> usize {
        match self {
            Self::U8(_) | Self::I8(_) => 1,
            Self::U16(_) | Self::I16(_) => 2,
            Self::Rgb(_) => 3,
            Self::U32(_) | Self::I32(_) | Self::F32(_) | Self::Rgba(_) => 4,
            Self::U64(_) | Self::I64(_) | Self::F64(_) => 8,
        }
    }

    /// True for RGB and RGBA voxels.
    pub fn is_colour(&self) -> bool {
        matches!(self, Self::Rgb(_) | Self::Rgba(_))
    }

    /// True for integer types.
    pub fn is_integer(&self) -> bool {
        !matches!(self, Self::F32(_) | Self::F64(_) | Self::Rgb(_) | Self::Rgba(_))
    }

    /// The stored value at a position in memory. A colour gives its luminance (Rec. 601), 0 to 255.
    #[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
    pub fn stored(&self, index: usize) -> f64 {
        for_each_type!(self, v => v[index] as f64, c => luminance(c[index][0], c[index][1], c[index][2]))
    }
}

fn luminance(red: u8, green: u8, blue: u8) -> f64 {
    0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
}

/// `value = slope * stored + inter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Factor on the stored value.
    pub slope: f64,
    /// Added after the multiplication.
    pub inter: f64,
}

impl Scale {
    /// No scaling.
    pub const IDENTITY: Self = Self { slope: 1.0, inter: 0.0 };

    /// Converts a stored value to the scan's unit.
    pub fn apply(self, stored: f64) -> f64 {
        // The identity is not computed, so that infinities and the payload of a NaN stay unchanged.
        if self == Self::IDENTITY { stored } else { self.slope * stored + self.inter }
    }
}

/// Which frames of a 4-D file to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// A single frame, 0-based.
    One(usize),
    /// All frames, concatenated.
    All,
}

/// How to read a volume.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Which frames to keep.
    pub frames: Frames,
    /// Files whose decoded voxels need more bytes than this are refused.
    pub memory_budget: u64,
}

impl Default for ReadOptions {
    /// The first frame, at most 2 GiB.
    fn default() -> Self {
        Self { frames: Frames::One(0), memory_budget: 2 << 30 }
    }
}

/// A NIfTI header extension. Its content may identify the patient, so it is neither shown nor written.
#[derive(Clone, PartialEq, Eq)]
pub struct Extension {
    /// `ecode`, the kind of content.
    pub code: i32,
    /// The content, as stored.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may identify the patient.
        write!(f, "Extension {{ code: {}, bytes: {} }}", self.code, self.data.len())
    }
}

/// The header fields needed to write another volume on exactly the same grid. Text fields are dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceHeader {
    /// File format: `nifti-1` or `nifti-2`, followed by ` pair` and ` gzip` where they apply.
    pub format: String,
    /// The file's dimensions, `dim[1..=dim[0]]`; may be fewer or more than three.
    pub dims: Vec<usize>,
    /// Code of the quaternion form, used if positive and the sform is not usable.
    pub qform_code: i32,
    /// Code of the matrix form, used if positive.
    pub sform_code: i32,
    /// `quatern_b, quatern_c, quatern_d, qoffset_x, qoffset_y, qoffset_z`.
    pub quatern: [f64; 6],
    /// `srow_x, srow_y, srow_z`, in the file's unit of length.
    pub srow: [[f64; 4]; 3],
    /// `pixdim`; the first entry is qfac.
    pub pixdim: [f64; 8],
    /// Units of length and time.
    pub xyzt_units: i32,
    /// Extensions in file order.
    pub extensions: Vec<Extension>,
}

/// Reads a NIfTI or DICOM volume without checking its values.
pub(super) fn read_unchecked(path: &Path, options: &ReadOptions) -> Result<Volume> {
    if dicom::is_dicom(path) { dicom::read(path, options) } else { nifti::read(path, options) }
}

/// A scan on its grid.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Shape and position in patient space.
    pub grid: Grid,
    /// The frames in memory, in the file's own type, unscaled.
    pub data: VoxelData,
    /// Converts stored values to the scan's unit (HU, SUV, ...).
    pub scale: Scale,
    /// Lowest and highest stored value that mark padding outside the field of view, from DICOM or a NIfTI file converted from
    /// it.
    pub padding: Option<[f64; 2]>,
    /// Number of frames in the file (1 for a 3-D scan): the product of all dimensions after the third.
    pub file_frames: usize,
    /// Irregularities found while reading, one sentence each.
    pub warnings: Vec<String>,
    /// The file's header, if the volume was read from a file.
    pub header: Option<Box<SourceHeader>>,
    /// Its frame of reference and its images, if it was read from DICOM.
    pub space: Option<Arc<dicom::PatientSpace>>,
}

impl Volume {
    /// Reads the first frame of a NIfTI file or of a DICOM series ([`dicom::open`]), within the default memory budget of 2 GiB.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_with(path, &ReadOptions::default())
    }

    /// Reads only headers and returns the grid.
    ///
    /// # Errors
    /// As [`Volume::read`], as far as the header shows them.
    pub fn read_grid(path: &Path) -> Result<Grid> {
        if dicom::is_dicom(path) { dicom::read_grid(path) } else { nifti::read_grid(path) }
    }

    /// Reads the frames that `options` selects. [`Volume::warnings`] reports volumes of zeros only, non-finite values
    /// and values beyond the range of a 32-bit float.
    pub fn read_with(path: &Path, options: &ReadOptions) -> Result<Self> {
        let mut volume = read_unchecked(path, options)?;
        let warnings = volume.value_warnings();
        volume.warnings.extend(warnings);
        Ok(volume)
    }

    /// A volume in memory, without header. `data` is in file order and holds a whole number of frames.
    pub fn new(grid: Grid, data: VoxelData, scale: Scale) -> Self {
        debug_assert_eq!(data.len() % grid.len().max(1), 0);
        let file_frames = data.len().checked_div(grid.len()).unwrap_or(1);
        Self { grid, data, scale, padding: None, file_frames, warnings: Vec::new(), header: None, space: None }
    }

    /// A volume in memory with one frame, no scaling and no header. `data` is in file order, one value per voxel.
    pub fn from_f32(grid: Grid, data: Vec<f32>) -> Self {
        debug_assert_eq!(grid.len(), data.len());
        Self::new(grid, VoxelData::F32(data), Scale::IDENTITY)
    }

    /// A volume of other values with the same grid and header, so that it is written at the same position.
    #[must_use]
    pub fn like(&self, data: Vec<f32>) -> Self {
        Self { header: self.header.clone(), ..Self::from_f32(self.grid.clone(), data) }
    }

    /// Number of frames in memory.
    pub fn frames(&self) -> usize {
        self.data.len().checked_div(self.grid.len()).unwrap_or(0)
    }

    /// Size of the voxels in memory, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        (self.data.len() * self.data.bytes_per_voxel()) as u64
    }

    /// Scaled value of a voxel of the first frame in memory. A colour gives its luminance.
    pub fn value(&self, voxel: [usize; 3]) -> f64 {
        self.value_at(voxel, 0)
    }

    /// Scaled value of a voxel of a frame, 0-based among the frames in memory.
    pub fn value_at(&self, voxel: [usize; 3], frame: usize) -> f64 {
        self.scale.apply(self.data.stored(frame * self.grid.len() + self.grid.index(voxel)))
    }

    /// The first frame, scaled, in file order.
    pub fn to_f32(&self) -> Vec<f32> {
        self.frame_to_f32(0)
    }

    /// A frame in memory, scaled, in file order; colours as luminance. Empty if the frame does not exist.
    #[allow(clippy::unnecessary_cast, reason = "the code is the same for every type, including f64")]
    pub fn frame_to_f32(&self, frame: usize) -> Vec<f32> {
        let Some(voxels) = self.frame_range(frame) else { return Vec::new() };
        let scale = self.scale;
        if let (VoxelData::F32(v), Scale::IDENTITY) = (&self.data, scale) {
            return v[voxels].to_vec();
        }
        for_each_type!(
            &self.data,
            v => parallel::map_values(&v[voxels], |x| scale.apply(x as f64) as f32),
            c => parallel::map_values(&c[voxels], |p| luminance(p[0], p[1], p[2]) as f32)
        )
    }

    /// Index range of a frame in memory.
    pub(super) fn frame_range(&self, frame: usize) -> Option<std::ops::Range<usize>> {
        let n = self.grid.len();
        (frame < self.frames()).then(|| frame * n..frame * n + n)
    }

    /// Scaled statistics over all frames in memory, padding included; `None` for colours.
    pub fn stats(&self) -> Option<Stats> {
        stats::stats(&self.data, self.scale)
    }

    /// [`Volume::stats`] without padding, and the number of voxels that are padding; `None` if the scan has no padding.
    pub fn stats_without_padding(&self) -> Option<(Stats, u64)> {
        stats::stats_without(&self.data, self.scale, self.padding?)
    }

    /// # Errors
    /// For colours. `path` names the file in the message.
    pub fn require_numbers(&self, path: &Path) -> Result<()> {
        if self.data.is_colour() {
            return Err(Error::file(
                path,
                format!("{} voxels are for viewing only. Choose a greyscale image", self.data.type_name()),
            ));
        }
        Ok(())
    }

    /// What is unusual about the values: only zeros, not finite, beyond the range of a 32-bit float.
    pub(crate) fn value_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Some(stats) = self.stats() else { return warnings };
        let n = self.data.len() as u64;
        if stats.nonfinite > 0 && stats.nonfinite == n {
            warnings.push("no voxel has a finite value".to_owned());
        } else if stats.nonfinite > 0 {
            warnings.push(format!(
                "{} of {n} voxels {} not finite",
                stats.nonfinite,
                if stats.nonfinite == 1 { "is" } else { "are" }
            ));
        }
        if let (Some(min), Some(max)) = (stats.min, stats.max) {
            if n > 1 && stats.nonfinite == 0 && min == 0.0 && max == 0.0 {
                warnings.push("every voxel is 0".to_owned());
            }
            let largest = min.abs().max(max.abs());
            if largest > f64::from(f32::MAX) {
                warnings.push(format!("values reach {largest:e}, beyond the range of a 32-bit float"));
            }
        }
        warnings
    }
}
