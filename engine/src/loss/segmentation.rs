//! Dice and cross-entropy for fine-tuning. The paper does not name its loss; this is our choice.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};

/// Smooths the Dice ratio of a region that is empty in both target and output.
const SMOOTH: f64 = 1.0;

/// Numerator and denominator of the Dice ratio per region, summed over the pixels of a batch.
pub struct Overlap {
    /// Sum of probability times target, `[R]`.
    pub intersection: Tensor<1>,
    /// Sum of probability plus sum of target, `[R]`.
    pub sizes: Tensor<1>,
}

/// The Dice sums. `logits` and `target` (0 or 1) are `[B, R, S, S]`, one channel per region.
pub fn overlap(logits: &Tensor<4>, target: &Tensor<4>) -> Overlap {
    let [batch, regions, height, width] = logits.dims();
    let by_region = |x: Tensor<4>| x.swap_dims(0, 1).reshape([regions, batch * height * width]);
    let probability = by_region(sigmoid(logits.clone()));
    let target = by_region(target.clone());
    let intersection = (probability.clone() * target.clone()).sum_dim(1);
    let sizes = probability.sum_dim(1) + target.sum_dim(1);
    Overlap { intersection: intersection.reshape([regions]), sizes: sizes.reshape([regions]) }
}

/// Mean Dice of the regions from the sums of a whole batch.
pub fn dice(intersection: &[f64], sizes: &[f64]) -> f64 {
    let of_region = |(intersection, sizes): (&f64, &f64)| (2.0 * intersection + SMOOTH) / (sizes + SMOOTH);
    intersection.iter().zip(sizes).map(of_region).sum::<f64>() / intersection.len().max(1) as f64
}

/// 1 minus the mean Dice of the regions, over a whole batch.
pub fn dice_loss(sums: Overlap) -> Tensor<1> {
    -((sums.intersection * 2.0 + SMOOTH) / (sums.sizes + SMOOTH)).mean() + 1.0
}

impl Overlap {
    /// A surrogate whose gradient, summed over the micro-batches, is that of the batch's mean Dice `(2 O + s) / (S + s)`:
    /// `(2 dO - D dS) / (S + s)`. `intersection` and `sizes` are the sums O and S of the whole batch, as constants.
    pub fn linear_dice(self, intersection: &[f64], sizes: &[f64]) -> Tensor<1> {
        let device = self.intersection.device();
        let regions = intersection.len().max(1) as f64;
        let constant = |value: &dyn Fn(f64, f64) -> f64| {
            let sums = intersection.iter().zip(sizes);
            let values: Vec<f32> = sums.map(|(o, s)| (value(*o, *s) / regions) as f32).collect();
            Tensor::<1>::from_data(values.as_slice(), &device)
        };
        let of_intersection = constant(&|_, s| 2.0 / (s + SMOOTH));
        let of_sizes = constant(&|o, s| (2.0 * o + SMOOTH) / ((s + SMOOTH) * (s + SMOOTH)));
        (self.intersection * of_intersection - self.sizes * of_sizes).sum()
    }
}

/// Mean binary cross-entropy over all pixels of all regions.
pub fn cross_entropy(logits: &Tensor<4>, target: &Tensor<4>) -> Tensor<1> {
    let (logits, target) = (logits.clone(), target.clone());
    let entropy = log_sigmoid(logits.clone()) * target.clone() + log_sigmoid(-logits) * (-target + 1.0);
    -entropy.mean()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn loss(logits: &[f32], target: &[f32]) -> f32 {
        let device = Device::flex();
        let tensor = |v: &[f32]| Tensor::<4>::from_data(TensorData::new(v.to_vec(), [1, 1, 2, v.len() / 2]), &device);
        let (logits, target) = (tensor(logits), tensor(target));
        let loss = dice_loss(overlap(&logits, &target)) + cross_entropy(&logits, &target);
        loss.into_data().try_to_vec::<f32>().unwrap()[0]
    }

    #[test]
    fn a_confident_correct_output_has_no_loss() {
        assert!(loss(&[50.0, -50.0, 50.0, -50.0], &[1.0, 0.0, 1.0, 0.0]).abs() < 1e-6);
    }

    #[test]
    fn dice_and_cross_entropy_match_values_computed_by_hand() {
        let p = [0.5f64, 0.5, 0.8, 0.2];
        let logits: Vec<f32> = p.iter().map(|p| (p / (1.0 - p)).ln() as f32).collect();
        let t = [1.0, 0.0, 1.0, 0.0];
        let dice = (2.0 * 1.3 + 1.0) / (2.0 + 2.0 + 1.0);
        let entropy = p.iter().zip(t).map(|(p, t)| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())).sum::<f64>() / 4.0;
        let expected = 1.0 - dice + entropy;
        assert!((f64::from(loss(&logits, &t.map(|t| t as f32))) - expected).abs() < 1e-5);
    }

    #[test]
    fn with_an_empty_target_an_empty_output_is_best() {
        assert!(loss(&[-50.0; 4], &[0.0; 4]).abs() < 1e-6);
        assert!(loss(&[50.0; 4], &[0.0; 4]) > 10.0);
    }
}
