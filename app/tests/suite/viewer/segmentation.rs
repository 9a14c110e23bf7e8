//! Segmenting, saving and reopening; masks that fit, are reoriented, or are refused.

use std::fs;
use std::path::{Path, PathBuf};

use amlp_viewer::Args;
use amlp_viewer::command::FileCommand;
use amlp_viewer::state::{Dialog, Intent, PathPurpose, Severity};
use amlp_viewer::worker;
use egui::Key;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::config::Config;
use engine::device::Compute;
use engine::event::{Control, Event, EventSink};
use engine::jobs::{FinetuneJob, Start};
use engine::predict::{Choice, export_model};
use engine::preprocess::Spacing;
use engine::run::RunFolder;
use engine::volume::{Grid, LabelVolume, Orientation, Relation, Volume, nifti};
use glam::{DAffine3, DMat3, DVec3};

use crate::phantom::{self, Files, STORED, voxels, write_mask};
use crate::window::*;

/// A patient for training: a disc of tissue with a much brighter ball, at a different position in each.
pub fn patient(number: usize) -> (Volume, LabelVolume) {
    let matrix3 = DMat3::from_diagonal(DVec3::new(-2.0, 2.0, 4.0));
    let grid = Grid::new([32, 32, 6], DAffine3 { matrix3, translation: DVec3::new(30.0, -30.0, 8.0) });
    let centre = [12.0 + (number * 3 % 8) as f64, 14.0 + (number * 5 % 6) as f64, 2.5];
    let squared = |at: [usize; 3], middle: [f64; 3], weight: [f64; 3]| -> f64 {
        (0..3).map(|a| weight[a] * (at[a] as f64 - middle[a]).powi(2)).sum()
    };
    let ball = |at| squared(at, centre, [1.0, 1.0, 6.0]) <= 22.0;
    let tissue = |at| squared(at, [15.5, 15.5, 0.0], [1.0, 1.0, 0.0]) <= 200.0;
    let value = |at| if ball(at) { 40.0 } else { 10.0 * f32::from(u8::from(tissue(at))) } + (at[0] % 3) as f32;
    let values = voxels(grid.shape).map(value).collect();
    let labels: Vec<u8> = voxels(grid.shape).map(|at| u8::from(ball(at))).collect();
    (Volume::from_f32(grid.clone(), values), LabelVolume::new(grid, labels).unwrap())
}

pub struct SilentSink;

impl EventSink for SilentSink {
    fn event(&mut self, _: &Event) -> engine::Result<()> {
        Ok(())
    }
}

/// Trains a tiny network and exports it, with the scan of an unseen patient.
fn model(folder: &Path) -> (PathBuf, PathBuf) {
    let cohort = folder.join("cohort");
    for number in 0..6 {
        let folder = cohort.join(format!("P{number}"));
        fs::create_dir_all(&folder).unwrap();
        let (image, label) = patient(number);
        nifti::write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
        nifti::write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
    }
    let scan = folder.join("new_pet.nii.gz");
    nifti::write_volume(&scan, &patient(7).0).unwrap();

    let mut config = Config::finetune();
    config.data.cohort = cohort;
    config.data.modality = vec!["pet".into()];
    config.preprocess.spacing = Spacing::Native;
    config.preprocess.size = 32;
    (config.network.width, config.network.depth) = (4, 2);
    (config.training.epochs, config.training.min_steps, config.training.batch) = (30, 0, 4);
    (config.training.lr, config.training.shift_px) = (1e-2, 2);
    config.labels.labels = "3".into();
    let (run, model, control) = (folder.join("run"), folder.join("model"), Control::default());
    let mut job = FinetuneJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&Compute::cpu(), &mut SilentSink, &control).unwrap();
    export_model(&run, Choice::Last, &model).unwrap();
    (model, scan)
}

