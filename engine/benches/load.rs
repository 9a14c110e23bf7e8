//! Reading a 240x240x155 int16 `.nii.gz`: time beside nibabel on the same file, and peak memory.
//!
//! `cargo bench -p engine --bench load`, with `AMLP_PEER_PYTHON` set for the comparison.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use engine::volume::Volume;
use flate2::{Compression, write::GzEncoder};

use common::{Seconds, ms, ratio};

const SHAPE: [usize; 3] = [240, 240, 155];
const RUNS: usize = 9;
const MIB: f64 = 1024.0 * 1024.0;

/// The system's allocator, counting what is held and the most that ever was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator cannot be written without; every call goes on to the system's unchanged")]
// SAFETY: memory comes from and returns to `System` with the very layouts it was asked with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    // Counted as a new block beside the old one, since growing may copy: the peak is never understated.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

/// Bytes that `work` holds at its peak beyond what was held before it.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (result, PEAK.load(Ordering::Relaxed) - before)
}

/// A head-sized ellipsoid of textured values in zeros: about as compressible as a skull-stripped scan.
fn voxels() -> Vec<i16> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut values = Vec::with_capacity(SHAPE.iter().product());
    for k in 0..SHAPE[2] {
        for j in 0..SHAPE[1] {
            for i in 0..SHAPE[0] {
                let offset = |at: usize, side: usize| (at as f64 - side as f64 / 2.0) / (0.36 * side as f64);
                let r = offset(i, SHAPE[0]).powi(2) + offset(j, SHAPE[1]).powi(2) + offset(k, SHAPE[2]).powi(2);
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 58) as i16;
                values.push(if r < 1.0 { 300 + (200.0 * (1.0 - r)) as i16 + noise } else { 0 });
            }
        }
    }
    values
}

/// A NIfTI-1 file of those voxels, 1 mm, RAS+ by its sform.
fn write_scan(path: &Path) -> std::io::Result<()> {
    let mut header = [0_u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    for (i, size) in [3, SHAPE[0] as i16, SHAPE[1] as i16, SHAPE[2] as i16, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &size.to_le_bytes());
    }
    put(70, &4_i16.to_le_bytes()); // datatype: int16
    put(72, &16_i16.to_le_bytes()); // bitpix
    for i in 0..4 {
        put(76 + 4 * i, &1.0_f32.to_le_bytes()); // pixdim
    }
    put(108, &352.0_f32.to_le_bytes()); // vox_offset
    put(112, &1.0_f32.to_le_bytes()); // scl_slope
    put(123, &[2]); // millimetres
    put(254, &1_i16.to_le_bytes()); // sform_code
    for row in 0..3 {
        put(280 + 16 * row + 4 * row, &1.0_f32.to_le_bytes());
    }
    put(344, b"n+1\0");
    let mut gz = GzEncoder::new(std::fs::File::create(path)?, Compression::new(6));
    gz.write_all(&header)?;
    gz.write_all(&voxels().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
    gz.finish()?.sync_all()
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("scan.nii.gz");
    write_scan(&path)?;
    let decoded = SHAPE.iter().product::<usize>() * size_of::<i16>();
    let on_disk = std::fs::metadata(&path)?.len();
    println!("{SHAPE:?} int16, {:.1} MiB decoded, {:.1} MiB as .nii.gz", decoded as f64 / MIB, on_disk as f64 / MIB);

    let (volume, peak) = peak_of(|| Volume::read(&path));
    drop(volume?);
    let ours = common::time(1, RUNS, || Volume::read(&path));
    let mut rows = vec![vec!["engine".into(), ms(ours.min), ms(ours.median), "1.00".into()]];
    let arguments = [path.to_str().context("the temporary folder's name is not text")?.into(), RUNS.to_string()];
    match common::peer("load_nifti.py", &arguments) {
        Ok(peer) => {
            let theirs = Seconds::from_json(&peer).context("the peer printed no times")?;
            let name = format!("nibabel {}", peer["version"].as_str().unwrap_or("?"));
            rows.push(vec![name, ms(theirs.min), ms(theirs.median), ratio(ours.min, theirs.min)]);
        }
        Err(why) => println!("no comparison with nibabel: {why}"),
    }
    common::print_table(&["reader", "min, ms", "median, ms", "engine / reader"], &rows);

    let allowed = 1.3 * decoded as f64 + 16.0 * MIB;
    println!(
        "peak memory {:.1} MiB, {:.2} of the decoded size; allowed 1.3 of it and 16 MiB, {:.1} MiB: {}",
        peak as f64 / MIB,
        peak as f64 / decoded as f64,
        allowed / MIB,
        if peak as f64 <= allowed { "kept" } else { "NOT kept" }
    );
    Ok(())
}
