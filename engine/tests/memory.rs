//! Peak memory of opening a volume, counted by the allocator and by the kernel: at most 1.3 times the decoded voxels.
//!
//! A block that grows counts twice, once as the old block and once as the new one. This is the only test of its process, so
//! that nothing else is counted.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; a skipped test prints why")]

use std::io::Write;
use std::path::{Path, PathBuf};

use engine::volume::dicom::{DataSet, Tag, file_bytes};
use engine::volume::{Frames, LabelVolume, ReadOptions, Scale, Volume, VoxelData, nifti};
use flate2::{Compression, write::GzEncoder};
use glam::{DAffine3, DVec3};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The result of `work`, and its peak memory above the start.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, f64) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = work();
    (result, MEMORY.peak_usage().saturating_sub(before) as f64)
}

/// Reads the file, and fails if that takes more than `allowed` times the decoded voxels.
fn assert_within(path: &Path, frames: Frames, allowed: f64) -> Volume {
    let (volume, peak) =
        peak_of(|| Volume::read_with(path, &ReadOptions { frames, ..ReadOptions::default() }).unwrap());
    let share = peak / volume.memory_bytes() as f64;
    assert!(share <= allowed, "{}: {share:.3} times the {} decoded bytes", path.display(), volume.memory_bytes());
    // Checks the measurement itself: the voxels were counted.
    assert!(share >= 1.0, "{}: {share:.3} cannot be right", path.display());
    volume
}

fn gzipped(path: &Path) -> PathBuf {
    let zipped = PathBuf::from(format!("{}.gz", path.display()));
    let mut encoder = GzEncoder::new(std::fs::File::create(&zipped).unwrap(), Compression::fast());
    encoder.write_all(&std::fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    zipped
}

/// The same volume with swapped byte order: header fields of NIfTI-1, and voxels of `width` bytes.
fn byte_swapped(path: &Path, to: &Path, width: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let mut swap = |at: usize, width: usize, count: usize| {
        bytes[at..at + width * count].chunks_exact_mut(width).for_each(<[u8]>::reverse);
    };
    for (at, width, count) in [
        (0, 4, 1),    // sizeof_hdr
        (32, 4, 1),   // extents
        (36, 2, 1),   // session_error
        (40, 2, 8),   // dim
        (56, 4, 3),   // intent_p1 to p3
        (68, 2, 4),   // intent_code, datatype, bitpix, slice_start
        (76, 4, 8),   // pixdim
        (108, 4, 3),  // vox_offset, scl_slope, scl_inter
        (120, 2, 1),  // slice_end
        (124, 4, 6),  // cal_max to glmin
        (252, 2, 2),  // qform_code, sform_code
        (256, 4, 18), // quaternion and srow
    ] {
        swap(at, width, count);
    }
    bytes[352..].chunks_exact_mut(width).for_each(<[u8]>::reverse);
    std::fs::write(to, bytes).unwrap();
}

fn values(n: usize) -> impl Iterator<Item = u64> {
    (0..n as u64).map(|i| i.wrapping_mul(2_654_435_761) >> 9)
}

#[test]
fn opening_a_volume_takes_at_most_1_3_times_the_memory_of_its_voxels() {
    let folder = tempfile::tempdir().unwrap();
    // First, before freed memory that stays with the process can be used again.
    resident_memory(folder.path());
    let grid = engine::volume::Grid::new([240, 240, 155], DAffine3::from_scale(DVec3::new(-1.0, -1.0, 2.0)));
    let n = grid.len();
    let all = [
        ("int16", 2, VoxelData::I16(values(n).map(|v| v as i16 & 0x3ff).collect())),
        ("float32", 4, VoxelData::F32(values(n).map(|v| (v & 0xfff) as f32 * 0.25).collect())),
        ("rgb24", 1, VoxelData::Rgb(values(n).map(|v| [v as u8, (v >> 3) as u8, 7]).collect())),
        ("uint8", 1, VoxelData::U8(values(n).map(|v| (v & 3) as u8).collect())),
    ];
    for (name, width, data) in all {
        let path = folder.path().join(format!("{name}.nii"));
        nifti::write_volume(&path, &Volume::new(grid.clone(), data, Scale::IDENTITY)).unwrap();
        let swapped = folder.path().join(format!("{name}-swapped.nii"));
        byte_swapped(&path, &swapped, width);
        let plain = assert_within(&path, Frames::One(0), 1.3);
        assert_eq!(plain.data.type_name(), name);
        for other in [swapped.clone(), gzipped(&path), gzipped(&swapped)] {
            let volume = assert_within(&other, Frames::One(0), 1.3);
            assert!(volume.data == plain.data, "{}: other voxels", other.display());
            assert_eq!(volume.grid, plain.grid);
        }
    }
    every_frame_of_a_series(folder.path());
    masks(folder.path());
    percentiles_and_thumbnails_copy_nothing(&folder.path().join("int16.nii"));
    hostile_dicom(folder.path());
}

/// A line of /proc/self/status in bytes.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The resident memory of the process, which includes memory outside the allocator, such as mapped files.
fn resident_memory(folder: &Path) {
    let grid = engine::volume::Grid::new([240, 240, 155], DAffine3::from_scale(DVec3::new(-1.0, -1.0, 1.0)));
    let n = grid.len();
    let path = folder.join("scan.nii.gz");
    let data = VoxelData::I16(values(n).map(|v| v as i16 & 0x3ff).collect());
    nifti::write_volume(&path, &Volume::new(grid, data, Scale::IDENTITY)).unwrap();
    // Writing 5 resets the high-water mark to the memory in use now.
    if let Err(why) = std::fs::write("/proc/self/clear_refs", "5") {
        println!("skipped: resident memory: this system does not report a process's peak ({why})");
        return;
    }
    let before = status("VmRSS").unwrap();
    let volume = Volume::read(&path).unwrap();
    let peak = status("VmHWM").unwrap().saturating_sub(before);
    let (decoded, allowed) = (volume.memory_bytes(), volume.memory_bytes() * 13 / 10 + (16 << 20));
    assert!(decoded == 2 * n as u64 && peak <= allowed, "peak {peak}, allowed {allowed}");
    // Checks the measurement itself: the voxels were counted.
    assert!(peak > decoded / 2, "peak {peak} cannot be right");
}

/// A 4-D file, as a whole and frame by frame.
fn every_frame_of_a_series(folder: &Path) {
    let grid = engine::volume::Grid::new([128, 128, 110], DAffine3::IDENTITY);
    let data = VoxelData::I16(values(5 * grid.len()).map(|v| v as i16 & 0x3ff).collect());
    let path = folder.join("series.nii");
    nifti::write_volume(&path, &Volume::new(grid, data, Scale::IDENTITY)).unwrap();
    for path in [path.clone(), gzipped(&path)] {
        assert_within(&path, Frames::All, 1.3);
        (0..5).for_each(|frame| drop(assert_within(&path, Frames::One(frame), 1.3)));
    }
}

/// A mask is decoded, then converted to labels of one byte each; byte masks are used directly.
fn masks(folder: &Path) {
    let grid = engine::volume::Grid::new([128, 128, 128], DAffine3::IDENTITY);
    let labels = || values(grid.len()).map(|v| v & 3);
    let all = [
        (1.3, VoxelData::U8(labels().map(|v| v as u8).collect())),
        (1.6, VoxelData::I16(labels().map(|v| v as i16).collect())),
        (1.3, VoxelData::F32(labels().map(|v| v as f32).collect())),
    ];
    for (allowed, data) in all {
        let (name, decoded) = (data.type_name(), (data.len() * data.bytes_per_voxel()) as f64);
        let path = folder.join(format!("mask-{name}.nii"));
        nifti::write_volume(&path, &Volume::new(grid.clone(), data, Scale::IDENTITY)).unwrap();
        for path in [path.clone(), gzipped(&path)] {
            let (mask, peak) = peak_of(|| LabelVolume::read(&path).unwrap());
            assert_eq!(mask.labels(), [1, 2, 3]);
            assert!(peak <= allowed * decoded, "{}: {:.3} times", path.display(), peak / decoded);
        }
    }
}

fn percentiles_and_thumbnails_copy_nothing(path: &Path) {
    let volume = Volume::read(path).unwrap();
    // The counters stay small compared with the voxels for any number of threads.
    for threads in [2, 32] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (found, peak) = peak_of(|| pool.install(|| volume.percentiles(0, &[1.0, 50.0, 99.0]).unwrap()));
        let share = peak / volume.memory_bytes() as f64;
        assert!(found[0] < found[2] && share < 0.25, "percentiles on {threads} threads took {share:.3} of the volume");
    }
    let slice = 240.0 * 240.0;
    let (_, peak) = peak_of(|| engine::draw::thumbnail(&volume, 96).unwrap());
    assert!(peak < 24.0 * slice, "a thumbnail took {peak} bytes");
}

