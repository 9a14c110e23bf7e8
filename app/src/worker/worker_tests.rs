#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;

fn jobs() -> Jobs {
    Jobs::new(None, Arc::new(|| ()))
}

fn spec(kind: Kind) -> Spec {
    Spec { kind, document: None, title: "a test".into(), quiet: false }
}

fn wait(jobs: &mut Jobs, ready: impl Fn(&Jobs) -> bool) -> Vec<Arrival> {
    let (mut arrivals, start) = (Vec::new(), Instant::now());
    while !ready(jobs) {
        assert!(start.elapsed() < Duration::from_secs(20), "the job never ended");
        arrivals.extend(jobs.poll());
        std::thread::sleep(Duration::from_millis(1));
    }
    arrivals.extend(jobs.poll());
    arrivals
}

fn ended(jobs: &Jobs) -> bool {
    jobs.threads() == 0
}

#[test]
fn a_panic_is_a_failure_that_names_the_job() {
    let mut jobs = jobs();
    jobs.start(spec(Kind::Save), |_| panic!("index 7"));
    let arrivals = wait(&mut jobs, ended);
    assert!(matches!(&arrivals[0].result, Err(Failure::Panic(text)) if text == "a test: index 7"));
}

#[test]
fn the_second_of_a_kind_replaces_the_first_even_if_it_ends_before() {
    let mut jobs = jobs();
    let (release, held) = mpsc::channel::<()>();
    jobs.start(spec(Kind::Open), move |_| {
        held.recv().unwrap();
        Ok(Outcome::Devices(Vec::new()))
    });
    jobs.start(spec(Kind::Open), |_| Err(Failure::Error("the second".into())));
    let mut arrivals = wait(&mut jobs, |jobs| jobs.threads() == 1);
    release.send(()).unwrap();
    arrivals.extend(wait(&mut jobs, ended));
    let results: Vec<_> = arrivals.iter().map(|a| a.result.as_ref().err().cloned()).collect();
    assert_eq!(results, [Some(Failure::Error("the second".into()))]);
}

#[test]
fn cancelled_work_stops_and_says_so() {
    let mut jobs = jobs();
    let id = jobs.start(spec(Kind::Segment), |ticket| {
        loop {
            ticket.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    jobs.cancel(id);
    let arrivals = wait(&mut jobs, ended);
    assert_eq!(arrivals.len(), 1);
    assert!(matches!(arrivals[0].result, Err(Failure::Cancelled)));
}

#[test]
fn early_results_come_before_the_last_and_all_of_them() {
    let mut jobs = jobs();
    jobs.start(spec(Kind::Thumbnails), |ticket| {
        for _ in 0..5 {
            ticket.send(Outcome::Devices(Vec::new()));
        }
        Ok(Outcome::Nothing)
    });
    let arrivals = wait(&mut jobs, ended);
    assert_eq!(arrivals.iter().map(|a| a.last).collect::<Vec<_>>(), [false, false, false, false, false, true]);
}

#[test]
fn a_hundred_starts_and_cancels_leave_no_thread() {
    let mut jobs = jobs();
    for _ in 0..100 {
        let id = jobs.start(spec(Kind::Segment), |ticket| {
            while ticket.check().is_ok() {
                std::thread::yield_now();
            }
            Err(Failure::Cancelled)
        });
        jobs.cancel(id);
        jobs.poll();
    }
    wait(&mut jobs, ended);
    assert!(jobs.idle());
}
