//! Between burn's tensors and slices of numbers: operations of our own on burn's tape.

use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Bytes, DType, Shape, Tensor};

/// A tensor on the CPU.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Without a tape.
    Plain(FlexTensor),
    /// With one.
    Tracked(FloatTensor<Autodiff<Flex>>),
}

impl Value {
    /// None where the tensor is on another device, of another type or recorded in another way.
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

    /// Back to a tensor of burn.
    pub fn tensor<const D: usize>(self) -> Tensor<D> {
        match self {
            Self::Plain(tensor) => Tensor::from_primitive::<Flex>(tensor),
            Self::Tracked(tensor) => Tensor::from_primitive::<Autodiff<Flex>>(tensor),
        }
    }

    /// The numbers, in order.
    pub fn plain(self) -> FlexTensor {
        match self {
            Self::Plain(tensor) => contiguous(tensor),
            Self::Tracked(tensor) => contiguous(tensor.into_primitive()),
        }
    }

    /// Whether a tape is there.
    pub fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    /// Numbers that nothing is derived from, with a tape where `tracked`.
    pub fn constant(tensor: FlexTensor, tracked: bool) -> Self {
        if tracked { Self::Tracked(FloatTensor::<Autodiff<Flex>>::new(tensor)) } else { Self::Plain(tensor) }
    }
}

/// Computes `work(inputs, recorded)`, which returns the output and what the gradient needs, and puts `operation` on the tape
/// if an input is recorded there.
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

/// The numbers of a contiguous f32 tensor: no copy.
pub(super) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().unwrap_or_default()
}

/// The numbers of a tensor, without a copy where nobody else holds them.
pub(super) fn into_floats(tensor: FlexTensor) -> Vec<f32> {
    let tensor = contiguous(tensor);
    if !tensor.is_unique() {
        return floats(&tensor).to_vec();
    }
    tensor.into_data().try_into_vec::<f32>().unwrap_or_default()
}

/// A tensor of these numbers: no copy.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(Shape::new(shape)), DType::F32)
}

/// The sizes of a tensor of rank `D`.
pub(super) fn sizes<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|i| shape[i])
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}
