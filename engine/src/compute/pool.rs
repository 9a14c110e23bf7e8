//! 2x2 max pooling with stride 2.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "compiled for the instructions in use, as vectors"
)]

use lanes::Cpu;
use rayon::prelude::*;

use super::channels::{self, Pass};
use super::grid::Grid;
use super::zeros;

/// `[B, H, W, C]` to `[B, H/2, W/2, C]`. An odd last row or column is ignored.
pub(super) fn forward(cpu: Cpu, grid: Grid, x: &[f32], channels: usize) -> Vec<f32> {
    let mut out = zeros(grid.half().pixels() * channels);
    forward_to(cpu, grid, x, channels, &mut out);
    out
}

/// [`forward`] to `out`.
pub(super) fn forward_to(cpu: Cpu, grid: Grid, x: &[f32], channels: usize, out: &mut [f32]) {
    let (row, half) = (grid.width * channels, grid.width / 2 * channels);
    let lines = grid.height / 2;
    out.par_chunks_exact_mut(half).enumerate().for_each(|(line, out)| {
        let first = (line / lines * grid.height + line % lines * 2) * row;
        let (top, bottom) = (&x[first..first + row], &x[first + row..first + 2 * row]);
        channels::run(cpu, channels, Forward { top, bottom, out, channels });
    });
}

/// Two rows to one.
struct Forward<'a> {
    top: &'a [f32],
    bottom: &'a [f32],
    out: &'a mut [f32],
    channels: usize,
}

impl Pass for Forward<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let channels = self.channels;
        let pairs = self.top.chunks_exact(2 * channels).zip(self.bottom.chunks_exact(2 * channels));
        for (out, (top, bottom)) in self.out.chunks_exact_mut(channels).zip(pairs) {
            let [a, b] = [&top[first..][..N], &top[channels + first..][..N]];
            let [c, d] = [&bottom[first..][..N], &bottom[channels + first..][..N]];
            let out = &mut out[first..][..N];
            for i in 0..N {
                out[i] = larger(larger(a[i], b[i]), larger(c[i], d[i]));
            }
        }
    }
}

/// Gradient with respect to the input. On ties the first pixel gets all of it.
pub(super) fn backward(cpu: Cpu, grid: Grid, x: &[f32], dy: &[f32], channels: usize) -> Vec<f32> {
    let (row, half) = (grid.width * channels, grid.width / 2 * channels);
    let lines = grid.height / 2;
    let mut dx = zeros(x.len());
    let images = dx.par_chunks_exact_mut(grid.height * row).zip(x.par_chunks_exact(grid.height * row));
    images.zip(dy.par_chunks_exact(lines * half)).for_each(|((dx, x), dy)| {
        let lines = dx.par_chunks_exact_mut(2 * row).zip(x.par_chunks_exact(2 * row));
        lines.zip(dy.par_chunks_exact(half)).for_each(|((dx, x), dy)| {
            let (top, bottom) = x.split_at(row);
            let (to_top, to_bottom) = dx.split_at_mut(row);
            channels::run(cpu, channels, Backward { top, bottom, dy, to_top, to_bottom, channels });
        });
    });
    dx
}

/// One row of the gradient to two.
struct Backward<'a> {
    top: &'a [f32],
    bottom: &'a [f32],
    dy: &'a [f32],
    to_top: &'a mut [f32],
    to_bottom: &'a mut [f32],
    channels: usize,
}

impl Pass for Backward<'_> {
    #[inline(always)]
    fn channels<const N: usize>(&mut self, first: usize) {
        let channels = self.channels;
        let from = self.top.chunks_exact(2 * channels).zip(self.bottom.chunks_exact(2 * channels));
        let to = self.to_top.chunks_exact_mut(2 * channels).zip(self.to_bottom.chunks_exact_mut(2 * channels));
        for (((top, bottom), (to_top, to_bottom)), dy) in from.zip(to).zip(self.dy.chunks_exact(channels)) {
            let [a, b] = [&top[first..][..N], &top[channels + first..][..N]];
            let [c, d] = [&bottom[first..][..N], &bottom[channels + first..][..N]];
            let dy = &dy[first..][..N];
            let (mut to_a, mut to_b, mut to_c, mut to_d) = ([0.0; N], [0.0; N], [0.0; N], [0.0; N]);
            for i in 0..N {
                let largest = larger(larger(a[i], b[i]), larger(c[i], d[i]));
                let is = [a[i] == largest, b[i] == largest, c[i] == largest];
                to_a[i] = if is[0] { dy[i] } else { 0.0 };
                to_b[i] = if !is[0] & is[1] { dy[i] } else { 0.0 };
                to_c[i] = if !is[0] & !is[1] & is[2] { dy[i] } else { 0.0 };
                to_d[i] = if !is[0] & !is[1] & !is[2] { dy[i] } else { 0.0 };
            }
            to_top[first..][..N].copy_from_slice(&to_a);
            to_top[channels + first..][..N].copy_from_slice(&to_b);
            to_bottom[first..][..N].copy_from_slice(&to_c);
            to_bottom[channels + first..][..N].copy_from_slice(&to_d);
        }
    }
}

/// Maximum that propagates NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
