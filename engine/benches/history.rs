//! Reading the log of a run with 100,000 steps in 800 epochs and a pinned slice.
//!
//! `cargo bench -p engine --bench history`
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use common::ms;
use engine::event::{EpochSummary, Event, EventSink, Probe, Stage};
use engine::run::log::{EventLog, read_events};
use engine::run::{History, RunFolder};

const EPOCHS: usize = 800;
const STEPS: usize = 125;
const RUNS: usize = 9;

fn events() -> Vec<Event> {
    let stage = Stage::Pretrain;
    let mut events = vec![Event::Started {
        stage,
        epochs: EPOCHS,
        steps_per_epoch: STEPS,
        slices: 36 * STEPS,
        parameters: 31_030_000,
        device: "cpu".into(),
        first_epoch: 1,
    }];
    let labels: String = (0..256).map(|patch| if patch % 9 == 0 { '1' } else { '0' }).collect();
    for epoch in 1..=EPOCHS {
        events.extend((1..=STEPS).map(|step| {
            let loss = 1.0 / (epoch * STEPS + step) as f64;
            Event::Step { stage, epoch, step, loss, learning_rate: 1e-4 }
        }));
        let (before, after, cases) = (labels.clone(), labels.clone(), String::new());
        events.push(Event::Probe(Box::new(Probe {
            stage,
            trained: true,
            epoch,
            case: "P001".into(),
            slice: 77,
            before,
            after,
            cases,
        })));
        let loss = 1.0 / epoch as f64;
        events.push(Event::Epoch(Box::new(EpochSummary { epoch, loss, ..EpochSummary::default() })));
    }
    events
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("run");
    let run = RunFolder::create(&root, "version = 1\n")?;
    let mut log = EventLog::create(&run.events_path())?;
    events().iter().try_for_each(|event| log.event(event))?;
    drop(log);
    let bytes = std::fs::metadata(run.events_path())?.len();
    println!("{} steps, {EPOCHS} epochs, {:.1} MiB", STEPS * EPOCHS, bytes as f64 / f64::from(1 << 20));
    let history = common::time(1, RUNS, || History::read(&root));
    let lines = common::time(1, RUNS, || read_events(&run.events_path()));
    let rows = [("history", history), ("every line", lines)];
    let rows: Vec<_> = rows.into_iter().map(|(name, s)| vec![name.to_owned(), ms(s.min), ms(s.median)]).collect();
    common::print_table(&["reading", "min, ms", "median, ms"], &rows);
    Ok(())
}
