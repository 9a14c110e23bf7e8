//! Tests of the event log.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::event::{CaseCounts, EpochSummary, Losses, Stage};

fn step(epoch: usize, step: usize) -> Event {
    let loss = 1.0 / (epoch * 10 + step) as f64;
    Event::Step { stage: Stage::Pretrain, epoch, step, loss, learning_rate: 1e-4 }
}

fn one_of_each() -> Vec<Event> {
    vec![
        Event::Started {
            stage: Stage::Finetune,
            epochs: 3,
            steps_per_epoch: 2,
            slices: 9,
            parameters: 100,
            device: "cpu".into(),
            first_epoch: 1,
        },
        step(1, 1),
        Event::Relabel {
            epoch: 1,
            cases: CaseCounts { kept_foreground: 1, ..CaseCounts::default() },
            flips: 2,
            differs_from_kmeans: 3,
            agreement: 0.25,
            lesion_recall: None,
        },
        Event::Validation { epoch: 1, dice: 0.1 + 0.2, best: true },
        Event::Epoch(Box::new(EpochSummary {
            epoch: 1,
            parts: Some([("pred", 0.1), ("rrl", -2.5e-300), ("lcl", 1.0)].into_iter().collect()),
            entropy: Some([Some(0.5), None, Some(1.0)]),
            ..EpochSummary::default()
        })),
        Event::Checkpoint { epoch: 1, step: 2 },
        Event::Warning { message: "a \"quoted\"\nline, µ".into() },
        Event::Finished { stage: Stage::Finetune, epochs: 3 },
        Event::Failed { message: String::new() },
    ]
}

fn write(log: &mut EventLog, events: &[Event]) {
    for event in events {
        log.event(event).unwrap();
    }
}

fn without_times(path: &Path) -> Vec<(u64, Event)> {
    read_events(path).unwrap().into_iter().map(|(meta, event)| (meta.seq, event)).collect()
}

#[test]
fn every_event_reads_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    write(&mut log, &one_of_each());
    drop(log);
    let read = read_events(&path).unwrap();
    assert!(read.iter().map(|(meta, _)| meta.seq).eq(1..=one_of_each().len() as u64));
    assert!(read.iter().all(|(meta, _)| meta.t > 1_700_000_000_000));
    assert!(read.into_iter().map(|(_, event)| event).eq(one_of_each()));
}

#[test]
fn numbers_that_are_not_finite_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let parts: Losses = ["pred", "rrl", "lcl"].map(|name| (name, value)).into_iter().collect();
        let events = [
            Event::Estimate { steps: 1, seconds_per_step: value, seconds: value, memory_mib: 1 },
            Event::Step { stage: Stage::Pretrain, epoch: 1, step: 1, loss: value, learning_rate: value },
            Event::Relabel {
                epoch: 1,
                cases: CaseCounts::default(),
                flips: 0,
                differs_from_kmeans: 0,
                agreement: value,
                lesion_recall: Some(0.5),
            },
            Event::Validation { epoch: 1, dice: value, best: false },
            Event::Epoch(Box::new(EpochSummary {
                epoch: 1,
                loss: value,
                learning_rate: value,
                parts: Some(parts.clone()),
                literal: Some(parts.clone()),
                gradient_norm: Some(parts),
                ..EpochSummary::default()
            })),
        ];
        write(&mut EventLog::create(&path).unwrap(), &events);
        // NaN does not equal itself, so fields are compared as text.
        let read: Vec<Event> = read_events(&path).unwrap().into_iter().map(|(_, event)| event).collect();
        assert_eq!(format!("{read:?}"), format!("{events:?}"));
    }
}

#[test]
fn a_null_of_an_earlier_version_is_nan_and_other_words_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let line = |dice: &str| {
        let text =
            format!("{{\"seq\":1,\"t\":1,\"event\":\"validation\",\"epoch\":1,\"dice\":{dice},\"best\":true}}\n");
        fs::write(&path, text.repeat(2)).unwrap();
        read_events(&path)
    };
    let dice = |text: &str| match &line(text).unwrap()[0].1 {
        Event::Validation { dice, .. } => *dice,
        other => panic!("{other:?}"),
    };
    assert!(dice("null").is_nan());
    assert_eq!((dice("1"), dice("-2"), dice("0.25")), (1.0, -2.0, 0.25));
    let text = line("\"many\"").unwrap_err().to_string();
    assert!(text.contains("line 1") && text.contains("many"), "{text}");
}

