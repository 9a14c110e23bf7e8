//! Runs the job on its own thread and device, independent of the display device.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use engine::ErrorKind;
use engine::config::{Config, Pretext};
use engine::device::{self, Compute, DeviceList};
use engine::event::{EventSink, Fanout, Signal, Stage};
use engine::jobs::retrain::measure_change;
use engine::jobs::{FinetuneJob, PretrainJob, Start, stored_config};
use engine::probe::{Pin, Pins};
use engine::run::tensorboard::TensorBoard;
use engine::run::{RunFolder, checkpoint};

use super::events::{EventFeed, Sink};
use super::{assess, queue};
use crate::state::timeline::{LivePins, PinSettings, WantedPin};
use crate::state::train::form::name_problem;
use crate::state::train::{EndedJob, Estimate, JobOutcome, Phase, QueuedJob, RunningJob};
use crate::state::{Severity, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of, replay, runs};

/// One run at a time; the others wait in the queue.
pub const SLOT: Slot = Slot::exclusive("train");
/// Maximum number of ended jobs that are listed.
const MAX_REMEMBERED: usize = 8;

/// Trains a job of the queue.
struct TrainJob {
    queued: QueuedJob,
    workspace: PathBuf,
    threads: usize,
    /// TensorBoard event files are written.
    tensorboard: bool,
    /// Slices to pin.
    wanted: Vec<WantedPin>,
    turn: Arc<Mutex<()>>,
    feed: Arc<EventFeed>,
}

/// How a run ended, and whether its run folder exists.
struct TrainOutcome {
    result: Result<(), Failure>,
    run_exists: bool,
}

/// Starts the next job of the queue, if none is running.
pub fn start_next(state: &mut State, jobs: &mut Jobs) {
    let training = &mut state.training;
    if training.running.is_some() || jobs.runs(SLOT) || training.closing || training.queue.is_empty() {
        return;
    }
    let queued = training.queue.remove(0);
    let QueuedJob { id, name, stage, folder, .. } = queued.clone();
    let job = jobs.start(TrainJob {
        queued,
        workspace: state.session.settings.workspace(),
        threads: super::threads(&state.session.settings),
        tensorboard: state.session.settings.tensorboard,
        wanted: state.session.timeline.wanted.clone(),
        turn: Arc::clone(&jobs.alone),
        feed: Arc::new(EventFeed::new(Arc::clone(&jobs.wake))),
    });
    if state.cache.train.estimate == Estimate::Running {
        state.cache.train.estimate = Estimate::Waiting;
    }
    state.training.running = Some(RunningJob { id, job, name, stage, run: folder, ..RunningJob::default() });
    queue::save(state, jobs);
}

impl Job for TrainJob {
    type Output = TrainOutcome;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, title(self.queued.stage, &self.queued.name))
    }

    fn run(&self, handle: &JobHandle) -> Result<TrainOutcome, Failure> {
        let run = self.run_folder()?;
        // Adds a number if the name is in use, so that a failure is about this run and not the other.
        let name = name_of(&run);
        handle.send(move |state, _| {
            if let Some(running) = &mut state.training.running {
                running.name = name;
            }
        });
        // An existing run of this name is resumed.
        let is_new = !RunFolder::is_run(&run);
        let result = self.train(&run, handle);
        if result.is_err() && is_new {
            remove_if_empty(&run);
        }
        Ok(TrainOutcome { result, run_exists: RunFolder::is_run(&run) })
    }

    fn apply(self, result: Result<TrainOutcome, Failure>, state: &mut State, jobs: &mut Jobs) {
        self.feed.deliver(state, jobs);
        let title =
            state.training.running.as_ref().map_or_else(|| self.spec().title, |job| title(job.stage, &job.name));
        // A job that failed before it had a run folder, or panicked.
        let TrainOutcome { result, run_exists } = result
            .unwrap_or_else(|failure| TrainOutcome { result: Err(failure), run_exists: self.feed.run().is_some() });
        let how = match &result {
            Ok(()) => JobOutcome::Finished,
            Err(Failure::Cancelled) => JobOutcome::Stopped,
            Err(failure) => {
                failure.report(&title, state);
                JobOutcome::Failed(failure.reason())
            }
        };
        ended(state, jobs, self.queued, how, run_exists);
    }
}

