//! The open runs, live or replayed: their history, the cursors of both tracks, and their recorded slices.

mod options;
mod place;
pub mod probes;
pub mod run;
pub mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::Config;
use engine::event::Stage;
use engine::probe::{Pin, Pins};
use serde::{Deserialize, Serialize};

use super::{Mode, State};

pub use options::{Labels, Layer, WatchOptions, WatchView};
pub use place::{PinPlace, PinSettings, WantedPin};
pub use probes::{EpochRecord, PinnedSlice, Probes, RecordKey, SliceKey, Update};
pub use run::OpenRun;
pub use series::{Quantity, Series};

/// The current request to open runs.
#[derive(Clone, Debug, PartialEq)]
pub struct OpeningRun {
    /// Unique in this session; the newest request wins.
    pub serial: u64,
    /// The run to open on its track, or else the first to compare with.
    pub path: PathBuf,
    /// The epoch to show.
    pub epoch: Option<usize>,
}

/// The runs or the epoch that the shown epoch is compared with.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// Other runs of the same stage: the first one is shown beside the shown run, the curves of all are overlaid. Empty
    /// when two epochs of the shown run are compared.
    pub runs: Vec<OpenRun>,
    /// The epoch of the first; by default the cursor's (another run) or the first epoch (the same run).
    pub epoch: Option<usize>,
}

/// The running job's pins, shared with it.
#[derive(Clone, Debug)]
pub struct LivePins {
    /// Its run.
    pub run: PathBuf,
    /// Its pinned slices.
    pub pins: Arc<Pins>,
}

/// Choices of the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimelineSession {
    /// The track that the page shows and keys move.
    pub active: Stage,
    /// The slice that is shown.
    pub pin: Option<Pin>,
    /// Slices to pin in the next job.
    #[serde(rename = "next_pins")]
    pub wanted: Vec<WantedPin>,
    /// Display settings of the runs.
    pub options: WatchOptions,
    /// While the timeline plays: when the next epoch is due, in the window's seconds.
    #[serde(skip)]
    pub playing: Option<f64>,
}

/// The open runs, and the pinned slices read so far.
#[derive(Clone, Debug, Default)]
pub struct TimelineCache {
    /// The upper track.
    pub pretrain: Option<OpenRun>,
    /// The lower track.
    pub finetune: Option<OpenRun>,
    /// The comparison, if there is one.
    pub compare: Option<Compare>,
    /// The run that is being opened.
    pub opening: Option<OpeningRun>,
    /// A run that could not be opened, and why.
    pub failed: Option<(PathBuf, String)>,
    /// The pinned slices read so far.
    pub probes: Probes,
    /// Their places in their scans, as far as known.
    pub places: Vec<PinPlace>,
}

impl TimelineCache {
    /// The run in a track.
    pub fn track(&self, stage: Stage) -> Option<&OpenRun> {
        match stage {
            Stage::Pretrain => self.pretrain.as_ref(),
            Stage::Finetune => self.finetune.as_ref(),
        }
    }

    /// The run on a track, mutable.
    pub fn slot(&mut self, stage: Stage) -> &mut Option<OpenRun> {
        match stage {
            Stage::Pretrain => &mut self.pretrain,
            Stage::Finetune => &mut self.finetune,
        }
    }

    /// The run of a folder, on either track.
    pub fn of_path(&mut self, path: &Path) -> Option<&mut OpenRun> {
        [self.pretrain.as_mut(), self.finetune.as_mut()].into_iter().flatten().find(|run| run.path == path)
    }

    /// All open runs.
    pub fn runs(&self) -> impl Iterator<Item = &OpenRun> {
        let others = self.compare.iter().flat_map(|compare| &compare.runs);
        [self.pretrain.as_ref(), self.finetune.as_ref()].into_iter().flatten().chain(others)
    }

    /// All open runs, mutable.
    pub fn runs_mut(&mut self) -> impl Iterator<Item = &mut OpenRun> {
        let others = self.compare.iter_mut().flat_map(|compare| &mut compare.runs);
        [self.pretrain.as_mut(), self.finetune.as_mut()].into_iter().flatten().chain(others)
    }
}

impl TimelineSession {
    /// Whether a slice is pinned in the next job.
    pub fn wants(&self, pin: &Pin) -> bool {
        self.wanted.iter().any(|wanted| wanted.pin == *pin)
    }
}

