//! Consequences of edits: findings, saving, undo, whole-mask operations, and refused edits.

use amlp_viewer::command::{EditCommand, FileCommand, ViewCommand};
use amlp_viewer::scene::PlaneMode;
use amlp_viewer::state::{Dialog, Intent, PaneId, PathPurpose, Severity, ToolKind};
use amlp_viewer::worker::edit;
use egui::{Key, Modifiers, PointerButton, vec2};
use engine::edit::{Delta, Op};
use engine::volume::LabelVolume;

use super::edit_tools::{begin_stroke, labelled, paint, release, screen_position};
use crate::phantom::Files;
use crate::window::*;

fn undo(window: &mut Window) {
    press_with(window, CTRL, Key::Z);
}

/// Names of the undo list, oldest first, and the number in effect.
fn names(window: &Window) -> (Vec<String>, usize) {
    let list = &document(window).edits.list;
    (list.entries().iter().map(|entry| entry.name.clone()).collect(), list.applied())
}

fn warnings(window: &Window) -> Vec<String> {
    let notices = state(window).notices.iter().filter(|notice| notice.severity == Severity::Warning);
    notices.map(|notice| notice.detail.clone()).collect()
}

#[test]
fn findings_and_metrics_follow_an_edit_and_the_view_stays() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let chosen = report(&window).findings.iter().position(|finding| finding.status == "extra").unwrap();
    send(&mut window, amlp_viewer::command::OverlayCommand::GoToFinding(chosen));
    let before = report(&window);
    press(&mut window, Key::E);
    send(&mut window, EditCommand::SetMode(engine::edit::op::Mode::Volume));
    // The whole of the first lesion is erased, although another is chosen.
    let largest = document(&window).display(PlaneMode::Native).world([15, 20, 8]);
    send(&mut window, EditCommand::SetRadius(14.0));
    send(&mut window, ViewCommand::MoveCrosshair(largest));
    let crosshair = state(&window).session.view.crosshair;
    let at = screen_position(&window, PaneId::Axial, largest);
    begin_stroke(&mut window, &[at], PointerButton::Primary, Modifiers::NONE);
    assert_eq!(report(&window).findings, before.findings, "old values stay until the new ones arrive");
    assert!(report(&window).metrics.is_some());
    release(&mut window, at, PointerButton::Primary);
    let after = report(&window);
    assert_ne!(after.metrics, before.metrics);
    assert_ne!(after.slice_dice, before.slice_dice);
    assert_eq!(after.metrics.unwrap().lesions.missed, 2);
    assert_eq!(state(&window).session.view.crosshair, crosshair);
    let now = state(&window).session.view.finding.unwrap();
    assert_eq!(after.findings[now].status, "extra", "the same lesion stays chosen, wherever the list has it");
    let volume = |window: &Window| document(window).segmentation().unwrap().table[0].volume_ml;
    let erased = volume(&window);
    undo(&mut window);
    assert!(volume(&window) > erased);
    assert_eq!(report(&window).metrics, before.metrics);
    assert_eq!(report(&window).findings, before.findings);
}

#[test]
fn edits_can_be_undone_after_saving_and_unsaved_ones_are_asked_about() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let opened = labelled(&window, 1);
    press(&mut window, Key::B);
    let at = rect(&window, "Axial").center();
    paint(&mut window, &[at + vec2(60.0, 0.0)]);
    press_with(&mut window, CTRL, Key::S);
    let saved = labelled(&window, 1);
    let written = || LabelVolume::read(&files.prediction).unwrap();
    assert!(saved != opened && !document(&window).is_unsaved());
    assert_eq!(written().data, document(&window).segmentation().unwrap().labels.to_volume().data);
    undo(&mut window);
    assert!(labelled(&window, 1) == opened && document(&window).is_unsaved(), "the file contains the stroke");
    // Discarding it asks first.
    send(&mut window, Intent::CloseCase);
    assert_eq!(state(&window).dialog, Some(Dialog::Unsaved { next: Intent::CloseCase }));
    click(&mut window, "Cancel");
    press_with(&mut window, CTRL, Key::Y);
    assert!(labelled(&window, 1) == saved && !document(&window).is_unsaved(), "as the file is again");
    send(&mut window, Intent::CloseCase);
    assert!(state(&window).document.is_none());
}

