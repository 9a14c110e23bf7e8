//! The state of a run while it trains: network, optimiser, checkpoints, event log, pause and cancel.

use std::collections::BTreeSet;
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Tensor};
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::clip::clip;
use super::method::{Batch, EpochEnd, Net, Objective, Position, ResumePoint};
use super::{EpochMeter, GradientEngine, Length, Method, StepOutput};
use crate::cohort::Cohort;
use crate::config::{Config, TrainingConfig};
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Signal};
use crate::model::{UNetConfig, mix, record};
use crate::preprocess::DigestMatch;
use crate::probe::Pins;
use crate::run::RunFolder;
use crate::run::checkpoint::{self, CheckpointData, Slot};
use crate::run::log::EventLog;
use crate::{Error, ErrorKind, Result};

/// Name of the weights in a checkpoint.
pub const WEIGHTS: &str = "model.safetensors";
/// Name of the trained weights, if [`WEIGHTS`] is their moving average.
const TRAINED: &str = "trained.safetensors";
const OPTIMIZER: &str = "optimizer.burnpack";
const STATE: &str = "state.json";
/// Name of the running means in checkpoints of earlier versions.
const TALLY: &str = "tally.json";

/// Where a run trains, and what may change meanwhile.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Device that computes.
    pub compute: &'a Compute,
    /// The run folder, locked.
    pub run: &'a RunFolder,
    /// Source of pinned slices that are not trained on.
    pub cohort: &'a Cohort,
    /// The pinned slices; may change while the training runs.
    pub pins: &'a Pins,
    /// Runs, pauses or cancels it.
    pub control: &'a Control,
    /// Stops after the estimate.
    pub dry: bool,
}

/// `AdamW` with eps 1e-8.
pub fn optimizer(training: &TrainingConfig) -> ModuleOptimizer {
    ModuleOptimizer::from(AdamW::new(training.weight_decay))
}

/// Position in a run, as stored in its checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    epochs_done: usize,
    /// Completed steps of the epoch after these.
    steps_done: usize,
    log_position: u64,
    best: Option<f64>,
    /// Digest of the training data.
    data: String,
    /// Steps averaged into the moving average of the weights.
    #[serde(default)]
    averaged: u64,
    /// Absent in checkpoints of earlier versions.
    meter: Option<EpochMeter>,
}

/// The state a run starts with: initial weights, or a checkpoint.
struct InitialState<N> {
    net: N,
    average: Option<N>,
    optimizer: ModuleOptimizer,
    state: State,
    meter: EpochMeter,
    log: EventLog,
}

/// A new run.
fn start_new<M: Method>(
    method: &mut M,
    config: &Config,
    run: &RunFolder,
    engine: &GradientEngine,
) -> Result<InitialState<Net<M>>> {
    let net = method.initial(config.seed, engine.device())?;
    method.restore(&mut ResumePoint { epoch: 1, parts: None })?;
    Ok(InitialState {
        average: (config.training.ema_decay > 0.0).then(|| net.valid().train()),
        net,
        optimizer: optimizer(&config.training),
        state: State { data: method.dataset().digest(), ..State::default() },
        meter: EpochMeter::default(),
        log: EventLog::create(&run.events_path())?,
    })
}

