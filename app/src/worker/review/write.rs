//! Verdicts on their way to `review.jsonl`. One job writes at a time, in the order in which they were given.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use engine::review::{Entry, latest};
use engine::run::clock::now_ms;
use engine::run::review::{ReviewLog, ReviewWriter};

use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec};

/// Verdicts are written one batch after the other.
pub const KEEP: Slot = Slot::shared("verdicts");

/// The writer of the folder that was reviewed last. It holds the folder's lock until another folder is reviewed or the
/// program ends.
pub(crate) type Keeper = Arc<Mutex<Option<(PathBuf, ReviewWriter)>>>;

/// Writes the waiting verdicts.
struct KeepVerdicts {
    root: PathBuf,
    entries: Vec<Entry>,
    keeper: Keeper,
}

struct Kept {
    /// The file as it was when it was opened for writing, if it was not open yet.
    opened: Option<ReviewLog>,
    /// How many of the entries are on the disk.
    written: usize,
    /// Why the others are not.
    failure: Option<Failure>,
}

/// Gives a case of the list a verdict, comment or mark: shown at once, and written in the background.
pub fn decide(state: &mut State, jobs: &mut Jobs, entry: Entry) {
    let reviewer = state.session.settings.initials.clone();
    state.cases.review.waiting.push(Entry { reviewer, time_ms: now_ms(), ..entry });
    keep(state, jobs);
}

/// Starts to write what waits, unless that is under way.
pub fn keep(state: &State, jobs: &mut Jobs) {
    let Some(root) = state.cases.root.clone() else { return };
    let entries = state.cases.review.waiting.clone();
    if entries.is_empty() || jobs.runs(KEEP) {
        return;
    }
    let keeper = Arc::clone(&jobs.keeper);
    jobs.start(KeepVerdicts { root, entries, keeper });
}

impl Job for KeepVerdicts {
    type Output = Kept;

    fn spec(&self) -> Spec {
        Spec::new(KEEP, "Keeping the verdict").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Kept, Failure> {
        // A panic leaves no verdict half written: the writer appends whole lines.
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let mut opened = None;
        if keeper.as_ref().is_none_or(|(root, _)| *root != self.root) {
            // The lock of another folder is released first.
            *keeper = None;
            let (writer, log) = ReviewWriter::open(&self.root)?;
            (*keeper, opened) = (Some((self.root.clone(), writer)), Some(log));
        }
        let (mut written, mut failure) = (0, None);
        if let Some((_, writer)) = keeper.as_mut() {
            for entry in &self.entries {
                match writer.append(entry) {
                    Ok(()) => written += 1,
                    Err(error) => {
                        failure = Some(Failure::from(error));
                        break;
                    }
                }
            }
        }
        Ok(Kept { opened, written, failure })
    }

    fn apply(self, result: Result<Kept, Failure>, state: &mut State, jobs: &mut Jobs) {
        let (kept, failure) = match result {
            Ok(Kept { failure, opened, written }) => (Some((opened, written)), failure),
            Err(failure) => (None, Some(failure)),
        };
        if state.cases.root.as_ref() == Some(&self.root) {
            let review = &mut state.cases.review;
            if let Some((opened, written)) = kept {
                if let Some(log) = opened {
                    // Another program may have written since the folder was opened.
                    review.written = latest(&log.entries);
                    for warning in log.warnings() {
                        state.notice(Severity::Warning, "About the verdicts", warning);
                    }
                }
                let review = &mut state.cases.review;
                let written = written.min(review.waiting.len());
                for entry in review.waiting.drain(..written) {
                    review.written.insert(entry.case.clone(), entry);
                }
            }
            if failure.is_some() {
                // The list shows what the file has, never a verdict that is lost.
                state.cases.review.waiting.clear();
            }
        }
        if let Some(failure) = failure {
            state.error("The verdict was not kept", failure.reason());
        }
        keep(state, jobs);
    }
}
