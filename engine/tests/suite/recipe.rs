//! Options of the training recipe that affect a whole run: each has its effect, and a run with it can be resumed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{assert_same, cohort, finetune, finetune_config, fingerprint, pretrain, pretrain_config};
use engine::cohort::split::Split;
use engine::config::{Config, MaskFill, Schedule};
use engine::device::Compute;
use engine::event::{Event, Stage};
use engine::finetune::initial_network;
use engine::model::{TopSkip, record};
use engine::pretrain::amlp::ccl::Consistency;
use engine::pretrain::amlp::choice::ForegroundChoice;
use engine::probe::{self, Pin};
use engine::run::RunFolder;
use safetensors::tensor::SafeTensors;

/// Every tensor of a file of weights.
fn tensors(bytes: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    file.tensors().iter().map(|(name, view)| (name.clone(), values(view.data()))).collect()
}

fn weights(run: &Path, slot: &str, file: &str) -> BTreeMap<String, Vec<f32>> {
    tensors(&std::fs::read(run.join("checkpoints").join(slot).join(file)).unwrap())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// All options of the recipe that can be combined.
fn everything(cohort: &Path) -> Config {
    let mut config = pretrain_config(cohort);
    let method = &mut config.method;
    (method.mask.temperature, method.mask.hints, method.mask.unit_px) = (5.0, 0.2, 8);
    (method.mask.of_tissue, method.mask.top_skip, method.mask.channel) = (true, TopSkip::Mask, true);
    (method.loss.tissue_only, method.loss.attention_max) = (true, 2.0);
    (method.loss.lambda_ramp, method.loss.doubt_margin) = (0.5, 0.1);
    (method.augment.flip, method.augment.intensity) = (true, 0.2);
    (method.fill, method.foreground_choice, method.validate_every) =
        (MaskFill::Learned, ForegroundChoice::Asymmetry, 1);
    let training = &mut config.training;
    (training.clip_norm, training.layer_decay, training.ema_decay) = (1.0, 0.8, 0.9);
    (training.min_tissue, training.schedule, training.warmup) = (0.05, Schedule::Cosine, 0.1);
    config
}

#[test]
fn a_training_with_every_option_resumes_bit_for_bit_and_is_fine_tuned() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = everything(&cohort(temp.path(), 8));
    config.method.probes = vec!["P00:3".into(), "P01:3".into()];
    let whole = temp.path().join("whole");
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    let cut = temp.path().join("cut");
    pretrain(&config, &cut, false, steps / 2).unwrap_err();
    pretrain(&config, &cut, true, 0).unwrap();
    assert_same(&whole, &cut);
    assert_eq!(weights(&whole, "last", "trained.safetensors"), weights(&cut, "last", "trained.safetensors"));

    let mut fine = finetune_config(&config.data.cohort, Some(&whole));
    (fine.labels.norm_batches, fine.labels.validate_every) = (2, 2);
    (fine.training.ema_decay, fine.training.layer_decay, fine.training.clip_norm) = (0.9, 0.75, 1.0);
    let whole = temp.path().join("fine");
    let events = finetune(&fine, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    let cut = temp.path().join("fine-cut");
    finetune(&fine, &cut, false, steps / 2).unwrap_err();
    finetune(&fine, &cut, true, 0).unwrap();
    assert_same(&whole, &cut);
    // The validated and kept network is the average.
    let [average, trained] = ["model.safetensors", "trained.safetensors"].map(|file| weights(&whole, "last", file));
    assert!(largest_difference(&average["head.weight"], &trained["head.weight"]) > 1e-6);
}

#[test]
fn the_moving_average_is_that_of_the_weights() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    config.training.steps = 2;
    let run = |name: &str, config: &Config| {
        finetune(config, &temp.path().join(name), false, 0).unwrap();
        temp.path().join(name)
    };
    let plain = run("plain", &config);
    config.training.ema_decay = 0.9;
    let averaged = run("averaged", &config);
    let after_2 = weights(&plain, "last", "model.safetensors");
    assert!(after_2 == weights(&averaged, "last", "trained.safetensors"), "an average does not change training");
    // A constant rate, so that the first step is the same in a run of one step.
    let one = |config: &Config| Config {
        training: engine::config::TrainingConfig {
            steps: 1,
            schedule: Schedule::Constant,
            warmup: 0.0,
            ..config.training.clone()
        },
        ..config.clone()
    };
    let mut two = one(&config);
    two.training.steps = 2;
    let [first, both] = [("one", one(&config)), ("two", two)].map(|(name, config)| run(name, &config));
    let start = record::to_bytes(&initial_network(&config, &Compute::cpu()).unwrap()).unwrap();
    let (start, w1) = (tensors(&start), weights(&first, "last", "trained.safetensors"));
    let (w2, average) = (weights(&both, "last", "trained.safetensors"), weights(&both, "last", "model.safetensors"));
    // The decays of the first two steps are 1 / 10 and 2 / 11.
    for (name, found) in &average {
        for (at, found) in found.iter().enumerate() {
            let after_1 = 0.1 * start[name][at] + 0.9 * w1[name][at];
            let expected = 2.0 / 11.0 * after_1 + 9.0 / 11.0 * w2[name][at];
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}[{at}]: {found}, not {expected}");
        }
    }
}

