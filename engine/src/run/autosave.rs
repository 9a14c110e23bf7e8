//! Unsaved edits of masks. Each case that is being edited has a [`Journal`], stored in a folder of the user, not of the cohort.
//!
//! The file `NAME.json` next to `NAME.edits` names the files of the case, so that the edits can be offered at the next start.
//! A journal is removed when its edits are saved or discarded. Any other journal belongs to a running program, which holds
//! its lock, or to a killed one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::journal::{self, Journal};
use super::text::{read_json, write_json};
use crate::disk::atomic::{folder_of, is_temporary, sync_folder};
use crate::disk::create_folder;
use crate::edit::journal::{Kind, Replay};
use crate::edit::{Delta, EditLabels};
use crate::volume::LabelTable;
use crate::{Error, ErrorKind, Result};

/// Ending of a journal.
const EDITS: &str = "edits";
/// Extension of the file that names the case.
const SIDECAR: &str = "json";

/// A case that is being edited, described well enough to open it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedCase {
    /// Title of the case in the window.
    pub title: String,
    /// The images: modality if known, file, and frame of a 4-D file. The mask is on the grid of the first.
    pub images: Vec<(Option<String>, PathBuf, Option<usize>)>,
    /// The file of the mask; `None` if it was never saved.
    pub mask: Option<PathBuf>,
    /// The file of the reference, if one is open.
    pub reference: Option<PathBuf>,
    /// Names and colours of the labels.
    #[serde(default)]
    pub labels: LabelTable,
}

/// Bytes of edits at which a journal is compacted, about thousands of strokes with a large ball. The older half becomes one
/// change that keeps their names. A long session thus does not fill the disk and is restored quickly.
const COMPACTION_BYTES: u64 = 64 << 20;

/// Records unsaved edits.
pub struct Autosave {
    journal: Journal,
    /// Bytes of edits between two compactions. Half of them stay unmerged.
    compaction_bytes: u64,
    /// Length of the journal at which it is compacted next.
    compact_at: u64,
}

impl Autosave {
    /// Starts a new journal of edits of `base` in `folder`, which is created if it does not exist.
    ///
    /// # Errors
    /// If the folder or one of the files cannot be written.
    pub fn create(folder: &Path, case: &EditedCase, base: &EditLabels) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        create_folder(folder)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{now}-{}-{number}.{EDITS}", std::process::id()));
        // The case is written first, because a journal without a case cannot be offered.
        write_json(&path.with_extension(SIDECAR), case)?;
        let journal = Journal::create(&path, base).inspect_err(|_| remove(&path))?;
        Ok(Self::over(journal, COMPACTION_BYTES))
    }

    fn over(journal: Journal, compaction_bytes: u64) -> Self {
        let compact_at = journal.bytes() + compaction_bytes;
        Self { journal, compaction_bytes, compact_at }
    }

    /// Continues a journal that was left behind, and replays it.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn resume(path: &Path) -> Result<(Self, Replay)> {
        let (journal, replay) = Journal::open(path)?;
        Ok((Self::over(journal, COMPACTION_BYTES), replay))
    }

    /// Records a change that was just applied. It is on disk within two seconds. A long journal is compacted: its older edits
    /// are then undone together, but still listed by name.
    ///
    /// # Errors
    /// As [`Journal::append`]; the call may be repeated.
    pub fn append(&mut self, kind: Kind, name: &str, delta: &Delta) -> Result<()> {
        self.journal.append(kind, name, delta)?;
        if self.journal.bytes() > self.compact_at {
            if let Err(error) = self.journal.compact(self.compaction_bytes as usize / 2) {
                // The journal continues uncompacted.
                tracing::warn!("{}: cannot compact: {error}", self.path().display());
            }
            self.compact_at = self.journal.bytes() + self.compaction_bytes;
        }
        Ok(())
    }

    /// Replaces the description of the case, after a label was named or coloured.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn describe(&self, case: &EditedCase) -> Result<()> {
        write_json(&self.path().with_extension(SIDECAR), case)
    }

    /// Path of the journal.
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// Removes the journal, after its edits were saved or discarded.
    pub fn remove(self) {
        let path = self.journal.path().to_path_buf();
        drop(self.journal);
        remove(&path);
    }
}

/// Removes the journal of an ended program and its case file. If that fails, the edits are offered again.
pub fn remove(path: &Path) {
    for file in [path.to_path_buf(), path.with_extension(SIDECAR)] {
        if let Err(error) = std::fs::remove_file(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("{}: cannot remove: {error}", file.display());
        }
    }
    // Best effort: if a power cut undoes the removal, the edits are offered once more.
    let _ = sync_folder(folder_of(path));
}

/// Unsaved edits of a program that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsavedEdits {
    /// The journal.
    pub path: PathBuf,
    /// The case that was edited.
    pub case: EditedCase,
    /// Names of the edits in effect, oldest first.
    pub names: Vec<String>,
    /// Time of the last edit in milliseconds since 1970-01-01 UTC, or of the journal file if it has none.
    pub time_ms: u64,
    /// Why the end of the journal cannot be read; `None` for a complete journal.
    pub cut: Option<String>,
}

