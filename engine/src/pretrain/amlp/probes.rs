//! The pinned slices of a pre-training run with AMLP. Training slices are recorded from the training steps; others are
//! reconstructed after each epoch.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::batch::{MaskedBatch, Masker};
use super::choice::{ForegroundChoice, is_darker};
use super::loss::{PatchLosses, evaluate};
use super::mps::PatchState;
use super::relabel::{Case, RelabelOutcome, RelabelRule, Relevance, coins, relabel};
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::model::MaskedUNet;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::pretrain::Slices;
use crate::probe::{MAX_PATCHES, Pin, ProbeRecord, ProbeSlice, Recorder, load};
use crate::trainer::{Parts, Position, ResumePoint, Session, StepOutput};
use crate::{Error, ErrorKind, Result};

/// Part of a checkpoint; absent without pinned slices.
const PART: &str = "probes.json";
/// Its name in checkpoints of version 0.1, which used another format.
const PART_BEFORE: &str = "probes.bin";

/// The pinned slices.
pub(super) struct Probes<'a> {
    session: &'a Session<'a>,
    config: &'a Config,
    slices: &'a Slices,
    grid: PatchGrid,
    recorder: Recorder<'a>,
    trained: BTreeMap<Pin, TrainedPin>,
    others: BTreeMap<Pin, UntrainedPin>,
    restored: StoredPins,
}

/// Outcome of a label update for one training slice.
pub(super) struct LabelUpdate {
    pub slice: usize,
    pub outcome: RelabelOutcome,
    /// The mean relative losses that the update is based on.
    pub mean: Vec<Option<f64>>,
}

/// A pinned training slice.
struct TrainedPin {
    slice: usize,
    /// Its record of the current epoch.
    captured: Option<ProbeRecord>,
}

/// A pinned slice outside the training set. Its labels follow the same rule, based on its reconstructions after each epoch.
struct UntrainedPin {
    state: PatchState,
    pixels: Vec<f32>,
    tissue: Vec<bool>,
    relevance: Relevance,
}

/// The reconstruction of such a slice after an epoch.
pub(super) struct View {
    record: ProbeRecord,
    /// Masked patches that count.
    counted: Vec<usize>,
    /// Their relative losses.
    relative: Vec<f64>,
}

/// The part of a checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct StoredPins {
    captured: Vec<ProbeRecord>,
    others: BTreeMap<Pin, StoredPatches>,
}

/// Patches of a slice that is not trained on.
#[derive(Serialize, Deserialize)]
struct StoredPatches {
    label: Vec<u8>,
    sums: Vec<f64>,
    counts: Vec<u32>,
}

impl<'a> Probes<'a> {
    pub fn new(config: &'a Config, session: &'a Session<'a>, slices: &'a Slices, grid: PatchGrid) -> Self {
        let recorder = Recorder::new(session.run, session.pins, Stage::Pretrain);
        let (trained, others, restored) = (BTreeMap::new(), BTreeMap::new(), StoredPins::default());
        Self { session, config, slices, grid, recorder, trained, others, restored }
    }

    /// Restores the pins from the checkpoint and removes records of epochs that will be repeated.
    pub fn restore(&mut self, resumed: &mut ResumePoint, patches: &[PatchState]) -> Result<()> {
        self.recorder.forget_from(resumed.epoch)?;
        if let Some(bytes) = resumed.parts.as_ref().and_then(|parts| parts.get(PART)) {
            let failed = |why: String| ErrorKind::Compute { step: format!("checkpoint part {PART}"), why };
            self.restored = serde_json::from_slice(bytes).map_err(|e| failed(e.to_string()))?;
            if !self.restored.captured.iter().all(ProbeRecord::is_consistent) {
                return Err(failed("its arrays have different lengths".into()).into());
            }
        }
        if resumed.parts.as_ref().is_some_and(|parts| parts.get(PART_BEFORE).is_some()) {
            self.recorder.warn(
                "This checkpoint was written by an earlier version. Its records of pinned slices cannot be read and start \
                 again with this epoch.",
            );
        }
        self.admit_new(patches);
        // The rest are removed pins.
        self.restored = StoredPins::default();
        Ok(())
    }

    fn sigma(&self, position: Position) -> f64 {
        self.config.method.ratio.sigma(position.epoch, position.epochs)
    }

    /// Admits new pins and drops removed ones.
    pub fn admit_new(&mut self, patches: &[PatchState]) {
        let Some(pins) = self.recorder.changed() else { return };
        self.trained.retain(|pin, _| pins.contains(pin));
        self.others.retain(|pin, _| pins.contains(pin));
        for pin in pins {
            if self.trained.contains_key(&pin) || self.others.contains_key(&pin) {
                continue;
            }
            if let Err(error) = self.admit(patches, &pin) {
                self.recorder.refuse(&pin, &error);
            }
        }
    }

