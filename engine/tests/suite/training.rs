//! Training as a whole: deterministic, resumable at any step, refused where it must be.

use crate::common::{assert_same, cohort, finetune, finetune_config, fingerprint, pretrain, pretrain_config};
use engine::ErrorKind;
use engine::event::{Event, EventSink};
use engine::run::RunFolder;

#[test]
fn an_interrupted_pretraining_equals_an_uninterrupted_one() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let whole = temp.path().join("whole");
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    // In the first epoch, at its end, in the midst of a later one, and just before the end.
    for stop in [1, steps / 3, steps / 2, steps - 1] {
        let cut = temp.path().join(format!("cut{stop}"));
        let error = pretrain(&config, &cut, false, stop).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
        pretrain(&config, &cut, true, 0).unwrap();
        assert_same(&whole, &cut);
    }
}

#[test]
fn an_interrupted_finetuning_equals_an_uninterrupted_one() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    config.labels.validate_every = 2;
    let whole = temp.path().join("whole");
    let events = finetune(&config, &whole, false, 0).unwrap();
    assert!(events.iter().any(|e| matches!(e, Event::Validation { best: true, .. })));
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    for stop in [1, steps / 2, steps - 1] {
        let cut = temp.path().join(format!("cut{stop}"));
        finetune(&config, &cut, false, stop).unwrap_err();
        finetune(&config, &cut, true, 0).unwrap();
        assert_same(&whole, &cut);
    }
}

#[test]
fn the_log_tells_the_method() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.epochs = 4;
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 0).unwrap();
    let (events, _) = fingerprint(&run);
    let epochs: Vec<_> = events.iter().filter_map(|e| if let Event::Epoch(s) = e { Some(s) } else { None }).collect();
    assert_eq!(epochs.len(), 4);
    let sigma: Vec<f64> = epochs.iter().map(|e| e.sigma.unwrap()).collect();
    assert!((sigma[0] - 0.25).abs() < 1e-12 && (sigma[3] - 0.9).abs() < 1e-12, "{sigma:?}");
    for epoch in &epochs {
        let (parts, literal) = (epoch.parts.unwrap(), epoch.literal.unwrap());
        assert!((literal.rrl - 1.0).abs() < 1e-9, "Eq. 6 has mean 1 by construction, not {}", literal.rrl);
        assert!((parts.pred + parts.rrl + parts.lcl - epoch.loss).abs() < 1e-5);
        assert!(epoch.lesion_recall_masked.is_some() && epoch.entropy.is_some());
    }
    assert!(epochs[0].gradient_norm.unwrap().pred > 0.0);
    // Before the first update no label differs from k-means; afterwards the coins have flipped some.
    assert!(epochs[0].parts.unwrap().lcl.abs() < 1e-12);
    assert!(epochs[2].parts.unwrap().lcl > 0.0 && epochs[2].literal.unwrap().lcl > 0.0);
    let relabels: Vec<_> = events.iter().filter(|e| matches!(e, Event::Relabel { .. })).collect();
    assert_eq!(relabels.len(), 4);
    let Event::Relabel { cases, .. } = relabels[0] else { unreachable!("filtered above") };
    let judged = cases.kept_foreground + cases.kept_background + cases.doubted_foreground + cases.doubted_background;
    assert!(judged > 0 && cases.doubted_background + cases.doubted_foreground > 0);
}

#[test]
fn two_seeds_flip_other_patches() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.epochs = 1;
    let labels = |seed: u64| {
        let run = temp.path().join(format!("seed{seed}"));
        let mut config = config.clone();
        config.seed = seed;
        pretrain(&config, &run, false, 0).unwrap();
        std::fs::read(run.join("checkpoints/last/labels.bin")).unwrap()
    };
    assert_ne!(labels(1), labels(2));
}

