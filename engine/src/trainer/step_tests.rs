//! Tests of steps in portions and on several devices.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::module::{ModuleVisitor, Param};

use super::*;
use crate::config::Config;
use crate::finetune::Samples;
use crate::model::{Norm, UNetConfig};
use crate::pretrain::Trial;
use crate::trainer::optimizer;

const BATCH: usize = 6;

fn config(norm: Norm) -> Config {
    let mut config = Config::default();
    config.preprocess.size = 16;
    config.method.grid = 4;
    config.network = UNetConfig { width: 3, depth: 2, norm, ..UNetConfig::default() };
    config
}

fn stepper(config: &Config, devices: usize, micro: usize, fault: &str) -> Stepper {
    let mut compute = Compute::cpu();
    compute.beside = vec![compute.device.clone(); devices - 1];
    let network = config.network.init(3, &compute.training());
    let mut stepper = Stepper::new(network, optimizer(&config.training), &compute, micro);
    stepper.fault = DeviceFault::parse(fault);
    stepper.guarded = stepper.fault.is_planned();
    stepper
}

/// Lesions of different sizes: the portions' Dice differ from the batch's.
fn samples(config: &Config) -> Samples {
    let size = config.preprocess.size;
    let slice = |at: usize| {
        let bits: Vec<u8> = (0..size * size).map(|p| u8::from(p % size < 2 * at && p / size < 9)).collect();
        let pixels = bits.iter().enumerate().map(|(p, b)| f32::from(*b) + ((p * 7 + at) % 13) as f32 / 9.0).collect();
        (pixels, bits)
    };
    Samples::new((0..BATCH).map(slice).collect(), 1, size)
}

/// Every gradient, in the network's order.
fn numbers(network: &UNet, gradients: &GradientsParams) -> Vec<f32> {
    struct Collect<'a>(&'a GradientsParams, Vec<f32>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f32>());
            }
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    network.visit(&mut collect);
    assert!(!collect.1.is_empty());
    collect.1
}

fn gradients<O: Objective>(config: &Config, objective: &O, devices: usize, micro: usize) -> Vec<f32> {
    let stepper = stepper(config, devices, micro, "");
    let (gradients, told) = stepper.gradients(objective, BATCH).unwrap();
    let mut next = 0;
    for (portion, _) in &told {
        assert_eq!((portion.range.start, portion.of), (next, BATCH));
        next = portion.range.end;
    }
    assert_eq!(next, BATCH, "every slice went through the network once, in order");
    numbers(&stepper.network, &gradients)
}

fn compare<O: Objective>(config: &Config, objective: &O) {
    let whole = gradients(config, objective, 1, 0);
    let largest = whole.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    assert!(largest > 1e-4, "nothing to compare");
    for (devices, micro) in [(1, 1), (1, 2), (1, 4), (2, 0), (3, 0), (2, 2), (4, 1)] {
        let parts = gradients(config, objective, devices, micro);
        let off = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5 * largest.max(1.0), "{devices} devices, {micro} at once: off by {off} of {largest}");
    }
}

#[test]
fn added_gradients_of_pretraining_are_those_of_the_whole_batch() {
    for norm in [Norm::None, Norm::Instance] {
        let config = config(norm);
        let trial = Trial::new(&config, BATCH).unwrap();
        let masked = trial.masked(0.5, 1);
        compare(&config, &trial.objective(&masked));
    }
}

#[test]
fn added_gradients_of_finetuning_are_those_of_the_whole_batch() {
    for norm in [Norm::None, Norm::Instance] {
        let config = config(norm);
        compare(&config, &samples(&config));
    }
}