#[test]
fn milestones_are_on_the_disk_at_once_and_steps_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    write(&mut log, &[step(1, 1), Event::Checkpoint { epoch: 1, step: 1 }]);
    assert_eq!(read_events(&path).unwrap().len(), 2);
    write(&mut log, &[step(2, 1)]);
    drop(log);
    assert_eq!(read_events(&path).unwrap().len(), 3);
}

#[test]
fn a_resumed_log_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let events: Vec<_> = (1..=4).flat_map(|epoch| (1..=5).map(move |s| step(epoch, s))).collect();
    write(&mut EventLog::create(&whole).unwrap(), &events);

    let mut log = EventLog::create(&broken).unwrap();
    write(&mut log, &events[..10]);
    let position = log.position().unwrap();
    assert_eq!(log.len(), 10);
    write(&mut log, &events[10..13]);
    drop(log);
    fs::OpenOptions::new().append(true).open(&broken).unwrap().write_all(b"{\"seq\":14,\"t\":1,\"ev").unwrap();
    assert_eq!(read_events(&broken).unwrap().len(), 13, "the torn line is ignored");

    let (mut log, warning) = EventLog::resume(&broken, position).unwrap();
    assert_eq!(warning, None);
    assert_eq!(log.len(), 10);
    assert_eq!(fs::metadata(&broken).unwrap().len(), position, "events after the checkpoint are dropped at once");
    write(&mut log, &events[10..]);
    drop(log);
    assert_eq!(without_times(&whole), without_times(&broken));
}

#[test]
fn a_truncated_or_removed_log_is_continued_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    write(&mut log, &[step(1, 1), step(1, 2)]);
    let position = log.position().unwrap();
    drop(log);
    fs::File::options().write(true).open(&path).unwrap().set_len(position - 3).unwrap();
    let (mut log, warning) = EventLog::resume(&path, position).unwrap();
    assert!(warning.unwrap().contains("events are missing"));
    write(&mut log, &[step(1, 2)]);
    drop(log);
    assert_eq!(without_times(&path), [(1, step(1, 1)), (2, step(1, 2))]);

    fs::remove_file(&path).unwrap();
    let (log, warning) = EventLog::resume(&path, position).unwrap();
    assert!(warning.is_some() && log.is_empty());
    assert_eq!(EventLog::resume(&path, 0).unwrap().1, None);
}

#[test]
fn a_damaged_line_is_named_and_the_rest_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    write(&mut EventLog::create(&path).unwrap(), &[step(1, 1), step(1, 2), step(1, 3)]);
    let text = fs::read_to_string(&path).unwrap().replacen("\"seq\":2", "\"seq\":x", 1);
    fs::write(&path, text).unwrap();
    let read: Vec<_> = Events::open(&path).unwrap().collect();
    assert_eq!(read.len(), 3);
    let text = read[1].as_ref().unwrap_err().to_string();
    assert!(text.contains("events.jsonl: line 2: "), "{text}");
    assert!(read_events(&path).is_err());
}

#[test]
fn a_line_without_an_end_is_not_read_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::File::create(&path).unwrap().set_len(MAX_LINE_BYTES * 4).unwrap();
    let read: Vec<_> = Events::open(&path).unwrap().collect();
    assert!(read.len() == 1 && read[0].is_err());
    assert!(read_events(folder.path()).is_err(), "a folder is not a log");
}

#[test]
fn a_log_of_a_hundred_thousand_lines_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut log = EventLog::create(&path).unwrap();
    (0..100_000).for_each(|i| log.event(&step(i / 100 + 1, i % 100 + 1)).unwrap());
    drop(log);
    let mut read = Events::open(&path).unwrap();
    assert!((0..100_000).all(|i| read.next().unwrap().unwrap().1 == step(i / 100 + 1, i % 100 + 1)));
    assert!(read.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Wherever the file is truncated, the events before can be read, and resuming continues after them.
    #[test]
    fn a_log_cut_anywhere_keeps_its_whole_lines(share in 0.0..1.0_f64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        write(&mut EventLog::create(&path).unwrap(), &one_of_each());
        let bytes = fs::read(&path).unwrap();
        let cut = (share * bytes.len() as f64) as usize;
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
        // A line that lacks only its line end is complete.
        let complete = whole + usize::from(bytes.get(cut) == Some(&b'\n'));
        prop_assert_eq!(read_events(&path).unwrap().len(), complete);
        let (log, _) = EventLog::resume(&path, cut as u64).unwrap();
        prop_assert_eq!(log.len(), whole as u64);
    }
}
