//! The training slices: clustered once, with the state of their patches.

use rand::RngExt;
use rayon::prelude::*;

use super::host::{Host, HostSlice, Masked};
use super::objective::Losses;
use super::probes::Moment;
use super::tally::Tally;
use crate::cluster::{Clustering, cluster};
use crate::cohort::Case;
use crate::config::Config;
use crate::event::{CaseCounts, Control, EpochSummary, Event};
use crate::masking::order::order;
use crate::masking::relabel::{RelabelOutcome, Relevance, add_counts, relabel};
use crate::masking::select::{air_share, masked_count, recall_of_foreground};
use crate::masking::uncertainty::{MeanUncertainty, uncertainty};
use crate::patch::PatchGrid;
use crate::preprocess::{CasePlan, SliceData, SliceMeta, SliceStore};
use crate::probe::Pin;
use crate::seed::stream;
use crate::trainer::{Parts, Resumed};
use crate::{ErrorKind, Result};

/// Names of what a checkpoint stores of the patches.
const LABELS: &str = "labels.bin";
const RELEVANCE: &str = "relevance.bin";
const TALLY: &str = "tally.json";

/// What is known of the patches of one slice.
#[derive(Clone, Debug)]
pub struct PatchState {
    /// The clustering, computed once.
    pub clustering: Clustering,
    /// `label_new`, in force until the next update.
    pub label: Vec<u8>,
    /// Which patches are lesion patches, where a label exists and is looked at. Never trained on.
    pub lesion: Option<Vec<bool>>,
    /// Displacement of the crop in pixels, drawn once.
    pub shift: [i32; 2],
}

/// What an update of the labels did to one slice.
pub(super) struct Update {
    /// The slice.
    pub slice: usize,
    /// The update.
    pub outcome: RelabelOutcome,
    /// The mean relative losses that it judged by.
    pub mean: Vec<Option<f64>>,
}

/// The slices of the training patients.
pub struct Slices {
    store: SliceStore,
    /// Where each training slice stands in the store.
    index: Vec<usize>,
    grid: PatchGrid,
    states: Vec<PatchState>,
}

/// What the steps so far told: the numbers of the epoch under way, and the patches' relative losses of the period.
pub(super) struct Record {
    /// The epoch's numbers.
    pub tally: Tally,
    /// The period's sums.
    pub relevance: Relevance,
}

impl Record {
    /// Adds a step.
    pub fn add(&mut self, batch: &Masked, losses: &Losses) {
        self.tally.add(batch, losses);
        for ((&slice, chosen), relative) in batch.members.iter().zip(&batch.chosen).zip(&losses.relative) {
            self.relevance.add(slice, chosen, relative);
        }
    }

    /// What a checkpoint stores.
    pub fn parts(&self, slices: &Slices) -> Result<Parts> {
        let labels: Vec<u8> = slices.states.iter().flat_map(|s| s.label.iter().copied()).collect();
        let (sums, counts) = self.relevance.parts();
        let mut relevance: Vec<u8> = sums.iter().flat_map(|v| v.to_le_bytes()).collect();
        relevance.extend(counts.iter().flat_map(|v| v.to_le_bytes()));
        let tally = serde_json::to_vec(&self.tally).map_err(|e| damaged(TALLY, &e))?;
        Ok(vec![(LABELS.into(), labels), (RELEVANCE.into(), relevance), (TALLY.into(), tally)])
    }
}

impl Slices {
    /// Prepares the scans of `cases` and clusters their slices on all cores.
    pub fn load(
        config: &Config,
        cases: &[Case],
        spill_folder: &std::path::Path,
        control: &Control,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let options = config.store_options(config.method.report_recall, spill_folder);
        let store = SliceStore::build(cases, &options, Some(control), progress)?;
        if store.is_empty() {
            return Err(crate::Error::config(
                "cohort",
                config.data.cohort.display(),
                "no slice with tissue to train on",
            ));
        }
        Self::new(config, store, control)
    }

