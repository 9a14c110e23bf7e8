//! Methods that compare views of slices: SimCLR, MoCo, BYOL and SwAV, on the mean of the encoder's bottleneck.
//!
//! | file | contents |
//! |---|---|
//! | `draw.rs` | a random view of a slice |
//! | `batch.rs` | views of a batch, and which slices are not negatives of each other |
//! | `features.rs` | features of a whole batch, even if it goes through the network in micro-batches |
//! | `queue.rs` | embeddings of earlier batches |
//! | `simclr.rs`, `moco.rs`, `byol.rs`, `swav.rs` | views, heads and loss of each method |
//!
//! Neighbouring slices of a patient look alike, so they are not negatives of each other unless `neighbours` is 0.

mod batch;
pub(crate) mod byol;
mod draw;
mod features;
pub(crate) mod moco;
mod queue;
pub(crate) mod simclr;
pub(crate) mod swav;

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::network_config;
use super::spread::Spread;
use super::task::{Picture, PretextTask, Sample, TaskSetup};
use crate::config::{Config, Number};
use crate::event::EpochSummary;
use crate::model::record::Transfer;
use crate::model::{Ema, ViewHeads, ViewNet};
use crate::probe::PictureKind;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Parts, Position, StepOutput};
use crate::{Error, ErrorKind, Result};

use batch::ViewBatch;
use draw::ViewShape;

/// Minimum fraction of the slice that a view shows.
const AREA: Number =
    Number { name: "area", default: 0.3, range: [0.05, 1.0], what: "least fraction of the slice that a view shows" };
/// Distance within which slices are not negatives of each other.
const NEIGHBOURS: Number = Number {
    name: "neighbours",
    default: 3.0,
    range: [0.0, 1000.0],
    what: "slices of a patient up to this far apart are not negatives of each other; 0: all are negatives",
};

/// Change of intensities in a view.
const fn intensity(default: f64) -> Number {
    Number {
        name: "intensity",
        default,
        range: [0.0, 1.0],
        what: "largest change of contrast and brightness in a view",
    }
}

/// Temperature of the similarities.
const fn temperature(default: f64) -> Number {
    Number { name: "temperature", default, range: [0.01, 10.0], what: "temperature of the similarities" }
}

/// The views of a method, and which of them the encoder processes together, so that batch norm sees them as one batch.
pub(crate) struct Plan {
    shapes: Vec<ViewShape>,
    student: Vec<Vec<usize>>,
    teacher: Vec<Vec<usize>>,
    /// Number of chunks in which the teacher's shuffled slices go through the network.
    teacher_chunks: usize,
}

/// A method that compares views.
pub(crate) trait ViewLoss: Sized + Send + Sync + 'static {
    /// As [`PretextTask::NUMBERS`].
    const NUMBERS: &'static [Number];

    /// Its views.
    fn plan(config: &Config) -> Plan;

    /// Its heads in a run of `slices` slices.
    fn heads(config: &Config, slices: usize) -> ViewHeads;

    /// # Errors
    /// Settings that cannot be used.
    fn new(setup: &TaskSetup<'_>) -> Result<Self>;

    /// Decay of the teacher after a step, from 0.
    fn decay(&self, _step: usize) -> f64 {
        1.0
    }

    /// The loss of a whole batch.
    ///
    /// # Errors
    /// A network with other heads.
    fn loss(&self, pass: &LossInput<'_>) -> Result<ViewOutput>;

    /// Updates the method's state after step `step` (from 0). `rows` are [`ViewOutput::rows`].
    fn learn(&mut self, _net: &mut ViewNet, _rows: &[Vec<f64>], _batch: &ViewBatch, _step: usize) {}

    /// The loss of equal embeddings, if a network that learns must be below it. `neighbours` is the fraction of pairs that are not
    /// negatives.
    fn loss_of_collapse(&self, neighbours: f64) -> Option<f64>;

    /// Adds the method's own diagnostics to an epoch's summary.
    fn diagnose(&mut self, _summary: &mut EpochSummary) {}

    /// As [`PretextTask::state`].
    ///
    /// # Errors
    /// State that cannot be written as bytes.
    fn state(&self) -> Result<Parts> {
        Ok(Vec::new())
    }

    /// As [`PretextTask::restore`].
    ///
    /// # Errors
    /// Parts that are missing or damaged.
    fn restore(&mut self, _parts: &mut CheckpointData) -> Result<()> {
        Ok(())
    }
}

/// Input of a loss.
pub(crate) struct LossInput<'a> {
    /// The network, for its heads.
    net: &'a ViewNet,
    /// Features of the batch `[B, d]`, one view after another.
    features: Vec<Tensor<2>>,
    /// The teacher's projections of its views, `[B, D]`, without gradient.
    keys: Vec<Tensor<2>>,
    batch: &'a ViewBatch,
    /// Slices of the batch.
    slices: usize,
    device: &'a Device,
    /// Steps done before.
    step: usize,
}

