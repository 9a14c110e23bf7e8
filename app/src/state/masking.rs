//! Masking mode: the controls, and the engine's results for the current slice.
//!
//! Three jobs follow each other: the scan is preprocessed ([`CaseKey`]), its current slice is clustered and masked
//! ([`MaskRequest`]), and a pre-trained network reconstructs the masked patches ([`ReconstructionRequest`]). Each
//! result stores its request, so that outdated results are recognised. They are shown until replaced.

mod controls;
mod result;
mod sigma;

use std::path::PathBuf;

use engine::inspect::{MaskReport, MaskSettings};
use engine::preprocess::{Kind, KindChoice, PreprocessConfig};
use glam::DVec2;
use serde::{Deserialize, Serialize};

pub use controls::{Controls, DisplayOptions, GRIDS, MAX_EPOCHS, Mismatch, RatioSource, SIZES, Switch};
pub use result::{AllChannels, ClusteredSlice, Network, Pictures, PreparedCase, ReconstructedSlice, RequestStatus};
pub use sigma::RunSigma;

use super::{CaseId, Document, Mode, State};
use crate::scene::{Camera, DisplayGrid, Evidence, PlaneMode};

/// Key of a preprocessed scan.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseKey {
    /// The case.
    pub document: CaseId,
    /// Index of the image in the case.
    pub image: usize,
    /// Frame of a 4-D image, from 0.
    pub frame: usize,
    /// CT or not, if set by the user or the cohort. Otherwise determined by file name and values.
    pub kind: Option<Kind>,
    /// Revision and shown frame of the reference, if any.
    pub truth: Option<(u64, usize)>,
    /// Preprocessing.
    pub preprocess: PreprocessConfig,
}

/// A slice of a preprocessed scan, and how it is clustered and masked.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskRequest {
    /// The scan.
    pub case: CaseKey,
    /// Slice of the file, from 0, along its axis nearest to S-I.
    pub slice: usize,
    /// Patches per side.
    pub grid: usize,
    /// Settings of clustering and masking.
    pub settings: MaskSettings,
}

impl MaskRequest {
    /// Whether another request is for the same pixels.
    pub fn same_slice(&self, other: &Self) -> bool {
        self.case == other.case && self.slice == other.slice && self.grid == other.grid
    }

    /// Whether another request has the same crop and patches, so that the results can be drawn together.
    pub fn same_patches(&self, other: &Self) -> bool {
        self.case.document == other.case.document
            && self.case.preprocess == other.case.preprocess
            && self.grid == other.grid
    }

    /// Whether another request has the same pixels and clustering.
    pub fn same_clusters(&self, other: &Self) -> bool {
        let (a, b) = (&self.settings, &other.settings);
        self.same_slice(other) && a.cluster == b.cluster && a.seed == b.seed
    }
}

/// A masked slice to reconstruct, and the run whose network does it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReconstructionRequest {
    /// The masked slice.
    pub wanted: MaskRequest,
    /// The pre-training run.
    pub run: PathBuf,
}

/// The user's choices in Masking mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskingSession {
    /// Settings of clustering and masking.
    pub controls: Controls,
    /// Displayed layers.
    pub shown: DisplayOptions,
    /// The patch whose numbers are shown.
    pub pinned: Option<usize>,
    /// Zoom and pan of the crop, and of the native slice.
    pub cameras: [Camera; 2],
    /// Width factor and shift (in widths) relative to the crop's default contrast.
    pub contrast: Option<DVec2>,
}

impl MaskingSession {
    /// The camera of the large pane.
    pub fn camera(&self, native: bool) -> Camera {
        self.cameras[usize::from(native)]
    }
}

/// Results for the shown slice of Masking mode.
#[derive(Clone, Debug, Default)]
pub struct MaskingCache {
    /// The case of all fields below.
    pub document: Option<CaseId>,
    /// The preprocessed scan.
    pub prepared: Option<PreparedCase>,
    /// The clustered and masked slice for [`State::mask_request`], or the previous result.
    pub found: Option<std::sync::Arc<ClusteredSlice>>,
    /// The network that reconstructs masked patches.
    pub network: Option<Network>,
    /// The scan in all modalities of that network, if it has several.
    pub channels: Option<AllChannels>,
    /// The reconstruction of the slice.
    pub filled: Option<std::sync::Arc<ReconstructedSlice>>,
    /// Status of preprocessing.
    pub preparing: RequestStatus<CaseKey>,
    /// Status of clustering and masking.
    pub clustering: RequestStatus<MaskRequest>,
    /// Status of the reconstruction.
    pub filling: RequestStatus<ReconstructionRequest>,
}

