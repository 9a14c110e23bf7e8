//! Written volumes are read back with the same positions and values, and no bytes make the reader panic.

use std::path::Path;

use engine::ErrorKind;
use engine::volume::{
    Frames, Grid, LabelData, LabelVolume, MaskOptions, Orientation, ReadOptions, Relation, Scale, Volume, VoxelData,
    nifti,
};
use glam::{DAffine3, DMat3, DVec3, EulerRot};
use proptest::prelude::*;

fn oblique(angles: [f64; 3], spacing: [f64; 3], origin: [f64; 3], shape: [usize; 3]) -> Grid {
    let turn = DMat3::from_euler(EulerRot::XYZ, angles[0], angles[1], angles[2]);
    let matrix3 = turn * DMat3::from_diagonal(DVec3::from_array(spacing));
    Grid::new(shape, DAffine3 { matrix3, translation: DVec3::from_array(origin) })
}

fn image_on(grid: &Grid) -> Volume {
    Volume::from_f32(grid.clone(), (0..grid.len()).map(|n| n as f32 - 3.5).collect())
}

fn labels_on(grid: &Grid) -> LabelVolume {
    LabelVolume::new(grid.clone(), (0..grid.len()).map(|n| (n % 5) as u8).collect::<Vec<_>>()).unwrap()
}

fn voxels(shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..shape.iter().product()).map(move |n| [n % shape[0], n / shape[0] % shape[1], n / (shape[0] * shape[1])])
}

/// Checks that every voxel of two grids has the same position, within the precision of a 32-bit header.
fn assert_same_place(a: &Grid, b: &Grid, tolerance_mm: f64) {
    assert_eq!(a.shape, b.shape);
    for v in voxels(a.shape) {
        assert!(a.world(v).distance(b.world(v)) <= tolerance_mm, "{v:?}: {} against {}", a.world(v), b.world(v));
    }
}

#[test]
fn all_48_axis_orders_and_flips_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let upright = oblique([0.0; 3], [0.9766, 2.0, 3.3], [-91.25, 12.0, 400.5], [5, 4, 3]);
    let turned = oblique([0.4, -0.3, 0.7], [0.9766, 2.0, 3.3], [-91.25, 12.0, 400.5], [5, 4, 3]);
    for (n, o) in Orientation::all().enumerate() {
        for (base, name) in [(&upright, "u"), (&turned, "o")] {
            let grid = base.reoriented(&o);
            let path = folder.path().join(format!("{name}{n}.nii.gz"));
            let image = folder.path().join(format!("{name}{n}_image.nii"));
            nifti::write_volume(&image, &image_on(&grid)).unwrap();
            let image = Volume::read(&image).unwrap();
            assert!(image.warnings.is_empty(), "{:?}", image.warnings);
            assert_same_place(&image.grid, &grid, 1e-4);

            let mask = LabelVolume { grid: image.grid.clone(), data: labels_on(&grid).data };
            nifti::write_label(&path, &mask, &image).unwrap();
            // Every bit of the geometry in the image's header is kept.
            let back = LabelVolume::read(&path).unwrap();
            assert_eq!(back, mask);
            assert_eq!(LabelVolume::read_for(&path, &image).unwrap(), (mask, Vec::new()));

            // The same mask in another axis order is reoriented.
            let other = labels_on(&grid);
            let other = LabelVolume {
                grid: base.clone(),
                data: match &other.data {
                    LabelData::U8(v) => LabelData::U8(o.inverse(v, base.shape)),
                    LabelData::U16(_) => unreachable!(),
                },
            };
            let elsewhere = folder.path().join("other.nii");
            nifti::write_label(&elsewhere, &other, &image_on(base)).unwrap();
            let (right, warnings) = LabelVolume::read_for(&elsewhere, &image).unwrap();
            assert_eq!(right.data, labels_on(&grid).data);
            assert_eq!(warnings.is_empty(), o == Orientation::IDENTITY);
        }
    }
}

