//! Random grids, masks, images and operations.

use glam::{DAffine3, DMat3, DVec3};
use proptest::prelude::*;
use proptest::sample::select;

use crate::edit::op::{Boolean, Brush, LassoAction, Mode, Op, Operand, Plane, PlaneName, Seed, Smoothing};
use crate::volume::{Grid, Orientation, Scale, Volume, VoxelData};

/// A mask, its image, and another mask.
#[derive(Clone, Debug)]
pub struct Setting {
    pub image: Volume,
    pub labels: Vec<u16>,
    pub other: Vec<u16>,
}

impl Setting {
    pub fn grid(&self) -> &Grid {
        &self.image.grid
    }

    pub fn values(&self) -> Vec<f64> {
        (0..self.grid().len()).map(|index| self.image.scale.apply(self.image.data.stored(index))).collect()
    }
}

/// A small grid in any axis order, possibly oblique.
fn grid() -> impl Strategy<Value = Grid> {
    let shape = [1_usize..8, 1_usize..8, 1_usize..7];
    let spacing = prop::array::uniform3(0.5..3.0_f64);
    let turn = prop_oneof![Just([0.0; 3]), prop::array::uniform3(-0.3..0.3_f64)];
    (shape, spacing, 0..48_usize, turn).prop_map(|(shape, spacing, orientation, turn)| {
        let turned = DMat3::from_euler(glam::EulerRot::XYZ, turn[0], turn[1], turn[2]);
        let matrix3 = turned * DMat3::from_diagonal(DVec3::from_array(spacing));
        let upright = Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(-3.137, 7.713, 1.071) });
        upright.reoriented(&Orientation::all().nth(orientation).unwrap())
    })
}

/// Labels 0 to 3, half of them background, in lumps.
fn labels(len: usize) -> impl Strategy<Value = Vec<u16>> {
    let runs = prop::collection::vec((select(vec![0_u16, 0, 0, 1, 1, 2, 300]), 1..9_usize), len.div_ceil(2));
    runs.prop_map(move |runs| {
        let mut all: Vec<u16> = runs.into_iter().flat_map(|(label, n)| std::iter::repeat_n(label, n)).collect();
        all.resize(len, 0);
        all
    })
}

pub fn setting() -> impl Strategy<Value = Setting> {
    grid().prop_flat_map(|grid| {
        let n = grid.len();
        let values = prop::collection::vec(0..40_i16, n);
        (Just(grid), values, labels(n), labels(n)).prop_map(|(grid, values, labels, other)| Setting {
            image: Volume::new(grid, VoxelData::I16(values), Scale { slope: 0.5, inter: -3.0 }),
            labels,
            other,
        })
    })
}

fn point(grid: &Grid) -> impl Strategy<Value = [f64; 3]> + use<> {
    let grid = grid.clone();
    // Also slightly outside, and never on a voxel centre, where rounding would decide about inside and outside.
    prop::array::uniform3(-0.15..1.15_f64).prop_map(move |share| {
        let voxel = DVec3::from_array(std::array::from_fn(|a| share[a] * grid.shape[a] as f64 - 0.5));
        grid.world_from_voxel.transform_point3(voxel).to_array()
    })
}

fn seed(grid: &Grid) -> impl Strategy<Value = Seed> + use<> {
    let [nx, ny, nz] = grid.shape;
    let grid = grid.clone();
    ([0..nx, 0..ny, 0..nz], any::<bool>()).prop_map(move |(voxel, by_index)| {
        let point_mm = Some((grid.world(voxel) + 0.1).to_array());
        let by_point = Seed { voxel: None, point_mm };
        if by_index { Seed { voxel: Some(voxel), point_mm: None } } else { by_point }
    })
}

fn plane() -> impl Strategy<Value = Plane> {
    let named = select(vec![PlaneName::Axial, PlaneName::Coronal, PlaneName::Sagittal]).prop_map(Plane::Named);
    prop_oneof![(0..3_usize).prop_map(Plane::Axis), named]
}

pub fn brush(grid: &Grid) -> impl Strategy<Value = Brush> + use<> {
    let points = prop::collection::vec(point(grid), 1..4);
    let mode = select(vec![Mode::Slice, Mode::Volume]);
    (0.3..6.0_f64, mode, plane(), points).prop_map(|(radius_mm, mode, plane, points_mm)| Brush {
        radius_mm,
        mode,
        plane,
        points_mm,
        connected: false,
    })
}

fn label() -> impl Strategy<Value = u16> {
    select(vec![1_u16, 2, 3, 300])
}