/// A window on the scan with the model chosen.
fn ready(model: &Path, scan: &Path) -> Window {
    let mut window = open(&Args { run: Some(model.to_path_buf()), ..args(&[scan]) });
    // Always the CPU.
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    window
}

fn labels(window: &Window) -> LabelVolume {
    document(window).segmentation().unwrap().labels.to_volume()
}

#[test]
fn a_model_of_another_modality_cannot_be_started() {
    let files = Files::new();
    let mut config = Config::finetune();
    config.data.modality = vec!["pet".into()];
    let model = files.path("pet-model");
    RunFolder::create(&model, &config.to_toml().unwrap()).unwrap();
    let mut window = open(&Args { run: Some(model), ..args(&[&files.scan]) });
    let shown = |window: &Window| {
        // Its tooltip may be shown, which repeats the name.
        let node = window.get_all_by_label("Segment now").next().unwrap();
        let node = node.accesskit_node();
        (node.is_disabled(), node.data().description().map(str::to_owned))
    };
    let why = "This model reads PET. This case has only CT.";
    assert_eq!(shown(&window), (true, Some(why.to_owned())));
    press_with(&mut window, CTRL, Key::Enter);
    assert!(document(&window).segmentation().is_none() && state(&window).notices.is_empty());
    window.get_by_label("Segment now").hover();
    window.run_steps(40);
    assert!(has(&window, why), "the pointer shows the reason");
    let pet = files.path("scan_pet.nii.gz");
    phantom::write_pet(&pet);
    send(&mut window, Intent::open_paths(vec![pet]));
    assert_eq!(shown(&window), (false, None));
}

#[test]
fn a_segmentation_is_computed_saved_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (model, scan) = model(folder.path());
    let mut window = ready(&model, &scan);
    click(&mut window, "Model");
    assert!(has(&window, "Model model"));
    click(&mut window, "Segment now");
    assert_eq!(errors(&window), [""; 0]);
    let made = labels(&window);
    let (_, truth) = patient(7);
    let both = made.iter().zip(truth.iter()).filter(|(p, t)| *p == 1 && *t == 1).count();
    let sum = made.iter().chain(truth.iter()).filter(|l| *l == 1).count();
    assert!(2.0 * both as f64 / sum as f64 > 0.5, "the ball is easy to see: {both} of {sum}");
    assert!(document(&window).is_unsaved() && has(&window, "unsaved"));
    assert!(document(&window).probability.is_some() && document(&window).entropy.is_some());
    assert!(!report(&window).findings.is_empty());
    assert!(state(&window).notices.iter().any(|n| n.title == "Segmentation finished"));

    let saved = folder.path().join("new_pred.nii.gz");
    type_path(&mut window, PathPurpose::SaveSegmentation, &saved);
    assert!(!document(&window).is_unsaved() && !has(&window, "unsaved"));
    assert!(state(&window).notices.iter().any(|n| n.title == "Segmentation saved"));
    let findings = report(&window).findings;

    let again = open_files(&[&scan, &saved]);
    assert_eq!(labels(&again), made);
    assert_eq!(report(&again).findings, findings);
    let image = Volume::read(&scan).unwrap();
    assert_eq!(LabelVolume::read(&saved).unwrap().grid.relation(&image.grid), Relation::Same);
}

/// A scan that is slow to segment: a patient's ball in a wide field.
fn large_scan(path: &Path) {
    let matrix3 = DMat3::from_diagonal(DVec3::new(-2.0, 2.0, 4.0));
    let grid = Grid::new([224, 224, 60], DAffine3 { matrix3, translation: DVec3::new(200.0, -200.0, 8.0) });
    let value = |[i, j, k]: [usize; 3]| 10.0 + ((i + 2 * j + 3 * k) % 7) as f32;
    let values = voxels(grid.shape).map(value).collect();
    nifti::write_volume(path, &Volume::from_f32(grid, values)).unwrap();
}

