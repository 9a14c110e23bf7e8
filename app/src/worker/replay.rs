//! The timeline: opens runs, follows active ones, and reads records of pinned slices.

pub mod follow;
mod live;
mod open;
mod pin;
mod place;
mod play;
mod probe;
mod read;

use std::sync::Arc;

use engine::event::Stage;

use super::Jobs;
use crate::state::State;
use crate::state::timeline::{OpenRun, Series, WatchView};

pub use live::{begin_live, end_live, live_events, share_pins};
pub use open::{SLOT, compare, open};
pub use pin::{NOTHING_TO_PIN_FOR, PinShownSlice, add as add_pin, pin_shown_slice, remove as remove_pin};
pub use place::{locate_missing as locate_missing_pins, pins_in};
pub use play::{advance, follow_newest, go_to, period, step, toggle};
pub use probe::read_missing as read_missing_probes;
pub use read::{RunContent, base_of, read_run};

/// Puts a run on its track and closes the previous one. A run that is training is not replaced by itself.
fn place(state: &mut State, jobs: &mut Jobs, run: RunContent, cursor: Option<usize>) {
    let stage = run.config.stage;
    if state.cache.timeline.track(stage).is_some_and(|open| open.path == run.path && open.live) {
        return;
    }
    let run = OpenRun { cursor, ..open_run(state, jobs, run) };
    close(state, stage);
    *state.cache.timeline.slot(stage) = Some(run);
    state.settle_pin();
}

fn open_run(state: &State, jobs: &mut Jobs, run: RunContent) -> OpenRun {
    let RunContent { path, config, history, pins, stamp } = run;
    OpenRun {
        id: jobs.unused_id(),
        name: super::name_of(&path),
        path,
        config: Arc::new(config),
        series: Series::of(&history, state.session.timeline.options.smoothing),
        history,
        live: false,
        held_by: read::held_by_another(stamp.pid),
        stamp,
        waiting: None,
        cursor: None,
        pins,
    }
}

/// Closes the run of the other track unless one of the two runs started from the other.
fn close_unrelated(state: &mut State, run: &RunContent, has_base: bool) {
    let stage = run.config.stage;
    let other = other(stage);
    let stranger = state.cache.timeline.track(other).is_some_and(|open| {
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

fn other(stage: Stage) -> Stage {
    if stage == Stage::Pretrain { Stage::Finetune } else { Stage::Pretrain }
}

/// Closes the run of a track.
pub fn close(state: &mut State, stage: Stage) {
    if let Some(run) = state.cache.timeline.slot(stage).take() {
        state.cache.timeline.probes.forget(run.id);
        if run.live {
            state.training.pins.take_if(|live| live.run == run.path);
        }
    }
    state.session.timeline.playing = None;
    state.settle_pin();
}

/// Closes a track's run and ends the comparison; then shows the other track if it has a run.
pub fn leave(state: &mut State, stage: Stage) {
    close(state, stage);
    end_comparison(state);
    if state.session.timeline.active == stage && state.cache.timeline.track(other(stage)).is_some() {
        state.session.timeline.active = other(stage);
        state.settle_pin();
    }
}

/// Shows one run and one epoch again.
pub fn end_comparison(state: &mut State) {
    for run in state.cache.timeline.compare.take().into_iter().flat_map(|compare| compare.runs) {
        state.cache.timeline.probes.forget(run.id);
    }
    leave_empty_comparison(state);
}

/// Leaves the page of the comparison if nothing is compared any more.
fn leave_empty_comparison(state: &mut State) {
    let view = &mut state.session.timeline.options.view;
    if *view == WatchView::Compare && state.cache.timeline.compare.is_none() {
        *view = WatchView::Probe;
    }
}

/// Removes one run from the comparison, which ends with its last one.
pub fn leave_comparison(state: &mut State, id: u64) {
    let timeline = &mut state.cache.timeline;
    timeline.probes.forget(id);
    if let Some(compare) = &mut timeline.compare {
        compare.runs.retain(|run| run.id != id);
    }
    timeline.compare.take_if(|compare| compare.runs.is_empty());
    leave_empty_comparison(state);
}

#[cfg(test)]
#[path = "replay/tests.rs"]
mod tests;
