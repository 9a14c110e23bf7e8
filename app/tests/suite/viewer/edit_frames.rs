//! Corrections of 4-D scans: a mask for each frame, and one for all of them.

use std::path::PathBuf;

use amlp_viewer::command::{EditCommand, ViewCommand};
use amlp_viewer::state::{Intent, PathPurpose};
use egui::{Key, vec2};
use engine::disk::atomic::previous_path;
use engine::volume::{Grid, LabelVolume, MaskOptions, Scale, Volume, VoxelData, nifti};

use super::autosave::keeping;
use super::edit_tools::{labelled, paint};
use crate::phantom::{self, Files};
use crate::window::*;

/// A scan of five frames and a mask for each of them: in frame n voxel n has label 1.
fn moving(files: &Files) -> [PathBuf; 2] {
    let (scan, mask) = (files.path("moving.nii.gz"), files.path("moving_pred.nii.gz"));
    phantom::write_moving(&scan);
    let grid = Grid::new([9, 8, 7], phantom::straight().world_from_voxel);
    let labels = (0..phantom::FRAMES).flat_map(|frame| (0..grid.len()).map(move |at| u8::from(at == frame)));
    let volume = Volume::new(grid.clone(), VoxelData::U8(labels.collect()), Scale::IDENTITY);
    nifti::write_volume(&mask, &volume).unwrap();
    [scan, mask]
}

/// All frames of a mask's file.
fn frames([scan, mask]: &[PathBuf; 2]) -> Vec<LabelVolume> {
    let image = Volume::read(scan).unwrap();
    let file = LabelVolume::read_frames_for(mask, &image, MaskOptions::default()).unwrap();
    (0..file.frames()).map(|frame| file.read(frame).unwrap().labels).collect()
}

fn show(window: &mut Window, frame: usize) {
    send(window, ViewCommand::SetFrame(frame));
    assert_eq!(document(window).base().frame, frame);
}

/// Paints with a label on a frame, and returns the voxels that have it then.
fn paint_on(window: &mut Window, frame: usize, label: u16) -> Vec<[usize; 3]> {
    show(window, frame);
    press(window, Key::B);
    send(window, EditCommand::SetLabel(label));
    let at = rect(window, "Axial").center() + vec2(6.0 * f32::from(label), 0.0);
    paint(window, &[at, at + vec2(8.0, 8.0)]);
    let painted = labelled(window, label);
    assert!(!painted.is_empty(), "label {label} on frame {frame}");
    painted
}

fn frame_and_labels(window: &Window) -> (usize, Vec<u16>) {
    let mask = document(window).segmentation().unwrap();
    let shown: Vec<u16> = mask.table.iter().map(|entry| entry.value).collect();
    assert_eq!(shown, mask.labels.to_volume().labels(), "the table lists the shown frame");
    (document(window).base().frame, shown)
}

fn names(window: &Window) -> Vec<String> {
    document(window).edits.list.entries().iter().map(|entry| entry.name.clone()).collect()
}

#[test]
fn an_edit_changes_the_displayed_frame_and_undo_goes_to_it() {
    let files = Files::new();
    let paths = moving(&files);
    let (before, bytes) = (frames(&paths), std::fs::read(&paths[1]).unwrap());
    let mut window = open_files(&[&paths[0], &paths[1]]);
    let on_first = paint_on(&mut window, 0, 2);
    let on_fourth = paint_on(&mut window, 3, 3);
    let done = names(&window);
    assert!(done[0].ends_with("frame 1") && done[1].ends_with("frame 4"), "{done:?}");
    assert_eq!(frame_and_labels(&window), (3, vec![1, 3]));
    // Findings and measures are those of the shown frame.
    let found_ml = |window: &Window| -> f64 {
        let list = document(window).findings.as_ref().unwrap();
        list.entries.iter().map(|entry| entry.finding.volume_ml).sum()
    };
    let of_fourth = found_ml(&window);
    show(&mut window, 4);
    assert_eq!(frame_and_labels(&window), (4, vec![1]));
    let of_one_voxel = found_ml(&window);
    assert!(of_one_voxel > 0.0 && of_fourth > 2.0 * of_one_voxel, "{of_fourth} and {of_one_voxel} ml");
    // Undo and redo show the frame of their step.
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(frame_and_labels(&window), (3, vec![1]));
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(frame_and_labels(&window), (0, vec![1]));
    assert!(!document(&window).is_unsaved() && !document(&window).is_corrected());
    send(&mut window, EditCommand::JumpTo(2));
    assert_eq!(frame_and_labels(&window), (3, vec![1, 3]));
    // Whole labels are also those of the shown frame.
    let whole = engine::edit::Op::Relabel { from: 3, to: 5, seed: engine::edit::op::Seed::default() };
    send(&mut window, EditCommand::Apply(Box::new(whole)));
    assert_eq!(labelled(&window, 5), on_fourth);
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(errors(&window), Vec::<String>::new());

    press_with(&mut window, CTRL, Key::S);
    assert!(!document(&window).is_unsaved(), "{:?}", errors(&window));
    let after = frames(&paths);
    assert_eq!((after.len(), &after[1], &after[2], &after[4]), (5, &before[1], &before[2], &before[4]));
    let labels = |frame: &LabelVolume, label: u16| frame.iter().filter(|&l| l == label).count();
    assert_eq!((labels(&after[0], 2), labels(&after[3], 3)), (on_first.len(), on_fourth.len()));
    assert_eq!((labels(&after[0], 3), labels(&after[3], 2)), (0, 0));
    assert_eq!(std::fs::read(previous_path(&paths[1])).unwrap(), bytes, "the mask before is kept");
}

