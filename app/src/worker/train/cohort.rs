//! Looking at a cohort: what is in its files, and which of its patients train.

use std::path::Path;

use engine::cohort::split::Split;
use engine::cohort::{Cohort, fingerprint_under};
use engine::event::Stage;
use engine::run::RunFolder;

use super::{Told, assess};
use crate::command::train::follow_form;
use crate::state::State;
use crate::state::train::{CohortCard, CohortState, Estimate};
use crate::worker::{Failure, Jobs, Kind, Outcome, Spec};

/// Modalities that lesions are seen best in, where a cohort has several.
const PREFERRED: [&str; 3] = ["flair", "pet", "t1ce"];

/// Reads every file of a folder as the cohort of the next job.
pub fn start(state: &mut State, jobs: &mut Jobs, folder: &Path) {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    for kind in [Kind::Assess, Kind::Split] {
        jobs.cancel_kind(kind);
    }
    state.cache.train.cohort = CohortState::Looking(folder.clone());
    (state.cache.train.estimate, state.cache.train.split) = (Estimate::None, None);
    let threads = super::threads(&state.session.settings);
    let name = folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned());
    let spec = Spec { kind: Kind::Cohort, document: None, title: format!("Looking at {name}"), quiet: false };
    jobs.start(spec, move |ticket| {
        let cohort = Cohort::discover(&folder)?;
        ticket.check()?;
        let progress = |done: usize, of: usize| {
            ticket.progress(Some(done as f32 / of.max(1) as f32), format!("patient {done} of {of}"));
        };
        let read = || fingerprint_under(&cohort, None, &ticket.control, &progress);
        let fingerprint = engine::threads::with(threads, read)??;
        Ok(Outcome::Train(Box::new(Told::Cohort(Box::new(CohortCard { cohort, fingerprint })))))
    });
}

/// The cohort is known: the form is about it from now on.
pub fn found(state: &mut State, jobs: &mut Jobs, card: Box<CohortCard>) {
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
    form.picked.retain(|id| card.cohort.case(id).is_some());
    state.session.train.form = form.settled(&before, &state.cache.devices);
    state.cache.train.cohort = CohortState::Found(card);
    state.cache.train.split = None;
    follow_form(state, jobs, &before);
    assess::start(state, jobs);
}

/// Finds out which patients train, validate and test: those of the run that a fine-tuning starts from, else drawn anew.
pub fn split(state: &mut State, jobs: &mut Jobs) {
    jobs.cancel_kind(Kind::Split);
    let Some(card) = state.cache.train.cohort.card() else {
        state.cache.train.split = None;
        return;
    };
    let form = &state.session.train.form;
    let config = form.config();
    if form.stage == Stage::Pretrain || config.labels.from.as_os_str().is_empty() {
        let split = drawn(card, &config.data.modality, config.seed);
        return took_split(state, jobs, Ok(split));
    }
    let from = config.labels.from.clone();
    let spec = Spec { kind: Kind::Split, document: None, title: "Reading the split".into(), quiet: true };
    jobs.start(spec, move |_| {
        let read = RunFolder::open(&from).and_then(|run| run.read_split::<Split>());
        let told = read.map(Box::new).map_err(|error| error.to_string());
        Ok::<_, Failure>(Outcome::Train(Box::new(Told::Split(told))))
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
    let before = state.session.train.form.clone();
    if let Ok(split) = &split {
        let trains = |id: &String| split.train.contains(id) && split.lesion_ml.get(id).is_some_and(Option::is_some);
        let mut form = before.clone();
        form.picked.retain(trains);
        state.session.train.form = form.settled(&before, &state.cache.devices);
    }
    state.cache.train.split = Some(split);
    if state.session.train.form.config() != before.config() {
        follow_form(state, jobs, &before);
    }
}
