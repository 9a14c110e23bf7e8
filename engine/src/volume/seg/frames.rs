//! Positions of a SEG's frames: on the slices of their source, or on their own grid.

use glam::{DAffine3, DMat3, DVec3};

use super::source::SourceSeries;
use crate::volume::Grid;
use crate::words::plural;

/// Position of a frame as stated in its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FramePlace {
    /// World position of the first pixel in mm, RAS.
    pub position: Option<DVec3>,
    /// Steps to the next column and the next row in mm, RAS.
    pub steps: Option<[DVec3; 2]>,
    /// Images that the frame was made from, with the frame number where the file names one.
    pub sources: Vec<(String, Option<u32>)>,
}

impl FramePlace {
    /// The voxel coordinates of three corner pixels in a grid.
    fn corners(&self, grid: &Grid, size: [usize; 2]) -> Option<[DVec3; 3]> {
        let (position, [column, row]) = (self.position?, self.steps?);
        let last = size.map(|n| n.saturating_sub(1) as f64);
        let corners = [position, position + column * last[0], position + row * last[1]];
        Some(corners.map(|corner| grid.voxel_from_world().transform_point3(corner)))
    }
}

/// Largest distance in voxels at which a frame is on a slice.
const ON_SLICE: f64 = 0.5;
/// Distance in voxels above which a note says so.
const OFF_SLICE: f64 = 0.05;

/// The slice of each frame if the frames match the source's slices; otherwise `None`. The notes report disagreements between
/// referenced images and positions, and frames that are not exactly on their slices.
pub(super) fn on_source(
    places: &[FramePlace],
    size: [usize; 2],
    source: &SourceSeries,
) -> Option<(Vec<usize>, Vec<String>)> {
    let grid = &source.grid;
    if size != [grid.shape[0], grid.shape[1]] {
        return None;
    }
    let positions = source.positions();
    let (mut disagreeing, mut farthest) = (0, 0.0_f64);
    let mut slices = Vec::with_capacity(places.len());
    for place in places {
        let named = match &place.sources[..] {
            [(instance, frame)] => source.image(instance, *frame).map(|image| image.k),
            _ => None,
        };
        let Some(corners) = place.corners(grid, size) else {
            // Without a position, the referenced image determines the slice.
            slices.push(named?);
            continue;
        };
        let last = size.map(|n| n.saturating_sub(1) as f64);
        let expected = [[0.0, 0.0], [last[0], 0.0], [0.0, last[1]]];
        let off = |k: usize| {
            let first = grid.voxel_from_world().transform_point3(positions[k]);
            let off = corners.iter().zip(expected).map(|(corner, [i, j])| *corner - (first + DVec3::new(i, j, 0.0)));
            off.map(|off| if off.is_finite() { off.abs().max_element() } else { f64::INFINITY }).fold(0.0, f64::max)
        };
        let distance = |k: &usize| corners[0].distance(grid.voxel_from_world().transform_point3(positions[*k]));
        let nearest = || (0..positions.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let kept = named.filter(|&k| off(k) <= ON_SLICE);
        disagreeing += usize::from(named.is_some() && kept.is_none());
        let k = kept.or_else(nearest).filter(|&k| off(k) <= ON_SLICE)?;
        farthest = farthest.max(off(k));
        slices.push(k);
    }
    let mut notes = Vec::new();
    if disagreeing > 0 {
        let frames = plural(disagreeing, "frame references", "frames reference");
        notes.push(format!("{frames} an image at another position. The position is used"));
    }
    if farthest > OFF_SLICE {
        notes.push(format!("the frames are up to {farthest:.2} voxels off the images, and take the nearest voxels"));
    }
    Some((slices, notes))
}

/// The grid described by the frames, and the slice of each. `between_mm` is the file's spacing between slices. The error names
/// what is missing or uneven.
pub(super) fn own_grid(
    places: &[FramePlace],
    size: [usize; 2],
    between_mm: Option<f64>,
) -> Result<(Grid, Vec<usize>), String> {
    let known = |place: &FramePlace| place.position.zip(place.steps);
    let Some(known) = places.iter().map(known).collect::<Option<Vec<_>>>() else {
        return Err("it does not record the positions of its frames, and its source is not in the same folder".into());
    };
    let Some(&(_, steps)) = known.first() else { return Err("it has no frames".into()) };
    let tolerance = 1e-3 * steps[0].length().min(steps[1].length());
    if known.iter().any(|(_, other)| (0..2).any(|a| steps[a].distance(other[a]) > tolerance)) {
        return Err("its frames differ in orientation or pixel spacing".into());
    }
    let normal = steps[0].cross(steps[1]).normalize_or_zero();
    // The normal of DICOM is row x column in LPS. RAS negates two axes, which keeps the product's orientation.
    let along: Vec<f64> = known.iter().map(|(position, _)| position.dot(normal)).collect();
    let mut sorted = along.clone();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
    let smallest = sorted.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let step = between_mm.filter(|mm| *mm > 0.0 && *mm <= smallest * 1.01);
    let step = step.unwrap_or(if smallest.is_finite() { smallest } else { 1.0 });
    let first = sorted[0];
    let slice = |index: f64| (index - first) / step;
    if let Some(uneven) = along.iter().map(|&index| slice(index)).find(|k| (k - k.round()).abs() > 0.05) {
        return Err(format!("its frames are not evenly spaced: one is {uneven:.3} slices from the first"));
    }
    let slices: Vec<usize> = along.iter().map(|&index| slice(index).round() as usize).collect();
    let origin = known[slices.iter().position(|&k| k == 0).unwrap_or(0)].0;
    if known.iter().zip(&slices).any(|((position, _), &k)| {
        position.distance(origin + normal * (k as f64 * step)) > 0.1 * steps[0].length().max(step)
    }) {
        return Err("its frames are shifted relative to each other, as with a tilted gantry".into());
    }
    let depth = slices.iter().max().map_or(1, |last| last + 1);
    let matrix3 = DMat3::from_cols(steps[0], steps[1], normal * step);
    Ok((Grid::new([size[0], size[1], depth], DAffine3 { matrix3, translation: origin }), slices))
}
