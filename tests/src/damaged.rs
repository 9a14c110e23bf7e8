//! Damaged DICOM files: after any damage, reading ends with a volume or an error, in bounded memory and time.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use engine::volume::dicom::{DataSet, DicomFile, Frames, ImageStack, Library, Tag, Value, Vr, encode, file_bytes};
use engine::volume::seg::{SourceSeries, read_file};
use engine::volume::{Frames as Wanted, ReadOptions};
use peak_alloc::PeakAlloc;

use crate::random::Random;

/// Counts the allocations of every program that links this crate.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that reading may allocate beyond three times the size of the files, in bytes.
const MEMORY_LIMIT: usize = 64 << 20;
/// Time limit for reading a few small files.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Maximum size of a corpus file in bytes. Larger files only slow a run down.
const MAX_FILE_SIZE: u64 = 600 << 10;
/// Files of a series that are read together.
const SLICES: usize = 4;

/// The contents of the files of one folder, read together.
pub type Sample = Vec<Vec<u8>>;

/// Counts of the results of reading damaged files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Volumes that were read despite the damage.
    pub volumes: usize,
    /// Frames that were decoded despite the damage.
    pub frames: usize,
    /// Segmentations that were read despite the damage.
    pub segmentations: usize,
    /// Errors.
    pub errors: usize,
    /// Maximum allocation beyond three times the size of the files, in bytes, below 64 MiB.
    pub memory: usize,
    /// Longest time that one sample took.
    pub longest: Duration,
}

impl Outcome {
    /// Adds the counts of another outcome and keeps the larger maxima.
    pub fn add(&mut self, other: &Self) {
        self.volumes += other.volumes;
        self.frames += other.frames;
        self.segmentations += other.segmentations;
        self.errors += other.errors;
        self.memory = self.memory.max(other.memory);
        self.longest = self.longest.max(other.longest);
    }
}

/// Damages a sample with this `seed`, writes it to `folder` and reads it in every way.
///
/// # Errors
/// A panic, too much memory or too much time. The files stay in `folder`.
pub fn check(seed: u64, samples: &[Sample], folder: &Path) -> Result<Outcome, String> {
    let mut random = Random(seed);
    let sample = &samples[random.below(samples.len())];
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let damaged = random.below(sample.len());
    let mut files = sample.clone();
    files[damaged] = mutated(&mut random, samples, &files[damaged]);
    if random.below(8) == 0 {
        let archive = zipped(&files);
        files = vec![if random.below(2) == 0 { archive } else { mutated(&mut random, samples, &archive) }];
    }
    let mut paths = Vec::new();
    for (at, bytes) in files.iter().enumerate() {
        paths.push(folder.join(format!("{at}")));
        fs::write(&paths[at], bytes).map_err(|error| error.to_string())?;
    }
    let size: usize = files.iter().map(Vec::len).sum();
    drop(files);
    read_within(folder, &paths, size)
}

/// Writes bytes to `folder` and reads them in every way. They are a DICOM file, or a zip archive of several.
///
/// # Errors
/// As [`check`].
pub fn check_file(bytes: &[u8], folder: &Path) -> Result<Outcome, String> {
    let path = folder.join("0");
    fs::write(&path, bytes).map_err(|error| error.to_string())?;
    read_within(folder, &[path], bytes.len())
}

/// A sample as one file: its only file, or a zip archive.
pub fn as_file(sample: &Sample) -> Vec<u8> {
    if let [only] = &sample[..] { only.clone() } else { zipped(sample) }
}

