//! One step of the optimiser, whatever the device holds at once.
//!
//! A batch goes through the network as a whole, or in portions whose gradients are added: because it is spread over several
//! devices, because `training.micro_batch` says so, or because the device's memory did not suffice for more. The update is the
//! same, except that batch norm takes its statistics from each portion.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::device::{Compute, Failure};
use crate::model::UNet;
use crate::run::fault::DeviceFault;
use crate::{Error, ErrorKind, Result};

/// Steps after a start, or after portions became smaller, that are waited for before the next: by then every buffer that a
/// training needs was allocated once.
const WATCHED: usize = 3;

/// Slices of a batch that go through the network together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Which of the batch's slices.
    pub range: Range<usize>,
    /// Slices of the batch.
    pub of: usize,
}

impl Portion {
    /// A whole batch.
    pub fn whole(of: usize) -> Self {
        Self { range: 0..of, of }
    }

    /// The portion's part in a mean over the batch's slices.
    pub fn share(&self) -> f64 {
        self.range.len() as f64 / self.of.max(1) as f64
    }

    /// What a mean over the portion's slices adds to the mean over the batch.
    pub fn weighted(&self, loss: Tensor<1>) -> Tensor<1> {
        if self.range.len() == self.of { loss } else { loss * self.share() }
    }
}

/// What a training minimises, for one batch.
pub trait Objective: Sync {
    /// What is to be read of a portion's losses later on; taking it must not wait for the device.
    type Told: Send;

    /// Sums over a portion's slices that the loss of every portion must know of the whole batch, where the loss is no mean
    /// over slices. Asked for only if there are several portions. The network is a copy: its running statistics are its own.
    fn survey(&self, _network: &UNet, _portion: &Portion, _device: &Device) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    /// True if [`Objective::survey`] is needed.
    fn surveys(&self) -> bool {
        false
    }

    /// A loss whose gradient, added over the portions, is that of the batch's loss. `sums` are those of the survey over all
    /// portions, empty if the batch is whole.
    fn loss(&self, network: &UNet, portion: &Portion, device: &Device, sums: &[f64])
    -> Result<(Tensor<1>, Self::Told)>;
}

/// A network with its optimiser, on the devices that train it.
pub struct Stepper {
    /// The network on the first device; its tensors are tracked.
    pub network: UNet,
    /// The optimiser.
    pub optimizer: ModuleOptimizer,
    devices: Vec<Device>,
    name: String,
    micro: usize,
    /// True if a device may run out of memory: what it computes is then not trusted before it was waited for.
    guarded: bool,
    watched: usize,
    /// The network and its optimiser as they were when they were last trusted.
    good: Option<(UNet, ModuleOptimizer)>,
    /// Slices of the largest batch so far.
    size: usize,
    fault: DeviceFault,
    notes: Vec<String>,
}

type Gradients<T> = (GradientsParams, Vec<(Portion, T)>);

impl Stepper {
    /// Takes at most `micro` slices at once, 0 for as many as there are.
    pub fn new(network: UNet, optimizer: ModuleOptimizer, compute: &Compute, micro: usize) -> Self {
        let fault = DeviceFault::planned();
        let devices = compute.all().map(|device| device.clone().autodiff()).collect();
        let guarded = !compute.is_cpu() || fault.is_planned();
        let (name, notes) = (compute.name.clone(), Vec::new());
        Self { network, optimizer, devices, name, micro, guarded, watched: WATCHED, good: None, size: 1, fault, notes }
    }

    /// The device whose tensors the network is made of.
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// Most slices at once; 0 if there is no limit.
    pub fn micro(&self) -> usize {
        self.micro
    }

    /// What happened since the last time: one line each.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Backward pass of a batch of `size` slices and one step of the optimiser. Where memory does not suffice in one of the
    /// steps that are waited for, the portions are halved and the step is taken again. Later on such a failure may be that of
    /// an earlier step, whose weights are spoiled: see [`Stepper::fall_back`].
    pub fn step<O: Objective>(&mut self, objective: &O, size: usize, rate: f64) -> Result<Vec<(Portion, O::Told)>> {
        self.size = self.size.max(size);
        loop {
            let watched = self.guarded && self.watched > 0;
            match self.attempt(objective, size, rate, watched) {
                Err(error) if watched && Failure::of(&error) == Failure::Memory => self.halve(size, &error)?,
                done => return done.map_err(|error| self.named(error)),
            }
        }
    }

