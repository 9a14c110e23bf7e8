//! Edits of the segmentation: settings of the tools, the stroke in progress, and the undo list of a case.

mod preview;
mod undo;

pub use preview::{Preview, Search, SeedStroke};
pub use undo::{StyleEntry, UndoEntry, UndoList, UndoStep};

use engine::edit::journal::Kind;
use engine::edit::op::{Brush, LassoAction, Mode, Op, Plane};
use engine::edit::{Delta, VoxelBox};
use engine::volume::Grid;
use glam::DVec3;
use serde::{Deserialize, Serialize};

use super::view::Overlay;
use super::{Document, ImageLayer, MaskLayer, PaneId, State, ToolKind};
use crate::scene::{DisplayGrid, PlaneMode};

/// Smallest and largest brush, in mm.
pub const RADIUS_MM: [f64; 2] = [0.1, 200.0];

/// The user's settings of the edit tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EditChoices {
    /// The label to paint with, not 0.
    pub label: u16,
    /// Labels that no edit changes.
    pub locked: Vec<u16>,
    /// Radius of the brushes in mm.
    pub radius_mm: f64,
    /// Disc in the slice of the pane, or ball.
    pub mode: Mode,
    /// Lowest and highest value that the range brush paints, in the image's unit. `None`: those of the window.
    pub range: Option<[f64; 2]>,
    /// Tolerance of the adaptive brush around the value under the pointer; by default derived from the image.
    pub tolerance: Option<f64>,
    /// Action of the lasso.
    pub lasso: LassoAction,
    /// The lasso applies to all slices.
    pub through: bool,
    /// One click uses strokes even if there is a probability map.
    pub by_strokes: bool,
    /// Maximum distance of region growing from the click, in mm; `None` without a limit.
    pub reach_mm: Option<f64>,
    /// Distance by which whole labels grow, shrink or are smoothed, in mm.
    pub distance_mm: f64,
    /// Volume in ml below which components count as small.
    pub small_ml: f64,
    /// The label for relabelling and merging.
    pub other_label: u16,
}

impl Default for EditChoices {
    fn default() -> Self {
        Self {
            label: 1,
            locked: Vec::new(),
            radius_mm: 5.0,
            mode: Mode::Slice,
            range: None,
            tolerance: None,
            lasso: LassoAction::Fill,
            through: false,
            by_strokes: false,
            reach_mm: Some(30.0),
            distance_mm: 2.0,
            small_ml: 0.1,
            other_label: 2,
        }
    }
}

impl EditChoices {
    /// Sets the radius, within limits and in tenths of a mm.
    pub fn set_radius(&mut self, mm: f64) {
        if mm.is_finite() {
            self.radius_mm = ((mm * 10.0).round() / 10.0).clamp(RADIUS_MM[0], RADIUS_MM[1]);
        }
    }

    /// Makes the brush larger (positive) or smaller in steps of a sixth of its radius, but at least 0.1 mm.
    pub fn resize(&mut self, steps: i64) {
        for _ in 0..steps.unsigned_abs() {
            let (now, by) = (self.radius_mm, (self.radius_mm / 6.0).max(0.1));
            self.set_radius(if steps > 0 { now + by } else { now - by });
        }
    }
}

/// The undo list of an open case, and its edits in progress.
#[derive(Clone, Debug)]
pub struct Edits {
    /// Everything that can be undone.
    pub list: UndoList,
    /// The stroke in progress.
    pub stroke: Option<Stroke>,
    /// The lasso in progress.
    pub lasso: Option<LassoPath>,
    /// The lesion previewed by One click.
    pub preview: Option<Preview>,
    /// Whether findings, measures and the projection follow the labels.
    pub follow: FollowState,
    /// Label changes that have not been passed to the recorder.
    pub unrecorded: Vec<UnrecordedChange>,
}

/// A complete change of the segmentation's labels.
#[derive(Clone, Debug)]
pub struct UnrecordedChange {
    /// An edit, an undo or a redo.
    pub kind: Kind,
    /// Name of the edit.
    pub name: String,
    /// What changed. For an undo, the reverse of the edit.
    pub delta: Delta,
    /// Revisions before and after.
    pub revisions: [u64; 2],
}

impl Default for Edits {
    fn default() -> Self {
        Self {
            list: UndoList::new(),
            stroke: None,
            lasso: None,
            preview: None,
            follow: FollowState::Settled,
            unrecorded: Vec::new(),
        }
    }
}

/// Whether findings, metrics and the projection are up to date with the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FollowState {
    /// They are up to date, or their jobs are running.
    Settled,
    /// The labels changed since the last frame.
    Changed,
    /// Their jobs start at this time, in the window's seconds, unless the labels change first.
    Due(f64),
}

/// A lasso in progress.
#[derive(Clone, Debug)]
pub struct LassoPath {
    /// The pane that it is drawn in.
    pub pane: PaneId,
    /// What happens to the enclosed voxels.
    pub action: LassoAction,
    /// Its corners in world mm.
    pub corners: Vec<DVec3>,
}

