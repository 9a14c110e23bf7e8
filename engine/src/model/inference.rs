//! The U-Net for inference.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::Tensor;
use lanes::Cpu;

use super::layers::{Block, Kernels};
use super::{Precision, UNet};
use crate::compute::{self, Map, PackedUnit, PackedUpsampling};

/// A copy of a [`UNet`] for inference. On the CPU in f32 it packs its weights once instead of in every forward pass, and keeps
/// the buffers between its layers.
///
/// Packed weights are never out of date, because they belong to this immutable copy. A network that is trained further or
/// loaded again must be packed again.
#[derive(Debug)]
pub struct PackedUNet {
    network: UNet,
    /// `None` where burn's operations run.
    layers: Option<Layers>,
}

#[derive(Debug)]
struct Layers {
    encoder: Vec<[PackedUnit; 2]>,
    up: Vec<PackedUpsampling>,
    decoder: Vec<[PackedUnit; 2]>,
    head: PackedUnit,
    /// Buffers of the forward passes that have ended. Each pass takes its own, so that passes may run at the same time.
    /// The thread that calls allocates them and the packed weights: its heap has what training has freed.
    spare: Mutex<Vec<Buffers>>,
}

/// Buffers of a forward pass.
#[derive(Debug, Default)]
struct Buffers {
    skips: Vec<Map>,
    x: Map,
    next: Map,
}

impl PackedUNet {
    pub(super) fn new(network: &UNet) -> Self {
        let network = network.valid();
        let layers = Layers::new(&network, compute::cpu());
        Self { network, layers }
    }

    /// [`UNet::forward`].
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let own = self.layers.as_ref().and_then(|layers| layers.forward(&input));
        own.unwrap_or_else(|| self.network.forward(input))
    }
}

impl Layers {
    fn new(network: &UNet, cpu: Cpu) -> Option<Self> {
        let blocks = |blocks: &[Block]| blocks.iter().map(|block| block.pack(cpu)).collect::<Option<Vec<_>>>();
        let up = network.up.iter().map(|up| PackedUpsampling::new(&up.weight.val(), &up.bias.as_ref()?.val(), cpu));
        let head = &network.head;
        Some(Self {
            encoder: blocks(&network.encoder)?,
            up: up.collect::<Option<_>>()?,
            decoder: blocks(&network.decoder)?,
            head: PackedUnit::plain(&head.weight.val(), &head.bias.as_ref()?.val(), cpu)?,
            spare: Mutex::default(),
        })
    }

    /// `None` for an input that is not on the CPU or not f32.
    fn forward(&self, input: &Tensor<4>) -> Option<Tensor<4>> {
        let kernels = Kernels::new(Precision::F32, input);
        if !kernels.own {
            return None;
        }
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = spare().pop().unwrap_or_default();
        let entered = buffers.next.read(&kernels.enter(input.clone()));
        let output = entered.then(|| self.run(&mut buffers));
        spare().push(buffers);
        output.map(|output| kernels.leave(output))
    }

    /// From the images in `next`.
    fn run(&self, Buffers { skips, x, next }: &mut Buffers) -> Tensor<4> {
        skips.resize_with(self.decoder.len(), Map::default);
        for (level, [first, second]) in self.encoder.iter().enumerate() {
            first.forward(next, None, x);
            match skips.get_mut(level) {
                Some(skip) => {
                    second.forward(x, None, skip);
                    next.pool(skip);
                }
                None => second.forward(x, None, next),
            }
        }
        for ((up, [first, second]), skip) in self.up.iter().zip(&self.decoder).zip(skips.iter().rev()) {
            up.forward(next, x);
            first.forward(skip, Some(x), next);
            second.forward(next, None, x);
            std::mem::swap(x, next);
        }
        self.head.forward(next, None, x);
        x.tensor()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
#[path = "inference_tests.rs"]
mod tests;
