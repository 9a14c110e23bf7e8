#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests, also of exact values")]

use glam::{DAffine3, DMat3, DVec3};
use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::preprocess::{BackgroundFill, ChannelPlan, Spacing, geometry};
use crate::volume::{LabelData, Orientation};

/// A slightly rotated RAS grid, so that no axis is exactly anatomical.
fn ras(shape: [usize; 3], spacing: [f64; 3]) -> Grid {
    let turn = DMat3::from_euler(glam::EulerRot::XYZ, 0.05, -0.04, 0.03);
    let matrix3 = turn * DMat3::from_diagonal(DVec3::from_array(spacing));
    Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(-80.0, 12.5, 300.0) })
}

/// The same scan stored in the order of `orientation`.
fn stored(grid: &Grid, values: &[f32], orientation: &Orientation) -> Volume {
    // `orientation` takes the file to RAS.
    let file = grid.reoriented(&orientation.inverted());
    Volume::from_f32(file.clone(), orientation.inverse(values, file.shape))
}

fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut stream = crate::seed::stream(seed, "test scan", &[]);
    (0..len).map(|_| if stream.random::<f32>() < 0.2 { 0.0 } else { stream.random_range(1.0..100.0) }).collect()
}

fn native() -> PreprocessConfig {
    PreprocessConfig { spacing: Spacing::Native, size: 4, ..PreprocessConfig::default() }
}

fn prepare_one(image: &Volume, cfg: &PreprocessConfig) -> PreparedCase {
    prepare(std::slice::from_ref(image), &[Kind::Other], None, &Targets::Binary, cfg, 1).unwrap()
}

/// The normalised value of a file value under a channel's plan.
fn normalised(value: f32, channel: &ChannelPlan) -> f32 {
    if value == 0.0 {
        return 0.0;
    }
    ((f64::from(value).clamp(channel.clip[0], channel.clip[1]) - channel.mean) / channel.std) as f32
}

#[test]
fn native_is_a_permutation_in_all_48_orientations() {
    let grid = ras([5, 4, 3], [0.9, 1.1, 4.0]);
    let values = random(60, 3);
    let reference = prepare_one(&stored(&grid, &values, &Orientation::IDENTITY), &native());
    for orientation in Orientation::all() {
        let image = stored(&grid, &values, &orientation);
        let prepared = prepare_one(&image, &native());
        assert_eq!(prepared.shape, [5, 4, 3]);
        assert!(!prepared.plan.resampled());
        assert_eq!(prepared.channels, reference.channels, "{orientation:?}");
        for (k, i, j) in (0..60).map(|v| (v / 20, v / 4 % 5, v % 4)) {
            let expected = normalised(values[i + 5 * (j + 4 * k)], &prepared.plan.channels[0]);
            assert_eq!(prepared.channels[0][(k * 5 + i) * 4 + j], expected);
        }
        let restored = prepared.plan.restore(&prepared.channels[0]).unwrap();
        for (back, value) in restored.iter().zip(image.to_f32()) {
            assert_eq!(*back, normalised(value, &prepared.plan.channels[0]), "{orientation:?}");
        }
    }
}

