//! The open case.

use std::path::PathBuf;
use std::sync::Arc;

use engine::edit::{EditLabels, VoxelBox};
use engine::findings::comparison::Comparison;
use engine::findings::{Finding, Values};
use engine::metrics::Measures;
use engine::metrics::boundary::BoundaryIou;
use engine::preprocess::{LabelMap, MapSource};
use engine::volume::Grid;
use glam::DVec3;

use super::edit::Edits;
use super::study::{MethodOutlines, StudyMasks};
use super::{CaseId, ImageLayer, Intent, MaskLayer, MaskRole, ProbabilityLayer, UnloadedMask};
use crate::scene::{DisplayGrid, Modality, PlaneMode, Unit};

/// Revision and displayed frame of segmentation and reference. Results for others are dropped.
pub type MaskRevisions = [Option<(u64, usize)>; 2];

/// A case: images of one patient, with masks and results.
#[derive(Clone, Debug)]
pub struct Document {
    /// Identifies this opening of the case. The case gets a new id each time it is opened.
    pub id: CaseId,
    /// Its entry in the list of cases, if it has one.
    pub listed: Option<CaseId>,
    /// The case's name in the window.
    pub title: String,
    /// What was opened: a file, or a folder of one patient.
    pub path: PathBuf,
    /// The images; never empty. Masks are on the first one's grid.
    pub images: Vec<ImageLayer>,
    /// Index of the displayed image.
    pub shown: usize,
    /// Segmentation and reference, at most one of each role, in the order of the roles.
    pub masks: Vec<MaskLayer>,
    /// Masks of the case that are not loaded, at most one of each role.
    pub unloaded: Vec<UnloadedMask>,
    /// The tumour part of each label value, and its source.
    pub label_map: (LabelMap, MapSource),
    /// The probability map.
    pub probability: Option<ProbabilityLayer>,
    /// Findings of the segmentation, else of the reference.
    pub findings: Option<FindingList>,
    /// Comparison of segmentation and reference.
    pub comparison: Option<Arc<Comparison>>,
    /// Metrics of the segmentation against the reference, all labels together.
    pub metrics: Option<Measures>,
    /// Boundary IoU with the band of each axial slice; [`Measures::boundary_iou`] has that of the volume.
    pub slice_boundary: Option<BoundaryIou>,
    /// Dice and HD95 by label and region.
    pub region_scores: Vec<RegionScore>,
    /// Revisions of the masks that the metrics and scores are of.
    pub agreement_of: MaskRevisions,
    /// Uncertainty by slice.
    pub entropy: Option<Entropy>,
    /// The segmentation stashed while a new one is computed.
    pub replaced: Option<Box<Stash>>,
    /// Initial crosshair position. Unless the user has moved the crosshair, it goes to the largest finding once
    /// findings are known.
    pub opened_at: Option<DVec3>,
    /// The segmentations of a study's methods, if the case was opened from a study.
    pub study: Option<StudyMasks>,
    /// Outlines of all methods, while shown.
    pub outlines: Option<MethodOutlines>,
    /// Intent to run once all files of the case are read.
    pub once_opened: Option<Intent>,
    /// Revisions of segmentations as read or computed. Any other revision was edited by hand.
    pub unedited_revisions: Vec<u64>,
    /// The unedited segmentation, as read or computed.
    pub automatic: Option<EditLabels>,
    /// Edits of the segmentation, and the undo list.
    pub edits: Edits,
}

/// A segmentation stashed while a new one is computed. It is restored if that one ends early.
#[derive(Clone, Debug)]
pub struct Stash {
    /// The mask, if there was one.
    pub segmentation: Option<MaskLayer>,
    /// Its probability map.
    pub probability: Option<ProbabilityLayer>,
}

impl Stash {
    /// Form stored in the undo list.
    #[must_use]
    pub fn stored(self) -> Self {
        Self { segmentation: self.segmentation.map(MaskLayer::stored), ..self }
    }
}

