//! Access to the machine: atomic writes, checksums, the wall clock, kill points, memory and processor.

pub mod atomic;
pub mod clock;
pub mod fault;
pub mod machine;

use std::path::Path;

use crate::{Error, Result};

/// Name of the configuration in a run folder. A folder that has one is a run, whose files are not scans.
pub(crate) const RUN_CONFIG: &str = "config.toml";

/// Creates a folder and its parents, unless they exist.
///
/// # Errors
/// If a file has this name, or the folder cannot be created.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|why| {
        if folder.is_file() {
            Error::file(folder, "is a file. Choose a folder")
        } else {
            Error::io("create", folder)(why)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The error was "cannot create: File exists".
    #[test]
    fn a_file_in_place_of_a_folder_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        create_folder(&folder.path().join("a/b")).unwrap();
        create_folder(&folder.path().join("a/b")).unwrap();
        let file = folder.path().join("a/b/scan.nii.gz");
        std::fs::write(&file, b"").unwrap();
        let error = create_folder(&file).unwrap_err().to_string();
        assert_eq!(error, format!("{}: is a file. Choose a folder", file.display()));
        let error = create_folder(&file.join("below")).unwrap_err().to_string();
        assert!(error.contains("cannot create"), "{error}");
    }
}
