//! Networks of masked pre-training: a U-Net with method-specific additions.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::init::Initializer;
use super::predictor::cell_rows;
use super::record::number_parameters;
use super::{Precision, UNet, UNetConfig};

/// `image` `[B, C, H, W]` with `fill` in place of the masked pixels; `pixel_mask` `[B, 1, H, W]` is 1 on these, 0 elsewhere.
pub fn apply_mask(image: Tensor<4>, pixel_mask: Tensor<4>, fill: Tensor<4>) -> Tensor<4> {
    image * (-pixel_mask.clone() + 1.0) + pixel_mask * fill
}

/// What the decoder sees of the first level. Features at the full resolution of the slice let it interpolate masked patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopSkip {
    /// Everything.
    #[default]
    Keep,
    /// Nothing at masked pixels.
    Mask,
    /// Nothing.
    Drop,
}

/// How a network sees masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskInput {
    /// A mask token replaces masked pixels.
    pub token: bool,
    /// The pixel mask is the last input channel.
    pub channel: bool,
    /// What passes the first skip.
    pub top_skip: TopSkip,
}

/// A U-Net that reconstructs masked slices, with or without a mask token.
#[derive(Module, Debug)]
pub struct MaskedUNet {
    unet: UNet,
    mask_token: Option<Param<Tensor<1>>>,
    #[module(skip)]
    input: MaskInput,
}

impl MaskedUNet {
    /// Random weights drawn from `seed`; the mask token starts at 0. With a mask channel, it is one of `in_channels`.
    pub fn init(config: &UNetConfig, input: MaskInput, seed: u64, device: &Device) -> Self {
        let mask_token = input.token.then(|| Param::from_tensor(Tensor::zeros([1], device)));
        number_parameters(Self { unet: config.init(seed, device), mask_token, input })
    }

    /// The masked image: masked pixels are `noise` `[B, C, H, W]` if given, else the mask token if there is one, else 0.
    pub fn mask(&self, image: Tensor<4>, pixel_mask: Tensor<4>, noise: Option<Tensor<4>>) -> Tensor<4> {
        match (noise, &self.mask_token) {
            (Some(noise), _) => apply_mask(image, pixel_mask, noise),
            (None, Some(token)) => apply_mask(image, pixel_mask, token.val().reshape([1, 1, 1, 1])),
            (None, None) => image * (-pixel_mask + 1.0),
        }
    }

    /// The bottleneck `[B, d, G, G]` of an image without a mask.
    pub fn bottleneck(&self, image: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.unet.encode(image, precision).bottleneck
    }

    /// The reconstruction `[B, C, H, W]` of a masked image; `pixel_mask` `[B, 1, H, W]` is 1 on masked pixels.
    pub fn forward(&self, masked: Tensor<4>, pixel_mask: Tensor<4>, precision: Precision) -> Tensor<4> {
        let MaskInput { channel, top_skip, .. } = self.input;
        let visible = match top_skip {
            TopSkip::Keep => None,
            TopSkip::Mask => Some(-pixel_mask.clone() + 1.0),
            TopSkip::Drop => Some(pixel_mask.zeros_like()),
        };
        let input = if channel { Tensor::cat(vec![masked, pixel_mask], 1) } else { masked };
        match visible {
            None => self.unet.forward_in(input, precision),
            Some(visible) => self.unet.forward_through(input, visible, precision),
        }
    }
}

/// A U-Net's encoder with a linear pixel head: each cell of the bottleneck predicts its pixels. The decoder is included but not
/// trained, so that every checkpoint has a complete U-Net.
#[derive(Module, Debug)]
pub struct PixelHeadNet {
    unet: UNet,
    mask_token: Param<Tensor<1>>,
    /// `[d, C r^2]`, d bottleneck channels, r = 2^depth pixels along a cell's side.
    weight: Param<Tensor<2>>,
    /// `[C r^2]`.
    bias: Param<Tensor<1>>,
}

impl PixelHeadNet {
    /// Random weights drawn from `seed`; the mask token starts at 0.
    pub fn init(config: &UNetConfig, seed: u64, device: &Device) -> Self {
        let pixels = config.in_channels * config.multiple() * config.multiple();
        let (weight, bias) = Initializer::named(seed, "pixel-head", device).linear(config.bottleneck(), pixels);
        let mask_token = Param::from_tensor(Tensor::zeros([1], device));
        number_parameters(Self { unet: config.init(seed, device), mask_token, weight, bias })
    }

