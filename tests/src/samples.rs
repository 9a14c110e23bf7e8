//! DICOM files to damage: generated ones of every kind that the reader knows, and the public corpus.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use engine::volume::dicom::{DataSet, DicomFile, Tag, Value, Vr, encode, file_bytes};

/// Maximum size of a corpus file in bytes. Larger files only slow a run down.
const MAX_FILE_SIZE: u64 = 600 << 10;
/// Files of a series that are read together.
pub(crate) const SLICES: usize = 4;
/// Maximum size in bytes of the files of a small sample together, and maximum number of pixels of a frame.
const SMALL: (usize, usize) = (12 << 10, 64 * 64);
/// Compressed frames, one per line.
const FRAMES: &str = include_str!("frames.txt");
/// Rows and columns of the generated images.
const SIDE: u16 = 16;

/// The contents of the files of one folder, read together.
pub type Sample = Vec<Arc<[u8]>>;

/// Samples to damage.
pub struct Samples {
    /// The small ones first.
    pub all: Vec<Sample>,
    /// Number of small ones.
    pub small: usize,
}

impl Samples {
    /// Generated samples, and those of the public corpus if it is next to the repository. Series are unpacked in `folder`.
    ///
    /// # Errors
    /// A file of the corpus that cannot be read.
    pub fn new(folder: &Path) -> std::io::Result<Self> {
        let mut all = generated();
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
        let mut singles: Vec<Vec<u8>> =
            files_under(&corpus.join("dicom"))?.into_iter().map(fs::read).collect::<Result<_, _>>()?;
        // Neighbours of one size are slices of one series.
        singles.dedup_by_key(|bytes| bytes.len());
        all.extend(singles.into_iter().map(|bytes| vec![bytes.into()]));
        for archive in files_under(&corpus.join("dicom-series"))? {
            let sample = folder.join(archive.file_stem().unwrap_or_default());
            if archive.extension().is_some_and(|ending| ending == "xz") && archive.to_string_lossy().contains(".tar.") {
                fs::create_dir_all(&sample)?;
                Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(&sample).status()?;
                let files = files_under(&sample)?.into_iter().take(SLICES).map(fs::read);
                let files = files.map(|bytes| bytes.map(Arc::from)).collect::<Result<Sample, _>>()?;
                all.extend((!files.is_empty()).then_some(files));
            }
        }
        all.sort_by_key(|sample| !is_small(sample));
        let small = all.iter().take_while(|sample| is_small(sample)).count();
        Ok(Self { all, small })
    }
}

fn is_small(sample: &Sample) -> bool {
    let (bytes, pixels) = SMALL;
    let fits = |file: &Arc<[u8]>| {
        let side = |file: &DicomFile, tag| file.data.count(tag).unwrap_or(0);
        DicomFile::from_bytes(Arc::clone(file))
            .map_or(true, |file| side(&file, Tag::ROWS) * side(&file, Tag::COLUMNS) <= pixels)
    };
    sample.iter().map(|file| file.len()).sum::<usize>() <= bytes && sample.iter().all(fits)
}

