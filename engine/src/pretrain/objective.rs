//! One batch of masked slices and its losses (section 4 of the method, Eqs. 6 to 8).

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{MaskFill, MethodConfig};
use crate::event::Parts;
use crate::loss::{
    Attention, ConsistencyTargets, attention, consistency, consistency_logits, patch_errors, reconstruction, relative,
};
use crate::masking::attention::{literal_consistency_of_slice, relative_losses};
use crate::model::UNet;
use crate::{ErrorKind, Result};

/// A batch, on the device and on the host.
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
    /// Masked patches of the whole batch whose label was changed.
    pub flipped: usize,
    /// The slices' numbers.
    pub members: Vec<usize>,
    /// Masked patches of each slice, by index.
    pub chosen: Vec<Vec<usize>>,
    /// Each slice's labels by the clustering.
    pub label_ori: Vec<Vec<u8>>,
    /// Each slice's labels in force.
    pub label_new: Vec<Vec<u8>>,
}

/// The losses of a batch.
pub struct Losses {
    /// Eq. 8, tracked.
    pub total: Tensor<1>,
    /// Its reconstruction part, tracked.
    pub pred: Tensor<1>,
    /// Its attention part, if it is not left out.
    pub rrl: Option<Tensor<1>>,
    /// Its consistency part, if it is not left out.
    pub lcl: Option<Tensor<1>>,
    /// The value of Eq. 8.
    pub value: f64,
    /// The values of its parts, unweighted.
    pub parts: Parts,
    /// The values of Eqs. 6 and 7 as printed.
    pub literal: Parts,
    /// L_i of each slice's masked patches, in the order of [`Batch::chosen`].
    pub errors: Vec<Vec<f64>>,
    /// Their relative losses (Eq. 6), in the same order.
    pub relative: Vec<Vec<f64>>,
    /// What the network made of the masked slices, `[B, C, S, S]`, tracked.
    pub output: Tensor<4>,
}

/// Masks the batch, runs the network and takes the losses.
///
/// The consistency loss looks at the masked patches among those whose label changed: only these are reconstructed
/// (Algorithm 1), visible ones the network can copy.
pub fn losses(network: &UNet, batch: &Batch, method: &MethodConfig) -> Result<Losses> {
    let output = network.forward(network.masked(batch.image.clone(), batch.hidden.clone(), batch.noise.clone()));
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
    // One reading for everything that the host wants to know.
    let zero = || Tensor::<1>::zeros([1], &batch.image.device());
    let scalars = vec![pred.clone(), rrl.clone().unwrap_or_else(zero), lcl.clone().unwrap_or_else(zero), total.clone()];
    let [slices, patches] = errors.dims();
    let all = Tensor::cat([scalars, vec![errors.reshape([slices * patches])]].concat(), 0);
    let data = all.try_into_data().map_err(|e| compute("reading the losses", &e))?;
    let numbers: Vec<f64> = data.iter::<f64>().collect();
    let (head, errors) = numbers.split_at(4);
    let errors: Vec<Vec<f64>> = errors
        .chunks_exact(patches)
        .zip(&batch.chosen)
        .map(|(errors, chosen)| chosen.iter().map(|&i| errors[i]).collect())
        .collect();
    let relative: Vec<Vec<f64>> = errors.iter().map(|errors| relative_losses(errors)).collect();
    Ok(Losses {
        value: head[3],
        parts: Parts { pred: head[0], rrl: head[1], lcl: head[2] },
        literal: literal(batch, method, &relative),
        total,
        pred,
        rrl,
        lcl,
        errors,
        relative,
        output,
    })
}

/// Eqs. 6 and 7 as printed, averaged over the batch: what they would have been, for the log.
fn literal(batch: &Batch, method: &MethodConfig, relative: &[Vec<f64>]) -> Parts {
    let slices = batch.members.len().max(1) as f64;
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let rrl = if method.attention == Attention::Off { 0.0 } else { relative.iter().map(mean).sum::<f64>() / slices };
    let lcl = batch
        .chosen
        .iter()
        .zip(batch.label_ori.iter().zip(&batch.label_new))
        .map(|(chosen, (ori, new))| {
            let mut masked = vec![false; ori.len()];
            for &patch in chosen {
                masked[patch] = true;
            }
            literal_consistency_of_slice(ori, new, &masked)
        })
        .sum::<f64>()
        / slices;
    Parts { pred: 0.0, rrl, lcl }
}

fn compute(step: &str, why: &dyn std::fmt::Display) -> crate::Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// A `[B, C, S, S]` tensor of slices on the host.
pub(super) fn images(slices: &[Vec<f32>], channels: usize, size: usize, device: &Device) -> Tensor<4> {
    let data = TensorData::new(slices.concat(), [slices.len(), channels, size, size]);
    Tensor::from_data(data, device)
}

/// A `[B, N]` tensor of numbers on the host.
pub(super) fn rows(rows: &[Vec<f32>], device: &Device) -> Tensor<2> {
    let columns = rows.first().map_or(0, Vec::len);
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), columns]), device)
}

impl MaskFill {
    /// True if the network itself holds the value.
    pub fn is_learned(self) -> bool {
        self == Self::Learned
    }
}
