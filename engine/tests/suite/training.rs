//! Training end to end: it is deterministic, can be resumed after any step, and is refused with invalid settings.

use crate::common::{assert_same, cohort, finetune, finetune_config, fingerprint, patient, pretrain, pretrain_config};
use engine::ErrorKind;
use engine::event::{Event, EventSink, Losses};
use engine::preprocess::Spacing;
use engine::run::{History, RunFolder};
use engine::volume::LabelVolume;
use engine::volume::nifti::write_label;

#[test]
fn an_interrupted_pretraining_equals_an_uninterrupted_one() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let whole = temp.path().join("whole");
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    // In the first epoch, at its end, in the middle of a later one, and just before the end.
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

/// A comparison must be able to tell a run of a few steps, whose network has learned next to nothing, from a converged one.
#[test]
fn a_fine_tuning_logs_its_training_dice_and_says_that_it_has_not_converged() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = finetune_config(&cohort(temp.path(), 8), None);
    config.training.lr = 1e-4;
    let run = temp.path().join("run");
    let events = finetune(&config, &run, false, 0).unwrap();
    let (logged, _) = fingerprint(&run);
    let dices: Vec<[f64; 2]> = logged
        .iter()
        .filter_map(|event| match event {
            Event::Epoch(epoch) => Some([epoch.training_dice?, 1.0 - epoch.parts.as_ref()?.get("dice")?]),
            _ => None,
        })
        .collect();
    assert_eq!(dices.len(), config.training.epochs);
    assert!(dices.iter().all(|[dice, of_loss]| (dice - of_loss).abs() < 1e-12 && *dice > 0.0), "{dices:?}");
    let warned = |event: &Event| matches!(event, Event::Warning { message } if message.starts_with("Not converged: "));
    assert!(events.iter().any(warned));
    let report: serde_json::Value = RunFolder::open(&run).unwrap().read_report().unwrap();
    // The mean of the second half: four epochs are too few for a tenth.
    let mean = f64::midpoint(dices[2][0], dices[3][0]);
    assert_eq!((&report["converged"], report["training_dice"].as_f64()), (&false.into(), Some(mean)));
    let convergence = History::read(&run).unwrap().convergence().unwrap();
    assert_eq!((convergence.window, convergence.training_dice), (2, mean));
}

#[test]
fn the_log_contains_losses_label_updates_and_mask_ratios() {
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
        let (parts, literal) = (epoch.parts.as_ref().unwrap(), epoch.literal.as_ref().unwrap());
        let rrl = literal.get("rrl").unwrap();
        assert!((rrl - 1.0).abs() < 1e-9, "Eq. 6 has mean 1 by construction, not {rrl}");
        let sum = ["pred", "rrl", "lcl"].map(|name| parts.get(name).unwrap()).iter().sum::<f64>();
        assert!((sum - epoch.loss).abs() < 1e-5);
        assert!(epoch.lesion_recall_masked.is_some() && epoch.entropy.is_some());
    }
    let of = |losses: &Option<Losses>, name: &str| losses.as_ref().unwrap().get(name).unwrap();
    assert!(of(&epochs[0].gradient_norm, "pred") > 0.0);
    // Before the first update no label differs from k-means; afterwards the coins have flipped some.
    assert!(of(&epochs[0].parts, "lcl").abs() < 1e-12);
    assert!(of(&epochs[2].parts, "lcl") > 0.0 && of(&epochs[2].literal, "lcl") > 0.0);
    let relabels: Vec<_> = events.iter().filter(|e| matches!(e, Event::Relabel { .. })).collect();
    assert_eq!(relabels.len(), 4);
    let Event::Relabel { cases, .. } = relabels[0] else { unreachable!("filtered above") };
    let judged = cases.kept_foreground + cases.kept_background + cases.doubted_foreground + cases.doubted_background;
    assert!(judged > 0 && cases.doubted_background + cases.doubted_foreground > 0);
}

