//! Reading a file: locating a pair, checking sizes, decoding the voxels.

use std::path::{Path, PathBuf};

use super::decode::{VoxelBlock, decode};
use super::extension;
use super::geometry::GeometryFields;
use super::header::{Header, V1_LEN, V2_LEN, extra_header_bytes};
use super::source::{Source, TrailingData};
use crate::volume::{Extension, Frames, Grid, ReadOptions, Scale, SourceHeader, Volume};
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Extensions larger than this in total, in bytes, are skipped.
const EXTENSIONS_LIMIT: u64 = 16 << 20;

/// Reads a volume and checks the header and the file's structure, but not the values.
pub(in crate::volume) fn read(path: &Path, options: &ReadOptions) -> Result<Volume> {
    let mut warnings = Vec::new();
    let pair = pair_of(path)?;
    let header_path = pair.as_ref().map_or(path, |p| p.header.as_path());
    let mut source = open(header_path, &mut warnings)?;
    let header = read_header(header_path, &mut source, &mut warnings)?;
    if header.single != pair.is_none() {
        return Err(wrong_magic(header_path, &header));
    }

    let (mut gzip, mut image_path) = (source.is_gzip(), header_path);
    let extensions;
    let offset;
    if let Some(pair) = &pair {
        offset = checked_offset(header_path, header.vox_offset, 0, &mut warnings)?;
        extensions = read_pair_extensions(&header, &mut source, &mut warnings)?;
        image_path = &pair.image;
        source = open(image_path, &mut warnings)?;
        gzip |= source.is_gzip();
        check_file_length(&header, &source, image_path, offset)?;
        source.skip(offset)?;
    } else {
        let first = if header.version == 2 { V2_LEN } else { V1_LEN } as u64 + 4;
        offset = checked_offset(header_path, header.vox_offset, first, &mut warnings)?;
        check_file_length(&header, &source, image_path, offset)?;
        extensions = read_extensions(&header, &mut source, offset - first + 4, &mut warnings)?;
    }

    let layout = Layout::of(&header, header_path, options)?;
    let data = layout.read(&header, &mut source, image_path, options, &mut warnings)?;
    let (world_from_voxel, oriented) =
        GeometryFields::from(&header).world_from_voxel(header_path, &header.dims, &mut warnings)?;
    let grid = Grid { shape: layout.shape, world_from_voxel, oriented };
    warnings.extend(grid.size_doubt());
    let padding = extension::padding(&extensions);
    let source_header = SourceHeader {
        format: format_name(&header, gzip),
        dims: layout.dims,
        qform_code: header.qform_code,
        sform_code: header.sform_code,
        quatern: header.quatern,
        srow: header.srow,
        pixdim: header.pixdim,
        xyzt_units: header.xyzt_units,
        extensions,
    };
    Ok(Volume {
        grid,
        data,
        scale: Scale { slope: header.slope, inter: header.inter },
        padding,
        file_frames: layout.frames,
        warnings,
        header: Some(Box::new(source_header)),
        space: None,
    })
}

/// Reads the header, checks that the file is long enough for the voxels, and returns the grid.
pub(in crate::volume) fn read_grid(path: &Path) -> Result<Grid> {
    let mut warnings = Vec::new();
    let pair = pair_of(path)?;
    let header_path = pair.as_ref().map_or(path, |p| p.header.as_path());
    let mut source = open(header_path, &mut warnings)?;
    let header = read_header(header_path, &mut source, &mut warnings)?;
    if header.single != pair.is_none() {
        return Err(wrong_magic(header_path, &header));
    }
    let image_path = pair.as_ref().map_or(path, |p| p.image.as_path());
    if pair.is_some() {
        source = open(image_path, &mut warnings)?;
    }
    let offset = checked_offset(header_path, header.vox_offset, 0, &mut warnings)?;
    check_file_length(&header, &source, image_path, offset)?;
    let layout = Layout::of(&header, header_path, &ReadOptions { memory_budget: u64::MAX, ..ReadOptions::default() })?;
    let (world_from_voxel, oriented) =
        GeometryFields::from(&header).world_from_voxel(header_path, &header.dims, &mut warnings)?;
    Ok(Grid { shape: layout.shape, world_from_voxel, oriented })
}

/// The two files of a pair.
struct Pair {
    header: PathBuf,
    image: PathBuf,
}