/// A brush stroke from press to release: one entry of the undo list, whatever its number of pointer moves.
#[derive(Clone, Debug)]
pub struct Stroke {
    /// The tool of the press.
    pub tool: ToolKind,
    /// It erases, whatever the tool.
    pub erases: bool,
    /// The plane of its discs.
    pub plane: Plane,
    /// The name of its entry.
    pub name: String,
    /// What it changed so far.
    pub delta: Delta,
    /// Revision of the segmentation before it.
    pub revision: u64,
    /// Part of it was refused, and this was reported.
    pub refused: bool,
}

impl Stroke {
    /// The operation that paints one segment, given in world mm.
    pub fn op(&self, choices: &EditChoices, range: [f64; 2], grid: &Grid, segment: [DVec3; 2]) -> Op {
        let (label, radius_mm) = (choices.label, choices.radius_mm);
        let line = self.line(radius_mm, grid, segment);
        let brush = Brush { radius_mm, mode: choices.mode, plane: self.plane, ..line };
        match self.tool {
            _ if self.erases => Op::Erase { label: None, brush },
            ToolKind::RangeBrush => Op::ThresholdPaint { label, brush, min: Some(range[0]), max: Some(range[1]) },
            ToolKind::AdaptiveBrush => Op::AdaptivePaint { label, brush, tolerance: choices.tolerance },
            _ => Op::Paint { label, brush },
        }
    }

    /// The points of a brush along a segment. If the disc of a small brush contains no voxel centre, it paints the
    /// voxels under the pointer.
    fn line(&self, radius_mm: f64, grid: &Grid, [from, to]: [DVec3; 2]) -> Brush {
        let spacing = grid.spacing_mm();
        let coarse = spacing.iter().copied().fold(0.0, f64::max);
        let fine = spacing.iter().copied().fold(f64::INFINITY, f64::min);
        let apart = |step: f64| {
            let steps = (from.distance(to) / step).ceil().clamp(1.0, MAX_POINTS);
            (0..=steps as usize).map(move |n| from.lerp(to, n as f64 / steps))
        };
        let (points, connected): (Vec<DVec3>, bool) = if radius_mm < coarse {
            let voxel_from_world = grid.voxel_from_world();
            let centre =
                |point: DVec3| grid.world_from_voxel.transform_point3(voxel_from_world.transform_point3(point).round());
            (apart(fine / 2.0).map(centre).collect(), false)
        } else if self.tool == ToolKind::AdaptiveBrush && !self.erases {
            // Each point grows from its own value.
            (apart(radius_mm / 2.0).collect(), false)
        } else if from == to {
            (vec![from], false)
        } else {
            (vec![from, to], true)
        };
        let mut points_mm: Vec<[f64; 3]> = points.into_iter().map(|point| point.to_array()).collect();
        points_mm.dedup();
        Brush { radius_mm, mode: Mode::Volume, plane: self.plane, points_mm, connected }
    }
}

/// Maximum number of points of a segment: more than the pixels of any screen.
const MAX_POINTS: f64 = 4096.0;

impl Document {
    /// The stored axis nearest to the direction across a pane's slices.
    pub fn edit_axis(&self, pane: PaneId, mode: PlaneMode) -> usize {
        let (across, grid) = (self.display(mode).direction(pane.plane().axis()), &self.base().volume.grid);
        let along = |axis: usize| grid.world_from_voxel.matrix3.col(axis).normalize_or_zero().dot(across).abs();
        (1..3).fold(0, |best, axis| if along(axis) > along(best) { axis } else { best })
    }

    /// The plane of the stored voxels that a pane shows: a stored slice, or one across an axis of the patient.
    pub fn edit_plane(&self, pane: PaneId, mode: PlaneMode) -> Plane {
        let (display, axis) = (self.display(mode), pane.plane().axis());
        match mode {
            PlaneMode::Native => {
                let stored = (0..3).find(|&a| display.orientation.axis[a] == axis);
                stored.map_or_else(|| Plane::Normal(display.direction(axis).to_array()), Plane::Axis)
            }
            PlaneMode::World => Plane::Normal(display.direction(axis).to_array()),
        }
    }
}

impl State {
    /// The values that the range brush paints: the user's, else those of the displayed image's window.
    pub fn edit_range(&self, image: &ImageLayer) -> [f64; 2] {
        let window = self.window_of(image);
        self.session.edit.range.unwrap_or([window.low(), window.high()])
    }

    /// Tolerance of region growing around the clicked value: the user's, else a twentieth of the image's range.
    pub fn edit_tolerance(&self, image: &ImageLayer) -> f64 {
        let span = image.range.map_or(255.0, |[low, high]| high - low);
        self.session.edit.tolerance.unwrap_or(span / 20.0)
    }

    /// The slice that a pane shows, for names: `slice 37`, `coronal slice 12`.
    pub fn slice_words(&self, display: &DisplayGrid, pane: PaneId) -> String {
        let number = self.slice_of(display, pane.plane()) + 1;
        match pane.plane() {
            crate::scene::Plane::Axial => format!("slice {number}"),
            other => format!("{} slice {number}", other.name().to_lowercase()),
        }
    }

