//! The state of a run in its checkpoint, and the start of a run from it or from initial weights.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use super::method::{Net, Objective, ResumePoint};
use super::session::optimizer;
use super::{EpochMeter, GradientEngine, Method};
use crate::config::Config;
use crate::event::{Event, EventSink};
use crate::model::record;
use crate::preprocess::DigestMatch;
use crate::run::RunFolder;
use crate::run::checkpoint;
use crate::run::log::EventLog;
use crate::{Error, ErrorKind, Result};

/// Name of the weights in a checkpoint.
pub const WEIGHTS: &str = "model.safetensors";
/// Name of the trained weights, if [`WEIGHTS`] is their moving average.
pub(super) const TRAINED: &str = "trained.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.burnpack";
pub(super) const STATE: &str = "state.json";
/// Name of the running means in checkpoints of earlier versions.
const TALLY: &str = "tally.json";

/// Position in a run, as stored in its checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub epochs_done: usize,
    /// Completed steps of the epoch after these.
    pub steps_done: usize,
    pub log_position: u64,
    pub best: Option<f64>,
    /// Digest of the training data.
    pub data: String,
    /// Steps averaged into the moving average of the weights.
    #[serde(default)]
    pub averaged: u64,
    /// Absent in checkpoints of earlier versions.
    pub meter: Option<EpochMeter>,
}

/// The state a run starts with: initial weights, or a checkpoint.
pub(super) struct InitialState<N> {
    pub net: N,
    pub average: Option<N>,
    pub optimizer: ModuleOptimizer,
    pub state: State,
    pub meter: EpochMeter,
    pub log: EventLog,
}

/// A new run.
pub(super) fn start_new<M: Method>(
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
pub(super) fn resume<M: Method>(
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
            let why = "the cohort's scans or labels are not those that the run was trained on. Start a new run";
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
