//! Follows the pins during a run: stores changes, writes slices and records, and warns.

use std::collections::BTreeSet;

use super::files::{epoch_of, record_name, slice_name};
use super::record::{ProbeRecord, ProbeSlice};
use super::{Pin, Pins};
use crate::event::{Event, Probe, Stage};
use crate::run::{RunFolder, probes};
use crate::{Error, Result};

/// The pins of a run and their files. A failure here becomes a warning and never ends the run.
pub(crate) struct Recorder<'a> {
    run: &'a RunFolder,
    pins: &'a Pins,
    stage: Stage,
    seen: Option<u64>,
    refused: BTreeSet<Pin>,
    events: Vec<Event>,
}

impl<'a> Recorder<'a> {
    pub fn new(run: &'a RunFolder, pins: &'a Pins, stage: Stage) -> Self {
        Self { run, pins, stage, seen: None, refused: BTreeSet::new(), events: Vec::new() }
    }

    /// Removes the records of `epoch` and later. No checkpoint covers these epochs, so they will be repeated.
    pub fn forget_from(&self, epoch: usize) -> Result<()> {
        probes::remove(self.run, |name| epoch_of(self.stage, name).is_some_and(|recorded| recorded >= epoch))
    }

    /// The pins, if they changed since the last call; stores them. A refused pin is left out until it is removed and pinned
    /// again.
    pub fn changed(&mut self) -> Option<Vec<Pin>> {
        let changes = self.pins.changes();
        if self.seen == Some(changes) {
            return None;
        }
        let pins = self.pins.list();
        // A run without pins gets no folder for them.
        if (self.seen.is_some() || !pins.is_empty())
            && let Err(error) = probes::write_pins(self.run, &pins)
        {
            self.warn(&error.to_string());
        }
        self.seen = Some(changes);
        self.refused.retain(|pin| pins.contains(pin));
        Some(pins.into_iter().filter(|pin| !self.refused.contains(pin)).collect())
    }

    /// Warns once that a slice cannot be recorded.
    pub fn refuse(&mut self, pin: &Pin, why: &Error) {
        self.warn(&format!("a pinned slice of {} is not recorded: {why}", pin.case));
        self.refused.insert(pin.clone());
    }

    /// Writes a slice's file.
    pub fn slice(&mut self, slice: &ProbeSlice) {
        let name = slice_name(self.stage);
        let written = slice.to_bytes().and_then(|bytes| probes::write(self.run, &slice.pin.folder(), &name, &bytes));
        if let Err(error) = written {
            self.warn(&error.to_string());
        }
    }

    /// Writes an epoch's file, then queues its event.
    pub fn record(&mut self, record: &ProbeRecord) {
        let name = record_name(self.stage, record.epoch);
        let written = record.to_bytes().and_then(|bytes| probes::write(self.run, &record.pin.folder(), &name, &bytes));
        match written {
            Ok(()) => self.events.push(Event::Probe(Box::new(log_entry(record)))),
            Err(error) => self.warn(&error.to_string()),
        }
    }

    /// Probes and warnings since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Queues a warning.
    pub fn warn(&mut self, message: &str) {
        self.events.push(Event::Warning { message: message.to_owned() });
    }
}

/// The log entry of a record.
fn log_entry(record: &ProbeRecord) -> Probe {
    let digits = |values: &[u8]| values.iter().map(|v| char::from(b'0' + v)).collect();
    Probe {
        stage: record.stage,
        trained: record.trained,
        epoch: record.epoch,
        case: record.pin.case.clone(),
        slice: record.pin.slice,
        before: digits(&record.before),
        after: digits(&record.after),
        cases: digits(&record.cases),
    }
}
