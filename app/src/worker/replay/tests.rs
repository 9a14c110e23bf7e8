use std::path::Path;
use std::time::{Duration, Instant};

use engine::config::Config;
use engine::event::{EpochSummary, Event, Probe};
use engine::preprocess::Spacing;
use engine::probe::{Pin, Pins};
use engine::volume::nifti::write_volume;
use engine::volume::{Grid, Volume};

use super::*;
use crate::state::timeline::{Compare, LivePins, PinSettings, RecordKey, SliceKey, WantedPin};
use crate::worker::deliver;

fn jobs() -> Jobs {
    Jobs::new(None, Arc::new(|| ()))
}

fn settle(state: &mut State, jobs: &mut Jobs) {
    let begin = Instant::now();
    loop {
        deliver(state, jobs);
        if jobs.idle() {
            return;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "the jobs do not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn config(stage: Stage) -> Config {
    Config { stage, ..Config::default() }
}

fn epoch_event(epoch: usize) -> Event {
    Event::Epoch(Box::new(EpochSummary { epoch, loss: 1.0, ..EpochSummary::default() }))
}

#[test]
fn events_that_arrive_before_the_history_is_read_are_appended_to_it() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    begin_live(&mut state, &mut jobs, path, &config(Stage::Pretrain));
    live_events(&mut state, &mut jobs, path, &[epoch_event(1), epoch_event(2)]);
    assert_eq!(state.watched_run().unwrap().last(), 0, "its past comes first");
    settle(&mut state, &mut jobs);
    live_events(&mut state, &mut jobs, path, &[epoch_event(3)]);
    let run = state.watched_run().unwrap();
    assert_eq!((run.last(), run.epoch(), run.live), (3, Some(3), true));
    end_live(&mut state, path);
    assert!(!state.watched_run().unwrap().live && !state.shows_error());
}

#[test]
fn a_cursor_set_by_the_user_stays_while_the_run_continues() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    begin_live(&mut state, &mut jobs, path, &config(Stage::Finetune));
    settle(&mut state, &mut jobs);
    live_events(&mut state, &mut jobs, path, &[epoch_event(1), epoch_event(2), epoch_event(3)]);
    step(&mut state, -1);
    live_events(&mut state, &mut jobs, path, &[epoch_event(4)]);
    assert_eq!(state.watched_run().unwrap().epoch(), Some(2));
    step(&mut state, i64::MAX);
    live_events(&mut state, &mut jobs, path, &[epoch_event(5)]);
    assert_eq!(state.watched_run().unwrap().epoch(), Some(5), "at the end it follows again");
}

#[test]
fn a_new_run_is_not_compared_with_the_run_that_was_beside_the_last_one() {
    let (mut state, mut jobs) = (State::default(), jobs());
    begin_live(&mut state, &mut jobs, Path::new("/nowhere/first"), &config(Stage::Pretrain));
    let beside = state.cache.timeline.pretrain.take().unwrap();
    state.cache.timeline.compare = Some(Compare { runs: vec![beside], epoch: None });
    begin_live(&mut state, &mut jobs, Path::new("/nowhere/second"), &config(Stage::Pretrain));
    assert!(state.cache.timeline.compare.is_none() && state.overlaid_runs().is_empty());
}

#[test]
fn results_for_a_run_that_is_closed_are_dropped() {
    let (mut state, mut jobs) = (State::default(), jobs());
    begin_live(&mut state, &mut jobs, Path::new("/nowhere/run"), &config(Stage::Pretrain));
    settle(&mut state, &mut jobs);
    let run = state.watched_run().unwrap().id;
    let slice = SliceKey { run, stage: Stage::Pretrain, pin: Pin::new("P", 1) };
    let key = RecordKey { slice: slice.clone(), epoch: 1 };
    probe::keep_epoch(&mut state, key.clone(), Err("late".into()));
    assert!(state.cache.timeline.probes.knows(&key));
    close(&mut state, Stage::Pretrain);
    probe::keep_epoch(&mut state, key.clone(), Err("late".into()));
    probe::keep_slice(&mut state, slice.clone(), Err("late".into()));
    assert!(!state.cache.timeline.probes.knows(&key) && state.cache.timeline.probes.slice(&slice).is_none());
}

#[test]
fn the_run_that_was_requested_last_is_shown() {
    let (mut state, mut jobs) = (State::default(), jobs());
    open(&mut state, &mut jobs, Path::new("/nowhere/a"), None);
    open(&mut state, &mut jobs, Path::new("/nowhere/b"), None);
    settle(&mut state, &mut jobs);
    assert_eq!(state.notices.len(), 1, "the first is stale: {:?}", state.notices);
    let (path, why) = state.cache.timeline.failed.clone().unwrap();
    assert_eq!(path, Path::new("/nowhere/b"));
    assert!(why.contains("/nowhere/b") && why.contains("no such folder"), "{why}");
}

