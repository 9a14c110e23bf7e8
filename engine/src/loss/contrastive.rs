//! Losses between two views of a slice: NT-Xent, InfoNCE with a queue, BYOL and SwAV.
//!
//! Shapes: `B` slices per batch, `D` embedding dimensions, `K` queue entries or prototypes. Similarities are cosines.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Subtracted from the logit of a pair that is not a negative, so that its exponential is 0.
const EXCLUDED: f64 = 1e9;

/// A contrastive loss and its accuracy.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// Mean cross-entropy of the positive among all candidates.
    pub loss: Tensor<1>,
    /// Fraction of rows whose positive is more similar than every negative, 0 to 1.
    pub accuracy: Tensor<1>,
}

impl Contrast {
    /// `logits` and `positive`, 1 at the positive of each row and 0 elsewhere, are `[R, N]`.
    fn new(logits: Tensor<2>, positive: Tensor<2>) -> Self {
        let [rows, _] = logits.dims();
        let loss = -(log_softmax(logits.clone(), 1) * positive.clone()).sum() / rows as f64;
        let logits = logits.detach();
        let of_positive = (logits.clone() * positive.clone()).sum_dim(1);
        let hardest = (logits - positive * EXCLUDED).max_dim(1);
        Self { loss, accuracy: of_positive.greater(hardest).float().mean() }
    }
}

/// Rows of unit length.
pub fn normalised(x: Tensor<2>) -> Tensor<2> {
    let length = ((x.clone() * x.clone()).sum_dim(1) + 1e-12).sqrt();
    x / length
}

/// NT-Xent (Chen et al., SimCLR, 2020): the mean over the 2 `B` rows of `-s_ip / t + ln sum_(k != i) exp(s_ik / t)`, `p` the
/// other view of the same slice.
///
/// `a` and `b` are the two views' embeddings `[B, D]`. `excluded` `[B, B]` is 1 for slices that are not negatives of each other,
/// 0 on its diagonal.
pub fn nt_xent(a: Tensor<2>, b: Tensor<2>, excluded: Option<Tensor<2>>, temperature: f64) -> Contrast {
    let ([batch, _], device) = (a.dims(), a.device());
    let z = normalised(Tensor::cat(vec![a, b], 0));
    let same = Tensor::<2>::eye(2 * batch, &device);
    let mut logits = z.clone().matmul(z.transpose()) / temperature - same * EXCLUDED;
    if let Some(excluded) = excluded {
        logits = logits - excluded.repeat(&[2, 2]) * EXCLUDED;
    }
    let (one, none) = (Tensor::<2>::eye(batch, &device), Tensor::zeros([batch, batch], &device));
    let upper = Tensor::cat(vec![none.clone(), one.clone()], 1);
    Contrast::new(logits, Tensor::cat(vec![upper, Tensor::cat(vec![one, none], 1)], 0))
}

/// `InfoNCE` with a queue (He et al., MoCo, 2020): the cross-entropy of `[q k, q Q] / t` with the key as the correct class.
///
/// `query` and `key` are `[B, D]`, `queue` is `[K, D]`, all of unit length. `excluded` `[B, K]` is 1 where an entry is not a
/// negative.
pub fn info_nce(query: Tensor<2>, key: Tensor<2>, queue: Tensor<2>, excluded: Tensor<2>, temperature: f64) -> Contrast {
    let positive = (query.clone() * key).sum_dim(1) / temperature;
    let negatives = query.matmul(queue.transpose()) / temperature - excluded * EXCLUDED;
    let target = Tensor::cat(vec![positive.ones_like(), negatives.zeros_like()], 1);
    Contrast::new(Tensor::cat(vec![positive, negatives], 1), target)
}

