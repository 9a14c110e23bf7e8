//! A training step on made-up slices: what it takes does not depend on what they show.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use super::network_config;
use crate::Result;
use crate::config::Config;
use crate::device::Compute;
use crate::event::Control;
use crate::loss::dice_cross_entropy;
use crate::seed::stream;
use crate::trainer::measure_step;

/// Seconds of a step on a batch of `slices` made-up slices, on a network of its own.
pub(crate) fn synthetic_step(config: &Config, slices: usize, compute: &Compute, control: &Control) -> Result<f64> {
    let (device, size) = (compute.training(), config.preprocess.size);
    let mut draw = stream(config.seed, "made-up slices", &[]);
    let mut made = |channels: usize, binary: bool| {
        let count = slices * channels * size * size;
        let values: Vec<f32> = (0..count)
            .map(|_| {
                let value: f32 = draw.random();
                if binary { value.round() } else { value }
            })
            .collect();
        Tensor::<4>::from_data(TensorData::new(values, [slices, channels, size, size]), &device)
    };
    let (image, target) = (made(config.data.modality.len(), false), made(config.data.targets.count(), true));
    measure_step(&network_config(config), &config.training, &device, |network| {
        control.pass()?;
        Ok(dice_cross_entropy(network.forward(image.clone()), target.clone()))
    })
}