    /// Admits all pins again, after the clusters were swapped.
    pub fn admit_again(&mut self, patches: &[PatchState]) {
        let pins: Vec<Pin> = self.trained.keys().chain(self.others.keys()).cloned().collect();
        self.others.clear();
        self.restored.captured = std::mem::take(&mut self.trained).into_values().filter_map(|t| t.captured).collect();
        for pin in pins {
            if let Err(error) = self.admit(patches, &pin) {
                self.recorder.refuse(&pin, &error);
            }
        }
        self.restored = StoredPins::default();
    }

    fn admit(&mut self, patches: &[PatchState], pin: &Pin) -> Result<()> {
        if self.grid.count() > MAX_PATCHES {
            let why = format!("a slice of more than {MAX_PATCHES} patches is not recorded");
            return Err(Error::config("method.grid", self.grid.grid(), why));
        }
        // If crops are shifted at random, the recorded crop is not one that is trained on.
        if let Some(slice) = self.slices.find(pin).filter(|_| !self.config.method.augment.shift) {
            let (window, state) = (self.slices.window(slice)?, &patches[slice]);
            let world_from_crop = self.slices.plan(slice).shifted_affine(self.slices.shift(slice));
            self.recorder.slice(&self.slice(pin, true, &window, state).at(world_from_crop));
            let captured = self.restored.captured.iter().find(|record| record.pin == *pin).cloned();
            self.trained.insert(pin.clone(), TrainedPin { slice, captured });
            return Ok(());
        }
        let with_label = self.config.method.report_recall;
        let (window, world_from_crop) = load(self.session.cohort, self.config, pin, with_label)?;
        let mut state = PatchState::new(self.config, &self.grid, &window, pin.key());
        if self.config.method.foreground_choice != ForegroundChoice::Rule && is_darker(patches) {
            state.swap();
        }
        self.recorder.slice(&self.slice(pin, false, &window, &state).at(world_from_crop));
        let mut relevance = Relevance::new(1, self.grid.count());
        if let Some(StoredPatches { label, sums, counts }) = self.restored.others.remove(pin)
            && label.len() == state.label.len()
            && let Some(stored) = Relevance::from_parts(label.len(), sums, counts)
        {
            (state.label, relevance) = (label, stored);
        }
        self.others
            .insert(pin.clone(), UntrainedPin { state, pixels: window.pixels, tissue: window.tissue, relevance });
        Ok(())
    }

    fn slice(&self, pin: &Pin, trained: bool, window: &SliceData, state: &PatchState) -> ProbeSlice {
        let (size, target) = (self.grid.size(), window.target.as_deref());
        ProbeSlice::new(pin.clone(), Stage::Pretrain, trained, size, &window.pixels, target).with_patches(
            &self.grid,
            &state.clustering,
            state.lesion.as_deref(),
        )
    }

    /// The pinned slices that are trained on.
    pub fn trained_slices(&self) -> Vec<usize> {
        self.trained.values().map(|trained| trained.slice).collect()
    }

    /// Records a step's masks, losses and outputs of the pinned slices in its batch.
    pub fn observe(
        &mut self,
        patches: &[PatchState],
        batch: &MaskedBatch,
        output: &StepOutput,
        losses: &PatchLosses,
        position: Position,
    ) -> Result<()> {
        self.admit_new(patches);
        let sigma = self.sigma(position);
        for (pin, trained) in &mut self.trained {
            let Some(member) = batch.members.iter().position(|&slice| slice == trained.slice) else { continue };
            let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, position.epoch, true);
            trained.captured = Some(captured(empty, batch, output, losses, member, sigma)?);
        }
        Ok(())
    }

    /// Reconstructions of the slices that are not trained on, after an epoch.
    pub fn views(&self, net: &MaskedUNet, position: Position) -> Result<Vec<View>> {
        if self.others.is_empty() {
            return Ok(Vec::new());
        }
        let (net, device) = (net.valid(), &self.session.compute.device);
        let view =
            |(pin, other): (&Pin, &UntrainedPin)| other.view(pin, self.config, &self.grid, (&net, device), position);
        self.others.iter().map(view).collect()
    }

    /// Writes the records of an epoch: those of the steps, with the `updates` of their labels, and the `views`.
    pub fn close(&mut self, views: Vec<View>, updates: &[LabelUpdate], position: Position) -> Vec<Event> {
        let sigma = self.sigma(position);
        for (pin, trained) in &mut self.trained {
            let update = updates.iter().find(|update| update.slice == trained.slice);
            let record = trained.captured.take().or_else(|| {
                // The slice was in no batch of this epoch, but its labels are updated.
                let update = update?;
                let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, position.epoch, true);
                Some(with_labels(empty, &update.outcome.before, sigma))
            });
            if let Some(mut record) = record {
                if let Some(update) = update {
                    put_update(&mut record, &update.outcome, &update.mean);
                }
                self.recorder.record(&record);
            }
        }
        for view in views {
            let Some(other) = self.others.get_mut(&view.record.pin) else { continue };
            self.recorder.record(&other.complete(view, self.config, position));
        }
        self.recorder.events()
    }

    /// Events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.recorder.events()
    }

    /// Checkpoint parts; none without pins.
    pub fn parts(&self) -> Result<Parts> {
        if self.trained.values().all(|trained| trained.captured.is_none()) && self.others.is_empty() {
            return Ok(Vec::new());
        }
        let others = self.others.iter().map(|(pin, other)| {
            let (sums, counts) = other.relevance.parts();
            let (sums, counts) = (sums.to_vec(), counts.to_vec());
            (pin.clone(), StoredPatches { label: other.state.label.clone(), sums, counts })
        });
        let stored = StoredPins {
            captured: self.trained.values().filter_map(|trained| trained.captured.clone()).collect(),
            others: others.collect(),
        };
        let failed = |e: serde_json::Error| ErrorKind::Compute { step: format!("writing {PART}"), why: e.to_string() };
        Ok(vec![(PART.to_owned(), serde_json::to_vec(&stored).map_err(failed)?)])
    }
}

