//! The norm of a gradient over all weights, and clipping by it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales the gradients of a network to a Euclidean norm of at most `max_norm` over all weights together; 0 sets no limit.
pub(super) fn clip<N: Module>(net: &N, mut gradients: GradientsParams, max_norm: f64) -> GradientsParams {
    if max_norm <= 0.0 {
        return gradients;
    }
    let mut squares = Squares { gradients: &gradients, sums: Vec::new() };
    net.visit(&mut squares);
    if squares.sums.is_empty() {
        return gradients;
    }
    let norm = Tensor::cat(squares.sums, 0).into_data().iter::<f64>().sum::<f64>().sqrt();
    if norm > max_norm {
        net.visit(&mut Scale { gradients: &mut gradients, by: max_norm / norm });
    }
    gradients
}

/// The sum of squares of each gradient, on the device.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.gradients.get::<D>(param.id);
        self.sums.extend(gradient.map(|gradient| (gradient.clone() * gradient).sum()));
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    by: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.by);
        }
    }
}

/// Euclidean norm of the gradient of `loss` over the parameters of `net`.
pub fn gradient_norm<N: Module>(net: &N, loss: &Tensor<1>) -> f64 {
    norm_of(net, &GradientsParams::from_grads(loss.backward(), net))
}

/// Euclidean norm of gradients over the parameters of `net`.
fn norm_of<N: Module>(net: &N, gradients: &GradientsParams) -> f64 {
    struct SquaredNorm<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for SquaredNorm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += gradient.into_data().iter::<f64>().map(|g| g * g).sum::<f64>();
            }
        }
    }
    let mut squares = SquaredNorm(gradients, 0.0);
    net.visit(&mut squares);
    squares.1.sqrt()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::UNetConfig;

    #[test]
    fn clipping_rescales_only_gradients_above_the_limit() {
        let device = Device::flex().autodiff();
        let net = UNetConfig { width: 2, depth: 1, ..UNetConfig::default() }.init(1, &device);
        let gradients = || {
            let output = net.forward(Tensor::ones([1, 1, 4, 4], &device));
            GradientsParams::from_grads((output.clone() * output).sum().backward(), &net)
        };
        let first = |gradients: &GradientsParams| norm_of(&net, gradients);
        let norm = first(&gradients());
        assert!(norm > 1e-3, "{norm}");
        for (max_norm, expected) in [(0.0, norm), (2.0 * norm, norm), (norm / 4.0, norm / 4.0)] {
            let clipped = first(&clip(&net, gradients(), max_norm));
            assert!((clipped - expected).abs() < 1e-5 * norm, "{max_norm}: {clipped}, not {expected}");
        }
    }
}
