//! Operations on whole components.

use super::EditLabels;
use super::flood::flood;
use super::region::{BoxMask, Region, VoxelBox};
use crate::event::Control;
use crate::findings::{Components, Connectivity};
use crate::{Error, Result};

/// The 26-connected component at a voxel: of one label, or over all labels.
///
/// # Errors
/// If the voxel is background, or its label is not `label`.
pub(super) fn component_at(
    voxel: [usize; 3],
    label: Option<u16>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let is_inside = |other: u16| label.map_or(other != 0, |label| other == label);
    let here = labels.get(labels.grid().index(voxel));
    if !is_inside(here) {
        let wanted = label.map_or_else(|| "a label".to_owned(), |label| format!("label {label}"));
        let found = if here == 0 { "background".to_owned() } else { format!("label {here}") };
        return Err(Error::config(
            "voxel",
            format!("{voxel:?}"),
            format!("it is {found}. Choose a voxel with {wanted}"),
        ));
    }
    let Some(bounds) = VoxelBox::whole(labels.shape()) else { return Ok(Region::default()) };
    let wanted = |index: usize| is_inside(labels.get(index));
    flood(voxel, &bounds, labels.shape(), Connectivity::Full, wanted, control)
}

/// All components except the one at a voxel: of one label, or over all labels.
///
/// # Errors
/// As [`component_at`].
pub(super) fn other_components(
    voxel: [usize; 3],
    label: Option<u16>,
    labels: &EditLabels,
    control: &Control,
) -> Result<Region> {
    let is_inside = |other: u16| label.map_or(other != 0, |label| other == label);
    let kept = component_at(voxel, label, labels, control)?;
    let Some(bounds) = labels.bounds_of(is_inside) else { return Ok(kept) };
    let all = BoxMask::region(&bounds, &BoxMask::of(labels, bounds, is_inside).bits, labels.shape());
    let is_kept = |index: usize| {
        let after = kept.ranges().partition_point(|range| range.end <= index);
        kept.ranges().get(after).is_some_and(|range| range.contains(&index))
    };
    Ok(all.filtered(|index| !is_kept(index)))
}

/// The components of one label, or over all labels, that `removed` selects by size rank and number of voxels.
pub(super) fn components(label: Option<u16>, labels: &EditLabels, removed: impl Fn(usize, usize) -> bool) -> Region {
    let is_inside = |other: u16| label.map_or(other != 0, |label| other == label);
    let Some(bounds) = labels.bounds_of(is_inside) else { return Region::default() };
    let mask = BoxMask::of(labels, bounds, is_inside);
    let components = Components::new(&mask.bits, mask.shape());
    let mut bits = vec![false; mask.bits.len()];
    for c in (0..components.count()).filter(|&c| removed(c, components.voxels(c))) {
        for range in components.ranges(c) {
            bits[range].fill(true);
        }
    }
    BoxMask::region(&bounds, &bits, labels.shape())
}