#[test]
fn edits_of_several_frames_are_restored_after_a_kill() {
    let files = Files::new();
    let (paths, unsaved) = (moving(&files), files.path("unsaved"));
    let mut window = keeping(&[&paths[0], &paths[1]], &unsaved);
    paint_on(&mut window, 1, 2);
    paint_on(&mut window, 4, 3);
    let (edited, done) = (document(&window).segmentation().unwrap().labels.clone(), names(&window));
    drop(window);
    let mut window = keeping(&[], &unsaved);
    click(&mut window, "Restore");
    let mask = document(&window).segmentation().unwrap();
    assert!(mask.labels == edited && mask.is_unsaved() && mask.path.as_ref() == Some(&paths[1]));
    assert_eq!((names(&window), errors(&window)), (done, Vec::new()));
    assert_eq!(frame_and_labels(&window), (0, vec![1]));
    press_with(&mut window, CTRL, Key::Z);
    press_with(&mut window, CTRL, Key::Z);
    assert_eq!(frame_and_labels(&window), (1, vec![1]));
    assert!(!document(&window).is_unsaved());
}

#[test]
fn a_mask_for_all_frames_can_be_split_into_one_per_frame() {
    let files = Files::new();
    let [scan, _] = moving(&files);
    let mut window = open_files(&[&scan]);
    show(&mut window, 3);
    // Values of the shown frame: those of frame 3 begin at 3000.
    press(&mut window, Key::R);
    send(&mut window, EditCommand::SetRange(Some([3000.0, 3999.0])));
    let at = rect(&window, "Axial").center();
    paint(&mut window, &[at]);
    let of_all = labelled(&window, 1);
    assert!(!of_all.is_empty());
    show(&mut window, 0);
    assert_eq!(labelled(&window, 1), of_all, "one mask for all frames");
    assert!(has(&window, "The segmentation is one mask for all frames."));
    click(&mut window, "A mask for each frame");
    assert!(has(&window, "Each frame has its own mask. Edits change the shown one."));
    paint_on(&mut window, 2, 2);
    assert_eq!(frame_and_labels(&window), (2, vec![1, 2]));
    show(&mut window, 4);
    assert_eq!((frame_and_labels(&window), labelled(&window, 1)), ((4, vec![1]), of_all.clone()));
    let saved = files.path("moving_masks.nii.gz");
    send(&mut window, Intent::UsePaths(PathPurpose::SaveSegmentation.into(), vec![saved.clone()]));
    let of_file: Vec<Vec<u16>> = frames(&[scan, saved]).iter().map(LabelVolume::labels).collect();
    assert_eq!(of_file, [vec![1], vec![1], vec![1, 2], vec![1], vec![1]]);
    // All of it is undone.
    press_with(&mut window, CTRL, Key::Z);
    press_with(&mut window, CTRL, Key::Z);
    let mask = document(&window).segmentation().unwrap();
    assert_eq!((mask.labels.frames(), labelled(&window, 1)), (1, of_all));
    assert_eq!(errors(&window), Vec::<String>::new());
}
