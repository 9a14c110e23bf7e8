//! Conditions of a fair comparison: masks are measured on the image's grid, no test patient was trained on, and no checkpoint
//! of other data is resumed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{cohort, finetune, finetune_config, patient, pretrain, pretrain_config};
use engine::cohort::split::Split;
use engine::device::Compute;
use engine::event::{Control, Event};
use engine::jobs::evaluation::evaluate_run;
use engine::jobs::{FinetuneJob, Start};
use engine::predict::Choice;
use engine::run::RunFolder;
use engine::run::checkpoint::{self, Slot};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{Interpolation, LabelVolume, Volume, resample_f32, resample_labels};

/// Patients whose mask is on the grid of a finer CT; the PET is segmented.
fn cohort_with_masks_on_ct(folder: &Path, patients: usize) -> PathBuf {
    let root = folder.join("cohort");
    for number in 0..patients {
        let folder = root.join(format!("P{number:02}"));
        fs::create_dir_all(&folder).unwrap();
        let (pet, label) = patient(number);
        let [x, y, z] = pet.grid.spacing_mm();
        let fine = pet.grid.with_spacing([x / 2.0, y / 2.0, z]);
        let ct = resample_f32(&pet.to_f32(), &pet.grid, &fine, Interpolation::Linear, 0.0);
        let ct = Volume::from_f32(fine.clone(), ct);
        let labels: Vec<u8> = label.iter().map(|label| label as u8).collect();
        let labels = resample_labels(&labels, &label.grid, &fine, 0);
        write_volume(&folder.join("pet.nii.gz"), &pet).unwrap();
        write_volume(&folder.join("ct.nii.gz"), &ct).unwrap();
        write_label(&folder.join("seg.nii.gz"), &LabelVolume::new(fine, labels).unwrap(), &ct).unwrap();
    }
    root
}

#[test]
fn masks_on_another_grid_are_measured_on_that_of_the_image() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort_with_masks_on_ct(temp.path(), 6);
    let run = temp.path().join("fine");
    finetune(&finetune_config(&root, None), &run, false, 0).unwrap();
    let evaluation = evaluate_run(&run, Choice::Last, &Compute::cpu(), &Control::default(), &mut |_, _, _| {}).unwrap();
    let split: Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    assert_eq!(evaluation.patients.iter().map(|row| row.case.clone()).collect::<Vec<_>>(), split.test);
    for row in &evaluation.patients {
        let number: usize = row.case[1..].parse().unwrap();
        let (_, label) = patient(number);
        let expected = label.iter().filter(|label| *label > 0).count() as f64 * label.grid.voxel_volume_ml();
        let found = row.measures.as_ref().unwrap().truth_volume_ml;
        assert!((found - expected).abs() < 0.1 * expected, "{found} {expected}");
    }
}

#[test]
fn no_patient_of_pretraining_becomes_a_test_patient() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let (pre, out) = (temp.path().join("pre"), temp.path().join("fine"));
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    pretrain(&config, &pre, false, 0).unwrap();
    let split: Split = RunFolder::open(&pre).unwrap().read_split().unwrap();
    let path = temp.path().join("own.json");
    let prepare = |own: &Split| {
        fs::write(&path, own.to_json().unwrap()).unwrap();
        let start = Start { split: Some(&path), ..Start::default() };
        let config = finetune_config(&root, Some(&pre));
        FinetuneJob::prepare(config, &out, start, &Control::default(), &mut |_, _| {}).map(|_| ())
    };
    let mut own = split.clone();
    let (seen, unseen) = (own.train[0].clone(), own.test[0].clone());
    (own.train[0], own.test[0]) = (unseen, seen.clone());
    let error = prepare(&own).unwrap_err().to_string();
    assert!(error.contains("own.json") && error.contains(&seen) && error.contains("trained on"), "{error}");
    assert!(!out.exists(), "no run is left behind");
    // Fewer test patients, and the validation patients become training patients: all are new to the network.
    let mut own = split;
    own.test.truncate(1);
    own.train.append(&mut own.val);
    prepare(&own).unwrap();
}

/// The split of the run in between does not name all patients of the pre-training.
#[test]
fn no_patient_of_an_earlier_run_becomes_a_test_patient_of_a_later_one() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let [pre, fine, again] = ["pre", "fine", "again"].map(|name| temp.path().join(name));
    let mut config = pretrain_config(&root);
    config.training.epochs = 1;
    pretrain(&config, &pre, false, 0).unwrap();
    let pretraining: Split = RunFolder::open(&pre).unwrap().read_split().unwrap();
    let path = temp.path().join("own.json");
    let prepare = |own: &Split, from: &Path, out: &Path| -> engine::Result<Split> {
        fs::write(&path, own.to_json().unwrap()).unwrap();
        let start = Start { split: Some(&path), ..Start::default() };
        let job =
            FinetuneJob::prepare(finetune_config(&root, Some(from)), out, start, &Control::default(), &mut |_, _| {})?;
        job.run.read_split::<Split>()
    };
    let mut own = pretraining.clone();
    let left_out = own.train.remove(0);
    let stored = prepare(&own, &pre, &fine).unwrap();
    assert_eq!((stored.seen.clone(), stored.train), (vec![left_out.clone()], own.train.clone()));
    own.test = vec![left_out.clone()];
    let error = prepare(&own, &fine, &again).unwrap_err().to_string();
    assert!(error.contains("own.json") && error.contains(&left_out) && error.contains("trained on"), "{error}");
    assert!(!again.exists(), "no run is left behind");
}

/// Checkpoints of early versions hold a digest of Debug texts, which this version cannot compute.
#[test]
fn a_checkpoint_with_an_unversioned_data_digest_is_resumed_with_a_warning() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let run = temp.path().join("pre");
    let config = pretrain_config(&root);
    pretrain(&config, &run, false, 2).unwrap_err();
    let replace = |digest: &str| {
        let folder = RunFolder::resume(&run).unwrap();
        let (mut data, _) = checkpoint::load(&folder).unwrap();
        let state = data.parts.iter_mut().find(|(name, _)| name == "state.json").unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&state.1).unwrap();
        value["data"] = digest.into();
        state.1 = serde_json::to_vec(&value).unwrap();
        checkpoint::save(&folder, Slot::Last, &data).unwrap();
    };
    replace(&format!("v1:{}", "ab".repeat(32)));
    let error = pretrain(&config, &run, true, 0).unwrap_err().to_string();
    assert!(error.contains("not those that the run was trained on"), "{error}");
    replace(&"ab".repeat(32));
    let events = pretrain(&config, &run, true, 0).unwrap();
    let warned = |event: &Event| matches!(event, Event::Warning { message } if message.contains("data digest"));
    assert_eq!(events.iter().filter(|event| warned(event)).count(), 1);
}
