//! The losses of a batch of masked slices (section 4 of the method, Eqs. 6 to 8): on the device, and what is read of them.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use super::host::Masked;
use crate::config::{Config, MaskFill, MethodConfig};
use crate::event::Parts;
use crate::loss::{
    Attention, ConsistencyTargets, attention, consistency, consistency_logits, patch_errors, reconstruction, relative,
};
use crate::masking::attention::{literal_consistency_of_slice, relative_losses};
use crate::model::UNet;
use crate::trainer::{Objective, Portion};
use crate::{ErrorKind, Result};

/// Masked slices on the device.
pub struct Batch {
    /// The slices, `[B, C, S, S]`.
    pub image: Tensor<4>,
    /// 1 on masked pixels, `[B, 1, S, S]`.
    pub hidden: Tensor<4>,
    /// What stands on masked pixels if it is noise, `[B, C, S, S]`.
    pub noise: Option<Tensor<4>>,
    /// 1 for masked patches, `[B, N]`.
    pub masked: Tensor<2>,
    /// What the consistency loss needs.
    pub consistency: ConsistencyTargets,
    /// Patches along a side.
    pub grid: usize,
    /// Masked patches of every slice.
    pub count: usize,
    /// Masked patches of all these slices whose label was changed.
    pub flipped: usize,
}

/// The losses of some slices on the device, tracked.
pub struct Tracked {
    /// Eq. 8.
    pub total: Tensor<1>,
    /// Its reconstruction part.
    pub pred: Tensor<1>,
    /// Its attention part, if it is not left out.
    pub rrl: Option<Tensor<1>>,
    /// Its consistency part, if it is not left out.
    pub lcl: Option<Tensor<1>>,
    /// Error of every patch, `[B, N]`.
    errors: Tensor<2>,
    /// What the network made of the masked slices, `[B, C, S, S]`.
    output: Tensor<4>,
}

/// What is to be read of the losses of some slices, without a tape.
pub struct Told {
    /// The values of `pred`, `rrl`, `lcl` and `total`, then every patch's error.
    numbers: Tensor<1>,
    /// What the network made of the masked slices, `[B, C, S, S]`.
    output: Tensor<4>,
}

/// The losses of a batch on the host.
pub struct Losses {
    /// The value of Eq. 8.
    pub value: f64,
    /// The values of its parts, unweighted.
    pub parts: Parts,
    /// The values of Eqs. 6 and 7 as printed.
    pub literal: Parts,
    /// L_i of each slice's masked patches, in the order of [`Masked::chosen`].
    pub errors: Vec<Vec<f64>>,
    /// Their relative losses (Eq. 6), in the same order.
    pub relative: Vec<Vec<f64>>,
    /// What the network made of which slices of the batch, `[B, C, S, S]`.
    pub output: Vec<(Range<usize>, Tensor<4>)>,
}

/// Masks the batch and runs the network.
pub fn forward(network: &UNet, batch: &Batch, config: &Config) -> Tensor<4> {
    let input = network.masked(batch.image.clone(), batch.hidden.clone(), batch.noise.clone());
    network.forward_in(input, config.training.precision)
}

/// Takes the losses of the network's output.
///
/// The consistency loss looks at the masked patches among those whose label changed: only these are reconstructed
/// (Algorithm 1), visible ones the network can copy.
pub fn tracked(output: Tensor<4>, batch: &Batch, method: &MethodConfig) -> Tracked {
    let errors = patch_errors(output.clone(), batch.image.clone(), batch.grid);
    let rel = relative(errors.clone(), batch.masked.clone(), batch.count);
    let pred = reconstruction(errors.clone(), batch.masked.clone(), batch.count);
    let rrl = attention(method.attention, errors.clone(), rel, batch.masked.clone(), batch.count);
    // Without a flipped patch the sum is empty: the logits need not be computed.
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
        total = total + lcl.clone() * method.lambda;
    }
    Tracked { total, pred, rrl, lcl, errors, output }
}

impl Tracked {
    /// What is to be read of them; nothing waits for the device yet.
    pub fn told(&self) -> Told {
        // One reading for everything that the host wants to know.
        let zero = || Tensor::<1>::zeros([1], &self.pred.device());
        let or_zero = |part: &Option<Tensor<1>>| part.clone().unwrap_or_else(zero);
        let [slices, patches] = self.errors.dims();
        let errors = self.errors.clone().reshape([slices * patches]);
        let all = vec![self.pred.clone(), or_zero(&self.rrl), or_zero(&self.lcl), self.total.clone(), errors];
        Told {
            numbers: Tensor::cat(all.into_iter().map(Tensor::inner).collect(), 0),
            output: self.output.clone().inner(),
        }
    }
}