/// The pair that `path` belongs to, or `None` for a single file. `path` names either half; either may be gzipped.
fn pair_of(path: &Path) -> Result<Option<Pair>> {
    let is = |p: &Path, ending: &str| p.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let plain = if is(path, "gz") { path.with_extension("") } else { path.to_path_buf() };
    let is_header = is(&plain, "hdr");
    if !is_header && !is(&plain, "img") {
        return Ok(None);
    }
    let upper = plain.extension().is_some_and(|e| e == "HDR" || e == "IMG");
    let other = match (is_header, upper) {
        (true, false) => "img",
        (true, true) => "IMG",
        (false, false) => "hdr",
        (false, true) => "HDR",
    };
    // Look first for a partner that is compressed as this half is.
    let partner = plain.with_extension(other);
    let mut zipped = partner.clone().into_os_string();
    zipped.push(".gz");
    let mut candidates = [partner, PathBuf::from(zipped)];
    if plain != path {
        candidates.reverse();
    }
    let Some(partner) = candidates.iter().find(|p| p.exists()).cloned() else {
        // If the header is not NIfTI at all, that message is more useful.
        if is_header {
            read_header(path, &mut Source::open(path)?, &mut Vec::new())?;
        }
        let half = if is_header { "image" } else { "header" };
        return Err(Error::file(path, format!("the {half} file {} is missing", candidates[0].display())));
    };
    Ok(Some(if is_header {
        Pair { header: path.to_path_buf(), image: partner }
    } else {
        Pair { header: partner, image: path.to_path_buf() }
    }))
}

/// The file that holds the header of `path`: itself, or the `.hdr` of a pair.
pub(super) fn header_path(path: &Path) -> Result<PathBuf> {
    Ok(pair_of(path)?.map_or_else(|| path.to_path_buf(), |pair| pair.header))
}

pub(super) fn open(path: &Path, warnings: &mut Vec<String>) -> Result<Source> {
    let source = Source::open(path)?;
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    match (named, source.is_gzip()) {
        (true, false) => warnings.push("the name ends in .gz, but the file is not compressed".to_owned()),
        (false, true) => warnings.push("the file is gzipped, but its name does not end in .gz".to_owned()),
        _ => {}
    }
    Ok(source)
}

pub(super) fn read_header(path: &Path, source: &mut Source, warnings: &mut Vec<String>) -> Result<Header> {
    let mut bytes = vec![0; V1_LEN];
    let got = source.read_full(&mut bytes)?;
    bytes.truncate(got);
    let extra = extra_header_bytes(&bytes);
    if extra > 0 && got == V1_LEN {
        bytes.resize(V1_LEN + extra, 0);
        let more = source.read_full(&mut bytes[V1_LEN..])?;
        bytes.truncate(V1_LEN + more);
    }
    let start = warnings.len();
    let result = Header::parse(path, &bytes, warnings);
    // For a file that is not NIfTI, that error is the one message; a warning about its name would distract.
    if result.is_err() {
        warnings.truncate(start);
    }
    result
}

fn wrong_magic(path: &Path, header: &Header) -> Error {
    let (value, why) = if header.single {
        ("n+", "marks a single file, but the name is that of a pair. Rename it to .nii")
    } else {
        ("ni", "marks a header and image pair, but the name does not end in .hdr or .img")
    };
    Error::field(path, "magic", format!("{value}{}", header.version), why)
}

/// Offset of the voxels in bytes, at least `first`.
fn checked_offset(path: &Path, stored: f64, first: u64, warnings: &mut Vec<String>) -> Result<u64> {
    if !stored.is_finite() || stored < 0.0 || stored > (1_u64 << 53) as f64 {
        return Err(Error::field(path, "vox_offset", stored, "is not a position in a file"));
    }
    let whole = stored.floor();
    if stored.fract() != 0.0 {
        warnings.push(format!("vox_offset is {stored}, rounded down to {whole}"));
    }
    if (whole as u64) < first {
        warnings.push(format!("vox_offset is {stored}, inside the header. {first} is used"));
    }
    Ok((whole as u64).max(first))
}

/// Refuses a header whose voxels cannot fit into the file, before anything is allocated.
fn check_file_length(header: &Header, source: &Source, path: &Path, offset: u64) -> Result<()> {
    if offset > source.max_len() {
        let why = format!("the file has {} bytes", source.file_len());
        return Err(Error::field(path, "vox_offset", offset, why));
    }
    let voxels = header.dims.iter().try_fold(1_u64, |n, &d| n.checked_mul(d));
    let needed = voxels.and_then(|n| n.checked_mul(header.voxel_bytes())).and_then(|n| n.checked_add(offset));
    if needed.is_some_and(|n| n <= source.max_len()) {
        return Ok(());
    }
    let required = needed.map_or_else(|| "more than 2^64 bytes".to_owned(), |n| format!("{n} bytes"));
    let held = if source.is_gzip() {
        format!("its {} compressed bytes expand to at most {}", source.file_len(), source.max_len())
    } else {
        format!("the file has {}", source.file_len())
    };
    Err(Error::file(
        path,
        format!(
            "the header (dim {:?}) needs {required}, but {held}. The file is truncated or the header is wrong",
            header.dims
        ),
    ))
}

