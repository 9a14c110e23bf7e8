//! From a pointer move with a brush to the pixels that it changes, and from its release to new findings.
//!
//! ```sh
//! cargo bench -p app --bench edit
//! ```
//! A CT of 512x512x300 with a segmentation and a reference, four panes. Every move of the pointer paints a brush with a
//! radius of 20 voxels one pixel further: input, edit, upload of the box that it changed, and the frame that shows it,
//! without the work of the adapter. After the release, findings, Dice by slice and all measures follow in the
//! background.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::time::{Duration, Instant};

use amlp_viewer::command::EditCommand as Do;
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::Settings;
use amlp_viewer::{App, Args};
use egui::{Event, Key, Modifiers, PointerButton, Pos2, pos2, vec2};
use engine::edit::op::Mode;
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};

const SHAPE: [usize; 3] = [512, 512, 300];
/// Voxel size in mm.
const MM: f64 = 0.8;
/// Timed moves of a stroke.
const MOVES: usize = 100;
/// Timed strokes until findings follow.
const STROKES: usize = 7;
/// Start of the strokes, in the axial pane.
const START: Pos2 = pos2(420.0, 220.0);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let [scan, seg, truth] = ["ct.nii", "ct_pred.nii", "ct_seg.nii"].map(|name| folder.path().join(name));
    let grid = Grid::new(SHAPE, DAffine3::from_scale(DVec3::splat(MM)));
    let values = (0..grid.len()).map(|at| (at % 97) as i16 - 50).collect();
    let image = Volume::new(grid.clone(), VoxelData::I16(values), Scale::IDENTITY);
    nifti::write_volume(&scan, &image).unwrap();
    nifti::write_label(&seg, &lesions(&grid, 0), &image).unwrap();
    nifti::write_label(&truth, &lesions(&grid, 3), &image).unwrap();
    drop(image);
    let screen = Offscreen::open().ok();
    let adapter = screen.as_ref().map_or("none, nothing is uploaded".into(), |s| s.gpu().adapter_name());
    println!("{SHAPE:?} int16, brush of 20 voxels, four panes, 1280 x 800; adapter {adapter}");
    let ctx = egui::Context::default();
    let args = Args { paths: vec![scan], mask: Some(seg), truth: Some(truth), ..Args::default() };
    let mut app = App::new(&ctx, screen.as_ref().map(|s| s.gpu().clone()), &args, Settings::default());
    let mut window = Window { ctx, screen, begin: Instant::now() };
    window.settle(&mut app);
    app.dispatch(Do::SetRadius(20.0 * MM));
    window.frame(&mut app, vec![key(Key::B, true), key(Key::B, false)]);
    // The second stroke next to the first, whose voxels are already painted.
    for (mode, name, start) in [(Mode::Volume, "ball", START), (Mode::Slice, "disc", START + vec2(0.0, 80.0))] {
        app.dispatch(Do::SetMode(mode));
        window.frame(&mut app, vec![Event::PointerMoved(start)]);
        window.frame(&mut app, vec![button(start, true)]);
        let mut times = Vec::new();
        for n in 1..=MOVES {
            let moved = Instant::now();
            window.frame(&mut app, vec![Event::PointerMoved(start + vec2(n as f32, 0.0))]);
            times.push(moved.elapsed());
        }
        let painted = app.state().stroke().map_or(0, |stroke| stroke.delta.voxels());
        assert!(painted > 100_000 || mode == Mode::Slice && painted > 4000, "{name}: {painted} voxels");
        window.frame(&mut app, vec![button(start + vec2(MOVES as f32, 0.0), false)]);
        println!("pointer move to new pixels, {name}: {} (goal: 16 ms)", summary(&mut times));
        window.settle(&mut app);
    }
    let (mut findings, mut all) = (Vec::new(), Vec::new());
    for n in 0..STROKES {
        let at = START + vec2(9.0 * n as f32, 40.0);
        window.frame(&mut app, vec![Event::PointerMoved(at)]);
        window.frame(&mut app, vec![button(at, true)]);
        window.frame(&mut app, vec![button(at, false)]);
        let released = Instant::now();
        let follows = |app: &App| {
            let document = app.state().document.as_ref().unwrap();
            document.findings.as_ref().is_some_and(|list| list.revisions == document.mask_revisions())
        };
        assert!(!follows(&app), "stroke {n} changed nothing");
        while !follows(&app) {
            std::thread::sleep(Duration::from_millis(1));
            window.frame(&mut app, Vec::new());
        }
        findings.push(released.elapsed());
        window.settle(&mut app);
        all.push(released.elapsed());
    }
    println!("release to findings, Dice by slice and volumes: {} (goal: 300 ms)", summary(&mut findings));
    println!("release to all measures, with surface distances: {}", summary(&mut all));
    assert!(!app.state().shows_error(), "{:?}", app.state().notices);
}

/// Balls of 12 to 30 voxels, moved by some voxels along i.
fn lesions(grid: &Grid, moved: usize) -> LabelVolume {
    let mut labels = vec![0_u8; grid.len()];
    for (n, centre) in [[150, 150, 80], [360, 180, 150], [180, 350, 150], [330, 330, 230]].into_iter().enumerate() {
        let r = 12 + 6 * n;
        let offset = |v: usize| (v as f64 - r as f64).powi(2);
        for [i, j, k] in (0..(2 * r + 1).pow(3))
            .map(|at| [at % (2 * r + 1), at / (2 * r + 1) % (2 * r + 1), at / (2 * r + 1).pow(2)])
        {
            if offset(i) + offset(j) + offset(k) <= (r * r) as f64 {
                labels[grid.index([centre[0] + moved + i - r, centre[1] + j - r, centre[2] + k - r])] = 1;
            }
        }
    }
    LabelVolume::new(grid.clone(), labels).unwrap()
}

/// Stand-in for the system's window.
struct Window {
    ctx: egui::Context,
    screen: Option<Offscreen>,
    begin: Instant,
}

impl Window {
    fn frame(&mut self, app: &mut App, events: Vec<Event>) {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 800.0))),
            time: Some(self.begin.elapsed().as_secs_f64()),
            events,
            ..egui::RawInput::default()
        };
        let mut output = self.ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        std::hint::black_box(self.ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point));
        if let Some(screen) = &self.screen {
            screen.take_textures(&mut output);
        }
    }

    fn settle(&mut self, app: &mut App) {
        while !app.is_idle() {
            self.frame(app, Vec::new());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn button(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE }
}

fn key(key: Key, pressed: bool) -> Event {
    Event::Key { key, physical_key: None, pressed, repeat: false, modifiers: Modifiers::NONE }
}

fn summary(times: &mut [Duration]) -> String {
    times.sort();
    let (ms, last) = (|at: usize| times[at].as_secs_f64() * 1e3, times.len() - 1);
    format!("median {:.2} ms, 95 % {:.2} ms, longest {:.2} ms", ms(last / 2), ms(last * 95 / 100), ms(last))
}
