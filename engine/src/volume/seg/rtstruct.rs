//! Reading RTSTRUCT: closed planar contours, filled slice by slice (PS3.3, C.8.8.6).
//!
//! Gaps between planes are not filled. If several contour planes fall on one slice, the nearest to its centre is used.

use std::collections::{BTreeMap, BTreeSet};

use glam::DVec3;

use super::layers::{Layers, Plane};
use super::read::space_of;
use super::source::SourceSeries;
use super::{Segment, SegmentMasks, SegmentationKind, polygon};
use crate::Result;
use crate::volume::dicom::{DataSet, DicomFile, PatientSpace, Tag};
use crate::words::plural;

/// Contours closer than this, in slices, are in the same plane.
const SAME_PLANE: f64 = 0.05;
/// A contour that leaves its plane by more than this, in slices, is not planar on this grid.
const PLANAR: f64 = 0.5;

/// A closed contour in voxel coordinates: its plane, and its vertices as (column, row).
struct Contour {
    k: f64,
    points: Vec<[f64; 2]>,
}

/// Counts of contours that were left out of a structure set, by reason.
#[derive(Default)]
struct Omissions {
    other_types: BTreeMap<String, usize>,
    damaged: usize,
    /// Fewer than three points.
    without_area: usize,
    not_planar: usize,
    between: usize,
    outside: usize,
    /// Regions, not contours.
    elsewhere: usize,
}

/// Reads the regions on the grid of `source`, or of the images near the file that they were drawn on.
pub(super) fn read(file: &DicomFile, source: Option<&SourceSeries>) -> Result<SegmentMasks> {
    let data = &file.data;
    let near;
    let source = if let Some(source) = source {
        source
    } else {
        near = SourceSeries::near(file)?;
        &near
    };
    let space = space_of(file, Some(&source.space()))?;
    let names = names(data);
    let elsewhere = regions_elsewhere(data, &space, source);
    let mut notes = Vec::new();
    let mut left_out = Omissions::default();
    let (mut segments, mut filled) = (Vec::new(), Vec::new());
    for (index, roi) in data.items(Tag::ROI_CONTOUR_SEQUENCE).iter().enumerate() {
        let Ok(label) = u16::try_from(index + 1) else {
            return Err(file.error(Tag::ROI_CONTOUR_SEQUENCE, "has more than 65535 regions of interest"));
        };
        let number = roi.number(Tag::REFERENCED_ROI_NUMBER).map(|n| n as i64);
        let contours = if number.is_some_and(|number| elsewhere.contains(&number)) {
            left_out.elsewhere += 1;
            Vec::new()
        } else {
            contours(roi, source, &mut left_out)
        };
        filled.push((label, fill(&contours, source, &mut left_out)));
        segments.push(Segment {
            number: label,
            name: number.and_then(|number| names.get(&number).cloned()).unwrap_or_default(),
            colour: colour(&roi.numbers(Tag::ROI_DISPLAY_COLOR)),
            kind: None,
            algorithm: None,
            voxels: 0,
        });
    }
    if segments.is_empty() {
        return Err(file.error(Tag::ROI_CONTOUR_SEQUENCE, "has no region of interest"));
    }
    let mut layers = Layers::new(&source.grid, segments.len() as u16);
    filled.iter().for_each(|(label, planes)| layers.add(*label, planes));
    notes.extend(left_out.notes());
    let sparse = filled.iter().filter(|(_, planes)| is_sparse(planes)).count();
    if sparse > 0 {
        let regions = plural(sparse, "region has", "regions have");
        notes.push(format!("{regions} no contours on neighbouring slices. Slices between contours stay empty"));
    }
    let layers = layers.into_volumes();
    let mut masks = SegmentMasks { kind: SegmentationKind::Rtstruct, segments, layers, notes, space };
    masks.count_voxels();
    Ok(masks)
}

/// True if no two slices with contours are neighbours: the region was drawn on every second slice, or on fewer.
fn is_sparse(planes: &[Plane]) -> bool {
    planes.len() > 1 && planes.windows(2).all(|pair| pair[1].0 > pair[0].0 + 1)
}

fn names(data: &DataSet) -> BTreeMap<i64, String> {
    let rois = data.items(Tag::STRUCTURE_SET_ROI_SEQUENCE);
    let named = |roi: &DataSet| Some((roi.number(Tag::ROI_NUMBER)? as i64, roi.text(Tag::ROI_NAME)?));
    rois.iter().filter_map(named).collect()
}

/// Numbers of the regions that were drawn in another frame of reference, where the file names that of the source too.
fn regions_elsewhere(data: &DataSet, space: &PatientSpace, source: &SourceSeries) -> BTreeSet<i64> {
    let of_source = source.frame_of_reference.as_deref().filter(|uid| space.frames_of_reference.contains(*uid));
    let drawn_elsewhere = |roi: &&DataSet| {
        let own = roi.uid(Tag::REFERENCED_FRAME_OF_REFERENCE_UID);
        own.zip(of_source).is_some_and(|(own, of_source)| own != of_source)
    };
    let regions = data.items(Tag::STRUCTURE_SET_ROI_SEQUENCE).iter().filter(drawn_elsewhere);
    regions.filter_map(|roi| Some(roi.number(Tag::ROI_NUMBER)? as i64)).collect()
}

