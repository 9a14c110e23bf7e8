//! Every operation against its naive implementation, and further properties.

use glam::{DAffine3, DVec3};
use proptest::prelude::*;

use super::naive::NaiveEditor;
use super::strategies::{op, sequence, setting};
use super::{edited, values_of};
use crate::ErrorKind;
use crate::edit::op::{Brush, Mode, Op, Plane, Seed};
use crate::edit::{Delta, EditLabels, PackedDelta, Scene, VoxelBox, apply, op_list, plan, plane_bounds};
use crate::event::{Control, Signal};
use crate::volume::{Grid, Scale, Volume, VoxelData};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn operations_equal_their_naive_versions_and_are_invertible((setting, op) in setting().prop_flat_map(|s| {
        let op = op(s.grid());
        (Just(s), op)
    })) {
        let (mut labels, other) = (edited(setting.grid(), &setting.labels), edited(setting.grid(), &setting.other));
        let before = labels.clone();
        let image = setting.values();
        let scene = Scene { image: Some(&setting.image), other: Some(&other), ..Scene::default() };
        let twin = NaiveEditor { grid: setting.grid(), image: &image, other: &setting.other };
        let expected = twin.apply(&op, &setting.labels);
        let found = apply(&op, &mut labels, &scene, &Control::default());
        let Some(expected) = expected else {
            let error = found.unwrap_err();
            prop_assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{}", error);
            prop_assert_eq!(&labels, &before);
            return Ok(());
        };
        let delta = found.unwrap();
        prop_assert_eq!(values_of(&labels), expected);
        check_delta(&delta, &before, &labels)?;
    }

    #[test]
    fn a_locked_label_keeps_its_voxels((setting, ops) in sequence(3), locked in prop::sample::select(vec![1_u16, 2, 300])) {
        let (mut labels, other) = (edited(setting.grid(), &setting.labels), edited(setting.grid(), &setting.other));
        let locked = [locked];
        let scene = Scene { image: Some(&setting.image), other: Some(&other), locked: &locked, ..Scene::default() };
        for op in &ops {
            // Refused if it would add to the locked label.
            let _ = apply(op, &mut labels, &scene, &Control::default());
        }
        let of = |all: &[u16]| all.iter().map(|&l| l == locked[0]).collect::<Vec<_>>();
        prop_assert_eq!(of(&values_of(&labels)), of(&setting.labels));
    }

    #[test]
    fn deltas_survive_joining_packing_and_reading((setting, ops) in sequence(4)) {
        let (start, other) = (edited(setting.grid(), &setting.labels), edited(setting.grid(), &setting.other));
        let scene = Scene { image: Some(&setting.image), other: Some(&other), ..Scene::default() };
        let (mut labels, mut all) = (start.clone(), Delta::empty(start.dims()));
        for op in &ops {
            if let Ok(delta) = apply(op, &mut labels, &scene, &Control::default()) {
                prop_assert_eq!(&delta.pack().unpack(), &delta);
                all = all.then(&delta);
            }
        }
        // Joining keeps runs maximal, so that it gives the same as a comparison of both ends.
        prop_assert_eq!(&all, &Delta::between(&start, &labels));
        let bytes = all.pack().bytes().to_vec();
        prop_assert_eq!(&PackedDelta::read(&bytes, start.dims()).unwrap(), &all);
        for end in 0..bytes.len() {
            prop_assert!(PackedDelta::read(&bytes[..end], start.dims()).is_err());
        }
    }

    /// A stroke contains the discs or balls around all points of its lines.
    #[test]
    fn a_stroke_is_painted_between_its_points(setting in setting(), mut ops in setting().prop_flat_map(|s| {
        prop::collection::vec(op(s.grid()), 12)
    })) {
        ops.retain(|op| matches!(op, Op::Paint { .. }));
        let image = setting.values();
        let twin = NaiveEditor { grid: setting.grid(), image: &image, other: &setting.other };
        for op in ops {
            let Op::Paint { label, brush } = op else { continue };
            let stroke = Brush { connected: true, ..brush };
            let mut labels = EditLabels::new(setting.grid().clone());
            let painted = Op::Paint { label, brush: stroke.clone() };
            let several_slices = stroke.mode == Mode::Slice && stroke.points_mm.len() > 1;
            apply(&painted, &mut labels, &Scene::default(), &Control::default()).unwrap();
            if several_slices {
                continue;
            }
            let found: Vec<bool> = values_of(&labels).iter().map(|&l| l != 0).collect();
            let larger = twin.brush(&Brush { radius_mm: stroke.radius_mm * 1.000_01, ..stroke.clone() });
            for (index, inside) in twin.brush(&stroke).into_iter().enumerate() {
                prop_assert!(found[index] || !inside);
                prop_assert!(larger[index] || !found[index]);
            }
        }
    }
}

