//! The training itself: on a thread and a device of its own, never the window's, and what it tells.
//!
//! Events go through a bounded queue, in which only the newest step waits and milestones are never dropped; the window
//! takes them out before it draws. A job that is gone leaves a closed queue behind, so that nobody waits for nobody.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::config::Config;
use engine::device;
use engine::event::{Event, EventQueue, EventSink, Signal, Stage};
use engine::jobs::{FinetuneJob, PretrainJob, Start, stored_config};
use engine::probe::{Pin, Pins};
use engine::run::{RunFolder, checkpoint};

use super::{Told, assess, queue, workspace};
use crate::state::train::form::name_problem;
use crate::state::train::{Ended, Ending, Estimate, Phase, Queued, Running};
use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, JobHandle, Jobs, Spec, Wake, replay};

/// One training runs at a time.
pub const SLOT: Slot = Slot::exclusive("train");

/// Milestones that may wait for the window.
const WAITING: usize = 256;
/// The window is woken no more often than this; while a job runs it looks by itself now and then.
const WAKES: Duration = Duration::from_millis(50);
/// Over how long the speed is measured at least.
const MEASURED: Duration = Duration::from_millis(500);
/// How much a new measurement of the speed counts.
const WEIGHT: f64 = 0.4;
/// Jobs that ended are remembered up to this many.
const REMEMBERED: usize = 8;

/// The window's end of the training under way.
pub struct Live {
    queue: Arc<EventQueue>,
    /// What it was while it waited.
    queued: Queued,
    /// Known once the patients are prepared.
    run: Option<(PathBuf, Arc<Pins>)>,
    mark: Option<(Instant, usize)>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The run that is trained now and its pinned slices, which may be changed while it is.
pub fn live_pins(jobs: &Jobs) -> Option<(PathBuf, Arc<Pins>)> {
    jobs.live.as_ref()?.run.clone()
}

/// Starts the next job of the queue, if nothing is under way.
pub fn start_next(state: &mut State, jobs: &mut Jobs) {
    if state.train.running.is_some() || jobs.runs(SLOT) || state.train.closing || state.train.queue.is_empty() {
        return;
    }
    let queued = state.train.queue.remove(0);
    let Queued { id, name, stage, goes_on, .. } = queued.clone();
    let queue = Arc::new(EventQueue::new(WAITING).waking(seldom(Arc::clone(&jobs.wake))));
    let work = Work {
        workspace: state.settings.workspace(),
        threads: super::threads(&state.settings),
        queued: queued.clone(),
        queue: Arc::clone(&queue),
        turn: Arc::clone(&jobs.alone),
        wanted: std::mem::take(&mut state.timeline.wanted),
    };
    let what = if stage == Stage::Pretrain { "Pre-training" } else { "Fine-tuning" };
    let spec = Spec::new(SLOT, format!("{what} {name}"));
    let job = super::start(jobs, spec, move |handle| work.run(handle));
    jobs.live = Some(Live { queue, queued, run: None, mark: None });
    if state.train.estimate == Estimate::Running {
        state.train.estimate = Estimate::Waiting;
    }
    state.train.running = Some(Running { id, job, name, stage, run: goes_on, ..Running::default() });
}

/// Wakes the window, but not for every step of a small network.
fn seldom(wake: Wake) -> impl Fn() + Send + Sync {
    let (begin, last) = (Instant::now(), AtomicU64::new(0));
    move || {
        let now = begin.elapsed().as_millis() as u64 + 1;
        let before = last.load(Ordering::Relaxed);
        if before == 0 || now >= before + WAKES.as_millis() as u64 {
            last.store(now, Ordering::Relaxed);
            wake();
        }
    }
}

/// What the thread of a training is given.
struct Work {
    workspace: PathBuf,
    threads: usize,
    queued: Queued,
    queue: Arc<EventQueue>,
    turn: Arc<Mutex<()>>,
    /// Slices that the user wants pinned.
    wanted: Vec<Pin>,
}

impl Work {
    /// Prepares and trains, on as many threads as it may take.
    fn run(self, handle: &JobHandle) -> Result<Told, Failure> {
        let Self { workspace, threads, queued, queue, turn, wanted } = self;
        // A run that is gone on with by its path keeps its name; one that was typed must stay inside of the workspace.
        let typed = queued.goes_on.is_some() && queued.config.is_some();
        if let Some(why) = name_problem(&queued.name).filter(|_| typed) {
            return Err(Failure::Error(format!("name = {:?}: {why}", queued.name)));
        }
        let run = if let Some(run) = &queued.goes_on {
            run.clone()
        } else {
            let made = std::fs::create_dir_all(&workspace);
            made.map_err(|e| Failure::Error(format!("{}: cannot create: {e}", workspace.display())))?;
            engine::run::workspace::fresh(&workspace, &queued.name)
        };
        // Also where a name was given, which is gone on with if it is there.
        let fresh = !RunFolder::is_run(&run);
        let mut config = match queued.config {
            Some(config) => *config,
            None => stored_config(&run)?,
        };
        config.threads = threads;
        let result = engine::threads::with(threads, || train(config, &run, handle, (&queue, &turn), &wanted))?;
        if result.is_err() && fresh {
            leave_nothing_behind(&run);
        }
        result.map(|()| Told::Trained)
    }
}

/// A new run that came neither to a checkpoint nor to anything that it told has nothing in it to go on with.
fn leave_nothing_behind(run: &Path) {
    if !RunFolder::is_run(run) {
        // Not even its settings were written: at most an empty folder, and one that is not empty is not ours to remove.
        let _ = std::fs::remove_dir(run);
        return;
    }
    let removed = RunFolder::resume(run).and_then(|run| {
        let log = run.events_path();
        let told = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
        if checkpoint::has_checkpoint(&run) || told {
            return Ok(());
        }
        if log.exists() {
            // Begun, but empty: a run with a log is not discarded.
            std::fs::remove_file(&log).map_err(engine::Error::io("remove", &log))?;
        }
        run.discard()
    });
    if let Err(error) = removed {
        tracing::warn!("{}: an empty run folder stays: {error}", run.display());
    }
}

fn train(
    config: Config,
    run: &Path,
    handle: &JobHandle,
    (queue, turn): (&EventQueue, &Mutex<()>),
    wanted: &[Pin],
) -> Result<(), Failure> {
    handle.progress(None, format!("Opening the device {}", config.device));
    let compute = device::open_all(&config.device)?;
    let start = Start { resume: true, ..Start::default() };
    let mut progress = |done: usize, of: usize| {
        handle.progress(Some(done as f32 / of.max(1) as f32), format!("Preparing patient {done} of {of}"));
    };
    let mut sink = Sink { handle, queue, epochs: 0, steps: 0 };
    match config.stage {
        Stage::Pretrain => {
            let mut job = PretrainJob::prepare(config, run, start, &handle.control, &mut progress)?;
            pin(&job.pins, wanted);
            if job.pins.list().is_empty() {
                // There is always something to see: the fullest slice of the first patient.
                job.watch(&Vec::from_iter(job.slices.fullest_slice(0)))?;
            }
            tell(handle, run, &job.config, &job.pins);
            handle.progress(None, "Setting up the network");
            let _held = handle.wait_for(turn)?;
            job.train(&compute, &mut sink, &handle.control)?;
        }
        Stage::Finetune => {
            let mut job = FinetuneJob::prepare(config, run, start, &handle.control, &mut progress)?;
            pin(&job.pins, wanted);
            let from = &job.config.labels.from;
            if job.pins.list().is_empty() && !from.as_os_str().is_empty() {
                // The slices of the pre-training are followed on.
                pin(&job.pins, &engine::probe::pins(from)?);
            }
            tell(handle, run, &job.config, &job.pins);
            handle.progress(None, "Setting up the network");
            let _held = handle.wait_for(turn)?;
            job.train(&compute, &mut sink, &handle.control)?;
        }
    }
    Ok(())
}

fn pin(pins: &Pins, wanted: &[Pin]) {
    wanted.iter().for_each(|pin| {
        pins.add(pin.clone());
    });
}

fn tell(handle: &JobHandle, run: &Path, config: &Config, pins: &Arc<Pins>) {
    let (run, config, pins) = (run.to_path_buf(), Box::new(config.clone()), Arc::clone(pins));
    handle.send(move |state, jobs| super::apply(state, jobs, Told::Prepared { run, config, pins }));
}

/// Hands events to the window, and says how far the job is.
struct Sink<'a> {
    handle: &'a JobHandle,
    queue: &'a EventQueue,
    epochs: usize,
    steps: usize,
}

