//! Atomic file writes: a file is always its complete old or its complete new version.
//!
//! Writes a temporary file in the same folder, flushes it (fsync), renames it over the old file, and flushes the folder.
//! Readers always find a complete version, even after a kill at any moment or on a full disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::fault;
use crate::{Error, Result};

/// Creates or replaces the file at `path` and returns the SHA-256 of `bytes` in hexadecimal.
///
/// # Errors
/// On a full disk, a file-size limit, or a read-only or missing folder. The earlier file is then unchanged and the
/// temporary file, named `.NAME.PID.N.tmp` (see [`is_temporary`]), removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<String> {
    write_atomic_with(path, |out| {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        out.write_all(head)?;
        fault::point("write-middle")?;
        out.write_all(tail)
    })
}

/// [`write_atomic`] for content that `fill` writes piece by piece to a buffered file.
pub fn write_atomic_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<String> {
    survive_size_limit();
    let temporary = temporary_path(path)?;
    let outcome = write_and_rename(&temporary, path, fill);
    if outcome.is_err() {
        // Best effort: opening the run folder the next time removes it.
        let _ = fs::remove_file(&temporary);
    }
    outcome.map_err(Error::io("write", path))
}

/// Suffix of the kept previous version of a replaced file.
pub const PREVIOUS: &str = ".previous";

/// `seg.nii.gz.previous` for `seg.nii.gz`; the name is neither a scan's nor a mask's.
pub fn previous_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PREVIOUS);
    PathBuf::from(name)
}

/// Keeps the file at `path`, if it exists, under [`previous_path`] before it is replaced. Until then both names refer to it.
///
/// # Errors
/// If it cannot be kept. Do not replace the file then.
pub fn keep_previous(path: &Path) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let (previous, temporary) = (previous_path(path), temporary_path(path)?);
    let keep = || {
        // Not every file system has links.
        fs::hard_link(path, &temporary).or_else(|_| fs::copy(path, &temporary).map(|_| ()))?;
        rename(&temporary, &previous)?;
        sync_folder(folder_of(path))
    };
    keep().map_err(|source| {
        // Best effort: the name identifies it as a temporary file.
        let _ = fs::remove_file(&temporary);
        Error::io("write the earlier version to it", &previous)(source)
    })
}

/// Writes a new file directly (no rename), flushes it to the disk, and returns its SHA-256 in hexadecimal. For files in a
/// folder that is itself renamed into place.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<String> {
    survive_size_limit();
    write_synced(path, |out| {
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        out.write_all(head)?;
        fault::point("write-middle")?;
        out.write_all(tail)
    })
}

fn write_and_rename(
    temporary: &Path,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<String> {
    let sum = write_synced(temporary, fill)?;
    rename(temporary, path)?;
    sync_folder(folder_of(path))?;
    Ok(sum)
}

/// Creates the file `path`, which must not exist, writes it by `fill`, and flushes it to the disk.
fn write_synced(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let file = File::options().write(true).create_new(true).open(path)?;
    let mut out = HashingWriter { inner: BufWriter::with_capacity(1 << 16, file), sum: Sha256::new() };
    fault::point("write-before")?;
    fill(&mut out)?;
    out.flush()?;
    fault::point("write-after")?;
    fault::point("fsync-before")?;
    out.inner.get_ref().sync_all()?;
    fault::point("fsync-after")?;
    Ok(hex(&out.sum.finalize()))
}

/// Renames a file or folder. On Windows, where a virus scanner or indexer may briefly hold the target open, it retries
/// for up to a second.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault::point("rename-before")?;
    let mut patience = if cfg!(windows) { 20 } else { 0 };
    loop {
        match fs::rename(from, to) {
            Err(error) if patience > 0 && error.kind() == io::ErrorKind::PermissionDenied => {
                patience -= 1;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            other => break other?,
        }
    }
    fault::point("rename-after")
}

/// Flushes the entries of a folder (names, renames) to the disk. Not needed on Windows. Network file systems that do not
/// support it are ignored.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::point("folder-before")?;
    if cfg!(unix) {
        match File::open(folder)?.sync_all() {
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            other => other?,
        }
    }
    fault::point("folder-after")
}

