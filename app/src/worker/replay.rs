//! Jobs of the timeline: reading runs and what they recorded; the live run's events.

mod pin;
mod play;
mod probe;
mod read;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::Config;
use engine::event::{Event, Stage};
use engine::probe::{Pin, Pins};
use engine::run::History;
use engine::run::history::RunState;

use super::{Failure, JobHandle, Jobs, Spec, restore};
use crate::state::timeline::{Compare, LivePins, OpenRun, Opening, RecordKey, Series, SliceKey, WatchView};
use crate::state::timeline::{SeenEpoch, SeenSlice, probes::Seen};
use crate::state::{Severity, Slot, State};

pub use pin::{add as add_pin, of_shown_slice as pin_shown_slice, remove as remove_pin};
pub use play::{follow_newest, go_to, period, step, toggle};
pub use read::{ReadRun, base_of, read_run};

/// Runs may be read side by side.
pub const SLOT: Slot = Slot::shared("replay");

/// Starts a job of the timeline.
fn spawn(jobs: &mut Jobs, spec: Spec, work: impl FnOnce(&JobHandle) -> Result<Read, Failure> + Send + 'static) {
    jobs.start_with(spec, work, |result, spec, state, jobs| match result {
        Ok(read) => apply(state, jobs, read),
        Err(failure) => failure.report(&spec.title, state),
    });
}

/// What a job of the timeline brings.
pub enum Read {
    /// A run to show.
    Run {
        /// Of [`Opening`].
        serial: u64,
        /// The run, or why it cannot be shown.
        run: Result<Box<ReadRun>, String>,
        /// The pre-training run that a fine-tuning started from, if it is there.
        base: Option<Box<ReadRun>>,
    },
    /// What the folder of a live run knew before the job began.
    Known {
        /// The run's number.
        run: u64,
        /// What its log told.
        history: Box<History>,
        /// Its pinned slices.
        pins: Vec<Pin>,
    },
    /// The pre-training run that a live fine-tuning started from.
    Base {
        /// The number of the fine-tuning.
        of: u64,
        /// The pre-training.
        base: Box<ReadRun>,
    },
    /// A pinned slice.
    Slice(SliceKey, Seen<SeenSlice>),
    /// One epoch of it.
    Epoch(RecordKey, Seen<SeenEpoch>),
    /// The number that the shown slice has as a prepared one.
    Prepared(Pin),
}

/// Lets what was read change the state.
pub fn apply(state: &mut State, jobs: &mut Jobs, read: Read) {
    match read {
        Read::Run { serial, run, base } => opened(state, jobs, serial, run, base),
        Read::Known { run, history, pins } => known(state, run, *history, pins),
        Read::Base { of, base } => {
            if state.timeline.finetune.as_ref().is_some_and(|run| run.id == of) {
                place(state, jobs, *base, None);
            }
        }
        Read::Slice(key, seen) => {
            if is_open(state, key.run) {
                state.timeline.probes.keep_slice(key, seen);
            }
        }
        Read::Epoch(key, seen) => {
            if is_open(state, key.slice.run) {
                let needed = probe::wanted(state).into_iter().collect();
                state.timeline.probes.keep(key, seen, &needed);
            }
        }
        Read::Prepared(pin) => add_pin(state, pin),
    }
}

/// Whether a run is still shown: what was read for another is stale.
fn is_open(state: &State, run: u64) -> bool {
    state.timeline.runs().any(|open| open.id == run)
}

/// Shows the run of a folder, at an epoch or at its newest.
pub fn open(state: &mut State, jobs: &mut Jobs, path: &Path, epoch: Option<usize>) {
    if let Some(run) = state.timeline.of_path(path).filter(|run| run.live) {
        run.cursor = epoch.or(run.cursor);
        let stage = run.stage();
        state.timeline.active = stage;
        return;
    }
    start(state, jobs, path, epoch, false);
}

/// Opens a run beside the shown one.
pub fn compare(state: &mut State, jobs: &mut Jobs, path: &Path) {
    start(state, jobs, path, None, true);
}

fn start(state: &mut State, jobs: &mut Jobs, path: &Path, epoch: Option<usize>, compare: bool) {
    let serial = jobs.unused_id();
    let path = path.to_path_buf();
    state.timeline.failed = None;
    state.timeline.opening = Some(Opening { serial, path: path.clone(), epoch, compare });
    let title = format!("Reading the run {}", read::name_of(&path));
    spawn(jobs, Spec::new(SLOT, title).quiet(), move |handle| {
        let run = read_run(&path).map(Box::new);
        handle.check()?;
        // A base that cannot be read is no reason not to show what was asked for.
        let wanted = run.as_ref().ok().filter(|run| !compare && run.config.stage == Stage::Finetune);
        let base = wanted.and_then(|run| base_of(&run.config, &path));
        let base = base.and_then(|base| read_run(&base).ok()).map(Box::new);
        let run = run.map_err(|error| error.to_string());
        Ok(Read::Run { serial, run, base })
    });
}