/// A NIfTI-1 header and 8 voxels of int16, with fields set by hand.
fn by_hand(edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut b = vec![0_u8; 352];
    b[0..4].copy_from_slice(&348_i32.to_le_bytes());
    for (n, d) in [3_i16, 2, 2, 2, 1, 1, 1, 1].iter().enumerate() {
        b[40 + 2 * n..42 + 2 * n].copy_from_slice(&d.to_le_bytes());
    }
    b[70..72].copy_from_slice(&4_i16.to_le_bytes());
    b[72..74].copy_from_slice(&16_i16.to_le_bytes());
    for (n, p) in [-1.0_f32, 1.5, 2.5, 0.75, 1.0, 1.0, 1.0, 1.0].iter().enumerate() {
        b[76 + 4 * n..80 + 4 * n].copy_from_slice(&p.to_le_bytes());
    }
    b[108..112].copy_from_slice(&352_f32.to_le_bytes());
    b[123] = 2;
    b[148..156].copy_from_slice(b"DOE JANE");
    b[252..254].copy_from_slice(&3_i16.to_le_bytes());
    for (n, q) in [0.1_f32, -0.3, 0.2, 7.25, -8.5, 99.0].iter().enumerate() {
        b[256 + 4 * n..260 + 4 * n].copy_from_slice(&q.to_le_bytes());
    }
    b[344..348].copy_from_slice(b"n+1\0");
    edit(&mut b);
    b.extend((0..8_i16).flat_map(i16::to_le_bytes));
    b
}

fn read_bytes(folder: &Path, bytes: &[u8]) -> engine::Result<Volume> {
    let path = folder.join("hand.nii");
    std::fs::write(&path, bytes).unwrap();
    Volume::read(&path)
}

#[test]
fn sform_and_qform_are_copied_and_texts_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let set = |b: &mut [u8], at: usize, v: &[u8]| b[at..at + v.len()].copy_from_slice(v);
    let sources = [
        by_hand(|_| {}),                                // the quaternion alone, left-handed
        by_hand(|b| set(b, 252, &0_i16.to_le_bytes())), // no orientation
        by_hand(|b| b[123] = 3),                        // micrometres
        by_hand(|b| set(b, 252, &5_i16.to_le_bytes())), // another code
    ];
    for bytes in sources {
        let source = read_bytes(folder.path(), &bytes).unwrap();
        let path = folder.path().join("mask.nii");
        nifti::write_label(&path, &labels_on(&source.grid), &source).unwrap();
        let (back, written) = (Volume::read(&path).unwrap(), std::fs::read(&path).unwrap());
        assert_eq!(back.grid, source.grid);
        assert_eq!(written[76..92], bytes[76..92], "qfac and voxel sizes");
        assert_eq!(written[123], bytes[123], "units");
        assert_eq!(written[252..328], bytes[252..328], "codes and forms");
        assert_eq!(i16::from_le_bytes([written[68], written[69]]), 1002, "intent");
        assert!(!written.windows(3).any(|w| w == b"DOE"));
    }
}

#[test]
fn labels_use_the_smallest_type_and_a_wrong_grid_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let grid = oblique([0.1, 0.2, 0.3], [1.0; 3], [0.0; 3], [3, 1, 1]);
    let image = image_on(&grid);
    let path = folder.path().join("m.nii.gz");
    for (labels, name) in [(vec![0, 1, 255], "uint8"), (vec![0, 1, 256], "uint16"), (vec![65535; 3], "uint16")] {
        let mask = LabelVolume { grid: grid.clone(), data: LabelData::U16(labels) };
        nifti::write_label(&path, &mask, &image).unwrap();
        assert_eq!(Volume::read(&path).unwrap().data.type_name(), name);
        assert!(LabelVolume::read(&path).unwrap().iter().eq(mask.iter()));
    }
    let before = std::fs::read(&path).unwrap();
    let moved = labels_on(&grid.cropped([1, 0, 0], [3, 1, 1]));
    let message = nifti::write_label(&path, &moved, &image).unwrap_err().to_string();
    assert!(message.contains("first voxel at (0, 0, 0)"), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(nifti::write_label(&folder.path().join("m.mha"), &labels_on(&grid), &image).is_err());
}

#[test]
fn long_axes_and_64_bit_geometry_are_written_as_nifti_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.nii.gz");
    let grid = oblique([0.0; 3], [0.001, 1.0, 1.0], [0.0; 3], [40_000, 1, 1]);
    nifti::write_volume(&path, &image_on(&grid)).unwrap();
    let back = Volume::read(&path).unwrap();
    assert_eq!(back.header.as_ref().unwrap().format, "nifti-2 gzip");
    assert_eq!(back.grid.relation(&grid), Relation::Same);
    assert_eq!(back.to_f32(), image_on(&grid).to_f32());
    // 0.001 is not a 32-bit float: a mask on this scan must stay NIfTI-2 to have the same position.
    nifti::write_label(&path, &labels_on(&back.grid), &back).unwrap();
    assert_eq!(LabelVolume::read(&path).unwrap().grid, back.grid);
}

