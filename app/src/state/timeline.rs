//! The open runs, live or replayed: their history, the cursors of both tracks, and what was recorded there.

pub mod probes;
pub mod run;
pub mod series;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::event::Stage;
use engine::probe::{Pin, Pins};
use serde::{Deserialize, Serialize};

use crate::scene::Camera;
pub use probes::{Probes, RecordKey, SeenEpoch, SeenSlice, SliceKey, Update};
pub use run::OpenRun;
pub use series::{Quantity, Series};

/// What the Watch page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchView {
    /// The pinned slice, large, and a few curves.
    #[default]
    Probe,
    /// The pinned slice before and after several updates in a row: the paper's Fig. 4.
    Sheet,
    /// Two epochs, or two runs, on the same slice.
    Compare,
    /// Everything that the run logged, over its epochs.
    Curves,
}

impl WatchView {
    /// All of them, in the order of their tabs.
    pub const ALL: [Self; 4] = [Self::Probe, Self::Sheet, Self::Compare, Self::Curves];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probe => "Probe",
            Self::Sheet => "Fig. 4",
            Self::Compare => "Compare",
            Self::Curves => "Curves",
        }
    }
}

/// Which labels of an epoch are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// Those in force during the epoch.
    Before,
    /// Those that its update left.
    #[default]
    After,
    /// Both, side by side.
    Both,
}

impl Labels {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::After, Self::Both];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "Before update",
            Self::After => "After update",
            Self::Both => "Both",
        }
    }
}

/// A part of the drawing that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Colours of the labels.
    Labels,
    /// Their digits.
    Digits,
    /// Hatching of masked patches.
    Masked,
    /// Outlines of patches that the last update flipped.
    Flips,
    /// What the coins of the last update showed.
    Coins,
    /// Outline of the lesion, where a label is known.
    Lesion,
    /// The probability as heat (fine-tuning).
    Heat,
    /// Outline of a probability of one half or more (fine-tuning).
    Edge,
}

impl Layer {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Labels, Self::Digits, Self::Masked, Self::Flips, Self::Coins, Self::Lesion, Self::Heat, Self::Edge];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::Labels => "Labels",
            Self::Digits => "Digits",
            Self::Masked => "Masked",
            Self::Flips => "Flips",
            Self::Coins => "Coins",
            Self::Lesion => "Lesion",
            Self::Heat => "Heat",
            Self::Edge => "Outline",
        }
    }

    /// Whether a loop records what it draws.
    pub fn belongs_to(self, stage: Stage) -> bool {
        match self {
            Self::Lesion => true,
            Self::Heat | Self::Edge => stage == Stage::Finetune,
            _ => stage == Stage::Pretrain,
        }
    }
}

/// How the runs are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// What the Watch page shows.
    pub view: WatchView,
    /// Which labels of an epoch are drawn.
    pub labels: Labels,
    /// What is drawn, by the place in [`Layer::ALL`].
    layers: [bool; Layer::ALL.len()],
    /// Losses on a logarithmic scale.
    pub log: bool,
    /// Weight of the past in smoothed losses, 0 (none) to 0.95.
    pub smoothing: f64,
    /// Columns of Fig. 4.
    pub columns: usize,
    /// Zoom and pan of all probes.
    pub camera: Camera,
    /// The patch whose numbers are shown.
    pub patch: Option<usize>,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            view: WatchView::default(),
            labels: Labels::default(),
            layers: Layer::ALL.map(|layer| layer != Layer::Edge),
            log: false,
            smoothing: 0.0,
            columns: 3,
            camera: Camera::default(),
            patch: None,
        }
    }
}

impl Look {
    /// Whether a part is drawn.
    pub fn shows(&self, layer: Layer) -> bool {
        self.layers[layer as usize]
    }

    /// Draws a part or leaves it out.
    pub fn show(&mut self, layer: Layer, on: bool) {
        self.layers[layer as usize] = on;
    }
}

/// A run that is being opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// Unlike that of any other; what was asked for last wins.
    pub serial: u64,
    /// Its folder.
    pub path: PathBuf,
    /// The epoch to show.
    pub epoch: Option<usize>,
    /// It is opened beside the shown one.
    pub compare: bool,
}

/// What the shown epoch is compared with.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// Another run; the shown one without it.
    pub run: Option<Box<OpenRun>>,
    /// Its epoch; without one that of the cursor (another run), or the first (the same run).
    pub epoch: Option<usize>,
}

/// The pins of the job that trains, shared with it.
#[derive(Clone, Debug)]
pub struct LivePins {
    /// Its run.
    pub run: PathBuf,
    /// Its pinned slices.
    pub pins: Arc<Pins>,
}

