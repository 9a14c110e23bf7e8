//! MoCo v2 (He et al., 2020; Chen et al., 2020).

use burn::tensor::Tensor;

use super::batch::ViewBatch;
use super::draw::ViewShape;
use super::queue::Queue;
use super::{
    ACCURACY, AREA, LossInput, NEIGHBOUR_SHARE, NEIGHBOURS, Plan, ViewLoss, ViewOutput, intensity, number, temperature,
};
use crate::Result;
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::loss::{info_nce, normalised};
use crate::model::{MlpShape, ViewHeads, ViewNet, capped_decay};
use crate::pretrain::network_config;
use crate::pretrain::task::TaskSetup;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::Parts;

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "moco",
    pretext: Pretext::Moco,
    family: Family::Contrastive,
    what: "matches two views of each slice among a queue of earlier slices",
    about: "MoCo v2 embeds one view of each slice with the network and the other with its moving average, and learns \
            to identify the latter among a queue of slices from earlier batches. Here the queue has at most half of \
            the slices instead of 65,536 and excludes the slice itself and its neighbours, the decay is .99, and the \
            keys are shuffled through batch norm in four chunks instead of across devices. Only the encoder is \
            transferred.",
    citation: "He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020; Chen et al., Improved \
               Baselines with Momentum Contrastive Learning, 2020 (arXiv 2003.04297)",
};

const INTENSITY: Number = intensity(0.4);
const TEMPERATURE: Number = temperature(0.2);
const QUEUE: Number = Number {
    name: "queue",
    default: 0.0,
    range: [0.0, 65_536.0],
    what: "embeddings in the queue; 0 takes half of the slices, at most 4096",
};
const DECAY: Number = Number {
    name: "decay",
    default: 0.99,
    range: [0.0, 1.0],
    what: "decay of the key network, at most 1 - 20 / steps",
};
/// Dimensions of an embedding.
const DIM: usize = 128;
const QUEUE_PART: &str = "queue";

/// `InfoNCE` against a queue.
pub(crate) struct Moco {
    pub(super) queue: Queue,
    neighbours: usize,
    temperature: f64,
    decay: f64,
}

impl ViewLoss for Moco {
    const NUMBERS: &'static [Number] = &[TEMPERATURE, QUEUE, DECAY, AREA, INTENSITY, NEIGHBOURS];

    fn plan(config: &Config) -> Plan {
        let (side, area) = (config.preprocess.size, [AREA.of(config), 1.0]);
        let shape = ViewShape { side, area, intensity: INTENSITY.of(config), blur: 0.5 };
        Plan { shapes: vec![shape; 2], student: vec![vec![0]], teacher: vec![vec![1]], teacher_chunks: 4 }
    }

    fn heads(config: &Config, _: usize) -> ViewHeads {
        let d = network_config(config).bottleneck();
        let projector = MlpShape { hidden_norm: false, ..MlpShape::new(d, d, DIM) };
        ViewHeads { projector, predictor: None, prototypes: 0 }
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config;
        let capacity = match QUEUE.count(config) {
            0 => (setup.slices / 2).clamp(1, 4096),
            entries => entries,
        };
        Ok(Self {
            queue: Queue::random(capacity, DIM, config.seed),
            neighbours: NEIGHBOURS.count(config),
            temperature: TEMPERATURE.of(config),
            decay: capped_decay(DECAY.of(config), setup.length.steps),
        })
    }

    fn decay(&self, _: usize) -> f64 {
        self.decay
    }

    fn loss(&self, pass: &LossInput<'_>) -> Result<ViewOutput> {
        let query = normalised(pass.net.project(pass.features[0].clone()));
        let key = normalised(pass.keys[0].clone());
        let (near, share) = self.queue.near(&pass.batch.ids[..pass.slices], self.neighbours, pass.device);
        let queue = self.queue.rows(pass.device);
        let contrast = info_nce(query.clone(), key.clone(), queue, near, self.temperature);
        let diagnostics = vec![(ACCURACY, contrast.accuracy), (NEIGHBOUR_SHARE, number(share, pass.device))];
        Ok(ViewOutput { loss: contrast.loss, diagnostics, rows: Tensor::cat(vec![query, key], 1) })
    }

    /// Adds the keys to the queue.
    fn learn(&mut self, _: &mut ViewNet, rows: &[Vec<f64>], batch: &ViewBatch, _: usize) {
        rows.iter().zip(&batch.ids).for_each(|(row, id)| self.queue.push(&row[DIM..], Some(*id)));
    }

    /// `ln(1 + K)` if every entry is a candidate.
    fn loss_of_collapse(&self, neighbours: f64) -> Option<f64> {
        Some((self.queue.capacity() as f64 * (1.0 - neighbours)).ln_1p())
    }

    fn state(&self) -> Result<Parts> {
        self.queue.state(QUEUE_PART)
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.queue.restore(QUEUE_PART, parts)
    }
}
