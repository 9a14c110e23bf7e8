//! Masking mode with a pre-trained network: its reconstruction, and its epoch on the sigma strip.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amlp_viewer::command::{Command, FileCommand, TimelineCommand, WindowCommand};
use amlp_viewer::state::{Mode, PathPurpose};
use egui::Key;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::config::{TrainingConfig, preset};
use engine::device::Compute;
use engine::event::{Control, Stage};
use engine::inspect::{InspectedCase, Reconstruction, Reconstructor};
use engine::jobs::{PretrainJob, Start};
use engine::preprocess::{Kind, Spacing};
use engine::run::History;
use engine::volume::{Volume, nifti};

use super::masking::masking_args;
use super::segmentation::{SilentSink, patient};
use crate::window::*;

/// Writes a patient's images, one file per modality, with different values. All but the first also have values outside the
/// body.
fn write_images(images: &Path, number: usize, modalities: &[&str]) {
    fs::create_dir_all(images).unwrap();
    let (image, label) = patient(number);
    for (at, modality) in modalities.iter().enumerate() {
        let value = |(voxel, value): (usize, &f32)| value * (1.0 - 0.6 * at as f32) + ((voxel * at) % 7) as f32;
        let values = image.to_f32().iter().enumerate().map(value).collect();
        let image = Volume::from_f32(image.grid.clone(), values);
        nifti::write_volume(&images.join(format!("{modality}.nii.gz")), &image).unwrap();
    }
    nifti::write_label(&images.join("seg.nii.gz"), &label, &image).unwrap();
}

/// Pre-trains a tiny network for scans like `patient`, for two epochs.
fn pretrained(folder: &Path, modalities: &[&str]) -> PathBuf {
    pretrained_for(folder, modalities, |training| training.epochs = 2)
}

fn pretrained_for(folder: &Path, modalities: &[&str], length: impl FnOnce(&mut TrainingConfig)) -> PathBuf {
    let cohort = folder.join("cohort");
    (0..4).for_each(|number| write_images(&cohort.join(format!("P{number}")), number, modalities));
    let mut config = preset("amlp", &modalities.iter().map(|&m| m.to_owned()).collect::<Vec<_>>()).unwrap();
    config.data.cohort = cohort;
    config.preprocess.spacing = Spacing::Native;
    config.preprocess.size = 32;
    config.method.grid = 8;
    (config.network.width, config.network.depth) = (2, 2);
    (config.training.batch, config.training.shift_px) = (8, 2);
    length(&mut config.training);
    let (run, control) = (folder.join("pretraining"), Control::default());
    let mut job = PretrainJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&Compute::cpu(), &mut SilentSink, &control).unwrap();
    run
}

#[test]
fn a_pre_trained_network_reconstructs_the_masked_patches() {
    let folder = tempfile::tempdir().unwrap();
    let run = pretrained(folder.path(), &["pet"]);
    let scan = folder.path().join("new_pet.nii.gz");
    nifti::write_volume(&scan, &patient(7).0).unwrap();
    let mut window = open(&masking_args(&[&scan]));
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    let spoken = |window: &Window, pane: &str| window.get_by_label(pane).accesskit_node().value().unwrap();
    assert!(spoken(&window, "Reconstruction").contains("Choose a pre-trained run"));
    type_path(&mut window, PathPurpose::MaskingRun, &run);
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    assert!(has(&window, "Pre-trained run pretraining"));
    click(&mut window, "Use the run's settings");
    assert!(!has(&window, "Use the run's settings"));
    let masking = &state(&window).cache.masking;
    let controls = &state(&window).session.masking.controls;
    assert_eq!((controls.grid, controls.preprocess.size, controls.epochs), (8, 32, 2));
    let (found, filled) = (masking.found.clone().unwrap(), masking.filled.clone().unwrap());
    assert_eq!(filled.filling.wanted, found.wanted);
    let mean = |values: &[Option<f32>]| {
        let known: Vec<f32> = values.iter().flatten().copied().collect();
        (known.len(), known.iter().sum::<f32>() / known.len() as f32)
    };
    let (count, mean) = mean(&filled.made.relative);
    assert_eq!(count, found.masking.count());
    assert!((mean - 1.0).abs() < 1e-3, "{mean}");
    // Another ratio, another reconstruction; the table has the losses.
    press(&mut window, Key::ArrowRight);
    let later = state(&window).cache.masking.filled.clone().unwrap();
    assert_eq!(later.filling.wanted, state(&window).cache.masking.found.as_ref().unwrap().wanted);
    let table = folder.path().join("numbers.csv");
    type_path(&mut window, PathPurpose::MaskingTable, &table);
    let text = fs::read_to_string(&table).unwrap();
    let loss = text.lines().next().unwrap().split(',').position(|column| column == "loss").unwrap();
    let losses = text.lines().skip(1).filter(|row| !row.split(',').nth(loss).unwrap().is_empty()).count();
    assert_eq!(losses, state(&window).cache.masking.found.as_ref().unwrap().masking.count());
    // The strip shows the current ratio and the run's ratio in its last epoch.
    let strip = |window: &Window| {
        let strip = window.get_by_label("Sigma over the epochs (Eq. 9)");
        strip.accesskit_node().data().description().unwrap().to_owned()
    };
    let set = state(&window).cache.masking.found.as_ref().unwrap().report.sigma;
    let text = strip(&window);
    assert!(text.contains(&format!("sigma {set:.3}")) && text.contains("pretraining, epoch 2 0.900"), "{text}");
    click(&mut window, "Close the pre-trained run");
    assert!(!strip(&window).contains("pretraining"));
    assert!(spoken(&window, "Reconstruction").contains("Choose a pre-trained run"));
    // A run on the timeline is marked at its cursor, with its logged ratio.
    send(&mut window, Command::Timeline(TimelineCommand::Open(run)));
    send(&mut window, Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 }));
    send(&mut window, WindowCommand::SetMode(Mode::Masking));
    let logged = report(&window).run.unwrap().summary.unwrap()["sigma"].as_f64().unwrap();
    let text = strip(&window);
    assert!(text.contains(&format!("pretraining, epoch 1 {logged:.3}")), "{text}");
    send(&mut window, Command::Timeline(TimelineCommand::Close));
    // A folder that is not a run is reported once.
    type_path(&mut window, PathPurpose::MaskingRun, folder.path());
    assert_eq!(errors(&window).len(), 1);
    press(&mut window, Key::ArrowUp);
    press(&mut window, Key::ArrowUp);
    assert_eq!(errors(&window).len(), 1, "not again for every slice");
}

