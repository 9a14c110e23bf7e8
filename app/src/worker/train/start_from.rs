//! Fills in the form from a run: to fine-tune from it, or to train with its settings.

use std::path::PathBuf;

use engine::config::Config;
use engine::event::Stage;
use engine::jobs::stored_config;

use super::{cohort, form};
use crate::state::train::Form;
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// Reads the settings of a run for the form.
pub struct ReadRunConfig {
    /// Folder of the run.
    pub run: PathBuf,
    /// What its settings are for.
    pub purpose: ConfigPurpose,
}

/// What the settings of a run are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigPurpose {
    /// A fine-tuning run starts from the run.
    StartFrom,
    /// The next run is set up like it.
    SetUpLike,
}

impl Job for ReadRunConfig {
    type Output = (PathBuf, Config);

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("run-config"), format!("Reading the run {}", name_of(&self.run))).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<(PathBuf, Config), Failure> {
        let run = std::path::absolute(&self.run).unwrap_or_else(|_| self.run.clone());
        let config = stored_config(&run)?;
        Ok((run, config))
    }

    fn apply(self, result: Result<(PathBuf, Config), Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok((run, config)) => match self.purpose {
                ConfigPurpose::StartFrom => start_from(state, jobs, run, &config),
                ConfigPurpose::SetUpLike => fill_in(state, jobs, &config),
            },
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// Starts fine-tuning from the latest pre-training if it has not been offered before, so that the user's choice stays.
pub fn offer_latest(state: &mut State, jobs: &mut Jobs) {
    let latest = state.latest_pretraining().map(|run| run.path.clone());
    if let Some(run) = latest.filter(|run| state.session.train.form.offered.as_ref() != Some(run)) {
        jobs.start(ReadRunConfig { run, purpose: ConfigPurpose::StartFrom });
    }
}

/// Sets up the form for fine-tuning a run, which determines the preprocessing and the network's shape.
fn start_from(state: &mut State, jobs: &mut Jobs, run: PathBuf, source: &Config) {
    if source.stage != Stage::Pretrain {
        let why = "is a fine-tuned run. Continue it with corrected masks, or start from a pre-trained run.";
        return state.error("Fine-tuning cannot start from this run", format!("{} {why}", run.display()));
    }
    let before = state.session.train.form.clone();
    let mut form = before.clone();
    form.stage = Stage::Finetune;
    // Make the form consistent first, or shared settings would be copied from the form.
    form = form.settled(&before, &state.cache.devices);
    let switched = form.clone();
    let config = &mut form.finetune;
    config.preprocess.clone_from(&source.preprocess);
    config.network.clone_from(&source.network);
    config.data.clone_from(&source.data);
    config.seed = source.seed;
    config.training.shift_px = source.training.shift_px;
    form.offered = state.latest_pretraining().map(|run| run.path.clone());
    form.start_from(run);
    state.cache.train.fills += 1;
    state.session.train.form = form.settled(&switched, &state.cache.devices);
    form::changed(state, jobs, &before);
    read_cohort(state, jobs, source);
}

/// Copies all settings into the form.
pub(super) fn fill_in(state: &mut State, jobs: &mut Jobs, source: &Config) {
    let before = state.session.train.form.clone();
    state.cache.train.fills += 1;
    let offered = state.latest_pretraining().map(|run| run.path.clone());
    state.session.train.form = Form { offered, ..before.like(source) };
    form::changed(state, jobs, &before);
    read_cohort(state, jobs, source);
}

/// Reads the cohort of a run, unless it is the form's already.
fn read_cohort(state: &mut State, jobs: &mut Jobs, source: &Config) {
    let known = state.cache.train.cohort.card().map(|card| &card.cohort.root);
    if known != Some(&source.data.cohort) {
        cohort::start(state, jobs, &source.data.cohort);
    }
}
