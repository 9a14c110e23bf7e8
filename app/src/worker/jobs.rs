//! The running jobs: starting, cancelling, delivering.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use engine::event::Signal;
use poll_promise::Promise;

use super::autosave::Recorder;
use super::job::{Delivery, Failure, Job, JobHandle, Spec};
use super::review::{PrefetchSlot, SharedVerdictQueue};
use super::{Painter, Wake, update};
use crate::gpu::Gpu;
use crate::state::{JobStatus, Slot, State};

struct JobEntry {
    id: u64,
    spec: Spec,
    handle: Arc<JobHandle>,
    /// The final result.
    result: Promise<Delivery>,
    /// Replaced by another job of its slot: its results are dropped.
    abandoned: bool,
}

/// All running jobs and their shared resources.
pub struct Jobs {
    pub(super) wake: Wake,
    gpu: Option<Gpu>,
    next: u64,
    running: Vec<JobEntry>,
    painter: Option<Painter>,
    /// Locked by the job that trains or measures a step, so that only one does at a time.
    pub(super) alone: Arc<Mutex<()>>,
    /// Writes the verdicts of the reviewed folder.
    pub(super) keeper: SharedVerdictQueue,
    /// The prefetched case.
    pub(super) ahead: PrefetchSlot,
    /// Writes the journal of unsaved edits, if enabled.
    pub(super) recorder: Option<Recorder>,
}

impl Jobs {
    /// `wake` is called from worker threads when results are ready.
    pub fn new(gpu: Option<Gpu>, wake: Wake) -> Self {
        Self {
            wake,
            gpu,
            next: 1,
            running: Vec::new(),
            painter: None,
            alone: Arc::default(),
            keeper: Arc::default(),
            ahead: Arc::default(),
            recorder: None,
        }
    }

    /// The adapter that volumes are uploaded to.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// Sets the painter of exported pictures.
    pub fn set_painter(&mut self, painter: Painter) {
        self.painter = Some(painter);
    }

    /// Draws exported pictures; `None` in a program without views.
    pub fn painter(&self) -> Option<Painter> {
        self.painter
    }

    /// Starts a job on a new thread. In an exclusive slot it replaces the previous job.
    pub fn start<J: Job>(&mut self, job: J) -> u64 {
        let spec = job.spec();
        let title = spec.title.clone();
        self.spawn(spec, move |started| {
            let result = started.and_then(|handle| guarded(&title, || job.run(handle)));
            Box::new(
                move |late, state, jobs| {
                    if late { job.apply_late(result, state) } else { job.apply(result, state, jobs) }
                },
            )
        })
    }