/// Mean squared distance of two embeddings of unit length, `2 - 2 cos`: 0 to 4. BYOL (Grill et al., 2020) sums it over both
/// views, each prediction against the other view's target.
pub fn unit_distance(prediction: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let cosine = (normalised(prediction) * normalised(target)).sum_dim(1);
    -cosine.mean() * 2.0 + 2.0
}

/// Soft codes of SwAV (Caron et al., 2020): `exp(scores / epsilon)`, its columns and rows normalised in turn. Rows sum to 1;
/// columns approach `N / K`, roughly after few iterations. `scores` `[N, K]` are cosines; the codes have no gradient.
pub fn sinkhorn(scores: Tensor<2>, epsilon: f64, iterations: usize) -> Tensor<2> {
    let [samples, prototypes] = scores.dims();
    let scores = scores.detach();
    let largest = scores.clone().max().reshape([1, 1]);
    let mut codes = ((scores - largest) / epsilon).exp();
    for _ in 0..iterations {
        codes = codes.clone() / (codes.sum_dim(0) * prototypes as f64);
        codes = codes.clone() / (codes.sum_dim(1) * samples as f64);
    }
    codes * samples as f64
}

/// SwAV's loss between the code of one crop and the scores of another: the mean over the slices of
/// `-sum_k q_k ln softmax(s / t)_k`. `codes` and `scores` are `[B, K]`.
pub fn swapped_prediction(codes: Tensor<2>, scores: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [slices, _] = codes.dims();
    -(codes * log_softmax(scores / temperature, 1)).sum() / slices as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::test_tensors::{rows, values};

    fn near(tensor: Tensor<1>, expected: f32) {
        let value = values(tensor)[0];
        assert!((value - expected).abs() < 4e-6 * expected.abs().max(1.0), "{value}, not {expected}");
    }

    fn two(values: [f32; 4]) -> Tensor<2> {
        rows(values.to_vec(), 2, &Device::flex())
    }

    #[test]
    fn nt_xent_has_the_reference_numbers() {
        let (a, b) = (two([1.0, 0.0, 0.0, 1.0]), two([0.6, 0.8, -0.6, 0.8]));
        for (temperature, expected) in [(0.1, 0.708_269), (0.5, 0.642_893)] {
            // The length of an embedding does not matter.
            near(nt_xent(a.clone(), b.clone() * 3.0, None, temperature).loss, expected);
        }
        // Only b0 is closer to another slice, a1, than to its own.
        near(nt_xent(a, two([0.6, 0.8, -0.6, 0.9]), None, 0.1).accuracy, 0.75);
    }

    #[test]
    fn nt_xent_of_collapsed_embeddings_is_the_logarithm_of_the_candidates() {
        let ones = two([1.0; 4]);
        let collapsed = nt_xent(ones.clone(), ones.clone(), None, 0.1);
        near(collapsed.loss, 1.098_612);
        near(collapsed.accuracy, 0.0);
        let many = Tensor::<2>::ones([36, 4], &Device::flex());
        near(nt_xent(many.clone(), many, None, 0.1).loss, 4.262_68);
    }

    #[test]
    fn an_excluded_neighbour_is_not_a_negative() {
        let (a, b) = (two([1.0, 0.0, 0.0, 1.0]), two([0.6, 0.8, -0.6, 0.8]));
        let neighbours = two([0.0, 1.0, 1.0, 0.0]);
        let alone = nt_xent(a.clone(), b.clone(), Some(neighbours), 0.1);
        near(alone.loss, 0.0);
        near(alone.accuracy, 1.0);
        let none = nt_xent(a, b, Some(two([0.0; 4])), 0.1);
        near(none.loss, 0.708_269);
    }

    #[test]
    fn info_nce_has_the_reference_numbers() {
        let device = Device::flex();
        let one = |v: [f32; 2]| rows(v.to_vec(), 1, &device);
        let (query, key, queue) = (one([1.0, 0.0]), one([0.6, 0.8]), two([0.0, 1.0, -1.0, 0.0]));
        for (temperature, expected) in [(0.2, 0.048_907), (0.5, 0.294_129)] {
            let actual = info_nce(query.clone(), key.clone(), queue.clone(), one([0.0; 2]), temperature);
            near(actual.loss, expected);
            near(actual.accuracy, 1.0);
        }
        // Without the first entry only exp(-5) competes with exp(3).
        near(info_nce(query, key, queue, one([1.0, 0.0]), 0.2).loss, (-8.0f32).exp().ln_1p());
        // A collapse gives ln(1 + K).
        let ones = |n| normalised(Tensor::<2>::ones([n, 2], &device));
        let collapsed = info_nce(ones(3), ones(3), ones(7), Tensor::zeros([3, 7], &device), 0.2);
        near(collapsed.loss, 8.0f32.ln());
    }

    #[test]
    fn byol_has_the_reference_numbers() {
        let one = |v: [f32; 2]| rows(v.to_vec(), 1, &Device::flex());
        near(unit_distance(one([3.0, 4.0]), one([1.0, 0.0])), 0.8);
        near(unit_distance(one([0.0, 2.0]), one([1.0, 0.0])), 2.0);
        near(unit_distance(one([-3.0, 0.0]), one([1.0, 0.0])), 4.0);
        near(unit_distance(one([2.0, 2.0]), one([1.0, 1.0])), 0.0);
    }

    #[test]
    fn sinkhorn_has_the_reference_numbers() {
        let device = Device::flex();
        let scores = rows(vec![0.9, 0.1, -0.2, 0.8, 0.3, 0.0, 0.7, 0.2, 0.1, 0.1, 0.6, 0.0], 4, &device);
        let close = |actual: Vec<f32>, expected: &[f32], within: f32| {
            assert!(actual.iter().zip(expected).all(|(a, b)| (a - b).abs() < within), "{actual:?}, not {expected:?}");
        };
        let three = sinkhorn(scores.clone(), 0.05, 3);
        close(values(three.clone().sum_dim(1)), &[1.0; 4], 1e-5);
        close(values(three.clone().sum_dim(0)), &[1.524_03, 0.991_31, 1.484_66], 1e-5);
        close(values(three)[3..6].to_vec(), &[0.506_86, 0.028_67, 0.464_47], 1e-5);
        close(values(sinkhorn(scores, 0.05, 200).sum_dim(0)), &[4.0 / 3.0; 3], 1e-4);
    }

    #[test]
    fn a_swapped_prediction_is_a_cross_entropy() {
        let device = Device::flex();
        let codes = rows(vec![0.7, 0.2, 0.1, 0.1, 0.6, 0.3], 2, &device);
        let scores = rows(vec![0.5, 0.2, -0.1, 0.1, 0.4, 0.3], 2, &device);
        near(swapped_prediction(codes, scores, 0.1), 1.099_979);
        // A collapse gives ln K: every score is the same.
        let (codes, scores) = (Tensor::full([5, 64], 1.0 / 64.0, &device), Tensor::ones([5, 64], &device));
        near(swapped_prediction(codes, scores, 0.1), 4.158_88);
    }

    #[test]
    fn only_the_scores_get_a_gradient() {
        let device = Device::flex().autodiff();
        let scores = rows(vec![0.5, 0.2, 0.1, 0.4], 2, &device).require_grad();
        let codes = sinkhorn(scores.clone(), 0.05, 3);
        let gradients = swapped_prediction(codes.clone(), scores.clone(), 0.1).backward();
        let by_scores = values(scores.grad(&gradients).unwrap());
        let fixed = rows(values(codes), 2, &device);
        let again = scores.clone().detach().require_grad();
        let gradients = swapped_prediction(fixed, again.clone(), 0.1).backward();
        assert_eq!(by_scores, values(again.grad(&gradients).unwrap()));
        assert!(by_scores.iter().any(|g| g.abs() > 1e-3));
    }
}
