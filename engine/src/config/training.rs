//! Length, learning rate and optimiser of a run.

use serde::{Deserialize, Serialize};

use crate::model::Precision;

/// Learning-rate schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// `lr` in every step.
    #[default]
    Constant,
    /// Half a cosine from `lr` to 0.
    Cosine,
}

impl Schedule {
    /// The learning rate of step `step` (from 0) of `steps`.
    fn rate(self, lr: f64, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => lr,
            Self::Cosine => {
                let progress = step as f64 / steps.max(1) as f64;
                lr * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

/// Length, schedule and optimiser (`AdamW`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Epochs; ignored if `steps` is above 0.
    pub epochs: usize,
    /// Number of steps; 0 trains for `epochs`.
    pub steps: usize,
    /// Minimum number of steps if the length is in epochs; epochs are added to reach it. A few labelled slices give only one
    /// or two steps per epoch. 0 sets no minimum.
    pub min_steps: usize,
    /// Slices per step.
    pub batch: usize,
    /// Micro-batch: slices per forward pass, with gradients accumulated over the batch; 0 for the whole batch.
    pub micro_batch: usize,
    /// Precision of the convolutions: `f32`, or `bf16` if the device supports it.
    pub precision: Precision,
    /// Learning rate.
    pub lr: f64,
    /// Fraction of the steps in which the learning rate rises linearly to `lr`; the schedule covers the rest.
    pub warmup: f64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest Euclidean norm of a step's gradient over all weights; a longer gradient is scaled down to it. 0 sets no limit.
    pub clip_norm: f64,
    /// Learning rate of a layer divided by that of the layer above it, from the head down to the first encoder block; 1 gives
    /// all layers the same rate.
    pub layer_decay: f64,
    /// Decay of a moving average of the weights, which is then validated and saved; 0 turns it off.
    pub ema_decay: f64,
    /// Largest random shift of the training crop along each axis, in pixels: drawn once per slice in pre-training, where
    /// the patches must stay the same, and for every sample in fine-tuning.
    pub shift_px: usize,
    /// Pre-train only on every n-th slice of a patient, since neighbouring slices are similar.
    pub every_slice: usize,
    /// Pre-train only on slices whose crop has at least this fraction of tissue.
    pub min_tissue: f64,
    /// Epochs between two checkpoints.
    pub checkpoint_every: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 800,
            steps: 0,
            min_steps: 0,
            batch: 36,
            micro_batch: 0,
            precision: Precision::F32,
            lr: 1e-4,
            warmup: 0.0,
            schedule: Schedule::Constant,
            weight_decay: 0.01,
            clip_norm: 0.0,
            layer_decay: 1.0,
            ema_decay: 0.0,
            shift_px: 0,
            every_slice: 1,
            min_tissue: 0.0,
            checkpoint_every: 1,
        }
    }
}

impl TrainingConfig {
    /// The paper's fine-tuning (section 4.4), with its batch for 5 % of BraTS.
    pub fn paper_finetuning() -> Self {
        Self { epochs: 70, batch: 56, schedule: Schedule::Cosine, weight_decay: 1e-4, ..Self::default() }
    }

    /// Learning rate of step `step` (from 0) of `steps`.
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        let warmup = (self.warmup * steps as f64).round() as usize;
        if step < warmup {
            return self.lr * (step + 1) as f64 / (warmup + 1) as f64;
        }
        self.schedule.rate(self.lr, step - warmup, steps - warmup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_warms_up_and_decays_to_zero() {
        let training = TrainingConfig { lr: 1.0, warmup: 0.1, schedule: Schedule::Cosine, ..TrainingConfig::default() };
        let rates: Vec<f64> = (0..100).map(|step| training.rate(step, 100)).collect();
        assert!((rates[0] - 1.0 / 11.0).abs() < 1e-12 && (rates[10] - 1.0).abs() < 1e-12, "{rates:?}");
        assert!(rates[..=10].is_sorted() && rates[10..].is_sorted_by(|a, b| a > b), "{rates:?}");
        assert!(rates[99] < 1e-3 && (rates[55] - 0.5).abs() < 1e-12, "half of the cosine is half-way: {rates:?}");
    }

    #[test]
    fn without_warm_up_the_schedule_is_a_plain_cosine_or_constant() {
        let paper = TrainingConfig::paper_finetuning();
        let of = |step: usize| paper.lr * 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / 40.0).cos());
        assert!((0..40).all(|step| (paper.rate(step, 40) - of(step)).abs() < 1e-18));
        let constant = TrainingConfig::default();
        assert!((0..40).all(|step| (constant.rate(step, 40) - constant.lr).abs() < 1e-18));
    }
}
