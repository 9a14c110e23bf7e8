//! The file of an edit journal. Every edit is appended and is on the disk within two seconds. [`crate::edit::journal`]
//! defines the format.
//!
//! After a kill or a power cut the journal has a complete prefix of the edits and at most one torn record, which is truncated
//! when the journal is opened. The file is locked for a single writer.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::disk::atomic::{folder_of, rename, survive_size_limit, sync_folder, temporary_path};
use crate::disk::clock::now_ms;
use crate::disk::fault;
use crate::edit::journal::{Header, Kind, Record, Replay, encode_record, encode_start, replay};
use crate::edit::{Delta, EditLabels};
use crate::{Error, Result};

/// Delay between an edit and its flush to the disk. It is below the promised two seconds.
const SYNC_DELAY: Duration = Duration::from_secs(1);

/// A journal open for appending.
pub struct Journal {
    path: PathBuf,
    file: File,
    syncer: Syncer,
    /// Length of the file; always whole records.
    written: u64,
    records: u64,
}

impl Journal {
    /// Creates a journal of edits of `base`, replacing an existing file in one step.
    ///
    /// # Errors
    /// If it cannot be written, or another program writes the existing one.
    pub fn create(path: &Path, base: &EditLabels) -> Result<Self> {
        survive_size_limit();
        if path.exists() {
            drop(open_locked(path)?);
        }
        Self::replace(path, &encode_start(&Header::new(base), base), 0)
    }

    /// Writes a journal of this many records in one step.
    fn replace(path: &Path, bytes: &[u8], records: u64) -> Result<Self> {
        Self::over(path, replace_locked(path, bytes)?, bytes.len() as u64, records)
    }

    /// Opens a journal to continue it, and replays it. Truncates the file after its last whole record ([`Replay::cut`]).
    ///
    /// # Errors
    /// A file that is not a journal, has an incomplete header or base mask, or is in use by another program.
    pub fn open(path: &Path) -> Result<(Self, Replay)> {
        survive_size_limit();
        let mut file = open_locked(path)?;
        let mut bytes = Vec::new();
        // Reads through the locked handle, because Windows refuses any other handle.
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        let replay = replayed(path, &bytes)?;
        if replay.cut.is_some() {
            file.set_len(replay.whole).and_then(|()| file.sync_all()).map_err(Error::io("write", path))?;
        }
        let journal = Self::over(path, file, replay.whole, replay.records.len() as u64)?;
        Ok((journal, replay))
    }

    fn over(path: &Path, mut file: File, written: u64, records: u64) -> Result<Self> {
        file.seek(SeekFrom::Start(written)).map_err(Error::io("write", path))?;
        let syncer = Syncer::of(&file).map_err(Error::io("write", path))?;
        Ok(Self { path: path.to_path_buf(), file, syncer, written, records })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Appends a change that was just applied. It is on the disk within two seconds.
    ///
    /// # Errors
    /// If it cannot be written, such as on a full disk, or if the flush of an earlier record failed. The file then still ends
    /// with the previous record, and the call may be repeated.
    pub fn append(&mut self, kind: Kind, name: &str, delta: &Delta) -> Result<()> {
        self.syncer.check().map_err(Error::io("write", &self.path))?;
        let record =
            Record { seq: self.records + 1, time_ms: now_ms(), kind, name: name.to_owned(), changes: delta.pack() };
        let bytes = encode_record(&record);
        if let Err(error) = self.write(&bytes) {
            // Best effort: a torn record is cut off when the journal is opened.
            let _ = self.file.set_len(self.written);
            let _ = self.file.seek(SeekFrom::Start(self.written));
            return Err(Error::io("write", &self.path)(error));
        }
        self.written += bytes.len() as u64;
        self.records += 1;
        self.syncer.wake();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        self.file.write_all(head)?;
        fault::point("journal-middle")?;
        self.file.write_all(tail)
    }

    /// Flushes all records to the disk now.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }

    /// Merges the older edits into one record with their names and drops undone ones, in one atomic step: see
    /// [`Replay::compacted`].
    ///
    /// # Errors
    /// If the journal cannot be read or the new one written. The old one is then unchanged and can be continued.
    pub fn compact(&mut self, keep: usize) -> Result<()> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut bytes));
        let back = self.file.seek(SeekFrom::Start(self.written));
        read.and(back).map_err(Error::io("read", &self.path))?;
        let (bytes, records) = replayed(&self.path, &bytes)?.compacted(keep);
        *self = Self::replace(&self.path, &bytes, records)?;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that another thread is starting may briefly hold the handle.
        let _ = self.file.unlock();
    }
}

/// Whether any program, including this one, has the journal open for appending.
pub fn is_open(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let is_locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let _ = file.unlock();
    is_locked
}

/// Replays a journal without changing it.
///
/// # Errors
/// A file that is not a journal, or has an incomplete header or base mask.
pub fn read(path: &Path) -> Result<Replay> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    replayed(path, &bytes)
}

fn replayed(path: &Path, bytes: &[u8]) -> Result<Replay> {
    replay(bytes).map_err(|why| Error::file(path, format!("no edit can be restored: {why}")))
}

/// Writes a new file, locks it, and renames it into place. Readers find the old or the new one, and no other program can take
/// the lock in between.
fn replace_locked(path: &Path, bytes: &[u8]) -> Result<File> {
    let temporary = temporary_path(path)?;
    let write = || {
        let mut file = File::options().read(true).write(true).create_new(true).open(&temporary)?;
        file.lock()?;
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        file.write_all(head)?;
        fault::point("write-middle")?;
        file.write_all(tail)?;
        file.sync_all()?;
        rename(&temporary, path)?;
        sync_folder(folder_of(path))?;
        Ok(file)
    };
    write().map_err(|source| {
        // Best effort: the name identifies it as a temporary file.
        let _ = std::fs::remove_file(&temporary);
        Error::io("write", path)(source)
    })
}

fn open_locked(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).open(path).map_err(Error::io("open for writing", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::file(path, "another window or program is writing this journal. Close it first"))
        }
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

/// A thread that flushes a file shortly after each write, so that edits do not wait for the disk.
struct Syncer {
    wake: Option<Sender<()>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    fn of(file: &File) -> io::Result<Self> {
        let (file, (wake, wake_ups)) = (file.try_clone()?, channel());
        let failure = Arc::new(Mutex::new(None));
        let report = Arc::clone(&failure);
        let flush = move || {
            if let Err(error) = file.sync_data() {
                *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || flush_later(&wake_ups, flush))?;
        Ok(Self { wake: Some(wake), failure, thread: Some(thread) })
    }

    fn wake(&self) {
        // The thread ends only after the sender is dropped.
        let _ = self.wake.as_ref().map(|wake| wake.send(()));
    }

    /// # Errors
    /// The failure of a flush since the last call.
    fn check(&self) -> io::Result<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

/// Calls `flush` [`SYNC_DELAY`] after the first of several writes, and immediately when the writer is dropped.
fn flush_later(wake_ups: &Receiver<()>, flush: impl Fn()) {
    while wake_ups.recv().is_ok() {
        let due = Instant::now() + SYNC_DELAY;
        let rest = || due.saturating_duration_since(Instant::now());
        while wake_ups.recv_timeout(rest()).is_ok() {}
        flush();
        if wake_ups.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; the file is closed in any case.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