#[test]
fn probes_log_each_update_patch_by_patch() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 0).unwrap();
    let split: engine::cohort::split::Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    config.method.probes = vec![format!("{}:3", split.train[0])];
    let probed = temp.path().join("probed");
    pretrain(&config, &probed, false, 0).unwrap();
    let (events, _) = fingerprint(&probed);
    let probes: Vec<_> = events.iter().filter_map(|e| if let Event::Probe(p) = e { Some(p) } else { None }).collect();
    assert_eq!(probes.len(), 3);
    for pair in probes.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
    }
    assert!(probes.iter().all(|p| p.before.len() == 64 && p.case == split.train[0] && p.slice == 3));
}

#[test]
fn another_configuration_or_other_data_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let config = pretrain_config(&root);
    let run = temp.path().join("run");
    pretrain(&config, &run, false, 2).unwrap_err();

    let mut other = config.clone();
    other.training.lr = 0.5;
    let error = pretrain(&other, &run, true, 0).unwrap_err().to_string();
    assert!(error.contains("training.lr") && error.contains("0.003") && error.contains("0.5"), "{error}");

    let mut moved = config.clone();
    moved.threads = 1;
    moved.device = engine::device::DeviceChoice::Cpu.into();
    let (image, label) = crate::common::patient(20);
    let split: engine::cohort::split::Split = RunFolder::open(&run).unwrap().read_split().unwrap();
    let place = root.join(&split.train[0]);
    engine::volume::nifti::write_volume(&place.join("pet.nii.gz"), &image).unwrap();
    engine::volume::nifti::write_label(&place.join("seg.nii.gz"), &label, &image).unwrap();
    let error = pretrain(&moved, &run, true, 0).unwrap_err().to_string();
    assert!(error.contains("not those that the run was trained on"), "{error}");

    let error = pretrain(&config, &run, false, 0).unwrap_err().to_string();
    assert!(error.contains("resume it"), "a new run must not be made in an old one's folder: {error}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_weights() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    config.training.lr = 1e30;
    let run = temp.path().join("run");
    let error = pretrain(&config, &run, false, 0).unwrap_err();
    let ErrorKind::NonFinite { epoch, step, slices, .. } = error.kind() else { panic!("{error}") };
    assert!(*epoch >= 1 && *step >= 1 && slices.contains("P0"), "{error}");
}

#[test]
fn fine_tuning_takes_the_encoder_and_a_new_head() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let pre = temp.path().join("pre");
    pretrain(&pretrain_config(&root), &pre, false, 0).unwrap();
    let compute = engine::device::Compute::cpu();
    let bytes = |from: Option<&std::path::Path>| {
        let network = engine::finetune::initial_network(&finetune_config(&root, from), &compute).unwrap();
        engine::model::record::to_bytes(&network).unwrap()
    };
    let (transferred, random) = (bytes(Some(&pre)), bytes(None));
    let trained = std::fs::read(pre.join("checkpoints/last/model.safetensors")).unwrap();
    let tensor = |file: &[u8], name: &str| {
        safetensors::SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().to_vec()
    };
    for name in ["encoder.0.first.weight", "decoder.1.second.weight", "encoder.2.first_norm.batch.running_var"] {
        assert_eq!(tensor(&transferred, name), tensor(&trained, name), "{name}");
        assert_ne!(tensor(&transferred, name), tensor(&random, name), "{name}");
    }
    assert_eq!(tensor(&transferred, "head.weight"), tensor(&random, "head.weight"));
    assert_ne!(tensor(&transferred, "head.weight"), tensor(&trained, "head.weight"));
}

#[test]
fn a_full_log_ends_the_training_with_an_error_and_not_a_panic() {
    struct Full;
    impl EventSink for Full {
        fn event(&mut self, _: &Event) -> engine::Result<()> {
            Err(engine::Error::config("log", "", "full"))
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let control = engine::event::Control::default();
    let start = engine::jobs::Start::default();
    let out = temp.path().join("run");
    let mut job = engine::jobs::PretrainJob::prepare(config, &out, start, &control, &mut |_, _| {}).unwrap();
    let error = job.train(&engine::device::Compute::cpu(), &mut Full, &control).unwrap_err();
    assert!(error.to_string().contains("full"));
}
