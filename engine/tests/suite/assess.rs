//! Estimates of a run's time and memory.

use crate::common::{cohort, finetune, finetune_config, pretrain, pretrain_config};
use engine::ErrorKind;
use engine::assess::{assess, field_errors};
use engine::cohort::split::Split;
use engine::config::Config;
use engine::device::Compute;
use engine::event::{Control, Event, Signal};
use engine::jobs::{FinetuneJob, PretrainJob, Start};
use engine::model::Precision;

fn assessment_of(config: &Config) -> engine::assess::Assessment {
    assess(config, None, &Compute::cpu(), &Control::default(), &mut |_| {}).unwrap()
}

/// Length as reported by the loop: slices, steps per epoch, weights.
fn started(events: &[Event]) -> (usize, usize, usize) {
    let found = events.iter().find_map(|event| match event {
        Event::Started { slices, steps_per_epoch, parameters, .. } => Some((*slices, *steps_per_epoch, *parameters)),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_pretraining_run_has_the_estimated_steps_and_slices() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 10));
    for every in [1, 2] {
        config.training.every_slice = every;
        let estimate = assessment_of(&config);
        assert!(!temp.path().join("run").exists() && std::fs::read_dir(temp.path()).unwrap().count() == 1);
        let run = temp.path().join("run");
        let events = pretrain(&config, &run, false, 0).unwrap();
        std::fs::remove_dir_all(&run).unwrap();
        let (slices, per_epoch, parameters) = started(&events);
        // Seven slices a patient, each with tissue.
        assert_eq!((estimate.patients, estimate.labelled, estimate.slices), (7, 7, slices));
        assert_eq!((estimate.steps, estimate.epochs, estimate.parameters), (3 * per_epoch, 3, parameters));
        assert!(estimate.seconds_per_step > 0.0 && estimate.memory_mib > 0);
        assert!((estimate.seconds - estimate.seconds_per_step * estimate.steps as f64).abs() < 1e-9);
        assert!(estimate.notes.iter().any(|note| note.contains("upper bound")), "{:?}", estimate.notes);
    }
}

/// Only the labelled patients' slices count, not those of all patients.
#[test]
fn a_finetuning_run_has_the_estimated_steps_and_slices() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    let pre = temp.path().join("pre");
    pretrain(&pretrain_config(&root), &pre, false, 1).unwrap_err();
    let mut config = finetune_config(&root, Some(&pre));
    config.labels.validate_every = 2;
    let estimate = assessment_of(&config);
    let control = Control::default();
    let out = temp.path().join("fine");
    let job = FinetuneJob::prepare(config.clone(), &out, Start::default(), &control, &mut |_, _| {}).unwrap();
    let lesion = job.labelled.lesion_slices();
    let slices = (7 * 2).min(lesion + (lesion as f64 * 0.3 / 0.7).round() as usize);
    assert_eq!((estimate.patients, estimate.labelled, estimate.slices), (7, 2, slices));
    assert!(estimate.notes.iter().any(|note| note.contains("Validation")), "{:?}", estimate.notes);
    let split: Split = job.run.read_split().unwrap();
    drop(job);
    std::fs::remove_dir_all(&out).unwrap();
    let events = finetune(&config, &out, false, 0).unwrap();
    let (slices, per_epoch, _) = started(&events);
    assert_eq!((estimate.slices, estimate.steps), (slices, 4 * per_epoch));

    // Without a pre-training run the split is drawn at the start, which the window knows but the estimate does not.
    config.labels.from = std::path::PathBuf::new();
    let known = assess(&config, Some(&split), &Compute::cpu(), &Control::default(), &mut |_| {}).unwrap();
    assert_eq!((known.slices, known.labelled), (slices, 2));
    let guessed = assessment_of(&config);
    assert!(guessed.notes.iter().any(|note| note.contains("drawn at the start")), "{:?}", guessed.notes);
    assert!(guessed.slices < 14 && guessed.labelled == 2, "{guessed:?}");
}

