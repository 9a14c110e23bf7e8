//! Undo and redo: every edit by name, without a limit of their number.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::{Delta, EditLabels, Packed, VoxelBox};
use crate::{Error, ErrorKind, Result};

/// Bytes of edits that a history keeps in memory unless told otherwise.
pub const MEMORY_BUDGET: usize = 256 << 20;

/// Where edits go that exceed the memory budget: see [`crate::run::spill`].
pub trait Storage: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Storage for T {}

/// A file for edits that exceed the memory budget.
pub struct Spill {
    storage: Box<dyn Storage>,
    /// Names the file in errors.
    path: PathBuf,
    end: u64,
}

impl Spill {
    /// A spill at the beginning of an empty storage. `path` names it in errors.
    pub fn new(storage: impl Storage + 'static, path: PathBuf) -> Self {
        Self { storage: Box::new(storage), path, end: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.end;
        self.storage.seek(SeekFrom::Start(at))?;
        self.storage.write_all(bytes)?;
        self.storage.flush()?;
        self.end += bytes.len() as u64;
        Ok(at)
    }

    fn read(&mut self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.storage.seek(SeekFrom::Start(at))?;
        self.storage.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// An edit in a [`History`].
pub struct Entry {
    /// Tool, label and place, for a list: `Brush, label 1, slice 37`.
    pub name: String,
    /// Voxels that it changed.
    pub voxels: usize,
    /// The box that it changed.
    pub bounds: Option<VoxelBox>,
    content: Content,
}

enum Content {
    Memory(Packed),
    Spilled { at: u64, len: usize },
}

/// The edits of a mask, oldest first, and how many of them are in effect.
pub struct History {
    shape: [usize; 3],
    entries: Vec<Entry>,
    /// Edits in effect; those behind can be redone.
    applied: usize,
    /// The first so many edits are in the spill.
    spilled: usize,
    memory: usize,
    budget: usize,
    spill: Spill,
}

impl History {
    /// An empty history of a mask of this shape. Edits beyond `budget` bytes go to the spill, oldest first.
    pub fn new(shape: [usize; 3], budget: usize, spill: Spill) -> Self {
        Self { shape, entries: Vec::new(), applied: 0, spilled: 0, memory: 0, budget, spill }
    }

    /// All edits, those that can be redone included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many edits are in effect.
    pub fn applied(&self) -> usize {
        self.applied
    }

    /// Name of the edit that undo takes back.
    pub fn undo_name(&self) -> Option<&str> {
        self.entries[..self.applied].last().map(|entry| entry.name.as_str())
    }

    /// Name of the edit that redo brings back.
    pub fn redo_name(&self) -> Option<&str> {
        self.entries.get(self.applied).map(|entry| entry.name.as_str())
    }

    /// Bytes of edits in memory.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    /// Adds an edit that was just applied. What could be redone is dropped.
    ///
    /// # Errors
    /// If older edits cannot be moved to the spill. The edit is kept, and so are they, in memory.
    pub fn push(&mut self, name: impl Into<String>, delta: &Delta) -> Result<()> {
        self.push_packed(name.into(), delta.pack())
    }

    /// [`History::push`] for an edit of a journal.
    pub fn push_packed(&mut self, name: String, packed: Packed) -> Result<()> {
        for dropped in self.entries.drain(self.applied..) {
            if let Content::Memory(packed) = dropped.content {
                self.memory -= packed.bytes().len();
            }
        }
        self.spilled = self.spilled.min(self.applied);
        self.memory += packed.bytes().len();
        let (voxels, bounds) = (packed.voxels(), packed.bounds());
        self.entries.push(Entry { name, voxels, bounds, content: Content::Memory(packed) });
        self.applied += 1;
        self.spill_oldest()
    }

    fn spill_oldest(&mut self) -> Result<()> {
        while self.memory > self.budget && self.spilled < self.entries.len() {
            let entry = &mut self.entries[self.spilled];
            if let Content::Memory(packed) = &entry.content {
                let len = packed.bytes().len();
                let at = self.spill.write(packed.bytes()).map_err(Error::io("write", &self.spill.path))?;
                entry.content = Content::Spilled { at, len };
                self.memory -= len;
            }
            self.spilled += 1;
        }
        Ok(())
    }

    /// Takes back the last edit in effect and returns what changed, `None` if there is none.
    ///
    /// # Errors
    /// If the edit cannot be read from the spill, or the labels are not those that it left. Nothing is changed then.
    pub fn undo(&mut self, labels: &mut EditLabels) -> Result<Option<Delta>> {
        let Some(last) = self.applied.checked_sub(1) else { return Ok(None) };
        let delta = self.delta(last)?.inverted();
        Self::change(&delta, labels)?;
        self.applied = last;
        Ok(Some(delta))
    }

    /// Brings back the edit that was undone last and returns what changed, `None` if there is none.
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

    /// Undoes or redoes until `applied` edits are in effect, at most all, and returns what changed altogether.
    ///
    /// # Errors
    /// As [`History::undo`]. The edits before the failing one are then done.
    pub fn jump(&mut self, applied: usize, labels: &mut EditLabels) -> Result<Delta> {
        let mut all = Delta::empty(self.shape);
        while self.applied != applied.min(self.entries.len()) {
            let step = if self.applied > applied { self.undo(labels)? } else { self.redo(labels)? };
            all = step.map_or_else(|| all.clone(), |step| all.then(&step));
        }
        Ok(all)
    }

    fn delta(&mut self, n: usize) -> Result<Delta> {
        match &self.entries[n].content {
            Content::Memory(packed) => Ok(packed.unpack()),
            Content::Spilled { at, len } => {
                let bytes = self.spill.read(*at, *len).map_err(Error::io("read", &self.spill.path))?;
                Packed::read(&bytes, self.shape).map_err(|why| Error::file(&self.spill.path, why))
            }
        }
    }

    fn change(delta: &Delta, labels: &mut EditLabels) -> Result<()> {
        if delta.apply(labels) {
            return Ok(());
        }
        let step = "undo and redo".to_owned();
        let why = "the labels are not those that the edit left, so nothing is changed".to_owned();
        Err(ErrorKind::Compute { step, why }.into())
    }
}