#[test]
fn layer_decay_slows_a_layer_by_its_distance_from_the_head() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    (config.training.steps, config.training.schedule, config.training.warmup) = (1, Schedule::Constant, 0.0);
    let moves = |name: &str, config: &Config| {
        let run = temp.path().join(name);
        finetune(config, &run, false, 0).unwrap();
        let start = tensors(&record::to_bytes(&initial_network(config, &Compute::cpu()).unwrap()).unwrap());
        let end = weights(&run, "last", "model.safetensors");
        move |tensor: &str| largest_difference(&start[tensor], &end[tensor])
    };
    let full = moves("full", &config);
    config.training.layer_decay = 0.5;
    let slow = moves("slow", &config);
    // Depth 2: head 0; decoder.1 and up.1 are 1 away, decoder.0 2, encoder.2 3, encoder.0 5.
    for (tensor, layers) in [
        ("head.weight", 0),
        ("decoder.1.first.weight", 1),
        ("up.0.weight", 2),
        ("encoder.2.first.weight", 3),
        ("encoder.0.first.weight", 5),
    ] {
        let (full, slow) = (full(tensor), slow(tensor));
        let expected = full * 0.5f32.powi(layers);
        assert!(full > 1e-3 && (slow - expected).abs() < 2e-3 * full, "{tensor}: {slow} of {full}");
    }
    let running = "encoder.0.first_norm.batch.running_mean";
    assert_eq!(full(running), slow(running), "statistics have no rate");
}

#[test]
fn the_encoder_can_be_transferred_alone() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 0).unwrap();
    let mut fine = finetune_config(&config.data.cohort, Some(&run));
    let initial = |fine: &Config| tensors(&record::to_bytes(&initial_network(fine, &Compute::cpu()).unwrap()).unwrap());
    let (pretrained, both) = (weights(&run, "last", "model.safetensors"), initial(&fine));
    fine.labels.encoder_only = true;
    let encoder = initial(&fine);
    let fresh = initial(&finetune_config(&config.data.cohort, None));
    let (inner, outer) = ("encoder.1.first.weight", "decoder.0.first.weight");
    assert_eq!([&both[inner], &both[outer]], [&pretrained[inner], &pretrained[outer]]);
    assert_eq!([&encoder[inner], &encoder[outer]], [&pretrained[inner], &fresh[outer]]);
}

/// The statistics of a fresh batch norm are 0 and 1, and a step moves them by a tenth.
#[test]
fn batch_norm_is_estimated_before_the_first_step_without_moving_weights() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    (config.training.steps, config.training.lr) = (1, 1e-9);
    let last = |name: &str, batches: usize| {
        let mut config = config.clone();
        config.labels.norm_batches = batches;
        let run = temp.path().join(name);
        finetune(&config, &run, false, 0).unwrap();
        weights(&run, "last", "model.safetensors")
    };
    let (plain, estimated) = (last("plain", 0), last("estimated", 60));
    assert!(largest_difference(&plain["encoder.0.first.weight"], &estimated["encoder.0.first.weight"]) < 1e-6);
    let size = |weights: &BTreeMap<String, Vec<f32>>| {
        weights["encoder.0.first_norm.batch.running_mean"].iter().map(|v| v.abs()).sum::<f32>()
    };
    let (plain, estimated) = (size(&plain), size(&estimated));
    assert!(plain > 0.0 && estimated > 4.0 * plain, "{estimated} after 60 batches, {plain} after a step");
}

#[test]
fn the_validation_loss_is_a_curve_and_changes_no_training() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 10));
    config.training.epochs = 5;
    let run = |name: &str, config: &Config| {
        let run = temp.path().join(name);
        pretrain(config, &run, false, 0).unwrap();
        fingerprint(&run)
    };
    let plain = run("plain", &config);
    config.method.validate_every = 2;
    let validated = run("validated", &config);
    assert!(plain.1 == validated.1, "the weights differ");
    let losses = |(events, _): &(Vec<Event>, _)| -> Vec<Option<f64>> {
        events.iter().filter_map(|e| if let Event::Epoch(s) = e { Some(s.validation_loss) } else { None }).collect()
    };
    let curve = losses(&validated);
    assert_eq!(curve.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false, true, true]);
    let due = [curve[1], curve[3], curve[4]].map(Option::unwrap);
    assert!(
        due.iter().all(|loss| loss.is_finite() && *loss > 0.0) && due[0] != due[1] && due[1] != due[2],
        "{curve:?}"
    );
    assert_eq!(losses(&plain), [None; 5]);
}

