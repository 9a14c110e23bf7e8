//! Lasso, fill, region growing, one click, and findings one by one.

use amlp_viewer::Args;
use amlp_viewer::command::{EditCommand, FileCommand, LabelCommand, OverlayCommand, ViewCommand};
use amlp_viewer::scene::PlaneMode;
use amlp_viewer::state::edit::EditChoices;
use amlp_viewer::state::{PaneId, Severity};
use egui::{Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::edit::Op;
use engine::edit::op::LassoAction;
use engine::volume::{Volume, nifti};
use glam::DVec3;

use super::edit_tools::{labelled, paint, screen_position, stroke};
use crate::phantom::{self, Files, SHAPE, STORED, count, lesion, oblique, prediction, truth};
use crate::window::*;

/// World position of a canonical index, which may lie between voxels.
fn world(window: &Window, index: [f64; 3]) -> DVec3 {
    document(window).display(PlaneMode::Native).world_from_display.transform_point3(DVec3::from_array(index))
}

/// A rectangle in an axial slice, as a path on the screen.
fn around(window: &Window, [x, y]: [[f64; 2]; 2], slice: f64) -> Vec<Pos2> {
    let corners = [[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]];
    corners.map(|[i, j]| screen_position(window, PaneId::Axial, world(window, [i, j, slice]))).to_vec()
}

fn step_name(window: &Window) -> String {
    document(window).edits.list.undo_name().unwrap_or_default().to_owned()
}

#[test]
fn the_lasso_fills_erases_and_restores_the_enclosed_voxels() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let middle = world(&window, [15.0, 20.0, 8.0]);
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    let automatic = document(&window).segmentation().unwrap().labels.clone();
    press(&mut window, Key::L);
    // 10 x 6 voxels beside every lesion.
    send(&mut window, EditCommand::SetLabel(2));
    let path = around(&window, [[19.5, 29.5], [2.5, 8.5]], 8.0);
    paint(&mut window, &path);
    assert_eq!(labelled(&window, 2).len(), 60);
    assert_eq!(step_name(&window), "Lasso, label 2, slice 9");
    stroke(&mut window, &path, PointerButton::Primary, Modifiers::SHIFT);
    assert_eq!((labelled(&window, 2).len(), step_name(&window)), (0, "Lasso eraser, slice 9".to_owned()));
    // The right button removes the whole first lesion of the slice, and half of it is restored.
    let all = around(&window, [[5.5, 30.5], [10.5, 30.5]], 8.0);
    stroke(&mut window, &all, PointerButton::Secondary, Modifiers::NONE);
    let gone = automatic.voxel_counts()[&1] - labelled(&window, 1).len();
    assert_eq!(gone, count(|at| at[2] == 8 && prediction(at)));
    let choices = EditChoices { lasso: LassoAction::Restore, ..state(&window).session.edit.clone() };
    send(&mut window, EditCommand::Choose(Box::new(choices)));
    let half = around(&window, [[5.5, 15.5], [10.5, 30.5]], 8.0);
    paint(&mut window, &half);
    let left = automatic.voxel_counts()[&1] - labelled(&window, 1).len();
    assert_eq!(left, count(|at| at[2] == 8 && prediction(at) && at[0] > 15));
    paint(&mut window, &all);
    assert_eq!(document(&window).segmentation().unwrap().labels, automatic);
    // A click encloses nothing, and Escape drops the line.
    let steps = document(&window).edits.list.entries().len();
    paint(&mut window, &all[..1]);
    super::edit_tools::begin_stroke(&mut window, &path, PointerButton::Primary, Modifiers::NONE);
    assert!(state(&window).is_drawing());
    press(&mut window, Key::Escape);
    super::edit_tools::release(&mut window, path[3], PointerButton::Primary);
    assert_eq!(document(&window).edits.list.entries().len(), steps);
    assert_eq!(errors(&window), [""; 0]);
}