/// Any operation except `interpolate`.
pub fn op(grid: &Grid) -> impl Strategy<Value = Op> + use<> {
    let only = || prop::option::of(label());
    let range = (prop::option::of(-3.0..8.0_f64), prop::option::of(8.0..17.0_f64));
    let axis = || prop::option::of(0..3_usize);
    let corners = prop::collection::vec(point(grid), 3..6);
    let action = select(vec![LassoAction::Fill, LassoAction::Erase, LassoAction::Restore]);
    let brushes = prop_oneof![
        (label(), brush(grid)).prop_map(|(label, brush)| Op::Paint { label, brush }),
        (only(), brush(grid)).prop_map(|(label, brush)| Op::Erase { label, brush }),
        (label(), brush(grid), range).prop_map(|(label, brush, (min, max))| Op::ThresholdPaint {
            label,
            brush,
            min,
            max
        }),
        (label(), brush(grid), 0.0..8.0_f64).prop_map(|(label, brush, tolerance)| Op::AdaptivePaint {
            label,
            brush,
            tolerance: Some(tolerance)
        }),
        (label(), corners, plane(), action, any::<bool>()).prop_map(|(label, points_mm, plane, action, through)| {
            Op::Lasso { label: Some(label), points_mm, plane, action, through }
        }),
    ];
    let strokes = || prop::collection::vec(brush(grid), 1..3);
    let watershed = (label(), strokes(), strokes(), prop::option::of(0.0..2.0_f64), any::<bool>()).prop_map(
        |(label, inside, outside, smooth_mm, overwrite)| Op::Watershed { label, inside, outside, smooth_mm, overwrite },
    );
    let outlines = prop_oneof![
        (label(), select(vec![Mode::Slice, Mode::Volume]), axis(), any::<bool>())
            .prop_map(|(label, mode, axis, overwrite)| Op::FillHoles { label, mode, axis, overwrite }),
        (label(), 0.4..5.0_f64, any::<bool>()).prop_map(|(label, mm, overwrite)| Op::Grow { label, mm, overwrite }),
        (label(), 0.4..4.0_f64).prop_map(|(label, mm)| Op::Shrink { label, mm }),
        (label(), select(vec![Smoothing::Majority, Smoothing::Gaussian]), 0.4..3.0_f64, any::<bool>())
            .prop_map(|(label, method, mm, overwrite)| Op::Smooth { label, method, mm, overwrite }),
    ];
    let regions = prop_oneof![
        watershed,
        (0..4_u16, seed(grid), plane()).prop_map(|(label, seed, plane)| Op::Fill { label, seed, plane }),
        (label(), seed(grid), 0.0..6.0_f64, prop::option::of(0.5..6.0_f64), any::<bool>()).prop_map(
            |(label, seed, tolerance, max_radius_mm, overwrite)| Op::RegionGrow {
                label,
                seed,
                tolerance,
                max_radius_mm,
                overwrite
            }
        ),
        (label(), seed(grid), prop::option::of(-3.0..8.0_f64), prop::option::of(8.0..17.0_f64), any::<bool>())
            .prop_map(|(label, seed, min, max, overwrite)| Op::ThresholdGrow { label, seed, min, max, overwrite }),
        (seed(grid), only()).prop_map(|(seed, label)| Op::KeepComponent { seed, label }),
        (seed(grid), only()).prop_map(|(seed, label)| Op::RemoveComponent { seed, label }),
        only().prop_map(|label| Op::KeepLargest { label }),
        (0.0..0.1_f64, only()).prop_map(|(ml, label)| Op::RemoveSmall { ml, label }),
        (label(), 0..4_u16, prop::option::of(seed(grid))).prop_map(|(from, to, seed)| Op::Relabel {
            from,
            to,
            seed: seed.unwrap_or_default()
        }),
        (
            select(vec![Boolean::Union, Boolean::Intersect, Boolean::Subtract]),
            label(),
            label(),
            select(vec![Operand::Own, Operand::Other])
        )
            .prop_map(|(operation, a, b, of)| Op::Boolean { operation, a, b, of }),
    ];
    prop_oneof![2 => brushes, 1 => outlines, 2 => regions]
}

/// A setting, and up to `length` operations on it.
pub fn sequence(length: usize) -> impl Strategy<Value = (Setting, Vec<Op>)> {
    setting().prop_flat_map(move |setting| {
        let ops = prop::collection::vec(op(setting.grid()), 1..=length);
        (Just(setting), ops)
    })
}
