//! Mask editing: operations, deltas, undo and the journal. This module accesses no files and does not depend on the window.
//!
//! 1. A tool of the window creates an [`Op`].
//! 2. [`plan`] turns it into a [`Delta`]: the runs of voxels that change, with their labels before and after.
//! 3. [`Delta::apply`] changes the [`EditLabels`]. The window redraws [`Delta::bounds`].
//! 4. [`History`] keeps the delta for undo, and [`journal`] keeps it in case of a crash.
//!
//! A long operation is planned on a clone of the labels, which is cheap, and its delta is applied at the end.
//!
//! | file | contents |
//! |---|---|
//! | `labels.rs` | the mask, in slabs that copies share |
//! | `op.rs`, `op/` | the operations, their parameters and their names |
//! | `limits.rs`, `op_list.rs` | limits of the parameters, and lists of operations as JSON |
//! | `delta.rs` | changes: how they are inverted, joined and packed |
//! | `region.rs` | boxes, runs and slices of voxels |
//! | `brush.rs`, `values.rs`, `flood.rs` | brushes, polygons, and regions connected by value or label |
//! | `watershed.rs` | a lesion from strokes inside and around it |
//! | `morphology.rs`, `islands.rs` | outlines and components |
//! | `interpolate.rs`, `between.rs` | gaps between slices |
//! | `history.rs`, `journal.rs` | undo, and the format of the journal; [`crate::run::journal`] writes it |

mod between;
mod brush;
#[cfg(test)]
mod checks;
mod delta;
mod flood;
pub mod history;
mod interpolate;
mod islands;
pub mod journal;
mod labels;
mod limits;
mod morphology;
pub mod op;
pub mod op_list;
mod region;
mod values;
mod watershed;

pub use delta::{Delta, DeltaRun, PackedDelta};
pub use history::History;
pub use labels::EditLabels;
pub use op::Op;
pub use region::VoxelBox;

use glam::DVec3;

use brush::Slice;
use delta::Change;
use op::{Boolean, LassoAction, Operand, Plane};
use region::{BoxMask, Region};
use values::Frame;

use crate::event::Control;
use crate::findings::{Connectivity, axial_axis};
use crate::volume::{Grid, Volume};
use crate::{Error, Result};

/// Inputs of operations besides the edited mask. The image and the other mask must be on the grid of the edited mask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scene<'a> {
    /// The image, for operations by value.
    pub image: Option<&'a Volume>,
    /// Frame of the image, 0-based among the frames in memory.
    pub frame: usize,
    /// Another mask, such as the automatic segmentation.
    pub other: Option<&'a EditLabels>,
    /// Labels that must not change. An operation that would add to one is refused.
    pub locked: &'a [u16],
}

/// Applies an operation and returns the change.
///
/// # Errors
/// As [`plan`]; the labels are then unchanged.
pub fn apply(op: &Op, labels: &mut EditLabels, scene: &Scene<'_>, control: &Control) -> Result<Delta> {
    let delta = plan(op, labels, scene, control)?;
    let fits = delta.apply(labels);
    debug_assert!(fits, "the delta was planned on these labels");
    Ok(delta)
}

/// The changes that an operation would make. The labels stay as they are.
///
/// # Errors
/// [`crate::ErrorKind::Config`], which names the field, for a value that does not fit this mask and image, or if the image or
/// the other mask is missing. [`crate::ErrorKind::Cancelled`] after cancellation.
pub fn plan(op: &Op, labels: &EditLabels, scene: &Scene<'_>, control: &Control) -> Result<Delta> {
    op.check()?;
    let changes = changes(op, labels, scene, control)?;
    control.check()?;
    if let Some(change) = changes.iter().find(|change| scene.locked.contains(&change.label)) {
        return Err(Error::config("label", change.label, "this label is locked. Unlock it first"));
    }
    Ok(Delta::of(labels, &changes, scene.locked))
}

