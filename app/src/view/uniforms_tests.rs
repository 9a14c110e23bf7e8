#![allow(clippy::unwrap_used, reason = "tests")]

use engine::volume::{Grid, Orientation};
use glam::{DMat3, DQuat, DVec2};

use super::*;
use crate::scene::{Camera, Convention, DisplayGrid, Plane, PlaneMode};
use crate::view::slice::case_view::canonical_from_display;

fn oblique(shape: [usize; 3], spacing: [f64; 3], degrees: f64) -> Grid {
    let turn = DQuat::from_axis_angle(DVec3::new(0.4, 0.2, 1.0).normalize(), degrees.to_radians());
    let matrix3 = DMat3::from_quat(turn) * DMat3::from_diagonal(DVec3::from_array(spacing));
    Grid::new(shape, DAffine3 { matrix3, translation: DVec3::new(-61.5, 33.0, 812.0) })
}

fn apply(rows: [[f32; 4]; 3], x: f64, y: f64) -> DVec3 {
    DVec3::from_array(rows.map(|r| f64::from(r[0]) * x + f64::from(r[1]) * y + f64::from(r[3])))
}

/// Every combination of mode, convention and plane.
fn each(mut test: impl FnMut(PlaneMode, Convention, Plane)) {
    for mode in [PlaneMode::Native, PlaneMode::World] {
        for convention in [Convention::Radiological, Convention::Neurological] {
            for plane in Plane::ALL {
                test(mode, convention, plane);
            }
        }
    }
}

#[test]
fn pixels_map_back_to_their_voxels() {
    let grid = oblique([40, 32, 12], [0.9, 1.1, 4.0], 17.0);
    let (canonical, _) = grid.reoriented_to_ras();
    let camera = Camera { zoom: 2.3, centre_mm: DVec2::new(4.0, -7.0) };
    each(|mode, convention, plane| {
        let display = DisplayGrid::new(&grid, mode);
        let map = PaneMap::new(&display, plane, convention, camera, DVec2::new(611.0, 397.0));
        for canonical_index in [[0, 0, 0], [20, 16, 6], [39, 31, 11], [3, 30, 2]] {
            let index = DVec3::from_array(canonical_index.map(|n| n as f64));
            let world = canonical.world_from_voxel.transform_point3(index);
            let at = display.display_from_world.transform_point3(world);
            let pixel = map.place_of_index(at);
            let rows = rows(&display.canonical_from_display, &map, at[plane.axis()]);
            let found = apply(rows, pixel.x, pixel.y);
            assert!(found.abs_diff_eq(index, 1e-3), "{mode:?} {convention:?} {plane:?}: {found} not {index}");
        }
    });
}

#[test]
fn all_48_storage_orders_give_the_same_uniforms() {
    let grid = oblique([20, 24, 9], [0.7, 0.8, 3.0], 11.0);
    each(|mode, convention, plane| {
        let of = |grid: &Grid| {
            let display = DisplayGrid::new(grid, mode);
            let map = PaneMap::new(&display, plane, convention, Camera::default(), DVec2::new(512.0, 400.0));
            rows(&display.canonical_from_display, &map, 4.0)
        };
        let expected = of(&grid);
        for orientation in Orientation::all() {
            let found = of(&grid.reoriented(&orientation));
            if mode == PlaneMode::Native {
                assert_eq!(found, expected, "{orientation:?}");
            } else {
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                assert!(found.as_flattened().iter().zip(expected.as_flattened()).all(near), "{orientation:?}");
            }
        }
    });
}

#[test]
fn a_slice_of_the_stored_grid_lies_exactly_on_its_voxels() {
    let grid = oblique([512, 512, 300], [0.7, 0.7, 1.5], 9.0);
    let display = DisplayGrid::new(&grid, PlaneMode::Native);
    let map = PaneMap::new(
        &display,
        Plane::Axial,
        Convention::Radiological,
        Camera { zoom: 7.0, centre_mm: DVec2::new(31.7, 2.9) },
        DVec2::new(971.0, 655.0),
    );
    let rows = rows(&display.canonical_from_display, &map, 217.0);
    assert_eq!(rows[2], [0.0, 0.0, 0.0, 217.0]);
    assert_eq!((rows[0][1], rows[1][0]), (0.0, 0.0));
}

