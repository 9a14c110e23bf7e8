//! Looking at a cohort: what is in its files, and which of its patients train.

use std::path::Path;

use engine::cohort::split::Split;
use engine::cohort::{Cohort, fingerprint_under};
use engine::event::Stage;
use engine::run::RunFolder;

use super::{Told, assess, follow_form};
use crate::state::train::{CohortCard, CohortState, Estimate};
use crate::state::{Slot, State};
use crate::worker::{Jobs, Spec};

/// One cohort is looked at at a time.
pub const SLOT: Slot = Slot::exclusive("cohort");
/// One split is read at a time.
const SPLIT: Slot = Slot::exclusive("split");

/// Modalities that lesions are seen best in, where a cohort has several.
const PREFERRED: [&str; 3] = ["flair", "pet", "t1ce"];

/// Reads every file of a folder as the cohort of the next job.
pub fn start(state: &mut State, jobs: &mut Jobs, folder: &Path) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    for slot in [assess::SLOT, SPLIT] {
        jobs.cancel_slot(slot);
    }
    state.train.cohort = CohortState::Looking(folder.clone());
    (state.train.estimate, state.train.split) = (Estimate::None, None);
    let threads = super::threads(&state.settings);
    let name = folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned());
    let spec = Spec::new(SLOT, format!("Looking at {name}"));
    super::start(jobs, spec, move |handle| {
        let cohort = Cohort::discover(&folder)?;
        handle.check()?;
        let progress = |done: usize, of: usize| {
            handle.progress(Some(done as f32 / of.max(1) as f32), format!("patient {done} of {of}"));
        };
        let read = || fingerprint_under(&cohort, None, &handle.control, &progress);
        let fingerprint = engine::threads::with(threads, read)??;
        Ok(Told::Cohort(Box::new(CohortCard { cohort, fingerprint })))
    });
}

/// The cohort is known: the form is about it from now on.
pub fn found(state: &mut State, jobs: &mut Jobs, card: Box<CohortCard>) {
    let before = state.train.form.clone();
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
    form.picked.retain(|id| card.cohort.case(id).is_some());
    state.train.form = form.settled(&before, &state.devices);
    state.train.cohort = CohortState::Found(card);
    state.train.split = None;
    follow_form(state, jobs, &before);
    assess::start(state, jobs);
}

/// Finds out which patients train, validate and test: those of the run that a fine-tuning starts from, else drawn anew.
pub fn split(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_slot(SPLIT);
    let Some(card) = state.train.cohort.card() else {
        state.train.split = None;
        return;
    };
    let form = &state.train.form;
    let config = form.config();
    if form.stage == Stage::Pretrain || config.labels.from.as_os_str().is_empty() {
        let split = drawn(card, &config.data.modality, config.seed);
        return took_split(state, jobs, Ok(split));
    }
    let from = config.labels.from.clone();
    let spec = Spec::new(SPLIT, "Reading the split").quiet();
    super::start(jobs, spec, move |_| {
        let read = RunFolder::open(&from).and_then(|run| run.read_split::<Split>());
        let told = read.map(Box::new).map_err(|error| error.to_string());
        Ok(Told::Split(told))
    });
}

/// The split that a new run would draw: patients who have every modality and are not held out.
fn drawn(card: &CohortCard, modalities: &[String], seed: u64) -> Split {
    let mut patients = card.fingerprint.volumes(&card.cohort);
    let complete = |id: &str| {
        card.cohort.case(id).is_some_and(|c| !c.held_out && modalities.iter().all(|m| c.images.contains_key(m)))
    };
    patients.retain(|(id, _)| complete(id));
    Split::draw(&patients, seed)
}

/// Which patients train is known: nobody else can be picked.
pub fn took_split(state: &mut State, jobs: &mut Jobs, split: Result<Split, String>) {
    let before = state.train.form.clone();
    if let Ok(split) = &split {
        let trains = |id: &String| split.train.contains(id) && split.lesion_ml.get(id).is_some_and(Option::is_some);
        let mut form = before.clone();
        form.picked.retain(trains);
        state.train.form = form.settled(&before, &state.devices);
    }
    state.train.split = Some(split);
    if state.train.form.config() != before.config() {
        follow_form(state, jobs, &before);
    }
}
