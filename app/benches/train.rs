//! Cost of a frame on the UI thread during training on the CPU.
//!
//! ```sh
//! cargo bench -p app --bench train
//! ```
//! Pre-trains on a synthetic cohort, on all cores but one, while the window draws the Setup page and then the Watch page.
//! Reports the CPU time of the UI thread per frame, which the system updates when the thread yields. Goal: 99 % of frames
//! below 4 ms.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::path::Path;
use std::time::{Duration, Instant};

use amlp_viewer::args::ModeArg;
use amlp_viewer::command::Command as Do;
use amlp_viewer::command::TrainCommand;
use amlp_viewer::gpu::offscreen::Offscreen;
use amlp_viewer::state::Settings;
use amlp_viewer::state::train::{Phase, TrainPage};
use amlp_viewer::{App, Args};
use engine::device::DeviceChoice;
use engine::preprocess::Spacing;
use engine::volume::{Grid, LabelVolume, Volume, nifti};
use glam::{DAffine3, DVec3};

/// Number of timed frames per page.
const FRAMES: usize = 600;
/// Interval of frames.
const PACE: Duration = Duration::from_micros(16_667);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let cohort = folder.path().join("cohort");
    write_cohort(&cohort);
    let args = Args {
        mode: ModeArg::Train,
        paths: vec![cohort],
        workspace: Some(folder.path().join("runs")),
        ..Args::default()
    };
    let mut window = Window::open(&args);
    window.until("the cohort is known", |app| app.state().cache.train.cohort.card().is_some());
    let mut form = app_form(&window.app);
    let config = &mut form.pretrain;
    config.device = DeviceChoice::Cpu.into();
    (config.preprocess.size, config.preprocess.spacing) = (96, Spacing::Native);
    (config.network.width, config.training.epochs, config.training.batch) = (16, 10_000, 8);
    window.app.dispatch(Do::Train(TrainCommand::Edit(Box::new(form))));
    window.app.dispatch(Do::Train(TrainCommand::Start));
    window.until("it trains", |app| {
        let running = app.state().training.running.as_ref();
        running.is_some_and(|job| job.phase == Phase::Training && job.steps_done() > 0)
    });
    println!("pre-training of 8 patients, 96 x 96, width 16, batch 8; adapter {}", window.adapter());
    for page in [TrainPage::Setup, TrainPage::Watch] {
        window.app.dispatch(Do::Train(TrainCommand::ShowPage(page)));
        window.measure(page.name());
    }
    let steps =
        window.app.state().training.running.as_ref().map_or(0, amlp_viewer::state::train::RunningJob::steps_done);
    println!("steps trained meanwhile: {steps}");
    window.app.dispatch(Do::Train(TrainCommand::Stop));
    window.until("it stops", |app| app.state().training.running.is_none());
}

fn app_form(app: &App) -> amlp_viewer::state::train::Form {
    app.state().session.train.form.clone()
}

/// Eight patients with a bright ball in a disc.
fn write_cohort(cohort: &Path) {
    let grid = Grid::new([96, 96, 24], DAffine3::from_scale(DVec3::new(2.0, 2.0, 4.0)));
    for number in 0..8_usize {
        let place = cohort.join(format!("P{number}"));
        std::fs::create_dir_all(&place).unwrap();
        let middle = [34 + number * 3, 40 + number * 2, 12];
        let squared = |at: [usize; 3], to: [usize; 3]| -> usize { (0..3).map(|a| at[a].abs_diff(to[a]).pow(2)).sum() };
        let voxel = |n: usize| [n % 96, n / 96 % 96, n / (96 * 96)];
        let inside = |n: usize| squared(voxel(n), middle) < 60;
        let tissue = |n: usize| squared(voxel(n), [48, 48, voxel(n)[2]]) < 1800;
        let value = |n: usize| if inside(n) { 40.0 } else { 12.0 * f32::from(u8::from(tissue(n))) + (n % 5) as f32 };
        let image = Volume::from_f32(grid.clone(), (0..grid.len()).map(value).collect());
        let label = LabelVolume::new(grid.clone(), (0..grid.len()).map(|n| u8::from(inside(n))).collect::<Vec<u8>>());
        nifti::write_volume(&place.join("pet.nii.gz"), &image).unwrap();
        nifti::write_label(&place.join("seg.nii.gz"), &label.unwrap(), &image).unwrap();
    }
}

struct Window {
    app: App,
    ctx: egui::Context,
    screen: Option<Offscreen>,
    begin: Instant,
}

impl Window {
    fn open(args: &Args) -> Self {
        let (screen, ctx) = (Offscreen::open().ok(), egui::Context::default());
        let app = App::new(&ctx, screen.as_ref().map(|s| s.gpu().clone()), args, Settings::default());
        Self { app, ctx, screen, begin: Instant::now() }
    }

    fn adapter(&self) -> String {
        self.screen.as_ref().map_or("none, slices are not drawn".into(), |s| s.gpu().adapter_name())
    }

    /// Logic, layout and tessellation of a frame.
    fn frame(&mut self) {
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1280.0, 800.0))),
            time: Some(self.begin.elapsed().as_secs_f64()),
            ..egui::RawInput::default()
        };
        let app = &mut self.app;
        let mut output = self.ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        let shapes = self.ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point);
        std::hint::black_box(shapes);
        if let Some(screen) = &self.screen {
            screen.take_textures(&mut output);
        }
    }

    fn until(&mut self, what: &str, ready: impl Fn(&App) -> bool) {
        let begin = Instant::now();
        while !ready(&self.app) {
            self.frame();
            std::thread::sleep(Duration::from_millis(5));
            assert!(begin.elapsed() < Duration::from_mins(5), "{what}: not in time; {:?}", self.app.state().notices);
        }
    }

    /// Draws at the frame rate of a window and reports the times.
    fn measure(&mut self, page: &str) {
        let mut took = Vec::with_capacity(FRAMES);
        let mut unit = "CPU time";
        for _ in 0..FRAMES {
            let (before, wall) = (thread_time(), Instant::now());
            self.frame();
            if let (Some(before), Some(after)) = (before, thread_time()) {
                took.push(after.saturating_sub(before));
            } else {
                unit = "wall time (this system does not report CPU time per thread)";
                took.push(wall.elapsed());
            }
            std::thread::sleep(PACE.saturating_sub(wall.elapsed()));
        }
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e3;
        println!(
            "{page}: {FRAMES} frames, {unit}: median {:.2} ms, 99 % {:.2} ms, max {:.2} ms",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

/// CPU time of this thread so far, where the system reports it.
fn thread_time() -> Option<Duration> {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}