    /// Waits for the devices, and keeps the weights as they are now: what a later failure goes back to.
    pub fn trust(&mut self) -> Result<()> {
        self.wait()?;
        self.good = self.guarded.then(|| self.copy());
        Ok(())
    }

    /// Waits for the devices, if they may fail without saying so at once.
    pub fn wait(&self) -> Result<()> {
        if !self.guarded {
            return Ok(());
        }
        self.fault.answer()?;
        let waited = self.devices.iter().try_for_each(Device::sync);
        waited.map_err(|e| compute("a training step", &e))
    }

    /// After memory ran out in one of the steps since the weights were last trusted: goes back to these, with half as many
    /// slices at once. Every other failure is given back by name.
    pub fn fall_back(&mut self, error: Error) -> Result<()> {
        if Failure::of(&error) != Failure::Memory {
            return Err(self.named(error));
        }
        let Some(good) = self.good.take() else { return Err(self.named(error)) };
        (self.network, self.optimizer) = good;
        self.good = Some(self.copy());
        self.halve(self.size, &error)
    }

    /// The network and its optimiser as they are. A clone would share its running statistics with the network.
    fn copy(&self) -> (UNet, ModuleOptimizer) {
        (self.network.valid().train(), self.optimizer.clone())
    }

    /// Half as many slices of a batch of `size` at once from now on; an error if that was one already.
    fn halve(&mut self, size: usize, error: &Error) -> Result<()> {
        let at_once = self.at_once(size);
        if at_once == 1 {
            let (device, what) = (self.name.clone(), "a single slice".into());
            let why = if let ErrorKind::DeviceMemory { why, .. } = error.kind() { why } else { &first_line(error) };
            return Err(ErrorKind::DeviceMemory { device, what, why: why.clone() }.into());
        }
        self.micro = at_once / 2;
        self.watched = WATCHED;
        self.devices.iter().for_each(Device::memory_cleanup);
        self.notes.push(format!(
            "{}: no memory for {at_once} slices at once: going on with {} and gradients added up; the updates are the \
             same but for batch norm's statistics (training.micro_batch = {} starts so)",
            self.name, self.micro, self.micro
        ));
        Ok(())
    }

    /// An error that a device reported, maybe later than it happened, by the device's name.
    fn named(&self, error: Error) -> Error {
        match Failure::of(&error) {
            Failure::Lost => ErrorKind::DeviceLost { device: self.name.clone(), why: first_line(&error) }.into(),
            Failure::Memory => {
                let (device, what) = (self.name.clone(), "a training step".into());
                ErrorKind::DeviceMemory { device, what, why: first_line(&error) }.into()
            }
            Failure::Other => error,
        }
    }

    /// Most slices that go through a network at once in a batch of `size`.
    pub fn at_once(&self, size: usize) -> usize {
        let on_a_device = size.div_ceil(self.devices.len());
        if self.micro == 0 { on_a_device.max(1) } else { self.micro.min(on_a_device).max(1) }
    }

    fn attempt<O: Objective>(
        &mut self,
        objective: &O,
        size: usize,
        rate: f64,
        watched: bool,
    ) -> Result<Vec<(Portion, O::Told)>> {
        // Until the device has answered, the weights that a failure would spoil are kept.
        let before = watched.then(|| self.copy());
        let done = caught("a training step", || {
            let (gradients, told) = self.gradients(objective, size)?;
            self.network = self.optimizer.step(rate, self.network.clone(), gradients);
            if watched {
                self.wait()?;
            }
            Ok(told)
        });
        match (&done, before) {
            (Ok(_), _) => self.watched = self.watched.saturating_sub(1),
            (Err(_), Some((network, optimizer))) => (self.network, self.optimizer) = (network, optimizer),
            (Err(_), None) => {}
        }
        done
    }

