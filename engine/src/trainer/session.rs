//! The state of a run while it trains: network, optimiser, checkpoints, event log, pause and cancel.

use std::collections::BTreeSet;
use std::time::Duration;

use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::adamw::AdamW;
use super::clip::clip;
use super::method::{Batch, EpochEnd, Net, Position};
use super::state::{InitialState, OPTIMIZER, STATE, State, TRAINED, WEIGHTS, resume, start_new};
use super::{EpochMeter, GradientEngine, Length, Method, StepOutput};
use crate::cohort::Cohort;
use crate::config::{Config, TrainingConfig};
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Signal};
use crate::model::{UNetConfig, mix, record};
use crate::probe::Pins;
use crate::run::RunFolder;
use crate::run::checkpoint::{self, CheckpointData, Slot};
use crate::run::log::EventLog;
use crate::{ErrorKind, Result};

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
    config: &'a Config,
    session: Session<'a>,
    network: UNetConfig,
    log: EventLog,
    sink: &'a mut dyn EventSink,
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
    pub fn start(
        method: &mut M,
        config: &'a Config,
        session: &Session<'a>,
        sink: &'a mut dyn EventSink,
    ) -> Result<Self> {
        let (run, session) = (session.run, *session);
        for message in run.warnings() {
            sink.event(&Event::Warning { message: message.clone() })?;
        }
        let engine = GradientEngine::new(session.compute, config.training.micro_batch);
        let resumed = checkpoint::has_checkpoint(run);
        let InitialState { net, average, optimizer, state, meter, log } = if resumed {
            resume(method, config, run, &engine, sink)?
        } else {
            start_new(method, config, run, &engine)?
        };
        let mut trainer = Self {
            net,
            meter,
            average,
            optimizer,
            engine,
            config,
            session,
            network: method.network(),
            log,
            sink,
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
        let limit = self.config.training.clip_norm;
        let gradients = self.engine.guard(slices.len(), "a training step", || Ok(clip(&self.net, gradients, limit)))?;
        let before = (self.config.training.layer_decay < 1.0).then(|| self.net.clone());
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
            let share = self.config.training.layer_decay.powi(self.network.layers_above(name) as i32);
            if name.contains("running_") { 0.0 } else { 1.0 - share }
        };
        self.net = mix(self.net.clone(), before, back);
    }

    /// Updates the moving average of the weights. Its decay starts at 0.1 and rises, so that the initial weights are soon
    /// forgotten.
    fn update_average(&mut self) {
        let Some(average) = self.average.take() else { return };
        let steps = self.state.averaged as f64;
        let decay = self.config.training.ema_decay.min((1.0 + steps) / (10.0 + steps));
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
    /// Errors of `work`, and device errors.
    pub fn guard<T>(&self, what: &str, work: impl FnOnce(&Net<M>) -> Result<T>) -> Result<T> {
        self.engine.guard(self.config.training.batch, what, || work(self.evaluated()))
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
    /// Errors of a listener.
    pub fn warn_once(&mut self, warnings: &[String]) -> Result<()> {
        for message in warnings.iter().filter(|message| self.warned.insert((*message).clone())) {
            self.sink.event(&Event::Warning { message: message.clone() })?;
        }
        Ok(())
    }

    /// Emits the start of a run with `slices` slices per epoch; the log of a resumed run already has it.
    ///
    /// # Errors
    /// Errors of [`Trainer::emit`].
    pub fn emit_started(&mut self, length: &Length, slices: usize) -> Result<()> {
        let started = Event::Started {
            stage: M::STAGE,
            epochs: length.epochs,
            steps_per_epoch: length.steps_per_epoch,
            slices,
            parameters: self.net.num_params(),
            device: self.session.compute.name.clone(),
            first_epoch: self.state.epochs_done + 1,
        };
        if self.resumed { self.sink.event(&started) } else { self.emit(&started) }
    }

    /// Adds a step of `slices` slices to the epoch's means, and emits it with the method's events.
    ///
    /// # Errors
    /// Errors of [`Trainer::emit`].
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
        if self.session.control.get() == Signal::Run {
            return Ok(());
        }
        self.save(method)?;
        self.sink.event(&Event::Checkpoint { epoch: position.epoch, step: position.step + 1 })?;
        while self.session.control.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.session.control.check()
    }

    /// Emits the end of an epoch, and keeps the network if its validation is the best so far.
    ///
    /// # Errors
    /// Errors of [`Trainer::emit`]; a checkpoint that cannot be written.
    pub fn record_end(&mut self, epoch: usize, end: &EpochEnd) -> Result<()> {
        self.emit_all(&end.events)?;
        let Some(dice) = end.validation_dice else { return Ok(()) };
        let best = self.state.best.is_none_or(|best| dice > best);
        if best {
            self.state.best = Some(dice);
            let parts = vec![(WEIGHTS.to_string(), record::to_bytes(self.evaluated())?)];
            checkpoint::save(self.session.run, Slot::Best, &CheckpointData { epoch, step: 0, parts })?;
        }
        self.emit(&Event::Validation { epoch, dice, best })
    }

    /// Starts the next epoch; saves before it if asked to.
    ///
    /// # Errors
    /// Errors of [`Trainer::emit`]; a checkpoint that cannot be written.
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
        checkpoint::save(self.session.run, Slot::Last, &CheckpointData { epoch, step, parts })
    }
}
