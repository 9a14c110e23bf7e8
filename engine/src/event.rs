//! Training events: one enum for every listener (terminal, log file, window).
//!
//! # Order
//! `Estimate`, `Started`, then for every epoch `Step`*, `Relabel`?, `Probe`*, `Validation`?, `Epoch`, `Checkpoint`?; at the end
//! exactly one of `Finished` or `Failed`. There is one `Probe` per pinned slice, after its record is on disk (see
//! [`crate::probe`]). `Warning` may occur anywhere.
//!
//! Warnings that a method issues at the end of an epoch are in the log, as [`EpochSummary::warnings`].
//!
//! `Estimate`, `Warning`, `Failed` and checkpoints within an epoch (pause, cancel) reach the listeners but not the run's
//! log, and a resumed run logs neither `Started` again nor what its checkpoint covers. So the log of an interrupted run
//! equals that of an uninterrupted one.
//!
//! JSON has no non-finite numbers; they are logged as `"NaN"`, `"inf"` and `"-inf"`.

mod losses;
mod number;
mod queue;

pub use losses::Losses;
pub use queue::EventQueue;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, Result};

/// Training stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Self-supervised pre-training.
    #[default]
    Pretrain,
    /// Supervised fine-tuning.
    Finetune,
}

/// Patches in each of the four cases of the label update (paper, section 3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseCounts {
    /// Case 1: k-means foreground, important. Stays 1.
    pub kept_foreground: u64,
    /// Case 2: k-means background, not important. Stays 0.
    pub kept_background: u64,
    /// Case 3: k-means foreground, not important. Drawn at random.
    pub doubted_foreground: u64,
    /// Case 4: k-means background, important. Drawn at random.
    pub doubted_background: u64,
    /// Patches never masked in the period. They keep their label.
    pub never_masked: u64,
}

/// A training event. Epochs and steps count from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the field names are the method's terms and state their units")]
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

/// One epoch of a pinned slice (paper, Fig. 4): the effect of a label update, if there was one. The full record is in
/// the run folder ([`crate::probe::read`]).
///
/// Strings have one character per patch, in grid order. They are empty in fine-tuning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Stage that recorded it.
    #[serde(default)]
    pub stage: Stage,
    /// False if the slice is only observed, not trained on.
    #[serde(default = "default_trained")]
    pub trained: bool,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Patient id.
    pub case: String,
    /// Index of the prepared slice.
    pub slice: u32,
    /// Labels during the epoch, `0` or `1`.
    pub before: String,
    /// Labels after the epoch's update; the same if there was none.
    pub after: String,
    /// Case of each patch, `1` to `4`; `0` for patches never masked in the period. Empty without an update.
    pub cases: String,
}

/// Logs of earlier versions hold only slices that were trained on.
fn default_trained() -> bool {
    true
}

/// Summary of one epoch. Values that a stage does not have are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochSummary {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    #[serde(with = "number")]
    pub loss: f64,
    /// Learning rate of the epoch's last step.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Batch Dice of the training slices, augmented as they are trained on, 0 to 1 (fine-tuning).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_dice: Option<f64>,
    /// Reconstruction loss of the validation patients, with the same masks in every epoch (pre-training).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
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
    /// Fraction of masked patches whose importance by the loss agrees with their k-means label, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// Fraction of air among the foreground patches, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub air_share: Option<f64>,
    /// Fraction of lesion patches that are labelled 1, for patients with a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesion_recall_foreground: Option<f64>,
    /// Fraction of lesion patches that are masked, for patients with a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesion_recall_masked: Option<f64>,
    /// Diagnostics of the method by name: means of the epoch, such as the accuracy of its task or the spread of its embeddings.
    #[serde(skip_serializing_if = "Losses::is_empty")]
    pub diagnostics: Losses,
    /// Problems of the run, one sentence each, such as a collapse. Listeners get each once, as a `Warning`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Entropies H1, H2, H3 in nats (Eqs. 1 to 3); H3 only for patients with a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy: Option<[Option<f64>; 3]>,
}

impl Event {
    /// True for events that must not be dropped. Only a `Step` may be replaced by a newer one.
    pub fn is_milestone(&self) -> bool {
        !matches!(self, Event::Step { .. })
    }
}

/// A listener of training events.
pub trait EventSink {
    /// Handles one event. An error, such as a log that cannot be written, ends the job.
    fn event(&mut self, event: &Event) -> Result<()>;
}

impl<F: FnMut(&Event) -> Result<()>> EventSink for F {
    fn event(&mut self, event: &Event) -> Result<()> {
        self(event)
    }
}

/// Sends every event to several sinks, in order.
pub struct Fanout<'a>(pub Vec<&'a mut dyn EventSink>);

impl EventSink for Fanout<'_> {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.event(event))
    }
}

/// Cancellation token: pauses or cancels a running job. Training loops check it after every step.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

/// State of a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Continue.
    Run,
    /// Save a checkpoint and wait.
    Pause,
    /// Save a checkpoint and stop.
    Cancel,
}

impl Control {
    /// Sends a signal to the job.
    pub fn set(&self, signal: Signal) {
        self.0.store(signal as u8, Ordering::SeqCst);
    }

    /// The last signal.
    pub fn get(&self) -> Signal {
        match self.0.load(Ordering::SeqCst) {
            0 => Signal::Run,
            1 => Signal::Pause,
            _ => Signal::Cancel,
        }
    }

    /// Waits while paused, then checks for cancellation. For work without checkpoints, between two units of it.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn pass(&self) -> Result<()> {
        while self.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.check()
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] if cancelled.
    pub fn check(&self) -> Result<()> {
        if self.get() == Signal::Cancel { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
    }
}