/// The loss of a batch.
pub(crate) struct ViewOutput {
    loss: Tensor<1>,
    diagnostics: Vec<(&'static str, Tensor<1>)>,
    /// Values of each slice that are read after the step, `[B, R]`. They start with its projection, whose spread is logged.
    rows: Tensor<2>,
}

/// A method that compares views as a pre-training task.
pub(crate) struct Views<L> {
    config: Config,
    plan: Plan,
    heads: ViewHeads,
    loss: L,
    teacher: Option<Ema<ViewNet>>,
    progress: Progress,
    /// Projections of the epoch.
    spread: Spread,
}

/// Position in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    steps: usize,
}

const TEACHER: &str = "teacher.safetensors";
const PROGRESS: &str = "views.json";
const SPREAD: &str = "spread.bin";
/// Names of diagnostics.
const NEIGHBOUR_SHARE: &str = "neighbour_pairs";
const ACCURACY: &str = "accuracy";
/// A loss above this fraction of the collapsed loss counts as a collapse.
const MAX_RATIO: f64 = 0.98;

impl<L: ViewLoss> Views<L> {
    fn draw(&self, samples: &[Sample], position: Position) -> ViewBatch {
        ViewBatch::draw(samples, &self.plan.shapes, self.config.preprocess.size, self.config.seed, position.epoch)
    }
}

impl<L: ViewLoss> Objective for Views<L> {
    type Net = ViewNet;
    type Batch = ViewBatch;

    fn build(&self, seed: u64, device: &Device) -> ViewNet {
        ViewNet::init(&network_config(&self.config), self.heads, seed, device)
    }

    fn batch_statistics(&self, net: &ViewNet, batch: &ViewBatch, micro: &MicroBatch<'_>) -> Result<Option<Vec<f64>>> {
        self.gather(net, batch, micro).map(Some)
    }

    fn loss(&self, net: &ViewNet, batch: &ViewBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let [features, teacher_features] = self.features(net, batch, micro);
        // In every micro-batch the heads process the whole batch, so their gradient must count only once.
        let fixed = (micro.range.start > 0).then(|| net.with_fixed_heads());
        let teacher = self.teacher.as_ref().map(|teacher| teacher.on(micro.device));
        let key = |features: Tensor<2>| Some(teacher.as_ref()?.project(features).detach());
        let ViewOutput { loss, diagnostics, rows } = self.loss.loss(&LossInput {
            net: fixed.as_ref().unwrap_or(net),
            features,
            keys: teacher_features.into_iter().filter_map(key).collect(),
            batch,
            slices: micro.of,
            device: micro.device,
            step: self.progress.steps,
        })?;
        Ok(MicroLoss {
            objective: loss.clone(),
            value: loss,
            parts: Vec::new(),
            diagnostics,
            per_slice: Some(rows.detach().narrow(0, micro.range.start, micro.range.len())),
            output: Tensor::zeros([micro.range.len(), 1, 1, 1], micro.device),
        })
    }
}

impl<L: ViewLoss> PretextTask for Views<L> {
    const TRANSFER: Transfer = Transfer::Encoder;
    const NUMBERS: &'static [Number] = L::NUMBERS;
    const FILLS_BATCHES: bool = true;