#[test]
fn resampling_does_not_depend_on_the_storage_order_and_restores() {
    let grid = ras([6, 5, 4], [1.5, 2.0, 3.0]);
    // A ramp, on which linear interpolation is exact.
    let ramp: Vec<f32> =
        (0..120).map(|v| 10.0 + (v % 6) as f32 * 3.0 - (v / 6 % 5) as f32 + (v / 30) as f32 * 2.0).collect();
    let cfg = PreprocessConfig {
        interpolation: Interpolation::Linear,
        percentiles: [0.0, 100.0],
        ..PreprocessConfig::default()
    };
    let reference = prepare_one(&stored(&grid, &ramp, &Orientation::IDENTITY), &cfg);
    assert_eq!(reference.shape, [9, 10, 12]);
    assert!(reference.plan.spacing_mm().iter().all(|mm| (mm - 1.0).abs() < 1e-12));
    for orientation in Orientation::all() {
        let image = stored(&grid, &ramp, &orientation);
        let prepared = prepare_one(&image, &cfg);
        assert!(prepared.channels[0].iter().zip(&reference.channels[0]).all(|(a, b)| (a - b).abs() < 1e-4));
        let restored = prepared.plan.restore(&prepared.channels[0]).unwrap();
        let channel = &prepared.plan.channels[0];
        let inside = |voxel: usize| {
            let at = [voxel % image.grid.shape[0], voxel / image.grid.shape[0] % image.grid.shape[1]];
            let at = [at[0], at[1], voxel / (image.grid.shape[0] * image.grid.shape[1])];
            at.iter().zip(image.grid.shape).all(|(&i, n)| i > 0 && i + 1 < n)
        };
        for (voxel, (back, value)) in restored.iter().zip(image.to_f32()).enumerate().filter(|(v, _)| inside(*v)) {
            assert!((back - normalised(value, channel)).abs() < 1e-4, "{orientation:?} at {voxel}");
        }
    }
}

#[test]
fn prepared_voxels_have_the_positions_of_the_plan() {
    let grid = ras([6, 5, 4], [1.5, 2.0, 3.0]);
    for orientation in [Orientation::IDENTITY, Orientation { axis: [2, 0, 1], flip: [true, false, true] }] {
        let image = stored(&grid, &random(120, 1), &orientation);
        let prepared = prepare_one(&image, &PreprocessConfig { size: 8, ..PreprocessConfig::default() });
        let to = prepared.plan.prepared_grid();
        let nearest = resample_f32(&image.to_f32(), &image.grid, &to, Interpolation::Nearest, 0.0);
        for (voxel, value) in slice_major(&nearest, to.shape).into_iter().enumerate() {
            assert_eq!(prepared.channels[0][voxel], normalised(value, &prepared.plan.channels[0]));
        }
        let origin = prepared.plan.crop_origin();
        let rows = prepared.plan.crop_affine();
        let first = to.world_from_voxel.transform_point3(DVec3::new(origin[0] as f64, origin[1] as f64, 0.0));
        assert!(DVec3::new(rows[3], rows[7], rows[11]).distance(first) < 1e-9);
    }
}

#[test]
fn labels_follow_their_image_and_count_what_the_crop_leaves_out() {
    let grid = ras([12, 10, 3], [1.0, 1.0, 1.0]);
    let mut values = vec![0.0; 360];
    let mut labels = vec![0u8; 360];
    for k in 0..3 {
        for j in 3..7 {
            for i in 2..9 {
                values[i + 12 * (j + 10 * k)] = (i * j + k) as f32;
            }
        }
    }
    labels[2 + 12 * (3 + 10)] = 2;
    labels[5 + 12 * (4 + 10)] = 1;
    labels[6 + 12 * (4 + 10)] = 3;
    let image = Volume::from_f32(grid.clone(), values);
    let label = LabelVolume::new(grid, LabelData::U8(labels)).unwrap();
    let prepared = prepare(&[image], &[Kind::Other], Some(&label), &Targets::Regions, &native(), 0).unwrap();
    assert_eq!(prepared.plan.region_box, [[2, 9], [3, 7], [0, 3]]);
    assert_eq!([1, 2, 3].map(|k| prepared.tissue_box(k)), [Some([2..9, 3..7]), Some([2..9, 3..7]), None]);
    assert_eq!(prepared.plan.crop_origin(), [3, 3]);
    assert_eq!((prepared.plan.lesion_voxels, prepared.plan.lesion_voxels_outside_crop), (Some(3), Some(1)));
    let (pixels, target) = prepared.window(1, prepared.plan.crop_origin(), 4);
    let target = target.unwrap();
    assert_eq!((target[2 * 4 + 1], target[3 * 4 + 1]), (0b011, 0b111));
    assert_eq!(target.iter().filter(|bits| **bits != 0).count(), 2);
    assert_eq!(pixels.len(), 16);
    let (pixels, target) = prepared.window(1, [-20, 4], 4);
    assert!(pixels.iter().all(|v| *v == 0.0) && target.unwrap().iter().all(|b| *b == 0));
    assert!(prepared.window(99, [0, 0], 4).0.iter().all(|v| *v == 0.0));
    let (frame, _) = prepared.frame(1, [-2, 8], [16, 5]);
    assert_eq!((frame.len(), frame[(2 + 4) * 5]), (80, prepared.channels[0][(12 + 4) * 10 + 8]));
}

