//! Checkpoints: complete, checksummed, and at every instant at least one of them on disk.
//!
//! A checkpoint is a folder of named parts with a `manifest.json` (see [`Manifest`]). Saving `last`:
//!
//! | step | afterwards on disk |
//! |---|---|
//! | 1. write and flush everything to `.last.new.tmp` | last, previous |
//! | 2. rename `previous` to `.previous.old.tmp` | last, the new one, the old one |
//! | 3. rename `last` to `previous` | previous, the new one |
//! | 4. rename `.last.new.tmp` to `last` | last, previous |
//! | 5. remove `.previous.old.tmp` | last, previous |
//!
//! A process may be killed between any two steps, or within one. [`RunFolder::resume`] puts each
//! of these states right; readers without the lock look through them instead. `best` is replaced in the same way,
//! but its predecessor is dropped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::atomic::{rename, sync_folder};
use super::fault;
use super::folder::RunFolder;
pub use super::manifest::{Manifest, PartEntry, VERSION};
use super::manifest::{exists, read_folder, remove_folder, write_folder};
use crate::{Error, ErrorKind, Result};

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The newest.
    Last,
    /// The one before it.
    Previous,
    /// The best by validation.
    Best,
}

impl Slot {
    /// Name of its folder inside `checkpoints`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Previous => "previous",
            Self::Best => "best",
        }
    }

    /// Where it is, from the finished place to those that a killed save may have left it in.
    fn places(self, checkpoints: &Path) -> Vec<PathBuf> {
        let place = checkpoints.join(self.name());
        if exists(&place) {
            return vec![place];
        }
        match self {
            Self::Last => vec![new(checkpoints, self)],
            Self::Previous => vec![old(checkpoints, self)],
            Self::Best => vec![new(checkpoints, self), old(checkpoints, self)],
        }
    }
}

/// Where a checkpoint is written before it gets its place.
fn new(checkpoints: &Path, slot: Slot) -> PathBuf {
    checkpoints.join(format!(".{}.new.tmp", slot.name()))
}

/// Where a checkpoint waits for its removal.
fn old(checkpoints: &Path, slot: Slot) -> PathBuf {
    checkpoints.join(format!(".{}.old.tmp", slot.name()))
}

/// The content of a checkpoint. Parts are opaque bytes: weights (safetensors), optimiser, counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointData {
    /// Epochs that are done.
    pub epoch: usize,
    /// Steps of the epoch under way that are done.
    pub step: usize,
    /// File name and content of each part; plain file names of letters, digits, `.`, `_` and `-`.
    pub parts: Vec<(String, Vec<u8>)>,
}

impl CheckpointData {
    /// The content of the part `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.parts.iter().find(|(part, _)| part == name).map(|(_, content)| content.as_slice())
    }

    /// Takes the part `name` out; an error naming the parts there are if it is absent.
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

/// Saves `data` as the run's `last` (the present one becomes `previous`) or `best`.
///
/// On an error (full disk, vanished folder) the earlier checkpoints are as they were, and the run may go on. The lock
/// must be held. `previous` cannot be saved: it is made by saving `last`.
pub fn save(run: &RunFolder, slot: Slot, data: &CheckpointData) -> Result<()> {
    run.require_lock()?;
    let checkpoints = run.checkpoints_path();
    if slot == Slot::Previous {
        return Err(Error::config("checkpoint", slot.name(), "it is made by saving last, never saved itself"));
    }
    let outcome = stage(&checkpoints, slot, data).and_then(|()| promote(&checkpoints, slot));
    if outcome.is_err() {
        // Puts back what a failed rename left between two places, and removes what was staged; the first error counts.
        let _ = settle(&checkpoints);
    }
    outcome
}

/// Step 1: everything is written and flushed beside its place.
fn stage(checkpoints: &Path, slot: Slot, data: &CheckpointData) -> Result<()> {
    let staged = new(checkpoints, slot);
    remove_folder(&staged)?;
    write_folder(&staged, data)?;
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    pass("checkpoint-staged", checkpoints)
}

