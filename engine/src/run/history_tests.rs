//! Tests of the history of a run.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{EventSink, Probe};
use crate::run::checkpoint::CheckpointData;
use crate::run::log::EventLog;

fn started(first_epoch: usize) -> Event {
    Event::Started {
        stage: Stage::Pretrain,
        epochs: 9,
        steps_per_epoch: 2,
        slices: 7,
        parameters: 100,
        device: format!("device {first_epoch}"),
        first_epoch,
    }
}

fn step(epoch: usize, step: usize) -> Event {
    let loss = 1.0 / (epoch * 10 + step) as f64;
    Event::Step { stage: Stage::Pretrain, epoch, step, loss, learning_rate: 1e-3 }
}

/// An epoch of two steps with a label update, a probe and a validation.
fn epoch(epoch: usize) -> Vec<Event> {
    vec![
        step(epoch, 1),
        step(epoch, 2),
        Event::Relabel {
            epoch,
            cases: CaseCounts { kept_foreground: epoch as u64, ..CaseCounts::default() },
            flips: 3,
            differs_from_kmeans: 4,
            agreement: 0.5,
            lesion_recall: None,
        },
        Event::Probe(Box::new(Probe { epoch, case: "P".into(), slice: 3, ..Probe::default() })),
        Event::Validation { epoch, dice: 0.5, best: false },
        Event::Epoch(Box::new(EpochSummary { epoch, loss: 1.0 / epoch as f64, ..EpochSummary::default() })),
        Event::Checkpoint { epoch, step: 0 },
    ]
}

fn history(events: &[Event]) -> History {
    let mut history = History::default();
    events.iter().enumerate().for_each(|(index, event)| history.push(Some(1000 * index as u64), event));
    history
}