impl State {
    /// The run that the page shows.
    pub fn watched_run(&self) -> Option<&OpenRun> {
        self.cache.timeline.track(self.session.timeline.active)
    }

    /// The bottom strip is visible. Without a run, Train has no timeline, and its pages use the height.
    pub fn shows_strip(&self) -> bool {
        let timeline = || self.watched_run().is_some() || self.preparing().is_some();
        self.session.settings.strip && (self.session.mode != Mode::Train || timeline())
    }

    /// The run and the epoch that the shown one is compared with.
    pub fn compared_run(&self) -> Option<(&OpenRun, usize)> {
        let (compare, shown) = (self.cache.timeline.compare.as_ref()?, self.watched_run()?);
        let run = compare.runs.first().unwrap_or(shown);
        let usual = if compare.runs.is_empty() { Some(1) } else { shown.epoch() };
        let epoch = compare.epoch.or(usual)?.clamp(1, run.last().max(1));
        (run.last() > 0).then_some((run, epoch))
    }

    /// The other runs whose curves are overlaid.
    pub fn overlaid_runs(&self) -> &[OpenRun] {
        self.cache.timeline.compare.as_ref().map_or(&[], |compare| &compare.runs)
    }

    /// The slices that can be shown: pinned or recorded in a run on a track, or to be pinned in the next job.
    pub fn pins(&self) -> Vec<Pin> {
        let of_run = |run: &OpenRun| run.pins.iter().chain(run.history.probes.keys()).cloned().collect::<Vec<_>>();
        let recorded = self.cache.timeline.runs().flat_map(of_run);
        let mut pins: Vec<Pin> =
            recorded.chain(self.session.timeline.wanted.iter().map(|wanted| wanted.pin.clone())).collect();
        pins.sort();
        pins.dedup();
        pins
    }

    /// Settings for preprocessing a slice to pin: those of the watched run, else those of the form.
    pub fn pin_config(&self) -> Option<Arc<Config>> {
        let form = || {
            let config = self.session.train.form.config();
            let known = self.cache.train.cohort.card().is_some() && !config.data.modality.is_empty();
            known.then(|| Arc::new(config.clone()))
        };
        self.watched_run().map(|run| Arc::clone(&run.config)).or_else(form)
    }

    /// Whether a slice is pinned in the current job, or else for the next one.
    pub fn is_pinned(&self, pin: &Pin) -> bool {
        match &self.training.pins {
            Some(live) => live.pins.list().contains(pin),
            None => self.session.timeline.wants(pin),
        }
    }

    /// Selects a slice if none is selected or it no longer exists.
    pub fn settle_pin(&mut self) {
        let pins = self.pins();
        if self.session.timeline.pin.as_ref().is_none_or(|pin| !pins.contains(pin)) {
            // Prefer one recorded by the shown run.
            let recorded = self.watched_run().and_then(|run| run.history.probes.keys().next().cloned());
            self.session.timeline.pin = recorded.or_else(|| pins.into_iter().next());
        }
    }

    /// Key of the record of the selected slice at an epoch of a run; `None` if the run did not record it.
    pub fn record_key(&self, run: &OpenRun, epoch: usize) -> Option<RecordKey> {
        let pin = self.session.timeline.pin.as_ref()?;
        run.recorded(pin).binary_search(&epoch).ok()?;
        Some(RecordKey { slice: SliceKey { run: run.id, stage: run.stage(), pin: pin.clone() }, epoch })
    }

    /// At most `count` epochs for the columns of Fig. 4, spread over the records of the selected slice: epochs with
    /// updates or, in fine-tuning, any.
    pub fn sheet_epochs(&self, run: &OpenRun, count: usize) -> Vec<usize> {
        let Some(pin) = &self.session.timeline.pin else { return Vec::new() };
        let recorded = run.recorded(pin);
        let updates: Vec<usize> = recorded.iter().copied().filter(|&e| run.history.relabel(e).is_some()).collect();
        let from = if updates.is_empty() { recorded.to_vec() } else { updates };
        if from.len() <= count {
            return from;
        }
        let last = from.len() - 1;
        (0..count).map(|n| from[if count > 1 { n * last / (count - 1) } else { last }]).collect()
    }
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;