/// The unsaved edits of the `wanted` cases, newest first, and the errors of journals that cannot be restored. Skips journals
/// that a running program has open, and removes journals without effect.
///
/// # Errors
/// If the folder cannot be read. A missing folder is empty.
pub fn unsaved_edits(folder: &Path, wanted: impl Fn(&EditedCase) -> bool) -> Result<(Vec<UnsavedEdits>, Vec<Error>)> {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((found, errors)),
        Err(error) => return Err(Error::io("read", folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(Error::io("read", folder))?.path();
        if is_half_written(&path) && !journal::is_open(&path) {
            remove(&path);
            continue;
        }
        let is_journal = path.extension().is_some_and(|ending| ending == EDITS);
        if !is_journal || journal::is_open(&path) {
            continue;
        }
        match read_journal(&path, &wanted) {
            Ok(JournalContent::Edits(left)) => found.push(*left),
            Ok(JournalContent::Unwanted) => {}
            Ok(JournalContent::Nothing) => remove(&path),
            // Another window has just removed it.
            Err(error) if matches!(error.kind(), ErrorKind::Io { .. }) && !path.exists() => {}
            Err(error) => errors.push(error),
        }
    }
    found.sort_by_key(|left: &UnsavedEdits| std::cmp::Reverse(left.time_ms));
    Ok((found, errors))
}

/// Whether this is the temporary file of a journal whose creation or compaction was interrupted.
fn is_half_written(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    is_temporary(&name) && name.contains(&format!(".{EDITS}."))
}

/// What is in a journal.
enum JournalContent {
    Edits(Box<UnsavedEdits>),
    /// Of another case.
    Unwanted,
    /// Its edits change nothing.
    Nothing,
}

fn read_journal(path: &Path, wanted: impl Fn(&EditedCase) -> bool) -> Result<JournalContent> {
    let case: EditedCase = read_json(&path.with_extension(SIDECAR))?;
    if !wanted(&case) {
        return Ok(JournalContent::Unwanted);
    }
    let replay = journal::read(path)?;
    let names = replay.names();
    if replay.labels == replay.base {
        return Ok(JournalContent::Nothing);
    }
    let modified = || std::fs::metadata(path).and_then(|data| data.modified()).ok();
    let of_file = || modified()?.duration_since(UNIX_EPOCH).ok().map(|time| time.as_millis() as u64);
    let time_ms = replay.records.last().map(|record| record.time_ms).or_else(of_file).unwrap_or_default();
    let cut = replay.cut.map(|cut| cut.why);
    Ok(JournalContent::Edits(Box::new(UnsavedEdits { path: path.to_path_buf(), case, names, time_ms, cut })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::volume::{Grid, LabelVolume};

    fn labels(voxels: [u8; 4]) -> EditLabels {
        let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
        EditLabels::from_volume(&LabelVolume::new(grid, voxels.to_vec()).unwrap())
    }

    fn case() -> EditedCase {
        let images = vec![(Some("flair".to_owned()), "p01/flair.nii.gz".into(), None)];
        EditedCase { title: "p01".into(), images, mask: Some("p01/seg.nii.gz".into()), ..EditedCase::default() }
    }

    fn left(folder: &Path) -> (Vec<UnsavedEdits>, Vec<Error>) {
        unsaved_edits(folder, |_| true).unwrap()
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn edits_of_a_killed_program_are_offered_and_continued() {
        let folder = tempfile::tempdir().unwrap();
        let unsaved = folder.path().join("unsaved");
        assert!(left(&unsaved).0.is_empty(), "nothing was ever edited");
        let masks = [labels([0; 4]), labels([1, 0, 0, 0]), labels([1, 2, 0, 0]), labels([1, 2, 2, 0])];
        let delta = |n: usize| Delta::between(&masks[n], &masks[n + 1]);
        let mut autosave = Autosave::create(&unsaved, &case(), &masks[0]).unwrap();
        autosave.append(Kind::Edit, "Brush, label 1", &delta(0)).unwrap();
        autosave.append(Kind::Edit, "Brush, label 2", &delta(1)).unwrap();
        assert!(left(&unsaved).0.is_empty(), "the program runs");
        autosave.append(Kind::Undo, "Brush, label 2", &delta(1).inverted()).unwrap();
        autosave.append(Kind::Edit, "Fill, label 2", &delta(1)).unwrap();
        let path = autosave.path().to_path_buf();
        drop(autosave);
        let (result, errors) = left(&unsaved);
        assert!(errors.is_empty() && result.len() == 1, "{errors:?}");
        assert_eq!((&result[0].case, &result[0].path), (&case(), &path));
        assert_eq!(result[0].names, ["Brush, label 1", "Fill, label 2"]);
        assert!(result[0].time_ms > 1_600_000_000_000);

        let (mut autosave, replay) = Autosave::resume(&path).unwrap();
        let labels = LabelTable::of_names([(&1, &"oedema".to_owned())]);
        let named = EditedCase { labels, ..case() };
        autosave.describe(&named).unwrap();
        assert_eq!((&replay.labels, replay.header.opened_sha256), (&masks[2], masks[0].sha256()));
        autosave.append(Kind::Edit, "Brush, label 2", &delta(2)).unwrap();
        drop(autosave);
        assert_eq!((left(&unsaved).0[0].names.len(), &left(&unsaved).0[0].case), (3, &named));
        assert!(unsaved_edits(&unsaved, |case| case.title == "p02").unwrap().0.is_empty(), "of another case");
        remove(&path);
        assert_eq!(files(&unsaved), 0);
    }

    /// After a kill during compaction the journal is the complete old or new one, and partial files are removed. Either names
    /// all edits.
    #[test]
    fn a_long_journal_is_compacted_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::new([64, 64, 4], DAffine3::IDENTITY);
        let mask = |n: usize| {
            let voxels: Vec<u8> =
                (0..grid.len()).map(|index| u8::from((index * 7 + n).is_multiple_of(3)) * (1 + n as u8)).collect();
            EditLabels::from_volume(&LabelVolume::new(grid.clone(), voxels).unwrap())
        };
        let masks: Vec<EditLabels> = (0..8).map(mask).collect();
        let (journal, compaction_bytes) = {
            let autosave = Autosave::create(folder.path(), &case(), &masks[0]).unwrap();
            // A change takes 44 KB: the third exceeds the limit, and the newest is kept unmerged.
            (autosave.journal, 100_000)
        };
        let mut autosave = Autosave::over(journal, compaction_bytes);
        let path = autosave.path().to_path_buf();
        let (mut compactions, names) = (0, |n: usize| (0..n).map(|n| format!("Brush {n}")).collect::<Vec<_>>());
        for (n, pair) in masks.windows(2).enumerate() {
            let (before, records) = (std::fs::read(&path).unwrap(), autosave.journal.records());
            autosave.append(Kind::Edit, &format!("Brush {n}"), &Delta::between(&pair[0], &pair[1])).unwrap();
            compactions += usize::from(autosave.journal.records() != records + 1);
            // A kill before the rename leaves the old journal, and any part of the new one under another name.
            let killed = folder.path().join("killed");
            std::fs::create_dir_all(&killed).unwrap();
            std::fs::write(killed.join("p.edits"), &before).unwrap();
            write_json(&killed.join("p.json"), &case()).unwrap();
            let new = std::fs::read(&path).unwrap();
            for end in [0, 1, 9, new.len() / 2, new.len()] {
                std::fs::write(killed.join(".p.edits.4711.0.tmp"), &new[..end]).unwrap();
                let (result, errors) = left(&killed);
                let result = result.into_iter().next().map(|left| left.names).unwrap_or_default();
                assert_eq!((result, errors.len()), (names(n), 0));
                assert!(!killed.join(".p.edits.4711.0.tmp").exists(), "{end}");
                if n == 0 {
                    // A journal without edits is removed.
                    std::fs::write(killed.join("p.edits"), &before).unwrap();
                    write_json(&killed.join("p.json"), &case()).unwrap();
                }
            }
            std::fs::remove_dir_all(&killed).unwrap();
        }
        assert_eq!(compactions, 2);
        drop(autosave);
        assert_eq!(left(folder.path()).0[0].names, names(7));
        let (_, replay) = Autosave::resume(&path).unwrap();
        assert_eq!((&replay.base, &replay.labels), (&masks[0], &masks[7]));
        let kinds: Vec<(Kind, String)> = replay.records.iter().map(|record| (record.kind, record.effect())).collect();
        let brush = |n: usize| (Kind::Edit, format!("Brush {n}"));
        assert_eq!(kinds, [(Kind::Edits, "5 earlier edits".to_owned()), brush(5), brush(6)]);
    }

    #[test]
    fn undone_edits_are_not_offered_and_a_broken_journal_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (labels([0; 4]), labels([0, 3, 3, 0]));
        let delta = Delta::between(&before, &after);
        let mut autosave = Autosave::create(folder.path(), &case(), &before).unwrap();
        autosave.append(Kind::Edit, "Brush", &delta).unwrap();
        autosave.append(Kind::Undo, "Brush", &delta.inverted()).unwrap();
        drop(autosave);
        assert!(left(folder.path()).0.is_empty());
        assert_eq!(files(folder.path()), 0);
        // An edit of before the journal was undone.
        let mut autosave = Autosave::create(folder.path(), &case(), &after).unwrap();
        autosave.append(Kind::Undo, "Brush", &delta.inverted()).unwrap();
        let path = autosave.path().to_path_buf();
        drop(autosave);
        assert_eq!(left(folder.path()).0[0].names, ["Undo of Brush"]);
        remove(&path);
        // Saved: no journal remains.
        let mut autosave = Autosave::create(folder.path(), &case(), &before).unwrap();
        autosave.append(Kind::Edit, "Brush", &delta).unwrap();
        autosave.remove();
        assert_eq!(files(folder.path()), 0);
        std::fs::write(folder.path().join("1.edits"), b"no journal").unwrap();
        write_json(&folder.path().join("1.json"), &case()).unwrap();
        let (result, errors) = left(folder.path());
        assert!(result.is_empty() && errors[0].to_string().contains("1.edits"), "{errors:?}");
    }
}
