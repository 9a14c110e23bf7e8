//! The codebook of a vector-quantised tokenizer (BEiT v2; Peng et al., 2022): unit vectors that represent feature directions.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::seed::stream;

/// Iterations of k-means that initialise the codes.
const ITERATIONS: usize = 10;
/// Decay of a code in a step that uses it.
const DECAY: f64 = 0.99;

/// `K` codes of `D` numbers and length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Codebook {
    codes: Vec<f32>,
    dimension: usize,
}

/// Vectors quantised to codes.
pub struct QuantisedVectors {
    /// Indices of the nearest codes, `[n, 1]`.
    pub index: Tensor<2>,
    /// The nearest codes, `[n, D]`, with a straight-through gradient to the vectors.
    pub straight_through: Tensor<2>,
    /// Commitment loss: mean squared difference between vectors and codes, with a gradient for the vectors only.
    pub commitment: Tensor<1>,
}

impl Codebook {
    /// Codes `[K][D]` of length 1.
    pub fn new(codes: Vec<f32>, dimension: usize) -> Self {
        debug_assert!(dimension > 0 && codes.len().is_multiple_of(dimension));
        Self { codes, dimension }
    }

    /// `count` codes by k-means under the cosine over `samples` `[n][D]` of length 1: ten iterations from samples drawn by `seed`.
    /// If there are fewer samples than codes, the others are random directions. A cluster without samples keeps its centre.
    pub fn start(samples: &[f32], dimension: usize, count: usize, seed: u64) -> Self {
        let mut draw = stream(seed, "codes", &[]);
        let mut order: Vec<usize> = (0..samples.len() / dimension).collect();
        order.shuffle(&mut draw);
        order.truncate(count);
        let mut codes: Vec<f32> =
            order.iter().flat_map(|&index| &samples[index * dimension..][..dimension]).copied().collect();
        while codes.len() < count * dimension {
            let mut code: Vec<f64> = (0..dimension).map(|_| StandardNormal.sample(&mut draw)).collect();
            normalise(&mut code);
            codes.extend(code.into_iter().map(|v| v as f32));
        }
        let mut book = Self { codes, dimension };
        for _ in 0..ITERATIONS {
            let nearest = book.nearest(samples);
            book.move_to(samples, &nearest, 0.0);
        }
        book
    }

    /// Number of codes, K.
    pub fn len(&self) -> usize {
        self.codes.len() / self.dimension
    }

    /// True if there are no codes.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The codes, `[K][D]`.
    pub fn codes(&self) -> &[f32] {
        &self.codes
    }

    /// The codes as `[K, D]`.
    pub fn on(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.codes.clone(), [self.len(), self.dimension]), device)
    }

    /// Index of the code nearest to each of `samples` `[n][D]` by cosine; the first one in a tie.
    pub fn nearest(&self, samples: &[f32]) -> Vec<usize> {
        let of = |sample: &[f32]| {
            let mut best = (0, f32::NEG_INFINITY);
            for (index, code) in self.codes.chunks_exact(self.dimension).enumerate() {
                let cosine = code.iter().zip(sample).map(|(a, b)| a * b).sum::<f32>();
                if cosine > best.1 {
                    best = (index, cosine);
                }
            }
            best.0
        };
        samples.par_chunks_exact(self.dimension).map(of).collect()
    }

    /// Moves every chosen code towards the mean direction of the `samples` `[n][D]` that chose it; the others stay.
    pub fn update(&mut self, samples: &[f32], nearest: &[usize]) {
        self.move_to(samples, nearest, DECAY);
    }

    fn move_to(&mut self, samples: &[f32], nearest: &[usize], decay: f64) {
        let mut sums = vec![0.0f64; self.codes.len()];
        for (sample, &code) in samples.chunks_exact(self.dimension).zip(nearest) {
            let sum = &mut sums[code * self.dimension..][..self.dimension];
            sum.iter_mut().zip(sample).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        for (code, sum) in self.codes.chunks_exact_mut(self.dimension).zip(sums.chunks_exact_mut(self.dimension)) {
            // Without samples, or if they cancel out, there is no direction.
            if !normalise(sum) {
                continue;
            }
            sum.iter_mut().zip(&*code).for_each(|(to, from)| *to = decay * f64::from(*from) + (1.0 - decay) * *to);
            if normalise(sum) {
                code.iter_mut().zip(sum).for_each(|(code, v)| *code = *v as f32);
            }
        }
    }
}

/// Scales a vector to length 1; `false` if it has no direction.
fn normalise(vector: &mut [f64]) -> bool {
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length < 1e-12 {
        return false;
    }
    vector.iter_mut().for_each(|v| *v /= length);
    true
}

/// Quantises unit vectors `[n, D]` to the nearest of `codes` `[K, D]`.
pub fn quantise(vectors: Tensor<2>, codes: &Tensor<2>) -> QuantisedVectors {
    let free = vectors.clone().detach();
    let index = free.clone().matmul(codes.clone().transpose()).argmax(1);
    let [n, _] = vectors.dims();
    let chosen = codes.clone().select(0, index.clone().reshape([n]));
    let difference = vectors.clone() - chosen.clone();
    QuantisedVectors {
        index: index.float(),
        straight_through: vectors + (chosen - free),
        commitment: (difference.clone() * difference).mean(),
    }
}

