//! Several devices, micro-batches, devices that cannot train, and the benchmark of a device.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{cohort, fingerprint, pretrain, pretrain_config};
use engine::event::Event;
use serde_json::Value;

fn amlp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_amlp"))
}

/// A small pre-training run. It has no batch norm, so that micro-batches give the same update up to rounding.
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

#[test]
fn micro_batches_give_the_losses_of_whole_batches() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let (micro, whole) = (temp.path().join("micro"), temp.path().join("whole"));
    for (run, more) in [(&micro, &["--micro-batch", "2"][..]), (&whole, &[])] {
        let output = training(&root, run, more).output().unwrap();
        assert!(output.status.success(), "{}", text_of(&output));
    }
    assert_eq!(losses(&micro).len(), losses(&whole).len());
    for (step, (a, b)) in losses(&micro).iter().zip(&losses(&whole)).enumerate() {
        assert!((a - b).abs() < 1e-3 * b, "step {step}: {a} in micro-batches, {b} at once");
    }
    assert!(weights(&micro) != weights(&whole), "the batches were not split");
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
fn training_that_does_not_fit_the_device_is_refused_before_it_starts() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 8);
    let output = training(&root, &temp.path().join("half"), &["--precision", "bf16"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("dtype = bf16"), "{}", text_of(&output));
    if engine::disk::machine::memory_mib().is_some() {
        let mut config = pretrain_config(&root);
        config.training.batch = 60_000_000;
        let error = pretrain(&config, &temp.path().join("huge"), false, 0).unwrap_err().to_string();
        assert!(error.contains("fits. training.micro_batch") && error.contains("60000000 slices"), "{error}");
    } else {
        println!("skipped: this system does not report its memory");
    }
}

#[test]
fn a_benchmark_reports_every_measurement() {
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