/// A click beside every outline filled the whole slice.
#[test]
fn open_background_is_not_filled() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let (middle, outside) = (world(&window, [15.0, 20.0, 8.0]), world(&window, [24.0, 5.0, 8.0]));
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    let at = screen_position(&window, PaneId::Axial, outside);
    press(&mut window, Key::K);
    send(&mut window, EditCommand::SetLabel(2));
    paint(&mut window, &[at]);
    assert!(labelled(&window, 2).is_empty() && document(&window).edits.list.entries().is_empty());
    let refusals: Vec<&str> = state(&window).notices.iter().map(|notice| notice.detail.as_str()).collect();
    assert!(refusals.iter().any(|why| why.contains("reaches opposite edges of the slice")), "{refusals:?}");
    // Inside a closed outline it is filled, up to the outline.
    press(&mut window, Key::L);
    let ring = around(&window, [[19.5, 29.5], [2.5, 8.5]], 8.0);
    paint(&mut window, &ring);
    let hole = around(&window, [[21.5, 27.5], [3.5, 7.5]], 8.0);
    stroke(&mut window, &hole, PointerButton::Primary, Modifiers::SHIFT);
    assert_eq!(labelled(&window, 2).len(), 60 - 24);
    press(&mut window, Key::K);
    paint(&mut window, &[at]);
    assert_eq!((labelled(&window, 2).len(), step_name(&window)), (60, "Fill, label 2, slice 9".to_owned()));
    // A locked label is named by a sentence, not by a field.
    send(&mut window, LabelCommand::Lock(3, true));
    send(&mut window, EditCommand::SetLabel(3));
    paint(&mut window, &[at]);
    assert!(labelled(&window, 3).is_empty());
    assert_eq!(state(&window).notices.last().unwrap().detail, "This label is locked. Unlock it first.");
}

#[test]
fn fill_and_region_growing_start_from_a_click() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let middle = world(&window, [15.0, 20.0, 8.0]);
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    let at = screen_position(&window, PaneId::Axial, middle);
    let in_slice = count(|at| at[2] == 8 && prediction(at));
    press(&mut window, Key::K);
    send(&mut window, EditCommand::SetLabel(2));
    paint(&mut window, &[at]);
    assert_eq!((labelled(&window, 2).len(), step_name(&window)), (in_slice, "Fill, label 2, slice 9".to_owned()));
    stroke(&mut window, &[at], PointerButton::Secondary, Modifiers::NONE);
    assert_eq!((labelled(&window, 2).len(), step_name(&window)), (0, "Erase area, slice 9".to_owned()));
    let mut window = open_files(&[&files.scan]);
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    press(&mut window, Key::O);
    send(&mut window, EditCommand::SetLabel(2));
    send(&mut window, EditCommand::SetTolerance(Some(40.0)));
    let choices = EditChoices { reach_mm: Some(12.0), ..state(&window).session.edit.clone() };
    send(&mut window, EditCommand::Choose(Box::new(choices)));
    paint(&mut window, &[at]);
    let (grid, seed) = (document(&window).base().volume.grid.clone(), document(&window).value_at(0, middle).unwrap());
    let grown = labelled(&window, 2);
    assert!(grown.len() > in_slice, "through slices: {}", grown.len());
    for &voxel in &grown {
        let value = document(&window).base().volume.value_at(voxel, 0);
        assert!((value - seed).abs() <= 40.0 && grid.world(voxel).distance(middle) <= 12.0 + 1e-6);
    }
    assert_eq!(step_name(&window), "Region growing, label 2");
    stroke(&mut window, &[at], PointerButton::Secondary, Modifiers::NONE);
    let left = labelled(&window, 2).len();
    assert!(0 < left && left < grown.len(), "the right button erases in the slice: {left} of {}", grown.len());
    assert_eq!(step_name(&window), "Erase area, slice 9");
}

