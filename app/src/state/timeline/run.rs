//! A run on a track.

use std::path::PathBuf;
use std::sync::Arc;

use engine::config::{Config, Pretext};
use engine::event::{Event, Stage};
use engine::probe::Pin;
use engine::run::History;
use engine::run::history::RunState;
use engine::run::workspace::RunStamp;

use super::{PinSettings, Series};

/// An open run.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// Unique among the runs and cases opened in this session.
    pub id: u64,
    /// Its folder.
    pub path: PathBuf,
    /// The name in the window.
    pub name: String,
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its log.
    pub history: History,
    /// Its curves.
    pub series: Series,
    /// Trained by this window.
    pub live: bool,
    /// The other process that trains or evaluates it; 0 if the system does not report its id.
    pub held_by: Option<u32>,
    /// Stamp of its folder when last read, to detect changes by another process.
    pub stamp: RunStamp,
    /// Events that arrived while its history was being read; `None` once it has been read.
    pub waiting: Option<Vec<Event>>,
    /// The epoch at the cursor; `None` follows the newest.
    pub cursor: Option<usize>,
    /// The pinned slices.
    pub pins: Vec<Pin>,
}

impl OpenRun {
    /// Whether it is being trained, by this window or another process.
    pub fn is_growing(&self) -> bool {
        self.live || self.held_by.is_some()
    }

    /// Short description of who trains it, if anyone.
    pub fn trainer(&self) -> Option<&'static str> {
        match (self.live, self.held_by) {
            (true, _) if self.history.state == RunState::Paused => Some("paused"),
            (true, _) => Some("live"),
            (false, Some(_)) => Some("trained by another process"),
            (false, None) => None,
        }
    }

    /// What it waits for while no epoch has finished.
    pub fn before_first_epoch(&self) -> &'static str {
        match (self.is_growing(), &self.history.state) {
            (true, RunState::Paused) => "Paused in the first epoch.",
            (true, _) => "Waiting for the first epoch to finish.",
            (false, _) => "This run has no finished epoch yet.",
        }
    }

    /// Pre-training or fine-tuning.
    pub fn stage(&self) -> Stage {
        self.config.stage
    }

    /// Whether its method labels the patches of every slice, as AMLP and its ablations do.
    pub fn has_labels(&self) -> bool {
        self.stage() == Stage::Pretrain && self.config.method.pretext == Pretext::Amlp
    }

    /// Whether it updates these labels, which not every ablation does.
    pub fn updates_labels(&self) -> bool {
        self.has_labels() && self.config.method.relabel
    }

    /// The newest finished epoch; 0 before the first.
    pub fn last(&self) -> usize {
        self.history.epochs_done()
    }

    /// Planned epochs, at least those done.
    pub fn epochs(&self) -> usize {
        self.history.epochs.max(self.last())
    }

    /// The epoch at the cursor; `None` before the first one has ended.
    pub fn epoch(&self) -> Option<usize> {
        let last = self.last();
        (last > 0).then(|| self.cursor.map_or(last, |cursor| cursor.clamp(1, last)))
    }

    /// The recorded epochs of a slice, ascending.
    pub fn recorded(&self, pin: &Pin) -> &[usize] {
        self.history.probes.get(pin).map_or(&[], Vec::as_slice)
    }

    /// Whether a slice is pinned or recorded in it.
    pub fn has_pin(&self, pin: &Pin) -> bool {
        self.pins.contains(pin) || self.history.probes.contains_key(pin)
    }

    /// What determines the places of its pinned slices.
    pub fn pin_settings(&self) -> PinSettings {
        PinSettings::of(&self.config, Some(&self.path))
    }

    /// The last update of the labels at an epoch or before it.
    pub fn update_at(&self, epoch: usize) -> Option<usize> {
        let rows = &self.history.relabels;
        rows[..rows.partition_point(|row| row.epoch <= epoch)].last().map(|row| row.epoch)
    }
}
