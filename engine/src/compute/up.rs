//! Upsampling by transposed convolutions with kernel 2 and stride 2: each input pixel becomes 2x2 output pixels.

use lanes::{Cpu, Segment, Start, Tile};
use rayon::prelude::*;

use super::grid::{Grid, with_scratch};
use super::pack::{Panel, pack, panel_of, panels};

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

/// Input rows per piece of a weight gradient.
const ROWS: usize = 8;

impl Upsampling {
    /// `[B, H, W, in]` to `[B, 2H, 2W, out]`.
    pub fn forward(&self, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let Self { cpu, grid, input, output } = *self;
        let packed: Vec<Vec<f32>> = (0..4)
            .map(|corner| {
                pack(cpu, input, output, |panel, stride, to| {
                    for (c, weights) in weights.chunks_exact(output * 4).enumerate() {
                        for n in 0..panel.wide {
                            to[c * stride + n] = weights[(panel.first + n) * 4 + corner];
                        }
                    }
                })
            })
            .collect();
        let panels = panels(cpu, output);
        let mut out = vec![0.0; grid.pixels() * 4 * output];
        let (from, to) = (grid.width * input, grid.width * output * 4);
        out.par_chunks_exact_mut(to).zip(x.par_chunks_exact(from)).for_each(|(out, x)| {
            for (corner, packed) in packed.iter().enumerate() {
                let first = corner / 2 * (to / 2) + corner % 2 * output;
                for &panel in &panels {
                    let packed = panel_of(packed, cpu, input, panel);
                    let left =
                        LeftFactor { a: x, row: input, step: 1, segments: &[Segment { a: 0, b: 0, length: input }] };
                    let start = Start::Row(&bias[panel.first..]);
                    left.multiply(cpu, packed, panel, grid.width, 2 * output, start, &mut out[first + panel.first..]);
                }
            }
        });
        out
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
        let mut dx = vec![0.0; grid.pixels() * input];
        let (to, from) = (grid.width * input, grid.width * output * 4);
        dx.par_chunks_exact_mut(to).zip(dy.par_chunks_exact(from)).for_each(|(dx, dy)| {
            for &panel in &panels {
                let stride = panel.vectors * cpu.lanes();
                let half = |row| Segment { a: row * from / 2, b: row * 2 * output * stride, length: 2 * output };
                let left = LeftFactor { a: dy, row: 2 * output, step: 1, segments: &[half(0), half(1)] };
                let packed = panel_of(packed.as_slice(), cpu, steps, panel);
                left.multiply(cpu, packed, panel, grid.width, input, Start::Zero, &mut dx[panel.first..]);
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
        (gradient, super::norm::column_sums(dy, output))
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
                    a: (2 * y + half) * grid.width * run,
                    b: y * grid.width * stride,
                    length: grid.width,
                })
                .collect();
            let left = LeftFactor { a: dy, row: 1, step: run, segments: &segments };
            let to = &mut sum[half * run * panel.wide..];
            left.multiply(cpu, edge, panel, run, panel.wide, Start::Output, to);
        }
    }
}

/// Left factor of a matrix product.
struct LeftFactor<'a> {
    a: &'a [f32],
    row: usize,
    step: usize,
    segments: &'a [Segment],
}

impl LeftFactor<'_> {
    /// Multiplies `rows` rows by one packed panel.
    #[expect(clippy::too_many_arguments, reason = "a matrix product needs all of these sizes")]
    fn multiply(
        &self,
        cpu: Cpu,
        b: &[f32],
        panel: Panel,
        rows: usize,
        out_row: usize,
        start: Start<'_>,
        out: &mut [f32],
    ) {
        let mut m = 0;
        let mut segments = self.segments.to_vec();
        while m < rows {
            let height = cpu.height(panel.vectors, rows - m);
            for (to, from) in segments.iter_mut().zip(self.segments) {
                to.a = from.a + m * self.row;
            }
            let tile = Tile {
                a: self.a,
                a_row: self.row,
                a_step: self.step,
                b,
                b_step: panel.vectors * cpu.lanes(),
                segments: &segments,
                rows: height,
                vectors: panel.vectors,
                columns: panel.wide,
                out_row,
                start,
            };
            cpu.tile(&tile, &mut out[m * out_row..]);
            m += height;
        }
    }
}
