//! The run folder: creating, resuming, checking and cleaning it; its configuration and split.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lock::{self, Lock};
use super::{checkpoint, evaluation, text};
use crate::disk::RUN_CONFIG;
use crate::disk::atomic::{is_temporary, rename, sync_folder, write_atomic};
use crate::disk::create_folder;
use crate::{Error, Result};

pub(super) const SPLIT: &str = "split.json";
pub(super) const COHORT: &str = "cohort.json";
const CORRECTIONS: &str = "corrections.json";
const EVENTS: &str = "events.jsonl";
const REPORT: &str = "report.json";
pub(super) const CHECKPOINTS: &str = "checkpoints";
pub(super) const PROBES: &str = "probes";

/// A run folder, open for writing (its lock is held) or for reading.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    lock: Option<Lock>,
    warnings: Vec<String>,
}

impl RunFolder {
    /// Creates a new run folder and its parents, locks it, checks that it is writable, and stores the configuration.
    ///
    /// # Errors
    /// If `root` is not empty. The remains of a killed `create`, without a configuration, count as empty. Also if the folder
    /// cannot be created, locked or written.
    pub fn create(root: &Path, config_toml: &str) -> Result<Self> {
        create_folder(root)?;
        refuse_occupied(root)?;
        let (lock, _) = Lock::take(root)?;
        // Another process may have created its run here between the check and the lock.
        refuse_occupied(root)?;
        let run = Self { root: root.to_path_buf(), lock: Some(lock), warnings: Vec::new() };
        run.clean()?;
        let checkpoints = run.checkpoints_path();
        create_folder(&checkpoints)?;
        run.check_writable()?;
        write_atomic(&run.config_path(), config_toml.as_bytes())?;
        Ok(run)
    }

    /// Opens an existing run for writing: locks it, checks that it is writable, and cleans up after a killed process
    /// (temporary files, an interrupted save). [`RunFolder::warnings`] lists the repairs.
    ///
    /// # Errors
    /// If `root` is not a run, is locked by another process, or is not writable.
    pub fn resume(root: &Path) -> Result<Self> {
        refuse_other(root)?;
        let (lock, stale) = Lock::take(root)?;
        let mut run = Self { root: root.to_path_buf(), lock: Some(lock), warnings: Vec::new() };
        if let Some(pid) = stale {
            run.warnings.push(format!("{}: process {pid} ended without releasing this run", root.display()));
        }
        let checkpoints = run.checkpoints_path();
        create_folder(&checkpoints)?;
        run.clean()?;
        run.check_writable()?;
        run.warnings.extend(checkpoint::recover_interrupted_saves(&checkpoints)?);
        Ok(run)
    }

    /// Opens an existing run for reading, without lock or changes; also while it is training.
    ///
    /// # Errors
    /// If `root` is not a run.
    pub fn open(root: &Path) -> Result<Self> {
        refuse_other(root)?;
        Ok(Self { root: root.to_path_buf(), lock: None, warnings: Vec::new() })
    }

    /// True if `root` holds a configuration.
    pub fn is_run(root: &Path) -> bool {
        root.join(RUN_CONFIG).is_file()
    }

    /// Removes a run without events and checkpoints, such as that of a dry run. Keeps any other.
    pub fn discard(&self) -> Result<()> {
        self.require_lock()?;
        if self.events_path().exists() || checkpoint::has_checkpoint(self) {
            return Ok(());
        }
        fs::remove_dir_all(&self.root).map_err(Error::io("remove", &self.root))
    }

