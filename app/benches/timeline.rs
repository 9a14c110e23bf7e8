//! Opening and scrubbing the log of a long run: 100,000 steps over 800 epochs.
//!
//! ```sh
//! cargo bench -p app --bench timeline
//! ```
//! Times the work of the UI thread per frame, without an adapter.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and panics on errors")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use amlp_viewer::args::ModeArg;
use amlp_viewer::command::{Command, TimelineCommand};
use amlp_viewer::state::Settings;
use amlp_viewer::state::timeline::WatchView;
use amlp_viewer::{App, Args};
use engine::config::Config;
use engine::event::{CaseCounts, EpochSummary, Event, EventSink, Losses, Stage};
use engine::run::RunFolder;
use engine::run::log::EventLog;

const EPOCHS: usize = 800;
const STEPS: usize = 125;
/// Number of timed frames.
const FRAMES: usize = 400;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let run = write(folder.path());
    for view in [WatchView::Probe, WatchView::Curves] {
        scrub(&run, view);
    }
}

/// The log of a run of 800 epochs with 40 label updates.
fn write(folder: &Path) -> PathBuf {
    let root = folder.join("run");
    let mut config = Config::default();
    config.data.modality = vec!["flair".to_owned()];
    let run = RunFolder::create(&root, &config.to_toml().unwrap()).unwrap();
    let mut log = EventLog::create(&run.events_path()).unwrap();
    let stage = Stage::Pretrain;
    let device = "cpu".to_owned();
    let (slices, parameters) = (36 * STEPS, 31_030_000);
    let started =
        Event::Started { stage, epochs: EPOCHS, steps_per_epoch: STEPS, slices, parameters, device, first_epoch: 1 };
    log.event(&started).unwrap();
    for epoch in 1..=EPOCHS {
        let value = 1.0 / epoch as f64;
        for step in 1..=STEPS {
            log.event(&Event::Step { stage, epoch, step, loss: value, learning_rate: 1e-4 }).unwrap();
        }
        if epoch % 20 == 0 {
            let cases = CaseCounts { kept_foreground: 900, kept_background: 5000, ..CaseCounts::default() };
            let (flips, differs_from_kmeans) = (EPOCHS as u64 - epoch as u64, 100);
            let agreement = 0.8;
            let update = Event::Relabel { epoch, cases, flips, differs_from_kmeans, agreement, lesion_recall: None };
            log.event(&update).unwrap();
        }
        let parts: Losses = [("pred", value), ("rrl", value / 2.0), ("lcl", value / 3.0)].into_iter().collect();
        let (sigma, agreement) = (Some(0.25 + 0.0008 * epoch as f64), Some(0.8));
        let summary = EpochSummary {
            epoch,
            loss: value,
            learning_rate: 1e-4,
            parts: Some(parts.clone()),
            gradient_norm: Some(parts),
            sigma,
            agreement,
            entropy: Some([Some(0.9), Some(0.8), Some(0.7)]),
            ..EpochSummary::default()
        };
        log.event(&Event::Epoch(Box::new(summary))).unwrap();
    }
    log.event(&Event::Finished { stage, epochs: EPOCHS }).unwrap();
    drop(log);
    let bytes = std::fs::metadata(run.events_path()).unwrap().len();
    println!("{} steps, {EPOCHS} epochs, {:.1} MiB", STEPS * EPOCHS, bytes as f64 / f64::from(1 << 20));
    root
}

/// Opens the run and drags the cursor over all of it.
fn scrub(run: &Path, view: WatchView) {
    let ctx = egui::Context::default();
    let args = Args { run: Some(run.to_path_buf()), mode: ModeArg::Train, ..Args::default() };
    let begin = Instant::now();
    let mut app = App::new(&ctx, None, &args, Settings::default());
    let frame = |app: &mut App| {
        let size = egui::vec2(1280.0, 800.0);
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, size)),
            time: Some(begin.elapsed().as_secs_f64()),
            ..egui::RawInput::default()
        };
        let before = Instant::now();
        let mut output = ctx.run_ui(input, |ui| {
            app.logic(ui.ctx());
            app.ui(ui);
        });
        std::hint::black_box(ctx.tessellate(std::mem::take(&mut output.shapes), output.pixels_per_point));
        output.textures_delta.clear();
        before.elapsed()
    };
    while app.state().watched_run().is_none() {
        frame(&mut app);
        std::thread::sleep(Duration::from_millis(1));
        assert!(!app.state().shows_error(), "{:?}", app.state().notices);
    }
    let opened = begin.elapsed();
    app.dispatch(Command::Timeline(TimelineCommand::Show(view)));
    let scrub = Instant::now();
    let mut times = Vec::new();
    for n in 1..=FRAMES {
        let epoch = n * EPOCHS / FRAMES;
        app.dispatch(Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch }));
        times.push(frame(&mut app));
    }
    let all = scrub.elapsed();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{}: opened in {:.0} ms; {FRAMES} scrubbed frames in {:.0} ms, median {:.2} ms, 99 % {:.2} ms, longest {:.2} ms",
        view.name(),
        ms(opened),
        ms(all),
        ms(times[FRAMES / 2]),
        ms(times[FRAMES * 99 / 100]),
        ms(times[FRAMES - 1])
    );
}
