//! A U-Net whose encoder computes on visible positions only, like sparse convolutions (Tian et al., 2023; Gao et al., 2022).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::layers::Kernels;
use super::record::number_parameters;
use super::unet::shrink;
use super::{Features, Precision, UNet, UNetConfig};

/// A U-Net that sees no masked position at any level: its decoder gets tokens there.
#[derive(Module, Debug)]
pub struct VisibleUNet {
    unet: UNet,
    /// One of `[width 2^l]` for every level `l`, the bottleneck last.
    tokens: Vec<Param<Tensor<1>>>,
}

impl VisibleUNet {
    /// Random weights drawn from `seed`; tokens start at 0.
    pub fn init(config: &UNetConfig, seed: u64, device: &Device) -> Self {
        let token = |level: usize| Param::from_tensor(Tensor::zeros([config.width << level], device));
        let tokens = (0..=config.depth).map(token).collect();
        number_parameters(Self { unet: config.init(seed, device), tokens })
    }

    /// Side of a cell of the bottleneck in pixels.
    pub fn multiple(&self) -> usize {
        1 << self.tokens.len().saturating_sub(1)
    }

    /// The reconstruction `[B, C, H, W]` of an image; `pixel_mask` `[B, 1, H, W]` is 1 on masked pixels, which are whole cells of
    /// the bottleneck.
    pub fn forward(&self, image: Tensor<4>, pixel_mask: Tensor<4>, precision: Precision) -> Tensor<4> {
        let kernels = Kernels::new(precision, &image);
        let mut visible = -pixel_mask + 1.0;
        let Features { skips, bottleneck } = self.unet.encode_visible(image, &visible, precision);
        let mut filled = Vec::with_capacity(self.tokens.len());
        for (level, (features, token)) in skips.into_iter().chain([bottleneck]).zip(&self.tokens).enumerate() {
            if level > 0 {
                visible = shrink(visible);
            }
            let token = token.val().reshape([1, -1, 1, 1]);
            let [features, masked, token] = [features, -visible.clone() + 1.0, token].map(|x| kernels.enter(x));
            filled.push(kernels.leave(features + masked * token));
        }
        let bottleneck = filled.pop().unwrap_or(visible);
        self.unet.output_of(Features { skips: filled, bottleneck }, precision)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::test_tensors::values;

    fn tensor(values: Vec<f32>, size: usize, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, [1, 1, size, size]), device)
    }

    /// The left half of 16 x 16 pixels is masked: whole cells of 4 x 4.
    fn left_half(device: &Device) -> Tensor<4> {
        tensor((0..256).map(|index| f32::from(u8::from(index % 16 < 8))).collect(), 16, device)
    }

    #[test]
    fn masked_pixels_do_not_affect_the_output_and_their_features_are_0() {
        let device = Device::flex().autodiff();
        let config = UNetConfig { width: 2, depth: 2, ..UNetConfig::default() };
        let net = VisibleUNet::init(&config, 1, &device);
        let mask = left_half(&device);
        let run = |shift: f32| {
            let pixels =
                (0..256).map(|index| (index * index % 13) as f32 + if index % 16 < 8 { shift } else { 0.0 }).collect();
            let image = tensor(pixels, 16, &device);
            let features = net.unet.encode_visible(image.clone(), &(-mask.clone() + 1.0), Precision::F32);
            (values(net.forward(image, mask.clone(), Precision::F32)), features)
        };
        let ((plain, features), (shifted, _)) = (run(0.0), run(100.0));
        assert_eq!(plain, shifted);
        for (level, map) in features.skips.iter().chain([&features.bottleneck]).enumerate() {
            let side = 16 >> level;
            let map = values(map.clone());
            let masked = || map.iter().enumerate().filter(|(index, _)| index % side < side / 2);
            assert!(masked().all(|(_, value)| *value == 0.0), "level {level}");
            assert!(map.iter().any(|value| *value != 0.0), "level {level} is empty");
        }
    }

    /// With nothing masked, the encoder equals the U-Net's.
    #[test]
    fn without_a_mask_the_network_equals_the_u_net() {
        for norm in [super::super::Norm::Batch, super::super::Norm::Instance, super::super::Norm::None] {
            let device = Device::flex().autodiff();
            let config = UNetConfig { width: 2, depth: 2, norm, ..UNetConfig::default() };
            let net = VisibleUNet::init(&config, 1, &device);
            let image = tensor((0..256).map(|index| (index * index % 13) as f32 / 5.0).collect(), 16, &device);
            let ours = values(net.forward(image.clone(), image.zeros_like(), Precision::F32));
            let theirs = values(net.unet.forward(image));
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4), "{norm:?}");
        }
    }
}
