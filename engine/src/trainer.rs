//! What both loops share: the optimiser's step, checkpoints, the event log, pause and cancel.

use std::time::{Duration, Instant};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::cohort::Cohort;
use crate::config::{Config, TrainingConfig};
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Signal};
use crate::model::{UNet, UNetConfig, record};
use crate::preprocess::SliceStore;
use crate::probe::Pins;
use crate::run::RunFolder;
use crate::run::atomic::sha256;
use crate::run::checkpoint::{self, CheckpointData, Slot};
use crate::run::log::EventLog;
use crate::{ErrorKind, Result};

/// Name of the weights in a checkpoint.
pub const WEIGHTS: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const STATE: &str = "state.json";

/// How long the training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Epochs; the last may be cut short by `steps`.
    pub epochs: usize,
    /// Steps of a whole epoch.
    pub steps_per_epoch: usize,
    /// Steps in all.
    pub steps: usize,
}

impl Length {
    /// The length that the settings give for `slices` slices an epoch.
    pub fn new(training: &TrainingConfig, slices: usize) -> Self {
        let steps_per_epoch = slices.div_ceil(training.batch).max(1);
        if training.steps > 0 {
            let epochs = training.steps.div_ceil(steps_per_epoch);
            return Self { epochs, steps_per_epoch, steps: training.steps };
        }
        Self { epochs: training.epochs, steps_per_epoch, steps: training.epochs * steps_per_epoch }
    }

    /// Learning rate of step `index` (from 0) of epoch `epoch`.
    pub fn rate(&self, training: &TrainingConfig, epoch: usize, index: usize) -> f64 {
        training.schedule.rate(training.lr, (epoch - 1) * self.steps_per_epoch + index, self.steps)
    }

    /// Learning rate of the last step of epoch `epoch`.
    pub fn last_rate(&self, training: &TrainingConfig, epoch: usize) -> f64 {
        self.rate(training, epoch, self.steps_of(epoch).saturating_sub(1))
    }

    /// Steps of epoch `epoch`, from 1.
    pub fn steps_of(&self, epoch: usize) -> usize {
        self.steps.saturating_sub((epoch - 1) * self.steps_per_epoch).min(self.steps_per_epoch)
    }
}

/// Where a training runs, what it listens to, and what is looked at meanwhile.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Device that computes.
    pub compute: &'a Compute,
    /// The run folder, locked.
    pub run: &'a RunFolder,
    /// Where pinned slices come from that are not trained on.
    pub cohort: &'a Cohort,
    /// The pinned slices; may change while the training runs.
    pub pins: &'a Pins,
    /// Runs, pauses or cancels it.
    pub control: &'a Control,
    /// Stops after the estimate.
    pub dry: bool,
}

/// `AdamW` as the method sets it: eps 1e-8.
pub fn optimizer(training: &TrainingConfig) -> ModuleOptimizer {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(training.weight_decay as f32).init()
}

/// Where a training stands, as its checkpoint says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    epochs_done: usize,
    steps_done: usize,
    log_position: u64,
    best: Option<f64>,
    data: String,
}

/// A training under way.
pub struct Trainer<'a> {
    /// The network; its tensors are tracked.
    pub network: UNet,
    /// Device of tracked tensors.
    pub device: Device,
    optimizer: ModuleOptimizer,
    run: &'a RunFolder,
    log: EventLog,
    sink: &'a mut dyn EventSink,
    control: &'a Control,
    state: State,
    resumed: bool,
}

/// Where a training goes on, and what its method had stored.
pub struct Resumed {
    /// Epoch to go on with, from 1.
    pub epoch: usize,
    /// Steps of that epoch that are done.
    pub step: usize,
    /// Parts that the method stored; empty at the very start.
    pub parts: CheckpointData,
}

