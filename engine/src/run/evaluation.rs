//! The folders `evaluation` and `evaluation-best` of a fine-tuned run: segmentations of its held-out patients by the last and by
//! the best network, and `evaluation.json`.
//!
//! A new evaluation is written to a staging folder that then replaces the old one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunFolder;
use super::checkpoint::Slot;
use super::manifest::remove_folder;
use super::text::{read_json_if_any, write_json};
use crate::disk::atomic::{rename, sync_folder};
use crate::{Error, Result};

const DOCUMENT: &str = "evaluation.json";

/// Folder of the evaluation of a checkpoint.
fn folder(run: &Path, slot: Slot) -> PathBuf {
    run.join(if slot == Slot::Best { "evaluation-best" } else { "evaluation" })
}

/// Folder of an incomplete evaluation.
fn staging_folder(run: &Path, slot: Slot) -> PathBuf {
    run.join(if slot == Slot::Best { ".evaluation-best.new.tmp" } else { ".evaluation.new.tmp" })
}

/// Final path of a segmentation by the network of a checkpoint. `name` must be a plain file name.
pub(crate) fn path(run: &Path, slot: Slot, name: &str) -> PathBuf {
    folder(run, slot).join(name)
}

/// An evaluation in progress. Its files are removed if it is dropped before [`StagedEvaluation::finish`].
pub(crate) struct StagedEvaluation<'a> {
    run: &'a RunFolder,
    slot: Slot,
    folder: PathBuf,
}

impl<'a> StagedEvaluation<'a> {
    /// Creates an empty staging folder. The run's lock must be held.
    pub fn new(run: &'a RunFolder, slot: Slot) -> Result<Self> {
        run.require_lock()?;
        let folder = staging_folder(run.root(), slot);
        remove_folder(&folder)?;
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self { run, slot, folder })
    }

    /// Path to write a segmentation to.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the document and replaces the earlier evaluation.
    pub fn finish<T: Serialize>(self, document: &T) -> Result<()> {
        self.run.require_lock()?;
        write_json(&self.folder.join(DOCUMENT), document)?;
        let target = folder(self.run.root(), self.slot);
        remove_folder(&target)?;
        rename(&self.folder, &target).map_err(Error::io("write", &target))?;
        sync_folder(self.run.root()).map_err(Error::io("write", self.run.root()))
    }
}

impl Drop for StagedEvaluation<'_> {
    fn drop(&mut self) {
        // Best effort: the next evaluation removes the rest. No-op after `finish`.
        let _ = remove_folder(&self.folder);
    }
}

/// Removes the staging folders of killed evaluations. The run's lock must be held.
pub(super) fn clean(run: &Path) -> Result<()> {
    [Slot::Last, Slot::Best].into_iter().try_for_each(|slot| remove_folder(&staging_folder(run, slot)))
}

/// The stored evaluation of a checkpoint, if there is one.
pub(crate) fn read<T: DeserializeOwned>(run: &Path, slot: Slot) -> Result<Option<T>> {
    read_json_if_any(&path(run, slot, DOCUMENT))
}

/// Mean Dice of the stored evaluation of a checkpoint, and the part of the split it was measured on.
pub(super) fn mean_dice(run: &RunFolder, slot: Slot) -> Option<(f64, String)> {
    let document: serde_json::Value = read(run.root(), slot).ok()??;
    let part = document.get("part")?.as_str()?.to_owned();
    Some((document.get("mean")?.get("dsc")?.as_f64()?, part))
}
