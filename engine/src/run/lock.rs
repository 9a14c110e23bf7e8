//! Ensures one writer per folder by an operating-system lock on a file that names its owner. In a run folder this is the file
//! `lock`, which holds the process id.
//!
//! The system releases the lock when the process ends, so a killed process never blocks others. Its id stays in the file and is
//! reported by the next owner. A clean release empties the file.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// Name of the lock file inside a run folder.
pub const NAME: &str = "lock";

/// Maximum number of bytes that are read from a lock file.
const MAX_BYTES: u64 = 512;

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Result of an attempt to lock a file.
pub(super) enum LockOutcome {
    /// The lock, and the text of an owner that died. The text is empty after a clean release.
    Taken(Lock, String),
    /// The text of the live owner. It is empty on systems where a locked file cannot be read, such as Windows.
    Held(String),
}

/// Locks the file at `path`, which is created if it is missing, and writes one line about the owner into it.
///
/// # Errors
/// [`ErrorKind::Io`], such as for a read-only folder.
pub(super) fn lock_file(path: &Path, owner: &str) -> Result<LockOutcome> {
    let failed = |action| Error::io(action, path);
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open.map_err(failed("open for writing"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(LockOutcome::Held(owner_of(&mut file))),
        Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
    }
    let left = read_owner(&mut file).unwrap_or_default();
    let mut write = || {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{owner}")?;
        file.sync_all()
    };
    write().map_err(failed("write"))?;
    Ok(LockOutcome::Taken(Lock { file }, left))
}

impl Lock {
    /// Locks the run folder `root`, which must exist. The second value is the id of a process that died without
    /// releasing the lock.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] with the id of the live holder (0 on systems where a locked file cannot be read, such as
    /// Windows); [`ErrorKind::Io`] for a read-only folder.
    pub fn take(root: &Path) -> Result<(Self, Option<u32>)> {
        match lock_file(&root.join(NAME), &std::process::id().to_string())? {
            LockOutcome::Taken(lock, left) => Ok((lock, left.parse().ok())),
            LockOutcome::Held(owner) => {
                let pid = owner.parse().unwrap_or_default();
                Err(ErrorKind::Locked { path: root.to_path_buf(), pid }.into())
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A failure cannot be handled here, and the system releases the lock with the file in any case.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Id of the process that holds the lock of the run folder `root`, 0 if the system does not report it. Does not lock.
pub fn held_by(root: &Path) -> Option<u32> {
    let mut file = File::open(root.join(NAME)).ok()?;
    // Released cleanly, or about to be locked. A shared lock here could make that attempt fail.
    if file.metadata().ok()?.len() == 0 {
        return None;
    }
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(owner_of(&mut file).parse().unwrap_or_default()),
        // Left by a process that died, or a file system without locks.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Text of the live owner. It is written just after locking, so an incomplete line is retried for a while.
fn owner_of(file: &mut File) -> String {
    for _ in 0..10 {
        if let Some(owner) = read_owner(file) {
            return owner;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    String::new()
}

/// The line in a lock file; `None` if it is not complete.
fn read_owner(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    text.strip_suffix('\n').map(|line| line.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_gets_the_process_id_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let (first, stale) = Lock::take(folder.path()).unwrap();
        assert_eq!(stale, None);
        let error = Lock::take(folder.path()).unwrap_err();
        let ErrorKind::Locked { path, pid } = error.kind() else { panic!("{error}") };
        assert_eq!(path, folder.path());
        assert_eq!(held_by(folder.path()), Some(*pid));
        #[cfg(unix)]
        assert_eq!(*pid, std::process::id());
        drop(first);
        assert_eq!(Lock::take(folder.path()).unwrap().1, None, "a clean release leaves no trace");
    }

    #[test]
    fn a_dead_holders_lock_is_recovered() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "4711\n").unwrap();
        let (_lock, stale) = Lock::take(folder.path()).unwrap();
        assert_eq!(stale, Some(4711));
    }

    #[test]
    fn garbage_in_the_lock_file_does_not_matter() {
        for garbage in [&b"\xff\xfe"[..], b"not a number", &[b'1'; 100]] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(NAME), garbage).unwrap();
            assert_eq!(Lock::take(folder.path()).unwrap().1, None);
        }
    }

    #[test]
    fn a_missing_folder_cannot_be_locked() {
        let folder = tempfile::tempdir().unwrap();
        let error = Lock::take(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");
    }
}
