//! Findings: their labels, their values in the displayed image, and the agreement by label.

use std::path::Path;

use amlp_viewer::Args;
use amlp_viewer::command::{OverlayCommand, ViewCommand};
use amlp_viewer::scene::ColourMap;
use amlp_viewer::state::{Intent, PaneId};
use egui::Key;
use egui_kittest::kittest::Queryable as _;
use engine::metrics::{Options, measure};
use engine::volume::{Grid, LabelVolume, Volume, nifti};

use crate::phantom::{self, Files, SHAPE, Voxel, count, lesion, truth, voxels, write_mask, write_pet};
use crate::window::*;

/// Writes a mask of several labels on the oblique grid.
fn write_labels(path: &Path, label: impl Fn(Voxel) -> u8) {
    let grid = phantom::oblique();
    let (grid, order) = (grid.reoriented(&phantom::STORED), phantom::STORED);
    let labels = order.apply(&voxels(SHAPE).map(label).collect::<Vec<u8>>(), SHAPE);
    let mask = LabelVolume::new(grid.clone(), labels).unwrap();
    nifti::write_label(path, &mask, &Volume::from_f32(grid.clone(), vec![0.0; grid.len()])).unwrap();
}

/// The reference: a core and a rim in every lesion.
fn reference(at: Voxel) -> u8 {
    match (truth(at), at[0] % 3) {
        (false, _) => 0,
        (true, 0) => 4,
        (true, _) => 1,
    }
}

/// The segmentation: the same voxels, with one label in two slices.
fn segmentation(at: Voxel) -> u8 {
    if (7..9).contains(&at[2]) { reference(at).min(1) } else { reference(at) }
}

const VOXEL_ML: f64 = 1.75 * 1.75 * 3.5 / 1000.0;

#[test]
fn a_lesion_with_several_labels_is_one_finding() {
    let files = Files::new();
    let path = files.path("labels_seg.nii.gz");
    write_labels(&path, reference);
    let window = open_files(&[&files.scan, &path]);
    let found = report(&window).findings;
    assert_eq!(found.len(), 3, "three lesions, not one for each piece of a label");
    for (n, finding) in found.iter().enumerate() {
        let of = |label: u8| count(|at| lesion(at) == Some(n) && reference(at) == label) as f64 * VOXEL_ML;
        let inside: Vec<u16> = finding.labels.iter().map(|part| part.label).collect();
        assert_eq!((inside, finding.label), (vec![1, 4], 1));
        assert!(
            (finding.labels[0].volume_ml - of(1)).abs() < 1e-9 && (finding.labels[1].volume_ml - of(4)).abs() < 1e-9
        );
        assert!((finding.volume_ml - of(1) - of(4)).abs() < 1e-9);
    }
    assert!(has(&window, "Labels in finding 1"));
}

#[test]
fn small_findings_are_collapsed_in_the_list_and_left_out_of_the_agreement() {
    let files = Files::new();
    let path = files.path("specks_pred.nii.gz");
    // Two voxels of 11 µl each, far from everything.
    let speck = |at: Voxel| at == [1, 1, 1] || at == [38, 34, 22];
    write_mask(&path, &phantom::oblique(), phantom::STORED, |at| truth(at) || speck(at));
    let mut window = open_files(&[&files.scan, &path, &files.truth]);
    let listed = |window: &Window| report(window).findings.iter().filter(|f| !f.folded).count();
    assert_eq!((report(&window).findings.len(), listed(&window)), (5, 3));
    assert!(has(&window, "Finding 3") && !has(&window, "Finding 4"));
    assert!(has(&window, "Lesions extra 0"), "the same lesions count in both");
    click(&mut window, "Show 2 findings below 0.05 ml");
    assert_eq!(listed(&window), 5);
    send(&mut window, OverlayCommand::GoToFinding(4));
    click(&mut window, "Hide 2 findings below 0.05 ml");
    assert_eq!((listed(&window), state(&window).session.view.finding), (3, None));
    send(&mut window, OverlayCommand::SetMinimumVolume(0.0));
    assert_eq!(listed(&window), 5);
    assert!(has(&window, "Lesions extra 2"));
}

#[test]
fn each_label_has_a_score_and_wrong_labels_are_counted_separately() {
    let files = Files::new();
    let [ours, theirs] = [files.path("labels_pred.nii.gz"), files.path("labels_seg.nii.gz")];
    write_labels(&ours, segmentation);
    write_labels(&theirs, reference);
    let window = open_files(&[&files.scan, &ours, &theirs]);
    let image = Volume::read(&files.scan).unwrap();
    let masks = [&ours, &theirs].map(|path| LabelVolume::read_for(path, &image).unwrap().0);
    let shown = report(&window);
    assert_eq!(shown.regions.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["Label 1", "Label 4"]);
    for region in &shown.regions {
        let [s, r] = masks.each_ref().map(|mask| mask.mask(&region.labels));
        let measured = measure(&s, &r, &image.grid, &Options::default()).unwrap();
        assert_eq!((region.dice, region.hd95_mm), (Some(measured.dsc), Some(measured.hd95_mm)), "{}", region.name);
        assert!(measured.dsc < 1.0);
    }
    assert!((shown.metrics.unwrap().dsc - 1.0).abs() < 1e-6, "every voxel is at the right place");
    let wrong = count(|at| segmentation(at) != reference(at)) as f64 * VOXEL_ML;
    assert!(wrong > 0.0 && (document(&window).wrong_label_ml().unwrap() - wrong).abs() < 1e-9);
    assert!(has(&window, "Wrong label: chequered"));
    // A mask of one label has no label information.
    let window = open_files(&[&files.scan, &files.prediction, &theirs]);
    assert!(report(&window).regions.is_empty() && document(&window).wrong_label_ml().is_none());
    assert!(has(&window, "Labels are not compared: one of the masks has a single label."));
}

