//! Convolutions and normalisation against naive sums, with every instruction set of this processor.
#![allow(clippy::unwrap_used, reason = "tests")]

use lanes::Cpu;

use super::conv::{Convolution, Source};
use super::grid::Grid;
use super::norm::{Normalisation, Statistics, row_moments};
use super::pack::{PackedCache, Weights};
use super::up::Upsampling;

/// Values in -0.5 to 0.5.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut x = seed | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn assert_close(own: &[f32], expected: &[f64], what: &str) {
    assert_eq!(own.len(), expected.len(), "{what}");
    for (i, (a, b)) in own.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - b).abs() < 1e-4, "{what}: number {i} is {a}, not {b}");
    }
}

#[test]
fn convolutions_and_their_gradients_equal_their_definitions() {
    let shapes = [
        (2, 7, 9, 3, 5, 3),
        (1, 10, 10, 16, 40, 3),
        (2, 5, 20, 17, 1, 1),
        (1, 4, 33, 2, 18, 3),
        (1, 1, 1, 1, 1, 3),
        (1, 6, 6, 70, 70, 3),
        // More rows than fit one tile: within a piece, and in several pieces of an image.
        (1, 21, 17, 3, 4, 3),
        (2, 23, 40, 52, 3, 3),
        (1, 23, 130, 3, 33, 3),
        // Tiles: several rows of them at a time, several panels, pieces and images, more weights than pixels.
        (2, 8, 12, 32, 48, 3),
        (1, 26, 20, 64, 32, 3),
        (3, 4, 100, 32, 32, 3),
        (2, 6, 6, 80, 112, 3),
        (2, 8, 12, 16, 16, 3),
        (1, 30, 40, 32, 16, 3),
        // Windows of a single vector of columns, and odd sizes of wide layers.
        (1, 12, 25, 16, 16, 3),
        (1, 5, 25, 32, 32, 3),
        // The gradient of a single channel, in several pieces.
        (2, 23, 130, 1, 33, 3),
        // Enough columns that a partial sum has several pieces.
        (5, 4, 6, 3, 130, 3),
    ];
    for (cpu, (batch, height, width, input, output, kernel)) in
        Cpu::all().into_iter().flat_map(|cpu| shapes.map(|s| (cpu, s)))
    {
        let grid = Grid { batch, height, width };
        let area = kernel * kernel;
        let x = numbers(grid.pixels() * input, 1);
        let weights = numbers(output * input * area, 2);
        let bias = numbers(output, 3);
        let dz = numbers(grid.pixels() * output, 4);
        let mut expected = [vec![0.0; dz.len()], vec![0.0; x.len()], vec![0.0; weights.len()]];
        for (p, o) in (0..grid.pixels()).flat_map(|p| (0..output).map(move |o| (p, o))) {
            let (image, y, column) = (p / grid.area(), p / width % height, p % width);
            expected[0][p * output + o] += f64::from(bias[o]);
            for (c, index) in (0..input).flat_map(|c| (0..area).map(move |index| (c, index))) {
                let (row, column) = (y + index / kernel, column + index % kernel);
                let halo = kernel / 2;
                if row < halo || column < halo || row >= height + halo || column >= width + halo {
                    continue;
                }
                let i = ((image * height + row - halo) * width + column - halo) * input + c;
                let w = (o * input + c) * area + index;
                expected[0][p * output + o] += f64::from(x[i]) * f64::from(weights[w]);
                expected[1][i] += f64::from(dz[p * output + o]) * f64::from(weights[w]);
                expected[2][w] += f64::from(dz[p * output + o]) * f64::from(x[i]);
            }
        }
        let what = format!("{cpu:?} {height}x{width} {input} to {output}");
        // Input channels from two sources.
        let split = input / 2;
        let part = |from: usize, to: usize| -> Vec<f32> {
            x.chunks_exact(input).flat_map(|p| p[from..to].iter().copied()).collect()
        };
        let (left, right) = (part(0, split), part(split, input));
        let sources = [
            Source { values: &left, channels: split, activation: None },
            Source { values: &right, channels: input - split, activation: None },
        ];
        let sources = if split == 0 { &sources[1..] } else { &sources[..] };
        let conv = Convolution { cpu, grid, kernel, sources };
        let mut out = vec![0.0; dz.len()];
        let factor = Weights { values: &weights, output, input, kernel, input_range: None, cache: None };
        conv.product(&factor, Some(&bias), &mut out, |_, _| ());
        assert_close(&out, &expected[0], &what);
        let cache = PackedCache::default();
        for call in ["packs", "reads"] {
            let mut again = vec![f32::NAN; out.len()];
            conv.product(&Weights { cache: Some(&cache), ..factor }, Some(&bias), &mut again, |_, _| ());
            assert!(again == out, "{what}: the call that {call} cached weights");
        }
        assert_close(&conv.weight_gradient(&dz, output), &expected[2], &what);
        let factor = Weights { input_range: Some((0, input)), ..factor };
        let sources = [Source { values: &dz, channels: output, activation: None }];
        let mut dx = vec![0.0; x.len()];
        Convolution { cpu, grid, kernel, sources: &sources }.product(&factor, None, &mut dx, |_, _| ());
        assert_close(&dx, &expected[1], &what);
    }
}