    fn errors(config: &Config) -> Vec<Error> {
        let batch = config.training.batch;
        let why = "slices of a batch are compared with each other: use at least 2";
        (batch == 1).then(|| Error::config("training.batch", batch, why)).into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let (network, heads) = (network_config(config), L::heads(config, usize::MAX));
        let plan = L::plan(config);
        // The teacher has one copy of each weight; a trained weight has four numbers.
        let teacher = if plan.teacher.is_empty() { 0 } else { (network.parameters() + heads.parameters()) / 4 };
        // The encoder's passes keep less than the pass of the U-Net, which is already counted.
        let activations = plan.shapes.len() * 3 * (heads.projector.hidden + heads.projector.output);
        Head { weights: heads.parameters() + teacher, activations }
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config.clone();
        let (plan, heads) = (L::plan(&config), L::heads(&config, setup.slices));
        let mut task = Self {
            plan,
            heads,
            loss: L::new(setup)?,
            teacher: None,
            progress: Progress::default(),
            spread: Spread::default(),
            config,
        };
        if !task.plan.teacher.is_empty() {
            task.teacher = Some(Ema::new(&task.build(task.config.seed, &setup.device.clone().autodiff())));
        }
        Ok(task)
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<ViewBatch> {
        Ok(self.draw(&samples, position))
    }

    fn after_step(&mut self, net: &mut ViewNet, batch: &ViewBatch, output: &StepOutput, _: Position) -> Result<()> {
        let (step, rows) = (self.progress.steps, &output.per_slice);
        let dim = self.heads.projector.output;
        let projections: Vec<&[f64]> = rows.iter().map(|row| &row[..dim.min(row.len())]).collect();
        self.spread.add(&projections);
        self.loss.learn(net, rows, batch, step);
        if let Some(teacher) = &mut self.teacher {
            teacher.update(net, self.loss.decay(step));
        }
        self.progress.steps += 1;
        Ok(())
    }

    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        let (spread, dim) = (std::mem::take(&mut self.spread), self.heads.projector.output);
        if let Some(std) = spread.std() {
            summary.diagnostics.set("emb_std", std);
        }
        if let Some(rank) = spread.effective_rank() {
            summary.diagnostics.set("effective_rank", rank);
        }
        self.loss.diagnose(summary);
        let neighbours = summary.diagnostics.get(NEIGHBOUR_SHARE).unwrap_or(0.0);
        let ratio = self.loss.loss_of_collapse(neighbours).map(|collapsed| summary.loss / collapsed);
        if let Some(ratio) = ratio {
            summary.diagnostics.set("loss_ratio", ratio);
        }
        if 10 * position.epoch <= position.epochs {
            return;
        }
        if spread.is_collapsed() {
            summary.warnings.push(format!(
                "Training has collapsed: embeddings of different slices are almost equal or on a line (emb_std {:.4}, \
                 effective_rank {:.1}; evenly spread embeddings have {:.4} and more than 1.2). Lower training.lr or enlarge \
                 training.batch.",
                spread.std().unwrap_or(0.0),
                spread.effective_rank().unwrap_or(0.0),
                1.0 / (dim as f64).sqrt()
            ));
        }
        if ratio.is_some_and(|ratio| ratio > MAX_RATIO) {
            summary.warnings.push(format!(
                "The loss is that of equal embeddings (loss_ratio above {MAX_RATIO}), so views are not distinguished. Raise \
                 training.lr, or train longer."
            ));
        }
    }

    fn state(&self) -> Result<Parts> {
        let mut parts = self.loss.state()?;
        let progress = serde_json::to_vec(&self.progress).map_err(|e| failed("writing", &e))?;
        parts.extend([(PROGRESS.into(), progress), (SPREAD.into(), self.spread.to_bytes())]);
        if let Some(teacher) = &self.teacher {
            parts.push((TEACHER.into(), teacher.to_bytes()?));
        }
        Ok(parts)
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.progress = serde_json::from_slice(&parts.take(PROGRESS)?).map_err(|e| failed("reading", &e))?;
        self.spread = Spread::from_bytes(&parts.take(SPREAD)?)?;
        if let Some(teacher) = &mut self.teacher {
            teacher.restore(&parts.take(TEACHER)?)?;
        }
        self.loss.restore(parts)
    }

    /// The views drawn of the slice in an epoch, oriented as the slice is displayed (i to the left, j upwards): two large
    /// ones side by side, small ones below.
    fn picture(&self, _: &ViewNet, sample: Sample, position: Position, _: &Device) -> Result<Picture> {
        let size = self.config.preprocess.size;
        let batch = self.draw(&[sample], position);
        let views: Vec<_> = batch.pictures().collect();
        let mut pixels = vec![0.0; size * size];
        // Without small views, the large ones are in the middle.
        let first = if views.len() > 2 { size / 2 } else { size / 4 };
        for (number, (side, view)) in views.into_iter().enumerate() {
            // Two halves of a row, then thirds.
            let (per_row, index) = if number < 2 { (2, number) } else { (3, number - 2) };
            let tile = size / if number < 2 { 2 } else { 4 };
            let gap = size / per_row;
            let right = size - (index % per_row + 1) * gap + (gap - tile) / 2;
            let bottom = if number < 2 { first } else { size / 2 - (index / per_row + 1) * tile };
            for (i, row) in draw::resized(view, side, tile).chunks_exact(tile).enumerate() {
                pixels[(right + i) * size + bottom..][..tile].copy_from_slice(row);
            }
        }
        Ok(Picture { kind: PictureKind::Views, ..Picture::new(pixels) })
    }
}

/// A number of the batch as a diagnostic.
fn number(value: f64, device: &Device) -> Tensor<1> {
    Tensor::from_floats([value as f32], device)
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> Error {
    ErrorKind::Compute { step: format!("{what} the state of views"), why: why.to_string() }.into()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
