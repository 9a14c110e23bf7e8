//! Dice and cross-entropy for fine-tuning (section 4.5).

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};

/// Smooths the Dice ratio of a region that neither the batch's target nor the output has.
const SMOOTH: f64 = 1.0;

/// What Dice is made of, for each region over the pixels of a batch.
pub struct Overlap {
    /// Sum of probability times truth, `[R]`.
    pub both: Tensor<1>,
    /// Sum of probability plus sum of truth, `[R]`.
    pub sizes: Tensor<1>,
}

/// The sums that Dice is made of. `logits` and `target` (0 or 1) are `[B, R, S, S]`, one channel a region.
pub fn overlap(logits: &Tensor<4>, target: &Tensor<4>) -> Overlap {
    let [batch, regions, height, width] = logits.dims();
    let by_region = |x: Tensor<4>| x.swap_dims(0, 1).reshape([regions, batch * height * width]);
    let probability = by_region(sigmoid(logits.clone()));
    let truth = by_region(target.clone());
    let both = (probability.clone() * truth.clone()).sum_dim(1);
    let sizes = probability.sum_dim(1) + truth.sum_dim(1);
    Overlap { both: both.reshape([regions]), sizes: sizes.reshape([regions]) }
}

/// Mean Dice of the regions from the sums of a whole batch.
pub fn dice(both: &[f64], sizes: &[f64]) -> f64 {
    let of_region = |(both, sizes): (&f64, &f64)| (2.0 * both + SMOOTH) / (sizes + SMOOTH);
    both.iter().zip(sizes).map(of_region).sum::<f64>() / both.len().max(1) as f64
}

impl Overlap {
    /// A number whose gradient, added over the portions of a batch, is that of the batch's mean Dice `(2 O + s) / (S + s)`.
    /// `both` and `sizes` are the sums O and S of the whole batch; they are held: `(2 dO - D dS) / (S + s)`.
    pub fn linear_dice(self, both: &[f64], sizes: &[f64]) -> Tensor<1> {
        let device = self.both.device();
        let regions = both.len().max(1) as f64;
        let held = |value: &dyn Fn(f64, f64) -> f64| {
            let values: Vec<f32> = both.iter().zip(sizes).map(|(o, s)| (value(*o, *s) / regions) as f32).collect();
            Tensor::<1>::from_data(values.as_slice(), &device)
        };
        let of_both = held(&|_, s| 2.0 / (s + SMOOTH));
        let of_sizes = held(&|o, s| (2.0 * o + SMOOTH) / ((s + SMOOTH) * (s + SMOOTH)));
        (self.both * of_both - self.sizes * of_sizes).sum()
    }
}

/// Binary cross-entropy over all pixels of all regions.
pub fn cross_entropy(logits: &Tensor<4>, target: &Tensor<4>) -> Tensor<1> {
    let (logits, target) = (logits.clone(), target.clone());
    let entropy = log_sigmoid(logits.clone()) * target.clone() + log_sigmoid(-logits) * (-target + 1.0);
    -entropy.mean()
}

/// Batch Dice loss plus binary cross-entropy, 1:1.
///
/// `logits` and `target` (0 or 1) are `[B, R, S, S]`, one channel a region. Dice is taken over the pixels of the whole
/// batch, then averaged over the regions; cross-entropy over all pixels.
pub fn dice_cross_entropy(logits: &Tensor<4>, target: &Tensor<4>) -> Tensor<1> {
    let Overlap { both, sizes } = overlap(logits, target);
    let dice = ((both * 2.0 + SMOOTH) / (sizes + SMOOTH)).mean();
    -dice + 1.0 + cross_entropy(logits, target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn loss(logits: &[f32], target: &[f32]) -> f32 {
        let device = Device::flex();
        let tensor = |v: &[f32]| Tensor::<4>::from_data(TensorData::new(v.to_vec(), [1, 1, 2, v.len() / 2]), &device);
        dice_cross_entropy(&tensor(logits), &tensor(target)).into_data().try_to_vec::<f32>().unwrap()[0]
    }

    #[test]
    fn a_certain_and_right_output_costs_nothing() {
        assert!(loss(&[50.0, -50.0, 50.0, -50.0], &[1.0, 0.0, 1.0, 0.0]).abs() < 1e-6);
    }

    #[test]
    fn matches_the_formula_by_hand() {
        let p = [0.5f64, 0.5, 0.8, 0.2];
        let logits: Vec<f32> = p.iter().map(|p| (p / (1.0 - p)).ln() as f32).collect();
        let t = [1.0, 0.0, 1.0, 0.0];
        let dice = (2.0 * 1.3 + 1.0) / (2.0 + 2.0 + 1.0);
        let entropy = p.iter().zip(t).map(|(p, t)| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())).sum::<f64>() / 4.0;
        let expected = 1.0 - dice + entropy;
        assert!((f64::from(loss(&logits, &t.map(|t| t as f32))) - expected).abs() < 1e-5);
    }

    #[test]
    fn an_empty_target_rewards_silence() {
        assert!(loss(&[-50.0; 4], &[0.0; 4]).abs() < 1e-6);
        assert!(loss(&[50.0; 4], &[0.0; 4]) > 10.0);
    }
}
