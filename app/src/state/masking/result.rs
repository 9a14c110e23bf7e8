//! Results of the jobs of Masking mode, each with its request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use engine::cluster::Clustering;
use engine::config::Config;
use engine::inspect::{InspectedCase, InspectedSlice, MaskReport, Masking, Reconstruction, Reconstructor};

use super::{CaseKey, MaskRequest, ReconstructionRequest};
use crate::gpu::Texture;

/// The running request, and the last one that failed, which is not retried automatically.
#[derive(Clone, Debug)]
pub struct RequestStatus<K> {
    /// The request of the running job.
    pub asked: Option<K>,
    /// The request that failed or was cancelled, and why.
    pub failed: Option<(K, String)>,
}

impl<K> Default for RequestStatus<K> {
    fn default() -> Self {
        Self { asked: None, failed: None }
    }
}

impl<K: PartialEq> RequestStatus<K> {
    /// Whether a job must be started to get `key`.
    pub fn is_due(&self, key: &K) -> bool {
        self.asked.as_ref() != Some(key) && !self.failed.as_ref().is_some_and(|(failed, _)| failed == key)
    }

    /// Records that a job was started for `key`, and clears an older failure.
    pub fn begin(&mut self, key: K) {
        *self = Self { asked: Some(key), failed: None };
    }

    /// Records that the running job ended without a result.
    pub fn fail(&mut self, why: &str) {
        if let Some(key) = self.asked.take() {
            self.failed = Some((key, why.to_owned()));
        }
    }

    /// Clears the failure of any request other than `key`.
    pub fn keep_failure_of(&mut self, key: &K) {
        if self.failed.as_ref().is_some_and(|(failed, _)| failed != key) {
            self.failed = None;
        }
    }
}

/// A scan preprocessed as for training.
#[derive(Clone, Debug)]
pub struct PreparedCase {
    /// Its request.
    pub key: CaseKey,
    /// The scan.
    pub case: Arc<InspectedCase>,
    /// Values drawn black and white, the same for all slices.
    pub window: [f32; 2],
}

/// The scan in all modalities that a network was trained on, on the grid of the shown image.
#[derive(Clone, Debug)]
pub struct AllChannels {
    /// Its request.
    pub key: CaseKey,
    /// The modalities, in the network's order.
    pub modalities: Vec<String>,
    /// Index of the displayed one.
    pub shown: usize,
    /// The scan.
    pub case: Arc<InspectedCase>,
}

/// The textures of a slice; `None` without an adapter.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// The preprocessed pixels of the first channel.
    pub slice: Option<Texture>,
    /// The reference, labels 0 and 1 on the same pixels.
    pub lesion: Option<Texture>,
    /// The patches, with the foreground probability as heat.
    pub cells: Option<Texture>,
    /// The crop extends beyond the scan.
    pub padded: bool,
}

/// A slice, clustered and masked.
#[derive(Clone, Debug)]
pub struct ClusteredSlice {
    /// Its request.
    pub wanted: MaskRequest,
    /// Its pixels and patches.
    pub slice: Arc<InspectedSlice>,
    /// Foreground and background of its patches.
    pub clusters: Arc<Clustering>,
    /// Which patches are masked.
    pub masking: Masking,
    /// Rank of each patch in the masking order, from 1.
    pub places: Vec<u16>,
    /// The numbers shown in the panel.
    pub report: MaskReport,
    /// The textures.
    pub pictures: Pictures,
}

/// A pre-trained network.
#[derive(Clone)]
pub struct Network {
    /// Folder of the run that trained it.
    pub run: PathBuf,
    /// The configuration it was trained with.
    pub config: Arc<Config>,
    /// Number of epochs it was trained for.
    pub epoch: usize,
    /// Number of epochs of its schedule.
    pub epochs: usize,
    /// The network itself; one job at a time uses it.
    pub reconstructor: Arc<Mutex<Reconstructor>>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({}, epoch {})", self.run.display(), self.epoch)
    }
}

/// A reconstructed slice.
#[derive(Clone, Debug)]
pub struct ReconstructedSlice {
    /// Its request.
    pub filling: ReconstructionRequest,
    /// Its input, its output and the losses.
    pub made: Reconstruction,
    /// Index of the displayed channel.
    pub channel: usize,
    /// Relative loss at the end of the colour map.
    pub top: f32,
    /// Texture of the displayed channel of the input.
    pub input: Option<Texture>,
    /// Texture of the displayed channel of the output.
    pub output: Option<Texture>,
    /// The patches, with the relative loss as heat.
    pub cells: Option<Texture>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_request_is_not_repeated_until_it_changes() {
        let mut attempt = RequestStatus::default();
        assert!(attempt.is_due(&1));
        attempt.begin(1);
        assert!(!attempt.is_due(&1) && attempt.is_due(&2));
        attempt.fail("no");
        assert!(!attempt.is_due(&1));
        attempt.keep_failure_of(&1);
        assert_eq!(attempt.failed, Some((1, "no".into())));
        attempt.keep_failure_of(&2);
        assert!(attempt.failed.is_none() && attempt.is_due(&1));
        // Without a job nothing can fail.
        attempt.fail("late");
        assert!(attempt.failed.is_none());
    }
}
