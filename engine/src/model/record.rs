//! Weights as bytes, for checkpoints: safetensors, which holds tensors only and never code.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::UNet;
use crate::{Error, ErrorKind, Result};

/// The network's weights and running statistics, f32 little-endian, each under its path in the module
/// (`encoder.0.first.weight`). Equal weights are equal bytes; weights that are not finite are an error.
pub fn to_bytes(network: &UNet) -> Result<Vec<u8>> {
    let mut collector = Collector::default();
    // A running statistic holds its last update back until it is read again; `valid` brings it up to date. Without it
    // a checkpoint would lack the last step, and a resumed training would differ.
    network.valid().visit(&mut collector);
    collector.refuse_non_finite()?;
    let views: Vec<(String, TensorView<'_>)> = collector
        .tensors
        .iter()
        .map(|(name, (shape, bytes))| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|e| failed("writing weights", e))?;
    safetensors::serialize(views, None).map_err(|e| failed("writing weights", e))
}

/// Puts weights written by [`to_bytes`] into a network of the same shape; anything missing, left over or of another
/// shape is an error that names the tensor.
pub fn from_bytes(network: UNet, bytes: &[u8]) -> Result<UNet> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| failed("reading weights", e))?;
    let mut expected = Collector::default();
    network.visit(&mut expected);
    for name in file.names() {
        if !expected.tensors.contains_key(name) {
            return Err(failed("reading weights", format!("tensor {name} has no place in this network")));
        }
    }
    let mut tensors = BTreeMap::new();
    for (name, (shape, _)) in &expected.tensors {
        let view = file.tensor(name).map_err(|e| failed("reading weights", e))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            let why =
                format!("tensor {name} is {:?} {:?}, this network needs F32 {shape:?}", view.dtype(), view.shape());
            return Err(failed("reading weights", why));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        tensors.insert(name.clone(), values);
    }
    Ok(network.map(&mut Loader { path: Vec::new(), tensors }))
}

fn failed(step: &str, why: impl std::fmt::Display) -> Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// Collects every float tensor of a module by path: shape and little-endian bytes.
#[derive(Default)]
struct Collector {
    path: Vec<String>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Collector {
    /// Weights with which nothing can be computed are never kept.
    fn refuse_non_finite(&self) -> Result<()> {
        let finite = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite());
        match self.tensors.iter().find(|(_, (_, bytes))| !finite(bytes)) {
            Some((name, _)) => {
                Err(failed("writing weights", format!("tensor {name} holds a value that is not finite")))
            }
            None => Ok(()),
        }
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.tensors.insert(self.path.join("."), (shape, bytes));
    }
}

/// Replaces every float tensor of a module by the one under its path.
struct Loader {
    path: Vec<String>,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl ModuleMapper for Loader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.tensors.remove(&self.path.join(".")) else { return param };
        let (id, old, mapper) = param.consume();
        let value = Tensor::from_data(TensorData::new(values, old.shape()), &old.device());
        Param::from_mapped_value(id, value.set_require_grad(old.is_require_grad()), mapper)
    }
}

/// Numbers the parameters in the order of the module instead of at random, so that
/// an optimiser's state finds its parameters in another process.
pub(super) fn number_parameters(network: UNet) -> UNet {
    network.map(&mut Numbering(0))
}

struct Numbering(u64);

impl Numbering {
    fn next(&mut self) -> ParamId {
        self.0 += 1;
        ParamId::from(self.0)
    }
}

impl ModuleMapper for Numbering {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, value, mapper) = param.consume();
        Param::from_mapped_value(self.next(), value, mapper)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let (_, value, mapper) = param.consume();
        Param::from_mapped_value(self.next(), value, mapper)
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let (_, value, mapper) = param.consume();
        Param::from_mapped_value(self.next(), value, mapper)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::UNetConfig;

    fn config() -> UNetConfig {
        UNetConfig { width: 2, depth: 2, ..UNetConfig::default() }
    }

    #[test]
    fn weights_survive_a_round_trip_and_equal_weights_are_equal_bytes() {
        let device = Device::flex();
        let bytes = to_bytes(&config().init(1, &device)).unwrap();
        assert!(bytes == to_bytes(&config().init(1, &device)).unwrap());
        let other = config().init(2, &device);
        assert!(bytes != to_bytes(&other).unwrap());
        let loaded = from_bytes(other, &bytes).unwrap();
        assert!(bytes == to_bytes(&loaded).unwrap());
    }

    #[test]
    fn foreign_or_damaged_weights_are_errors() {
        let device = Device::flex();
        let bytes = to_bytes(&config().init(1, &device)).unwrap();
        let wider = UNetConfig { width: 4, ..config() };
        assert!(from_bytes(wider.init(1, &device), &bytes).is_err());
        for cut in [0, 1, 16, 40, bytes.len() / 2, bytes.len() - 1] {
            assert!(from_bytes(config().init(1, &device), &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for place in 0..64 {
            let mut hostile = bytes.clone();
            hostile[place] ^= 0xff;
            // It may be refused or, where only a free byte changed, read; it must not end the program.
            let _ = from_bytes(config().init(1, &device), &hostile);
        }
    }
}
