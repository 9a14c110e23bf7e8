//! `events.jsonl`: the event log of a run, one JSON object per line.
//!
//! ```json
//! {"seq":1,"t":1767225600000,"event":"step","stage":"pretrain","epoch":1,"step":1,"loss":0.5,"learning_rate":0.001}
//! ```
//!
//! `seq` counts from 1 without gaps, `t` is the wall clock in milliseconds since 1970. Except for `t`, the log of a resumed
//! run equals that of an uninterrupted one, provided that the training loop stores [`EventLog::position`] in its
//! checkpoint, passes it to [`EventLog::resume`], and repeats the events after that position (including the `Checkpoint`
//! event if the position was taken before it).
//!
//! Steps are buffered for at most half a second; milestones are flushed to the disk at once. Readers ignore an incomplete
//! last line, and resuming removes it. After a failed write the file is truncated to its last whole line, so a full disk
//! never leaves a partial event before a complete one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::disk::atomic::survive_size_limit;
use crate::disk::clock::now_ms;
use crate::event::{Event, EventSink};
use crate::{Error, Result};

/// Buffer size in bytes above which it is written without waiting for a milestone.
const BUFFER: usize = 1 << 16;
/// Buffer age above which it is written without waiting for a milestone.
const MAX_BUFFER_AGE: Duration = Duration::from_millis(500);
/// Maximum line length in bytes. A longer line is not a valid event.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// The fields of a line apart from its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineMeta {
    /// Position in the log, from 1.
    pub seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub t: u64,
}

/// An event log open for appending.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Whole lines not yet in the file.
    buffer: Vec<u8>,
    /// Length of the file in bytes; always whole lines.
    written: u64,
    /// Number of events, buffered ones included.
    count: u64,
    flushed: Instant,
}

impl EventLog {
    /// Creates an empty log at `path`, replacing an existing file.
    pub fn create(path: &Path) -> Result<Self> {
        survive_size_limit();
        let file = File::create(path).map_err(Error::io("create", path))?;
        Ok(Self::over(file, path, 0, 0))
    }

    /// Opens the log at `path` to continue after `position` bytes. Later events, which no checkpoint covers and which will
    /// be repeated, are dropped.
    ///
    /// If the log is missing, shorter than `position`, or `position` is not the end of a line, it was changed by another
    /// program. It is then continued after its last whole line before `position`, with a warning in the second value.
    pub fn resume(path: &Path, position: u64) -> Result<(Self, Option<String>)> {
        survive_size_limit();
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(Error::io("open for writing", path))?;
        let failed = || Error::io("write", path);
        let (kept, count) = whole_lines(&mut file, position).map_err(Error::io("read", path))?;
        file.set_len(kept).map_err(failed())?;
        file.seek(SeekFrom::Start(kept)).map_err(failed())?;
        let warning = (kept != position).then(|| {
            format!(
                "{}: events are missing. Only {kept} of {position} bytes covered by the checkpoint are left",
                path.display()
            )
        });
        Ok((Self::over(file, path, kept, count), warning))
    }

    fn over(file: File, path: &Path, written: u64, count: u64) -> Self {
        Self { file, path: path.to_path_buf(), buffer: Vec::new(), written, count, flushed: Instant::now() }
    }

    /// Flushes the log to the disk and returns its length in bytes, for a checkpoint.
    pub fn position(&mut self) -> Result<u64> {
        self.sync()?;
        Ok(self.written)
    }

    /// Number of events in the log.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// True if the log holds no event.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Flushes the log to the disk.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }

    /// Writes the buffer to the file. On an error the file is truncated to its last whole line and the buffer is kept, so
    /// that a later call can retry.
    fn flush(&mut self) -> Result<()> {
        if let Err(error) = self.file.write_all(&self.buffer) {
            let _ = self.file.set_len(self.written);
            let _ = self.file.seek(SeekFrom::Start(self.written));
            return Err(Error::io("write", &self.path)(error));
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.flushed = Instant::now();
        Ok(())
    }

    /// Appends one line to the buffer: the fields of [`LineMeta`], then those of the event.
    fn append(&mut self, event: &Event) -> serde_json::Result<()> {
        let t = now_ms();
        let event = serde_json::to_vec(event)?;
        let head = format!("{{\"seq\":{},\"t\":{t},", self.count + 1);
        self.buffer.extend_from_slice(head.as_bytes());
        // An event is an object with at least its tag, so without its opening brace it continues ours.
        self.buffer.extend_from_slice(&event[1..]);
        self.buffer.push(b'\n');
        self.count += 1;
        Ok(())
    }
}

impl EventSink for EventLog {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.append(event).map_err(|error| Error::file(&self.path, format!("cannot encode an event: {error}")))?;
        if event.is_milestone() {
            self.sync()
        } else if self.buffer.len() >= BUFFER || self.flushed.elapsed() >= MAX_BUFFER_AGE {
            self.flush()
        } else {
            Ok(())
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        // Best effort: milestones are already on disk, and an error cannot be reported here.
        let _ = self.flush();
    }
}

/// Length and number of the whole lines within the first `limit` bytes.
fn whole_lines(file: &mut File, limit: u64) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::with_capacity(1 << 16, file.take(limit));
    let (mut end, mut count, mut offset) = (0, 0, 0);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok((end, count));
        }
        for (index, _) in block.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            (end, count) = (offset + index as u64 + 1, count + 1);
        }
        let length = block.len();
        offset += length as u64;
        reader.consume(length);
    }
}