/// A loss that took each portion's own Dice would give another update: the survey is what prevents it.
#[test]
fn without_the_survey_dice_would_be_another() {
    struct Alone(Samples);
    impl Objective for Alone {
        type Told = Tensor<1>;
        fn loss(&self, n: &UNet, p: &Portion, d: &Device, _: &[f64]) -> Result<(Tensor<1>, Tensor<1>)> {
            let (loss, told) = self.0.loss(n, p, d, &[])?;
            Ok((p.weighted(loss), told))
        }
    }
    let config = config(Norm::None);
    let (right, wrong) = (samples(&config), Alone(samples(&config)));
    let (right, wrong) = (gradients(&config, &right, 1, 2), gradients(&config, &wrong, 1, 2));
    let off = right.iter().zip(&wrong).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off > 1e-4, "{off}");
}

#[test]
fn a_portions_told_losses_add_up_to_the_batchs() {
    let config = config(Norm::Instance);
    let samples = samples(&config);
    let value = |micro| {
        let (_, told) = stepper(&config, 1, micro, "").gradients(&samples, BATCH).unwrap();
        told.into_iter().map(|(_, t)| t.into_data().iter::<f64>().next().unwrap()).sum::<f64>()
    };
    let whole = value(0);
    for micro in [1, 2, 4] {
        assert!((value(micro) - whole).abs() < 1e-5, "{micro}: {} and {whole}", value(micro));
    }
}

/// Two devices that are one and the same compute what one device computes in two portions, bit for bit.
#[test]
fn two_devices_step_as_one_does_in_two_portions() {
    let config = config(Norm::Instance);
    let trial = Trial::new(&config, BATCH).unwrap();
    let weights = |devices, micro| {
        let mut stepper = stepper(&config, devices, micro, "");
        for epoch in 0..3 {
            let masked = trial.masked(0.5, epoch);
            stepper.step(&trial.objective(&masked), BATCH, 1e-2).unwrap();
        }
        crate::model::record::to_bytes(&stepper.network).unwrap()
    };
    assert!(weights(2, 0) == weights(1, BATCH / 2));
    assert!(weights(2, 0) != config_bytes(&config), "nothing was learned");
}

fn config_bytes(config: &Config) -> Vec<u8> {
    crate::model::record::to_bytes(&config.network.init(3, &Compute::cpu().training())).unwrap()
}

#[test]
fn memory_that_runs_out_halves_what_goes_through_at_once_and_repeats_the_step() {
    let config = config(Norm::None);
    let trial = Trial::new(&config, BATCH).unwrap();
    let masked = trial.masked(0.5, 1);
    let objective = trial.objective(&masked);
    let mut short = stepper(&config, 1, 0, "memory:2");
    let told = short.step(&objective, BATCH, 1e-2).unwrap();
    // 6, 3, 1: the third fits.
    assert_eq!((short.micro(), told.len()), (1, BATCH));
    let notes = short.notes();
    assert!(notes.len() == 2 && notes[0].contains("no memory for 6 slices at once: going on with 3"), "{notes:?}");
    assert!(short.notes().is_empty());
    let mut ample = stepper(&config, 1, 1, "");
    ample.step(&objective, BATCH, 1e-2).unwrap();
    let bytes = |s: &Stepper| crate::model::record::to_bytes(&s.network).unwrap();
    assert!(bytes(&short) == bytes(&ample), "failed attempts left their mark");
    // Even one slice does not fit.
    let error = stepper(&config, 1, 0, "memory:0").step(&objective, BATCH, 1e-2).map(drop).unwrap_err();
    let ErrorKind::DeviceMemory { what, .. } = error.kind() else { panic!("{error}") };
    assert!(what.contains("single slice") && error.to_string().contains("checkpoint"), "{error}");
}

