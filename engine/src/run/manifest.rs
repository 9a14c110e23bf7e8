//! Format of a checkpoint folder: named parts and `manifest.json`, which records their sizes and checksums.
//!
//! Files may be damaged or hostile, so names, sizes and checksums are checked before use.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::CheckpointData;
use super::text::read_limited;
use crate::disk::atomic::{sha256, sync_folder, write_new};
use crate::{Error, ErrorKind, Result};

/// Checkpoint format version of this program.
pub const VERSION: u64 = 1;
/// File name of the manifest.
pub(super) const MANIFEST: &str = "manifest.json";
/// Size limit of a manifest in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Size limit of a part in bytes.
const MAX_PART_BYTES: u64 = 16 << 30;

/// Description of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version.
    pub version: u64,
    /// Completed epochs.
    pub epoch: usize,
    /// Completed steps of the current epoch.
    pub step: usize,
    /// The files, in the order of [`CheckpointData::parts`].
    pub parts: Vec<PartEntry>,
    /// SHA-256 over the compact JSON of `[version, epoch, step, parts]`, to detect damage.
    pub sha256: String,
}

/// One file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartEntry {
    /// File name inside the checkpoint's folder.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: String,
}

impl Manifest {
    fn digest(&self) -> Result<String> {
        let fields = (self.version, self.epoch, self.step, &self.parts);
        let bytes = serde_json::to_vec(&fields).map_err(|error| Error::file(Path::new(MANIFEST), error.to_string()))?;
        Ok(sha256(&bytes))
    }

    /// Reads the manifest of the checkpoint in `folder` and checks its version, checksum and part names.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let kind = fs::symlink_metadata(folder).map_err(Error::io("read", folder))?;
        if !kind.is_dir() {
            return Err(Error::file(folder, "is not a folder"));
        }
        let path = folder.join(MANIFEST);
        let bytes = read_limited(&path, MAX_MANIFEST_BYTES)?;
        let damaged = |error: serde_json::Error| Error::file(&path, format!("is damaged: {error}"));
        // Check the version first: another version may have other fields.
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        match value.get("version") {
            None => return Err(Error::file(&path, "is damaged. The version is missing")),
            Some(found) if found.as_u64() != Some(VERSION) => {
                let (found, supported) = (found.to_string(), VERSION.to_string());
                return Err(ErrorKind::Version { path, found, supported }.into());
            }
            Some(_) => {}
        }
        let manifest: Self = serde_json::from_value(value).map_err(damaged)?;
        let found = manifest.digest()?;
        if found != manifest.sha256 {
            return Err(ErrorKind::Checksum { path, found, recorded: manifest.sha256 }.into());
        }
        check_names(&path, manifest.parts.iter().map(|part| part.name.as_str()))?;
        Ok(manifest)
    }

    /// Reads one part and checks its length and checksum.
    pub(super) fn read_part(folder: &Path, entry: &PartEntry) -> Result<Vec<u8>> {
        let path = folder.join(&entry.name);
        let failed = || Error::io("read", &path);
        let kind = fs::symlink_metadata(&path).map_err(failed())?;
        if !kind.is_file() {
            return Err(Error::file(&path, "is not a regular file"));
        }
        if kind.len() != entry.bytes {
            return Err(Error::file(
                &path,
                format!("has {} bytes, expected {}. The file is damaged", kind.len(), entry.bytes),
            ));
        }
        let mut bytes = Vec::new();
        if entry.bytes > MAX_PART_BYTES || bytes.try_reserve_exact(entry.bytes as usize).is_err() {
            let (what, needed_mib) = (path.display().to_string(), entry.bytes >> 20);
            return Err(ErrorKind::Memory { what, needed_mib, allowed_mib: MAX_PART_BYTES >> 20 }.into());
        }
        File::open(&path).map_err(failed())?.take(entry.bytes).read_to_end(&mut bytes).map_err(failed())?;
        let found = sha256(&bytes);
        if found != entry.sha256 {
            return Err(ErrorKind::Checksum { path, found, recorded: entry.sha256.clone() }.into());
        }
        Ok(bytes)
    }
}

/// Writes a complete checkpoint to the new folder `folder` and flushes it to the disk. The manifest is written last.
pub(super) fn write_folder(folder: &Path, data: &CheckpointData) -> Result<()> {
    check_names(folder, data.parts.iter().map(|(name, _)| name.as_str()))?;
    fs::create_dir(folder).map_err(Error::io("create", folder))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        write_new(&path, bytes).map_err(Error::io("write", &path))
    };
    let mut parts = Vec::with_capacity(data.parts.len());
    for (name, bytes) in &data.parts {
        parts.push(PartEntry { name: name.clone(), bytes: bytes.len() as u64, sha256: write(name, bytes)? });
    }
    let mut manifest = Manifest { version: VERSION, epoch: data.epoch, step: data.step, parts, sha256: String::new() };
    manifest.sha256 = manifest.digest()?;
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| Error::file(folder, error.to_string()))?;
    write(MANIFEST, &text)?;
    sync_folder(folder).map_err(Error::io("write", folder))
}

/// Reads and verifies a whole checkpoint folder.
pub(super) fn read_folder(folder: &Path) -> Result<CheckpointData> {
    let manifest = Manifest::read(folder)?;
    let part = |entry: &PartEntry| Ok((entry.name.clone(), Manifest::read_part(folder, entry)?));
    let parts = manifest.parts.iter().map(part).collect::<Result<_>>()?;
    Ok(CheckpointData { epoch: manifest.epoch, step: manifest.step, parts })
}