/// Reads the flag bytes and extensions between the header and the voxels of a single file.
fn read_extensions(
    header: &Header,
    source: &mut Source,
    bytes: u64,
    warnings: &mut Vec<String>,
) -> Result<Vec<Extension>> {
    if bytes > EXTENSIONS_LIMIT {
        warnings.push(format!("{bytes} bytes of extensions are skipped"));
        source.skip(bytes)?;
        return Ok(Vec::new());
    }
    let mut region = vec![0; bytes as usize];
    let got = source.read_full(&mut region)?;
    region.truncate(got);
    Ok(parse_extensions(&region, header.big_endian, warnings))
}

/// Reads the flag bytes and extensions of a pair's header file, up to its end.
fn read_pair_extensions(header: &Header, source: &mut Source, warnings: &mut Vec<String>) -> Result<Vec<Extension>> {
    let mut region = vec![0; EXTENSIONS_LIMIT.min(source.max_len()) as usize];
    let got = source.read_full(&mut region)?;
    region.truncate(got);
    match source.finish()? {
        TrailingData::Nothing => {}
        _ => warnings.push("bytes after the header file's extensions are ignored".to_owned()),
    }
    Ok(parse_extensions(&region, header.big_endian, warnings))
}

fn parse_extensions(region: &[u8], big_endian: bool, warnings: &mut Vec<String>) -> Vec<Extension> {
    let Some((flag, blocks)) = region.split_first_chunk::<4>() else { return Vec::new() };
    if flag[0] == 0 {
        return Vec::new();
    }
    let (found, odd) = extension::parse(blocks, big_endian);
    warnings.extend(odd);
    found
}

/// Arrangement of the voxels in the file.
struct Layout {
    /// The file's dimensions; of a CIFTI file those of its matrix.
    dims: Vec<usize>,
    /// The first three dimensions, padded with 1.
    shape: [usize; 3],
    /// Product of the remaining dimensions.
    frames: usize,
}

impl Layout {
    /// Checks that the frame exists and fits the memory budget. [`check_file_length`] must have passed, so that the
    /// products below do not overflow.
    fn of(header: &Header, path: &Path, options: &ReadOptions) -> Result<Self> {
        let used = if header.is_cifti() { &header.dims[4..] } else { &header.dims[..] };
        let dims: Vec<usize> = used.iter().map(|&d| d as usize).collect();
        let shape: [usize; 3] = std::array::from_fn(|a| dims.get(a).copied().unwrap_or(1));
        let frames: usize = dims.iter().skip(3).product();
        let kept = match options.frames {
            Frames::All => frames,
            Frames::One(n) if n < frames => 1,
            Frames::One(n) => {
                return Err(Error::field(
                    path,
                    "frame",
                    n,
                    format!("the file has {}, counted from 0", plural(frames, "frame", "frames")),
                ));
            }
        };
        let bytes = shape.iter().product::<usize>() as u64 * kept as u64 * header.voxel_bytes();
        if bytes > options.memory_budget {
            let what = format!("{} ({dims:?} voxels of {} bytes)", path.display(), header.voxel_bytes());
            let (needed_mib, allowed_mib) = (bytes.div_ceil(1 << 20), options.memory_budget >> 20);
            return Err(ErrorKind::Memory { what, needed_mib, allowed_mib }.into());
        }
        Ok(Self { dims, shape, frames })
    }

    fn read(
        &self,
        header: &Header,
        source: &mut Source,
        path: &Path,
        options: &ReadOptions,
        warnings: &mut Vec<String>,
    ) -> Result<crate::volume::VoxelData> {
        if header.is_cifti() {
            warnings.push("CIFTI-2 matrix. Rows and columns have no position in space".to_owned());
        }
        let voxels: usize = self.shape.iter().product();
        let frame_bytes = voxels as u64 * header.voxel_bytes();
        let (before, kept) = match options.frames {
            Frames::All => (0, self.frames),
            Frames::One(n) => (n, 1),
        };
        source.skip(before as u64 * frame_bytes)?;
        let block = VoxelBlock {
            datatype: header.datatype,
            big_endian: header.big_endian,
            count: voxels * kept,
            certain: !source.is_gzip(),
        };
        let data = decode(source, path, &block)?;
        let after = (self.frames - before - kept) as u64 * frame_bytes;
        if source.skip(after)? < after {
            let why = format!("ends before the last of the {} in its header", plural(self.frames, "frame", "frames"));
            return Err(Error::file(path, why));
        }
        match source.finish()? {
            TrailingData::Nothing => {}
            TrailingData::Bytes(n) => {
                warnings.push(format!("{} ignored after the voxels", plural(n as usize, "byte is", "bytes are")));
            },
            TrailingData::Garbage => warnings.push("bytes after the gzip stream are ignored".to_owned()),
            TrailingData::TooLong => warnings.push(
                "far more data follows the voxels than the header states. It is not read, so the checksum is not verified"
                    .to_owned(),
            ),
        }
        Ok(data)
    }
}

fn format_name(header: &Header, gzip: bool) -> String {
    let pair = if header.single { "" } else { " pair" };
    let gzip = if gzip { " gzip" } else { "" };
    format!("nifti-{}{pair}{gzip}", header.version)
}
