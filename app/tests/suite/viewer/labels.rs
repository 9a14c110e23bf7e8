//! The table of labels: names, colours, locks, adding, merging, deleting, and saving with the mask.

use amlp_viewer::command::{EditCommand, FileCommand, LabelCommand};
use amlp_viewer::state::Severity;
use egui::{Color32, Key};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::edit::Op;
use engine::edit::op::Seed;
use engine::volume::LabelTable;

use crate::phantom::{Files, straight};
use crate::window::*;

fn voxels(window: &Window, label: u16) -> usize {
    let mask = document(window).segmentation().unwrap();
    mask.labels.voxel_counts().get(&label).copied().unwrap_or_default()
}

fn relabel(from: u16, to: u16) -> EditCommand {
    EditCommand::Apply(Box::new(Op::Relabel { from, to, seed: Seed::default() }))
}

#[test]
fn names_and_colours_of_labels_are_saved_beside_the_mask() {
    let files = Files::on(&straight());
    let mut window = open_files(&[&files.scan, &files.prediction]);
    window.get_by_label("Name of label 1").focus();
    settle(&mut window);
    window.get_by_label("Name of label 1").type_text("lesion");
    settle(&mut window);
    send(&mut window, LabelCommand::SetColour(1, Color32::from_rgb(1, 2, 3)));
    assert_eq!(document(&window).label_name(1), "lesion");
    assert!(document(&window).is_unsaved(), "its file does not have the name yet");
    click(&mut window, "Add a label");
    assert_eq!(state(&window).session.edit.label, 2);
    click(&mut window, "Label 2: lock");
    click(&mut window, "Label 1: hide");
    send(&mut window, FileCommand::Save);
    assert!(!document(&window).is_unsaved());
    let sidecar = files.path("scan_pred.labels.tsv");
    let table = LabelTable::read(&sidecar).unwrap().labels;
    assert_eq!((table[&1].name.as_str(), table[&1].colour, table[&1].visible), ("lesion", Some([1, 2, 3]), false));
    assert_eq!((table[&2].locked, table[&2].visible), (true, true));
    drop(window);

    let window = open_files(&[&files.scan, &files.prediction]);
    assert_eq!(document(&window).label_name(1), "lesion");
    assert_eq!(document(&window).label_colour(1), Color32::from_rgb(1, 2, 3));
    assert!(state(&window).session.view.hidden_labels.contains(&1));
    assert_eq!(state(&window).session.edit.locked, [2]);
    assert!(has(&window, "Paint with label 2"), "a label without voxels is kept");
    drop(window);

    std::fs::write(&sidecar, "index\tname\tcolor\n1\tx\tred\n").unwrap();
    let window = open_files(&[&files.scan, &files.prediction]);
    let reported = state(&window).notices.iter().any(|notice| {
        notice.severity == Severity::Warning
            && notice.detail.contains("scan_pred.labels.tsv")
            && notice.detail.contains("ignored")
    });
    assert!(reported && errors(&window).is_empty(), "{:?}", state(&window).notices);
    assert_eq!(document(&window).label_name(1), "Label 1");
}

#[test]
fn merging_and_deleting_labels_can_be_undone_and_respects_locks() {
    let files = Files::on(&straight());
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let all = voxels(&window, 1);
    click(&mut window, "Add a label");
    click(&mut window, "Label 1: lock");
    send(&mut window, relabel(1, 2));
    assert_eq!(voxels(&window, 1), all, "locked");
    send(&mut window, LabelCommand::Delete(1));
    assert_eq!(voxels(&window, 1), all, "locked");
    click(&mut window, "Label 1: unlock");
    click(&mut window, "Label 2: lock");
    click(&mut window, "More actions for label 1");
    assert!(window.get_by_label("Merge label 1 into label 2").accesskit_node().is_disabled(), "into a locked label");
    send(&mut window, LabelCommand::Merge { from: 1, into: 2 });
    assert_eq!((voxels(&window, 1), errors(&window)), (all, vec![]), "locked");
    press(&mut window, Key::Escape);
    click(&mut window, "Label 2: unlock");
    click(&mut window, "More actions for label 1");
    window.get_by_label("Merge label 1 into label 2").click();
    settle(&mut window);
    assert_eq!((voxels(&window, 1), voxels(&window, 2)), (0, all));
    assert!(!has(&window, "Paint with label 1") && has(&window, "Paint with label 2"));
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!((voxels(&window, 1), voxels(&window, 2)), (all, 0));
    click(&mut window, "Paint with label 2");
    send(&mut window, LabelCommand::Delete(2));
    assert_eq!(state(&window).session.edit.label, 1, "a deleted label is not painted with");
    assert!(!has(&window, "Paint with label 2"));
    send(&mut window, LabelCommand::Delete(1));
    assert_eq!(voxels(&window, 1), 0);
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!((voxels(&window, 1), errors(&window)), (all, vec![]));
}

