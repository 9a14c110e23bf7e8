//! Custom autodiff operations: conversion between burn tensors and slices of floats.

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};

/// A CPU tensor.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Not tracked by autodiff.
    Plain(FlexTensor),
    /// Tracked by autodiff.
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl Value {
    /// `None` if the tensor is on another device, not f32, or tracked by another autodiff strategy.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let tensor = tensor.clone();
        if tensor.device().is_autodiff() {
            tensor.try_into_primitive::<Autodiff<Flex>>().ok().map(Self::Tracked)
        } else {
            tensor.try_into_primitive::<Flex>().ok().map(Self::Plain)
        }
    }

    /// Converts to a burn tensor.
    pub fn tensor<const D: usize>(self) -> Tensor<D> {
        match self {
            Self::Plain(tensor) => Tensor::from_primitive::<Flex>(tensor),
            Self::Tracked(tensor) => Tensor::from_primitive::<Autodiff<Flex>>(tensor),
        }
    }

    /// The contiguous values, detached from the tape.
    pub fn plain(self) -> FlexTensor {
        match self {
            Self::Plain(tensor) => contiguous(tensor),
            Self::Tracked(tensor) => contiguous(tensor.into_primitive()),
        }
    }

    pub fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    /// A constant without gradient, tracked if `tracked`.
    pub fn constant(tensor: FlexTensor, tracked: bool) -> Self {
        if tracked { Self::Tracked(FloatTensor::<Autodiff<Flex>>::new(tensor)) } else { Self::Plain(tensor) }
    }
}

/// Runs `work(inputs, recorded)`, which returns the output and the state of the backward pass, and records `operation` on the
/// tape if an input is tracked.
pub(super) fn record<const N: usize, O: Backward<Flex, N>>(
    operation: O,
    inputs: [Value; N],
    work: impl FnOnce([FlexTensor; N], bool) -> (FlexTensor, O::State),
) -> Value {
    if !inputs.iter().any(Value::is_tracked) {
        return Value::Plain(work(inputs.map(Value::plain), false).0);
    }
    let tracked = inputs.map(|value| match value {
        Value::Tracked(tensor) => tensor,
        Value::Plain(tensor) => FloatTensor::<Autodiff<Flex>>::new(tensor),
    });
    let nodes = tracked.each_ref().map(FloatTensor::<Autodiff<Flex>>::node);
    let numbers = tracked.map(|tensor| contiguous(tensor.into_primitive()));
    match operation.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (output, state) = work(numbers, true);
            Value::Tracked(prepared.finish(state, output))
        }
        OpsKind::UnTracked(prepared) => Value::Tracked(prepared.finish(work(numbers, false).0)),
    }
}

/// The values of a contiguous f32 tensor, without a copy.
pub(super) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().unwrap_or_default()
}

/// The values of a tensor, without a copy if it is the only owner.
pub(super) fn into_floats(tensor: FlexTensor) -> Vec<f32> {
    let tensor = contiguous(tensor);
    if !tensor.is_unique() {
        return floats(&tensor).to_vec();
    }
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

/// A tensor of these values, without a copy.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::new(shape)), DType::F32)
}

/// The shape of a tensor of rank `D`.
pub(super) fn sizes<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|i| shape[i])
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}
