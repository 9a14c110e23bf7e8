//! A mask that does not fit never prevents its scan from opening.

use std::path::{Path, PathBuf};

use amlp_viewer::state::names::is_mask_name;
use amlp_viewer::state::{Intent, PathPurpose, Session, Severity, UnloadedMask};
use egui::Key;
use engine::volume::{Grid, LabelVolume, Orientation, Scale, Volume, VoxelData, nifti};
use glam::{DAffine3, DVec3};

use crate::phantom::{self, Files, STORED, count, lesion, straight, write_cohort, write_mask};
use crate::window::*;

/// Writes the phantom's mask on a grid shifted by `mm` along x.
fn shifted_mask(files: &Files, mm: f64) {
    let mut grid = phantom::oblique();
    grid.world_from_voxel.translation.x += mm;
    phantom::write_mask(&files.truth, &grid, STORED, phantom::truth);
}

fn notices(window: &Window, severity: Severity) -> Vec<String> {
    let of = state(window).notices.iter().filter(|notice| notice.severity == severity && !notice.dismissed);
    of.map(|notice| format!("{}: {}", notice.title, notice.detail)).collect()
}

fn offers_to_resample(window: &Window) -> bool {
    let says = |mask: &UnloadedMask| mask.why.contains("a different grid from the image: a corner differs by 0.6 mm");
    state(window).dialog.is_none() && document(window).missing_masks().any(says)
}

/// Writes two lesions, each to a separate file.
fn write_regions(folder: &Path, grid: &Grid) -> [PathBuf; 2] {
    [0, 1].map(|n| {
        let path = folder.join(format!("finding{}_roi.nii.gz", n + 1));
        write_mask(&path, grid, STORED, |at| lesion(at) == Some(n));
        path
    })
}

/// Asserts that the reference is the union of both files and names them.
fn assert_union(window: &Window) {
    assert_eq!(errors(window), [""; 0]);
    let mask = document(window).reference().unwrap();
    let voxels = mask.labels.to_volume().labelled_voxels();
    assert_eq!(voxels, count(|at| matches!(lesion(at), Some(0 | 1))));
    assert_eq!(mask.files().len(), 2);
    assert_eq!(report(window).findings.len(), 2);
}

#[test]
fn several_reference_files_are_merged_into_one() {
    // As the cohort lists them.
    let folder = tempfile::tempdir().unwrap();
    let root = write_cohort(folder.path());
    let first = root.join("patient_1");
    std::fs::remove_file(first.join("seg.nii.gz")).unwrap();
    write_regions(&first, &straight());
    let window = open_files(&[&root]);
    assert_eq!(document(&window).title, "patient_1");
    assert_union(&window);
    // A restart brings both back.
    let saved = Session::of(state(&window)).open.case.unwrap();
    assert_eq!(saved.request().reference, document(&window).reference().unwrap().files());
    // Named together, and dropped together onto an open image.
    let files = Files::new();
    let [one, two] = write_regions(files.folder.path(), &crate::phantom::oblique());
    assert_union(&open_files(&[&files.scan, &one, &two]));
    let mut window = open_files(&[&files.scan]);
    send(&mut window, Intent::open_paths(vec![one, two]));
    assert_union(&window);
}

