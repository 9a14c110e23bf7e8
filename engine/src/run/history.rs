//! History of a run, epoch by epoch, for charts. Built from the events of a running job or from a log, with the same
//! result.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Convergence, RunFolder, checkpoint, log};
use crate::config::Pin;
use crate::disk::clock::now_ms;
use crate::event::{CaseCounts, EpochSummary, Event, Stage};
use crate::{ErrorKind, Result};

/// A label update; see [`Event::Relabel`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelabelRow {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Number of patches in each case.
    pub cases: CaseCounts,
    /// Number of patches whose label changed.
    pub flips: u64,
    /// Number of patches whose label differs from the clustering.
    pub differs: u64,
    /// Fraction of masked patches whose importance by the loss agrees with the clustering, 0 to 1.
    pub agreement: f64,
    /// Recall of lesion patches by the new labels, if references exist.
    pub lesion_recall: Option<f64>,
}

/// A training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRow {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
    /// Training loss.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// Estimated cost of the run; see [`Event::Estimate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EstimateRow {
    /// Total number of steps.
    pub steps: usize,
    /// Measured seconds per step.
    pub seconds_per_step: f64,
    /// Total seconds.
    pub seconds: f64,
    /// Memory in MiB, without the slices.
    pub memory_mib: u64,
}

/// State of a run according to its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// Not started or cancelled; also the state read from a log without an end.
    #[default]
    Idle,
    /// Training.
    Running,
    /// Saved within an epoch. Continues with the next step.
    Paused,
    /// Training is complete.
    Finished,
    /// Ended by this error.
    Failed(String),
}

/// The history of a run. Rows are sorted by epoch, at most one per epoch.
///
/// [`History::view`] is the part that depends on the run alone. [`History::device`], [`History::seconds`],
/// [`History::estimate`], [`History::warnings`], [`History::checkpoint`] and [`History::state`] depend on the process and
/// its clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Training stage; `None` before the start.
    pub stage: Option<Stage>,
    /// Planned epochs.
    pub epochs: usize,
    /// Number of steps per epoch.
    pub steps_per_epoch: usize,
    /// Slices per epoch.
    pub slices: usize,
    /// Number of network parameters.
    pub parameters: usize,
    /// Compute device.
    pub device: String,
    /// Summary of each epoch.
    pub summaries: Vec<EpochSummary>,
    /// Time of each of [`History::summaries`], in seconds since 1970.
    pub seconds: Vec<f64>,
    /// Label updates.
    pub relabels: Vec<RelabelRow>,
    /// Validations: epoch, mean Dice, and whether it was the best so far.
    pub validations: Vec<(usize, f64, bool)>,
    /// Recorded epochs of each pinned slice.
    pub probes: BTreeMap<Pin, Vec<usize>>,
    /// The newest logged step.
    pub last_step: Option<StepRow>,
    /// Estimated cost of the run.
    pub estimate: Option<EstimateRow>,
    /// Warnings, oldest first.
    pub warnings: Vec<String>,
    /// Completed epochs, and steps of the next one, in the last checkpoint.
    pub checkpoint: Option<(usize, usize)>,
    /// State of the run.
    pub state: RunState,
}

/// The part of a [`History`] that is equal for a live, a resumed and a replayed run.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of History")]
pub struct HistoryView<'a> {
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
    /// Reads the log of the run folder `run`, also while it is training. Empty if training has not started.
    ///
    /// To follow a resumed job, push its events onto the result.
    ///
    /// # Errors
    /// If `run` is not a run folder or its log is damaged.
    pub fn read(run: &Path) -> Result<Self> {
        let mut history = Self::default();
        let folder = RunFolder::open(run)?;
        let path = folder.events_path();
        if !path.exists() {
            return Ok(history);
        }
        log::read_condensed(&path, &mut |meta, event| history.push(Some(meta.t), event))?;
        if history.state != RunState::Finished {
            history.state = RunState::Idle;
        }
        // The log has no checkpoints within an epoch.
        if let Ok(saved) = checkpoint::manifest(&folder, checkpoint::Slot::Last) {
            history.checkpoint = Some((saved.epoch, saved.step));
        }
        Ok(history)
    }

    /// Adds an event. `t` is its time in milliseconds since 1970; `None` means now.
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
                let index = put(&mut self.summaries, (**summary).clone(), |row| row.epoch);
                self.seconds.truncate(index);
                self.seconds.push(t.unwrap_or_else(now_ms) as f64 / 1000.0);
            }
            Event::Validation { epoch, dice, best } => {
                put(&mut self.validations, (*epoch, *dice, *best), |row| row.0);
            }
            Event::Checkpoint { epoch, step } => {
                // Within an epoch, the event names that epoch.
                self.checkpoint = Some((epoch - usize::from(*step > 0), *step));
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

    /// Handles a start or a resume. Drops `first_epoch` and later epochs, which will be repeated.
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

    /// The part that is equal for a live, a resumed and a replayed run.
    pub fn view(&self) -> HistoryView<'_> {
        HistoryView {
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

    /// Summary of an epoch, counted from 1.
    pub fn summary(&self, epoch: usize) -> Option<&EpochSummary> {
        find(&self.summaries, epoch, |row| row.epoch)
    }

    /// Label update of an epoch, counted from 1, if it had one.
    pub fn relabel(&self, epoch: usize) -> Option<&RelabelRow> {
        find(&self.relabels, epoch, |row| row.epoch)
    }

    /// Epoch and Dice of the best validation: that of the checkpoint `best`.
    pub fn best_validation(&self) -> Option<(usize, f64)> {
        self.validations.iter().rfind(|row| row.2).map(|row| (row.0, row.1))
    }

    /// Epoch and Dice of the last validation.
    pub fn last_validation(&self) -> Option<(usize, f64)> {
        self.validations.last().map(|row| (row.0, row.1))
    }

    /// Whether the epochs so far have converged; `None` for a pre-training run.
    pub fn convergence(&self) -> Option<Convergence> {
        Convergence::of(&self.summaries)
    }

    /// Number of completed epochs.
    pub fn epochs_done(&self) -> usize {
        self.summaries.last().map_or(0, |row| row.epoch)
    }
}

/// Inserts a row by epoch and returns its index. Drops rows of the same and later epochs, which training repeats after going
/// back.
fn put<T>(rows: &mut Vec<T>, row: T, epoch: impl Fn(&T) -> usize) -> usize {
    let index = rows.partition_point(|other| epoch(other) < epoch(&row));
    rows.truncate(index);
    rows.push(row);
    index
}

fn find<T>(rows: &[T], epoch: usize, of: impl Fn(&T) -> usize) -> Option<&T> {
    rows.get(rows.partition_point(|row| of(row) < epoch)).filter(|row| of(row) == epoch)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
