//! Tests of stacking on synthetic planes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::volume::dicom::{DataSet, DicomFile, Tag, Value, Vr, file_bytes};

/// A CT slice of 2 x 2 pixels at `position`.
pub fn slice(number: i64, position: [f64; 3]) -> DataSet {
    let mut data = DataSet::new();
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2");
    data.put_text(Tag::SOP_INSTANCE_UID, &format!("1.2.{number}"));
    data.put_text(Tag::MODALITY, "CT");
    data.put_text(Tag::INSTANCE_NUMBER, &number.to_string());
    data.put_text(Tag::IMAGE_POSITION_PATIENT, &position.map(|mm| mm.to_string()).join("\\"));
    data.put_text(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
    data.put_text(Tag::PIXEL_SPACING, "2\\0.5");
    data.put_u16(Tag::ROWS, &[2]);
    data.put_u16(Tag::COLUMNS, &[2]);
    data.put_u16(Tag::BITS_ALLOCATED, &[16]);
    data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(vec![number as u8; 8]));
    data
}

pub fn instances(slices: &[DataSet]) -> Vec<Instance> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slice");
    let read = |data: &DataSet| {
        std::fs::write(&path, file_bytes(data)).unwrap();
        Instance::of(&DicomFile::open(&path).unwrap())
    };
    slices.iter().map(read).collect()
}

/// The stacks of slices at these heights, numbered from 1, of which no two have the same pixels.
fn at_heights(heights: &[f64]) -> Vec<Stack> {
    let slices: Vec<DataSet> = (1..).zip(heights).map(|(n, z)| slice(n, [10.0, 20.0, *z])).collect();
    stacks(&instances(&slices), &|_, _| false)
}

pub fn order(stack: &Stack) -> Vec<Vec<Option<usize>>> {
    stack.frames.iter().map(|frame| frame.iter().map(|slice| slice.map(|slice| slice.instance)).collect()).collect()
}

