//! The one writer for everything the program saves.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Replaces a file in one step and returns the SHA-256 of its bytes in hexadecimal.
///
/// # Errors
/// If the file cannot be written; an earlier file is then unchanged.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| Error::file(path, "is not a file name"))?;
    let temporary = folder.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(Error::io("write", path))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("write", folder))?;
    let digits: Vec<String> = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    Ok(digits.concat())
}
