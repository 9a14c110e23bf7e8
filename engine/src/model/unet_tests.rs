use burn::module::Param;
use burn::tensor::{Distribution, FloatDType, TensorData};

use super::*;

/// burn's operations.
const GENERAL: Kernels = Kernels { precision: Precision::F32, own: false };

#[test]
fn the_papers_width_has_31_million_parameters() {
    let device = Device::flex();
    let network = UNetConfig { width: 64, norm: Norm::None, ..UNetConfig::default() }.init(0, &device);
    let parameters = network.num_params() as f64 / 1e6;
    assert!((31.03..31.04).contains(&parameters), "{parameters} M");
}

#[test]
fn parameters_are_counted_without_allocating_them() {
    let device = Device::flex();
    for (depth, norm) in [(1, Norm::None), (4, Norm::None), (3, Norm::Instance)] {
        let config = UNetConfig { width: 5, depth, norm, in_channels: 2, out_channels: 3 };
        assert_eq!(config.parameters(), config.init(0, &device).num_params(), "{config:?}");
    }
    // Running statistics are not parameters, although the module counts them.
    let batch = UNetConfig { norm: Norm::Batch, ..UNetConfig::default() };
    let instance = UNetConfig { norm: Norm::Instance, ..UNetConfig::default() };
    assert_eq!(batch.parameters(), instance.parameters());
}

#[test]
fn reduced_precision_gives_similar_results_and_f32_gradients() {
    let config = UNetConfig { width: 8, depth: 2, ..UNetConfig::default() };
    let (exact, exact_gradients, _) = step(&config, |n, x| n.forward_in(x, Precision::F32));
    for (precision, allowed) in [(Precision::Bf16, 0.1), (Precision::F16, 0.02)] {
        let (rounded, gradients, _) = step(&config, |n, x| n.forward_in(x, precision));
        let difference = largest_difference(&exact, &rounded);
        // A difference shows that the reduced precision was used; it must be small.
        assert!(difference > 0.0 && difference < allowed, "{precision:?}: {difference}");
        assert_eq!(gradients.len(), exact_gradients.len());
        assert!(gradients.iter().flatten().all(|g| g.is_finite()) && gradients.iter().flatten().any(|g| *g != 0.0));
    }
}

#[test]
fn shapes_follow_the_configuration() {
    let device = Device::flex();
    for (depth, norm, input, output) in [(1, Norm::None, 2, 3), (2, Norm::Instance, 1, 2), (3, Norm::Batch, 3, 1)] {
        let config = UNetConfig { width: 2, depth, norm, in_channels: input, out_channels: output };
        let y = config.init(1, &device).forward(Tensor::zeros([2, input, 16, 24], &device));
        assert_eq!(y.dims(), [2, output, 16, 24]);
    }
}

#[test]
fn the_seed_alone_decides_the_weights() {
    let device = Device::flex();
    let config = UNetConfig { width: 2, depth: 2, ..UNetConfig::default() };
    let run = |seed| {
        let x = Tensor::<4>::ones([1, 1, 8, 8], &device);
        config.init(seed, &device).forward(x).into_data().try_to_vec::<f32>().unwrap_or_default()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

/// Output, gradient of every parameter and weights of a step through one of the two kinds of kernels.
fn step(config: &UNetConfig, through: impl Fn(&UNet, Tensor<4>) -> Tensor<4>) -> (Vec<f32>, Vec<Vec<f32>>, Vec<u8>) {
    let device = Device::flex().autodiff();
    let network = config.init(5, &device);
    let size = config.multiple() * 3;
    let count = 2 * config.in_channels * size * (size + config.multiple());
    let values: Vec<f32> = (0..count).map(|i| ((i * i * 7 + i * 13) % 101) as f32 / 50.0 - 1.0).collect();
    let shape = [2, config.in_channels, size, size + config.multiple()];
    let input = Tensor::<4>::from_data(TensorData::new(values, shape), &device);
    let output = through(&network, input);
    let weights = output.clone().detach().sin() + 0.5;
    let gradients = (output.clone() * weights).sum().backward();
    let mut collect = Gradients { gradients: &gradients, of: Vec::new() };
    network.visit(&mut collect);
    let bytes = crate::model::record::to_bytes(&network).unwrap();
    (output.into_data().try_to_vec::<f32>().unwrap(), collect.of, bytes)
}

struct Gradients<'a> {
    gradients: &'a burn::tensor::Gradients,
    of: Vec<Vec<f32>>,
}

impl burn::module::ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.of.push(gradient.into_data().convert::<f32>().try_to_vec::<f32>().unwrap());
        }
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn our_kernels_agree_with_burns() {
    for (norm, in_channels, out_channels, width) in
        [(Norm::Batch, 1, 1, 3), (Norm::Instance, 2, 3, 5), (Norm::None, 1, 2, 16), (Norm::Batch, 3, 1, 24)]
    {
        let config = UNetConfig { width, depth: 2, norm, in_channels, out_channels };
        let (output, gradients, bytes) = step(&config, UNet::forward);
        let (general, general_gradients, general_bytes) = step(&config, |n, x| n.forward_by(x, GENERAL));
        assert!(largest_difference(&output, &general) < 1e-4, "{norm:?}: output");
        assert_eq!(gradients.len(), general_gradients.len(), "{norm:?}");
        for (i, (own, other)) in gradients.iter().zip(&general_gradients).enumerate() {
            let size = other.iter().fold(1.0f32, |m, x| m.max(x.abs()));
            let difference = largest_difference(own, other) / size;
            assert!(difference < 1e-4, "{norm:?}: gradient {i} of {} differs by {difference}", own.len());
        }
        let floats = |b: &[u8]| -> Vec<f32> {
            b[b.len() % 4..].chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
        };
        // Running statistics among them.
        assert_eq!(bytes.len(), general_bytes.len());
        let tail = |b: &[u8]| floats(&b[b.len() - network_bytes(&config)..]);
        assert!(largest_difference(&tail(&bytes), &tail(&general_bytes)) < 1e-4, "{norm:?}: running statistics");
    }
}

