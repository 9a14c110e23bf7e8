//! A scan stored in any of the 48 axis orders gives the same letters, positions, values and pixels.

use std::path::Path;

use amlp_viewer::command::{Command, ViewCommand, WindowCommand};
use amlp_viewer::scene::PlaneMode;
use amlp_viewer::state::report::Report;
use amlp_viewer::state::{Intent, PathPurpose};
use egui::{Key, Modifiers, PointerButton, Rect, pos2, vec2};
use engine::volume::{Grid, LabelVolume, Orientation, Relation, Volume};
use glam::DVec3;
use image::RgbaImage;

use crate::phantom::{Voxel, hounsfield, lesion, oblique, prediction, straight, truth, voxels, write_i16, write_mask};
use crate::window::*;

/// The paths of one order's scan and masks.
fn write(folder: &Path, grid: &Grid, order: &Orientation) -> [std::path::PathBuf; 3] {
    let paths = ["scan_ct.nii", "scan_pred.nii", "scan_seg.nii"].map(|name| folder.join(name));
    write_i16(&paths[0], grid, *order, hounsfield);
    write_mask(&paths[1], grid, *order, prediction);
    write_mask(&paths[2], grid, *order, truth);
    paths
}

/// A report without the stored voxel index, which may differ and is checked separately.
fn comparable(window: &Window) -> Report {
    let mut report = report(window);
    let grid = &document(window).base().volume.grid;
    if let Some(crosshair) = &mut report.crosshair {
        let voxel = crosshair.voxel.take().unwrap();
        if state(window).session.settings.planes == PlaneMode::Native {
            assert_eq!(grid.world(voxel).to_array(), crosshair.world_mm);
        } else {
            let index = grid.voxel_from_world().transform_point3(DVec3::from_array(crosshair.world_mm));
            assert!((0..3).all(|a| (index[a] - voxel[a] as f64).abs() <= 0.5 + 1e-9));
        }
    }
    report
}

/// Rounds values computed by sums in memory order.
fn rounded(mut report: Report) -> Report {
    let round = |v: f64| (v * 1e6).round() / 1e6;
    if let Some(crosshair) = &mut report.crosshair {
        crosshair.world_mm = crosshair.world_mm.map(round);
    }
    for finding in &mut report.findings {
        finding.mean = finding.mean.map(round);
        (finding.volume_ml, finding.diameter_mm) = (round(finding.volume_ml), round(finding.diameter_mm));
    }
    if let Some(metrics) = &mut report.metrics {
        for v in [&mut metrics.hd95_mm, &mut metrics.boundary_iou, &mut metrics.volume_ml, &mut metrics.truth_volume_ml]
        {
            *v = round(*v);
        }
    }
    report
}

/// The state after the same actions in every order: open, step, click, with both kinds of planes.
fn looks(window: &mut Window) -> Vec<Report> {
    let mut looks = vec![comparable(window)];
    for (pane, notches) in [("Axial", -3.0), ("Sagittal", 4.0), ("Coronal", 2.0)] {
        wheel(window, pane, notches, Modifiers::NONE);
        looks.push(comparable(window));
    }
    for (pane, share) in [("Axial", vec2(0.4, 0.55)), ("Coronal", vec2(0.6, 0.45)), ("MIP", vec2(0.5, 0.52))] {
        let rect = rect(window, pane);
        let at = rect.min + share * rect.size();
        drag(window, at, at + vec2(4.0, 3.0), PointerButton::Primary, Modifiers::NONE);
        looks.push(comparable(window));
    }
    let world = document(window).base().volume.grid.reoriented_to_ras().0.world([13, 20, 8]);
    send(window, Command::View(ViewCommand::MoveCrosshair(world)));
    looks.push(comparable(window));
    send(window, Command::View(ViewCommand::SetPlanes(PlaneMode::World)));
    wheel(window, "Axial", -2.0, Modifiers::NONE);
    looks.push(comparable(window));
    send(window, Command::View(ViewCommand::SetPlanes(PlaneMode::Native)));
    send(window, Command::View(ViewCommand::MoveCrosshair(world)));
    send(window, Command::Window(WindowCommand::DismissAll));
    looks.into_iter().map(rounded).collect()
}

/// Saves the segmentation and checks the file.
fn saved_as_it_was(window: &mut Window, folder: &Path, order: &Orientation, canonical: &Grid) {
    let out = folder.join("out.nii.gz");
    if out.exists() {
        std::fs::remove_file(&out).unwrap();
    }
    send(window, Command::Intent(Intent::UsePaths(PathPurpose::SaveSegmentation.into(), vec![out.clone()])));
    let image = Volume::read(&folder.join("scan_ct.nii")).unwrap();
    let saved = LabelVolume::read(&out).unwrap();
    assert_eq!(saved.grid.relation(&image.grid), Relation::Same, "{order:?}");
    assert_eq!(saved.grid.world_from_voxel, canonical.reoriented(order).world_from_voxel, "{order:?}");
    for at in voxels(canonical.shape) {
        let stored = order.target_voxel(at, canonical.shape);
        assert_eq!(saved.get(saved.grid.index(stored)) == 1, prediction(at), "{order:?} at {at:?}");
    }
}

