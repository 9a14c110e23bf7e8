//! The layers of the U-Net compared with the limits of the processor (a roofline model).
//!
//! `cargo bench -p engine --bench layers [-- WIDTH [BATCH]]`: 160x160, by default width 16 and batch 4. `AMLP_SIMD` selects the
//! instruction set.
//!
//! The peak is measured with the fastest tile, all its numbers in the L1 cache, on all threads at once. The bandwidth is that
//! of a copy. A layer takes at least the time of its operations at the peak, and at least the time to move its input, output
//! and weights once at the bandwidth. The roof is the longer of the two. Operations are counted from the definition of a
//! convolution. Winograd's algorithm needs fewer, so a wide layer may exceed the roof. The convolutions of a block are also timed
//! alone; the rest of its time is normalisation and `ReLU`.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::time::Instant;

use anyhow::Context;
use burn::tensor::{Device, Distribution, Tensor};
use engine::compute::{self, Unit, UnitNorm};
use lanes::{Cpu, Left, Right, Segment, Shape, Start, Tile};

const SIZE: usize = 160;
const DEPTH: usize = 4;
const RUNS: usize = 9;

/// Peak of all threads in GFLOP/s, measured with tiles in the L1 cache. Multiplications and additions count separately.
fn peak(cpu: Cpu, threads: usize) -> f64 {
    let one = || {
        let (steps, width) = (256, 2 * cpu.lanes());
        // A multiple of every tile height.
        let rows = 12;
        let (left, right) = (vec![0.5f32; rows * steps], vec![0.25f32; steps * width]);
        let mut out = vec![0.0f32; rows * width];
        let segments = [Segment { left: 0, right: 0, length: steps }];
        let shape = Shape { rows, vectors: 2, columns: width };
        let tile = Tile::new(
            shape,
            Left { values: &left, row_stride: 1, step_stride: rows },
            Right { values: &right, step_stride: width },
            &segments,
            Start::Zero,
        );
        let rounds = 20_000;
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let start = Instant::now();
            for _ in 0..rounds {
                cpu.tile(&tile, std::hint::black_box(&mut out), width);
            }
            best = best.min(start.elapsed().as_secs_f64());
        }
        (2 * rounds * rows * steps * width) as f64 / best / 1e9
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

/// Copy bandwidth of all threads in GB/s. Bytes read and bytes written count separately.
fn bandwidth(threads: usize) -> f64 {
    let one = || {
        let from = vec![1u8; 128 << 20];
        let mut to = vec![0u8; from.len()];
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let start = Instant::now();
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            best = best.min(start.elapsed().as_secs_f64());
        }
        (2 * from.len()) as f64 / best / 1e9
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        all.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

/// A layer with its operations and bytes of a forward pass.
struct Layer {
    name: String,
    operations: f64,
    bytes: f64,
    /// Seconds of a forward and a backward pass.
    seconds: [f64; 2],
    /// Seconds of a block's convolutions alone, forward.
    convolutions: Option<f64>,
}

fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 0.1), device)
}

/// Median seconds of forward and backward of an operation on tracked tensors.
fn timed(input: &Tensor<4>, forward: impl Fn(Tensor<4>) -> Option<Tensor<4>>) -> anyhow::Result<[f64; 2]> {
    let mut times = [const { Vec::new() }; 2];
    for run in 0..RUNS + 2 {
        let tracked = input.clone().require_grad();
        let start = Instant::now();
        let output = forward(tracked).context("no kernel for this tensor")?;
        let there = start.elapsed().as_secs_f64();
        let sum = output.sum();
        let start = Instant::now();
        std::hint::black_box(sum.backward());
        if run >= 2 {
            times[0].push(there);
            times[1].push(start.elapsed().as_secs_f64());
        }
    }
    Ok(times.map(|times| common::Seconds::of(times).median))
}

