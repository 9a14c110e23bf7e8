//! Runs that other processes train: their logs, locks and checkpoints are polled.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::run::workspace::{self, RunEntry, RunStamp};

use super::read::{RunContent, held_by_another, read_run};
use crate::state::timeline::{OpenRun, Series};
use crate::state::{Mode, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, runs};

const SLOT: Slot = Slot::exclusive("follow");
/// Polling interval in seconds.
const PERIOD: f64 = 2.0;

/// Reads changes since the last poll: the list of runs, and the open runs.
struct PollRuns {
    workspace: PathBuf,
    /// The run trained by this program, whose events arrive without polling.
    own: Option<PathBuf>,
    known: BTreeMap<PathBuf, RunStamp>,
    open: Vec<(u64, PathBuf, RunStamp)>,
}

struct Changes {
    stamps: BTreeMap<PathBuf, RunStamp>,
    /// The list, if it changed.
    entries: Option<Vec<RunEntry>>,
    open: Vec<OpenRunChange>,
}

/// An open run that changed.
struct OpenRunChange {
    id: u64,
    stamp: RunStamp,
    /// Its content; none while it cannot be read.
    content: Option<RunContent>,
}

/// Seconds until the next poll; `None` if nothing is followed.
pub fn wait(state: &State, now: f64) -> Option<f64> {
    let follows = state.session.mode == Mode::Train && state.cache.runs.entries.is_some();
    follows.then_some(state.cache.follow.due - now)
}

/// Polls the runs when it is time. `now` is in the window's seconds. Called every frame of a window that stays open.
pub fn poll(state: &mut State, jobs: &mut Jobs, now: f64) {
    if wait(state, now).is_none_or(|wait| wait > 0.0) || jobs.runs(SLOT) {
        return;
    }
    state.cache.follow.due = now + PERIOD;
    let open = state.cache.timeline.runs().filter(|run| !run.live);
    jobs.start(PollRuns {
        workspace: state.session.settings.workspace(),
        own: state.training.running.as_ref().and_then(|job| job.run.clone()),
        known: state.cache.follow.stamps.clone(),
        open: open.map(|run| (run.id, run.path.clone(), run.stamp)).collect(),
    });
}

impl Job for PollRuns {
    type Output = Changes;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, "Looking for changed runs").hidden()
    }

    fn run(&self, handle: &JobHandle) -> Result<Changes, Failure> {
        let mut stamps = workspace::stamps(&self.workspace)?;
        if let Some(own) = &self.own {
            stamps.remove(own);
        }
        handle.check()?;
        let changed = stamps != self.known;
        let entries = if changed { Some(workspace::list(&self.workspace)?) } else { None };
        let mut open = Vec::new();
        for (id, path, known) in &self.open {
            handle.check()?;
            let stamp = RunStamp::of(path);
            if stamp != *known {
                open.push(OpenRunChange { id: *id, stamp, content: read_run(path).ok() });
            }
        }
        if !changed && open.is_empty() {
            handle.report_no_change();
        }
        Ok(Changes { stamps, entries, open })
    }

    fn apply(self, result: Result<Changes, Failure>, state: &mut State, jobs: &mut Jobs) {
        // Listing the runs reports such an error. The next poll tries again.
        let Ok(changes) = result else { return };
        let smoothing = state.session.timeline.options.smoothing;
        for change in changes.open {
            if let Some(run) = state.cache.timeline.runs_mut().find(|run| run.id == change.id && !run.live) {
                change.apply(run, smoothing);
            }
        }
        state.settle_pin();
        if self.workspace != state.session.settings.workspace() {
            return;
        }
        state.cache.follow.stamps = changes.stamps;
        if let Some(entries) = changes.entries {
            runs::listed(state, jobs, entries);
        }
    }
}

impl OpenRunChange {
    fn apply(self, run: &mut OpenRun, smoothing: f64) {
        (run.stamp, run.held_by) = (self.stamp, held_by_another(self.stamp.pid));
        if let Some(RunContent { history, pins, .. }) = self.content {
            (run.history, run.pins) = (history, pins);
            run.series = Series::of(&run.history, smoothing);
        }
    }
}
