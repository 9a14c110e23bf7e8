//! `failed.txt`: why a run ended before its time. It is gone once the run goes on.

use std::fs;

use super::RunFolder;
use super::atomic::write_atomic;
use super::text::read_limited;
use crate::{Error, Result};

const NAME: &str = "failed.txt";
/// No reason is longer, in bytes.
const LONGEST: usize = 16 << 10;

/// Keeps the reason. The lock must be held.
pub(crate) fn write(run: &RunFolder, why: &str) -> Result<()> {
    run.require_lock()?;
    let end = (0..=why.len().min(LONGEST)).rev().find(|&end| why.is_char_boundary(end)).unwrap_or(0);
    write_atomic(&run.root().join(NAME), &why.as_bytes()[..end]).map(|_| ())
}

/// Forgets the reason. The lock must be held.
pub(crate) fn clear(run: &RunFolder) -> Result<()> {
    run.require_lock()?;
    let path = run.root().join(NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// The reason, if the run ended by an error.
pub(crate) fn read(run: &RunFolder) -> Option<String> {
    let bytes = read_limited(&run.root().join(NAME), LONGEST as u64).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}