#[test]
fn frames_and_every_voxel_type_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let grid = oblique([0.0; 3], [2.0; 3], [1.0; 3], [2, 1, 2]);
    let all = [
        VoxelData::U8((0..12).collect()),
        VoxelData::I8((-6..6).collect()),
        VoxelData::U16((65524..=65535).collect()),
        VoxelData::I16((-32768..-32756).collect()),
        VoxelData::U32((0..12).map(|n| u32::MAX - n).collect()),
        VoxelData::I32((0..12).map(|n| i32::MIN + n).collect()),
        VoxelData::U64((0..12).map(|n| u64::MAX - n).collect()),
        VoxelData::I64((0..12).map(|n| i64::MIN + n).collect()),
        VoxelData::F32((0..12).map(|n| n as f32 * 0.1).collect()),
        VoxelData::F64((0..12).map(|n| f64::from(n) * 0.1).collect()),
        VoxelData::Rgb((0..12).map(|n| [n, 1, 255]).collect()),
        VoxelData::Rgba((0..12).map(|n| [n, 1, 255, 0]).collect()),
    ];
    for data in all {
        let mut volume = image_on(&grid);
        volume.data = data;
        for name in ["v.nii", "v.nii.gz"] {
            let path = folder.path().join(name);
            nifti::write_volume(&path, &volume).unwrap();
            let read = |frames| Volume::read_with(&path, &ReadOptions { frames, ..ReadOptions::default() });
            let back = read(Frames::All).unwrap();
            assert_eq!((back.file_frames, back.frames(), &back.data), (3, 3, &volume.data));
            let second = read(Frames::One(1)).unwrap();
            assert_eq!(second.frames(), 1);
            assert_eq!(second.value([1, 0, 1]).to_bits(), back.value_at([1, 0, 1], 1).to_bits());
            assert_eq!(second.to_f32(), back.frame_to_f32(1));
            assert!(read(Frames::One(3)).is_err());
            let tight = ReadOptions { frames: Frames::All, memory_budget: back.memory_bytes() - 1 };
            assert!(Volume::read_with(&path, &tight).is_err());
        }
    }
}

/// A viewer reads single frames of a 4-D file without loading all of it.
#[test]
fn a_single_frame_equals_that_of_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let grid = oblique([0.2, 0.1, -0.3], [2.0; 3], [1.0; 3], [4, 3, 5]);
    let frames = 6;
    let data = VoxelData::I16((0..frames * 60).map(|n| (n * 37 % 1000 - 500) as i16).collect());
    let series = Volume::new(grid, data, Scale { slope: 0.5, inter: -3.0 });
    for name in ["series.nii", "series.nii.gz"] {
        let path = folder.path().join(name);
        nifti::write_volume(&path, &series).unwrap();
        let one_frame = series.memory_bytes() / frames as u64;
        let read = |frames, memory_budget| Volume::read_with(&path, &ReadOptions { frames, memory_budget });
        let whole = read(Frames::All, series.memory_bytes()).unwrap();
        assert_eq!((whole.frames(), whole.file_frames), (6, 6));
        for k in 0..frames as usize {
            // One frame needs one frame's memory, however long the series.
            let one = read(Frames::One(k), one_frame).unwrap();
            assert_eq!((one.frames(), one.file_frames, &one.grid), (1, 6, &whole.grid));
            assert_eq!(one.to_f32(), whole.frame_to_f32(k), "frame {k}");
            assert_eq!(one.percentiles(0, &[50.0]), whole.percentiles(k, &[50.0]));
        }
        for k in [6, usize::MAX] {
            let error = read(Frames::One(k), one_frame).unwrap_err();
            let ErrorKind::Field { path: named, field, value, why } = error.kind() else { panic!("{error}") };
            assert_eq!(
                (named, &**field, value, &**why),
                (&path, "frame", &k.to_string(), "the file has 6 frames, counted from 0")
            );
        }
        let error = read(Frames::All, series.memory_bytes() - 1).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Memory { .. }) && error.to_string().contains(name), "{error}");
        assert!(read(Frames::One(0), one_frame - 1).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_grid_is_read_back_up_to_32_bit_rounding(
        angles in prop::array::uniform3(-3.2..3.2_f64),
        spacing in prop::array::uniform3(0.2..8.0_f64),
        origin in prop::array::uniform3(-500.0..500.0_f64),
        shape in prop::array::uniform3(1..9_usize),
        mirror in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut grid = oblique(angles, spacing, origin, shape);
        if mirror {
            grid.world_from_voxel.matrix3.y_axis *= -1.0;
        }
        let path = folder.path().join("m.nii");
        nifti::write_label(&path, &labels_on(&grid), &image_on(&grid)).unwrap();
        let (back, warnings) = LabelVolume::read_for(&path, &image_on(&grid)).unwrap();
        // Far from the origin, 32-bit rounding exceeds the tolerance without warning.
        prop_assert!(warnings.iter().all(|note| note.starts_with("a corner of the mask differs by 0.000")), "{:?}", warnings);
        prop_assert_eq!(back.data, labels_on(&grid).data);
        // The quaternion by itself must give the same positions.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[254..256].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let by_quaternion = Volume::read(&path).unwrap();
        for v in voxels(shape) {
            prop_assert!(by_quaternion.grid.world(v).distance(grid.world(v)) < 0.05);
        }
    }

    #[test]
    fn the_reader_never_panics_on_arbitrary_bytes(
        at in prop::collection::vec((0..384_usize, any::<u8>()), 1..6),
        cut in 0..400_usize,
        version_2 in any::<bool>(),
        gzip in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = if version_2 {
            let path = folder.path().join("two.nii");
            let grid = oblique([0.1; 3], [1.0 / 3.0; 3], [0.0; 3], [2, 2, 40_000]);
            nifti::write_label(&path, &labels_on(&grid), &image_on(&grid)).unwrap();
            std::fs::read(&path).unwrap()
        } else {
            by_hand(|_| {})
        };
        for (at, value) in at {
            let end = bytes.len();
            bytes[at.min(end - 1)] = value;
        }
        if cut > 200 {
            bytes.truncate(cut);
        }
        if gzip {
            use std::io::Write;
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            e.write_all(&bytes).unwrap();
            bytes = e.finish().unwrap();
            if cut < 100 {
                let n = bytes.len();
                bytes[cut % n] ^= 0x21;
            }
        }
        // A small budget: a header may well ask for gigabytes.
        let path = folder.path().join("hand.nii");
        std::fs::write(&path, &bytes).unwrap();
        for frames in [Frames::All, Frames::One(0)] {
            if let Err(e) = Volume::read_with(&path, &ReadOptions { frames, memory_budget: 1 << 20 }) {
                prop_assert!(!e.to_string().contains('\n'), "{}", e);
            }
        }
    }
}