impl<'a> Trainer<'a> {
    /// Starts with `network`, or where the run's newest good checkpoint stands if it has one. `data` is the digest of
    /// the training data: a checkpoint of other data is refused.
    pub fn start(
        config: &Config,
        network: UNet,
        data: &str,
        session: &Session<'a>,
        sink: &'a mut dyn EventSink,
    ) -> Result<(Self, Resumed)> {
        let Session { compute, run, control, .. } = *session;
        let device = compute.training();
        let mut optimizer = optimizer(&config.training);
        for message in run.warnings() {
            sink.event(&Event::Warning { message: message.clone() })?;
        }
        if !checkpoint::has_checkpoint(run) {
            let log = EventLog::create(&run.events_path())?;
            let state = State { data: data.to_string(), ..State::default() };
            let trainer = Self { network, device, optimizer, run, log, sink, control, state, resumed: false };
            return Ok((trainer, Resumed { epoch: 1, step: 0, parts: CheckpointData::default() }));
        }
        let (mut parts, warnings) = checkpoint::load(run)?;
        for message in warnings {
            sink.event(&Event::Warning { message })?;
        }
        let network = record::from_bytes(network, &parts.take(WEIGHTS)?)?;
        optimizer = optimizer
            .from_bytes(Bytes::from_bytes_vec(parts.take(OPTIMIZER)?))
            .map_err(|e| ErrorKind::Compute { step: "reading the optimiser's state".into(), why: e.to_string() })?;
        let state: State = serde_json::from_slice(&parts.take(STATE)?)
            .map_err(|e| ErrorKind::Compute { step: "reading the checkpoint's state".into(), why: e.to_string() })?;
        if state.data != data {
            let why = "the cohort's scans or labels are not those that the run was trained on; start a new run";
            return Err(crate::Error::file(run.root(), why));
        }
        let (log, warning) = EventLog::resume(&run.events_path(), state.log_position)?;
        if let Some(message) = warning {
            sink.event(&Event::Warning { message })?;
        }
        let (epochs_done, step) = (state.epochs_done, state.steps_done);
        let mut trainer = Self { network, device, optimizer, run, log, sink, control, state, resumed: true };
        if step == 0 {
            trainer.emit(&Event::Checkpoint { epoch: epochs_done, step: 0 })?;
        }
        Ok((trainer, Resumed { epoch: epochs_done + 1, step, parts }))
    }

    /// Tells the listeners and the log.
    pub fn emit(&mut self, event: &Event) -> Result<()> {
        self.log.event(event)?;
        self.sink.event(event)
    }

    /// Tells the listeners only.
    pub fn tell(&mut self, event: &Event) -> Result<()> {
        self.sink.event(event)
    }

    /// Tells what the probes have to say: warnings to the listeners only.
    pub fn emit_probes(&mut self, events: &[Event]) -> Result<()> {
        events.iter().try_for_each(|event| match event {
            Event::Warning { .. } => self.tell(event),
            _ => self.emit(event),
        })
    }

    /// Tells that the training starts; a resumed one tells only the listeners.
    pub fn emit_started(&mut self, event: &Event) -> Result<()> {
        if self.resumed { self.tell(event) } else { self.emit(event) }
    }

    /// Backward pass of `loss` and one step of the optimiser.
    pub fn update(&mut self, loss: &Tensor<1>, learning_rate: f64) {
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimizer.step(learning_rate, self.network.clone(), gradients);
    }

    /// Looks at the control after a step. Pausing saves and waits; cancelling saves and is [`ErrorKind::Cancelled`].
    /// `epoch` is under way with `step` of its steps done; `parts` gives what the method stores.
    pub fn heed(&mut self, epoch: usize, step: usize, parts: impl Fn() -> Result<Parts>) -> Result<()> {
        if self.control.get() == Signal::Run {
            return Ok(());
        }
        self.state.epochs_done = epoch - 1;
        self.state.steps_done = step;
        self.state.log_position = self.log.position()?;
        checkpoint::save(self.run, Slot::Last, &self.data(parts()?)?)?;
        self.tell(&Event::Checkpoint { epoch, step })?;
        while self.control.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.control.check()
    }

    /// Saves after a whole epoch.
    pub fn save_epoch(&mut self, epoch: usize, parts: Parts) -> Result<()> {
        self.state.epochs_done = epoch;
        self.state.steps_done = 0;
        self.state.log_position = self.log.position()?;
        checkpoint::save(self.run, Slot::Last, &self.data(parts)?)?;
        self.emit(&Event::Checkpoint { epoch, step: 0 })
    }

