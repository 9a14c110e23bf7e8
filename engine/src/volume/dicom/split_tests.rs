//! Tests of what separates the images of a series.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::volume::dicom::Series;
use crate::volume::dicom::stack::tests::{instances, order, slice};
use crate::volume::dicom::stack::{Stack, stacks};
use crate::volume::dicom::{DataSet, Tag, Value, Vr};

/// Images at these heights with these changes, numbered from 1, of which no two have the same pixels.
fn images(heights: &[f64], change: impl Fn(usize, &mut DataSet)) -> Vec<DataSet> {
    let image = |(index, z): (usize, &f64)| {
        let mut data = slice(index as i64 + 1, [10.0, 20.0, *z]);
        change(index, &mut data);
        data
    };
    heights.iter().enumerate().map(image).collect()
}

fn stacked(images: &[DataSet]) -> Vec<Stack> {
    stacks(&instances(images), &|_, _| false)
}

/// Names of the volumes of a series, as listed.
fn names(images: &[DataSet]) -> Vec<String> {
    Series::of(instances(images)).stacks.into_iter().map(|stack| stack.name).collect()
}

const TWICE: [f64; 6] = [0.0, 5.0, 10.0, 0.0, 5.0, 10.0];

#[test]
fn two_reconstructions_in_one_series_are_two_volumes() {
    let kernels = |index: usize, data: &mut DataSet| {
        data.put_text(Tag::CONVOLUTION_KERNEL, if index < 3 { "B30f" } else { "B70s" });
    };
    let images = images(&TWICE, kernels);
    let result = stacked(&images);
    assert_eq!(
        result.iter().map(order).collect::<Vec<_>>(),
        [[[Some(0), Some(1), Some(2)]], [[Some(3), Some(4), Some(5)]]]
    );
    assert_eq!(names(&images), ["kernel B30f", "kernel B70s"]);
}

#[test]
fn a_localiser_parallel_to_the_slices_is_not_a_slice() {
    let mark = |index: usize, data: &mut DataSet| {
        data.put_text(
            Tag::IMAGE_TYPE,
            &format!("ORIGINAL\\PRIMARY\\{}", if index == 3 { "LOCALIZER" } else { "AXIAL" }),
        );
    };
    let images = images(&[0.0, 5.0, 10.0, 200.0], mark);
    let result = stacked(&images);
    assert_eq!(result.iter().map(|stack| stack.grid.shape[2]).collect::<Vec<_>>(), [3, 1]);
    assert!(result[0].even && result[0].warnings.is_empty(), "{:?}", result[0].warnings);
    assert_eq!(names(&images), ["", "localiser"]);
}

#[test]
fn water_and_fat_are_two_volumes_but_types_along_a_stack_are_not() {
    let dixon = |index: usize, data: &mut DataSet| {
        let kind = if index.is_multiple_of(2) { "W" } else { "F" };
        data.put_text(Tag::IMAGE_TYPE, &format!("DERIVED\\PRIMARY\\{kind}\\{kind}\\DERIVED"));
    };
    let pairs = images(&[0.0, 0.0, 5.0, 5.0], dixon);
    assert_eq!(stacked(&pairs).iter().map(order).collect::<Vec<_>>(), [[[Some(0), Some(2)]], [[Some(1), Some(3)]]]);
    assert_eq!(names(&pairs), ["W", "F"]);
    // Weighted and unweighted images of one diffusion series are its frames.
    let diffusion = |index: usize, data: &mut DataSet| {
        dixon(index, data);
        let b = 800.0 * (index % 2) as f64;
        data.put(Tag::DIFFUSION_B_VALUE, Vr::FD, Value::Bytes(b.to_le_bytes().to_vec()));
    };
    let weighted = stacked(&images(&[0.0, 0.0, 5.0, 5.0], diffusion));
    assert_eq!(weighted.iter().map(order).collect::<Vec<_>>(), [[[Some(0), Some(2)], [Some(1), Some(3)]]]);
    // A head CT states another type for its upper half.
    assert_eq!(stacked(&images(&[0.0, 5.0, 10.0, 15.0], dixon)).len(), 1);
}

