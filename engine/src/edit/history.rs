//! Undo and redo: a list of named edits of unlimited length.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Delta, EditLabels, PackedDelta, VoxelBox};
use crate::{Error, ErrorKind, Result};

/// Default memory budget for edits, in bytes.
pub const MEMORY_BUDGET: usize = 256 << 20;

/// Storage for the edits beyond the memory budget, such as a file of [`crate::run::spill`].
pub trait Storage: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Storage for T {}

/// A file for edits that exceed the memory budget. Clones share it.
#[derive(Clone)]
pub struct Spill {
    file: Arc<Mutex<SpillFile>>,
    /// Names the file in errors.
    path: PathBuf,
}

struct SpillFile {
    storage: Box<dyn Storage>,
    end: u64,
}

impl Spill {
    /// A spill in an empty storage. Errors name it by `path`.
    pub fn new(storage: impl Storage + 'static, path: PathBuf) -> Self {
        Self { file: Arc::new(Mutex::new(SpillFile { storage: Box::new(storage), end: 0 })), path }
    }

    fn file(&self) -> MutexGuard<'_, SpillFile> {
        // Every access seeks first.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, bytes: &[u8]) -> Result<u64> {
        let mut file = self.file();
        let offset = file.end;
        let mut write = || {
            file.storage.seek(SeekFrom::Start(offset))?;
            file.storage.write_all(bytes)?;
            file.storage.flush()
        };
        write().map_err(Error::io("write", &self.path))?;
        file.end += bytes.len() as u64;
        Ok(offset)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut file = self.file();
        let mut bytes = vec![0; len];
        let mut read = || {
            file.storage.seek(SeekFrom::Start(offset))?;
            file.storage.read_exact(&mut bytes)
        };
        read().map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }
}

/// Edits beyond the memory budget of a [`History`]. They can be written while the history stays in use.
pub struct ExcessEdits {
    spill: Spill,
    /// The edits, each with the id of its entry.
    edits: Vec<(u64, PackedDelta)>,
}

impl ExcessEdits {
    /// Writes the edits to the spill. Pass the result to [`History::moved`].
    ///
    /// # Errors
    /// If the spill cannot be written. The edits stay in memory.
    pub fn write(&self) -> Result<SpilledEdits> {
        let write = |(id, packed): &(u64, PackedDelta)| Ok((*id, self.spill.write(packed.bytes())?));
        Ok(SpilledEdits(self.edits.iter().map(write).collect::<Result<_>>()?))
    }
}

/// Positions of edits in the spill, each with the id of its entry.
pub struct SpilledEdits(Vec<(u64, u64)>);

/// An edit in a [`History`].
pub struct Entry {
    /// Tool, label and position as shown in a list, such as `Brush, label 1, slice 37`.
    pub name: String,
    /// Number of changed voxels.
    pub voxels: usize,
    /// Bounding box of the changed voxels.
    pub bounds: Option<VoxelBox>,
    /// Unique among all entries of the history, including dropped ones.
    id: u64,
    content: Content,
}

enum Content {
    Memory(PackedDelta),
    Spilled { offset: u64, len: usize, dims: [usize; 4] },
}

/// The edits of a mask, oldest first, and how many of them are in effect.
pub struct History {
    entries: Vec<Entry>,
    /// Number of edits in effect. The later ones can be redone.
    applied: usize,
    memory: usize,
    budget: usize,
    spill: Spill,
    next_id: u64,
}

impl History {
    /// An empty history. Edits beyond `budget` bytes go to the spill, oldest first.
    pub fn new(budget: usize, spill: Spill) -> Self {
        Self { entries: Vec::new(), applied: 0, memory: 0, budget, spill, next_id: 0 }
    }

    /// All edits, including those that can be redone.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of edits in effect.
    pub fn applied(&self) -> usize {
        self.applied
    }

    /// Name of the edit to undo.
    pub fn undo_name(&self) -> Option<&str> {
        self.entries[..self.applied].last().map(|entry| entry.name.as_str())
    }

    /// Name of the edit to redo.
    pub fn redo_name(&self) -> Option<&str> {
        self.entries.get(self.applied).map(|entry| entry.name.as_str())
    }

    /// Bytes of edits in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    /// Adds an edit that was just applied, drops the edits that could be redone, and moves old edits beyond the budget to the
    /// spill.
    ///
    /// # Errors
    /// If older edits cannot be moved to the spill. All edits then stay in memory.
    pub fn push(&mut self, name: impl Into<String>, delta: &Delta) -> Result<()> {
        self.add(name, delta);
        let moved = self.excess().map(|excess| excess.write()).transpose()?;
        moved.into_iter().for_each(|moved| self.moved(moved));
        Ok(())
    }