#[test]
fn transposed_convolutions_and_their_gradients_equal_their_definitions() {
    for (cpu, (height, width, input, output)) in
        Cpu::all().into_iter().flat_map(|cpu| [(3, 5, 4, 3), (20, 13, 18, 40), (70, 5, 4, 3)].map(|s| (cpu, s)))
    {
        let grid = Grid { batch: 2, height, width };
        let upsample = Upsampling { cpu, grid, input, output };
        let x = numbers(grid.pixels() * input, 1);
        let (weights, bias) = (numbers(input * output * 4, 2), numbers(output, 3));
        let dy = numbers(grid.pixels() * 4 * output, 4);
        let mut expected = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weights.len()], vec![0.0; bias.len()]];
        for (p, corner, o) in (0..grid.pixels()).flat_map(|p| (0..4 * output).map(move |i| (p, i / output, i % output)))
        {
            let (line, column) = (p / width, p % width);
            let q = (((2 * line + corner / 2) * 2 * width) + 2 * column + corner % 2) * output + o;
            expected[0][q] = f64::from(bias[o]);
            expected[3][o] += f64::from(dy[q]);
            for c in 0..input {
                let w = (c * output + o) * 4 + corner;
                expected[0][q] += f64::from(x[p * input + c]) * f64::from(weights[w]);
                expected[1][p * input + c] += f64::from(dy[q]) * f64::from(weights[w]);
                expected[2][w] += f64::from(dy[q]) * f64::from(x[p * input + c]);
            }
        }
        assert_close(&upsample.forward(&x, &weights, &bias), &expected[0], "output");
        assert_close(&upsample.input_gradient(&dy, &weights), &expected[1], "gradient of the input");
        let (of_weights, of_bias) = upsample.weight_gradient(&x, &dy);
        assert_close(&of_weights, &expected[2], "gradient of the weights");
        assert_close(&of_bias, &expected[3], "gradient of the bias");
    }
}

/// On a few pixels, and on more than one partial sum.
#[test]
fn gradients_through_a_normalisation_agree_with_finite_differences() {
    for (height, width) in [(3, 4), (23, 28)] {
        for statistics in [
            Statistics::Batch,
            Statistics::Image,
            Statistics::Fixed { mean: vec![0.1, -0.1], variance: vec![0.5, 2.0] },
            Statistics::None,
        ] {
            for cpu in Cpu::all() {
                normalisation_against_differences(cpu, Grid { batch: 2, height, width }, &statistics);
            }
        }
    }
}

fn normalisation_against_differences(cpu: Cpu, grid: Grid, statistics: &Statistics) {
    let channels = 2;
    let affine = [[0.8, 1.3], [0.3, 0.2]];
    let z = numbers(grid.pixels() * channels, 7);
    let dy = numbers(z.len(), 8);
    let normalise = |z: &[f32], [gamma, beta]: &[[f32; 2]; 2]| {
        let moments: Vec<_> = z.chunks_exact(grid.width * channels).map(|r| row_moments(cpu, r, channels)).collect();
        Normalisation::new(grid, statistics, &moments, gamma, beta, 1e-5)
    };
    let output = |z: &[f32], affine: &[[f32; 2]; 2]| normalise(z, affine).apply(cpu, grid, z, channels);
    let slope = |up: &[f32], down: &[f32], step: f32| {
        let differences = up.iter().zip(down).zip(&dy).map(|((up, down), d)| f64::from(up - down) * f64::from(*d));
        differences.sum::<f64>() / (2.0 * f64::from(step))
    };
    let back = normalise(&z, &affine).backward(cpu, grid, &z, dy.clone(), channels);
    let (mut kinks, step) = (0, 1e-3);
    for i in 0..z.len() {
        let moved = |by: f32| {
            let mut z = z.clone();
            z[i] += by;
            output(&z, &affine)
        };
        let (up, down) = (moved(step), moved(-step));
        // A ReLU that switches within the step has no finite difference to compare with.
        if (up[i] > 0.0) != (down[i] > 0.0) {
            kinks += 1;
            continue;
        }
        let (actual, expected) = (f64::from(back.dz[i]), slope(&up, &down, step));
        assert!((actual - expected).abs() < 5e-3, "{statistics:?}, {grid:?}: {actual}, not {expected} at {i}");
    }
    assert!(
        kinks <= z.len() / 100,
        "{statistics:?}: {kinks} of {} values are at a kink and were not compared",
        z.len()
    );
    if matches!(statistics, Statistics::None) {
        return;
    }
    // Small enough that no ReLU switches.
    let step = 1e-4;
    for (which, actual) in [&back.gamma, &back.beta].into_iter().enumerate() {
        for c in 0..channels {
            let moved = |by: f32| {
                let mut affine = affine;
                affine[which][c] += by;
                output(&z, &affine)
            };
            let (actual, expected) = (f64::from(actual[c]), slope(&moved(step), &moved(-step), step));
            assert!((actual - expected).abs() < 2e-2, "{statistics:?}, {grid:?}: {actual}, not {expected}");
        }
    }
}

#[test]
fn max_pooling_keeps_the_largest_of_four_and_ties_send_the_gradient_to_the_first() {
    let grid = Grid { batch: 1, height: 2, width: 5 };
    let x = [1.0, 4.0, 7.0, 7.0, 0.0, 2.0, 3.0, 7.0, 7.0, 0.0];
    // One channel, and as many as a vector and more have.
    for (cpu, channels) in Cpu::all().into_iter().flat_map(|cpu| [1, 8, 27].map(|channels| (cpu, channels))) {
        let repeat = |values: &[f32]| -> Vec<f32> { values.iter().flat_map(|&v| vec![v; channels]).collect() };
        let x = repeat(&x);
        assert_eq!(super::pool::forward(cpu, grid, &x, channels), repeat(&[4.0, 7.0]));
        let dx = super::pool::backward(cpu, grid, &x, &repeat(&[1.5, 2.5]), channels);
        assert_eq!(dx, repeat(&[0.0, 1.5, 2.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]));
    }
}
