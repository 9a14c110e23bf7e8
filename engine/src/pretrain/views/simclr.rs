//! SimCLR (Chen et al., 2020).

use super::{
    ACCURACY, AREA, LossInput, NEIGHBOUR_SHARE, NEIGHBOURS, Plan, ViewLoss, ViewOutput, intensity, number, temperature,
};
use crate::Result;
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::loss::nt_xent;
use crate::model::{MlpShape, ViewHeads};
use crate::pretrain::network_config;
use crate::pretrain::task::TaskSetup;

use super::draw::ViewShape;

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "simclr",
    pretext: Pretext::SimClr,
    family: Family::Contrastive,
    what: "matches two views of each slice among all views of the batch (NT-Xent)",
    about: "SimCLR embeds two random views of each slice with a two-layer head on the encoder and learns to identify \
            the other view among all views of the batch. Here views cover at least 30 % of the slice and change only \
            tissue, neighbouring slices of a patient are not negatives of each other, and batches are as small as in \
            the other methods instead of 4096. Only the encoder is transferred.",
    citation: "Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020",
};

const INTENSITY: Number = intensity(0.8);
const TEMPERATURE: Number = temperature(0.1);

/// NT-Xent between two views.
pub(crate) struct SimClr {
    batch: usize,
    neighbours: usize,
    temperature: f64,
}

impl ViewLoss for SimClr {
    const NUMBERS: &'static [Number] = &[TEMPERATURE, AREA, INTENSITY, NEIGHBOURS];

    fn plan(config: &Config) -> Plan {
        let (side, area) = (config.preprocess.size, [AREA.of(config), 1.0]);
        let shape = ViewShape { side, area, intensity: INTENSITY.of(config), blur: 0.5 };
        Plan { shapes: vec![shape; 2], student: vec![vec![0, 1]], teacher: Vec::new(), teacher_chunks: 1 }
    }

    fn heads(config: &Config, _: usize) -> ViewHeads {
        let d = network_config(config).bottleneck();
        let projector = MlpShape { last_norm: true, ..MlpShape::new(d, d, 128) };
        ViewHeads { projector, predictor: None, prototypes: 0 }
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config;
        let (batch, neighbours) = (config.training.batch, NEIGHBOURS.count(config));
        Ok(Self { batch, neighbours, temperature: TEMPERATURE.of(config) })
    }

    fn loss(&self, pass: &LossInput<'_>) -> Result<ViewOutput> {
        // Batch norm of the head sees both views together.
        let embeddings = pass.net.project(burn::tensor::Tensor::cat(pass.features.clone(), 0));
        let [a, b] = [0, pass.slices].map(|start| embeddings.clone().narrow(0, start, pass.slices));
        let (excluded, share) = pass.batch.neighbours(pass.slices, self.neighbours, pass.device);
        let contrast = nt_xent(a.clone(), b, (share > 0.0).then_some(excluded), self.temperature);
        let diagnostics = vec![(ACCURACY, contrast.accuracy), (NEIGHBOUR_SHARE, number(share, pass.device))];
        Ok(ViewOutput { loss: contrast.loss, diagnostics, rows: a })
    }

    /// `ln(2B - 1)` if every other view is a candidate.
    fn loss_of_collapse(&self, neighbours: f64) -> Option<f64> {
        let negatives = (2 * self.batch).saturating_sub(2) as f64;
        Some((1.0 + negatives * (1.0 - neighbours)).ln())
    }
}