fn colour(values: &[f64]) -> Option<[u8; 3]> {
    let &[r, g, b] = values else { return None };
    Some([r, g, b].map(|value| value as u8))
}

/// The closed contours of a region, in voxel coordinates.
fn contours(roi: &DataSet, source: &SourceSeries, left_out: &mut Omissions) -> Vec<Contour> {
    let voxel_from_world = source.grid.voxel_from_world();
    let positions: Vec<DVec3> =
        source.positions().into_iter().map(|position| voxel_from_world.transform_point3(position)).collect();
    let mut regions = Vec::new();
    for contour in roi.items(Tag::CONTOUR_SEQUENCE) {
        let kind = contour.text(Tag::CONTOUR_GEOMETRIC_TYPE).unwrap_or_default();
        // A keyhole contour may have its own type, but is filled in the same way.
        if kind != "CLOSED_PLANAR" && kind != "CLOSEDPLANAR_XOR" {
            *left_out.other_types.entry(kind).or_default() += 1;
            continue;
        }
        let numbers = contour.numbers(Tag::CONTOUR_DATA);
        if numbers.is_empty() || numbers.len() % 3 != 0 {
            left_out.damaged += 1;
            continue;
        }
        if numbers.len() < 9 {
            left_out.without_area += 1;
            continue;
        }
        let points: Vec<DVec3> = numbers
            .chunks_exact(3)
            .map(|p| voxel_from_world.transform_point3(DVec3::new(-p[0], -p[1], p[2])))
            .map(|point| on_true_positions(point, &positions))
            .collect();
        let Some(first) = points.first() else { continue };
        if points.iter().any(|point| !point.is_finite() || (point.z - first.z).abs() > PLANAR) {
            left_out.not_planar += 1;
            continue;
        }
        let k = points.iter().map(|point| point.z).sum::<f64>() / points.len() as f64;
        regions.push(Contour { k, points: points.into_iter().map(|point| [point.x, point.y]).collect() });
    }
    regions
}

/// Converts a point of the regular grid to the slices' true positions and in-plane shifts.
fn on_true_positions(point: DVec3, positions: &[DVec3]) -> DVec3 {
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return point };
    let beyond = |end: &DVec3, k: f64| DVec3::new(point.x - end.x, point.y - end.y, k + point.z - end.z);
    // An absurd geometry makes positions NaN. They are ordered as well, so that they end here as a point that is not finite.
    if point.z.total_cmp(&first.z).is_le() {
        return beyond(first, 0.0);
    }
    if point.z.total_cmp(&last.z).is_ge() {
        return beyond(last, (positions.len() - 1) as f64);
    }
    let above = positions.partition_point(|position| position.z <= point.z).clamp(1, positions.len() - 1);
    let (low, high) = (positions[above - 1], positions[above]);
    let share = (point.z - low.z) / (high.z - low.z);
    let shift = low + (high - low) * share;
    DVec3::new(point.x - shift.x, point.y - shift.y, (above - 1) as f64 + share)
}

/// Fills the contours of a region. Those of one plane are combined by exclusive or.
fn fill(contours: &[Contour], source: &SourceSeries, left_out: &mut Omissions) -> Vec<Plane> {
    let [columns, rows, depth] = source.grid.shape;
    let mut order: Vec<&Contour> = contours.iter().collect();
    order.sort_by(|a, b| a.k.total_cmp(&b.k));
    let groups: Vec<&[&Contour]> = order.chunk_by(|a, b| b.k - a.k <= SAME_PLANE).collect();
    let mut nearest: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let k = group[0].k.round();
        if k < 0.0 || k >= depth as f64 {
            left_out.outside += group.len();
            continue;
        }
        let off = (group[0].k - k).abs();
        let entry = nearest.entry(k as usize);
        let mut replaced = None;
        entry
            .and_modify(|(best, kept)| {
                replaced = Some(if off < *best { std::mem::replace(kept, at) } else { at });
                *best = best.min(off);
            })
            .or_insert((off, at));
        left_out.between += replaced.map_or(0, |at| groups[at].len());
    }
    let planes = nearest.into_iter().map(|(k, (_, at))| {
        let points: Vec<Vec<[f64; 2]>> = groups[at].iter().map(|contour| contour.points.clone()).collect();
        (k, polygon::fill(&points, columns, rows))
    });
    planes.collect()
}

impl Omissions {
    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .other_types
            .iter()
            .map(|(kind, count)| {
                let kind = if kind.is_empty() { "no type" } else { kind };
                format!(
                    "{} left out: only CLOSED_PLANAR is filled",
                    plural(*count, &format!("{kind} contour is"), &format!("{kind} contours are"))
                )
            })
            .collect();
        let mut note = |count: usize, why: &str| {
            if count > 0 {
                notes.push(format!("{} left out: {why}", plural(count, "contour is", "contours are")));
            }
        };
        note(self.damaged, "a coordinate is missing or not a number");
        note(self.without_area, "fewer than three points enclose no area");
        note(self.not_planar, "drawn across the slices");
        note(self.between, "another plane is closer to the same slice");
        note(self.outside, "outside the images");
        if self.elsewhere > 0 {
            let regions = plural(self.elsewhere, "region is", "regions are");
            notes.push(format!("{regions} left out: drawn in a different frame of reference from the images"));
        }
        notes
    }
}
