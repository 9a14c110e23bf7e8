//! From the key that accepts a case to the next one in the window.
//!
//! ```sh
//! cargo bench -p app --bench review
//! ```
//! Cases of 240x240x155 int16 (.nii.gz) with a mask. The next one is prefetched, as during a review; for comparison the
//! same without waiting for the prefetch.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::path::Path;
use std::time::{Duration, Instant};

use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::Settings;
use amlp_viewer::{App, Args};
use egui::{Event, Key, Modifiers};
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData, nifti};
use glam::DAffine3;

/// Cases of the folder.
const CASES: usize = 8;
/// Voxels of a case.
const SHAPE: [usize; 3] = [240, 240, 155];

fn main() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..CASES {
        case(&folder.path().join(format!("p{number}")), number);
    }
    let screen = Offscreen::open().ok();
    let adapter = screen.as_ref().map_or("none, slices are not drawn".into(), |s| s.gpu().adapter_name());
    println!("{CASES} cases of {SHAPE:?} int16 with a mask; adapter {adapter}");
    for ahead in [true, false] {
        let mut times = queue(folder.path(), screen.as_ref(), ahead);
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, longest) = (ms(times[times.len() / 2]), ms(times[times.len() - 1]));
        let name = if ahead { "prefetched" } else { "not prefetched" };
        println!("key to the next case, {name}: median {median:.0} ms, longest {longest:.0} ms");
    }
}

/// A scan of noise with a ball in it, and the ball as its mask.
fn case(folder: &Path, number: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let grid = Grid::new(SHAPE, DAffine3::IDENTITY);
    let mut state = 1 + number as u32;
    let inside = |at: usize| {
        let [nx, ny, _] = SHAPE;
        let place = [at % nx, at / nx % ny, at / (nx * ny)];
        (0..3).map(|a| (place[a] as f64 - 70.0 - number as f64).powi(2)).sum::<f64>() < 400.0
    };
    let values = (0..grid.len()).map(|at| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as i16 + if inside(at) { 60 } else { 0 }
    });
    let image = Volume::new(grid.clone(), VoxelData::I16(values.collect()), Scale::IDENTITY);
    let labels: Vec<u8> = (0..grid.len()).map(|at| u8::from(inside(at))).collect();
    nifti::write_volume(&folder.join("flair.nii.gz"), &image).unwrap();
    nifti::write_label(&folder.join("flair_pred.nii.gz"), &LabelVolume::new(grid, labels).unwrap(), &image).unwrap();
}

/// Accepts one case after the other. Returns the times until the next one is shown.
fn queue(root: &Path, screen: Option<&Offscreen>, ahead: bool) -> Vec<Duration> {
    let _ = std::fs::remove_file(root.join(engine::run::review::FILE));
    let ctx = egui::Context::default();
    let settings = Settings { initials: "AB".into(), ..Settings::default() };
    let args = Args { paths: vec![root.to_path_buf()], ..Args::default() };
    let mut app = App::new(&ctx, screen.map(|s| s.gpu().clone()), &args, settings);
    let begin = Instant::now();
    let frame = |app: &mut App, events: Vec<Event>| {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1280.0, 800.0))),
            time: Some(begin.elapsed().as_secs_f64()),
            events,
            ..egui::RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        std::hint::black_box(ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point));
        if let Some(screen) = screen {
            screen.take_textures(&mut output);
        }
    };
    let shown = |app: &App| app.state().document.as_ref().map(|document| document.id);
    while !app.is_idle() {
        frame(&mut app, Vec::new());
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut times = Vec::new();
    for _ in 1..CASES {
        if !ahead {
            // As if the user were faster than the disk.
            drop_ahead(&mut app);
        }
        let (before, pressed) = (shown(&app), Instant::now());
        let key = |pressed| Event::Key {
            key: Key::Enter,
            physical_key: None,
            pressed,
            repeat: false,
            modifiers: Modifiers::NONE,
        };
        frame(&mut app, vec![key(true), key(false)]);
        while shown(&app) == before {
            std::thread::sleep(Duration::from_millis(1));
            frame(&mut app, Vec::new());
        }
        times.push(pressed.elapsed());
        while !app.is_idle() {
            frame(&mut app, Vec::new());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(!app.state().shows_error(), "{:?}", app.state().notices);
    times
}

/// Drops the prefetched case.
fn drop_ahead(app: &mut App) {
    let (_, jobs) = app.parts();
    jobs.drop_prefetched();
}
