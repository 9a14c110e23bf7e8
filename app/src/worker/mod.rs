//! Jobs: work on named threads, behind promises, so that the window never waits.
//!
//! A job ends in one [`Outcome`] or a [`Failure`]; while it runs it may send more outcomes. A panic becomes a failure.
//! What a job was started for is remembered with it: results for a case that is no longer open are dropped.

pub mod analyse;
pub mod apply;
pub mod dialog;
pub mod frame;
pub mod layer;
pub mod masking;
pub mod open;
pub mod replay;
mod request;
pub mod restore;
pub mod runs;
pub mod save;
pub mod segment;
pub mod thumbnails;
pub mod train;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use engine::event::{Control, Signal};
use poll_promise::Promise;

use crate::gpu::Gpu;
use crate::state::JobStatus;

pub use apply::Outcome;

/// Asks the window to look at the jobs again; called from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a job is: at most one of a kind runs, except for masks and for files that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opens a case or looks through a folder.
    Open,
    /// Adds a mask or a probability to the open case.
    Layer,
    /// Findings, comparison, measures.
    Analyse,
    /// Maximum intensity projection.
    Project,
    /// Another frame of a 4-D scan.
    Frame,
    /// Pictures for the list of cases.
    Thumbnails,
    /// Segments the open case.
    Segment,
    /// Writes a file.
    Save,
    /// Waits for the user in a dialog of the system.
    Dialog,
    /// Looks for devices.
    Devices,
    /// Prepares the open case as for training.
    Prepare,
    /// Clusters the shown slice.
    Cluster,
    /// Lets a network fill the masked patches in.
    Reconstruct,
    /// Looks at a cohort.
    Cohort,
    /// Estimates what a training takes.
    Assess,
    /// Trains.
    Train,
    /// Segments and measures the patients that a run holds out.
    Evaluate,
    /// Finds out which patients of a run train.
    Split,
    /// Reads the settings of a run.
    Settings,
    /// Keeps what waits to be trained.
    Queue,
    /// Reads the settings of the run that has the next one's name.
    Namesake,
    /// Looks for runs to go on with or to start from.
    Workspace,
    /// Lists the runs of the workspace, or changes one.
    Runs,
    /// Reads a run.
    Replay,
    /// Reads what a run recorded of a slice.
    Probe,
}

impl Kind {
    /// Jobs that may run side by side with others of their kind.
    fn many(self) -> bool {
        matches!(self, Self::Layer | Self::Save | Self::Replay | Self::Runs)
    }
}

/// Why a job did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was told to stop.
    Cancelled,
    /// What could not be done, with file, field and value.
    Error(String),
    /// A defect of the program; the text names what was being done.
    Panic(String),
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        match error.kind() {
            engine::ErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Error(error.to_string()),
        }
    }
}

impl From<crate::gpu::GpuError> for Failure {
    fn from(error: crate::gpu::GpuError) -> Self {
        Self::Error(error.to_string())
    }
}

/// What a job says of itself while it runs.
#[derive(Clone, Debug, Default)]
struct Progress {
    fraction: Option<f32>,
    detail: String,
}

/// A job's end of the line: it reports here, and learns here that it should stop.
pub struct Ticket {
    /// Says run or cancel.
    pub control: Control,
    progress: Mutex<Progress>,
    partial: Mutex<Vec<Outcome>>,
    wake: Wake,
}

impl Ticket {
    /// Says how far the job is: 0 to 1 if that is known, and what it is doing.
    pub fn progress(&self, fraction: Option<f32>, detail: impl Into<String>) {
        self.note(fraction, detail);
        (self.wake)();
    }

    /// The same without asking the window to look: for what changes many times a second.
    pub fn note(&self, fraction: Option<f32>, detail: impl Into<String>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress { fraction, detail: detail.into() };
    }

    /// Hands over a result before the end.
    pub fn send(&self, outcome: Outcome) {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        (self.wake)();
    }

