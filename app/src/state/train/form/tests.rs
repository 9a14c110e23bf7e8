use engine::config::{finetune_preset, preset};
use engine::device::{DeviceChoice, DeviceKind};

use super::*;

/// A GPU, and this machine's CPU.
fn devices() -> Vec<DeviceInfo> {
    let mut found: Vec<DeviceInfo> = engine::device::probe().devices;
    found.retain(|device| device.kind == DeviceKind::Cpu);
    let mut card = found[0].clone();
    (card.id, card.kind) = ("cuda:0".into(), DeviceKind::Gpu);
    found.insert(0, card);
    found
}

fn changed(before: &Form, change: impl FnOnce(&mut Form)) -> Form {
    let mut form = before.clone();
    change(&mut form);
    form.settled(before, &devices())
}

#[test]
fn defaults_are_the_papers_and_labels_are_written_as_text() {
    let form = Form::default();
    assert_eq!((form.pretrain.training.epochs, form.pretrain.training.batch), (800, 36));
    assert_eq!((form.finetune.training.epochs, form.finetune.training.batch), (70, 56));
    let form = changed(&form, |f| {
        f.labels = Labels::Picked;
        f.picked = ["B", "A"].map(str::to_owned).into();
    });
    assert_eq!(form.finetune.labels.labels, "patients:A,B");
    let form = changed(&form, |f| (f.labels, f.count) = (Labels::Count, 3));
    assert_eq!(form.finetune.labels.labels, "3");
}

#[test]
fn the_papers_settings_apply_to_both_stages_and_keep_data_and_labels() {
    let form = changed(&Form::default(), |f| {
        f.pretrain.data.modality = vec!["pet".into()];
        (f.pretrain.training.epochs, f.pretrain.method.lambda, f.pretrain.seed) = (7, 0.5, 9);
        (f.finetune.training.epochs, f.finetune.network.width) = (3, 8);
        (f.labels, f.count) = (Labels::Count, 2);
    });
    let form = form.clone().with_paper_settings().settled(&form, &devices());
    let paper = finetune_preset("paper").unwrap_or_default();
    assert_eq!((form.pretrain.training.epochs, form.pretrain.method.lambda, form.pretrain.seed), (800, 1.0, 9));
    assert_eq!((form.finetune.training.epochs, form.finetune.training.lr), (70, paper.training.lr));
    assert!(!form.finetune.labels.flip && form.finetune.labels.negative_slices == 0.0);
    assert_eq!([form.pretrain.network.width, form.finetune.network.width], [PAPER_WIDTH; 2]);
    assert_eq!(
        (form.finetune.labels.labels.as_str(), &form.pretrain.data.modality[..]),
        ("2", &["pet".to_owned()][..])
    );
}

#[test]
fn the_papers_settings_keep_the_network_of_the_run_that_fine_tuning_starts_from() {
    let form = changed(&Form::default(), |f| f.stage = Stage::Finetune);
    let form = changed(&form, |f| {
        f.finetune.labels.from = "/runs/small".into();
        (f.finetune.network.width, f.finetune.preprocess.size) = (4, 64);
        f.pretrain.preprocess.size = 64;
    });
    let form = form.clone().with_paper_settings().settled(&form, &devices());
    assert_eq!((form.finetune.network.width, form.finetune.preprocess.size), (4, 64), "the run's");
    let form = changed(&form, |f| f.stage = Stage::Pretrain);
    let paper = preset("amlp", &[]).unwrap_or_default();
    assert_eq!((form.pretrain.network.width, form.pretrain.preprocess.size), (PAPER_WIDTH, paper.preprocess.size));
}

#[test]
fn a_pinned_slice_does_not_modify_the_method() {
    let mut config = Config { method: preset_of(&Config::default()).method, ..Config::default() };
    config.method.probes = vec!["A:3".into()];
    assert!(!is_modified(&config));
    config.method.lambda = 0.5;
    assert!(is_modified(&config));
}

#[test]
fn a_form_set_up_like_a_run_has_its_settings_and_labels() {
    for labels in ["5%", "12.5%", "3", "all", "patients:A,B"] {
        let mut run = Config::finetune();
        (run.labels.labels, run.training.epochs, run.seed) = (labels.into(), 9, 4);
        let form = Form::default().like(&run);
        let form = form.clone().settled(&form, &devices());
        assert_eq!((form.stage, form.finetune), (Stage::Finetune, run), "{labels}");
        assert!(!form.named);
    }
}