impl<'a> Scene<'a> {
    fn values(&self, op: &Op, labels: &EditLabels) -> Result<Frame<'a>> {
        let missing = |why| Error::config("image", op.name(), why);
        let image = self.image.ok_or_else(|| missing("the operation needs an image"))?;
        image.grid.require_same(labels.grid(), || "the image and the edited mask".to_owned())?;
        let usable = self.frame < image.frames();
        if usable { Ok(Frame::new(image, self.frame)) } else { Err(missing("the image does not have this frame")) }
    }

    fn other(&self, op: &Op, labels: &EditLabels) -> Result<&'a EditLabels> {
        let missing = || Error::config("other", op.name(), "the operation needs another mask");
        let other = self.other.ok_or_else(missing)?;
        other.grid().require_same(labels.grid(), || "the other mask and the edited one".to_owned())?;
        Ok(other)
    }
}

/// The smallest box around the voxels of a plane through a point in world mm, `None` if the plane misses the grid.
///
/// # Errors
/// If the plane has a normal that is zero or not finite.
pub fn plane_bounds(plane: Plane, point_mm: [f64; 3], grid: &Grid) -> Result<Option<VoxelBox>> {
    Ok(Slice::new(plane, grid)?.bounds(DVec3::from_array(point_mm), grid))
}

/// The disjoint regions that change, with their new labels.
fn changes(op: &Op, labels: &EditLabels, scene: &Scene<'_>, control: &Control) -> Result<Vec<Change>> {
    let grid = labels.grid();
    let axis_or_axial = |axis: &Option<usize>| axis.unwrap_or_else(|| axial_axis(grid));
    let one = match op {
        Op::Paint { label, brush } => Change::replace(brush::brush(brush, grid, control)?, *label),
        Op::Erase { label, brush } => Change::remove(brush::brush(brush, grid, control)?, *label),
        Op::ThresholdPaint { label, brush, min, max } => {
            let (values, range) = (scene.values(op, labels)?, range(*min, *max));
            let inside = brush::brush(brush, grid, control)?;
            Change::replace(inside.filtered(|index| range.contains(&values.value(index))), *label)
        }
        Op::AdaptivePaint { label, brush, tolerance } => {
            let values = scene.values(op, labels)?;
            Change::replace(values::adaptive(brush, *tolerance, values, labels, control)?, *label)
        }
        Op::Fill { label, seed, plane } => {
            let (start, slice) = (seed.require(grid)?, Slice::new(*plane, grid)?);
            let point = seed.point_mm.map_or_else(|| grid.world(start), DVec3::from_array);
            let (all, first) = (VoxelBox { min: [0; 3], max: grid.shape.map(|n| n - 1) }, VoxelBox::of(start));
            let bounds = slice.bounds(point, grid).map_or(first, |slice| slice.union(&first));
            let (old, is_on_slice) = (labels.get(grid.index(start)), slice.test(point, grid));
            let same = |index: usize| labels.get(index) == old && is_on_slice(all.voxel(index));
            Change::replace(flood::flood(start, &bounds, grid.shape, Connectivity::Face, same, control)?, *label)
        }
        Op::FillHoles { label, mode, axis, overwrite } => {
            let holes = morphology::holes(*label, *mode, axis_or_axial(axis), labels, control)?;
            Change::add(holes, *label, *overwrite)
        }
        Op::Grow { label, mm, overwrite } => Change::add(morphology::grow(*label, *mm, labels), *label, *overwrite),
        Op::Shrink { label, mm } => Change::remove(morphology::shrink(*label, *mm, labels), None),
        Op::Smooth { label, method, mm, overwrite } => {
            let [gained, lost] = morphology::smooth(*label, *method, *mm, labels, control)?;
            return Ok(vec![Change::add(gained, *label, *overwrite), Change::remove(lost, None)]);
        }
        Op::Interpolate { label, axis, overwrite } => {
            Change::add(interpolate::interpolate(*label, *axis, labels, control)?, *label, *overwrite)
        }
        Op::RegionGrow { label, seed, tolerance, max_radius_mm, overwrite } => {
            let (start, values) = (seed.require(grid)?, scene.values(op, labels)?);
            let grown = values::region_grow(start, *tolerance, *max_radius_mm, values, labels, control)?;
            Change::add(grown, *label, *overwrite)
        }
        Op::ThresholdGrow { label, seed, min, max, overwrite } => {
            let (start, values) = (seed.require(grid)?, scene.values(op, labels)?);
            Change::add(values::threshold_grow(start, &range(*min, *max), values, labels, control)?, *label, *overwrite)
        }
        Op::Watershed { label, inside, outside, smooth_mm, overwrite } => {
            let values = scene.values(op, labels)?;
            let lesion = watershed::watershed([inside, outside], *smooth_mm, values, labels, control)?;
            Change::add(lesion, *label, *overwrite)
        }
        Op::KeepComponent { seed, label } => {
            Change::remove(islands::other_components(seed.require(grid)?, *label, labels, control)?, None)
        }
        Op::RemoveComponent { seed, label } => {
            Change::remove(islands::component_at(seed.require(grid)?, *label, labels, control)?, None)
        }
        Op::KeepLargest { label } => Change::remove(islands::components(*label, labels, |rank, _| rank > 0), None),
        Op::RemoveSmall { ml, label } => {
            let min_voxels = crate::findings::MinimumSize::Ml(*ml).in_voxels(grid);
            Change::remove(islands::components(*label, labels, |_, voxels| voxels < min_voxels), None)
        }
        Op::Relabel { from, to, seed } => match seed.find(grid)? {
            Some(voxel) => Change::replace(islands::component_at(voxel, Some(*from), labels, control)?, *to),
            None => Change::replace(region_of(*from, labels), *to),
        },
        Op::Boolean { operation, a, b, of } => {
            let second = if *of == Operand::Other { scene.other(op, labels)? } else { labels };
            return Ok(boolean(*operation, [*a, *b], labels, second));
        }
        Op::Lasso { label, points_mm, plane, action, through } => {
            let inside = Slice::new(*plane, grid)?.polygon(points_mm, *through, grid);
            match action {
                LassoAction::Fill => Change::replace(inside, label.unwrap_or_default()),
                LassoAction::Erase => Change::remove(inside, *label),
                LassoAction::Restore => return Ok(restore(&inside, scene.other(op, labels)?)),
            }
        }
    };
    Ok(vec![one])
}