#[test]
fn rows_are_sorted_by_epoch() {
    let estimate = Event::Estimate { steps: 18, seconds_per_step: 0.5, seconds: 9.0, memory_mib: 4 };
    let mut events = vec![estimate, Event::Warning { message: "look".into() }, started(1)];
    (1..=3).for_each(|n| events.extend(epoch(n)));
    let running = history(&events);
    assert_eq!((running.stage, running.epochs, running.slices), (Some(Stage::Pretrain), 9, 7));
    assert_eq!(running.summaries.iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(running.seconds, [8.0, 15.0, 22.0]);
    assert_eq!(running.probes[&Pin::new("P", 3)], [1, 2, 3]);
    assert_eq!(running.validations[1], (2, 0.5, false));
    assert_eq!((running.relabel(2).unwrap().cases.kept_foreground, running.relabel(4)), (2, None));
    assert_eq!((running.summary(3).unwrap().epoch, running.summary(0)), (3, None));
    assert_eq!(running.last_step.map(|row| (row.epoch, row.step)), Some((3, 2)));
    assert_eq!((running.checkpoint, running.epochs_done(), &running.state), (Some((3, 0)), 3, &RunState::Running));
    assert_eq!((running.estimate.unwrap().steps, running.warnings.len()), (18, 1));
}

#[test]
fn a_repeated_epoch_replaces_itself_and_all_later_ones() {
    let mut events = vec![started(1)];
    [1, 2, 3, 2].into_iter().for_each(|n| events.extend(epoch(n)));
    let history = history(&events);
    assert_eq!(history.summaries.iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(history.relabels.iter().map(|row| row.epoch).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(history.validations.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((&history.probes[&Pin::new("P", 3)], history.seconds.len()), (&vec![1, 2], 2));
}

#[test]
fn states_follow_the_events() {
    let state = |last: Event| history(&[started(1), step(1, 1), last]).state;
    assert_eq!(state(Event::Checkpoint { epoch: 1, step: 1 }), RunState::Paused);
    assert_eq!(state(step(1, 2)), RunState::Running);
    assert_eq!(state(Event::Finished { stage: Stage::Pretrain, epochs: 9 }), RunState::Finished);
    assert_eq!(state(Event::Failed { message: "cancelled".into() }), RunState::Idle);
    assert_eq!(state(Event::Failed { message: "disk".into() }), RunState::Failed("disk".into()));
}

#[test]
fn a_stopped_run_has_its_checkpoint_within_an_epoch() {
    let (_keep, root) = run_with(&[started(1), step(1, 1)]);
    let saved = CheckpointData { epoch: 0, step: 14, parts: vec![("state.json".into(), b"{}".to_vec())] };
    checkpoint::save(&RunFolder::resume(&root).unwrap(), checkpoint::Slot::Last, &saved).unwrap();
    assert_eq!(History::read(&root).unwrap().checkpoint, Some((0, 14)));
}

#[test]
fn a_checkpoint_counts_completed_epochs_and_the_steps_after_them() {
    let saved = |epoch, step| history(&[started(1), Event::Checkpoint { epoch, step }]).checkpoint;
    assert_eq!([saved(1, 14), saved(3, 2), saved(3, 0)], [Some((0, 14)), Some((2, 2)), Some((3, 0))]);
}

/// A run interrupted two epochs after its checkpoint repeats them; their rows are dropped first.
#[test]
fn a_resumed_run_has_the_history_of_an_uninterrupted_one() {
    let mut whole = vec![started(1)];
    (1..=5).for_each(|n| whole.extend(epoch(n)));
    let mut cut = vec![started(1)];
    (1..=4).for_each(|n| cut.extend(epoch(n)));
    cut.extend([step(5, 1), started(3)]);
    let resumed = history(&cut);
    assert_eq!((resumed.epochs_done(), resumed.seconds.len()), (2, 2));
    assert_eq!(resumed.probes[&Pin::new("P", 3)], [1, 2]);
    (3..=5).for_each(|n| cut.extend(epoch(n)));
    assert_eq!(history(&cut).view(), history(&whole).view());
    assert_eq!(history(&cut).device, "device 3");
    assert!(history(&cut[..cut.len() - 1]).view() == history(&whole).view(), "checkpoints are not part of the view");
    assert_ne!(history(&cut[..cut.len() - 2]).view(), history(&whole).view());
}

fn run_with(events: &[Event]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let run = RunFolder::create(&root, "version = 1\n").unwrap();
    let mut log = EventLog::create(&run.events_path()).unwrap();
    events.iter().for_each(|event| log.event(event).unwrap());
    (folder, root)
}

#[test]
fn a_log_has_the_history_of_its_events() {
    let mut events = vec![started(1)];
    (1..=4).for_each(|n| events.extend(epoch(n)));
    events.push(step(5, 1));
    let live = history(&events);
    let (_keep, root) = run_with(&events);
    let read = History::read(&root).unwrap();
    assert_eq!(read.view(), live.view());
    assert_eq!((read.checkpoint, &read.state), (live.checkpoint, &RunState::Idle));
    assert!(read.seconds.iter().all(|seconds| *seconds > 1.7e9));

    events.push(Event::Finished { stage: Stage::Pretrain, epochs: 9 });
    let (_keep, root) = run_with(&events);
    assert_eq!(History::read(&root).unwrap().state, RunState::Finished);
}

#[test]
fn an_unfinished_log_is_read_and_a_damaged_one_refused() {
    let (_keep, root) = run_with(&[started(1), step(1, 1), step(1, 2)]);
    let path = root.join("events.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    // The last line is incomplete.
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(History::read(&root).unwrap().last_step.map(|row| row.step), Some(1));
    let third = whole.lines().nth(2).unwrap();
    for bad in ["nonsense", "{\"seq\":2,\"t\":1,\"event\":\"step\",}"] {
        std::fs::write(&path, format!("{bad}\n{}", whole.lines().next().unwrap())).unwrap();
        let error = History::read(&root).unwrap_err().to_string();
        assert!(error.contains("events.jsonl: line 1"), "{error}");
    }
    std::fs::write(&path, format!("{third}\n{third}\nnonsense\n{third}\n")).unwrap();
    let error = History::read(&root).unwrap_err().to_string();
    assert!(error.contains("line 3"), "{error}");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(History::read(&root).unwrap(), History::default());
}

#[test]
fn a_log_of_a_hundred_thousand_steps_is_read() {
    let mut events = vec![started(1)];
    for n in 1..=50 {
        events.extend((1..=2000).map(|index| step(n, index)));
        events.extend(epoch(n).into_iter().skip(2));
    }
    let (_keep, root) = run_with(&events);
    assert_eq!(History::read(&root).unwrap().view(), history(&events).view());
}
