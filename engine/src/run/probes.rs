//! The folder `probes` of a run. Its content and plain file names are defined by [`crate::probe`].

use std::fs;
use std::path::{Path, PathBuf};

use super::RunFolder;
use super::folder::{PROBES, list};
use super::text::{read_json_if_any, read_limited, write_json};
use crate::config::Pin;
use crate::disk::atomic::write_atomic;
use crate::disk::create_folder;
use crate::{Error, Result};

const PINS: &str = "pins.json";

/// Path of the file `name` of a pinned slice.
pub(crate) fn path(run: &Path, folder: &str, name: &str) -> PathBuf {
    run.join(PROBES).join(folder).join(name)
}

/// Creates or replaces a file of a pinned slice. The run's lock must be held.
pub(crate) fn write(run: &RunFolder, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
    run.require_lock()?;
    let target = path(run.root(), folder, name);
    create_folder(target.parent().unwrap_or(run.root()))?;
    write_atomic(&target, bytes).map(|_| ())
}

/// The path under which version 0.1 stored a file that does not exist at `path`.
pub(crate) fn earlier(path: &Path) -> Option<PathBuf> {
    let earlier = path.with_extension("probe");
    (!path.exists() && earlier.exists()).then_some(earlier)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_limited(path, limit)
}

/// File names of a pinned slice; empty without a folder.
pub(crate) fn files(run: &Path, folder: &str) -> Result<Vec<String>> {
    Ok(list(&run.join(PROBES).join(folder))?.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
}

/// Removes the files of all pinned slices whose names `is_stale` selects. The run's lock must be held.
pub(crate) fn remove(run: &RunFolder, is_stale: impl Fn(&str) -> bool) -> Result<()> {
    run.require_lock()?;
    for folder in list(&run.root().join(PROBES))?.into_iter().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        for file in list(&folder.path())? {
            if is_stale(&file.file_name().to_string_lossy()) {
                fs::remove_file(file.path()).map_err(Error::io("remove", &file.path()))?;
            }
        }
    }
    Ok(())
}

/// Stores the list of pinned slices. The run's lock must be held.
pub(crate) fn write_pins(run: &RunFolder, pins: &[Pin]) -> Result<()> {
    run.require_lock()?;
    let folder = run.root().join(PROBES);
    create_folder(&folder)?;
    write_json(&folder.join(PINS), pins)
}

/// The stored list of pinned slices, if any.
pub(crate) fn read_pins(run: &Path) -> Result<Option<Vec<Pin>>> {
    read_json_if_any(&run.join(PROBES).join(PINS))
}
