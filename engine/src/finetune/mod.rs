//! Supervised fine-tuning with a few labelled patients (section 4.4 of the paper), from a pre-trained network or random weights.
//!
//! | file | contents |
//! |---|---|
//! | `labelled.rs` | the labelled slices, and the patients to validate on |
//! | `batch.rs` | augmented slices, and their Dice and cross-entropy |
//! | `supervised.rs` | the run as a [`crate::trainer::Method`] |

mod batch;
mod labelled;
mod supervised;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Stage};
use crate::run::{Convergence, History};
use crate::seed::stream;
use crate::trainer::{Session, TrainOutput, measure_step, train};

pub use batch::{DiceCrossEntropy, Samples};
pub use labelled::LabelledData;
pub(crate) use labelled::negatives_of_epoch;
use supervised::FinetuneMethod;
pub use supervised::initial_network;

/// The report of a finished fine-tuning run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinetuneReport {
    /// Always `finetune`.
    pub stage: Stage,
    /// True if it started from an earlier run.
    pub pretrained: bool,
    /// Device that computed.
    pub device: String,
    /// The patients whose labels were trained on.
    pub labelled: Vec<String>,
    /// The validation patients. Their labels chose the best network, so they count towards the label budget.
    pub validated: Vec<String>,
    /// The patients among them whose corrected masks were trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrected: Vec<String>,
    /// Slices with lesion.
    pub lesion_slices: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Steps trained.
    pub steps: usize,
    /// Mean loss of the last epoch.
    pub loss: f64,
    /// Whether it has converged. In JSON its fields are merged into the report.
    #[serde(flatten)]
    pub convergence: Option<Convergence>,
    /// Best validation Dice, if there was a validation.
    pub best_dice: Option<f64>,
    /// Epoch of the best validation.
    pub best_epoch: Option<usize>,
    /// Dice of the last validation.
    pub last_dice: Option<f64>,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
    /// Dice of the held-out patients before and after, if the run continued another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_after: Option<BeforeAfter>,
}

/// Dice of a patient, the mean over the scans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatientChange {
    /// ID of the patient.
    pub patient: String,
    /// Dice of the network that the run started from.
    pub before: Option<f64>,
    /// Dice of the run's network.
    pub after: Option<f64>,
}

/// Dice of the held-out patients before and after a fine-tuning run that continued another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// Name of the run that it started from.
    pub from: String,
    /// The held-out part of the split: `test`, or `val` if there are no test patients.
    pub part: String,
    /// The patients of that part.
    pub patients: Vec<PatientChange>,
    /// Mean before, over the patients that both networks segmented.
    pub before: Option<f64>,
    /// Mean after, over the same patients.
    pub after: Option<f64>,
}

/// Fine-tunes on `data`. A dry run stops after the estimate and gives `None`.
///
/// # Errors
/// Errors of [`train`]; a pre-trained network that cannot be read.
pub fn finetune(
    config: &Config,
    data: &LabelledData,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<FinetuneReport>> {
    let trained = train(&mut FinetuneMethod::new(config, data, session), config, session, sink)?;
    let Some(TrainOutput { length, last, best_dice, seconds, .. }) = trained else { return Ok(None) };
    let history = History::read(session.run.root())?;
    let convergence = history.convergence();
    if let Some(message) = convergence.as_ref().and_then(Convergence::advice) {
        sink.event(&Event::Warning { message })?;
    }
    Ok(Some(FinetuneReport {
        stage: Stage::Finetune,
        pretrained: !config.labels.from.as_os_str().is_empty(),
        device: session.compute.name.clone(),
        labelled: data.store.cases().iter().map(|c| c.id.clone()).collect(),
        validated: data.validation.iter().map(|(id, _)| id.clone()).collect(),
        corrected: Vec::new(),
        lesion_slices: data.lesion.len(),
        epochs: length.epochs,
        steps: length.steps,
        loss: last.loss,
        convergence,
        best_dice,
        best_epoch: history.best_validation().map(|(epoch, _)| epoch),
        last_dice: history.last_validation().map(|(_, dice)| dice),
        seconds,
        before_after: None,
    }))
}

/// Seconds of a step on a batch of `slices` slices of noise. The time does not depend on the content.
///
/// # Errors
/// Device errors; cancellation.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
    let (channels, regions, size) = (config.data.modality.len(), config.data.targets.count(), config.preprocess.size);
    let mut draw = stream(config.seed, "synthetic slices", &[]);
    let noise = (0..slices)
        .map(|_| {
            let pixels = (0..channels * size * size).map(|_| draw.random()).collect();
            // A bit for each region.
            let target = (0..size * size).map(|_| draw.random()).collect();
            (pixels, target)
        })
        .collect();
    let samples = Samples::new(noise, channels, regions, size);
    measure_step(&DiceCrossEntropy(config), &samples, slices, config, compute, control)
}
