use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};
use rayon::prelude::*;

use super::*;
use crate::config::TrainingConfig;
use crate::model::{Norm, UNetConfig};
use crate::test_tensors::values;
use crate::trainer::optimizer;

fn image(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let numbers = (0..shape.iter().product()).map(|i: usize| ((i * i * 7 + i * 13) % 101) as f32 / 50.0 - 1.0);
    Tensor::from_data(TensorData::new(numbers.collect::<Vec<f32>>(), shape), device)
}

/// Sums and tiles, more weights than pixels, and buffers that hold the values of another size.
const SIZES: [[usize; 3]; 5] = [[1, 48, 64], [3, 16, 16], [2, 8, 24], [1, 40, 40], [1, 48, 64]];

#[test]
fn a_packed_network_equals_the_network_with_every_instruction_set() {
    let device = Device::flex();
    for (norm, width, channels) in [(Norm::Batch, 16, 1), (Norm::Instance, 6, 2), (Norm::None, 32, 3)] {
        let config = UNetConfig { width, depth: 3, norm, in_channels: channels, out_channels: channels };
        let network = config.init(3, &device);
        for cpu in Cpu::all() {
            let packed = Layers::new(&network, cpu).unwrap();
            for [batch, height, width] in SIZES {
                let x = image([batch, channels, height, width], &device);
                let (actual, expected) = (values(packed.forward(&x).unwrap()), values(network.forward(x)));
                let what = format!("{cpu:?}, {norm:?}, {batch} x {height} x {width}");
                assert_eq!(actual.len(), expected.len(), "{what}");
                let apart = actual.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(apart < 1e-4, "{what}: {apart}");
                assert!(cpu != compute::cpu() || actual == expected, "{what}: the same kernels round differently");
            }
        }
    }
}

#[test]
fn a_packed_network_gives_the_same_bits_with_any_number_of_threads() {
    let device = Device::flex();
    let network = UNetConfig { width: 16, depth: 3, ..UNetConfig::default() }.init(4, &device);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| SIZES.map(|[batch, h, w]| values(network.pack().forward(image([batch, 1, h, w], &device)))))
    };
    let first = with(1);
    for threads in [2, 3, 5] {
        assert!(first == with(threads), "{threads} threads");
    }
}

/// Weights packed before a step must not be read after it.
#[test]
fn a_training_step_changes_the_next_packed_network_and_no_earlier_one() {
    let (plain, tracked) = (Device::flex(), Device::flex().autodiff());
    let x = || image([1, 1, 16, 16], &plain);
    let mut network = UNetConfig { width: 16, depth: 2, ..UNetConfig::default() }.init(5, &tracked);
    let mut optimiser = optimizer(&TrainingConfig::default());
    let before = network.pack();
    let first = values(before.forward(x()));
    for _ in 0..2 {
        let packed = network.pack();
        let old = values(packed.forward(x()));
        let loss = network.forward(image([2, 1, 16, 16], &tracked)).powi_scalar(2).mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimiser.step(1e-2, network, gradients);
        let new = values(network.pack().forward(x()));
        assert!(new != old, "a step changed nothing");
        assert!(new == values(network.valid().forward(x())));
        assert!(old == values(packed.forward(x())), "a copy changed with its network");
    }
    assert!(first == values(before.forward(x())));
}

#[test]
fn passes_at_the_same_time_do_not_disturb_each_other() {
    let device = Device::flex();
    let network = UNetConfig { width: 16, depth: 2, ..UNetConfig::default() }.init(6, &device);
    let run = |packed: &PackedUNet, [batch, h, w]: [usize; 3]| values(packed.forward(image([batch, 1, h, w], &device)));
    let expected = SIZES.map(|size| run(&network.pack(), size));
    let packed = network.pack();
    let actual: Vec<_> = (0..40).into_par_iter().map(|i| (i % 5, run(&packed, SIZES[i % 5]))).collect();
    for (i, actual) in actual {
        assert!(actual == expected[i], "{:?}", SIZES[i]);
    }
}

#[test]
fn nan_propagates_to_the_output_of_a_packed_network() {
    let device = Device::flex();
    let packed = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }.init(1, &device).pack();
    let output = values(packed.forward(Tensor::full([1, 1, 4, 4], f32::NAN, &device)));
    assert!(output.iter().all(|x| x.is_nan()), "{output:?}");
}
