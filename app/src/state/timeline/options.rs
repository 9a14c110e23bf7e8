//! Display options of the runs on the timeline.

use engine::event::Stage;
use serde::{Deserialize, Serialize};

use super::OpenRun;
use crate::scene::Camera;

/// Tabs of the Watch page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchView {
    /// The pinned slice, large, and a few curves.
    #[default]
    Probe,
    /// The pinned slice before and after successive updates, as in the paper's Fig. 4.
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

/// Labels of an epoch, which its update may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// The labels during the epoch.
    Before,
    /// The labels after its update.
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

/// A layer of the drawing that can be switched off.
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
    /// Labels drawn at random in the last update.
    Coins,
    /// Outline of the reference, if there is one.
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
            Self::Lesion => "Reference",
            Self::Heat => "Probability",
            Self::Edge => "Outline",
        }
    }

    /// Whether the run's method records its data.
    pub fn belongs_to(self, run: &OpenRun) -> bool {
        match self {
            Self::Lesion => true,
            Self::Heat | Self::Edge => run.stage() == Stage::Finetune,
            Self::Masked => run.stage() == Stage::Pretrain,
            Self::Labels | Self::Digits | Self::Flips | Self::Coins => run.has_labels(),
        }
    }
}

/// Display settings of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchOptions {
    /// The shown tab.
    pub view: WatchView,
    /// Which labels of an epoch are drawn.
    pub labels: Labels,
    /// Which layers are drawn, by their index in [`Layer::ALL`].
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

impl Default for WatchOptions {
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

impl WatchOptions {
    /// Whether a layer is drawn.
    pub fn shows(&self, layer: Layer) -> bool {
        self.layers[layer as usize]
    }

    /// Shows or hides a layer.
    pub fn show(&mut self, layer: Layer, on: bool) {
        self.layers[layer as usize] = on;
    }
}
