//! Weights as bytes, for checkpoints: safetensors, which holds tensors only and never code.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::UNet;
use crate::{Error, ErrorKind, Result};

/// The part of an earlier network that fine-tuning transfers; the rest keeps its random weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Only the encoder, for methods whose loss does not train the decoder.
    Encoder,
    /// Encoder and decoder; the head of a pre-training run has other outputs.
    EncoderDecoder,
    /// Everything: of a fine-tuned network with the same outputs.
    Whole,
}

impl Transfer {
    fn takes(self, name: &str) -> bool {
        match self {
            Self::Encoder => name.starts_with("encoder."),
            Self::EncoderDecoder => ["encoder.", "up.", "decoder."].iter().any(|part| name.starts_with(part)),
            Self::Whole => true,
        }
    }
}

/// The network's weights and running statistics as safetensors, f32, each under its path in the module. The U-Net of a larger
/// network is at the top level: `encoder.0.first.weight`, never `unet.encoder...`. Equal weights are equal bytes.
///
/// # Errors
/// A weight that is not finite.
pub fn to_bytes<N: Module>(network: &N) -> Result<Vec<u8>> {
    let mut collector = Collector::default();
    // A running statistic defers its last update until it is read again; `valid` applies it. Without it a checkpoint would lack
    // the last step, and a resumed training would differ.
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

/// Loads weights written by [`to_bytes`] into a network of the same shape.
///
/// # Errors
/// A tensor that is missing, left over or of another shape, by name.
pub fn from_bytes<N: Module>(network: N, bytes: &[u8]) -> Result<N> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| failed("reading weights", e))?;
    let expected = shapes(&network);
    for name in file.names() {
        if !expected.contains_key(current_name(name)) {
            return Err(failed("reading weights", format!("this network has no tensor {name}")));
        }
    }
    load(network, &file, expected, 0)
}

/// A U-Net with the transferred part of another's weights, which [`to_bytes`] wrote. The other network may have further parts,
/// and `extra_inputs` additional input channels, which are dropped.
///
/// # Errors
/// A transferred tensor that is missing or of another shape, by name.
pub fn transfer(fresh: UNet, bytes: &[u8], what: Transfer, extra_inputs: usize) -> Result<UNet> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| failed("reading weights", e))?;
    let mut expected = shapes(&fresh);
    expected.retain(|name, _| what.takes(name));
    load(fresh, &file, expected, extra_inputs)
}

/// The weight `[output, input, 3, 3]` that sees the input channels.
const FIRST: &str = "encoder.0.first.weight";

/// Puts the tensors named in `expected` into a network.
fn load<N: Module>(
    network: N,
    file: &SafeTensors<'_>,
    expected: BTreeMap<String, Vec<usize>>,
    extra_inputs: usize,
) -> Result<N> {
    let mut tensors = BTreeMap::new();
    for (name, shape) in expected {
        let stored = file.names().into_iter().find(|stored| current_name(stored) == name).unwrap_or(name.as_str());
        let view = file.tensor(stored).map_err(|e| failed("reading weights", e))?;
        let mut needed = shape.clone();
        if name == FIRST {
            needed[1] += extra_inputs;
        }
        if view.dtype() != Dtype::F32 || view.shape() != needed {
            let why = format!(
                "tensor {name} is {:?} {:?}, but this network needs F32 {needed:?}",
                view.dtype(),
                view.shape()
            );
            return Err(failed("reading weights", why));
        }
        // For each output, this network's inputs come first.
        let of_output = |shape: &[usize]| shape.iter().skip(1).product::<usize>().max(1);
        let outputs = view.data().as_chunks::<4>().0.chunks(of_output(&needed));
        let kept = outputs.flat_map(|inputs| &inputs[..of_output(&shape)]);
        let values = kept.map(|b| f32::from_le_bytes(*b)).collect();
        tensors.insert(name, values);
    }
    Ok(network.map(&mut Loader { path: Path::default(), tensors }))
}

/// The current name of a tensor: earlier versions call the mask token `fill`.
fn current_name(stored: &str) -> &str {
    if stored == "fill" { "mask_token" } else { stored }
}

/// The shape of every float tensor by its name.
fn shapes<N: Module>(network: &N) -> BTreeMap<String, Vec<usize>> {
    let mut collector = Collector::default();
    network.visit(&mut collector);
    collector.tensors.into_iter().map(|(name, (shape, _))| (name, shape)).collect()
}

/// Current path of a module visit.
#[derive(Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub(super) fn enter(&mut self, name: &str) {
        self.0.push(name.into());
    }

    pub(super) fn exit(&mut self) {
        self.0.pop();
    }

    /// The name of the tensor at this place.
    pub(super) fn name(&self) -> String {
        let steps = if self.0.first().is_some_and(|step| step == "unet") { &self.0[1..] } else { &self.0 };
        steps.join(".")
    }
}

fn failed(step: &str, why: impl std::fmt::Display) -> Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// Collects every float tensor of a module by path: shape and little-endian bytes.
#[derive(Default)]
struct Collector {
    path: Path,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Collector {
    /// Non-finite weights are never stored.
    fn refuse_non_finite(&self) -> Result<()> {
        let finite = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite());
        match self.tensors.iter().find(|(_, (_, bytes))| !finite(bytes)) {
            Some((name, _)) => {
                Err(failed("writing weights", format!("tensor {name} contains a value that is not finite")))
            }
            None => Ok(()),
        }
    }
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        self.tensors.insert(self.path.name(), (shape, bytes));
    }
}

/// Replaces every float tensor of a module by the one under its path.
struct Loader {
    path: Path,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl ModuleMapper for Loader {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.tensors.remove(&self.path.name()) else { return param };
        let (id, old, mapper) = param.consume();
        let value = Tensor::from_data(TensorData::new(values, old.shape()), &old.device());
        Param::from_mapped_value(id, value.set_require_grad(old.is_require_grad()), mapper)
    }
}

/// Numbers the parameters in the order of the module instead of at random, so that
/// an optimiser's state finds its parameters in another process.
pub(super) fn number_parameters<N: Module>(network: N) -> N {
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
