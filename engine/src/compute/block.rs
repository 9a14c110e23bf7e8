//! A U-Net block as one operation: convolution, normalisation and `ReLU`, twice.
//!
//! The backward pass keeps the input and the values before each normalisation. Normalised values are recomputed when they
//! are read, which costs less than storing them.

use super::channels;
use super::conv::{Convolution, Source};
use super::grid::Grid;
use super::norm::{ActivateInPlace, Normalisation, Statistics, column_sums, row_moments};
use super::ops::{grid_of, input_gradient};
use super::pack::Weights;
use super::simd::cpu;
use super::tape::{Value, floats, into_floats, record, sizes, tensor};
use super::zeros;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

/// A convolution with its normalisation.
#[derive(Clone, Debug)]
pub struct Unit {
    /// `[out, in, k, k]`.
    pub weight: Tensor<4>,
    /// `[out]`.
    pub bias: Tensor<1>,
    /// Gamma and beta, `[out]` each; `None` without a normalisation or for one without affine parameters.
    pub affine: Option<[Tensor<1>; 2]>,
    /// The normalisation.
    pub norm: UnitNorm,
}

/// Source of the normalisation statistics.
#[derive(Clone, Debug)]
pub enum UnitNorm {
    /// The whole batch (batch norm), with epsilon.
    Batch(f64),
    /// Each image (instance norm), with epsilon.
    Image(f64),
    /// Fixed means and variances, `[out]` each, with epsilon.
    Fixed(Box<[Tensor<1>; 2]>, f64),
    /// No normalisation.
    None,
}

/// Output of [`block`].
#[derive(Clone, Debug)]
pub struct BlockOutput {
    /// `[B, H, W, out]`.
    pub values: Tensor<4>,
    /// Mean and biased variance of the batch for each batch norm, `[out]` each.
    pub moments: [Option<[Tensor<1>; 2]>; 2],
}

/// Applies a block to `[B, H, W, C]`. A second input is concatenated along the channels. `None` for tensors that are not on
/// the CPU or not f32.
pub fn block(x: &Tensor<4>, beside: Option<&Tensor<4>>, units: &[Unit; 2]) -> Option<BlockOutput> {
    let [first, second] = [plan(&units[0])?, plan(&units[1])?];
    let nothing = || Value::Plain(tensor(Vec::new(), [0, 0, 0, 0]));
    let beside = beside.map_or_else(|| Some(nothing()), Value::of)?;
    let [w1, b1, g1, s1] = first.1;
    let [w2, b2, g2, s2] = second.1;
    let inputs = [Value::of(x)?, beside, w1, b1, g1, s1, w2, b2, g2, s2];
    let tracked = inputs[0].is_tracked();
    let mut moments = [None, None];
    let out = record(Block, inputs, |inputs, recorded| {
        let (output, state) = forward(inputs, [first.0, second.0], recorded);
        for ((to, unit), n) in moments.iter_mut().zip(units).zip([&state.norms[0], &state.norms[1]]) {
            *to = matches!(unit.norm, UnitNorm::Batch(_)).then(|| [n.mean.clone(), n.variance.clone()]);
        }
        (output, state)
    });
    let constant = |values: Vec<f32>| {
        let size = values.len();
        Value::constant(tensor(values, [size]), tracked).tensor::<1>()
    };
    Some(BlockOutput { values: out.tensor(), moments: moments.map(|m| m.map(|pair| pair.map(constant))) })
}

pub(super) type Plan = (Statistics, f64);

/// Statistics and epsilon of a unit; its weight, bias, gamma and beta.
pub(super) fn plan(unit: &Unit) -> Option<(Plan, [Value; 4])> {
    let numbers = |t: &Tensor<1>| Some(into_floats(Value::of(t)?.plain()));
    let plan = match &unit.norm {
        UnitNorm::Batch(epsilon) => (Statistics::Batch, *epsilon),
        UnitNorm::Image(epsilon) => (Statistics::Image, *epsilon),
        UnitNorm::Fixed(fixed, epsilon) => {
            (Statistics::Fixed { mean: numbers(&fixed[0])?, variance: numbers(&fixed[1])? }, *epsilon)
        }
        UnitNorm::None => (Statistics::None, 0.0),
    };
    let channels = unit.weight.dims()[0];
    let [gamma, beta] = match &unit.affine {
        Some([gamma, beta]) => [Value::of(gamma)?, Value::of(beta)?],
        None => [1.0, 0.0].map(|v| Value::Plain(tensor(vec![v; channels], [channels]))),
    };
    Some((plan, [Value::of(&unit.weight)?, Value::of(&unit.bias)?, gamma, beta]))
}

/// State of the backward pass.
#[derive(Clone, Debug)]
struct BlockState {
    inputs: Vec<FlexTensor>,
    weights: [FlexTensor; 2],
    before_norm: [FlexTensor; 2],
    norms: [Normalisation; 2],
}

fn plain(values: &FlexTensor) -> Source<'_> {
    Source { values: floats(values), channels: sizes::<4>(values)[3], activation: None }
}

