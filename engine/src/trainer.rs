//! What both loops share: the optimiser's step, checkpoints, the event log, pause and cancel.
//!
//! | file | idea |
//! |---|---|
//! | `epoch.rs` | the steps of an epoch: what both stages share of them |
//! | `step.rs` | one step on one device or several, whole or in portions |
//! | `memory.rs` | what a step holds, and whether it fits |

mod epoch;
mod memory;
mod step;

use std::time::{Duration, Instant};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Tensor};
use serde::{Deserialize, Serialize};

use crate::cohort::Cohort;
use crate::config::{Config, TrainingConfig};
use crate::device::Compute;
use crate::event::{Control, Event, EventSink, Signal};
use crate::model::{UNet, UNetConfig, record};
use crate::preprocess::DigestMatch;
use crate::probe::Pins;
use crate::run::RunFolder;
use crate::run::checkpoint::{self, CheckpointData, Slot};
use crate::run::log::EventLog;
use crate::{ErrorKind, Result};

pub use epoch::Steps;
pub use memory::{check_device, memory_mib};
use step::caught;
pub use step::{Objective, Portion, Stepper};

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
    /// The network with its optimiser.
    pub stepper: Stepper,
    /// Steps whose losses are read together.
    read_every: usize,
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
    /// the training data: a checkpoint of other data is refused. At most `micro` slices go through the network at once, 0
    /// for as many as there are.
    pub fn start(
        config: &Config,
        network: UNet,
        micro: usize,
        data: &str,
        session: &Session<'a>,
        sink: &'a mut dyn EventSink,
    ) -> Result<(Self, Resumed)> {
        let Session { compute, run, control, .. } = *session;
        let read_every = config.training.read_every(compute.is_cpu());
        let mut optimizer = optimizer(&config.training);
        for message in run.warnings() {
            sink.event(&Event::Warning { message: message.clone() })?;
        }
        if !checkpoint::has_checkpoint(run) {
            let log = EventLog::create(&run.events_path())?;
            let state = State { data: data.to_string(), ..State::default() };
            let stepper = Stepper::new(network, optimizer, compute, micro);
            let trainer = Self { stepper, read_every, run, log, sink, control, state, resumed: false };
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
        let mut state: State = serde_json::from_slice(&parts.take(STATE)?)
            .map_err(|e| ErrorKind::Compute { step: "reading the checkpoint's state".into(), why: e.to_string() })?;
        match DigestMatch::of(&state.data, data) {
            DigestMatch::Same => {}
            DigestMatch::Different => {
                let why = "the cohort's scans or labels are not those that the run was trained on; start a new run";
                return Err(crate::Error::file(run.root(), why));
            }
            DigestMatch::Unknown => {
                let message = "The checkpoint comes from another version, whose data digest cannot be compared. Make sure that \
                               the cohort's scans and labels have not changed since.";
                sink.event(&Event::Warning { message: message.into() })?;
                state.data = data.to_string();
            }
        }
        let (log, warning) = EventLog::resume(&run.events_path(), state.log_position)?;
        if let Some(message) = warning {
            sink.event(&Event::Warning { message })?;
        }
        let (epochs_done, step) = (state.epochs_done, state.steps_done);
        let stepper = Stepper::new(network, optimizer, compute, micro);
        let mut trainer = Self { stepper, read_every, run, log, sink, control, state, resumed: true };
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

    /// The network.
    pub fn network(&self) -> &UNet {
        &self.stepper.network
    }

    /// Looks at the network between two epochs. Where the device's memory does not suffice the portions are halved, and the
    /// look is taken again: it must leave nothing behind.
    pub fn look<T>(&mut self, look: impl Fn(&Self) -> Result<T>) -> Result<T> {
        loop {
            match caught("a look at the network", || look(self)) {
                Err(error) => self.stepper.fall_back(error)?,
                done => return done,
            }
            self.tell_notes()?;
        }
    }

    /// Tells what the steps have to say: to the listeners only, since it depends on the machine.
    fn tell_notes(&mut self) -> Result<()> {
        let notes = self.stepper.notes();
        notes.into_iter().try_for_each(|message| self.sink.event(&Event::Warning { message }))
    }

    /// True if the losses of `waiting` steps, the last of which is the epoch's last if `last`, are to be read now: enough of
    /// them, an epoch's end, or somebody wants the job to pause or stop, before which everything is read.
    fn reads(&self, waiting: usize, last: bool) -> bool {
        waiting >= self.read_every || last || self.control.get() != Signal::Run
    }

    /// Looks at the control after a step. Pausing saves and waits; cancelling saves and is [`ErrorKind::Cancelled`].
    /// `epoch` is under way with `step` of its steps done; `parts` gives what the method stores.
    fn heed(&mut self, epoch: usize, step: usize, parts: impl Fn() -> Result<Parts>) -> Result<()> {
        if self.control.get() == Signal::Run {
            return Ok(());
        }
        self.state.epochs_done = epoch - 1;
        self.state.steps_done = step;
        self.state.log_position = self.log.position()?;
        let data = self.look(|trainer| trainer.data(parts()?))?;
        checkpoint::save(self.run, Slot::Last, &data)?;
        self.tell(&Event::Checkpoint { epoch, step })?;
        while self.control.get() == Signal::Pause {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.control.check()
    }

    /// Saves after a whole epoch.
    pub fn save_epoch(&mut self, epoch: usize, parts: &[(String, Vec<u8>)]) -> Result<()> {
        self.state.epochs_done = epoch;
        self.state.steps_done = 0;
        self.state.log_position = self.log.position()?;
        let data = self.look(|trainer| trainer.data(parts.to_vec()))?;
        checkpoint::save(self.run, Slot::Last, &data)?;
        self.emit(&Event::Checkpoint { epoch, step: 0 })
    }

    /// Saves the network as the best if `score` is above every earlier one; tells whether it was.
    pub fn save_best(&mut self, epoch: usize, score: f64) -> Result<bool> {
        if self.state.best.is_some_and(|best| best >= score) {
            return Ok(false);
        }
        self.state.best = Some(score);
        let parts = vec![(WEIGHTS.to_string(), record::to_bytes(&self.stepper.network)?)];
        checkpoint::save(self.run, Slot::Best, &CheckpointData { epoch, step: 0, parts })?;
        Ok(true)
    }

    /// The best validation score so far.
    pub fn best(&self) -> Option<f64> {
        self.state.best
    }

    fn data(&self, mut parts: Parts) -> Result<CheckpointData> {
        let written = |what: &str, why: String| ErrorKind::Compute { step: format!("writing {what}"), why };
        let optimizer =
            self.stepper.optimizer.into_bytes().map_err(|e| written("the optimiser's state", e.to_string()))?;
        let state = serde_json::to_vec(&self.state).map_err(|e| written("the checkpoint's state", e.to_string()))?;
        parts.push((WEIGHTS.into(), record::to_bytes(&self.stepper.network)?));
        parts.push((OPTIMIZER.into(), optimizer.to_vec()));
        parts.push((STATE.into(), state));
        Ok(CheckpointData { epoch: self.state.epochs_done, step: self.state.steps_done, parts })
    }
}

/// Named bytes of a checkpoint.
pub type Parts = Vec<(String, Vec<u8>)>;

/// What a trial of a training step found.
pub struct Measured {
    /// Seconds of the second of two steps on a whole batch. On the CPU, where a step takes as long as its slices together, it is
    /// that of a few slices times their share.
    pub seconds: f64,
    /// Slices that went through the network at once, 0 for the whole batch: fewer than asked for where memory ran out.
    pub micro: usize,
    /// What happened, a line each.
    pub notes: Vec<String>,
}

/// Slices of a trial on the CPU, or one a thread if those are more: enough to keep all threads busy, and a step of the
/// paper's batch and width would take a minute.
const TRIAL_SLICES: usize = 4;

/// Takes two steps on a batch of `size` slices with a network of their own, so that the training is not touched. `control` may
/// pause or cancel before either; a pause is not measured.
pub fn measure_step<O: Objective>(
    config: &Config,
    network: &UNetConfig,
    compute: &Compute,
    objective: &O,
    size: usize,
    control: &Control,
) -> Result<Measured> {
    let training = &config.training;
    let trial = network.init(0, &compute.training());
    let mut stepper = Stepper::new(trial, optimizer(training), compute, training.micro_batch);
    let slices = if compute.is_cpu() { size.min(TRIAL_SLICES.max(rayon::current_num_threads())) } else { size };
    let mut seconds = 0.0;
    for _ in 0..2 {
        control.pass()?;
        let start = Instant::now();
        stepper.step(objective, slices, training.lr)?;
        let waited = compute.device.sync();
        waited.map_err(|e| ErrorKind::Compute { step: "measuring a step".into(), why: e.to_string() })?;
        seconds = start.elapsed().as_secs_f64() * size as f64 / slices.max(1) as f64;
    }
    Ok(Measured { seconds, micro: stepper.micro(), notes: stepper.notes() })
}

/// Measures a step and tells what `steps` of them take; gives how many slices go through the network at once.
pub fn estimate<O: Objective>(
    config: &Config,
    network: &UNetConfig,
    session: &Session<'_>,
    (objective, size): (&O, usize),
    steps: usize,
    sink: &mut dyn EventSink,
) -> Result<usize> {
    let Session { compute, control, .. } = *session;
    let Measured { seconds, micro, notes } = measure_step(config, network, compute, objective, size, control)?;
    notes.into_iter().try_for_each(|message| sink.event(&Event::Warning { message }))?;
    sink.event(&Event::Estimate {
        steps,
        seconds_per_step: seconds,
        seconds: seconds * steps as f64,
        memory_mib: memory_mib(config, network, compute),
    })?;
    Ok(micro)
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