#[test]
fn a_mask_of_several_frames_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let grid = oblique([0.1; 3], [1.0, 2.0, 3.0], [0.0; 3], [4, 3, 2]);
    let path = folder.path().join("seg.nii.gz");
    let image = Volume { file_frames: 3, ..image_on(&grid) };
    for wide in [2_u16, 700] {
        let frame = |n: u16| LabelVolume::new(grid.clone(), vec![n * wide / 2; grid.len()]).unwrap();
        let frames = [0, 1, 2].map(frame);
        nifti::replace_labels(&path, &frames, &image).unwrap();
        let read = LabelVolume::read_frames_for(&path, &image, MaskOptions::default()).unwrap();
        assert_eq!([0, 1, 2].map(|n| read.read(n).unwrap().labels), frames);
        let whole = Volume::read_with(&path, &ReadOptions { frames: Frames::All, ..ReadOptions::default() }).unwrap();
        let (kind, header) = (whole.data.type_name(), whole.header.unwrap());
        assert_eq!((header.dims, kind), (vec![4, 3, 2, 3], if wide > 255 { "uint16" } else { "uint8" }));
    }
    let previous = Volume::read(&engine::disk::atomic::previous_path(&path)).unwrap();
    assert_eq!(previous.file_frames, 3, "the mask before is kept");
}

#[test]
fn a_mask_that_is_replaced_keeps_its_previous_version() {
    let folder = tempfile::tempdir().unwrap();
    let grid = oblique([0.1; 3], [1.0, 2.0, 3.0], [0.0; 3], [4, 3, 2]);
    let (image, path) = (image_on(&grid), folder.path().join("seg.nii.gz"));
    let mask = |label: u8| LabelVolume::new(grid.clone(), vec![label; grid.len()]).unwrap();
    for label in [1, 2, 3, 3] {
        nifti::replace_label(&path, &mask(label), &image).unwrap();
    }
    let read = |path: &Path| LabelVolume::read(path).unwrap().get(0);
    assert_eq!((read(&path), read(&engine::disk::atomic::previous_path(&path))), (3, 2));
    let other = LabelVolume::new(Grid::new([1, 1, 1], DAffine3::IDENTITY), vec![1_u8]).unwrap();
    assert!(nifti::replace_label(&path, &other, &image).is_err());
    assert_eq!(read(&engine::disk::atomic::previous_path(&path)), 2, "nothing was replaced");
}