fn opened(
    state: &mut State,
    jobs: &mut Jobs,
    serial: u64,
    run: Result<Box<ReadRun>, String>,
    base: Option<Box<ReadRun>>,
) {
    let Some(opening) = state.timeline.opening.take_if(|opening| opening.serial == serial) else { return };
    let run = match run {
        Ok(run) => *run,
        Err(why) => {
            state.error(format!("The run {} cannot be shown", read::name_of(&opening.path)), &why);
            restore::run_failed(state);
            if !opening.compare {
                state.timeline.failed = Some((opening.path, why));
            }
            return;
        }
    };
    if opening.compare {
        let run = open_run(state, jobs, run);
        end_comparison(state);
        state.timeline.look.view = WatchView::Compare;
        state.timeline.compare = Some(Compare { run: Some(Box::new(run)), epoch: None });
    } else {
        let stage = run.config.stage;
        tell_of_epoch(state, &run, opening.epoch);
        leave_strangers(state, &run, base.is_some());
        place(state, jobs, run, opening.epoch);
        if let Some(base) = base {
            place(state, jobs, *base, None);
        }
        state.timeline.active = stage;
        end_comparison(state);
    }
    restore::run_arrived(state, jobs, opening.compare);
    state.timeline.settle_pin();
}

/// An epoch was asked for that the run does not have.
fn tell_of_epoch(state: &mut State, run: &ReadRun, epoch: Option<usize>) {
    let last = run.history.epochs_done();
    if let Some(epoch) = epoch.filter(|epoch| !(1..=last).contains(epoch)) {
        let why = format!("{}: epoch = {epoch}: the run has epochs 1 to {last}", run.path.display());
        state.error("There is no such epoch", why);
    }
}

/// Tracks show one training from its beginning to its end: a run of another one goes.
fn leave_strangers(state: &mut State, run: &ReadRun, has_base: bool) {
    let stage = run.config.stage;
    let other = if stage == Stage::Pretrain { Stage::Finetune } else { Stage::Pretrain };
    let stranger = state.timeline.track(other).is_some_and(|open| {
        let belongs = match stage {
            Stage::Pretrain => read::is_base(&open.config, &open.path, &run.path),
            Stage::Finetune => has_base || read::is_base(&run.config, &run.path, &open.path),
        };
        !belongs && !open.live
    });
    if stranger {
        close(state, other);
    }
}

/// Puts a run onto its track, in place of the one that is there.
fn place(state: &mut State, jobs: &mut Jobs, run: ReadRun, cursor: Option<usize>) {
    let stage = run.config.stage;
    if state.timeline.track(stage).is_some_and(|open| open.path == run.path && open.live) {
        return;
    }
    let run = OpenRun { cursor, ..open_run(state, jobs, run) };
    close(state, stage);
    *state.timeline.slot(stage) = Some(run);
    state.timeline.settle_pin();
}

fn open_run(state: &State, jobs: &mut Jobs, run: ReadRun) -> OpenRun {
    let ReadRun { path, config, history, pins } = run;
    OpenRun {
        id: jobs.unused_id(),
        name: read::name_of(&path),
        path,
        config: Arc::new(config),
        series: Series::of(&history, state.timeline.look.smoothing),
        history,
        live: false,
        waiting: None,
        cursor: None,
        pins,
    }
}

/// Takes the run off a track.
pub fn close(state: &mut State, stage: Stage) {
    if let Some(run) = state.timeline.slot(stage).take() {
        state.timeline.probes.forget(run.id);
        if state.timeline.live_pins.as_ref().is_some_and(|live| live.run == run.path) && run.live {
            state.timeline.live_pins = None;
        }
    }
    state.timeline.playing = None;
    state.timeline.settle_pin();
}

/// Takes the run off a track, with what it is compared with; the other track is shown then, if it has a run.
pub fn leave(state: &mut State, stage: Stage) {
    close(state, stage);
    end_comparison(state);
    let other = if stage == Stage::Pretrain { Stage::Finetune } else { Stage::Pretrain };
    if state.timeline.active == stage && state.timeline.track(other).is_some() {
        state.timeline.active = other;
        state.timeline.settle_pin();
    }
}

/// Looks at one run and one epoch again.
pub fn end_comparison(state: &mut State) {
    let run = state.timeline.compare.take().and_then(|compare| compare.run);
    if let Some(run) = run {
        state.timeline.probes.forget(run.id);
    }
}

