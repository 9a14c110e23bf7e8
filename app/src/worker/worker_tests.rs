#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::state::{CaseId, Slot, State};

const ONE: Slot = Slot::exclusive("one");
const MANY: Slot = Slot::shared("many");

fn jobs() -> Jobs {
    Jobs::new(None, Arc::new(|| ()))
}

/// Delivers until `ready`, then one last time.
fn wait(state: &mut State, jobs: &mut Jobs, ready: impl Fn(&Jobs) -> bool) {
    let start = Instant::now();
    while !ready(jobs) {
        assert!(start.elapsed() < Duration::from_secs(20), "the job never ended");
        deliver(state, jobs);
        std::thread::sleep(Duration::from_millis(1));
    }
    deliver(state, jobs);
}

fn ended(jobs: &Jobs) -> bool {
    jobs.threads() == 0
}

/// Writes its texts, partial results first, into the filter of the case list, as an arbitrary state field.
struct Note {
    slot: Slot,
    case: Option<CaseId>,
    parts: Vec<&'static str>,
    end: Result<&'static str, Failure>,
    go: Option<mpsc::Receiver<()>>,
}

impl Note {
    fn new(slot: Slot, end: Result<&'static str, Failure>) -> Self {
        Self { slot, case: None, parts: Vec::new(), end, go: None }
    }

    /// Blocks until the returned sender is used or dropped.
    fn held(mut self) -> (Self, mpsc::Sender<()>) {
        let (sender, receiver) = mpsc::channel();
        self.go = Some(receiver);
        (self, sender)
    }
}

fn write(state: &mut State, text: &str) {
    state.cases.filter.push_str(text);
}

impl Job for Note {
    type Output = &'static str;

    fn spec(&self) -> Spec {
        Spec { case: self.case, ..Spec::new(self.slot, "a note") }
    }

    fn run(&self, handle: &JobHandle) -> Result<Self::Output, Failure> {
        if let Some(go) = &self.go {
            let _ = go.recv();
        }
        for &part in &self.parts {
            handle.send(move |state, _| write(state, part));
        }
        self.end.clone()
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(text) => write(state, text),
            Err(failure) => failure.report("a note", state),
        }
    }

    fn apply_late(self, result: Result<Self::Output, Failure>, state: &mut State) {
        write(state, if result.is_ok() { "late" } else { "late failure" });
    }
}

#[test]
fn a_panic_is_a_failure_that_names_the_job() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let panics = |_: &JobHandle| -> Result<(), Failure> { panic!("index 7") };
    jobs.start_with(Spec::new(MANY, "a test"), panics, |result, _, state, _| {
        assert_eq!(result, Err(Failure::Panic("a test: index 7".into())));
        write(state, "panicked");
    });
    wait(&mut state, &mut jobs, ended);
    assert_eq!(state.cases.filter, "panicked");
}

#[test]
fn the_second_job_of_a_slot_replaces_the_first_even_if_that_ends_later() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let (first, go) = Note::new(ONE, Ok("first")).held();
    jobs.start(first);
    jobs.start(Note::new(ONE, Ok("second")));
    wait(&mut state, &mut jobs, |jobs| jobs.threads() == 1);
    drop(go);
    wait(&mut state, &mut jobs, ended);
    assert_eq!(state.cases.filter, "second");
}

#[test]
fn jobs_of_a_shared_slot_run_side_by_side() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let (first, go) = Note::new(MANY, Ok("first")).held();
    jobs.start(first);
    jobs.start(Note::new(MANY, Ok("second")));
    wait(&mut state, &mut jobs, |jobs| jobs.threads() == 1);
    drop(go);
    wait(&mut state, &mut jobs, ended);
    assert_eq!(state.cases.filter, "secondfirst");
}

#[test]
fn cancelled_work_stops_and_reports_it() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let endless = |handle: &JobHandle| -> Result<(), Failure> {
        loop {
            handle.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let id = jobs.start_with(Spec::new(ONE, "endless"), endless, |result, spec, state, _| {
        result.unwrap_err().report(&spec.title, state);
    });
    jobs.cancel(id);
    wait(&mut state, &mut jobs, ended);
    assert_eq!(state.notices.iter().map(|n| n.title.as_str()).collect::<Vec<_>>(), ["Cancelled"]);
}

#[test]
fn all_partial_results_come_before_the_final_one() {
    let (mut state, mut jobs) = (State::default(), jobs());
    jobs.start(Note { parts: vec!["a", "b", "c"], ..Note::new(ONE, Ok("d")) });
    wait(&mut state, &mut jobs, ended);
    assert_eq!(state.cases.filter, "abcd");
}

#[test]
fn results_for_a_closed_case_are_dropped_except_for_reports() {
    for (end, expected) in [(Ok("d"), "late"), (Err(Failure::Error("no".into())), "late failure")] {
        let (mut state, mut jobs) = (State::default(), jobs());
        // No case is open: the job's case was closed.
        jobs.start(Note { case: Some(CaseId(3)), parts: vec!["a"], ..Note::new(ONE, end) });
        wait(&mut state, &mut jobs, ended);
        assert_eq!(state.cases.filter, expected);
    }
}

/// Polling runs that have not changed must not redraw the window.
#[test]
fn a_job_that_found_nothing_wakes_no_window_and_is_applied_with_the_next_frame() {
    for nothing in [false, true] {
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let (mut state, mut jobs) = (State::default(), Jobs::new(None, wake));
        let poll = move |handle: &JobHandle| -> Result<(), Failure> {
            if nothing {
                handle.report_no_change();
            }
            Ok(())
        };
        jobs.start_with(Spec::new(ONE, "a poll").hidden(), poll, |_, _, state, _| write(state, "applied"));
        assert!(!jobs.moves(None), "it is not listed");
        wait(&mut state, &mut jobs, ended);
        let (start, expected) = (Instant::now(), usize::from(!nothing));
        // The thread wakes the window after it has left its result.
        while woken.load(Ordering::Relaxed) < expected && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((state.cases.filter.as_str(), woken.load(Ordering::Relaxed)), ("applied", expected));
    }
}

#[test]
fn a_paused_job_needs_no_frames() {
    let (mut state, mut jobs) = (State::default(), jobs());
    let (note, go) = Note::new(ONE, Ok("done")).held();
    let id = jobs.start(note);
    assert!(jobs.moves(None) && !jobs.moves(Some(id)));
    drop(go);
    wait(&mut state, &mut jobs, ended);
    assert!(!jobs.moves(None));
}

#[test]
fn a_hundred_starts_and_cancels_leave_no_thread() {
    let (mut state, mut jobs) = (State::default(), jobs());
    for _ in 0..100 {
        let until_cancelled = |handle: &JobHandle| -> Result<(), Failure> {
            while handle.check().is_ok() {
                std::thread::yield_now();
            }
            Err(Failure::Cancelled)
        };
        let id = jobs.start_with(Spec::new(ONE, "a test"), until_cancelled, |_, _, _, _| ());
        jobs.cancel(id);
        deliver(&mut state, &mut jobs);
    }
    wait(&mut state, &mut jobs, ended);
    assert!(jobs.idle());
}