/// Bytes of a network's numbers.
fn network_bytes(config: &UNetConfig) -> usize {
    let file = crate::model::record::to_bytes(&config.init(0, &Device::flex())).unwrap();
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file.len() - 8 - header
}

/// Turns a network's numbers into double precision.
struct DoublingMapper;

impl burn::module::ModuleMapper for DoublingMapper {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| Tensor::from_inner(tensor.inner().cast(FloatDType::F64)).require_grad())
    }
}

/// Gradients of a masked reconstruction: most of the image is exactly 0, so that whole windows of a pooling are equal. By our
/// kernels in single precision, or by burn's operations in double. Visible values are scaled by `1 + nudge`, which keeps every
/// 0.
fn masked_gradients(nudge: Option<u64>, own: bool) -> Vec<Vec<f32>> {
    let config = UNetConfig { width: 8, depth: 4, ..UNetConfig::default() };
    let device = Device::flex().autodiff();
    let network = config.init(7, &device);
    let network = if own { network } else { burn::module::Module::map(network, &mut DoublingMapper) };
    let (batch, side, patch) = (4usize, 64usize, 4usize);
    let mut draw = crate::seed::stream(1, "test", &[]);
    let hidden: Vec<bool> = (0..batch * 256).map(|_| rand::RngExt::random_bool(&mut draw, 0.6)).collect();
    let coordinates = |p: usize| (p / (side * side), p / side % side, p % side);
    let image: Vec<f32> = (0..batch * side * side)
        .map(|p| {
            let (b, i, j) = coordinates(p);
            let (y, x) = (i as f32 / 9.0 - 3.5, j as f32 / 11.0 - 2.9 + b as f32 * 0.2);
            let far = x * x + y * y;
            if far > 6.0 { 0.0 } else { (3.0 - far).sin() + 0.3 * (7.0 * x).cos() * y }
        })
        .collect();
    let masked: Vec<f32> = (0..image.len())
        .map(|p| {
            let (b, i, j) = coordinates(p);
            f32::from(u8::from(hidden[b * 256 + i / patch * 16 + j / patch]))
        })
        .collect();
    let tensor = |v: Vec<f32>| {
        let tensor = Tensor::<4>::from_data(TensorData::new(v, [batch, 1, side, side]), &device);
        if own { tensor } else { Tensor::from_inner(tensor.inner().cast(FloatDType::F64)) }
    };
    let mut visible = image.clone();
    if let Some(seed) = nudge {
        let mut draw = crate::seed::stream(seed, "nudge", &[]);
        visible.iter_mut().for_each(|v| *v *= 1.0 + rand::RngExt::random_range(&mut draw, -1e-6..1e-6f32));
    }
    let (image, visible, masked) = (tensor(image), tensor(visible), tensor(masked));
    let input = visible * (masked.clone().neg() + 1.0);
    let output = if own { network.forward(input) } else { network.forward_by(input, GENERAL) };
    let error = (output - image) * masked;
    let gradients = error.powi_scalar(2).mean().backward();
    let mut collect = Gradients { gradients: &gradients, of: Vec::new() };
    network.visit(&mut collect);
    collect.of
}

