//! The open case.

use std::path::PathBuf;
use std::sync::Arc;

use engine::findings::Finding;
use engine::findings::comparison::Comparison;
use engine::metrics::Measures;
use engine::volume::Grid;
use glam::DVec3;

use super::{CaseId, ImageLayer, Intent, MaskLayer, ProbabilityLayer};
use crate::scene::{DisplayGrid, PlaneMode};

/// A case: images of one patient, and what is known of their lesions.
#[derive(Clone, Debug)]
pub struct Document {
    /// Identifies this opening of the case: opened again, it has another.
    pub id: CaseId,
    /// The case of the list that this is.
    pub listed: Option<CaseId>,
    /// The case's name in the window.
    pub title: String,
    /// What was opened: a file, or a folder of one patient.
    pub path: PathBuf,
    /// The images; never empty. Masks lie on the first one's grid.
    pub images: Vec<ImageLayer>,
    /// The image in the panes.
    pub shown: usize,
    /// The automatic segmentation.
    pub prediction: Option<MaskLayer>,
    /// The reference.
    pub truth: Option<MaskLayer>,
    /// The network's probability.
    pub probability: Option<ProbabilityLayer>,
    /// The findings of the segmentation, of the reference without one.
    pub findings: Option<Findings>,
    /// Segmentation against reference.
    pub comparison: Option<Arc<Comparison>>,
    /// All measures of the segmentation against the reference.
    pub metrics: Option<Measures>,
    /// Uncertainty by slice.
    pub entropy: Option<Entropy>,
    /// The segmentation that a running one has taken the place of.
    pub replaced: Option<Box<Stash>>,
    /// Where the crosshair was put on opening. Until the findings arrive: if the user has not moved it by then, it goes
    /// to the largest of them.
    pub opened_at: Option<DVec3>,
    /// What is to be done once all of its files are read.
    pub once_opened: Option<Intent>,
}

/// A segmentation that a running one has taken the place of: it comes back if that ends early.
#[derive(Clone, Debug)]
pub struct Stash {
    /// The mask, if there was one.
    pub prediction: Option<MaskLayer>,
    /// Its probability.
    pub probability: Option<ProbabilityLayer>,
}

/// The findings of a mask.
#[derive(Clone, Debug)]
pub struct Findings {
    /// True if they are the prediction's, false if they are the truth's.
    pub of_prediction: bool,
    /// In the list's order: found lesions by volume, then missed ones.
    pub list: Vec<Listed>,
}

/// Whether a finding agrees with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is no truth, or this is it.
    Unknown,
    /// A predicted lesion that is one.
    Hit,
    /// A predicted lesion that is none.
    Extra,
    /// A true lesion that the prediction misses.
    Missed,
}

impl Status {
    /// The word in the list.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Hit => "hit",
            Self::Extra => "extra",
            Self::Missed => "missed",
        }
    }
}

/// One line of the list of findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The label.
    pub label: u16,
    /// The component and its measures.
    pub finding: Finding,
    /// Whether it agrees with the truth.
    pub status: Status,
}

/// Mean entropy of the probability, slice by slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Entropy {
    /// In bits, by canonical axial slice, feet to head; none where nothing is uncertain enough to count.
    pub by_slice: Vec<Option<f64>>,
}

impl Document {
    /// A case of one image, without masks.
    pub fn new(id: CaseId, listed: Option<CaseId>, title: String, image: ImageLayer) -> Self {
        Self {
            id,
            listed,
            title,
            path: image.path().to_path_buf(),
            images: vec![image],
            shown: 0,
            prediction: None,
            truth: None,
            probability: None,
            findings: None,
            comparison: None,
            metrics: None,
            entropy: None,
            replaced: None,
            opened_at: None,
            once_opened: None,
        }
    }

    /// Whether the segmentation has changes that no file holds. Slices of a running segmentation are nothing to save.
    pub fn is_unsaved(&self) -> bool {
        self.replaced.is_none() && self.prediction.as_ref().is_some_and(MaskLayer::is_unsaved)
    }

    /// Revisions of segmentation and reference.
    pub fn mask_revisions(&self) -> [Option<u64>; 2] {
        [&self.prediction, &self.truth].map(|mask| mask.as_ref().map(|mask| mask.revision))
    }

    /// The image whose grid everything lies on.
    pub fn base(&self) -> &ImageLayer {
        &self.images[0]
    }

    /// The image in the panes.
    pub fn image(&self) -> &ImageLayer {
        self.images.get(self.shown).unwrap_or(&self.images[0])
    }

    /// The grid that the panes look at.
    pub fn display(&self, mode: PlaneMode) -> DisplayGrid {
        DisplayGrid::new(&self.base().volume.grid, mode)
    }

    /// The grid that one pane looks at: projections look along the stored axes in either mode.
    pub fn display_of(&self, pane: super::PaneId, mode: PlaneMode) -> DisplayGrid {
        self.display(if pane.is_projection() { PlaneMode::Native } else { mode })
    }

    /// Value of an image at a world position, of the frame that is shown; none outside.
    pub fn value_at(&self, image: usize, world: DVec3) -> Option<f64> {
        let layer = self.images.get(image)?;
        let voxel = DisplayGrid::new(&layer.volume.grid, PlaneMode::Native).voxel_at(world)?;
        Some(layer.volume.value_at(voxel, layer.held_frame()))
    }

    /// The labels of the mask that the findings are taken from.
    pub fn mask(&self) -> Option<&MaskLayer> {
        self.prediction.as_ref().or(self.truth.as_ref())
    }

    /// Stashes the segmentation for one that is under way.
    pub fn stash(&mut self) {
        let (prediction, probability) = (self.prediction.clone(), self.probability.take());
        self.replaced = Some(Box::new(Stash { prediction, probability }));
    }

    /// Brings the stashed segmentation back. True if there was a stash.
    pub fn restore_stashed(&mut self) -> bool {
        let Some(stash) = self.replaced.take() else { return false };
        (self.prediction, self.probability) = (stash.prediction, stash.probability);
        self.forget_results();
        true
    }

    /// Forgets what was computed from masks that have changed.
    pub fn forget_results(&mut self) {
        (self.findings, self.comparison, self.metrics, self.entropy) = (None, None, None, None);
    }

    /// Where to look first: the largest finding, else the middle.
    pub fn first_look(&self, mode: PlaneMode) -> DVec3 {
        let display = self.display(mode);
        let largest = self.findings.as_ref().and_then(|f| f.list.first());
        largest.map_or_else(|| display.middle(), |listed| display.snapped(self.look_at(listed)))
    }

    /// Where to look at a finding. In the axial slice of its longest diameter, where the calipers are, unless the
    /// finding lies scattered around its centre there: then at its centre of mass.
    pub fn look_at(&self, listed: &Listed) -> DVec3 {
        let grid = &self.base().volume.grid;
        let at_calipers = centre_of(&listed.finding, grid);
        let mask = if listed.status == Status::Missed { self.truth.as_ref() } else { self.mask() };
        let inside = mask.is_some_and(|mask| self.label_at(&mask.labels, at_calipers) != 0);
        let centroid = DVec3::from_array(listed.finding.centroid_mm);
        if inside { at_calipers } else { centroid }
    }
}

/// Where to look at a finding: its centre of mass, moved into the axial slice of its longest diameter, where the
/// calipers are.
pub fn centre_of(finding: &Finding, grid: &Grid) -> DVec3 {
    let mut voxel = DVec3::from_array(finding.centroid_voxel);
    voxel[finding.diameter.axis] = finding.diameter.slice as f64;
    grid.world_from_voxel.transform_point3(voxel)
}