/// Steps 2 to 5: renames, in an order that always leaves one complete checkpoint with a known name.
fn promote(checkpoints: &Path, slot: Slot) -> Result<()> {
    let moved = |from: &Path, to: &Path| rename(from, to).map_err(Error::io("rename", from));
    let place = checkpoints.join(slot.name());
    // What must make room, and where it goes: a `last` becomes `previous`, a `best` is dropped.
    let dropped = if slot == Slot::Last { Slot::Previous } else { slot };
    let aside = old(checkpoints, dropped);
    if exists(&place) {
        remove_folder(&aside)?;
        let leaving = checkpoints.join(dropped.name());
        if exists(&leaving) {
            moved(&leaving, &aside)?;
        }
        pass("checkpoint-aside", checkpoints)?;
        if dropped != slot {
            moved(&place, &leaving)?;
        }
        pass("checkpoint-demoted", checkpoints)?;
    }
    moved(&new(checkpoints, slot), &place)?;
    pass("checkpoint-promoted", checkpoints)?;
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    remove_folder(&aside)
}

fn pass(point: &str, checkpoints: &Path) -> Result<()> {
    fault::point(point).map_err(Error::io("write", checkpoints))
}

/// Puts every state that a killed save can leave in `checkpoints` right: a complete new checkpoint whose place is
/// empty gets its place, a removed one whose place is empty is put back, the rest is removed. Returns what was
/// completed or put back, one line each. The lock must be held.
pub(super) fn settle(checkpoints: &Path) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for slot in [Slot::Last, Slot::Best] {
        let (place, staged) = (checkpoints.join(slot.name()), new(checkpoints, slot));
        if !exists(&place) && exists(&staged) && read_folder(&staged).is_ok() {
            rename(&staged, &place).map_err(Error::io("rename", &staged))?;
            notes.push(format!("{}: completed a save that was cut short", place.display()));
        }
        remove_folder(&staged)?;
    }
    for slot in [Slot::Previous, Slot::Best] {
        let (place, aside) = (checkpoints.join(slot.name()), old(checkpoints, slot));
        if !exists(&place) && exists(&aside) {
            rename(&aside, &place).map_err(Error::io("rename", &aside))?;
            notes.push(format!("{}: put back after a save that was cut short", place.display()));
        }
        remove_folder(&aside)?;
    }
    sync_folder(checkpoints).map_err(Error::io("write", checkpoints))?;
    Ok(notes)
}

/// True if the run has a checkpoint to resume from; false for a run that ended before its first one was complete.
pub fn has_checkpoint(run: &RunFolder) -> bool {
    let checkpoints = run.checkpoints_path();
    let places = [Slot::Last, Slot::Previous].into_iter().flat_map(|slot| slot.places(&checkpoints));
    places.into_iter().any(|place| exists(&place))
}

/// The newest checkpoint that is complete and undamaged, and what had to be said on the way to it, one line each.
///
/// A damaged or missing `last` gives `previous` and a warning that names the damage; if the lock is held the damaged
/// one is moved to `checkpoints/damaged`, so that the next save does not demote it over the good one. If both are
/// unusable, the error is that of `last`. A `last` of another format version is refused without looking further:
/// going back behind a newer program's work would lose it.
pub fn load(run: &RunFolder) -> Result<(CheckpointData, Vec<String>)> {
    let found = first_good(run, &[Slot::Last, Slot::Previous], read_folder)?;
    let last = run.checkpoints_path().join(Slot::Last.name());
    if run.holds_lock() && found.slot == Slot::Previous && exists(&last) {
        run.set_aside(&last)?;
    }
    Ok((found.content, found.warnings))
}

/// One checkpoint of the run, complete and undamaged, or the reason why it is not.
pub fn load_slot(run: &RunFolder, slot: Slot) -> Result<CheckpointData> {
    Ok(first_good(run, &[slot], read_folder)?.content)
}

