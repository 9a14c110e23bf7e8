//! AdamW with our own CPU kernel. Its state is burn's, so checkpoints are interchangeable.

use burn::optim::{AdamW as BurnAdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::compute::{self, AdamWStep};

const BETA: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// AdamW with betas of .9 and .999 and an epsilon of 1e-8.
#[derive(Clone)]
pub(super) struct AdamW {
    weight_decay: f32,
    fallback: BurnAdamW,
}

impl AdamW {
    pub fn new(weight_decay: f64) -> Self {
        let config = AdamWConfig::new().with_beta_1(BETA[0]).with_beta_2(BETA[1]).with_epsilon(EPSILON);
        let weight_decay = weight_decay as f32;
        Self { weight_decay, fallback: config.with_weight_decay(weight_decay).build() }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        if !(compute::is_supported(&weights) && compute::is_supported(&gradient)) {
            return self.fallback.step(rate, weights, gradient, state);
        }
        let (time, moments) = match state {
            Some(AdamWState { momentum: m }) => (m.time + 1, Some([m.moment_1, m.moment_2])),
            None => (1, None),
        };
        let decay = (1.0 - rate * f64::from(self.weight_decay)) as f32;
        let step = AdamWStep { beta: BETA, epsilon: EPSILON, decay, rate: rate as f32, time: time as i32 };
        let [weights, first, second] = step.apply(weights, &gradient, moments);
        (weights, Some(AdamWState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        BurnAdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::optim::{GradientsParams, ModuleOptimizer};

    use super::*;
    use crate::model::UNetConfig;

    /// Weights after steps by an optimiser, and a checkpoint of it in between.
    fn trained(mut optimizer: ModuleOptimizer, read: &dyn Fn() -> ModuleOptimizer) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let mut net = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }.init(1, &device);
        for step in 0..4 {
            let input = Tensor::ones([1, 1, 4, 4], &device) * (step as f32 - 1.5);
            let output = net.forward(input);
            let gradients = GradientsParams::from_grads((output.clone() * output).sum().backward(), &net);
            net = optimizer.step(1e-2 / (step + 1) as f64, net, gradients);
            if step == 1 {
                optimizer = read()
                    .from_bytes(optimizer.into_bytes().expect("an encoded record"))
                    .expect("the record is decoded");
            }
        }
        let output = net.valid().forward(Tensor::ones([1, 1, 4, 4], &Device::flex()));
        output.into_data().iter::<f32>().collect()
    }

    #[test]
    fn steps_and_checkpoints_equal_burns_bit_for_bit() {
        for weight_decay in [0.0, 1e-2] {
            let config = AdamWConfig::new().with_epsilon(EPSILON).with_weight_decay(weight_decay as f32);
            let own = || ModuleOptimizer::from(AdamW::new(weight_decay));
            let expected = trained(config.init(), &|| config.init());
            assert!(expected.iter().all(|value| value.is_finite()));
            assert!(compute::is_supported(&Tensor::<1>::ones([1], &Device::flex())), "the test compares our kernels");
            assert_eq!(trained(own(), &own), expected);
            assert_eq!(trained(own(), &|| config.init()), expected, "burn reads our checkpoint");
            assert_eq!(trained(config.init(), &own), expected, "we read burn's checkpoint");
        }
    }
}
