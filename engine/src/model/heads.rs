//! Heads on the encoder's pooled features, and the networks of the methods that compare views.
//!
//! A linear layer is a matrix product: burn's backward pass of a 1x1 convolution is too slow on the CPU.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::init::Initializer;
use super::record::number_parameters;
use super::{Precision, UNet, UNetConfig};
use crate::loss::normalised;

/// A linear layer.
#[derive(Module, Debug)]
pub(super) struct Linear {
    /// `[input, output]`.
    weight: Param<Tensor<2>>,
    /// `[output]`.
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub fn new(input: usize, output: usize, has_bias: bool, init: &mut Initializer<'_>) -> Self {
        let (weight, bias) = init.linear(input, output);
        Self { weight, bias: has_bias.then_some(bias) }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = x.matmul(self.weight.val());
        match &self.bias {
            Some(bias) => x + bias.val().unsqueeze(),
            None => x,
        }
    }
}

/// Shape of an [`Mlp`]: linear, batch norm, `ReLU`, linear, batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpShape {
    /// Number of inputs.
    pub input: usize,
    /// Number of hidden units.
    pub hidden: usize,
    /// Number of outputs.
    pub output: usize,
    /// Batch norm after the first layer.
    pub hidden_norm: bool,
    /// The last layer has a bias.
    pub last_bias: bool,
    /// Batch norm of the outputs.
    pub last_norm: bool,
}

impl MlpShape {
    /// MLP(input, hidden, output): linear, batch norm, `ReLU`, linear.
    pub fn new(input: usize, hidden: usize, output: usize) -> Self {
        Self { input, hidden, output, hidden_norm: true, last_bias: true, last_norm: false }
    }

    /// Number of trained parameters.
    pub fn parameters(&self) -> usize {
        let norm = |on: bool, features: usize| if on { 2 * features } else { 0 };
        let (first, last) = ((self.input + 1) * self.hidden, self.hidden * self.output);
        let bias = if self.last_bias { self.output } else { 0 };
        first + norm(self.hidden_norm, self.hidden) + last + bias + norm(self.last_norm, self.output)
    }
}

/// Two linear layers on rows of features.
#[derive(Module, Debug)]
pub struct Mlp {
    first: Linear,
    hidden_norm: Option<BatchNorm>,
    last: Linear,
    last_norm: Option<BatchNorm>,
}

impl Mlp {
    /// Random weights; gamma 1 and beta 0.
    pub(super) fn new(shape: MlpShape, init: &mut Initializer<'_>, device: &Device) -> Self {
        let norm = |on: bool, features| on.then(|| BatchNormConfig::new(features).init(device));
        Self {
            first: Linear::new(shape.input, shape.hidden, true, init),
            hidden_norm: norm(shape.hidden_norm, shape.hidden),
            last: Linear::new(shape.hidden, shape.output, shape.last_bias, init),
            last_norm: norm(shape.last_norm, shape.output),
        }
    }

    /// `[B, input]` to `[B, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = normed(self.hidden_norm.as_ref(), self.first.forward(x));
        normed(self.last_norm.as_ref(), self.last.forward(relu(x)))
    }
}

fn normed(norm: Option<&BatchNorm>, x: Tensor<2>) -> Tensor<2> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// The heads of a [`ViewNet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewHeads {
    /// Head on the pooled bottleneck.
    pub projector: MlpShape,
    /// Head on the projection; `None` for methods without a predictor.
    pub predictor: Option<MlpShape>,
    /// Number of prototypes, each of the size of the projection; 0 for none.
    pub prototypes: usize,
}

impl ViewHeads {
    /// Number of trained parameters.
    pub fn parameters(&self) -> usize {
        let predictor = self.predictor.map_or(0, |shape| shape.parameters());
        self.projector.parameters() + predictor + self.prototypes * self.projector.output
    }
}

/// A U-Net's encoder with heads on the mean of its bottleneck. The decoder is included but not trained, so that every
/// checkpoint has a complete U-Net.
#[derive(Module, Debug)]
pub struct ViewNet {
    unet: UNet,
    projector: Mlp,
    predictor: Option<Mlp>,
    /// `[K, D]`, rows of unit length.
    prototypes: Option<Param<Tensor<2>>>,
}

impl ViewNet {
    /// Random weights from `seed`; the U-Net's are the same as without heads.
    pub fn init(config: &UNetConfig, heads: ViewHeads, seed: u64, device: &Device) -> Self {
        let mut init = Initializer::named(seed, "view-heads", device);
        let projector = Mlp::new(heads.projector, &mut init, device);
        let predictor = heads.predictor.map(|shape| Mlp::new(shape, &mut init, device));
        let prototypes = (heads.prototypes > 0).then(|| init.linear(heads.prototypes, heads.projector.output).0);
        let net = Self { unet: config.init(seed, device), projector, predictor, prototypes };
        number_parameters(net.with_unit_prototypes())
    }

    /// The mean of the bottleneck over its cells, `[B, d]`, of images `[B, C, H, W]`.
    pub fn features(&self, images: Tensor<4>, precision: Precision) -> Tensor<2> {
        let bottleneck = self.unet.encode(images, precision).bottleneck;
        let [batch, d, rows, columns] = bottleneck.dims();
        bottleneck.reshape([batch, d, rows * columns]).mean_dim(2).reshape([batch, d])
    }

    /// The projections of features.
    pub fn project(&self, features: Tensor<2>) -> Tensor<2> {
        self.projector.forward(features)
    }

