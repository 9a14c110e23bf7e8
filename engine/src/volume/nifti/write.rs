//! Writing volumes and masks on the exact grid of their source.

use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use nifti::NiftiHeader;

use super::extension;
use super::geometry::{GeometryFields, forms_from_grid};
use super::header::{V1_LEN, V2_LEN};
use crate::disk::atomic::{self, write_atomic};
use crate::volume::data::for_each_type;
use crate::volume::{Grid, LabelData, LabelVolume, Relation, Scale, Volume, VoxelData};
use crate::{Error, Result};

/// `NIFTI_INTENT_LABEL`.
const INTENT_LABEL: i16 = 1002;
/// The largest dimension of a NIfTI-1 file.
const V1_DIM: usize = 32767;

/// Writes a mask on the grid of its image: same shape, forms, codes, units and voxel sizes, the smallest integer type
/// that fits, intent "label". Returns the SHA-256 of the file.
///
/// The name selects `.nii` or `.nii.gz`. The format is NIfTI-1, or NIfTI-2 if a dimension or the source's 64-bit
/// geometry needs it. Text and extensions of the source are not written.
///
/// # Errors
/// If the mask is not on the image's grid, the name ends in anything else, or the file cannot be written.
pub fn write_label(path: &Path, labels: &LabelVolume, like: &Volume) -> Result<String> {
    write_atomic(path, &label_bytes(path, std::slice::from_ref(labels), like)?)
}

/// [`write_label`] that keeps an earlier mask as [`atomic::previous_path`].
///
/// # Errors
/// As [`write_label`], and if the earlier mask cannot be kept. The mask is unchanged then.
pub fn replace_label(path: &Path, labels: &LabelVolume, like: &Volume) -> Result<String> {
    replace_labels(path, std::slice::from_ref(labels), like)
}

/// [`replace_label`] of a mask of several frames, one after the other.
///
/// # Errors
/// As [`replace_label`].
pub fn replace_labels(path: &Path, frames: &[LabelVolume], like: &Volume) -> Result<String> {
    let bytes = label_bytes(path, frames, like)?;
    // Saved twice, the previous version is still the one before the change.
    if !std::fs::read(path).is_ok_and(|old| old == bytes) {
        atomic::keep_previous(path)?;
    }
    write_atomic(path, &bytes)
}

/// The file of a mask.
fn label_bytes(path: &Path, frames: &[LabelVolume], like: &Volume) -> Result<Vec<u8>> {
    for labels in frames {
        labels.grid.require_same(&like.grid, || format!("mask {} and its image", path.display()))?;
    }
    let narrow = |labels: &LabelVolume| match &labels.data {
        LabelData::U8(_) => true,
        LabelData::U16(v) => v.iter().all(|&l| l <= 255),
    };
    let data = if frames.iter().all(narrow) {
        let bytes = |labels: &LabelVolume| match &labels.data {
            LabelData::U8(v) => v.clone(),
            LabelData::U16(v) => v.iter().map(|&l| l as u8).collect(),
        };
        VoxelData::U8(frames.iter().flat_map(bytes).collect())
    } else {
        VoxelData::U16(frames.iter().flat_map(LabelVolume::iter).collect())
    };
    file_bytes(path, &Content { intent: INTENT_LABEL, ..Content::of(&data) }, like)
}

/// Writes values (one per voxel, file order) as 32-bit floats on the grid of an image. Returns the SHA-256 of the file.
///
/// # Errors
/// As [`write_label`].
pub fn write_f32(path: &Path, values: &[f32], like: &Volume) -> Result<String> {
    if values.len() != like.grid.len() {
        let why = format!("the grid of {} has {} voxels", path.display(), like.grid.len());
        return Err(Error::config("values", values.len(), why));
    }
    write(path, &Content::of(&VoxelData::F32(values.to_vec())), like)
}

