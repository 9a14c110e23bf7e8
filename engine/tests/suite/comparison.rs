//! What makes a comparison fair: the same split and settings for all, no result of other settings, no patient seen before.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Watcher, cohort, finetune, finetune_config, patient, pretrain, pretrain_config};
use engine::cohort::split::Split;
use engine::config::{Config, preset};
use engine::device::Compute;
use engine::event::{Control, Event};
use engine::experiment::compare::{Method, Outcome, Plan, compare, measure_test};
use engine::jobs::{FinetuneJob, Start, stored_config};
use engine::run::RunFolder;
use engine::run::checkpoint::{self, Slot};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{Interpolation, LabelVolume, Volume, resample_f32, resample_labels};

/// Settings of both stages, short enough to compare several methods within seconds.
fn plan(root: &Path, methods: &[&str]) -> Plan {
    let pretrain = |name: &&str| {
        let method = preset(name, &["pet".into()]).ok()?.method;
        let mut config = Config { method, preset: (*name).into(), ..pretrain_config(root) };
        config.method.grid = 8;
        config.training.epochs = 1;
        Some(config)
    };
    let mut finetune = finetune_config(root, None);
    finetune.training.epochs = 1;
    let methods = methods.iter().map(|name| Method { name: (*name).into(), pretrain: pretrain(name) }).collect();
    Plan { methods, seeds: vec![0], finetune, strict: false, split: None }
}

fn run(plan: &Plan, out: &Path) -> engine::Result<Vec<Outcome>> {
    fs::create_dir_all(out).unwrap();
    let control = Control::default();
    compare(plan, out, &Compute::cpu(), &mut Watcher::new(&control, 0), &control, &mut |_| {})
}

fn folders(out: &Path) -> Vec<String> {
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn results_belong_to_settings_and_split() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let out = temp.path().join("compare");
    let mut plan = plan(&root, &["sup", "base", "mae"]);
    plan.methods[1].pretrain.as_mut().unwrap().training.weight_decay = 0.125;
    plan.methods[2].pretrain.as_mut().unwrap().training.weight_decay = 0.125;
    let first = run(&plan, &out).unwrap();
    assert_eq!(first[1].runs, first[2].runs, "presets with equal settings share their runs");
    assert_eq!(folders(&out).len(), 3, "{:?}", folders(&out));
    let stored = stored_config(&out.join(&first[1].runs[0])).unwrap();
    assert_eq!((stored.training.weight_decay, stored.method.grid), (0.125, 8));
    let split = Split::read(&out.join("split.json")).unwrap();
    for name in folders(&out) {
        assert_eq!(RunFolder::open(&out.join(&name)).unwrap().read_split::<Split>().unwrap(), split, "{name}");
    }

    // The same again trains nothing, also where the folder was moved to.
    let moved = temp.path().join("moved");
    fs::rename(&out, &moved).unwrap();
    let again = run(&plan, &moved).unwrap();
    assert_eq!(
        again.iter().map(|o| (&o.runs, o.seconds)).collect::<Vec<_>>(),
        first.iter().map(|o| (&o.runs, o.seconds)).collect::<Vec<_>>()
    );
    assert_eq!(folders(&moved).len(), 3);

    // Other settings of fine-tuning: new fine-tunings of the same pre-training.
    plan.finetune.training.lr = 0.02;
    let other = run(&plan, &moved).unwrap();
    assert_eq!(other[1].runs[0], first[1].runs[0]);
    assert_ne!(other[1].runs[1], first[1].runs[1]);
    assert_eq!(stored_config(&moved.join(&other[1].runs[1])).unwrap().training.lr, 0.02);
    assert_eq!(folders(&moved).len(), 5);

    // Another split: nothing is reused, and it is the one that is measured on.
    let mut own = split.clone();
    std::mem::swap(&mut own.train[0], &mut own.test[0]);
    let path = temp.path().join("own.json");
    fs::write(&path, own.to_json().unwrap()).unwrap();
    plan.split = Some(path);
    let by_split = run(&plan, &moved).unwrap();
    assert!(by_split.iter().flat_map(|o| &o.runs).all(|name| !other.iter().any(|o| o.runs.contains(name))));
    assert_eq!(by_split[0].cases.iter().map(|c| c.case.clone()).collect::<Vec<_>>(), own.test);
}

#[test]
fn settings_that_cannot_be_trained_with_are_refused_before_anything_is_trained() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let out = temp.path().join("compare");
    let mut plan = plan(&root, &["sup", "base"]);
    plan.methods[1].pretrain.as_mut().unwrap().training.lr = -1.0;
    let error = run(&plan, &out).unwrap_err().to_string();
    assert!(error.starts_with("training.lr"), "{error}");
    assert_eq!(folders(&out), Vec::<String>::new());
}

/// Patients whose mask was drawn on a finer CT: the PET is segmented.
fn cohort_with_masks_on_ct(folder: &Path, patients: usize) -> PathBuf {
    let root = folder.join("cohort");
    for number in 0..patients {
        let place = root.join(format!("P{number:02}"));
        fs::create_dir_all(&place).unwrap();
        let (pet, label) = patient(number);
        let [x, y, z] = pet.grid.spacing_mm();
        let fine = pet.grid.with_spacing([x / 2.0, y / 2.0, z]);
        let ct = resample_f32(&pet.to_f32(), &pet.grid, &fine, Interpolation::Linear, 0.0);
        let ct = Volume::from_f32(fine.clone(), ct);
        let labels: Vec<u8> = label.iter().map(|label| label as u8).collect();
        let labels = resample_labels(&labels, &label.grid, &fine, 0);
        write_volume(&place.join("pet.nii.gz"), &pet).unwrap();
        write_volume(&place.join("ct.nii.gz"), &ct).unwrap();
        write_label(&place.join("seg.nii.gz"), &LabelVolume::new(fine, labels).unwrap(), &ct).unwrap();
    }
    root
}

#[test]
fn masks_on_another_grid_are_measured_on_that_of_the_image() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort_with_masks_on_ct(temp.path(), 6);
    let run = temp.path().join("fine");
    finetune(&finetune_config(&root, None), &run, false, 0).unwrap();
    let (cases, left_out) = measure_test(&run, &Compute::cpu(), &Control::default()).unwrap();
    assert_eq!(left_out, []);
    let split: Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    assert_eq!(cases.iter().map(|case| case.case.clone()).collect::<Vec<_>>(), split.test);
    for case in &cases {
        let number: usize = case.case[1..].parse().unwrap();
        let (_, label) = patient(number);
        let expected = label.iter().filter(|label| *label > 0).count() as f64 * label.grid.voxel_volume_ml();
        assert!((case.truth_volume_ml - expected).abs() < 0.1 * expected, "{} {expected}", case.truth_volume_ml);
    }
}

#[test]
fn nobody_who_was_pre_trained_on_is_tested() {
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
    assert!(error.contains("own.json") && error.contains(&seen) && error.contains("pre-trained"), "{error}");
    assert!(!out.exists(), "no run is left behind");
    // Fewer test patients, and those who validated train: all of them are new to the network.
    let mut own = split;
    own.test.truncate(1);
    own.train.append(&mut own.val);
    prepare(&own).unwrap();
}

/// Checkpoints of early versions hold a digest of Debug texts, which nothing today can be compared with.
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