/// Everything that the timeline shows.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The upper track.
    pub pretrain: Option<OpenRun>,
    /// The lower track.
    pub finetune: Option<OpenRun>,
    /// The track that keys move and the page shows.
    pub active: Stage,
    /// The run that is being opened.
    pub opening: Option<Opening>,
    /// A run that could not be opened, and why.
    pub failed: Option<(PathBuf, String)>,
    /// What the shown epoch is compared with.
    pub compare: Option<Compare>,
    /// The slice that is looked at.
    pub pin: Option<Pin>,
    /// Slices to pin in the next job.
    pub wanted: Vec<Pin>,
    /// The pins of the job that trains.
    pub live_pins: Option<LivePins>,
    /// What was read of the pinned slices.
    pub probes: Probes,
    /// How all of this is looked at.
    pub look: Look,
    /// The timeline plays; when the next epoch is due, in the window's seconds.
    pub playing: Option<f64>,
}

impl Timeline {
    /// The run in a track.
    pub fn track(&self, stage: Stage) -> Option<&OpenRun> {
        match stage {
            Stage::Pretrain => self.pretrain.as_ref(),
            Stage::Finetune => self.finetune.as_ref(),
        }
    }

    /// The place of a track.
    pub fn slot(&mut self, stage: Stage) -> &mut Option<OpenRun> {
        match stage {
            Stage::Pretrain => &mut self.pretrain,
            Stage::Finetune => &mut self.finetune,
        }
    }

    /// The run that the page shows.
    pub fn shown(&self) -> Option<&OpenRun> {
        self.track(self.active)
    }

    /// The run of a folder, in whichever track.
    pub fn of_path(&mut self, path: &Path) -> Option<&mut OpenRun> {
        [self.pretrain.as_mut(), self.finetune.as_mut()].into_iter().flatten().find(|run| run.path == path)
    }

    /// All open runs.
    pub fn runs(&self) -> impl Iterator<Item = &OpenRun> {
        let other = self.compare.as_ref().and_then(|compare| compare.run.as_deref());
        [self.pretrain.as_ref(), self.finetune.as_ref(), other].into_iter().flatten()
    }

    /// The run and the epoch that the shown one is compared with.
    pub fn compared(&self) -> Option<(&OpenRun, usize)> {
        let (compare, shown) = (self.compare.as_ref()?, self.shown()?);
        let run = compare.run.as_deref().unwrap_or(shown);
        let usual = if compare.run.is_some() { shown.epoch() } else { Some(1) };
        let epoch = compare.epoch.or(usual)?.clamp(1, run.last().max(1));
        (run.last() > 0).then_some((run, epoch))
    }

    /// The slices that can be looked at: pinned in a track, recorded there, or to be pinned in the next job.
    pub fn pins(&self) -> Vec<Pin> {
        let of_run = |run: &OpenRun| run.pins.iter().chain(run.history.probes.keys()).cloned().collect::<Vec<_>>();
        let mut pins: Vec<Pin> = self.runs().flat_map(of_run).chain(self.wanted.iter().cloned()).collect();
        pins.sort();
        pins.dedup();
        pins
    }

    /// Whether a slice is pinned now: in the job that trains, else for the next one.
    pub fn is_pinned(&self, pin: &Pin) -> bool {
        match &self.live_pins {
            Some(live) => live.pins.list().contains(pin),
            None => self.wanted.contains(pin),
        }
    }

    /// Chooses a slice if none is chosen, or if the chosen one is gone.
    pub fn settle_pin(&mut self) {
        let pins = self.pins();
        if self.pin.as_ref().is_none_or(|pin| !pins.contains(pin)) {
            // One that the shown run recorded, before any other.
            let recorded = self.shown().and_then(|run| run.history.probes.keys().next().cloned());
            self.pin = recorded.or_else(|| pins.into_iter().next());
        }
    }

    /// The place of the chosen slice's record of an epoch of a run; none if the run did not record it.
    pub fn record_key(&self, run: &OpenRun, epoch: usize) -> Option<RecordKey> {
        let pin = self.pin.as_ref()?;
        run.recorded(pin).binary_search(&epoch).ok()?;
        Some(RecordKey { slice: SliceKey { run: run.id, stage: run.stage(), pin: pin.clone() }, epoch })
    }

    /// The epochs of the row of Fig. 4, at most `count`: updates of the chosen slice, spread over what is recorded. In
    /// fine-tuning, which has no updates, any epochs.
    pub fn sheet_epochs(&self, run: &OpenRun, count: usize) -> Vec<usize> {
        let Some(pin) = &self.pin else { return Vec::new() };
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
