//! `events.jsonl`: every event of a run, one JSON object a line.
//!
//! ```json
//! {"seq":1,"t":1767225600000,"event":"step","stage":"pretrain","epoch":1,"step":1,"loss":0.5,"learning_rate":0.001}
//! ```
//!
//! `seq` counts from 1 without gaps, `t` is the wall clock in milliseconds since 1970. Everything but `t` is the same
//! for an interrupted and resumed run as for an uninterrupted one, provided that the loop stores
//! [`EventLog::position`] in its checkpoint, hands it to [`EventLog::resume`], and then repeats the events that follow
//! the position (the `Checkpoint` event itself, if the position was taken before it).
//!
//! Steps are buffered for at most half a second of events; milestones are flushed to the disk at once. A line that a
//! kill cut short is ignored by readers and cut off on resume; after a failed write the file is cut back to its last
//! whole line, so a full disk never leaves half an event before a whole one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::atomic::survive_size_limit;
use crate::event::{Event, EventSink};
use crate::{Error, Result};

/// Buffered bytes that are written without waiting for a milestone.
const BUFFER: usize = 1 << 16;
/// Age of the buffer that is written without waiting for a milestone.
const PATIENCE: Duration = Duration::from_millis(500);
/// A line longer than this is no event of ours; in bytes.
const LONGEST_LINE: u64 = 16 << 20;

/// What a line says beside its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Position in the log, from 1.
    pub seq: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub t: u64,
}

/// Appends events to a log file.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Whole lines that are not in the file yet.
    buffer: Vec<u8>,
    /// Bytes in the file: always whole lines.
    written: u64,
    /// Events taken so far.
    count: u64,
    flushed: Instant,
}

impl EventLog {
    /// Starts an empty log at `path`, replacing what is there.
    pub fn create(path: &Path) -> Result<Self> {
        survive_size_limit();
        let file = File::create(path).map_err(Error::io("create", path))?;
        Ok(Self::over(file, path, 0, 0))
    }

    /// Opens the log at `path` to continue it after `position` bytes, dropping what follows (events of work that no
    /// checkpoint covers and that will be done again).
    ///
    /// A log that is absent, shorter than `position`, or not at the end of a line there was changed by somebody else;
    /// it is continued after its last whole line before `position`, and the second value says so.
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
                "{}: events are missing: {kept} bytes are left of the {position} that the checkpoint covers",
                path.display()
            )
        });
        Ok((Self::over(file, path, kept, count), warning))
    }

    fn over(file: File, path: &Path, written: u64, count: u64) -> Self {
        Self { file, path: path.to_path_buf(), buffer: Vec::new(), written, count, flushed: Instant::now() }
    }

    /// Flushes everything to the disk and returns the length of the log in bytes: what a checkpoint stores.
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

    /// Flushes everything to the disk.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }

    /// Hands the buffer to the system. On an error the file is cut back to its last whole line and the buffer is
    /// kept, so that a later call can try again.
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

    /// Appends one line to the buffer: the fields of [`Meta`], then those of the event.
    fn append(&mut self, event: &Event) -> serde_json::Result<()> {
        let t = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let event = serde_json::to_vec(event)?;
        let head = format!("{{\"seq\":{},\"t\":{t},", self.count + 1);
        self.buffer.extend_from_slice(head.as_bytes());
        // An event is an object with at least its tag: without the opening brace it continues ours.
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
        } else if self.buffer.len() >= BUFFER || self.flushed.elapsed() >= PATIENCE {
            self.flush()
        } else {
            Ok(())
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        // Best effort: milestones are on the disk already, and there is nobody left to tell.
        let _ = self.flush();
    }
}

/// Bytes and number of the whole lines among the first `limit` bytes.
fn whole_lines(file: &mut File, limit: u64) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::with_capacity(1 << 16, file.take(limit));
    let (mut kept, mut count, mut seen) = (0, 0, 0);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok((kept, count));
        }
        for (index, _) in block.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            (kept, count) = (seen + index as u64 + 1, count + 1);
        }
        let length = block.len();
        seen += length as u64;
        reader.consume(length);
    }
}

/// Reads a log from its start, one event at a time. A last line that was cut short ends it; any other line that cannot
/// be read is an error that names the line, after which the iteration goes on.
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

    /// The next line's content, or none at the end.
    fn advance(&mut self) -> Result<Option<(Meta, Event)>> {
        let failed = || Error::io("read", &self.path);
        self.line.clear();
        let length = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut self.line).map_err(failed())?;
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
                // What follows the limit is the rest of the same line, not a line.
                self.ended = length as u64 == LONGEST_LINE;
                Err(Error::file(&self.path, format!("line {}: {why}", self.number)))
            }
        }
    }
}

impl Iterator for Events {
    type Item = Result<(Meta, Event)>;

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

fn parse(line: &[u8]) -> serde_json::Result<(Meta, Event)> {
    Ok((serde_json::from_slice(line)?, serde_json::from_slice(line)?))
}

/// All events of the log at `path`; see [`Events`].
pub fn read_events(path: &Path) -> Result<Vec<(Meta, Event)>> {
    Events::open(path)?.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{CaseCounts, EpochSummary, Parts, Stage};

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
                parts: Some(Parts { pred: 0.1, rrl: -2.5e-300, lcl: 1.0 }),
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
        events.iter().for_each(|event| log.event(event).unwrap());
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
        write(&mut log, &events[10..]);
        drop(log);
        assert_eq!(without_times(&whole), without_times(&broken));
    }

    #[test]
    fn a_log_that_somebody_shortened_or_removed_is_continued_with_a_warning() {
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
        fs::File::create(&path).unwrap().set_len(LONGEST_LINE * 4).unwrap();
        let read: Vec<_> = Events::open(&path).unwrap().collect();
        assert!(read.len() == 1 && read[0].is_err());
        assert!(read_events(folder.path()).is_err(), "a folder is no log");
    }

    #[test]
    fn a_hundred_thousand_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::create(&path).unwrap();
        let start = Instant::now();
        (0..100_000).for_each(|i| log.event(&step(i / 100 + 1, i % 100 + 1)).unwrap());
        drop(log);
        let written = start.elapsed();
        assert_eq!(Events::open(&path).unwrap().filter(Result::is_ok).count(), 100_000);
        let read = start.elapsed().saturating_sub(written);
        println!("100,000 events written in {written:?}, read in {read:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Wherever a kill cuts the file, the events before the cut read back, and a resume goes on after them.
        #[test]
        fn a_log_cut_anywhere_keeps_its_whole_lines(share in 0.0..1.0_f64) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.jsonl");
            write(&mut EventLog::create(&path).unwrap(), &one_of_each());
            let bytes = fs::read(&path).unwrap();
            let cut = (share * bytes.len() as f64) as usize;
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            // A line that lacks only its line end is complete.
            let complete = whole + usize::from(bytes.get(cut) == Some(&b'\n'));
            prop_assert_eq!(read_events(&path).unwrap().len(), complete);
            let (log, _) = EventLog::resume(&path, cut as u64).unwrap();
            prop_assert_eq!(log.len(), whole as u64);
        }
    }
}