#[test]
fn further_channels_are_aligned_by_world_position() {
    let fine = ras([8, 8, 4], [1.0, 1.0, 2.0]);
    let coarse = Grid { shape: [4, 4, 4], ..ras([8, 8, 4], [1.0, 1.0, 2.0]).with_spacing([2.0, 2.0, 2.0]) };
    let first = Volume::from_f32(fine.clone(), random(256, 1));
    let second = Volume::from_f32(coarse, (1..=64).map(|v| v as f32).collect());
    let flipped = stored(&fine, &random(256, 2), &Orientation { axis: [1, 0, 2], flip: [true, true, false] });
    let kinds = [Kind::Other; 3];
    let prepared = prepare(&[first, second, flipped], &kinds, None, &Targets::Binary, &native(), 0).unwrap();
    let expected = random(256, 2);
    for voxel in 0..256 {
        let (k, i, j) = (voxel / 64, voxel / 8 % 8, voxel % 8);
        let value = (1 + i / 2 + 4 * (j / 2) + 16 * k) as f32;
        assert_eq!(prepared.channels[1][voxel], normalised(value, &prepared.plan.channels[1]));
        let value = expected[i + 8 * (j + 8 * k)];
        assert_eq!(prepared.channels[2][voxel], normalised(value, &prepared.plan.channels[2]));
    }
    // A channel that covers half of the scan. The rest is outside its region.
    let half = Volume::from_f32(Grid { shape: [4, 8, 4], ..fine.clone() }, vec![7.0; 128]);
    let first = Volume::from_f32(fine, random(256, 1));
    let prepared = prepare(&[first, half], &kinds[..2], None, &Targets::Binary, &native(), 0).unwrap();
    assert_eq!(prepared.plan.channels[1].region_voxels, 128);
}

#[test]
fn source_slices_find_their_prepared_ones() {
    // 5 slices of 3 mm at 1 mm: centres at 1, 4, 7, 10, 13.
    let grid = ras([4, 4, 5], [1.0, 1.0, 3.0]);
    let of = |orientation: Orientation, spacing| {
        let image = stored(&grid, &random(80, 5), &orientation);
        let cfg = PreprocessConfig { spacing, ..native() };
        let plan = prepare_one(&image, &cfg).plan;
        (0..plan.source_slices()).map(|k| plan.prepared_slice_of(k)).collect::<Vec<_>>()
    };
    let flipped = Orientation { axis: [2, 0, 1], flip: [true, false, false] };
    assert_eq!(of(Orientation::IDENTITY, Spacing::Iso), [1, 4, 7, 10, 13]);
    assert_eq!(of(flipped, Spacing::Iso), [13, 10, 7, 4, 1]);
    assert_eq!(of(flipped, Spacing::Native), [4, 3, 2, 1, 0]);
    // 1.5 mm: centres at 0.5, 2.5, ... On a tie the lower slice is used.
    assert_eq!(of(Orientation::IDENTITY, Spacing::Millimetres([1.0, 1.0, 1.5])), [0, 2, 4, 6, 8]);
}