/// A block: two convolutions with batch norm and `ReLU`.
fn block(name: String, batch: usize, size: usize, inputs: [usize; 2], output: usize) -> anyhow::Result<Layer> {
    let device = Device::flex().autodiff();
    let input = inputs[0] + inputs[1];
    let unit = |channels: usize| Unit {
        weight: normal([output, channels, 3, 3], &device).require_grad(),
        bias: normal([output], &device).require_grad(),
        affine: Some([normal([output], &device).require_grad(), normal([output], &device).require_grad()]),
        norm: UnitNorm::Batch(1e-5),
    };
    let units = [unit(input), unit(output)];
    let beside = (inputs[1] > 0).then(|| normal([batch, size, size, inputs[1]], &device));
    let x = normal([batch, size, size, inputs[0]], &device);
    let seconds = timed(&x, |x| Some(compute::block(&x, beside.as_ref(), &units)?.values))?;
    let all_inputs = normal([batch, size, size, input], &device);
    let [convolutions, _] =
        timed(&all_inputs, |x| units.iter().try_fold(x, |x, unit| compute::convolve(&x, &unit.weight, &unit.bias)))?;
    let (pixels, channels) = (batch * size * size, input + output);
    let operations = 18.0 * (pixels * output * channels) as f64;
    let bytes = 4.0 * (pixels * (input + 3 * output) + 9 * output * channels) as f64;
    Ok(Layer { name, operations, bytes, seconds, convolutions: Some(convolutions) })
}

fn upsampling(name: String, batch: usize, size: usize, [input, output]: [usize; 2]) -> anyhow::Result<Layer> {
    let device = Device::flex().autodiff();
    let weight = normal([input, output, 2, 2], &device).require_grad();
    let bias = normal([output], &device).require_grad();
    let x = normal([batch, size, size, input], &device);
    let seconds = timed(&x, |x| compute::upsample(&x, &weight, &bias))?;
    let pixels = batch * size * size;
    let operations = 8.0 * (pixels * input * output) as f64;
    let bytes = 4.0 * (pixels * (input + 4 * output) + 4 * input * output) as f64;
    Ok(Layer { name, operations, bytes, seconds, convolutions: None })
}

fn pooling(name: String, batch: usize, size: usize, channels: usize) -> anyhow::Result<Layer> {
    let x = normal([batch, size, size, channels], &Device::flex().autodiff());
    let seconds = timed(&x, |x| compute::max_pool(&x))?;
    let numbers = (batch * size * size * channels) as f64;
    Ok(Layer { name, operations: 0.75 * numbers, bytes: 5.0 * numbers, seconds, convolutions: None })
}

fn layers(width: usize, batch: usize) -> anyhow::Result<Vec<Layer>> {
    let mut layers = Vec::new();
    let (size, channels) = (|level: usize| SIZE >> level, |level: usize| width << level);
    for level in 0..=DEPTH {
        let input = if level == 0 { 1 } else { channels(level - 1) };
        layers.push(block(format!("encoder {level}"), batch, size(level), [input, 0], channels(level))?);
        if level < DEPTH {
            layers.push(pooling(format!("pooling {level}"), batch, size(level), channels(level))?);
        }
    }
    for level in (0..DEPTH).rev() {
        let both = [channels(level + 1), channels(level)];
        layers.push(upsampling(format!("upsampling {level}"), batch, size(level + 1), both)?);
        layers.push(block(format!("decoder {level}"), batch, size(level), [channels(level); 2], channels(level))?);
    }
    Ok(layers)
}

fn main() -> anyhow::Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (width, batch) = (numbers.first().copied().unwrap_or(16), numbers.get(1).copied().unwrap_or(4));
    let simd = compute::instructions()?;
    let cpu = Cpu::all().into_iter().find(|cpu| cpu.name() == simd).context("no such instructions")?;
    let threads = common::threads();
    let (peak, bandwidth) = (peak(cpu, threads), bandwidth(threads));
    println!(
        "U-Net of width {width}, {SIZE}x{SIZE}, batch {batch}, f32, {threads} threads, {simd}: at most {peak:.0} GFLOP/s and \
         {bandwidth:.1} GB/s"
    );
    let mut rows = Vec::new();
    for Layer { name, operations, bytes, seconds: [forward, backward], convolutions } in layers(width, batch)? {
        let roof = (operations / peak).max(bytes / bandwidth) / 1e9;
        rows.push(vec![
            name,
            common::ms(forward),
            convolutions.map(common::ms).unwrap_or_default(),
            common::ms(backward),
            format!("{:.0}", operations / forward / 1e9),
            format!("{:.1}", bytes / forward / 1e9),
            if operations / peak > bytes / bandwidth { "arithmetic".into() } else { "memory".into() },
            format!("{:.0} %", 100.0 * roof / forward),
        ]);
    }
    let header = [
        "layer",
        "forward, ms",
        "its convolutions, ms",
        "backward, ms",
        "GFLOP/s",
        "GB/s",
        "nearer roof",
        "of the roof",
    ];
    common::print_table(&header, &rows);
    Ok(())
}
