//! A mask that cannot be shown as it is never hides its scan.

use std::path::{Path, PathBuf};

use amlp_viewer::state::{Dialog, Intent, Session, Severity};
use engine::volume::{Grid, LabelVolume, Orientation, Scale, Volume, VoxelData, nifti};

use crate::phantom::{self, Files, STORED, count, lesion, straight, write_cohort, write_mask};
use crate::window::*;

/// The mask of the phantom on a grid that lies `mm` further along x.
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
    matches!(&state(window).dialog, Some(Dialog::Resample(offer)) if offer.details.contains("a corner differs by 0.6 mm"))
}

/// Two lesions, each in a file of its own.
fn write_regions(folder: &Path, grid: &Grid) -> [PathBuf; 2] {
    [0, 1].map(|n| {
        let path = folder.join(format!("finding{}_roi.nii.gz", n + 1));
        write_mask(&path, grid, STORED, |at| lesion(at) == Some(n));
        path
    })
}

/// The reference is the union of the two, whose files are named.
fn assert_union(window: &Window) {
    assert_eq!(errors(window), [""; 0]);
    let mask = document(window).reference().unwrap();
    let voxels = mask.labels.iter().filter(|label| *label > 0).count();
    assert_eq!(voxels, count(|at| matches!(lesion(at), Some(0 | 1))));
    assert_eq!(mask.files().len(), 2);
    assert_eq!(report(window).findings.len(), 2);
}

#[test]
fn several_regions_of_interest_are_one_reference() {
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

/// OHIF#2964.
#[test]
fn the_scan_opens_without_a_mask_that_lies_elsewhere() {
    let files = Files::new();
    shifted_mask(&files, 0.6);
    let mut window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_none() && offers_to_resample(&window));
    click(&mut window, "Resample");
    let mask = document(&window).reference().unwrap();
    assert_eq!(mask.labels.grid, document(&window).base().volume.grid);
    assert!(mask.labels.labelled_voxels() > 0 && errors(&window).is_empty());
}

#[test]
fn a_mask_opened_later_is_offered_too() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan]);
    shifted_mask(&files, 0.6);
    send(&mut window, Intent::open_paths(vec![files.truth.clone()]));
    assert!(document(&window).reference().is_none() && offers_to_resample(&window));
}

#[test]
fn rounding_of_the_grid_and_of_labels_is_told_and_shown() {
    let files = Files::new();
    shifted_mask(&files, 1e-3);
    let window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_some() && errors(&window).is_empty());
    assert!(notices(&window, Severity::Warning).iter().any(|n| n.contains("a corner of the mask differs by 0.001 mm")));
}

#[test]
fn an_unreadable_mask_leaves_the_scan() {
    let files = Files::new();
    std::fs::write(&files.truth, b"no mask").unwrap();
    let window = open_files(&[&files.scan, &files.truth]);
    assert!(document(&window).reference().is_none());
    assert_eq!(errors(&window).len(), 1, "{:?}", errors(&window));
}

/// OHIF#4789.
#[test]
fn a_mask_of_several_frames_follows_the_frame() {
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
        let labels: &LabelVolume = &document(window).reference().unwrap().labels;
        (0..labels.len()).find(|&at| labels.get(at) > 0)
    };
    assert_eq!((errors(&window), labelled(&window)), (Vec::new(), Some(0)));
    send(&mut window, amlp_viewer::command::ViewCommand::SetFrame(3));
    assert_eq!((document(&window).base().frame, labelled(&window)), (3, Some(3)));
    write(2);
    let window = open_files(&[&scan, &mask]);
    let said = errors(&window);
    assert!(said.len() == 1 && said[0].contains("has 2 frames, its image has 5 frames"), "{said:?}");
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