#[test]
fn cancelling_a_segmentation_restores_the_previous_one() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = model(folder.path());
    let scan = folder.path().join("large_pet.nii.gz");
    large_scan(&scan);
    let image = Volume::read(&scan).unwrap();
    let earlier = folder.path().join("earlier_pred.nii.gz");
    let labels_of = |grid: &Grid| (0..grid.len()).map(|at| u8::from(at % 224 < 30)).collect::<Vec<u8>>();
    let mask = LabelVolume::new(image.grid.clone(), labels_of(&image.grid)).unwrap();
    nifti::write_label(&earlier, &mask, &image).unwrap();

    let mut window = open(&Args { run: Some(model), mask: Some(earlier.clone()), ..args(&[&scan]) });
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    let (before, findings) = (labels(&window), report(&window).findings);
    window.state_mut().dispatch(Intent::Segment);
    let halfway = |app: &amlp_viewer::App| app.state().document.as_ref().is_some_and(|d| d.replaced.is_some());
    wait_for(&mut window, halfway);
    assert!(labels(&window) != before, "the slices so far are shown");
    // A partial segmentation is never saved.
    window
        .state_mut()
        .dispatch(Intent::UsePaths(PathPurpose::SaveSegmentation.into(), vec![folder.path().join("half.nii.gz")]));
    window.step();
    assert!(!folder.path().join("half.nii.gz").exists() && errors(&window)[0].contains("still segmenting"));

    let job = state(&window).jobs.iter().find(|job| job.slot == worker::segment::SLOT).unwrap().id;
    send(&mut window, FileCommand::CancelJob(job));
    let shown = document(&window).segmentation().unwrap();
    assert_eq!((shown.path.as_ref(), shown.labels.to_volume()), (Some(&earlier), before));
    assert_eq!(report(&window).findings, findings);
    assert!(!document(&window).is_unsaved() && document(&window).replaced.is_none());
    assert!(state(&window).notices.iter().any(|n| n.title == "Cancelled"));
    assert!(has(&window, "Segment now"));
}

#[test]
fn segmenting_again_asks_before_discarding_an_unsaved_segmentation() {
    let folder = tempfile::tempdir().unwrap();
    let (model, scan) = model(folder.path());
    let mut window = ready(&model, &scan);
    click(&mut window, "Segment now");
    assert!(document(&window).is_unsaved());
    click(&mut window, "Segment now");
    assert_eq!(state(&window).dialog, Some(Dialog::Unsaved { next: Intent::Segment }));
    click(&mut window, "Continue without saving");
    assert!(document(&window).is_unsaved() && document(&window).segmentation().is_some());
}

#[test]
fn a_damaged_model_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (model, scan) = model(folder.path());
    let weights = model.join("checkpoints/last/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let mut window = ready(&model, &scan);
    click(&mut window, "Segment now");
    let messages = errors(&window);
    assert!(messages.len() == 1 && messages[0].contains("Segmenting new_pet failed"), "{messages:?}");
    assert!(messages[0].contains("model.safetensors") && messages[0].contains("checksum"), "{messages:?}");
    assert!(has(&window, "Segmenting new_pet failed") && report(&window).errors.len() == 1);
    assert!(document(&window).segmentation().is_none() && !document(&window).is_unsaved());
    let before = slices(&window)[0];
    press(&mut window, Key::ArrowUp);
    assert_eq!(slices(&window)[0], before + 1);
    assert!(has(&window, "Segment now"));
}