/// What one checkpoint of the run consists of, without reading its parts.
pub fn manifest(run: &RunFolder, slot: Slot) -> Result<Manifest> {
    Ok(first_good(run, &[slot], Manifest::read)?.content)
}

/// Something read from the first usable of several checkpoints.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// What was read.
    pub content: T,
    /// Where.
    pub slot: Slot,
    /// Why the checkpoints before it were passed over, one line each.
    pub warnings: Vec<String>,
}

/// The verified content of the part `name` (say, the weights), from the first of `slots` that is there and undamaged;
/// for prediction. Works without the lock, also while the run is training.
pub fn load_part(run: &RunFolder, slots: &[Slot], name: &str) -> Result<Found<Vec<u8>>> {
    first_good(run, slots, |folder| {
        let manifest = Manifest::read(folder)?;
        match manifest.parts.iter().find(|part| part.name == name) {
            Some(entry) => Manifest::read_part(folder, entry),
            None => Err(no_part(folder, name, manifest.parts.iter().map(|part| part.name.as_str()))),
        }
    })
}

/// Reads the first of `slots` that can be read. Without the lock a save may move folders between two reads, so a
/// disappointment is looked at again.
fn first_good<T>(run: &RunFolder, slots: &[Slot], read: impl Fn(&Path) -> Result<T>) -> Result<Found<T>> {
    let mut attempt = 0;
    loop {
        let outcome = first_good_now(run, slots, &read);
        attempt += 1;
        if run.holds_lock() || attempt == 3 || outcome.as_ref().is_ok_and(|found| found.warnings.is_empty()) {
            return outcome;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn first_good_now<T>(run: &RunFolder, slots: &[Slot], read: &impl Fn(&Path) -> Result<T>) -> Result<Found<T>> {
    let checkpoints = run.checkpoints_path();
    // Damage is reported rather than absence, and the first before a later one.
    let (mut damage, mut absent): (Vec<Error>, _) = (Vec::new(), Vec::new());
    for slot in slots {
        for place in slot.places(&checkpoints) {
            if !exists(&place) {
                absent.push(slot.name());
                continue;
            }
            match read(&place) {
                Ok(content) => {
                    let instead = format!("{} is used instead", slot.name());
                    let damage = damage.iter().map(|error| format!("{error}; {instead}"));
                    // Absence is worth a word only where a run must have it: there is no `best` before a validation.
                    let gone = absent.iter().filter(|name| **name == Slot::Last.name());
                    let gone = gone.map(|name| format!("{}: {name} is missing; {instead}", checkpoints.display()));
                    let warnings = damage.chain(gone).collect();
                    return Ok(Found { content, slot: *slot, warnings });
                }
                Err(error) if matches!(error.kind(), ErrorKind::Version { .. }) => return Err(error),
                Err(error) => damage.push(error),
            }
        }
    }
    if damage.is_empty() {
        let names: Vec<_> = slots.iter().map(|slot| slot.name()).collect();
        return Err(Error::file(&checkpoints, format!("holds no checkpoint {}", names.join(" or "))));
    }
    Err(damage.swap_remove(0))
}

/// Saves a checkpoint as a new folder anywhere: where the run's own folder cannot be written any more.
pub fn export(folder: &Path, data: &CheckpointData) -> Result<()> {
    if exists(folder) {
        return Err(Error::file(folder, "exists already: choose a new name"));
    }
    let Some(name) = folder.file_name() else { return Err(Error::file(folder, "is not the name of a folder")) };
    let staged = folder.with_file_name(format!(".{}.{}.0.tmp", name.to_string_lossy(), std::process::id()));
    remove_folder(&staged)?;
    let outcome =
        write_folder(&staged, data).and_then(|()| rename(&staged, folder).map_err(Error::io("write", folder)));
    if outcome.is_err() {
        let _ = remove_folder(&staged);
    }
    outcome
}

/// Reads a checkpoint folder anywhere, complete and undamaged: the counterpart of [`export`].
pub fn import(folder: &Path) -> Result<CheckpointData> {
    read_folder(folder)
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
