//! Masking ratios of runs, to compare with the current setting.

use std::path::Path;

use crate::state::State;
use crate::state::session::RunUse;

/// The masking ratio of a run in one of its epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSigma {
    /// The run's name.
    pub run: String,
    /// The epoch, from 1.
    pub epoch: usize,
    /// Fraction of patches masked in that epoch.
    pub sigma: f64,
}

impl State {
    /// Masking ratio of the pre-training run on the timeline at its cursor, and of the run that reconstructs masked
    /// patches at its last epoch.
    pub fn run_sigmas(&self) -> Vec<RunSigma> {
        let mut found: Vec<RunSigma> = Vec::new();
        let track = self.cache.timeline.pretrain.as_ref();
        let watched = track.and_then(|run| {
            let epoch = run.epoch()?;
            Some(RunSigma { run: run.name.clone(), epoch, sigma: run.history.summary(epoch)?.sigma? })
        });
        found.extend(watched);
        let network = self
            .cache
            .masking
            .network
            .as_ref()
            .filter(|network| Some(network.run.as_path()) == self.run_for(RunUse::Reconstruct));
        if let Some(network) = network.filter(|network| network.epoch > 0) {
            let sigma = network.config.method.ratio.sigma(network.epoch, network.epochs.max(1));
            let run = RunSigma { run: name_of(&network.run), epoch: network.epoch, sigma };
            if found.iter().all(|other| (&other.run, other.epoch) != (&run.run, run.epoch)) {
                found.push(run);
            }
        }
        found
    }
}

fn name_of(run: &Path) -> String {
    run.file_name().map_or_else(|| run.display().to_string(), |name| name.to_string_lossy().into_owned())
}
