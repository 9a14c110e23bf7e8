//! The NIfTI files under a folder, in a fixed order.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Folders are searched this deep: `root/HGG/patient/file` and one to spare.
const DEPTH: usize = 4;

/// A NIfTI file by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scan {
    pub path: PathBuf,
    /// The name without `.nii` or `.nii.gz`.
    pub stem: String,
}

/// The files of one folder.
pub(super) struct Folder {
    pub path: PathBuf,
    pub scans: Vec<Scan>,
}

/// The name without its NIfTI ending, if it has one. Hidden files (`._t1.nii.gz` of some archives) are none.
pub(super) fn stem(name: &str) -> Option<&str> {
    let lower = name.to_ascii_lowercase();
    let length = [".nii.gz", ".nii"].iter().find_map(|ending| lower.strip_suffix(ending))?.len();
    (length > 0 && !name.starts_with('.')).then(|| &name[..length])
}

/// The scans directly in a folder, by name.
pub(super) fn scans_in(folder: &Path) -> Result<Vec<Scan>> {
    Ok(entries(folder)?.0)
}

/// Every folder under `root`, itself included, that holds scans, by path.
pub(super) fn folders(root: &Path) -> Result<Vec<Folder>> {
    let mut found = Vec::new();
    let mut level = vec![root.to_path_buf()];
    for _ in 0..=DEPTH {
        let mut next = Vec::new();
        for path in level {
            let (scans, inner) = entries(&path)?;
            if !scans.is_empty() {
                found.push(Folder { path, scans });
            }
            next.extend(inner);
        }
        level = next;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn entries(folder: &Path) -> Result<(Vec<Scan>, Vec<PathBuf>)> {
    let (mut scans, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
        if path.is_dir() {
            if !name.starts_with('.') {
                folders.push(path);
            }
        } else if let Some(stem) = stem(&name) {
            scans.push(Scan { stem: stem.to_owned(), path });
        }
    }
    scans.sort();
    folders.sort();
    Ok((scans, folders))
}