/// Reads a folder with files of `size` bytes in total.
fn read_within(folder: &Path, paths: &[PathBuf], size: usize) -> Result<Outcome, String> {
    MEMORY.reset_peak_usage();
    let (before, started) = (MEMORY.current_usage(), Instant::now());
    let read = catch_unwind(AssertUnwindSafe(|| read_all(folder, paths)));
    let (took, peak) = (started.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    let mut outcome = read.map_err(|_| "a panic".to_owned())?;
    outcome.longest = took;
    outcome.memory = peak.saturating_sub(3 * size);
    if outcome.memory > MEMORY_LIMIT {
        return Err(format!("{peak} bytes allocated for {size} bytes of files"));
    }
    if took > TIME_LIMIT {
        return Err(format!("{took:?} for {size} bytes of files"));
    }
    Ok(outcome)
}

/// Reads a folder and its files one by one.
fn read_all(folder: &Path, paths: &[PathBuf]) -> Outcome {
    let mut outcome = Outcome::default();
    for path in paths {
        if let Ok(file) = counted(DicomFile::open(path), &mut outcome) {
            read_frames(&file, &mut outcome);
        }
    }
    // A DICOMDIR or zip archive is named itself.
    let named = if paths.len() == 1 { &*paths[0] } else { folder };
    let Ok(library) = counted(Library::scan(named, &|_, _| true), &mut outcome) else { return outcome };
    let stacks: Vec<&ImageStack> = library.series().flat_map(|series| &series.stacks).collect();
    let mut sources = Vec::new();
    for stack in stacks {
        let _ =
            (stack.info(), stack.warnings(), stack.file_name(), counted(stack.middle_slice(), &mut outcome).is_ok());
        let options = ReadOptions { frames: Wanted::All, ..ReadOptions::default() };
        outcome.volumes += usize::from(counted(stack.load(&options, &|_, _| true), &mut outcome).is_ok());
        sources.extend(counted(SourceSeries::of(stack), &mut outcome));
    }
    for series in library.series() {
        for overlay in counted(series.overlays(), &mut outcome).unwrap_or_default() {
            let Ok(file) = counted(overlay.open(), &mut outcome) else { continue };
            for source in sources.iter().map(Some).chain([None]) {
                outcome.segmentations += usize::from(counted(read_file(&file, source), &mut outcome).is_ok());
            }
        }
    }
    outcome
}

fn read_frames(file: &DicomFile, outcome: &mut Outcome) {
    let Ok(frames) = counted(Frames::open(file), outcome) else { return };
    for index in 0..frames.layout.frames.min(SLICES) {
        outcome.frames += usize::from(counted(frames.frame(index), outcome).is_ok());
    }
}

/// Counts errors, and formats them as for a user.
fn counted<T>(result: engine::Result<T>, outcome: &mut Outcome) -> engine::Result<T> {
    if let Err(error) = &result {
        outcome.errors += usize::from(!error.to_string().is_empty());
    }
    result
}

/// A file with one to four changes.
fn mutated(random: &mut Random, samples: &[Sample], file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=random.below(4) {
        let sample = &samples[random.below(samples.len())];
        let other = &sample[random.below(sample.len())];
        change(random, &mut bytes, other);
    }
    bytes
}

/// Limits of number types, for lengths, sizes and pixels.
const EXTREMES: [u32; 12] =
    [0, 1, 2, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
/// Decimal strings with extreme values.
const TEXTS: [&str; 12] =
    ["0", "-1", "1e308", "-1e308", "1e-308", "1.85e19", "NaN", "inf", "65535", "4294967296", "0.01\\0", "\\"];

fn change(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    if bytes.len() < 16 || other.len() < 16 {
        return;
    }
    let at = position(random, bytes);
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = EXTREMES[random.below(EXTREMES.len())] as u8,
        2 => bytes.truncate(at),
        // A length field, or a number of two or four bytes.
        3 => {
            let left = bytes.len() - at;
            let value = [EXTREMES[random.below(EXTREMES.len())], left as u32, left as u32 + 1][random.below(3)];
            let width = [2, 4][random.below(2)].min(left);
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        // Two elements exchange their tags, or their tags and lengths.
        4 => {
            let (a, b, n) = (position(random, bytes), position(random, bytes), [4, 8][random.below(2)]);
            let (a, b) = (a.min(b), a.max(b));
            if a + n <= b && b + n <= bytes.len() {
                let (left, right) = bytes.split_at_mut(b);
                left[a..a + n].swap_with_slice(&mut right[..n]);
            }
        }
        // The end of another file.
        5 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&other[position(random, other)..]);
        }
        6 => {
            let end = bytes.len().min(at + 1 + random.below(64));
            drop(bytes.drain(at..end));
        }
        7 => {
            let from = position(random, other);
            let part = other[from..other.len().min(from + 1 + random.below(256))].to_vec();
            drop(bytes.splice(at..at, part));
        }
        // The value of a decimal or integer string.
        _ => {
            let text = TEXTS[random.below(TEXTS.len())].as_bytes();
            let strings: Vec<usize> =
                elements(bytes).filter(|at| matches!(&bytes[at + 4..at + 6], b"DS" | b"IS")).collect();
            if !strings.is_empty() {
                let at = strings[random.below(strings.len())];
                let length = usize::from(u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]));
                let end = bytes.len().min(at + 8 + length);
                let padded = [text, &b"  "[..text.len() % 2]].concat();
                bytes[at + 6..at + 8].copy_from_slice(&(padded.len() as u16).to_le_bytes());
                drop(bytes.splice(at + 8..end, padded));
            }
        }
    }
}

