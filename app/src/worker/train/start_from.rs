//! Fills in the form from a run: to fine-tune from it, or to train with its settings.

use std::path::PathBuf;

use engine::config::Config;
use engine::event::Stage;
use engine::jobs::stored_config;

use super::{cohort, form};
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
    /// A fine-tuning run starts from the run, which the user chose.
    StartFrom,
    /// A fine-tuning run starts from the run, which is the latest pre-training.
    Offer,
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
                ConfigPurpose::Offer => {
                    start_from(state, jobs, run.clone(), &config);
                    state.session.train.form.offered = Some(run);
                }
                ConfigPurpose::SetUpLike => fill_in(state, jobs, &config),
            },
            Err(failure) => failure.report(&self.spec().title, state),
        }
    }
}

/// Starts fine-tuning from the latest pre-training, unless the user chose a start.
pub fn offer_latest(state: &mut State, jobs: &mut Jobs) {
    if let Some(run) = offer(state) {
        jobs.start(ReadRunConfig { run, purpose: ConfigPurpose::Offer });
    }
}

/// The latest pre-training, if it has not been offered before and the start is empty or was offered.
fn offer(state: &State) -> Option<PathBuf> {
    let form = &state.session.train.form;
    let from = &form.finetune.labels.from;
    let is_chosen = !from.as_os_str().is_empty() && form.offered.as_ref() != Some(from);
    let latest = state.latest_pretraining().filter(|_| !is_chosen)?.path.clone();
    (form.offered.as_ref() != Some(&latest)).then_some(latest)
}

/// Keeps the start in the form: the latest pre-training of its cohort counts as offered. It does not if it is the start itself,
/// which would then be replaced like an offer.
fn keep_start(state: &mut State) {
    let latest = state.latest_pretraining().map(|run| run.path.clone());
    let form = &mut state.session.train.form;
    form.offered = latest.filter(|latest| *latest != form.finetune.labels.from);
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
    form.start_from(run);
    state.cache.train.fills += 1;
    state.session.train.form = form.settled(&switched, &state.cache.devices);
    keep_start(state);
    form::changed(state, jobs, &before);
    read_cohort(state, jobs, source);
}

/// Copies all settings into the form.
pub(super) fn fill_in(state: &mut State, jobs: &mut Jobs, source: &Config) {
    let before = state.session.train.form.clone();
    state.cache.train.fills += 1;
    state.session.train.form = before.like(source);
    // A pre-training changes no start, which may be an offered one.
    if source.stage == Stage::Finetune {
        keep_start(state);
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::run::workspace::{EntryState, RunEntry};

    use super::*;

    /// Finished pre-trainings of two cohorts, and the form of a pre-training of the first.
    fn state() -> State {
        let mut state = State::default();
        state.session.train.form.pretrain.data.cohort = "lgg".into();
        let run = |(name, cohort): (&str, &str)| RunEntry {
            path: name.into(),
            cohort: cohort.into(),
            epochs_done: 1,
            state: EntryState::Finished,
            ..RunEntry::default()
        };
        state.cache.runs.entries = Some([("lgg-1", "lgg"), ("sts-1", "sts"), ("sts-2", "sts")].map(run).to_vec());
        state
    }

    fn of_cohort(stage: Stage) -> Config {
        let mut config = Config { stage, ..Config::default() };
        config.data.cohort = "sts".into();
        config
    }

    fn select(state: &mut State, run: &str) {
        state.session.runs.selected = Some(run.into());
    }

    /// It was replaced at the next switch to fine-tuning, if it was of another cohort or another run was selected by then.
    #[test]
    fn a_start_that_the_user_chose_stays() {
        let mut jobs = Jobs::new(None, Arc::new(|| ()));
        for chosen in ["sts-1", "sts-2"] {
            for selected in ["sts-1", "sts-2"] {
                let mut started = state();
                select(&mut started, "sts-2");
                start_from(&mut started, &mut jobs, chosen.into(), &of_cohort(Stage::Pretrain));
                let mut like = state();
                select(&mut like, "sts-2");
                let mut source = of_cohort(Stage::Finetune);
                source.labels.from = chosen.into();
                fill_in(&mut like, &mut jobs, &source);
                for state in [&mut started, &mut like] {
                    select(state, selected);
                    let from = &state.session.train.form.finetune.labels.from;
                    assert_eq!((from.clone(), offer(state)), (chosen.into(), None), "{selected} is selected");
                }
            }
        }
    }

    #[test]
    fn an_offered_start_is_replaced_by_a_later_one_and_each_is_offered_once() {
        let (mut state, mut jobs) = (state(), Jobs::new(None, Arc::new(|| ())));
        assert_eq!(offer(&state), None);
        select(&mut state, "lgg-1");
        assert_eq!(offer(&state), Some("lgg-1".into()), "an empty start is filled");
        let run = PathBuf::from("sts-1");
        let read = ReadRunConfig { run: run.clone(), purpose: ConfigPurpose::Offer };
        read.apply(Ok((run, of_cohort(Stage::Pretrain))), &mut state, &mut jobs);
        select(&mut state, "sts-1");
        assert_eq!(offer(&state), None);
        fill_in(&mut state, &mut jobs, &of_cohort(Stage::Pretrain));
        select(&mut state, "sts-2");
        assert_eq!(offer(&state), Some("sts-2".into()));
        // Random weights are a choice too.
        state.session.train.form.start_from(PathBuf::new());
        state.session.train.form.offered = Some("sts-2".into());
        assert_eq!(offer(&state), None);
    }
}
