//! The run in training: its track follows the events of the job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::Config;
use engine::event::{Event, Stage};
use engine::probe::Pin;
use engine::run::History;
use engine::run::history::RunState;
use engine::run::workspace::RunStamp;

use super::{RunContent, SLOT, base_of, close, close_unrelated, end_comparison, open_run, place, probe, read_run};
use crate::state::State;
use crate::state::timeline::{LivePins, OpenRun, Series};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// Reads a run's history from before it was resumed.
struct ReadEarlierHistory {
    /// The run's number.
    id: u64,
    path: PathBuf,
    config: Arc<Config>,
    /// Read the pre-training run that it started from too.
    with_base: bool,
}

/// Puts the run of a starting job on its track, which follows the job from now on.
pub fn begin_live(state: &mut State, jobs: &mut Jobs, run: &Path, config: &Config) {
    let stage = config.stage;
    let fresh = RunContent {
        path: run.to_path_buf(),
        config: config.clone(),
        history: History::default(),
        pins: config.method.probes.iter().filter_map(|text| text.parse().ok()).collect(),
        stamp: RunStamp::default(),
    };
    close_unrelated(state, &fresh, false);
    let open = OpenRun { live: true, waiting: Some(Vec::new()), ..open_run(state, jobs, fresh) };
    let (id, path, config) = (open.id, open.path.clone(), Arc::clone(&open.config));
    close(state, stage);
    *state.cache.timeline.slot(stage) = Some(open);
    state.session.timeline.active = stage;
    // It was a comparison with another run.
    end_comparison(state);
    (state.cache.timeline.failed, state.cache.timeline.opening) = (None, None);
    state.settle_pin();
    let with_base = stage == Stage::Finetune && state.cache.timeline.pretrain.is_none();
    jobs.start(ReadEarlierHistory { id, path, config, with_base });
}

impl Job for ReadEarlierHistory {
    type Output = (History, Vec<Pin>);

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Reading the run {}", name_of(&self.path))).quiet()
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        // A new run has no past, and may not even have its folder yet.
        let past = read_run(&self.path).ok();
        let base = base_of(&self.config, &self.path).filter(|_| self.with_base);
        if let Some(base) = base.and_then(|base| read_run(&base).ok()) {
            let id = self.id;
            handle.send(move |state, jobs| {
                if state.cache.timeline.finetune.as_ref().is_some_and(|run| run.id == id) {
                    place(state, jobs, base, None);
                }
            });
        }
        Ok(past.map(|run| (run.history, run.pins)).unwrap_or_default())
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        // Without its history the run shows new events only.
        let (history, pins) = result.unwrap_or_default();
        let smoothing = state.session.timeline.options.smoothing;
        let Some(run) = state.cache.timeline.runs_mut().find(|run| run.id == self.id) else { return };
        run.history = history;
        if !pins.is_empty() {
            run.pins = pins;
        }
        for event in run.waiting.take().unwrap_or_default() {
            run.history.push(None, &event);
        }
        settle_state(run);
        run.series = Series::of(&run.history, smoothing);
        show_pins(state);
        state.settle_pin();
    }
}

/// Applies new events of the job in `run`, in order.
pub fn live_events(state: &mut State, jobs: &mut Jobs, run: &Path, events: &[Event]) {
    let smoothing = state.session.timeline.options.smoothing;
    let Some(run) = state.cache.timeline.of_path(run).filter(|run| run.live) else { return };
    if let Some(waiting) = &mut run.waiting {
        waiting.extend_from_slice(events);
        return;
    }
    for event in events {
        run.history.push(None, event);
    }
    if events.iter().any(Event::is_milestone) {
        run.series = Series::of(&run.history, smoothing);
        state.settle_pin();
        probe::read_missing(state, jobs);
    }
}

/// Ends following the job in `run`.
pub fn end_live(state: &mut State, run: &Path) {
    if let Some(run) = state.cache.timeline.of_path(run) {
        run.live = false;
        settle_state(run);
    }
    state.training.pins.take_if(|live| live.run == run);
}

/// Marks a run as inactive, whatever its log says.
fn settle_state(run: &mut OpenRun) {
    if !run.live && run.history.state == RunState::Running {
        run.history.state = RunState::Idle;
    }
}

/// Shares the running job's pins, so that they can be shown and changed.
pub fn share_pins(state: &mut State, pins: LivePins) {
    if state.cache.timeline.of_path(&pins.run).is_some_and(|open| open.live) {
        // Pins are handed over only now, so that none is lost if the start fails.
        let taken = pins.pins.list();
        state.session.timeline.wanted.retain(|wanted| !taken.contains(&wanted.pin));
        state.training.pins = Some(pins);
        show_pins(state);
    }
}

/// Shows the job's pins on its track.
pub(super) fn show_pins(state: &mut State) {
    let Some(live) = &state.training.pins else { return };
    let pins = live.pins.list();
    if let Some(run) = state.cache.timeline.of_path(&live.run).filter(|run| run.pins != pins) {
        run.pins = pins;
        state.settle_pin();
    }
}
