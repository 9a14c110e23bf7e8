//! `failed.txt`: the error that ended a run. Removed when the run is resumed.

use std::fs;

use super::RunFolder;
use super::text::read_limited;
use crate::disk::atomic::write_atomic;
use crate::{Error, Result};

const NAME: &str = "failed.txt";
/// Maximum length in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Stores the error. The lock must be held.
pub(crate) fn write(run: &RunFolder, why: &str) -> Result<()> {
    run.require_lock()?;
    let end = (0..=why.len().min(MAX_BYTES)).rev().find(|&end| why.is_char_boundary(end)).unwrap_or(0);
    write_atomic(&run.root().join(NAME), &why.as_bytes()[..end]).map(|_| ())
}

/// Removes the stored error. The lock must be held.
pub(crate) fn clear(run: &RunFolder) -> Result<()> {
    run.require_lock()?;
    let path = run.root().join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// The stored error, if there is one.
pub(crate) fn read(run: &RunFolder) -> Option<String> {
    let bytes = read_limited(&run.root().join(NAME), MAX_BYTES as u64).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}
