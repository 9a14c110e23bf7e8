//! Writes verdicts to `review.jsonl` in the order they were given.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::disk::clock::now_ms;
use engine::review::Entry;
use engine::run::review::{ReviewLog, ReviewWriter};

use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Slot of the writing jobs.
pub const KEEP: Slot = Slot::shared("verdicts");

/// Pending verdicts with their folders, and the writer of the last reviewed folder, which keeps the folder's lock until
/// another folder is reviewed or the program ends.
#[derive(Default)]
pub(crate) struct VerdictQueue {
    queue: Mutex<VecDeque<(PathBuf, Entry)>>,
    writer: Mutex<Option<(PathBuf, ReviewWriter)>>,
}

/// Shared by the writing jobs.
pub(crate) type SharedVerdictQueue = Arc<VerdictQueue>;

/// Writes the pending verdicts. A second job writes what the first has not taken.
struct WriteVerdicts {
    keeper: SharedVerdictQueue,
}

#[derive(Default)]
struct WriteOutcome {
    written: Vec<(PathBuf, Entry)>,
    /// Logs as they were when opened for writing.
    opened: Vec<(PathBuf, ReviewLog)>,
    /// Folders whose remaining verdicts could not be written, with the error.
    failures: Vec<(PathBuf, Failure)>,
}

/// Gives a listed case a verdict, comment or mark. It is shown at once and written in the background.
pub fn decide(state: &mut State, jobs: &mut Jobs, entry: Entry) {
    let Some(root) = state.cases.root.clone() else { return };
    let entry = Entry { reviewer: state.session.settings.initials.clone(), time_ms: now_ms(), ..entry };
    state.cases.review.waiting.push(entry.clone());
    lock(&jobs.keeper.queue).push_back((root, entry));
    let keeper = Arc::clone(&jobs.keeper);
    jobs.start(WriteVerdicts { keeper });
}

/// Poisoning is harmless: the writer appends whole lines.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job for WriteVerdicts {
    type Output = WriteOutcome;

    fn spec(&self) -> Spec {
        Spec::new(KEEP, "Saving the verdict").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<WriteOutcome, Failure> {
        // Lock the writer first, so that its holder takes the oldest verdicts.
        let mut writer = lock(&self.keeper.writer);
        let waiting = std::mem::take(&mut *lock(&self.keeper.queue));
        let mut kept = WriteOutcome::default();
        for (root, entry) in waiting {
            if kept.failures.iter().any(|(failed, _)| *failed == root) {
                continue;
            }
            match append(&mut writer, &root, &entry, &mut kept) {
                Ok(()) => kept.written.push((root, entry)),
                Err(error) => kept.failures.push((root, error.into())),
            }
        }
        Ok(kept)
    }

    fn apply(self, result: Result<WriteOutcome, Failure>, state: &mut State, _: &mut Jobs) {
        let root = state.cases.root.clone();
        let is_open = |folder: &PathBuf| Some(folder) == root.as_ref();
        let kept = match result {
            Ok(kept) => kept,
            Err(failure) => WriteOutcome {
                failures: root.iter().map(|r| (r.clone(), failure.clone())).collect(),
                ..WriteOutcome::default()
            },
        };
        for (_, log) in kept.opened.iter().filter(|(folder, _)| is_open(folder)) {
            // Another program may have written since the folder was opened.
            state.cases.review.merge(&log.entries);
            for warning in log.warnings() {
                state.notice(Severity::Warning, "Note on the verdicts", warning);
            }
        }
        for (_, entry) in kept.written.into_iter().filter(|(folder, _)| is_open(folder)) {
            let review = &mut state.cases.review;
            review.waiting.retain(|waiting| *waiting != entry);
            review.written.insert(entry.case.clone(), entry);
        }
        for (folder, failure) in kept.failures {
            if is_open(&folder) {
                // The list shows the file's content, never a lost verdict.
                state.cases.review.waiting.clear();
            }
            state.error("The verdict was not saved", failure.reason());
        }
    }
}

/// Appends a verdict to the file of its folder. The lock of another folder is released first.
fn append(
    held: &mut Option<(PathBuf, ReviewWriter)>,
    root: &Path,
    entry: &Entry,
    kept: &mut WriteOutcome,
) -> engine::Result<()> {
    if held.as_ref().is_none_or(|(other, _)| other != root) {
        *held = None;
        let (writer, log) = ReviewWriter::open(root)?;
        kept.opened.push((root.to_path_buf(), log));
        *held = Some((root.to_path_buf(), writer));
    }
    held.as_mut().map_or(Ok(()), |(_, writer)| writer.append(entry))
}