    /// The gradients of a batch, on the first device.
    pub(super) fn gradients<O: Objective>(&self, objective: &O, size: usize) -> Result<Gradients<O::Told>> {
        let shares = portions(size, self.devices.len(), self.micro);
        let several = shares.iter().map(Vec::len).sum::<usize>() > 1;
        let sums = if several && objective.surveys() {
            let surveyed = self.on_every_device(&shares, &|network, portions, device| {
                let copy = network.valid().train();
                portions.iter().map(|portion| objective.survey(&copy, portion, device)).collect::<Result<Vec<_>>>()
            })?;
            total(surveyed.into_iter().flatten())
        } else {
            Vec::new()
        };
        let made = self.on_every_device(&shares, &|network, portions, device| {
            let mut told = Vec::with_capacity(portions.len());
            let mut all: Option<GradientsParams> = None;
            for portion in portions {
                self.fault.strike(portion.range.len())?;
                let (loss, more) = objective.loss(network, portion, device, &sums)?;
                told.push((portion.clone(), more));
                let gradients = GradientsParams::from_grads(loss.backward(), network);
                all = Some(add(network, all, gradients));
            }
            Ok((all.unwrap_or_default(), told))
        })?;
        let main = self.device().clone().inner();
        let (mut sum, mut told) = (None, Vec::new());
        for (at, (gradients, more)) in made.into_iter().enumerate() {
            let here = if at == 0 { gradients } else { gradients.to_device(&main, &self.network) };
            sum = Some(add(&self.network, sum, here));
            told.extend(more);
        }
        Ok((sum.unwrap_or_default(), told))
    }

    /// Does `work` with the network and the portions of each device, side by side; the first device has the network itself,
    /// the others copies. The results stand in the devices' order.
    fn on_every_device<R: Send>(
        &self,
        shares: &[Vec<Portion>],
        work: &(impl Fn(&UNet, &[Portion], &Device) -> Result<R> + Sync),
    ) -> Result<Vec<R>> {
        let Some((first, others)) = shares.split_first() else { return Ok(Vec::new()) };
        if others.is_empty() {
            return Ok(vec![work(&self.network, first, self.device())?]);
        }
        let mut made: Vec<Option<Result<R>>> = others.iter().map(|_| None).collect();
        let main = rayon::in_place_scope(|scope| {
            for ((slot, portions), device) in made.iter_mut().zip(others).zip(&self.devices[1..]) {
                let copy = self.network.valid();
                scope.spawn(move |_| {
                    let copy = copy.fork(&device.clone().inner()).train();
                    *slot = Some(work(&copy, portions, device));
                });
            }
            work(&self.network, first, self.device())
        })?;
        // The scope has waited for every slot to be filled.
        std::iter::once(Ok(main)).chain(made.into_iter().flatten()).collect()
    }
}

/// Does `work`; the tensor library reports some failures of a device by a panic, which are errors here.
pub(super) fn caught<T>(step: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let error = compute(step, &text_of(panic.as_ref()));
        if Failure::of(&error) == Failure::Other { resume_unwind(panic) } else { Err(error) }
    })
}

/// How a batch is spread: a list of portions for each device that has any.
fn portions(size: usize, devices: usize, micro: usize) -> Vec<Vec<Portion>> {
    let share = |at: usize| (size * at / devices)..(size * (at + 1) / devices);
    let cut = |share: Range<usize>| {
        let most = if micro == 0 { share.len() } else { micro };
        let starts = share.clone().step_by(most.max(1));
        starts.map(|start| Portion { range: start..(start + most).min(share.end), of: size }).collect::<Vec<_>>()
    };
    // A batch smaller than the number of devices leaves the first ones without a slice; those with some come first then.
    let mut shares: Vec<Vec<Portion>> = (0..devices).map(|at| cut(share(at))).collect();
    shares.retain(|portions| !portions.is_empty());
    shares
}

fn add(network: &UNet, sum: Option<GradientsParams>, more: GradientsParams) -> GradientsParams {
    let Some(sum) = sum else { return more };
    let mut accumulator = GradientsAccumulator::new();
    accumulator.accumulate(network, sum);
    accumulator.accumulate(network, more);
    accumulator.grads()
}

fn total(all: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    all.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap_or_default()
}

fn compute(step: &str, why: &dyn std::fmt::Display) -> Error {
    ErrorKind::Compute { step: step.into(), why: why.to_string() }.into()
}

/// What a panic said.
fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("the tensor library gave up").to_owned()
}

/// Device errors carry a trace behind their first line.
fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