/// A run resumed from its newest undamaged checkpoint.
fn resume<M: Method>(
    method: &mut M,
    config: &Config,
    run: &RunFolder,
    engine: &GradientEngine,
    sink: &mut dyn EventSink,
) -> Result<InitialState<Net<M>>> {
    let (mut parts, warnings) = checkpoint::load(run)?;
    for message in warnings {
        sink.event(&Event::Warning { message })?;
    }
    let failed = |part: &str, why: String| ErrorKind::Compute { step: format!("reading {part}"), why };
    let mut state: State =
        serde_json::from_slice(&parts.take(STATE)?).map_err(|e| failed("the checkpoint's state", e.to_string()))?;
    let data = method.dataset().digest();
    match DigestMatch::of(&state.data, &data) {
        DigestMatch::Same => {}
        DigestMatch::Different => {
            let why = "the cohort's scans or labels are not those that the run was trained on; start a new run";
            return Err(Error::file(run.root(), why));
        }
        DigestMatch::Unknown => {
            let message = "The checkpoint comes from another version, whose data digest cannot be compared. Make sure that \
                           the cohort's scans and labels have not changed since.";
            sink.event(&Event::Warning { message: message.into() })?;
            state.data = data;
        }
    }
    let mut load =
        |name: &str| record::from_bytes(method.objective().build(config.seed, engine.device()), &parts.take(name)?);
    let (average, trained) =
        if config.training.ema_decay > 0.0 { (Some(load(WEIGHTS)?), TRAINED) } else { (None, WEIGHTS) };
    let net = load(trained)?;
    let optimizer = optimizer(&config.training)
        .from_bytes(Bytes::from_bytes_vec(parts.take(OPTIMIZER)?))
        .map_err(|e| failed("the optimiser's state", e.to_string()))?;
    let meter = match &state.meter {
        Some(meter) => meter.clone(),
        None => EpochMeter::from_earlier(parts.get(TALLY).unwrap_or_default())?,
    };
    method.restore(&mut ResumePoint { epoch: state.epochs_done + 1, parts: Some(parts) })?;
    let (log, warning) = EventLog::resume(&run.events_path(), state.log_position)?;
    if let Some(message) = warning {
        sink.event(&Event::Warning { message })?;
    }
    Ok(InitialState { net, average, optimizer, state, meter, log })
}

/// A run of a method in progress.
pub struct Trainer<'a, M: Method> {
    /// The network; its tensors track gradients.
    pub net: Net<M>,
    /// Running means of the current epoch.
    pub meter: EpochMeter,
    /// Moving average of the weights, if there is one.
    average: Option<Net<M>>,
    optimizer: ModuleOptimizer,
    engine: GradientEngine,
    training: TrainingConfig,
    network: UNetConfig,
    device: String,
    run: &'a RunFolder,
    log: EventLog,
    sink: &'a mut dyn EventSink,
    control: &'a Control,
    state: State,
    resumed: bool,
    /// Warnings already sent to the listeners.
    warned: BTreeSet<String>,
}

impl<'a, M: Method> Trainer<'a, M> {
    /// Starts from the method's initial weights, or from the run's newest undamaged checkpoint if it has one.
    ///
    /// # Errors
    /// A checkpoint of other data or of another network; files that cannot be read or written.
    pub fn start(method: &mut M, config: &Config, session: &Session<'a>, sink: &'a mut dyn EventSink) -> Result<Self> {
        let Session { compute, run, control, .. } = *session;
        for message in run.warnings() {
            sink.event(&Event::Warning { message: message.clone() })?;
        }
        let engine = GradientEngine::new(compute, config.training.micro_batch);
        let resumed = checkpoint::has_checkpoint(run);
        let start = if resumed {
            resume(method, config, run, &engine, sink)?
        } else {
            start_new(method, config, run, &engine)?
        };
        let InitialState { net, average, optimizer, state, meter, log } = start;
        let mut trainer = Self {
            net,
            meter,
            average,
            optimizer,
            engine,
            training: config.training.clone(),
            network: method.network(),
            device: compute.name.clone(),
            run,
            log,
            sink,
            control,
            state,
            resumed,
            warned: BTreeSet::new(),
        };
        if resumed && trainer.state.steps_done == 0 {
            trainer.emit(&Event::Checkpoint { epoch: trainer.state.epochs_done, step: 0 })?;
        }
        Ok(trainer)
    }

    /// Completed epochs.
    pub fn epochs_done(&self) -> usize {
        self.state.epochs_done
    }

    /// Completed steps of the current epoch.
    pub fn steps_done(&self) -> usize {
        self.state.steps_done
    }