/// The files of moderate size under a folder, by path; none if it does not exist.
fn files_under(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(".tar.") || fs::metadata(&path)?.len() <= MAX_FILE_SIZE {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A zip archive of stored members (PKWARE APPNOTE 4.3).
pub(crate) fn zipped(files: &[Arc<[u8]>]) -> Arc<[u8]> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (at, bytes) in files.iter().enumerate() {
        let (start, name) = (archive.len() as u32, format!("{at}"));
        let sizes = [0, bytes.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        let names = [(name.len() as u16).to_le_bytes(), [0, 0]].concat();
        archive.extend([&b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0"[..], &sizes, &names, name.as_bytes(), bytes].concat());
        directory.extend([&b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0"[..], &sizes, &names, &[0; 10]].concat());
        directory.extend([&start.to_le_bytes()[..], name.as_bytes()].concat());
    }
    let (start, size, n) = (archive.len() as u32, directory.len() as u32, files.len() as u16);
    archive.extend(directory);
    archive.extend([&b"PK\x05\x06\0\0\0\0"[..], &n.to_le_bytes(), &n.to_le_bytes()].concat());
    archive.extend([&size.to_le_bytes()[..], &start.to_le_bytes(), &[0, 0]].concat());
    archive.into()
}

/// A CT with its segmentation, the same with a structure set, an enhanced image, a mosaic, a PET, a DICOMDIR, and an image of
/// each compressed transfer syntax.
pub(crate) fn generated() -> Vec<Sample> {
    let slices = || (0..SLICES).map(|k| file(&with_pixels(image(k), k)));
    let directory = {
        let mut data = with(&[(Tag::SOP_CLASS_UID, "1.2.840.10008.1.3.10")]);
        let record = with(&[(Tag::DIRECTORY_RECORD_TYPE, "IMAGE"), (Tag::REFERENCED_FILE_ID, "1")]);
        data.put_items(Tag::DIRECTORY_RECORD_SEQUENCE, vec![record.clone(), record]);
        data
    };
    let mut samples: Vec<Sample> = vec![
        slices().chain([file(&segmentation())]).collect(),
        slices().take(2).chain([file(&structure_set())]).collect(),
        vec![file(&enhanced())],
        vec![file(&mosaic())],
        (0..2).map(|k| file(&pet(k))).collect(),
        vec![file(&directory)],
        vec![deflated(&with_pixels(image(0), 0))],
    ];
    // Run-length encoding: two segments, each of 256 equal bytes.
    let segments: Vec<u8> = [2_u32, 64, 68].iter().flat_map(|word| word.to_le_bytes()).collect();
    let runs = [129, 1, 129, 1, 129, 2, 129, 2];
    samples.push(vec![encapsulated("1.2.840.10008.1.2.5", 12, &[&segments[..], &[0; 52], &runs].concat())]);
    let lines = FRAMES.lines().filter(|line| !line.starts_with('#'));
    samples.extend(lines.filter_map(|line| {
        let mut parts = line.split(' ');
        let (syntax, bits, digits) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let frame: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        Some(vec![encapsulated(syntax, bits, &frame?)])
    }));
    samples
}

fn file(data: &DataSet) -> Arc<[u8]> {
    file_bytes(data).into()
}

fn meta(syntax: &str) -> Vec<u8> {
    [&[0; 128][..], b"DICM", &encode(&with(&[(Tag::TRANSFER_SYNTAX_UID, syntax)]))].concat()
}

/// A file whose data set is deflated, in one stored block.
fn deflated(data: &DataSet) -> Arc<[u8]> {
    let data = encode(data);
    let length = data.len() as u16;
    let block = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &data].concat();
    [meta("1.2.840.10008.1.2.1.99"), block].concat().into()
}

/// A file of one compressed frame.
fn encapsulated(syntax: &str, bits: u16, frame: &[u8]) -> Arc<[u8]> {
    let item = |value: &[u8]| [&[0xfe, 0xff, 0, 0xe0], &(value.len() as u32).to_le_bytes()[..], value].concat();
    let pixels =
        [&b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"[..], &item(&[]), &item(frame), b"\xfe\xff\xdd\xe0\0\0\0\0"];
    let mut data = image(0);
    data.put_u16(Tag::BITS_ALLOCATED, &[bits.next_multiple_of(8)]);
    data.put_u16(Tag::BITS_STORED, &[bits]);
    [meta(syntax), encode(&data), pixels.concat()].concat().into()
}

fn with(texts: &[(Tag, &str)]) -> DataSet {
    let mut data = DataSet::new();
    texts.iter().for_each(|(tag, text)| data.put_text(*tag, text));
    data
}

fn with_pixels(mut data: DataSet, k: usize) -> DataSet {
    let bytes = (0..2 * usize::from(SIDE) * usize::from(SIDE)).map(|at| (at * 7 + k) as u8);
    data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(bytes.collect()));
    data
}

/// The header of slice `k` of a CT of 16 x 16 pixels.
pub(crate) fn image(k: usize) -> DataSet {
    let mut data = with(&[
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
        (Tag::SOP_INSTANCE_UID, &*format!("1.2.3.{k}")),
        (Tag::STUDY_INSTANCE_UID, "1.2"),
        (Tag::SERIES_INSTANCE_UID, "1.2.3"),
        (Tag::FRAME_OF_REFERENCE_UID, "1.2.9"),
        (Tag::MODALITY, "CT"),
        (Tag::SERIES_NUMBER, "3"),
        (Tag::INSTANCE_NUMBER, &*k.to_string()),
        (Tag::IMAGE_POSITION_PATIENT, &*format!("0\\0\\{}", 3 * k)),
        (Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
        (Tag::PIXEL_SPACING, "1\\1"),
        (Tag::SLICE_THICKNESS, "3"),
        (Tag::RESCALE_SLOPE, "1"),
        (Tag::RESCALE_INTERCEPT, "-1024"),
        (Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
    ]);
    for (tag, value) in [(Tag::ROWS, SIDE), (Tag::COLUMNS, SIDE), (Tag::BITS_ALLOCATED, 16), (Tag::BITS_STORED, 12)] {
        data.put_u16(tag, &[value]);
    }
    data
}

/// A slice of a PET in Bq/ml with all that its SUV needs.
fn pet(k: usize) -> DataSet {
    let mut data = with_pixels(image(k), k);
    for (tag, text) in [
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.128"),
        (Tag::MODALITY, "PT"),
        (Tag::SERIES_DATE, "20240102"),
        (Tag::SERIES_TIME, "100000"),
        (Tag::ACQUISITION_DATE, "20240102"),
        (Tag::ACQUISITION_TIME, "100100"),
        (Tag::PATIENT_WEIGHT, "70"),
        (Tag::PATIENT_SIZE, "1.8"),
        (Tag::PATIENT_SEX, "O"),
        (Tag::UNITS, "BQML"),
        (Tag::CORRECTED_IMAGE, "DECY\\ATTN"),
        (Tag::DECAY_CORRECTION, "START"),
        (Tag::FRAME_REFERENCE_TIME, "60000"),
        (Tag::ACTUAL_FRAME_DURATION, "120000"),
        (Tag::RESCALE_SLOPE, "0.25"),
    ] {
        data.put_text(tag, text);
    }
    let dose = with(&[
        (Tag::RADIOPHARMACEUTICAL_START_TIME, "090000"),
        (Tag::RADIONUCLIDE_TOTAL_DOSE, "350000000"),
        (Tag::RADIONUCLIDE_HALF_LIFE, "6586.2"),
    ]);
    data.put_items(Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![dose]);
    data
}

/// A Siemens mosaic of four tiles, of which three are slices.
fn mosaic() -> DataSet {
    let mut csa = b"SV10\x04\x03\x02\x01\x02\0\0\0\x4d\0\0\0".to_vec();
    for (name, values) in [("NumberOfImagesInMosaic", &["3"][..]), ("SliceNormalVector", &["0", "0", "1"])] {
        csa.extend_from_slice(name.as_bytes());
        csa.resize(csa.len() + 76 - name.len(), 0);
        csa.extend([values.len() as u32, 77].iter().flat_map(|word| word.to_le_bytes()));
        for value in values {
            csa.extend([1_u32, 1, 77, 1].iter().flat_map(|word| word.to_le_bytes()));
            csa.extend_from_slice(value.as_bytes());
            csa.extend([0; 3]);
        }
    }
    let mut data = with_pixels(image(0), 0);
    data.put_text(Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M\\MOSAIC");
    data.put(Tag(0x0029, 0x0010), Vr::LO, Value::Bytes(b"SIEMENS CSA HEADER".to_vec()));
    data.put(Tag(0x0029, 0x1010), Vr::OB, Value::Bytes(csa));
    data
}

/// An enhanced MR of two slices at two times.
fn enhanced() -> DataSet {
    let mut data = image(0);
    for tag in [Tag::IMAGE_POSITION_PATIENT, Tag::IMAGE_ORIENTATION_PATIENT, Tag::PIXEL_SPACING] {
        data.put_text(tag, "");
    }
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.4.1");
    data.put_text(Tag::MODALITY, "MR");
    data.put_text(Tag::NUMBER_OF_FRAMES, "4");
    data.put_items(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared_groups()]);
    let frame = |at: u16| {
        let mut groups = place(["0", "3"][usize::from(at % 2)]);
        let mut content = with(&[(Tag::STACK_ID, "1")]);
        content.put_u32(Tag::TEMPORAL_POSITION_INDEX, &[u32::from(at / 2) + 1]);
        content.put_u32(Tag::DIMENSION_INDEX_VALUES, &[1, u32::from(at % 2) + 1]);
        groups.put_items(Tag::FRAME_CONTENT_SEQUENCE, vec![content]);
        let rescale = with(&[(Tag::RESCALE_SLOPE, "2"), (Tag::RESCALE_INTERCEPT, "0"), (Tag::RESCALE_TYPE, "US")]);
        groups.put_items(Tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![rescale]);
        groups.put_items(Tag::MR_DIFFUSION_SEQUENCE, vec![DataSet::new()]);
        groups
    };
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, (0..4).map(frame).collect());
    data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(vec![7; 4 * 2 * usize::from(SIDE) * usize::from(SIDE)]));
    data
}

fn shared_groups() -> DataSet {
    let mut shared = DataSet::new();
    let direction = with(&[(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")]);
    shared.put_items(Tag::PLANE_ORIENTATION_SEQUENCE, vec![direction]);
    shared.put_items(Tag::PIXEL_MEASURES_SEQUENCE, vec![with(&[(Tag::PIXEL_SPACING, "1\\1")])]);
    shared
}

/// The functional groups of a frame at this height.
fn place(z: &str) -> DataSet {
    let mut groups = DataSet::new();
    let position = format!("0\\0\\{z}");
    groups.put_items(Tag::PLANE_POSITION_SEQUENCE, vec![with(&[(Tag::IMAGE_POSITION_PATIENT, &position)])]);
    groups
}

/// A SEG of two frames on the slices of [`image`].
fn segmentation() -> DataSet {
    let mut data = image(9);
    for (tag, text) in [
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.66.4"),
        (Tag::SERIES_INSTANCE_UID, "1.2.4"),
        (Tag::MODALITY, "SEG"),
        (Tag::SEGMENTATION_TYPE, "BINARY"),
        (Tag::NUMBER_OF_FRAMES, "2"),
    ] {
        data.put_text(tag, text);
    }
    data.put_u16(Tag::BITS_ALLOCATED, &[1]);
    data.put_u16(Tag::BITS_STORED, &[1]);
    let mut segment = with(&[(Tag::SEGMENT_LABEL, "lesion")]);
    segment.put_u16(Tag::SEGMENT_NUMBER, &[1]);
    data.put_items(Tag::SEGMENT_SEQUENCE, vec![segment]);
    data.put_items(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared_groups()]);
    let frame = |z: &str| {
        let mut groups = place(z);
        let mut number = DataSet::new();
        number.put_u16(Tag::REFERENCED_SEGMENT_NUMBER, &[1]);
        groups.put_items(Tag::SEGMENT_IDENTIFICATION_SEQUENCE, vec![number]);
        groups
    };
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame("3"), frame("6")]);
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(vec![0xa5; 64]));
    data
}

/// An RTSTRUCT of one region on the slices of [`image`].
fn structure_set() -> DataSet {
    let mut data = with(&[
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.481.3"),
        (Tag::SOP_INSTANCE_UID, "1.2.5.1"),
        (Tag::STUDY_INSTANCE_UID, "1.2"),
        (Tag::SERIES_INSTANCE_UID, "1.2.5"),
        (Tag::MODALITY, "RTSTRUCT"),
    ]);
    let name = [(Tag::ROI_NUMBER, "1"), (Tag::ROI_NAME, "GTV"), (Tag::REFERENCED_FRAME_OF_REFERENCE_UID, "1.2.9")];
    data.put_items(Tag::STRUCTURE_SET_ROI_SEQUENCE, vec![with(&name)]);
    let contour = |z: u8| {
        with(&[
            (Tag::CONTOUR_GEOMETRIC_TYPE, "CLOSED_PLANAR"),
            (Tag::NUMBER_OF_CONTOUR_POINTS, "4"),
            (Tag::CONTOUR_DATA, &*format!("2\\2\\{z}\\9\\2\\{z}\\9\\9\\{z}\\2\\9\\{z}")),
        ])
    };
    let mut region = with(&[(Tag::REFERENCED_ROI_NUMBER, "1"), (Tag::ROI_DISPLAY_COLOR, "255\\0\\0")]);
    region.put_items(Tag::CONTOUR_SEQUENCE, vec![contour(0), contour(3)]);
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, vec![region]);
    data
}
