//! Self-supervised pre-training: mask, reconstruct, relabel (sections 3 and 4.4).
//!
//! | file | idea |
//! |---|---|
//! | `slices.rs` | the training slices, clustered, with the state of their patches |
//! | `objective.rs` | one batch on the device: masks, losses, what is read of them |
//! | `host.rs` | masked slices on the host, put together to a batch |
//! | `epoch.rs` | what a step of an epoch trains on, and where its losses go |
//! | `tally.rs` | the numbers of an epoch |
//! | `probes.rs` | the pinned slices, epoch by epoch |
//! | `trial.rs` | a step on made-up slices, for benchmarks and to compare devices |

mod epoch;
mod host;
mod objective;
mod probes;
mod slices;
mod tally;
mod trial;

use std::time::Instant;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::config::Config;
use crate::event::{EpochSummary, Event, EventSink, Stage};
use crate::loss::Consistency;
use crate::masking::select::masked_count;
use crate::model::UNetConfig;
use crate::seed::stream;
use crate::trainer::{Length, Resumed, Session, Trainer, check_device};

use epoch::Epoch;
pub use host::Masked;
pub use objective::{Batch, Losses, Told, Tracked, forward, losses, read, tracked};
use probes::{Moment, Probes};
pub use slices::{PatchState, Slices};
use tally::Tally;
pub use trial::Trial;
pub(crate) use trial::synthetic_step;

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
    check_device(config, &network, compute)?;
    let micro = estimate(config, &network, slices, session, &length, sink)?;
    if session.dry {
        return Ok(None);
    }
    let fresh = network.init(config.seed, &compute.training());
    let parameters = burn::module::Module::num_params(&fresh);
    let (mut trainer, mut resumed) = Trainer::start(config, fresh, micro, &slices.digest(), session, sink)?;
    let mut record = slices.restore(&mut resumed)?;
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
        let batches = order.chunks(config.training.batch).take(length.steps_of(epoch)).collect();
        let (record_of, probes_of) = (&mut record, &mut probes);
        let mut steps =
            Epoch { config, slices, length: &length, moment, batches, record: record_of, probes: probes_of };
        trainer.train(epoch, step, &mut steps)?;
        step = 0;
        let mut updates = Vec::new();
        if moment.update {
            let event;
            (event, updates) = slices.relabel(config, &mut record.relevance, moment, &probes.slices());
            trainer.emit(&event)?;
        }
        probes.look(slices);
        let views = trainer.look(|trainer| probes.views(trainer.network(), moment))?;
        let told = probes.close(views, &updates, moment);
        trainer.emit_probes(&told)?;
        last = record.tally.summary(epoch, sigma, length.last_rate(&config.training, epoch));
        last.gradient_norm = trainer.look(|trainer| sampled_norms(config, &network, slices, trainer, moment))?;
        slices.describe(config, sigma, &mut last);
        trainer.emit(&Event::Epoch(Box::new(last.clone())))?;
        record.tally = Tally::default();
        if epoch.is_multiple_of(config.training.checkpoint_every) || epoch == length.epochs {
            trainer.save_epoch(epoch, &[record.parts(slices)?, probes.parts()].concat())?;
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

/// Measures a step and tells what the training will take; gives how many slices go through the network at once.
fn estimate(
    config: &Config,
    network: &UNetConfig,
    slices: &Slices,
    session: &Session<'_>,
    length: &Length,
    sink: &mut dyn EventSink,
) -> Result<usize> {
    let members: Vec<usize> = (0..slices.len().min(config.training.batch)).collect();
    let sigma = config.method.ratio.sigma(1, length.epochs);
    let masked = slices.masked(config, &members, sigma, 1)?;
    let objective = objective::Reconstruction { config, masked: &masked };
    crate::trainer::estimate(config, network, session, (&objective, masked.len()), length.steps, sink)
}

/// The norm of each loss's gradient on the epoch's first batch, as far as it fits through the network at once, in a sample of
/// epochs. It is taken on a copy of the network, whose running statistics are its own, so that looking does not change the
/// training.
fn sampled_norms(
    config: &Config,
    network: &UNetConfig,
    slices: &Slices,
    trainer: &Trainer<'_>,
    moment: Moment,
) -> Result<Option<crate::event::Parts>> {
    let Moment { epoch, epochs, sigma, .. } = moment;
    if !(epoch - 1).is_multiple_of((epochs / 5).max(1)) {
        return Ok(None);
    }
    let device = trainer.stepper.device();
    let weights = crate::model::record::to_bytes(trainer.network())?;
    let copy = crate::model::record::from_bytes(network.init(0, device), &weights)?;
    let order = shuffled(slices.len(), config.seed, epoch);
    let most = trainer.stepper.at_once(config.training.batch);
    let members: Vec<usize> = order.into_iter().take(most).collect();
    let masked = slices.masked(config, &members, sigma, epoch)?;
    let batch = masked.on(0..masked.len(), device);
    let norm = |pick: fn(&Tracked) -> Option<&burn::tensor::Tensor<1>>| {
        let losses = tracked(forward(&copy, &batch, config), &batch, &config.method);
        pick(&losses).map_or(0.0, |loss| crate::trainer::gradient_norm(&copy, loss))
    };
    let consistent = config.method.consistency == Consistency::Logit && batch.flipped > 0;
    Ok(Some(crate::event::Parts {
        pred: norm(|l| Some(&l.pred)),
        rrl: if losses_have_gradient(config) { norm(|l| l.rrl.as_ref()) } else { 0.0 },
        lcl: if consistent { norm(|l| l.lcl.as_ref()) } else { 0.0 },
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