/// DICOM files that declare more than they hold end in an error under three times their size, give or take the first read.
fn hostile_dicom(folder: &Path) {
    // The pool's own memory belongs to no file.
    assert!(rayon::current_num_threads() > 0);
    let (level, levels) = (b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff", 10_000);
    let mut nested =
        [&[0; 128][..], b"DICM", b"\x08\x00\x05\x00CS\x00\x00", b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff"].concat();
    (0..levels).for_each(|_| nested.extend(level));
    // Pixels of two gigabytes, of which there are none.
    let mut image = DataSet::new();
    image.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2");
    image.put_text(Tag::SOP_INSTANCE_UID, "1.2.3");
    image.put_text(Tag::SERIES_INSTANCE_UID, "1.2");
    for (tag, value) in [(Tag::ROWS, 32_768), (Tag::COLUMNS, 30_000), (Tag::BITS_ALLOCATED, 16)] {
        image.put_u16(tag, &[value]);
    }
    let long = [&file_bytes(&image)[..], b"\xe0\x7f\x10\x00OW\0\0\xfe\xff\xff\xff"].concat();
    for (name, bytes, expected) in
        [("nested", nested, "nested more than 64 deep"), ("long", long, "bytes of pixels expected")]
    {
        let path = folder.join(name);
        std::fs::write(&path, &bytes).unwrap();
        let (read, peak) = peak_of(|| Volume::read(&path));
        let error = read.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let allowed = 3.0 * bytes.len() as f64 + f64::from(128 << 10);
        assert!(peak <= allowed, "{name}: {peak} bytes for a file of {}", bytes.len());
    }
}
