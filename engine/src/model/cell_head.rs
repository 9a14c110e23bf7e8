//! A U-Net under a linear head on square cells of its last block.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::init::Initializer;
use super::masked::apply_mask;
use super::predictor::cell_rows;
use super::record::number_parameters;
use super::{Precision, UNet, UNetConfig};

/// A U-Net with a mask token and a linear head that reads its last block in cells of `side` x `side` pixels. The U-Net's output
/// layer exists but is not trained.
#[derive(Module, Debug)]
pub struct CellHeadNet {
    unet: UNet,
    mask_token: Param<Tensor<1>>,
    /// `[width side^2, outputs]`.
    weight: Param<Tensor<2>>,
    /// `[outputs]`.
    bias: Param<Tensor<1>>,
}

impl CellHeadNet {
    /// Random weights drawn from `seed`; the mask token starts at 0.
    pub fn init(config: &UNetConfig, side: usize, outputs: usize, seed: u64, device: &Device) -> Self {
        let inputs = config.width * side * side;
        let (weight, bias) = Initializer::named(seed, "cell-head", device).linear(inputs, outputs);
        let mask_token = Param::from_tensor(Tensor::zeros([1], device));
        number_parameters(Self { unet: config.init(seed, device), mask_token, weight, bias })
    }

    /// The masked image, with the mask token on masked pixels.
    pub fn mask(&self, image: Tensor<4>, pixel_mask: Tensor<4>) -> Tensor<4> {
        apply_mask(image, pixel_mask, self.mask_token.val().reshape([1, 1, 1, 1]))
    }

    /// The outputs of every cell, `[B, outputs, H / side, W / side]`, of a masked image.
    pub fn forward(&self, masked: Tensor<4>, precision: Precision) -> Tensor<4> {
        let features = self.unet.encode(masked, precision);
        let last = self.unet.decode(features, precision);
        let [batch, width, height, columns] = last.dims();
        let [inputs, outputs] = self.weight.dims();
        let side = (inputs / width).isqrt();
        let [rows, columns] = [height / side, columns / side];
        let values = cell_rows(space_to_depth(last, side)).matmul(self.weight.val()) + self.bias.val().unsqueeze();
        values.reshape([batch, rows, columns, outputs]).permute([0, 3, 1, 2])
    }
}

/// The pixels of every cell of `side` x `side` as channels: `[B, C, H, W]` to `[B, C side^2, H / side, W / side]`. Pixel `(s, t)` of a
/// cell and channel `c` is channel `(c side + s) side + t`.
pub fn space_to_depth(image: Tensor<4>, side: usize) -> Tensor<4> {
    let [batch, channels, height, width] = image.dims();
    let [rows, columns] = [height / side, width / side];
    let cut: Tensor<6> = image.reshape([batch, channels, rows, side, columns, side]);
    cut.permute([0, 1, 3, 5, 2, 4]).reshape([batch, channels * side * side, rows, columns])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::test_tensors::values;

    #[test]
    fn the_pixels_of_a_cell_become_channels() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let image = Tensor::<4>::from_data(TensorData::new(numbers, [1, 1, 4, 4]), &device);
        let channels = space_to_depth(image, 2);
        assert_eq!(channels.dims(), [1, 4, 2, 2]);
        let expected = [0.0, 2.0, 8.0, 10.0, 1.0, 3.0, 9.0, 11.0, 4.0, 6.0, 12.0, 14.0, 5.0, 7.0, 13.0, 15.0];
        assert_eq!(values(channels), expected);
    }

    /// A change of one pixel of the last block affects the output of its cell only.
    #[test]
    fn the_output_of_a_cell_depends_on_its_pixels_only() {
        let device = Device::flex();
        let config = UNetConfig { width: 2, depth: 1, norm: super::super::Norm::None, ..UNetConfig::default() };
        let net = CellHeadNet::init(&config, 8, 3, 1, &device);
        let output = |index: usize| {
            let mut pixels = vec![0.0f32; 32 * 32];
            pixels[index] = 5.0;
            values(net.forward(Tensor::from_data(TensorData::new(pixels, [1, 1, 32, 32]), &device), Precision::F32))
        };
        // Two pixels of the same cell, (11, 11) and (12, 12); the network sees at most 10 pixels around them, so cell (3, 3) of
        // 4 x 4, which begins at 24, sees neither.
        let (a, b) = (output(11 * 32 + 11), output(12 * 32 + 12));
        assert_eq!(a.len(), 3 * 16);
        assert_ne!(a[5], b[5]);
        assert_eq!([a[15], a[31], a[47]], [b[15], b[31], b[47]]);
    }
}
