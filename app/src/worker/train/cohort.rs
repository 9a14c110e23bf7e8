//! Reads a cohort: its files and its split.

use std::path::{Path, PathBuf};

use engine::cohort::split::Split;
use engine::cohort::{Cohort, FingerprintCache, FingerprintOptions, fingerprint_with};
use engine::config::Config;
use engine::event::Stage;
use engine::jobs::planned_split;

use super::{assess, form};
use crate::state::train::{CohortCard, CohortState, Estimate, TrainPage};
use crate::state::{Mode, Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// One cohort is read at a time.
pub const SLOT: Slot = Slot::exclusive("cohort");
const SPLIT: Slot = Slot::exclusive("split");

/// Modalities that show lesions best, preferred if a cohort has several.
const PREFERRED: [&str; 3] = ["flair", "pet", "t1ce"];

/// Reads and checks every file of a folder.
struct ReadCohort {
    folder: PathBuf,
    threads: usize,
    cache: Option<FingerprintCache>,
}

/// Reads a folder as the cohort of the next job.
pub fn start(state: &mut State, jobs: &mut Jobs, folder: &Path) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    for slot in [assess::SLOT, SPLIT] {
        jobs.cancel_slot(slot);
    }
    let train = &mut state.cache.train;
    train.cohort = CohortState::Reading(folder.clone());
    (train.estimate, train.split) = (Estimate::None, None);
    let (threads, cache) = (super::threads(&state.session.settings), state.fingerprints.clone());
    jobs.start(ReadCohort { folder, threads, cache });
}

/// Reads the cohort of the last session once the form is shown, since a large one takes time.
pub fn read_remembered(state: &mut State, jobs: &mut Jobs) {
    let shown = state.session.mode == Mode::Train && state.session.train.page == TrainPage::Setup;
    if let (true, CohortState::Remembered(folder)) = (shown, &state.cache.train.cohort) {
        let folder = folder.clone();
        start(state, jobs, &folder);
    }
}

impl Job for ReadCohort {
    type Output = CohortCard;

    fn spec(&self) -> Spec {
        Spec::new(SLOT, format!("Reading {}", name_of(&self.folder)))
    }

    fn run(&self, handle: &JobHandle) -> Result<CohortCard, Failure> {
        let cohort = Cohort::discover(&self.folder)?;
        handle.check()?;
        let progress = |done: usize, of: usize| {
            handle.progress(Some(done as f32 / of.max(1) as f32), format!("patient {done} of {of}"));
        };
        let options = FingerprintOptions { cache: self.cache.as_ref(), ..FingerprintOptions::default() };
        let read = || fingerprint_with(&cohort, &options, &handle.control, &progress);
        let fingerprint = engine::threads::with(self.threads, read)??;
        Ok(CohortCard { cohort, fingerprint })
    }

    fn apply(self, result: Result<CohortCard, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(card) => use_cohort(state, jobs, card),
            Err(failure) => {
                failure.report(&self.spec().title, state);
                state.cache.train.cohort = CohortState::Failed(self.folder, failure.reason());
            }
        }
    }
}

/// Makes a cohort that was read the one of the form.
fn use_cohort(state: &mut State, jobs: &mut Jobs, card: CohortCard) {
    let before = state.session.train.form.clone();
    let mut form = before.clone();
    let modalities = card.cohort.modalities();
    let usual = PREFERRED.into_iter().find(|m| modalities.contains_key(*m)).map(str::to_owned);
    let usual = usual.or_else(|| modalities.keys().next().cloned());
    for config in [&mut form.pretrain, &mut form.finetune] {
        config.data.cohort.clone_from(&card.cohort.root);
        config.data.modality.retain(|m| modalities.contains_key(m));
        if config.data.modality.is_empty() {
            config.data.modality.extend(usual.clone());
        }
    }
    form.picked.retain(|id| card.cohort.patients().contains(id.as_str()));
    state.session.train.form = form.settled(&before, &state.cache.devices);
    state.cache.train.cohort = CohortState::Ready(Box::new(card));
    state.cache.train.split = None;
    form::changed(state, jobs, &before);
    assess::start(state, jobs);
}

/// Reads the split of the run that a fine-tuning run starts from, with the patients that have corrected masks.
struct ReadSplit {
    config: Config,
    cohort: Cohort,
    /// The split if that run was trained on another cohort.
    drawn: Split,
}

/// Determines the split: that of the run that fine-tuning starts from, else drawn.
pub fn split(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(SPLIT);
    let Some(card) = state.cache.train.cohort.card() else {
        state.cache.train.split = None;
        return;
    };
    let form = &state.session.train.form;
    let config = form.config();
    let drawn = drawn(card, &config.data.modality, config.seed);
    if form.stage == Stage::Pretrain || config.labels.from.as_os_str().is_empty() {
        return split_known(state, jobs, Ok(drawn));
    }
    jobs.start(ReadSplit { config: config.clone(), cohort: card.cohort.clone(), drawn });
}

impl Job for ReadSplit {
    type Output = Split;

    fn spec(&self) -> Spec {
        Spec::new(SPLIT, "Reading the split").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Split, Failure> {
        Ok(planned_split(&self.config, &self.cohort)?.unwrap_or_else(|| self.drawn.clone()))
    }

    fn apply(self, result: Result<Split, Failure>, state: &mut State, jobs: &mut Jobs) {
        split_known(state, jobs, result.map_err(|failure| failure.reason()));
    }
}

/// The split that a new run would draw.
fn drawn(card: &CohortCard, modalities: &[String], seed: u64) -> Split {
    Split::draw(&card.fingerprint.volumes(&card.cohort, modalities), seed)
}

/// Stores the split. Patients that are not in its training part are no longer selected as labelled.
fn split_known(state: &mut State, jobs: &mut Jobs, split: Result<Split, String>) {
    let before = state.session.train.form.clone();
    if let Ok(split) = &split {
        let trains = |id: &String| split.train.contains(id) && split.lesion_ml.get(id).is_some_and(Option::is_some);
        let mut form = before.clone();
        form.picked.retain(trains);
        state.session.train.form = form.settled(&before, &state.cache.devices);
    }
    state.cache.train.split = Some(split);
    if state.label_problem().is_some() {
        // With more labelled patients than available, there is nothing to estimate.
        assess::start(state, jobs);
    }
    if state.session.train.form.config() != before.config() {
        form::changed(state, jobs, &before);
    }
}
