//! Tests of micro-batches and of several devices.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::config::Config;
use crate::finetune::{DiceCrossEntropy, Samples};
use crate::model::{Norm, UNet, UNetConfig, record};
use crate::pretrain::amlp::SyntheticSlices;
use crate::test_tensors::gradient_values;
use crate::trainer::{MicroLoss, optimizer};

const BATCH: usize = 6;

fn config(norm: Norm) -> Config {
    let mut config = Config::default();
    config.data.modality = vec!["pet".into()];
    config.preprocess.size = 16;
    config.method.grid = 4;
    config.network = UNetConfig { width: 3, depth: 2, norm, ..UNetConfig::default() };
    config
}

fn engine(devices: usize, micro_batch: usize) -> GradientEngine {
    let mut compute = Compute::cpu();
    compute.others = vec![compute.device.clone(); devices - 1];
    GradientEngine::new(&compute, micro_batch)
}

/// Slices with lesions of different sizes, so that the Dice of a micro-batch differs from that of the batch.
fn samples(config: &Config) -> Samples {
    let size = config.preprocess.size;
    let slice = |index: usize| {
        let bits: Vec<u8> = (0..size * size).map(|p| u8::from(p % size < 2 * index && p / size < 9)).collect();
        let pixels =
            bits.iter().enumerate().map(|(p, b)| f32::from(*b) + ((p * 7 + index) % 13) as f32 / 9.0).collect();
        (pixels, bits)
    };
    Samples::new((0..BATCH).map(slice).collect(), 1, 1, size)
}

fn gradients<O: Objective>(objective: &O, batch: &O::Batch, devices: usize, micro: usize) -> (Vec<f32>, StepOutput) {
    let engine = engine(devices, micro);
    let net = objective.build(3, engine.device());
    let (gradients, output) = engine.gradients(objective, &net, batch, BATCH).unwrap();
    (gradient_values(&net, &gradients), output)
}

fn compare<O: Objective>(objective: &O, batch: &O::Batch) {
    let (whole, expected) = gradients(objective, batch, 1, 0);
    let largest = whole.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    assert!(largest > 1e-4, "nothing to compare");
    for (devices, micro) in [(1, 1), (1, 2), (1, 4), (2, 0), (3, 0), (2, 2), (4, 1)] {
        let (sum, output) = gradients(objective, batch, devices, micro);
        let off = whole.iter().zip(&sum).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5 * largest.max(1.0), "{devices} devices, {micro} at once: off by {off} of {largest}");
        // The losses do not depend on the split.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-5 * b.abs().max(1.0);
        assert!(near(output.loss, expected.loss), "{} and {}", output.loss, expected.loss);
        assert_eq!(output.parts.len(), expected.parts.len());
        for ((name, a), (_, b)) in output.parts.iter().zip(&expected.parts) {
            assert!(near(*a, *b), "{name}: {a} and {b}");
        }
        assert_eq!(output.per_slice.len(), expected.per_slice.len());
        let differs =
            |index: usize| output.picture(index).unwrap().unwrap() != expected.picture(index).unwrap().unwrap();
        assert!(!(0..BATCH).any(differs) && output.picture(BATCH).unwrap().is_none(), "the slices' order changed");
    }
}

#[test]
fn accumulated_gradients_of_pretraining_equal_those_of_the_whole_batch() {
    for norm in [Norm::None, Norm::Instance] {
        let trial = SyntheticSlices::new(&config(norm), BATCH).unwrap();
        compare(&trial.objective(), &trial.masked(0.5, 1));
    }
}

#[test]
fn accumulated_gradients_of_finetuning_equal_those_of_the_whole_batch() {
    for norm in [Norm::None, Norm::Instance] {
        let config = config(norm);
        compare(&DiceCrossEntropy(&config), &samples(&config));
    }
}

/// Shows why whole-batch statistics are needed: the Dice of each micro-batch would give another update.
#[test]
fn a_dice_per_micro_batch_has_a_different_gradient() {
    struct PerMicroBatchDice<'a>(DiceCrossEntropy<'a>);
    impl Objective for PerMicroBatchDice<'_> {
        type Net = UNet;
        type Batch = Samples;
        fn build(&self, seed: u64, device: &Device) -> UNet {
            self.0.build(seed, device)
        }
        fn loss(&self, net: &UNet, batch: &Samples, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
            let alone = MicroBatch { of: micro.range.len(), statistics: &[], ..micro.clone() };
            let loss = self.0.loss(net, batch, &alone)?;
            Ok(MicroLoss { objective: micro.weighted(loss.objective), ..loss })
        }
    }
    let config = config(Norm::None);
    let (right, _) = gradients(&DiceCrossEntropy(&config), &samples(&config), 1, 2);
    let (wrong, _) = gradients(&PerMicroBatchDice(DiceCrossEntropy(&config)), &samples(&config), 1, 2);
    let off = right.iter().zip(&wrong).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off > 1e-4, "{off}");
}

