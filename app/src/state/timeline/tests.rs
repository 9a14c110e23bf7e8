use std::path::PathBuf;
use std::sync::Arc;

use engine::config::Config;
use engine::event::{CaseCounts, EpochSummary, Event, Losses, Probe};
use engine::run::History;
use engine::run::workspace::RunStamp;

use super::*;

/// A run of `last` epochs with an update every second, in which a slice was recorded in epoch `from` and later.
fn run(id: u64, last: usize, from: usize) -> OpenRun {
    let mut history = History::default();
    for epoch in 1..=last {
        if epoch % 2 == 0 {
            let (cases, flips) = (CaseCounts::default(), 3);
            let update =
                Event::Relabel { epoch, cases, flips, differs_from_kmeans: 1, agreement: 0.5, lesion_recall: None };
            history.push(Some(0), &update);
        }
        if epoch >= from {
            let probe = Probe { epoch, case: "P".into(), slice: 3, ..Probe::default() };
            history.push(Some(0), &Event::Probe(Box::new(probe)));
        }
        let summary = EpochSummary { epoch, loss: 1.0 / epoch as f64, ..EpochSummary::default() };
        history.push(Some(1000 * epoch as u64), &Event::Epoch(Box::new(summary)));
    }
    history.slices = 12;
    history.epochs = last + 10;
    OpenRun {
        id,
        path: PathBuf::from(format!("/runs/{id}")),
        name: id.to_string(),
        config: Arc::new(Config::default()),
        series: Series::of(&history, 0.0),
        history,
        live: false,
        held_by: None,
        stamp: RunStamp::default(),
        waiting: None,
        cursor: None,
        pins: Vec::new(),
    }
}

fn shown(last: usize, from: usize) -> State {
    let mut state = State::default();
    state.cache.timeline.pretrain = Some(run(1, last, from));
    state.settle_pin();
    state
}

/// A pin was named "P:3" beside a view of "Axial 2/23".
#[test]
fn a_pinned_slice_has_the_number_that_the_views_show() {
    let mut state = shown(6, 2);
    let pin = Pin::new("P", 3);
    let of = state.pin_settings(&pin).unwrap();
    assert_eq!(state.pin_name(&pin), "P", "its scan has not been read yet");
    for (slice, name) in [(Some(1), "P slice 2"), (None, "P prepared slice 4")] {
        state.cache.timeline.places = vec![PinPlace { of: of.clone(), pin: pin.clone(), slice }];
        assert_eq!(state.pin_name(&pin), name);
    }
    // With another spacing it is another slice.
    state.cache.timeline.places[0].of.spacing = engine::preprocess::Spacing::Native;
    assert_eq!(state.pin_name(&pin), "P");
    state.cache.timeline.pretrain = None;
    assert_eq!(state.pin_name(&pin), "P prepared slice 4", "nothing is known about it");
    // For the next run, it stays the slice that it was pinned as, whatever the form is changed to.
    let native = PinSettings { spacing: engine::preprocess::Spacing::Native, ..of };
    state.session.timeline.wanted = vec![WantedPin { pin: pin.clone(), of: Some(native.clone()) }];
    state.cache.timeline.places = vec![PinPlace { of: native, pin: pin.clone(), slice: Some(8) }];
    state.session.train.form.pretrain.preprocess.spacing = engine::preprocess::Spacing::Iso;
    assert_eq!(state.pin_name(&pin), "P slice 9");
}

/// Both sides of a comparison had the number of the shown run.
#[test]
fn a_pinned_slice_is_named_by_the_settings_of_each_run() {
    let mut state = shown(6, 2);
    let (pin, a) = (Pin::new("P", 3), state.watched_run().unwrap().clone());
    let config = |spacing| {
        let mut config = Config::default();
        config.preprocess.spacing = spacing;
        Arc::new(config)
    };
    let b = OpenRun { config: config(engine::preprocess::Spacing::Native), ..run(2, 6, 2) };
    let place = |run: &OpenRun, slice| PinPlace { of: run.pin_settings(), pin: pin.clone(), slice };
    state.cache.timeline.places = vec![place(&a, Some(1)), place(&b, Some(3))];
    state.cache.timeline.compare = Some(Compare { runs: vec![b.clone()], epoch: None });
    assert_eq!([&a, &b].map(|run| state.pin_name_in(run, &pin)), ["P slice 2", "P slice 4"]);
    assert_eq!(state.pin_name(&pin), "P slice 2", "as in the shown run");
    // A run without the slice has no number of its own for it.
    let without = OpenRun { config: config(engine::preprocess::Spacing::Native), ..run(3, 6, 9) };
    assert_eq!(state.pin_name_in(&without, &pin), "P slice 2");
    state.cache.timeline.places[1].slice = None;
    assert_eq!(state.pin_name_in(&b, &pin), "P prepared slice 4");
}

