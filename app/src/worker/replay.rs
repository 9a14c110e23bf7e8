//! The timeline: opening runs, following the one that trains, reading what was recorded of pinned slices.

mod live;
mod open;
mod pin;
mod play;
mod probe;
mod read;

use std::sync::Arc;

use engine::event::Stage;

use super::Jobs;
use crate::state::State;
use crate::state::timeline::{OpenRun, Series};

pub use live::{begin_live, end_live, live_events, share_pins};
pub use open::{SLOT, compare, open};
pub use pin::{PinShownSlice, add as add_pin, pin_shown_slice, remove as remove_pin};
pub use play::{advance, follow_newest, go_to, period, step, toggle};
pub use probe::read_missing as read_missing_probes;
pub use read::{ReadRun, base_of, read_run};

/// Puts a run onto its track, in place of the one that is there; never in place of the same run while it trains.
fn place(state: &mut State, jobs: &mut Jobs, run: ReadRun, cursor: Option<usize>) {
    let stage = run.config.stage;
    if state.cache.timeline.track(stage).is_some_and(|open| open.path == run.path && open.live) {
        return;
    }
    let run = OpenRun { cursor, ..open_run(state, jobs, run) };
    close(state, stage);
    *state.cache.timeline.slot(stage) = Some(run);
    state.settle_pin();
}

fn open_run(state: &State, jobs: &mut Jobs, run: ReadRun) -> OpenRun {
    let ReadRun { path, config, history, pins } = run;
    OpenRun {
        id: jobs.unused_id(),
        name: super::name_of(&path),
        path,
        config: Arc::new(config),
        series: Series::of(&history, state.session.timeline.look.smoothing),
        history,
        live: false,
        waiting: None,
        cursor: None,
        pins,
    }
}

/// Closes the run of the other track unless both belong to one training.
fn leave_strangers(state: &mut State, run: &ReadRun, has_base: bool) {
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

/// Takes the run off a track.
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

/// Takes the run off a track and ends the comparison; the other track is shown then, if it has a run.
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
    let run = state.cache.timeline.compare.take().and_then(|compare| compare.run);
    if let Some(run) = run {
        state.cache.timeline.probes.forget(run.id);
    }
}

#[cfg(test)]
#[path = "replay/tests.rs"]
mod tests;
