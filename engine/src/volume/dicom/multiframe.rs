//! Positions of the frames of multi-frame images without functional groups: doses, nuclear medicine, and volumes that other
//! programs write as one file.

use glam::DVec3;

use super::instance::{Plane, axes};
use super::{DataSet, Tag};
use crate::words::plural;

/// GridFrameOffsetVector and DoseGridScaling of a dose: distances of its frames from the first, and its slope.
const GRID_FRAME_OFFSETS: Tag = Tag(0x3004, 0x000c);
const DOSE_GRID_SCALING: Tag = Tag(0x3004, 0x000e);
/// FrameTime and FrameTimeVector.
const FRAME_TIMES: [Tag; 2] = [Tag(0x0018, 0x1063), Tag(0x0018, 0x1065)];

/// Places the frames of an image along the normal of the first. Returns a warning if the file does not say so itself.
pub(super) fn place(data: &DataSet, planes: &mut [Plane]) -> Option<String> {
    if let Some(slope) = data.number(DOSE_GRID_SCALING) {
        planes.iter_mut().for_each(|plane| (plane.slope, plane.rescaled) = (slope, true));
    }
    let offsets = data.numbers(GRID_FRAME_OFFSETS);
    if offsets.len() == planes.len() {
        shift(planes, |frame| offsets[frame] - offsets[0]);
        return None;
    }
    let spacing = data.number(Tag::SPACING_BETWEEN_SLICES).filter(|mm| *mm != 0.0);
    if data.texts(Tag::IMAGE_TYPE).iter().any(|value| value.starts_with("RECON")) {
        place_reconstruction(data, planes, spacing.or_else(|| data.number(Tag::SLICE_THICKNESS)));
        return None;
    }
    let is_placed = planes.iter().all(|plane| plane.position.and(plane.axes).is_some());
    let is_film = FRAME_TIMES.iter().any(|tag| data.get(*tag).is_some());
    let step = spacing.filter(|_| planes.len() > 1 && is_placed && !is_film)?.abs();
    shift(planes, |frame| step * frame as f64);
    let frames = plural(planes.len(), "frame", "frames");
    Some(format!("the file has one position for {frames}. They are stacked by SpacingBetweenSlices (0018,0088)"))
}

/// Moves each frame along its normal, by a distance in mm.
fn shift(planes: &mut [Plane], distance: impl Fn(usize) -> f64) {
    for (frame, plane) in planes.iter_mut().enumerate() {
        let normal = plane.axes.map_or(DVec3::Z, |[row, column]| row.cross(column));
        plane.position = plane.position.map(|position| position + normal * distance(frame));
    }
}

