//! The training loop of both stages.
//!
//! | file | contents |
//! |---|---|
//! | `method.rs` | the traits of a method: network, loss, data, state |
//! | `session.rs` | a run in progress: network, optimiser, checkpoints, log, control |
//! | `state.rs` | its state in a checkpoint; starting and resuming |
//! | `gradients.rs` | the gradient of a batch, in micro-batches and on several devices |
//! | `adamw.rs`, `clip.rs` | the optimiser; gradient norm and clipping |
//! | `output.rs` | the losses of a step as numbers |
//! | `length.rs`, `meter.rs` | epochs and learning rate; running means of an epoch |
//! | `cost.rs`, `memory.rs` | time and memory of a step |

mod adamw;
mod clip;
mod cost;
mod gradients;
mod length;
mod memory;
mod meter;
mod method;
mod output;
mod session;
mod state;

use std::time::Instant;

use burn::module::Module;

use crate::Result;
use crate::config::Config;
use crate::event::{EpochSummary, Event, EventSink};
use crate::run::History;

pub use clip::gradient_norm;
pub use cost::measure_step;
pub use gradients::GradientEngine;
pub use length::Length;
pub use memory::{Head, check_device, memory_mib};
use meter::EpochMeter;
pub use method::{Batch, Dataset, EpochEnd, Method, MicroBatch, Net, Objective, Parts, Position, ResumePoint};
pub use output::{MicroLoss, StepOutput};
use session::Trainer;
pub use session::{Session, optimizer};
pub use state::WEIGHTS;

/// A finished run.
pub struct TrainOutput {
    /// Weights of the network.
    pub parameters: usize,
    /// Its epochs and steps.
    pub length: Length,
    /// The last epoch.
    pub last: EpochSummary,
    /// Best Dice of a validation, if there was one.
    pub best_dice: Option<f64>,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
}

/// Trains from random or initial weights, or from the run's newest checkpoint if it has one. Writes checkpoints, log and pinned
/// slices to the run folder. A dry run stops after the estimate and returns `None`.
///
/// # Errors
/// [`crate::ErrorKind::Cancelled`] after a checkpoint; a loss that is not finite, with the slices of its batch; too little
/// memory; a checkpoint of other data; files that cannot be read or written.
pub fn train<M: Method>(
    method: &mut M,
    config: &Config,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<TrainOutput>> {
    let (started, training) = (Instant::now(), &config.training);
    let slices_per_epoch = method.dataset().order(1).len();
    let length = Length::new(training, slices_per_epoch);
    check_device(config, &method.network(), method.head(), session.compute)?;
    cost::estimate(method, config, &length, session, sink)?;
    if session.dry {
        return Ok(None);
    }
    let mut trainer = Trainer::start(method, config, session, sink)?;
    trainer.emit_started(&length, slices_per_epoch)?;
    // A run resumed after its last epoch takes no step, so there is nothing to summarise.
    let mut last = History::read(session.run.root())?.summaries.pop().unwrap_or_default();
    for epoch in trainer.epochs_done() + 1..=length.epochs {
        let order = method.dataset().order(epoch);
        let batches: Vec<&[usize]> = order.chunks(training.batch).take(length.steps_of(epoch)).collect();
        let mut collated = None;
        for (step, slices) in batches.iter().enumerate().skip(trainer.steps_done()) {
            let position = Position { epoch, epochs: length.epochs, step };
            let batch = collated.take().unwrap_or_else(|| method.collate(slices, position))?;
            let rate = method.rate(training, &length, position);
            // The next batch is collated in parallel with the step.
            let ahead = || Some(method.collate(batches.get(step + 1)?, Position { step: step + 1, ..position }));
            let (output, next) = join_ahead(|| trainer.step(&*method, &batch, slices, position, rate), ahead);
            let output = output?;
            collated = next.flatten();
            let events = method.after_step(&mut trainer.net, &batch, &output, position)?;
            trainer.record_step(&output, slices.len(), position, rate, &events)?;
            trainer.handle_signal(method, position)?;
        }
        let position = Position { epoch, epochs: length.epochs, step: batches.len() };
        let end = trainer.guard("the end of an epoch", |net| method.end_epoch(net, position))?;
        trainer.record_end(epoch, &end)?;
        let last_step = Position { step: batches.len().saturating_sub(1), ..position };
        last = trainer.meter.summary(epoch, method.rate(training, &length, last_step));
        trainer.guard("the diagnostics of an epoch", |net| method.diagnostics(net, position, &mut last))?;
        trainer.emit(&Event::Epoch(Box::new(last.clone())))?;
        trainer.warn_once(&last.warnings)?;
        trainer.finish_epoch(method, epoch, position.is_due(training.checkpoint_every))?;
    }
    trainer.emit(&Event::Finished { stage: M::STAGE, epochs: length.epochs })?;
    let (parameters, best_dice) = (trainer.net.num_params(), trainer.best_dice());
    Ok(Some(TrainOutput { parameters, length, last, best_dice, seconds: started.elapsed().as_secs_f64() }))
}

/// Runs `now` on this thread and `ahead` on another thread of the pool, if one is free. The results do not depend on it.
fn join_ahead<R, T: Send>(now: impl FnOnce() -> R, ahead: impl FnOnce() -> T + Send) -> (R, Option<T>) {
    let mut next = None;
    let result = rayon::in_place_scope(|scope| {
        scope.spawn(|_| next = Some(ahead()));
        now()
    });
    (result, next)
}