/// True for the name of a temporary file, such as `.config.toml.4711.3.tmp`, which a killed writer leaves behind.
pub fn is_temporary(name: &str) -> bool {
    let Some(body) = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")) else { return false };
    let mut fields = body.rsplitn(3, '.');
    let number = |field: Option<&str>| field.is_some_and(|text| text.parse::<u64>().is_ok());
    number(fields.next()) && number(fields.next()) && fields.next().is_some_and(|stem| !stem.is_empty())
}

/// SHA-256 of `bytes` in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file in hexadecimal, read in chunks.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let (mut sum, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut block).map_err(Error::io("read", path))? {
            0 => break,
            count => sum.update(&block[..count]),
        }
    }
    Ok(hex(&sum.finalize()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| DIGITS[usize::from(digit)] as char).collect()
}

/// An unused name `.NAME.PID.N.tmp` next to `path`.
pub(crate) fn temporary_path(path: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else { return Err(Error::file(path, "does not name a file")) };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(temporary))
}

/// The parent folder of `path`, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Turns a write beyond the process's file-size limit into an error instead of a kill.
///
/// Unix sends SIGXFSZ, which kills by default; with a handler installed the write fails with "File too large". Every
/// writer of this module calls it. Programs that write large files elsewhere may call it first.
pub fn survive_size_limit() {
    #[cfg(unix)]
    {
        use std::sync::atomic::AtomicBool;
        use std::sync::{Arc, Once};
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let exceeded = Arc::new(AtomicBool::new(false));
            // If it fails, a write beyond the limit ends the process, which is the default on Unix.
            let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, exceeded);
        });
    }
}

/// Writer that also computes the SHA-256.
struct HashingWriter<W> {
    inner: W,
    sum: Sha256,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sum.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn creates_and_replaces_with_the_known_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let sum = write_atomic(&path, b"abc").unwrap();
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sum, sha256(b"abc"));
        write_atomic(&path, b"").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_streamed_file_has_the_checksum_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        let sum = write_atomic_with(&path, |out| (0..50_000_u32).try_for_each(|i| out.write_all(&i.to_le_bytes())));
        assert_eq!(sum.unwrap(), sha256(&fs::read(&path).unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().len(), 200_000);
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomic(&path, b"old").unwrap();
        let error = write_atomic_with(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let text = error.unwrap_err().to_string();
        assert!(text.contains("a.txt: cannot write: no storage space"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_in_the_way_or_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("taken")).unwrap();
        for name in ["taken", "absent/a.txt"] {
            let error = write_atomic(&folder.path().join(name), b"x").unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");
        }
        assert!(write_atomic(&folder.path().join(".."), b"x").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn the_previous_version_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seg.nii.gz");
        keep_previous(&path).unwrap();
        assert!(names(folder.path()).is_empty(), "nothing to keep");
        for content in ["first", "second", "third"] {
            keep_previous(&path).unwrap();
            write_atomic(&path, content.as_bytes()).unwrap();
        }
        assert_eq!(names(folder.path()), ["seg.nii.gz", "seg.nii.gz.previous"]);
        assert_eq!(fs::read(previous_path(&path)).unwrap(), b"second");
        // A failed write leaves both as they were.
        keep_previous(&path).unwrap();
        write_atomic_with(&path, |_| Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read(previous_path(&path)).unwrap(), b"third");
    }

    #[test]
    fn temporary_names_are_recognised() {
        let path = temporary_path(Path::new("x/model.bin")).unwrap();
        assert!(is_temporary(path.file_name().unwrap().to_str().unwrap()), "{}", path.display());
        for other in ["model.bin", ".tmp", ".hidden.tmp", ".a.1.x.tmp", ".1.2.tmp", "a.1.2.tmp", ".a.1.2"] {
            assert!(!is_temporary(other), "{other}");
        }
    }
}