/// A position: of an element, within one, or anywhere.
fn position(random: &mut Random, bytes: &[u8]) -> usize {
    if random.below(4) > 0 {
        let starts: Vec<usize> = elements(bytes).take(1000).collect();
        if !starts.is_empty() {
            let start = starts[random.below(starts.len())];
            return (start + [0, 4, 6, 8][random.below(4)] + random.below(4)).min(bytes.len() - 1);
        }
    }
    random.below(bytes.len())
}

/// Positions that look like elements with a value representation, or like items.
fn elements(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let is_element = |head: &[u8]| head[4].is_ascii_uppercase() && head[5].is_ascii_uppercase() && head[1] < 0x60;
    let is_item = |head: &[u8]| head[..2] == [0xfe, 0xff] && head[3] == 0xe0;
    let heads = bytes.windows(8).enumerate().step_by(2);
    heads.filter(move |(_, head)| is_element(head) || is_item(head)).map(|(at, _)| at)
}

/// A zip archive of stored members (PKWARE APPNOTE 4.3).
fn zipped(files: &[Vec<u8>]) -> Vec<u8> {
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
    archive
}

/// Samples to damage: generated ones, and those of the public corpus if it is next to the repository. Series are unpacked in
/// `folder`.
///
/// # Errors
/// A file of the corpus that cannot be read.
pub fn samples(folder: &Path) -> std::io::Result<Vec<Sample>> {
    let mut samples = generated();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    for single in files_under(&corpus.join("dicom"))? {
        samples.push(vec![fs::read(single)?]);
    }
    for archive in files_under(&corpus.join("dicom-series"))? {
        let sample = folder.join(archive.file_stem().unwrap_or_default());
        if archive.extension().is_some_and(|ending| ending == "xz") && archive.to_string_lossy().contains(".tar.") {
            fs::create_dir_all(&sample)?;
            Command::new("tar").arg("xJf").arg(&archive).arg("-C").arg(&sample).status()?;
            let files = files_under(&sample)?.into_iter().take(SLICES).map(fs::read).collect::<Result<Sample, _>>()?;
            samples.extend((!files.is_empty()).then_some(files));
        }
    }
    Ok(samples)
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

/// A CT of four slices with its segmentation, and a slice in run-length encoding.
fn generated() -> Vec<Sample> {
    let slice = |k: usize| {
        let mut data = image(k);
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes((0..2 * 16 * 16).map(|at| (at * 7 + k) as u8).collect()));
        data
    };
    let mut sample: Sample = (0..SLICES).map(|k| file_bytes(&slice(k))).collect();
    sample.push(file_bytes(&segmentation()));
    let mut meta = DataSet::new();
    meta.put_text(Tag::TRANSFER_SYNTAX_UID, "1.2.840.10008.1.2.5");
    // Two segments, each of 256 equal bytes.
    let segments: Vec<u8> = [2_u32, 64, 68].iter().flat_map(|word| word.to_le_bytes()).collect();
    let runs = [129, 1, 129, 1, 129, 2, 129, 2];
    let frame = [&segments[..], &[0; 52], &runs].concat();
    let item = |value: &[u8]| [&[0xfe, 0xff, 0, 0xe0], &(value.len() as u32).to_le_bytes()[..], value].concat();
    let pixels =
        [&b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"[..], &item(&[]), &item(&frame), b"\xfe\xff\xdd\xe0\0\0\0\0"];
    let packed = [&[0; 128][..], b"DICM", &encode(&meta), &encode(&image(0)), &pixels.concat()].concat();
    vec![sample, vec![packed]]
}

/// The header of slice `k` of a CT of 16 x 16 pixels.
fn image(k: usize) -> DataSet {
    let mut data = DataSet::new();
    for (tag, text) in [
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
    ] {
        data.put_text(tag, text);
    }
    for (tag, value) in [(Tag::ROWS, 16), (Tag::COLUMNS, 16), (Tag::BITS_ALLOCATED, 16), (Tag::BITS_STORED, 12)] {
        data.put_u16(tag, &[value]);
    }
    data
}

/// A SEG of two frames on the slices of [`image`].
fn segmentation() -> DataSet {
    let with = |texts: &[(Tag, &str)]| {
        let mut data = DataSet::new();
        texts.iter().for_each(|(tag, text)| data.put_text(*tag, text));
        data
    };
    let mut data = image(9);
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.66.4");
    data.put_text(Tag::SERIES_INSTANCE_UID, "1.2.4");
    data.put_text(Tag::MODALITY, "SEG");
    data.put_text(Tag::SEGMENTATION_TYPE, "BINARY");
    data.put_text(Tag::NUMBER_OF_FRAMES, "2");
    data.put_u16(Tag::BITS_ALLOCATED, &[1]);
    data.put_u16(Tag::BITS_STORED, &[1]);
    let mut segment = with(&[(Tag::SEGMENT_LABEL, "lesion")]);
    segment.put_u16(Tag::SEGMENT_NUMBER, &[1]);
    data.put_items(Tag::SEGMENT_SEQUENCE, vec![segment]);
    let mut shared = DataSet::new();
    shared.put_items(
        Tag::PLANE_ORIENTATION_SEQUENCE,
        vec![with(&[(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")])],
    );
    shared.put_items(Tag::PIXEL_MEASURES_SEQUENCE, vec![with(&[(Tag::PIXEL_SPACING, "1\\1")])]);
    data.put_items(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let frame = |z: &str| {
        let mut groups = DataSet::new();
        let position = format!("0\\0\\{z}");
        groups.put_items(Tag::PLANE_POSITION_SEQUENCE, vec![with(&[(Tag::IMAGE_POSITION_PATIENT, &position)])]);
        let mut number = DataSet::new();
        number.put_u16(Tag::REFERENCED_SEGMENT_NUMBER, &[1]);
        groups.put_items(Tag::SEGMENT_IDENTIFICATION_SEQUENCE, vec![number]);
        groups
    };
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame("3"), frame("6")]);
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(vec![0xa5; 64]));
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `soak/dicom.rs` reads many more.
    #[test]
    fn damaged_dicom_files_end_in_a_volume_or_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let samples = samples(&folder.path().join("series")).expect("the corpus");
        let mut all = Outcome::default();
        for seed in 0..600 {
            match check(seed, &samples, &folder.path().join("damaged")) {
                Ok(outcome) => all.add(&outcome),
                Err(why) => panic!("seed {seed}: {why}"),
            }
        }
        // Some files are read and some are refused.
        assert!(all.volumes > 50 && all.frames > 50 && all.errors > 50, "{all:?}");
    }

    #[test]
    fn declared_but_missing_pixels_are_not_allocated() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut data = image(0);
        data.put_u16(Tag::ROWS, &[60_000]);
        data.put_u16(Tag::COLUMNS, &[10_000]);
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(vec![0; 512]));
        let path = folder.path().join("0");
        fs::write(&path, file_bytes(&data)).expect("written");
        let outcome = read_within(folder.path(), &[path], 1024).expect("1.2 GB are declared");
        assert_eq!((outcome.volumes, outcome.frames), (0, 0), "{outcome:?}");
    }

    #[test]
    fn undamaged_samples_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let [sample, packed] = &generated()[..] else { panic!("two samples") };
        let read = |files: &[Vec<u8>]| {
            let paths: Vec<PathBuf> = (0..files.len()).map(|at| folder.path().join(at.to_string())).collect();
            paths.iter().zip(files).for_each(|(path, bytes)| fs::write(path, bytes).expect("written"));
            read_all(folder.path(), &paths)
        };
        let found = read(sample);
        assert_eq!((found.volumes, found.segmentations, found.errors), (1, 2, 0), "{found:?}");
        assert_eq!(read(&[zipped(sample)]).segmentations, 2);
        assert_eq!((read(packed).volumes, read(packed).errors), (1, 0));
    }
}