#[test]
fn measurements_and_removed_masks_are_in_the_same_undo_list() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let at = rect(&window, "Axial").center();
    press(&mut window, Key::Num5);
    paint(&mut window, &[at, at + vec2(40.0, 0.0)]);
    press(&mut window, Key::B);
    paint(&mut window, &[at + vec2(80.0, 0.0)]);
    let painted = labelled(&window, 1);
    press(&mut window, Key::Backspace);
    send(&mut window, FileCommand::RemoveReference);
    let metrics = report(&window).metrics;
    assert!(metrics.is_none() && document(&window).reference().is_none());
    window.state_mut().dispatch(Intent::RemoveSegmentation);
    send(&mut window, FileCommand::Discard);
    assert!(document(&window).masks.is_empty() && state(&window).measures().is_empty());
    let slice = names(&window).0[1].clone();
    let expected = [
        "Ruler".to_owned(),
        slice.clone(),
        "Remove the last measurement".to_owned(),
        "Remove reference".to_owned(),
        "Remove segmentation".to_owned(),
    ];
    assert_eq!(names(&window), (expected.to_vec(), 5));
    assert!(slice.starts_with("Brush stroke, label 1, slice "), "{slice}");
    undo(&mut window);
    assert!(labelled(&window, 1) == painted && document(&window).is_unsaved());
    undo(&mut window);
    assert!(document(&window).reference().is_some() && report(&window).metrics.is_some());
    undo(&mut window);
    assert_eq!(state(&window).measures().len(), 1);
    undo(&mut window);
    assert!(labelled(&window, 1) != painted && !document(&window).is_unsaved());
    undo(&mut window);
    assert_eq!((state(&window).measures().len(), names(&window).1), (0, 0));
    send(&mut window, EditCommand::JumpTo(5));
    assert!(document(&window).masks.is_empty() && names(&window).1 == 5);
    send(&mut window, EditCommand::JumpTo(2));
    assert!(labelled(&window, 1) == painted && state(&window).measures().len() == 1 && names(&window).1 == 2);
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn the_result_of_a_whole_mask_operation_is_dropped_if_the_mask_has_changed() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let before = labelled(&window, 1);
    let grow = || EditCommand::Apply(Box::new(Op::Grow { label: 1, mm: 4.0, overwrite: false }));
    send(&mut window, grow());
    assert!(labelled(&window, 1).len() > before.len());
    assert_eq!(names(&window), (vec!["Grow by 4 mm, label 1".to_owned()], 1));
    undo(&mut window);
    assert_eq!(labelled(&window, 1), before);
    // The segmentation changes while it is planned.
    window.state_mut().dispatch(grow());
    let (state, jobs) = window.state_mut().parts();
    let labels = state.document.as_ref().unwrap().segmentation().unwrap().labels.clone();
    let mut other = labels.clone();
    let erase = Op::KeepLargest { label: None };
    let scene = engine::edit::Scene::default();
    let delta: Delta = engine::edit::apply(&erase, &mut other, &scene, &engine::event::Control::default()).unwrap();
    edit::commit(state, jobs, "Meanwhile", &delta);
    settle(&mut window);
    assert_eq!(document(&window).segmentation().unwrap().labels, other);
    assert!(warnings(&window)[0].contains("Grow by 4 mm, label 1"), "{:?}", warnings(&window));
    assert_eq!(names(&window).0, ["Meanwhile"]);
    // An operation that is impossible here reports why.
    send(&mut window, EditCommand::Apply(Box::new(Op::Grow { label: 1, mm: -4.0, overwrite: false })));
    assert!(errors(&window)[0].contains("must be above 0"), "{:?}", errors(&window));
}

#[test]
fn edits_are_refused_while_the_case_loads_and_in_locked_labels() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let before = labelled(&window, 1);
    press(&mut window, Key::B);
    let at = rect(&window, "Axial").center() + vec2(60.0, 0.0);
    // Another case is being read.
    window.state_mut().dispatch(Intent::UsePaths(PathPurpose::Segmentation.into(), vec![files.truth.clone()]));
    let start = amlp_viewer::command::edit::StrokeStart {
        tool: ToolKind::Brush,
        erases: false,
        pane: PaneId::Axial,
        at: state(&window).session.view.crosshair,
    };
    window.state_mut().dispatch(EditCommand::BeginStroke(start));
    assert!(state(&window).stroke().is_none() && warnings(&window).len() == 1, "{:?}", warnings(&window));
    assert_eq!(labelled(&window, 1), before);
    settle(&mut window);
    // A locked label is neither added to nor overwritten.
    let (now, _) = window.state_mut().parts();
    now.session.edit.locked = vec![1];
    paint(&mut window, &[at, at + vec2(5.0, 0.0), at + vec2(9.0, 0.0)]);
    assert_eq!(warnings(&window).len(), 2, "one warning per stroke: {:?}", warnings(&window));
    send(&mut window, EditCommand::SetLabel(2));
    let kept = labelled(&window, 1);
    let centre = rect(&window, "Axial").center();
    paint(&mut window, &[centre, centre + vec2(50.0, 0.0)]);
    assert!(labelled(&window, 1) == kept && !labelled(&window, 2).is_empty());
}