/// Pinned slices had the number of the prepared slice, which is another one than in the views.
#[test]
fn a_prepared_slice_has_the_number_of_its_source_slice_from_the_feet() {
    let grid = ras([4, 4, 5], [1.0, 1.0, 3.0]);
    let of = |orientation: Orientation, spacing| {
        let image = stored(&grid, &random(80, 5), &orientation);
        let plan = geometry(&image.grid, &PreprocessConfig { spacing, ..native() }).unwrap();
        let numbers = (0..plan.prepared_shape[2]).map(|k| plan.source_slice_of(k)).collect::<Vec<_>>();
        let stored = (0..plan.source_slices()).map(|k| plan.from_feet(k)).collect::<Vec<_>>();
        (numbers, stored)
    };
    let flipped = Orientation { axis: [2, 0, 1], flip: [true, false, false] };
    assert_eq!(of(Orientation::IDENTITY, Spacing::Native), (vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4]));
    assert_eq!(of(flipped, Spacing::Native), (vec![0, 1, 2, 3, 4], vec![4, 3, 2, 1, 0]));
    // The numbers do not depend on how the file is stored.
    let fine = of(Orientation::IDENTITY, Spacing::Iso).0;
    assert_eq!(fine, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    assert_eq!(of(flipped, Spacing::Iso).0, fine);
}

#[test]
fn a_case_that_cannot_be_prepared_is_an_error() {
    let image = Volume::from_f32(ras([4, 4, 4], [1.0; 3]), vec![1.0; 64]);
    let run =
        |cfg: &PreprocessConfig| prepare(std::slice::from_ref(&image), &[Kind::Other], None, &Targets::Binary, cfg, 0);
    assert!(prepare::<Volume>(&[], &[], None, &Targets::Binary, &native(), 0).is_err());
    assert!(prepare(std::slice::from_ref(&image), &[], None, &Targets::Binary, &native(), 0).is_err());
    let fine = PreprocessConfig { spacing: Spacing::Millimetres([0.01; 3]), memory_mib: 64, ..native() };
    assert!(matches!(run(&fine).unwrap_err().kind(), ErrorKind::Memory { .. }));
    for percentiles in [[50.0, 50.0], [-1.0, 99.0], [f64::NAN, 99.0]] {
        assert!(run(&PreprocessConfig { percentiles, ..native() }).is_err());
    }
    let colours = Volume { data: crate::volume::VoxelData::Rgb(vec![[1, 2, 3]; 64]), ..image.clone() };
    assert!(prepare(&[colours], &[Kind::Other], None, &Targets::Binary, &native(), 0).is_err());
    let plan = run(&native()).unwrap().plan;
    assert!(plan.restore(&[0.0; 63]).is_err());
    let mut broken = plan.clone();
    broken.axes = [0, 0, 7];
    assert!(broken.restore(&[0.0; 64]).is_err());
    broken = plan;
    broken.source_shape = [usize::MAX; 3];
    assert!(broken.restore(&[0.0; 64]).is_err());
}

#[test]
fn plans_survive_json() {
    let image = Volume::from_f32(ras([5, 6, 7], [0.7, 1.3, 2.1]), random(210, 9));
    let plan = prepare_one(&image, &PreprocessConfig::default()).plan;
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<CasePlan>(&text).unwrap(), plan);
}