#[test]
fn labels_of_brats_are_named_and_measured_by_region() {
    let files = Files::new();
    let [flair, t1ce] = [files.path("scan_flair.nii.gz"), files.path("scan_t1ce.nii.gz")];
    std::fs::copy(&files.scan, &flair).unwrap();
    std::fs::copy(&files.scan, &t1ce).unwrap();
    let [ours, theirs] = [files.path("labels_pred.nii.gz"), files.path("labels_seg.nii.gz")];
    write_labels(&ours, segmentation);
    write_labels(&theirs, reference);
    let window = open_files(&[&flair, &t1ce, &ours, &theirs]);
    let names: Vec<String> = report(&window).regions.into_iter().map(|region| region.name).collect();
    assert_eq!(names, ["WT (whole tumour)", "TC (tumour core)", "ET (enhancing)", "1 core"]);
    assert_eq!(document(&window).label_name(4), "4 enhancing");
    let guess = "Label meanings 1=core,2=oedema,3=enhancing,4=enhancing: a guess (BraTS up to 2021). A dataset.json or a given label map overrides it.";
    assert!(has(&window, guess), "a guess is shown as one");
    // Names of BraTS 2023 and later give even a single label a meaning: 4 is the resection cavity.
    let folder = files.path("BraTS-GLI-00000-100");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&files.scan, folder.join("BraTS-GLI-00000-100-t1c.nii.gz")).unwrap();
    write_labels(&folder.join("BraTS-GLI-00000-100-seg.nii.gz"), |at| if reference(at) > 0 { 4 } else { 0 });
    assert_eq!(document(&open_files(&[&folder])).label_name(4), "4 other");
}

#[test]
fn label_names_of_cohort_or_command_line_override_the_guess() {
    let files = Files::new();
    let [ours, theirs] = [files.path("labels_pred.nii.gz"), files.path("labels_seg.nii.gz")];
    write_labels(&ours, segmentation);
    write_labels(&theirs, reference);
    let table = "index\tname\n1\tenhancing tumour\n2\toedema\n4\tnecrosis\n";
    std::fs::write(files.path("dseg.tsv"), table).unwrap();
    let paths: [&Path; 3] = [&files.scan, &ours, &theirs];
    let window = open_files(&paths);
    let regions: Vec<String> = report(&window).regions.into_iter().map(|region| region.name).collect();
    assert_eq!(regions[..3], ["WT (whole tumour)", "TC (tumour core)", "ET (enhancing)"]);
    assert_eq!(
        (document(&window).label_name(1), document(&window).label_name(4)),
        ("enhancing tumour".into(), "necrosis".into()),
        "as the cohort calls them"
    );
    assert!(window.query_all_by_label_contains("a guess").next().is_none(), "nothing is guessed");
    let map = "1=core,2=oedema,4=other".parse().unwrap();
    let window = open(&Args { label_map: Some(map), ..args(&paths) });
    assert_eq!((document(&window).label_name(1), document(&window).label_name(4)), ("1 core".into(), "4 other".into()));
    // Labels of something else are not called tumour parts.
    std::fs::remove_file(files.path("dseg.tsv")).unwrap();
    assert_eq!(document(&open_files(&paths)).label_name(1), "Label 1");
}

