//! Networks of the masked methods that predict features.

use burn::module::{Module, Param};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor};

use super::heads::{Linear, Mlp, MlpShape};
use super::init::Initializer;
use super::masked::apply_mask;
use super::record::number_parameters;
use super::{Features, Precision, Trace, UNet, UNetConfig};
use crate::loss::{normalised, patch_features};

/// A feature map `[B, D, G, G]` as one row per cell, `[B G^2, D]`.
pub fn cell_rows(features: Tensor<4>) -> Tensor<2> {
    let [batch, channels, rows, columns] = features.dims();
    features.permute([0, 2, 3, 1]).reshape([batch * rows * columns, channels])
}

/// A U-Net that reconstructs, with an MLP on the cells of its bottleneck (`BootMAE`) or on the means of its last block over
/// patches (HPM).
#[derive(Module, Debug)]
pub struct PredictorNet {
    unet: UNet,
    predictor: Mlp,
}

impl PredictorNet {
    /// Random weights drawn from `seed`: those of the U-Net are the same as without a predictor.
    pub fn init(config: &UNetConfig, predictor: MlpShape, seed: u64, device: &Device) -> Self {
        let predictor = Mlp::new(predictor, &mut Initializer::named(seed, "predictor", device), device);
        number_parameters(Self { unet: config.init(seed, device), predictor })
    }

    /// A forward pass of the U-Net.
    pub fn trace(&self, image: Tensor<4>, precision: Precision) -> Trace {
        self.unet.trace(image, precision)
    }

    /// The bottleneck `[B, d, G, G]`.
    pub fn bottleneck(&self, image: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.unet.encode(image, precision).bottleneck
    }

    /// The predictor's output for rows of features.
    pub fn predict(&self, rows: Tensor<2>) -> Tensor<2> {
        self.predictor.forward(rows)
    }
}

/// Shape of the heads of a [`TokenNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHeads {
    /// Dimensions of a code, D.
    pub dimension: usize,
    /// Number of codes, K.
    pub codes: usize,
}

impl TokenHeads {
    /// Trained parameters of a [`TokenNet`] besides the student's U-Net.
    pub fn parameters(self, config: &UNetConfig) -> usize {
        let (d, linear) = (config.bottleneck(), |input: usize, output: usize| (input + 1) * output);
        let tokenizer = 2 * linear(d, d) + linear(d, self.dimension) + linear(self.dimension, d);
        config.parameters() + 1 + tokenizer + linear(d + config.width, self.codes)
    }
}

/// The three networks of BEiT v2: a teacher that reconstructs, a tokenizer on its bottleneck, and the student, a U-Net whose
/// cells are classified into codes. Parts that a phase does not train are detached and unchanged.
#[derive(Module, Debug)]
pub struct TokenNet {
    unet: UNet,
    mask_token: Param<Tensor<1>>,
    teacher: UNet,
    encode_first: Linear,
    encode_last: Linear,
    decode_first: Linear,
    decode_last: Linear,
    classifier: Linear,
}

impl TokenNet {
    /// Random weights drawn from `seed`: teacher and student start from the same.
    pub fn init(config: &UNetConfig, heads: TokenHeads, seed: u64, device: &Device) -> Self {
        let mut init = Initializer::named(seed, "tokenizer", device);
        let (d, TokenHeads { dimension, codes }) = (config.bottleneck(), heads);
        let mut linear = |input, output| Linear::new(input, output, true, &mut init);
        number_parameters(Self {
            unet: config.init(seed, device),
            mask_token: Param::from_tensor(Tensor::zeros([1], device)),
            teacher: config.init(seed, device),
            encode_first: linear(d, d),
            encode_last: linear(d, dimension),
            decode_first: linear(dimension, d),
            decode_last: linear(d, d),
            classifier: linear(d + config.width, codes),
        })
    }

    /// The teacher's reconstruction.
    pub fn reconstruct(&self, masked: Tensor<4>, precision: Precision) -> Tensor<4> {
        self.teacher.forward_in(masked, precision)
    }

    /// The teacher's bottleneck, one row per cell, `[B G^2, d]`.
    pub fn teacher_cells(&self, image: Tensor<4>, precision: Precision) -> Tensor<2> {
        let Features { bottleneck, .. } = self.teacher.encode(image, precision);
        cell_rows(bottleneck)
    }

    /// Cells of the teacher in the space of the codes, of length 1: `[n, d]` to `[n, D]`.
    pub fn to_codes(&self, cells: Tensor<2>) -> Tensor<2> {
        normalised(self.encode_last.forward(tanh(self.encode_first.forward(cells))))
    }