#[test]
fn a_second_image_is_sampled_by_world_position() {
    let base = oblique([40, 32, 12], [0.9, 1.1, 4.0], 17.0);
    let other = oblique([20, 22, 30], [2.0, 2.0, 2.0], -25.0);
    let (canonical, _) = other.reoriented_to_ras();
    each(|mode, convention, plane| {
        let display = DisplayGrid::new(&base, mode);
        let map = PaneMap::new(&display, plane, convention, Camera::default(), DVec2::new(500.0, 500.0));
        let index = DVec3::new(7.0, 12.0, 4.0);
        let world = canonical.world_from_voxel.transform_point3(index);
        let at = display.display_from_world.transform_point3(world);
        let pixel = map.place_of_index(at);
        let rows = rows(&canonical_from_display(&display, &base, &other), &map, at[plane.axis()]);
        assert!(apply(rows, pixel.x, pixel.y).abs_diff_eq(index, 1e-3), "{mode:?} {plane:?}");
    });
}

#[test]
fn every_pixel_samples_the_single_layer_of_a_projection() {
    let grid = oblique([10, 12, 14], [1.0, 1.0, 1.0], 5.0);
    let display = DisplayGrid::new(&grid, PlaneMode::Native);
    let map = PaneMap::new(&display, Plane::Coronal, Convention::Radiological, Camera::default(), DVec2::splat(300.0));
    let rows = projected(rows(&display.canonical_from_display, &map, 5.0), 1);
    let place = map.place_of_index(DVec3::new(3.0, 9.0, 8.0));
    assert!(apply(rows, place.x, place.y).abs_diff_eq(DVec3::new(3.0, 0.0, 8.0), 1e-4));
}

#[test]
fn switched_off_labels_are_hidden_and_the_overlay_fades_as_a_whole() {
    let mut settings = Settings { opacity: 0.3, ..Settings::default() };
    let mut view = View::default();
    view.hidden_labels.insert(2);
    let slice = style(&settings, &view, 2.0);
    assert_eq!(slice.visible[0][0], !0b100);
    assert_eq!((slice.label_opacity, slice.outline_opacity, slice.outline_px), (0.3, 0.6, 3.0));
    view.hidden_labels.insert(700);
    assert_eq!(style(&settings, &view, 1.0).visible[0][0], !0b101, "labels above 255 share bit 0");
    view.hide_overlay = true;
    assert_eq!(style(&settings, &view, 1.0).label_mode, LabelMode::Hidden as u32);
    (settings.fill, view.hide_overlay) = (false, false);
    assert_eq!(style(&settings, &view, 1.0).label_mode, LabelMode::Outline as u32);
}

#[test]
fn a_window_becomes_its_two_ends() {
    let drawn = image([[0.0; 4]; 3], WindowLevel { width: 350.0, level: 50.0 }, ColourMap::Hot, false, 1.0);
    assert_eq!(drawn.window, [-125.0, 225.0]);
    assert_eq!((drawn.colour_map, drawn.interpolation), (2, 0));
}

#[test]
fn labels_that_share_a_colour_slot_get_the_colour_of_the_lowest() {
    let usual = Slice::default().palette;
    let labels = [(2, Color32::from_rgb(255, 0, 51)), (17, Color32::GREEN), (18, Color32::BLUE)];
    let palette = with_colours(Slice::default(), labels.into_iter()).palette;
    assert_eq!((palette[1], palette[0]), ([1.0, 0.0, 0.2, 1.0], [0.0, 1.0, 0.0, 1.0]));
    assert_eq!(palette[2..], usual[2..]);
}
