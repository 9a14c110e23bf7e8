//! Filling the gaps between slices that contain a label.

use rayon::prelude::*;

use super::EditLabels;
use super::between::{Frame, between};
use super::region::{BoxMask, Region, SliceLayout, in_plane};
use crate::Result;
use crate::event::Control;

/// Interpolates a label in the slices across `axis` that lie between slices with it.
pub(super) fn interpolate(label: u16, axis: usize, labels: &EditLabels, control: &Control) -> Result<Region> {
    let Some(bounds) = labels.bounds_of(|other| other == label) else { return Ok(Region::default()) };
    let mask = BoxMask::of(labels, bounds, |other| other == label);
    let slicing = SliceLayout::new(mask.shape(), axis);
    let slices: Vec<(usize, Vec<bool>)> = (0..slicing.count)
        .map(|n| (n, slicing.slice(&mask.bits, n)))
        .filter(|(_, slice)| slice.contains(&true))
        .collect();
    let spacing = labels.grid().spacing_mm();
    let frame = Frame { size: slicing.size, spacing_mm: in_plane(axis).map(|a| spacing[a]) };
    let fill = |pair: &[(usize, Vec<bool>)]| {
        control.check()?;
        let ((from, a), (to, b)) = (&pair[0], &pair[1]);
        Ok((from + 1, between(a, b, to - from, frame)))
    };
    let gaps: Vec<(usize, Vec<Vec<bool>>)> = slices.par_windows(2).map(fill).collect::<Result<_>>()?;
    let mut bits = vec![false; mask.bits.len()];
    for (first, filled) in gaps {
        for (n, slice) in filled.iter().enumerate() {
            let inside = slice.iter().enumerate().filter(|(_, inside)| **inside);
            inside.for_each(|(p, _)| bits[slicing.at(first + n, p)] = true);
        }
    }
    Ok(BoxMask::region(&bounds, &bits, labels.shape()))
}