/// Checks the properties of a delta: it leads from `before` to `after`, is invertible, and its bounds are tight.
fn check_delta(delta: &Delta, before: &EditLabels, after: &EditLabels) -> Result<(), TestCaseError> {
    prop_assert_eq!(delta, &Delta::between(before, after));
    let mut back = after.clone();
    prop_assert!(delta.inverted().apply(&mut back));
    prop_assert_eq!(&back, before);
    prop_assert_eq!(back.voxel_counts(), before.voxel_counts());
    let (old, new) = (values_of(before), values_of(after));
    let changed: Vec<usize> = (0..old.len()).filter(|&index| old[index] != new[index]).collect();
    prop_assert_eq!(delta.voxels(), changed.len());
    let [nx, ny, _] = before.shape();
    let voxels = changed.iter().map(|&index| [index % nx, index / nx % ny, index / (nx * ny)]);
    let bounds = voxels.map(|v| VoxelBox { min: v, max: v }).reduce(|a, b| a.union(&b));
    prop_assert_eq!(delta.bounds(), bounds);
    let counts: Vec<(u16, usize)> = after.voxel_counts().iter().map(|(&l, &n)| (l, n)).collect();
    prop_assert_eq!(counts, after.to_volume().voxel_counts());
    if !delta.is_empty() {
        let mut wrong = after.clone();
        prop_assert!(!delta.apply(&mut wrong), "applied twice");
        prop_assert_eq!(&wrong, after);
    }
    Ok(())
}

fn cube(n: usize, spacing: f64) -> Grid {
    Grid::new([n; 3], DAffine3::from_scale(DVec3::splat(spacing)))
}

fn disc(plane: Plane, point: [f64; 3], radius_mm: f64) -> Op {
    let brush = Brush { radius_mm, mode: Mode::Slice, plane, points_mm: vec![point], connected: false };
    Op::Paint { label: 1, brush }
}

/// A viewer shows an oblique plane by the voxel nearest to each of its points. With one voxel of each column, a disc had stripes.
#[test]
fn an_oblique_disc_has_every_voxel_that_its_plane_crosses() {
    let thick = Grid::new([31, 31, 31], DAffine3::from_scale(DVec3::new(1.0, 1.0, 2.7)));
    for grid in [cube(31, 1.0), thick] {
        let spacing = DVec3::from_array(grid.spacing_mm());
        let (centre, radius) = (grid.world([15, 14, 15]) + DVec3::new(0.2, -0.1, 0.3), 9.0);
        for normal in [[0.0, 0.0, 2.0], [0.3, 0.1, 1.0], [1.0, 0.4, -0.3], [-0.2, 1.0, 0.5]] {
            let mut labels = EditLabels::new(grid.clone());
            let op = disc(Plane::Normal(normal), centre.to_array(), radius);
            apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
            let unit = DVec3::from_array(normal).normalize();
            let half = (unit.abs() * spacing).element_sum() / 2.0;
            for index in (0..grid.len()).filter(|&index| labels.get(index) == 1) {
                let here = grid.world([index % 31, index / 31 % 31, index / 961]) - centre;
                assert!(here.dot(unit).abs() <= half + 1e-6, "{normal:?}: {here} is not crossed");
                assert!(
                    (here - here.dot(unit) * unit).length() < radius + spacing.max_element() + 0.6,
                    "{normal:?}: {here}"
                );
            }
            let (across, down) = unit.any_orthonormal_pair();
            for (x, y) in (-90..=90).flat_map(|x| (-90..=90).map(move |y| (f64::from(x) / 10.0, f64::from(y) / 10.0))) {
                if x.hypot(y) > radius - spacing.max_element() {
                    continue;
                }
                let voxel = grid.voxel_from_world().transform_point3(centre + x * across + y * down).round();
                let voxel = voxel.to_array().map(|v| v as usize);
                assert_eq!(labels.get(grid.index(voxel)), 1, "{normal:?}: a hole at {x}, {y}");
            }
        }
    }
}