impl TrainJob {
    fn run_folder(&self) -> Result<PathBuf, Failure> {
        let Self { queued, workspace, .. } = self;
        // A run resumed by path keeps its name; a typed name must stay inside the workspace.
        let typed = queued.folder.is_some() && queued.config.is_some();
        if let Some(why) = name_problem(&queued.name).filter(|_| typed) {
            return Err(Failure::Error(format!("name = {:?}: {why}", queued.name)));
        }
        if let Some(run) = &queued.folder {
            return Ok(run.clone());
        }
        let made = std::fs::create_dir_all(workspace);
        made.map_err(|e| Failure::Error(format!("{}: cannot create: {e}", workspace.display())))?;
        Ok(engine::run::workspace::fresh(workspace, &queued.name))
    }

    fn train(&self, run: &Path, handle: &JobHandle) -> Result<(), Failure> {
        let mut config = match &self.queued.config {
            Some(config) => (**config).clone(),
            None => stored_config(run)?,
        };
        config.threads = self.threads;
        engine::threads::with(self.threads, || self.prepare_and_train(config, run, handle))?
    }

    fn prepare_and_train(&self, config: Config, run: &Path, handle: &JobHandle) -> Result<(), Failure> {
        let is_automatic = config.device == DeviceList::default();
        let device = if is_automatic { "the device".to_owned() } else { config.device.to_string() };
        handle.progress(None, format!("Opening {device}"));
        let compute = device::open_all(&config.device)?;
        handle.progress(None, "Reading the cohort");
        let start = Start { resume: true, ..Start::default() };
        let mut progress = |done: usize, of: usize| {
            handle.progress(Some(done as f32 / of.max(1) as f32), format!("Patient {done} of {of}"));
        };
        let (mut window, mut board) = (Sink::new(handle, &self.feed), TensorBoard::new(run));
        let mut sinks: Vec<&mut dyn EventSink> = vec![&mut window];
        if self.tensorboard || TensorBoard::exists(run) {
            sinks.push(&mut board);
        }
        let mut sink = Fanout(sinks);
        match config.stage {
            Stage::Pretrain => {
                let mut job = PretrainJob::prepare(config, run, start, &handle.control, &mut progress)?;
                let pins = self.pins_of(&job.config, run);
                add_pins(&job.pins, &pins);
                if job.pins.list().is_empty() {
                    // Without pins, record the fullest slice of the first patient, so that Watch has a slice to show.
                    job.pin(&Vec::from_iter(job.slices.fullest_slice(0)))?;
                }
                self.prepared(run, &job.config, (&job.pins, pins), handle);
                let _turn = handle.wait_for(&self.turn)?;
                job.train(&compute, &mut sink, &handle.control)?;
            }
            Stage::Finetune => {
                let mut job = FinetuneJob::prepare(config, run, start, &handle.control, &mut progress)?;
                let pins = self.pins_of(&job.config, run);
                pin_for_finetuning(&job.pins, &pins, &job.config.labels.from)?;
                self.prepared(run, &job.config, (&job.pins, pins), handle);
                let _turn = handle.wait_for(&self.turn)?;
                job.train(&compute, &mut sink, &handle.control)?;
                // The evaluation locks the run again.
                drop(job);
                measure(run, &compute, handle);
            }
        }
        Ok(())
    }

    /// The slices to pin, as the run prepares them. The form may have changed since they were pinned.
    fn pins_of(&self, config: &Config, run: &Path) -> Vec<Pin> {
        let settings = PinSettings::of(config, Some(run));
        replay::pins_in(&self.wanted, &settings)
    }

    /// Called when the patients are prepared. From now on, the window shows the run. `converted` are the wanted slices, as
    /// the run prepares them.
    fn prepared(&self, run: &Path, config: &Config, (pins, converted): (&Arc<Pins>, Vec<Pin>), handle: &JobHandle) {
        self.feed.set_run(run);
        let (run, config, pins) = (run.to_path_buf(), config.clone(), Arc::clone(pins));
        let wanted = self.wanted.clone();
        handle.send(move |state, jobs| {
            begun(state, jobs, &run, &config, pins);
            hand_over(state, &wanted, &converted);
        });
        handle.progress(None, "Setting up the network");
    }
}

/// Measures the Dice before and after, if it continued an earlier run. A failure here does not fail the run.
fn measure(run: &Path, compute: &Compute, handle: &JobHandle) {
    let mut progress = |done: usize, of: usize, who: &str| {
        handle.progress(Some(done as f32 / of.max(1) as f32), format!("Dice before and after: {who}"));
    };
    match measure_change(run, compute, &handle.control, &mut progress) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => {}
        Err(error) => {
            let why = error.to_string();
            handle.send(move |state, _| {
                state.notice(Severity::Warning, "Dice before and after is not known", why);
            });
        }
    }
}

