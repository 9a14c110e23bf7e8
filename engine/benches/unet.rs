//! One training step (forward, backward, `AdamW`) and inference of the U-Net, on one image and on a batch, compared with
//! `PyTorch`.
//!
//! `cargo bench -p engine --bench unet [-- --width 8,16,32,64 --batch 4,16 --size 160,96 --simd avx512,avx2,portable]`, with
//! `AMLP_PEER_PYTHON` set for the comparison. Default: widths 16 and 32, batch 4, 160x160 images and the fastest instruction set.
//! Both sides use all cores, single precision and the same instruction set. They run alternately in separate processes, five
//! times each. Times are medians over all runs; memory is the peak resident set size.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use engine::config::TrainingConfig;
use engine::model::UNetConfig;
use engine::trainer::optimizer;
use serde_json::{Value, json};

use common::{Seconds, ms, ratio};

const RUNS: usize = 5;
const TURNS: usize = 5;
/// Times reported by a turn, in seconds. The peer reports the first three.
const TIMES: [&str; 6] = ["train", "infer", "infer_batch", "forward", "backward", "optimiser"];

/// Times a network of this width on images of `size` pixels per side, and returns `{"train": {"min", "median"}, .., "peak_mib"}`.
fn ours(width: usize, batch: usize, size: usize) -> anyhow::Result<Value> {
    let device = Device::flex();
    let tracked = device.clone().autodiff();
    let config = UNetConfig { width, ..UNetConfig::default() };
    let mut network = Some(config.init(0, &tracked));
    let mut optimiser = optimizer(&TrainingConfig::default());
    let random = |batch: usize, device: &Device| {
        Tensor::<4>::random([batch, 1, size, size], Distribution::Normal(0.0, 1.0), device)
    };
    let (images, targets) = (random(batch, &tracked), random(batch, &tracked));
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
    // As segmentation runs it: the warm-up packs the weights.
    let network = network.context("the network was lost in a step")?.pack();
    let image = random(1, &device);
    let infer = common::time(2, RUNS, || network.forward(image.clone()).into_data());
    let images = random(batch, &device);
    let infer_batch = common::time(2, RUNS, || network.forward(images.clone()).into_data());
    let [forward, backward, optimiser] = phases.map(|p| Seconds::of(p[2..].to_vec()));
    let mut report = serde_json::Map::new();
    for (name, s) in TIMES.into_iter().zip([train, infer, infer_batch, forward, backward, optimiser]) {
        report.insert(name.into(), json!({"min": s.min, "median": s.median}));
    }
    report.insert("peak_mib".into(), common::peak_mib().into());
    Ok(report.into())
}

/// What is compared.
#[derive(Clone, Copy)]
struct Case<'a> {
    width: usize,
    batch: usize,
    size: usize,
    simd: &'a str,
}

impl Case<'_> {
    /// Runs one turn of this program in a separate process, to measure its memory.
    fn turn(self) -> anyhow::Result<Value> {
        let mut turn = Command::new(std::env::current_exe()?);
        let numbers = [self.width, self.batch, self.size].map(|number| number.to_string());
        turn.arg("--one").args(numbers).env("AMLP_SIMD", self.simd);
        let output = turn.output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Limits PyTorch to the same instructions.
    fn peer(self) -> &'static [(&'static str, &'static str)] {
        match self.simd {
            "avx512" => &[],
            "avx2" => &[("ATEN_CPU_CAPABILITY", "avx2"), ("ONEDNN_MAX_CPU_ISA", "AVX2")],
            _ => &[("ATEN_CPU_CAPABILITY", "default"), ("ONEDNN_MAX_CPU_ISA", "SSE41")],
        }
    }
}

/// The median of one number over all turns.
fn median(turns: &[Value], number: impl Fn(&Value) -> Option<f64>) -> f64 {
    Seconds::of(turns.iter().filter_map(number).collect()).median
}

fn rows(case: Case<'_>, threads: usize) -> anyhow::Result<Vec<Vec<String>>> {
    let Case { width, batch, size, .. } = case;
    let options = [("width", width), ("size", size), ("batch", batch), ("threads", threads), ("runs", RUNS)];
    let mut arguments: Vec<String> = options.iter().flat_map(|(k, v)| [format!("--{k}"), v.to_string()]).collect();
    arguments.extend(["--layout".to_owned(), "channels last".to_owned()]);
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    let mut absent = None;
    for _ in 0..TURNS {
        own.push(case.turn()?);
        if absent.is_none() {
            match common::peer_with("unet_step.py", &arguments, case.peer()) {
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
        rows.push([row_start(case), vec![format!("{what}, ms"), ms(a), cell, factor]].concat());
    }
    let of = |v: &Value| v["peak_mib"].as_f64();
    let (a, b) = (median(&own, of), median(&theirs, of));
    let (cell, factor) = if b.is_nan() { ("-".into(), "-".into()) } else { (format!("{b:.0}"), ratio(b, a)) };
    rows.push([row_start(case), vec!["peak memory, MiB".into(), format!("{a:.0}"), cell, factor]].concat());
    Ok(rows)
}

/// The first cells of a row.
fn row_start(case: Case<'_>) -> Vec<String> {
    let Case { width, batch, size, simd } = case;
    vec![simd.into(), width.to_string(), batch.to_string(), size.to_string()]
}

/// The values of an option, separated by commas.
fn listed<'a>(arguments: &'a [String], option: &str, default: &'a str) -> Vec<&'a str> {
    let at = arguments.iter().position(|argument| argument == option);
    at.and_then(|at| arguments.get(at + 1)).map_or(default, String::as_str).split(',').collect()
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--one") {
        let number = |at: usize| anyhow::Ok(arguments.get(at).context("--one needs width, batch and size")?.parse()?);
        println!("{}", ours(number(at + 1)?, number(at + 2)?, number(at + 3)?)?);
        return Ok(());
    }
    let threads = common::threads();
    println!("U-Net, f32, {threads} threads; median of {TURNS} turns of {RUNS}. infer: one image");
    let mut table = Vec::new();
    for simd in listed(&arguments, "--simd", engine::compute::instructions()?) {
        for width in listed(&arguments, "--width", "16,32") {
            for batch in listed(&arguments, "--batch", "4") {
                for size in listed(&arguments, "--size", "160") {
                    let case = Case { width: width.parse()?, batch: batch.parse()?, size: size.parse()?, simd };
                    table.extend(rows(case, threads)?);
                }
            }
        }
    }
    common::print_table(&["simd", "width", "batch", "size", "what", "engine", "PyTorch", "PyTorch / engine"], &table);
    Ok(())
}
