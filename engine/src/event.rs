//! What the loops tell the world: one closed enum for every listener (terminal, log file, window).
//!
//! # Order
//! `Estimate`, `Started`, then for every epoch `Step`*, `Relabel`?, `Probe`*, `Validation`?, `Epoch`, `Checkpoint`?; at the end
//! exactly one of `Finished` or `Failed`. A `Probe` stands for each pinned slice, after its record is on the disk (see
//! [`crate::probe`]). `Warning` may stand anywhere. `Estimate`, `Warning`, `Failed` and checkpoints
//! in the midst of an epoch (pause, cancel) reach the listeners but not the run's log, and a resumed run logs neither
//! `Started` again nor what its checkpoint covers: the log of an interrupted run equals that of an uninterrupted one.
//!
//! Numbers that are not finite, which JSON has none of, are logged as `"NaN"`, `"inf"` and `"-inf"`.

mod losses;
mod number;
mod queue;

pub use losses::Losses;
pub use queue::EventQueue;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, Result};

/// Which loop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Self-supervised pre-training.
    #[default]
    Pretrain,
    /// Supervised fine-tuning.
    Finetune,
}

/// Counts of the four cases of the label update (section 3.3), in patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Case 1: k-means foreground, important: stays 1.
    pub kept_foreground: u64,
    /// Case 2: k-means background, not important: stays 0.
    pub kept_background: u64,
    /// Case 3: k-means foreground, not important: coin.
    pub doubted_foreground: u64,
    /// Case 4: k-means background, important: coin.
    pub doubted_background: u64,
    /// Patches that were never masked in the period and keep their label.
    pub never_masked: u64,
}

/// One message of a loop. Epochs and steps count from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are named as in the method; units stand where they are not plain numbers")]
pub enum Event {
    Estimate {
        steps: usize,
        #[serde(with = "number")]
        seconds_per_step: f64,
        #[serde(with = "number")]
        seconds: f64,
        memory_mib: u64,
    },
    Started {
        stage: Stage,
        epochs: usize,
        steps_per_epoch: usize,
        slices: usize,
        parameters: usize,
        device: String,
        first_epoch: usize,
    },
    Step {
        stage: Stage,
        epoch: usize,
        step: usize,
        #[serde(with = "number")]
        loss: f64,
        #[serde(with = "number")]
        learning_rate: f64,
    },
    Relabel {
        epoch: usize,
        cases: CaseCounts,
        flips: u64,
        differs_from_kmeans: u64,
        #[serde(with = "number")]
        agreement: f64,
        lesion_recall: Option<f64>,
    },
    Probe(Box<Probe>),
    Epoch(Box<EpochSummary>),
    Validation {
        epoch: usize,
        #[serde(with = "number")]
        dice: f64,
        best: bool,
    },
    Checkpoint {
        epoch: usize,
        step: usize,
    },
    Warning {
        message: String,
    },
    Finished {
        stage: Stage,
        epochs: usize,
    },
    Failed {
        message: String,
    },
}

/// One epoch of a slice that the user wants to see (the paper's Fig. 4): what a label update did to it, if there was one.
/// Everything else that was recorded of it lies in the run folder: [`crate::probe::read`].
///
/// Patches stand in the order of the grid, one character each; fine-tuning knows none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Which loop recorded it.
    #[serde(default)]
    pub stage: Stage,
    /// False if the slice is only looked at and never trained on.
    #[serde(default = "yes")]
    pub trained: bool,
    /// From 1.
    pub epoch: usize,
    /// The patient.
    pub case: String,
    /// Prepared slice.
    pub slice: u32,
    /// Labels in force during the epoch, `0` or `1`.
    pub before: String,
    /// Labels after its update; the same if there was none.
    pub after: String,
    /// Which of the four cases each patch fell into; `0` for those never masked in the period. Empty if the epoch had no
    /// update.
    pub cases: String,
}

/// Logs of earlier versions hold slices that were trained on, and no others.
fn yes() -> bool {
    true
}

/// The numbers of one epoch; what a stage does not have is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochSummary {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Learning rate of the epoch's last step.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Mean of each part of the loss, without its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Losses>,
    /// Eqs. 6 and 7 as printed, which have no gradient (AMLP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<Losses>,
    /// Norm of the gradient of each part at a sampled step (AMLP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<Losses>,
    /// Masking ratio (Eq. 9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Share of masked patches in which the importance by the loss agrees with k-means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// Share of air among the foreground patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub air_share: Option<f64>,
    /// Recall of lesion patches by the patches labelled 1, where labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesion_recall_foreground: Option<f64>,
    /// Recall of lesion patches by the masked patches, where labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesion_recall_masked: Option<f64>,
    /// Entropies H1, H2, H3 in nats (Eqs. 1 to 3); H3 only where labels exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy: Option<[Option<f64>; 3]>,
}

impl Event {
    /// True for events that a listener may never drop; only `Step` may be replaced by a newer one.
    pub fn is_milestone(&self) -> bool {
        !matches!(self, Event::Step { .. })
    }
}

/// Something that listens to a loop.
pub trait EventSink {
    /// Takes one event. An error ends the job: a log that cannot be written is not a log.
    fn event(&mut self, event: &Event) -> Result<()>;
}

impl<F: FnMut(&Event) -> Result<()>> EventSink for F {
    fn event(&mut self, event: &Event) -> Result<()> {
        self(event)
    }
}

/// Sends every event to each of several sinks, in order.
pub struct Fanout<'a>(pub Vec<&'a mut dyn EventSink>);

impl EventSink for Fanout<'_> {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.event(event))
    }
}

/// The handle by which a running job is paused or cancelled; loops look at it after every step.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

/// What a [`Control`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Run,
    /// Save a checkpoint and wait.
    Pause,
    /// Save a checkpoint and stop.
    Cancel,
}

impl Control {
    /// Changes what the control says.
    pub fn set(&self, signal: Signal) {
        self.0.store(signal as u8, Ordering::SeqCst);
    }

    /// What the control says now.
    pub fn get(&self) -> Signal {
        match self.0.load(Ordering::SeqCst) {
            0 => Signal::Run,
            1 => Signal::Pause,
            _ => Signal::Cancel,
        }
    }

    /// Waits for as long as the control says pause; then an error if it says cancel. For work without a checkpoint, between
    /// two pieces of it (two patients).
    pub fn pass(&self) -> Result<()> {
        while self.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.check()
    }

    /// An error if the control says cancel: for work without a checkpoint (loading, prediction).
    pub fn check(&self) -> Result<()> {
        if self.get() == Signal::Cancel { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
    }
}