#[test]
fn thick_and_thin_slices_in_one_series_are_two_volumes() {
    let thickness = |thin: usize| {
        move |index: usize, data: &mut DataSet| {
            data.put_text(Tag::SLICE_THICKNESS, if index < thin { "5" } else { "2.5" });
        }
    };
    let shapes = |result: &[Stack]| result.iter().map(|stack| (stack.grid.shape[2], stack.even)).collect::<Vec<_>>();
    // At shared positions.
    let shared = images(&[0.0, 5.0, 10.0, 0.0, 2.5, 5.0, 7.5, 10.0], thickness(3));
    assert_eq!(shapes(&stacked(&shared)), [(3, true), (5, true)]);
    assert_eq!(names(&shared), ["slice thickness 5 mm", "slice thickness 2.5 mm"]);
    // At positions of their own.
    let between = images(&[0.0, 5.0, 10.0, 1.25, 3.75, 6.25, 8.75], thickness(3));
    assert_eq!(shapes(&stacked(&between)), [(3, true), (4, true)]);
    // One after the other they are a volume with uneven slices.
    let behind = images(&[0.0, 5.0, 10.0, 13.75, 16.25, 18.75, 21.25], thickness(3));
    assert_eq!(shapes(&stacked(&behind)), [(7, false)]);
}

#[test]
fn a_slice_missing_at_one_b_value_does_not_cost_the_others() {
    let private = |group: u16, creator: &str, element: u16, vr: Vr, value: Vec<u8>| {
        let creator = creator.as_bytes().to_vec();
        move |data: &mut DataSet| {
            data.put(Tag(group, 0x0010), Vr::LO, Value::Bytes(creator.clone()));
            data.put(Tag(group, element), vr, Value::Bytes(value.clone()));
        }
    };
    let siemens = |b: i32| private(0x0019, "SIEMENS MR HEADER", 0x100c, Vr::IS, format!("{b}").into_bytes());
    let ge = |b: i32| private(0x0043, "GEMS_PARM_01", 0x1039, Vr::IS, format!("{}\\8", b + 1_000_000_000).into_bytes());
    let philips = |b: i32| private(0x2001, "Philips Imaging DD 001", 0x1003, Vr::FL, (b as f32).to_le_bytes().to_vec());
    let heights = [0.0, 5.0, 10.0, 15.0, 20.0, 0.0, 5.0, 15.0, 20.0];
    let b_of = |index: usize| if index < 5 { 0 } else { 800 };
    let vendors: [Vec<DataSet>; 3] = [
        images(&heights, |index, data| siemens(b_of(index))(data)),
        images(&heights, |index, data| ge(b_of(index))(data)),
        images(&heights, |index, data| philips(b_of(index))(data)),
    ];
    for images in vendors {
        let result = stacked(&images);
        assert_eq!(result.iter().map(|stack| stack.grid.shape[2]).collect::<Vec<_>>(), [5, 5]);
        assert!(result[0].warnings.is_empty(), "{:?}", result[0].warnings);
        assert_eq!(result[1].warnings, ["1 slice is missing and left empty: k = 2"]);
        assert_eq!(names(&images), ["b 0", "b 800"]);
    }
}

#[test]
fn an_image_missing_from_one_acquisition_does_not_shift_the_others() {
    // One image without and three with diffusion weighting at each position; the third acquisition lacks the middle.
    let places: Vec<(usize, usize)> =
        (0..3).flat_map(|k| (0..4).map(move |n| (k, n))).filter(|place| *place != (1, 2)).collect();
    let heights: Vec<f64> = places.iter().map(|(k, _)| 5.0 * *k as f64).collect();
    let weighted = |index: usize, data: &mut DataSet| {
        let acquisition = places[index].1;
        data.put_text(Tag::ACQUISITION_NUMBER, &acquisition.to_string());
        data.put(
            Tag::DIFFUSION_B_VALUE,
            Vr::FD,
            Value::Bytes((800.0 * f64::from(u8::from(acquisition > 0))).to_le_bytes().to_vec()),
        );
    };
    let result = stacked(&images(&heights, weighted));
    let acquisitions: Vec<Vec<usize>> =
        order(&result[0]).iter().map(|frame| frame.iter().map(|index| places[index.unwrap()].1).collect()).collect();
    assert_eq!((acquisitions, result.len()), (vec![vec![0; 3], vec![1; 3], vec![3; 3]], 1));
    assert!(result[0].warnings[0].contains("2 images are left out"), "{:?}", result[0].warnings);
}

