//! Memory of an open volume, counted by the allocator: at most 1.3 times the decoded voxels, while it is opened and
//! after.
//!
//! Growing a block counts both the old and the new block. The only test of its process, so that nothing else is counted.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use amlp_viewer::state::{Intent, Settings};
use amlp_viewer::{App, Args};
use engine::volume::{Grid, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// 64 MiB of int16: large compared with fonts, layout and the program itself.
const SHAPE: [usize; 3] = [256, 256, 512];
const ALLOWED: f64 = 1.3;

fn write(path: PathBuf) -> PathBuf {
    let grid = Grid::new(SHAPE, DAffine3::from_scale(DVec3::new(0.9, 0.9, 1.2)));
    let data = (0..grid.len()).map(|at| (at % 4093) as i16 - 1000).collect();
    nifti::write_volume(&path, &Volume::new(grid, VoxelData::I16(data), Scale::IDENTITY)).unwrap();
    path
}

#[test]
fn an_open_volume_takes_little_more_memory_than_its_voxels() {
    // Every counting thread has counters, so use as many threads as a workstation.
    rayon::ThreadPoolBuilder::new().num_threads(32).build_global().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["ct.nii", "ct.nii.gz"] {
        let args = Args { paths: vec![write(folder.path().join(name))], ..Args::default() };
        let ctx = egui::Context::default();
        let mut app = App::new(&ctx, None, &Args::default(), Settings::default());
        let frame = |app: &mut App| {
            let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1280.0, 800.0));
            let input = egui::RawInput { screen_rect: Some(screen), ..egui::RawInput::default() };
            let mut output = ctx.run_ui(input, |ui| {
                app.logic(ui.ctx());
                app.ui(ui);
            });
            output.textures_delta.clear();
        };
        // Allocate fonts and layout first.
        while !app.is_idle() {
            frame(&mut app);
        }
        frame(&mut app);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        app.dispatch(Intent::open_paths(args.paths));
        let begin = Instant::now();
        while !app.is_idle() {
            frame(&mut app);
            std::thread::sleep(Duration::from_millis(2));
            assert!(begin.elapsed() < Duration::from_mins(2), "{name} is not opened");
        }
        frame(&mut app);
        let decoded = (SHAPE.iter().product::<usize>() * 2) as f64;
        let kept = MEMORY.current_usage().saturating_sub(before) as f64 / decoded;
        let peak = MEMORY.peak_usage().saturating_sub(before) as f64 / decoded;
        assert!(app.state().document.is_some() && !app.state().shows_error(), "{:?}", app.state().notices);
        // Checks the measurement itself: the voxels were counted.
        assert!(kept >= 1.0, "{name}: {kept:.3} cannot be right");
        assert!(
            kept <= ALLOWED && peak <= ALLOWED,
            "{name}: takes {kept:.3}, at most {peak:.3} times the decoded voxels"
        );
    }
}
