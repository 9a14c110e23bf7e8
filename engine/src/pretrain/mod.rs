//! Self-supervised pre-training: mask, reconstruct, relabel (sections 3 and 4.4).
//!
//! | file | idea |
//! |---|---|
//! | `slices.rs` | the training slices, clustered, with the state of their patches |
//! | `objective.rs` | one batch: masks, losses, what they tell about the patches |
//! | `host.rs` | masked slices on the host, put together to a batch |
//! | `tally.rs` | the numbers of an epoch |
//! | `probes.rs` | the pinned slices, epoch by epoch |
//! | `synthetic.rs` | a step on made-up slices, to be measured |

mod host;
mod objective;
mod probes;
mod slices;
mod synthetic;
mod tally;

use std::time::Instant;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::device::Compute;
use crate::event::{EpochSummary, Event, EventSink, Stage};
use crate::loss::Consistency;
use crate::masking::select::masked_count;
use crate::model::UNetConfig;
use crate::seed::stream;
use crate::trainer::{Length, Resumed, Session, Trainer, measure_step, memory_mib};
use crate::{ErrorKind, Result};

pub use objective::{Batch, Losses, losses};
use probes::{Moment, Probes};
pub use slices::{PatchState, Slices};
pub(crate) use synthetic::synthetic_step;
use tally::Tally;

/// What a finished pre-training reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PretrainReport {
    /// Always `pretrain`.
    pub stage: Stage,
    /// The preset's name.
    pub preset: String,
    /// Device that computed.
    pub device: String,
    /// Training patients.
    pub patients: usize,
    /// Training slices.
    pub slices: usize,
    /// Weights of the network.
    pub parameters: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Steps trained.
    pub steps: usize,
    /// Numbers of the last epoch.
    pub last: EpochSummary,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
}

/// Pre-trains on `slices`, from the run's newest checkpoint if it has one, and leaves the network and what was recorded
/// of the pinned slices in the run folder. A dry run stops after the estimate and returns nothing.
pub fn pretrain(
    config: &Config,
    slices: &mut Slices,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<PretrainReport>> {
    let compute = session.compute;
    let started = Instant::now();
    let network = network_config(config);
    let length = Length::new(&config.training, slices.len());
    estimate(config, &network, slices, compute, &length, sink)?;
    if session.dry {
        return Ok(None);
    }
    let fresh = network.init(config.seed, &compute.training());
    let parameters = burn::module::Module::num_params(&fresh);
    let (mut trainer, mut resumed) = Trainer::start(config, fresh, &slices.digest(), session, sink)?;
    let mut tally = slices.restore(&mut resumed)?;
    let mut probes = Probes::start(session, config, slices, &mut resumed)?;
    let Resumed { epoch: first_epoch, mut step, .. } = resumed;
    trainer.emit_started(&Event::Started {
        stage: Stage::Pretrain,
        epochs: length.epochs,
        steps_per_epoch: length.steps_per_epoch,
        slices: slices.len(),
        parameters,
        device: compute.name.clone(),
        first_epoch,
    })?;
    let mut last = EpochSummary::default();
    for epoch in first_epoch..=length.epochs {
        let moment = Moment::new(config, epoch, length.epochs);
        let sigma = moment.sigma;
        let order = shuffled(slices.len(), config.seed, epoch);
        let batches = order.chunks(config.training.batch).take(length.steps_of(epoch));
        for (index, members) in batches.enumerate().skip(step) {
            let rate = length.rate(&config.training, epoch, index);
            let batch = slices.batch(config, members, sigma, epoch, &trainer.device)?;
            let losses = losses(&trainer.network, &batch, &config.method)?;
            refuse_non_finite(&losses, epoch, index + 1, || slices.names(members))?;
            tally.add(&batch, &losses);
            slices.observe(&batch, &losses);
            probes.observe(slices, &batch, &losses, moment)?;
            trainer.update(&losses.total, rate);
            let loss = losses.value;
            trainer.emit(&Event::Step { stage: Stage::Pretrain, epoch, step: index + 1, loss, learning_rate: rate })?;
            trainer.emit_probes(&probes.events())?;
            trainer.heed(epoch, index + 1, || Ok([slices.parts(&tally)?, probes.parts()].concat()))?;
        }
        step = 0;
        let mut updates = Vec::new();
        if moment.update {
            let event;
            (event, updates) = slices.relabel(config, epoch, length.epochs, &probes.slices());
            trainer.emit(&event)?;
        }
        let told = probes.close(slices, &trainer.network, &updates, moment)?;
        trainer.emit_probes(&told)?;
        last = tally.summary(epoch, sigma, length.last_rate(&config.training, epoch));
        last.gradient_norm = sampled_norms(config, &network, slices, &trainer, sigma, epoch, &length)?;
        slices.describe(config, sigma, &mut last);
        trainer.emit(&Event::Epoch(Box::new(last.clone())))?;
        tally = Tally::default();
        if epoch.is_multiple_of(config.training.checkpoint_every) || epoch == length.epochs {
            trainer.save_epoch(epoch, [slices.parts(&tally)?, probes.parts()].concat())?;
        }
    }
    trainer.emit(&Event::Finished { stage: Stage::Pretrain, epochs: length.epochs })?;
    Ok(Some(PretrainReport {
        stage: Stage::Pretrain,
        preset: config.preset.clone(),
        device: compute.name.clone(),
        patients: slices.patients(),
        slices: slices.len(),
        parameters,
        epochs: length.epochs,
        steps: length.steps,
        last,
        seconds: started.elapsed().as_secs_f64(),
    }))
}

/// The network of pre-training: as many outputs as inputs.
pub fn network_config(config: &Config) -> UNetConfig {
    let channels = config.data.modality.len();
    UNetConfig {
        in_channels: channels,
        out_channels: channels,
        learned_fill: config.method.fill.is_learned(),
        ..config.network.clone()
    }
}

/// All slices in the order of an epoch.
fn shuffled(slices: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..slices).collect();
    order.shuffle(&mut stream(seed, "pretrain-order", &[epoch as u64]));
    order
}