#[test]
fn an_existing_file_is_overwritten_only_after_confirmation() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let old = files.path("old_pred.nii.gz");
    write_mask(&old, &phantom::oblique(), STORED, |at| at[2] == 3);
    let bytes = fs::read(&old).unwrap();
    type_path(&mut window, PathPurpose::SaveSegmentation, &old);
    assert_eq!(
        state(&window).dialog,
        Some(Dialog::Overwrite {
            request: state(&window).path_request(PathPurpose::SaveSegmentation),
            path: old.clone()
        })
    );
    click(&mut window, "Cancel");
    assert_eq!(state(&window).dialog, None);
    assert_eq!(fs::read(&old).unwrap(), bytes);
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&files.prediction));

    type_path(&mut window, PathPurpose::SaveSegmentation, &old);
    click(&mut window, "Overwrite");
    assert_eq!((state(&window).dialog.clone(), errors(&window).len()), (None, 0));
    let image = Volume::read(&files.scan).unwrap();
    assert_eq!(LabelVolume::read_for(&old, &image).unwrap().0, labels(&window));
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&old));
}

/// The question whether to overwrite a file was asked of scans too, and a confirmed one was replaced by the mask.
#[test]
fn a_scan_is_never_overwritten_by_a_mask() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let bytes = fs::read(&files.scan).unwrap();
    fs::create_dir(files.path("sub")).unwrap();
    let detour = files.path("sub").join("..").join(files.scan.file_name().unwrap());
    for path in [files.scan.clone(), detour] {
        let before = errors(&window).len();
        type_path(&mut window, PathPurpose::SaveSegmentation, &path);
        assert_eq!(state(&window).dialog, None);
        assert!(errors(&window)[before].contains("does not replace a scan"), "{:?}", errors(&window));
        assert_eq!(fs::read(&files.scan).unwrap(), bytes);
    }
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&files.prediction));
}

#[test]
fn a_failed_save_is_reported_and_keeps_the_segmentation() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    for name in ["no_folder/pred.nii.gz", "pred.png"] {
        let before = errors(&window).len();
        type_path(&mut window, PathPurpose::SaveSegmentation, &files.path(name));
        let messages = errors(&window);
        assert!(messages.len() == before + 1 && messages[before].contains(name), "{messages:?}");
        assert!(!files.path(name).exists());
    }
    assert!(document(&window).segmentation().is_some());
}

#[test]
fn a_mask_on_another_grid_is_offered_with_both_grids() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.truth]);
    let before = document(&window).reference().unwrap().labels.clone();
    let other = files.path("other_seg.nii.gz");
    write_mask(&other, &phantom::straight(), STORED, phantom::truth);
    type_path(&mut window, PathPurpose::Reference, &other);
    let [ours, theirs] = [&files.scan, &other].map(|path| Volume::read(path).unwrap().grid.describe());
    let offered = |window: &Window| {
        let [mask] = &document(window).unloaded[..] else { panic!("the mask is offered") };
        assert!(mask.details.contains(&ours) && mask.details.contains(&theirs), "{}", mask.details);
        assert_eq!(state(window).dialog, None);
        assert!(has(window, &format!("{}: other_seg.nii.gz was not loaded", document(window).title)));
    };
    offered(&window);
    click(&mut window, "Ignore");
    assert_eq!(document(&window).reference().unwrap().labels, before);
    // On the command line the image is shown without it.
    let window = open_files(&[&files.scan, &other]);
    offered(&window);
    assert!(document(&window).masks.is_empty() && report(&window).panes.len() == 4);
}

#[test]
fn a_mask_in_another_axis_order_is_reordered() {
    let files = Files::new();
    let mut window = open_files(&[&files.scan, &files.prediction]);
    let right = labels(&window);
    let turned = files.path("turned_pred.nii.gz");
    let order = Orientation { axis: [2, 0, 1], flip: [false, true, true] };
    write_mask(&turned, &phantom::oblique(), order, phantom::prediction);
    type_path(&mut window, PathPurpose::Segmentation, &turned);
    assert_eq!(document(&window).segmentation().unwrap().path.as_ref(), Some(&turned));
    assert_eq!(labels(&window), right);
    let warned = state(&window).notices.iter().filter(|n| n.severity == Severity::Warning);
    assert!(warned.map(|n| &n.detail).any(|message| message.contains("turned_pred") && message.contains("axes")));
    assert_eq!(errors(&window), [""; 0]);
}
