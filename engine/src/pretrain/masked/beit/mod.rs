//! BEiT v2 (Peng et al., 2022): predicts the codes of masked cells, from a tokenizer fitted to a teacher's features.
//!
//! | file | contents |
//! |---|---|
//! | `phases.rs` | teacher, tokenizer and student within one run |
//! | `tokens.rs` | the codes and their use |

mod phases;
mod tokens;

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::teacher::{MEANS, Means, constant, moments_of_masked, warn_of_constant_output};
use super::{MaskedBatch, MaskedSlice, bottleneck_cells, pixel_mask, warn_of_loss};
use crate::config::{Config, Family, Number, Preset, Pretext, TrainingConfig};
use crate::event::EpochSummary;
use crate::loss::{normalised, patch_errors, quantise, reconstruction};
use crate::masking::pattern::{BlockCounts, blocks, random};
use crate::masking::{indicator, masked_count};
use crate::model::record::Transfer;
use crate::model::{Precision, TokenHeads, TokenNet, read_values};
use crate::patch::PatchGrid;
use crate::pretrain::network_config;
use crate::pretrain::task::{Picture, PretextTask, Sample, TaskSetup};
use crate::pretrain::tensors::rows;
use crate::probe::PictureKind;
use crate::run::checkpoint::CheckpointData;
use crate::trainer::{Head, MicroBatch, MicroLoss, Objective, Parts, Position, StepOutput};
use crate::{Error, Result};

use phases::{Phase, Phases};
use tokens::{CODES_PART, Tokens, USES_PART};

/// The preset.
pub(crate) const PRESET: Preset = Preset {
    name: "beit-v2",
    pretext: Pretext::BeitV2,
    family: Family::Masked,
    what: "teacher (mae), tokenizer, then a student that predicts codes of masked cells",
    about: "BEiT v2 predicts, for masked cells, the codes of a tokenizer whose codebook was fitted to a teacher's \
            features. Here 40 % of the steps train the teacher (as mae, instead of CLIP), 20 % its tokenizer of 256 \
            codes with 32 dimensions, and 40 % the student, a new U-Net without a class token that predicts the \
            codes of block-wise masks of 38 % from its bottleneck and last block. The student's encoder and decoder \
            are transferred.",
    citation: "Peng et al., BEiT v2: Masked Image Modeling with Vector-Quantized Visual Tokenizers, 2022",
};

/// Number of codes.
const CODES: Number = Number { name: "codes", default: 256.0, range: [2.0, 8192.0], what: "codes of the tokenizer" };
/// Dimensions of a code.
const DIMENSION: usize = 32;
/// Patches per side of the teacher's masks, and the share that is masked.
const GRID: usize = 16;
const RATIO: f64 = 0.75;
/// A perplexity below this fraction of the codes is a collapse.
const MIN_PERPLEXITY: f64 = 0.05;
const PERPLEXITY: &str = "code_perplexity";

/// The mask of a slice, as the loss needs it.
pub(crate) struct TokenTarget {
    /// Masked cells (student).
    cells: Vec<usize>,
    /// 1 on masked patches (teacher).
    patches: Vec<f32>,
}

/// A batch of one phase.
pub(crate) struct TokenBatch {
    phase: Phase,
    masked: MaskedBatch<TokenTarget>,
    slices: usize,
}

/// A pre-training run with BEiT v2.
pub(crate) struct BeitV2 {
    config: Config,
    patches: PatchGrid,
    cells: PatchGrid,
    phases: Phases,
    device: Device,
    tokens: Tokens,
    means: Means,
}

fn heads(config: &Config) -> TokenHeads {
    TokenHeads { dimension: DIMENSION, codes: CODES.count(config) }
}

/// A detached copy of the network on a micro-batch's device.
fn fixed(net: &TokenNet, device: &Device) -> TokenNet {
    net.valid().fork(&device.clone().inner())
}

impl BeitV2 {
    fn batch(&self, samples: Vec<Sample>, phase: Phase, position: Position) -> TokenBatch {
        let (seed, n, side) = (self.config.seed, self.patches.count(), self.cells.grid());
        let slice = |sample: Sample| {
            let key = sample.stream_key(position);
            let mut target = TokenTarget { cells: Vec::new(), patches: Vec::new() };
            let mask = match phase {
                Phase::Teacher => {
                    target.patches = indicator(n, &random(n, masked_count(n, RATIO), seed, &key));
                    self.patches.spread(&target.patches)
                }
                Phase::Tokenizer => vec![0.0; self.cells.size().pow(2)],
                Phase::Student => {
                    target.cells = blocks(side, BlockCounts::beit(side * side), seed, &key);
                    pixel_mask(&self.cells, &target.cells)
                }
            };
            MaskedSlice { pixels: sample.data.pixels, mask, target }
        };
        let slices: Vec<_> = samples.into_par_iter().map(slice).collect();
        TokenBatch { phase, slices: slices.len(), masked: MaskedBatch::new(&self.config, slices, 0.0) }
    }

