//! Devices that run short of memory or are lost, several devices, losses read late: what a training makes of them.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{assert_same, cohort, finetune, finetune_config, fingerprint, pretrain, pretrain_config};
use engine::event::Event;
use serde_json::Value;

fn amlp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_amlp"))
}

/// A small pre-training; without batch norm a batch in portions gives the very same update up to rounding.
fn training(root: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = amlp();
    command.arg("pretrain").arg(root).arg("--out").arg(out);
    command.args(["--modality", "pet", "--spacing", "native", "--size", "32", "--width", "2", "--depth", "2"]);
    command.args(["--batch", "8", "--lr", "0.003", "--grid", "8", "--period", "1", "--epochs", "2"]);
    command.args(more);
    if !more.contains(&"--norm") {
        command.args(["--norm", "instance"]);
    }
    if !more.contains(&"--device") {
        command.args(["--device", "cpu"]);
    }
    command
}

/// A small fine-tuning.
fn tuning(root: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = amlp();
    command.arg("finetune").arg(root).arg("--out").arg(out);
    command.args(["--modality", "pet", "--spacing", "native", "--size", "32", "--width", "2", "--depth", "2"]);
    command.args(["--batch", "2", "--lr", "0.01", "--epochs", "2", "--labels", "2", "--from", "none"]);
    command.args(["--device", "cpu"]).args(more);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("checkpoints/last/model.safetensors")).unwrap()
}

fn losses(run: &Path) -> Vec<f64> {
    let (events, _) = fingerprint(run);
    events.iter().filter_map(|e| if let Event::Step { loss, .. } = e { Some(*loss) } else { None }).collect()
}

#[cfg(debug_assertions)]
#[test]
fn a_device_short_of_memory_trains_in_portions_and_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (short, chosen, whole) = (temp.path().join("short"), temp.path().join("chosen"), temp.path().join("whole"));
    let output = training(&root, &short, &[]).env("AMLP_DEVICE_FAULT", "memory:3").output().unwrap();
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    // How many slices the trial before the start takes on the CPU depends on its threads.
    assert!(text.contains("slices at once: going on with") && text.contains("micro_batch = 2"), "{text}");
    assert!(training(&root, &chosen, &["--micro-batch", "2"]).output().unwrap().status.success());
    assert!(weights(&short) == weights(&chosen), "running short is the same as having asked for two at once");
    assert!(training(&root, &whole, &[]).output().unwrap().status.success());
    let (portions, whole) = (losses(&short), losses(&whole));
    assert_eq!(portions.len(), whole.len());
    for (step, (a, b)) in portions.iter().zip(&whole).enumerate() {
        assert!((a - b).abs() < 1e-3 * b, "step {step}: {a} in portions, {b} at once");
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_device_without_memory_for_one_slice_ends_the_training_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let run = temp.path().join("run");
    let output = training(&root, &run, &[]).env("AMLP_DEVICE_FAULT", "memory:0").output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("a single slice") && text.contains("out of memory"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// A late failure in the second epoch, two steps after the last reading: the same as going on from the first epoch's end with
/// half as many slices at once, bit for bit, batch norm included.
#[cfg(debug_assertions)]
#[test]
fn memory_that_runs_out_unnoticed_is_as_if_the_portions_had_been_halved_before() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let settings = temp.path().join("late.toml");
    // Read so rarely that an epoch's losses are read at its end.
    std::fs::write(&settings, "[training]\nread_every = 100\n").unwrap();
    let late = ["--norm", "batch", "--config", settings.to_str().unwrap()];
    for (stage, job, batch) in
        [("pretrain", training as fn(&Path, &Path, &[&str]) -> Command, 8), ("finetune", tuning, 2)]
    {
        let place = temp.path().join(stage);
        std::fs::create_dir(&place).unwrap();
        late_failure(&place, batch, &|out, more| job(&root, out, &[&late[..], more].concat()));
    }
}

#[cfg(debug_assertions)]
fn late_failure(place: &Path, batch: usize, job: &dyn Fn(&Path, &[&str]) -> Command) {
    let [short, halved, whole] = ["short", "halved", "whole"].map(|name| place.join(name));
    assert!(run(&mut job(&whole, &[])).status.success());
    let steps = losses(&whole).len() / 2;
    assert!(steps >= 3, "the fault lies behind the steps that are waited for");

    let told = run(job(&short, &[]).env("AMLP_DEVICE_FAULT", format!("late:{}", steps + 2)));
    assert!(told.status.success(), "{}", text_of(&told));
    let warning = format!("no memory for {batch} slices at once: going on with {}", batch / 2);
    assert!(text_of(&told).contains(&warning), "{}", text_of(&told));

    let fault = format!("lost:{}", steps + 2);
    assert_eq!(run(job(&halved, &[]).env("AMLP_DEVICE_FAULT", fault)).status.code(), Some(1));
    let told = run(&mut job(&halved, &["--resume", "--micro-batch", &(batch / 2).to_string()]));
    assert!(told.status.success(), "{}", text_of(&told));
    assert_same(&short, &halved);
    assert!(losses(&short)[..steps] == losses(&whole)[..steps] && weights(&short) != weights(&whole));
}

#[cfg(debug_assertions)]
#[test]
fn memory_for_one_slice_that_runs_out_unnoticed_ends_the_training_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let out = temp.path().join("run");
    let told = run(training(&root, &out, &["--micro-batch", "1"]).env("AMLP_DEVICE_FAULT", "late:60"));
    assert_eq!(told.status.code(), Some(1));
    assert!(text_of(&told).contains("a single slice"), "{}", text_of(&told));
    assert!(!text_of(&told).contains("panicked"), "{}", text_of(&told));
}

