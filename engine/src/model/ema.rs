//! Exponential moving average of a network: the teacher of self-distillation.

use std::f64::consts::PI;

use burn::module::Module;
use burn::tensor::Device;

use super::{mix, record};
use crate::Result;

/// A teacher: a copy of a network whose weights and running statistics are a moving average. Its weights are detached.
#[derive(Clone, Debug)]
pub struct Ema<N> {
    net: N,
}

impl<N: Module> Ema<N> {
    /// Starts as a copy of `net`.
    pub fn new(net: &N) -> Self {
        Self { net: detached(net) }
    }

    /// The teacher. On tensors that track gradients, batch norm uses batch statistics; nothing is stored for a backward pass.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// A copy of the teacher for tensors of a device that tracks gradients. Its passes do not change the teacher's running
    /// statistics.
    pub fn on(&self, device: &Device) -> N {
        let copy = detached(&self.net);
        if copy.devices().contains(device) { copy } else { detached(&copy.valid().fork(&device.clone().inner())) }
    }

    /// A copy of the teacher on the device it is on, whose batch norm uses running statistics.
    pub fn valid(&self) -> N {
        self.net.valid()
    }

    /// The update after an optimiser step: every weight and running statistic becomes `decay teacher + (1 - decay) net`.
    pub fn update(&mut self, net: &N, decay: f64) {
        // The copy includes pending updates of the teacher's running statistics.
        self.net = mix(detached(&self.net), net, |_| 1.0 - decay);
    }

    /// The teacher's weights for a checkpoint.
    ///
    /// # Errors
    /// A weight that is not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        record::to_bytes(&self.net)
    }

    /// Restores the weights that [`Ema::to_bytes`] returned.
    ///
    /// # Errors
    /// Weights of another network.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        // Loaded into a copy: pending updates of running statistics would otherwise overwrite the loaded values.
        self.net = detached(&record::from_bytes(detached(&self.net), bytes)?);
        Ok(())
    }
}

/// A copy with separate running statistics and detached weights.
fn detached<N: Module>(net: &N) -> N {
    net.valid().train().no_grad()
}

/// BYOL's decay, from `first` to 1 along half a cosine: `1 - (1 - first) (1 + cos(pi step / steps)) / 2`, `step` from 0.
pub fn cosine_decay(first: f64, step: usize, steps: usize) -> f64 {
    1.0 - (1.0 - first) * (1.0 + (PI * step as f64 / steps.max(1) as f64).cos()) / 2.0
}

/// At most `1 - 20 / steps`: a larger decay would leave much of the random start in the teacher of a run of `steps`.
pub fn capped_decay(decay: f64, steps: usize) -> f64 {
    decay.min(1.0 - 20.0 / steps.max(20) as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::module::Param;
    use burn::optim::GradientsParams;
    use burn::tensor::Tensor;

    use super::*;
    use crate::model::{Precision, UNet, UNetConfig};
    use crate::test_tensors::values;

    #[derive(Module, Debug)]
    struct SingleWeight {
        weight: Param<Tensor<1>>,
    }

    fn one(value: f32) -> SingleWeight {
        SingleWeight { weight: Param::from_tensor(Tensor::full([1], value, &Device::flex().autodiff())) }
    }

    fn unet(seed: u64) -> UNet {
        let shape = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() };
        shape.init(seed, &Device::flex().autodiff())
    }

    #[test]
    fn a_teacher_approaches_a_constant_network() {
        let mut teacher = Ema::new(&one(0.0));
        (0..10).for_each(|_| teacher.update(&one(1.0), 0.99));
        let weight = values(teacher.net().weight.val());
        assert!((weight[0] - 0.095_617_9).abs() < 1e-6, "{weight:?}");
    }

    #[test]
    fn the_cosine_decay_equals_that_of_the_reference() {
        let mut teacher = Ema::new(&one(1.0));
        (0..4).for_each(|step| teacher.update(&one(0.0), cosine_decay(0.99, step, 4)));
        let weight = values(teacher.net().weight.val());
        assert!((weight[0] - 0.975_211_8).abs() < 1e-6, "{weight:?}");
        assert!((cosine_decay(0.97, 0, 50) - 0.97).abs() < 1e-12 && (cosine_decay(0.97, 50, 50) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_short_run_has_a_smaller_decay() {
        assert!((capped_decay(0.9999, 2000) - 0.99).abs() < 1e-12);
        assert!((capped_decay(0.9999, 1_000_000) - 0.9999).abs() < 1e-12);
        assert!(capped_decay(0.9999, 3).abs() < 1e-12);
    }

    #[test]
    fn a_teacher_uses_batch_statistics_and_has_no_gradient() {
        let device = Device::flex().autodiff();
        let net = unet(1);
        let teacher = Ema::new(&net);
        let numbers: Vec<f32> = (0..32).map(|v| (v * v % 13) as f32).collect();
        let image = Tensor::<1>::from_floats(numbers.as_slice(), &device).reshape([2, 1, 4, 4]);
        let expected = values(net.encode(image.clone(), Precision::F32).bottleneck.inner());
        let before = teacher.to_bytes().unwrap();
        let of_teacher = teacher.net().encode(image.clone(), Precision::F32).bottleneck;
        assert_eq!(values(of_teacher.clone().inner()), expected);
        let running = values(teacher.valid().encode(image.clone().inner(), Precision::F32).bottleneck);
        assert_ne!(running, expected, "running statistics are not those of this batch");
        let moved = teacher.to_bytes().unwrap();
        assert_eq!(values(teacher.on(&device).encode(image.clone(), Precision::F32).bottleneck.inner()), expected);
        assert!(moved == teacher.to_bytes().unwrap(), "a copy moved the teacher");
        // The loss reaches the network, not the teacher.
        let loss = (net.encode(image, Precision::F32).bottleneck - of_teacher + 1.0).powi_scalar(2).sum();
        let gradients = loss.backward();
        assert_eq!(GradientsParams::from_grads(gradients, teacher.net()).len(), 0);
        assert!(before != teacher.to_bytes().unwrap(), "a pass with batch statistics moves the running ones");
    }

    /// The next update must not depend on whether the teacher was stored before it.
    #[test]
    fn a_stored_teacher_is_restored_and_storing_changes_nothing() {
        let device = Device::flex().autodiff();
        let after = |stored: bool| {
            let mut teacher = Ema::new(&unet(1));
            let numbers: Vec<f32> = (0..16).map(|v| v as f32).collect();
            let image = Tensor::<1>::from_floats(numbers.as_slice(), &device).reshape([1, 1, 4, 4]);
            let _ = teacher.net().forward(image.clone());
            if stored {
                let bytes = teacher.to_bytes().unwrap();
                teacher = Ema::new(&unet(7));
                // A resumed training measures a step before it reads its checkpoint.
                let _ = teacher.net().forward(image);
                teacher.restore(&bytes).unwrap();
                assert!(teacher.to_bytes().unwrap() == bytes);
            }
            teacher.update(&unet(2), 0.9);
            teacher.to_bytes().unwrap()
        };
        assert!(after(true) == after(false));
        let wider = UNetConfig { width: 3, depth: 1, ..UNetConfig::default() }.init(1, &device);
        assert!(Ema::new(&wider).restore(&Ema::new(&unet(1)).to_bytes().unwrap()).is_err());
    }
}
