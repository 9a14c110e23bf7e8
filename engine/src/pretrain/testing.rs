//! Code shared by the tests of all methods.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::Tensor;

use super::network_config;
use super::synthetic::synthetic_batch;
use super::task::{PretextTask, new_task};
use crate::config::Config;
use crate::device::Compute;
use crate::model::UNetConfig;
use crate::trainer::{GradientEngine, MicroBatch, gradient_norm};

/// Settings of a network of width 2 and depth 4 on slices of 32 pixels.
pub(in crate::pretrain) fn config() -> Config {
    sized(32)
}

/// The same on slices of another size.
pub(in crate::pretrain) fn sized(size: usize) -> Config {
    let mut config = Config::default();
    config.data.modality = vec!["pet".into()];
    config.preprocess.size = size;
    config.network = UNetConfig { width: 2, depth: 4, ..UNetConfig::default() };
    config.training.batch = 4;
    config.training.epochs = 10;
    config
}

/// A task for 40 training slices.
pub(in crate::pretrain) fn task<T: PretextTask>(config: &Config) -> T {
    new_task(config, 40, &Compute::cpu().device).unwrap()
}

/// Checks that the estimated memory counts the weights that the method adds to the U-Net.
pub(in crate::pretrain) fn check_head<T: PretextTask>(config: &Config) {
    let device = Compute::cpu().device;
    let unet = network_config(config).init(0, &device).num_params();
    assert_eq!(task::<T>(config).build(0, &device).num_params(), unet + T::head(config).weights);
}

/// Checks that the gradient is the slope of the loss: a step of plain gradient descent must reduce the loss by the step size
/// times the squared norm of the gradient.
pub(in crate::pretrain) fn check_gradient<T: PretextTask>(config: &Config) {
    check_gradient_of(&task::<T>(config), config, 0);
}

/// [`check_gradient`] of a task in a state, at a step.
pub(in crate::pretrain) fn check_gradient_of<T: PretextTask>(task: &T, config: &Config, step: usize) {
    let loss = |net: &T::Net, batch: &T::Batch| {
        let device = GradientEngine::new(&Compute::cpu(), 0).device().clone();
        task.loss(net, batch, &MicroBatch::whole(config.training.batch, &device)).unwrap().objective
    };
    check_slope_of(task, config, step, loss);
}

/// [`check_gradient`] against the slope of `loss`, which is initially the task's loss.
pub(in crate::pretrain) fn check_slope<T: PretextTask>(
    config: &Config,
    loss: impl Fn(&T::Net, &T::Batch) -> Tensor<1>,
) {
    check_slope_of(&task::<T>(config), config, 0, loss);
}

fn check_slope_of<T: PretextTask>(
    task: &T,
    config: &Config,
    step: usize,
    loss: impl Fn(&T::Net, &T::Batch) -> Tensor<1>,
) {
    let size = config.training.batch;
    let engine = GradientEngine::new(&Compute::cpu(), 0);
    let device = engine.device().clone();
    let batch = synthetic_batch(task, config, size, step).unwrap();
    let net = task.build(3, &device);
    let value = |net: &T::Net| loss(net, &batch).inner().into_data().iter::<f64>().next().unwrap();
    let micro = MicroBatch::whole(size, &device);
    let start = task.loss(&net, &batch, &micro).unwrap();
    let (value_here, norm) = (value(&net), gradient_norm(&net, &start.objective));
    assert!(norm > 0.0 && value_here.is_finite(), "no gradient: loss {value_here}, norm {norm}");
    let rate = 1e-3 * value_here.abs().max(1e-3) / (norm * norm);
    let loss_after = |rate: f64| {
        let (gradients, _) = engine.gradients(task, &net, &batch, size).unwrap();
        value(&SgdConfig::new().init().step(rate, net.clone(), gradients))
    };
    let slope = (loss_after(-rate) - loss_after(rate)) / (2.0 * rate);
    assert!(
        (slope / (norm * norm) - 1.0).abs() < 0.03,
        "the slope of the loss is {slope}, the gradient predicts {}",
        norm * norm
    );
}

/// Checks that two micro-batches give the loss and the gradient of the whole batch.
pub(in crate::pretrain) fn check_micro_batches<T: PretextTask>(config: &Config) {
    let mut config = config.clone();
    config.network.norm = crate::model::Norm::None;
    check_micro_batches_of(&task::<T>(&config), &config, 0);
}

/// [`check_micro_batches`] of a task in a state, at a step.
pub(in crate::pretrain) fn check_micro_batches_of<T: PretextTask>(task: &T, config: &Config, step: usize) {
    let size = config.training.batch;
    let batch = synthetic_batch(task, config, size, step).unwrap();
    let of = |micro: usize| {
        let engine = GradientEngine::new(&Compute::cpu(), micro);
        let net = task.build(3, engine.device());
        let (gradients, output) = engine.gradients(task, &net, &batch, size).unwrap();
        let moved = SgdConfig::new().init().step(0.1, net, gradients);
        (output, crate::model::record::to_bytes(&moved).unwrap())
    };
    let ((whole, moved), (split, split_moved)) = (of(0), of(size.div_ceil(2)));
    assert!((whole.loss / split.loss - 1.0).abs() < 1e-5, "{} {}", whole.loss, split.loss);
    for ((name, a), (_, b)) in whole.diagnostics.iter().zip(&split.diagnostics) {
        assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{name}: {a} {b}");
    }
    let file = |bytes: &[u8]| -> Vec<f32> {
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let names = tensors.names().into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let values = |name: &String| {
            let data = tensors.tensor(name).unwrap().data().to_vec();
            data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<_>>()
        };
        names.iter().flat_map(values).collect()
    };
    for (a, b) in file(&moved).iter().zip(file(&split_moved)) {
        assert!((a - b).abs() < 1e-4, "whole and split batch move a weight to {a} and {b}");
    }
}