/// Writes a volume in its own type, scaling and grid, with its padding as a header extension. Returns the SHA-256 of the
/// file.
///
/// # Errors
/// As [`write_label`].
pub fn write_volume(path: &Path, volume: &Volume) -> Result<String> {
    let extension = volume.padding.map(extension::of_padding).unwrap_or_default();
    write(path, &Content { scale: volume.scale, extension, ..Content::of(&volume.data) }, volume)
}

struct Content<'a> {
    data: &'a VoxelData,
    scale: Scale,
    intent: i16,
    /// A header extension, or nothing.
    extension: Vec<u8>,
}

impl<'a> Content<'a> {
    /// Values without scaling, intent or extension.
    fn of(data: &'a VoxelData) -> Self {
        Self { data, scale: Scale::IDENTITY, intent: 0, extension: Vec::new() }
    }

    /// The four flag bytes and the extension.
    fn after_header(&self) -> Vec<u8> {
        [&[u8::from(!self.extension.is_empty()), 0, 0, 0][..], &self.extension].concat()
    }
}

fn write(path: &Path, content: &Content<'_>, like: &Volume) -> Result<String> {
    write_atomic(path, &file_bytes(path, content, like)?)
}

/// Header and voxels, compressed if the name says so.
fn file_bytes(path: &Path, content: &Content<'_>, like: &Volume) -> Result<Vec<u8>> {
    let is = |p: &Path, ending: &str| p.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let gzip = is(path, "gz");
    let inner = if gzip { path.with_extension("") } else { path.to_path_buf() };
    if !is(&inner, "nii") {
        return Err(Error::file(path, "the name must end in .nii or .nii.gz"));
    }
    let header = header_bytes(path, content, like);
    Ok(if gzip {
        // The gzip header has no time and no name, so that equal masks give equal files.
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
        encoder.write_all(&header).map_err(Error::io("compress", path))?;
        voxels(content.data, |piece| encoder.write_all(piece)).map_err(Error::io("compress", path))?;
        encoder.finish().map_err(Error::io("compress", path))?
    } else {
        let mut bytes = header;
        bytes.reserve_exact(content.data.len() * content.data.bytes_per_voxel());
        voxels(content.data, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .map_err(Error::io("write", path))?;
        bytes
    })
}

/// Passes the voxels to `sink` as little-endian bytes, piece by piece.
fn voxels(data: &VoxelData, mut sink: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut piece = Vec::with_capacity(1 << 17);
    for_each_type!(
        data,
        v => for values in v.chunks(1 << 14) {
            piece.clear();
            piece.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            sink(&piece)?;
        },
        c => sink(c.as_flattened())?
    );
    Ok(())
}

/// The header, its four flag bytes and the extension, up to the first voxel.
fn header_bytes(path: &Path, content: &Content<'_>, like: &Volume) -> Vec<u8> {
    let grid = &like.grid;
    let frames = content.data.len().checked_div(grid.len()).unwrap_or(0);
    let dims: Vec<usize> = if frames > 1 { [&grid.shape[..], &[frames]].concat() } else { grid.shape.to_vec() };
    let (forms, exact) = forms_for_output(path, grid, like);
    if dims.iter().all(|&d| d <= V1_DIM) && (!exact || fits_v1(&forms, content.scale)) {
        v1_bytes(&dims, content, &forms)
    } else {
        v2_bytes(&dims, content, &forms)
    }
}

/// The source's forms and true if they describe the grid exactly. Otherwise forms computed from the grid, which may be rounded
/// to 32 bits, and false.
fn forms_for_output(path: &Path, grid: &Grid, like: &Volume) -> (GeometryFields, bool) {
    let Some(source) = &like.header else { return (forms_from_grid(grid), false) };
    let mut pixdim = source.pixdim;
    pixdim[4..].fill(1.0);
    let kept = GeometryFields {
        qform_code: source.qform_code,
        sform_code: source.sform_code,
        quatern: source.quatern,
        srow: source.srow,
        pixdim,
        xyzt_units: source.xyzt_units,
    };
    let dims = grid.shape.map(|n| n as u64);
    match kept.world_from_voxel(path, &dims, &mut Vec::new()) {
        Ok((world_from_voxel, oriented))
            if oriented == grid.oriented
                && (Grid { shape: grid.shape, world_from_voxel, oriented }).relation(grid) == Relation::Same =>
        {
            (kept, true)
        }
        _ => (forms_from_grid(grid), false),
    }
}

/// Whether the 32-bit floats and 16-bit codes of NIfTI-1 represent all of this exactly.
fn fits_v1(forms: &GeometryFields, scale: Scale) -> bool {
    let fits = |v: &f64| v.is_nan() || f64::from(*v as f32).to_bits() == v.to_bits();
    let floats = forms.srow.iter().flatten().chain(&forms.quatern).chain(&forms.pixdim);
    let codes = [forms.qform_code, forms.sform_code].iter().all(|&c| i16::try_from(c).is_ok());
    let scaling = [scale.slope, scale.inter];
    codes && u8::try_from(forms.xyzt_units).is_ok() && floats.chain(&scaling).all(fits)
}

/// NIfTI `datatype` code.
fn datatype(data: &VoxelData) -> i16 {
    match data {
        VoxelData::U8(_) => 2,
        VoxelData::I16(_) => 4,
        VoxelData::I32(_) => 8,
        VoxelData::F32(_) => 16,
        VoxelData::F64(_) => 64,
        VoxelData::Rgb(_) => 128,
        VoxelData::I8(_) => 256,
        VoxelData::U16(_) => 512,
        VoxelData::U32(_) => 768,
        VoxelData::I64(_) => 1024,
        VoxelData::U64(_) => 1280,
        VoxelData::Rgba(_) => 2304,
    }
}

/// Appends little-endian fields.
#[derive(Default)]
struct HeaderWriter(Vec<u8>);

impl HeaderWriter {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn i16(&mut self, values: &[i16]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }
    fn i32(&mut self, values: &[i32]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }
    fn i64(&mut self, values: &[i64]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }
    fn f32(&mut self, values: &[f32]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }
    fn f64(&mut self, values: &[f64]) -> &mut Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }
}

