//! AMLP: adaptive masking of lesion patches (the paper's section 3), as one [`Method`].
//!
//! | file | section |
//! |---|---|
//! | `mps.rs` | 3.1 masked patches selection: clustering and masking order |
//! | `draw.rs` | random draws from that order, in units, with hints |
//! | `choice.rs` | choice of the foreground cluster without labels |
//! | `uncertainty.rs` | 3.1 the entropies H1, H2, H3 (Eqs. 1 to 5) |
//! | `arl.rs` | 3.2 attention reconstruction loss (Eq. 6) |
//! | `relabel.rs` | 3.3 the update of the patch labels |
//! | `ccl.rs` | 3.3 category consistency loss (Eq. 7) |
//! | `loss.rs` | 3.3 the sum of the losses (Eq. 8) |
//! | `amr.rs` | 3.4 adaptive masking ratio (Eq. 9) |
//! | `batch.rs` | masked slices on the host and on a device |
//! | `appearance.rs` | augmentation and normalised patches |
//! | `validation.rs` | the loss of the validation patients |
//! | `probes.rs` | records of pinned slices |
//! | `trial.rs` | batches of synthetic slices |
//!
//! Ablations (Tables 3 to 6) are settings: `base`, the same as `mae`, has random masks at a fixed ratio and one loss.

pub mod amr;
mod appearance;
pub mod arl;
mod batch;
pub mod ccl;
pub mod choice;
pub mod draw;
mod loss;
pub mod mps;
mod probes;
pub mod relabel;
mod trial;
pub mod uncertainty;
pub mod validation;

use burn::module::Module;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::masked::warn_of_loss;
use super::{Slices, network_config};
use crate::config::Config;
use crate::event::{CaseCounts, EpochSummary, Event, Losses, Stage};
use crate::masking::select::{air_share, recall, recall_of_foreground};
use crate::masking::{indicator, masked_count};
use crate::model::record::Transfer;
use crate::model::{MaskedUNet, UNetConfig};
use crate::patch::PatchGrid;
use crate::trainer::{
    Dataset, EpochEnd, GradientEngine, Head, Method, Parts, Position, ResumePoint, Session, StepOutput, gradient_norm,
};
use crate::{Error, ErrorKind, Result};

pub use appearance::Appearance;
use arl::{Attention, important};
pub use batch::{DeviceBatch, MaskedBatch};
use batch::{MaskedSlice, Masker};
use ccl::Consistency;
use choice::{ForegroundChoice, background_is_harder};
pub use loss::{AmlpLoss, AmlpObjective, PatchLosses, evaluate, forward, losses};
use mps::PatchState;
use probes::{LabelUpdate, Probes};
use relabel::{RelabelRule, Relevance, add_counts, coins, relabel};
pub use trial::SyntheticSlices;
use uncertainty::{MeanUncertainty, uncertainty};
use validation::Validation;

/// Names of the parts of a checkpoint.
const LABELS: &str = "labels.bin";
const RELEVANCE: &str = "relevance.bin";
const STATISTICS: &str = "amlp.json";
/// 1 if the darker cluster was made the foreground; exists only if the losses choose the foreground.
const FOREGROUND: &str = "foreground.bin";
/// Name of the statistics in checkpoints of earlier versions.
const TALLY: &str = "tally.json";

/// A pre-training run with AMLP.
pub struct Amlp<'a> {
    config: &'a Config,
    objective: AmlpObjective<'a>,
    session: &'a Session<'a>,
    slices: &'a Slices,
    grid: PatchGrid,
    patches: &'a mut [PatchState],
    /// Relative losses of the period (section 3.3).
    relevance: Relevance,
    statistics: Statistics,
    probes: Probes<'a>,
    validation: Option<&'a Validation>,
}

/// Sums over the slices of the epoch so far, for its diagnostics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Statistics {
    slices: usize,
    /// Eqs. 6 and 7 as printed.
    literal: Losses,
    /// Masked patches whose importance agrees with their k-means label.
    agreeing: u64,
    /// Masked patches.
    judged: u64,
    /// Sums of `L_pred` and of the loss of the best constant output of each batch. Absent in checkpoints of earlier versions.
    #[serde(default)]
    constant: [f64; 2],
    /// Fractions of flat patches among the masked. Absent in checkpoints of earlier versions.
    #[serde(default)]
    flat: f64,
}

