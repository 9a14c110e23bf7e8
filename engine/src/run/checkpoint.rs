//! Checkpoints: complete and checksummed, with at least one on disk at every instant.
//!
//! A checkpoint is a folder of named parts with a `manifest.json` (see [`Manifest`]). Saving `last`:
//!
//! | step | on disk afterwards |
//! |---|---|
//! | 1. write and flush everything to `.last.new.tmp` | last, previous |
//! | 2. rename `previous` to `.previous.old.tmp` | last, the new one, the old one |
//! | 3. rename `last` to `previous` | previous, the new one |
//! | 4. rename `.last.new.tmp` to `last` | last, previous |
//! | 5. remove `.previous.old.tmp` | last, previous |
//!
//! A process may be killed between or within these steps. [`RunFolder::resume`] repairs each of these states; readers without
//! the lock look in all folders. `best` is replaced in the same way, but its predecessor is removed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::RunFolder;
pub use super::manifest::{Manifest, PartEntry, VERSION};
use super::manifest::{exists, read_folder, remove_folder, write_folder};
use crate::disk::atomic::{rename, sync_folder};
use crate::disk::fault;
use crate::{Error, ErrorKind, Result};

/// A checkpoint slot of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The latest checkpoint.
    Last,
    /// The checkpoint before it.
    Previous,
    /// The best checkpoint by validation.
    Best,
}

impl Slot {
    /// Folder name in `checkpoints`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Previous => "previous",
            Self::Best => "best",
        }
    }

    /// Paths that may hold the checkpoint: its final path, and those of an interrupted save.
    fn folders(self, checkpoints: &Path) -> Vec<PathBuf> {
        let folder = checkpoints.join(self.name());
        if exists(&folder) {
            return vec![folder];
        }
        match self {
            Self::Last => vec![new(checkpoints, self)],
            Self::Previous => vec![old(checkpoints, self)],
            Self::Best => vec![new(checkpoints, self), old(checkpoints, self)],
        }
    }
}

/// Staging folder of a new checkpoint.
fn new(checkpoints: &Path, slot: Slot) -> PathBuf {
    checkpoints.join(format!(".{}.new.tmp", slot.name()))
}

/// Folder of a replaced checkpoint until its removal.
fn old(checkpoints: &Path, slot: Slot) -> PathBuf {
    checkpoints.join(format!(".{}.old.tmp", slot.name()))
}

/// The content of a checkpoint. Parts are opaque bytes: weights (safetensors), optimiser state, counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointData {
    /// Completed epochs.
    pub epoch: usize,
    /// Completed steps of the current epoch.
    pub step: usize,
    /// File name and content of each part. Names consist of letters, digits, `.`, `_` and `-`.
    pub parts: Vec<(String, Vec<u8>)>,
}

impl CheckpointData {
    /// The content of the part `name`, if it exists.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.parts.iter().find(|(part, _)| part == name).map(|(_, content)| content.as_slice())
    }

    /// Removes and returns the part `name`.
    ///
    /// # Errors
    /// If the part does not exist; the message lists the existing ones.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>> {
        match self.parts.iter().position(|(part, _)| part == name) {
            Some(index) => Ok(self.parts.swap_remove(index).1),
            None => Err(no_part(Path::new("checkpoint"), name, self.parts.iter().map(|(part, _)| part.as_str()))),
        }
    }
}

fn no_part<'a>(folder: &Path, name: &str, parts: impl Iterator<Item = &'a str>) -> Error {
    let parts: Vec<_> = parts.collect();
    Error::file(folder, format!("has no part {name:?}, only {}", parts.join(", ")))
}