#[test]
fn slices_are_ordered_by_position_and_the_grid_is_in_ras() {
    let result = at_heights(&[4.0, 0.0, 2.0]);
    assert_eq!(result.len(), 1);
    assert_eq!(order(&result[0]), [[Some(1), Some(2), Some(0)]]);
    assert!(result[0].stackable && result[0].even && result[0].warnings.is_empty(), "{:?}", result[0].warnings);
    let rows = result[0].grid.affine_rows();
    assert_eq!(rows[..12], [-0.5, 0.0, 0.0, -10.0, 0.0, -2.0, 0.0, -20.0, 0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn an_impossibly_large_spacing_is_not_a_gap() {
    let result = at_heights(&[0.0, 1.0, 2.0, 3.0, 1.8447e19]);
    assert!(!result[0].even && result[0].frames[0].len() == 5, "{:?}", result[0].warnings);
}

#[test]
fn missing_slices_are_named_and_left_empty() {
    let result = at_heights(&[0.0, 2.0, 4.0, 8.0, 10.0]);
    assert_eq!(order(&result[0]), [[Some(0), Some(1), Some(2), None, Some(3), Some(4)]]);
    assert_eq!(result[0].positions[3], DVec3::new(10.0, 20.0, 6.0));
    assert_eq!(result[0].warnings, ["1 slice is missing and left empty: k = 3"]);
    assert!(result[0].even);
}

#[test]
fn uneven_slices_are_kept_at_their_positions() {
    let result = at_heights(&[0.0, 1.0, 2.7, 4.0]);
    assert!(!result[0].even && result[0].stackable);
    assert!((result[0].grid.spacing_mm()[2] - 4.0 / 3.0).abs() < 1e-12);
    assert!(result[0].warnings[0].starts_with("slices are 1.000 to 1.700 mm apart"), "{:?}", result[0].warnings);
    // A hundredth of a millimetre is rounding.
    assert!(at_heights(&[0.0, 1.0, 2.005, 3.0])[0].even);
    // Two decimals of 2/3 mm are 0.66 and 0.67 mm apart, which as binary numbers is more than 0.01.
    let thirds: Vec<f64> = (0..30).map(|k| (f64::from(k) * 200.0 / 3.0).round() / 100.0).collect();
    assert!(at_heights(&thirds)[0].even);
}

#[test]
fn repeats_at_a_position_are_frames_in_the_order_of_their_numbers() {
    let result = at_heights(&[2.0, 0.0, 0.0, 2.0]);
    assert_eq!(order(&result[0]), [[Some(1), Some(0)], [Some(2), Some(3)]]);
    // One image too many, with different pixels: the incomplete frame is left out with a warning.
    let odd = at_heights(&[0.0, 2.0, 2.0]);
    assert_eq!(order(&odd[0]), [[Some(0), Some(1)]]);
    assert!(odd[0].warnings[0].contains("1 image is left out"), "{:?}", odd[0].warnings);
}

#[test]
fn a_frame_without_position_is_apart_from_the_volume_of_the_others() {
    let frame = |k: i32| {
        let (mut groups, mut position) = (DataSet::new(), DataSet::new());
        position.put_text(Tag::IMAGE_POSITION_PATIENT, &format!("0\\0\\{k}"));
        groups.put_items(Tag::PLANE_POSITION_SEQUENCE, vec![position].split_off(usize::from(k == 3)));
        groups
    };
    let mut data = slice(1, [0.0; 3]);
    data.put_text(Tag::IMAGE_POSITION_PATIENT, "");
    data.put_text(Tag::NUMBER_OF_FRAMES, "4");
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, (0..4).map(frame).collect());
    let result = stacks(&instances(&[data]), &|_, _| false);
    let planes = |stack: &Stack| stack.frames.iter().flatten().flatten().map(|slice| slice.plane).collect::<Vec<_>>();
    assert_eq!(result.iter().map(planes).collect::<Vec<_>>(), [vec![0, 1, 2], vec![3]]);
    assert!(result[0].stackable && !result[1].stackable);
    assert!(result[1].warnings[0].contains("no position in space"), "{:?}", result[1].warnings);
}

/// Some scanners number the images of every volume from 1.
#[test]
fn repeats_of_the_same_number_are_frames_in_the_order_of_time() {
    let image = |(file, z, time): (i64, f64, &str)| {
        let mut data = slice(file, [0.0, 0.0, z]);
        data.put_text(Tag::INSTANCE_NUMBER, &(z as i64 + 1).to_string());
        data.put_text(Tag::ACQUISITION_DATE, "20240101");
        data.put_text(Tag::ACQUISITION_TIME, time);
        data
    };
    let files = [(1, 0.0, "100001.5"), (2, 2.0, "095959"), (3, 0.0, "095958"), (4, 2.0, "100002")];
    let result = stacks(&instances(&files.map(image)), &|_, _| false);
    assert_eq!(order(&result[0]), [[Some(2), Some(1)], [Some(0), Some(3)]]);
}

#[test]
fn an_image_with_the_pixels_of_another_is_left_out() {
    let slices: Vec<DataSet> = (1..).zip([0.0, 2.0, 2.0]).map(|(n, z)| slice(n, [0.0, 0.0, z])).collect();
    let result = stacks(&instances(&slices), &|_, _| true);
    assert_eq!(order(&result[0]), [[Some(0), Some(1)]]);
    assert!(result[0].warnings[0].contains("duplicates the pixels of another"), "{:?}", result[0].warnings);
}

#[test]
fn a_tilted_gantry_shears_the_grid() {
    let slices: Vec<DataSet> =
        (1..=3).map(|n| slice(n, [0.0, -f64::from(n as i32), 3.0 * f64::from(n as i32)])).collect();
    let result = stacks(&instances(&slices), &|_, _| false);
    assert!((result[0].tilt_degrees - 18.434_948_8).abs() < 1e-6, "{}", result[0].tilt_degrees);
    assert_eq!(result[0].grid.affine_rows()[6], 1.0);
    assert!(result[0].warnings[0].contains("tilted by 18.4 degrees"), "{:?}", result[0].warnings);
}

#[test]
fn echoes_orientations_and_sizes_form_separate_stacks() {
    let mut slices: Vec<DataSet> = (1..=8).map(|n| slice(n, [0.0, 0.0, f64::from(n as i32 % 2)])).collect();
    for two in &mut slices[2..4] {
        two.put_text(Tag::ECHO_TIME, "80");
    }
    for two in &mut slices[4..6] {
        two.put_text(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\0\\-1");
        two.put_text(Tag::IMAGE_POSITION_PATIENT, &format!("0\\{}\\0", two.text(Tag::INSTANCE_NUMBER).unwrap()));
    }
    slices[6].put_text(Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\P\\ND");
    slices[7].put_text(Tag::PHOTOMETRIC_INTERPRETATION, "RGB");
    let result = stacks(&instances(&slices), &|_, _| false);
    let shapes: Vec<(usize, bool)> = result.iter().map(|stack| (stack.grid.shape[2], stack.stackable)).collect();
    assert_eq!(shapes, [(2, true), (2, true), (2, true), (1, false), (1, false)]);
    assert!(!result[4].grid.oriented && result[4].warnings[0].contains("colours"));
}

#[test]
fn uneven_repeats_are_split_by_trigger_time() {
    // Three heights in one phase, two in the other.
    let mut slices: Vec<DataSet> = (1..).zip([0.0, 2.0, 4.0, 0.0, 2.0]).map(|(n, z)| slice(n, [0.0, 0.0, z])).collect();
    for (index, slice) in slices.iter_mut().enumerate() {
        slice.put_text(Tag::TRIGGER_TIME, if index < 3 { "10" } else { "500" });
    }
    let result = stacks(&instances(&slices), &|_, _| false);
    assert_eq!(result.iter().map(|stack| stack.grid.shape[2]).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn a_warning_names_attributes_that_differ_between_slices() {
    let mut slices: Vec<DataSet> = (1..).zip([0.0, 2.0, 4.0]).map(|(n, z)| slice(n, [0.0, 0.0, z])).collect();
    let warnings = |slices: &[DataSet]| stacks(&instances(slices), &|_, _| false)[0].warnings.clone();
    slices[0].put_text(Tag::FRAME_OF_REFERENCE_UID, "1.8");
    assert_eq!(warnings(&slices), Vec::<String>::new(), "one frame of reference, and no rescale at all");
    slices[1].put_text(Tag::FRAME_OF_REFERENCE_UID, "1.9");
    slices[0].put_text(Tag::RESCALE_SLOPE, "2");
    let result = warnings(&slices);
    assert!(result[0].contains("2 frames of reference (0020,0052)"), "{result:?}");
    assert!(result[1].contains("2 slices have no RescaleSlope (0028,1053)") && result.len() == 2, "{result:?}");
    slices[2].put_text(Tag::RESCALE_TYPE, "HU");
    slices[2].put_text(Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME1");
    let result = warnings(&slices);
    assert!(result[0].contains("different RescaleTypes (0028,1054)"), "{result:?}");
    assert!(result[1].contains("bright in 1 slice of 3 (0028,0004)") && result.len() == 4, "{result:?}");
}

#[test]
fn unused_parts_of_a_header_are_reported() {
    let mut data = slice(1, [0.0; 3]);
    data.put_text(Tag::NUMBER_OF_FRAMES, "3");
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![DataSet::new(); 2]);
    data.put_items(Tag(0x0028, 0x3000), vec![DataSet::new()]);
    data.put_text(Tag::RESCALE_SLOPE, "1,5");
    let result = instances(&[data]).remove(0);
    assert_eq!(result.planes.len(), 2);
    let slope = "RescaleSlope (0028,1053) is not a number and is not applied";
    assert!(result.warnings.iter().any(|text| text == slope), "{:?}", result.warnings);
    assert!(
        result.warnings.iter().any(|text| text.contains("is 3, but 2 frames are described")),
        "{:?}",
        result.warnings
    );
    assert!(result.warnings.iter().any(|text| text.contains("(0028,3000) is not applied")), "{:?}", result.warnings);
    let (mut data, mut frame, mut transform) = (slice(1, [0.0; 3]), DataSet::new(), DataSet::new());
    transform.put_text(Tag::RESCALE_SLOPE, "0");
    frame.put_items(Tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![transform]);
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame]);
    let warnings = instances(&[data]).remove(0).warnings;
    assert!(warnings.iter().any(|text| text == "RescaleSlope (0028,1053) is 0 and is not applied"), "{warnings:?}");
    let mut data = slice(1, [0.0; 3]);
    data.put_text(Tag::PIXEL_SPACING, "");
    let result = stacks(&instances(&[data]), &|_, _| false);
    let result = &result[0].warnings;
    assert!(result[0].contains("no pixel spacing") && result[1].contains("distances are not valid"), "{result:?}");
}
