//! Measures the time and memory of a training step and of inference on a device.
//!
//! The step is that of a pre-training preset on synthetic slices: batch, losses, backward pass, optimiser and the method's
//! own update. Whole steps are timed without synchronising between phases. For AMLP and its ablations, separate steps are
//! timed phase by phase, with a synchronisation after each.

use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use serde::Serialize;

use crate::config::{Config, Pretext, preset};
use crate::device::{Compute, DeviceList, open_all};
use crate::disk::machine;
use crate::model::{Norm, Precision, UNetConfig};
use crate::pretrain::amlp::{SyntheticSlices, forward, losses};
use crate::pretrain::{TIMED_SIGMA, head, stepper};
use crate::trainer::{GradientEngine, MicroBatch, Objective, StepOutput, check_device, optimizer};
use crate::{Error, ErrorKind, Result};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Preset of pre-training.
    pub preset: String,
    /// Devices that share each batch, or the only one.
    pub device: DeviceList,
    /// Channels of the network's first level.
    pub width: usize,
    /// Poolings of the network.
    pub depth: usize,
    /// Normalisation.
    pub norm: Norm,
    /// Side of a slice in pixels.
    pub size: usize,
    /// Slices per training step and per inference batch.
    pub batch: usize,
    /// Slices per forward pass in training; 0 for the whole batch.
    pub micro_batch: usize,
    /// Precision of the convolutions.
    pub dtype: Precision,
    /// Timed runs, after two warm-up runs.
    pub runs: usize,
}

/// Median milliseconds of the phases of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Phases {
    /// Drawing masks and moving the batch to the device.
    pub data_ms: f64,
    /// Forward pass.
    pub forward_ms: f64,
    /// Computing the losses and reading them back.
    pub losses_ms: f64,
    /// Backward pass.
    pub backward_ms: f64,
    /// `AdamW`.
    pub optimiser_ms: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Preset of pre-training.
    pub preset: String,
    /// The requested device.
    pub device: String,
    /// Name of the hardware.
    pub device_name: String,
    /// The processor's name, if the system reports it.
    pub machine: Option<String>,
    /// CPU threads.
    pub threads: usize,
    /// This program's version.
    pub version: String,
    /// Channels of the first level.
    pub width: usize,
    /// Poolings.
    pub depth: usize,
    /// Side of a slice.
    pub size: usize,
    /// Slices of a step.
    pub batch: usize,
    /// Slices per forward pass in training; fewer than the batch if memory was short.
    pub at_once: usize,
    /// Precision of the convolutions.
    pub dtype: Precision,
    /// Number of trained weights.
    pub parameters: usize,
    /// Timed runs.
    pub runs: usize,
    /// Fastest training step in ms.
    pub train_ms_min: f64,
    /// Median training step in ms.
    pub train_ms_median: f64,
    /// Fastest inference of a batch in ms.
    pub infer_ms_min: f64,
    /// Median inference of a batch in ms.
    pub infer_ms_median: f64,
    /// Training slices per second, from the median.
    pub train_img_s: f64,
    /// Inference slices per second, from the median.
    pub infer_img_s: f64,
    /// Phases of a step, for AMLP and its ablations.
    pub phases: Option<Phases>,
    /// On the CPU, the largest resident set of the process during the measurement. On other devices, the memory reserved by the
    /// allocator. `None` if unknown.
    pub peak_memory_mib: Option<u64>,
}

/// Seconds of the timed runs, sorted.
struct Times(Vec<f64>);

