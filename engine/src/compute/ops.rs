//! Max pooling, upsampling and the head as differentiable operations.

use super::conv::{Convolution, Source};
use super::grid::Grid;
use super::pack::Weights;
use super::simd::cpu;
use super::tape::{Value, floats, into_floats, record, sizes, tensor};
use super::up::Upsampling;
use super::zeros;
use super::{norm, pool};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use std::ops::Range;

/// Grid and channels of a `[B, H, W, C]` tensor.
pub(super) fn grid_of(x: &FlexTensor) -> (Grid, usize) {
    let [batch, height, width, channels] = sizes(x);
    (Grid { batch, height, width }, channels)
}

/// Gradient with respect to some channels of a convolution's input, `[B, H, W, channels]`, given that of its output, `dz`
/// `[B, H, W, out]`; `weight` is `[out, in, k, k]`.
pub(super) fn input_gradient(grid: Grid, weight: &FlexTensor, dz: &[f32], channels: Range<usize>) -> Vec<f32> {
    let [output, input, kernel, _] = sizes(weight);
    let input_range = Some((channels.start, channels.len()));
    let weights = Weights { values: floats(weight), output, input, kernel, input_range, cache: None };
    let sources = [Source { values: dz, channels: output, activation: None }];
    let mut dx = zeros(grid.pixels() * channels.len());
    Convolution { cpu: cpu(), grid, kernel, sources: &sources }.product(&weights, None, &mut dx, |_, _| ());
    dx
}

/// 2x2 max pooling with stride 2: `[B, H, W, C]` to `[B, H/2, W/2, C]`. `None` for an unsupported tensor.
pub fn max_pool(x: &Tensor<4>) -> Option<Tensor<4>> {
    let pooled = record(MaxPool, [Value::of(x)?], |[x], _| {
        let (grid, channels) = grid_of(&x);
        let out = pool::forward(cpu(), grid, floats(&x), channels);
        (tensor(out, [grid.batch, grid.height / 2, grid.width / 2, channels]), x)
    });
    Some(pooled.tensor())
}

#[derive(Debug)]
struct MaxPool;

impl Backward<Flex, 1> for MaxPool {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = into_floats(grads.consume::<Flex>(&ops.node));
        let [Some(parent)] = ops.parents else { return };
        let (grid, channels) = grid_of(&ops.state);
        let dx = pool::backward(cpu(), grid, floats(&ops.state), &dy, channels);
        grads.register::<Flex>(parent.id, tensor(dx, sizes::<4>(&ops.state)));
    }
}

/// Upsampling by a transposed convolution with kernel 2 and stride 2: `[B, H, W, in]` to `[B, 2H, 2W, out]`, weights
/// `[in, out, 2, 2]`. `None` for an unsupported tensor.
pub fn upsample(x: &Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>) -> Option<Tensor<4>> {
    let inputs = [Value::of(x)?, Value::of(weight)?, Value::of(bias)?];
    let upsampled = record(UpsampleOp, inputs, |[x, weight, bias], _| {
        let upsample = upsampling_of(&x, &weight);
        let Grid { batch, height, width } = upsample.grid;
        let out = upsample.forward(floats(&x), floats(&weight), floats(&bias));
        (tensor(out, [batch, 2 * height, 2 * width, upsample.output]), (x, weight))
    });
    Some(upsampled.tensor())
}

fn upsampling_of(x: &FlexTensor, weight: &FlexTensor) -> Upsampling {
    let (grid, input) = grid_of(x);
    Upsampling { cpu: cpu(), grid, input, output: sizes::<4>(weight)[1] }
}

#[derive(Debug)]
struct UpsampleOp;

impl Backward<Flex, 3> for UpsampleOp {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = into_floats(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let upsample = upsampling_of(&x, &weight);
        let [to_x, to_weight, to_bias] = ops.parents;
        if to_weight.is_some() || to_bias.is_some() {
            let (of_weight, of_bias) = upsample.weight_gradient(floats(&x), &dy);
            if let Some(parent) = to_weight {
                grads.register::<Flex>(parent.id, tensor(of_weight, sizes::<4>(&weight)));
            }
            if let Some(parent) = to_bias {
                grads.register::<Flex>(parent.id, tensor(of_bias, [upsample.output]));
            }
        }
        if let Some(parent) = to_x {
            let dx = upsample.input_gradient(&dy, floats(&weight));
            grads.register::<Flex>(parent.id, tensor(dx, sizes::<4>(&x)));
        }
    }
}

/// A convolution without normalisation or `ReLU`: `[B, H, W, in]` to `[B, H, W, out]`, weights `[out, in, k, k]`. `None` for
/// an unsupported tensor.
pub fn convolve(x: &Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>) -> Option<Tensor<4>> {
    let inputs = [Value::of(x)?, Value::of(weight)?, Value::of(bias)?];
    let out = record(Convolve, inputs, |[x, weight, bias], _| {
        let (grid, input) = grid_of(&x);
        let [output, _, kernel, _] = sizes(&weight);
        let sources = [Source { values: floats(&x), channels: input, activation: None }];
        let conv = Convolution { cpu: cpu(), grid, kernel, sources: &sources };
        let weights = Weights { values: floats(&weight), output, input, kernel, input_range: None, cache: None };
        let mut out = zeros(grid.pixels() * output);
        conv.product(&weights, Some(floats(&bias)), &mut out, |_, _| ());
        (tensor(out, [grid.batch, grid.height, grid.width, output]), (x, weight))
    });
    Some(out.tensor())
}

#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 3> for Convolve {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = into_floats(grads.consume::<Flex>(&ops.node));
        let (x, weight) = ops.state;
        let (grid, input) = grid_of(&x);
        let [output, _, kernel, _] = sizes(&weight);
        let cpu = cpu();
        let [to_x, to_weight, to_bias] = ops.parents;
        if let Some(parent) = to_weight {
            let sources = [Source { values: floats(&x), channels: input, activation: None }];
            let gradient = Convolution { cpu, grid, kernel, sources: &sources }.weight_gradient(&dy, output);
            grads.register::<Flex>(parent.id, tensor(gradient, sizes::<4>(&weight)));
        }
        if let Some(parent) = to_bias {
            grads.register::<Flex>(parent.id, tensor(norm::column_sums(cpu, &dy, output), [output]));
        }
        if let Some(parent) = to_x {
            let dx = input_gradient(grid, &weight, &dy, 0..input);
            grads.register::<Flex>(parent.id, tensor(dx, sizes::<4>(&x)));
        }
    }
}