/// A rectifier or a pooling that is close to a tie flips by a rounding error, and the gradient jumps. The tolerance is measured
/// on the reference, with images that differ in the last digits: our kernels, whose rounding depends on the instruction set,
/// may differ by as much, and in sum by a thousandth.
#[test]
fn gradients_agree_on_a_mostly_masked_image() {
    let own = masked_gradients(None, true);
    let exact = masked_gradients(None, false);
    let nudged = [1, 2, 3].map(|seed| masked_gradients(Some(seed), false));
    let all = exact.iter().flatten().fold(0.0f32, |m, x| m.max(x.abs()));
    for (i, (own, other)) in own.iter().zip(&exact).enumerate() {
        let jump = nudged.iter().map(|n| largest_difference(&n[i], other)).fold(0.0, f32::max);
        // Relative to the largest gradient: that of a bias before a batch norm is exactly 0 in one and rounding noise in the
        // other.
        let (difference, tolerance) = (largest_difference(own, other), 1e-4 * all + 3.0 * jump);
        assert!(difference < tolerance, "gradient {i} of {} differs by {difference}, more than {tolerance}", own.len());
    }
    let squares = |a: &mut dyn Iterator<Item = f32>| a.map(|x| f64::from(x) * f64::from(x)).sum::<f64>();
    let apart = squares(&mut own.iter().flatten().zip(exact.iter().flatten()).map(|(a, b)| a - b));
    let whole = squares(&mut exact.iter().flatten().copied());
    assert!(apart.sqrt() < 1e-3 * whole.sqrt(), "the gradient differs by {} of {}", apart.sqrt(), whole.sqrt());
}

#[test]
fn inference_by_our_kernels_agrees_with_burns() {
    for norm in [Norm::Batch, Norm::Instance, Norm::None] {
        let config = UNetConfig { width: 6, depth: 2, norm, ..UNetConfig::default() };
        let network = config.init(3, &Device::flex());
        let x = Tensor::<4>::random([1, 1, 20, 12], Distribution::Normal(0.0, 1.0), &Device::flex());
        let run = |y: Tensor<4>| y.into_data().try_to_vec::<f32>().unwrap();
        let own = run(network.forward(x.clone()));
        let general = run(network.forward_by(x, GENERAL));
        assert!(largest_difference(&own, &general) < 1e-4, "{norm:?}");
    }
}

#[test]
fn the_same_step_gives_the_same_bits_with_any_number_of_threads() {
    let config = UNetConfig { width: 18, depth: 3, ..UNetConfig::default() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| step(&config, UNet::forward))
    };
    let first = with(1);
    for threads in [2, 3, 5] {
        assert!(first == with(threads), "{threads} threads");
    }
}

#[test]
fn nan_propagates_to_the_output() {
    let network = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }.init(1, &Device::flex());
    let x = Tensor::<4>::full([1, 1, 4, 4], f32::NAN, &Device::flex());
    let output = network.forward(x).into_data().try_to_vec::<f32>().unwrap();
    assert!(output.iter().all(|x| x.is_nan()), "{output:?}");
}

#[test]
fn settings_out_of_range_are_named() {
    let error = UNetConfig { depth: 9, ..UNetConfig::default() }.validate().map_err(|e| e.to_string());
    assert_eq!(error, Err("network.depth = 9: must be 1 to 6".into()));
}

#[test]
fn a_traced_pass_equals_the_plain_passes() {
    use crate::test_tensors::values;
    let device = Device::flex();
    let net = UNetConfig { width: 2, depth: 2, ..UNetConfig::default() }.init(1, &device);
    let numbers: Vec<f32> = (0..2 * 64).map(|v| (v * v % 23) as f32 / 7.0 - 1.0).collect();
    let image = Tensor::<4>::from_data(TensorData::new(numbers, [2, 1, 8, 8]), &device);
    let Trace { bottleneck, last, output } = net.trace(image.clone(), Precision::F32);
    let features = net.encode(image.clone(), Precision::F32);
    assert_eq!(values(bottleneck), values(features.bottleneck.clone()));
    assert_eq!(values(last), values(net.decode(features, Precision::F32)));
    assert_eq!(values(output), values(net.forward(image)));
}