/// On a plane along the patient, a fill relabelled the nearest stored slice, most of which was not displayed.
#[test]
fn an_oblique_fill_relabels_the_area_that_its_plane_crosses() {
    let thick = Grid::new([31, 31, 31], DAffine3::from_scale(DVec3::new(1.0, 1.0, 2.7)));
    for grid in [cube(31, 1.0), thick] {
        let spacing = DVec3::from_array(grid.spacing_mm());
        let centre = grid.world([15, 14, 15]);
        let point = centre + DVec3::new(0.2, -0.1, 0.3);
        let voxels: Vec<[usize; 3]> = (0..grid.len()).map(|at| [at % 31, at / 31 % 31, at / 961]).collect();
        let is_in_ball = |voxel: [usize; 3]| grid.world(voxel).distance(centre) <= 9.0;
        for normal in [[0.0, 0.0, 2.0], [0.3, 0.1, 1.0], [1.0, 0.4, -0.3], [-0.2, 1.0, 0.5]] {
            let mut labels = edited(&grid, &voxels.iter().map(|&v| u16::from(is_in_ball(v))).collect::<Vec<_>>());
            let seed = Seed { voxel: None, point_mm: Some(point.to_array()) };
            let op = Op::Fill { label: 2, seed, plane: Plane::Normal(normal) };
            apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
            let unit = DVec3::from_array(normal).normalize();
            let half = (unit.abs() * spacing).element_sum() / 2.0;
            let is_crossed = |voxel: [usize; 3]| (grid.world(voxel) - point).dot(unit).abs() < half - 1e-7;
            for &voxel in &voxels {
                let expected = u16::from(is_in_ball(voxel)) + u16::from(is_in_ball(voxel) && is_crossed(voxel));
                assert_eq!(labels.get(grid.index(voxel)), expected, "{normal:?}: {voxel:?}");
            }
            let crossed = voxels.iter().filter(|&&voxel| is_crossed(voxel)).map(|&v| VoxelBox { min: v, max: v });
            let expected = crossed.reduce(|all, voxel| all.union(&voxel));
            assert_eq!(plane_bounds(Plane::Normal(normal), point.to_array(), &grid).unwrap(), expected, "{normal:?}");
        }
    }
}