#[test]
fn undoing_a_merge_restores_name_and_colour() {
    let files = Files::on(&straight());
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let all = voxels(&window, 1);
    send(&mut window, LabelCommand::Rename(1, "oedema".to_owned()));
    send(&mut window, LabelCommand::SetColour(1, Color32::from_rgb(4, 5, 6)));
    send(&mut window, LabelCommand::Add);
    for merge in [LabelCommand::Merge { from: 1, into: 2 }, LabelCommand::Delete(1)] {
        send(&mut window, merge);
        assert!(!has(&window, "Paint with label 1"));
        for _ in 0..2 {
            press_with(&mut window, CTRL, Key::Z);
            let looks = (document(&window).label_name(1), document(&window).label_colour(1), voxels(&window, 1));
            assert_eq!(looks, ("oedema".to_owned(), Color32::from_rgb(4, 5, 6), all));
            press_with(&mut window, CTRL, Key::Y);
            assert!(!has(&window, "Paint with label 1") && voxels(&window, 1) == 0);
        }
        press_with(&mut window, CTRL, Key::Z);
    }
    // A label that is renamed meanwhile.
    send(&mut window, LabelCommand::Delete(1));
    send(&mut window, LabelCommand::Rename(1, "core".to_owned()));
    press_with(&mut window, CTRL, Key::Z);
    assert!(!has(&window, "Paint with label 1"));
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!((document(&window).label_name(1), voxels(&window, 1)), ("oedema".to_owned(), all));
    assert_eq!(errors(&window), [""; 0]);
}

#[test]
fn adding_naming_and_colouring_a_label_are_steps_that_can_be_undone() {
    let files = Files::on(&straight());
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let steps = |window: &Window| -> Vec<String> {
        document(window).edits.list.entries().iter().map(|entry| entry.name.clone()).collect()
    };
    let colour = document(&window).label_colour(1);
    send(&mut window, LabelCommand::Add);
    // Every letter is a change; the name is one step.
    for name in ["o", "oe", "oedema"] {
        send(&mut window, LabelCommand::Rename(2, name.to_owned()));
    }
    send(&mut window, LabelCommand::SetColour(1, Color32::from_rgb(4, 5, 6)));
    assert_eq!(steps(&window), ["Add label 2", "Name of label 2", "Colour of label 1"]);
    assert!(document(&window).is_unsaved());
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(document(&window).label_colour(1), colour);
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(document(&window).label_name(2), "Label 2");
    press_with(&mut window, CTRL, Key::Z);
    assert!(!has(&window, "Paint with label 2"));
    assert_eq!(state(&window).session.edit.label, 1, "the label to paint with is in the table");
    for _ in 0..3 {
        press_with(&mut window, CTRL, Key::Y);
    }
    assert_eq!(document(&window).label_name(2), "oedema");
    assert_eq!(document(&window).label_colour(1), Color32::from_rgb(4, 5, 6));
    // A label without voxels is deleted from the table alone.
    send(&mut window, LabelCommand::Delete(2));
    assert!(!has(&window, "Paint with label 2"));
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!((document(&window).label_name(2), errors(&window)), ("oedema".to_owned(), vec![]));
}
