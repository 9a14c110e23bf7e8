//! SwAV (Caron et al., 2020).

use burn::tensor::{Int, Tensor};

use super::batch::ViewBatch;
use super::draw::ViewShape;
use super::queue::Queue;
use super::{ACCURACY, AREA, LossInput, Plan, ViewLoss, ViewOutput, intensity, temperature};
use crate::Result;
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::event::EpochSummary;
use crate::loss::{normalised, perplexity, sinkhorn, swapped_prediction};
use crate::model::{MlpShape, ViewHeads, ViewNet};
use crate::pretrain::network_config;
use crate::pretrain::task::TaskSetup;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::Parts;

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "swav",
    pretext: Pretext::Swav,
    family: Family::Contrastive,
    what: "predicts the prototype of other crops, with balanced assignment",
    about: "SwAV assigns two crops of each slice to prototypes, evenly over a batch and a queue (Sinkhorn), and learns \
            to predict the assignment of either crop from the other and from six small crops. Here the number of \
            prototypes is a sixteenth of that of the slices (32 to 300 instead of 3000), the queue is sized \
            accordingly, and crops without tissue are redrawn. Only the encoder is transferred.",
    citation: "Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020",
};

const INTENSITY: Number = intensity(0.8);
const TEMPERATURE: Number = temperature(0.1);
const EPSILON: Number = Number {
    name: "epsilon",
    default: 0.05,
    range: [0.025, 1.0],
    what: "softness of the assignment; use .03 if training collapses",
};
const PROTOTYPES: Number = Number {
    name: "prototypes",
    default: 0.0,
    range: [0.0, 10_000.0],
    what: "prototypes; 0 takes a sixteenth of the slices, 32 to 300",
};
const QUEUE: Number = Number {
    name: "queue",
    default: 0.0,
    range: [0.0, 65_536.0],
    what: "slices in the queue; 0: four slices per prototype together with the batch, at most half of all slices",
};
/// Dimensions of an embedding.
const DIM: usize = 128;
/// Number of large crops, which have codes.
const LARGE: usize = 2;
const CROPS: usize = 8;
const SINKHORN_ROUNDS: usize = 3;
const QUEUE_PARTS: [&str; LARGE] = ["queue-0", "queue-1"];
const CODES_PART: &str = "codes.bin";

/// Swapped prediction of assignments.
pub(crate) struct Swav {
    temperature: f64,
    epsilon: f64,
    prototypes: usize,
    /// Earlier embeddings of either large crop.
    pub(super) queues: [Queue; LARGE],
    /// Step from which embeddings enter the queue.
    pub(super) queue_from: usize,
    /// Steps in which the prototypes are frozen.
    pub(super) frozen: usize,
    /// How often each prototype was nearest in the epoch.
    nearest: Vec<f64>,
}

fn prototypes(config: &Config, slices: usize) -> usize {
    match PROTOTYPES.count(config) {
        0 => (slices / 16).clamp(32, 300),
        prototypes => prototypes,
    }
}

/// Slices in the queue: the smallest multiple of the batch with which a step has four slices per prototype, at most half of
/// the slices.
fn queue_slices(batch: usize, prototypes: usize, slices: usize) -> usize {
    let needed = (4 * prototypes).saturating_sub(batch).next_multiple_of(batch);
    needed.min(slices / 2 / batch * batch)
}

impl Swav {
    /// The embeddings `[B, D]` of all crops, and their cosines with the prototypes, `[B, K]`.
    pub(super) fn scores(net: &ViewNet, features: &[Tensor<2>], prototypes: &Tensor<2>) -> [Vec<Tensor<2>>; 2] {
        let slices = features[0].dims()[0];
        // Batch norm of the head sees all crops together.
        let embeddings = normalised(net.project(Tensor::cat(features.to_vec(), 0)));
        let scores = embeddings.clone().matmul(prototypes.clone().transpose());
        [embeddings, scores]
            .map(|rows| (0..CROPS).map(|index| rows.clone().narrow(0, index * slices, slices)).collect())
    }

    /// The codes of the large crops, `[B, K]` each: over the batch and, once it is full, the queue.
    pub(super) fn codes(&self, scores: &[Tensor<2>], prototypes: &Tensor<2>) -> Vec<Tensor<2>> {
        let code = |(queue, scores): (&Queue, &Tensor<2>)| {
            let mut shared = vec![scores.clone().detach()];
            if queue.capacity() > 0 && queue.is_full() {
                let rows = queue.rows(&scores.device());
                shared.push(rows.matmul(prototypes.clone().detach().transpose()));
            }
            sinkhorn(Tensor::cat(shared, 0), self.epsilon, SINKHORN_ROUNDS).narrow(0, 0, scores.dims()[0])
        };
        self.queues.iter().zip(scores).map(code).collect()
    }

