//! The open run at the timeline cursor: the numbers of that epoch as logged.

use engine::event::{Event, Stage};
use engine::run::history::RunState;
use serde::Serialize;
use serde_json::Value;

use crate::state::State;
use crate::state::timeline::{EpochRecord, OpenRun};

/// The open run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// Path of its folder.
    pub folder: String,
    /// `pretrain` or `finetune`; null, like all that follows, if the run could not be read.
    pub stage: Option<Stage>,
    /// The preset it started from.
    pub preset: Option<String>,
    /// Epochs planned.
    pub epochs: usize,
    /// Completed epochs.
    pub epochs_done: usize,
    /// The epoch at the cursor, from 1; null before the first has ended.
    pub epoch: Option<usize>,
    /// The log's `epoch` line of that epoch, without `t` and `event`.
    pub summary: Option<Value>,
    /// The log's `relabel` line of that epoch, if it had an update.
    pub relabel: Option<Value>,
    /// The log's `validation` line of that epoch, if it had one.
    pub validation: Option<Value>,
    /// Record of the selected slice in that epoch; null without one.
    pub probe: Option<ProbeReport>,
    /// The run is done.
    pub finished: bool,
}

/// One epoch of a pinned slice. Patches are in grid order, patch = i * grid + j, i along R; empty in fine-tuning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The patient.
    pub case: String,
    /// Preprocessed slice, from 0.
    pub slice: u32,
    /// False if the slice is not trained on.
    pub trained: bool,
    /// Labels in force during the epoch, one digit per patch, as in the log.
    pub before: String,
    /// Labels after the epoch's update.
    pub after: String,
    /// The case of each patch in the update, 0 to 4; empty without one.
    pub cases: String,
    /// Random label of each patch in cases 3 and 4; empty without an update.
    pub coins: Vec<Option<u8>>,
    /// Which patches were masked.
    pub masked: Vec<bool>,
    /// Loss of each masked patch; null for others, and if it is not finite.
    pub losses: Vec<Option<f32>>,
    /// Relative loss (Eq. 6) of each masked patch.
    pub relative: Vec<Option<f32>>,
}

impl RunReport {
    /// The run on the timeline. Only its folder if it has not been or cannot be read.
    pub fn of(state: &State) -> Option<Self> {
        if let Some(run) = state.watched_run() {
            return Some(Self::of_run(state, run));
        }
        let (opening, failed) = (&state.cache.timeline.opening, &state.cache.timeline.failed);
        let path = opening.as_ref().map(|opening| &opening.path).or(failed.as_ref().map(|(path, _)| path));
        path.map(|path| Self::unread(path.display().to_string()))
    }

    fn unread(folder: String) -> Self {
        Self {
            folder,
            stage: None,
            preset: None,
            epochs: 0,
            epochs_done: 0,
            epoch: None,
            summary: None,
            relabel: None,
            validation: None,
            probe: None,
            finished: false,
        }
    }

    fn of_run(state: &State, run: &OpenRun) -> Self {
        let (history, epoch) = (&run.history, run.epoch());
        let summary = epoch.and_then(|epoch| history.summary(epoch));
        let relabel = epoch.and_then(|epoch| history.relabel(epoch)).map(|row| Event::Relabel {
            epoch: row.epoch,
            cases: row.cases,
            flips: row.flips,
            differs_from_kmeans: row.differs,
            agreement: row.agreement,
            lesion_recall: row.lesion_recall,
        });
        let validation = history.validations.iter().find(|row| Some(row.0) == epoch);
        let validation = validation.map(|&(epoch, dice, best)| Event::Validation { epoch, dice, best });
        Self {
            folder: run.path.display().to_string(),
            stage: Some(run.stage()),
            preset: Some(run.config.preset.clone()),
            epochs: run.epochs(),
            epochs_done: run.last(),
            epoch,
            summary: summary.and_then(|row| logged(&Event::Epoch(Box::new(row.clone())))),
            relabel: relabel.as_ref().and_then(logged),
            validation: validation.as_ref().and_then(logged),
            probe: epoch.and_then(|epoch| probe(state, run, epoch)),
            finished: history.state == RunState::Finished,
        }
    }
}

/// An event as in its line of the log.
fn logged(event: &Event) -> Option<Value> {
    let mut value = serde_json::to_value(event).ok()?;
    value.as_object_mut()?.remove("event");
    Some(value)
}

fn probe(state: &State, run: &OpenRun, epoch: usize) -> Option<ProbeReport> {
    let key = state.record_key(run, epoch)?;
    let seen: &EpochRecord = state.cache.timeline.probes.record(&key)?.as_ref().ok()?;
    let record = &seen.record;
    let digits = |values: &[u8]| values.iter().map(|value| char::from(b'0' + value)).collect();
    let finite = |values: &[Option<f32>]| values.iter().map(|value| value.filter(|v| v.is_finite())).collect();
    Some(ProbeReport {
        case: record.pin.case.clone(),
        slice: record.pin.slice,
        trained: record.trained,
        before: digits(&record.before),
        after: digits(&record.after),
        cases: digits(&record.cases),
        coins: record.coins.clone(),
        masked: record.masked.clone(),
        losses: finite(&record.losses),
        relative: finite(&record.relative),
    })
}