    /// Clusters the slices of a store; `control` may pause or cancel between two of them.
    pub fn new(config: &Config, store: SliceStore, control: &Control) -> Result<Self> {
        let grid = PatchGrid::new(config.preprocess.size, config.method.grid)?;
        let every = config.training.every_slice as u32;
        let index: Vec<usize> = (0..store.len()).filter(|&i| store.meta(i).k.is_multiple_of(every)).collect();
        let states: Vec<PatchState> = index
            .par_iter()
            .map(|&i| control.pass().and_then(|()| state(config, &store, &grid, i)))
            .collect::<Result<_>>()?;
        Ok(Self { store, index, grid, states })
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Number of patients.
    pub fn patients(&self) -> usize {
        self.store.cases().len()
    }

    /// The patch grid.
    pub fn grid(&self) -> &PatchGrid {
        &self.grid
    }

    /// The state of a slice's patches.
    pub fn state(&self, slice: usize) -> &PatchState {
        &self.states[slice]
    }

    /// What is known of a slice.
    pub fn meta(&self, slice: usize) -> &SliceMeta {
        self.store.meta(self.index[slice])
    }

    /// A slice as it is trained on, `[C][S][S]`.
    pub fn pixels(&self, slice: usize) -> Result<Vec<f32>> {
        Ok(self.store.window(self.index[slice], self.states[slice].shift)?.pixels)
    }

    /// Names of some slices for a message: case and prepared slice.
    pub fn names(&self, members: &[usize]) -> String {
        let name = |&i: &usize| {
            let meta = self.meta(i);
            format!("{}:{}", self.store.cases()[meta.case as usize].id, meta.k)
        };
        members.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// The number of a pinned slice, if it is trained on.
    pub fn find(&self, pin: &Pin) -> Option<usize> {
        let case = self.store.cases().iter().position(|case| case.id == pin.case)?;
        (0..self.len()).find(|&i| self.meta(i).case as usize == case && self.meta(i).k == pin.slice)
    }

    /// A slice as it is trained on, with its target and tissue.
    pub(super) fn window(&self, slice: usize) -> Result<SliceData> {
        self.store.window(self.index[slice], self.states[slice].shift)
    }

    /// How a slice's patient was prepared.
    pub(super) fn plan(&self, slice: usize) -> &CasePlan {
        &self.store.cases()[self.meta(slice).case as usize].plan
    }

    /// The batch of `members` in an epoch, masked at ratio `sigma`, on the host. Labels change only between epochs, so a batch
    /// may be made before those before it are trained on.
    pub fn masked(&self, config: &Config, members: &[usize], sigma: f64, epoch: usize) -> Result<Masked> {
        let host = Host { config, grid: &self.grid, channels: self.store.channels() };
        let count = host.count(sigma);
        let made: Vec<HostSlice> = members
            .par_iter()
            .map(|&i| Ok(host.slice(&self.states[i], self.pixels(i)?, count, [epoch as u64, i as u64])))
            .collect::<Result<_>>()?;
        Ok(host.batch(members, made))
    }

    /// Updates every patch's label from the period's sums, and starts the next period. Tells the sum of it, and what it
    /// did to the slices that are `watched`.
    pub(super) fn relabel(
        &mut self,
        config: &Config,
        relevance: &mut Relevance,
        moment: Moment,
        watched: &[usize],
    ) -> (Event, Vec<Update>) {
        let Moment { epoch, epochs, .. } = moment;
        let period = (epoch / config.method.period(epochs)) as u64;
        let sums: &Relevance = relevance;
        let outcomes: Vec<_> = self
            .states
            .par_iter()
            .enumerate()
            .map(|(i, s)| {
                let mean = sums.mean(i);
                let anchor = config.method.anchor;
                relabel(&s.clustering.labels, &s.label, &mean, anchor, config.seed, period, i as u64)
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
        let update = |&slice: &usize| Update { slice, outcome: outcomes[slice].clone(), mean: sums.mean(slice) };
        let updates = watched.iter().map(update).collect();
        for (state, outcome) in self.states.iter_mut().zip(outcomes) {
            state.label = outcome.after;
        }
        relevance.clear();
        let agreement = agreeing as f64 / judged.max(1) as f64;
        let lesion_recall = self.mean_of(|_, s| recall_of_foreground(s.lesion.as_ref()?, &s.label));
        (Event::Relabel { epoch, cases, flips, differs_from_kmeans: differs, agreement, lesion_recall }, updates)
    }

    /// The slice of a patient with the most lesion, or with the most tissue where no label is known.
    pub fn fullest_slice(&self, patient: usize) -> Option<usize> {
        let of_patient = (0..self.len()).filter(|&i| self.meta(i).case as usize == patient);
        of_patient.max_by_key(|&i| (self.meta(i).lesion_pixels, self.meta(i).tissue_pixels))
    }

    /// A digest of the data: which patients and slices, how prepared, with how much tissue and lesion.
    pub fn digest(&self) -> String {
        self.store.digest()
    }

    /// Adds to an epoch's numbers what the patches' state tells.
    pub fn describe(&self, config: &Config, sigma: f64, summary: &mut EpochSummary) {
        let count = masked_count(self.grid.count(), sigma);
        let place = summary.epoch as u64;
        summary.air_share = self.mean_of(|_, s| air_share(&s.label, &s.clustering.air));
        summary.lesion_recall_foreground = self.mean_of(|_, s| recall_of_foreground(s.lesion.as_ref()?, &s.label));
        summary.lesion_recall_masked = self.mean_of(|i, s| {
            let lesion = s.lesion.as_ref()?;
            let place = [place, i as u64];
            let order = order(config.method.order, &s.label, &s.clustering.logit, config.seed, &place);
            let mut masked = vec![false; lesion.len()];
            order.iter().take(count).for_each(|&p| masked[p] = true);
            crate::masking::select::recall_of_masked(lesion, &masked)
        });
        let mut entropy = MeanUncertainty::default();
        for s in &self.states {
            let c = &s.clustering;
            entropy.add(&uncertainty(&c.labels, &s.label, s.lesion.as_deref(), &c.logit, count));
        }
        summary.entropy = entropy.mean().map(|u| [Some(u.h1), Some(u.h2), u.h3]);
    }

    /// Mean over the slices that have the number.
    fn mean_of(&self, of: impl Fn(usize, &PatchState) -> Option<f64>) -> Option<f64> {
        let values = self.states.iter().enumerate().filter_map(|(i, s)| of(i, s));
        let (sum, n) = values.fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
        (n > 0).then(|| sum / n as f64)
    }

    /// Takes the patches' state from a checkpoint; gives what its steps had told.
    pub(super) fn restore(&mut self, resumed: &mut Resumed) -> Result<Record> {
        let n = self.grid.count();
        if resumed.parts.parts.is_empty() {
            return Ok(Record { tally: Tally::default(), relevance: Relevance::new(self.len(), n) });
        }
        let labels = resumed.parts.take(LABELS)?;
        let relevance = resumed.parts.take(RELEVANCE)?;
        let patches = self.states.len() * n;
        if labels.len() != patches || relevance.len() != patches * 12 {
            return Err(damaged(LABELS, &"the checkpoint is of other data: another number of slices or patches"));
        }
        for (state, labels) in self.states.iter_mut().zip(labels.chunks_exact(n)) {
            state.label = labels.to_vec();
        }
        let (sums, counts) = relevance.split_at(patches * 8);
        let sums = sums.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let counts = counts.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let relevance =
            Relevance::from_parts(n, sums, counts).ok_or_else(|| damaged(RELEVANCE, &"the lengths do not fit"))?;
        let tally = serde_json::from_slice(&resumed.parts.take(TALLY)?).map_err(|e| damaged(TALLY, &e))?;
        Ok(Record { tally, relevance })
    }
}

fn damaged(part: &str, why: &dyn std::fmt::Display) -> crate::Error {
    ErrorKind::Compute { step: format!("checkpoint part {part}"), why: why.to_string() }.into()
}

/// Clusters one slice of the store.
fn state(config: &Config, store: &SliceStore, grid: &PatchGrid, i: usize) -> Result<PatchState> {
    let most = config.training.shift_px as i32;
    let mut draw = stream(config.seed, "pretrain-shift", &[i as u64]);
    let shift = [0; 2].map(|_| if most > 0 { draw.random_range(-most..=most) } else { 0 });
    let window = store.window(i, shift)?;
    let state = PatchState::new(config, grid, &window, &[i as u64]);
    Ok(PatchState { shift, ..state })
}

impl PatchState {
    /// Clusters one slice, `place` makes the draw its own; not displaced.
    pub(super) fn new(config: &Config, grid: &PatchGrid, window: &SliceData, place: &[u64]) -> Self {
        let (n, tissue) = (grid.count(), window.tissue.iter().map(|&t| u8::from(t)).collect::<Vec<_>>());
        let channels = window.pixels.len() / tissue.len().max(1);
        let patches = grid.patches(&window.pixels, channels);
        // A patch is air if none of its pixels is tissue.
        let air: Vec<bool> = grid.lesion_pixels(&tissue).iter().map(|&tissue| tissue == 0).collect();
        let clustering =
            cluster(&patches, n, grid.dimension(channels), &air, &config.method.cluster, config.seed, place);
        let lesion = window.target.as_ref().map(|target| grid.lesion_patches(target));
        Self { label: clustering.labels.clone(), clustering, lesion, shift: [0; 2] }
    }
}
