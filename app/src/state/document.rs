//! The open case.

use std::path::PathBuf;
use std::sync::Arc;

use engine::findings::Finding;
use engine::findings::comparison::Comparison;
use engine::metrics::Measures;
use engine::volume::Grid;
use glam::DVec3;

use super::{ImageLayer, MaskLayer, ProbabilityLayer};
use crate::scene::{DisplayGrid, PlaneMode};

/// A case: images of one patient, and what is known of their lesions.
#[derive(Clone, Debug)]
pub struct Document {
    /// Unlike that of any other case opened in this session.
    pub id: u64,
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
    /// The findings of the prediction, of the truth without one.
    pub findings: Option<Findings>,
    /// Prediction against truth.
    pub comparison: Option<Arc<Comparison>>,
    /// All measures of the prediction against the truth.
    pub metrics: Option<Measures>,
    /// Uncertainty by slice.
    pub entropy: Option<Entropy>,
    /// The prediction is not saved.
    pub unsaved: bool,
    /// What a segmentation under way has taken the place of.
    pub replaced: Option<Box<Replaced>>,
}

/// A prediction that a segmentation under way has taken the place of: it comes back if that ends early.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The mask, if there was one.
    pub prediction: Option<MaskLayer>,
    /// Its probability.
    pub probability: Option<ProbabilityLayer>,
    /// It was not saved.
    pub unsaved: bool,
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

    /// Puts the prediction aside for a segmentation that is under way; once for all of its slices.
    pub fn put_aside(&mut self) {
        if self.replaced.is_none() {
            let (prediction, probability) = (self.prediction.clone(), self.probability.take());
            self.replaced = Some(Box::new(Replaced { prediction, probability, unsaved: self.unsaved }));
            self.unsaved = false;
        }
    }

    /// Brings back what was put aside, if anything was: half of a segmentation is none. True if it was.
    pub fn put_back(&mut self) -> bool {
        let Some(replaced) = self.replaced.take() else { return false };
        let revision = self.prediction.as_ref().map_or(0, |mask| mask.revision) + 1;
        self.prediction = replaced.prediction.map(|mask| MaskLayer { revision, ..mask });
        (self.probability, self.unsaved) = (replaced.probability, replaced.unsaved);
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