    /// An error if the job should stop.
    pub fn check(&self) -> Result<(), Failure> {
        if self.control.get() == Signal::Cancel { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// Waits until nobody else holds `turn`; an error if the job should stop before.
    pub fn wait_for<'a>(&self, turn: &'a Mutex<()>) -> Result<MutexGuard<'a, ()>, Failure> {
        loop {
            self.check()?;
            match turn.try_lock() {
                Ok(held) => return Ok(held),
                // A job that panicked left nothing behind that could be broken.
                Err(TryLockError::Poisoned(held)) => return Ok(held.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn take_partial(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.partial.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a job is started for.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What it is.
    pub kind: Kind,
    /// The case it is for; results are dropped when that is no longer open.
    pub document: Option<u64>,
    /// What it does, in a few words.
    pub title: String,
    /// Not worth a line unless it lasts.
    pub quiet: bool,
}

/// A running job.
struct Running {
    id: u64,
    spec: Spec,
    ticket: Arc<Ticket>,
    promise: Promise<Result<Outcome, Failure>>,
    abandoned: bool,
}

/// A result that arrived.
pub struct Arrival {
    /// What the job was started for.
    pub spec: Spec,
    /// What came out.
    pub result: Result<Outcome, Failure>,
    /// False for a result before the end.
    pub last: bool,
}

/// All jobs.
pub struct Jobs {
    wake: Wake,
    gpu: Option<Gpu>,
    next: u64,
    running: Vec<Running>,
    /// The training under way, as far as the window has to do with it.
    live: Option<train::Live>,
    /// Held by the one job that trains or measures a step: two at a time would share processor and memory.
    alone: Arc<Mutex<()>>,
}

impl Jobs {
    /// No jobs yet. `wake` is called from worker threads whenever there is something to look at.
    pub fn new(gpu: Option<Gpu>, wake: Wake) -> Self {
        Self { wake, gpu, next: 1, running: Vec::new(), live: None, alone: Arc::default() }
    }

    /// The graphics card that volumes are put on.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// Starts a job on a thread of its own. Unless many of its kind may run, the one before is cancelled and its result
    /// will be dropped.
    pub fn start(
        &mut self,
        spec: Spec,
        work: impl FnOnce(&Ticket) -> Result<Outcome, Failure> + Send + 'static,
    ) -> u64 {
        if !spec.kind.many() {
            self.cancel_kind(spec.kind);
        }
        let id = self.unused_id();
        let ticket = Arc::new(Ticket {
            control: Control::default(),
            progress: Mutex::default(),
            partial: Mutex::default(),
            wake: Arc::clone(&self.wake),
        });
        let (sender, promise) = Promise::new();
        let (theirs, wake) = (Arc::clone(&ticket), Arc::clone(&self.wake));
        let title = spec.title.clone();
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&theirs)))
                .unwrap_or_else(|panic| Err(Failure::Panic(format!("{title}: {}", panic_text(panic.as_ref())))));
            sender.send(result);
            wake();
        };
        let name = format!("{:?} {id}", spec.kind).to_lowercase();
        let promise = match std::thread::Builder::new().name(name).spawn(body) {
            Ok(_) => promise,
            Err(e) => Promise::from_ready(Err(Failure::Error(format!("{}: no thread: {e}", spec.title)))),
        };
        self.running.push(Running { id, spec, ticket, promise, abandoned: false });
        id
    }

    /// A number that no job and no case of this session has: not even a closed one, whose late results would else be
    /// taken for another's.
    pub fn unused_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Tells one job to stop.
    pub fn cancel(&mut self, id: u64) {
        self.signal(id, Signal::Cancel);
    }

    /// Tells one job to run, to pause or to stop.
    pub fn signal(&mut self, id: u64, signal: Signal) {
        for job in self.running.iter_mut().filter(|job| job.id == id) {
            job.ticket.control.set(signal);
        }
    }

    /// Tells all jobs of a kind to stop and drops their results.
    pub fn cancel_kind(&mut self, kind: Kind) {
        for job in self.running.iter_mut().filter(|job| job.spec.kind == kind) {
            job.ticket.control.set(Signal::Cancel);
            job.abandoned = true;
        }
    }

    /// Tells every job to stop.
    pub fn cancel_all(&mut self) {
        for job in &mut self.running {
            job.ticket.control.set(Signal::Cancel);
        }
    }

    /// Whether a job of this kind runs whose result is still wanted.
    pub fn runs(&self, kind: Kind) -> bool {
        self.running.iter().any(|job| job.spec.kind == kind && !job.abandoned)
    }

    /// How many threads of a kind are at work, those whose result is not wanted included.
    pub fn at_work(&self, kind: Kind) -> usize {
        self.running.iter().filter(|job| job.spec.kind == kind).count()
    }

    /// True when nothing runs whose result is wanted.
    pub fn idle(&self) -> bool {
        self.running.iter().all(|job| job.abandoned)
    }

    /// How many threads are still at work, those whose result is not wanted included.
    pub fn threads(&self) -> usize {
        self.running.len()
    }

    /// What arrived since the last call, in the order in which the jobs were started.
    pub fn poll(&mut self) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        let mut still = Vec::new();
        for job in std::mem::take(&mut self.running) {
            // Looked at before the partial results are taken, so that none of them is left behind.
            let ended = job.promise.ready().is_some();
            let partial = job.ticket.take_partial();
            if !job.abandoned {
                let early = |outcome| Arrival { spec: job.spec.clone(), result: Ok(outcome), last: false };
                arrivals.extend(partial.into_iter().map(early));
            }
            if !ended {
                still.push(job);
                continue;
            }
            if let (Ok(result), false) = (job.promise.try_take(), job.abandoned) {
                arrivals.push(Arrival { spec: job.spec, result, last: true });
            }
        }
        self.running = still;
        arrivals
    }

    /// The running jobs as the window shows them.
    pub fn statuses(&self) -> Vec<JobStatus> {
        let shown = self.running.iter().filter(|job| !job.abandoned && job.spec.kind != Kind::Dialog);
        shown
            .map(|job| {
                let progress = job.ticket.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
                JobStatus {
                    id: job.id,
                    kind: job.spec.kind,
                    title: job.spec.title.clone(),
                    progress: progress.fraction,
                    detail: progress.detail,
                    quiet: job.spec.quiet,
                }
            })
            .collect()
    }
}

impl Drop for Jobs {
    /// Nobody waits for the results any more.
    fn drop(&mut self) {
        self.cancel_all();
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