/// As in issue 2964 of the OHIF viewer.
#[test]
fn a_scan_opens_without_a_mask_on_another_grid() {
    let files = Files::new();
    shifted_mask(&files, 0.6);
    let mut window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_none() && offers_to_resample(&window));
    click(&mut window, "Resample");
    let mask = document(&window).reference().unwrap();
    assert_eq!(*mask.labels.grid(), document(&window).base().volume.grid);
    assert!(mask.labels.to_volume().labelled_voxels() > 0 && errors(&window).is_empty());
    assert_eq!(state(&window).session.view.finding, Some(0), "the view goes to the finding");
    // It is saved under a new name, which is proposed.
    assert!(mask.is_unsaved() && has(&window, "Save reference (unsaved)") && has(&window, "Save reference as…"));
    let proposed = amlp_viewer::worker::dialog::proposed(state(&window), PathPurpose::SaveReference);
    assert!(is_mask_name(&proposed) && proposed != files.truth, "{proposed:?}");
    send(&mut window, Intent::UsePaths(PathPurpose::SaveReference.into(), vec![proposed.clone()]));
    let mask = document(&window).reference().unwrap();
    assert!(!mask.is_unsaved() && mask.path.as_ref() == Some(&proposed) && errors(&window).is_empty());
    assert_eq!(LabelVolume::read(&proposed).unwrap().data, mask.labels.to_volume().data);
    press_with(&mut window, CTRL, Key::S);
    assert!(notices(&window, Severity::Info).iter().any(|n| n.starts_with("Nothing to save")));
}

/// Resampling was offered, which left an empty mask.
#[test]
fn a_mask_outside_the_image_is_refused_with_what_to_choose() {
    let files = Files::new();
    shifted_mask(&files, 500.0);
    let mut window = open_files(&[&files.scan, &files.truth]);
    let outside = |window: &Window| {
        let messages = errors(window);
        assert!(document(window).reference().is_none() && !has(window, "Resample"));
        assert!(messages.last().unwrap().contains("no lesion is left on the grid of the image"), "{messages:?}");
        assert!(messages.last().unwrap().contains("Choose the mask of this image"), "{messages:?}");
        messages.len()
    };
    assert_eq!(outside(&window), 1);
    // As well when it is opened later.
    send(&mut window, Intent::open_paths(vec![files.truth.clone()]));
    outside(&window);
}

/// It was said to lie outside the image.
#[test]
fn a_mask_with_lesions_between_the_slices_is_refused_as_such() {
    let files = Files::new();
    let grid = |slices, mm| Grid::new([8, 8, slices], DAffine3::from_scale(DVec3::new(1.0, 1.0, mm)));
    let scan = Volume::from_f32(grid(2, 5.0), (0_u8..128).map(f32::from).collect());
    nifti::write_volume(&files.scan, &scan).unwrap();
    write_mask(&files.truth, &grid(6, 1.0), STORED, |at| at == [3, 3, 2]);
    let window = open_files(&[&files.scan, &files.truth]);
    let messages = errors(&window);
    assert!(document(&window).reference().is_none() && !has(&window, "Resample"));
    assert!(messages.last().unwrap().contains("outside it or between its voxels"), "{messages:?}");
}

#[test]
fn a_soft_mask_can_be_thresholded() {
    let files = Files::new();
    let scan = Volume::read(&files.scan).unwrap();
    let soft = (0..scan.grid.len()).map(|at| if at % 5 == 0 { 0.7 } else { 0.2 }).collect();
    nifti::write_volume(&files.truth, &Volume::from_f32(scan.grid.clone(), soft)).unwrap();
    let mut window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_none() && errors(&window).is_empty());
    let why = &document(&window).unloaded[0];
    assert!(why.why.contains("threshold") && !why.details.contains("--"), "{why:?}");
    click(&mut window, "Threshold at 0.5");
    let mask = document(&window).reference().unwrap();
    assert_eq!(mask.labels.to_volume().labelled_voxels(), scan.grid.len().div_ceil(5));
    assert!(mask.is_unsaved() && document(&window).unloaded.is_empty());
}

