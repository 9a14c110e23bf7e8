//! Reading small text files with a size limit and one-line errors.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::atomic::write_atomic;
use crate::words::of_serde;
use crate::{Error, Result};

/// Size limit of configurations, splits and reports, in bytes.
const LIMIT: u64 = 64 << 20;

/// Reads a file of at most `limit` bytes.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = || Error::io("read", path);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed())?.take(limit + 1).read_to_end(&mut bytes).map_err(failed())?;
    if bytes.len() as u64 > limit {
        return Err(Error::file(path, format!("is larger than the limit of {limit} bytes")));
    }
    Ok(bytes)
}

pub(super) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_limited(path, LIMIT)?)
        .map_err(|error| Error::file(path, format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to())))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_limited(path, LIMIT)?).map_err(|error| Error::file(path, of_serde(&error.to_string())))
}

/// The content of a file; `None` without one.
pub(super) fn read_json_if_any<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    path.is_file().then(|| read_json(path)).transpose()
}

/// Writes `value` as indented JSON. Non-finite numbers become null.
pub(super) fn write_json<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| Error::file(path, error.to_string()))?;
    bytes.push(b'\n');
    write_atomic(path, &bytes).map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_text_beyond_the_limit_or_not_utf8_is_an_error_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(read_limited(&path, 3).unwrap(), b"abc");
        assert!(read_limited(&path, 2).unwrap_err().to_string().contains("larger than the limit of 2 bytes"));
        std::fs::write(&path, b"x = \"\xff\"").unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("UTF-8 text (byte 5)"));
        assert!(read_json::<Vec<f64>>(&path).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn json_is_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &[Some(0.1), Some(f64::NAN)]).unwrap();
        assert_eq!(read_json::<[Option<f64>; 2]>(&path).unwrap(), [Some(0.1), None]);
    }
}
