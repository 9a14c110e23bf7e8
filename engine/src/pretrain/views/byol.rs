//! BYOL (Grill et al., 2020).

use super::draw::ViewShape;
use super::{AREA, LossInput, Plan, ViewLoss, ViewOutput, intensity};
use crate::Result;
use crate::config::{Config, Family, Number, Preset, Pretext};
use crate::loss::unit_distance;
use crate::model::{MlpShape, ViewHeads, cosine_decay};
use crate::pretrain::network_config;
use crate::pretrain::task::TaskSetup;

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "byol",
    pretext: Pretext::Byol,
    family: Family::Contrastive,
    what: "predicts the embedding of another view by a moving average; no negatives",
    about: "BYOL predicts the embedding of the other view by a moving average of the network, without negatives, \
            because the predictor and the slow target prevent a collapse. Here hidden layers and embeddings scale \
            with the network's width, and the target's decay starts lower in a short run, at 1 - clamp(400 / steps, \
            .004, .03). Only the encoder is transferred.",
    citation: "Grill et al., Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning, NeurIPS 2020",
};

const INTENSITY: Number = intensity(0.4);
const DECAY: Number = Number {
    name: "decay",
    default: 0.0,
    range: [0.0, 1.0],
    what: "decay of the target at the start, which rises to 1; 0 chooses it by the number of steps",
};
const PREDICTOR: Number = Number {
    name: "predictor",
    default: 1.0,
    range: [0.0, 1.0],
    what: "1: a separate head predicts the target; 0: no such head, and training collapses",
};

/// The distance of predictions to targets.
pub(crate) struct Byol {
    first_decay: f64,
    steps: usize,
}

impl ViewLoss for Byol {
    const NUMBERS: &'static [Number] = &[DECAY, PREDICTOR, AREA, INTENSITY];

    fn plan(config: &Config) -> Plan {
        let (side, area) = (config.preprocess.size, [AREA.of(config), 1.0]);
        let shape = |blur| ViewShape { side, area, intensity: INTENSITY.of(config), blur };
        let each = vec![vec![0], vec![1]];
        Plan { shapes: vec![shape(1.0), shape(0.1)], student: each.clone(), teacher: each, teacher_chunks: 1 }
    }

    fn heads(config: &Config, _: usize) -> ViewHeads {
        let network = network_config(config);
        let d = network.bottleneck();
        let (hidden, output) = ((64 * network.width).min(4096), d.min(256));
        let mlp = |input| MlpShape { last_bias: false, ..MlpShape::new(input, hidden, output) };
        let predictor = (PREDICTOR.count(config) > 0).then(|| mlp(output));
        ViewHeads { projector: mlp(d), predictor, prototypes: 0 }
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let steps = setup.length.steps;
        let decay = DECAY.of(setup.config);
        let by_steps = 1.0 - (400.0 / steps.max(1) as f64).clamp(0.004, 0.03);
        Ok(Self { first_decay: if decay > 0.0 { decay } else { by_steps }, steps })
    }

    fn decay(&self, step: usize) -> f64 {
        cosine_decay(self.first_decay, step, self.steps)
    }

    fn loss(&self, pass: &LossInput<'_>) -> Result<ViewOutput> {
        let [a, b] = [0, 1].map(|view| pass.net.project(pass.features[view].clone()));
        let [of_a, of_b] = [0, 1].map(|view| pass.keys[view].clone());
        let loss = unit_distance(pass.net.predict(a.clone()), of_b) + unit_distance(pass.net.predict(b), of_a);
        Ok(ViewOutput { loss, diagnostics: Vec::new(), rows: a })
    }

    /// `None`, because a collapse has the lowest loss, 0.
    fn loss_of_collapse(&self, _: f64) -> Option<f64> {
        None
    }
}