#[test]
fn a_paused_run_is_neither_live_nor_waiting() {
    let mut run = run(1, 0, 1);
    assert_eq!((run.trainer(), run.before_first_epoch()), (None, "This run has no finished epoch yet."));
    run.live = true;
    assert_eq!((run.trainer(), run.before_first_epoch()), (Some("live"), "Waiting for the first epoch to finish."));
    run.history.push(Some(0), &Event::Checkpoint { epoch: 1, step: 14 });
    assert_eq!((run.trainer(), run.before_first_epoch()), (Some("paused"), "Paused in the first epoch."));
}

#[test]
fn a_cursor_stays_within_the_finished_epochs() {
    let mut state = shown(8, 1);
    assert_eq!(state.watched_run().unwrap().epoch(), Some(8), "it follows the newest");
    state.cache.timeline.pretrain.as_mut().unwrap().cursor = Some(99);
    assert_eq!(state.watched_run().unwrap().epoch(), Some(8));
    state.cache.timeline.pretrain = Some(run(1, 0, 1));
    assert_eq!(state.watched_run().unwrap().epoch(), None);
}

#[test]
fn a_slice_is_selected_and_its_records_are_those_of_the_run() {
    let state = shown(8, 5);
    assert_eq!(state.session.timeline.pin, Some(Pin::new("P", 3)));
    let run = state.watched_run().unwrap();
    assert_eq!(state.record_key(run, 4), None, "it was pinned later");
    assert_eq!(state.record_key(run, 6).unwrap().epoch, 6);
    assert_eq!((run.update_at(7), run.update_at(1)), (Some(6), None));
}

#[test]
fn the_columns_of_fig_4_are_spread_over_the_updates() {
    let state = shown(40, 1);
    let run = state.watched_run().unwrap();
    assert_eq!(state.sheet_epochs(run, 3), [2, 20, 40]);
    assert_eq!(state.sheet_epochs(run, 1), [40]);
    assert_eq!(state.sheet_epochs(run, 99).len(), 20);
    let plain = OpenRun { history: History { relabels: Vec::new(), ..run.history.clone() }, ..run.clone() };
    assert_eq!(state.sheet_epochs(&plain, 2), [1, 40], "without updates any epochs");
}

#[test]
fn an_epoch_can_be_compared_within_a_run_or_with_another_run() {
    let mut state = shown(8, 1);
    assert!(state.compared_run().is_none());
    state.cache.timeline.compare = Some(Compare::default());
    let at = |state: &State| state.compared_run().map(|(run, epoch)| (run.id, epoch));
    assert_eq!(at(&state), Some((1, 1)));
    state.cache.timeline.compare = Some(Compare { runs: vec![run(2, 5, 1)], epoch: None });
    assert_eq!(at(&state), Some((2, 5)), "that of the cursor, as far as it goes");
    state.cache.timeline.pretrain.as_mut().unwrap().cursor = Some(3);
    assert_eq!(at(&state), Some((2, 3)));
}

#[test]
fn the_oldest_records_are_dropped_first() {
    let mut probes = Probes::default();
    let slice = SliceKey { run: 1, stage: Stage::Pretrain, pin: Pin::new("P", 3) };
    let key = |epoch| RecordKey { slice: slice.clone(), epoch };
    let needed = [key(1)].into_iter().collect();
    for epoch in 1..=200 {
        probes.keep(key(epoch), Err("none".into()), &needed);
    }
    assert!(probes.len() < 100 && probes.knows(&key(1)) && probes.knows(&key(200)) && !probes.knows(&key(2)));
    probes.forget(1);
    assert!(probes.is_empty());
}

#[test]
fn a_legend_lists_gradient_norms_and_validation_losses_only_if_they_were_logged() {
    let mut norms = Losses::default();
    norms.set("pred", 0.5);
    let sampled = EpochSummary { epoch: 1, gradient_norm: Some(norms), ..EpochSummary::default() };
    let later = EpochSummary { epoch: 2, ..EpochSummary::default() };
    let history = History { summaries: vec![sampled, later], ..History::default() };
    let listed = |quantity: Quantity| quantity.is_listed(&history);
    assert!(listed(Quantity::PredGradient) && listed(Quantity::Loss));
    assert!(![Quantity::RrlGradient, Quantity::LclGradient, Quantity::ValidationLoss].into_iter().any(listed));
}
