//! Supervised fine-tuning with a few labelled patients (section 4.5), from a pre-trained network or random weights.

mod epoch;
mod objective;
mod probes;
mod synthetic;

use std::path::Path;
use std::time::Instant;

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::augment::Augmentation;
use crate::cohort::Case;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{Control, EpochSummary, Event, EventSink, Stage};
use crate::model::{UNet, UNetConfig, record};
use crate::predict::Segmenter;
use crate::preprocess::{PreparedCase, SliceStore, prepare_case};
use crate::run::checkpoint::Slot;
use crate::run::{RunFolder, checkpoint};
use crate::seed::stream;
use crate::trainer::{Length, Resumed, Session, Trainer, WEIGHTS, check_device, digest};
use crate::{Error, ErrorKind, Result};
use epoch::Epoch;
pub use objective::Samples;
use probes::Probes;
pub(crate) use synthetic::synthetic_step;

const TALLY: &str = "tally.json";

/// What a finished fine-tuning reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinetuneReport {
    /// Always `finetune`.
    pub stage: Stage,
    /// True if it started from a pre-trained network.
    pub pretrained: bool,
    /// Device that computed.
    pub device: String,
    /// The patients whose labels were trained on.
    pub labelled: Vec<String>,
    /// The patients whose labels chose the best network: they count in the label budget.
    pub validated: Vec<String>,
    /// Slices with lesion.
    pub lesion_slices: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Steps trained.
    pub steps: usize,
    /// Mean loss of the last epoch.
    pub loss: f64,
    /// Best validation Dice, if it was looked at.
    pub best_dice: Option<f64>,
    /// Seconds that this process spent in the loop.
    pub seconds: f64,
}

/// The labelled slices, and the patients to validate on.
pub struct Labelled {
    store: SliceStore,
    lesion: Vec<usize>,
    negative: Vec<usize>,
    validation: Vec<(String, PreparedCase)>,
}

impl Labelled {
    /// Prepares the labelled `cases` and, to be looked at during training, those of `validation`.
    pub fn load(
        config: &Config,
        cases: &[Case],
        validation: &[Case],
        spill_folder: &Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let options = config.store_options(true, spill_folder);
        let store = SliceStore::build(cases, &options, Some(control), progress)?;
        let (lesion, negative): (Vec<usize>, Vec<usize>) =
            (0..store.len()).partition(|&i| store.meta(i).lesion_pixels > 0);
        if lesion.is_empty() {
            let names: Vec<&str> = cases.iter().map(|c| c.id.as_str()).collect();
            return Err(Error::config(
                "labels",
                names.join(", "),
                "none of these patients has lesion in its training crop",
            ));
        }
        let prepare = |case: &Case| {
            control.pass()?;
            let d = &config.data;
            let prepared = prepare_case(case, &d.modality, true, &d.targets, &config.preprocess, config.seed)?;
            Ok((case.id.clone(), prepared))
        };
        let validation = validation.iter().map(prepare).collect::<Result<_>>()?;
        Ok(Self { store, lesion, negative, validation })
    }

    /// Number of slices with lesion.
    pub fn lesion_slices(&self) -> usize {
        self.lesion.len()
    }

    /// Slices of an epoch: all with lesion, and the configured share without.
    fn epoch_slices(&self, config: &Config) -> usize {
        let share = config.labels.negative_slices;
        let wanted = (self.lesion.len() as f64 * share / (1.0 - share)).round() as usize;
        self.lesion.len() + wanted.min(self.negative.len())
    }

    /// The slices of an epoch in their order.
    fn order(&self, config: &Config, epoch: usize) -> Vec<usize> {
        let mut draw = stream(config.seed, "finetune-order", &[epoch as u64]);
        let mut negative = self.negative.clone();
        negative.shuffle(&mut draw);
        negative.truncate(self.epoch_slices(config) - self.lesion.len());
        let mut order = [self.lesion.as_slice(), &negative].concat();
        order.shuffle(&mut draw);
        order
    }

