//! Attention reconstruction loss, ARL (section 3.2, Eq. 6).
//!
//! The relative loss of a masked patch is `rel_i = n L_i / sum L` over the n masked patches of its slice. It weights the
//! reconstruction (on tensors) and decides which patches are important in the label update (on plain numbers).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How the attention reconstruction loss enters the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// `mean(stop_gradient(rel_i) L_i)`: our reading, because the printed loss has no gradient.
    #[default]
    Weighted,
    /// `mean(n L_i / stop_gradient(sum L))`: only the denominator is detached.
    Ratio,
    /// Eq. 6 as printed: its mean is always 1, so it has no gradient.
    Literal,
    /// Left out.
    Off,
}

/// `rel_i` of every masked patch, `[B, N]`, 0 elsewhere, detached. `errors` are [`crate::loss::patch_errors`], `counts`
/// `[B, 1]` the masked patches of each slice. If a slice's errors sum to less than 1e-12, every masked patch has 1.
pub fn relative(errors: Tensor<2>, masked: Tensor<2>, counts: Tensor<2>) -> Tensor<2> {
    let errors = errors.detach() * masked.clone();
    let sums = errors.clone().sum_dim(1);
    let degenerate = sums.clone().lower_elem(1e-12).expand(errors.dims());
    let relative = errors * counts / sums.clamp_min(1e-12);
    relative.mask_where(degenerate, masked)
}

/// Relative losses up to `max`, so that single patches do not dominate the loss; 0 for no limit.
pub fn clipped(relative: Tensor<2>, max: f64) -> Tensor<2> {
    if max > 0.0 { relative.clamp_max(max) } else { relative }
}

/// `L_rrl`; `None` if it is left out. `relative` is [`relative`]'s result, `weights` `[B, N]` are 0 where a patch does not count
/// and `count` over a slice's patches where it does: 1 if all slices have `count` masked patches.
pub fn attention(
    reading: Attention,
    errors: Tensor<2>,
    relative: Tensor<2>,
    weights: Tensor<2>,
    count: usize,
) -> Option<Tensor<1>> {
    let [batch, _] = errors.dims();
    let patches = (batch * count) as f64;
    match reading {
        Attention::Off => None,
        Attention::Literal => Some((relative * weights).sum() / patches),
        Attention::Weighted => Some((relative * errors * weights).sum() / patches),
        Attention::Ratio => {
            let errors = errors * weights;
            let sums = errors.clone().detach().sum_dim(1).clamp_min(1e-12);
            Some((errors * count as f64 / sums).sum() / patches)
        }
    }
}

/// Below this sum of losses, a slice is perfectly reconstructed and all patches are equally hard.
pub const VANISHING: f64 = 1e-12;

/// `rel_i` = n L_i / sum L over the n masked patches of one slice. Their mean is 1 by construction; if the sum is below 1e-12
/// or NaN, each is 1.
pub fn relative_losses(losses: &[f64]) -> Vec<f64> {
    let sum: f64 = losses.iter().sum();
    if !sum.is_finite() || sum < VANISHING {
        return vec![1.0; losses.len()];
    }
    losses.iter().map(|loss| losses.len() as f64 * loss / sum).collect()
}

/// True for an important patch: its (mean) relative loss is at least 1, the mean of all.
pub fn important(relative_loss: f64) -> bool {
    relative_loss >= 1.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::test_tensors::{rows, values};

    fn of(count: f32, device: &Device) -> Tensor<2> {
        rows(vec![count], 1, device)
    }

    #[test]
    fn relative_losses_have_mean_one_and_no_gradient() {
        let device = Device::flex().autodiff();
        let errors = rows(vec![1.0, 2.0, 3.0, 9.0], 1, &device).require_grad();
        let masked = rows(vec![1.0, 1.0, 1.0, 0.0], 1, &device);
        let rel = relative(errors.clone(), masked.clone(), of(3.0, &device));
        assert_eq!(values(rel.clone()), [0.5, 1.0, 1.5, 0.0]);
        let literal = attention(Attention::Literal, errors.clone(), rel.clone(), masked.clone(), 3).unwrap();
        assert_eq!(values(literal), [1.0]);

        let weighted = attention(Attention::Weighted, errors.clone(), rel, masked.clone(), 3).unwrap();
        assert!((values(weighted.clone())[0] - (0.5 + 2.0 + 4.5) / 3.0).abs() < 1e-6);
        let gradient = values(errors.grad(&weighted.backward()).unwrap());
        for (actual, expected) in gradient.iter().zip([0.5 / 3.0, 1.0 / 3.0, 1.5 / 3.0, 0.0]) {
            assert!((actual - expected).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn a_limit_clips_the_weight_of_the_hardest_patches() {
        let device = Device::flex();
        let errors = rows(vec![1.0, 1.0, 4.0], 1, &device);
        let masked = rows(vec![1.0; 3], 1, &device);
        let rel = relative(errors.clone(), masked.clone(), of(3.0, &device));
        assert_eq!(values(clipped(rel.clone(), 0.0)), [0.5, 0.5, 2.0]);
        let rel = clipped(rel, 1.5);
        assert_eq!(values(rel.clone()), [0.5, 0.5, 1.5]);
        let loss = attention(Attention::Weighted, errors, rel, masked, 3).unwrap();
        assert!((values(loss)[0] - (0.5 + 0.5 + 6.0) / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_perfect_reconstruction_is_relative_one_everywhere() {
        let device = Device::flex();
        let masked = rows(vec![1.0, 0.0, 1.0, 0.0], 1, &device);
        assert_eq!(values(relative(rows(vec![0.0; 4], 1, &device), masked, of(2.0, &device))), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn with_ratio_all_masked_patches_have_the_same_gradient() {
        let device = Device::flex().autodiff();
        let errors = rows(vec![1.0, 3.0], 1, &device).require_grad();
        let masked = rows(vec![1.0, 1.0], 1, &device);
        let rel = relative(errors.clone(), masked.clone(), of(2.0, &device));
        let ratio = attention(Attention::Ratio, errors.clone(), rel, masked, 2).unwrap();
        assert_eq!(values(ratio.clone()), [1.0]);
        assert_eq!(values(errors.grad(&ratio.backward()).unwrap()), [0.25, 0.25]);
    }

    #[test]
    fn relative_losses_match_eq_6() {
        assert_eq!(relative_losses(&[1.0, 3.0]), [0.5, 1.5]);
        assert_eq!(relative_losses(&[0.0, 0.0, 1e-13]), [1.0; 3]);
        assert_eq!(relative_losses(&[f64::NAN, 1.0]), [1.0; 2]);
        assert!(relative_losses(&[]).is_empty());
        assert!(important(1.0) && !important(0.999));
    }

    proptest! {
        #[test]
        fn relative_losses_have_mean_one(losses in prop::collection::vec(1e-6f64..1e6, 1..300)) {
            let relative = relative_losses(&losses);
            prop_assert!((relative.iter().sum::<f64>() / losses.len() as f64 - 1.0).abs() < 1e-9);
        }
    }
}