#[test]
fn different_seeds_flip_different_patches() {
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
fn resuming_with_other_settings_or_data_is_refused() {
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
    let folder = root.join(&split.train[0]);
    engine::volume::nifti::write_volume(&folder.join("pet.nii.gz"), &image).unwrap();
    engine::volume::nifti::write_label(&folder.join("seg.nii.gz"), &label, &image).unwrap();
    let error = pretrain(&moved, &run, true, 0).unwrap_err().to_string();
    assert!(error.contains("not those that the run was trained on"), "{error}");

    let error = pretrain(&config, &run, false, 0).unwrap_err().to_string();
    assert!(error.contains("Resume it"), "a new run must not be made in an old one's folder: {error}");
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
fn fine_tuning_starts_from_the_encoder_and_a_new_head() {
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

/// A small lesion can vanish where the scans are resampled to large voxels, as a study does at a small scale.
#[test]
fn labelled_patients_without_a_lesion_in_the_crop_are_named_with_the_crop_and_what_to_change() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    for number in 0..8 {
        let (image, label) = patient(number);
        // One voxel of the lesion's lowest slice. The single slice of the resampled scan is a different one.
        let first = label.iter().position(|value| value > 0).unwrap();
        let lone: Vec<u8> = (0..label.len()).map(|voxel| u8::from(voxel == first)).collect();
        let label = LabelVolume::new(image.grid.clone(), lone).unwrap();
        write_label(&root.join(format!("P{number:02}/seg.nii.gz")), &label, &image).unwrap();
    }
    let mut config = finetune_config(&root, None);
    config.preprocess.spacing = Spacing::Millimetres([6.0, 6.0, 28.0]);
    let error = finetune(&config, &temp.path().join("run"), false, 0).unwrap_err().to_string();
    assert!(error.contains("(32 x 32 pixels, 192 x 192 mm with voxels of 6.00 x 6.00 x 28.00 mm)"), "{error}");
    assert!(error.contains("Label more patients") && error.contains("(preprocess.spacing)"), "{error}");
}

/// The checkpoint holds the weights, so the pre-training run is no longer needed.
#[test]
fn a_finetuning_is_resumed_without_its_pretraining_folder() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (pre, whole, cut) = (temp.path().join("pre"), temp.path().join("whole"), temp.path().join("cut"));
    pretrain(&pretrain_config(&root), &pre, false, 0).unwrap();
    let config = finetune_config(&root, Some(&pre));
    finetune(&config, &whole, false, 0).unwrap();
    finetune(&config, &cut, false, 2).unwrap_err();
    std::fs::remove_dir_all(&pre).unwrap();
    finetune(&config, &cut, true, 0).unwrap();
    assert_same(&whole, &cut);
    // A run without a checkpoint still needs it, and reports where it was.
    let error = finetune(&config, &temp.path().join("new"), false, 0).unwrap_err().to_string();
    assert!(error.contains("pre"), "{error}");
}

/// A method that shares only the loop with AMLP: it learns, resumes bit for bit, and transfers only its encoder.
#[test]
fn simmim_trains_resumes_and_transfers_its_encoder() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let mut config = pretrain_config(&root);
    config.method = engine::config::preset("simmim", &config.data.modality).unwrap().method;
    config.method.probes = vec!["P01:3".into()];
    config.training.epochs = 4;
    let (whole, cut, micro) = (temp.path().join("whole"), temp.path().join("cut"), temp.path().join("micro"));
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let epochs: Vec<_> = events.iter().filter_map(|e| if let Event::Epoch(s) = e { Some(s) } else { None }).collect();
    let l1 = |at: usize| epochs[at].parts.as_ref().unwrap().get("l1").unwrap();
    assert!(l1(3) < l1(0) && (l1(0) - epochs[0].loss).abs() < 1e-9, "{} {}", l1(0), l1(3));
    assert!(epochs[0].sigma.is_none() && epochs[0].entropy.is_none());
    let probes = events.iter().filter(|e| matches!(e, Event::Probe(_))).count();
    assert_eq!(probes, 4, "one picture of the pinned slice per epoch");
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    pretrain(&config, &cut, false, steps / 2).unwrap_err();
    pretrain(&config, &cut, true, 0).unwrap();
    assert_same(&whole, &cut);
    config.network.norm = engine::model::Norm::None;
    config.training.epochs = 1;
    let losses = |micro_batch: usize| {
        let mut config = config.clone();
        config.training.micro_batch = micro_batch;
        let run = micro.with_file_name(format!("micro{micro_batch}"));
        let events = pretrain(&config, &run, false, 0).unwrap();
        let loss = |e: &Event| if let Event::Step { loss, .. } = e { Some(*loss) } else { None };
        events.iter().filter_map(loss).collect::<Vec<_>>()
    };
    for (a, b) in losses(0).iter().zip(&losses(3)) {
        assert!((a - b).abs() < 1e-4 * a, "{a} {b}");
    }

    let compute = engine::device::Compute::cpu();
    let bytes = |from: Option<&std::path::Path>| {
        let network = engine::finetune::initial_network(&finetune_config(&root, from), &compute).unwrap();
        engine::model::record::to_bytes(&network).unwrap()
    };
    let (transferred, random) = (bytes(Some(&whole)), bytes(None));
    let trained = std::fs::read(whole.join("checkpoints/last/model.safetensors")).unwrap();
    let tensor = |file: &[u8], name: &str| {
        safetensors::SafeTensors::deserialize(file).unwrap().tensor(name).unwrap().data().to_vec()
    };
    for name in ["encoder.0.first.weight", "encoder.2.first_norm.batch.running_var"] {
        assert_eq!(tensor(&transferred, name), tensor(&trained, name), "{name}");
        assert_ne!(tensor(&transferred, name), tensor(&random, name), "{name}");
    }
    for name in ["decoder.1.second.weight", "up.0.weight", "head.weight"] {
        assert_eq!(tensor(&transferred, name), tensor(&random, name), "{name}");
    }
}