impl Times {
    /// Times `work`, after two warm-up runs.
    fn of(runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<Self> {
        let mut seconds = Vec::with_capacity(runs);
        for run in 0..runs + 2 {
            let start = Instant::now();
            work()?;
            if run >= 2 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
        seconds.sort_by(f64::total_cmp);
        Ok(Self(seconds))
    }

    fn min_ms(&self) -> f64 {
        self.0.first().map_or(f64::NAN, |s| 1e3 * s)
    }

    fn median_ms(&self) -> f64 {
        self.0.get(self.0.len() / 2).map_or(f64::NAN, |s| 1e3 * s)
    }
}

/// Measures a training step and inference.
///
/// # Errors
/// A precision that the device does not have; a batch that its memory cannot hold.
pub fn bench(options: &Options) -> Result<Report> {
    let config = config(options)?;
    let compute = open_all(&options.device)?;
    check_device(&config, &config.network, head(&config), &compute)?;
    // Exclude earlier reading and compiling from the measurement.
    machine::reset_peak();
    let train = train(options, &config, &compute)?;
    let at_once = GradientEngine::new(&compute, options.micro_batch).at_once(options.batch);
    let infer = infer(options, &config, &compute)?;
    let peak_memory_mib = if compute.is_cpu() { machine::peak_mib() } else { compute.reserved_mib() };
    let is_amlp = config.method.pretext == Pretext::Amlp;
    let phases = if is_amlp { Some(phases(options, &config, &compute)?) } else { None };
    let per_second = |times: &Times| 1e3 * options.batch as f64 / times.median_ms();
    Ok(Report {
        preset: options.preset.clone(),
        device: options.device.to_string(),
        device_name: compute.name.clone(),
        machine: machine::processor(),
        threads: rayon::current_num_threads(),
        version: env!("CARGO_PKG_VERSION").into(),
        width: options.width,
        depth: options.depth,
        size: options.size,
        batch: options.batch,
        at_once,
        dtype: options.dtype,
        parameters: config.network.parameters() + head(&config).weights,
        runs: options.runs,
        train_ms_min: train.min_ms(),
        train_ms_median: train.median_ms(),
        infer_ms_min: infer.min_ms(),
        infer_ms_median: infer.median_ms(),
        train_img_s: per_second(&train),
        infer_img_s: per_second(&infer),
        phases,
        peak_memory_mib,
    })
}

/// Pre-training settings with this network and batch.
fn config(options: &Options) -> Result<Config> {
    let network =
        UNetConfig { width: options.width, depth: options.depth, norm: options.norm, ..UNetConfig::default() };
    let fresh = preset(&options.preset, &["synthetic".into()])?;
    let mut config = Config { device: options.device.clone(), network, ..fresh };
    config.preprocess.size = options.size;
    config.training.batch = options.batch;
    config.training.micro_batch = options.micro_batch;
    // A benchmark may use f16, which validation refuses for runs. The device still checks it.
    config.training.precision = Precision::F32;
    if config.method.pretext == Pretext::Amlp {
        let divides = |grid: &usize| options.size.is_multiple_of(*grid);
        config.method.grid = [16, 12, 10, 8, 4, 2].into_iter().find(divides).unwrap_or(1);
    }
    config.validate()?;
    if options.runs == 0 {
        return Err(Error::config("runs", options.runs, "must be at least 1"));
    }
    config.training.precision = options.dtype;
    Ok(config)
}

fn wait(compute: &Compute) -> Result<()> {
    let waited = compute.all().try_for_each(burn::tensor::Device::sync);
    waited.map_err(|e| ErrorKind::Compute { step: "waiting for the device".into(), why: e.to_string() }.into())
}

/// Full training steps, as in the training loop.
fn train(options: &Options, config: &Config, compute: &Compute) -> Result<Times> {
    let mut step = stepper(config, compute)?;
    let mut taken = 0;
    Times::of(options.runs, || {
        step(taken)?;
        taken += 1;
        wait(compute)
    })
}

/// Forward passes of a batch without autodiff, including reading the output.
fn infer(options: &Options, config: &Config, compute: &Compute) -> Result<Times> {
    let net = config.network.init(0, &compute.device);
    let batch = Tensor::<4>::ones([options.batch, 1, options.size, options.size], &compute.device);
    Times::of(options.runs, || {
        let output = net.forward_in(batch.clone(), options.dtype).try_into_data();
        output.map(drop).map_err(|e| ErrorKind::Compute { step: "inference".into(), why: e.to_string() }.into())
    })
}

/// Phases of a step on the first device, with a synchronisation after each. The step has one micro-batch.
fn phases(options: &Options, config: &Config, compute: &Compute) -> Result<Phases> {
    let trial = SyntheticSlices::new(config, options.batch)?;
    let device = compute.training();
    let mut network = trial.objective().build(0, &device);
    let mut optimiser: ModuleOptimizer = optimizer(&config.training);
    let at_once = if options.micro_batch == 0 { options.batch } else { options.micro_batch.min(options.batch) };
    let mut seconds: [Vec<f64>; 5] = Default::default();
    for run in 0..options.runs + 2 {
        let mut clock = Instant::now();
        let mut lap = |phase: usize| -> Result<()> {
            wait(compute)?;
            if run >= 2 {
                seconds[phase].push(clock.elapsed().as_secs_f64());
            }
            clock = Instant::now();
            Ok(())
        };
        let masked = trial.masked(TIMED_SIGMA, run as u64);
        let batch = masked.on(0..at_once, &device);
        lap(0)?;
        let output = forward(&network, &batch, config);
        lap(1)?;
        let micro = MicroBatch { range: 0..at_once, of: options.batch, device: &device, statistics: &[] };
        let loss = losses(output, &batch, &config.method).micro(&micro, &config.method);
        let objective = loss.objective.clone();
        StepOutput::of(loss, &micro)?;
        lap(2)?;
        let gradients = GradientsParams::from_grads(objective.backward(), &network);
        lap(3)?;
        network = optimiser.step(config.training.lr, network, gradients);
        lap(4)?;
    }
    let [data_ms, forward_ms, losses_ms, backward_ms, optimiser_ms] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        Times(seconds).median_ms()
    });
    Ok(Phases { data_ms, forward_ms, losses_ms, backward_ms, optimiser_ms })
}