fn title(stage: Stage, name: &str) -> String {
    let stage = if stage == Stage::Pretrain { "Pre-training" } else { "Fine-tuning" };
    format!("{stage} {name}")
}

/// Removes a new run without checkpoint and log, which could not be resumed.
fn remove_if_empty(run: &Path) {
    if !RunFolder::is_run(run) {
        // Without settings, it is at most an empty folder. One with content is not ours to remove.
        let _ = std::fs::remove_dir(run);
        return;
    }
    let removed = RunFolder::resume(run).and_then(|run| {
        let log = run.events_path();
        let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
        if checkpoint::has_checkpoint(&run) || has_log {
            return Ok(());
        }
        if log.exists() {
            // Started without logging anything. A run with a log is never discarded.
            std::fs::remove_file(&log).map_err(engine::Error::io("remove", &log))?;
        }
        run.discard()
    });
    if let Err(error) = removed {
        tracing::warn!("{}: cannot remove the empty run folder: {error}", run.display());
    }
}

/// Pins `wanted`. In a run without pins yet, the slices of the pre-training `from` stay pinned too.
fn pin_for_finetuning(pins: &Pins, wanted: &[Pin], from: &Path) -> engine::Result<()> {
    if pins.list().is_empty() && !from.as_os_str().is_empty() {
        add_pins(pins, &engine::probe::pins(from)?);
    }
    add_pins(pins, wanted);
    Ok(())
}

fn add_pins(pins: &Pins, wanted: &[Pin]) {
    for pin in wanted {
        pins.add(pin.clone());
    }
}

/// Called when training begins: the run's track follows the job from now on.
fn begun(state: &mut State, jobs: &mut Jobs, run: &Path, config: &Config, pins: Arc<Pins>) {
    if let Some(running) = &mut state.training.running {
        running.run = Some(run.to_path_buf());
        running.stage = config.stage;
        let amlp = config.stage == Stage::Pretrain && config.method.pretext == Pretext::Amlp;
        running.ratio = amlp.then(|| config.method.ratio.clone());
    }
    replay::begin_live(state, jobs, run, config);
    replay::share_pins(state, LivePins { run: run.to_path_buf(), pins });
    runs::list(state, jobs);
}

/// Called when a run has pinned the slices `wanted` as `pins`. The shown slice stays shown, whatever its number in the run.
fn hand_over(state: &mut State, wanted: &[WantedPin], pins: &[Pin]) {
    let timeline = &mut state.session.timeline;
    let mut pairs = wanted.iter().zip(pins);
    if let Some((_, pin)) = pairs.find(|(wanted, _)| timeline.pin.as_ref() == Some(&wanted.pin)) {
        timeline.pin = Some(pin.clone());
    }
    timeline.wanted.retain(|other| !wanted.contains(other));
}

/// Called when the job has ended, with any outcome.
fn ended(state: &mut State, jobs: &mut Jobs, queued: QueuedJob, how: JobOutcome, run_exists: bool) {
    let Some(running) = state.training.running.take() else { return };
    let RunningJob { id, name, stage, run, .. } = running;
    if let Some(run) = &run {
        replay::end_live(state, run);
    }
    let closing = state.training.closing;
    match &how {
        JobOutcome::Finished => state.notice(Severity::Info, "Training finished", name.clone()),
        // Without a checkpoint to resume from, it returns to the queue.
        JobOutcome::Stopped if closing && !run_exists => state.training.queue.insert(0, queued),
        JobOutcome::Stopped if closing => {}
        JobOutcome::Stopped if run_exists => {
            state.notice(Severity::Info, "Training stopped", format!("{name} can be resumed from its checkpoint."));
        }
        JobOutcome::Stopped => {
            let what = format!("{name} was stopped before its first step. Nothing was kept.");
            state.notice(Severity::Info, "Training stopped", what);
        }
        JobOutcome::Failed(_) => {}
    }
    state.training.ended.insert(0, EndedJob { id, name, stage, run, how });
    state.training.ended.truncate(MAX_REMEMBERED);
    queue::save(state, jobs);
    if closing {
        return quit_if_closed(state, jobs);
    }
    runs::list(state, jobs);
    start_next(state, jobs);
    if state.cache.train.estimate == Estimate::Waiting {
        assess::start(state, jobs);
    }
}