/// A fill in a plane along the patient relabelled the nearest stored slice instead of the displayed area.
#[test]
fn fill_relabels_the_displayed_area_of_a_plane_along_the_patient() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    send(&mut window, ViewCommand::SetPlanes(PlaneMode::World));
    let (grid, before) = (document(&window).base().volume.grid.clone(), labelled(&window, 1));
    // A point of the lesion on a displayed slice, which need not run through the centre of a voxel.
    let display = document(&window).display(PlaneMode::World);
    let middle = display.world(display.index_at(world(&window, [15.0, 20.0, 8.0])));
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    let across = display.direction(2);
    press(&mut window, Key::K);
    send(&mut window, EditCommand::SetLabel(2));
    let at = screen_position(&window, PaneId::Axial, middle);
    paint(&mut window, &[at]);
    let columns = [0, 1, 2].map(|a| grid.world_from_voxel.matrix3.col(a));
    let half = columns.iter().map(|column| column.dot(across).abs()).sum::<f64>() / 2.0;
    // The other lesions are farther away.
    let is_displayed = |voxel: phantom::Voxel| {
        let offset = grid.world(voxel) - middle;
        offset.length() < 20.0 && offset.dot(across).abs() < half
    };
    let expected: Vec<phantom::Voxel> = before.into_iter().filter(|&voxel| is_displayed(voxel)).collect();
    assert!(expected.len() > 8, "{expected:?}");
    assert_eq!((labelled(&window, 2), errors(&window)), (expected, vec![]));
}

#[test]
fn one_click_adds_the_lesion_of_the_probability_map() {
    let files = Files::new();
    let probability = files.path("p.nii.gz");
    let near = |[x, y, z]: phantom::Voxel| x.abs_diff(28) <= 5 && y.abs_diff(14) <= 5 && z.abs_diff(15) <= 5;
    let value = |at: phantom::Voxel| match at {
        at if truth(at) => 0.8_f32,
        at if near(at) => 0.3,
        _ => 0.0,
    };
    let values: Vec<f32> = phantom::voxels(SHAPE).map(value).collect();
    let grid = oblique().reoriented(&STORED);
    nifti::write_volume(&probability, &Volume::from_f32(grid, STORED.apply(&values, SHAPE))).unwrap();
    let mut window = open(&Args { probability: Some(probability), ..args(&[&files.scan]) });
    let middle = world(&window, [28.0, 14.0, 15.0]);
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    let at = screen_position(&window, PaneId::Axial, middle);
    press(&mut window, Key::V);
    paint(&mut window, &[at]);
    let voxels = |window: &Window| state(window).preview().and_then(|p| p.found.as_ref()).map(|(d, _)| d.voxels());
    let core = count(|at| lesion(at) == Some(1));
    assert_eq!(voxels(&window), Some(core));
    assert!(document(&window).segmentation().is_none(), "nothing is changed before it is accepted");
    let shown = slices(&window);
    wheel(&mut window, "Axial", -4.0, Modifiers::NONE);
    let all = count(|at| lesion(at) == Some(1) || near(at));
    assert_eq!((voxels(&window), slices(&window)), (Some(all), shown), "the wheel moves the threshold");
    press(&mut window, Key::Escape);
    assert!(state(&window).preview().is_none() && document(&window).segmentation().is_none());
    paint(&mut window, &[at]);
    press(&mut window, Key::Enter);
    assert_eq!((labelled(&window, 1).len(), state(&window).preview().is_none()), (core, true));
    assert_eq!(step_name(&window), "One click, label 1, p \u{2265} 0.50");
    // A second click has nothing to add.
    paint(&mut window, &[at]);
    assert_eq!(voxels(&window), Some(0));
    assert!(window.get_by_label("Add lesion").accesskit_node().is_disabled());
    press(&mut window, Key::Escape);
    stroke(&mut window, &[at], PointerButton::Secondary, Modifiers::NONE);
    let left = labelled(&window, 1).len();
    assert!(0 < left && left < core && state(&window).preview().is_none(), "{left} of {core}");
    // Where the network finds nothing, a message says so.
    let notices = |window: &Window| {
        let warnings = state(window).notices.iter().filter(|notice| notice.severity == Severity::Warning);
        warnings.map(|notice| notice.detail.clone()).collect::<Vec<_>>().join("; ")
    };
    let corner = screen_position(&window, PaneId::Axial, world(&window, [4.0, 4.0, 15.0]));
    paint(&mut window, &[corner]);
    assert!(notices(&window).contains("No lesion here"), "{}", notices(&window));
    // Strokes can be chosen although there is a network.
    click(&mut window, "Strokes");
    paint(&mut window, &[at]);
    assert!(state(&window).preview().is_some_and(|preview| preview.has(false) && preview.least().is_none()));
}

