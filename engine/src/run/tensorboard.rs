//! TensorBoard event files: the scalars of a run.
//!
//! A file is a sequence of TFRecords: length (u64), masked CRC-32C of the length, data, masked CRC-32C of the data, little endian.
//! The data is a protobuf message `Event`, encoded by hand: `wall_time = 1` (double), `step = 2` (int64), and one of
//! `file_version = 3` (string), `summary = 5`, `session_log = 7`. A summary is a list (`value = 1`) of `tag = 1` (string) and
//! `simple_value = 2` (float).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::disk::create_folder;
use crate::event::{Event, EventSink};
use crate::{Error, Result};

/// Folder of the event files in a run.
const FOLDER: &str = "tensorboard";

/// Writes the losses, learning rates, Dice and diagnostics of a run to `RUN/tensorboard`. Steps count from 1 over the whole
/// run. The numbers of an epoch are recorded at its last step.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    open: Option<(PathBuf, BufWriter<File>)>,
    steps_per_epoch: usize,
    /// True until the first step is written, which tells TensorBoard to drop later steps of an interrupted process.
    restarted: bool,
}

impl TensorBoard {
    /// For the run folder `run`. The file is created when the run starts.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.join(FOLDER), open: None, steps_per_epoch: 1, restarted: false }
    }

    /// Whether the run has event files. A run that has them gets more when it is resumed.
    pub fn exists(run: &Path) -> bool {
        run.join(FOLDER).is_dir()
    }

    fn start(&mut self, steps_per_epoch: usize) -> Result<()> {
        (self.steps_per_epoch, self.restarted) = (steps_per_epoch, true);
        create_folder(&self.folder)?;
        let name = format!("events.out.tfevents.{:010}.{}.amlp", wall_time() as u64, std::process::id());
        let path = self.folder.join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        self.open = Some((path, BufWriter::new(file)));
        self.write(0, &field(3, b"brain.Event:2"))
    }

    fn step_of(&self, epoch: usize, step: usize) -> usize {
        epoch.saturating_sub(1) * self.steps_per_epoch + step
    }

    fn scalars(&mut self, step: usize, scalars: &[(String, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = field(1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            summary.extend(field(1, &entry));
        }
        self.write(step, &field(5, &summary))
    }

    /// Writes an event of `what`, an encoded field.
    fn write(&mut self, step: usize, what: &[u8]) -> Result<()> {
        let Some((path, file)) = &mut self.open else { return Ok(()) };
        let mut event = vec![1 << 3 | 1];
        event.extend(wall_time().to_le_bytes());
        event.push(2 << 3);
        event.extend(varint(step as u64));
        event.extend(what);
        file.write_all(&record(&event)).map_err(Error::io("write", path))
    }

    fn flush(&mut self) -> Result<()> {
        let Some((path, file)) = &mut self.open else { return Ok(()) };
        file.flush().map_err(Error::io("write", path))
    }
}

impl EventSink for TensorBoard {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Started { steps_per_epoch, .. } => self.start(*steps_per_epoch),
            Event::Step { epoch, step, loss, learning_rate, .. } => {
                let step = self.step_of(*epoch, *step);
                if std::mem::take(&mut self.restarted) {
                    // SessionLog with status = 1: START.
                    self.write(step, &field(7, &[1 << 3, 1]))?;
                }
                self.scalars(step, &[("step/loss".into(), *loss), ("step/learning_rate".into(), *learning_rate)])
            }
            Event::Validation { epoch, dice, .. } => {
                self.scalars(self.step_of(epoch + 1, 0), &[("epoch/validation_dice".into(), *dice)])
            }
            Event::Epoch(summary) => {
                let mut scalars = Vec::new();
                let json = serde_json::to_value(summary).map_err(|e| Error::file(&self.folder, e.to_string()))?;
                numbers("epoch", &json, &mut scalars);
                scalars.retain(|(tag, _)| tag != "epoch/epoch");
                self.scalars(self.step_of(summary.epoch + 1, 0), &scalars)?;
                self.flush()
            }
            Event::Finished { .. } | Event::Failed { .. } => self.flush(),
            Event::Estimate { .. }
            | Event::Relabel { .. }
            | Event::Probe(_)
            | Event::Checkpoint { .. }
            | Event::Warning { .. } => Ok(()),
        }
    }
}

/// Every number of a document under its path, such as `epoch/parts/dice`.
fn numbers(path: &str, value: &Value, values: &mut Vec<(String, f64)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| numbers(&format!("{path}/{key}"), value, values));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| numbers(&format!("{path}/{}", index + 1), value, values));
        }
        Value::Number(number) => values.extend(number.as_f64().map(|number| (path.to_owned(), number))),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Seconds since 1970.
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// A length-delimited protobuf field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    encoded.extend(varint(content.len() as u64));
    encoded.extend(content);
    encoded
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A TFRecord.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), data, &checksum(data)].concat()
}

/// CRC mask of TFRecord, for data with embedded checksums.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli). Computed bit by bit, which is fast enough for a few kilobytes per epoch.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
#[path = "tensorboard_tests.rs"]
mod tests;