#[test]
fn the_schedule_of_a_run_whose_length_is_set_in_steps_has_the_epochs_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let run = pretrained_for(folder.path(), &["pet"], |training| training.steps = 3);
    let scan = folder.path().join("new_pet.nii.gz");
    nifti::write_volume(&scan, &patient(7).0).unwrap();
    let mut window = with_network(&[&scan], &run);
    let epochs = History::read(&run).unwrap().epochs;
    assert!((1..=3).contains(&epochs), "the configuration has 800 epochs: {epochs}");
    let network = state(&window).cache.masking.network.clone().unwrap();
    assert_eq!((network.epoch, network.epochs), (epochs, epochs));
    click(&mut window, "Use the run's settings");
    assert_eq!(state(&window).session.masking.controls.epochs, epochs);
    let strip = window.get_by_label("Sigma over the epochs (Eq. 9)").accesskit_node();
    let text = strip.data().description().unwrap().to_owned();
    let last = preset("amlp", &["pet".into()]).unwrap().method.ratio.sigma(epochs, epochs);
    assert!(text.contains(&format!("pretraining, epoch {epochs} {last:.3}")), "{text}");
}

/// The engine's reconstruction of the displayed slice in both modalities, with the displayed masking.
fn expected(window: &Window, run: &Path, images: &Path) -> Reconstruction {
    let images = ["flair", "t1"].map(|name| Volume::read(&images.join(format!("{name}.nii.gz"))).unwrap());
    let found = state(window).cache.masking.found.clone().unwrap();
    let config = &state(window).session.masking.controls.preprocess;
    let case = InspectedCase::prepare(&images, &[Kind::Other; 2], None, config, 0).unwrap();
    let slice = case.slice_like(&found.slice).unwrap();
    assert_eq!(slice.channels, 2);
    Reconstructor::load(run, &Compute::cpu()).unwrap().reconstruct(&slice, &found.masking).unwrap()
}

/// A window on these files with the network of `run`.
fn with_network(files: &[&Path], run: &Path) -> Window {
    let mut window = open(&masking_args(files));
    send(&mut window, FileCommand::SetDevice("cpu".into()));
    type_path(&mut window, PathPurpose::MaskingRun, run);
    window
}

#[test]
fn a_multi_modality_network_reads_the_files_beside_the_displayed_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = pretrained(folder.path(), &["flair", "t1"]);
    let images = folder.path().join("new");
    write_images(&images, 7, &["flair", "t1"]);
    let [flair, t1] = ["flair.nii.gz", "t1.nii.gz"].map(|name| images.join(name));
    // Either file, and both at once; the network's order stays.
    for (files, channel) in [(vec![&*flair], 0), (vec![&*t1], 1), (vec![&*t1, &*flair], 1)] {
        let mut window = with_network(&files, &run);
        assert!(errors(&window).is_empty(), "{:?}", errors(&window));
        click(&mut window, "Use the run's settings");
        let filled = state(&window).cache.masking.filled.clone().unwrap();
        let made = expected(&window, &run, &images);
        assert_eq!((filled.channel, filled.made.input.len()), (channel, 2 * 32 * 32));
        assert_ne!(made.input[..1024], made.input[1024..]);
        assert!(filled.made == made, "{files:?}");
        // Another slice: the images are not prepared again.
        let prepared = state(&window).cache.masking.channels.clone().unwrap().case;
        press(&mut window, Key::ArrowUp);
        assert!(state(&window).cache.masking.filled.as_ref().unwrap().made == expected(&window, &run, &images));
        assert!(Arc::ptr_eq(&prepared, &state(&window).cache.masking.channels.as_ref().unwrap().case));
    }
}

#[test]
fn a_missing_modality_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = pretrained(folder.path(), &["flair", "t1"]);
    let (images, other) = (folder.path().join("new"), folder.path().join("other"));
    write_images(&images, 7, &["flair"]);
    let mut window = with_network(&[&images.join("flair.nii.gz")], &run);
    let messages = errors(&window);
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("flair, t1") && messages[0].ends_with("nor its folder has t1"), "{messages:?}");
    let pane = window.get_by_label("Reconstruction").accesskit_node().value().unwrap();
    assert!(pane.contains("nor its folder has t1"), "{pane}");
    press(&mut window, Key::ArrowUp);
    assert_eq!(errors(&window).len(), 1, "not again for every slice");
    // All modalities exist, but another image is shown.
    write_images(&other, 7, &["flair", "t1", "t2"]);
    let window = with_network(&[&other.join("t2.nii.gz")], &run);
    assert!(errors(&window)[0].contains("Show one of these"), "{:?}", errors(&window));
}