    /// The predictions of projections; the projections themselves without a predictor.
    pub fn predict(&self, projections: Tensor<2>) -> Tensor<2> {
        match &self.predictor {
            Some(predictor) => predictor.forward(projections),
            None => projections,
        }
    }

    /// The prototypes `[K, D]`, if there are any.
    pub fn prototypes(&self) -> Option<Tensor<2>> {
        self.prototypes.as_ref().map(Param::val)
    }

    /// Normalises the prototypes to unit length, required after every step.
    #[must_use]
    pub fn with_unit_prototypes(mut self) -> Self {
        self.prototypes = self.prototypes.map(|prototypes| {
            let (id, value, mapper) = prototypes.consume();
            let (tracks, trains) = (value.is_autodiff(), value.is_require_grad());
            let unit = normalised(if tracks { value.inner() } else { value });
            let unit = if tracks { Tensor::from_inner(unit).set_require_grad(trains) } else { unit };
            Param::from_mapped_value(id, unit, mapper)
        });
        self
    }

    /// The same network with detached heads.
    #[must_use]
    pub fn with_fixed_heads(&self) -> Self {
        let Self { unet, projector, predictor, prototypes } = self.clone();
        Self {
            unet,
            projector: projector.no_grad(),
            predictor: predictor.map(Module::no_grad),
            prototypes: prototypes.map(Module::no_grad),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::record::{Transfer, from_bytes, to_bytes, transfer};
    use crate::test_tensors::{rows, values};

    fn heads() -> ViewHeads {
        let projector = MlpShape { last_norm: true, ..MlpShape::new(4, 5, 6) };
        let predictor = Some(MlpShape { last_bias: false, ..MlpShape::new(6, 5, 6) });
        ViewHeads { projector, predictor, prototypes: 7 }
    }

    fn config() -> UNetConfig {
        UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }
    }

    #[test]
    fn parameters_counts_the_trained_parameters() {
        let device = Device::flex();
        let net = ViewNet::init(&config(), heads(), 1, &device);
        // Batch norm's parameter count includes its running statistics, which are not trained.
        let running = 2 * (5 + 6 + 5);
        let unet = config().init(1, &device).num_params();
        assert_eq!(net.num_params() - running - unet, heads().parameters());
    }

    #[test]
    fn features_are_the_mean_of_the_bottleneck() {
        let device = Device::flex();
        let net = ViewNet::init(&config(), heads(), 1, &device);
        let image = rows((0..32).map(|v| (v * v % 11) as f32).collect(), 2, &device).reshape([2, 1, 4, 4]);
        let bottleneck = values(net.unet.encode(image.clone(), Precision::F32).bottleneck);
        let expected: Vec<f32> = bottleneck.chunks(4).map(|cells| cells.iter().sum::<f32>() / 4.0).collect();
        let actual = net.features(image, Precision::F32);
        assert_eq!(actual.dims(), [2, 4]);
        assert!(values(actual).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn an_mlp_is_linear_norm_relu_linear() {
        let device = Device::flex().autodiff();
        let shape = MlpShape { hidden_norm: false, ..MlpShape::new(1, 2, 1) };
        let mut mlp = Mlp::new(shape, &mut Initializer::named(1, "test", &device), &device);
        mlp.first.weight = Param::from_tensor(rows(vec![1.0, -1.0], 1, &device));
        mlp.first.bias = Some(Param::from_tensor(Tensor::from_floats([0.0, 1.0], &device)));
        mlp.last.weight = Param::from_tensor(rows(vec![1.0, 10.0], 2, &device));
        mlp.last.bias = Some(Param::from_tensor(Tensor::from_floats([0.5], &device)));
        let output = mlp.forward(rows(vec![2.0, -3.0, 0.5], 3, &device));
        assert_eq!(values(output), [2.5, 40.5, 6.0]);
        // With batch norm the two rows become -1 and 1 in either hidden number, and ReLU keeps one of them.
        mlp.hidden_norm = Some(BatchNormConfig::new(2).with_epsilon(1e-12).init(&device));
        let output = values(mlp.forward(rows(vec![2.0, 4.0], 2, &device)));
        assert!((output[0] - 10.5).abs() < 1e-4 && (output[1] - 1.5).abs() < 1e-4, "{output:?}");
    }

    #[test]
    fn prototypes_have_unit_length_and_still_train() {
        let device = Device::flex().autodiff();
        let mut net = ViewNet::init(&config(), heads(), 1, &device);
        let stretched = values(net.prototypes().unwrap() * 3.0);
        net.prototypes = Some(Param::from_tensor(rows(stretched, 7, &device)));
        let net = net.with_unit_prototypes();
        let prototypes = net.prototypes().unwrap();
        let lengths = values((prototypes.clone() * prototypes.clone()).sum_dim(1).inner());
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-5), "{lengths:?}");
        let gradients = prototypes.clone().sum().backward();
        assert!(prototypes.grad(&gradients).is_some());
        let fixed = net.with_fixed_heads();
        assert!(!fixed.prototypes().unwrap().is_require_grad() && net.prototypes().unwrap().is_require_grad());
    }

    #[test]
    fn the_encoder_is_transferred_and_starts_as_without_heads() {
        let device = Device::flex();
        let bytes = to_bytes(&ViewNet::init(&config(), heads(), 5, &device)).unwrap();
        let plain = to_bytes(&config().init(5, &device)).unwrap();
        assert!(to_bytes(&transfer(config().init(9, &device), &bytes, Transfer::Whole, 0).unwrap()).unwrap() == plain);
        let read = from_bytes(ViewNet::init(&config(), heads(), 6, &device), &bytes).unwrap();
        assert!(to_bytes(&read).unwrap() == bytes);
    }
}
