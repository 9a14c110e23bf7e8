//! Interpolates the weights of two networks of the same shape.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::record::Path;
use crate::compute;

/// `from` moved towards `to`: every weight and running statistic becomes `from + share (to - from)`, where `share`
/// depends on its name in a checkpoint. A share of 0 changes nothing.
pub fn mix<N: Module>(from: N, to: &N, share: impl Fn(&str) -> f64) -> N {
    let mut tensors = Tensors { path: Path::default(), ids: BTreeMap::new(), values: GradientsParams::new() };
    // A running statistic defers its last update until it is read again; `valid` applies it.
    to.valid().visit(&mut tensors);
    from.map(&mut Mixer { path: Path::default(), to: tensors, share })
}

/// Every float tensor of a module by its name. Modules loaded from files have different ids for the same name.
struct Tensors {
    path: Path,
    ids: BTreeMap<String, ParamId>,
    /// Holds tensors of any rank.
    values: GradientsParams,
}

impl Tensors {
    fn take<const D: usize>(&mut self, name: &str) -> Option<Tensor<D>> {
        self.ids.get(name).and_then(|id| self.values.remove::<D>(*id))
    }
}

impl ModuleVisitor for Tensors {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.ids.insert(self.path.name(), param.id);
        self.values.register(param.id, param.val());
    }
}

struct Mixer<F> {
    path: Path,
    to: Tensors,
    share: F,
}

impl<F: Fn(&str) -> f64> ModuleMapper for Mixer<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let share = (self.share)(&name);
        let Some(to) = self.to.take::<D>(&name).filter(|_| share > 0.0) else { return param };
        let (id, old, mapper) = param.consume();
        let (tracks, trains) = (old.is_autodiff(), old.is_require_grad());
        let from = old.inner();
        let mixed = if compute::is_supported(&from) && compute::is_supported(&to) {
            compute::interpolate(from, &to, share as f32)
        } else {
            from.clone() + (to - from) * share
        };
        let mixed = if tracks { Tensor::from_inner(mixed).set_require_grad(trains) } else { mixed };
        Param::from_mapped_value(id, mixed, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::UNetConfig;
    use crate::model::record::to_bytes;

    #[test]
    fn weights_move_by_the_share_of_their_name_and_keep_their_gradient() {
        let device = Device::flex().autodiff();
        let config = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() };
        let numbers = |net: &crate::model::UNet, name: &str| {
            let bytes = to_bytes(net).unwrap_or_default();
            let file = safetensors::SafeTensors::deserialize(&bytes).map(|file| {
                let data = file.tensor(name).map(|t| t.data().to_vec()).unwrap_or_default();
                data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>()
            });
            file.unwrap_or_default()
        };
        let (from, to) = (config.init(1, &device), config.init(2, &device));
        let [a, b] = [&from, &to].map(|net| numbers(net, "head.weight"));
        let untouched = numbers(&from, "up.0.weight");
        let mixed = mix(from, &to, |name| if name == "head.weight" { 0.25 } else { 0.0 });
        let head = numbers(&mixed, "head.weight");
        assert!(!head.is_empty() && a != b && numbers(&mixed, "up.0.weight") == untouched);
        for ((mixed, a), b) in head.iter().zip(&a).zip(&b) {
            assert!((mixed - (0.75 * a + 0.25 * b)).abs() < 1e-6, "{mixed} of {a} and {b}");
        }
        let [a, b] = [a, b].map(|numbers| Tensor::<1>::from_floats(numbers.as_slice(), &Device::flex()));
        let expected = a.clone() + (b - a) * 0.25;
        assert_eq!(head, crate::test_tensors::values(expected), "burn's operations give other bits");
        let loss = mixed.forward(Tensor::ones([1, 1, 4, 4], &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &mixed);
        assert!(gradients.len() > 10, "a mixed network no longer trains");
    }
}
