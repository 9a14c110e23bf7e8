//! `review.jsonl` in the folder of a cohort: one verdict per line. Lines are appended and never rewritten.
//!
//! ```json
//! {"version":1,"case":"p01","verdict":"accepted","comment":"","reviewer":"AB","time_ms":1767225600000,"seconds":48.5}
//! ```
//!
//! Any number of programs may read the file, but only one may write it. The writer holds the lock on `review.lock`, which names
//! its process, machine and start time. A kill or a full disk leaves at most one torn line at the end, which readers ignore and
//! the next writer removes.

mod export;
mod ranking;

use std::fs::File;
use std::io::{self, ErrorKind as Io, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use export::{Export, INDEX, export};
pub use ranking::read_ranking;

use super::lock::{Lock, LockOutcome, lock_file};
use super::text;
use crate::disk::atomic::{folder_of, survive_size_limit, sync_folder};
use crate::disk::clock::{now_ms, utc};
use crate::disk::{fault, machine};
use crate::review::Entry;
use crate::words::plural;
use crate::{Error, ErrorKind, Result};

/// Name of the file.
pub const FILE: &str = "review.jsonl";

/// Name of the lock file.
pub const LOCK: &str = "review.lock";

/// Size limit of the file, in bytes.
const LIMIT: u64 = 256 << 20;

/// The version of an entry that this program reads.
const VERSION: u32 = 1;

/// Content of `review.jsonl`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReviewLog {
    /// The verdicts, oldest first.
    pub entries: Vec<Entry>,
    /// Bytes of a torn last line, which is ignored; otherwise 0.
    pub torn_bytes: usize,
    /// Lines that cannot be read, one sentence each.
    pub problems: Vec<String>,
}

impl ReviewLog {
    /// Warnings about the file, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let torn = (self.torn_bytes > 0).then(|| {
            format!(
                "{FILE}: the last line is incomplete ({}) and left out, so its verdict is lost",
                plural(self.torn_bytes, "byte", "bytes")
            )
        });
        torn.into_iter().chain(self.problems.iter().cloned()).collect()
    }
}

/// Reads the verdicts of a cohort; none without a file.
///
/// # Errors
/// A file that cannot be read. Single bad lines are [`ReviewLog::problems`].
pub fn read(root: &Path) -> Result<ReviewLog> {
    let path = root.join(FILE);
    match text::read_limited(&path, LIMIT) {
        Ok(bytes) => Ok(parse(&bytes).0),
        Err(error) if matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == Io::NotFound) => {
            Ok(ReviewLog::default())
        }
        Err(error) => Err(error),
    }
}

/// The entries, and the length of the whole lines.
fn parse(bytes: &[u8]) -> (ReviewLog, usize) {
    let mut log = ReviewLog::default();
    let (mut start, mut number) = (0, 0);
    while start < bytes.len() {
        let end = bytes[start..].iter().position(|byte| *byte == b'\n').map(|index| start + index);
        let line = &bytes[start..end.unwrap_or(bytes.len())];
        number += 1;
        match (entry(line), end) {
            (Ok(entry), _) => log.entries.push(entry),
            (Err(_), None) => {
                log.torn_bytes = line.len();
                return (log, start);
            }
            (Err(_), Some(_)) if line.trim_ascii().is_empty() => {}
            (Err(why), Some(_)) => log.problems.push(format!("{FILE}: line {number} is left out: {why}")),
        }
        start = end.map_or(bytes.len(), |end| end + 1);
    }
    (log, bytes.len())
}

fn entry(line: &[u8]) -> Result<Entry, String> {
    #[derive(Deserialize)]
    struct LineHeader {
        version: u32,
    }
    let header: LineHeader = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if header.version != VERSION {
        return Err(format!("its version is {}, but this program reads {VERSION}", header.version));
    }
    serde_json::from_slice(line).map_err(|e| e.to_string())
}

/// The only writer of a cohort's verdicts. Releases the lock when dropped.
#[derive(Debug)]
pub struct ReviewWriter {
    path: PathBuf,
    file: File,
    /// Length of the file; always whole lines.
    written: u64,
    _lock: Lock,
}

/// The line in the lock file.
#[derive(Serialize, Deserialize)]
struct LockOwner {
    process: u32,
    machine: String,
    since: String,
}

impl ReviewWriter {
    /// Opens the verdicts of a cohort for writing, reads them, and removes a torn last line.
    ///
    /// # Errors
    /// [`ErrorKind::InReview`] while another program writes them; a read-only folder.
    pub fn open(root: &Path) -> Result<(Self, ReviewLog)> {
        survive_size_limit();
        let owner = LockOwner { process: std::process::id(), machine: machine::host_name(), since: utc(now_ms()) };
        let owner = serde_json::to_string(&owner).map_err(|e| Error::file(root, e.to_string()))?;
        let lock = match lock_file(&root.join(LOCK), &owner).map_err(|error| explained(error, root))? {
            LockOutcome::Taken(lock, _) => lock,
            LockOutcome::Held(owner) => return Err(in_review(root, &owner)),
        };
        let path = root.join(FILE);
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| explained(Error::io("open for writing", &path)(error), root))?;
        let mut bytes = Vec::new();
        (&mut file).take(LIMIT).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        let (log, whole) = parse(&bytes);
        let unended = whole > 0 && bytes[whole - 1] != b'\n';
        let mut prepare = || -> io::Result<u64> {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::Start(whole as u64))?;
            if unended {
                file.write_all(b"\n")?;
            }
            file.sync_all()?;
            sync_folder(folder_of(&path))?;
            Ok(whole as u64 + u64::from(unended))
        };
        let written = prepare().map_err(Error::io("write", &path))?;
        Ok((Self { path, file, written, _lock: lock }, log))
    }

    /// Appends a verdict. It is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written, such as on a full disk. The file is then as before.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).map_err(|e| Error::file(&self.path, e.to_string()))?;
        line.push(b'\n');
        if let Err(error) = self.write(&line) {
            // Best effort: a torn line is left out by readers and cut off by the next writer.
            let _ = self.file.set_len(self.written);
            let _ = self.file.seek(SeekFrom::Start(self.written));
            return Err(Error::io("write", &self.path)(error));
        }
        self.written += line.len() as u64;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let (head, tail) = line.split_at(line.len() / 2);
        self.file.write_all(head)?;
        fault::point("review-middle")?;
        self.file.write_all(tail)?;
        self.file.sync_data()
    }
}

fn in_review(root: &Path, owner: &str) -> Error {
    // Not readable on some systems while it is locked.
    let unknown = || LockOwner { process: 0, machine: "an unknown machine".into(), since: "an unknown time".into() };
    let LockOwner { process, machine, since } = serde_json::from_str(owner).unwrap_or_else(|_| unknown());
    ErrorKind::InReview { path: root.join(FILE), process, machine, since }.into()
}

/// Explains the error of a read-only folder.
fn explained(error: Error, root: &Path) -> Error {
    match error.kind() {
        ErrorKind::Io { source, .. } if matches!(source.kind(), Io::PermissionDenied | Io::ReadOnlyFilesystem) => {
            Error::file(
                root,
                "the folder is read-only, so verdicts cannot be kept in it. Copy the cohort to a folder that you can write to",
            )
        }
        _ => error,
    }
}

#[cfg(test)]
#[path = "review_tests.rs"]
mod tests;
