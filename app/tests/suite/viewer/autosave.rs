//! Unsaved edits: recorded while they are made, offered at the next start, restored voxel by voxel.

use std::path::Path;

use amlp_viewer::command::{AutosaveCommand, FileCommand, LabelCommand};
use amlp_viewer::state::{Dialog, Intent};
use egui::{Color32, Key, vec2};
use egui_kittest::kittest::Queryable as _;
use engine::disk::atomic::previous_path;
use engine::run::autosave::unsaved_edits;
use engine::volume::{LabelTable, LabelVolume, nifti};

use super::edit_tools::{labelled, paint};
use crate::phantom::{Files, write_cohort};
use crate::window::*;

/// The program with a folder for unsaved edits.
pub(super) fn keeping(files: &[&Path], folder: &Path) -> Window {
    let mut window = start(&args(files), SIZE, None);
    window.state_mut().autosave_in(folder);
    settle(&mut window);
    window
}

/// Paints `count` strokes of the brush, each in another position.
fn strokes(window: &mut Window, count: usize) {
    press(window, Key::B);
    for n in 0..count {
        let at = rect(window, "Axial").center() + vec2(40.0 + 25.0 * n as f32, -20.0);
        paint(window, &[at, at + vec2(10.0, 6.0)]);
    }
}

fn undo(window: &mut Window) {
    press_with(window, CTRL, Key::Z);
}

/// Number of files in a folder.
fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn offered(window: &Window) -> bool {
    matches!(state(window).dialog, Some(Dialog::UnsavedEdits { .. }))
}

/// The names of the labels, also those of the mask's own table, were lost.
#[test]
fn names_and_colours_of_labels_are_restored_with_the_edits() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    std::fs::write(files.path("scan_pred.labels.tsv"), "index\tname\tcolor\n1\toedema\t#010203\n").unwrap();
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    assert_eq!(document(&window).label_name(1), "oedema");
    strokes(&mut window, 1);
    send(&mut window, LabelCommand::Rename(2, "core".to_owned()));
    settle(&mut window);
    drop(window);
    let mut window = keeping(&[], &unsaved);
    click(&mut window, "Restore");
    let names = [1, 2].map(|label| document(&window).label_name(label));
    assert_eq!(
        (names, document(&window).label_colour(1)),
        (["oedema", "core"].map(str::to_owned), Color32::from_rgb(1, 2, 3))
    );
    send(&mut window, FileCommand::Save);
    let table = LabelTable::read(&files.path("scan_pred.labels.tsv")).unwrap().labels;
    assert_eq!((table[&1].name.as_str(), table[&2].name.as_str()), ("oedema", "core"));
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn edits_of_a_killed_program_are_offered_and_restored_exactly() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    let before = std::fs::read(&files.prediction).unwrap();
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    let opened = labelled(&window, 1);
    assert!(!offered(&window) && files_in(&unsaved) == 0, "nothing before the first edit");
    strokes(&mut window, 3);
    undo(&mut window);
    let edited = labelled(&window, 1);
    assert_ne!(edited, opened);
    assert_eq!(files_in(&unsaved), 2, "a journal and what names its case");
    drop(window);
    assert_eq!(std::fs::read(&files.prediction).unwrap(), before);

    let mut window = keeping(&[], &unsaved);
    assert!(offered(&window) && state(&window).document.is_none());
    let title = files.scan.file_name().unwrap().to_string_lossy().replace(".nii.gz", "");
    assert!(window.query_all_by_label_contains(&format!("2 edits on {title}, the last ")).next().is_some());
    assert!(window.query_all_by_label_contains("1  Brush stroke, label 1, ").next().is_some(), "what they are");
    click(&mut window, "Restore");
    assert_eq!(errors(&window), Vec::<String>::new());
    assert_eq!(labelled(&window, 1), edited);
    assert!(document(&window).is_unsaved());
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&files.prediction));
    // They can be undone, and then there is nothing to restore.
    undo(&mut window);
    undo(&mut window);
    assert_eq!(labelled(&window, 1), opened);
    settle(&mut window);
    assert!(!document(&window).is_unsaved() && files_in(&unsaved) == 0);
    press_with(&mut window, CTRL, Key::Y);
    press_with(&mut window, CTRL, Key::Y);
    assert!(labelled(&window, 1) == edited && files_in(&unsaved) == 2);

    // After saving no journal remains, and the replaced file is kept.
    press_with(&mut window, CTRL, Key::S);
    assert_eq!(files_in(&unsaved), 0);
    assert_eq!(std::fs::read(previous_path(&files.prediction)).unwrap(), before);
    drop(window);
    assert!(!offered(&keeping(&[], &unsaved)));
}

