//! Navigation of findings and slices, shared by panels and commands.

use engine::edit::EditLabels;
use glam::DVec3;

use super::view::Overlay;
use super::{Document, FindingEntry, MaskLayer, MaskRole, Measure, Mode, PaneId, State};
use crate::scene::{DisplayGrid, Plane, PlaneMode};

/// Content of the bottom strip.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// What the values are, with their unit.
    pub title: &'static str,
    /// The order in which the buttons step through the slices.
    pub order: &'static str,
    /// A note on how to read the values.
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
                order: "Slices, lowest Dice first.",
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
            order: "Slices, highest entropy first.",
            note: "Entropy of the network's probability. Not calibrated.",
            top: 1.0,
            values,
            worst_first,
        })
    }

    /// The label of a mask at a world position; 0 outside.
    pub fn label_at(&self, labels: &EditLabels, world: DVec3) -> u16 {
        let display = DisplayGrid::new(labels.grid(), PlaneMode::Native);
        display.voxel_at(world).map_or(0, |voxel| labels.get(labels.grid().index(voxel)))
    }

    /// Where to look in an axial slice of the stored grid, counted from the feet: in the largest error of the
    /// segmentation or, if it has none there, in the largest lesion. `None` for a slice without labels.
    pub fn mark_in_axial(&self, slice: usize) -> Option<DVec3> {
        let native = self.display(PlaneMode::Native);
        let (grid, stored) = (&self.base().volume.grid, native.orientation.source_shape(native.canonical_shape));
        let [width, height, slices] = native.shape;
        let labels = |x: usize, y: usize| {
            let at = grid.index(native.orientation.source_voxel([x, y, slice], stored));
            MaskRole::ALL.map(|role| self.mask(role).map_or(0, |mask| mask.labels.get(at)))
        };
        let (both, each_label) = (self.has_both_masks(), self.compares_labels());
        let wrong = |x: usize, y: usize| {
            let [segmentation, reference] = labels(x, y);
            both && if each_label { segmentation != reference } else { (segmentation != 0) != (reference != 0) }
        };
        let size = (slice < slices).then_some([width, height])?;
        let [x, y] = innermost(size, wrong).or_else(|| innermost(size, |x, y| labels(x, y) != [0, 0]))?;
        Some(native.world([x, y, slice]))
    }
}

/// The pixel of an area that is farthest from its edge, counted in steps to a neighbour. `None` for an empty area.
fn innermost([width, height]: [usize; 2], inside: impl Fn(usize, usize) -> bool) -> Option<[usize; 2]> {
    let mut depth = vec![0_usize; width * height];
    for at in 0..depth.len() {
        let (x, y) = (at % width, at / width);
        if inside(x, y) {
            let left = if x > 0 { depth[at - 1] } else { 0 };
            let above = if y > 0 { depth[at - width] } else { 0 };
            depth[at] = 1 + left.min(above);
        }
    }
    for at in (0..depth.len()).rev() {
        let right = if at % width + 1 < width { depth[at + 1] } else { 0 };
        let below = depth.get(at + width).copied().unwrap_or(0);
        depth[at] = depth[at].min(1 + right.min(below));
    }
    let deepest = depth.iter().copied().max().filter(|&steps| steps > 0)?;
    // The middle one of a ridge, not its end.
    let ridge: Vec<usize> = (0..depth.len()).filter(|&at| depth[at] == deepest).collect();
    let at = ridge[ridge.len() / 2];
    Some([at % width, at / width])
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
            self.session.view.crosshair = document.initial_position(planes);
            self.session.view.finding = Some(0);
        }
    }

    /// Shows an axial slice of the stored grid, counted from the feet, at what the masks mark there. In an unmarked slice
    /// the crosshair stays above or below its place.
    pub(crate) fn look_at_axial(&mut self, slice: usize) {
        let Some(document) = &self.document else { return };
        let native = document.display(PlaneMode::Native);
        let mut index = native.display_from_world.transform_point3(self.session.view.crosshair);
        index.z = slice as f64;
        let below = || native.world_from_display.transform_point3(index);
        let world = document.mark_in_axial(slice).unwrap_or_else(below);
        self.session.view.crosshair = document.display(self.session.settings.planes).snapped(world);
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
    pub fn deselect_collapsed_finding(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// W and the worst slice of a patient left the crosshair beside the error that they show.
    #[test]
    fn the_innermost_pixel_is_in_the_thickest_part_of_an_area() {
        let rows = [
            "#.........", //
            "..#####...", //
            "..#####..#", //
            "..#####..#", //
            ".........#",
        ];
        let inside = |x: usize, y: usize| rows[y].as_bytes()[x] == b'#';
        assert_eq!(innermost([10, 5], inside), Some([4, 2]));
        assert_eq!(innermost([10, 5], |x, y| (x, y) == (9, 0)), Some([9, 0]), "one pixel at a corner");
        assert_eq!(innermost([10, 5], |_, _| false), None);
        // The edge of the slice is an edge of the area.
        assert_eq!(innermost([5, 5], |_, _| true), Some([2, 2]));
    }
}
