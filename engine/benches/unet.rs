//! One training step (forward, backward, `AdamW`) and one inference of the U-Net, beside `PyTorch`.
//!
//! `cargo bench -p engine --bench unet`, with `AMLP_PEER_PYTHON` set for the comparison. Both sides use all cores,
//! 160x160 images, batches of 4 in training and of 1 in inference, single precision.
#![allow(clippy::print_stdout, reason = "this program exists to print its table")]

mod common;

use anyhow::Context;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use engine::model::{UNet, UNetConfig};

use common::{Seconds, ms, ratio};

const SIZE: usize = 160;
const BATCH: usize = 4;
const RUNS: usize = 5;

/// (training step, inference of one image) of a network of this width.
fn ours(width: usize, device: &Device) -> anyhow::Result<(Seconds, Seconds)> {
    let tracked = device.clone().autodiff();
    let config = UNetConfig { width, ..UNetConfig::default() };
    let mut network = Some(config.init(0, &tracked));
    let mut optimiser = AdamWConfig::new().init();
    let random = |batch: usize, device: &Device| {
        Tensor::<4>::random([batch, 1, SIZE, SIZE], Distribution::Normal(0.0, 1.0), device)
    };
    let (images, targets) = (random(BATCH, &tracked), random(BATCH, &tracked));
    let train = common::time(2, RUNS, || {
        let current = network.take()?;
        let loss = (current.forward(images.clone()) - targets.clone()).powf_scalar(2.0).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        network = Some(optimiser.step(1e-4, current, gradients));
        device.sync().ok()
    });
    let network: UNet = network.context("the network was lost in a step")?.valid();
    let image = random(1, device);
    let infer = common::time(2, RUNS, || network.forward(image.clone()).into_data());
    Ok((train, infer))
}

fn main() -> anyhow::Result<()> {
    let device = Device::flex();
    let threads = common::threads();
    println!(
        "U-Net, {SIZE}x{SIZE}, batch {BATCH} (inference: one image), f32, {threads} threads; fastest of {RUNS}, ms"
    );
    let mut rows = Vec::new();
    for width in [16, 32] {
        let (train, infer) = ours(width, &device)?;
        let options = [("width", width), ("size", SIZE), ("batch", BATCH), ("threads", threads), ("runs", RUNS)];
        let arguments: Vec<String> = options.iter().flat_map(|(k, v)| [format!("--{k}"), v.to_string()]).collect();
        let peer = common::peer("unet_step.py", &arguments);
        if let Err(why) = &peer {
            println!("no comparison with PyTorch: {why}");
        }
        for (what, ours) in [("train", train), ("infer", infer)] {
            let theirs = peer.as_ref().ok().and_then(|p| Seconds::from_json(&p[what]));
            let (cell, factor) = theirs.map_or(("-".into(), "-".into()), |t| (ms(t.min), ratio(ours.min, t.min)));
            rows.push(vec![width.to_string(), what.into(), ms(ours.min), cell, factor]);
        }
    }
    common::print_table(&["width", "what", "engine", "PyTorch", "engine / PyTorch"], &rows);
    Ok(())
}
