//! The gradient of a batch, with gradient accumulation and several devices.
//!
//! A batch goes through the network whole or in micro-batches whose gradients are summed, either because of
//! `training.micro_batch` or because several devices share it. The update is the same, except that batch norm takes its
//! statistics from each micro-batch.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;

use super::output::StepOutput;
use super::{MicroBatch, Objective};
use crate::device::{Compute, Failure};
use crate::{Error, ErrorKind, Result};

/// The devices that train, and their micro-batch size.
pub struct GradientEngine {
    /// The first holds the network; their tensors track gradients.
    devices: Vec<Device>,
    name: String,
    micro_batch: usize,
}

impl GradientEngine {
    /// At most `micro_batch` slices go through the network at once; 0 sets no limit.
    pub fn new(compute: &Compute, micro_batch: usize) -> Self {
        let devices = compute.all().map(|device| device.clone().autodiff()).collect();
        Self { devices, name: compute.name.clone(), micro_batch }
    }

    /// The device that holds the network.
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// Largest number of slices that go through a network at once in a batch of `size`.
    pub fn at_once(&self, size: usize) -> usize {
        let shares = micro_batches(size, self.devices.len(), self.micro_batch);
        shares.iter().flatten().map(Range::len).max().unwrap_or(0)
    }

    /// Forward and backward pass of the first `size` slices of a batch. The gradients are on the first device; the losses have
    /// been read, so the passes are over.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceMemory`] with a micro-batch that may fit, [`ErrorKind::DeviceLost`].
    pub fn gradients<O: Objective>(
        &self,
        objective: &O,
        net: &O::Net,
        batch: &O::Batch,
        size: usize,
    ) -> Result<(GradientsParams, StepOutput)> {
        self.guard(size, "a training step", || self.accumulate(objective, net, batch, size))
    }

    /// Waits until all devices are idle.
    ///
    /// # Errors
    /// A failure since the last call, naming the device.
    pub fn sync(&self) -> Result<()> {
        let wait = || self.devices.iter().try_for_each(Device::sync).map_err(|e| compute("a training step", &e));
        self.guard(1, "a training step", wait)
    }

