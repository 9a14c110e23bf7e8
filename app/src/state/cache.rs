//! Data that can be read or computed again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use engine::device::DeviceInfo;

use super::CaseId;
use super::masking::MaskingCache;
use super::partial_series::PartialSeries;
use super::runs::{FollowCache, RunList};
use super::study::StudyCache;
use super::timeline::TimelineCache;
use super::train::{Results, TrainCache};

/// Lists, volumes, textures and results that are lost at a restart.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Devices for networks, once probed.
    pub devices: Vec<DeviceInfo>,
    /// Modalities that the model selected for segmentation reads.
    pub model: Option<ModelChannels>,
    /// Masks whose remedy was already offered in this session.
    pub offered_masks: BTreeSet<PathBuf>,
    /// The slices of the loading series that have arrived, if loading takes long.
    pub partial_series: Option<PartialSeries>,
    /// The case that has been or is being prefetched.
    pub ahead: Option<CaseId>,
    /// The runs of the workspace.
    pub runs: RunList,
    /// The last known state of runs trained by other processes.
    pub follow: FollowCache,
    /// The runs on the timeline, and their pinned slices.
    pub timeline: TimelineCache,
    /// The cohort of the next job, and data derived from its form.
    pub train: TrainCache,
    /// Metrics of the run on the Results page.
    pub results: Results,
    /// The studies, and the open one.
    pub study: StudyCache,
    /// The shown slice of Masking mode.
    pub masking: MaskingCache,
}

/// The modalities that a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChannels {
    /// The selected run; `None` for the sample model.
    pub run: Option<PathBuf>,
    /// The modalities of its channels; empty before they are read, or if reading failed.
    pub modalities: Option<Vec<String>>,
}