fn v1_bytes(dims: &[usize], content: &Content<'_>, forms: &GeometryFields) -> Vec<u8> {
    let row = |r: usize| forms.srow[r].map(|v| v as f32);
    let after = content.after_header();
    let mut h = NiftiHeader {
        vox_offset: (V1_LEN + after.len()) as f32,
        dim: [1; 8],
        intent_code: content.intent,
        datatype: datatype(content.data),
        bitpix: content.data.bytes_per_voxel() as i16 * 8,
        pixdim: forms.pixdim.map(|v| v as f32),
        scl_slope: content.scale.slope as f32,
        scl_inter: content.scale.inter as f32,
        xyzt_units: forms.xyzt_units as u8,
        qform_code: forms.qform_code as i16,
        sform_code: forms.sform_code as i16,
        srow_x: row(0),
        srow_y: row(1),
        srow_z: row(2),
        magic: *b"n+1\0",
        ..NiftiHeader::default()
    };
    h.dim[0] = dims.len() as u16;
    h.dim[1..=dims.len()].iter_mut().zip(dims).for_each(|(to, &d)| *to = d as u16);
    let mut out = HeaderWriter::default();
    out.i32(&[h.sizeof_hdr]).bytes(&h.data_type).bytes(&h.db_name).i32(&[h.extents]).i16(&[h.session_error]);
    out.bytes(&[b'r', h.dim_info]).i16(&h.dim.map(u16::cast_signed)).f32(&[0.0; 3]);
    out.i16(&[h.intent_code, h.datatype, h.bitpix, h.slice_start]).f32(&h.pixdim);
    out.f32(&[h.vox_offset, h.scl_slope, h.scl_inter]).i16(&[h.slice_end]).bytes(&[h.slice_code, h.xyzt_units]);
    out.f32(&[h.cal_max, h.cal_min, h.slice_duration, h.toffset]).i32(&[h.glmax, h.glmin]);
    out.bytes(&h.descrip).bytes(&h.aux_file).i16(&[h.qform_code, h.sform_code]);
    out.f32(&forms.quatern.map(|v| v as f32)).f32(&h.srow_x).f32(&h.srow_y).f32(&h.srow_z);
    out.bytes(&h.intent_name).bytes(&h.magic).bytes(&after);
    out.0
}