#[test]
fn an_unreadable_record_is_reported_and_not_read_again() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    begin_live(&mut state, &mut jobs, path, &config(Stage::Pretrain));
    settle(&mut state, &mut jobs);
    let probe = Event::Probe(Box::new(Probe { epoch: 1, case: "P".into(), slice: 1, ..Probe::default() }));
    live_events(&mut state, &mut jobs, path, &[probe, epoch_event(1)]);
    settle(&mut state, &mut jobs);
    let run = state.watched_run().unwrap();
    let key = state.record_key(run, 1).unwrap();
    let why = state.cache.timeline.probes.record(&key).unwrap().as_ref().unwrap_err();
    assert!(why.contains("/nowhere/run"), "{why}");
    read_missing_probes(&mut state, &mut jobs);
    assert!(jobs.idle());
}

#[test]
fn pins_go_to_the_current_run_or_the_next_one() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    let (a, b) = (Pin::new("A", 1), Pin::new("B", 2));
    add_pin(&mut state, a.clone(), None);
    assert!(state.session.timeline.wants(&a));
    begin_live(&mut state, &mut jobs, path, &config(Stage::Pretrain));
    let pins = Arc::new(Pins::new(Vec::new()));
    share_pins(&mut state, LivePins { run: path.to_path_buf(), pins: Arc::clone(&pins) });
    add_pin(&mut state, b.clone(), None);
    assert_eq!(pins.list(), std::slice::from_ref(&b));
    assert_eq!(state.watched_run().unwrap().pins, std::slice::from_ref(&b));
    remove_pin(&mut state, &b);
    assert!(pins.list().is_empty() && state.watched_run().unwrap().pins.is_empty());
    end_live(&mut state, path);
    assert!(state.training.pins.is_none());
}

/// The form was changed to another spacing after a slice had been pinned, and another slice was recorded.
#[test]
fn a_slice_pinned_for_the_next_run_stays_the_same_slice_of_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("P");
    std::fs::create_dir(&patient).unwrap();
    let grid = Grid::new([4, 4, 5], glam::DAffine3::from_scale(glam::DVec3::new(1.0, 1.0, 3.0)));
    let volume = Volume::from_f32(grid, (0_u8..80).map(f32::from).collect());
    write_volume(&patient.join("pet.nii.gz"), &volume).unwrap();
    let (cohort, modality) = (folder.path().to_path_buf(), Some("pet".to_owned()));
    let settings = |spacing| PinSettings { cohort: cohort.clone(), modality: modality.clone(), spacing, run: None };
    let wanted = WantedPin { pin: Pin::new("P", 3), of: Some(settings(Spacing::Native)) };
    assert_eq!(pin_in(&wanted, &settings(Spacing::Native)), wanted.pin);
    assert_eq!(pin_in(&wanted, &settings(Spacing::Iso)), Pin::new("P", 10));
    // A scan that cannot be read keeps its number, so that the run can report it.
    let absent = WantedPin { pin: Pin::new("Q", 3), ..wanted };
    assert_eq!(pin_in(&absent, &settings(Spacing::Iso)), absent.pin);
}

#[test]
fn pins_stay_listed_until_training_has_started() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    let a = Pin::new("A", 1);
    add_pin(&mut state, a.clone(), None);
    begin_live(&mut state, &mut jobs, path, &config(Stage::Pretrain));
    assert_eq!((state.pins(), state.session.timeline.wanted.len()), (vec![a.clone()], 1));
    share_pins(&mut state, LivePins { run: path.to_path_buf(), pins: Arc::new(Pins::new(vec![a.clone()])) });
    assert_eq!((state.pins(), state.session.timeline.wanted.len()), (vec![a], 0));
}

#[test]
fn playback_steps_through_the_epochs_and_stops_at_the_end() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let path = Path::new("/nowhere/run");
    begin_live(&mut state, &mut jobs, path, &config(Stage::Finetune));
    settle(&mut state, &mut jobs);
    live_events(&mut state, &mut jobs, path, &[epoch_event(1), epoch_event(2), epoch_event(3)]);
    end_live(&mut state, path);
    toggle(&mut state);
    let epoch = |state: &State| state.watched_run().unwrap().epoch();
    assert_eq!(epoch(&state), Some(1), "at the end, playback starts over");
    let each = period(&state);
    advance(&mut state, &mut jobs, 10.0);
    assert_eq!(epoch(&state), Some(1));
    advance(&mut state, &mut jobs, 10.0 + each);
    assert_eq!(epoch(&state), Some(2));
    advance(&mut state, &mut jobs, 10.0 + 1.5 * each);
    assert_eq!(epoch(&state), Some(2), "not before it is due");
    advance(&mut state, &mut jobs, 60.0);
    advance(&mut state, &mut jobs, 60.1);
    assert_eq!((epoch(&state), state.session.timeline.playing), (Some(3), None));
}