/// The area between the panels, without the line with the stored voxel index.
fn pixels(window: &mut Window) -> RgbaImage {
    let picture = window.render().unwrap();
    let area = ["Axial", "Sagittal", "Coronal", "MIP"].map(|pane| rect(window, pane));
    let active = state(window).session.view.active.map_or(area[0], |pane| rect(window, &pane.name()));
    let whole = area.into_iter().reduce(Rect::union).unwrap();
    let [x, y, width, height] = [whole.left(), whole.top(), whole.width(), whole.height()].map(|v| v as u32);
    let mut picture = image::imageops::crop_imm(&picture, x, y, width, height).to_image();
    let corner = active.left_bottom() - whole.min;
    let line = Rect::from_min_max(pos2(corner.x, corner.y - 56.0), pos2(corner.x + 170.0, corner.y - 36.0));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if line.contains(pos2(x as f32 + 0.5, y as f32 + 0.5)) {
            *pixel = image::Rgba([255, 0, 255, 255]);
        }
    }
    picture
}

/// Opens all orders in one window and compares everything shown with the first.
fn all_orders_are_one(grid: &Grid, drawn: bool) {
    let folder = tempfile::tempdir().unwrap();
    let screen = if drawn { screen() } else { None };
    if drawn && screen.is_none() {
        return;
    }
    let mut window = start(&amlp_viewer::Args::default(), [1160.0, 700.0], screen);
    let mut first: Option<(Vec<Report>, Option<RgbaImage>)> = None;
    for order in Orientation::all() {
        let paths = write(folder.path(), grid, &order);
        send(&mut window, Intent::CloseCase);
        send(&mut window, Intent::open_paths(paths.to_vec()));
        assert_eq!(errors(&window), [""; 0], "{order:?}");
        let volume = &document(&window).base().volume;
        assert_eq!(volume.grid.shape, order.target_shape(grid.shape), "{order:?}");
        let found = if drawn {
            send(&mut window, WindowCommand::DismissAll);
            pass_time(&mut window);
            let opened = comparable(&window);
            press(&mut window, Key::PageDown);
            (vec![rounded(opened)], Some(pixels(&mut window)))
        } else {
            let looks = looks(&mut window);
            saved_as_it_was(&mut window, folder.path(), &order, grid);
            (looks, None)
        };
        match &first {
            None => first = Some(found),
            Some(first) => same(&found, first, &order),
        }
    }
}

fn same(found: &(Vec<Report>, Option<RgbaImage>), first: &(Vec<Report>, Option<RgbaImage>), order: &Orientation) {
    for (n, (a, b)) in found.0.iter().zip(&first.0).enumerate() {
        assert_eq!(a, b, "{order:?}, report {n}");
    }
    let (Some(a), Some(b)) = (&found.1, &first.1) else { return };
    assert_eq!(a.dimensions(), b.dimensions());
    let differ: Vec<_> = a.enumerate_pixels().filter(|(x, y, p)| *p != b.get_pixel(*x, *y)).collect();
    if let Some((x, y, pixel)) = differ.first() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        a.save(folder.join("order_found.png")).unwrap();
        b.save(folder.join("order_first.png")).unwrap();
        let expected = b.get_pixel(*x, *y);
        panic!("{order:?}: {} pixels differ, ({x}, {y}): {pixel:?}, not {expected:?}", differ.len());
    }
}

#[test]
fn every_axis_order_of_a_straight_scan_gives_the_same_state_and_is_kept_on_saving() {
    all_orders_are_one(&straight(), false);
}

#[test]
fn every_axis_order_of_an_oblique_scan_gives_the_same_state_and_is_kept_on_saving() {
    all_orders_are_one(&oblique(), false);
}

#[test]
fn every_axis_order_of_a_straight_scan_has_the_same_pixels() {
    all_orders_are_one(&straight(), true);
}

#[test]
fn every_axis_order_of_an_oblique_scan_has_the_same_pixels() {
    all_orders_are_one(&oblique(), true);
}

#[test]
fn lesions_of_equal_size_are_listed_in_the_same_order_for_every_axis_order() {
    // The second lesion twice more, elsewhere.
    let moved = |[i, j, k]: Voxel, by: Voxel| Some([i.checked_sub(by[0])?, j + by[1], k.checked_sub(by[2])?]);
    let second = |at: Option<Voxel>| at.is_some_and(|at| lesion(at) == Some(1));
    let alike = |at: Voxel| second(Some(at)) || second(moved(at, [1, 9, 0])) || second(moved(at, [2, 0, 6]));
    let folder = tempfile::tempdir().unwrap();
    let (scan, mask) = (folder.path().join("scan_ct.nii"), folder.path().join("scan_seg.nii"));
    let mut window = open(&amlp_viewer::Args::default());
    let mut first = None;
    for order in Orientation::all() {
        write_i16(&scan, &oblique(), order, hounsfield);
        write_mask(&mask, &oblique(), order, alike);
        send(&mut window, Intent::CloseCase);
        send(&mut window, Intent::open_paths(vec![scan.clone(), mask.clone()]));
        let found = rounded(comparable(&window));
        let volumes: Vec<f64> = found.findings.iter().map(|f| f.volume_ml).collect();
        assert!(volumes.len() == 3 && volumes.iter().all(|v| *v == volumes[0]), "{volumes:?}");
        assert_eq!(&found, first.get_or_insert_with(|| found.clone()), "{order:?}");
    }
}