/// Restoring closed the list of cases, so the review could not continue.
#[test]
fn restored_edits_of_a_listed_case_keep_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let (root, unsaved) = (write_cohort(folder.path()), folder.path().join("unsaved"));
    let mut window = keeping(&[&root], &unsaved);
    press_with(&mut window, CTRL, Key::ArrowDown);
    strokes(&mut window, 1);
    let edited = labelled(&window, 1);
    drop(window);

    let mut window = keeping(&[&root], &unsaved);
    click(&mut window, "Restore");
    assert_eq!(errors(&window), Vec::<String>::new());
    let cases = &state(&window).cases;
    assert_eq!((cases.cases.len(), cases.chosen().map(|case| &*case.name)), (3, Some("patient_2")));
    assert_eq!((labelled(&window, 1), document(&window).is_unsaved()), (edited, true));
}

/// After a very long session, older edits are merged, but keep their names and count as unsaved.
#[test]
fn edits_of_a_compacted_journal_are_still_named_and_unsaved() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    let opened = labelled(&window, 1);
    strokes(&mut window, 3);
    let edited = labelled(&window, 1);
    drop(window);
    let mut entries = std::fs::read_dir(&unsaved).unwrap().map(|entry| entry.unwrap().path());
    let journal = entries.find(|path| path.extension().is_some_and(|ending| ending == "edits")).unwrap();
    engine::run::journal::Journal::open(&journal).unwrap().0.compact(0).unwrap();

    let mut window = keeping(&[], &unsaved);
    assert!(window.query_all_by_label_contains("3 edits on ").next().is_some());
    assert!(window.query_all_by_label_contains("3  Brush stroke, label 1, ").next().is_some());
    click(&mut window, "Restore");
    assert_eq!((labelled(&window, 1), document(&window).is_unsaved(), files_in(&unsaved)), (edited, true, 2));
    let list = &document(&window).edits.list;
    assert_eq!((list.entries().len(), list.undo_name()), (1, Some("3 earlier edits")));
    undo(&mut window);
    assert_eq!((labelled(&window, 1), document(&window).is_unsaved(), files_in(&unsaved)), (opened, false, 0));
}

#[test]
fn postponed_edits_are_offered_when_the_case_is_opened_and_can_be_discarded() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    strokes(&mut window, 1);
    // Edits that are open in another window are not offered.
    let other = keeping(&[&files.scan, &files.prediction], &unsaved);
    assert!(!offered(&other) && state(&other).unsaved_edits.found.is_empty());
    drop((window, other));

    let mut window = keeping(&[], &unsaved);
    click(&mut window, "Later");
    assert!(!offered(&window) && files_in(&unsaved) == 2);
    send(&mut window, Intent::open_paths(vec![files.truth.clone()]));
    assert!(!offered(&window), "another case");
    send(&mut window, Intent::open_paths(vec![files.scan.clone(), files.prediction.clone()]));
    assert!(offered(&window));
    click(&mut window, "Discard");
    assert!(!offered(&window) && files_in(&unsaved) == 0);
    send(&mut window, AutosaveCommand::Offer);
    assert!(!offered(&window));
}

#[test]
fn edits_of_a_file_that_has_changed_are_restored_as_a_copy() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    strokes(&mut window, 2);
    let edited = labelled(&window, 1);
    drop(window);
    let (truth, _) = LabelVolume::read_for(&files.truth, &engine::volume::Volume::read(&files.scan).unwrap()).unwrap();
    nifti::write_label(&files.prediction, &truth, &engine::volume::Volume::read(&files.scan).unwrap()).unwrap();

    let mut window = keeping(&[], &unsaved);
    click(&mut window, "Restore");
    assert_eq!(labelled(&window, 1), edited);
    let mask = document(&window).segmentation().unwrap();
    assert!(mask.path.is_none() && mask.is_unsaved(), "it is in no file");
    let notice = state(&window).notices.iter().find(|notice| notice.title.starts_with("2 edits restored")).unwrap();
    assert!(notice.detail.contains("has changed since it was edited"), "{}", notice.detail);
}

#[test]
fn edits_that_the_user_discarded_are_not_offered_again() {
    let files = Files::new();
    let unsaved = files.path("unsaved");
    let mut window = keeping(&[&files.scan, &files.prediction], &unsaved);
    strokes(&mut window, 1);
    window.state_mut().dispatch(Intent::CloseCase);
    send(&mut window, FileCommand::Discard);
    settle(&mut window);
    assert_eq!(files_in(&unsaved), 0);
    // Closing the program without saving.
    send(&mut window, Intent::open_paths(vec![files.scan.clone(), files.prediction.clone()]));
    strokes(&mut window, 1);
    assert_eq!(files_in(&unsaved), 2);
    send(&mut window, Intent::QuitNow);
    drop(window);
    assert!(files_in(&unsaved) == 0 && unsaved_edits(&unsaved, |_| true).unwrap().0.is_empty());
}