impl EventSink for Sink<'_> {
    fn event(&mut self, event: &Event) -> engine::Result<()> {
        match event {
            Event::Started { epochs, steps_per_epoch, .. } => (self.epochs, self.steps) = (*epochs, *steps_per_epoch),
            Event::Step { epoch, step, .. } => {
                let (done, all) = ((epoch - 1) * self.steps + step, self.epochs * self.steps);
                let fraction = (all > 0).then(|| done as f32 / all as f32);
                self.handle.note(fraction, format!("epoch {epoch} of {}", self.epochs));
            }
            _ => {}
        }
        self.queue.push(event);
        Ok(())
    }
}

/// The patients are prepared: the run's track follows it from now on.
pub fn begun(state: &mut State, jobs: &mut Jobs, run: &Path, config: &Config, pins: Arc<Pins>) {
    if let Some(live) = &mut jobs.live {
        live.run = Some((run.to_path_buf(), pins));
    }
    if let Some(running) = &mut state.train.running {
        running.run = Some(run.to_path_buf());
        // A number was added where the name was taken.
        if let Some(name) = run.file_name() {
            running.name = name.to_string_lossy().into_owned();
        }
        running.stage = config.stage;
    }
    replay::begin_live(state, jobs, run, config);
}

/// Takes what the running job has told and starts the next of the queue. Called every frame, before drawing.
pub fn follow(state: &mut State, jobs: &mut Jobs) {
    hear(state, jobs);
    queue::follow(state, jobs);
    if state.train.closing && !jobs.runs(SLOT) && jobs.at_work(queue::SLOT) == 0 {
        state.quit = true;
    }
    start_next(state, jobs);
}