impl<'a> Amlp<'a> {
    /// `patches` are those of every slice ([`PatchState::cluster_all`]); training updates their labels.
    ///
    /// # Errors
    /// A patch grid that does not divide the crop.
    pub fn new(
        config: &'a Config,
        session: &'a Session<'a>,
        slices: &'a Slices,
        patches: &'a mut [PatchState],
        validation: Option<&'a Validation>,
    ) -> Result<Self> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let relevance = Relevance::new(slices.len(), grid.count());
        let (statistics, probes) = (Statistics::default(), Probes::new(config, session, slices, grid));
        let objective = AmlpObjective(config);
        Ok(Self { config, objective, session, slices, grid, patches, relevance, statistics, probes, validation })
    }

    fn sigma(&self, position: Position) -> f64 {
        self.config.method.ratio.sigma(position.epoch, position.epochs)
    }

    /// At the end of a period, updates all labels from their relative losses and starts the next period. Returns the event
    /// and the updates of the slices in `watched`.
    fn update_labels(&mut self, position: Position, watched: &[usize]) -> Option<(Event, Vec<LabelUpdate>)> {
        let (config, epoch) = (self.config, position.epoch);
        let period = config.method.period(position.epochs);
        if !config.method.relabel || !epoch.is_multiple_of(period) {
            return None;
        }
        let updates = (epoch / period) as u64;
        let sums = &self.relevance;
        let outcomes: Vec<_> = self
            .patches
            .par_iter()
            .enumerate()
            .map(|(i, s)| {
                let coins = coins(s.label.len(), config.seed, updates, i as u64);
                relabel(&s.clustering, &s.label, &sums.mean(i), RelabelRule::of(&config.method), &coins)
            })
            .collect();
        let (mut cases, mut flips, mut differs, mut agreeing, mut judged) = (CaseCounts::default(), 0, 0, 0, 0);
        for outcome in &outcomes {
            add_counts(&mut cases, &outcome.counts);
            flips += outcome.flips;
            differs += outcome.differs_from_kmeans;
            agreeing += outcome.agreeing;
            judged += outcome.judged;
        }
        let update = |&slice: &usize| LabelUpdate { slice, outcome: outcomes[slice].clone(), mean: sums.mean(slice) };
        let updates = watched.iter().map(update).collect();
        for (state, outcome) in self.patches.iter_mut().zip(outcomes) {
            state.label = outcome.after;
        }
        self.relevance.clear();
        let agreement = agreeing as f64 / judged.max(1) as f64;
        let lesion_recall = self.mean_of(|_, s| recall_of_foreground(s.lesion.as_ref()?, &s.label));
        let event = Event::Relabel { epoch, cases, flips, differs_from_kmeans: differs, agreement, lesion_recall };
        Some((event, updates))
    }

    /// Mean over the slices for which `of` returns a value.
    fn mean_of(&self, of: impl Fn(usize, &PatchState) -> Option<f64>) -> Option<f64> {
        let values = self.patches.iter().enumerate().filter_map(|(i, s)| of(i, s));
        let (sum, n) = values.fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
        (n > 0).then(|| sum / n as f64)
    }

    /// The reconstruction loss of the validation patients, if it is due.
    fn validation_loss(&self, net: &MaskedUNet, position: Position) -> Result<Option<f64>> {
        let is_due = position.is_due(self.config.method.validate_every);
        let Some(validation) = self.validation.filter(|_| is_due) else { return Ok(None) };
        let (training, compute) = (&self.config.training, self.session.compute);
        let at_once = GradientEngine::new(compute, training.micro_batch).at_once(training.batch);
        validation.loss(&net.valid(), self.config, &compute.device, position.epochs, at_once).map(Some)
    }

    /// Statistics of the patch labels in an epoch.
    fn describe_labels(&self, position: Position, summary: &mut EpochSummary) {
        let config = self.config;
        let count = masked_count(self.grid.count(), self.sigma(position));
        summary.air_share = self.mean_of(|_, s| air_share(&s.label, &s.clustering.air));
        summary.lesion_recall_foreground = self.mean_of(|_, s| recall_of_foreground(s.lesion.as_ref()?, &s.label));
        let masker = Masker::of_epoch(config, &self.grid, self.slices.channels(), position);
        summary.lesion_recall_masked = self.mean_of(|i, s| {
            let lesion = s.lesion.as_ref()?;
            let chosen = masker.chosen(s, [position.epoch as u64, i as u64]);
            recall(lesion, indicator(lesion.len(), &chosen))
        });
        let mut entropy = MeanUncertainty::default();
        for s in self.patches.iter() {
            let c = &s.clustering;
            entropy.add(&uncertainty(&c.labels, &s.label, s.lesion.as_deref(), &c.logit, count));
        }
        summary.entropy = entropy.mean().map(|u| [Some(u.h1), Some(u.h2), u.h3]);
    }

    /// Makes the darker cluster the foreground if it is the harder one at the end of the warm-up, the first period.
    fn choose_foreground(&mut self, position: Position) {
        let method = &self.config.method;
        let due =
            method.foreground_choice == ForegroundChoice::Error && position.epoch == method.period(position.epochs);
        if due && background_is_harder(self.patches, &self.relevance) {
            self.patches.iter_mut().for_each(PatchState::swap);
            self.probes.admit_again(self.patches);
        }
    }

    /// The gradient norm of each loss on the epoch's first micro-batch, in every fifth epoch.
    fn gradient_norms(&self, net: &MaskedUNet, position: Position) -> Result<Option<Losses>> {
        if !(position.epoch - 1).is_multiple_of((position.epochs / 5).max(1)) {
            return Ok(None);
        }
        let (config, device) = (self.config, self.session.compute.training());
        // Uses a copy, so that the network's running statistics do not change.
        let copy = net.valid().train();
        let training = &config.training;
        let at_once = GradientEngine::new(self.session.compute, training.micro_batch).at_once(training.batch);
        let members: Vec<usize> = self.slices.order(position.epoch).into_iter().take(at_once).collect();
        let masked = self.collate(&members, position)?;
        let batch = masked.on(0..masked.len(), &device);
        let norm = |pick: fn(&AmlpLoss) -> Option<&burn::tensor::Tensor<1>>| {
            let losses = losses(forward(&copy, &batch, config), &batch, &config.method);
            pick(&losses).map_or(0.0, |loss| gradient_norm(&copy, loss))
        };
        // The literal losses are constants: their backward pass has no path to the weights.
        let attends = matches!(config.method.attention, Attention::Weighted | Attention::Ratio);
        let consistent = config.method.consistency == Consistency::Logit && batch.flipped > 0;
        let mut norms = vec![("pred", norm(|l| Some(&l.pred)))];
        if config.method.attention != Attention::Off {
            norms.push(("rrl", if attends { norm(|l| l.rrl.as_ref()) } else { 0.0 }));
        }
        if config.method.consistency != Consistency::Off {
            norms.push(("lcl", if consistent { norm(|l| l.lcl.as_ref()) } else { 0.0 }));
        }
        Ok(Some(norms.into_iter().collect()))
    }
}

