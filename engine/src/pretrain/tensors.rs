//! Converts numbers on the host to tensors on a device.

use burn::tensor::{Device, Tensor, TensorData};

/// Slices `[C][S][S]` as `[B, C, S, S]`.
pub(super) fn images<'a>(
    slices: impl ExactSizeIterator<Item = &'a Vec<f32>>,
    channels: usize,
    size: usize,
    device: &Device,
) -> Tensor<4> {
    let shape = [slices.len(), channels, size, size];
    let mut values = Vec::with_capacity(shape.iter().product());
    slices.for_each(|slice| values.extend_from_slice(slice));
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Rows of equal length as `[B, N]`.
pub(super) fn rows<'a>(rows: impl ExactSizeIterator<Item = &'a Vec<f32>>, device: &Device) -> Tensor<2> {
    let slices = rows.len();
    let mut values = Vec::new();
    rows.for_each(|row| values.extend_from_slice(row));
    let columns = values.len() / slices.max(1);
    Tensor::from_data(TensorData::new(values, [slices, columns]), device)
}
