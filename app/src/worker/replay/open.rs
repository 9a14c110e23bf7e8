//! Opening a run: on its track, or beside the shown one to compare.

use std::path::{Path, PathBuf};

use engine::event::Stage;

use super::{ReadRun, base_of, end_comparison, leave_strangers, open_run, place, read_run};
use crate::state::timeline::{Compare, Opening, WatchView};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of, restore};

/// Runs may be read side by side; of several that are opened, the last one is shown.
pub const SLOT: Slot = Slot::shared("open-run");

/// Reads a run, and the pre-training that it started from.
struct OpenRunJob {
    serial: u64,
    path: PathBuf,
    compare: bool,
}

/// A run, and the pre-training run that it started from, if that is readable.
struct ReadRuns {
    run: ReadRun,
    base: Option<ReadRun>,
}

/// Shows the run of a folder, at an epoch or at its newest.
pub fn open(state: &mut State, jobs: &mut Jobs, path: &Path, epoch: Option<usize>) {
    if let Some(run) = state.cache.timeline.of_path(path).filter(|run| run.live) {
        run.cursor = epoch.or(run.cursor);
        let stage = run.stage();
        state.session.timeline.active = stage;
        return;
    }
    start(state, jobs, path, epoch, false);
}

/// Opens a run beside the shown one.
pub fn compare(state: &mut State, jobs: &mut Jobs, path: &Path) {
    start(state, jobs, path, None, true);
}

fn start(state: &mut State, jobs: &mut Jobs, path: &Path, epoch: Option<usize>, compare: bool) {
    let (serial, path) = (jobs.unused_id(), path.to_path_buf());
    let timeline = &mut state.cache.timeline;
    timeline.failed = None;
    timeline.opening = Some(Opening { serial, path: path.clone(), epoch, compare });
    jobs.start(OpenRunJob { serial, path, compare });
}

impl Job for OpenRunJob {
    type Output = ReadRuns;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Reading the run {}", name_of(&self.path))).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<ReadRuns, Failure> {
        let run = read_run(&self.path)?;
        handle.check()?;
        // A base that cannot be read is no reason not to show the run itself.
        let wants_base = !self.compare && run.config.stage == Stage::Finetune;
        let base = base_of(&run.config, &self.path).filter(|_| wants_base);
        let base = base.and_then(|base| read_run(&base).ok());
        Ok(ReadRuns { run, base })
    }

    fn apply(self, result: Result<ReadRuns, Failure>, state: &mut State, jobs: &mut Jobs) {
        let Some(opening) = state.cache.timeline.opening.take_if(|opening| opening.serial == self.serial) else {
            return;
        };
        match result {
            Ok(ReadRuns { run, .. }) if opening.compare => {
                let run = open_run(state, jobs, run);
                end_comparison(state);
                state.session.timeline.look.view = WatchView::Compare;
                state.cache.timeline.compare = Some(Compare { run: Some(Box::new(run)), epoch: None });
                restore::compared_run_opened(state);
                state.settle_pin();
            }
            Ok(ReadRuns { run, base }) => {
                show(state, jobs, run, base, opening.epoch);
                restore::run_opened(state, jobs);
                state.settle_pin();
            }
            Err(Failure::Cancelled) => Failure::Cancelled.report(&self.spec().title, state),
            Err(failure) => {
                state.error(format!("The run {} cannot be shown", name_of(&opening.path)), failure.reason());
                restore::run_failed(state);
                if !opening.compare {
                    state.cache.timeline.failed = Some((opening.path, failure.reason()));
                }
            }
        }
    }
}

fn show(state: &mut State, jobs: &mut Jobs, run: ReadRun, base: Option<ReadRun>, epoch: Option<usize>) {
    let last = run.history.epochs_done();
    if let Some(epoch) = epoch.filter(|epoch| !(1..=last).contains(epoch)) {
        let why = format!("{}: epoch = {epoch}: the run has epochs 1 to {last}", run.path.display());
        state.error("There is no such epoch", why);
    }
    let stage = run.config.stage;
    leave_strangers(state, &run, base.is_some());
    place(state, jobs, run, epoch);
    if let Some(base) = base {
        place(state, jobs, base, None);
    }
    state.session.timeline.active = stage;
    end_comparison(state);
}
