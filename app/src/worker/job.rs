//! A job: a request, work on a separate thread, and the effect of its result on the state.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use engine::event::{Control, Signal};

use super::{Jobs, Wake};
use crate::state::names::file_name;
use crate::state::{CaseId, Severity, Slot, State};

/// Background work as a typed value, whose fields are the request.
pub trait Job: Send + 'static {
    /// Result of the work.
    type Output: Send + 'static;

    /// The job's title, slot and case.
    fn spec(&self) -> Spec;

    /// The work, on a worker thread. A panic becomes [`Failure::Panic`].
    ///
    /// # Errors
    /// Why the work ended early.
    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure>;

    /// Applies the result to the state, on the window's thread.
    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, jobs: &mut Jobs);

    /// Called instead of [`Job::apply`] if the job's case was closed meanwhile. Drops the result, except for reports
    /// such as a written file.
    fn apply_late(self, _result: Result<Self::Output, Failure>, _state: &mut State)
    where
        Self: Sized,
    {
    }
}

/// Title, slot and case of a job.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its slot: a job in an exclusive slot replaces the previous one.
    pub slot: Slot,
    /// Its case: the result is dropped if that case is closed.
    pub case: Option<CaseId>,
    /// What the job does, in a few words. Shown to the user.
    pub title: String,
    /// Listed only if it lasts.
    pub quiet: bool,
    /// Never listed.
    pub hidden: bool,
}

impl Spec {
    /// A listed job without a case.
    pub fn new(slot: Slot, title: impl Into<String>) -> Self {
        Self { slot, case: None, title: title.into(), quiet: false, hidden: false }
    }

    /// Belongs to a case.
    #[must_use]
    pub fn of_case(self, case: CaseId) -> Self {
        Self { case: Some(case), ..self }
    }

    /// Listed only if it lasts.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Never listed.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }
}

/// Why a job ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was cancelled.
    Cancelled,
    /// The error, with file, field and value.
    Error(String),
    /// A defect of the program; the text names the job.
    Panic(String),
}

impl Failure {
    /// The reason as shown to the user.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Cancelled => "It was cancelled.".into(),
            Self::Error(why) => why.clone(),
            Self::Panic(what) => {
                format!("An internal error stopped this job. Everything else keeps working. {what}")
            }
        }
    }

    /// Tells the user that the job `title` was cancelled or failed.
    pub fn report(&self, title: &str, state: &mut State) {
        match self {
            Self::Cancelled => state.notice(Severity::Info, "Cancelled", title),
            Self::Error(_) | Self::Panic(_) => state.error(format!("{title} failed"), self.reason()),
        }
    }

    /// Tells the user that a file could not be opened. The message is dismissed once another file is open.
    pub fn report_unopened(&self, path: &Path, state: &mut State) {
        let (name, before) = (file_name(path), state.last_notice());
        match self {
            Self::Cancelled => self.report(&format!("Opening {name}"), state),
            Self::Error(_) | Self::Panic(_) => state.error(format!("Cannot open {name}"), self.reason()),
        }
        state.mark_failed_open(before);
    }
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

/// A result queued for the window's thread; called with `true` if its case is closed.
pub(super) type Delivery = Box<dyn FnOnce(bool, &mut State, &mut Jobs) + Send>;

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) fraction: Option<f32>,
    pub(super) detail: String,
}

/// The worker's side of a job: reports progress, delivers results, polls cancellation.
pub struct JobHandle {
    /// Run, pause or cancel.
    pub control: Control,
    progress: Mutex<Progress>,
    partial: Mutex<Vec<Delivery>>,
    wake: Wake,
    unchanged: AtomicBool,
}

impl JobHandle {
    pub(super) fn new(wake: Wake) -> Self {
        Self {
            control: Control::default(),
            progress: Mutex::default(),
            partial: Mutex::default(),
            wake,
            unchanged: AtomicBool::new(false),
        }
    }

    /// Reports progress, 0 to 1 if known, and the current step.
    pub fn progress(&self, fraction: Option<f32>, detail: impl Into<String>) {
        self.note(fraction, detail);
        (self.wake)();
    }

    /// Reports progress without waking the window, for frequent updates.
    pub fn note(&self, fraction: Option<f32>, detail: impl Into<String>) {
        *lock(&self.progress) = Progress { fraction, detail: detail.into() };
    }

    /// Delivers a partial result. It is dropped if the job's case is closed by then.
    pub fn send(&self, apply: impl FnOnce(&mut State, &mut Jobs) + Send + 'static) {
        self.post(apply);
        (self.wake)();
    }

    /// Delivers a partial result without waking the window.
    pub fn post(&self, apply: impl FnOnce(&mut State, &mut Jobs) + Send + 'static) {
        let delivery = move |late: bool, state: &mut State, jobs: &mut Jobs| {
            if !late {
                apply(state, jobs);
            }
        };
        lock(&self.partial).push(Box::new(delivery));
    }

    /// # Errors
    /// [`Failure::Cancelled`] once the job should stop.
    pub fn check(&self) -> Result<(), Failure> {
        if self.control.get() == Signal::Cancel { Err(Failure::Cancelled) } else { Ok(()) }
    }

    /// Waits for a lock.
    ///
    /// # Errors
    /// [`Failure::Cancelled`] if the job should stop before it has the lock.
    pub fn wait_for<'a>(&self, turn: &'a Mutex<()>) -> Result<MutexGuard<'a, ()>, Failure> {
        loop {
            self.check()?;
            match turn.try_lock() {
                Ok(guard) => return Ok(guard),
                // The lock guards no data, so poisoning is harmless.
                Err(TryLockError::Poisoned(guard)) => return Ok(guard.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Declares that there is nothing new: the end of the job does not wake the window, and is applied with the next
    /// frame.
    pub fn report_no_change(&self) {
        self.unchanged.store(true, Ordering::Relaxed);
    }

    pub(super) fn wakes_at_end(&self) -> bool {
        !self.unchanged.load(Ordering::Relaxed)
    }

    pub(super) fn current_progress(&self) -> Progress {
        lock(&self.progress).clone()
    }

    pub(super) fn take_partial(&self) -> Vec<Delivery> {
        std::mem::take(&mut lock(&self.partial))
    }
}

/// Poisoning is harmless: no panic leaves the data behind these locks half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
