//! From a pointer move with a brush to the pixels that it changes.
//!
//! ```sh
//! cargo bench -p app --bench edit
//! ```
//! A CT of 512x512x300 with a mask, four panes. Every move paints a ball with a radius of 20 voxels two voxels further: the edit,
//! the upload of the box that it changed, and the frame that shows it, without the work of the adapter.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::time::{Duration, Instant};

use amlp_viewer::command::EditCommand as Do;
use amlp_viewer::command::edit::StrokeStart;
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::{PaneId, Settings, ToolKind};
use amlp_viewer::{App, Args};
use engine::edit::op::Mode;
use engine::volume::{Grid, LabelVolume, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};

const SHAPE: [usize; 3] = [512, 512, 300];
/// Voxel size in mm.
const MM: f64 = 0.8;
/// Timed moves of a stroke.
const MOVES: usize = 100;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (scan, seg) = (folder.path().join("ct.nii"), folder.path().join("ct_pred.nii"));
    let grid = Grid::new(SHAPE, DAffine3::from_scale(DVec3::splat(MM)));
    let values = (0..grid.len()).map(|at| (at % 97) as i16 - 50).collect();
    let image = Volume::new(grid.clone(), VoxelData::I16(values), Scale::IDENTITY);
    let labels = (0..grid.len()).map(|at| u8::from(at % 512 < 20 && at / 512 % 512 < 20)).collect::<Vec<u8>>();
    nifti::write_volume(&scan, &image).unwrap();
    nifti::write_label(&seg, &LabelVolume::new(grid, labels).unwrap(), &image).unwrap();
    drop(image);
    let screen = Offscreen::open().ok();
    let adapter = screen.as_ref().map_or("none, nothing is uploaded".into(), |s| s.gpu().adapter_name());
    println!("{SHAPE:?} int16, ball of 20 voxels, four panes, 1280 x 800; adapter {adapter}");
    let ctx = egui::Context::default();
    let args = Args { paths: vec![scan], mask: Some(seg), ..Args::default() };
    let mut app = App::new(&ctx, screen.as_ref().map(|s| s.gpu().clone()), &args, Settings::default());
    let begin = Instant::now();
    let frame = |app: &mut App| {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1280.0, 800.0))),
            time: Some(begin.elapsed().as_secs_f64()),
            ..egui::RawInput::default()
        };
        let mut output = ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        std::hint::black_box(ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point));
        if let Some(screen) = &screen {
            screen.take_textures(&mut output);
        }
    };
    while !app.is_idle() {
        frame(&mut app);
        std::thread::sleep(Duration::from_millis(5));
    }
    app.dispatch(Do::SetRadius(20.0 * MM));
    for (mode, name) in [(Mode::Volume, "ball"), (Mode::Slice, "disc")] {
        app.dispatch(Do::SetMode(mode));
        let place = |n: usize| DVec3::new(100.0 + 2.0 * MM * n as f64, 200.0, 120.0);
        let start = StrokeStart { tool: ToolKind::Brush, erases: false, pane: PaneId::Axial, at: place(0) };
        app.dispatch(Do::BeginStroke(start));
        let (mut edits, mut all) = (Vec::new(), Vec::new());
        for n in 0..MOVES {
            let moved = Instant::now();
            app.dispatch(Do::ExtendStroke([place(n), place(n + 1)]));
            edits.push(moved.elapsed());
            frame(&mut app);
            all.push(moved.elapsed());
        }
        app.dispatch(Do::EndStroke);
        println!("{name}: edit {}; edit, upload and frame {}", summary(&mut edits), summary(&mut all));
        app.dispatch(Do::Undo);
    }
    assert!(!app.state().shows_error(), "{:?}", app.state().notices);
}

fn summary(times: &mut [Duration]) -> String {
    times.sort();
    let ms = |at: usize| times[at].as_secs_f64() * 1e3;
    format!("median {:.2} ms, 95 % {:.2} ms, longest {:.2} ms", ms(MOVES / 2), ms(MOVES * 95 / 100), ms(MOVES - 1))
}
