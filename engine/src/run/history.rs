//! What a run has told so far, in the shape in which it is drawn: epoch by epoch. Built from the events of a running job or
//! from a log, with the same result.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{RunFolder, log};
use crate::event::{CaseCounts, EpochSummary, Event, Stage};
use crate::probe::Pin;
use crate::{ErrorKind, Result};

/// One update of the labels; see [`Event::Relabel`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelabelRow {
    /// From 1.
    pub epoch: usize,
    /// Patches of each case.
    pub cases: CaseCounts,
    /// Patches whose label changed.
    pub flips: u64,
    /// Patches whose label is not that of the clustering.
    pub differs: u64,
    /// Share of masked patches in which the importance by the loss agrees with the clustering.
    pub agreement: f64,
    /// Recall of lesion patches by the new labels, where labels exist.
    pub lesion_recall: Option<f64>,
}

/// A training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRow {
    /// From 1.
    pub epoch: usize,
    /// Within the epoch, from 1.
    pub step: usize,
    /// Its loss.
    pub loss: f64,
    /// Its learning rate.
    pub learning_rate: f64,
}

/// What the training was expected to take; see [`Event::Estimate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateRow {
    /// Steps in all.
    pub steps: usize,
    /// Seconds of one step, as measured.
    pub seconds_per_step: f64,
    /// Seconds in all.
    pub seconds: f64,
    /// MiB beside the slices.
    pub memory_mib: u64,
}

/// Where a run stands, as far as its events tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// Not heard of, cancelled, or read from a log that does not end: nothing tells that it is running.
    #[default]
    Idle,
    /// Under way.
    Running,
    /// Saved in the midst of an epoch; goes on with the next step.
    Paused,
    /// Done.
    Finished,
    /// Ended by this error.
    Failed(String),
}

/// All that a run has told; rows rise by epoch, and there is one an epoch.
///
/// What the log of a run tells is in [`History::shown`]; the rest ([`History::device`], [`History::seconds`],
/// [`History::estimate`], [`History::warnings`], [`History::checkpoint`], [`History::state`]) tells of one process and its
/// clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Which loop; `None` before the start.
    pub stage: Option<Stage>,
    /// Epochs planned.
    pub epochs: usize,
    /// Steps of a whole epoch.
    pub steps_per_epoch: usize,
    /// Slices of an epoch.
    pub slices: usize,
    /// Weights of the network.
    pub parameters: usize,
    /// Device that computes or computed.
    pub device: String,
    /// Each epoch's numbers.
    pub summaries: Vec<EpochSummary>,
    /// When each of [`History::summaries`] was told, in seconds since 1970.
    pub seconds: Vec<f64>,
    /// Updates of the labels.
    pub relabels: Vec<RelabelRow>,
    /// Epoch, mean Dice, and whether it was the best so far.
    pub validations: Vec<(usize, f64, bool)>,
    /// The epochs recorded of each pinned slice.
    pub probes: BTreeMap<Pin, Vec<usize>>,
    /// The newest step.
    pub last_step: Option<StepRow>,
    /// What the training was expected to take.
    pub estimate: Option<EstimateRow>,
    /// Warnings, oldest first.
    pub warnings: Vec<String>,
    /// Epochs done, and steps of the next, that the newest checkpoint covers.
    pub checkpoint: Option<(usize, usize)>,
    /// Where the run stands.
    pub state: RunState,
}

/// The part of a [`History`] that is the same live, resumed and replayed.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of History")]
pub struct Shown<'a> {
    pub stage: Option<Stage>,
    pub epochs: usize,
    pub steps_per_epoch: usize,
    pub slices: usize,
    pub parameters: usize,
    pub summaries: &'a [EpochSummary],
    pub relabels: &'a [RelabelRow],
    pub validations: &'a [(usize, f64, bool)],
    pub probes: &'a BTreeMap<Pin, Vec<usize>>,
    pub last_step: Option<StepRow>,
    pub finished: bool,
}

impl History {
    /// What the log of the run folder `run` tells, also while it is training. Empty if it has not started to.
    ///
    /// A job that is resumed goes on from here: push its events on top.
    pub fn read(run: &Path) -> Result<Self> {
        let mut history = Self::default();
        let path = RunFolder::open(run)?.events_path();
        if !path.exists() {
            return Ok(history);
        }
        log::read_condensed(&path, &mut |meta, event| history.push(Some(meta.t), event))?;
        if history.state != RunState::Finished {
            history.state = RunState::Idle;
        }
        Ok(history)
    }

