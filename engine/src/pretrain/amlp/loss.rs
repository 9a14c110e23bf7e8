//! The loss of AMLP: `L_all = L_pred + L_rrl + lambda L_lcl` (Eq. 8).

use burn::tensor::{Device, Tensor};

use super::arl::{Attention, attention, clipped, relative, relative_losses};
use super::batch::{DeviceBatch, MaskedBatch};
use super::ccl::{Consistency, consistency, consistency_logits, literal_consistency_of_slice};
use crate::Result;
use crate::config::{Config, MethodConfig};
use crate::loss::{patch_errors, reconstruction};
use crate::masking::indicator;
use crate::model::MaskedUNet;
use crate::pretrain::network_config;
use crate::trainer::{MicroBatch, MicroLoss, Objective, StepOutput};

/// The losses of some slices on the device.
pub struct AmlpLoss {
    /// Eq. 8.
    pub total: Tensor<1>,
    /// `L_pred`.
    pub pred: Tensor<1>,
    /// `L_rrl`, if it is not left out.
    pub rrl: Option<Tensor<1>>,
    /// `L_lcl`, if it is not left out and a masked patch has a flipped label.
    pub lcl: Option<Tensor<1>>,
    /// `L_i` of every patch, `[B, N]`.
    pub errors: Tensor<2>,
    /// The reconstruction, `[B, C, S, S]`.
    pub output: Tensor<4>,
}

/// Masks the batch and reconstructs it, `[B, C, S, S]`.
pub fn forward(net: &MaskedUNet, batch: &DeviceBatch, config: &Config) -> Tensor<4> {
    let appearance = &batch.appearance;
    let pixel_mask = appearance.flipped(batch.pixel_mask.clone());
    let input = net.mask(appearance.of(batch.image.clone()), pixel_mask.clone(), batch.noise.clone());
    appearance.undo(net.forward(input, pixel_mask, config.training.precision))
}

/// Eq. 8 of a reconstruction. The reconstruction loss covers masked patches only (Algorithm 1), since visible ones could be
/// copied. The consistency loss covers masked patches with a flipped label.
pub fn losses(output: Tensor<4>, batch: &DeviceBatch, method: &MethodConfig) -> AmlpLoss {
    let errors = batch.appearance.errors(patch_errors(output.clone(), batch.image.clone(), batch.grid));
    let rel = relative(errors.clone(), batch.masked.clone(), batch.counts.clone());
    let rel = clipped(rel, method.loss.attention_max);
    let pred = reconstruction(errors.clone(), batch.weights.clone(), batch.count);
    let rrl = attention(method.attention, errors.clone(), rel, batch.weights.clone(), batch.count);
    // Without a flipped patch the sum is empty, so the logits are not computed.
    let lcl = if batch.flipped > 0 {
        let logits = consistency_logits(output.clone(), &batch.consistency, batch.grid);
        consistency(method.consistency, logits, &batch.consistency, batch.count)
    } else {
        None
    };
    let mut total = pred.clone();
    if let Some(rrl) = &rrl {
        total = total + rrl.clone();
    }
    if let Some(lcl) = &lcl {
        total = total + lcl.clone() * batch.lambda;
    }
    AmlpLoss { total, pred, rrl, lcl, errors, output }
}

impl AmlpLoss {
    /// Converts to the loss of a micro-batch. Every part is a mean over slices, so the weighted losses add up to that of the
    /// batch.
    pub fn micro(self, micro: &MicroBatch<'_>, method: &MethodConfig) -> MicroLoss {
        let Self { total, pred, rrl, lcl, errors, output } = self;
        let zero = Tensor::<1>::zeros([1], micro.device);
        let mut parts = vec![("pred", pred)];
        if method.attention != Attention::Off {
            parts.push(("rrl", rrl.unwrap_or_else(|| zero.clone())));
        }
        if method.consistency != Consistency::Off {
            parts.push(("lcl", lcl.unwrap_or(zero)));
        }
        let (objective, diagnostics) = (micro.weighted(total.clone()), Vec::new());
        MicroLoss { objective, value: total, parts, diagnostics, per_slice: Some(errors), output }
    }
}

/// The network of AMLP, and Eq. 8 of a batch.
pub struct AmlpObjective<'a>(pub &'a Config);

impl Objective for AmlpObjective<'_> {
    type Net = MaskedUNet;
    type Batch = MaskedBatch;

    fn build(&self, seed: u64, device: &Device) -> MaskedUNet {
        MaskedUNet::init(&network_config(self.0), self.0.method.mask_input(), seed, device)
    }

    fn loss(&self, net: &MaskedUNet, batch: &MaskedBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let batch = batch.on(micro.range.clone(), micro.device);
        Ok(losses(forward(net, &batch, self.0), &batch, &self.0.method).micro(micro, &self.0.method))
    }
}

/// Computes and reads the losses of a whole batch.
///
/// # Errors
/// Device errors.
pub fn evaluate(net: &MaskedUNet, batch: &MaskedBatch, config: &Config, device: &Device) -> Result<StepOutput> {
    let micro = MicroBatch::whole(batch.len(), device);
    StepOutput::of(AmlpObjective(config).loss(net, batch, &micro)?, &micro)
}

/// Losses of the counted masked patches of a batch, in the order of [`MaskedBatch::counted`].
pub struct PatchLosses {
    /// `L_i`.
    pub errors: Vec<Vec<f64>>,
    /// Relative losses (Eq. 6).
    pub relative: Vec<Vec<f64>>,
}

impl PatchLosses {
    /// Selects the masked patches from the errors of all patches, which a step has read.
    pub fn of(batch: &MaskedBatch, output: &StepOutput) -> Self {
        let slices = output.per_slice.iter().zip(&batch.counted);
        let errors: Vec<Vec<f64>> = slices.map(|(all, counted)| counted.iter().map(|&i| all[i]).collect()).collect();
        let relative = errors.iter().map(|errors| relative_losses(errors)).collect();
        Self { errors, relative }
    }

    /// `L_rrl` and `L_lcl` as printed (Eqs. 6 and 7), means over the batch, for the log.
    pub(super) fn literal(&self, batch: &MaskedBatch) -> [(&'static str, f64); 2] {
        let slices = batch.len().max(1) as f64;
        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let rrl = self.relative.iter().map(mean).sum::<f64>() / slices;
        let labels = batch.label_ori.iter().zip(&batch.label_new);
        let lcl = batch
            .counted
            .iter()
            .zip(labels)
            .map(|(counted, (ori, new))| literal_consistency_of_slice(ori, new, &indicator(ori.len(), counted)));
        [("rrl", rrl), ("lcl", lcl.sum::<f64>() / slices)]
    }
}