    /// Makes the edited segmentation and label visible.
    pub fn show_edited(&mut self, label: Option<u16>) {
        let Some(document) = &mut self.document else { return };
        // The outlines of a study's methods would be drawn instead.
        document.outlines = None;
        let both = document.has_both_masks();
        // A comparison without labels would not show another label.
        let alone = |mask: &MaskLayer| mask.table.iter().all(|entry| Some(entry.value) == label);
        let hides = label.is_some() && !document.compares_labels() && !document.segmentation().is_none_or(alone);
        let (view, settings) = (&mut self.session.view, &mut self.session.settings);
        if both && (view.overlay == Overlay::Reference || view.overlay == Overlay::Comparison && hides) {
            view.overlay = Overlay::Segmentation;
        }
        if let Some(label) = label {
            view.hidden_labels.remove(&label);
        }
        if settings.opacity <= 0.0 {
            settings.opacity = super::Settings::default().opacity;
        }
        if !settings.fill && !settings.outline {
            settings.fill = true;
        }
    }

    /// The stroke in progress.
    pub fn stroke(&self) -> Option<&Stroke> {
        self.document.as_ref().and_then(|document| document.edits.stroke.as_ref())
    }

    /// Whether a stroke or a lasso is in progress.
    pub fn is_drawing(&self) -> bool {
        let edits = self.document.as_ref().map(|document| &document.edits);
        let seeds = |edits: &Edits| edits.preview.as_ref().is_some_and(|preview| preview.drawing);
        edits.is_some_and(|edits| edits.stroke.is_some() || edits.lasso.is_some() || seeds(edits))
    }

    /// Whether One click uses strokes: by the user's choice, or because there is no probability map.
    pub fn clicks_by_strokes(&self, document: &Document) -> bool {
        self.session.edit.by_strokes || document.probability.is_none()
    }

    /// The previewed lesion.
    pub fn preview(&self) -> Option<&Preview> {
        self.document.as_ref().and_then(|document| document.edits.preview.as_ref())
    }
}

/// The union of both boxes, if any.
pub fn union(a: Option<VoxelBox>, b: Option<VoxelBox>) -> Option<VoxelBox> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.union(&b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;

    #[test]
    fn brush_sizes_stay_within_their_limits() {
        let mut choices = EditChoices::default();
        choices.resize(1);
        assert_eq!(choices.radius_mm, 5.8);
        choices.resize(-1);
        assert_eq!(choices.radius_mm, 4.8);
        choices.resize(-100);
        assert_eq!(choices.radius_mm, RADIUS_MM[0]);
        choices.resize(1);
        assert_eq!(choices.radius_mm, 0.2);
        choices.resize(100);
        assert_eq!(choices.radius_mm, RADIUS_MM[1]);
        choices.set_radius(f64::NAN);
        assert_eq!(choices.radius_mm, RADIUS_MM[1]);
    }

    fn stroke(tool: ToolKind, erases: bool) -> Stroke {
        let (name, delta) = (String::new(), Delta::empty([9, 9, 9, 1]));
        Stroke { tool, erases, plane: Plane::Axis(2), name, delta, revision: 1, refused: false }
    }

    #[test]
    fn a_brush_below_the_voxel_size_paints_the_voxels_under_the_pointer() {
        let grid = Grid::new([9; 3], DAffine3::from_scale(DVec3::splat(2.0)));
        let choices = EditChoices { radius_mm: 0.3, ..EditChoices::default() };
        let ends = [DVec3::new(1.2, 3.9, 4.0), DVec3::new(6.7, 4.2, 4.0)];
        let Op::Paint { label: 1, brush } = stroke(ToolKind::Brush, false).op(&choices, [0.0; 2], &grid, ends) else {
            panic!("a brush paints")
        };
        assert!(!brush.connected);
        assert_eq!(brush.points_mm, [[2.0, 4.0, 4.0], [4.0, 4.0, 4.0], [6.0, 4.0, 4.0]]);
    }

    #[test]
    fn each_tool_has_its_operation_and_erases_with_the_right_button() {
        let grid = Grid::new([9; 3], DAffine3::IDENTITY);
        let choices = EditChoices { label: 3, tolerance: Some(7.0), ..EditChoices::default() };
        let ends = [DVec3::ZERO, DVec3::new(8.0, 0.0, 0.0)];
        let op = |tool, erases| stroke(tool, erases).op(&choices, [1.0, 2.0], &grid, ends);
        assert!(matches!(op(ToolKind::Brush, false), Op::Paint { label: 3, brush } if brush.connected));
        let range = op(ToolKind::RangeBrush, false);
        assert!(matches!(range, Op::ThresholdPaint { label: 3, min: Some(1.0), max: Some(2.0), .. }));
        let Op::AdaptivePaint { label: 3, brush, tolerance: Some(7.0) } = op(ToolKind::AdaptiveBrush, false) else {
            panic!("an adaptive brush")
        };
        assert!(!brush.connected && brush.points_mm.len() == 5);
        for tool in ToolKind::EDIT.into_iter().filter(|tool| tool.is_brush()) {
            assert!(matches!(op(tool, true), Op::Erase { label: None, .. }), "{tool:?}");
        }
    }
}
