//! Masking mode with a pre-trained network: what it fills in, and its epoch on the strip of sigma.

use std::fs;
use std::path::{Path, PathBuf};

use amlp_viewer::command::Command;
use amlp_viewer::command::timeline::TimelineCommand;
use amlp_viewer::state::{Mode, PathPurpose};
use egui::Key;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use engine::config::preset;
use engine::device::Compute;
use engine::event::{Control, Stage};
use engine::jobs::{PretrainJob, Start};
use engine::preprocess::Spacing;
use engine::volume::nifti;

use crate::masking::masking_args;
use crate::segmentation::{Deaf, patient};
use crate::window::*;

/// Pre-trains a tiny network for scans like `patient`.
fn pretrained(folder: &Path) -> PathBuf {
    let cohort = folder.join("cohort");
    for number in 0..4 {
        let place = cohort.join(format!("P{number}"));
        fs::create_dir_all(&place).unwrap();
        let (image, label) = patient(number);
        nifti::write_volume(&place.join("pet.nii.gz"), &image).unwrap();
        nifti::write_label(&place.join("seg.nii.gz"), &label, &image).unwrap();
    }
    let mut config = preset("amlp", &["pet".into()]).unwrap();
    config.data.cohort = cohort;
    config.preprocess.spacing = Spacing::Native;
    config.preprocess.size = 32;
    config.method.grid = 8;
    (config.network.width, config.network.depth) = (2, 2);
    (config.training.epochs, config.training.batch, config.training.shift_px) = (2, 8, 2);
    let (run, control) = (folder.join("pretraining"), Control::default());
    let mut job = PretrainJob::prepare(config, &run, Start::default(), &control, &mut |_, _| {}).unwrap();
    job.train(&Compute::cpu(), &mut Deaf, &control).unwrap();
    run
}

#[test]
fn a_pre_trained_network_fills_the_masked_patches_in() {
    let folder = tempfile::tempdir().unwrap();
    let run = pretrained(folder.path());
    let scan = folder.path().join("new_pet.nii.gz");
    nifti::write_volume(&scan, &patient(7).0).unwrap();
    let mut window = open(&masking_args(&[&scan]));
    send(&mut window, Command::SetDevice("cpu".into()));
    let spoken = |window: &Window, pane: &str| window.get_by_label(pane).accesskit_node().value().unwrap();
    assert!(spoken(&window, "Reconstruction").contains("needs a pre-trained run"));
    type_path(&mut window, PathPurpose::MaskingRun, &run);
    assert!(errors(&window).is_empty(), "{:?}", errors(&window));
    assert!(has(&window, "Pre-trained run pretraining"));
    click(&mut window, "Take the run's settings");
    assert!(!has(&window, "Take the run's settings"));
    let masking = &state(&window).masking;
    assert_eq!((masking.controls.grid, masking.controls.preprocess.size, masking.controls.epochs), (8, 32, 2));
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
    let later = state(&window).masking.filled.clone().unwrap();
    assert_eq!(later.filling.wanted, state(&window).masking.found.as_ref().unwrap().wanted);
    let table = folder.path().join("numbers.csv");
    type_path(&mut window, PathPurpose::MaskingTable, &table);
    let text = fs::read_to_string(&table).unwrap();
    let losses = text.lines().skip(1).filter(|row| !row.ends_with(",,")).count();
    assert_eq!(losses, state(&window).masking.found.as_ref().unwrap().masking.count());
    // The ratio that is set, and that of the run in its last epoch, stand on the strip.
    let strip = |window: &Window| {
        let strip = window.get_by_label("Sigma over the epochs (Eq. 9)");
        strip.accesskit_node().data().description().unwrap().to_owned()
    };
    let set = state(&window).masking.found.as_ref().unwrap().report.sigma;
    let told = strip(&window);
    assert!(told.contains(&format!("set {set:.3}")) && told.contains("pretraining, epoch 2 0.900"), "{told}");
    click(&mut window, "Forget the pre-trained run");
    assert!(!strip(&window).contains("pretraining"));
    assert!(spoken(&window, "Reconstruction").contains("needs a pre-trained run"));
    // A run on the timeline is marked at its cursor, with what it logged.
    send(&mut window, Command::Timeline(TimelineCommand::Open(run)));
    send(&mut window, Command::Timeline(TimelineCommand::SetEpoch { stage: Stage::Pretrain, epoch: 1 }));
    send(&mut window, Command::SetMode(Mode::Masking));
    let logged = report(&window).run.unwrap().summary.unwrap()["sigma"].as_f64().unwrap();
    let told = strip(&window);
    assert!(told.contains(&format!("pretraining, epoch 1 {logged:.3}")), "{told}");
    send(&mut window, Command::Timeline(TimelineCommand::Close));
    // A folder that is no run is named, once.
    type_path(&mut window, PathPurpose::MaskingRun, folder.path());
    assert_eq!(errors(&window).len(), 1);
    press(&mut window, Key::ArrowUp);
    press(&mut window, Key::ArrowUp);
    assert_eq!(errors(&window).len(), 1, "not again for every slice");
}
