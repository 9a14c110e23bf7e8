//! The folder of a study: its documents, its runs, and the errors of failed runs. [`crate::study`] defines the content of the
//! documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::checkpoint::Slot;
use super::folder::list;
use super::text::{read_json, read_text};
use super::{evaluation, lock, workspace};
use crate::disk::atomic::{sha256, write_atomic};
use crate::disk::create_folder;
use crate::event::Control;
use crate::{Error, ErrorKind, Result};

/// A study's folder, which need not exist yet.
#[derive(Clone, Debug)]
pub struct StudyFolder(PathBuf);

impl StudyFolder {
    /// The folder at `root`.
    pub fn new(root: &Path) -> Self {
        Self(root.to_path_buf())
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Path of a document.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Path of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.0.join("runs").join(name)
    }

    /// Reads a document, if it exists.
    ///
    /// # Errors
    /// A document that cannot be read or is not a `T`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path(name);
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Creates or replaces a document.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        create_folder(path.parent().unwrap_or(&self.0))?;
        write_atomic(&path, bytes).map(|_| ())
    }

    /// [`Self::write`] as indented JSON.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn write_json<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::file(&self.path(name), e.to_string()))?;
        self.write(name, &bytes)
    }

    /// Stores a text under a name derived from its digest and returns its path.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn store_split(&self, text: &str) -> Result<PathBuf> {
        let name = format!("splits/{}.json", &sha256(text.as_bytes())[..12]);
        if !self.path(&name).exists() {
            self.write(&name, text.as_bytes())?;
        }
        Ok(self.path(&name))
    }

    /// The error that ended a run, if any.
    pub fn failure(&self, run: &str) -> Option<String> {
        read_text(&self.failure_path(run)).ok().map(|why| why.trim().to_owned())
    }

    /// Stores the error that ended a run, or removes it.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn set_failure(&self, run: &str, why: Option<&str>) -> Result<()> {
        let path = self.failure_path(run);
        match why {
            Some(why) => self.write(&format!("failed/{run}.txt"), why.as_bytes()),
            None if path.exists() => fs::remove_file(&path).map_err(Error::io("remove", &path)),
            None => Ok(()),
        }
    }

    fn failure_path(&self, run: &str) -> PathBuf {
        self.path("failed").join(format!("{run}.txt"))
    }

    /// Prepares the folder for runs.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn make_runs(&self) -> Result<()> {
        create_folder(&self.path("runs"))
    }

    /// True if a study was started here.
    pub fn is_started(&self) -> bool {
        ["plan.toml", "splits.json"].iter().all(|name| self.path(name).is_file())
    }

    /// True if a run's held-out patients have been segmented by its last network and measured.
    pub fn is_measured(&self, run: &str) -> bool {
        evaluation::path(&self.run(run), Slot::Last, "evaluation.json").is_file()
    }

    /// True if a process works on a run.
    pub fn is_locked(&self, run: &str) -> bool {
        lock::held_by(&self.run(run)).is_some()
    }

    /// Time of the last change to the study or one of its runs, in seconds since 1970; 0 if unknown.
    pub fn changed(&self) -> f64 {
        let runs = list(&self.path("runs")).unwrap_or_default();
        let runs = runs.iter().map(|run| workspace::changed(&run.path()));
        runs.fold(workspace::newest(&self.0, &["plan.toml", "splits.json", "report.html"]), f64::max)
    }

    /// True if a file of the study exists.
    pub fn has_file(&self, path: &Path) -> bool {
        path.starts_with(&self.0) && path.is_file()
    }

    /// Locks the folder, after waiting for the process that holds its lock.
    ///
    /// # Errors
    /// Cancellation; a folder that cannot be written to.
    pub fn wait_for_lock(&self, control: &Control) -> Result<lock::Lock> {
        create_folder(&self.0)?;
        loop {
            match lock::Lock::take(&self.0) {
                Ok((lock, _)) => return Ok(lock),
                Err(error) if matches!(error.kind(), ErrorKind::Locked { .. }) => control.check()?,
                Err(error) => return Err(error),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Calls `f` with an empty temporary folder of its own. Afterwards also removes the study's folder if it is empty.
    ///
    /// # Errors
    /// Errors of `f`; a folder that cannot be written to or removed.
    pub fn with_scratch<T>(&self, f: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        create_folder(&self.0)?;
        // Other processes may measure the same study, and one that was killed leaves its folder.
        let mut number = 0;
        let folder = loop {
            let folder = self.path(&format!(".estimate-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => break folder,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::io("create", &folder)(error)),
            }
        };
        let outcome = f(&folder);
        fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        // Fails if the folder holds a study, which must stay.
        let _ = fs::remove_dir(&self.0);
        outcome
    }
}

/// Folders with a study, in `root` and one level deeper, by name. Empty if `root` does not exist.
///
/// # Errors
/// If `root` cannot be listed.
pub fn find_studies(root: &Path) -> Result<Vec<PathBuf>> {
    let folders = |of: &Path| -> Result<Vec<PathBuf>> {
        let entries = list(of)?.into_iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        Ok(entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
    };
    let mut studies = Vec::new();
    for path in folders(root)? {
        if StudyFolder::new(&path).is_started() {
            studies.push(path);
        } else {
            // Folders that cannot be listed are skipped; they contain none of the user's studies.
            let inner = folders(&path).unwrap_or_default();
            studies.extend(inner.into_iter().filter(|path| StudyFolder::new(path).is_started()));
        }
    }
    studies.sort();
    Ok(studies)
}

/// Reads a plan's text.
///
/// # Errors
/// A file that cannot be read.
pub fn read_plan(path: &Path) -> Result<String> {
    read_text(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Two estimates at a time shared a folder, and one that was killed made all later ones fail.
    #[test]
    fn every_estimate_has_a_folder_of_its_own() {
        let temp = tempfile::tempdir().unwrap();
        let study = StudyFolder::new(&temp.path().join("study"));
        let nested = study.with_scratch(|one| {
            fs::write(one.join("run"), "").unwrap();
            study.with_scratch(|other| Ok((one != other, list(other)?.len())))
        });
        assert_eq!(nested.unwrap(), (true, 0));
        assert!(!study.root().exists(), "nothing is left behind");
    }

    #[test]
    fn a_process_waits_for_the_lock_until_it_is_released_or_cancelled() {
        let temp = tempfile::tempdir().unwrap();
        let study = StudyFolder::new(&temp.path().join("study"));
        let control = Control::default();
        let held = study.wait_for_lock(&control).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| study.wait_for_lock(&control).map(|_| ()));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!waiting.is_finished());
            drop(held);
            waiting.join().unwrap().unwrap();
        });
        let _held = study.wait_for_lock(&control).unwrap();
        control.set(crate::event::Signal::Cancel);
        assert!(matches!(study.wait_for_lock(&control).unwrap_err().kind(), ErrorKind::Cancelled));
    }
}
