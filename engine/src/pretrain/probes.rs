//! The pinned slices of a pre-training: those that are trained on, recorded from the training steps themselves, and others,
//! looked at after each epoch.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;

use super::host::{Host, Masked};
use super::objective::{Losses, losses};
use super::slices::{PatchState, Slices, Update};
use crate::config::Config;
use crate::event::{Event, Stage};
use crate::masking::relabel::{Case, RelabelOutcome, Relevance, relabel};
use crate::model::UNet;
use crate::patch::PatchGrid;
use crate::preprocess::SliceData;
use crate::probe::{MOST_PATCHES, Pin, ProbeRecord, ProbeSlice, Reader, Recorder, Writer, load};
use crate::trainer::{Parts, Resumed, Session};
use crate::{Error, ErrorKind, Result};

/// Name of what a checkpoint stores of the pinned slices; absent without any.
const PART: &str = "probes.bin";

/// The pinned slices.
pub(super) struct Probes<'a> {
    session: &'a Session<'a>,
    config: &'a Config,
    grid: PatchGrid,
    recorder: Recorder<'a>,
    trained: BTreeMap<Pin, Trained>,
    others: BTreeMap<Pin, Other>,
    restored: Restored,
}

/// A slice that is trained on.
struct Trained {
    /// Its number.
    slice: usize,
    /// What the epoch under way has told of it.
    captured: Option<ProbeRecord>,
}

/// A slice that is only looked at: its labels are updated by the same rule, from what the looks tell.
struct Other {
    state: PatchState,
    pixels: Vec<f32>,
    relevance: Relevance,
}

/// What a look at such a slice tells.
pub(super) struct View {
    record: ProbeRecord,
    /// Masked patches.
    chosen: Vec<usize>,
    /// Their relative losses.
    relative: Vec<f64>,
}

/// What a checkpoint had stored, by slice.
#[derive(Default)]
struct Restored {
    captured: BTreeMap<Pin, ProbeRecord>,
    others: BTreeMap<Pin, (Vec<u8>, Relevance)>,
}

/// The epoch that is recorded.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// From 1.
    pub epoch: usize,
    /// Epochs of the training.
    pub epochs: usize,
    /// Masking ratio.
    pub sigma: f64,
    /// True if the labels are updated at its end.
    pub update: bool,
}

impl Moment {
    /// What the settings say of an epoch.
    pub fn new(config: &Config, epoch: usize, epochs: usize) -> Self {
        let update = config.method.relabel && epoch.is_multiple_of(config.method.period(epochs));
        Self { epoch, epochs, sigma: config.method.ratio.sigma(epoch, epochs), update }
    }
}

impl<'a> Probes<'a> {
    /// The run's pins, and what the checkpoint knows of them.
    pub fn start(session: &'a Session<'a>, config: &'a Config, slices: &Slices, resumed: &mut Resumed) -> Result<Self> {
        let restored = if resumed.parts.parts.iter().any(|(name, _)| name == PART) {
            let bytes = resumed.parts.take(PART)?;
            let why = "its fields do not fit each other".to_owned();
            Restored::decode(&bytes).ok_or(ErrorKind::Compute { step: format!("checkpoint part {PART}"), why })?
        } else {
            Restored::default()
        };
        let recorder = Recorder::new(session.run, session.pins, Stage::Pretrain, resumed.epoch)?;
        let (trained, others) = (BTreeMap::new(), BTreeMap::new());
        let mut probes = Self { session, config, grid: *slices.grid(), recorder, trained, others, restored };
        probes.look(slices);
        // What belongs to pins that are gone.
        probes.restored = Restored::default();
        Ok(probes)
    }

    /// Takes up new pins and lets go of those that were taken off.
    pub fn look(&mut self, slices: &Slices) {
        let Some(pins) = self.recorder.changed() else { return };
        self.trained.retain(|pin, _| pins.contains(pin));
        self.others.retain(|pin, _| pins.contains(pin));
        for pin in pins {
            if self.trained.contains_key(&pin) || self.others.contains_key(&pin) {
                continue;
            }
            if let Err(error) = self.admit(slices, &pin) {
                self.recorder.refuse(&pin, &error);
            }
        }
    }