    fn precision(&self) -> Precision {
        self.config.training.precision
    }

    /// MAE: zero fill, mean squared error of the masked patches.
    fn teach(&self, net: &TokenNet, batch: &TokenBatch, micro: &MicroBatch<'_>) -> MicroLoss {
        let (masked, range, device) = (&batch.masked, micro.range.clone(), micro.device);
        let (image, mask) = (masked.images(range.clone(), device), masked.masks(range.clone(), device));
        let output = net.reconstruct(image.clone() * (-mask + 1.0), self.precision());
        let patches = rows(masked.slices(range).iter().map(|slice| &slice.target.patches), device);
        let count = masked_count(self.patches.count(), RATIO);
        let value = reconstruction(patch_errors(output.clone(), image, GRID), patches, count);
        let slices = masked.slices(micro.range.clone()).iter().map(|slice| (&*slice.pixels, slice.mask.clone()));
        micro_loss(micro, value, moments_of_masked(slices, device), vec![("mae", None)], None, output)
    }

    /// The cosine distance of the teacher's cells from those decoded from their codes, and the commitment to the codes.
    fn tokenize(&self, net: &TokenNet, batch: &TokenBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (range, device) = (micro.range.clone(), micro.device);
        let inner = device.clone().inner();
        let image = batch.masked.images(range.clone(), &inner);
        let cells = constant(fixed(net, device).teacher_cells(image.clone(), self.precision()), device);
        let vectors = net.to_codes(cells.clone());
        let quantised = quantise(vectors.clone(), &self.tokens.codebook()?.on(device));
        let decoded = net.from_codes(quantised.straight_through);
        let cosine = -(normalised(decoded) * normalised(cells)).sum_dim(1).mean() + 1.0;
        let value = cosine.clone() + quantised.commitment.clone();
        let columns = Tensor::cat(vec![vectors, quantised.index], 1);
        let per_slice = columns.reshape([range.len(), self.cells.count() * (DIMENSION + 1)]);
        let parts = vec![("cosine", Some(cosine)), ("commitment", Some(quantised.commitment))];
        Ok(micro_loss(micro, value, vec![], parts, Some(per_slice), constant(image, device)))
    }

    /// The cross-entropy of the codes of masked cells.
    fn predict_codes(&self, net: &TokenNet, batch: &TokenBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        let (masked, range, device) = (&batch.masked, micro.range.clone(), micro.device);
        let index = self.codes_of(net, masked.images(range.clone(), &device.clone().inner()), device)?;
        let (image, mask) = (masked.images(range.clone(), device), masked.masks(range.clone(), device));
        let cells = net.student_cells(net.mask(image.clone(), mask), self.precision());
        let n = self.cells.count();
        let indices = masked.slices(range.clone()).iter().enumerate();
        let indices: Vec<i64> = indices
            .flat_map(|(row, slice)| slice.target.cells.iter().map(move |cell| (row * n + cell) as i64))
            .collect();
        let count = indices.len();
        let indices = |device: &Device| Tensor::<1, Int>::from_data(TensorData::new(indices.clone(), [count]), device);
        let device_of_codes = index.device();
        let codes = index.select(0, indices(&device_of_codes));
        let logits = net.classify(cells.select(0, indices(device)));
        let predicted = logits.clone().detach().argmax(1).float();
        let target = constant(codes.clone().reshape([count, 1]), device);
        let accuracy = predicted.equal(target.clone()).float().mean();
        let value = -log_softmax(logits, 1).gather(1, target.int()).mean();
        let diagnostics = vec![("code_accuracy", accuracy)];
        // Every slice has as many masked cells. Constant logits reach the entropy of these, not of all cells.
        let per_slice = constant(codes.reshape([range.len(), count / range.len()]), device);
        Ok(micro_loss(micro, value, diagnostics, vec![("ce", None)], Some(per_slice), image))
    }

