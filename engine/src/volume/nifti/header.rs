//! Header fields of NIfTI-1 and NIfTI-2, in either byte order.

use std::path::Path;

use nifti::{NiftiHeader, NiftiType};

use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Length of a NIfTI-1 header in bytes.
pub(super) const V1_LEN: usize = 348;
/// Length of a NIfTI-2 header in bytes.
pub(super) const V2_LEN: usize = 540;

/// The header fields in use, common to both versions.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Byte order of the header and the voxels.
    pub big_endian: bool,
    /// True if the voxels are in the same file (magic `n+1`, `n+2`), false for a separate image file (`ni1`, `ni2`).
    pub single: bool,
    /// `dim[1..=dim[0]]`, each at least 1.
    pub dims: Vec<u64>,
    /// A supported type.
    pub datatype: NiftiType,
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub slope: f64,
    pub inter: f64,
    pub xyzt_units: i32,
    pub qform_code: i32,
    pub sform_code: i32,
    /// `quatern_b, c, d`, then `qoffset_x, y, z`.
    pub quatern: [f64; 6],
    pub srow: [[f64; 4]; 3],
    pub intent_code: i32,
}

/// Number of header bytes after the first [`V1_LEN`], judged by the start of the file.
pub(super) fn extra_header_bytes(start: &[u8]) -> usize {
    if sizeof_hdr(start, V2_LEN) && !v1_magic(start) { V2_LEN - V1_LEN } else { 0 }
}

/// True if `sizeof_hdr`, the first four bytes, is `length` in either byte order.
fn sizeof_hdr(bytes: &[u8], length: usize) -> bool {
    let Some(&[a, b, c, d]) = bytes.first_chunk() else { return false };
    let length = length as i32;
    i32::from_le_bytes([a, b, c, d]) == length || i32::from_be_bytes([a, b, c, d]) == length
}

fn v1_magic(bytes: &[u8]) -> bool {
    matches!(bytes.get(344..348), Some(b"n+1\0" | b"ni1\0"))
}

impl Header {
    /// Parses the header and checks everything that does not depend on the rest of the file.
    pub fn parse(path: &Path, bytes: &[u8], warnings: &mut Vec<String>) -> Result<Self> {
        let mut header = if v1_magic(bytes) {
            Self::parse_v1(path, bytes, warnings)?
        } else if sizeof_hdr(bytes, V2_LEN) {
            Self::parse_v2(path, bytes, warnings)?
        } else {
            return Err(not_nifti(path, bytes));
        };
        header.check_scaling(path, warnings)?;
        Ok(header)
    }

    fn parse_v1(path: &Path, bytes: &[u8], warnings: &mut Vec<String>) -> Result<Self> {
        if sizeof_hdr(bytes, V2_LEN) {
            let why = "belongs to NIfTI-2, but the magic is NIfTI-1";
            return Err(Error::field(path, "sizeof_hdr", V2_LEN, why));
        }
        let dim0 = [bytes[40], bytes[41]];
        let in_range = |n: i16| (1..=7).contains(&n);
        // The byte order is the one in which dim[0] is valid; the `nifti` crate decides in the same way.
        let big_endian = if in_range(i16::from_le_bytes(dim0)) {
            false
        } else if in_range(i16::from_be_bytes(dim0)) {
            true
        } else {
            return Err(Error::field(path, "dim[0]", i16::from_le_bytes(dim0), "must be 1 to 7"));
        };
        let raw = NiftiHeader::from_reader(bytes)
            .map_err(|e| Error::file(path, format!("cannot parse the NIfTI-1 header: {e}")))?;
        if raw.sizeof_hdr != V1_LEN as i32 {
            warnings.push(format!("sizeof_hdr is {} instead of 348", raw.sizeof_hdr));
        }
        let wide = |row: [f32; 4]| row.map(f64::from);
        let datatype = datatype(path, raw.datatype, raw.bitpix, warnings)?;
        // The crate reads dimensions as unsigned, but the format stores signed integers.
        let dims: Vec<i64> = raw.dim.iter().map(|&d| i64::from(d.cast_signed())).collect();
        let q = [raw.quatern_b, raw.quatern_c, raw.quatern_d, raw.quatern_x, raw.quatern_y, raw.quatern_z];
        Ok(Self {
            version: 1,
            big_endian,
            single: &raw.magic == nifti_magic_single(),
            dims: checked_dims(path, &dims)?,
            datatype,
            pixdim: raw.pixdim.map(f64::from),
            vox_offset: f64::from(raw.vox_offset),
            slope: f64::from(raw.scl_slope),
            inter: f64::from(raw.scl_inter),
            xyzt_units: i32::from(raw.xyzt_units),
            qform_code: i32::from(raw.qform_code),
            sform_code: i32::from(raw.sform_code),
            quatern: q.map(f64::from),
            srow: [wide(raw.srow_x), wide(raw.srow_y), wide(raw.srow_z)],
            intent_code: i32::from(raw.intent_code),
        })
    }

