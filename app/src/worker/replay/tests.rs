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

/// A cohort of the patient P with a PET of 5 slices of 3 mm, and a CT of slices of 1.5 mm that begins 3 mm lower.
fn cohort() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let patient = folder.path().join("P");
    std::fs::create_dir(&patient).unwrap();
    for (name, slices, mm, lowest) in [("pet", 5, 3.0, 0.0), ("ct", 20, 1.5, -3.0)] {
        let mut world_from_voxel = glam::DAffine3::from_scale(glam::DVec3::new(1.0, 1.0, mm));
        world_from_voxel.translation.z = lowest;
        let values = (0..16 * slices as u16).map(f32::from).collect();
        let volume = Volume::from_f32(Grid::new([4, 4, slices], world_from_voxel), values);
        write_volume(&patient.join(format!("{name}.nii.gz")), &volume).unwrap();
    }
    folder
}

fn settings(cohort: &tempfile::TempDir, modality: &str, spacing: Spacing) -> PinSettings {
    PinSettings { cohort: cohort.path().to_path_buf(), modality: Some(modality.to_owned()), spacing, run: None }
}

/// The form was changed to another spacing after a slice had been pinned, and another slice was recorded.
#[test]
fn a_slice_pinned_for_the_next_run_stays_the_same_slice_of_the_scan() {
    let cohort = cohort();
    let [native, iso, same] = [Spacing::Native, Spacing::Iso, Spacing::Millimetres([1.0; 3])]
        .map(|spacing| settings(&cohort, "pet", spacing));
    let wanted = |case: &str, slice, of: &PinSettings| WantedPin { pin: Pin::new(case, slice), of: Some(of.clone()) };
    // A scan that cannot be read keeps its number, so that the run can report it.
    let pins = [wanted("P", 3, &native), wanted("Q", 3, &native), wanted("P", 3, &iso)];
    let numbers = |to: &PinSettings| pins_in(&pins, to).into_iter().map(|pin| pin.slice).collect::<Vec<_>>();
    assert_eq!(numbers(&native), [3, 3, 1]);
    assert_eq!(numbers(&iso), [10, 3, 3]);
    assert_eq!(numbers(&same), [10, 3, 3], "1 mm along each axis is the same spacing");
}

/// Only the spacing was compared, and the number of the slice was kept on the grid of the other scan.
#[test]
fn a_slice_stays_at_its_place_in_the_patient_in_a_run_of_another_modality() {
    let cohort = cohort();
    let of = |modality: &str, spacing| settings(&cohort, modality, spacing);
    let wanted = [WantedPin { pin: Pin::new("P", 3), of: Some(of("pet", Spacing::Native)) }];
    // At z = 9 mm.
    assert_eq!(pins_in(&wanted, &of("ct", Spacing::Native)), [Pin::new("P", 8)]);
    let wanted = [WantedPin { pin: Pin::new("P", 8), of: Some(of("ct", Spacing::Native)) }];
    assert_eq!(pins_in(&wanted, &of("pet", Spacing::Iso)), [Pin::new("P", 10)]);
}

/// Both sides of a comparison had the number of the first run.
#[test]
fn a_pin_is_located_in_every_run_that_has_it() {
    let cohort = cohort();
    let (mut state, mut jobs) = (State::default(), jobs());
    let pin = Pin::new("P", 4);
    let run = |state: &mut State, jobs: &mut Jobs, path: &str, spacing| {
        let mut config = config(Stage::Pretrain);
        (config.data.cohort, config.data.modality) = (cohort.path().to_path_buf(), vec!["pet".into()]);
        config.preprocess.spacing = spacing;
        begin_live(state, jobs, Path::new(path), &config);
        settle(state, jobs);
        state.cache.timeline.pretrain.as_mut().unwrap().pins = vec![pin.clone()];
        state.cache.timeline.pretrain.take().unwrap()
    };
    let [a, b] = [("/nowhere/a", Spacing::Iso), ("/nowhere/b", Spacing::Native)]
        .map(|(path, spacing)| run(&mut state, &mut jobs, path, spacing));
    state.cache.timeline.pretrain = Some(a.clone());
    state.cache.timeline.compare = Some(Compare { runs: vec![b.clone()], epoch: None });
    for _ in 0..2 {
        // One job for each of the settings.
        locate_missing_pins(&state, &mut jobs);
        settle(&mut state, &mut jobs);
    }
    assert_eq!((state.pin_name(&pin), state.pin_name_in(&a, &pin)), ("P slice 2".into(), "P slice 2".into()));
    assert_eq!(state.pin_name_in(&b, &pin), "P slice 5");
    locate_missing_pins(&state, &mut jobs);
    assert!(jobs.idle(), "all places are known");
}

/// Nothing happened if another slice, prepared with other settings, had the same number.
#[test]
fn of_two_slices_with_the_same_number_the_last_one_is_pinned() {
    let cohort = cohort();
    let mut state = State::default();
    let of = |spacing| Some(settings(&cohort, "pet", spacing));
    let (other, pin) = (Pin::new("A", 1), Pin::new("P", 1));
    for (pin, spacing) in [(&pin, Spacing::Native), (&other, Spacing::Native), (&pin, Spacing::Iso)] {
        add_pin(&mut state, pin.clone(), of(spacing));
    }
    let wanted = [(pin.clone(), Spacing::Iso), (other, Spacing::Native)];
    let wanted = wanted.map(|(pin, spacing)| WantedPin { pin, of: of(spacing) });
    assert_eq!((state.session.timeline.wanted.as_slice(), &state.session.timeline.pin), (&wanted[..], &Some(pin)));
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