#[test]
fn noise_is_added_only_outside_the_region() {
    let image = Volume::from_f32(ras([8, 8, 8], [1.0; 3]), random(512, 4));
    let cfg = PreprocessConfig { background: BackgroundFill::Noise, ..native() };
    let (plain, noisy) = (prepare_one(&image, &native()), prepare_one(&image, &cfg));
    for (voxel, &tissue) in noisy.tissue.iter().enumerate() {
        assert_eq!(noisy.channels[0][voxel] == plain.channels[0][voxel], tissue);
    }
    assert_eq!(noisy.channels, prepare_one(&image, &cfg).channels);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn restore_inverts_prepare(
        shape in prop::array::uniform3(1usize..9),
        spacing in prop::array::uniform3(0.3f64..6.0),
        which in 0usize..48,
        seed: u64,
    ) {
        let orientation = Orientation::all().nth(which).unwrap();
        let values = random(shape.iter().product(), seed);
        let image = stored(&ras(shape, spacing), &values, &orientation);
        let prepared = prepare_one(&image, &native());
        let expected: Vec<f32> = image.to_f32().iter().map(|v| normalised(*v, &prepared.plan.channels[0])).collect();
        prop_assert_eq!(prepared.plan.restore(&prepared.channels[0]).unwrap(), expected);
        // Resampled: every source voxel takes its value from its own neighbourhood.
        let ones = PreprocessConfig { memory_mib: 64, ..PreprocessConfig::default() };
        let prepared = prepare_one(&image, &ones);
        let [nx, ny, nz] = prepared.shape;
        let world: Vec<f32> = (0..nx * ny * nz)
            .map(|v| prepared.plan.prepared_grid().world([v / ny % nx, v % ny, v / (nx * ny)]).z as f32)
            .collect();
        let restored = prepared.plan.restore(&world).unwrap();
        for (voxel, z) in restored.into_iter().enumerate() {
            let [sx, sy, _] = image.grid.shape;
            let there = image.grid.world([voxel % sx, voxel / sx % sy, voxel / (sx * sy)]);
            // At most half a voxel of each grid, at the border.
            let slack = 0.5 * spacing.iter().sum::<f64>() + 1.5 + 1e-3;
            prop_assert!((f64::from(z) - there.z).abs() < slack);
        }
    }
}

#[test]
fn padding_is_outside_of_the_region_whatever_its_value() {
    let (grid, n) = (ras([12, 12, 3], [1.0, 1.0, 2.0]), 432);
    let is_padding = |at: usize| at % 12 < 2;
    let image = |values: &dyn Fn(usize) -> f32, padding: f32| {
        // Of several values, so that without the marking it is not a constant border.
        let padding = |at: usize| padding - (at * 7919 % 5) as f32;
        let values = (0..n).map(|at| if is_padding(at) { padding(at) } else { values(at) }).collect();
        let highest = f64::from(padding(0));
        Volume { padding: Some([highest - 4.0, highest]), ..Volume::from_f32(grid.clone(), values) }
    };
    // Noise up to the border, next to brighter padding.
    let noisy = image(&|at| 50.0 + (at * 7919 % 97) as f32, 5000.0);
    let prepared = prepare_one(&noisy, &native());
    let channel = &prepared.plan.channels[0];
    assert_eq!((channel.region_voxels, channel.nonfinite), (360, 0));
    assert!(channel.clip[1] < 150.0 && channel.mean < 150.0, "{channel:?}");
    assert!(prepared.plan.warnings.iter().all(|warning| !warning.contains("finite")), "{:?}", prepared.plan.warnings);
    let padded: Vec<usize> = (0..n).filter(|at| is_padding(at / 12 % 12)).collect();
    assert!(padded.iter().all(|&at| !prepared.tissue[at] && prepared.channels[0][at] == 0.0));
    // Without the mark it is the brightest tissue.
    let unmarked = prepare_one(&Volume { padding: None, ..noisy }, &native());
    assert!(unmarked.plan.channels[0].clip[1] > 4000.0);

    // A CT in air: padding is air with or without the mark, so that a NIfTI file of the scan, which has none, trains alike.
    let body = |at: usize| if (4..9).contains(&(at % 12)) && (3..9).contains(&(at / 12 % 12)) { 40.0 } else { -1000.0 };
    let ct = image(&|at| body(at) + (at * 7919 % 31) as f32, -2000.0);
    let prepared = |image: &Volume| {
        let images = std::slice::from_ref(image);
        prepare(images, &[Kind::Ct], None, &Targets::Binary, &native(), 1).unwrap()
    };
    let (marked, unmarked) = (prepared(&ct), prepared(&Volume { padding: None, ..ct.clone() }));
    assert_eq!((marked.channels, marked.plan), (unmarked.channels, unmarked.plan));
}