    fn parse_v2(path: &Path, bytes: &[u8], warnings: &mut Vec<String>) -> Result<Self> {
        if bytes.len() < V2_LEN {
            return Err(too_short(path, bytes.len(), V2_LEN));
        }
        let single = match &bytes[4..8] {
            b"n+2\0" => true,
            b"ni2\0" => false,
            other => {
                let why = "must be n+2 or ni2, as sizeof_hdr belongs to NIfTI-2";
                return Err(Error::field(path, "magic", other.escape_ascii(), why));
            }
        };
        match &bytes[8..12] {
            b"\r\n\x1a\n" => {}
            [0, 0, 0, 0] => warnings.push("the line-end check of the magic is missing".to_owned()),
            other => {
                let why =
                    "line ends were changed, so the file was transferred as text and is damaged. Transfer it as binary";
                return Err(Error::field(path, "magic[4..8]", other.escape_ascii(), why));
            }
        }
        let fields =
            FieldReader { bytes, big_endian: i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) == 540 };
        let dims: Vec<i64> = (0..8).map(|n| fields.i64(16 + 8 * n)).collect();
        if !(1..=7).contains(&dims[0]) {
            return Err(Error::field(path, "dim[0]", dims[0], "must be 1 to 7"));
        }
        let row = |index: usize| std::array::from_fn(|n| fields.f64(index + 8 * n));
        Ok(Self {
            version: 2,
            big_endian: fields.big_endian,
            single,
            dims: checked_dims(path, &dims)?,
            datatype: datatype(path, fields.i16(12), fields.i16(14), warnings)?,
            pixdim: std::array::from_fn(|n| fields.f64(104 + 8 * n)),
            vox_offset: fields.i64(168) as f64,
            slope: fields.f64(176),
            inter: fields.f64(184),
            xyzt_units: fields.i32(500),
            qform_code: fields.i32(344),
            sform_code: fields.i32(348),
            quatern: std::array::from_fn(|n| fields.f64(352 + 8 * n)),
            srow: [row(400), row(432), row(464)],
            intent_code: fields.i32(504),
        })
    }

    /// Replaces slope and intercept by 1 and 0 if the header defines no scaling.
    fn check_scaling(&mut self, path: &Path, warnings: &mut Vec<String>) -> Result<()> {
        let colour = matches!(self.datatype, NiftiType::Rgb24 | NiftiType::Rgba32);
        if !self.slope.is_finite() && !colour {
            warnings.push(format!("scl_slope is {}. No scaling is applied", self.slope));
        }
        if colour || !self.slope.is_finite() || self.slope == 0.0 {
            (self.slope, self.inter) = (1.0, 0.0);
        } else if !self.inter.is_finite() {
            let why = format!("scl_slope is {}, so a finite intercept is needed", self.slope);
            return Err(Error::field(path, "scl_inter", self.inter, why));
        }
        Ok(())
    }

    /// Bytes of one voxel.
    pub fn voxel_bytes(&self) -> u64 {
        self.datatype.size_of() as u64
    }

    /// True for a CIFTI-2 file: a matrix stored as the fifth and later dimensions of a NIfTI-2 file.
    pub fn is_cifti(&self) -> bool {
        self.version == 2
            && (3000..3100).contains(&self.intent_code)
            && self.dims.len() > 4
            && self.dims[..4].iter().all(|&d| d == 1)
    }
}