    /// The loss of all crops' scores `[B, K]` against the codes of the other large ones.
    pub(super) fn predict(&self, codes: &[Tensor<2>], scores: &[Tensor<2>]) -> Tensor<1> {
        let pairs = (0..codes.len()).flat_map(|crop| (0..scores.len()).map(move |other| (crop, other)));
        let terms = pairs.filter(|(crop, other)| crop != other);
        let losses: Vec<Tensor<1>> = terms
            .map(|(crop, other)| swapped_prediction(codes[crop].clone(), scores[other].clone(), self.temperature))
            .collect();
        Tensor::cat(losses, 0).mean()
    }
}

impl ViewLoss for Swav {
    const NUMBERS: &'static [Number] = &[TEMPERATURE, EPSILON, PROTOTYPES, QUEUE, AREA, INTENSITY];

    fn plan(config: &Config) -> Plan {
        let (size, multiple) = (config.preprocess.size, network_config(config).multiple());
        let large = ViewShape { side: size, area: [AREA.of(config), 1.0], intensity: INTENSITY.of(config), blur: 0.5 };
        let side = (0.43 * size as f64 / multiple as f64).round().max(1.0) as usize * multiple;
        let small = ViewShape { side, area: [0.05, 0.14], ..large };
        let shapes = [vec![large; LARGE], vec![small; CROPS - LARGE]].concat();
        Plan {
            shapes,
            student: vec![(0..LARGE).collect(), (LARGE..CROPS).collect()],
            teacher: Vec::new(),
            teacher_chunks: 1,
        }
    }

    fn heads(config: &Config, slices: usize) -> ViewHeads {
        let d = network_config(config).bottleneck();
        let prototypes = prototypes(config, slices);
        ViewHeads { projector: MlpShape::new(d, d, DIM), predictor: None, prototypes }
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let (config, steps) = (setup.config, setup.length.steps);
        let prototypes = prototypes(config, setup.slices);
        let capacity = match QUEUE.count(config) {
            0 => queue_slices(config.training.batch, prototypes, setup.slices),
            slices => slices,
        };
        Ok(Self {
            temperature: TEMPERATURE.of(config),
            epsilon: EPSILON.of(config),
            prototypes,
            queues: [0; LARGE].map(|_| Queue::empty(capacity, DIM)),
            queue_from: steps * 8 / 100,
            frozen: steps / 100,
            nearest: vec![0.0; prototypes],
        })
    }

    fn loss(&self, pass: &LossInput<'_>) -> Result<ViewOutput> {
        let prototypes = pass.net.prototypes().ok_or_else(|| super::failed("reading", &"no prototypes"))?;
        let prototypes = if pass.step < self.frozen { prototypes.detach() } else { prototypes };
        let [embeddings, scores] = Self::scores(pass.net, &pass.features, &prototypes);
        let loss = self.predict(&self.codes(&scores, &prototypes), &scores);
        let nearest = [0, 1].map(|index: usize| scores[index].clone().detach().argmax(1));
        let agree = nearest[0].clone().equal(nearest[1].clone()).float().mean();
        let rows = embeddings.into_iter().take(LARGE).chain(nearest.map(Tensor::<2, Int>::float)).collect();
        Ok(ViewOutput { loss, diagnostics: vec![(ACCURACY, agree)], rows: Tensor::cat(rows, 1) })
    }

    fn learn(&mut self, net: &mut ViewNet, rows: &[Vec<f64>], batch: &ViewBatch, step: usize) {
        *net = net.clone().with_unit_prototypes();
        for (row, id) in rows.iter().zip(&batch.ids) {
            let (embeddings, nearest) = row.split_at(LARGE * DIM);
            for code in nearest {
                self.nearest[*code as usize] += 1.0;
            }
            if step >= self.queue_from {
                let crops = embeddings.chunks_exact(DIM);
                self.queues.iter_mut().zip(crops).for_each(|(queue, row)| queue.push(row, Some(*id)));
            }
        }
    }

    /// `ln K`.
    fn loss_of_collapse(&self, _: f64) -> Option<f64> {
        Some((self.prototypes as f64).ln())
    }

    /// Reports the perplexity of the nearest prototypes. The codes themselves use prototypes evenly by construction.
    fn diagnose(&mut self, summary: &mut EpochSummary) {
        summary.diagnostics.set("perplexity", perplexity(&self.nearest));
        self.nearest.fill(0.0);
    }

    fn state(&self) -> Result<Parts> {
        let mut parts = Parts::new();
        for (queue, name) in self.queues.iter().zip(QUEUE_PARTS) {
            parts.extend(queue.state(name)?);
        }
        parts.push((CODES_PART.into(), self.nearest.iter().flat_map(|count| count.to_le_bytes()).collect()));
        Ok(parts)
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        for (queue, name) in self.queues.iter_mut().zip(QUEUE_PARTS) {
            queue.restore(name, parts)?;
        }
        let bytes = parts.take(CODES_PART)?;
        let counts: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|count| f64::from_le_bytes(*count)).collect();
        if counts.len() != self.nearest.len() {
            return Err(super::failed("reading", &"a different number of prototypes"));
        }
        self.nearest = counts;
        Ok(())
    }
}
