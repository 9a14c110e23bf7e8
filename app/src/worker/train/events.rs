//! Passes a run's events to the window.
//!
//! The run pushes events into a queue that keeps only the newest step but every milestone. The window takes them with
//! the job's other results.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::event::{Event, EventQueue, EventSink};

use crate::state::{Severity, State};
use crate::worker::{JobHandle, Jobs, Wake, replay, runs};

/// Minimum interval between wake-ups of the window, which also polls its jobs.
const WAKE_INTERVAL: Duration = Duration::from_millis(50);

/// The events of one run.
pub(super) struct EventFeed {
    queue: EventQueue,
    /// The run folder, once known. Nothing is pushed before.
    run: OnceLock<PathBuf>,
    /// A delivery is pending.
    scheduled: AtomicBool,
    wake: Wake,
    begin: Instant,
    /// Milliseconds since `begin`.
    last_wake: AtomicU64,
}

impl EventFeed {
    pub(super) fn new(wake: Wake) -> Self {
        Self {
            queue: EventQueue::default(),
            run: OnceLock::new(),
            scheduled: AtomicBool::new(false),
            wake,
            begin: Instant::now(),
            last_wake: AtomicU64::new(0),
        }
    }

    pub(super) fn set_run(&self, run: &Path) {
        self.run.get_or_init(|| run.to_path_buf());
    }

    pub(super) fn run(&self) -> Option<&Path> {
        self.run.get().map(PathBuf::as_path)
    }

    /// Applies the pending events.
    pub(super) fn deliver(&self, state: &mut State, jobs: &mut Jobs) {
        self.scheduled.store(false, Ordering::Release);
        let events = self.queue.drain();
        let Some(run) = self.run().filter(|_| !events.is_empty()) else { return };
        apply(state, jobs, run, &events);
    }

    /// Wakes the window, but not for every step of a small network.
    fn wake(&self) {
        let now = self.begin.elapsed().as_millis() as u64 + 1;
        let last = self.last_wake.load(Ordering::Relaxed);
        if last == 0 || now >= last + WAKE_INTERVAL.as_millis() as u64 {
            self.last_wake.store(now, Ordering::Relaxed);
            (self.wake)();
        }
    }
}

fn apply(state: &mut State, jobs: &mut Jobs, run: &Path, events: &[Event]) {
    for event in events {
        if let Some(running) = &mut state.training.running {
            running.apply(event);
        }
        if let Event::Warning { message } = event {
            state.notice(Severity::Warning, "Warning from the run", message.clone());
        }
    }
    if let Some(running) = &mut state.training.running {
        running.measure_rate(Instant::now());
    }
    runs::update_running(state);
    replay::live_events(state, jobs, run, events);
}

/// Pushes events into a feed, and reports the progress of the job.
pub(super) struct Sink<'a> {
    handle: &'a JobHandle,
    feed: &'a Arc<EventFeed>,
    epochs: usize,
    steps: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(handle: &'a JobHandle, feed: &'a Arc<EventFeed>) -> Self {
        Self { handle, feed, epochs: 0, steps: 0 }
    }
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
            // No effect on the progress. All events are queued below.
            Event::Estimate { .. }
            | Event::Relabel { .. }
            | Event::Probe(_)
            | Event::Epoch(_)
            | Event::Validation { .. }
            | Event::Checkpoint { .. }
            | Event::Warning { .. }
            | Event::Finished { .. }
            | Event::Failed { .. } => {}
        }
        self.feed.queue.push(event);
        if !self.feed.scheduled.swap(true, Ordering::AcqRel) {
            let feed = Arc::clone(self.feed);
            self.handle.post(move |state, jobs| feed.deliver(state, jobs));
        }
        self.feed.wake();
        Ok(())
    }
}