#[test]
fn asking_for_more_labelled_patients_than_exist_is_refused_before_any_work() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    config.labels.labels = "9".into();
    let (out, control) = (temp.path().join("fine"), Control::default());
    let error = FinetuneJob::prepare(config.clone(), &out, Start::default(), &control, &mut |_, _| {}).err().unwrap();
    assert!(error.to_string().starts_with("labels = 9: only 5 training patients"), "{error}");
    assert!(!out.exists());
    let error = assess(&config, None, &Compute::cpu(), &control, &mut |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("labels = 9: only 5 training patients"), "{error}");
}

#[test]
fn an_estimate_can_be_cancelled_and_refuses_what_training_refuses() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let control = Control::default();
    let mut cancel = |what: &str| {
        if what.contains("measuring") {
            control.set(Signal::Cancel);
        }
    };
    let error = assess(&config, None, &Compute::cpu(), &control, &mut cancel).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    let mut wrong = config.clone();
    wrong.data.modality = vec!["ct".into()];
    assert!(assess(&wrong, None, &Compute::cpu(), &Control::default(), &mut |_| {}).is_err());
    let out = temp.path().join("run");
    let error = PretrainJob::prepare(wrong, &out, Start::default(), &Control::default(), &mut |_, _| {}).err().unwrap();
    assert!(error.to_string().contains("pet (8 cases)") && !out.exists(), "{error}");
    // A patient with a truncated file is reported, and the others are counted.
    std::fs::write(config.data.cohort.join("P03/pet.nii.gz"), "cut").unwrap();
    let estimate = assessment_of(&config);
    assert!(estimate.notes.iter().any(|note| note.starts_with("P03 is not counted")), "{:?}", estimate.notes);
    assert_eq!(estimate.slices, estimate.patients * 7);
}

#[test]
fn every_wrong_field_is_named_as_in_the_file() {
    let mut config = pretrain_config(std::path::Path::new("somewhere"));
    assert_eq!(field_errors(&config), []);
    config.data.cohort = std::path::PathBuf::new();
    config.data.modality.clear();
    config.preprocess.size = 31;
    config.preprocess.percentiles = [99.0, 1.0];
    config.network.width = 0;
    (config.training.epochs, config.training.lr) = (0, f64::NAN);
    config.training.precision = Precision::F16;
    config.method.cluster.temperature = -1.0;
    (config.method.ratio.sigma_0, config.method.lambda) = (1.0, -1.0);
    config.method.probes = vec!["no slice".into()];
    let fields = |config: &Config| field_errors(config).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let expected = [
        "data.cohort",
        "preprocess.percentiles",
        "network.width",
        "method.probes",
        "training.epochs",
        "training.lr",
        "training.precision",
        "data.modality",
        "method.grid",
        "method.cluster.temperature",
        "method.ratio.sigma_0",
        "method.ratio.sigma_max",
        "method.lambda",
    ];
    assert_eq!(fields(&config), expected);
    // Each is in the file under this name, and the first is reported by validation.
    let file: toml::Value = toml::from_str(&config.to_toml().unwrap()).unwrap();
    for field in fields(&config) {
        let found = field.split('.').try_fold(&file, |table, key| table.get(key));
        assert!(found.is_some(), "{field} is not a setting");
    }
    assert!(config.validate().unwrap_err().to_string().starts_with("preprocess.percentiles = 99, 1: "));

    let mut fine = finetune_config(std::path::Path::new("somewhere"), None);
    fine.preprocess.size = 30;
    fine.labels.labels = "half".into();
    (fine.labels.scale, fine.labels.negative_slices) = (2.0, f64::NAN);
    assert_eq!(fields(&fine), ["preprocess.size", "labels.labels", "labels.negative_slices", "labels.scale"]);
    let why: Vec<String> = field_errors(&fine).into_iter().map(|(_, why)| why).collect();
    assert!(why[0].contains("multiple of 2^depth = 4") && why.iter().all(|why| !why.is_empty()), "{why:?}");
}