    /// Adds an edit like [`History::push`], but moves nothing to the spill; see [`History::excess`].
    pub fn add(&mut self, name: impl Into<String>, delta: &Delta) {
        for dropped in self.entries.drain(self.applied..) {
            if let Content::Memory(packed) = dropped.content {
                self.memory -= packed.bytes().len();
            }
        }
        let packed = delta.pack();
        self.memory += packed.bytes().len();
        let (voxels, bounds) = (packed.voxels(), packed.bounds());
        let entry = Entry { name: name.into(), voxels, bounds, id: self.next_id, content: Content::Memory(packed) };
        self.entries.push(entry);
        (self.applied, self.next_id) = (self.applied + 1, self.next_id + 1);
    }

    /// True if edits in memory are beyond the budget.
    pub fn is_beyond_budget(&self) -> bool {
        self.memory > self.budget
    }

    /// The oldest edits in memory, as many as needed to meet the budget; `None` if it is met.
    pub fn excess(&self) -> Option<ExcessEdits> {
        let mut beyond = self.memory.saturating_sub(self.budget);
        let mut edits = Vec::new();
        for entry in &self.entries {
            if let (1.., Content::Memory(packed)) = (beyond, &entry.content) {
                beyond = beyond.saturating_sub(packed.bytes().len());
                edits.push((entry.id, packed.clone()));
            }
        }
        self.is_beyond_budget().then(|| ExcessEdits { spill: self.spill.clone(), edits })
    }

    /// Frees the memory of edits that were written to the spill. Ignores edits that have been dropped since.
    pub fn moved(&mut self, moved: SpilledEdits) {
        for (id, offset) in moved.0 {
            let Ok(index) = self.entries.binary_search_by_key(&id, |entry| entry.id) else { continue };
            let entry = &mut self.entries[index];
            if let Content::Memory(packed) = &entry.content {
                let (len, dims) = (packed.bytes().len(), packed.dims());
                entry.content = Content::Spilled { offset, len, dims };
                self.memory -= len;
            }
        }
    }

    /// Undoes the last edit and returns the changes; `None` if there is none.
    ///
    /// # Errors
    /// If the edit cannot be read from the spill, or the labels have changed since. The labels stay as they are.
    pub fn undo(&mut self, labels: &mut EditLabels) -> Result<Option<Delta>> {
        let Some(last) = self.applied.checked_sub(1) else { return Ok(None) };
        let delta = self.delta(last)?.inverted();
        Self::change(&delta, labels)?;
        self.applied = last;
        Ok(Some(delta))
    }

    /// Redoes the last undone edit and returns the changes; `None` if there is none.
    ///
    /// # Errors
    /// As [`History::undo`].
    pub fn redo(&mut self, labels: &mut EditLabels) -> Result<Option<Delta>> {
        if self.applied == self.entries.len() {
            return Ok(None);
        }
        let delta = self.delta(self.applied)?;
        Self::change(&delta, labels)?;
        self.applied += 1;
        Ok(Some(delta))
    }

    /// Undoes or redoes edits until `applied` of them are in effect, and returns the total change.
    ///
    /// # Errors
    /// As [`History::undo`]. The steps before the failing one stay in effect.
    pub fn jump(&mut self, applied: usize, labels: &mut EditLabels) -> Result<Delta> {
        let mut all = Delta::empty(labels.dims());
        while self.applied != applied.min(self.entries.len()) {
            let step = if self.applied > applied { self.undo(labels)? } else { self.redo(labels)? };
            all = step.map_or_else(|| all.clone(), |step| all.then(&step));
        }
        Ok(all)
    }

    fn delta(&self, n: usize) -> Result<Delta> {
        match &self.entries[n].content {
            Content::Memory(packed) => Ok(packed.unpack()),
            Content::Spilled { offset, len, dims } => {
                let bytes = self.spill.read(*offset, *len)?;
                PackedDelta::read(&bytes, *dims).map_err(|why| Error::file(&self.spill.path, why))
            }
        }
    }

    fn change(delta: &Delta, labels: &mut EditLabels) -> Result<()> {
        if delta.apply(labels) {
            return Ok(());
        }
        let step = "undo and redo".to_owned();
        let why = "the mask was changed outside the history, so nothing is undone or redone".to_owned();
        Err(ErrorKind::Compute { step, why }.into())
    }
}
