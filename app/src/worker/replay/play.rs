//! Moving the cursors: step by step, and playing.

use engine::event::Stage;

use super::read_missing_probes;
use crate::state::State;
use crate::state::timeline::OpenRun;
use crate::worker::Jobs;

/// Seconds between two epochs while the timeline plays.
pub fn period(state: &State) -> f64 {
    1.0 / f64::from(state.session.settings.epoch_rate.clamp(0.5, 60.0))
}

/// Puts the cursor of a track onto an epoch, and shows that track.
pub fn go_to(state: &mut State, stage: Stage, epoch: usize) {
    state.session.timeline.active = stage;
    state.cache.timeline.probes.forget_failures();
    if let Some(run) = state.cache.timeline.slot(stage) {
        run.cursor = Some(epoch.clamp(1, run.history.epochs_done().max(1)));
    }
}

/// Moves the cursor of the shown run by epochs. At the end of a run in training, it follows again.
pub fn step(state: &mut State, by: i64) {
    let Some(run) = state.watched_run() else { return };
    let (stage, last, growing) = (run.stage(), run.last(), run.is_growing());
    let Some(epoch) = run.epoch() else { return };
    let to = (epoch as i64).saturating_add(by).clamp(1, last as i64) as usize;
    go_to(state, stage, to);
    if growing && to == last && by > 0 {
        follow_newest(state);
    }
}

/// Keeps the cursor of the shown run at its newest epoch.
pub fn follow_newest(state: &mut State) {
    state.cache.timeline.probes.forget_failures();
    let stage = state.session.timeline.active;
    if let Some(run) = state.cache.timeline.slot(stage) {
        run.cursor = None;
    }
}

/// Starts or stops playing; at the end it starts over.
pub fn toggle(state: &mut State) {
    if state.session.timeline.playing.take().is_some() {
        return;
    }
    let Some(run) = state.watched_run().filter(|run| run.last() > 1) else { return };
    if run.epoch() == Some(run.last()) {
        let stage = run.stage();
        go_to(state, stage, 1);
    }
    // The first frame decides when the next epoch is due.
    state.session.timeline.playing = Some(f64::NEG_INFINITY);
}

/// Shows the next epoch when it is due, and stops at the end; `now` in the window's seconds. Called every frame.
pub fn advance(state: &mut State, jobs: &mut Jobs, now: f64) {
    let Some(due) = state.session.timeline.playing else { return };
    let at_end = state.watched_run().is_none_or(|run| run.epoch().is_none_or(|epoch| epoch >= run.last()));
    if at_end {
        state.session.timeline.playing = None;
        if state.watched_run().is_some_and(OpenRun::is_growing) {
            follow_newest(state);
        }
        return;
    }
    if now < due {
        return;
    }
    if due.is_finite() {
        step(state, 1);
        read_missing_probes(state, jobs);
    }
    let due = if due.is_finite() { due } else { now };
    // If playback could not keep up, it continues from here.
    state.session.timeline.playing = Some((due + period(state)).max(now));
}