    fn admit(&mut self, slices: &Slices, pin: &Pin) -> Result<()> {
        if self.grid.count() > MOST_PATCHES {
            let why = format!("a slice of more than {MOST_PATCHES} patches is not recorded");
            return Err(Error::config("method.grid", self.grid.grid(), why));
        }
        if let Some(slice) = slices.find(pin) {
            let (window, state) = (slices.window(slice)?, slices.state(slice));
            let world_from_crop = slices.plan(slice).shifted_affine(state.shift);
            self.recorder.slice(&self.slice(pin, true, &window, state).at(world_from_crop));
            let captured = self.restored.captured.remove(pin);
            self.trained.insert(pin.clone(), Trained { slice, captured });
            return Ok(());
        }
        let source = load(self.session.cohort, self.config, pin, self.config.method.report_recall)?;
        let window = SliceData { pixels: source.pixels, target: source.target, tissue: source.tissue };
        let mut state = PatchState::new(self.config, &self.grid, &window, &[pin.key()]);
        self.recorder.slice(&self.slice(pin, false, &window, &state).at(source.world_from_crop));
        let mut relevance = Relevance::new(1, self.grid.count());
        if let Some((label, sums)) = self.restored.others.remove(pin)
            && label.len() == state.label.len()
        {
            (state.label, relevance) = (label, sums);
        }
        self.others.insert(pin.clone(), Other { state, pixels: window.pixels, relevance });
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

    /// The slices that are trained on.
    pub fn slices(&self) -> Vec<usize> {
        self.trained.values().map(|trained| trained.slice).collect()
    }

    /// Takes what a step told of the pinned slices in its batch, before the step changes the network.
    pub fn observe(&mut self, slices: &Slices, batch: &Masked, losses: &Losses, moment: Moment) -> Result<()> {
        self.look(slices);
        for (pin, trained) in &mut self.trained {
            let Some(at) = batch.members.iter().position(|&slice| slice == trained.slice) else { continue };
            let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, moment.epoch, true);
            trained.captured = Some(captured(empty, batch, losses, at, moment.sigma)?);
        }
        Ok(())
    }

    /// Views of the slices that are not trained on, through the network as it stands after an epoch.
    pub fn views(&self, network: &UNet, moment: Moment) -> Result<Vec<View>> {
        if self.others.is_empty() {
            return Ok(Vec::new());
        }
        let (network, device) = (network.valid(), &self.session.compute.device);
        let view = |(pin, other): (&Pin, &Other)| other.view(pin, self.config, &self.grid, (&network, device), moment);
        self.others.iter().map(view).collect()
    }

    /// Records the epoch: what was taken of the slices that are trained on, with the `updates` of their labels, and the
    /// `views` of the others. Gives what is to be told.
    pub fn close(&mut self, views: Vec<View>, updates: &[Update], moment: Moment) -> Vec<Event> {
        for (pin, trained) in &mut self.trained {
            let update = updates.iter().find(|update| update.slice == trained.slice);
            let record = trained.captured.take().or_else(|| {
                // Its batch was left out of an epoch that was cut short; its labels were updated all the same.
                let update = update?;
                let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, moment.epoch, true);
                Some(with_labels(empty, &update.outcome.before, moment.sigma))
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
            self.recorder.record(&other.judge(view, self.config, moment));
        }
        self.recorder.events()
    }

    /// What is to be told since the last time.
    pub fn events(&mut self) -> Vec<Event> {
        self.recorder.events()
    }

    /// What a checkpoint stores: nothing without pins.
    pub fn parts(&self) -> Parts {
        if self.trained.values().all(|trained| trained.captured.is_none()) && self.others.is_empty() {
            return Vec::new();
        }
        let mut to = Writer::default();
        let captured: Vec<&ProbeRecord> = self.trained.values().filter_map(|t| t.captured.as_ref()).collect();
        to.u32(captured.len() as u32);
        captured.into_iter().for_each(|record| record.encode(&mut to));
        to.u32(self.others.len() as u32);
        for (pin, other) in &self.others {
            to.bytes(pin.to_string().as_bytes());
            to.bytes(&other.state.label);
            let (sums, counts) = other.relevance.parts();
            sums.iter().for_each(|sum| to.f64(*sum));
            counts.iter().for_each(|count| to.u32(*count));
        }
        vec![(PART.to_owned(), to.into_bytes())]
    }
}

impl Other {
    /// A view of the slice through the network after an epoch, masked as a training slice would be, with draws of its own.
    fn view(
        &self,
        pin: &Pin,
        config: &Config,
        grid: &PatchGrid,
        (network, device): (&UNet, &Device),
        moment: Moment,
    ) -> Result<View> {
        let host = Host { config, grid, channels: self.pixels.len() / (grid.size() * grid.size()) };
        let place = [moment.epoch as u64, pin.key()];
        let made = host.slice(&self.state, self.pixels.clone(), host.count(moment.sigma), place);
        let mut batch = host.batch(&[0], vec![made]);
        let mut losses = losses(network, &batch, config, device)?;
        let empty = ProbeRecord::empty(pin.clone(), Stage::Pretrain, moment.epoch, false);
        let record = captured(empty, &batch, &losses, 0, moment.sigma)?;
        Ok(View { record, chosen: batch.chosen.swap_remove(0), relative: losses.relative.swap_remove(0) })
    }