/// Measures a step and tells what the training will take.
fn estimate(
    config: &Config,
    network: &UNetConfig,
    slices: &Slices,
    compute: &Compute,
    length: &Length,
    sink: &mut dyn EventSink,
) -> Result<()> {
    let device = compute.training();
    let members: Vec<usize> = (0..slices.len().min(config.training.batch)).collect();
    let sigma = config.method.ratio.sigma(1, length.epochs);
    let batch = slices.batch(config, &members, sigma, 1, &device)?;
    let seconds_per_step =
        measure_step(network, &config.training, &device, |network| Ok(losses(network, &batch, &config.method)?.total))?;
    let parameters = burn::module::Module::num_params(&network.init(0, &device));
    sink.event(&Event::Estimate {
        steps: length.steps,
        seconds_per_step,
        seconds: seconds_per_step * length.steps as f64,
        memory_mib: memory_mib(config, parameters),
    })
}

fn refuse_non_finite(losses: &Losses, epoch: usize, step: usize, names: impl Fn() -> String) -> Result<()> {
    let values = [("L_pred", losses.parts.pred), ("L_rrl", losses.parts.rrl), ("L_lcl", losses.parts.lcl)];
    for (what, value) in values.into_iter().chain([("the loss", losses.value)]) {
        if !value.is_finite() {
            return Err(ErrorKind::NonFinite { what: what.into(), value, epoch, step, slices: names() }.into());
        }
    }
    Ok(())
}

/// The norm of each loss's gradient on the epoch's first batch, in a sample of epochs. It is taken on a copy of the
/// network, whose running statistics are its own, so that looking does not change the training.
fn sampled_norms(
    config: &Config,
    network: &UNetConfig,
    slices: &Slices,
    trainer: &Trainer<'_>,
    sigma: f64,
    epoch: usize,
    length: &Length,
) -> Result<Option<crate::event::Parts>> {
    if !(epoch - 1).is_multiple_of((length.epochs / 5).max(1)) {
        return Ok(None);
    }
    let weights = crate::model::record::to_bytes(&trainer.network)?;
    let copy = crate::model::record::from_bytes(network.init(0, &trainer.device), &weights)?;
    let order = shuffled(slices.len(), config.seed, epoch);
    let members: Vec<usize> = order.into_iter().take(config.training.batch).collect();
    let batch = slices.batch(config, &members, sigma, epoch, &trainer.device)?;
    let norm = |pick: fn(&Losses) -> Option<&burn::tensor::Tensor<1>>| -> Result<f64> {
        let losses = losses(&copy, &batch, &config.method)?;
        Ok(pick(&losses).map_or(0.0, |loss| crate::trainer::gradient_norm(&copy, loss)))
    };
    let consistent = config.method.consistency == Consistency::Logit && batch.flipped > 0;
    Ok(Some(crate::event::Parts {
        pred: norm(|l| Some(&l.pred))?,
        rrl: if losses_have_gradient(config) { norm(|l| l.rrl.as_ref())? } else { 0.0 },
        lcl: if consistent { norm(|l| l.lcl.as_ref())? } else { 0.0 },
    }))
}

/// The literal attention loss is a constant: its backward pass has no path to the weights.
fn losses_have_gradient(config: &Config) -> bool {
    use crate::loss::Attention;
    matches!(config.method.attention, Attention::Weighted | Attention::Ratio)
}

/// Masked patches of a slice of `config` in an epoch.
pub fn masked_in(config: &Config, epoch: usize, epochs: usize) -> usize {
    masked_count(config.method.grid * config.method.grid, config.method.ratio.sigma(epoch, epochs))
}