/// Pauses after this step.
pub fn pause(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = state.training.running.as_mut().filter(|job| job.can_pause()) {
        running.phase = Phase::Pausing;
        running.rate = None;
        jobs.signal(running.job, Signal::Pause);
    }
}

/// Resumes after a pause.
pub fn resume(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = state.training.running.as_mut().filter(|job| job.can_resume()) {
        running.phase = Phase::Training;
        jobs.signal(running.job, Signal::Run);
    }
}

/// Stops after this step.
pub fn stop(state: &mut State, jobs: &mut Jobs) {
    if let Some(running) = &mut state.training.running {
        running.phase = Phase::Stopping;
        jobs.signal(running.job, Signal::Cancel);
    }
}

/// Quits once the current run has saved its checkpoint, or at once if no run is active.
pub fn close(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_all();
    state.dialog = None;
    state.training.closing = true;
    if let Some(running) = &mut state.training.running {
        running.phase = Phase::Stopping;
        let what = "AMLP closes once the checkpoint is saved. Close it again to quit at once.";
        state.notice(Severity::Info, "Saving the run", what);
    }
    quit_if_closed(state, jobs);
}

/// Quits if closing was requested and no save is in progress.
pub(super) fn quit_if_closed(state: &mut State, jobs: &Jobs) {
    if state.training.closing && !jobs.runs(SLOT) && jobs.at_work(queue::SLOT) == 0 {
        state.quit = true;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// With another slice pinned, the fine-tuning did not record the slice followed in the pre-training.
    #[test]
    fn slices_of_the_pretraining_stay_pinned_beside_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("pre");
        std::fs::create_dir_all(from.join("probes")).unwrap();
        std::fs::write(from.join("probes/pins.json"), r#"["P:1"]"#).unwrap();
        let (of_pretraining, new) = (Pin::new("P", 1), Pin::new("P", 4));
        let pins = Pins::new(Vec::new());
        pin_for_finetuning(&pins, std::slice::from_ref(&new), &from).unwrap();
        let listed = pins.list();
        assert_eq!((listed.len(), listed.contains(&of_pretraining), listed.contains(&new)), (2, true, true));
        // A resumed run keeps its own pins.
        let resumed = Pins::new(vec![new.clone()]);
        pin_for_finetuning(&resumed, &[], &from).unwrap();
        assert_eq!(resumed.list(), std::slice::from_ref(&new));
        let random = Pins::new(Vec::new());
        pin_for_finetuning(&random, std::slice::from_ref(&new), Path::new("")).unwrap();
        assert_eq!(random.list(), [new]);
    }

    /// The shown slice had another number in the run, and the slice of another patient was shown instead.
    #[test]
    fn the_shown_slice_stays_shown_if_it_has_another_number_in_the_run() {
        let (mut state, mut jobs) = (State::default(), Jobs::new(None, Arc::new(|| ())));
        let wanted = [Pin::new("A", 1), Pin::new("P", 3)].map(|pin| WantedPin { pin, of: None });
        let pins = [Pin::new("A", 4), Pin::new("P", 10)];
        let timeline = &mut state.session.timeline;
        (timeline.wanted, timeline.pin) = (wanted.to_vec(), Some(wanted[1].pin.clone()));
        let run = PathBuf::from("/nowhere/run");
        replay::begin_live(&mut state, &mut jobs, &run, &Config::default());
        replay::share_pins(&mut state, LivePins { run, pins: Arc::new(Pins::new(pins.to_vec())) });
        hand_over(&mut state, &wanted, &pins);
        state.settle_pin();
        assert_eq!((state.session.timeline.pin.as_ref(), state.pins()), (Some(&pins[1]), pins.to_vec()));
    }

    #[test]
    fn a_run_without_log_and_checkpoint_is_removed_and_any_other_stays() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        for (log, stays) in [(None, false), (Some(""), false), (Some("{}\n"), true)] {
            let made = RunFolder::create(&run, "version = 1").unwrap();
            if let Some(log) = log {
                std::fs::write(made.events_path(), log).unwrap();
            }
            drop(made);
            remove_if_empty(&run);
            assert_eq!(run.exists(), stays, "{log:?}");
        }
        // A folder that is not a run is removed only if it is empty.
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("notes.txt"), "mine").unwrap();
        remove_if_empty(&other);
        assert!(other.join("notes.txt").exists());
    }
}