/// Removes a folder with its content, or a file or link at that path, if it exists. Links are not followed.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    let is_file = fs::symlink_metadata(folder).is_ok_and(|kind| !kind.is_dir());
    match if is_file { fs::remove_file(folder) } else { fs::remove_dir_all(folder) } {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// True if `path` exists. A broken link counts as existing.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Checks that every name is a plain file name and unique, also against the manifest's. `path` is named in the error.
fn check_names<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let why = if name.is_empty() || name.len() > 100 {
            "must have 1 to 100 characters"
        } else if name.starts_with('.') || name.ends_with('.') || !name.chars().all(plain) {
            "must be a plain file name of letters, digits, '.', '_' and '-'"
        } else if name.eq_ignore_ascii_case(MANIFEST) || !seen.insert(name.to_ascii_lowercase()) {
            "occurs twice or is reserved"
        } else {
            continue;
        };
        let shown: String = name.chars().take(100).collect();
        return Err(Error::field(path, "part name", format!("{shown:?}"), why));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn data() -> CheckpointData {
        let parts = vec![("model.bin".to_owned(), vec![7; 100]), ("state.json".to_owned(), b"{}".to_vec())];
        CheckpointData { epoch: 3, step: 4, parts }
    }

    /// Writes a manifest with a correct checksum.
    fn forge(folder: &Path, change: impl FnOnce(&mut Manifest)) {
        let mut manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST)).unwrap()).unwrap();
        change(&mut manifest);
        manifest.sha256 = manifest.digest().unwrap();
        fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    fn refused(change: impl FnOnce(&mut Manifest)) -> Error {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        fs::write(keep.path().join("outside"), [7; 100]).unwrap();
        forge(&folder, change);
        read_folder(&folder).unwrap_err()
    }

    #[test]
    fn a_checkpoint_folder_is_read_back_as_written() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        assert_eq!(read_folder(&folder).unwrap(), data());
        assert!(write_folder(&folder, &data()).is_err(), "an existing folder is never written into");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in
            ["../outside", "..", ".", "", "/etc/passwd", "a/b", "a\\b", "c:x", ".hidden", "nul\0", "Manifest.json"]
        {
            let error = refused(|manifest| manifest.parts[0].name = name.into());
            let ErrorKind::Field { field, .. } = error.kind() else { panic!("{name:?}: {error}") };
            assert_eq!(field, "part name");
            let own = CheckpointData { parts: vec![(name.into(), Vec::new())], ..data() };
            let keep = tempfile::tempdir().unwrap();
            assert!(write_folder(&keep.path().join("last"), &own).is_err());
            assert_eq!(fs::read_dir(keep.path()).unwrap().count(), 0, "refused before anything is made");
        }
        let error = refused(|manifest| manifest.parts[1].name = "Model.BIN".into());
        assert!(error.to_string().contains("occurs twice"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        fs::rename(folder.join("model.bin"), keep.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../outside", folder.join("model.bin")).unwrap();
        let text = read_folder(&folder).unwrap_err().to_string();
        assert!(text.contains("not a regular file"), "{text}");
        std::os::unix::fs::symlink("last", keep.path().join("linked")).unwrap();
        assert!(Manifest::read(&keep.path().join("linked")).unwrap_err().to_string().contains("not a folder"));
    }

    #[test]
    fn a_false_size_is_refused() {
        for bytes in [0, 99, 101, u64::MAX, 1 << 50] {
            let text = refused(|manifest| manifest.parts[0].bytes = bytes).to_string();
            assert!(text.contains("has 100 bytes") && text.contains(&bytes.to_string()), "{text}");
        }
    }

    #[test]
    fn a_huge_sparse_part_is_not_loaded() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        let length = MAX_PART_BYTES + 1;
        if File::options().write(true).open(folder.join("model.bin")).unwrap().set_len(length).is_err() {
            eprintln!("skipped: no sparse files here");
            return;
        }
        forge(&folder, |manifest| manifest.parts[0].bytes = length);
        let error = read_folder(&folder).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Memory { .. }), "{error}");
    }

    #[test]
    fn a_changed_number_fails_the_checksum() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        let path = folder.join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap();
        for (from, to) in [("\"epoch\": 3", "\"epoch\": 2"), ("\"step\": 4", "\"step\": 5")] {
            assert!(text.contains(from));
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = read_folder(&folder).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Checksum { .. }), "{error}");
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let keep = tempfile::tempdir().unwrap();
        let folder = keep.path().join("last");
        write_folder(&folder, &data()).unwrap();
        let path = folder.join(MANIFEST);
        for found in ["2", "\"x\"", "-1"] {
            fs::write(&path, format!("{{\"version\": {found}, \"other\": []}}")).unwrap();
            let error = read_folder(&folder).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Version { .. }), "{error}");
            assert!(error.to_string().contains(&format!("version {found}, but this program reads 1")), "{error}");
        }
        for damaged in ["", "[]", "{", "{\"version\": 1}", "[[[["] {
            fs::write(&path, damaged).unwrap();
            let text = read_folder(&folder).unwrap_err().to_string();
            assert!(text.contains("is damaged"), "{damaged:?}: {text}");
        }
    }
}
