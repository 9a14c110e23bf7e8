//! Memory of a training step, and whether it fits on the device.

use crate::config::Config;
use crate::device::Compute;
use crate::model::UNetConfig;
use crate::words::plural;
use crate::{ErrorKind, Result};

/// Bytes of a mebibyte.
const MIB: f64 = 1_048_576.0;

/// Parameters and activations that a method adds to its U-Net, such as a head or a mask token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Trained parameters.
    pub weights: usize,
    /// Activations per slice that are kept for the backward pass.
    pub activations: usize,
}

/// MiB of a training step on its fullest device: weights, gradients, two moments, and the activations kept for the backward
/// pass of the slices that go through the network together.
pub fn memory_mib(config: &Config, network: &UNetConfig, head: Head, compute: &Compute) -> u64 {
    let slices = at_once(config, compute.all().count()) as f64;
    let bytes = weight_bytes(config, network, head) + slice_bytes(config, network, head) * slices;
    (bytes / MIB).ceil() as u64
}

/// The largest batch whose step fits into `memory_mib` of one device; 0 if not even one slice does.
fn suggest_batch(config: &Config, network: &UNetConfig, head: Head, memory_mib: u64) -> usize {
    let left = memory_mib as f64 * MIB - weight_bytes(config, network, head);
    (left / slice_bytes(config, network, head)).floor().max(0.0) as usize
}

/// Checks that the device can train.
///
/// # Errors
/// An unsupported precision; a step that does not fit into memory, with a batch that would. If the memory is unknown, the check
/// passes.
pub fn check_device(config: &Config, network: &UNetConfig, head: Head, compute: &Compute) -> Result<()> {
    compute.check_precision(config.training.precision)?;
    let devices = compute.all().count();
    // Devices that are listed twice share one memory.
    let share = if compute.is_cpu() { devices as u64 } else { 1 };
    let Some(allowed_mib) = compute.memory_mib.map(|mib| mib / share) else { return Ok(()) };
    let needed_mib = memory_mib(config, network, head, compute);
    if needed_mib <= allowed_mib {
        return Ok(());
    }
    let advice = match suggest_batch(config, network, head, allowed_mib) {
        0 => "not even one slice fits. Use a smaller network.width or preprocess.size".to_owned(),
        fits => format!(
            "training.batch = {} fits. training.micro_batch = {fits} keeps the batch and accumulates gradients",
            fits * devices
        ),
    };
    let what = format!(
        "a training step of {} on {} ({advice})",
        plural(config.training.batch, "slice", "slices"),
        compute.name
    );
    Err(ErrorKind::Memory { what, needed_mib, allowed_mib }.into())
}

/// Slices that go through the network together.
fn at_once(config: &Config, devices: usize) -> usize {
    let per_device = config.training.batch.div_ceil(devices.max(1));
    match config.training.micro_batch {
        0 => per_device,
        micro => micro.min(per_device),
    }
}

/// Weights, gradients, the optimiser's two moments, and the moving average if there is one.
fn weight_bytes(config: &Config, network: &UNetConfig, head: Head) -> f64 {
    let bytes = if config.training.ema_decay > 0.0 { 20.0 } else { 16.0 };
    bytes * (network.parameters() + head.weights) as f64
}

fn slice_bytes(config: &Config, network: &UNetConfig, head: Head) -> f64 {
    let pixels = (config.preprocess.size * config.preprocess.size) as f64;
    // A block keeps, for each of its two convolutions, input, normalised and rectified output; a level has an encoder
    // and a decoder block, and the latter a concatenated input. Per level, pixels fall by 4 and channels double.
    let per_pixel: f64 = (0..=network.depth)
        .map(|level| 14.0 * network.width as f64 * f64::from(1 << level) / 4f64.powi(level as i32))
        .sum();
    4.0 * (pixels * per_pixel + head.activations as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const NONE: Head = Head { weights: 0, activations: 0 };

    /// The paper's network and batch.
    fn paper() -> (Config, UNetConfig) {
        let mut config = Config::default();
        config.network.width = 64;
        let network = config.network.clone();
        (config, network)
    }

    #[test]
    fn the_suggested_batch_is_the_largest_that_fits() {
        let (mut config, network) = paper();
        let compute = Compute::cpu();
        for memory in [2_000, 8_000, 80_000] {
            config.training.batch = suggest_batch(&config, &network, NONE, memory);
            assert!(memory_mib(&config, &network, NONE, &compute) <= memory);
            config.training.batch += 1;
            assert!(memory_mib(&config, &network, NONE, &compute) > memory, "{memory}");
        }
        assert_eq!(suggest_batch(&config, &network, NONE, 10), 0);
    }

    #[test]
    fn a_step_that_does_not_fit_is_refused_with_a_batch_that_does() {
        let (mut config, network) = paper();
        let mut compute = Compute::cpu();
        compute.memory_mib = Some(2_000);
        let error = check_device(&config, &network, NONE, &compute).unwrap_err().to_string();
        let fits = suggest_batch(&config, &network, NONE, 2_000);
        assert!(
            fits >= 1 && error.contains(&format!("training.batch = {fits} fits")) && error.contains("2000 MiB"),
            "{error}"
        );
        config.training.micro_batch = fits;
        check_device(&config, &network, NONE, &compute).unwrap();
        (config.training.micro_batch, config.training.batch) = (0, fits);
        check_device(&config, &network, NONE, &compute).unwrap();
        compute.memory_mib = Some(10);
        let error = check_device(&config, &network, NONE, &compute).unwrap_err().to_string();
        assert!(error.contains("not even one slice"), "{error}");
        compute.memory_mib = None;
        config.training.batch = 1_000_000;
        check_device(&config, &network, NONE, &compute).unwrap();
    }

    #[test]
    fn several_devices_share_a_batch() {
        let (config, network) = paper();
        let (one, mut two) = (Compute::cpu(), Compute::cpu());
        two.others.push(two.device.clone());
        let [one, two] = [&one, &two].map(|compute| memory_mib(&config, &network, NONE, compute));
        assert!(two < one && two > one / 3, "{two} of {one}");
    }

    #[test]
    fn a_head_counts_its_weights_once_and_its_activations_per_slice() {
        let (mut config, network) = paper();
        config.training.batch = 3;
        let compute = Compute::cpu();
        let mib = |weights, activations| memory_mib(&config, &network, Head { weights, activations }, &compute);
        // Four numbers per weight and one per activation, of four bytes each.
        assert_eq!(mib(1 << 20, 0), mib(0, 0) + 16);
        assert_eq!(mib(0, 1 << 20), mib(0, 0) + 3 * 4);
        let fits = suggest_batch(&config, &network, NONE, 2_000);
        assert!(suggest_batch(&config, &network, Head { weights: 1 << 20, activations: 1 << 22 }, 2_000) < fits);
    }
}