fn forward(inputs: [FlexTensor; 10], plans: [Plan; 2], recorded: bool) -> (FlexTensor, BlockState) {
    let [x, beside, w1, b1, g1, s1, w2, b2, g2, s2] = inputs;
    let (grid, _) = grid_of(&x);
    let inputs: Vec<FlexTensor> = [x, beside].into_iter().filter(|t| sizes::<4>(t)[3] > 0).collect();
    let sources: Vec<Source<'_>> = inputs.iter().map(plain).collect();
    let [first, second] = plans;
    let (z1, n1, active) = unit(grid, &sources, [&w1, &b1, &g1, &s1], &first, recorded);
    let activation = (!active).then(|| n1.activation());
    let source = [Source { values: floats(&z1), channels: sizes::<4>(&z1)[3], activation }];
    let (z2, n2, active) = unit(grid, &source, [&w2, &b2, &g2, &s2], &second, recorded);
    let shape = sizes::<4>(&z2);
    let (output, z2) = if recorded {
        (tensor(n2.apply(cpu(), grid, floats(&z2), shape[3]), shape), z2)
    } else if active {
        (z2.clone(), z2)
    } else {
        // Nothing reads the values before the normalisation again.
        let mut values = into_floats(z2);
        n2.apply_in_place(cpu(), grid, &mut values, shape[3]);
        let output = tensor(values, shape);
        (output.clone(), output)
    };
    (output, BlockState { inputs, weights: [w1, w2], before_norm: [z1, z2], norms: [n1, n2] })
}

/// One convolution and its normalisation. The flag is true if normalisation and `ReLU` are already applied to the values.
fn unit(
    grid: Grid,
    sources: &[Source<'_>],
    [weight, bias, gamma, beta]: [&FlexTensor; 4],
    (statistics, epsilon): &Plan,
    recorded: bool,
) -> (FlexTensor, Normalisation, bool) {
    let [output, input, kernel, _] = sizes(weight);
    let conv = Convolution { cpu: cpu(), grid, kernel, sources };
    let weights = Weights { values: floats(weight), output, input, kernel, input_range: None, cache: None };
    let mut z = zeros(grid.pixels() * output);
    let of_batch = matches!(statistics, Statistics::Batch | Statistics::Image);
    let normalise =
        |moments: &[Vec<f32>]| Normalisation::new(grid, statistics, moments, floats(gamma), floats(beta), *epsilon);
    let norm = if of_batch {
        let rows = conv.product(&weights, Some(floats(bias)), &mut z, |_, rows| {
            rows.chunks_exact(grid.width * output).map(|row| row_moments(conv.cpu, row, output)).collect::<Vec<_>>()
        });
        normalise(&rows.concat())
    } else {
        let norm = normalise(&[]);
        conv.product(&weights, Some(floats(bias)), &mut z, |_, rows| {
            if !recorded {
                channels::run(conv.cpu, output, ActivateInPlace { values: rows, activation: norm.activation() });
            }
        });
        norm
    };
    (tensor(z, [grid.batch, grid.height, grid.width, output]), norm, !of_batch && !recorded)
}

#[derive(Debug)]
struct Block;

impl Backward<Flex, 10> for Block {
    type State = BlockState;

    fn backward(self, ops: Ops<BlockState, 10>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = into_floats(grads.consume::<Flex>(&ops.node));
        let BlockState { inputs, weights: [w1, w2], before_norm: [z1, z2], norms: [n1, n2] } = ops.state;
        let to = ops.parents.map(|parent| parent.map(|p| p.id));
        let (grid, between) = grid_of(&z1);
        let source = [Source { values: floats(&z1), channels: between, activation: Some(n1.activation()) }];
        let second = UnitGradient { grid, weight: &w2, z: &z2, norm: &n2 };
        let dz = second.register(grads, &source, dy, [to[6], to[7], to[8], to[9]]);
        if to[..6].iter().all(Option::is_none) {
            return;
        }
        let dy = input_gradient(grid, &w2, &dz, 0..between);
        drop((dz, z2));
        let sources: Vec<Source<'_>> = inputs.iter().map(plain).collect();
        let first = UnitGradient { grid, weight: &w1, z: &z1, norm: &n1 };
        let dz = first.register(grads, &sources, dy, [to[2], to[3], to[4], to[5]]);
        let mut before = 0;
        for (source, to) in sources.iter().zip([to[0], to[1]]) {
            if let Some(id) = to {
                let dx = input_gradient(grid, &w1, &dz, before..before + source.channels);
                grads.register::<Flex>(id, tensor(dx, [grid.batch, grid.height, grid.width, source.channels]));
            }
            before += source.channels;
        }
    }
}

type NodeId = burn::backend::autodiff::NodeId;

/// Backward pass of a unit.
struct UnitGradient<'a> {
    grid: Grid,
    weight: &'a FlexTensor,
    z: &'a FlexTensor,
    norm: &'a Normalisation,
}

impl UnitGradient<'_> {
    /// Registers the requested gradients of weight, bias, gamma and beta, and returns the gradient of the convolution's
    /// output.
    fn register(
        &self,
        grads: &mut Gradients,
        sources: &[Source<'_>],
        dy: Vec<f32>,
        [weight, bias, gamma, beta]: [Option<NodeId>; 4],
    ) -> Vec<f32> {
        let [output, _, kernel, _] = sizes(self.weight);
        let back = self.norm.backward(cpu(), self.grid, floats(self.z), dy, output);
        if let Some(id) = gamma {
            grads.register::<Flex>(id, tensor(back.gamma, [output]));
        }
        if let Some(id) = beta {
            grads.register::<Flex>(id, tensor(back.beta, [output]));
        }
        if let Some(id) = bias {
            // Subtracting the mean cancels the bias, so its gradient is 0.
            let sums =
                if self.norm.depends_on_values { vec![0.0; output] } else { column_sums(cpu(), &back.dz, output) };
            grads.register::<Flex>(id, tensor(sums, [output]));
        }
        if let Some(id) = weight {
            let conv = Convolution { cpu: cpu(), grid: self.grid, kernel, sources };
            let gradient = conv.weight_gradient(&back.dz, output);
            grads.register::<Flex>(id, tensor(gradient, sizes::<4>(self.weight)));
        }
        back.dz
    }
}