    /// Saves the network as the best if `score` is above every earlier one; tells whether it was.
    pub fn save_best(&mut self, epoch: usize, score: f64) -> Result<bool> {
        if self.state.best.is_some_and(|best| best >= score) {
            return Ok(false);
        }
        self.state.best = Some(score);
        let parts = vec![(WEIGHTS.to_string(), record::to_bytes(&self.network)?)];
        checkpoint::save(self.run, Slot::Best, &CheckpointData { epoch, step: 0, parts })?;
        Ok(true)
    }

    /// The best validation score so far.
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    fn data(&self, mut parts: Parts) -> Result<CheckpointData> {
        let written = |what: &str, why: String| ErrorKind::Compute { step: format!("writing {what}"), why };
        let optimizer = self.optimizer.into_bytes().map_err(|e| written("the optimiser's state", e.to_string()))?;
        let state = serde_json::to_vec(&self.state).map_err(|e| written("the checkpoint's state", e.to_string()))?;
        parts.push((WEIGHTS.into(), record::to_bytes(&self.network)?));
        parts.push((OPTIMIZER.into(), optimizer.to_vec()));
        parts.push((STATE.into(), state));
        Ok(CheckpointData { epoch: self.state.epochs_done, step: self.state.steps_done, parts })
    }
}

/// A digest of the data in a store: which patients and slices, how prepared, with how much tissue and lesion.
pub fn digest(store: &SliceStore) -> String {
    // Debug prints every field with every digit; the text is hashed, never read.
    sha256(format!("{:?}{:?}", store.cases(), store.metas()).as_bytes())
}

/// Named bytes of a checkpoint.
pub type Parts = Vec<(String, Vec<u8>)>;

/// Measures a training step: `step` computes a loss with the network it is given. Returns seconds of the second of two
/// steps, on a network of its own, so that the training is not touched.
pub fn measure_step(
    network: &UNetConfig,
    training: &TrainingConfig,
    device: &Device,
    mut step: impl FnMut(&UNet) -> Result<Tensor<1>>,
) -> Result<f64> {
    let mut trial = network.init(0, device);
    let mut optimizer = optimizer(training);
    let mut seconds = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        let loss = step(&trial)?;
        let gradients = GradientsParams::from_grads(loss.backward(), &trial);
        trial = optimizer.step(training.lr, trial, gradients);
        loss.try_into_data().map_err(|e| ErrorKind::Compute { step: "measuring a step".into(), why: e.to_string() })?;
        seconds = start.elapsed().as_secs_f64();
    }
    Ok(seconds)
}

/// MiB that a training step holds: weights, gradients, two moments, and the activations kept for the backward pass.
pub fn memory_mib(config: &Config, parameters: usize) -> u64 {
    let pixels = (config.preprocess.size * config.preprocess.size * config.training.batch) as f64;
    // A block keeps, for each of its two convolutions, input, normalised and rectified output; a level has an encoder
    // and a decoder block, and the latter a concatenated input. Pixels fall by 4 and channels double a level.
    let per_pixel: f64 = (0..=config.network.depth)
        .map(|level| 14.0 * config.network.width as f64 * f64::from(1 << level) / 4f64.powi(level as i32))
        .sum();
    let bytes = 4.0 * (pixels * per_pixel + 4.0 * parameters as f64);
    (bytes / f64::from(1 << 20)).ceil() as u64
}

/// Euclidean norm of the gradient of `loss` over the parameters of `network`.
pub fn gradient_norm(network: &UNet, loss: &Tensor<1>) -> f64 {
    struct Squares<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += gradient.into_data().iter::<f64>().map(|g| g * g).sum::<f64>();
            }
        }
    }
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    let mut squares = Squares(&gradients, 0.0);
    network.visit(&mut squares);
    squares.1.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_in_steps_cuts_the_last_epoch() {
        let training = TrainingConfig { batch: 4, steps: 7, ..TrainingConfig::default() };
        let length = Length::new(&training, 10);
        assert_eq!(length, Length { epochs: 3, steps_per_epoch: 3, steps: 7 });
        assert_eq!([1, 2, 3].map(|e| length.steps_of(e)), [3, 3, 1]);
        let whole = Length::new(&TrainingConfig { steps: 0, epochs: 5, ..training }, 10);
        assert_eq!((whole.steps, whole.steps_of(5)), (15, 3));
    }
}