    /// Starts a job that is two closures: `run` on a thread, `apply` on the window's thread. For tests: every job of the
    /// program is a [`Job`].
    #[doc(hidden)]
    pub fn start_with<T: Send + 'static>(
        &mut self,
        spec: Spec,
        run: impl FnOnce(&JobHandle) -> Result<T, Failure> + Send + 'static,
        apply: impl FnOnce(Result<T, Failure>, &Spec, &mut State, &mut Jobs) + Send + 'static,
    ) -> u64 {
        let of_job = spec.clone();
        self.spawn(spec, move |started| {
            let result = started.and_then(|handle| guarded(&of_job.title, || run(handle)));
            Box::new(move |late, state, jobs| {
                if !late {
                    apply(result, &of_job, state, jobs);
                }
            })
        })
    }

    /// Calls `body` on a new thread with the handle, or here with the error if no thread can be started.
    fn spawn(
        &mut self,
        spec: Spec,
        body: impl FnOnce(Result<&JobHandle, Failure>) -> Delivery + Send + 'static,
    ) -> u64 {
        if !spec.slot.is_shared() {
            self.cancel_slot(spec.slot);
        }
        let id = self.unused_id();
        let handle = Arc::new(JobHandle::new(Arc::clone(&self.wake)));
        let (sender, result) = Promise::new();
        let wake = Arc::clone(&self.wake);
        let ended = Arc::clone(&handle);
        let finish = move |started: Result<&JobHandle, Failure>| {
            sender.send(body(started));
            if ended.wakes_at_end() {
                wake();
            }
        };
        // Shared, so that it can still be called if no thread was started.
        let finish = Arc::new(Mutex::new(Some(finish)));
        let take = |finish: &Mutex<Option<_>>| finish.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (on_thread, its_finish) = (Arc::clone(&handle), Arc::clone(&finish));
        let thread = std::thread::Builder::new().name(format!("{} {id}", spec.slot.name())).spawn(move || {
            if let Some(finish) = take(&its_finish) {
                finish(Ok(&on_thread));
            }
        });
        if let Err(why) = thread
            && let Some(finish) = take(&finish)
        {
            finish(Err(Failure::Error(format!("cannot start a thread: {why}"))));
        }
        self.running.push(JobEntry { id, spec, handle, result, abandoned: false });
        id
    }

    /// Drops the prefetched case.
    pub fn drop_prefetched(&self) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A number that no job or case of this session has or had.
    pub fn unused_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Cancels one job.
    pub fn cancel(&mut self, id: u64) {
        self.signal(id, Signal::Cancel);
    }

    /// Signals one job to run, pause or cancel.
    pub fn signal(&mut self, id: u64, signal: Signal) {
        for job in self.running.iter().filter(|job| job.id == id) {
            job.handle.control.set(signal);
        }
    }

    /// Cancels the jobs of a slot and drops their results.
    pub fn cancel_slot(&mut self, slot: Slot) {
        for job in self.running.iter_mut().filter(|job| job.spec.slot == slot) {
            job.handle.control.set(Signal::Cancel);
            job.abandoned = true;
        }
    }

    /// Cancels every job.
    pub fn cancel_all(&mut self) {
        for job in &self.running {
            job.handle.control.set(Signal::Cancel);
        }
    }

    /// Whether an uncancelled job of this slot is running.
    pub fn runs(&self, slot: Slot) -> bool {
        self.running.iter().any(|job| job.spec.slot == slot && !job.abandoned)
    }

    /// The number of threads of a slot, abandoned ones included.
    pub fn at_work(&self, slot: Slot) -> usize {
        self.running.iter().filter(|job| job.spec.slot == slot).count()
    }

    /// True if no uncancelled job is running and every edit is written.
    pub fn idle(&self) -> bool {
        self.running.iter().all(|job| job.abandoned) && self.recorder.as_ref().is_none_or(Recorder::is_idle)
    }

    /// Whether frames must be drawn to show the progress of jobs. Unlisted jobs wake the window at their end, and a
    /// `paused` job makes no progress.
    pub fn moves(&self, paused: Option<u64>) -> bool {
        let listed = |job: &JobEntry| !job.abandoned && !job.spec.hidden && Some(job.id) != paused;
        self.running.iter().any(listed) || self.recorder.as_ref().is_some_and(|recorder| !recorder.is_idle())
    }

    /// The number of threads at work, abandoned ones included.
    pub fn threads(&self) -> usize {
        self.running.len()
    }

    /// The results of a job since the last call. Removes the job once it has ended.
    fn collect(&mut self, id: u64) -> (Option<Spec>, Vec<Delivery>) {
        let Some(at) = self.running.iter().position(|job| job.id == id) else { return (None, Vec::new()) };
        let job = &self.running[at];
        let (spec, abandoned) = (job.spec.clone(), job.abandoned);
        // Checked before partial results are taken, since they all precede the end.
        let ended = job.result.ready().is_some();
        let mut deliveries = job.handle.take_partial();
        if ended {
            deliveries.extend(self.running.remove(at).result.try_take().ok());
        }
        (Some(spec), if abandoned { Vec::new() } else { deliveries })
    }

    pub(super) fn statuses(&self) -> Vec<JobStatus> {
        let listed = self.running.iter().filter(|job| !job.abandoned && !job.spec.hidden);
        listed
            .map(|job| {
                let progress = job.handle.current_progress();
                JobStatus {
                    id: job.id,
                    slot: job.spec.slot,
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
    fn drop(&mut self) {
        self.cancel_all();
    }
}

/// Applies job results to the state, oldest job first. Only this function checks whether a result's case is closed.
pub fn deliver(state: &mut State, jobs: &mut Jobs) {
    let ids: Vec<u64> = jobs.running.iter().map(|job| job.id).collect();
    let mut changed = false;
    for id in ids {
        let (spec, deliveries) = jobs.collect(id);
        for delivery in deliveries {
            let case = spec.as_ref().and_then(|spec| spec.case);
            let late = case.is_some() && case != state.document.as_ref().map(|document| document.id);
            let before = state.last_notice();
            delivery(late, state, jobs);
            case.into_iter().for_each(|case| state.assign_notices(before, case));
            changed = true;
        }
    }
    if changed {
        update(state, jobs);
    }
    state.jobs = jobs.statuses();
}

fn guarded<T>(title: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Failure::Panic(format!("{title}: {}", panic_text(panic.as_ref())))))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}