impl<'a> Method for Amlp<'a> {
    type Objective = AmlpObjective<'a>;
    const STAGE: Stage = Stage::Pretrain;
    const TRANSFER: Transfer = Transfer::EncoderDecoder;

    fn objective(&self) -> &AmlpObjective<'a> {
        &self.objective
    }

    fn network(&self) -> UNetConfig {
        network_config(self.config)
    }

    fn head(&self) -> Head {
        super::head(self.config)
    }

    fn dataset(&self) -> &dyn Dataset {
        self.slices
    }

    fn collate(&self, slices: &[usize], position: Position) -> Result<MaskedBatch> {
        let masker = Masker::of_step(self.config, &self.grid, self.slices.channels(), position);
        let mask = |&i: &usize| {
            let key = [position.epoch as u64, i as u64];
            if self.config.method.augment.shift {
                let window = self.slices.window_in(i, position.epoch)?;
                let state = self.patches[i].moved(self.config, &self.grid, &window);
                return Ok(masker.slice(&state, window.pixels, &window.tissue, key));
            }
            let window = self.slices.window(i)?;
            Ok(masker.slice(&self.patches[i], window.pixels, &window.tissue, key))
        };
        let masked: Vec<MaskedSlice> = slices.par_iter().map(mask).collect::<Result<_>>()?;
        Ok(masker.batch(slices, masked))
    }

    fn after_step(
        &mut self,
        _net: &mut MaskedUNet,
        batch: &MaskedBatch,
        output: &StepOutput,
        position: Position,
    ) -> Result<Vec<Event>> {
        let losses = PatchLosses::of(batch, output);
        self.probes.observe(self.patches, batch, output, &losses, position)?;
        self.statistics.slices += batch.len();
        self.statistics.flat += batch.flat_shares();
        self.statistics.literal.add(losses.literal(batch), batch.len() as f64);
        let both = [output.part("pred"), batch.constant_loss()];
        self.statistics.constant.iter_mut().zip(both).for_each(|(sum, loss)| *sum += loss * batch.len() as f64);
        for (member, (&slice, counted)) in batch.members.iter().zip(&batch.counted).enumerate() {
            let (relative, labels) = (&losses.relative[member], &batch.label_ori[member]);
            self.relevance.add(slice, counted, relative);
            let agrees = |(patch, relative): &(&usize, &f64)| important(**relative) == (labels[**patch] == 1);
            self.statistics.agreeing += counted.iter().zip(relative).filter(agrees).count() as u64;
            self.statistics.judged += counted.len() as u64;
        }
        Ok(self.probes.events())
    }

    fn end_epoch(&mut self, net: &MaskedUNet, position: Position) -> Result<EpochEnd> {
        self.choose_foreground(position);
        let watched = self.probes.trained_slices();
        let (relabelled, updates) = self
            .update_labels(position, &watched)
            .map_or((None, Vec::new()), |(event, updates)| (Some(event), updates));
        self.probes.admit_new(self.patches);
        let views = self.probes.views(net, position)?;
        let events = relabelled.into_iter().chain(self.probes.close(views, &updates, position)).collect();
        Ok(EpochEnd { events, validation_dice: None })
    }

    fn diagnostics(&mut self, net: &MaskedUNet, position: Position, summary: &mut EpochSummary) -> Result<()> {
        let Statistics { slices, literal, agreeing, judged, constant, flat } = std::mem::take(&mut self.statistics);
        let literal = literal.divided_by(slices.max(1) as f64);
        summary.literal =
            Some(["rrl", "lcl"].map(|name| (name, literal.get(name).unwrap_or(0.0))).into_iter().collect());
        summary.agreement = (judged > 0).then(|| agreeing as f64 / judged as f64);
        summary.sigma = Some(self.sigma(position));
        warn_of_loss(position, constant[0], constant[1], summary);
        if self.config.method.loss.normalised {
            summary.diagnostics.set("flat_share", flat / slices.max(1) as f64);
        }
        summary.gradient_norm = self.gradient_norms(net, position)?;
        summary.validation_loss = self.validation_loss(net, position)?;
        self.describe_labels(position, summary);
        Ok(())
    }

    fn state(&self) -> Result<Parts> {
        let labels: Vec<u8> = self.patches.iter().flat_map(|s| s.label.iter().copied()).collect();
        let (sums, counts) = self.relevance.parts();
        let mut relevance: Vec<u8> = sums.iter().flat_map(|v| v.to_le_bytes()).collect();
        relevance.extend(counts.iter().flat_map(|v| v.to_le_bytes()));
        let statistics = serde_json::to_vec(&self.statistics).map_err(|e| damaged(STATISTICS, &e))?;
        let mut parts = vec![(LABELS.into(), labels), (RELEVANCE.into(), relevance), (STATISTICS.into(), statistics)];
        if self.config.method.foreground_choice == ForegroundChoice::Error {
            parts.push((FOREGROUND.into(), vec![u8::from(choice::is_darker(self.patches))]));
        }
        parts.extend(self.probes.parts()?);
        Ok(parts)
    }

    fn restore(&mut self, resumed: &mut ResumePoint) -> Result<()> {
        if let Some(parts) = &mut resumed.parts {
            let n = self.grid.count();
            let patches = self.patches.len() * n;
            let (labels, relevance) = (parts.take(LABELS)?, parts.take(RELEVANCE)?);
            if labels.len() != patches || relevance.len() != patches * 12 {
                return Err(damaged(LABELS, &"the checkpoint has a different number of slices or patches"));
            }
            let swapped = self.config.method.foreground_choice == ForegroundChoice::Error
                && parts.take(FOREGROUND)? != [u8::from(choice::is_darker(self.patches))];
            if swapped {
                self.patches.iter_mut().for_each(PatchState::swap);
            }
            for (state, labels) in self.patches.iter_mut().zip(labels.chunks_exact(n)) {
                state.label = labels.to_vec();
            }
            let (sums, counts) = relevance.split_at(patches * 8);
            let sums = sums.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
            let counts = counts.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
            self.relevance = Relevance::from_parts(n, sums, counts)
                .ok_or_else(|| damaged(RELEVANCE, &"its arrays have the wrong lengths"))?;
            let statistics = parts.get(STATISTICS).or_else(|| parts.get(TALLY)).unwrap_or_default();
            self.statistics = serde_json::from_slice(statistics).map_err(|e| damaged(STATISTICS, &e))?;
        }
        self.probes.restore(resumed, self.patches)
    }
}

fn damaged(part: &str, why: &dyn std::fmt::Display) -> Error {
    ErrorKind::Compute { step: format!("checkpoint part {part}"), why: why.to_string() }.into()
}
