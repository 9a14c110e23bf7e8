//! Data that can be read or computed again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use engine::device::DeviceInfo;

use super::CaseId;
use super::arriving::Arriving;
use super::masking::MaskingCache;
use super::runs::{FollowCache, RunList};
use super::study::StudyCache;
use super::timeline::TimelineCache;
use super::train::{Results, TrainCache};

/// Lists, volumes, textures and results that are lost at a restart.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Devices that can compute, once probed.
    pub devices: Vec<DeviceInfo>,
    /// What the model chosen for segmentation reads.
    pub model: Option<ModelChannels>,
    /// Masks whose remedy was already offered in this session.
    pub offered_masks: BTreeSet<PathBuf>,
    /// The decoded slices of the series that is being opened, if that takes long.
    pub arriving: Option<Arriving>,
    /// The case that is, or is being, read ahead of the open one.
    pub ahead: Option<CaseId>,
    /// The runs of the workspace.
    pub runs: RunList,
    /// The last known state of runs trained by other processes.
    pub follow: FollowCache,
    /// The runs on the timeline, and their pinned slices.
    pub timeline: TimelineCache,
    /// The cohort of the next job, and data derived from its form.
    pub train: TrainCache,
    /// Measures of the run whose results are shown.
    pub results: Results,
    /// The studies, and the open one.
    pub study: StudyCache,
    /// The shown slice of Masking mode.
    pub masking: MaskingCache,
}

/// The images that a model reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChannels {
    /// The selected run; `None` for the sample model.
    pub run: Option<PathBuf>,
    /// The modalities of its channels; empty before they are read, or if reading failed.
    pub modalities: Option<Vec<String>>,
}