/// Steps that are not waited for: the failure is told by the next wait, and only what came before the last trusted state is
/// kept.
#[test]
fn memory_that_ran_out_unnoticed_takes_the_steps_since_then_back() {
    let config = config(Norm::Batch);
    let trial = Trial::new(&config, BATCH).unwrap();
    let masked = [1, 2, 3].map(|epoch| trial.masked(0.5, epoch));
    let take = |stepper: &mut Stepper, at: usize| stepper.step(&trial.objective(&masked[at]), BATCH, 1e-2).map(drop);
    // Running statistics among them; moments show in the steps that follow.
    let bytes = |s: &Stepper| crate::model::record::to_bytes(&s.network).unwrap();
    let mut late = stepper(&config, 1, 0, "late:2");
    late.watched = 0;
    late.trust().unwrap();
    take(&mut late, 0).unwrap();
    late.trust().unwrap();
    take(&mut late, 1).unwrap();
    take(&mut late, 2).unwrap();
    let error = late.wait().unwrap_err();
    late.fall_back(error).unwrap();
    let notes = late.notes();
    assert!(notes.len() == 1 && notes[0].contains("no memory for 6 slices at once: going on with 3"), "{notes:?}");
    let mut ample = stepper(&config, 1, 0, "");
    take(&mut ample, 0).unwrap();
    assert!(bytes(&late) == bytes(&ample), "not the weights that were trusted last");
    ample.micro = 3;
    for at in [1, 2] {
        take(&mut late, at).unwrap();
        take(&mut ample, at).unwrap();
    }
    late.wait().unwrap();
    assert!(bytes(&late) == bytes(&ample), "the repeated steps are others");
    // The same where the step itself is waited for.
    let (mut late, mut ample) = (stepper(&config, 1, 0, "late:1"), stepper(&config, 1, 3, ""));
    take(&mut late, 0).unwrap();
    take(&mut ample, 0).unwrap();
    assert_eq!(late.notes().len(), 1);
    assert!(bytes(&late) == bytes(&ample), "the failed attempt left its mark");
}

#[test]
fn nothing_is_taken_back_for_other_failures_or_where_nothing_was_trusted() {
    let config = config(Norm::None);
    let memory = || compute("a test", &"out of device memory");
    let mut stepper = stepper(&config, 1, 1, "late:9");
    let error = stepper.fall_back(memory()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DeviceMemory { .. }), "{error}");
    stepper.trust().unwrap();
    let error = stepper.fall_back(compute("a test", &"device lost")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DeviceLost { .. }), "{error}");
    let error = stepper.fall_back(compute("a test", &"index out of bounds")).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Compute { .. }), "{error}");
    // One slice at once: there is nothing to halve.
    let error = stepper.fall_back(memory()).unwrap_err();
    let ErrorKind::DeviceMemory { what, .. } = error.kind() else { panic!("{error}") };
    assert!(what.contains("single slice"), "{error}");
}

#[test]
fn a_lost_device_is_named_and_the_weights_stay() {
    let config = config(Norm::None);
    let trial = Trial::new(&config, BATCH).unwrap();
    let masked = trial.masked(0.5, 1);
    let mut stepper = stepper(&config, 1, 3, "lost:2");
    let error = stepper.step(&trial.objective(&masked), BATCH, 1e-2).map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DeviceLost { .. }), "{error}");
    assert!(crate::model::record::to_bytes(&stepper.network).unwrap() == config_bytes(&config));
}

#[test]
fn a_panic_of_the_tensor_library_about_memory_is_no_panic() {
    struct Panics;
    impl Objective for Panics {
        type Told = ();
        fn loss(&self, _: &UNet, portion: &Portion, _: &Device, _: &[f64]) -> Result<(Tensor<1>, ())> {
            panic!("out of device memory allocating {} bytes", portion.range.len());
        }
    }
    let error = stepper(&config(Norm::None), 1, 0, "").step(&Panics, 1, 1e-2).map(drop).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::DeviceMemory { .. }), "{error}");
}

#[test]
fn every_slice_lies_in_one_portion() {
    for (size, devices, micro) in [(1, 1, 0), (7, 2, 0), (7, 3, 2), (2, 4, 0), (36, 2, 5), (5, 1, 9)] {
        let shares = portions(size, devices, micro);
        let all: Vec<usize> = shares.iter().flatten().flat_map(|p| p.range.clone()).collect();
        assert_eq!(all, (0..size).collect::<Vec<_>>(), "{size} {devices} {micro}");
        assert!(shares.len() <= devices && shares.iter().flatten().all(|p| micro == 0 || p.range.len() <= micro));
    }
}
