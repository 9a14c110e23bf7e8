//! Tensors for tests.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

/// Rows of equal length as `[batch, N]`.
pub(crate) fn rows(values: Vec<f32>, batch: usize, device: &Device) -> Tensor<2> {
    let columns = values.len() / batch;
    Tensor::from_data(TensorData::new(values, [batch, columns]), device)
}

/// An image `[1, 1, size, size]`.
pub(crate) fn image(values: Vec<f32>, size: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [1, 1, size, size]), device)
}

/// The numbers of a tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// Every gradient, in the network's order.
pub(crate) fn gradient_values<N: Module>(net: &N, gradients: &GradientsParams) -> Vec<f32> {
    struct GradientCollector<'a>(&'a GradientsParams, Vec<f32>);
    impl ModuleVisitor for GradientCollector<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().iter::<f32>());
            }
        }
    }
    let mut collector = GradientCollector(gradients, Vec::new());
    net.visit(&mut collector);
    assert!(!collector.1.is_empty());
    collector.1
}
