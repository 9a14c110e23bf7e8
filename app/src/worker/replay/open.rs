//! Opens runs: one on its track, others for comparison.

use std::path::{Path, PathBuf};

use engine::event::Stage;

use super::{RunContent, base_of, close_unrelated, end_comparison, open_run, place, read_run};
use crate::state::timeline::{Compare, OpenRun, OpeningRun, WatchView};
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of, restore};

/// Several runs may be read at once. The run of the newest request is shown.
pub const SLOT: Slot = Slot::shared("open-run");

/// Reads a run to show, the pre-training run it started from, and runs to compare with.
struct OpenRunJob {
    serial: u64,
    shown: Option<PathBuf>,
    others: Vec<PathBuf>,
}

struct RunsContent {
    shown: Option<RunContent>,
    /// The pre-training run that the shown one started from, if that is readable.
    base: Option<RunContent>,
    others: Vec<RunContent>,
}

/// Shows the run of a folder at an epoch, by default the newest.
pub fn open(state: &mut State, jobs: &mut Jobs, path: &Path, epoch: Option<usize>) {
    if let Some(run) = state.cache.timeline.of_path(path).filter(|run| run.live) {
        run.cursor = epoch.or(run.cursor);
        let stage = run.stage();
        state.session.timeline.active = stage;
        return;
    }
    start(state, jobs, Some(path.to_path_buf()), Vec::new(), epoch);
}

/// Compares runs of one stage. The first is shown and compared with the others; a single one is compared with the shown
/// run.
pub fn compare(state: &mut State, jobs: &mut Jobs, paths: &[PathBuf]) {
    let [first, others @ ..] = paths else { return };
    if others.is_empty() {
        return start(state, jobs, None, vec![first.clone()], None);
    }
    let open = state.cache.timeline.of_path(first).map(|run| run.stage());
    if let Some(stage) = open {
        state.session.timeline.active = stage;
    }
    start(state, jobs, open.is_none().then(|| first.clone()), others.to_vec(), None);
}

fn start(state: &mut State, jobs: &mut Jobs, shown: Option<PathBuf>, others: Vec<PathBuf>, epoch: Option<usize>) {
    let Some(path) = shown.iter().chain(&others).next().cloned() else { return };
    let serial = jobs.unused_id();
    let timeline = &mut state.cache.timeline;
    timeline.failed = None;
    timeline.opening = Some(OpeningRun { serial, path, epoch });
    jobs.start(OpenRunJob { serial, shown, others });
}

impl Job for OpenRunJob {
    type Output = RunsContent;

    fn spec(&self) -> Spec {
        let names: Vec<String> = self.shown.iter().chain(&self.others).map(|path| name_of(path)).collect();
        Spec::new(SLOT, format!("Reading the run {}", names.join(", "))).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<RunsContent, Failure> {
        let shown = self.shown.as_deref().map(read_run).transpose()?;
        handle.check()?;
        // The run is shown even if its base cannot be read.
        let base = shown.as_ref().filter(|run| run.config.stage == Stage::Finetune);
        let base = base.and_then(|run| base_of(&run.config, &run.path)).and_then(|base| read_run(&base).ok());
        let mut others = Vec::new();
        for path in &self.others {
            handle.check()?;
            others.push(read_run(path)?);
        }
        Ok(RunsContent { shown, base, others })
    }

    fn apply(self, result: Result<RunsContent, Failure>, state: &mut State, jobs: &mut Jobs) {
        let Some(opening) = state.cache.timeline.opening.take_if(|opening| opening.serial == self.serial) else {
            return;
        };
        match result {
            Ok(RunsContent { shown, base, others }) => {
                if let Some(run) = shown {
                    show(state, jobs, run, base, opening.epoch);
                    restore::run_opened(state, jobs);
                }
                if !others.is_empty() {
                    show_beside(state, jobs, others);
                    restore::compared_run_opened(state);
                }
                state.settle_pin();
            }
            Err(Failure::Cancelled) => Failure::Cancelled.report(&self.spec().title, state),
            Err(failure) => {
                state.error(format!("The run {} cannot be shown", name_of(&opening.path)), failure.reason());
                restore::run_failed(state);
                if self.shown.is_some() {
                    state.cache.timeline.failed = Some((opening.path, failure.reason()));
                }
            }
        }
    }
}

fn show(state: &mut State, jobs: &mut Jobs, run: RunContent, base: Option<RunContent>, epoch: Option<usize>) {
    let last = run.history.epochs_done();
    if let Some(epoch) = epoch.filter(|epoch| !(1..=last).contains(epoch)) {
        let why = format!("{}: epoch = {epoch}: the run has epochs 1 to {last}", run.path.display());
        state.error("No such epoch", why);
    }
    let stage = run.config.stage;
    close_unrelated(state, &run, base.is_some());
    place(state, jobs, run, epoch);
    if let Some(base) = base {
        place(state, jobs, base, None);
    }
    state.session.timeline.active = stage;
    end_comparison(state);
}

/// Compares the shown run with others of its stage.
fn show_beside(state: &mut State, jobs: &mut Jobs, others: Vec<RunContent>) {
    let Some(shown) = state.watched_run() else {
        return state.error("Nothing to compare with", "Open a run first, or tick two runs of the same stage in Runs.");
    };
    let (stage, path) = (shown.stage(), shown.path.clone());
    if let Some(other) = others.iter().find(|other| other.config.stage != stage) {
        let why = format!("{} and {} are of different stages.", name_of(&other.path), shown.name);
        return state.error("Only runs of the same stage can be compared", why);
    }
    // Without a recorded slice, only the curves of the runs can be compared.
    let has_slices = [&shown.history].into_iter().chain(others.iter().map(|other| &other.history));
    let has_slices = has_slices.into_iter().any(|history| !history.probes.is_empty());
    // The shown run compared with itself is a comparison of two of its epochs.
    let others = others.into_iter().filter(|other| other.path != path);
    let runs: Vec<OpenRun> = others.map(|other| open_run(state, jobs, other)).collect();
    end_comparison(state);
    state.session.timeline.options.view = if has_slices { WatchView::Compare } else { WatchView::Curves };
    state.cache.timeline.compare = Some(Compare { runs, epoch: None });
}
