//! Fine-tuning as a method of the training loop.

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::{DiceCrossEntropy, LabelledData, Samples};
use crate::Result;
use crate::config::Config;
use crate::device::Compute;
use crate::event::{EpochSummary, Event, Stage};
use crate::metrics::Counts;
use crate::model::record::Transfer;
use crate::model::{UNet, UNetConfig, read_values, record};
use crate::predict::{Choice, Segmenter, network_config};
use crate::preprocess::SliceData;
use crate::pretrain::Slices;
use crate::probe::{PictureKind, Pin, PinnedPictures};
use crate::run::RunFolder;
use crate::run::checkpoint;
use crate::trainer::{Dataset, EpochEnd, Method, Position, ResumePoint, Session, StepOutput, WEIGHTS};

/// A fine-tuning run.
pub(super) struct FinetuneMethod<'a> {
    config: &'a Config,
    objective: DiceCrossEntropy<'a>,
    data: &'a LabelledData,
    session: &'a Session<'a>,
    probes: PinnedPictures<'a>,
}

impl<'a> FinetuneMethod<'a> {
    pub fn new(config: &'a Config, data: &'a LabelledData, session: &'a Session<'a>) -> Self {
        let probes = PinnedPictures::new(config, session.cohort, session.run, session.pins, Stage::Finetune);
        Self { config, objective: DiceCrossEntropy(config), data, session, probes }
    }

    /// Mean Dice of whole volumes over the validation patients and regions, on the prepared grid; `None` in epochs without a
    /// validation.
    fn validate(&self, net: &UNet, position: Position) -> Result<Option<f64>> {
        if !position.is_due(self.config.labels.validate_every) || self.data.validation.is_empty() {
            return Ok(None);
        }
        let Session { compute, control, .. } = *self.session;
        let segmenter = Segmenter::of_network(self.config, net, compute).at_most(self.config.training.micro_batch);
        let mut scores = Vec::new();
        for (_, prepared) in &self.data.validation {
            let probability = segmenter.probability(prepared, &mut |_, _| {}, control)?;
            let Some(target) = &prepared.target else { continue };
            for (region, p) in probability.iter().enumerate() {
                let counts: Counts =
                    p.iter().zip(target).map(|(p, bits)| (*p >= 0.5, bits >> region & 1 == 1)).collect();
                scores.push(counts.dsc());
            }
        }
        Ok(Some(scores.iter().sum::<f64>() / scores.len().max(1) as f64))
    }
}

/// The network that fine-tuning starts with: random weights; from a pre-training run in `labels.from`, also the weights that
/// its method transfers; from a fine-tuning run, its whole network.
///
/// # Errors
/// A run that cannot be read, or whose network has another shape.
pub fn initial_network(config: &Config, compute: &Compute) -> Result<UNet> {
    initial(config, config.seed, &compute.training())
}

fn initial(config: &Config, seed: u64, device: &Device) -> Result<UNet> {
    let fresh = network_config(config).init(seed, device);
    if config.labels.from.as_os_str().is_empty() {
        return Ok(fresh);
    }
    let run = RunFolder::open(&config.labels.from)?;
    let source = Config::from_toml(&run.config_text()?, &run.config_path())?;
    let finetuned = source.stage == Stage::Finetune;
    let choice = if finetuned && config.labels.from_best { Choice::Best } else { Choice::Last };
    let weights = checkpoint::load_part(&run, choice.slots(), WEIGHTS)?;
    let what = match source.stage {
        _ if config.labels.encoder_only => Transfer::Encoder,
        Stage::Pretrain => crate::pretrain::transfer(&source),
        Stage::Finetune => Transfer::Whole,
    };
    let extra_inputs = usize::from(!finetuned && source.method.mask.channel);
    record::transfer(fresh, &weights.content, what, extra_inputs)
}

/// Re-estimates the running statistics of batch norm on `labels.norm_batches` batches of unmasked slices.
fn estimate_norms(net: &UNet, config: &Config, slices: &Slices, device: &Device) -> Result<()> {
    let (batch, size) = (config.training.batch.min(slices.len()), config.preprocess.size);
    let orders = (1..).flat_map(|round| slices.order(round));
    let chosen: Vec<usize> = orders.take(batch * config.labels.norm_batches).collect();
    // A forward pass in training mode updates the running statistics.
    for members in chosen.chunks(batch) {
        let mut values = Vec::new();
        for &slice in members {
            values.extend(slices.pixels(slice)?);
        }
        let shape = [members.len(), slices.channels(), size, size];
        net.forward_in(Tensor::from_data(TensorData::new(values, shape), device), config.training.precision);
    }
    Ok(())
}

impl<'a> Method for FinetuneMethod<'a> {
    type Objective = DiceCrossEntropy<'a>;
    const STAGE: Stage = Stage::Finetune;
    const TRANSFER: Transfer = Transfer::EncoderDecoder;

    fn objective(&self) -> &DiceCrossEntropy<'a> {
        &self.objective
    }

    fn network(&self) -> UNetConfig {
        network_config(self.config)
    }

    fn initial(&self, seed: u64, device: &Device) -> Result<UNet> {
        let net = initial(self.config, seed, device)?;
        if let Some(slices) = &self.data.unmasked {
            estimate_norms(&net, self.config, slices, device)?;
        }
        Ok(net)
    }

    fn dataset(&self) -> &dyn Dataset {
        self.data
    }

    fn collate(&self, slices: &[usize], position: Position) -> Result<Samples> {
        self.data.samples(self.config, slices, position)
    }

    fn after_step(&mut self, _: &mut UNet, _: &Samples, _: &StepOutput, _: Position) -> Result<Vec<Event>> {
        self.probes.admit_new(&|pin| self.data.find(pin));
        Ok(self.probes.events())
    }

    /// Draws the probability of the first region of each pinned slice, and validates.
    fn end_epoch(&mut self, net: &UNet, position: Position) -> Result<EpochEnd> {
        self.probes.admit_new(&|pin| self.data.find(pin));
        let (valid, size, device) = (net.valid(), self.config.preprocess.size, &self.session.compute.device);
        let probability = |_: &Pin, data: &SliceData| {
            let shape = [1, data.pixels.len() / (size * size), size, size];
            let input = Tensor::<4>::from_data(TensorData::new(data.pixels.clone(), shape), device);
            let output = valid.forward(input).slice([0..1, 0..1, 0..size, 0..size]);
            Ok((read_values(sigmoid(output), "reading a probability")?, PictureKind::Output, Vec::new()))
        };
        self.probes.record(position.epoch, Some([0.0, 1.0]), probability)?;
        Ok(EpochEnd { events: self.probes.events(), validation_dice: self.validate(net, position)? })
    }

    fn diagnostics(&mut self, _: &UNet, _: Position, summary: &mut EpochSummary) -> Result<()> {
        summary.training_dice = summary.parts.as_ref().and_then(|parts| parts.get("dice")).map(|loss| 1.0 - loss);
        Ok(())
    }

    fn restore(&mut self, resumed: &mut ResumePoint) -> Result<()> {
        self.probes.start(resumed.epoch, &|pin| self.data.find(pin))
    }
}
