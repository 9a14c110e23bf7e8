//! Layers for inference, whose weights do not change.
//!
//! Weights are packed at the first call and kept, and layers write to buffers that the caller reuses. The sums are those of
//! [`super::block`], bit for bit. A normalisation with fixed statistics is not folded into the weights: it is applied while its
//! rows are in the cache and costs little, and folding would round differently.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use lanes::Cpu;

use super::block::{Unit, plan};
use super::channels;
use super::conv::{Convolution, Source};
use super::grid::{Grid, scratch_slice};
use super::norm::{ActivateInPlace, Normalisation, Statistics, row_moments};
use super::ops::grid_of;
use super::pack::{PackedCache, Weights};
use super::pool;
use super::simd::cpu;
use super::tape::{Value, floats, into_floats, sizes, tensor};
use super::up::Upsampling;

/// The values between two layers, `[B, H, W, C]`, in a buffer that grows to the largest of them.
#[derive(Debug, Default)]
pub struct Map {
    grid: Grid,
    channels: usize,
    buffer: Vec<f32>,
}

impl Map {
    /// Copies a tensor `[B, H, W, C]`. False for a tensor that is not on the CPU or not f32.
    pub fn read(&mut self, x: &Tensor<4>) -> bool {
        let Some(x) = Value::of(x).map(Value::plain) else { return false };
        let (grid, channels) = grid_of(&x);
        self.resize(grid, channels).copy_from_slice(floats(&x));
        true
    }

    /// A copy as a tensor `[B, H, W, C]`.
    pub fn tensor(&self) -> Tensor<4> {
        let Grid { batch, height, width } = self.grid;
        Value::Plain(tensor(self.values().to_vec(), [batch, height, width, self.channels])).tensor()
    }

    /// Becomes the 2x2 max pooling of `x`.
    pub fn pool(&mut self, x: &Self) {
        pool::forward_to(cpu(), x.grid, x.values(), x.channels, self.resize(x.grid.half(), x.channels));
    }

    fn source(&self) -> Source<'_> {
        Source { values: self.values(), channels: self.channels, activation: None }
    }

    fn values(&self) -> &[f32] {
        &self.buffer[..self.grid.pixels() * self.channels]
    }

    /// The values of a new size, which are arbitrary.
    fn resize(&mut self, grid: Grid, channels: usize) -> &mut [f32] {
        (self.grid, self.channels) = (grid, channels);
        scratch_slice(&mut self.buffer, grid.pixels() * channels)
    }
}

/// A convolution with its normalisation and `ReLU`.
#[derive(Debug)]
pub struct PackedUnit {
    cpu: Cpu,
    /// `[out, in, k, k]`, in the memory of the network that it was made from.
    weight: FlexTensor,
    cache: PackedCache,
    bias: Vec<f32>,
    epilogue: Epilogue,
}

/// What follows a convolution.
#[derive(Debug)]
enum Epilogue {
    Nothing,
    /// A known normalisation, and `ReLU`.
    Activate(Normalisation),
    /// A normalisation of each image with gamma, beta and epsilon, and `ReLU`.
    Normalise(Vec<f32>, Vec<f32>, f64),
}

impl PackedUnit {
    /// `None` for tensors that are not on the CPU or not f32, and for a normalisation with the statistics of the batch.
    pub fn new(unit: &Unit, cpu: Cpu) -> Option<Self> {
        let ((statistics, epsilon), [weight, bias, gamma, beta]) = plan(unit)?;
        let [gamma, beta] = [gamma, beta].map(|value| into_floats(value.plain()));
        let epilogue = match statistics {
            Statistics::Batch => return None,
            Statistics::Image => Epilogue::Normalise(gamma, beta, epsilon),
            Statistics::Fixed { .. } | Statistics::None => {
                Epilogue::Activate(Normalisation::new(Grid::default(), &statistics, &[], &gamma, &beta, epsilon))
            }
        };
        Some(Self {
            cpu,
            weight: weight.plain(),
            cache: PackedCache::default(),
            bias: into_floats(bias.plain()),
            epilogue,
        })
    }

    /// A convolution alone, with weights `[out, in, k, k]`. `None` for tensors that are not on the CPU or not f32.
    pub fn plain(weight: &Tensor<4>, bias: &Tensor<1>, cpu: Cpu) -> Option<Self> {
        let (weight, bias) = (Value::of(weight)?.plain(), into_floats(Value::of(bias)?.plain()));
        Some(Self { cpu, weight, cache: PackedCache::default(), bias, epilogue: Epilogue::Nothing })
    }

    /// Applies it to the channels of `x`, followed by those of `beside`.
    pub fn forward(&self, x: &Map, beside: Option<&Map>, out: &mut Map) {
        let [output, input, kernel, _] = sizes(&self.weight);
        let (grid, cpu) = (x.grid, self.cpu);
        let sources: Vec<Source<'_>> = [Some(x), beside].into_iter().flatten().map(Map::source).collect();
        let conv = Convolution { cpu, grid, kernel, sources: &sources };
        let cache = Some(&self.cache);
        let weights = Weights { values: floats(&self.weight), output, input, kernel, input_range: None, cache };
        let (bias, out) = (Some(&*self.bias), out.resize(grid, output));
        match &self.epilogue {
            Epilogue::Nothing => drop(conv.product(&weights, bias, out, |_, _| ())),
            Epilogue::Activate(norm) => drop(conv.product(&weights, bias, out, |_, rows| {
                channels::run(cpu, output, ActivateInPlace { values: rows, activation: norm.activation() });
            })),
            Epilogue::Normalise(gamma, beta, epsilon) => {
                let rows = conv.product(&weights, bias, out, |_, rows| {
                    rows.chunks_exact(grid.width * output).map(|row| row_moments(cpu, row, output)).collect::<Vec<_>>()
                });
                let norm = Normalisation::new(grid, &Statistics::Image, &rows.concat(), gamma, beta, *epsilon);
                norm.apply_in_place(cpu, grid, out, output);
            }
        }
    }
}

/// A transposed convolution with kernel 2 and stride 2.
#[derive(Debug)]
pub struct PackedUpsampling {
    cpu: Cpu,
    packed: [Vec<f32>; 2],
    bias: Vec<f32>,
    input: usize,
}

impl PackedUpsampling {
    /// With weights `[in, out, 2, 2]`. `None` for tensors that are not on the CPU or not f32.
    pub fn new(weight: &Tensor<4>, bias: &Tensor<1>, cpu: Cpu) -> Option<Self> {
        let weight = Value::of(weight)?.plain();
        let bias = into_floats(Value::of(bias)?.plain());
        let [input, ..] = sizes::<4>(&weight);
        let packed = Upsampling { cpu, grid: Grid::default(), input, output: bias.len() }.pack(floats(&weight));
        Some(Self { cpu, packed, bias, input })
    }

    /// `[B, H, W, in]` to `[B, 2H, 2W, out]`.
    pub fn forward(&self, x: &Map, out: &mut Map) {
        let (grid, output) = (x.grid, self.bias.len());
        let upsampling = Upsampling { cpu: self.cpu, grid, input: self.input, output };
        let larger = Grid { height: 2 * grid.height, width: 2 * grid.width, ..grid };
        upsampling.forward_packed(x.values(), &self.packed, &self.bias, out.resize(larger, output));
    }
}