#[test]
fn a_preset_replaces_the_method_and_nothing_else() {
    let form = changed(&Form::default(), |f| f.pretrain.training.epochs = 7);
    let form = changed(&form, |f| f.pretrain.preset = "background-first".into());
    assert_eq!(form.pretrain.method, preset("background-first", &[]).unwrap_or_default().method);
    assert_eq!((form.pretrain.training.epochs, form.name.as_str()), (7, "background-first"));
    // A manual change stays when the modality changes.
    let form = changed(&form, |f| f.pretrain.method.lambda = 0.5);
    let form = changed(&form, |f| f.pretrain.data.modality = vec!["flair".into()]);
    assert_eq!((form.pretrain.method.lambda, form.name.as_str()), (0.5, "background-first-flair"));
    // A run with a modified method keeps it together with its preset.
    let mut run = preset("crcl", &[]).unwrap_or_default();
    run.method.lambda = 0.25;
    let form = Form::default().like(&run).settled(&Form::default(), &devices());
    assert_eq!((form.pretrain.preset.as_str(), form.pretrain.method), ("crcl", run.method));
}

#[test]
fn the_width_follows_the_device_until_it_is_chosen() {
    let form = changed(&Form::default(), |f| f.pretrain.device = DeviceChoice::Cpu.into());
    assert_eq!(form.pretrain.network.width, CPU_WIDTH);
    let form = changed(&form, |f| f.pretrain.device = DeviceChoice::Cuda(0).into());
    assert_eq!(form.pretrain.network.width, PAPER_WIDTH);
    let form = changed(&form, |f| f.pretrain.network.width = 24);
    let form = changed(&form, |f| f.pretrain.device = DeviceChoice::Cpu.into());
    assert_eq!(form.pretrain.network.width, 24);
}

#[test]
fn data_and_device_are_shared_by_both_stages() {
    let form = changed(&Form::default(), |f| {
        f.pretrain.data.modality = vec!["pet".into()];
        f.pretrain.preprocess.size = 32;
    });
    let form = changed(&form, |f| f.stage = Stage::Finetune);
    assert_eq!((&form.finetune.data.modality[..], form.finetune.preprocess.size), (&["pet".to_owned()][..], 32));
    assert_eq!(form.name, "supervised-pet");
    let form = changed(&form, |f| f.name = "mine".into());
    let form = changed(&form, |f| f.stage = Stage::Pretrain);
    assert_eq!((form.name.as_str(), form.named), ("amlp-pet", false), "the folder is another stage's");
    let form = changed(&form, |f| f.stage = Stage::Finetune);
    assert_eq!((form.name.as_str(), form.named), ("mine", true), "a typed name stays with its stage");
    let form = changed(&form, |f| f.name.clear());
    assert_eq!((form.name.as_str(), form.named), ("", true), "a new one is typed in its place");
    let form = changed(&form, |f| f.named = false);
    assert_eq!(form.name, "supervised-pet");
}

#[test]
fn a_run_name_must_be_a_plain_folder_name() {
    for good in ["amlp-flair", "run 2", "\u{e9}tude.v2", "a..b", " padded "] {
        assert_eq!(name_problem(good), None, "{good}");
    }
    let long = "n".repeat(101);
    for bad in [
        "",
        "  ",
        "../bad/name",
        "..",
        ".",
        "/elsewhere/run",
        "a/b",
        "C:\\run",
        "a\\b",
        ".hidden",
        "a.",
        "a:b",
        "a\nb",
        long.as_str(),
    ] {
        assert!(name_problem(bad).is_some(), "{bad:?}");
    }
}

#[test]
fn invalid_numbers_are_remembered_per_stage() {
    let mut form = Form::default();
    form.enter("Batch", Some("Not a number".into()));
    assert_eq!(form.invalid_field(), Some(("Batch", "Not a number")));
    let mut form = changed(&form, |f| f.stage = Stage::Finetune);
    assert_eq!(form.invalid_field(), None);
    form.enter("Batch", None);
    let mut form = changed(&form, |f| f.stage = Stage::Pretrain);
    assert!(form.invalid_field().is_some());
    form.enter("Batch", None);
    assert_eq!(form.invalid_field(), None);
}