    /// Augmented slices and targets of some slices, on the host; `place` makes the draw theirs.
    fn samples(&self, config: &Config, members: &[usize], place: [u64; 2]) -> Result<Samples> {
        let size = config.preprocess.size;
        let made = members
            .par_iter()
            .enumerate()
            .map(|(at, &i)| {
                let mut draw = stream(config.seed, "finetune-augment", &[place[0], place[1], at as u64]);
                let most = config.training.shift_px as i32;
                let shift = [0; 2].map(|_| if most > 0 { draw.random_range(-most..=most) } else { 0 });
                let window = self.store.window(i, shift)?;
                let target = window.target.unwrap_or_else(|| vec![0; size * size]);
                let case = &self.store.cases()[self.store.meta(i).case as usize];
                let fill: Vec<f32> = case.plan.channels.iter().map(|c| c.fill).collect();
                Ok(Augmentation::draw(&config.labels, &mut draw).apply(&window.pixels, &target, &fill, size))
            })
            .collect::<Result<_>>()?;
        let (channels, regions) = (self.store.channels(), config.data.targets.count());
        Ok(Samples { made, channels, regions, size, precision: config.training.precision })
    }
}

/// The network that fine-tuning starts with: random weights, or the pre-trained encoder and decoder under a new head.
pub fn initial_network(config: &Config, compute: &Compute) -> Result<UNet> {
    let device = compute.training();
    let fresh = network_config(config).init(config.seed, &device);
    if config.labels.from.as_os_str().is_empty() {
        return Ok(fresh);
    }
    let run = RunFolder::open(&config.labels.from)?;
    let theirs = Config::from_toml(&run.config_text()?, &run.config_path())?;
    let part = checkpoint::load_part(&run, &[Slot::Last, Slot::Previous], WEIGHTS)?;
    let shape = crate::pretrain::network_config(&theirs);
    let pretrained = record::from_bytes(shape.init(0, &device), &part.content)?;
    Ok(pretrained.with_head_of(fresh))
}

/// The network of fine-tuning: one output a region.
pub fn network_config(config: &Config) -> UNetConfig {
    UNetConfig {
        in_channels: config.data.modality.len(),
        out_channels: config.data.targets.count(),
        learned_fill: false,
        ..config.network.clone()
    }
}

/// Fine-tunes on `data`, from the run's newest checkpoint if it has one, and leaves the network and what was recorded of
/// the pinned slices in the run folder. A dry run stops after the estimate and returns nothing.
pub fn finetune(
    config: &Config,
    data: &Labelled,
    session: &Session<'_>,
    sink: &mut dyn EventSink,
) -> Result<Option<FinetuneReport>> {
    let compute = session.compute;
    let started = Instant::now();
    let length = Length::new(&config.training, data.epoch_slices(config));
    check_device(config, &network_config(config), compute)?;
    let micro = estimate(config, data, session, &length, sink)?;
    if session.dry {
        return Ok(None);
    }
    let initial = initial_network(config, compute)?;
    let parameters = burn::module::Module::num_params(&initial);
    let (mut trainer, mut resumed) = Trainer::start(config, initial, micro, &digest(&data.store), session, sink)?;
    let mut tally: (f64, usize) = restore(&mut resumed)?;
    let mut probes = Probes::start(session, config, data, &resumed)?;
    let Resumed { epoch: first_epoch, mut step, .. } = resumed;
    trainer.emit_started(&Event::Started {
        stage: Stage::Finetune,
        epochs: length.epochs,
        steps_per_epoch: length.steps_per_epoch,
        slices: data.epoch_slices(config),
        parameters,
        device: compute.name.clone(),
        first_epoch,
    })?;
    let (mut loss_of_epoch, mut best_dice) = (f64::NAN, None::<f64>);
    for epoch in first_epoch..=length.epochs {
        let order = data.order(config, epoch);
        let batches = order.chunks(config.training.batch).take(length.steps_of(epoch)).collect();
        let (tally_of, probes_of) = (&mut tally, &mut probes);
        let mut steps =
            Epoch { config, data, length: &length, number: epoch, batches, tally: tally_of, probes: probes_of };
        trainer.train(epoch, step, &mut steps)?;
        step = 0;
        let told = probes.look(data);
        trainer.emit_probes(&told)?;
        let views = trainer.look(|trainer| probes.views(trainer.network(), epoch))?;
        trainer.emit_probes(&probes.close(&views))?;
        let every = config.labels.validate_every;
        if every > 0 && !data.validation.is_empty() && (epoch.is_multiple_of(every) || epoch == length.epochs) {
            let dice = trainer.look(|trainer| validate(config, data, trainer, session))?;
            let best = trainer.save_best(epoch, dice)?;
            best_dice = Some(best_dice.map_or(dice, |b: f64| b.max(dice)));
            trainer.emit(&Event::Validation { epoch, dice, best })?;
        }
        loss_of_epoch = tally.0 / tally.1.max(1) as f64;
        let learning_rate = length.last_rate(&config.training, epoch);
        let summary = EpochSummary { epoch, loss: loss_of_epoch, learning_rate, ..EpochSummary::default() };
        trainer.emit(&Event::Epoch(Box::new(summary)))?;
        tally = (0.0, 0);
        if epoch.is_multiple_of(config.training.checkpoint_every) || epoch == length.epochs {
            trainer.save_epoch(epoch, &[tally_part(tally)?])?;
        }
    }
    trainer.emit(&Event::Finished { stage: Stage::Finetune, epochs: length.epochs })?;
    Ok(Some(FinetuneReport {
        stage: Stage::Finetune,
        pretrained: !config.labels.from.as_os_str().is_empty(),
        device: compute.name.clone(),
        labelled: data.store.cases().iter().map(|c| c.id.clone()).collect(),
        validated: data.validation.iter().map(|(id, _)| id.clone()).collect(),
        lesion_slices: data.lesion.len(),
        epochs: length.epochs,
        steps: length.steps,
        loss: loss_of_epoch,
        best_dice: trainer.best().or(best_dice),
        seconds: started.elapsed().as_secs_f64(),
    }))
}