/// The brush extends beyond a bright ball in noise, but only the ball is painted.
#[test]
fn the_adaptive_brush_stops_at_an_edge() {
    let grid = cube(40, 1.0);
    let centre = DVec3::splat(20.0);
    let is_lesion = |at: usize| grid.world([at % 40, at / 40 % 40, at / 1600]).distance(centre) <= 7.0;
    let noise = |at: usize| ((at * 7919) % 101) as i16 - 50;
    let values = (0..grid.len()).map(|at| noise(at) + if is_lesion(at) { 1200 } else { 800 }).collect();
    let image = Volume::new(grid.clone(), VoxelData::I16(values), Scale::IDENTITY);
    let scene = Scene { image: Some(&image), ..Scene::default() };
    let painted_at = |x: f64| {
        let brush = Brush {
            radius_mm: 10.0,
            mode: Mode::Volume,
            plane: Plane::default(),
            points_mm: vec![[x, 20.0, 20.0]],
            connected: false,
        };
        let mut labels = EditLabels::new(grid.clone());
        let op = Op::AdaptivePaint { label: 1, brush, tolerance: None };
        apply(&op, &mut labels, &scene, &Control::default()).unwrap();
        values_of(&labels)
    };
    let painted = painted_at(20.0);
    assert!((0..grid.len()).all(|n| (painted[n] == 1) == is_lesion(n)), "all of the lesion and nothing else");
    // In homogeneous tissue it is a ball.
    let outside = painted_at(-5.0 + 4.0);
    assert!(outside.iter().all(|&l| l == 0), "a point outside the image paints nothing");
    let beside = painted_at(0.0);
    let ball = |n: usize| grid.world([n % 40, n / 40 % 40, n / 1600]).distance(DVec3::new(0.0, 20.0, 20.0)) <= 10.0;
    assert!((0..grid.len()).all(|n| (beside[n] == 1) == ball(n)));
}

/// A header stores an oblique grid of 1 mm in single precision, so that its spacings are 1 mm within 1e-7. `grow` by 1 mm
/// skipped the axes that are longer.
#[test]
fn distances_allow_for_the_single_precision_of_a_header() {
    let turn = DAffine3::from_rotation_x(0.3) * DAffine3::from_rotation_z(-0.4);
    let matrix3 = turn.matrix3.as_mat3().as_dmat3();
    let grid = Grid::new([5; 3], DAffine3 { matrix3, translation: DVec3::ZERO });
    assert!(grid.spacing_mm().iter().any(|mm| *mm > 1.0 + 1e-9), "{:?}", grid.spacing_mm());
    let mut start = vec![0; 125];
    start[62] = 1;
    let mut labels = edited(&grid, &start);
    let voxels = |labels: &EditLabels| labels.voxel_counts().get(&1).copied();
    let mut change = |op: Op| {
        apply(&op, &mut labels, &Scene::default(), &Control::default()).unwrap();
        voxels(&labels)
    };
    assert_eq!(change(Op::Grow { label: 1, mm: 1.0, overwrite: false }), Some(7));
    assert_eq!(change(Op::Grow { label: 1, mm: 1.0, overwrite: false }), Some(25));
    assert_eq!(change(Op::Shrink { label: 1, mm: 1.0 }), Some(7));
}

#[test]
fn impossible_operations_are_refused_with_the_reason() {
    let grid = cube(4, 1.0);
    let labels = EditLabels::new(grid.clone());
    let refused = |op: &Op, scene: &Scene<'_>| {
        let error = plan(op, &labels, scene, &Control::default()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
        error.to_string()
    };
    let plain = Scene::default();
    let seed = Seed { voxel: Some([1, 2, 3]), point_mm: None };
    let brush = |radius_mm| Brush {
        radius_mm,
        mode: Mode::Volume,
        plane: Plane::default(),
        points_mm: vec![[0.0; 3]],
        connected: false,
    };
    assert!(refused(&Op::RemoveComponent { seed, label: None }, &plain).contains("[1, 2, 3]: it is background"));
    let outside = Seed { voxel: Some([4, 0, 0]), point_mm: None };
    assert!(refused(&Op::Fill { label: 1, seed: outside, plane: Plane::default() }, &plain).contains("4x4x4 voxels"));
    assert!(refused(&Op::Paint { label: 0, brush: brush(1.0) }, &plain).contains("label = 0"));
    assert!(refused(&Op::Paint { label: 1, brush: brush(f64::NAN) }, &plain).contains("radius_mm"));
    assert!(refused(&Op::Grow { label: 1, mm: 0.0, overwrite: false }, &plain).contains("mm = 0"));
    let grow = Op::RegionGrow { label: 1, seed, tolerance: 1.0, max_radius_mm: None, overwrite: false };
    assert!(refused(&grow, &plain).contains("needs an image"));
    let locked = Scene { locked: &[1], ..plain };
    assert!(refused(&Op::Paint { label: 1, brush: brush(1.0) }, &locked).contains("locked"));
    let other_grid = Volume::from_f32(cube(5, 1.0), vec![0.0; 125]);
    let error = plan(&grow, &labels, &Scene { image: Some(&other_grid), ..plain }, &Control::default()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Geometry { .. }), "{error}");
    let control = Control::default();
    control.set(Signal::Cancel);
    let error = plan(&Op::Paint { label: 1, brush: brush(1.0) }, &labels, &plain, &control).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled));
}

