//! The folder `evaluation` of a fine-tuned run: segmentations of its held-out patients and `evaluation.json`.
//!
//! A new evaluation is written to a staging folder that then replaces the old one.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunFolder;
use super::atomic::{rename, sync_folder};
use super::manifest::remove_folder;
use super::text::{read_json, write_json};
use crate::{Error, Result};

const FOLDER: &str = "evaluation";
const STAGED: &str = ".evaluation.new.tmp";
const DOCUMENT: &str = "evaluation.json";

/// Final path of a segmentation. `name` must be a plain file name.
pub(crate) fn path(run: &Path, name: &str) -> PathBuf {
    run.join(FOLDER).join(name)
}

/// An evaluation in progress. Its files are removed if it is dropped before [`StagedEvaluation::finish`].
pub(crate) struct StagedEvaluation<'a> {
    run: &'a RunFolder,
    folder: PathBuf,
}

impl<'a> StagedEvaluation<'a> {
    /// Creates an empty staging folder. The run's lock must be held.
    pub fn new(run: &'a RunFolder) -> Result<Self> {
        run.require_lock()?;
        let folder = run.root().join(STAGED);
        remove_folder(&folder)?;
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self { run, folder })
    }

    /// Path to write a segmentation to.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the document and replaces the earlier evaluation.
    pub fn finish<T: Serialize>(self, document: &T) -> Result<()> {
        self.run.require_lock()?;
        write_json(&self.folder.join(DOCUMENT), document)?;
        let place = self.run.root().join(FOLDER);
        remove_folder(&place)?;
        rename(&self.folder, &place).map_err(Error::io("write", &place))?;
        sync_folder(self.run.root()).map_err(Error::io("write", self.run.root()))
    }
}

impl Drop for StagedEvaluation<'_> {
    fn drop(&mut self) {
        // Best effort: the next evaluation removes what is left. After `finish` nothing is.
        let _ = remove_folder(&self.folder);
    }
}

/// Removes the staging folder of a killed evaluation. The run's lock must be held.
pub(super) fn clean(run: &Path) -> Result<()> {
    remove_folder(&run.join(STAGED))
}

/// The stored evaluation, if there is one.
pub(crate) fn read<T: DeserializeOwned>(run: &Path) -> Result<Option<T>> {
    let path = run.join(FOLDER).join(DOCUMENT);
    if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
}

/// Mean Dice of the stored evaluation and the part of the split it was measured on.
pub(super) fn mean_dice(run: &RunFolder) -> Option<(f64, String)> {
    let document: serde_json::Value = read(run.root()).ok()??;
    let part = document.get("part")?.as_str()?.to_owned();
    Some((document.get("mean")?.get("dsc")?.as_f64()?, part))
}
