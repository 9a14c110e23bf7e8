//! Category consistency loss, CCL (section 3.3, Eq. 7).
//!
//! As printed, Eq. 7 is a cross-entropy between two hard labels: a constant without a gradient. By default the probability is
//! that of the *reconstructed* patch, from its distances to the slice's k-means centres.

use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::loss::patch_means;

/// xi of Eq. 7; keeps the logarithm finite.
pub const XI: f64 = 1e-10;

/// How the category consistency loss enters the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// Cross-entropy of the reconstructed patch's logit against the slice's k-means centres.
    #[default]
    Logit,
    /// Eq. 7 as printed, between hard labels: a constant without a gradient.
    Literal,
    /// Left out.
    Off,
}

/// Targets of the consistency loss, for each slice of a batch.
pub struct ConsistencyTargets {
    /// `mu_f - mu_b` repeated over the slice, `[B, C, S, S]`; zero where a slice has no foreground.
    pub direction: Tensor<4>,
    /// `(||mu_f||^2 - ||mu_b||^2) / D`, `[B, 1]`.
    pub offset: Tensor<2>,
    /// `t_ccl`, `[B, 1]`, positive.
    pub temperature: Tensor<2>,
    /// `label_new`, `[B, N]`, 0 or 1.
    pub label: Tensor<2>,
    /// 1 where `label_new != label_ori`, `[B, N]`.
    pub flipped: Tensor<2>,
}

/// `z_i = (||y_i - mu_b||^2 - ||y_i - mu_f||^2) / (D t_ccl)` of every reconstructed patch, `[B, N]`.
///
/// Expanded, so that the quadratic terms cancel before rounding: `(2 y . (mu_f - mu_b) - |mu_f|^2 + |mu_b|^2) / (D t)`.
pub fn consistency_logits(output: Tensor<4>, targets: &ConsistencyTargets, grid: usize) -> Tensor<2> {
    let along = patch_means(output * targets.direction.clone(), grid);
    (along * 2.0 - targets.offset.clone()) / targets.temperature.clone()
}

/// `L_lcl`: binary cross-entropy of `logits` with the new labels over the flipped patches, divided by the batch's masked
/// patches; `None` if it is left out.
pub fn consistency(
    reading: Consistency,
    logits: Tensor<2>,
    targets: &ConsistencyTargets,
    count: usize,
) -> Option<Tensor<1>> {
    let [batch, _] = logits.dims();
    let patches = (batch * count) as f64;
    match reading {
        Consistency::Off => None,
        Consistency::Literal => Some(targets.flipped.clone().sum() * -(XI.ln()) / patches),
        Consistency::Logit => {
            let label = targets.label.clone();
            // log_sigmoid never saturates: -log p = softplus(-z), -log(1 - p) = softplus(z).
            let one = log_sigmoid(logits.clone()) * label.clone();
            let zero = log_sigmoid(-logits) * (-label + 1.0);
            Some(-((one + zero) * targets.flipped.clone()).sum() / patches)
        }
    }
}

/// Eq. 7 for one patch as printed: a cross-entropy between two hard labels, 23.03 where they differ and 0 otherwise.
pub fn literal_consistency(label_ori: u8, label_new: u8) -> f64 {
    let (ori, new) = (f64::from(label_ori.min(1)), f64::from(label_new.min(1)));
    // The loss covers patches whose labels differ; for equal labels the formula would give -ln(1 + xi).
    if label_ori.min(1) == label_new.min(1) {
        return 0.0;
    }
    -(new * (ori + XI).ln() + (1.0 - new) * (1.0 - ori + XI).ln())
}

/// The literal value of Eq. 7 for a slice, normalised as the default loss is: summed over the masked patches whose
/// labels differ, divided by the number of masked patches. 0 if nothing is masked.
pub fn literal_consistency_of_slice(label_ori: &[u8], label_new: &[u8], masked: &[bool]) -> f64 {
    let labels = label_ori.iter().zip(label_new);
    let sum: f64 =
        labels.zip(masked).filter(|(_, masked)| **masked).map(|((ori, new), _)| literal_consistency(*ori, *new)).sum();
    sum / masked.iter().filter(|masked| **masked).count().max(1) as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::test_tensors::{image, rows, values};

    /// One slice of 2x2 patches of 1 pixel: centres 1 (background) and 3 (foreground).
    fn targets(device: &Device) -> ConsistencyTargets {
        ConsistencyTargets {
            direction: Tensor::full([1, 1, 2, 2], 2.0, device),
            offset: rows(vec![8.0], 1, device),
            temperature: rows(vec![4.0], 1, device),
            label: rows(vec![1.0, 0.0, 1.0, 0.0], 1, device),
            flipped: rows(vec![1.0, 1.0, 0.0, 0.0], 1, device),
        }
    }

    #[test]
    fn consistency_logits_compare_the_distances_to_the_centres() {
        let device = Device::flex();
        let output = image(vec![1.0, 3.0, 2.0, 5.0], 2, &device);
        let expected: Vec<f32> =
            [1.0f32, 3.0, 2.0, 5.0].iter().map(|y| ((y - 1.0).powi(2) - (y - 3.0).powi(2)) / 4.0).collect();
        assert_eq!(values(consistency_logits(output, &targets(&device), 2)), expected);
    }

    #[test]
    fn the_consistency_loss_covers_flipped_patches_and_does_not_saturate() {
        let device = Device::flex().autodiff();
        let logits = rows(vec![-200.0, 200.0, -200.0, 200.0], 1, &device).require_grad();
        let loss = consistency(Consistency::Logit, logits.clone(), &targets(&device), 4).unwrap();
        assert!((values(loss.clone())[0] - 100.0).abs() < 1e-3);
        assert_eq!(values(logits.grad(&loss.backward()).unwrap()), [-0.25, 0.25, 0.0, 0.0]);
        let literal = consistency(Consistency::Literal, logits, &targets(&device), 4).unwrap();
        assert!((values(literal)[0] - 23.026 * 2.0 / 4.0).abs() < 1e-3);
    }

    #[test]
    fn eq_7_as_printed_is_a_constant_per_flipped_patch() {
        for (ori, new, expected) in [(0, 1, 23.0259), (1, 0, 23.0259), (1, 1, 0.0), (0, 0, 0.0)] {
            assert!((literal_consistency(ori, new) - expected).abs() < 1e-4, "{ori} {new}");
        }
        let value = literal_consistency_of_slice(&[0, 0, 1, 1], &[1, 0, 1, 0], &[true, true, true, false]);
        assert!((value - 23.0259 / 3.0).abs() < 1e-4);
        assert!(literal_consistency_of_slice(&[0], &[1], &[false]).abs() < f64::EPSILON);
    }
}
