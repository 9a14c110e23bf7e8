//! Reading a run folder: its configuration, log and pins.

use std::path::{Path, PathBuf};

use engine::config::Config;
use engine::probe::{self, Pin};
use engine::run::workspace::RunStamp;
use engine::run::{History, RunFolder};
use engine::{Error, Result};

/// Content of a run folder.
pub struct RunContent {
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// Its log.
    pub history: History,
    /// Its pinned slices.
    pub pins: Vec<Pin>,
    /// Stamp of the folder before reading.
    pub stamp: RunStamp,
}

/// Reads a run folder, also while it is training.
pub fn read_run(path: &Path) -> Result<RunContent> {
    if !path.is_dir() {
        return Err(Error::file(path, "no such folder"));
    }
    if !RunFolder::is_run(path) {
        return Err(Error::file(path, "is not a run folder. It has no config.toml."));
    }
    let stamp = RunStamp::of(path);
    let folder = RunFolder::open(path)?;
    let config = Config::from_toml(&folder.config_text()?, &folder.config_path())?;
    let (history, pins) = (History::read(path)?, probe::pins(path)?);
    Ok(RunContent { path: path.to_path_buf(), config, history, pins, stamp })
}

/// The process that holds a lock, unless it is this one.
pub(super) fn held_by_another(pid: Option<u32>) -> Option<u32> {
    pid.filter(|pid| *pid != std::process::id())
}

/// Possible locations of the pre-training run of the fine-tuning run `run`: the original one, or next to it if both
/// were moved.
fn places(config: &Config, run: &Path) -> Vec<PathBuf> {
    let from = &config.labels.from;
    if from.as_os_str().is_empty() {
        return Vec::new();
    }
    let mut places = vec![from.clone()];
    if let Some(parent) = run.parent() {
        places.push(parent.join(from));
        places.extend(from.file_name().map(|name| parent.join(name)));
    }
    places
}

/// The pre-training run that a fine-tuning run in `run` started from, if it exists.
pub fn base_of(config: &Config, run: &Path) -> Option<PathBuf> {
    places(config, run).into_iter().find(|place| RunFolder::is_run(place))
}

/// Whether a fine-tuning run in `run` started from `base`.
pub fn is_base(config: &Config, run: &Path, base: &Path) -> bool {
    places(config, run).iter().any(|place| place == base)
}