#[test]
fn removing_the_probability_map_can_be_undone() {
    let files = Files::new();
    let probability = files.path("p.nii.gz");
    let volume = Volume::read(&files.scan).unwrap();
    nifti::write_volume(&probability, &Volume::from_f32(volume.grid.clone(), vec![0.5; volume.grid.len()])).unwrap();
    let (probability, mask) = (Some(probability), Some(files.prediction.clone()));
    let mut window = open(&Args { probability, mask, ..args(&[&files.scan]) });
    let labels = document(&window).segmentation().unwrap().labels.clone();
    send(&mut window, FileCommand::RemoveProbability);
    assert!(document(&window).probability.is_none() && document(&window).entropy.is_none());
    assert!(!document(&window).is_unsaved(), "the labels have not changed");
    send(&mut window, EditCommand::Undo);
    assert!(document(&window).probability.is_some() && document(&window).entropy.is_some());
    assert!(document(&window).segmentation().unwrap().labels == labels && !document(&window).is_unsaved());
    send(&mut window, EditCommand::Redo);
    assert!(document(&window).probability.is_none());
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn strokes_find_a_lesion_without_a_probability_map() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    let middle = world(&window, [13.0, 20.0, 8.0]);
    send(&mut window, ViewCommand::MoveCrosshair(middle));
    press(&mut window, Key::V);
    assert!(window.query_all_by_label_contains("This case has no probability map.").next().is_some());
    let line = [10.0, 16.0].map(|x| screen_position(&window, PaneId::Axial, world(&window, [x, 20.0, 8.0])));
    let mut ring = around(&window, [[3.5, 23.5], [13.5, 26.5]], 8.0);
    ring.push(ring[0]);
    let found =
        |window: &Window| state(window).preview().and_then(|p| p.found.as_ref()).map(|(delta, _)| delta.voxels());
    paint(&mut window, &line);
    press(&mut window, Key::Enter);
    let waits = state(&window).preview().is_some_and(|preview| preview.strokes().len() == 1);
    assert!(waits && found(&window).is_none() && document(&window).segmentation().is_none(), "one side finds nothing");
    assert!(
        window.query_by_label("Now draw around it with the right button.").is_some(),
        "the panel says what is missing"
    );
    stroke(&mut window, &ring, PointerButton::Secondary, Modifiers::NONE);
    assert!(window.query_by_label_contains("Draw more strokes to correct the outline.").is_some());
    let first = found(&window).unwrap();
    assert!(document(&window).segmentation().is_none(), "nothing is changed before it is accepted");
    // A further stroke changes it; Escape cancels it while drawing, and again drops all.
    let across = around(&window, [[10.0, 10.0], [14.0, 26.0]], 8.0);
    super::edit_tools::begin_stroke(&mut window, &across, PointerButton::Secondary, Modifiers::NONE);
    press(&mut window, Key::Escape);
    super::edit_tools::release(&mut window, across[3], PointerButton::Secondary);
    assert_eq!((found(&window), state(&window).preview().unwrap().strokes().len()), (Some(first), 2));
    stroke(&mut window, &across, PointerButton::Secondary, Modifiers::NONE);
    assert!(found(&window).unwrap() < first, "a stroke through the lesion cuts it");
    press(&mut window, Key::Escape);
    assert!(state(&window).preview().is_none() && document(&window).segmentation().is_none());
    // Shift draws around as well.
    paint(&mut window, &line);
    stroke(&mut window, &ring, PointerButton::Primary, Modifiers::SHIFT);
    let shown = slices(&window);
    wheel(&mut window, "Axial", -1.0, Modifiers::NONE);
    assert!(slices(&window) != shown, "the wheel goes through slices");
    press(&mut window, Key::Enter);
    assert_eq!(step_name(&window), "One click by strokes, label 1");
    let is_true = |at: phantom::Voxel| lesion(at) == Some(0);
    let stored = document(&window).base().volume.grid.clone();
    let display = document(&window).display(PlaneMode::Native);
    let canonical = |voxel: [usize; 3]| {
        let index = display.display_from_world.transform_point3(stored.world(voxel)).round();
        index.to_array().map(|n| n as usize)
    };
    let painted = labelled(&window, 1);
    assert_eq!(painted.len(), first);
    let both = painted.iter().filter(|&&voxel| is_true(canonical(voxel))).count();
    let dice = 2.0 * both as f64 / (painted.len() + count(is_true)) as f64;
    assert!(dice > 0.9, "{dice}");
    press_with(&mut window, CTRL, Key::Z);
    assert!(labelled(&window, 1).is_empty());
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn findings_can_be_kept_or_removed() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let before = document(&window).segmentation().unwrap().labels.clone();
    let ours = |window: &Window| report(window).findings.iter().filter(|f| f.status != "missed").count();
    assert_eq!(ours(&window), 3);
    send(&mut window, OverlayCommand::GoToFinding(0));
    click(&mut window, "Remove 1 from the segmentation");
    assert_eq!((ours(&window), step_name(&window)), (2, "Remove finding 1".to_owned()));
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(document(&window).segmentation().unwrap().labels, before);
    send(&mut window, EditCommand::KeepFinding(0));
    assert_eq!((ours(&window), step_name(&window)), (1, "Keep only finding 1".to_owned()));
    let missed = report(&window).findings.iter().position(|finding| finding.status == "missed").unwrap();
    let kept = document(&window).segmentation().unwrap().labels.clone();
    send(&mut window, EditCommand::RemoveFinding(missed));
    assert_eq!(document(&window).segmentation().unwrap().labels, kept, "the reference is not changed");
}

#[test]
fn an_operation_that_changes_nothing_says_why() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    for _ in 0..2 {
        send(&mut window, EditCommand::Apply(Box::new(Op::KeepLargest { label: Some(1) })));
    }
    let notice = state(&window).notices.last().unwrap();
    assert!(notice.title.contains("Nothing to change"), "{}", notice.title);
    assert!(notice.detail.contains("it has only one component"), "{}", notice.detail);
}

#[test]
fn the_panel_changes_whole_labels_and_jumps_to_steps() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    press(&mut window, Key::B);
    let before = document(&window).segmentation().unwrap().labels.clone();
    click(&mut window, "Whole label");
    click(&mut window, "Grow by 2 mm");
    click(&mut window, "Keep the largest component");
    assert_eq!(document(&window).edits.list.applied(), 2);
    click(&mut window, "Steps");
    click(&mut window, "Step 0: As opened");
    assert_eq!((document(&window).edits.list.applied(), document(&window).is_unsaved()), (0, false));
    assert_eq!(document(&window).segmentation().unwrap().labels, before);
    click(&mut window, "Step 1: Grow by 2 mm, label 1");
    assert_eq!(document(&window).edits.list.applied(), 1);
    assert_eq!(errors(&window), [""; 0]);
}