fn v2_bytes(dims: &[usize], content: &Content<'_>, forms: &GeometryFields) -> Vec<u8> {
    let after = content.after_header();
    let mut dim = [1_i64; 8];
    dim[0] = dims.len() as i64;
    dim[1..=dims.len()].iter_mut().zip(dims).for_each(|(to, &d)| *to = d as i64);
    let mut out = HeaderWriter::default();
    out.i32(&[540]).bytes(b"n+2\0\r\n\x1a\n");
    out.i16(&[datatype(content.data), content.data.bytes_per_voxel() as i16 * 8]).i64(&dim);
    out.f64(&[0.0; 3])
        .f64(&forms.pixdim)
        .i64(&[(V2_LEN + after.len()) as i64])
        .f64(&[content.scale.slope, content.scale.inter]);
    out.f64(&[0.0; 4]).i64(&[0; 2]).bytes(&[0; 80 + 24]).i32(&[forms.qform_code, forms.sform_code]);
    out.f64(&forms.quatern).f64(&forms.srow[0]).f64(&forms.srow[1]).f64(&forms.srow[2]);
    out.i32(&[0, forms.xyzt_units, i32::from(content.intent)]).bytes(&[0; 16 + 1 + 15]).bytes(&after);
    out.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_lengths_of_the_standard() {
        let grid = Grid::new([2, 1, 1], glam::DAffine3::IDENTITY);
        let volume = Volume::from_f32(grid, vec![1.0, 2.0]);
        let mut content = Content::of(&volume.data);
        let forms = forms_from_grid(&volume.grid);
        assert_eq!(v1_bytes(&[2, 1, 1], &content, &forms).len(), 352);
        assert_eq!(v2_bytes(&[2, 1, 1], &content, &forms).len(), 544);
        content.extension = vec![0; 48];
        assert_eq!(v1_bytes(&[2, 1, 1], &content, &forms).len(), 400);
    }

    #[test]
    fn padding_is_written_with_a_volume_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let grid = |n: usize| Grid::new([n, 1, 1], glam::DAffine3::IDENTITY);
        let stored = Volume::new(grid(2), VoxelData::I16(vec![-2000, 5]), Scale { slope: 0.5, inter: -1024.0 });
        // So many voxels along an axis need NIfTI-2.
        let long = Volume::from_f32(grid(40_000), (0..40_000_u16).map(|index| f32::from(index) / 3.0).collect());
        for (volume, padding) in [(stored, [-2000.0, -1999.5]), (long, [-1e300, f64::from(0.1_f32)])] {
            let path = folder.path().join("scan.nii.gz");
            let volume = Volume { padding: Some(padding), ..volume };
            write_volume(&path, &volume).unwrap();
            let result = Volume::read(&path).unwrap();
            assert_eq!((result.padding, &result.data, result.scale), (Some(padding), &volume.data, volume.scale));
            assert_eq!((result.warnings, result.header.map(|header| header.extensions.len())), (Vec::new(), Some(1)));
            // Other values on the same grid have none.
            write_f32(&path, &volume.to_f32(), &volume).unwrap();
            assert_eq!(Volume::read(&path).unwrap().padding, None);
        }
    }
}