/// The findings of a mask.
#[derive(Clone, Debug)]
pub struct FindingList {
    /// The mask of the findings. Missed lesions are the reference's.
    pub role: MaskRole,
    /// Largest volume first.
    pub entries: Vec<FindingEntry>,
    /// The image whose values were measured; `None` until then.
    pub values_of: Option<ValueSource>,
    /// Revisions of their masks.
    pub revisions: MaskRevisions,
}

impl FindingList {
    /// Index of the lesion that corresponds to a finding of an earlier mask: the nearest one that overlaps its box.
    pub fn same_lesion(&self, other: &FindingEntry) -> Option<usize> {
        let overlaps = |entry: &FindingEntry| {
            let (a, b) = (&entry.finding, &other.finding);
            (0..3).all(|n| a.min_voxel[n] <= b.max_voxel[n] && b.min_voxel[n] <= a.max_voxel[n])
        };
        let components = |entry: &FindingEntry| {
            DVec3::from_array(entry.finding.centroid_mm).distance(DVec3::from_array(other.finding.centroid_mm))
        };
        let same = self.entries.iter().enumerate().filter(|(_, entry)| entry.role == other.role && overlaps(entry));
        same.min_by(|(_, a), (_, b)| components(a).total_cmp(&components(b))).map(|(at, _)| at)
    }
}

/// The image from which the findings' values are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueSource {
    /// Index of the image in the case.
    pub image: usize,
    /// Frame of a 4-D image, from 0.
    pub frame: usize,
    /// Whether the values include the peak over 1 ml, as for PET in SUV.
    pub with_peak: bool,
}

/// Whether a finding agrees with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is no reference, or the finding is from it.
    Unknown,
    /// True positive.
    Hit,
    /// False positive.
    Extra,
    /// False negative: a lesion of the reference that the segmentation misses.
    Missed,
}

impl Status {
    /// The displayed word; empty for unknown.
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
pub struct FindingEntry {
    /// The lesion and its measures.
    pub finding: Finding,
    /// The mask it belongs to.
    pub role: MaskRole,
    /// Whether it agrees with the reference.
    pub status: Status,
    /// Values of the displayed image in it.
    pub values: Option<Values>,
}

/// Agreement of one label, or of several together.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionScore {
    /// The name in the window.
    pub name: String,
    /// Values of the labels that count as the region.
    pub labels: Vec<u16>,
    /// Dice; `None` if neither mask has the region.
    pub dice: Option<f64>,
    /// 95th percentile of the surface distances in mm; `None` unless both masks have the region.
    pub hd95_mm: Option<f64>,
}

