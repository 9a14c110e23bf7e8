//! A training job followed live, compared with its replay.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use amlp_viewer::Args;
use amlp_viewer::command::{Command, TimelineCommand, WindowCommand};
use amlp_viewer::state::Mode;
use amlp_viewer::state::report::RunReport;
use amlp_viewer::state::timeline::LivePins;
use amlp_viewer::worker::replay;
use engine::config::Config;
use engine::event::{Event, Stage};
use engine::probe::{Pin, Pins};
use serde_json::Value;

use crate::small_cohort;
use crate::window::*;

/// An offscreen window in Train mode.
fn window() -> Window {
    let mut window = open(&Args::default());
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    window
}

/// Trains without a window and returns every event sent to a listener.
fn trained(config: &Config, out: &Path) -> Vec<Event> {
    match config.stage {
        Stage::Pretrain => small_cohort::pretrain(config, out, false, usize::MAX).unwrap(),
        Stage::Finetune => small_cohort::finetune(config, out, false, usize::MAX).unwrap(),
    }
}

/// The shown state of the run, without progress.
fn shown(window: &Window) -> Value {
    let run: RunReport = report(window).run.unwrap();
    let mut value = serde_json::to_value(run).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("epochs_done");
    fields.remove("finished");
    value
}

/// Follows a job event by event; returns what was shown after each epoch.
fn followed(window: &mut Window, run: &Path, config: &Config, events: &[Event]) -> Vec<Value> {
    let (state, jobs) = window.state_mut().parts();
    replay::begin_live(state, jobs, run, config);
    let mut seen = Vec::new();
    for event in events {
        let (state, jobs) = window.state_mut().parts();
        replay::live_events(state, jobs, run, std::slice::from_ref(event));
        if matches!(event, Event::Epoch(_)) {
            settle(window);
            seen.push(shown(window));
        }
    }
    let (state, _) = window.state_mut().parts();
    replay::end_live(state, run);
    settle(window);
    seen
}

/// A tiny pre-training with two pinned slices.
fn small(folder: &Path) -> (Config, PathBuf) {
    let mut config = small_cohort::pretrain_config(&small_cohort::cohort(folder, 8));
    config.method.grid = 4;
    config.training.epochs = 4;
    config.method.probes = vec!["P01:3".into(), "P04:2".into()];
    (config, folder.join("run"))
}

#[test]
fn the_replay_of_a_run_shows_the_same_as_live() {
    let temp = tempfile::tempdir().unwrap();
    let (config, out) = small(temp.path());
    let mut fine = small_cohort::finetune_config(&config.data.cohort, Some(&out));
    fine.method.probes.clone_from(&config.method.probes);
    fine.labels.validate_every = 1;
    let fine_out = temp.path().join("fine");
    for (config, out) in [(config, out), (fine, fine_out)] {
        let events = trained(&config, &out);
        let mut live = window();
        let seen = followed(&mut live, &out, &config, &events);
        assert_eq!(seen.len(), config.training.epochs);
        assert!(seen.iter().all(|epoch| epoch["probe"].is_object() && epoch["summary"].is_object()));

        let mut again = window();
        send(&mut again, Command::Timeline(TimelineCommand::Open(out.clone())));
        for (n, expected) in seen.iter().enumerate() {
            let stage = config.stage;
            send(&mut again, Command::Timeline(TimelineCommand::SetEpoch { stage, epoch: n + 1 }));
            assert_eq!(shown(&again), *expected, "epoch {}", n + 1);
        }
        let of = |window: &Window| state(window).watched_run().unwrap().history.clone();
        assert_eq!(of(&live).view(), of(&again).view());
        assert!(errors(&again).is_empty(), "{:?}", errors(&again));
    }
}

#[test]
fn fine_tuning_shows_its_pre_training_run_too() {
    let temp = tempfile::tempdir().unwrap();
    let (config, out) = small(temp.path());
    trained(&config, &out);
    let fine = small_cohort::finetune_config(&config.data.cohort, Some(&out));
    let mut window = window();
    let (state_, jobs) = window.state_mut().parts();
    replay::begin_live(state_, jobs, &temp.path().join("fine"), &fine);
    settle(&mut window);
    let timeline = &state(&window).cache.timeline;
    assert_eq!(state(&window).session.timeline.active, Stage::Finetune);
    assert_eq!(timeline.pretrain.as_ref().map(|run| (run.path.clone(), run.last())), Some((out, 4)));
}

#[test]
fn different_seeds_draw_different_labels() {
    let temp = tempfile::tempdir().unwrap();
    let (config, _) = small(temp.path());
    let coins = [1, 2].map(|seed| {
        let out = temp.path().join(format!("seed{seed}"));
        let config = Config { seed, ..config.clone() };
        let events = trained(&config, &out);
        let mut window = window();
        let seen = followed(&mut window, &out, &config, &events);
        seen.iter().map(|epoch| epoch["probe"]["coins"].clone()).collect::<Vec<_>>()
    });
    let thrown = |coins: &[Value]| coins.iter().flat_map(|c| c.as_array().unwrap()).filter(|c| !c.is_null()).count();
    assert!(thrown(&coins[0]) > 0, "{:?}", coins[0]);
    assert_ne!(coins[0], coins[1]);
}

#[test]
fn the_shown_slice_is_pinned_while_a_job_runs() {
    let temp = tempfile::tempdir().unwrap();
    let (config, out) = small(temp.path());
    let scan = config.data.cohort.join("P02/pet.nii.gz");
    let mut window = open_files(&[&scan]);
    send(&mut window, WindowCommand::SetMode(Mode::Train));
    let pins = Arc::new(Pins::new(Vec::new()));
    let (state_, jobs) = window.state_mut().parts();
    replay::begin_live(state_, jobs, &out, &config);
    replay::share_pins(state_, LivePins { run: out, pins: Arc::clone(&pins) });
    settle(&mut window);
    let slice = report(&window).panes[0].slice.unwrap() - 1;
    click(&mut window, "Pin this slice");
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    let pin = Pin::new("P02", slice as u32);
    assert_eq!(pins.list(), std::slice::from_ref(&pin));
    assert_eq!(state(&window).session.timeline.pin.as_ref(), Some(&pin));
    click(&mut window, &format!("Unpin P02 slice {}", slice + 1));
    assert!(pins.list().is_empty());
}