#[test]
fn operation_lists_are_read_as_they_are_written() {
    let text = r#"[{"op":"paint","label":1,"radius_mm":5,"mode":"3d","points_mm":[[1,2,3]]},
        {"op":"paint","label":1,"radius_mm":5,"mode":"2d","axis":1,"points_mm":[[1,2,3],[4,5,6]],"connected":true},
        {"op":"erase","radius_mm":2,"points_mm":[[0,0,0]],"plane":[0,1,1],"mode":"2d"},
        {"op":"grow","label":1,"mm":3},{"op":"interpolate","label":1,"axis":2},
        {"op":"remove_component","voxel":[1,2,3]},{"op":"undo"},{"op":"redo"},
        {"op":"lasso","label":2,"plane":"coronal","action":"erase","points_mm":[[0,0,0],[1,0,0],[0,0,1]]}]"#;
    let list = op_list::parse(text).unwrap();
    let names: Vec<&str> = list.iter().map(op_list::ListedOp::name).collect();
    assert_eq!(names, ["paint", "paint", "erase", "grow", "interpolate", "remove_component", "undo", "redo", "lasso"]);
    let op_list::ListedOp::Edit(Op::Paint { brush, .. }) = &list[1] else { panic!("{:?}", list[1]) };
    assert_eq!((brush.plane, brush.mode, brush.connected), (Plane::Axis(1), Mode::Slice, true));

    for (wrong, expected) in [
        (r#"{"op":"grow"}"#, "expected a list"),
        (r#"[{"op":"grow","label":1,"mm":3},{"op":"grow","label":1}]"#, "operation 2: op = grow: missing key `mm`"),
        (
            r#"[{"op":"grow","label":1,"mm":3,"raduis":1}]"#,
            "operation 1: raduis = given: unknown key. Known: label, mm, op, overwrite",
        ),
        (r#"[{"op":"undo","count":2}]"#, "unknown key"),
        (r#"[{"op":"grwo"}]"#, "op = grwo: unknown value `grwo`"),
        (r#"[{"mm":1}]"#, "operation 1: op = missing"),
        (
            r#"[{"op":"grow","label":70000,"mm":3}]"#,
            "label = 70000: invalid value: integer `70000`, expected a whole number from",
        ),
        (
            r#"[{"op":"grow","label":1,"mm":"3"}]"#,
            "operation 1: mm = \"3\": invalid type: string \"3\", expected a number",
        ),
        (r#"[{"op":"fill","label":1,"voxel":[-1,0,0]}]"#, "operation 1: voxel = [-1,0,0]"),
        (r#"[{"op":"interpolate","label":1,"axis":3}]"#, "axis = 3"),
        (r#"[{"op":"paint","label":1,"radius_mm":5,"mode":"4d","points_mm":[[1,2,3]]}]"#, "operation 1: mode = \"4d\""),
        (r#"[{"op":"paint","label":5,"radius_mm":"5","points_mm":[[1,2,3]]}]"#, "operation 1: radius_mm = \"5\""),
        (
            r#"[{"op":"paint","label":1,"radius_mm":5,"points_mm":[[1,2]]}]"#,
            "operation 1: op = paint: invalid length 2",
        ),
        (r#"[{"op":"paint","label":1,"radius_mm":5,"plane":"oblique","points_mm":[[1,2,3]]}]"#, "a normal"),
    ] {
        let error = op_list::parse(wrong).unwrap_err().to_string();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}