    /// Adds what a view told, and updates the labels if it is time; gives the whole record.
    fn judge(&mut self, view: View, config: &Config, moment: Moment) -> ProbeRecord {
        let View { mut record, chosen, relative } = view;
        self.relevance.add(0, &chosen, &relative);
        if moment.update {
            let period = (moment.epoch / config.method.period(moment.epochs)) as u64;
            let (kmeans, mean) = (&self.state.clustering.labels, self.relevance.mean(0));
            let anchor = config.method.anchor;
            let outcome = relabel(kmeans, &self.state.label, &mean, anchor, config.seed, period, record.pin.key());
            put_update(&mut record, &outcome, &mean);
            self.state.label = outcome.after;
            self.relevance.clear();
        }
        record
    }
}

/// Puts what a forward pass tells of slice `at` of its batch: labels, masked set, losses and the reconstruction. Only this
/// slice's output is read back.
fn captured(record: ProbeRecord, batch: &Masked, losses: &Losses, at: usize, sigma: f64) -> Result<ProbeRecord> {
    let mut record = with_labels(record, &batch.label_new[at], sigma);
    let told = batch.chosen[at].iter().zip(&losses.errors[at]).zip(&losses.relative[at]);
    for ((&patch, error), relative) in told {
        record.order.push(patch as u16);
        record.masked[patch] = true;
        record.losses[patch] = Some(*error as f32);
        record.relative[patch] = Some(*relative as f32);
    }
    let Some((range, output)) = losses.output.iter().find(|(range, _)| range.contains(&at)) else { return Ok(record) };
    let [_, _, size, _] = output.dims();
    let row = at - range.start;
    let output = output.clone().slice([row..row + 1, 0..1, 0..size, 0..size]);
    let data = output.try_into_data().map_err(|e| {
        let step = "reading a reconstruction".to_owned();
        Error::from(ErrorKind::Compute { step, why: e.to_string() })
    })?;
    record.draw(&data.iter::<f32>().collect::<Vec<_>>(), size, None);
    Ok(record)
}

/// Puts the labels in force and empty lists beside them.
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

/// Puts what an update did.
fn put_update(record: &mut ProbeRecord, outcome: &RelabelOutcome, mean: &[Option<f64>]) {
    record.before.clone_from(&outcome.before);
    record.after.clone_from(&outcome.after);
    record.cases = outcome.case.iter().map(|case| *case as u8).collect();
    // What a thrown coin showed is the label that it gave.
    let thrown = |case: &Case| matches!(case, Case::DoubtedForeground | Case::DoubtedBackground);
    record.coins =
        outcome.case.iter().zip(&outcome.after).map(|(case, label)| thrown(case).then_some(*label)).collect();
    record.mean_relative = mean.iter().map(|mean| mean.map(|mean| mean as f32)).collect();
}

impl Restored {
    /// The counterpart of [`Probes::parts`].
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut restored = Self::default();
        for _ in 0..from.u32()? {
            let record = ProbeRecord::decode(&mut from)?;
            restored.captured.insert(record.pin.clone(), record);
        }
        for _ in 0..from.u32()? {
            let pin: Pin = from.text()?.parse().ok()?;
            let label = from.bytes()?;
            let n = label.len();
            let sums = (0..n).map(|_| from.f64()).collect::<Option<Vec<f64>>>()?;
            let counts = (0..n).map(|_| from.u32()).collect::<Option<Vec<u32>>>()?;
            restored.others.insert(pin, (label, Relevance::from_parts(n, sums, counts)?));
        }
        from.is_at_end().then_some(restored)
    }
}
