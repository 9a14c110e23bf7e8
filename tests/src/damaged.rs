//! Damaged DICOM files: after any damage, reading ends with a volume or an error, in bounded memory and time.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::volume::dicom::{DicomFile, Frames, ImageStack, Library};
use engine::volume::seg::{SourceSeries, read_file};
use engine::volume::{Frames as Wanted, ReadOptions};
use peak_alloc::PeakAlloc;

use crate::random::Random;
use crate::samples::{SLICES, Sample, Samples, zipped};

/// Counts the allocations of every program that links this crate.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that reading may allocate beyond three times the size of the files, in bytes.
const MEMORY_LIMIT: usize = 64 << 20;
/// Time limit for reading a few small files.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// One run in this many takes any sample and reads it from disk. The others read a small one from memory, which is a hundred
/// times as fast.
const ON_DISK: usize = 128;

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

/// The files of a run.
struct Run {
    files: Sample,
    /// Index of the file that was damaged.
    damaged: usize,
    /// True to read from disk.
    on_disk: bool,
}

/// Damages a sample.
fn damage(seed: u64, samples: &Samples) -> Run {
    let mut random = Random(seed);
    let on_disk = random.below(ON_DISK) == 0;
    let samples = &samples.all[..if on_disk { samples.all.len() } else { samples.small }];
    let mut files = samples[random.below(samples.len())].clone();
    let mut damaged = random.below(files.len());
    files[damaged] = mutated(&mut random, samples, &files[damaged]);
    if random.below(8) == 0 {
        let archive = zipped(&files);
        files = vec![if random.below(2) == 0 { archive } else { mutated(&mut random, samples, &archive) }];
        damaged = 0;
    }
    Run { files, damaged, on_disk }
}

/// Damages a sample with this `seed` and reads it in every way, some from files in `folder`.
///
/// # Errors
/// A panic, too much memory or too much time. The files are then in `folder`.
pub fn check(seed: u64, samples: &Samples, folder: &Path) -> Result<Outcome, String> {
    let Run { files, damaged, on_disk } = damage(seed, samples);
    if !on_disk {
        return read_from_memory(&files, damaged).or_else(|why| write(&files, folder).and(Err(why)));
    }
    let paths = write(&files, folder)?;
    let size = files.iter().map(|file| file.len()).sum();
    drop(files);
    // A DICOMDIR or zip archive is named itself.
    let named = if paths.len() == 1 { &*paths[0] } else { folder };
    read_within(size, || DicomFile::open(&paths[damaged]), || Library::scan(named, &|_, _| true))
}

/// Writes the files of a run to `folder`, in place of those of another.
///
/// # Errors
/// A file that cannot be written.
pub fn write_damaged(seed: u64, samples: &Samples, folder: &Path) -> Result<(), String> {
    write(&damage(seed, samples).files, folder).map(drop)
}

fn write(files: &[Arc<[u8]>], folder: &Path) -> Result<Vec<PathBuf>, String> {
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let paths: Vec<PathBuf> = (0..files.len()).map(|at| folder.join(at.to_string())).collect();
    paths.iter().zip(files).try_for_each(|(path, file)| fs::write(path, file)).map_err(|error| error.to_string())?;
    Ok(paths)
}

/// Reads bytes in every way. They are a DICOM file, or a zip archive of several.
///
/// # Errors
/// As [`check`].
pub fn check_bytes(bytes: &[u8]) -> Result<Outcome, String> {
    read_from_memory(&[bytes.into()], 0)
}

/// A sample as one file: its only file, or a zip archive.
pub fn as_file(sample: &Sample) -> Arc<[u8]> {
    if let [only] = &sample[..] { Arc::clone(only) } else { zipped(sample) }
}

fn read_from_memory(files: &[Arc<[u8]>], damaged: usize) -> Result<Outcome, String> {
    let size = files.iter().map(|file| file.len()).sum();
    read_within(size, || DicomFile::from_bytes(Arc::clone(&files[damaged])), || Library::of_bytes(files))
}

/// Reads files of `size` bytes in total.
fn read_within(
    size: usize,
    open: impl FnOnce() -> engine::Result<DicomFile>,
    scan: impl FnOnce() -> engine::Result<Library>,
) -> Result<Outcome, String> {
    MEMORY.reset_peak_usage();
    let (before, started) = (MEMORY.current_usage(), Instant::now());
    let read = catch_unwind(AssertUnwindSafe(|| read_all(open, scan)));
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

/// Reads the frames of a file, and the volumes and segmentations of a library.
fn read_all(
    open: impl FnOnce() -> engine::Result<DicomFile>,
    scan: impl FnOnce() -> engine::Result<Library>,
) -> Outcome {
    let mut outcome = Outcome::default();
    if let Ok(file) = counted(open(), &mut outcome) {
        read_frames(&file, &mut outcome);
    }
    let Ok(library) = counted(scan(), &mut outcome) else { return outcome };
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
fn mutated(random: &mut Random, samples: &[Sample], file: &[u8]) -> Arc<[u8]> {
    let mut bytes = file.to_vec();
    for _ in 0..=random.below(4) {
        let sample = &samples[random.below(samples.len())];
        let other = &sample[random.below(sample.len())];
        change(random, &mut bytes, other);
    }
    bytes.into()
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

#[cfg(test)]
mod tests {
    use engine::volume::dicom::{Tag, Value, Vr, file_bytes};

    use super::*;
    use crate::samples::{generated, image};

    /// `soak/dicom.rs` reads many more.
    #[test]
    fn damaged_dicom_files_end_in_a_volume_or_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let samples = Samples::new(&folder.path().join("series")).expect("the corpus");
        let mut all = Outcome::default();
        for seed in 0..10_000 {
            match check(seed, &samples, &folder.path().join("damaged")) {
                Ok(outcome) => all.add(&outcome),
                Err(why) => panic!("seed {seed}: {why}"),
            }
        }
        // Some files are read and some are refused.
        let Outcome { volumes, frames, segmentations, errors, .. } = all;
        assert!([volumes, frames, segmentations, errors].iter().all(|count| *count > 250), "{all:?}");
    }

    #[test]
    fn declared_but_missing_pixels_are_not_allocated() {
        let mut data = image(0);
        data.put_u16(Tag::ROWS, &[60_000]);
        data.put_u16(Tag::COLUMNS, &[10_000]);
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(vec![0; 512]));
        let outcome = check_bytes(&file_bytes(&data)).expect("1.2 GB are declared");
        assert_eq!((outcome.volumes, outcome.frames), (0, 0), "{outcome:?}");
    }

    #[test]
    fn undamaged_samples_are_read() {
        for (at, sample) in generated().iter().enumerate() {
            let found = read_from_memory(sample, 0).expect("within the limits");
            // A structure set is read only with its images, and a DICOMDIR has none.
            let expected = match at {
                0 => (1, 2, 0),
                1 => (1, 1, 1),
                5 => (0, 0, 1),
                _ => (1, 0, 0),
            };
            assert_eq!((found.volumes, found.segmentations, found.errors), expected, "sample {at}: {found:?}");
        }
        assert_eq!(check_bytes(&zipped(&generated()[0])).expect("within the limits").segmentations, 2);
    }
}
