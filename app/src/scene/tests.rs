#![allow(clippy::unwrap_used, reason = "tests")]

use engine::volume::{Grid, Orientation};
use glam::{DAffine3, DMat3, DQuat, DVec2, DVec3};
use proptest::prelude::*;

use super::*;

fn oblique(shape: [usize; 3], spacing: DVec3, degrees: f64) -> Grid {
    let turn = DQuat::from_axis_angle(DVec3::new(0.3, 1.0, 0.2).normalize(), degrees.to_radians());
    let matrix3 = DMat3::from_quat(turn) * DMat3::from_diagonal(spacing);
    Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(-31.0, 12.5, 40.0) })
}

/// The grid of the same voxels stored in another axis order.
fn stored(grid: &Grid, orientation: &Orientation) -> Grid {
    grid.reoriented(orientation)
}

#[test]
fn radiological_letters_of_a_straight_scan() {
    let grid = DisplayGrid::new(&Grid::new([4, 5, 6], DAffine3::IDENTITY), PlaneMode::Native);
    let show = |plane, convention| {
        let l = grid.letters(plane, convention).unwrap();
        format!("{} {} {} {}", l.left, l.right, l.top, l.bottom)
    };
    assert_eq!(show(Plane::Axial, Convention::Radiological), "R L A P");
    assert_eq!(show(Plane::Coronal, Convention::Radiological), "R L S I");
    assert_eq!(show(Plane::Sagittal, Convention::Radiological), "A P S I");
    assert_eq!(show(Plane::Axial, Convention::Neurological), "L R A P");
    assert_eq!(show(Plane::Coronal, Convention::Neurological), "L R S I");
    assert_eq!(show(Plane::Sagittal, Convention::Neurological), "A P S I");
}

#[test]
fn without_orientation_there_are_no_letters() {
    let grid = Grid { oriented: false, ..Grid::new([4, 5, 6], DAffine3::IDENTITY) };
    assert_eq!(DisplayGrid::new(&grid, PlaneMode::Native).letters(Plane::Axial, Convention::Radiological), None);
}

#[test]
fn oblique_edges_have_two_letters() {
    assert_eq!(letters_of(DVec3::new(0.9, 0.4, 0.1)), "RAS".chars().take(2).collect::<String>());
    assert_eq!(letters_of(DVec3::new(-0.1, -0.99, 0.05)), "PL");
    assert_eq!(letters_of(DVec3::new(0.02, 0.0, -0.9998)), "I");
    let grid = DisplayGrid::new(&oblique([9, 9, 9], DVec3::ONE, 30.0), PlaneMode::Native);
    assert_eq!(grid.letters(Plane::Axial, Convention::Radiological).unwrap().right.len(), 2);
    let world = DisplayGrid::new(&oblique([9, 9, 9], DVec3::ONE, 30.0), PlaneMode::World);
    assert_eq!(world.letters(Plane::Axial, Convention::Radiological).unwrap().right, "L");
}

#[test]
fn all_48_orders_of_an_oblique_scan_are_one_display_grid() {
    for mode in [PlaneMode::Native, PlaneMode::World] {
        let grid = oblique([7, 9, 5], DVec3::new(0.9, 1.1, 3.0), 14.0);
        let expected = DisplayGrid::new(&grid, mode);
        for orientation in Orientation::all() {
            let other = stored(&grid, &orientation);
            let found = DisplayGrid::new(&other, mode);
            assert_eq!(found.shape, expected.shape, "{orientation:?}");
            let corner = found.shape.map(|n| n - 1);
            assert!(found.world(corner).distance(expected.world(corner)) < 1e-9, "{orientation:?}");
            assert!(found.world([0; 3]).distance(expected.world([0; 3])) < 1e-9, "{orientation:?}");
            for plane in Plane::ALL {
                let letters = |g: &DisplayGrid| g.letters(plane, Convention::Radiological);
                assert_eq!(letters(&found), letters(&expected));
            }
            // The stored voxel at a position is the one that the stored grid itself puts there.
            let world = grid.world([2, 6, 1]);
            let voxel = found.voxel_at(world).unwrap();
            assert!(other.world(voxel).distance(world) < 1e-9, "{orientation:?}");
        }
    }
}

