//! Tensors of tests.
#![allow(clippy::unwrap_used, reason = "tests")]

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
