//! The undo list of a case: label changes, measurements and removed masks, in their order and by name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::edit::history::MEMORY_BUDGET;
use engine::edit::{Delta, History};
use engine::run::spill;

use crate::state::document::Stash;
use crate::state::{MaskLayer, MaskRole, Measure};

/// A step that can be undone. Other than a label change, it holds what is exchanged with the state to undo or redo it.
#[derive(Clone, Debug)]
pub enum UndoStep {
    /// A label change, which the [`History`] holds in the same order.
    Labels {
        /// Revision of the segmentation before the change.
        before: u64,
        /// Revision after it.
        after: u64,
    },
    /// The measurements of the case.
    Measures(Vec<Measure>),
    /// The mask of a role, if there is one.
    Mask(MaskRole, Option<Box<MaskLayer>>),
    /// The segmentation with its probability.
    Segmentation(Box<Stash>),
}

/// An entry of the undo list.
#[derive(Clone, Debug)]
pub struct UndoEntry {
    /// Tool, label and place, as in `Brush stroke, label 1, slice 37`.
    pub name: String,
    /// What is done to undo it.
    pub step: UndoStep,
}

/// Everything that can be undone or redone, oldest first.
#[derive(Clone)]
pub struct UndoList {
    entries: Vec<UndoEntry>,
    /// Entries in effect; those behind can be redone.
    applied: usize,
    /// The label changes. Clones of a state, which are made to draw a picture, share it.
    history: Arc<Mutex<History>>,
}

impl std::fmt::Debug for UndoList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UndoList({} of {})", self.applied, self.entries.len())
    }
}

impl UndoList {
    /// An empty list for a mask of this shape.
    pub(super) fn new(shape: [usize; 3]) -> Self {
        let spill = spill::lazily(std::env::temp_dir());
        Self {
            entries: Vec::new(),
            applied: 0,
            history: Arc::new(Mutex::new(History::new(shape, MEMORY_BUDGET, spill))),
        }
    }

    /// All entries.
    pub fn entries(&self) -> &[UndoEntry] {
        &self.entries
    }

    /// How many entries are in effect.
    pub fn applied(&self) -> usize {
        self.applied
    }

    /// Name of the entry that undo takes back.
    pub fn undo_name(&self) -> Option<&str> {
        self.entries[..self.applied].last().map(|entry| entry.name.as_str())
    }

    /// Name of the entry that redo brings back.
    pub fn redo_name(&self) -> Option<&str> {
        self.entries.get(self.applied).map(|entry| entry.name.as_str())
    }

    /// The label changes.
    pub fn history(&self) -> MutexGuard<'_, History> {
        // Nothing in it is left half-changed by a panic.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a step that was just taken. What could be redone is dropped.
    pub fn push(&mut self, name: impl Into<String>, step: UndoStep) {
        self.entries.truncate(self.applied);
        self.entries.push(UndoEntry { name: name.into(), step });
        self.applied += 1;
    }

    /// Adds a label change that was just made.
    ///
    /// # Errors
    /// If older changes cannot be moved to the disk. They are then kept in memory, and the change is added.
    pub fn push_labels(&mut self, name: &str, delta: &Delta, [before, after]: [u64; 2]) -> engine::Result<()> {
        let kept = self.history().push(name, delta);
        self.push(name, UndoStep::Labels { before, after });
        kept
    }

    /// The entry that undo (`back`) or redo is about.
    pub fn next(&self, back: bool) -> Option<&UndoEntry> {
        if back { self.entries[..self.applied].last() } else { self.entries.get(self.applied) }
    }

    /// The same, to exchange what it holds.
    pub fn next_mut(&mut self, back: bool) -> Option<&mut UndoEntry> {
        if back { self.entries[..self.applied].last_mut() } else { self.entries.get_mut(self.applied) }
    }

    /// That entry was undone or redone.
    pub fn moved(&mut self, back: bool) {
        self.applied = if back { self.applied.saturating_sub(1) } else { (self.applied + 1).min(self.entries.len()) };
    }
}