/// Places the slices of a nuclear medicine volume. Its position is in its detector (PS3.3 C.8.4.11), and a negative step goes
/// against the normal (C.8.4.15).
fn place_reconstruction(data: &DataSet, planes: &mut [Plane], step: Option<f64>) {
    // Some programs write the position at the top level.
    let sets = || data.item(Tag::DETECTOR_INFORMATION_SEQUENCE).into_iter().chain([data]);
    let position = sets().find_map(|set| set.array(Tag::IMAGE_POSITION_PATIENT)).map(DVec3::from_array);
    let directions = sets().find_map(|set| set.array(Tag::IMAGE_ORIENTATION_PATIENT)).and_then(axes);
    let numbers = data.numbers(Tag::SLICE_VECTOR);
    planes.iter_mut().for_each(|plane| {
        plane.position = position.or(plane.position);
        plane.axes = directions.or(plane.axes);
    });
    let slice = |frame: usize| numbers.get(frame).map_or(frame as f64, |number| number - 1.0);
    shift(planes, |frame| step.unwrap_or(0.0) * slice(frame));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::dicom::stack::stacks;
    use crate::volume::dicom::stack::tests::{instances, slice};

    /// A reconstruction of 2 x 2 pixels whose first slice is at (10, 20, 7), with slice numbers of its frames.
    fn reconstruction(kind: &str, slices: &[u16], step: &str) -> DataSet {
        let mut detector = DataSet::new();
        detector.put_text(Tag::IMAGE_POSITION_PATIENT, "10\\20\\7");
        detector.put_text(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
        let mut data = slice(1, [0.0; 3]);
        data.put_text(Tag::IMAGE_POSITION_PATIENT, "");
        data.put_text(Tag::IMAGE_ORIENTATION_PATIENT, "");
        data.put_text(Tag::IMAGE_TYPE, &format!("ORIGINAL\\PRIMARY\\{kind}\\EMISSION"));
        data.put_text(Tag::NUMBER_OF_FRAMES, &slices.len().to_string());
        data.put_text(Tag::SPACING_BETWEEN_SLICES, step);
        data.put_u16(Tag::SLICE_VECTOR, slices);
        data.put_items(Tag::DETECTOR_INFORMATION_SEQUENCE, vec![detector]);
        data
    }

    /// The frame of each slice of each volume, and the height of the first slice.
    fn volumes(data: &DataSet) -> (Vec<Vec<usize>>, f64) {
        let stacks = stacks(&instances(std::slice::from_ref(data)), &|_, _| false);
        assert_eq!(stacks.len(), 1);
        let frames = stacks[0].frames.iter().map(|frame| frame.iter().flatten().map(|slice| slice.plane).collect());
        (frames.collect(), stacks[0].grid.world([0, 0, 0]).z)
    }

    #[test]
    fn the_frames_of_a_reconstruction_lie_along_the_normal_of_the_detector() {
        assert_eq!(volumes(&reconstruction("RECON TOMO", &[1, 2, 3], "4")), (vec![vec![0, 1, 2]], 7.0));
        // A negative spacing goes against the normal.
        assert_eq!(volumes(&reconstruction("RECON TOMO", &[1, 2, 3], "-4")), (vec![vec![2, 1, 0]], -1.0));
        // Two time slots of a gated one.
        let gated = volumes(&reconstruction("RECON GATED TOMO", &[1, 2, 1, 2], "4"));
        assert_eq!(gated, (vec![vec![0, 1], vec![2, 3]], 7.0));
        let projections = stacks(&instances(&[reconstruction("TOMO", &[1, 2], "4")]), &|_, _| false);
        assert!(!projections[0].stackable && projections[0].frames.len() == 2);
    }

    #[test]
    fn the_frames_of_a_volume_in_one_plain_file_are_stacked_with_a_warning() {
        let mut data = slice(1, [10.0, 20.0, 7.0]);
        data.put_text(Tag::NUMBER_OF_FRAMES, "3");
        let stacked = |data: &DataSet| stacks(&instances(std::slice::from_ref(data)), &|_, _| false).remove(0);
        assert_eq!((stacked(&data).grid.shape, stacked(&data).frames.len()), ([2, 2, 1], 3));
        data.put_text(Tag::SPACING_BETWEEN_SLICES, "4");
        let warnings = instances(std::slice::from_ref(&data)).remove(0).warnings;
        assert!(warnings.iter().any(|text| text.contains("one position for 3 frames")), "{warnings:?}");
        assert_eq!((stacked(&data).grid.shape, stacked(&data).grid.world([0, 0, 2]).z), ([2, 2, 3], 15.0));
        // A film also has a position.
        data.put_text(FRAME_TIMES[0], "40");
        assert_eq!((stacked(&data).grid.shape, stacked(&data).frames.len()), ([2, 2, 1], 3));
    }

    #[test]
    fn a_dose_of_one_frame_a_file_is_scaled() {
        let mut data = slice(1, [0.0; 3]);
        data.put_text(DOSE_GRID_SCALING, "0.5");
        assert_eq!(instances(&[data]).remove(0).planes[0].slope, 0.5);
    }
}
