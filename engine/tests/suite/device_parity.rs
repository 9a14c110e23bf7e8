//! The same small steps on every device of this machine: losses, gradients and labels agree with the CPU's.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use engine::cluster::Clustering;
use engine::config::Config;
use engine::device::{Compute, open, probe};
use engine::finetune::{DiceCrossEntropy, Samples};
use engine::model::UNetConfig;
use engine::pretrain::amlp::relabel::{RelabelRule, Relevance, coins, relabel};
use engine::pretrain::amlp::{PatchLosses, SyntheticSlices, evaluate, forward, losses};
use engine::trainer::{GradientEngine, MicroBatch, Objective, StepOutput, optimizer};

/// Largest allowed difference, relative to the largest number compared.
const NEAR: f64 = 1e-3;
const BATCH: usize = 2;
const SIGMA: f64 = 0.5;

/// The smallest possible network, because a software adapter takes seconds to compile each kernel.
fn config() -> Config {
    let mut config = Config::default();
    config.data.modality = vec!["pet".into()];
    config.preprocess.size = 16;
    config.method.grid = 4;
    config.network = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() };
    config.training.batch = BATCH;
    config
}

/// The gradients of a loss, in the order of the network's parameters.
fn gradients<N: Module>(network: &N, loss: &Tensor<1>) -> Vec<f64> {
    struct GradientCollector<'a>(&'a GradientsParams, Vec<f64>);
    impl ModuleVisitor for GradientCollector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f64>());
            }
        }
    }
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    let mut collect = GradientCollector(&gradients, Vec::new());
    network.visit(&mut collect);
    collect.1
}

fn assert_near(what: &str, device: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{device}: {what}");
    let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert!(largest > 0.0, "{what}: every number is 0, so the comparison shows nothing");
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= NEAR * largest,
            "{device}: {what} {at} is {a}, on the CPU {b}; the largest is {largest}"
        );
    }
}

/// The results of a pre-training step.
struct Step {
    losses: Vec<f64>,
    errors: Vec<f64>,
    gradients: Vec<f64>,
    relative: Vec<f64>,
    labels: Vec<u8>,
    after: f64,
}

fn pretraining_step(compute: &Compute) -> Step {
    let config = config();
    let trial = SyntheticSlices::new(&config, BATCH).unwrap();
    let masked = trial.masked(SIGMA, 1);
    let device = compute.training();
    let output = evaluate(&trial.objective().build(1, &device), &masked, &config, &device).unwrap();
    let of_patches = PatchLosses::of(&masked, &output);
    let copy = trial.objective().build(1, &device);
    let batch = masked.on(0..BATCH, &device);
    let total = losses(forward(&copy, &batch, &config), &batch, &config.method).total;
    let gradients = gradients(&copy, &total);
    let mut relevance = Relevance::new(BATCH, config.method.grid * config.method.grid);
    for (slice, (chosen, relative)) in masked.chosen.iter().zip(&of_patches.relative).enumerate() {
        relevance.add(slice, chosen, relative);
    }
    let labels = (0..BATCH).flat_map(|slice| {
        let (ori, new) = (&masked.label_ori[slice], &masked.label_new[slice]);
        let ori = Clustering { labels: ori.clone(), air: vec![false; ori.len()], ..Clustering::default() };
        let coins = coins(new.len(), 1, 1, slice as u64);
        relabel(&ori, new, &relevance.mean(slice), RelabelRule::default(), &coins).after
    });
    let (engine, mut optimizer) = (GradientEngine::new(compute, 0), optimizer(&config.training));
    let net = trial.objective().build(1, &device);
    let (step, _) = engine.gradients(&trial.objective(), &net, &masked, BATCH).unwrap();
    let net = optimizer.step(1e-3, net, step);
    let after = evaluate(&net, &masked, &config, &device).unwrap().loss;
    Step {
        losses: std::iter::once(output.loss).chain(output.parts.iter().map(|(_, value)| *value)).collect(),
        errors: of_patches.errors.concat(),
        gradients,
        labels: labels.collect(),
        relative: of_patches.relative.concat(),
        after,
    }
}

/// Losses and gradients of a fine-tuning step.
fn finetuning_step(compute: &Compute) -> (Vec<f64>, Vec<f64>) {
    let config = config();
    let size = config.preprocess.size;
    let slice = |at: usize| {
        let bits: Vec<u8> = (0..size * size).map(|p| u8::from(p % size < 4 * (at + 1) && p / size < 9)).collect();
        let pixels = bits.iter().enumerate().map(|(p, b)| f32::from(*b) + ((p * 7 + at) % 13) as f32 / 9.0).collect();
        (pixels, bits)
    };
    let samples = Samples::new((0..BATCH).map(slice).collect(), 1, 1, size);
    let (objective, device) = (DiceCrossEntropy(&config), compute.training());
    let net = objective.build(2, &device);
    let micro = MicroBatch::whole(BATCH, &device);
    let loss = objective.loss(&net, &samples, &micro).unwrap();
    let gradients = gradients(&net, &loss.objective);
    let output = StepOutput::of(loss, &micro).unwrap();
    (std::iter::once(output.loss).chain(output.parts.iter().map(|(_, value)| *value)).collect(), gradients)
}

#[test]
fn every_device_computes_what_the_cpu_does() {
    let cpu = pretraining_step(&Compute::cpu());
    let (cpu_loss, cpu_gradients) = finetuning_step(&Compute::cpu());
    assert!(
        cpu.losses.iter().all(|loss| *loss > 0.0),
        "a loss is 0, so its comparison shows nothing: {:?}",
        cpu.losses
    );
    assert!(cpu.relative.iter().all(|r| (r - 1.0).abs() > 2e-3), "a label depends on rounding");
    let found = probe();
    let others: Vec<_> = found.devices.iter().filter(|device| device.id != "cpu").collect();
    if others.is_empty() {
        let expected = found.backends.len() > 1 && std::env::var_os("AMLP_REQUIRE_GPU").is_some();
        assert!(!expected, "this build has {:?}, and no adapter was found", found.backends);
        println!("skipped: no device other than the CPU (this build has {:?})", found.backends);
    }
    for info in others {
        let compute = open(info.id.parse().unwrap()).unwrap();
        println!("{}", compute.name);
        let step = pretraining_step(&compute);
        assert_near("loss", &info.id, &step.losses, &cpu.losses);
        assert_near("error of patch", &info.id, &step.errors, &cpu.errors);
        assert_near("gradient", &info.id, &step.gradients, &cpu.gradients);
        assert_near("loss after the step", &info.id, &[step.after], &[cpu.after]);
        assert_eq!(step.labels, cpu.labels, "{}", info.id);
        let (loss, gradients) = finetuning_step(&compute);
        assert_near("fine-tuning loss", &info.id, &loss, &cpu_loss);
        assert_near("fine-tuning gradient", &info.id, &gradients, &cpu_gradients);
    }
}