    /// Takes one event. `t` is when it was told, in milliseconds since 1970; now, if that is not said.
    pub fn push(&mut self, t: Option<u64>, event: &Event) {
        match event {
            Event::Estimate { steps, seconds_per_step, seconds, memory_mib } => {
                let (steps, seconds_per_step) = (*steps, *seconds_per_step);
                self.estimate =
                    Some(EstimateRow { steps, seconds_per_step, seconds: *seconds, memory_mib: *memory_mib });
            }
            Event::Started { .. } => self.start(event),
            Event::Step { epoch, step, loss, learning_rate, .. } => {
                let (epoch, step) = (*epoch, *step);
                self.last_step = Some(StepRow { epoch, step, loss: *loss, learning_rate: *learning_rate });
                self.state = RunState::Running;
            }
            Event::Relabel { epoch, cases, flips, differs_from_kmeans, agreement, lesion_recall } => {
                let row = RelabelRow {
                    epoch: *epoch,
                    cases: *cases,
                    flips: *flips,
                    differs: *differs_from_kmeans,
                    agreement: *agreement,
                    lesion_recall: *lesion_recall,
                };
                put(&mut self.relabels, row, |row| row.epoch);
            }
            Event::Probe(probe) => {
                let epochs = self.probes.entry(Pin::new(&probe.case, probe.slice)).or_default();
                put(epochs, probe.epoch, |epoch| *epoch);
            }
            Event::Epoch(summary) => {
                let at = put(&mut self.summaries, (**summary).clone(), |row| row.epoch);
                self.seconds.truncate(at);
                self.seconds.push(t.unwrap_or_else(now) as f64 / 1000.0);
            }
            Event::Validation { epoch, dice, best } => {
                put(&mut self.validations, (*epoch, *dice, *best), |row| row.0);
            }
            Event::Checkpoint { epoch, step } => {
                self.checkpoint = Some((*epoch, *step));
                if *step > 0 {
                    self.state = RunState::Paused;
                }
            }
            Event::Warning { message } => self.warnings.push(message.clone()),
            Event::Finished { .. } => self.state = RunState::Finished,
            Event::Failed { message } => {
                let cancelled = *message == crate::Error::from(ErrorKind::Cancelled).to_string();
                self.state = if cancelled { RunState::Idle } else { RunState::Failed(message.clone()) };
            }
        }
    }

    /// A start, or a start again, which repeats what no checkpoint covers.
    fn start(&mut self, event: &Event) {
        let Event::Started { stage, epochs, steps_per_epoch, slices, parameters, device, first_epoch } = event else {
            return;
        };
        self.stage = Some(*stage);
        (self.epochs, self.steps_per_epoch, self.slices) = (*epochs, *steps_per_epoch, *slices);
        self.parameters = *parameters;
        self.device.clone_from(device);
        self.state = RunState::Running;
        let covered = |epoch: usize| epoch < *first_epoch;
        self.summaries.retain(|row| covered(row.epoch));
        self.seconds.truncate(self.summaries.len());
        self.relabels.retain(|row| covered(row.epoch));
        self.validations.retain(|row| covered(row.0));
        self.probes.values_mut().for_each(|epochs| epochs.retain(|epoch| covered(*epoch)));
        self.probes.retain(|_, epochs| !epochs.is_empty());
    }

    /// What is the same live, resumed and replayed.
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            stage: self.stage,
            epochs: self.epochs,
            steps_per_epoch: self.steps_per_epoch,
            slices: self.slices,
            parameters: self.parameters,
            summaries: &self.summaries,
            relabels: &self.relabels,
            validations: &self.validations,
            probes: &self.probes,
            last_step: self.last_step,
            finished: self.state == RunState::Finished,
        }
    }

    /// The numbers of an epoch, from 1.
    pub fn summary(&self, epoch: usize) -> Option<&EpochSummary> {
        find(&self.summaries, epoch, |row| row.epoch)
    }

    /// The update of an epoch, from 1, if it had one.
    pub fn relabel(&self, epoch: usize) -> Option<&RelabelRow> {
        find(&self.relabels, epoch, |row| row.epoch)
    }

    /// Epochs that are told to the end.
    pub fn epochs_done(&self) -> usize {
        self.summaries.last().map_or(0, |row| row.epoch)
    }
}

/// Puts a row where its epoch belongs, in place of an earlier one of the same epoch and of everything after it: a loop
/// never goes back but to repeat. Returns where.
fn put<T>(rows: &mut Vec<T>, row: T, epoch: impl Fn(&T) -> usize) -> usize {
    let at = rows.partition_point(|other| epoch(other) < epoch(&row));
    rows.truncate(at);
    rows.push(row);
    at
}

fn find<T>(rows: &[T], epoch: usize, of: impl Fn(&T) -> usize) -> Option<&T> {
    rows.get(rows.partition_point(|row| of(row) < epoch)).filter(|row| of(row) == epoch)
}

/// Milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