/// Perplexity of a distribution given by counts: exp of its entropy, from 1 to the number of counts; 0 without any.
pub fn perplexity(counts: &[f64]) -> f64 {
    let all = counts.iter().sum::<f64>();
    if all <= 0.0 {
        return 0.0;
    }
    let shares = counts.iter().filter(|count| **count > 0.0).map(|count| count / all);
    (-shares.map(|share| share * share.ln()).sum::<f64>()).exp()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::test_tensors::{rows, values};

    const CODES: [f32; 6] = [1.0, 0.0, 0.0, 1.0, -1.0, 0.0];
    const VECTORS: [f32; 6] = [0.8, 0.6, 1.0, 0.0, 0.6, 0.8];

    fn near(actual: &[f32], expected: &[f32], within: f32) {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((actual - expected).abs() < within, "{actual}, not {expected}");
        }
    }

    #[test]
    fn quantising_gives_the_nearest_code_with_a_straight_through_gradient() {
        let device = Device::flex().autodiff();
        let book = Codebook::new(CODES.to_vec(), 2);
        assert_eq!(book.nearest(&VECTORS), [0, 0, 1]);
        let vectors = rows(VECTORS.to_vec(), 3, &device).require_grad();
        let QuantisedVectors { index, straight_through, commitment } = quantise(vectors.clone(), &book.on(&device));
        assert_eq!(values(index), [0.0, 0.0, 1.0]);
        near(&values(straight_through.clone()), &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], 1e-6);
        near(&values(commitment.clone()), &[0.133_333], 1e-6);
        // Straight-through: the codes' gradient is passed to the vectors.
        let factors = rows(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, &device);
        let gradient = vectors.grad(&(straight_through * factors).sum().backward()).unwrap();
        near(&values(gradient), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1e-6);
        let gradient = vectors.grad(&commitment.backward()).unwrap();
        near(&values(gradient), &[-0.2 / 3.0, 0.2, 0.0, 0.0, 0.2, -0.2 / 3.0], 1e-6);
    }

    #[test]
    fn an_update_moves_only_the_chosen_codes() {
        let mut book = Codebook::new(CODES.to_vec(), 2);
        book.update(&VECTORS, &book.nearest(&VECTORS));
        near(book.codes(), &[0.999_995, 0.003_164, 0.006_012, 0.999_982, -1.0, 0.0], 1e-6);
        // Two opposite vectors have no mean direction.
        let before = book.clone();
        book.update(&[0.0, 1.0, 0.0, -1.0], &[2, 2]);
        assert_eq!(book, before);
    }

    #[test]
    fn perplexity_is_the_exponential_of_the_entropy() {
        assert!((perplexity(&[2.0, 1.0, 1.0]) - 2.828_427).abs() < 1e-6);
        assert!((perplexity(&[3.0; 256]) - 256.0).abs() < 1e-9);
        assert!((perplexity(&[0.0, 7.0, 0.0]) - 1.0).abs() < 1e-12);
        assert!(perplexity(&[0.0; 3]).abs() < 1e-12);
    }

    /// Directions in three bundles: k-means finds them even if two codes start in one.
    #[test]
    fn k_means_initialises_codes_at_the_clusters_of_the_samples() {
        let bundle =
            |centre: f64, n: usize| (0..n).map(move |i| centre + 0.02 * (i as f64 - n as f64 / 2.0) / n as f64);
        let angles: Vec<f64> = bundle(0.3, 30).chain(bundle(2.2, 30)).chain(bundle(4.4, 30)).collect();
        let samples: Vec<f32> = angles.iter().flat_map(|a| [a.cos() as f32, a.sin() as f32]).collect();
        let book = Codebook::start(&samples, 2, 12, 1);
        assert_eq!((book.len(), &book), (12, &Codebook::start(&samples, 2, 12, 1)));
        for code in book.codes().chunks(2) {
            assert!((code[0].hypot(code[1]) - 1.0).abs() < 1e-6, "{code:?}");
        }
        for pair in samples.chunks(2) {
            let best = book.codes().chunks(2).map(|code| code[0] * pair[0] + code[1] * pair[1]).fold(-1.0, f32::max);
            assert!(best > 0.9999, "{pair:?}: {best}");
        }
        // The means of their samples: further iterations do not move them.
        let mut again = book.clone();
        again.move_to(&samples, &book.nearest(&samples), 0.0);
        near(again.codes(), book.codes(), 1e-3);
    }

    #[test]
    fn codes_without_samples_are_random_directions() {
        let book = Codebook::start(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 3, 8, 5);
        assert_eq!(book.len(), 8);
        let mut distinct: Vec<Vec<u32>> =
            book.codes().chunks(3).map(|code| code.iter().map(|v| v.to_bits()).collect()).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
    }
}
