//! The folder `evaluation` of a fine-tuned run: the masks of its held-out patients and `evaluation.json`.
//!
//! A new evaluation is written beside the old one and takes its place whole.

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

/// Where the mask of this name lies once the evaluation has its place. The name must be plain.
pub(crate) fn path(run: &Path, name: &str) -> PathBuf {
    run.join(FOLDER).join(name)
}

/// An evaluation that is being made; what it wrote is gone if it is dropped before [`Staged::finish`].
pub(crate) struct Staged<'a> {
    run: &'a RunFolder,
    folder: PathBuf,
}

impl<'a> Staged<'a> {
    /// An empty folder. The run's lock must be held.
    pub fn new(run: &'a RunFolder) -> Result<Self> {
        run.require_lock()?;
        let folder = run.root().join(STAGED);
        remove_folder(&folder)?;
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self { run, folder })
    }

    /// Where the mask of this name is to be written.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes the document and puts everything in place of an earlier evaluation.
    pub fn finish<T: Serialize>(self, document: &T) -> Result<()> {
        self.run.require_lock()?;
        write_json(&self.folder.join(DOCUMENT), document)?;
        let place = self.run.root().join(FOLDER);
        remove_folder(&place)?;
        rename(&self.folder, &place).map_err(Error::io("write", &place))?;
        sync_folder(self.run.root()).map_err(Error::io("write", self.run.root()))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // Best effort, and nothing to do after a finish: what is left is removed by the next evaluation.
        let _ = remove_folder(&self.folder);
    }
}

/// Removes what a killed evaluation left. The run's lock must be held.
pub(super) fn clean(run: &Path) -> Result<()> {
    remove_folder(&run.join(STAGED))
}

/// The stored evaluation, if there is one.
pub(crate) fn read<T: DeserializeOwned>(run: &Path) -> Result<Option<T>> {
    let path = run.join(FOLDER).join(DOCUMENT);
    if path.is_file() { read_json(&path).map(Some) } else { Ok(None) }
}

/// Mean Dice of the stored evaluation, if it can be read, and which part of the split it is of.
pub(super) fn mean_dice(run: &RunFolder) -> Option<(f64, String)> {
    let document: serde_json::Value = read(run.root()).ok()??;
    let part = document.get("part")?.as_str()?.to_owned();
    Some((document.get("mean")?.get("dsc")?.as_f64()?, part))
}
