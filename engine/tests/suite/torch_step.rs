//! Whole training steps against PyTorch, to 1e-4: losses, gradients, running statistics, and weights after one step and
//! after three.
//!
//! `oracles/make_torch_steps.py` wrote the inputs and the expected numbers.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use engine::config::Config;
use engine::device::Compute;
use engine::finetune::{DiceCrossEntropy, Samples};
use engine::model::{MaskInput, MaskedUNet, UNetConfig, record};
use engine::pretrain::amlp::ccl::ConsistencyTargets;
use engine::pretrain::amlp::{Appearance, DeviceBatch, forward, losses};
use engine::trainer::{MicroBatch, MicroLoss, Objective, StepOutput, optimizer};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Largest allowed difference, relative to the largest number of its kind or to 1, whichever is larger.
const NEAR: f32 = 1e-4;

/// Inputs and expected numbers of a step.
struct Oracle(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Oracle {
    fn read(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let numbers = |view: &TensorView<'_>| {
            assert_eq!(view.dtype(), Dtype::F32);
            view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        Self(file.tensors().iter().map(|(name, v)| (name.clone(), (v.shape().to_vec(), numbers(v)))).collect())
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.0[name].1
    }

    fn shape(&self, name: &str) -> &[usize] {
        &self.0[name].0
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.0[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    /// The tensors of the network at `moment`, such as after the first step, by their names in a checkpoint.
    fn moment(&self, moment: &str) -> BTreeMap<String, Vec<f32>> {
        let prefix = format!("{moment}.");
        let named = self.0.iter().filter_map(|(name, (_, v))| Some((name.strip_prefix(&prefix)?, v)));
        named.map(|(name, values)| (name.to_owned(), values.clone())).collect()
    }

    /// A network with the weights before the step.
    fn load<N: Module>(&self, network: N) -> N {
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let tensors = self.0.iter().filter_map(|(name, t)| Some((name.strip_prefix("weights.")?, t)));
        let all: Vec<_> = tensors.map(|(name, (shape, values))| (name, shape.clone(), bytes(values))).collect();
        let views = all.iter().map(|(name, shape, bytes)| {
            ((*name).to_owned(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        });
        let file = safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap();
        record::from_bytes(network, &file).unwrap()
    }
}

/// The network's tensors as a checkpoint stores them.
fn tensors<N: Module>(network: &N) -> BTreeMap<String, Vec<f32>> {
    let bytes = record::to_bytes(network).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    file.tensors().iter().map(|(name, view)| (name.clone(), values(view.data()))).collect()
}

/// Gradients by the names of their parameters.
fn named<N: Module>(network: &N, gradients: &GradientsParams) -> BTreeMap<String, Vec<f32>> {
    struct GradientCollector<'a> {
        gradients: &'a GradientsParams,
        path: Vec<String>,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for GradientCollector<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let name = self.path.join(".");
                // As in a checkpoint, where a U-Net with a mask token is still a U-Net.
                let name = name.strip_prefix("unet.").unwrap_or(&name).to_owned();
                self.found.insert(name, gradient.into_data().iter::<f32>().collect());
            }
        }
    }
    let mut collect = GradientCollector { gradients, path: Vec::new(), found: BTreeMap::new() };
    network.visit(&mut collect);
    collect.found
}

/// True for a bias before a batch norm. Batch norm removes the mean, so the gradient of this bias is a rounding error, which
/// AdamW turns into a full step.
fn before_a_norm(name: &str) -> bool {
    name.ends_with(".first.bias") || name.ends_with(".second.bias")
}

fn largest<'a>(all: impl Iterator<Item = &'a Vec<f32>>) -> f32 {
    all.flatten().fold(0.0, |m, v| m.max(v.abs()))
}

fn assert_near(what: &str, found: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Vec<f32>>, allowed: f32) {
    assert!(found.keys().eq(expected.keys()), "{what}: {:?} and {:?}", found.keys(), expected.keys());
    for (name, expected) in expected {
        assert_eq!(found[name].len(), expected.len(), "{what} {name}");
        for (at, (found, expected)) in found[name].iter().zip(expected).enumerate() {
            let off = (found - expected).abs();
            assert!(off <= allowed, "{what} {name}[{at}] is {found}, PyTorch has {expected}; allowed {allowed}");
        }
    }
}

/// The weights at a moment, and how far they have moved since the start.
fn weights_and_moves(
    all: &BTreeMap<String, Vec<f32>>,
    before: &BTreeMap<String, Vec<f32>>,
) -> [BTreeMap<String, Vec<f32>>; 2] {
    let trained = || all.iter().filter(|(name, _)| !before_a_norm(name) && !is_running(name));
    let moves = |(name, values): (&String, &Vec<f32>)| {
        (name.clone(), values.iter().zip(&before[name]).map(|(after, before)| after - before).collect())
    };
    [trained().map(|(name, values)| (name.clone(), values.clone())).collect(), trained().map(moves).collect()]
}

/// Takes three steps on a batch of `size` slices.
fn compare<N: Module>(
    oracle: &Oracle,
    config: &Config,
    (network, size): (N, usize),
    loss: impl Fn(&N, &MicroBatch<'_>) -> MicroLoss,
) {
    let device = Compute::cpu().training();
    let micro = MicroBatch::whole(size, &device);
    let (mut network, mut optimizer) = (oracle.load(network), optimizer(&config.training));
    for step in 1..=3 {
        let loss = loss(&network, &micro);
        let gradients = GradientsParams::from_grads(loss.objective.backward(), &network);
        if step == 1 {
            let output = StepOutput::of(loss, &micro).unwrap();
            let losses: Vec<f32> =
                output.parts.iter().map(|(_, part)| *part).chain([output.loss]).map(|v| v as f32).collect();
            assert_near("losses", &one(&losses), &one(oracle.values("losses")), NEAR);
            let expected = oracle.moment("gradient");
            assert_near("gradient", &named(&network, &gradients), &expected, NEAR * largest(expected.values()));
        }
        network = optimizer.step(config.training.lr, network, gradients);
        if step == 2 {
            continue;
        }
        let (moment, before) = (format!("after_{step}"), oracle.moment("weights"));
        let (found, expected) = (tensors(&network), oracle.moment(&moment));
        if step == 1 {
            let running = |all: &BTreeMap<String, Vec<f32>>| {
                all.iter().filter(|(name, _)| is_running(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
            };
            assert_near("running", &running(&found), &running(&expected), NEAR);
        }
        let ([weights, moves], [expected, by]) =
            (weights_and_moves(&found, &before), weights_and_moves(&expected, &before));
        assert_near(&moment, &weights, &expected, NEAR);
        // For weights that hardly change, 1e-4 would be weak, so the change itself is compared, to a hundredth of the largest.
        assert_near(&format!("{moment}, moved by"), &moves, &by, 1e-2 * largest(by.values()));
    }
}

fn one(values: &[f32]) -> BTreeMap<String, Vec<f32>> {
    BTreeMap::from([("of the batch".to_owned(), values.to_vec())])
}

fn is_running(name: &str) -> bool {
    name.contains(".running_")
}

/// Settings of the oracle's network.
fn settings(config: Config) -> Config {
    let mut config = config;
    config.data.modality = vec!["pet".into()];
    config.network = UNetConfig { width: 2, depth: 2, ..UNetConfig::default() };
    (config.preprocess.size, config.method.grid) = (32, 8);
    config
}

#[test]
fn a_fine_tuning_step_equals_that_of_pytorch() {
    let oracle = Oracle::read(include_bytes!("../oracles/finetune_step.safetensors"));
    let mut config = settings(Config::finetune());
    assert_eq!(config.training.weight_decay, 1e-4);
    config.training.lr = 1e-2;
    let slices = oracle.values("image").chunks(32 * 32).zip(oracle.values("target").chunks(32 * 32));
    let slices: Vec<_> =
        slices.map(|(image, target)| (image.to_vec(), target.iter().map(|t| *t as u8).collect())).collect();
    let (size, samples) = (slices.len(), Samples::new(slices, 1, 1, 32));
    let objective = DiceCrossEntropy(&config);
    let network = objective.build(0, &Compute::cpu().training());
    compare(&oracle, &config, (network, size), |network, micro| objective.loss(network, &samples, micro).unwrap());
}

#[test]
fn a_pre_training_step_of_amlp_equals_that_of_pytorch() {
    let oracle = Oracle::read(include_bytes!("../oracles/pretrain_step.safetensors"));
    let mut config = settings(Config::default());
    assert_eq!(config.training.weight_decay, 0.01);
    config.training.lr = 1e-3;
    let network = MaskedUNet::init(&config.network, MaskInput::default(), 0, &Compute::cpu().training());
    compare(&oracle, &config, (network, oracle.shape("masked")[0]), |network, micro| {
        let batch = batch(&oracle, micro.device);
        losses(forward(network, &batch, &config), &batch, &config.method).micro(micro, &config.method)
    });
}

/// The oracle's masked slices.
fn batch(oracle: &Oracle, device: &Device) -> DeviceBatch {
    const SIDE: usize = 4;
    let (masked, centres) = (oracle.tensor::<2>("masked", device), oracle.values("centres"));
    let [slices, patches] = masked.dims();
    let pixels = |of: &dyn Fn(usize, usize, usize) -> f32| {
        let size = patches.isqrt() * SIDE;
        let at = |n: usize| (n / (size * size), n / size % size, n % size);
        let values: Vec<f32> = (0..slices * size * size).map(|n| of(at(n).0, at(n).1, at(n).2)).collect();
        Tensor::<4>::from_data(TensorData::new(values, [slices, 1, size, size]), device)
    };
    let of_patch = |slice, i: usize, j: usize| oracle.values("masked")[slice * patches + i / SIDE * 8 + j / SIDE];
    // Each slice has two centres of as many numbers as a patch has pixels.
    let centre = |slice: usize, k: usize| &centres[(2 * slice + k) * SIDE * SIDE..][..SIDE * SIDE];
    let of_slices = |of: &dyn Fn(&[f32], &[f32]) -> f32| {
        let values: Vec<f32> = (0..slices).map(|s| of(centre(s, 0), centre(s, 1)) / (SIDE * SIDE) as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [slices, 1]), device)
    };
    let square = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
    let [ori, new] = ["label_ori", "label_new"].map(|name| oracle.tensor::<2>(name, device));
    let flipped = (ori - new.clone()).abs() * masked.clone();
    DeviceBatch {
        image: oracle.tensor("image", device),
        pixel_mask: pixels(&of_patch),
        noise: None,
        consistency: ConsistencyTargets {
            direction: pixels(&|slice, i, j| {
                let at = i % SIDE * SIDE + j % SIDE;
                centre(slice, 1)[at] - centre(slice, 0)[at]
            }),
            offset: of_slices(&|b, f| square(f) - square(b)),
            temperature: of_slices(&|b, f| f.iter().zip(b).map(|(f, b)| (f - b) * (f - b)).sum()),
            label: new,
            flipped: flipped.clone(),
        },
        weights: masked.clone(),
        counts: Tensor::full([slices, 1], (patches / 2) as f32, device),
        lambda: Config::default().method.lambda,
        masked,
        grid: 8,
        count: patches / 2,
        appearance: Appearance::default(),
        flipped: flipped.sum().into_data().iter::<f32>().sum::<f32>() as usize,
    }
}