impl UntrainedPin {
    /// Reconstructs the slice after an epoch, masked like a training slice, with its own random stream.
    fn view(
        &self,
        pin: &Pin,
        config: &Config,
        grid: &PatchGrid,
        (net, device): (&MaskedUNet, &Device),
        position: Position,
    ) -> Result<View> {
        let masker = Masker::of_epoch(config, grid, self.pixels.len() / (grid.size() * grid.size()), position);
        let slice = masker.slice(&self.state, self.pixels.clone(), &self.tissue, [position.epoch as u64, pin.key()]);
        let mut batch = masker.batch(&[0], vec![slice]);
        let output = evaluate(net, &batch, config, device)?;
        let mut losses = PatchLosses::of(&batch, &output);
        let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, position.epoch, false);
        let record = captured(empty, &batch, &output, &losses, 0, masker.sigma)?;
        Ok(View { record, counted: batch.counted.swap_remove(0), relative: losses.relative.swap_remove(0) })
    }

    /// Adds a view's relative losses, updates the labels at the end of a period, and returns the full record.
    fn complete(&mut self, view: View, config: &Config, position: Position) -> ProbeRecord {
        let View { mut record, counted, relative } = view;
        self.relevance.add(0, &counted, &relative);
        let period = config.method.period(position.epochs);
        if config.method.relabel && position.epoch.is_multiple_of(period) {
            let updates = (position.epoch / period) as u64;
            let (PatchState { clustering, label, .. }, mean) = (&self.state, self.relevance.mean(0));
            let coins = coins(label.len(), config.seed, updates, record.pin.key());
            let outcome = relabel(clustering, label, &mean, RelabelRule::of(&config.method), &coins);
            put_update(&mut record, &outcome, &mean);
            self.state.label = outcome.after;
            self.relevance.clear();
        }
        record
    }
}

/// Fills a record with slice `member` of a batch: labels, masked set, losses and the reconstruction. Only this slice's output
/// is read from the device.
fn captured(
    record: ProbeRecord,
    batch: &MaskedBatch,
    output: &StepOutput,
    losses: &PatchLosses,
    member: usize,
    sigma: f64,
) -> Result<ProbeRecord> {
    let mut record = with_labels(record, &batch.label_new[member], sigma);
    for &patch in &batch.chosen[member] {
        record.order.push(patch as u16);
        record.masked[patch] = true;
    }
    let counted = batch.counted[member].iter().zip(&losses.errors[member]).zip(&losses.relative[member]);
    for ((&patch, error), relative) in counted {
        record.losses[patch] = Some(*error as f32);
        record.relative[patch] = Some(*relative as f32);
    }
    if let Some(picture) = output.picture(member)? {
        record.draw(&picture, picture.len().isqrt(), None);
    }
    Ok(record)
}

/// A record with the current labels and empty lists otherwise.
fn with_labels(record: ProbeRecord, labels: &[u8], sigma: f64) -> ProbeRecord {
    let n = labels.len();
    ProbeRecord {
        sigma: Some(sigma),
        before: labels.to_vec(),
        after: labels.to_vec(),
        masked: vec![false; n],
        losses: vec![None; n],
        relative: vec![None; n],
        ..record
    }
}

/// Adds the outcome of a label update to a record.
fn put_update(record: &mut ProbeRecord, outcome: &RelabelOutcome, mean: &[Option<f64>]) {
    record.before.clone_from(&outcome.before);
    record.after.clone_from(&outcome.after);
    record.cases = outcome.case.iter().map(|case| *case as u8).collect();
    // The value of a coin is the label that it assigns.
    let is_coin = |case: &Case| matches!(case, Case::DoubtedForeground | Case::DoubtedBackground);
    record.coins =
        outcome.case.iter().zip(&outcome.after).map(|(case, label)| is_coin(case).then_some(*label)).collect();
    record.mean_relative = mean.iter().map(|mean| mean.map(|mean| mean as f32)).collect();
}