/// Saves `data` as the run's `last` or `best`. The lock must be held.
///
/// Saving `last` turns the present one into `previous`, which cannot be saved itself.
///
/// # Errors
/// On a full disk or a missing folder. Earlier checkpoints are then unchanged, and training may continue.
pub fn save(run: &RunFolder, slot: Slot, data: &CheckpointData) -> Result<()> {
    run.require_lock()?;
    let checkpoints = run.checkpoints_path();
    if slot == Slot::Previous {
        return Err(Error::config("checkpoint", slot.name(), "cannot be saved itself, saving last creates it"));
    }
    let outcome = stage(&checkpoints, slot, data).and_then(|()| promote(&checkpoints, slot));
    if outcome.is_err() {
        // Undo failed renames and remove the staging folder. The first error is returned.
        let _ = recover_interrupted_saves(&checkpoints);
    }
    outcome
}

/// Step 1: writes and flushes everything to the staging folder.
fn stage(checkpoints: &Path, slot: Slot, data: &CheckpointData) -> Result<()> {
    let staged = new(checkpoints, slot);
    remove_folder(&staged)?;
    write_folder(&staged, data)?;
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    pass("checkpoint-staged", checkpoints)
}

/// Steps 2 to 5: renames in an order that always leaves a complete checkpoint under a known name.
fn promote(checkpoints: &Path, slot: Slot) -> Result<()> {
    let moved = |from: &Path, to: &Path| rename(from, to).map_err(Error::io("rename", from));
    let folder = checkpoints.join(slot.name());
    // The slot to remove: `last` replaces `previous`, `best` replaces itself.
    let dropped = if slot == Slot::Last { Slot::Previous } else { slot };
    let aside = old(checkpoints, dropped);
    if exists(&folder) {
        remove_folder(&aside)?;
        let leaving = checkpoints.join(dropped.name());
        if exists(&leaving) {
            moved(&leaving, &aside)?;
        }
        pass("checkpoint-aside", checkpoints)?;
        if dropped != slot {
            moved(&folder, &leaving)?;
        }
        pass("checkpoint-demoted", checkpoints)?;
    }
    moved(&new(checkpoints, slot), &folder)?;
    pass("checkpoint-promoted", checkpoints)?;
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    remove_folder(&aside)
}

fn pass(point: &str, checkpoints: &Path) -> Result<()> {
    fault::point(point).map_err(Error::io("write", checkpoints))
}

/// Repairs every state that a killed save can leave in `checkpoints`: if a slot is empty, moves the complete new checkpoint
/// there, or else restores the replaced one; removes the rest. Returns the repairs, one line each. The lock must be held.
pub(super) fn recover_interrupted_saves(checkpoints: &Path) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for slot in [Slot::Last, Slot::Best] {
        let (folder, staged) = (checkpoints.join(slot.name()), new(checkpoints, slot));
        if !exists(&folder) && exists(&staged) && read_folder(&staged).is_ok() {
            rename(&staged, &folder).map_err(Error::io("rename", &staged))?;
            notes.push(format!("{}: completed an interrupted save", folder.display()));
        }
        remove_folder(&staged)?;
    }
    for slot in [Slot::Previous, Slot::Best] {
        let (folder, aside) = (checkpoints.join(slot.name()), old(checkpoints, slot));
        if !exists(&folder) && exists(&aside) {
            rename(&aside, &folder).map_err(Error::io("rename", &aside))?;
            notes.push(format!("{}: restored after an interrupted save", folder.display()));
        }
        remove_folder(&aside)?;
    }
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    Ok(notes)
}

/// True if the run has a checkpoint to resume from.
pub fn has_checkpoint(run: &RunFolder) -> bool {
    let checkpoints = run.checkpoints_path();
    let folders = [Slot::Last, Slot::Previous].into_iter().flat_map(|slot| slot.folders(&checkpoints));
    folders.into_iter().any(|folder| exists(&folder))
}