    /// Path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Repairs made by [`RunFolder::resume`], one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// True if this process holds the lock and may write.
    pub fn holds_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// Path of `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.root.join(RUN_CONFIG)
    }

    pub(crate) fn split_path(&self) -> PathBuf {
        self.root.join(SPLIT)
    }

    /// Path of `events.jsonl`.
    pub fn events_path(&self) -> PathBuf {
        self.root.join(EVENTS)
    }

    pub(crate) fn checkpoints_path(&self) -> PathBuf {
        self.root.join(CHECKPOINTS)
    }

    /// The stored configuration as text.
    pub fn config_text(&self) -> Result<String> {
        text::read_text(&self.config_path())
    }

    /// Stores the split: training, validation and test patients.
    pub fn write_split<T: Serialize + ?Sized>(&self, split: &T) -> Result<()> {
        self.require_lock()?;
        text::write_json(&self.split_path(), split)
    }

    /// The stored split.
    pub fn read_split<T: DeserializeOwned>(&self) -> Result<T> {
        text::read_json(&self.split_path())
    }

    /// Replaces the configuration, for a cohort whose folder was moved.
    pub fn write_config(&self, config_toml: &str) -> Result<()> {
        self.require_lock()?;
        write_atomic(&self.config_path(), config_toml.as_bytes()).map(drop)
    }

    /// Stores the identity of the cohort.
    pub fn write_cohort<T: Serialize + ?Sized>(&self, identity: &T) -> Result<()> {
        self.require_lock()?;
        text::write_json(&self.root.join(COHORT), identity)
    }

    /// The stored identity of the cohort, by which it is recognised; `None` in a run of an earlier version.
    pub fn read_cohort<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        text::read_json_if_any(&self.root.join(COHORT))
    }

    /// Stores the list of corrected masks that a fine-tuning run trains on, so that a resumed run uses the same ones.
    pub fn write_corrections<T: Serialize + ?Sized>(&self, corrections: &T) -> Result<()> {
        self.require_lock()?;
        text::write_json(&self.root.join(CORRECTIONS), corrections)
    }

    /// The stored list of corrected masks; `None` if the run trains on none.
    pub fn read_corrections<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        text::read_json_if_any(&self.root.join(CORRECTIONS))
    }

    /// Replaces the report. Non-finite numbers become null.
    pub fn write_report<T: Serialize + ?Sized>(&self, report: &T) -> Result<()> {
        self.require_lock()?;
        text::write_json(&self.root.join(REPORT), report)
    }

    /// The report of a finished run.
    ///
    /// # Errors
    /// If it does not exist or is not a `T`.
    pub fn read_report<T: DeserializeOwned>(&self) -> Result<T> {
        text::read_json(&self.root.join(REPORT))
    }

    /// Checks that files can be created, flushed, renamed and removed in the folder and in `checkpoints`. Called by
    /// [`RunFolder::create`] and [`RunFolder::resume`], so a failure shows before the first epoch.
    pub fn check_writable(&self) -> Result<()> {
        for folder in [self.root.clone(), self.checkpoints_path()] {
            let probe = folder.join(format!(".probe.{}.0.tmp", std::process::id()));
            write_atomic(&probe, b"probe")?;
            fs::remove_file(&probe).map_err(Error::io("remove", &probe))?;
        }
        Ok(())
    }

    /// Checks that this process holds the lock and the folder still exists.
    pub(super) fn require_lock(&self) -> Result<()> {
        if self.lock.is_none() {
            return Err(Error::file(&self.root, "the run was opened for reading only"));
        }
        if !self.root.is_dir() {
            return Err(Error::file(&self.root, "the run folder no longer exists. Save its content elsewhere"));
        }
        Ok(())
    }

    /// Removes temporary files of killed writers. The lock is held, so no live writer owns one.
    fn clean(&self) -> Result<()> {
        let probes = self.root.join(PROBES);
        let pinned: Vec<PathBuf> = list(&probes)?.iter().map(fs::DirEntry::path).filter(|path| path.is_dir()).collect();
        for folder in [self.root.clone(), self.checkpoints_path(), probes].iter().chain(&pinned) {
            for entry in list(folder)? {
                if is_temporary(&entry.file_name().to_string_lossy()) && entry.file_type().is_ok_and(|t| !t.is_dir()) {
                    fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
                }
            }
        }
        evaluation::clean(&self.root)
    }

    /// Moves a damaged checkpoint to `checkpoints/damaged`, replacing an earlier one there, so that the next save does not
    /// demote it over a good one.
    pub(super) fn set_aside(&self, slot: &Path) -> Result<()> {
        let damaged = self.checkpoints_path().join("damaged");
        if damaged.exists() {
            fs::remove_dir_all(&damaged).map_err(Error::io("remove", &damaged))?;
        }
        rename(slot, &damaged).map_err(Error::io("rename", slot))?;
        sync_folder(&self.checkpoints_path()).map_err(Error::io("write", &self.checkpoints_path()))
    }
}

/// The entries of a folder; none if it does not exist.
pub(super) fn list(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = || Error::io("list", folder);
    fs::read_dir(folder).map_err(failed())?.collect::<Result<_, _>>().map_err(failed())
}

/// Checks that `root` holds neither a run nor foreign files.
fn refuse_occupied(root: &Path) -> Result<()> {
    if RunFolder::is_run(root) {
        return Err(Error::file(root, "already contains a run. Resume it or choose another folder"));
    }
    for entry in list(root)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name == lock::NAME
            || is_temporary(&name)
            || (name == CHECKPOINTS && list(&entry.path()).is_ok_and(|inner| inner.is_empty()));
        if !ours {
            return Err(Error::file(
                root,
                format!("is neither empty nor a run folder (it contains {name:?}). Choose another folder"),
            ));
        }
    }
    Ok(())
}

/// Checks that `root` is a run.
fn refuse_other(root: &Path) -> Result<()> {
    fs::metadata(root).map_err(Error::io("open", root))?;
    if RunFolder::is_run(root) {
        Ok(())
    } else {
        Err(Error::file(root, format!("is not a run folder. It has no {RUN_CONFIG}")))
    }
}

/// Config diff: one line for each setting that differs, such as `training.lr: 0.0001 -> 0.003`, sorted by name. A setting
/// missing on one side is shown as `absent`.
pub fn diff_config(old: &toml::Value, new: &toml::Value) -> Vec<String> {
    let (left, right) = (flat_settings(old), flat_settings(new));
    let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    let show = |side: &BTreeMap<String, String>, name| side.get(name).map_or("absent".to_owned(), Clone::clone);
    names
        .into_iter()
        .filter(|name| left.get(*name) != right.get(*name))
        .map(|name| format!("{name}: {} -> {}", show(&left, name), show(&right, name)))
        .collect()
}

/// All settings of a configuration by their dotted names, such as `training.lr`, with their values as TOML.
pub fn flat_settings(config: &toml::Value) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    flatten(config, String::new(), &mut settings);
    settings
}

fn flatten(value: &toml::Value, name: String, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, inner) in table {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(inner, name, into);
            }
        }
        leaf => {
            into.insert(name, leaf.to_string());
        }
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