    /// Cells of the teacher decoded from codes, `[n, D]` to `[n, d]`.
    pub fn from_codes(&self, codes: Tensor<2>) -> Tensor<2> {
        self.decode_last.forward(tanh(self.decode_first.forward(codes)))
    }

    /// The masked image, with the mask token on masked pixels.
    pub fn mask(&self, image: Tensor<4>, pixel_mask: Tensor<4>) -> Tensor<4> {
        apply_mask(image, pixel_mask, self.mask_token.val().reshape([1, 1, 1, 1]))
    }

    /// The student's features of every cell of a masked image, `[B G^2, d + width]`: its bottleneck, and its last block's mean
    /// over the cell.
    pub fn student_cells(&self, masked: Tensor<4>, precision: Precision) -> Tensor<2> {
        let Trace { bottleneck, last, .. } = self.unet.trace(masked, precision);
        let [_, _, grid, _] = bottleneck.dims();
        Tensor::cat(vec![cell_rows(bottleneck), cell_rows(patch_features(last, grid))], 1)
    }

    /// Logits of the codes for cells of the student, `[n, d + width]` to `[n, K]`.
    pub fn classify(&self, cells: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(cells)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::record::{Transfer, from_bytes, to_bytes, transfer};
    use crate::test_tensors::values;

    fn config() -> UNetConfig {
        UNetConfig { width: 2, depth: 2, ..UNetConfig::default() }
    }

    const HEADS: TokenHeads = TokenHeads { dimension: 3, codes: 5 };

    fn image(device: &Device) -> Tensor<4> {
        let numbers: Vec<f32> = (0..2 * 64).map(|v| (v * v % 23) as f32 / 7.0 - 1.0).collect();
        Tensor::from_data(burn::tensor::TensorData::new(numbers, [2, 1, 8, 8]), device)
    }

    #[test]
    fn cells_are_rows_in_the_order_of_the_grid() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let map = Tensor::<4>::from_data(burn::tensor::TensorData::new(numbers, [2, 2, 2, 2]), &device);
        let rows = cell_rows(map);
        assert_eq!(rows.dims(), [8, 2]);
        assert_eq!(&values(rows)[..8], [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
    }

    #[test]
    fn parameters_counts_the_trained_parameters() {
        let device = Device::flex();
        let running = |net: &UNet| net.num_params() - config().parameters();
        let unet = config().init(1, &device);
        let net = TokenNet::init(&config(), HEADS, 1, &device);
        // Batch norm's parameter count includes its running statistics, which are not trained.
        assert_eq!(net.num_params() - 2 * running(&unet), config().parameters() + HEADS.parameters(&config()));
        let shape = MlpShape { hidden_norm: false, ..MlpShape::new(8, 8, 8) };
        let net = PredictorNet::init(&config(), shape, 1, &device);
        assert_eq!(net.num_params() - running(&unet), config().parameters() + shape.parameters());
    }

    #[test]
    fn teacher_and_student_start_equal_and_the_student_is_transferred() {
        let device = Device::flex();
        let net = TokenNet::init(&config(), HEADS, 5, &device);
        let (image, precision) = (image(&device), Precision::F32);
        let student = net.student_cells(image.clone(), precision);
        assert_eq!(student.dims(), [2 * 4, 8 + 2]);
        let bottleneck = values(student.slice([0..8, 0..8]));
        assert_eq!(bottleneck, values(net.teacher_cells(image.clone(), precision)));
        let vectors = net.to_codes(net.teacher_cells(image, precision));
        let lengths = values((vectors.clone() * vectors.clone()).sum_dim(1));
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-4), "{lengths:?}");
        assert_eq!(
            (net.from_codes(vectors).dims(), net.classify(Tensor::zeros([3, 10], &device)).dims()),
            ([8, 8], [3, 5])
        );

        let mut other = TokenNet::init(&config(), HEADS, 6, &device);
        other.unet = config().init(7, &device);
        let bytes = to_bytes(&other).unwrap();
        let read = from_bytes(net, &bytes).unwrap();
        assert!(to_bytes(&read).unwrap() == bytes);
        let fine = transfer(config().init(9, &device), &bytes, Transfer::EncoderDecoder, 0).unwrap();
        let tensor = |file: &[u8], name: &str| {
            safetensors::SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().to_vec()
        };
        let fine = to_bytes(&fine).unwrap();
        let student = to_bytes(&config().init(7, &device)).unwrap();
        for name in ["encoder.2.second.weight", "decoder.1.first.weight", "up.0.weight"] {
            assert_eq!(tensor(&fine, name), tensor(&student, name), "{name}");
        }
    }
}