/// The CPU listed twice stands for two devices.
#[test]
fn two_devices_give_the_same_weights_as_two_micro_batches() {
    let config = config(Norm::Instance);
    let trial = SyntheticSlices::new(&config, BATCH).unwrap();
    let weights = |devices, micro, steps| {
        let engine = engine(devices, micro);
        let (mut net, mut optimizer) = (trial.objective().build(3, engine.device()), optimizer(&config.training));
        for epoch in 0..steps {
            let (gradients, _) = engine.gradients(&trial.objective(), &net, &trial.masked(0.5, epoch), BATCH).unwrap();
            net = optimizer.step(1e-2, net, gradients);
        }
        record::to_bytes(&net).unwrap()
    };
    assert!(weights(2, 0, 3) == weights(1, BATCH / 2, 3));
    assert!(weights(2, 0, 3) != weights(2, 0, 0), "nothing was learned");
}

/// Fails with a device's message, as an error or as a panic.
struct FailingObjective(&'static str, bool);

impl Objective for FailingObjective {
    type Net = UNet;
    type Batch = ();
    fn build(&self, seed: u64, device: &Device) -> UNet {
        UNetConfig { width: 1, depth: 1, ..UNetConfig::default() }.init(seed, device)
    }
    fn loss(&self, _: &UNet, (): &(), _: &MicroBatch<'_>) -> Result<MicroLoss> {
        assert!(!self.1, "{}", self.0);
        Err(compute("a test", &self.0))
    }
}

fn failure(objective: &FailingObjective, size: usize, micro: usize) -> Error {
    let engine = engine(1, micro);
    let net = objective.build(0, engine.device());
    engine.gradients(objective, &net, &(), size).map(|(_, output)| output).unwrap_err()
}

#[test]
fn an_out_of_memory_error_suggests_a_smaller_micro_batch() {
    for panics in [false, true] {
        let objective = FailingObjective("out of device memory allocating 4096 bytes", panics);
        let error = failure(&objective, 8, 0);
        let ErrorKind::DeviceMemory { device, what, why } = error.kind() else { panic!("{error}") };
        assert_eq!((device.as_str(), why.contains("4096 bytes")), ("cpu", true));
        assert!(what.contains("8 slices") && what.contains("training.micro_batch = 4"), "{what}");
        // The suggestion halves the configured micro-batch, not the batch.
        let error = failure(&objective, 8, 3).to_string();
        assert!(error.contains("3 slices") && error.contains("micro_batch = 1"), "{error}");
        let error = failure(&objective, 8, 1).to_string();
        assert!(error.contains("a single slice") && error.contains("Resume"), "{error}");
    }
}

#[test]
fn a_lost_device_is_named_and_other_errors_are_unchanged() {
    for panics in [false, true] {
        let error = failure(&FailingObjective("the device is lost", panics), 1, 0);
        assert!(matches!(error.kind(), ErrorKind::DeviceLost { device, .. } if device == "cpu"), "{error}");
    }
    let error = failure(&FailingObjective("index out of bounds", false), 1, 0);
    assert!(matches!(error.kind(), ErrorKind::Compute { .. }), "{error}");
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn a_panic_that_is_not_a_device_failure_propagates() {
    failure(&FailingObjective("index out of bounds", true), 1, 0);
}

#[test]
fn micro_batches_cover_the_batch_evenly() {
    for (size, devices, micro) in [(1, 1, 0), (7, 2, 0), (7, 3, 2), (2, 4, 0), (36, 2, 5), (5, 1, 9), (9, 1, 8)] {
        let shares = micro_batches(size, devices, micro);
        let all: Vec<usize> = shares.iter().flatten().flat_map(Clone::clone).collect();
        assert_eq!(all, (0..size).collect::<Vec<_>>(), "{size} {devices} {micro}");
        assert!(shares.len() <= devices && shares.iter().flatten().all(|p| micro == 0 || p.len() <= micro));
        let lengths = || shares.iter().flatten().map(Range::len);
        assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1, "{size} {devices} {micro}: {shares:?}");
    }
}