/// Mean entropy of the probability, slice by slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Entropy {
    /// In bits, per canonical axial slice, feet to head; `None` for slices without uncertain voxels.
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
            edits: Edits::default(),
            images: vec![image],
            shown: 0,
            masks: Vec::new(),
            unloaded: Vec::new(),
            label_map: LabelMap::guess(std::iter::empty()),
            probability: None,
            findings: None,
            comparison: None,
            metrics: None,
            slice_boundary: None,
            region_scores: Vec::new(),
            agreement_of: [None; 2],
            entropy: None,
            replaced: None,
            opened_at: None,
            study: None,
            outlines: None,
            once_opened: None,
            unedited_revisions: Vec::new(),
            automatic: None,
        }
    }

    /// The mask of a role.
    pub fn mask(&self, role: MaskRole) -> Option<&MaskLayer> {
        self.masks.iter().find(|mask| mask.role == role)
    }

    /// The mask of a role, mutable.
    pub fn mask_mut(&mut self, role: MaskRole) -> Option<&mut MaskLayer> {
        self.masks.iter_mut().find(|mask| mask.role == role)
    }

    /// The segmentation, if the case has one.
    pub fn segmentation(&self) -> Option<&MaskLayer> {
        self.mask(MaskRole::Segmentation)
    }

    /// The reference, if the case has one.
    pub fn reference(&self) -> Option<&MaskLayer> {
        self.mask(MaskRole::Reference)
    }

    /// Sets the mask of its role, at the frame of the first image.
    pub fn set_mask(&mut self, mut layer: MaskLayer) {
        let before = layer.labels.frame();
        layer.labels.show(self.base().frame);
        if layer.labels.frame() != before {
            layer.table = MaskLayer::label_table(&layer.labels);
            (layer.dirty, layer.projection) = (VoxelBox::whole(layer.labels.shape()), None);
        }
        self.remove_mask(layer.role);
        self.masks.push(layer);
        self.masks.sort_by_key(|mask| mask.role);
    }

    /// Removes and returns the mask of a role.
    pub fn remove_mask(&mut self, role: MaskRole) -> Option<MaskLayer> {
        let at = self.masks.iter().position(|mask| mask.role == role)?;
        Some(self.masks.remove(at))
    }

    /// Removes and returns the segmentation and its probability map.
    pub fn take_segmentation(&mut self) -> Stash {
        Stash { segmentation: self.remove_mask(MaskRole::Segmentation), probability: self.probability.take() }
    }

    /// Whether there is a segmentation to compare with a reference.
    pub fn has_both_masks(&self) -> bool {
        self.masks.len() > 1
    }

    /// Whether labels are compared, which needs several labels in both masks.
    pub fn compares_labels(&self) -> bool {
        self.has_both_masks() && self.masks.iter().all(|mask| mask.table.len() > 1)
    }

    /// Volume in ml of voxels with different labels in the two masks; `None` if labels are not compared.
    pub fn wrong_label_ml(&self) -> Option<f64> {
        let comparison = self.comparison.as_ref().filter(|_| self.compares_labels())?;
        Some(comparison.mislabelled_voxels as f64 * self.base().volume.grid.voxel_volume_ml())
    }

    /// Whether the segmentation has unsaved changes. Slices of a running segmentation do not count.
    pub fn is_unsaved(&self) -> bool {
        self.replaced.is_none() && self.segmentation().is_some_and(MaskLayer::is_unsaved)
    }

    /// Marks the segmentation as unedited.
    pub fn mark_unedited(&mut self) {
        let revision = self.segmentation().map(|mask| mask.revision);
        self.unedited_revisions.extend(revision);
        self.automatic = self.segmentation().map(|mask| mask.labels.clone());
    }

    /// Whether the segmentation was edited by hand since it was read or computed, saved or not.
    pub fn is_corrected(&self) -> bool {
        self.segmentation().is_some_and(|mask| !self.unedited_revisions.contains(&mask.revision))
    }

    /// Revisions and displayed frames of segmentation and reference.
    pub fn mask_revisions(&self) -> MaskRevisions {
        MaskRole::ALL.map(|role| self.mask(role).map(|mask| (mask.revision, mask.labels.frame())))
    }

    /// Whether the findings are those of the masks before the last edit.
    pub fn has_old_findings(&self) -> bool {
        self.findings.as_ref().is_some_and(|list| list.revisions != self.mask_revisions())
    }

    /// Whether the agreement is that of the masks before the last edit, or only partly measured.
    pub fn has_old_agreement(&self) -> bool {
        self.metrics.is_some() && self.agreement_of != self.mask_revisions()
    }

    /// Whether the segmentation has one frame while the first image has several.
    pub fn could_have_frames(&self) -> bool {
        self.base().frames() > 1 && self.segmentation().is_some_and(|mask| mask.labels.frames() == 1)
    }

    /// Shows a frame of the multi-frame masks. False if there are none.
    pub fn show_frame(&mut self, frame: usize) -> bool {
        let mut several = false;
        for mask in self.masks.iter_mut().filter(|mask| mask.labels.frames() > 1) {
            mask.labels.show(frame);
            mask.table = MaskLayer::label_table(&mask.labels);
            several = true;
        }
        if let Some(automatic) = &mut self.automatic {
            automatic.show(frame);
        }
        if several {
            // The preview belongs to another frame.
            self.edits.preview = None;
            self.name_labels();
        }
        several
    }

    /// The image that defines the grid.
    pub fn base(&self) -> &ImageLayer {
        &self.images[0]
    }

    /// The image in the panes.
    pub fn image(&self) -> &ImageLayer {
        self.images.get(self.shown).unwrap_or(&self.images[0])
    }

    /// The image and frame from which values of findings are measured.
    pub fn value_source(&self) -> ValueSource {
        let layer = self.image();
        let with_peak = layer.info.modality == Modality::Pet && layer.info.unit == Some(Unit::Suv);
        ValueSource { image: self.shown, frame: layer.frame, with_peak }
    }

    /// The grid that the panes display.
    pub fn display(&self, mode: PlaneMode) -> DisplayGrid {
        DisplayGrid::new(&self.base().volume.grid, mode)
    }

    /// The grid that a pane displays. Projections follow the stored axes in either mode.
    pub fn display_of(&self, pane: super::PaneId, mode: PlaneMode) -> DisplayGrid {
        self.display(if pane.is_projection() { PlaneMode::Native } else { mode })
    }

    /// Value of the displayed frame of an image at a world position; `None` outside.
    pub fn value_at(&self, image: usize, world: DVec3) -> Option<f64> {
        let layer = self.images.get(image)?;
        let voxel = DisplayGrid::new(&layer.volume.grid, PlaneMode::Native).voxel_at(world)?;
        Some(layer.volume.value_at(voxel, layer.held_frame()))
    }

    /// Masks that are not loaded, for whose role no other mask is loaded.
    pub fn missing_masks(&self) -> impl Iterator<Item = &UnloadedMask> {
        self.unloaded.iter().filter(|unloaded| self.mask(unloaded.role).is_none())
    }

    /// The mask to save next: one with unsaved changes, else the segmentation.
    pub fn mask_to_save(&self) -> Option<&MaskLayer> {
        let unsaved = self.masks.iter().find(|mask| mask.is_unsaved());
        unsaved.or_else(|| self.segmentation())
    }

    /// The mask of the findings.
    pub fn listed_mask(&self) -> Option<&MaskLayer> {
        self.masks.first()
    }

    /// Stashes the segmentation while a new one is computed.
    pub fn stash(&mut self) {
        self.replaced = Some(Box::new(self.take_segmentation()));
    }

    /// Restores the stashed segmentation. True if there was one.
    pub fn restore_stashed(&mut self) -> bool {
        let Some(stash) = self.replaced.take() else { return false };
        self.remove_mask(MaskRole::Segmentation);
        stash.segmentation.into_iter().for_each(|mask| self.set_mask(mask));
        self.probability = stash.probability;
        self.forget_results();
        true
    }

    /// Drops the results of masks that have changed.
    pub fn forget_results(&mut self) {
        (self.findings, self.comparison, self.metrics, self.entropy) = (None, None, None, None);
        self.slice_boundary = None;
        self.region_scores.clear();
    }

    /// Initial position: the largest finding, else the middle.
    pub fn initial_position(&self, mode: PlaneMode) -> DVec3 {
        let display = self.display(mode);
        let largest = self.findings.as_ref().and_then(|f| f.entries.first());
        largest.map_or_else(|| display.middle(), |entry| display.snapped(self.finding_position(entry)))
    }

    /// Position to show a finding: in the axial slice of its longest diameter, where the calipers are; at its centre of
    /// mass if the finding is scattered there.
    pub fn finding_position(&self, entry: &FindingEntry) -> DVec3 {
        let grid = &self.base().volume.grid;
        let at_calipers = centre_of(&entry.finding, grid);
        let inside = self.mask(entry.role).is_some_and(|mask| self.label_at(&mask.labels, at_calipers) != 0);
        if inside { at_calipers } else { DVec3::from_array(entry.finding.centroid_mm) }
    }
}

/// Position to show a finding: its centre of mass, moved into the axial slice of its longest diameter, where the
/// calipers are.
pub fn centre_of(finding: &Finding, grid: &Grid) -> DVec3 {
    let mut voxel = DVec3::from_array(finding.centroid_voxel);
    voxel[finding.diameter.axis] = finding.diameter.slice as f64;
    grid.world_from_voxel.transform_point3(voxel)
}