/// An earlier version stopped this run within an epoch.
#[test]
fn a_checkpoint_of_the_earlier_version_is_resumed() {
    let temp = tempfile::tempdir().unwrap();
    let config = pretrain_config(&cohort(temp.path(), 8));
    let (whole, cut) = (temp.path().join("whole"), temp.path().join("cut"));
    let events = pretrain(&config, &whole, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    pretrain(&config, &cut, false, steps / 2).unwrap_err();
    let mut run = RunFolder::resume(&cut).unwrap();
    as_an_earlier_version(&mut run);
    drop(run);
    let text = std::fs::read_to_string(cut.join("config.toml")).unwrap();
    let text = text.replace("pretext = \"amlp\"\n", "").replace("precision = \"f32\"\n", "read_every = 10\n");
    std::fs::write(cut.join("config.toml"), text.replace("[network]\n", "[network]\nlearned_fill = false\n")).unwrap();
    pretrain(&config, &cut, true, 0).unwrap();
    assert_same(&whole, &cut);
}

/// Rewrites the checkpoint in the format of the earlier version, which stored the running means elsewhere.
fn as_an_earlier_version(run: &mut RunFolder) {
    use engine::run::checkpoint::{Slot, load, save};
    let (mut data, _) = load(run).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (state, amlp) = (text(data.take("state.json").unwrap()), text(data.take("amlp.json").unwrap()));
    let (rest, meter) = state.split_once(",\"meter\":").unwrap();
    let sums = &meter[meter.find("\"loss\"").unwrap()..meter.len() - 2];
    assert!(
        sums.contains("\"pred\"") && amlp.starts_with("{\"slices\"") && amlp.contains("\"judged\""),
        "{sums} {amlp}"
    );
    let tally = amlp.replacen('{', &format!("{{{sums},"), 1).replace("\"literal\":{", "\"literal\":{\"pred\":0.0,");
    data.parts.push(("tally.json".into(), tally.into_bytes()));
    data.parts.push(("state.json".into(), format!("{rest}}}").into_bytes()));
    save(run, Slot::Last, &data).unwrap();
}

#[test]
fn an_error_of_the_event_sink_ends_training_without_a_panic() {
    struct FullDisk;
    impl EventSink for FullDisk {
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
    let error = job.train(&engine::device::Compute::cpu(), &mut FullDisk, &control).unwrap_err();
    assert!(error.to_string().contains("full"));
}
