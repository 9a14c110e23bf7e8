//! Peak memory of loading a scan: the only test of its process, so that what it measures is its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use engine::volume::{Grid, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};

/// A line of /proc/self/status in bytes.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[test]
fn loading_takes_little_more_than_the_voxels() {
    let shape = [240, 240, 155];
    let grid = Grid::new(shape, DAffine3::from_scale(DVec3::new(-1.0, -1.0, 1.0)));
    let n = grid.len();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.nii.gz");
    {
        let mut scan = Volume::from_f32(Grid::new([0; 3], grid.world_from_voxel), Vec::new());
        scan.grid = grid.clone();
        scan.data = VoxelData::I16((0..n).map(|i| ((i * 2_654_435_761) >> 7) as i16 & 0x3ff).collect());
        nifti::write_volume(&path, &scan).unwrap();
    }
    // Writing 5 sets the high-water mark back to what is in use now.
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        println!("skipped: this system does not tell a process's peak memory");
        return;
    }
    let before = status("VmRSS").unwrap();
    let volume = Volume::read(&path).unwrap();
    let peak = status("VmHWM").unwrap().saturating_sub(before);
    let (decoded, allowed) = (volume.memory_bytes(), volume.memory_bytes() * 13 / 10 + (16 << 20));
    println!("decoded {decoded}, peak {peak}, allowed {allowed}");
    assert!(decoded == 2 * n as u64 && peak <= allowed, "peak {peak}, allowed {allowed}");
    // The measure itself must be able to fail: the voxels are there.
    assert!(peak > decoded / 2, "peak {peak} cannot be right");
}
