//! 2x2 max pooling with stride 2.

use rayon::prelude::*;

use super::grid::Grid;

/// `[B, H, W, C]` to `[B, H/2, W/2, C]`. An odd last row or column is ignored.
pub(super) fn forward(grid: Grid, x: &[f32], channels: usize) -> Vec<f32> {
    let (row, half) = (grid.width * channels, grid.width / 2 * channels);
    let lines = grid.height / 2;
    let mut out = vec![0.0; grid.batch * lines * half];
    out.par_chunks_exact_mut(half).enumerate().for_each(|(line, out)| {
        let first = (line / lines * grid.height + line % lines * 2) * row;
        let (top, bottom) = (&x[first..first + row], &x[first + row..first + 2 * row]);
        let pairs = top.chunks_exact(2 * channels).zip(bottom.chunks_exact(2 * channels));
        for (out, (top, bottom)) in out.chunks_exact_mut(channels).zip(pairs) {
            let ((a, b), (c, d)) = (top.split_at(channels), bottom.split_at(channels));
            for (((out, a), b), (c, d)) in out.iter_mut().zip(a).zip(b).zip(c.iter().zip(d)) {
                *out = larger(larger(*a, *b), larger(*c, *d));
            }
        }
    });
    out
}

/// Gradient with respect to the input. On ties the first pixel gets all of it.
pub(super) fn backward(grid: Grid, x: &[f32], dy: &[f32], channels: usize) -> Vec<f32> {
    let (row, half) = (grid.width * channels, grid.width / 2 * channels);
    let lines = grid.height / 2;
    let mut dx = vec![0.0; x.len()];
    let images = dx.par_chunks_exact_mut(grid.height * row).zip(x.par_chunks_exact(grid.height * row));
    images.zip(dy.par_chunks_exact(lines * half)).for_each(|((dx, x), dy)| {
        let lines = dx.par_chunks_exact_mut(2 * row).zip(x.par_chunks_exact(2 * row));
        lines.zip(dy.par_chunks_exact(half)).for_each(|((dx, x), dy)| {
            let (top, bottom) = x.split_at(row);
            let (to_top, to_bottom) = dx.split_at_mut(row);
            let from = top.chunks_exact(2 * channels).zip(bottom.chunks_exact(2 * channels));
            let to = to_top.chunks_exact_mut(2 * channels).zip(to_bottom.chunks_exact_mut(2 * channels));
            for ((from, to), dy) in from.zip(to).zip(dy.chunks_exact(channels)) {
                let ((a, b), (c, d)) = (from.0.split_at(channels), from.1.split_at(channels));
                let ((to_a, to_b), (to_c, to_d)) = (to.0.split_at_mut(channels), to.1.split_at_mut(channels));
                for i in 0..channels {
                    let largest = larger(larger(a[i], b[i]), larger(c[i], d[i]));
                    let is = [a[i] == largest, b[i] == largest, c[i] == largest];
                    to_a[i] = if is[0] { dy[i] } else { 0.0 };
                    to_b[i] = if !is[0] & is[1] { dy[i] } else { 0.0 };
                    to_c[i] = if !is[0] & !is[1] & is[2] { dy[i] } else { 0.0 };
                    to_d[i] = if !is[0] & !is[1] & !is[2] { dy[i] } else { 0.0 };
                }
            }
        });
    });
    dx
}

/// Maximum that propagates NaN.
#[inline]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
