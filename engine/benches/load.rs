//! Reading a 240x240x155 int16 `.nii.gz`: time compared with nibabel on the same file, and peak memory.
//!
//! `cargo bench -p engine --bench load`, with `AMLP_PEER_PYTHON` set for the comparison.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use engine::volume::Volume;

use common::scan::{SHAPE, write_scan};
use common::{Seconds, ms, ratio};

const RUNS: usize = 9;
const MIB: f64 = 1024.0 * 1024.0;

/// The system allocator with a count of allocated bytes and their peak.
struct CountingAllocator;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[allow(unsafe_code, reason = "an allocator needs unsafe code; every call is forwarded to the system's")]
// SAFETY: every call is forwarded to `System` with the same layout.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    // Counted as a new block next to the old one, because growing may copy. The peak is never understated.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn count(bytes: usize) {
    let allocated = ALLOCATED.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(allocated, Ordering::Relaxed);
}

/// Peak allocation of `work` in bytes, beyond what was allocated before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (result, PEAK.load(Ordering::Relaxed) - before)
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
        "peak memory {:.1} MiB, {:.2} times the decoded size, limit 1.3 times plus 16 MiB = {:.1} MiB: {}",
        peak as f64 / MIB,
        peak as f64 / decoded as f64,
        allowed / MIB,
        if peak as f64 <= allowed { "kept" } else { "NOT kept" }
    );
    Ok(())
}