/// Waits for the device and puts together what the portions of a batch told.
pub fn read(told: Vec<(Portion, Told)>, masked: &Masked, method: &MethodConfig) -> Result<Losses> {
    let (mut value, mut parts) = (0.0, Parts::default());
    let (mut errors, mut output) = (Vec::with_capacity(masked.len()), Vec::new());
    for (portion, told) in told {
        let data = told.numbers.try_into_data().map_err(|e| compute("reading the losses", &e))?;
        let numbers: Vec<f64> = data.iter::<f64>().collect();
        let (head, all) = numbers.split_at(4);
        // Every loss is a mean over slices with the same number of masked patches.
        let share = portion.share();
        value += share * head[3];
        parts.pred += share * head[0];
        parts.rrl += share * head[1];
        parts.lcl += share * head[2];
        let patches = all.len() / portion.range.len().max(1);
        let slices = all.chunks_exact(patches.max(1)).zip(&masked.chosen[portion.range.clone()]);
        errors.extend(slices.map(|(errors, chosen)| chosen.iter().map(|&i| errors[i]).collect::<Vec<f64>>()));
        output.push((portion.range, told.output));
    }
    let relative: Vec<Vec<f64>> = errors.iter().map(|errors| relative_losses(errors)).collect();
    Ok(Losses { value, parts, literal: literal(masked, method, &relative), errors, relative, output })
}

/// The losses of a whole batch at once, read at once.
pub fn losses(network: &UNet, masked: &Masked, config: &Config, device: &Device) -> Result<Losses> {
    let batch = masked.on(0..masked.len(), device);
    let told = tracked(forward(network, &batch, config), &batch, &config.method).told();
    read(vec![(Portion::whole(masked.len()), told)], masked, &config.method)
}

/// The masked slices of a step as what the trainer minimises. Every loss is a mean over slices: the portions' losses,
/// weighted by their slices, add up to the batch's.
pub(super) struct Reconstruction<'a> {
    pub config: &'a Config,
    pub masked: &'a Masked,
}

impl Objective for Reconstruction<'_> {
    type Told = Told;

    fn loss(&self, network: &UNet, portion: &Portion, device: &Device, _: &[f64]) -> Result<(Tensor<1>, Told)> {
        let batch = self.masked.on(portion.range.clone(), device);
        let losses = tracked(forward(network, &batch, self.config), &batch, &self.config.method);
        let told = losses.told();
        Ok((portion.weighted(losses.total), told))
    }
}

/// Eqs. 6 and 7 as printed, averaged over the batch: what they would have been, for the log.
fn literal(masked: &Masked, method: &MethodConfig, relative: &[Vec<f64>]) -> Parts {
    let slices = masked.len().max(1) as f64;
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let rrl = if method.attention == Attention::Off { 0.0 } else { relative.iter().map(mean).sum::<f64>() / slices };
    let lcl = masked
        .chosen
        .iter()
        .zip(masked.label_ori.iter().zip(&masked.label_new))
        .map(|(chosen, (ori, new))| {
            let mut hit = vec![false; ori.len()];
            for &patch in chosen {
                hit[patch] = true;
            }
            literal_consistency_of_slice(ori, new, &hit)
        })
        .sum::<f64>()
        / slices;
    Parts { pred: 0.0, rrl, lcl }
}

fn compute(step: &str, why: &dyn std::fmt::Display) -> crate::Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// A `[B, C, S, S]` tensor of slices on the host.
pub(super) fn images<'a>(
    slices: impl ExactSizeIterator<Item = &'a Vec<f32>>,
    channels: usize,
    size: usize,
    device: &Device,
) -> Tensor<4> {
    let shape = [slices.len(), channels, size, size];
    let mut values = Vec::with_capacity(shape.iter().product());
    slices.for_each(|slice| values.extend_from_slice(slice));
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A `[B, N]` tensor of numbers on the host.
pub(super) fn rows<'a>(rows: impl ExactSizeIterator<Item = &'a Vec<f32>>, device: &Device) -> Tensor<2> {
    let slices = rows.len();
    let mut values = Vec::new();
    rows.for_each(|row| values.extend_from_slice(row));
    let columns = values.len() / slices.max(1);
    Tensor::from_data(TensorData::new(values, [slices, columns]), device)
}

impl MaskFill {
    /// True if the network itself holds the value.
    pub fn is_learned(self) -> bool {
        self == Self::Learned
    }
}
