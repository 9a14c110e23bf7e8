//! The undo list of a case: changes of voxels, label tables, measurements and masks, in their order and by name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::edit::history::MEMORY_BUDGET;
use engine::edit::{Delta, History};
use engine::run::spill;
use engine::volume::LabelStyle;

use crate::state::document::Stash;
use crate::state::{MaskLayer, MaskRole, Measure};

/// A step that can be undone. Steps other than label changes store the value to swap with the state.
#[derive(Clone, Debug)]
pub enum UndoStep {
    /// A label change, stored in the [`History`] in the same order.
    Labels {
        /// Revision of the segmentation before the change.
        before: u64,
        /// Revision after it.
        after: u64,
    },
    /// Names and colours of labels only: [`UndoEntry::styles`].
    Styles,
    /// The measurements of the case.
    Measures(Vec<Measure>),
    /// The mask of a role, if there is one.
    Mask(MaskRole, Option<Box<MaskLayer>>),
    /// The segmentation with its probability map.
    Segmentation(Box<Stash>),
}

/// What a mask's table says of a label, to swap with what it says now.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleEntry {
    /// The mask.
    pub role: MaskRole,
    /// Value of the label.
    pub label: u16,
    /// Its name and colour; `None` if the table does not list it.
    pub style: Option<LabelStyle>,
}

/// An entry of the undo list.
#[derive(Clone, Debug)]
pub struct UndoEntry {
    /// Tool, label and place, as in `Brush stroke, label 1, slice 37`.
    pub name: String,
    /// How to undo it.
    pub step: UndoStep,
    /// Table entries that change with the step, such as those of a label that is removed with its last voxel.
    pub styles: Vec<StyleEntry>,
}

/// Everything that can be undone or redone, oldest first.
#[derive(Clone)]
pub struct UndoList {
    entries: Vec<UndoEntry>,
    /// Number of entries in effect. Later ones can be redone.
    applied: usize,
    /// The label changes, shared by clones of the state that are made to draw a picture.
    history: Arc<Mutex<History>>,
    /// Older label changes could not be moved to disk.
    keeps_all: bool,
}

impl std::fmt::Debug for UndoList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UndoList({} of {})", self.applied, self.entries.len())
    }
}