/// The values from `min` to `max`, ends included.
fn range(min: Option<f64>, max: Option<f64>) -> std::ops::RangeInclusive<f64> {
    min.unwrap_or(f64::NEG_INFINITY)..=max.unwrap_or(f64::INFINITY)
}

/// All voxels of a label.
fn region_of(label: u16, labels: &EditLabels) -> Region {
    let Some(bounds) = labels.bounds_of(|other| other == label) else { return Region::default() };
    BoxMask::region(&bounds, &BoxMask::of(labels, bounds, |other| other == label).bits, labels.shape())
}

/// Makes label `a` the combination of `a` and of label `b` of the second mask.
fn boolean(operation: Boolean, [a, b]: [u16; 2], labels: &EditLabels, second: &EditLabels) -> Vec<Change> {
    let (own, other) = (region_of(a, labels), region_of(b, second));
    let in_second = |index: usize| second.get(index) == b;
    let (gained, lost) = match operation {
        Boolean::Union => (other, Region::default()),
        Boolean::Intersect => (Region::default(), own.filtered(|index| !in_second(index))),
        Boolean::Subtract => (Region::default(), own.filtered(in_second)),
    };
    let mut changes = vec![Change::replace(gained, a)];
    if !lost.ranges().is_empty() {
        changes.push(Change::remove(lost, Some(a)));
    }
    changes
}

/// Copies the labels of a region from another mask.
fn restore(region: &Region, other: &EditLabels) -> Vec<Change> {
    let mut of_label = std::collections::BTreeMap::<u16, Vec<std::ops::Range<usize>>>::new();
    for range in region.ranges() {
        other.each_run(range.clone(), |run, label| of_label.entry(label).or_default().push(run));
    }
    of_label.into_iter().map(|(label, ranges)| Change::replace(Region::new(ranges), label)).collect()
}
