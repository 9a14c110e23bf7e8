//! A run on a track.

use std::path::PathBuf;
use std::sync::Arc;

use engine::config::Config;
use engine::event::{Event, Stage};
use engine::probe::Pin;
use engine::run::History;

use super::Series;

/// How many of the last epochs tell how fast a run goes.
const PACE: usize = 5;

/// An open run.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Unlike that of any other run or case opened in this session.
    pub id: u64,
    /// Its folder.
    pub path: PathBuf,
    /// The name in the window.
    pub name: String,
    /// Its configuration.
    pub config: Arc<Config>,
    /// What it has told.
    pub history: History,
    /// Its curves.
    pub series: Series,
    /// A job trains it now, and tells of it.
    pub live: bool,
    /// What was told while what the folder knew was still being read; none once that is done.
    pub waiting: Option<Vec<Event>>,
    /// The epoch that is looked at; none follows the newest.
    pub cursor: Option<usize>,
    /// The pinned slices.
    pub pins: Vec<Pin>,
}

impl OpenRun {
    /// Which loop made it.
    pub fn stage(&self) -> Stage {
        self.config.stage
    }

    /// The newest epoch that was told to its end; 0 before the first.
    pub fn last(&self) -> usize {
        self.history.epochs_done()
    }

    /// Epochs planned, at least those done.
    pub fn epochs(&self) -> usize {
        self.history.epochs.max(self.last())
    }

    /// The epoch at the cursor; none before the first has ended.
    pub fn epoch(&self) -> Option<usize> {
        let last = self.last();
        (last > 0).then(|| self.cursor.map_or(last, |cursor| cursor.clamp(1, last)))
    }

    /// The epochs recorded of a slice, rising.
    pub fn recorded(&self, pin: &Pin) -> &[usize] {
        self.history.probes.get(pin).map_or(&[], Vec::as_slice)
    }

    /// The last update of the labels at an epoch or before it.
    pub fn update_at(&self, epoch: usize) -> Option<usize> {
        let rows = &self.history.relabels;
        rows[..rows.partition_point(|row| row.epoch <= epoch)].last().map(|row| row.epoch)
    }

    /// Seconds of an epoch, from the last few; none before the second has ended.
    pub fn seconds_per_epoch(&self) -> Option<f64> {
        let seconds = &self.history.seconds;
        let from = seconds.len().saturating_sub(PACE + 1);
        let (first, last) = (seconds.get(from)?, seconds.last()?);
        let epochs = seconds.len() - 1 - from;
        (epochs > 0 && last > first).then(|| (last - first) / epochs as f64)
    }

    /// Slices a second.
    pub fn pace(&self) -> Option<f64> {
        self.seconds_per_epoch().map(|seconds| self.history.slices as f64 / seconds).filter(|pace| *pace > 0.0)
    }

    /// Seconds to go at this pace.
    pub fn seconds_left(&self) -> Option<f64> {
        self.seconds_per_epoch().map(|seconds| seconds * (self.epochs() - self.last()) as f64)
    }
}