    /// The code of every cell of slices without masks, `[B G^2]`, on a device without gradients.
    fn codes_of(&self, net: &TokenNet, image: Tensor<4>, device: &Device) -> Result<Tensor<1>> {
        let (net, codes) = (fixed(net, device), self.tokens.codebook()?.on(&image.device()));
        let vectors = net.to_codes(net.teacher_cells(image, self.precision()));
        let [n, _] = vectors.dims();
        Ok(quantise(vectors, &codes).index.reshape([n]))
    }

    /// Compares the student's cross-entropy with the entropy of its codes, which constant logits reach. An epoch that also
    /// trains the tokenizer counts other codes. Like any method, the student has a tenth of the run to fall below it.
    fn warn_of_student(&self, position: Position, perplexity: f64, summary: &mut EpochSummary) {
        let parts = summary.parts.as_ref();
        let part = |name: &str| parts.and_then(|parts| parts.get(name));
        if let (Some(cross_entropy), None, true) = (part("ce"), part("cosine"), perplexity > 1.0) {
            let epoch = position.epoch.saturating_sub(self.phases.epochs_before_student());
            warn_of_loss(Position { epoch, ..position }, cross_entropy, perplexity.ln(), summary);
        }
    }

    /// Initialises the codes from the cells of a batch.
    fn start_codes(&mut self, net: &TokenNet, batch: &TokenBatch) -> Result<()> {
        let (net, precision) = (fixed(net, &self.device), self.precision());
        let at_once = match self.config.training.micro_batch {
            0 => batch.slices,
            at_once => at_once,
        };
        let mut vectors = Vec::new();
        for start in (0..batch.slices).step_by(at_once.max(1)) {
            let image = batch.masked.images(start..(start + at_once).min(batch.slices), &self.device);
            let cells = net.to_codes(net.teacher_cells(image, precision));
            vectors.extend(read_values::<2, f32>(cells, "reading the cells of the teacher")?);
        }
        self.tokens.start(&vectors, DIMENSION, CODES.count(&self.config), self.config.seed);
        Ok(())
    }
}

