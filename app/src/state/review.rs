//! Navigation of findings and slices, shared by panels and commands.

use engine::edit::EditLabels;
use glam::DVec3;

use super::view::Overlay;
use super::{Document, FindingEntry, MaskLayer, MaskRole, Measure, Mode, PaneId, State};
use crate::scene::{DisplayGrid, Plane};

/// Content of the bottom strip.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// What the values are, with their unit.
    pub title: &'static str,
    /// A note on how to read them.
    pub note: &'static str,
    /// One value per canonical axial slice, feet to head; `None` for slices without a value.
    pub values: Vec<Option<f64>>,
    /// The value of a full bar.
    pub top: f64,
    /// Slices, worst first.
    pub worst_first: Vec<usize>,
}

impl Document {
    /// Values of the strip: Dice per slice with a reference, else the entropy of the probability.
    pub fn strip(&self) -> Option<Strip> {
        if let Some(comparison) = &self.comparison {
            return Some(Strip {
                title: "Dice per slice",
                note: "Segmentation vs reference. Blank: neither present.",
                values: comparison.slice_dice(),
                top: 1.0,
                worst_first: comparison.worst_first(),
            });
        }
        let entropy = self.entropy.as_ref()?;
        let values = entropy.by_slice.clone();
        let mut worst_first: Vec<usize> = (0..values.len()).filter(|&k| values[k].is_some()).collect();
        worst_first.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).unwrap_or(std::cmp::Ordering::Equal));
        Some(Strip {
            title: "Mean entropy per slice, bit",
            note: "of the network's probability, which is not calibrated",
            top: 1.0,
            values,
            worst_first,
        })
    }

    /// The label of a mask at a world position; 0 outside.
    pub fn label_at(&self, labels: &EditLabels, world: DVec3) -> u16 {
        let display = DisplayGrid::new(labels.grid(), crate::scene::PlaneMode::Native);
        display.voxel_at(world).map_or(0, |voxel| labels.get(labels.grid().index(voxel)))
    }
}

impl State {
    /// Shows the largest finding of a newly opened case, unless the user has moved already.
    pub(crate) fn look_at_first_finding(&mut self) {
        let planes = self.session.settings.planes;
        let Some(document) = &mut self.document else { return };
        if document.findings.as_ref().is_none_or(|findings| findings.entries.is_empty()) {
            return;
        }
        if document.opened_at.take() == Some(self.session.view.crosshair) {
            self.session.view.crosshair = document.first_look(planes);
            self.session.view.finding = Some(0);
        }
    }

    /// The slice that a pane shows, 0-based along the display axis.
    pub fn slice_of(&self, display: &DisplayGrid, plane: Plane) -> usize {
        display.index_at(self.session.view.crosshair)[plane.axis()]
    }

    /// The visible panes, in reading order; outside Review only the axial one.
    pub fn shown_panes(&self) -> Vec<PaneId> {
        match (&self.document, self.session.mode) {
            (None, _) => Vec::new(),
            (Some(document), Mode::Review) => self.session.view.shown(document.images.len()),
            (Some(_), Mode::Masking | Mode::Train) => vec![PaneId::Axial],
        }
    }

    /// The pane that receives keys; outside Review there is only the axial one.
    pub fn active_pane(&self) -> PaneId {
        self.session.view.active.filter(|_| self.session.mode == Mode::Review).unwrap_or(PaneId::Axial)
    }

    /// Whether a mask is drawn: the overlay includes it, and one of its labels is visible.
    pub fn draws(&self, document: &Document, mask: &MaskLayer) -> bool {
        let view = &self.session.view;
        let chosen = match (view.overlay, mask.role) {
            _ if !document.has_both_masks() => true,
            (Overlay::Comparison, MaskRole::Segmentation | MaskRole::Reference) => true,
            (Overlay::Segmentation, role) => role == MaskRole::Segmentation,
            (Overlay::Reference, role) => role == MaskRole::Reference,
        };
        let hidden = |label: u16| view.hidden_labels.contains(&label);
        chosen && (mask.table.is_empty() || mask.table.iter().any(|entry| !hidden(entry.value)))
    }

    /// Whether a finding is marked on the image: its mask is drawn, and so is one of its labels.
    pub fn marks(&self, document: &Document, entry: &FindingEntry) -> bool {
        let (view, settings) = (&self.session.view, &self.session.settings);
        let visible = !view.hide_overlay && settings.opacity > 0.0 && (settings.fill || settings.outline);
        let labelled = entry.finding.labels.iter().any(|part| !view.hidden_labels.contains(&part.label));
        visible && labelled && document.mask(entry.role).is_some_and(|mask| self.draws(document, mask))
    }

    /// Number of listed findings shown: those of at least the minimum volume, which come first, or all.
    pub fn shown_findings(&self) -> usize {
        let Some(list) = self.document.as_ref().and_then(|document| document.findings.as_ref()) else { return 0 };
        let minimum = if self.session.view.small_findings { 0.0 } else { self.session.settings.minimum_ml };
        list.entries.partition_point(|entry| entry.finding.volume_ml >= minimum)
    }

    /// Deselects the selected finding if it is collapsed.
    pub fn leave_folded_finding(&mut self) {
        let shown = self.shown_findings();
        self.session.view.finding.take_if(|finding| *finding >= shown);
    }

    /// The measurements of the open case.
    pub fn measures(&self) -> &[Measure] {
        let path = self.document.as_ref().map(|document| document.base().path());
        path.and_then(|path| self.session.measures.get(path)).map_or(&[], Vec::as_slice)
    }

    /// The finding after (`by` = 1) or before (-1) the selected one, wrapping around.
    pub fn neighbour_finding(&self, by: i64) -> Option<usize> {
        let count = self.shown_findings() as i64;
        let next = match self.session.view.finding {
            Some(current) => (current as i64 + by).rem_euclid(count.max(1)),
            None if by > 0 => 0,
            None => count - 1,
        };
        (count > 0).then_some(next as usize)
    }
}
