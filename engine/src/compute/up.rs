//! Upsampling by transposed convolutions with kernel 2 and stride 2: each input pixel becomes 2x2 output pixels.

use lanes::{Cpu, Left, Right, Segment, Shape, Start, Tile};
use rayon::prelude::*;

use super::grid::{Grid, with_scratch};
use super::pack::{Panel, pack, panel_of, panels};
use super::zeros;

/// A transposed convolution from `input` channels on `grid` to `output` channels on twice the grid. Weights are
/// `[in, out, 2, 2]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upsampling {
    /// Vector instructions in use.
    pub cpu: Cpu,
    /// Size of the input.
    pub grid: Grid,
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
}

/// Input rows per piece, at most.
const ROWS: usize = 8;

impl Upsampling {
    /// `[B, H, W, in]` to `[B, 2H, 2W, out]`.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut out = zeros(self.grid.pixels() * 4 * self.output);
        self.forward_packed(x, &self.pack(weights), bias, &mut out);
        out
    }

    /// The weights of the upper and of the lower two pixels, which lie side by side in the output.
    pub fn pack(&self, weights: &[f32]) -> [Vec<f32>; 2] {
        let Self { cpu, input, output, .. } = *self;
        [0, 1].map(|row| {
            pack(cpu, input, 2 * output, |panel, stride, to| {
                for (to, weights) in to.chunks_exact_mut(stride).zip(weights.chunks_exact(4 * output)) {
                    for (n, to) in to[..panel.wide].iter_mut().enumerate() {
                        let column = panel.first + n;
                        *to = weights[column % output * 4 + 2 * row + column / output];
                    }
                }
            })
        })
    }

    /// [`Self::forward`] of packed weights.
    pub fn forward_packed(&self, x: &[f32], packed: &[Vec<f32>; 2], bias: &[f32], out: &mut [f32]) {
        let Self { cpu, grid, input, output } = *self;
        let (panels, bias) = (panels(cpu, 2 * output), [bias, bias].concat());
        let (from, to) = (grid.width * input, grid.width * output * 4);
        // Several rows share a panel of the weights while it is in the cache.
        let rows = (grid.batch * grid.height).div_ceil(2 * rayon::current_num_threads()).min(ROWS);
        out.par_chunks_mut(rows * to).zip(x.par_chunks(rows * from)).for_each(|(out, x)| {
            for (half, packed) in packed.iter().enumerate() {
                for &panel in &panels {
                    let (right, start) = (panel_of(packed, cpu, input, panel), Start::Row(&bias[panel.first..]));
                    for (out, x) in out.chunks_exact_mut(to).zip(x.chunks_exact(from)) {
                        let left = Left { values: x, row_stride: input, step_stride: 1 };
                        let segments = &[Segment { left: 0, right: 0, length: input }];
                        let product = Product { cpu, left, right, panel, segments, start };
                        product.write(grid.width, &mut out[half * to / 2 + panel.first..], 2 * output);
                    }
                }
            }
        });
    }

    /// Gradient with respect to the input, given that of the output, `[B, 2H, 2W, out]`.
    pub fn input_gradient(&self, dy: &[f32], weights: &[f32]) -> Vec<f32> {
        let Self { cpu, grid, input, output } = *self;
        let steps = 4 * output;
        let packed = pack(cpu, steps, input, |panel, stride, to| {
            for n in 0..panel.wide {
                let weights = &weights[(panel.first + n) * steps..][..steps];
                for (c, corners) in weights.chunks_exact(4).enumerate() {
                    for (corner, &w) in corners.iter().enumerate() {
                        to[(corner * output + c) * stride + n] = w;
                    }
                }
            }
        });
        let panels = panels(cpu, input);
        let mut dx = zeros(grid.pixels() * input);
        let (to, from) = (grid.width * input, grid.width * output * 4);
        dx.par_chunks_exact_mut(to).zip(dy.par_chunks_exact(from)).for_each(|(dx, dy)| {
            for &panel in &panels {
                let stride = panel.vectors * cpu.lanes();
                let half = |row| Segment { left: row * from / 2, right: row * 2 * output * stride, length: 2 * output };
                let left = Left { values: dy, row_stride: 2 * output, step_stride: 1 };
                let right = panel_of(packed.as_slice(), cpu, steps, panel);
                let product = Product { cpu, left, right, panel, segments: &[half(0), half(1)], start: Start::Zero };
                product.write(grid.width, &mut dx[panel.first..], input);
            }
        });
        dx
    }

    /// Gradients with respect to weights and bias, given that of the output.
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Self { cpu, grid, input, output } = *self;
        let (from, to) = (grid.width * input, grid.width * output * 4);
        let panels = panels(cpu, input);
        // Depends only on the shape, because it determines the order of the sum.
        let share = (grid.batch * grid.height).div_ceil((16 / panels.len()).max(1)).next_multiple_of(ROWS);
        let pieces = x.chunks(share * from).zip(dy.chunks(share * to));
        let tasks: Vec<_> = pieces.flat_map(|piece| panels.iter().map(move |&panel| (piece, panel))).collect();
        // Each partial sum is [2, 2, out, wide].
        let one = |&((x, dy), panel): &((&[f32], &[f32]), Panel)| {
            let mut sum = vec![0.0; 4 * output * panel.wide];
            with_scratch(|edge, _| {
                for (x, dy) in x.chunks(ROWS * from).zip(dy.chunks(ROWS * to)) {
                    self.add_weight_gradient(x, dy, panel, edge, &mut sum);
                }
            });
            sum
        };
        let parts: Vec<Vec<f32>> = tasks.par_iter().map(one).collect();
        let mut gradient = vec![0.0; 4 * output * input];
        for (p, panel) in panels.iter().enumerate() {
            for n in 0..panel.wide {
                let to = &mut gradient[(panel.first + n) * output * 4..][..output * 4];
                for (i, to) in to.iter_mut().enumerate() {
                    let from = (i % 4 * output + i / 4) * panel.wide + n;
                    *to = parts.iter().skip(p).step_by(panels.len()).map(|s| s[from]).sum();
                }
            }
        }
        (gradient, super::norm::column_sums(cpu, dy, output))
    }

    fn add_weight_gradient(&self, x: &[f32], dy: &[f32], panel: Panel, edge: &mut Vec<f32>, sum: &mut [f32]) {
        let Self { cpu, grid, input, output } = *self;
        let stride = panel.vectors * cpu.lanes();
        edge.clear();
        edge.resize(x.len() / input * stride, 0.0);
        for (to, from) in edge.chunks_exact_mut(stride).zip(x.chunks_exact(input)) {
            to[..panel.wide].copy_from_slice(&from[panel.first..panel.first + panel.wide]);
        }
        let run = 2 * output;
        for half in 0..2 {
            let segments: Vec<Segment> = (0..x.len() / (grid.width * input))
                .map(|y| Segment {
                    left: (2 * y + half) * grid.width * run,
                    right: y * grid.width * stride,
                    length: grid.width,
                })
                .collect();
            let left = Left { values: dy, row_stride: 1, step_stride: run };
            let product = Product { cpu, left, right: edge, panel, segments: &segments, start: Start::Output };
            product.write(run, &mut sum[half * run * panel.wide..], panel.wide);
        }
    }
}

/// One panel of a matrix product, of any height.
struct Product<'a> {
    cpu: Cpu,
    left: Left<'a>,
    /// The panel's columns, packed.
    right: &'a [f32],
    panel: Panel,
    /// As of the first row.
    segments: &'a [Segment],
    start: Start<'a>,
}

impl Product<'_> {
    /// Computes `rows` rows into `out`, `out_stride` numbers apart.
    fn write(&self, rows: usize, out: &mut [f32], out_stride: usize) {
        let Self { cpu, left, panel, .. } = *self;
        let right = Right { values: self.right, step_stride: panel.vectors * cpu.lanes() };
        let shape = Shape { rows, vectors: panel.vectors, columns: panel.wide };
        cpu.tile(&Tile::new(shape, left, right, self.segments, self.start), out, out_stride);
    }
}