/// Loads the latest complete and undamaged checkpoint. The second value holds warnings, one line each.
///
/// If `last` is damaged or missing, `previous` is loaded with a warning. If the lock is held, the damaged one is moved to
/// `checkpoints/damaged`, so that the next save does not demote it over the good one.
///
/// # Errors
/// If both are unusable, the error of `last`. Also if `last` has another format version: resuming from `previous` would
/// discard the work of a newer program.
pub fn load(run: &RunFolder) -> Result<(CheckpointData, Vec<String>)> {
    let checkpoint = first_good(run, &[Slot::Last, Slot::Previous], read_folder)?;
    let last = run.checkpoints_path().join(Slot::Last.name());
    if run.holds_lock() && checkpoint.slot == Slot::Previous && exists(&last) {
        run.set_aside(&last)?;
    }
    Ok((checkpoint.content, checkpoint.warnings))
}

/// Reads the manifest of a checkpoint, without its parts.
///
/// # Errors
/// If it is missing or damaged.
pub fn manifest(run: &RunFolder, slot: Slot) -> Result<Manifest> {
    Ok(first_good(run, &[slot], Manifest::read)?.content)
}

/// Content read from the first usable of several slots.
#[derive(Clone, Debug)]
pub struct SlotContent<T> {
    /// What was read.
    pub content: T,
    /// The slot it was read from.
    pub slot: Slot,
    /// Reasons why earlier slots were not usable, one line each.
    pub warnings: Vec<String>,
}

/// Loads and verifies the part `name`, such as the weights, from the first undamaged of `slots`. Works without the lock,
/// also while the run is training.
///
/// # Errors
/// If no slot is usable, or the part does not exist.
pub fn load_part(run: &RunFolder, slots: &[Slot], name: &str) -> Result<SlotContent<Vec<u8>>> {
    first_good(run, slots, |folder| {
        let manifest = Manifest::read(folder)?;
        match manifest.parts.iter().find(|part| part.name == name) {
            Some(entry) => Manifest::read_part(folder, entry),
            None => Err(no_part(folder, name, manifest.parts.iter().map(|part| part.name.as_str()))),
        }
    })
}

/// Reads the first usable of `slots`. Without the lock, a concurrent save may move folders between two reads, so a
/// failure is retried.
fn first_good<T>(run: &RunFolder, slots: &[Slot], read: impl Fn(&Path) -> Result<T>) -> Result<SlotContent<T>> {
    let mut attempt = 0;
    loop {
        let outcome = first_good_now(run, slots, &read);
        attempt += 1;
        if run.holds_lock() || attempt == 3 || outcome.as_ref().is_ok_and(|slot| slot.warnings.is_empty()) {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn first_good_now<T>(run: &RunFolder, slots: &[Slot], read: &impl Fn(&Path) -> Result<T>) -> Result<SlotContent<T>> {
    let checkpoints = run.checkpoints_path();
    // The first damage is reported, absence only if there is no damage.
    let (mut damage, mut absent): (Vec<Error>, _) = (Vec::new(), Vec::new());
    for slot in slots {
        for folder in slot.folders(&checkpoints) {
            if !exists(&folder) {
                absent.push(slot.name());
                continue;
            }
            match read(&folder) {
                Ok(content) => {
                    let instead = format!("{} is used instead", slot.name());
                    let damage = damage.iter().map(|error| format!("{error}. {instead}"));
                    // Only a missing `last` is worth a warning: `best` does not exist before a validation.
                    let missing = absent.iter().filter(|name| **name == Slot::Last.name());
                    let missing =
                        missing.map(|name| format!("{}: {name} is missing. {instead}", checkpoints.display()));
                    let warnings = damage.chain(missing).collect();
                    return Ok(SlotContent { content, slot: *slot, warnings });
                }
                Err(error) if matches!(error.kind(), ErrorKind::Version { .. }) => return Err(error),
                Err(error) => damage.push(error),
            }
        }
    }
    if damage.is_empty() {
        let names: Vec<_> = slots.iter().map(|slot| slot.name()).collect();
        let why = match slots {
            [Slot::Best] => ", because no validation chose one. Use the last network, or train with validation",
            _ => "",
        };
        return Err(Error::file(&checkpoints, format!("has no checkpoint {}{why}", names.join(" or "))));
    }
    Err(damage.swap_remove(0))
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