#[test]
fn named_channels_of_a_4d_file_open_as_separate_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("Task01_BrainTumour");
    for part in ["imagesTr", "labelsTr"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    let channels = r#""modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}"#;
    let labels = r#""labels": {"0": "background", "1": "edema"}"#;
    std::fs::write(root.join("dataset.json"), format!("{{{channels}, {labels}}}")).unwrap();
    let grid = Grid::new([6, 5, 4], straight().world_from_voxel);
    let values = (0..4).flat_map(|frame| (0..grid.len()).map(move |at| (frame * 1000 + at) as i16));
    let image = Volume::new(grid.clone(), VoxelData::I16(values.collect()), Scale::IDENTITY);
    nifti::write_volume(&root.join("imagesTr/BRATS_001.nii.gz"), &image).unwrap();
    write_mask(&root.join("labelsTr/BRATS_001.nii.gz"), &grid, STORED, |at| at == [1, 1, 1]);
    let window = open_files(&[&root]);
    assert_eq!(errors(&window), [""; 0]);
    let images = &document(&window).images;
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["MR FLAIR", "MR T1CE", "MR T1", "MR T2"]);
    assert!(images.iter().all(|image| image.frames() == 1));
    let first: Vec<f64> = images.iter().map(|image| image.volume.value_at([0; 3], 0)).collect();
    assert_eq!(first, [0.0, 2000.0, 1000.0, 3000.0]);
    assert!(document(&window).reference().is_some());
}

#[test]
fn a_mask_opened_later_is_offered_for_resampling_too() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    shifted_mask(&files, 0.6);
    send(&mut window, Intent::open_paths(vec![files.truth.clone()]));
    assert!(document(&window).reference().is_none() && offers_to_resample(&window));
}

#[test]
fn rounding_of_grid_and_labels_is_reported() {
    let files = Files::new();
    shifted_mask(&files, 1e-3);
    let window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_some() && errors(&window).is_empty());
    assert!(notices(&window, Severity::Warning).iter().any(|n| n.contains("a corner of the mask differs by 0.001 mm")));
}

#[test]
fn a_scan_opens_despite_an_unreadable_mask() {
    let files = Files::new();
    std::fs::write(&files.truth, b"no mask").unwrap();
    let window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_none());
    assert_eq!(errors(&window).len(), 1, "{:?}", errors(&window));
}

/// As in issue 4789 of the OHIF viewer.
#[test]
fn a_mask_with_several_frames_follows_the_displayed_frame() {
    let files = Files::new();
    let (scan, mask) = (files.path("cine.nii.gz"), files.path("cine_mask.nii.gz"));
    phantom::write_moving(&scan);
    let grid = Grid::new([9, 8, 7], phantom::straight().world_from_voxel);
    let write = |frames: usize| {
        let labels = (0..frames).flat_map(|frame| (0..grid.len()).map(move |at| u8::from(at == frame)));
        let volume = Volume::new(grid.clone(), VoxelData::U8(labels.collect()), Scale::IDENTITY);
        nifti::write_volume(&mask, &volume).unwrap();
    };
    write(phantom::FRAMES);
    let mut window = open_files(&[&scan, &mask]);
    let labelled = |window: &Window| {
        let labels = &document(window).reference().unwrap().labels;
        (0..labels.grid().len()).find(|&at| labels.get(at) > 0)
    };
    assert_eq!((errors(&window), labelled(&window)), (Vec::new(), Some(0)));
    send(&mut window, amlp_viewer::command::ViewCommand::SetFrame(3));
    assert_eq!((document(&window).base().frame, labelled(&window)), (3, Some(3)));
    write(2);
    let window = open_files(&[&scan, &mask]);
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("has 2 frames, but its image has 5 frames"), "{messages:?}");
    assert!(document(&window).reference().is_none());
}

#[test]
fn a_ct_that_cannot_be_in_hounsfield_units_has_no_unit() {
    let files = Files::new();
    phantom::write_i16(&files.scan, &phantom::oblique(), Orientation::IDENTITY, |at| phantom::hounsfield(at) + 1024);
    let window = open_files(&[&files.scan]);
    assert_eq!(document(&window).base().info.unit_symbol(), "");
    assert!(notices(&window, Severity::Warning).iter().any(|n| n.contains("air is at 24 instead of -1000")));
}
