//! Reading a tensor from its device.

use burn::tensor::{Element, Tensor};

use crate::{ErrorKind, Result};

/// The values of a tensor. `step` names the computation that it comes from, for the error.
///
/// # Errors
/// Device errors.
pub(crate) fn read_values<const D: usize, E: Element>(tensor: Tensor<D>, step: &str) -> Result<Vec<E>> {
    let data = tensor.try_into_data().map_err(|e| ErrorKind::Compute { step: step.into(), why: e.to_string() })?;
    Ok(data.iter::<E>().collect())
}

/// The output of a network, `step`: as [`read_values`], and finite.
///
/// # Errors
/// Device errors; values that are not finite.
pub(crate) fn read_finite<const D: usize>(output: Tensor<D>, step: &str) -> Result<Vec<f32>> {
    let values: Vec<f32> = read_values(output, step)?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    let why = "the network's output is not finite, so its weights are damaged".into();
    Err(ErrorKind::Compute { step: step.into(), why }.into())
}