    /// The masked image, with the mask token on masked pixels.
    pub fn mask(&self, image: Tensor<4>, pixel_mask: Tensor<4>) -> Tensor<4> {
        apply_mask(image, pixel_mask, self.mask_token.val().reshape([1, 1, 1, 1]))
    }

    /// The reconstruction `[B, C, H, W]` of a masked image.
    pub fn forward(&self, masked: Tensor<4>, precision: Precision) -> Tensor<4> {
        let channels = masked.dims()[1];
        let cells = self.unet.encode(masked, precision).bottleneck;
        let [batch, _, rows, columns] = cells.dims();
        let pixels = cell_rows(cells).matmul(self.weight.val()) + self.bias.val().unsqueeze();
        pixel_shuffle(pixels, [batch, channels, rows, columns])
    }
}

/// Puts the pixels of every cell in their place: `[B G_i G_j, C r^2]` to `[B, C, r G_i, r G_j]`. Entry `(c, r s + t)` of cell
/// `(i, j)` is pixel `(r i + s, r j + t)` of channel `c`.
fn pixel_shuffle(pixels: Tensor<2>, [batch, channels, rows, columns]: [usize; 4]) -> Tensor<4> {
    let side = (pixels.dims()[1] / channels).isqrt();
    let cut: Tensor<6> = pixels.reshape([batch, rows, columns, channels, side, side]);
    cut.permute([0, 3, 1, 4, 2, 5]).reshape([batch, channels, rows * side, columns * side])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::model::record::{Transfer, from_bytes, to_bytes, transfer};
    use crate::test_tensors::values;

    const WITH_TOKEN: MaskInput = MaskInput { token: true, channel: false, top_skip: TopSkip::Keep };

    fn config() -> UNetConfig {
        UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }
    }

    #[test]
    fn masked_pixels_are_replaced_and_visible_ones_stay() {
        let device = Device::flex();
        let tensor = |v: [f32; 4]| Tensor::<4>::from_data(TensorData::new(v.to_vec(), [1, 1, 2, 2]), &device);
        let (image, mask) = (tensor([1.0, 2.0, 3.0, 4.0]), tensor([0.0, 1.0, 0.0, 1.0]));
        let hidden = apply_mask(image.clone(), mask.clone(), Tensor::full([1, 1, 1, 1], 7.0, &device));
        assert_eq!(values(hidden), [1.0, 7.0, 3.0, 7.0]);
        let plain = MaskedUNet::init(&config(), MaskInput::default(), 1, &device);
        assert_eq!(values(plain.mask(image.clone(), mask.clone(), None)), [1.0, 0.0, 3.0, 0.0]);
        let noise = plain.mask(image, mask, Some(tensor([9.0, 8.0, 7.0, 6.0])));
        assert_eq!(values(noise), [1.0, 8.0, 3.0, 6.0]);
    }

    /// Channel r s + t of cell (i, j) is pixel (r i + s, r j + t).
    #[test]
    fn pixel_shuffle_puts_each_pixel_in_its_position() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let cells = Tensor::<2>::from_data(TensorData::new(numbers, [4, 4]), &device);
        let image = values(pixel_shuffle(cells, [1, 1, 2, 2]));
        let expected = [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0, 12.0, 13.0, 10.0, 11.0, 14.0, 15.0];
        assert_eq!(image, expected);
    }

    #[test]
    fn the_pixel_head_sees_the_whole_image_and_leaves_the_decoder_alone() {
        let device = Device::flex().autodiff();
        let config = UNetConfig { width: 2, depth: 2, in_channels: 2, ..UNetConfig::default() };
        let net = PixelHeadNet::init(&config, 3, &device);
        let output = net.forward(Tensor::ones([2, 2, 8, 12], &device), Precision::F32);
        assert_eq!(output.dims(), [2, 2, 8, 12]);
        let gradients = burn::optim::GradientsParams::from_grads(output.sum().backward(), &net);
        struct Count<'a>(&'a burn::optim::GradientsParams, usize);
        impl burn::module::ModuleVisitor for Count<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1 += usize::from(self.0.get::<D>(param.id).is_some());
            }
        }
        let mut count = Count(&gradients, 0);
        net.visit(&mut count);
        // Three encoder blocks of two convolutions and two norms with two parameters each, and the head.
        assert_eq!(count.1, 3 * 8 + 2);
    }

    #[test]
    fn a_file_written_when_the_token_was_called_fill_is_read() {
        let device = Device::flex();
        let bytes = to_bytes(&MaskedUNet::init(&config(), WITH_TOKEN, 1, &device)).unwrap();
        let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
        assert!(text.contains("\"mask_token\"") && !text.contains("unet."), "{}", &text[..200]);
        // The same length, so that the header's offsets hold.
        let index = bytes.windows(12).position(|w| w == b"\"mask_token\"").unwrap();
        let mut old = bytes.clone();
        old.splice(index..index + 12, *b"\"fill\"      ");
        let read = from_bytes(MaskedUNet::init(&config(), WITH_TOKEN, 2, &device), &old).unwrap();
        assert!(to_bytes(&read).unwrap() == bytes);
    }

    #[test]
    fn an_encoder_is_transferred_without_its_decoder() {
        let device = Device::flex();
        let trained = to_bytes(&PixelHeadNet::init(&config(), 1, &device)).unwrap();
        let fresh = to_bytes(&config().init(2, &device)).unwrap();
        let tensor = |file: &[u8], name: &str| {
            safetensors::SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().to_vec()
        };
        for (what, decoder) in [(Transfer::Encoder, &fresh), (Transfer::EncoderDecoder, &trained)] {
            let network = to_bytes(&transfer(config().init(2, &device), &trained, what, 0).unwrap()).unwrap();
            for (name, source) in [
                ("encoder.1.first.weight", &trained),
                ("encoder.0.second_norm.batch.running_var", &trained),
                ("decoder.0.first.weight", decoder),
                ("up.0.weight", decoder),
                ("head.weight", &fresh),
            ] {
                assert_eq!(tensor(&network, name), tensor(source, name), "{what:?}: {name}");
            }
        }
        let wider = UNetConfig { width: 3, ..config() };
        assert!(transfer(wider.init(2, &device), &trained, Transfer::Encoder, 0).is_err());
    }

    /// With a dropped skip, the full resolution reaches the output only through the poolings; with a masked one, masked
    /// features do not reach it.
    #[test]
    fn the_top_skip_is_kept_masked_or_dropped() {
        let device = Device::flex();
        let shape = UNetConfig { norm: super::super::Norm::None, depth: 2, ..config() };
        let net = |top_skip| MaskedUNet::init(&shape, MaskInput { top_skip, ..MaskInput::default() }, 1, &device);
        let image = Tensor::<4>::from_data(TensorData::new(vec![0.5f32; 16], [1, 1, 4, 4]), &device);
        let (none, all) = (image.zeros_like(), image.ones_like());
        let output =
            |top_skip, mask: &Tensor<4>| values(net(top_skip).forward(image.clone(), mask.clone(), Precision::F32));
        let kept = output(TopSkip::Keep, &none);
        assert_eq!(output(TopSkip::Keep, &all), kept, "the mask is not an input");
        assert_eq!(output(TopSkip::Mask, &none), kept, "nothing is masked");
        let dropped = output(TopSkip::Drop, &none);
        assert_ne!(dropped, kept);
        assert_eq!(output(TopSkip::Mask, &all), dropped, "everything is masked");
    }

    /// Fine-tuning without masks must compute the same as the pre-trained network with nothing masked.
    #[test]
    fn the_mask_channel_is_an_input_and_is_dropped_by_the_transfer() {
        let device = Device::flex();
        let channel = MaskInput { channel: true, ..MaskInput::default() };
        let net = MaskedUNet::init(&UNetConfig { in_channels: 2, ..config() }, channel, 1, &device);
        let numbers: Vec<f32> = (0..16).map(|v| v as f32 / 8.0 - 1.0).collect();
        let image = Tensor::<4>::from_data(TensorData::new(numbers, [1, 1, 4, 4]), &device);
        let encode = |unet: &UNet, input: Tensor<4>| values(unet.encode(input, Precision::F32).bottleneck);
        let with = |mask: Tensor<4>| encode(&net.unet, Tensor::cat(vec![image.clone(), mask], 1));
        let (unmasked, masked) = (with(image.zeros_like()), with(image.ones_like()));
        assert_ne!(unmasked, masked);
        let bytes = to_bytes(&net).unwrap();
        let fine = transfer(config().init(2, &device), &bytes, Transfer::EncoderDecoder, 1).unwrap();
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&encode(&fine, image.clone()), &unmasked), "another encoder");
        assert!(transfer(config().init(2, &device), &bytes, Transfer::EncoderDecoder, 0).is_err());
    }
}