#[cfg(debug_assertions)]
#[test]
fn a_lost_device_leaves_the_last_epochs_checkpoint_from_which_the_run_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (whole, cut) = (temp.path().join("whole"), temp.path().join("cut"));
    assert!(training(&root, &whole, &[]).output().unwrap().status.success());
    // The second epoch's second step.
    let steps = losses(&whole).len() / 2;
    let fault = format!("lost:{}", steps + 2);
    let output = training(&root, &cut, &[]).env("AMLP_DEVICE_FAULT", fault).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the device was lost") && text.contains("--resume"), "{text}");
    assert!(!cut.join("report.json").exists());
    let output = training(&root, &cut, &["--resume"]).output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    assert_same(&whole, &cut);
}

#[test]
fn two_devices_share_each_batch() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    for (run, device) in [(&one, "cpu"), (&two, "cpu,cpu")] {
        let output = training(&root, run, &["--device", device]).output().unwrap();
        assert!(output.status.success(), "{}", text_of(&output));
    }
    let config = std::fs::read_to_string(two.join("config.toml")).unwrap();
    assert!(config.contains("device = \"cpu,cpu\""), "{config}");
    for (step, (a, b)) in losses(&two).iter().zip(&losses(&one)).enumerate() {
        assert!((a - b).abs() < 1e-3 * b, "step {step}: {a} on two devices, {b} on one");
    }
    let output = training(&root, &temp.path().join("none"), &["--device", "cpu,cuda:77"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("cuda:77"), "{}", text_of(&output));
}

#[test]
fn losses_that_are_read_late_are_the_same_and_so_is_a_resumed_run() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let at_once = pretrain_config(&root);
    let (now, late, cut) = (temp.path().join("now"), temp.path().join("late"), temp.path().join("cut"));
    let events = pretrain(&at_once, &now, false, 0).unwrap();
    let steps = events.iter().filter(|e| matches!(e, Event::Step { .. })).count();
    let mut config = at_once.clone();
    config.training.read_every = 3;
    pretrain(&config, &late, false, 0).unwrap();
    assert_same(&now, &late);
    pretrain(&config, &cut, false, steps / 2).unwrap_err();
    pretrain(&config, &cut, true, 0).unwrap();
    assert_same(&now, &cut);

    let at_once = finetune_config(&root, None);
    let (now, late) = (temp.path().join("fine-now"), temp.path().join("fine-late"));
    finetune(&at_once, &now, false, 0).unwrap();
    let mut config = at_once;
    config.training.read_every = 5;
    finetune(&config, &late, false, 0).unwrap();
    assert_same(&now, &late);
}

#[test]
fn a_loss_that_is_not_finite_is_named_although_it_is_read_late() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = pretrain_config(&cohort(temp.path(), 8));
    (config.training.lr, config.training.read_every) = (1e30, 4);
    let error = pretrain(&config, &temp.path().join("run"), false, 0).unwrap_err();
    let engine::ErrorKind::NonFinite { step, slices, .. } = error.kind() else { panic!("{error}") };
    assert!(*step >= 1 && slices.contains("P0"), "{error}");
}

#[test]
fn a_training_that_the_device_cannot_do_is_refused_before_it_starts() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let output = training(&root, &temp.path().join("half"), &["--precision", "bf16"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("dtype = bf16"), "{}", text_of(&output));
    if engine::run::machine::memory_mib().is_some() {
        let mut config = pretrain_config(&root);
        config.training.batch = 60_000_000;
        let error = pretrain(&config, &temp.path().join("huge"), false, 0).unwrap_err().to_string();
        assert!(error.contains("fits; training.micro_batch") && error.contains("60000000 slices"), "{error}");
    } else {
        println!("skipped: this system does not report its memory");
    }
}

#[test]
fn a_benchmark_tells_what_it_measured() {
    let small =
        ["bench", "--device", "cpu", "--width", "2", "--depth", "2", "--size", "32", "--batch", "3", "--runs", "2"];
    let output = amlp().args(small).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (key, expected) in [("width", 2), ("size", 32), ("batch", 3), ("runs", 2), ("at_once", 3)] {
        assert_eq!(report[key], expected, "{key}");
    }
    assert_eq!((&report["device"], &report["dtype"]), (&Value::from("cpu"), &Value::from("f32")));
    for key in ["train_ms_min", "train_ms_median", "infer_ms_min", "infer_ms_median", "train_img_s", "infer_img_s"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    for phase in ["data_ms", "forward_ms", "losses_ms", "backward_ms", "optimiser_ms"] {
        assert!(report["phases"][phase].as_f64().unwrap() > 0.0, "{phase}");
    }
    if cfg!(target_os = "linux") {
        assert!(report["peak_memory_mib"].as_u64().unwrap() > 0);
    }
    let output = amlp().args(small).args(["--micro-batch", "2"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("training step") && table.contains("optimiser") && table.contains("2 at once"), "{table}");
    for (flags, expected) in [
        (vec!["--dtype", "bf16"], "f32 only"),
        (vec!["--dtype", "f16"], "f32 only"),
        (vec!["--size", "33"], "multiple of 2^depth"),
        (vec!["--device", "cuda:77"], "cuda:77"),
    ] {
        let arguments = small.iter().filter(|a| flags[0] != "--device" || (**a != "--device" && **a != "cpu"));
        let arguments = arguments.filter(|a| flags[0] != "--size" || (**a != "--size" && **a != "32"));
        let output = amlp().args(arguments).args(&flags).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        assert!(text_of(&output).contains(expected), "{flags:?}: {}", text_of(&output));
    }
}