impl UndoList {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self::of(History::new(MEMORY_BUDGET, spill::lazily(std::env::temp_dir())))
    }

    fn of(history: History) -> Self {
        Self { entries: Vec::new(), applied: 0, history: Arc::new(Mutex::new(history)), keeps_all: false }
    }

    /// All entries.
    pub fn entries(&self) -> &[UndoEntry] {
        &self.entries
    }

    /// How many entries are in effect.
    pub fn applied(&self) -> usize {
        self.applied
    }

    /// Name of the entry that undo reverts.
    pub fn undo_name(&self) -> Option<&str> {
        self.entries[..self.applied].last().map(|entry| entry.name.as_str())
    }

    /// Name of the entry that redo restores.
    pub fn redo_name(&self) -> Option<&str> {
        self.entries.get(self.applied).map(|entry| entry.name.as_str())
    }

    /// The label changes.
    pub fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Adds a step and drops the undone ones.
    pub fn push(&mut self, name: impl Into<String>, step: UndoStep) {
        self.entries.truncate(self.applied);
        self.entries.push(UndoEntry { name: name.into(), step, styles: Vec::new() });
        self.applied += 1;
    }

    /// Adds a change of a label's table entry. Consecutive changes of one name are one step: every letter of a name is a
    /// change.
    pub fn push_style(&mut self, name: &str, before: StyleEntry) {
        self.entries.truncate(self.applied);
        if self.entries.last().is_none_or(|last| !matches!(last.step, UndoStep::Styles) || last.name != name) {
            self.push(name, UndoStep::Styles);
            self.set_styles(true, vec![before]);
        }
    }

    /// Adds a label change that was just made. Writes nothing to disk; see [`UndoList::spill`].
    pub fn push_labels(&mut self, name: &str, delta: &Delta, [before, after]: [u64; 2]) {
        self.history().add(name, delta);
        self.push(name, UndoStep::Labels { before, after });
        self.keeps_all = false;
    }

    /// A closure that moves older label changes to disk, for another thread; `None` while all fit into memory, or after
    /// [`UndoList::keep_all`].
    pub fn spill(&self) -> Option<impl Fn() -> engine::Result<()> + Send + use<>> {
        let history = Arc::clone(&self.history);
        let spill = move || {
            // Written without the lock, so that the window can use the history.
            let excess = lock(&history).excess();
            if let Some(moved) = excess.map(|excess| excess.write()).transpose()? {
                lock(&history).moved(moved);
            }
            Ok(())
        };
        (!self.keeps_all && self.history().is_beyond_budget()).then_some(spill)
    }

    /// After a write error, keeps everything in memory until the next label change.
    pub fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// The entry that undo (`back`) or redo applies to.
    pub fn next(&self, back: bool) -> Option<&UndoEntry> {
        if back { self.entries[..self.applied].last() } else { self.entries.get(self.applied) }
    }

    /// As [`UndoList::next`], mutable.
    pub fn next_mut(&mut self, back: bool) -> Option<&mut UndoEntry> {
        if back { self.entries[..self.applied].last_mut() } else { self.entries.get_mut(self.applied) }
    }

    /// Sets the table entries of the entry that undo (`back`) or redo applies to.
    pub fn set_styles(&mut self, back: bool, styles: Vec<StyleEntry>) {
        if let Some(entry) = self.next_mut(back) {
            entry.styles = styles;
        }
    }

    /// Call after that entry was undone or redone.
    pub fn moved(&mut self, back: bool) {
        self.applied = if back { self.applied.saturating_sub(1) } else { (self.applied + 1).min(self.entries.len()) };
    }
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    // Poisoning is harmless: no panic leaves the history half-changed.
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
    use std::thread::ThreadId;

    use engine::edit::EditLabels;
    use engine::edit::history::Spill;
    use engine::volume::{Grid, LabelVolume};

    use super::*;

    /// A disk that one thread must not write to.
    struct Disk {
        not_by: ThreadId,
        bytes: Cursor<Vec<u8>>,
    }

    impl Read for Disk {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.bytes.read(bytes)
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::thread::current().id() != self.not_by, "the window's thread writes");
            self.bytes.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    fn masks() -> Vec<EditLabels> {
        let grid = Grid::new([40, 3, 2], glam::DAffine3::IDENTITY);
        let mask = |n: usize| (0..grid.len()).map(|at| u16::from(at.is_multiple_of(n + 2))).collect::<Vec<_>>();
        (0..6)
            .filter_map(|n| LabelVolume::new(grid.clone(), mask(n)).ok())
            .map(|m| EditLabels::from_volume(&m))
            .collect()
    }

    #[test]
    fn another_thread_moves_older_changes_to_disk() {
        let masks = masks();
        let disk = Disk { not_by: std::thread::current().id(), bytes: Cursor::default() };
        let history = History::new(100, Spill::new(disk, "spill".into()));
        let mut list = UndoList::of(history);
        for (at, pair) in masks.windows(2).enumerate() {
            let delta = Delta::between(&pair[0], &pair[1]);
            list.push_labels("Brush", &delta, [at as u64, at as u64 + 1]);
        }
        let spill = list.spill();
        // The list changes meanwhile: a dropped change is not moved.
        let mut labels = masks[5].clone();
        assert!(list.history().undo(&mut labels).is_ok());
        list.moved(true);
        list.push_labels("Fill", &Delta::between(&masks[4], &masks[2]), [4, 9]);
        labels = masks[2].clone();
        let written = spill.map(|spill| std::thread::spawn(spill).join());
        assert!(matches!(written, Some(Ok(Ok(())))), "{written:?}");
        assert!(list.history().memory_bytes() <= 100 && list.spill().is_none());
        for expected in [4, 3, 2, 1, 0] {
            assert!(list.history().undo(&mut labels).is_ok());
            assert!(labels == masks[expected], "{expected}");
        }
        list.keep_all();
        assert!(list.spill().is_none());
    }
}