impl MaskingCache {
    /// Drops everything of the last case except the network.
    pub fn change_case(&mut self, document: Option<CaseId>) {
        *self = Self { document, network: self.network.take(), ..Self::default() };
    }

    /// Drops the network. The network of the selected run is loaded when needed.
    pub fn drop_network(&mut self) {
        (self.network, self.filled, self.filling.failed) = (None, None, None);
    }

    /// The error shown in place of the slice.
    pub fn failure(&self) -> Option<&str> {
        let preparing = self.preparing.failed.as_ref().map(|(_, why)| why);
        let clustering = self.clustering.failed.as_ref().map(|(_, why)| why);
        preparing.or(clustering).map(String::as_str)
    }
}

impl State {
    /// The current request of Masking mode; `None` without a case.
    pub fn mask_request(&self) -> Option<MaskRequest> {
        let document = self.document.as_ref()?;
        let controls = &self.session.masking.controls;
        let layer = document.image();
        let key = CaseKey {
            document: document.id,
            image: document.shown,
            frame: layer.frame,
            kind: stated_kind(document),
            truth: document.mask_revisions()[1],
            preprocess: controls.preprocess.clone(),
        };
        let slice = self.file_slice()?;
        Some(MaskRequest { case: key, slice, grid: controls.grid, settings: controls.mask_settings() })
    }

    /// Number of the axial slice of the displayed image at the crosshair, from 1, as the views show it.
    pub fn slice_number(&self) -> Option<usize> {
        let display = DisplayGrid::new(&self.document.as_ref()?.image().volume.grid, PlaneMode::Native);
        Some(display.index_at(self.session.view.crosshair)[2] + 1)
    }

    /// Slice of the displayed image at the crosshair, from 0, along its stored axis nearest to S-I.
    pub fn file_slice(&self) -> Option<usize> {
        let grid = &self.document.as_ref()?.image().volume.grid;
        let display = DisplayGrid::new(grid, PlaneMode::Native);
        let voxel = display.orientation.source_voxel(display.index_at(self.session.view.crosshair), grid.shape);
        Some(voxel[engine::findings::axial_axis(grid)])
    }

    /// Values drawn black and white in the crop.
    pub fn masking_window(&self) -> [f32; 2] {
        let prepared = self.cache.masking.prepared.as_ref();
        let [low, high] = prepared.map_or([0.0, 1.0], |prepared| prepared.window);
        let DVec2 { x: factor, y: shift } = self.session.masking.contrast.unwrap_or(DVec2::new(1.0, 0.0));
        let (middle, half) = (f64::midpoint(low.into(), high.into()), f64::from(high - low) / 2.0);
        let (middle, half) = (middle + shift * 2.0 * half, half * factor);
        [(middle - half) as f32, (middle + half) as f32]
    }

    /// The result, if it matches the current request.
    pub fn current_mask(&self) -> Option<&ClusteredSlice> {
        let wanted = self.mask_request()?;
        self.cache.masking.found.as_deref().filter(|found| found.wanted == wanted)
    }

    /// The numbers of the shown slice, in Masking mode.
    pub fn mask_report(&self) -> Option<MaskReport> {
        let found = self.current_mask().filter(|_| self.session.mode == Mode::Masking)?;
        Some(found.report.clone())
    }
}

/// CT or not, if set by the user.
fn stated_kind(document: &Document) -> Option<Kind> {
    let layer = document.image();
    if layer.info.modality_from != Evidence::User {
        return None;
    }
    match layer.info.modality.kind() {
        KindChoice::Ct => Some(Kind::Ct),
        KindChoice::Other => Some(Kind::Other),
        KindChoice::Auto => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_result_is_drawn_only_with_the_same_crop_and_patches() {
        let request = |slice: usize, grid: usize, size: usize| MaskRequest {
            case: CaseKey {
                document: CaseId(1),
                image: 0,
                frame: 0,
                kind: None,
                truth: None,
                preprocess: PreprocessConfig { size, ..PreprocessConfig::default() },
            },
            slice,
            grid,
            settings: MaskSettings::default(),
        };
        let shown = request(3, 16, 160);
        assert!(shown.same_patches(&request(4, 16, 160)), "the result of another slice stays, dimmed");
        assert!(!shown.same_patches(&request(3, 16, 144)) && !shown.same_patches(&request(3, 20, 160)));
    }
}