    /// The best validation Dice so far.
    pub fn best_dice(&self) -> Option<f64> {
        self.state.best
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// A loss that is not finite, with the slices of the batch (the weights do not change); those of the device.
    pub fn step(
        &mut self,
        method: &M,
        batch: &Batch<M>,
        slices: &[usize],
        position: Position,
        rate: f64,
    ) -> Result<StepOutput> {
        let (gradients, output) = self.engine.gradients(method.objective(), &self.net, batch, slices.len())?;
        if let Some((what, value)) = output.non_finite() {
            let names: Vec<String> = slices.iter().map(|&slice| method.dataset().name(slice)).collect();
            let (epoch, step, slices) = (position.epoch, position.step + 1, names.join(", "));
            return Err(ErrorKind::NonFinite { what: what.into(), value, epoch, step, slices }.into());
        }
        let limit = self.training.clip_norm;
        let gradients = self.engine.guard(slices.len(), "a training step", || Ok(clip(&self.net, gradients, limit)))?;
        let before = (self.training.layer_decay < 1.0).then(|| self.net.clone());
        self.net = self.optimizer.step(rate, self.net.clone(), gradients);
        if let Some(before) = before {
            self.apply_layer_decay(&before);
        }
        self.update_average();
        Ok(output)
    }

    /// Layer-wise learning rates: an AdamW update is proportional to the learning rate, so it is scaled per layer.
    fn apply_layer_decay(&mut self, before: &Net<M>) {
        let back = |name: &str| {
            let share = self.training.layer_decay.powi(self.network.layers_above(name) as i32);
            if name.contains("running_") { 0.0 } else { 1.0 - share }
        };
        self.net = mix(self.net.clone(), before, back);
    }

    /// Updates the moving average of the weights. Its decay starts at 0.1 and rises, so that the initial weights are soon
    /// forgotten.
    fn update_average(&mut self) {
        let Some(average) = self.average.take() else { return };
        let steps = self.state.averaged as f64;
        let decay = self.training.ema_decay.min((1.0 + steps) / (10.0 + steps));
        self.average = Some(mix(average, &self.net, |_| 1.0 - decay));
        self.state.averaged += 1;
    }

    /// The network that is validated and kept: the moving average if there is one.
    fn evaluated(&self) -> &Net<M> {
        self.average.as_ref().unwrap_or(&self.net)
    }

    /// Runs `work` on the network to keep, between two epochs; device failures become errors that name the device.
    ///
    /// # Errors
    /// Those of `work` and of the device.
    pub fn guard<T>(&self, what: &str, work: impl FnOnce(&Net<M>) -> Result<T>) -> Result<T> {
        self.engine.guard(self.training.batch, what, || work(self.evaluated()))
    }

    /// Logs an event and passes it to the listeners.
    ///
    /// # Errors
    /// A log that cannot be written; those of a listener.
    pub fn emit(&mut self, event: &Event) -> Result<()> {
        self.log.event(event)?;
        self.sink.event(event)
    }

    /// Emits events of a method. Warnings go to the listeners and not to the log, because they depend on the machine.
    fn emit_all(&mut self, events: &[Event]) -> Result<()> {
        events.iter().try_for_each(|event| match event {
            Event::Warning { .. } => self.sink.event(event),
            _ => self.emit(event),
        })
    }

    /// Sends the warnings of an epoch's summary to the listeners, each one once.
    ///
    /// # Errors
    /// Those of a listener.
    pub fn warn_once(&mut self, warnings: &[String]) -> Result<()> {
        for message in warnings.iter().filter(|message| self.warned.insert((*message).clone())) {
            self.sink.event(&Event::Warning { message: message.clone() })?;
        }
        Ok(())
    }

    /// Emits the start of a run with `slices` slices per epoch; the log of a resumed run already has it.
    ///
    /// # Errors
    /// Those of [`Trainer::emit`].
    pub fn emit_started(&mut self, length: &Length, slices: usize) -> Result<()> {
        let started = Event::Started {
            stage: M::STAGE,
            epochs: length.epochs,
            steps_per_epoch: length.steps_per_epoch,
            slices,
            parameters: self.net.num_params(),
            device: self.device.clone(),
            first_epoch: self.state.epochs_done + 1,
        };
        if self.resumed { self.sink.event(&started) } else { self.emit(&started) }
    }

    /// Adds a step of `slices` slices to the epoch's means, and emits it with the method's events.
    ///
    /// # Errors
    /// Those of [`Trainer::emit`].
    pub fn record_step(
        &mut self,
        output: &StepOutput,
        slices: usize,
        position: Position,
        learning_rate: f64,
        events: &[Event],
    ) -> Result<()> {
        let (epoch, step, loss) = (position.epoch, position.step + 1, output.loss);
        self.meter.add(slices, output);
        self.state.steps_done = step;
        self.emit(&Event::Step { stage: M::STAGE, epoch, step, loss, learning_rate })?;
        self.emit_all(events)
    }

    /// Handles a pause or cancellation after a step. Both save a checkpoint; a pause then waits.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`]; a checkpoint that cannot be written.
    pub fn handle_signal(&mut self, method: &M, position: Position) -> Result<()> {
        if self.control.get() == Signal::Run {
            return Ok(());
        }
        self.save(method)?;
        self.sink.event(&Event::Checkpoint { epoch: position.epoch, step: position.step + 1 })?;
        while self.control.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.control.check()
    }

    /// Emits the end of an epoch, and keeps the network if its validation is the best so far.
    ///
    /// # Errors
    /// Those of [`Trainer::emit`]; a checkpoint that cannot be written.
    pub fn record_end(&mut self, epoch: usize, end: &EpochEnd) -> Result<()> {
        self.emit_all(&end.events)?;
        let Some(dice) = end.validation_dice else { return Ok(()) };
        let best = self.state.best.is_none_or(|best| dice > best);
        if best {
            self.state.best = Some(dice);
            let parts = vec![(WEIGHTS.to_string(), record::to_bytes(self.evaluated())?)];
            checkpoint::save(self.run, Slot::Best, &CheckpointData { epoch, step: 0, parts })?;
        }
        self.emit(&Event::Validation { epoch, dice, best })
    }

    /// Starts the next epoch; saves before it if asked to.
    ///
    /// # Errors
    /// Those of [`Trainer::emit`]; a checkpoint that cannot be written.
    pub fn finish_epoch(&mut self, method: &M, epoch: usize, save: bool) -> Result<()> {
        self.state.epochs_done = epoch;
        self.state.steps_done = 0;
        self.meter = EpochMeter::default();
        if !save {
            return Ok(());
        }
        self.save(method)?;
        self.emit(&Event::Checkpoint { epoch, step: 0 })
    }

    fn save(&mut self, method: &M) -> Result<()> {
        self.engine.sync()?;
        self.state.log_position = self.log.position()?;
        self.state.meter = Some(self.meter.clone());
        let failed = |what: &str, why: String| ErrorKind::Compute { step: format!("writing {what}"), why };
        let mut parts = method.state()?;
        let optimizer = self.optimizer.into_bytes().map_err(|e| failed("the optimiser's state", e.to_string()))?;
        let state = serde_json::to_vec(&self.state).map_err(|e| failed("the checkpoint's state", e.to_string()))?;
        parts.push((WEIGHTS.into(), record::to_bytes(self.evaluated())?));
        if self.average.is_some() {
            parts.push((TRAINED.into(), record::to_bytes(&self.net)?));
        }
        parts.push((OPTIMIZER.into(), optimizer.to_vec()));
        parts.push((STATE.into(), state));
        let (epoch, step) = (self.state.epochs_done, self.state.steps_done);
        checkpoint::save(self.run, Slot::Last, &CheckpointData { epoch, step, parts })
    }
}

/// Euclidean norm of the gradient of `loss` over the parameters of `net`.
pub fn gradient_norm<N: Module>(net: &N, loss: &Tensor<1>) -> f64 {
    norm_of(net, &GradientsParams::from_grads(loss.backward(), net))
}

/// Euclidean norm of gradients over the parameters of `net`.
pub(super) fn norm_of<N: Module>(net: &N, gradients: &GradientsParams) -> f64 {
    struct Squares<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += gradient.into_data().iter::<f64>().map(|g| g * g).sum::<f64>();
            }
        }
    }
    let mut squares = Squares(gradients, 0.0);
    net.visit(&mut squares);
    squares.1.sqrt()
}