#[test]
fn an_interrupted_time_series_keeps_its_complete_times_together() {
    let time = |index: usize, data: &mut DataSet| {
        data.put_text(Tag::TEMPORAL_POSITION_IDENTIFIER, &(index / 3 + 1).to_string());
    };
    let images = images(&[0.0, 5.0, 10.0, 0.0, 5.0, 10.0, 0.0, 5.0], time);
    let result = stacked(&images);
    let shapes: Vec<(usize, usize)> = result.iter().map(|stack| (stack.grid.shape[2], stack.frames.len())).collect();
    assert_eq!(shapes, [(3, 2), (2, 1)]);
}

#[test]
fn the_temporal_position_orders_frames_before_the_instance_number() {
    let time = |index: usize, data: &mut DataSet| {
        data.put_text(Tag::TEMPORAL_POSITION_IDENTIFIER, if index < 3 { "2" } else { "1" });
    };
    let result = stacked(&images(&TWICE, time));
    assert_eq!(order(&result[0]), [[Some(3), Some(4), Some(5)], [Some(0), Some(1), Some(2)]]);
}

#[test]
fn stacks_at_one_place_are_frames() {
    let frames = [("1", 0.0), ("1", 5.0), ("2", 0.0), ("2", 5.0)].map(|(id, z)| (id, [0.0, 0.0, z]));
    let result = stacked(&[enhanced(&frames)]);
    assert_eq!((result.len(), result[0].frames.len(), result[0].grid.shape[2]), (1, 2, 2));
}

/// An enhanced image with frames at these places, of these stacks.
fn enhanced(frames: &[(&str, [f64; 3])]) -> DataSet {
    let groups = |(stack, position): &(&str, [f64; 3])| {
        let (mut groups, mut content, mut place) = (DataSet::new(), DataSet::new(), DataSet::new());
        content.put_text(Tag::STACK_ID, stack);
        place.put_text(Tag::IMAGE_POSITION_PATIENT, &position.map(|mm| mm.to_string()).join("\\"));
        groups.put_items(Tag::FRAME_CONTENT_SEQUENCE, vec![content]);
        groups.put_items(Tag::PLANE_POSITION_SEQUENCE, vec![place]);
        groups
    };
    let mut data = slice(1, [0.0; 3]);
    data.put_text(Tag::IMAGE_POSITION_PATIENT, "");
    data.put_text(Tag::NUMBER_OF_FRAMES, &frames.len().to_string());
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames.iter().map(groups).collect());
    data
}

#[test]
fn stacks_of_an_enhanced_image_are_volumes() {
    let above = [("1", 0.0), ("1", 5.0), ("2", 60.0), ("2", 65.0), ("2", 70.0)].map(|(id, z)| (id, [0.0, 0.0, z]));
    let beside = [("L", 0.0), ("R", 90.0), ("L", 0.0), ("R", 90.0)];
    let beside: Vec<(&str, [f64; 3])> =
        beside.iter().enumerate().map(|(index, (id, x))| (*id, [*x, 0.0, (index / 2) as f64])).collect();
    for (frames, shapes, expected) in
        [(&above[..], [2, 3], ["stack 1", "stack 2"]), (&beside[..], [2, 2], ["stack L", "stack R"])]
    {
        let data = enhanced(frames);
        let result = stacked(std::slice::from_ref(&data));
        assert_eq!(result.iter().map(|stack| stack.grid.shape[2]).collect::<Vec<_>>(), shapes);
        assert!(result.iter().all(|stack| stack.frames.len() == 1 && stack.warnings.is_empty()));
        assert_eq!(names(&[data]), expected);
    }
}

#[test]
fn slices_of_a_micro_ct_are_not_repeats_of_each_other() {
    let small = |_: usize, data: &mut DataSet| data.put_text(Tag::PIXEL_SPACING, "0.009\\0.009");
    let result = stacked(&images(&[0.0, 0.009, 0.018, 0.027], small));
    assert_eq!((result[0].grid.shape[2], result[0].frames.len(), result[0].even), (4, 1, true));
    assert!(!stacked(&images(&[0.0, 0.009, 0.018, 0.031], small))[0].even);
}

#[test]
fn images_of_one_uid_at_one_position_are_kept_as_frames() {
    let same = |_: usize, data: &mut DataSet| data.put_text(Tag::SOP_INSTANCE_UID, "1.2.99");
    let series = Series::of(instances(&images(&[0.0, 0.0, 5.0, 5.0], same)));
    assert_eq!((series.stacks[0].frames(), series.stacks[0].grid().shape[2]), (2, 2));
    assert!(series.warnings.is_empty(), "{:?}", series.warnings);
}