/// Takes out what waits; never more than the queue holds. Nothing before the run is known: its beginning is told first.
fn hear(state: &mut State, jobs: &mut Jobs) {
    let Some(live) = &jobs.live else { return };
    let Some((run, _)) = live.run.clone() else { return };
    let events = live.queue.drain();
    if events.is_empty() {
        return;
    }
    for event in &events {
        if let Some(running) = &mut state.train.running {
            running.hear(event);
        }
        if let Event::Warning { message } = event {
            state.notice(Severity::Warning, "About the training", message.clone());
        }
    }
    if let (Some(running), Some(live)) = (&mut state.train.running, &mut jobs.live) {
        measure(running, live);
    }
    replay::live_events(state, jobs, &run, &events);
}

/// Measures the speed of late.
fn measure(running: &mut Running, live: &mut Live) {
    let (now, steps) = (Instant::now(), running.steps_done());
    if running.phase != Phase::Training {
        live.mark = None;
        return;
    }
    let Some((then, before)) = live.mark else {
        live.mark = Some((now, steps));
        return;
    };
    let seconds = (now - then).as_secs_f64();
    if now - then < MEASURED || steps <= before {
        return;
    }
    let slices = running.slices as f64 / running.steps_per_epoch.max(1) as f64;
    let rate = (steps - before) as f64 * slices / seconds;
    running.rate = Some(running.rate.map_or(rate, |old| old + WEIGHT * (rate - old)));
    live.mark = Some((now, steps));
}

/// The job under way is over, in whichever way.
pub fn ended(state: &mut State, jobs: &mut Jobs, how: Ending) {
    hear(state, jobs);
    let live = jobs.live.take();
    if let Some((run, _)) = live.as_ref().and_then(|live| live.run.clone()) {
        replay::end_live(state, jobs, &run);
    }
    let Some(running) = state.train.running.take() else { return };
    let Running { id, name, stage, run, .. } = running;
    let nothing_there = run.as_deref().is_none_or(|run| !RunFolder::is_run(run));
    if let (true, true, Ending::Stopped, Some(live)) = (state.train.closing, nothing_there, &how, &live) {
        // It never came to a checkpoint that could be gone on from: it waits for its turn again.
        state.train.queue.insert(0, live.queued.clone());
    }
    match &how {
        Ending::Finished => state.notice(Severity::Info, "Training finished", name.clone()),
        Ending::Stopped if !state.train.closing && nothing_there => {
            let what = format!("{name} had not come to its first step: nothing of it is kept");
            state.notice(Severity::Info, "Training stopped", what);
        }
        Ending::Stopped if !state.train.closing => {
            state.notice(Severity::Info, "Training stopped", format!("{name} can be resumed from its checkpoint"));
        }
        Ending::Stopped | Ending::Failed(_) => {}
    }
    state.train.ended.insert(0, Ended { id, name, stage, run, how });
    state.train.ended.truncate(REMEMBERED);
    if state.train.closing {
        return;
    }
    workspace::start(state, jobs);
    start_next(state, jobs);
    if state.train.estimate == Estimate::Waiting {
        assess::start(state, jobs);
    }
}

/// Pauses after this step.
pub fn pause(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = state.train.running.as_mut().filter(|job| job.can_pause()) {
        running.phase = Phase::Pausing;
        running.rate = None;
        jobs.signal(running.job, Signal::Pause);
    }
}

/// Goes on after a pause.
pub fn go_on(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = state.train.running.as_mut().filter(|job| job.can_go_on()) {
        running.phase = Phase::Training;
        jobs.signal(running.job, Signal::Run);
    }
}

/// Stops after this step.
pub fn stop(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = &mut state.train.running {
        running.phase = Phase::Stopping;
        jobs.signal(running.job, Signal::Cancel);
    }
}

/// Ends the program once the training has saved its checkpoint; at once if there is none.
pub fn close(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_all();
    state.dialog = None;
    if !jobs.runs(SLOT) {
        state.quit = true;
        return;
    }
    if let Some(running) = &mut state.train.running {
        running.phase = Phase::Stopping;
    }
    state.train.closing = true;
    let what = "The program ends once its checkpoint is written. Closing it again does not wait for that";
    state.notice(Severity::Info, "Saving the training", what);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_told_nothing_is_removed_and_any_other_stays() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        for (log, stays) in [(None, false), (Some(""), false), (Some("{}\n"), true)] {
            let made = RunFolder::create(&run, "version = 1").unwrap();
            if let Some(log) = log {
                std::fs::write(made.events_path(), log).unwrap();
            }
            drop(made);
            leave_nothing_behind(&run);
            assert_eq!(run.exists(), stays, "{log:?}");
        }
        // Not a run: only where nothing is in it.
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("notes.txt"), "mine").unwrap();
        leave_nothing_behind(&other);
        assert!(other.join("notes.txt").exists());
    }
}