#[test]
fn a_world_grid_covers_the_scan() {
    let grid = oblique([20, 24, 8], DVec3::new(1.0, 1.0, 4.0), 25.0);
    let display = DisplayGrid::new(&grid, PlaneMode::World);
    for corner in grid.corners() {
        let index = display.display_from_world.transform_point3(corner);
        for a in 0..3 {
            assert!(index[a] > -0.5 - 1e-9 && index[a] < display.shape[a] as f64 - 0.5 + 1e-9, "{index}");
        }
    }
    let straight = Grid::new([4, 5, 6], DAffine3::from_scale(DVec3::new(2.0, 3.0, 4.0)));
    let display = DisplayGrid::new(&straight, PlaneMode::World);
    assert_eq!(display.shape, [4, 5, 6], "along the patient's axes both modes are one");
    assert_eq!(display.world([1, 2, 3]), straight.world([1, 2, 3]));
}

#[test]
fn a_fitted_slice_touches_the_pane_and_keeps_its_aspect() {
    let grid =
        DisplayGrid::new(&Grid::new([100, 50, 10], DAffine3::from_scale(DVec3::new(1.0, 1.0, 3.0))), PlaneMode::Native);
    let map = PaneMap::new(&grid, Plane::Axial, Convention::Radiological, Camera::default(), DVec2::new(400.0, 300.0));
    assert_eq!(map.scale(), 4.0);
    // The patient's right edge, half a voxel beyond the last index, is the pane's left edge.
    assert!(map.place_of(DVec2::new(99.5, 24.5)).abs_diff_eq(DVec2::new(0.0, 150.0), 1e-9));
    assert!(map.place_of(DVec2::new(-0.5, 24.5)).abs_diff_eq(DVec2::new(400.0, 150.0), 1e-9));
}

proptest! {
    #[test]
    fn screen_positions_and_indices_are_inverse(
        x in -50.0..450.0f64, y in -50.0..350.0f64, zoom in 0.3..20.0f64, cx in -40.0..40.0f64, plane in 0..3usize,
        neurological in any::<bool>(),
    ) {
        let grid = DisplayGrid::new(&oblique([30, 20, 10], DVec3::new(0.8, 1.2, 4.0), 20.0), PlaneMode::Native);
        let convention = if neurological { Convention::Neurological } else { Convention::Radiological };
        let camera = Camera { zoom, centre_mm: DVec2::new(cx, -cx) };
        let map = PaneMap::new(&grid, Plane::ALL[plane], convention, camera, DVec2::new(400.0, 300.0));
        let place = DVec2::new(x, y);
        prop_assert!(map.place_of(map.index_at(place)).abs_diff_eq(place, 1e-7));
        let in_space = map.index_in_space(place, 4.0);
        prop_assert!(map.place_of_index(in_space).abs_diff_eq(place, 1e-7));
        let affine = map.display_from_place();
        prop_assert!(affine.transform_point3(DVec3::new(x, y, 4.0)).abs_diff_eq(in_space, 1e-7));
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer(x in 0.0..400.0f64, y in 0.0..300.0f64, factor in 0.5..2.0f64) {
        let grid = DisplayGrid::new(&oblique([30, 20, 10], DVec3::new(0.8, 1.2, 4.0), 20.0), PlaneMode::Native);
        let camera = Camera { zoom: 2.0, centre_mm: DVec2::new(3.0, -2.0) };
        let size = DVec2::new(400.0, 300.0);
        let map = |camera| PaneMap::new(&grid, Plane::Coronal, Convention::Radiological, camera, size);
        let place = DVec2::new(x, y);
        let zoomed = map(camera).zoomed(camera, factor, place);
        prop_assert!(map(zoomed).index_at(place).abs_diff_eq(map(camera).index_at(place), 1e-9));
    }
}
