//! Time and memory of a step, measured before training starts.

use std::time::Instant;

use super::{GradientEngine, Length, Method, Objective, Position, Session, memory_mib, optimizer};
use crate::Result;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, Event, EventSink};

/// Minimum number of slices in a measured step on the CPU, at least one per thread to keep all of them busy. A step with the
/// paper's batch and width would take a minute.
const SLICES: usize = 4;

/// Seconds of a step on a batch of `size` slices: the second of two steps of a separate network. On the CPU, where time is
/// proportional to the number of slices, it is extrapolated from a few slices. `control` may pause or cancel before either step;
/// pauses are not measured.
///
/// # Errors
/// Device errors; cancellation.
pub fn measure_step<O: Objective>(
    objective: &O,
    batch: &O::Batch,
    size: usize,
    config: &Config,
    compute: &Compute,
    control: &Control,
) -> Result<f64> {
    let engine = GradientEngine::new(compute, config.training.micro_batch);
    let mut optimizer = optimizer(&config.training);
    let mut net = objective.build(0, engine.device());
    let slices = if compute.is_cpu() { size.min(SLICES.max(rayon::current_num_threads())) } else { size };
    let mut seconds = 0.0;
    for _ in 0..2 {
        control.pass()?;
        let start = Instant::now();
        let (gradients, _) = engine.gradients(objective, &net, batch, slices)?;
        net = optimizer.step(config.training.lr, net, gradients);
        engine.sync()?;
        seconds = start.elapsed().as_secs_f64() * size as f64 / slices.max(1) as f64;
    }
    Ok(seconds)
}

/// Measures a step on the first batch and emits the estimate for the whole run.
pub(super) fn estimate<M: Method>(
    method: &M,
    config: &Config,
    length: &Length,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<()> {
    let slices: Vec<usize> = method.dataset().order(1).into_iter().take(config.training.batch).collect();
    let batch = method.collate(&slices, Position { epoch: 1, epochs: length.epochs, step: 0 })?;
    let seconds = measure_step(method.objective(), &batch, slices.len(), config, session.compute, session.control)?;
    sink.event(&Event::Estimate {
        steps: length.steps,
        seconds_per_step: seconds,
        seconds: seconds * length.steps as f64,
        memory_mib: memory_mib(config, &method.network(), method.head(), session.compute),
    })
}