    /// Runs `work`, which computes `slices` slices at a time on the devices. The tensor library reports some failures of a device
    /// by a panic: these become errors that name the device, like all others.
    ///
    /// # Errors
    /// Errors of `work`.
    pub fn guard<T>(&self, slices: usize, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let error = compute(what, &panic_message(panic.as_ref()));
            if Failure::of(&error) == Failure::Other { resume_unwind(panic) } else { Err(error) }
        });
        done.map_err(|error| self.with_device(error, slices, what))
    }

    fn with_device(&self, error: Error, slices: usize, what: &str) -> Error {
        let (device, why) = (self.name.clone(), first_line(&error));
        match Failure::of(&error) {
            Failure::Other => error,
            Failure::Lost => ErrorKind::DeviceLost { device, why }.into(),
            Failure::Memory => {
                let what = match self.at_once(slices) {
                    0 | 1 => format!("{what} of a single slice"),
                    slices => {
                        format!("{what} of {slices} slices at once; training.micro_batch = {} may fit", slices / 2)
                    }
                };
                ErrorKind::DeviceMemory { device, what, why }.into()
            }
        }
    }

    fn accumulate<O: Objective>(
        &self,
        objective: &O,
        net: &O::Net,
        batch: &O::Batch,
        size: usize,
    ) -> Result<(GradientsParams, StepOutput)> {
        let shares = micro_batches(size, self.devices.len(), self.micro_batch);
        let statistics = self.statistics(objective, net, batch, &shares, size)?;
        let parts = self.on_every_device(net, &shares, &|net: &O::Net, ranges: &[Range<usize>], device: &Device| {
            let (mut sum, mut output) = (None, StepOutput::default());
            for range in ranges {
                let micro = MicroBatch { range: range.clone(), of: size, device, statistics: &statistics };
                let loss = objective.loss(net, batch, &micro)?;
                let gradients = GradientsParams::from_grads(loss.objective.clone().backward(), net);
                sum = Some(add(net, sum, gradients));
                output.read(loss, &micro)?;
            }
            Ok((sum.unwrap_or_default(), output))
        })?;
        let main = self.device().clone().inner();
        let (mut sum, mut output) = (None, StepOutput::default());
        for (device, (gradients, part)) in parts.into_iter().enumerate() {
            let gradients = if device == 0 { gradients } else { gradients.to_device(&main, net) };
            sum = Some(add(net, sum, gradients));
            output.join(part);
        }
        Ok((sum.unwrap_or_default(), output))
    }

    /// Whole-batch statistics; empty if the batch is not split or the loss needs none.
    fn statistics<O: Objective>(
        &self,
        objective: &O,
        net: &O::Net,
        batch: &O::Batch,
        shares: &[Vec<Range<usize>>],
        size: usize,
    ) -> Result<Vec<f64>> {
        if shares.iter().map(Vec::len).sum::<usize>() < 2 {
            return Ok(Vec::new());
        }
        let per_device =
            self.on_every_device(net, shares, &|net: &O::Net, ranges: &[Range<usize>], device: &Device| {
                // A copy is used, because only the pass with gradients may update the network's running statistics.
                let copy = net.valid().train();
                let of = |range: &Range<usize>| {
                    let micro = MicroBatch { range: range.clone(), of: size, device, statistics: &[] };
                    objective.batch_statistics(&copy, batch, &micro)
                };
                // The first micro-batch shows whether the loss needs statistics.
                let mut all = Vec::with_capacity(ranges.len());
                for range in ranges {
                    let Some(sums) = of(range)? else { break };
                    all.push(sums);
                }
                Ok(all)
            })?;
        let add = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
        Ok(per_device.into_iter().flatten().reduce(add).unwrap_or_default())
    }

    /// Runs `work` with a network and the micro-batches of each device in parallel: the first device has `net` itself, the
    /// others have copies. The results are in the devices' order.
    fn on_every_device<N: Module + Sync, R: Send>(
        &self,
        net: &N,
        shares: &[Vec<Range<usize>>],
        work: &(impl Fn(&N, &[Range<usize>], &Device) -> Result<R> + Sync),
    ) -> Result<Vec<R>> {
        let Some((first, others)) = shares.split_first() else { return Ok(Vec::new()) };
        let mut results: Vec<Option<Result<R>>> = others.iter().map(|_| None).collect();
        let main = rayon::in_place_scope(|scope| {
            for ((slot, ranges), device) in results.iter_mut().zip(others).zip(&self.devices[1..]) {
                let copy = net.valid();
                scope.spawn(move |_| *slot = Some(work(&copy.fork(&device.clone().inner()).train(), ranges, device)));
            }
            work(net, first, self.device())
        })?;
        // The scope has waited for every slot to be filled.
        std::iter::once(Ok(main)).chain(results.into_iter().flatten()).collect()
    }
}

/// The micro-batches of each device that gets any, as even as possible, so that batch norm never sees a single leftover slice.
fn micro_batches(size: usize, devices: usize, max_size: usize) -> Vec<Vec<Range<usize>>> {
    let even = |all: Range<usize>, shares: usize| {
        let cut = move |index: usize| all.start + all.len() * index / shares;
        (0..shares).map(move |index| cut(index)..cut(index + 1)).filter(|range| !range.is_empty())
    };
    let split = |share: Range<usize>| {
        let count = if max_size == 0 { 1 } else { share.len().div_ceil(max_size) };
        even(share, count).collect()
    };
    even(0..size, devices).map(split).collect()
}

fn add<N: Module>(net: &N, sum: Option<GradientsParams>, more: GradientsParams) -> GradientsParams {
    let Some(sum) = sum else { return more };
    let mut accumulator = GradientsAccumulator::new();
    accumulator.accumulate(net, sum);
    accumulator.accumulate(net, more);
    accumulator.grads()
}

fn compute(step: &str, why: &dyn std::fmt::Display) -> Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// The text of a panic, which the tensor library gives as one of two string types.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the tensor library panicked").to_owned()
}

/// Device errors have a trace after their first line.
fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "gradients_tests.rs"]
mod tests;
