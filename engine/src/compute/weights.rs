//! Steps of AdamW and of moving averages in one pass over the weights. burn takes a dozen passes for a step and three for an
//! average, each with its own tensor.

use burn::tensor::Tensor;

use super::tape::{Value, floats, into_floats, tensor};
use crate::parallel::{PIECE, for_each_piece};

/// The numbers of a step (Loshchilov and Hutter, 2019, Algorithm 2), in the order of burn's operations, so that both give the
/// same bits.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Decays of the two moments.
    pub beta: [f32; 2],
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// `1 - rate * weight decay`.
    pub decay: f32,
    /// Learning rate.
    pub rate: f32,
    /// Number of steps, including this one.
    pub time: i32,
}

impl AdamWStep {
    /// New weights and moments, in the memory of those given; `moments` are `None` in the first step.
    ///
    /// # Panics
    /// For tensors that [`super::is_supported`] refuses.
    pub fn apply<const D: usize>(
        &self,
        weights: Tensor<D>,
        gradient: &Tensor<D>,
        moments: Option<[Tensor<D>; 2]>,
    ) -> [Tensor<D>; 3] {
        let shape = weights.dims();
        let [mut first, mut second] = match moments {
            Some(moments) => moments.map(numbers),
            None => [vec![0.0; shape.iter().product()], vec![0.0; shape.iter().product()]],
        };
        let mut weights = numbers(weights);
        let gradient = Value::of(gradient).expect("a gradient on the CPU").plain();
        let parts = weights.chunks_mut(PIECE).zip(floats(&gradient).chunks(PIECE));
        let moments = first.chunks_mut(PIECE).zip(second.chunks_mut(PIECE));
        for_each_piece(parts.zip(moments), |((weights, gradient), (first, second))| {
            self.update(weights, gradient, first, second);
        });
        [weights, first, second].map(|values| Value::Plain(tensor(values, shape)).tensor())
    }

    fn update(&self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let [beta_1, beta_2] = self.beta;
        let [new_1, new_2] = [1.0 - beta_1, 1.0 - beta_2];
        let [bias_1, bias_2] = self.beta.map(|beta| 1.0 - beta.powi(self.time));
        for ((weight, &g), (m, v)) in weights.iter_mut().zip(gradient).zip(first.iter_mut().zip(second)) {
            *m = *m * beta_1 + g * new_1;
            *v = *v * beta_2 + g * g * new_2;
            let direction = (*m / bias_1) / ((*v / bias_2).sqrt() + self.epsilon);
            *weight = *weight * self.decay - direction * self.rate;
        }
    }
}

/// `from + share (to - from)`, in the order of burn's operations, so that both give the same bits.
///
/// # Panics
/// For tensors that [`super::is_supported`] refuses.
pub fn interpolate<const D: usize>(from: Tensor<D>, to: &Tensor<D>, share: f32) -> Tensor<D> {
    let shape = from.dims();
    let mut values = numbers(from);
    let to = Value::of(to).expect("a tensor on the CPU").plain();
    for_each_piece(values.chunks_mut(PIECE).zip(floats(&to).chunks(PIECE)), |(values, to)| {
        values.iter_mut().zip(to).for_each(|(value, to)| *value += (to - *value) * share);
    });
    Value::Plain(tensor(values, shape)).tensor()
}

/// The numbers of a tensor, without a copy if it is the only owner.
fn numbers<const D: usize>(of: Tensor<D>) -> Vec<f32> {
    let value = Value::of(&of).expect("a tensor on the CPU");
    drop(of);
    into_floats(value.plain())
}