/// Iterates over the events of a log. An incomplete last line ends the iteration. Any other invalid line is an error that
/// names the line, after which the iteration continues.
#[derive(Debug)]
pub struct Events {
    reader: BufReader<File>,
    path: PathBuf,
    line: Vec<u8>,
    /// Lines read so far.
    number: u64,
    ended: bool,
}

impl Events {
    /// Opens the log at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok(Self { reader, path: path.to_path_buf(), line: Vec::new(), number: 0, ended: false })
    }

    /// The next event, or `None` at the end.
    fn advance(&mut self) -> Result<Option<(LineMeta, Event)>> {
        let failed = || Error::io("read", &self.path);
        self.line.clear();
        let length = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line).map_err(failed())?;
        if length == 0 {
            self.ended = true;
            return Ok(None);
        }
        self.number += 1;
        match parse(&self.line) {
            Ok(entry) => Ok(Some(entry)),
            Err(why) => {
                if self.reader.fill_buf().map_err(failed())?.is_empty() {
                    self.ended = true;
                    return Ok(None);
                }
                // The bytes after the limit belong to the same line.
                self.ended = length as u64 == MAX_LINE_BYTES;
                Err(Error::file(&self.path, format!("line {}: {why}", self.number)))
            }
        }
    }
}

/// Reads all milestones of a log and the last step before each, in order. Much faster than [`Events`], because other
/// steps are not parsed.
///
/// # Errors
/// If a line is invalid; the message names it. An incomplete last line ends the log without an error.
pub fn read_condensed(path: &Path, each: &mut dyn FnMut(LineMeta, &Event)) -> Result<()> {
    let mut events = Events::open(path)?;
    let mut step: Vec<u8> = Vec::new();
    loop {
        events.line.clear();
        let line = (&mut events.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut events.line);
        line.map_err(Error::io("read", path))?;
        events.number += 1;
        if is_step(&events.line) {
            std::mem::swap(&mut step, &mut events.line);
            continue;
        }
        if !step.is_empty() {
            let (meta, event) = parse(&step).map_err(|why| damaged(path, events.number - 1, &why))?;
            each(meta, &event);
            step.clear();
        }
        if events.line.is_empty() {
            return Ok(());
        }
        match parse(&events.line) {
            Ok((meta, event)) => each(meta, &event),
            Err(_) if events.reader.fill_buf().map_err(Error::io("read", path))?.is_empty() => return Ok(()),
            Err(why) => return Err(damaged(path, events.number, &why)),
        }
    }
}

fn damaged(path: &Path, line: u64, why: &serde_json::Error) -> Error {
    Error::file(path, format!("line {line}: {why}"))
}

/// True for a complete line whose prefix is that of a step.
fn is_step(line: &[u8]) -> bool {
    let number = |rest: &mut &[u8], before: &[u8]| {
        let Some(after) = rest.strip_prefix(before) else { return false };
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *rest = &after[digits..];
        digits > 0
    };
    let mut rest = line;
    number(&mut rest, b"{\"seq\":")
        && number(&mut rest, b",\"t\":")
        && rest.starts_with(b",\"event\":\"step\",")
        && line.ends_with(b"}\n")
}

impl Iterator for Events {
    type Item = Result<(LineMeta, Event)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.advance().transpose();
        if let Some(Err(error)) = &item {
            self.ended |= matches!(error.kind(), crate::ErrorKind::Io { .. });
        }
        item
    }
}

fn parse(line: &[u8]) -> serde_json::Result<(LineMeta, Event)> {
    Ok((serde_json::from_slice(line)?, serde_json::from_slice(line)?))
}

/// All events of the log at `path`; see [`Events`].
pub fn read_events(path: &Path) -> Result<Vec<(LineMeta, Event)>> {
    Events::open(path)?.collect()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
