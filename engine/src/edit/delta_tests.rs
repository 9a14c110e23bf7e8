use super::*;
use crate::volume::Grid;
use glam::DAffine3;

#[test]
fn runs_are_split_at_row_ends_and_merged_within_a_row() {
    let mut delta = Delta::empty([4, 3, 2, 1]);
    delta.push(DeltaRun { start: 2, len: 3, before: 0, after: 1 });
    delta.push(DeltaRun { start: 5, len: 1, before: 0, after: 1 });
    delta.push(DeltaRun { start: 6, len: 1, before: 2, after: 1 });
    let run = |start, len, before| DeltaRun { start, len, before, after: 1 };
    assert_eq!(delta.runs(), [run(2, 2, 0), run(4, 2, 0), run(6, 1, 2)]);
    assert_eq!((delta.voxels(), delta.bounds()), (5, Some(VoxelBox { min: [0, 0, 0], max: [3, 1, 0] })));
    // In the second of two frames of 24 voxels, the box lies within the frame.
    let mut delta = Delta::empty([4, 3, 2, 2]);
    delta.push(DeltaRun { start: 24 + 13, len: 2, before: 0, after: 1 });
    assert_eq!((delta.frame(), delta.bounds()), (Some(1), Some(VoxelBox { min: [1, 0, 1], max: [2, 0, 1] })));
}

#[test]
fn a_number_is_packed_with_seven_bits_per_byte() {
    for value in [0, 1, 127, 128, 300, 1 << 21, usize::MAX] {
        let mut bytes = Vec::new();
        put(&mut bytes, value);
        let mut left = &bytes[..];
        assert_eq!((take(&mut left), left.len()), (Some(value), 0));
        assert_eq!(take(&mut &bytes[..bytes.len() - 1]), None);
    }
    assert_eq!(take(&mut &[0xff_u8; 10][..]), None, "more than 64 bits");
}

#[test]
fn damaged_changes_are_refused() {
    let dims = [4, 3, 2, 1];
    let packed = |numbers: &[usize]| {
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&n| put(&mut bytes, n));
        PackedDelta::read(&bytes, dims)
    };
    assert!(packed(&[1, 0, 4, 0, 1]).is_ok());
    for (numbers, why) in [
        (&[1, 20, 10, 0, 1][..], "beyond the mask"),
        (&[1, usize::MAX, 4, 0, 1], "beyond the mask"),
        (&[2, 0, 4, 0, 1, usize::MAX, 4, 0, 1], "beyond the mask"),
        (&[1, 0, 0, 0, 1], "does not change any label"),
        (&[1, 0, 4, 1, 1], "does not change any label"),
        (&[1, 0, 5], "does not change any label"),
        (&[1, 0, 4, 0, 70_000], "larger than 65535"),
        (&[0, 1], "bytes follow"),
        (&[3], "truncated"),
    ] {
        assert!(packed(numbers).unwrap_err().contains(why), "{numbers:?}");
    }
}

#[test]
fn a_delta_of_another_mask_is_not_applied() {
    let grid = Grid::new([4, 1, 1], DAffine3::IDENTITY);
    let mut labels = EditLabels::new(grid);
    let delta = Delta::from_runs(
        [4, 1, 1, 1],
        vec![DeltaRun { start: 0, len: 1, before: 0, after: 1 }, DeltaRun { start: 2, len: 1, before: 5, after: 1 }],
    );
    assert!(!delta.apply(&mut labels));
    assert_eq!(labels.voxel_counts().len(), 0, "a refused change leaves the labels unchanged");
    assert!(!Delta::empty([2, 2, 1, 1]).fits(&labels), "another shape");
}