#[test]
fn a_checkpoint_stores_the_losses_that_choose_the_foreground() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    (config.method.foreground_choice, config.method.period, config.training.epochs) = (ForegroundChoice::Error, 1, 3);
    config.method.probes = vec!["P00:3".into(), "P01:3".into()];
    let whole = temp.path().join("whole");
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    for stop in [1, steps / 2, steps - 1] {
        let cut = temp.path().join(format!("cut{stop}"));
        pretrain(&config, &cut, false, stop).unwrap_err();
        pretrain(&config, &cut, true, 0).unwrap();
        assert_same(&whole, &cut);
    }
    let swapped = std::fs::read(whole.join("checkpoints/last/foreground.bin")).unwrap();
    assert!(swapped == [0] || swapped == [1], "{swapped:?}");
    let recall = events.iter().rev().find_map(|e| match e {
        Event::Epoch(summary) => summary.lesion_recall_foreground,
        _ => None,
    });
    assert!(recall.is_some(), "recall is reported where masks exist");
}

#[test]
fn a_shifted_crop_is_clustered_at_its_new_position() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    (config.method.augment.shift, config.method.relabel, config.training.shift_px) = (true, false, 4);
    let parts = temp.path().join("parts");
    pretrain(&config, &parts, false, 0).unwrap();
    let split: Split = RunFolder::open(&parts).unwrap().read_split().unwrap();
    let pin = Pin::new(split.train[0].clone(), 3);
    config.method.probes = vec![pin.to_string()];
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 0).unwrap();
    assert!(fingerprint(&parts).1 == fingerprint(&run).1, "a pin does not change training");
    let slice = probe::read_slice(&run, &pin, Stage::Pretrain).unwrap();
    assert!(!slice.trained, "the recorded crop is not the one that is trained on");
    config.method.augment.shift = false;
    let fixed = temp.path().join("fixed");
    pretrain(&config, &fixed, false, 0).unwrap();
    assert!(weights(&run, "last", "model.safetensors") != weights(&fixed, "last", "model.safetensors"));
}

/// Each option must change the weights, or its row of an ablation table would be meaningless.
#[test]
fn every_option_of_pretraining_changes_the_weights() {
    let temp = tempfile::tempdir().unwrap();
    let mut base = pretrain_config(&cohort(temp.path(), 8));
    base.training.epochs = 3;
    let run = |name: &str, config: &Config| {
        let run = temp.path().join(name);
        pretrain(config, &run, false, 0).unwrap();
        std::fs::read(run.join("checkpoints/last/model.safetensors")).unwrap()
    };
    let plain = run("plain", &base);
    type Change = fn(&mut Config);
    let changes: [(&str, Change); 17] = [
        ("temperature", |c| c.method.mask.temperature = 10.0),
        ("hints", |c| c.method.mask.hints = 0.3),
        ("unit_px", |c| c.method.mask.unit_px = 8),
        ("of_tissue", |c| c.method.mask.of_tissue = true),
        ("top_skip mask", |c| c.method.mask.top_skip = TopSkip::Mask),
        ("top_skip drop", |c| c.method.mask.top_skip = TopSkip::Drop),
        ("channel", |c| c.method.mask.channel = true),
        ("tissue_only", |c| c.method.loss.tissue_only = true),
        ("attention_max", |c| c.method.loss.attention_max = 1.0),
        ("lambda_ramp", |c| c.method.loss.lambda_ramp = 0.9),
        ("doubt_margin", |c| c.method.loss.doubt_margin = 0.9),
        ("flip", |c| c.method.augment.flip = true),
        ("intensity", |c| c.method.augment.intensity = 0.2),
        ("clip_norm", |c| c.training.clip_norm = 0.01),
        ("layer_decay", |c| c.training.layer_decay = 0.7),
        ("ema_decay", |c| c.training.ema_decay = 0.9),
        ("choice", |c| c.method.foreground_choice = ForegroundChoice::Error),
    ];
    for (name, change) in changes {
        let mut config = base.clone();
        change(&mut config);
        assert!(run(name, &config) != plain, "{name} changes nothing");
    }
    base.method.consistency = Consistency::Off;
    let plain = run("without CCL", &base);
    base.method.loss.normalised = true;
    assert!(run("normalised", &base) != plain, "normalised patches change nothing");
}

#[test]
fn slices_without_enough_tissue_are_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    let slices = |name: &str, config: &Config| {
        let events = pretrain(config, &temp.path().join(name), false, 0)?;
        Ok::<_, engine::Error>(events.iter().find_map(|e| match e {
            Event::Started { slices, .. } => Some(*slices),
            _ => None,
        }))
    };
    config.training.epochs = 1;
    let all = slices("all", &config).unwrap();
    config.training.min_tissue = 0.3;
    assert_eq!(slices("most", &config).unwrap(), all, "every slice of the phantom is 60 % tissue");
    config.training.min_tissue = 0.99;
    let error = slices("none", &config).unwrap_err().to_string();
    assert!(error.starts_with("training.min_tissue"), "{error}");
}
