//! Cost of a frame on the UI thread.
//!
//! ```sh
//! cargo bench -p app --bench viewer
//! ```
//! Times logic, layout and tessellation of a frame, without the work of the adapter. Linux counts CPU time in steps that
//! may be longer than a frame, so CPU time is reported as the mean of all frames, and wall time for single frames.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::path::Path;
use std::time::{Duration, Instant};

use amlp_viewer::command::ViewCommand as Do;
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::{PaneId, Settings};
use amlp_viewer::{App, Args};
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};

/// Number of timed frames.
const FRAMES: usize = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    frames(folder.path());
}

/// A volume of noise around a bright ellipsoid, which compresses about as badly as a scan.
fn volume(shape: [usize; 3]) -> Volume {
    let grid = Grid::new(shape, DAffine3::from_scale(DVec3::new(0.8, 0.8, 1.5)));
    let mut state = 1_u32;
    let data = (0..grid.len()).map(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [nx, ny, _] = shape;
        let place = [at % nx, at / nx % ny, at / (nx * ny)];
        let offset = |a: usize| (place[a] as f64 / shape[a] as f64 - 0.5) * 2.2;
        let inside = (0..3).map(|a| offset(a).powi(2)).sum::<f64>() < 1.0;
        if inside { 40 + (state >> 27) as i16 } else { -1000 }
    });
    Volume::new(grid, VoxelData::I16(data.collect()), Scale::IDENTITY)
}

/// Fifty balls in five rows.
fn mask(image: &Volume) -> LabelVolume {
    let shape = image.grid.shape;
    let mut labels = vec![0_u8; image.grid.len()];
    for n in 0..50 {
        let middle = [0.2 + 0.06 * (n % 10) as f64, 0.3 + 0.1 * (n / 10) as f64, 0.3 + 0.008 * n as f64];
        let middle: [usize; 3] = std::array::from_fn(|a| (middle[a] * shape[a] as f64) as usize);
        for k in middle[2] - 4..middle[2] + 4 {
            for j in middle[1] - 6..middle[1] + 6 {
                for i in middle[0] - 6..middle[0] + 6 {
                    labels[image.grid.index([i, j, k])] = 1;
                }
            }
        }
    }
    LabelVolume::new(image.grid.clone(), labels).unwrap()
}

/// CPU time of this thread so far, where the system reports it.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Scrolls through a large CT with a mask of fifty components.
fn frames(folder: &Path) {
    let (scan, seg) = (folder.join("ct.nii"), folder.join("ct_pred.nii"));
    let image = volume([512, 512, 300]);
    nifti::write_volume(&scan, &image).unwrap();
    nifti::write_label(&seg, &mask(&image), &image).unwrap();
    drop(image);
    let screen = Offscreen::open().ok();
    let adapter = screen.as_ref().map_or("none, slices are not drawn".into(), |s| s.gpu().adapter_name());
    println!("512 x 512 x 300 int16, mask of 50 components, four panes, 1280 x 800; adapter {adapter}");
    let ctx = egui::Context::default();
    let args = Args { paths: vec![scan], mask: Some(seg), ..Args::default() };
    let begin = Instant::now();
    let mut app = App::new(&ctx, screen.as_ref().map(|s| s.gpu().clone()), &args, Settings::default());
    let frame = |app: &mut App, time: f64| {
        let size = egui::vec2(1280.0, 800.0);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(time),
            ..egui::RawInput::default()
        };
        let before = Instant::now();
        let mut output = ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        let shapes = ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point);
        std::hint::black_box(shapes);
        let took = before.elapsed();
        if let Some(screen) = &screen {
            screen.take_textures(&mut output);
        }
        took
    };
    while !app.is_idle() {
        frame(&mut app, begin.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(5));
    }
    let state = app.state();
    assert!(!state.shows_error(), "{:?}", state.notices);
    let findings = state.document.as_ref().unwrap().findings.as_ref().unwrap().entries.len();
    println!("opened in {:.2} s, {findings} findings", begin.elapsed().as_secs_f64());
    let (before, mut times) = (thread_time(), Vec::new());
    for n in 0..FRAMES {
        app.dispatch(Do::StepSlice { pane: PaneId::REVIEW[n % 3], by: if n % 40 < 20 { 1 } else { -1 } });
        times.push(frame(&mut app, begin.elapsed().as_secs_f64()));
    }
    let cpu = before.zip(thread_time()).map(|(before, after)| after.saturating_sub(before) / FRAMES as u32);
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "a frame, every one another slice, {FRAMES} of them: CPU time of the window's thread {} in the mean; wall median \
         {:.2} ms, 99 % {:.2} ms, longest {:.2} ms",
        cpu.map_or_else(|| "unknown".to_owned(), |cpu| format!("{:.2} ms", ms(cpu))),
        ms(times[FRAMES / 2]),
        ms(times[FRAMES * 99 / 100]),
        ms(times[FRAMES - 1])
    );
}