/// Builds the loss; parts without a tensor are the loss itself.
fn micro_loss(
    micro: &MicroBatch<'_>,
    value: Tensor<1>,
    diagnostics: Vec<(&'static str, Tensor<1>)>,
    parts: Vec<(&'static str, Option<Tensor<1>>)>,
    per_slice: Option<Tensor<2>>,
    output: Tensor<4>,
) -> MicroLoss {
    let parts = parts.into_iter().map(|(name, part)| (name, part.unwrap_or_else(|| value.clone()))).collect();
    MicroLoss { objective: micro.weighted(value.clone()), value, parts, diagnostics, per_slice, output }
}

impl Objective for BeitV2 {
    type Net = TokenNet;
    type Batch = TokenBatch;

    fn build(&self, seed: u64, device: &Device) -> TokenNet {
        TokenNet::init(&network_config(&self.config), heads(&self.config), seed, device)
    }

    fn loss(&self, net: &TokenNet, batch: &TokenBatch, micro: &MicroBatch<'_>) -> Result<MicroLoss> {
        match batch.phase {
            Phase::Teacher => Ok(self.teach(net, batch, micro)),
            Phase::Tokenizer => self.tokenize(net, batch, micro),
            Phase::Student => self.predict_codes(net, batch, micro),
        }
    }
}

impl PretextTask for BeitV2 {
    const TRANSFER: Transfer = Transfer::EncoderDecoder;
    const NUMBERS: &'static [Number] = &[CODES];

    fn errors(config: &Config) -> Vec<Error> {
        let grid = PatchGrid::new(config.preprocess.size, GRID);
        let why = format!("must be a multiple of {GRID}, the teacher's patches along a side");
        grid.err().map(|_| Error::config("preprocess.size", config.preprocess.size, why)).into_iter().collect()
    }

    fn head(config: &Config) -> Head {
        let (network, heads) = (network_config(config), heads(config));
        let cells = (config.preprocess.size / network.multiple()).pow(2);
        let student = network.bottleneck() + 2 * network.width + heads.codes;
        Head { weights: heads.parameters(&network), activations: cells * (2 * student + heads.dimension) }
    }

    fn mask_grid(config: &Config) -> usize {
        bottleneck_cells(config).map_or(0, |cells| cells.grid())
    }

    fn new(setup: &TaskSetup<'_>) -> Result<Self> {
        let config = setup.config.clone();
        Ok(Self {
            patches: PatchGrid::new(config.preprocess.size, GRID)?,
            cells: bottleneck_cells(&config)?,
            phases: Phases::new(&setup.length),
            device: setup.device.clone(),
            tokens: Tokens::default(),
            means: Means::default(),
            config,
        })
    }

    fn rate(&self, training: &TrainingConfig, position: Position) -> Option<f64> {
        Some(self.phases.rate(training, position))
    }

    fn collate(&self, samples: Vec<Sample>, position: Position) -> Result<TokenBatch> {
        Ok(self.batch(samples, self.phases.of(position), position))
    }

    fn after_step(
        &mut self,
        net: &mut TokenNet,
        batch: &TokenBatch,
        output: &StepOutput,
        position: Position,
    ) -> Result<()> {
        for (name, value) in output.parts.iter().chain(&output.diagnostics) {
            self.means.add(name, *value, batch.slices as f64);
        }
        match batch.phase {
            Phase::Teacher if self.phases.ends_teacher(position) => self.start_codes(net, batch)?,
            Phase::Teacher => {}
            Phase::Tokenizer => self.tokens.learn(&output.per_slice, DIMENSION),
            Phase::Student => self.tokens.count(&output.per_slice),
        }
        Ok(())
    }

    /// An epoch may contain steps of two phases. Each number is the mean over the steps that have it.
    fn diagnose(&mut self, position: Position, summary: &mut EpochSummary) {
        let means = self.means.take();
        for numbers in summary.parts.iter_mut().chain([&mut summary.diagnostics]) {
            *numbers = numbers.iter().filter_map(|(name, _)| Some((name, means.get(name)?))).collect();
        }
        warn_of_constant_output(position, "mae", summary);
        let codes = CODES.count(&self.config);
        if let Some(perplexity) = self.tokens.end_epoch() {
            summary.diagnostics.set(PERPLEXITY, perplexity);
            self.warn_of_student(position, perplexity, summary);
            if perplexity < MIN_PERPLEXITY * codes as f64 {
                summary.warnings.push(format!(
                    "The tokenizer uses few of its {codes} codes (perplexity below {MIN_PERPLEXITY} of them), so predicting \
                     them teaches little: the codes have collapsed. Train longer, or lower method.numbers.codes."
                ));
            }
        }
        if position.epoch == position.epochs && self.phases.before(position) != Phase::Student {
            summary.warnings.push(
                "The run was too short for its third phase, so the network to transfer has random weights. Train for at \
                 least three steps."
                    .into(),
            );
        }
    }

    fn state(&self) -> Result<Parts> {
        let mut parts = self.tokens.parts();
        parts.push((MEANS.into(), self.means.to_bytes()?));
        Ok(parts)
    }

    fn restore(&mut self, parts: &mut CheckpointData) -> Result<()> {
        self.means = Means::from_bytes(&parts.take(MEANS)?)?;
        let codes = parts.get(CODES_PART).map(<[u8]>::to_vec);
        self.tokens = Tokens::from_parts(codes, &parts.take(USES_PART)?, DIMENSION, CODES.count(&self.config))?;
        Ok(())
    }

    /// The teacher's reconstruction, then the codes of all cells, then with the student's predictions on masked cells. Codes
    /// are shown as their number.
    fn picture(&self, net: &TokenNet, sample: Sample, position: Position, device: &Device) -> Result<Picture> {
        let phase = self.phases.before(position);
        let batch = self.batch(vec![sample], phase, position);
        let (image, mask) = (batch.masked.images(0..1, device), batch.masked.masks(0..1, device));
        let masked = batch.masked.masked_patches(0, self.cells.grid());
        if phase == Phase::Teacher {
            let output = net.reconstruct(image * (-mask + 1.0), Precision::F32);
            let mut pixels = read_values(output, "reading a reconstruction")?;
            pixels.truncate(self.cells.size().pow(2));
            return Ok(Picture::masked(pixels, vec![false; masked.len()]));
        }
        let mut codes = read_values(self.codes_of(net, image.clone(), device)?, "reading the codes of a slice")?;
        if phase == Phase::Student {
            let logits = net.classify(net.student_cells(net.mask(image, mask), Precision::F32));
            let predicted = read_values(logits.argmax(1).float(), "reading the student's codes")?;
            codes
                .iter_mut()
                .zip(predicted)
                .zip(&masked)
                .filter(|(_, masked)| **masked)
                .for_each(|((code, predicted), _)| *code = predicted);
        }
        Ok(Picture { kind: PictureKind::Codes, ..Picture::masked(self.cells.spread(&codes), masked) })
    }
}

#[cfg(test)]
mod tests;
