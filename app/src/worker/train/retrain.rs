//! Sets up a run that continues a fine-tuned run with the corrected masks of its cohort.

use std::path::PathBuf;

use engine::config::Config;
use engine::jobs::retrain::retrain_config;
use engine::jobs::stored_config;

use super::start_from::fill_in;
use crate::state::{Slot, State};
use crate::worker::{Failure, Job, JobHandle, Jobs, Spec, name_of};

/// Reads the run, its cohort and the corrected masks.
pub struct ReadRetraining {
    /// The fine-tuned run.
    pub run: PathBuf,
    /// The folder open in Review, used if the run's cohort folder is missing.
    pub folder: Option<PathBuf>,
    /// Start from the network that validated best.
    pub best: bool,
}

impl Job for ReadRetraining {
    type Output = Config;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("run-config"), format!("Reading the run {}", name_of(&self.run))).quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Config, Failure> {
        let is_there = stored_config(&self.run)?.data.cohort.is_dir();
        let cohort = self.folder.as_deref().filter(|_| !is_there);
        Ok(retrain_config(&self.run, cohort, None, self.best)?)
    }

    fn apply(self, result: Result<Config, Failure>, state: &mut State, jobs: &mut Jobs) {
        match result {
            Ok(config) => fill_in(state, jobs, &config),
            Err(failure) => failure.report("Continue fine-tuning", state),
        }
    }
}