fn name(data: &Labelled, i: usize) -> String {
    let meta = data.store.meta(i);
    format!("{}:{}", data.store.cases()[meta.case as usize].id, meta.k)
}

/// Sum of the losses and number of slices of the epoch under way, for a checkpoint.
fn tally_part(tally: (f64, usize)) -> Result<(String, Vec<u8>)> {
    let failed = |e: serde_json::Error| ErrorKind::Compute { step: format!("writing {TALLY}"), why: e.to_string() };
    Ok((TALLY.into(), serde_json::to_vec(&tally).map_err(failed)?))
}

fn restore(resumed: &mut Resumed) -> Result<(f64, usize)> {
    if resumed.parts.parts.is_empty() {
        return Ok((0.0, 0));
    }
    let failed = |e: serde_json::Error| ErrorKind::Compute { step: format!("reading {TALLY}"), why: e.to_string() };
    Ok(serde_json::from_slice(&resumed.parts.take(TALLY)?).map_err(failed)?)
}

/// Mean Dice of whole volumes over the validation patients and regions, on the prepared grid.
fn validate(config: &Config, data: &Labelled, trainer: &Trainer<'_>, session: &Session<'_>) -> Result<f64> {
    let segmenter = Segmenter::of_network(config, trainer.network(), session.compute).at_most(trainer.stepper.micro());
    let mut scores = Vec::new();
    for (_, prepared) in &data.validation {
        let probability = segmenter.probability(prepared, &mut |_, _| {}, session.control)?;
        let Some(target) = &prepared.target else { continue };
        for (region, p) in probability.iter().enumerate() {
            let (mut both, mut sum) = (0usize, 0usize);
            for (p, bits) in p.iter().zip(target) {
                let (found, true_) = (*p >= 0.5, bits >> region & 1 == 1);
                both += usize::from(found && true_);
                sum += usize::from(found) + usize::from(true_);
            }
            scores.push((2.0 * both as f64 + 1e-4) / (sum as f64 + 1e-4));
        }
    }
    Ok(scores.iter().sum::<f64>() / scores.len().max(1) as f64)
}

/// Measures a step and tells what the training will take; gives how many slices go through the network at once.
fn estimate(
    config: &Config,
    data: &Labelled,
    session: &Session<'_>,
    length: &Length,
    sink: &mut dyn EventSink,
) -> Result<usize> {
    let members: Vec<usize> = data.order(config, 1).into_iter().take(config.training.batch).collect();
    let samples = data.samples(config, &members, [0, 0])?;
    crate::trainer::estimate(config, &network_config(config), session, (&samples, members.len()), length.steps, sink)
}