fn nifti_magic_single() -> &'static [u8; 4] {
    b"n+1\0"
}

/// Reads numbers at byte offsets of a NIfTI-2 header of checked length.
struct FieldReader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl FieldReader<'_> {
    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[offset..offset + N]);
        if self.big_endian {
            out.reverse();
        }
        out
    }

    fn i16(&self, offset: usize) -> i16 {
        i16::from_le_bytes(self.array(offset))
    }

    fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.array(offset))
    }

    fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.array(offset))
    }

    fn f64(&self, offset: usize) -> f64 {
        f64::from_le_bytes(self.array(offset))
    }
}

/// `dim[1..=dim[0]]`, each checked to be at least 1. `dim[0]` must be valid.
fn checked_dims(path: &Path, dim: &[i64]) -> Result<Vec<u64>> {
    let used = dim.iter().enumerate().skip(1).take(dim[0] as usize);
    used.map(|(n, &d)| match u64::try_from(d) {
        Ok(d) if d > 0 => Ok(d),
        _ => Err(Error::field(path, format!("dim[{n}]"), d, "must be at least 1")),
    })
    .collect()
}

/// The voxel type, if supported. A `bitpix` that contradicts it gives a warning.
fn datatype(path: &Path, code: i16, bitpix: i16, warnings: &mut Vec<String>) -> Result<NiftiType> {
    let holder = NiftiHeader { datatype: code, ..NiftiHeader::default() };
    let Ok(known) = holder.data_type() else {
        return Err(Error::field(path, "datatype", code, "is not a numeric type of the standard"));
    };
    let unsupported = match known {
        NiftiType::Complex64 => "complex64",
        NiftiType::Complex128 => "complex128",
        NiftiType::Complex256 => "complex256",
        NiftiType::Float128 => "float128",
        _ => {
            let bits = known.size_of() as i64 * 8;
            if bits != i64::from(bitpix) {
                warnings.push(format!("bitpix is {bitpix}, but datatype {code} has {bits} bits. The datatype is used"));
            }
            return Ok(known);
        }
    };
    Err(ErrorKind::Unsupported { path: path.to_path_buf(), what: format!("datatype {code} ({unsupported})") }.into())
}

fn too_short(path: &Path, length: usize, needed: usize) -> Error {
    Error::file(path, format!("ends after {}, but the header needs {needed}", plural(length, "byte", "bytes")))
}

/// The error for a file that is not NIfTI. Names the actual format if the first bytes show it.
fn not_nifti(path: &Path, bytes: &[u8]) -> Error {
    let why = if bytes.is_empty() {
        "is empty"
    } else if bytes.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the volume. Fetch it with git lfs pull"
    } else if bytes.get(128..132) == Some(b"DICM") {
        "is a DICOM file with the name or compression of NIfTI. Rename or decompress it"
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        "is gzipped more than once. Decompress it once"
    } else if sizeof_hdr(bytes, V1_LEN) || bytes.len() < 4 {
        if bytes.len() < V1_LEN {
            return too_short(path, bytes.len(), V1_LEN);
        }
        "ANALYZE 7.5 file. It does not record left and right, so it is not opened. Convert it to NIfTI"
    } else {
        "not a NIfTI file. Supported: .nii, .nii.gz, .hdr/.img"
    };
    Error::file(path, why)
}