/// A job begins to train in `run`: its track follows it from now on.
pub fn begin_live(state: &mut State, jobs: &mut Jobs, run: &Path, config: &Config) {
    let stage = config.stage;
    let fresh = ReadRun {
        path: run.to_path_buf(),
        config: config.clone(),
        history: History::default(),
        pins: config.method.probes.iter().filter_map(|text| text.parse().ok()).collect(),
    };
    leave_strangers(state, &fresh, false);
    let open = OpenRun { live: true, waiting: Some(Vec::new()), ..open_run(state, jobs, fresh) };
    let (id, path, config) = (open.id, open.path.clone(), Arc::clone(&open.config));
    close(state, stage);
    *state.timeline.slot(stage) = Some(open);
    state.timeline.active = stage;
    (state.timeline.failed, state.timeline.opening) = (None, None);
    state.timeline.settle_pin();
    let base_is_open = state.timeline.pretrain.is_some();
    let title = format!("Reading the run {}", read::name_of(&path));
    spawn(jobs, Spec::new(SLOT, title).quiet(), move |handle| {
        // A run that is resumed has a past; a new one may not even have its folder yet.
        let past = read_run(&path).ok();
        let (history, pins) = past.map(|run| (run.history, run.pins)).unwrap_or_default();
        let base = base_of(&config, &path).filter(|_| config.stage == Stage::Finetune && !base_is_open);
        if let Some(base) = base.and_then(|base| read_run(&base).ok()) {
            handle.send(move |state, jobs| apply(state, jobs, Read::Base { of: id, base: Box::new(base) }));
        }
        Ok(Read::Known { run: id, history: Box::new(history), pins })
    });
}

/// The past of a live run is there: what was told in the meantime comes on top.
fn known(state: &mut State, id: u64, history: History, pins: Vec<Pin>) {
    let timeline = &mut state.timeline;
    let runs = [timeline.pretrain.as_mut(), timeline.finetune.as_mut()];
    let Some(run) = runs.into_iter().flatten().find(|run| run.id == id) else { return };
    run.history = history;
    if !pins.is_empty() {
        run.pins = pins;
    }
    for event in run.waiting.take().unwrap_or_default() {
        run.history.push(None, &event);
    }
    settle_state(run);
    run.series = Series::of(&run.history, timeline.look.smoothing);
    timeline.settle_pin();
}

/// What the job in `run` has told since the last call, in order.
pub fn live_events(state: &mut State, _jobs: &mut Jobs, run: &Path, events: &[Event]) {
    let smoothing = state.timeline.look.smoothing;
    let Some(run) = state.timeline.of_path(run).filter(|run| run.live) else { return };
    if let Some(waiting) = &mut run.waiting {
        waiting.extend_from_slice(events);
        return;
    }
    for event in events {
        run.history.push(None, event);
    }
    if events.iter().any(Event::is_milestone) {
        run.series = Series::of(&run.history, smoothing);
        state.timeline.settle_pin();
    }
}

/// The job in `run` ended: nothing more will be told.
pub fn end_live(state: &mut State, _jobs: &mut Jobs, run: &Path) {
    if let Some(run) = state.timeline.of_path(run) {
        run.live = false;
        settle_state(run);
    }
    state.timeline.live_pins.take_if(|live| live.run == run);
}

/// A run that no job trains is not under way, whatever it told last.
fn settle_state(run: &mut OpenRun) {
    if !run.live && run.history.state == RunState::Running {
        run.history.state = RunState::Idle;
    }
}

/// The pins of the job that trains in `run`: they are shown, and changed, while it runs.
pub fn share_pins(state: &mut State, run: PathBuf, pins: Arc<Pins>) {
    state.timeline.live_pins = Some(LivePins { run, pins });
}

/// Reads what the cursors need and plays the timeline; `now` in seconds. Called every frame, before drawing.
pub fn follow(state: &mut State, jobs: &mut Jobs, now: f64) {
    if let Some((run, pins)) = super::train::live_pins(jobs)
        && state.timeline.of_path(&run).is_some_and(|open| open.live)
    {
        share_pins(state, run, pins);
    }
    show_live_pins(state);
    play::advance(state, now);
    probe::follow(state, jobs);
}

/// The job's list of pins is the track's.
fn show_live_pins(state: &mut State) {
    let Some(live) = state.timeline.live_pins.clone() else { return };
    let pins = live.pins.list();
    if let Some(run) = state.timeline.of_path(&live.run).filter(|run| run.pins != pins) {
        run.pins = pins;
        state.timeline.settle_pin();
    }
}

/// Says that something cannot be pinned.
fn refuse(state: &mut State, why: &str) {
    state.notice(Severity::Warning, "Nothing was pinned", why);
}

/// An error of the engine as a text, for what is kept beside results.
fn text(failure: Failure) -> String {
    match failure {
        Failure::Cancelled => "it was cancelled".to_owned(),
        Failure::Error(why) | Failure::Panic(why) => why,
    }
}

#[cfg(test)]
#[path = "replay/tests.rs"]
mod tests;
