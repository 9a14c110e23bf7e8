//! One training step (forward, backward, `AdamW`) and one inference of the U-Net, compared with `PyTorch`.
//!
//! `cargo bench -p engine --bench unet`, with `AMLP_PEER_PYTHON` set for the comparison. Both sides use all cores, 160x160
//! images, batch 4 in training and 1 in inference, single precision. They run alternately in separate processes, five times
//! each. Times are medians over all runs; memory is the peak resident set size.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use engine::model::{UNet, UNetConfig};
use serde_json::{Value, json};

use common::{Seconds, ms, ratio};

const SIZE: usize = 160;
const BATCH: usize = 4;
const RUNS: usize = 5;
const TURNS: usize = 5;
/// Times reported by a turn, in seconds. The peer reports the first two.
const TIMES: [&str; 5] = ["train", "infer", "forward", "backward", "optimiser"];

/// Times a network of this width and returns `{"train": {"min", "median"}, .., "peak_mib"}`.
fn ours(width: usize) -> anyhow::Result<Value> {
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    let config = UNetConfig { width, ..UNetConfig::default() };
    let mut network = Some(config.init(0, &tracked));
    let mut optimiser = AdamWConfig::new().init();
    let random = |batch: usize, device: &Device| {
        Tensor::<4>::random([batch, 1, SIZE, SIZE], Distribution::Normal(0.0, 1.0), device)
    };
    let (images, targets) = (random(BATCH, &tracked), random(BATCH, &tracked));
    let mut phases = [const { Vec::new() }; 3];
    let train = common::time(2, RUNS, || {
        let current = network.take()?;
        let start = Instant::now();
        let loss = (current.forward(images.clone()) - targets.clone()).powf_scalar(2.0).mean();
        phases[0].push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        phases[1].push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        network = Some(optimiser.step(1e-4, current, gradients));
        device.sync().ok()?;
        phases[2].push(start.elapsed().as_secs_f64());
        Some(())
    });
    let network: UNet = network.context("the network was lost in a step")?.valid();
    let image = random(1, &device);
    let infer = common::time(2, RUNS, || network.forward(image.clone()).into_data());
    let [forward, backward, optimiser] = phases.map(|p| Seconds::of(p[2..].to_vec()));
    let mut report = serde_json::Map::new();
    for (name, s) in TIMES.into_iter().zip([train, infer, forward, backward, optimiser]) {
        report.insert(name.into(), json!({"min": s.min, "median": s.median}));
    }
    report.insert("peak_mib".into(), common::peak_mib().into());
    Ok(report.into())
}

/// Runs one turn of this program in a separate process, to measure its memory.
fn turn(width: usize) -> anyhow::Result<Value> {
    let output = Command::new(std::env::current_exe()?).args(["--one", &width.to_string()]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The median of one number over all turns.
fn median(turns: &[Value], number: impl Fn(&Value) -> Option<f64>) -> f64 {
    Seconds::of(turns.iter().filter_map(number).collect()).median
}

fn rows(width: usize, threads: usize) -> anyhow::Result<Vec<Vec<String>>> {
    let options = [("width", width), ("size", SIZE), ("batch", BATCH), ("threads", threads), ("runs", RUNS)];
    let mut arguments: Vec<String> = options.iter().flat_map(|(k, v)| [format!("--{k}"), v.to_string()]).collect();
    arguments.extend(["--layout".to_owned(), "channels last".to_owned()]);
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    let mut absent = None;
    for _ in 0..TURNS {
        own.push(turn(width)?);
        if absent.is_none() {
            match common::peer("unet_step.py", &arguments) {
                Ok(report) => theirs.push(report),
                Err(why) => absent = Some(why),
            }
        }
    }
    if let Some(why) = absent {
        println!("no comparison with PyTorch: {why}");
    }
    let mut rows = Vec::new();
    for what in TIMES {
        let of = |v: &Value| v[what]["median"].as_f64();
        let (a, b) = (median(&own, of), median(&theirs, of));
        let (cell, factor) = if b.is_nan() { ("-".into(), "-".into()) } else { (ms(b), ratio(b, a)) };
        rows.push(vec![width.to_string(), format!("{what}, ms"), ms(a), cell, factor]);
    }
    let of = |v: &Value| v["peak_mib"].as_f64();
    let (a, b) = (median(&own, of), median(&theirs, of));
    let (cell, factor) = if b.is_nan() { ("-".into(), "-".into()) } else { (format!("{b:.0}"), ratio(b, a)) };
    rows.push(vec![width.to_string(), "peak memory, MiB".into(), format!("{a:.0}"), cell, factor]);
    Ok(rows)
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--one") {
        println!("{}", ours(arguments.get(at + 1).context("--one needs a width")?.parse()?)?);
        return Ok(());
    }
    let threads = common::threads();
    println!(
        "U-Net, {SIZE}x{SIZE}, batch {BATCH} (inference: one image), f32, {threads} threads; median of {TURNS} turns of {RUNS}"
    );
    let mut table = Vec::new();
    for width in [16, 32] {
        table.extend(rows(width, threads)?);
    }
    common::print_table(&["width", "what", "engine", "PyTorch", "PyTorch / engine"], &table);
    Ok(())
}