#[test]
fn values_are_measured_in_the_displayed_image() {
    let files = Files::new();
    let pet = files.path("scan_pet.nii.gz");
    write_pet(&pet);
    std::fs::write(files.path("scan_pet.json"), r#"{"Modality": "PT", "Units": "SUV"}"#).unwrap();
    let mut window = open_files(&[&files.scan, &pet, &files.truth]);
    let first = |window: &Window| report(window).findings.swap_remove(0);
    let ct = first(&window);
    let inside: Vec<f64> =
        voxels(SHAPE).filter(|&at| lesion(at) == Some(0)).map(|at| f64::from(phantom::hounsfield(at))).collect();
    assert_eq!((ct.image.as_deref(), ct.max, ct.peak), (Some("CT"), inside.iter().copied().reduce(f64::max), None));
    send(&mut window, ViewCommand::ShowImage(1));
    let of_pet = first(&window);
    assert_eq!((of_pet.image.as_deref(), of_pet.volume_ml), (Some("PET"), ct.volume_ml));
    let (mean, max, peak) = (of_pet.mean.unwrap(), of_pet.max.unwrap(), of_pet.peak.unwrap());
    assert!(mean < peak && peak < max, "{mean} {peak} {max}");
    // The definition, on the PET's own grid: the highest voxel among those nearest to the voxels of the lesion.
    let volume = Volume::read(&pet).unwrap();
    let from_world = volume.grid.voxel_from_world();
    let value = |at: Voxel| {
        let near = from_world.transform_point3(phantom::oblique().world(at)).round().to_array().map(|v| v as usize);
        volume.value(near)
    };
    let expected = voxels(SHAPE).filter(|&at| lesion(at) == Some(0)).map(value).fold(f64::MIN, f64::max);
    assert!((max - expected).abs() < 1e-9);
    assert!(has(&window, "Findings: volume, longest axial diameter in mm, PET SUVmean, SUVmax, SUVpeak"));
    send(&mut window, ViewCommand::ShowImage(0));
    assert_eq!(first(&window), ct);
}

#[test]
fn only_findings_of_the_drawn_mask_are_marked() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction, &files.truth]);
    let marked = |window: &Window| {
        let (state, document) = (state(window), document(window));
        let entries = document.findings.as_ref().unwrap().entries.iter();
        entries.filter(|entry| state.marks(document, entry)).map(|entry| entry.status.name()).collect::<Vec<_>>()
    };
    assert_eq!(marked(&window).len(), 4);
    click(&mut window, "Hide segmentation");
    assert_eq!(marked(&window), ["missed"], "lesions of the segmentation are not drawn now");
    press(&mut window, Key::T);
    assert!(!marked(&window).contains(&"missed") && marked(&window).len() == 3);
    send(&mut window, OverlayCommand::ShowLabel(1, false));
    assert!(marked(&window).is_empty());
    send(&mut window, OverlayCommand::ShowLabel(1, true));
    send(&mut window, OverlayCommand::SetOpacity(0.0));
    assert!(marked(&window).is_empty());
}

#[test]
fn a_fusion_shows_hot_pet_over_grey_ct_in_either_order() {
    let files = Files::new();
    let pet = files.path("scan_pet.nii.gz");
    write_pet(&pet);
    let mut window = open_files(&[&files.scan, &pet]);
    let looks = |window: &Window| {
        let view = &state(window).session.view;
        (document(window).shown, view.fused, view.colour_map, view.fused_colour_map)
    };
    let expected = (0, Some(1), ColourMap::Grey, ColourMap::Hot);
    click(&mut window, "Fuse PET");
    assert_eq!(looks(&window), expected);
    send(&mut window, ViewCommand::Fuse(None));
    send(&mut window, ViewCommand::ShowImage(1));
    click(&mut window, "Fuse CT");
    assert_eq!(looks(&window), expected, "the PET stays above");
}

#[test]
fn four_images_side_by_side_form_a_two_by_two_grid() {
    let files = Files::new();
    let names = ["scan_flair.nii.gz", "scan_t1.nii.gz", "scan_t1ce.nii.gz", "scan_t2.nii.gz"].map(|n| files.path(n));
    for name in &names {
        std::fs::copy(&files.scan, name).unwrap();
    }
    let paths: Vec<&Path> = names.iter().map(AsRef::as_ref).collect();
    let mut window = open_files(&paths);
    send(&mut window, ViewCommand::ToggleLinked);
    let rects: Vec<egui::Rect> = (0..4).map(|n| rect(&window, &PaneId::Linked(n).name())).collect();
    assert!(rects[0].right() < rects[1].left() && rects[0].bottom() < rects[2].top());
    assert_eq!((rects[0].left(), rects[1].top()), (rects[2].left(), rects[0].top()));
}

/// Saving never overwrites the file of the resampled mask.
#[test]
fn a_mask_on_another_grid_can_be_resampled() {
    let files = Files::new();
    let other = files.path("other_pred.nii.gz");
    let grid = Grid::new(
        SHAPE,
        phantom::oblique().world_from_voxel * glam::DAffine3::from_translation([0.3, 0.0, 0.0].into()),
    );
    write_mask(&other, &grid, phantom::STORED, truth);
    let bytes = std::fs::read(&other).unwrap();
    let mut window = open_files(&[&files.scan]);
    send(&mut window, Intent::open_paths(vec![other.clone()]));
    let offer = document(&window).missing_masks().next().unwrap();
    assert!(offer.why.contains("a different grid") && document(&window).segmentation().is_none(), "{}", offer.why);
    click(&mut window, "Resample");
    let mask = document(&window).segmentation().unwrap();
    assert_eq!((mask.path.as_ref(), mask.is_unsaved()), (None, true));
    // A third of a voxel off, every voxel has the same nearest one.
    assert_eq!(mask.labels.to_volume().labelled_voxels(), count(truth));
    assert_eq!(std::fs::read(&other).unwrap(), bytes);
    assert_eq!(errors(&window), [""; 0]);
}
