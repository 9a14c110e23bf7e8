//! The built program without display and adapter.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::phantom::{self, Files};
use crate::window::TIMEOUT;

/// The program without anything to draw on.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp-viewer"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "RUST_LOG"] {
        command.env_remove(name);
    }
    for name in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(name, "/nonexistent");
    }
    // Not by OpenGL either.
    command.env("WGPU_BACKEND", "vulkan");
    command
}

fn run(arguments: &[&Path]) -> Output {
    let mut child = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > TIMEOUT {
            child.kill().unwrap();
            panic!("it does not end: {arguments:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_the_error_names_what_was_tried_and_the_alternatives() {
    let files = Files::new();
    let output = run(&[&files.scan]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in ["DISPLAY is not set", "WAYLAND_DISPLAY is not set", "Vulkan", "amlp segment", "--state"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_the_demo_runs_in_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.arg("--demo").current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    let found = loop {
        let mut line = String::new();
        if stderr.read_line(&mut line).unwrap() == 0 {
            break false;
        }
        text.push_str(&line);
        if line.contains("amlp demo") {
            break true;
        }
    };
    // The engine's tests cover the training itself.
    drop(child.kill());
    drop(stderr.read_to_string(&mut String::new()));
    child.wait().unwrap();
    assert!(found && text.contains("in the terminal"), "{text}");
}

#[test]
fn the_state_report_needs_neither_display_nor_adapter() {
    let files = Files::new();
    let out = files.path("state.json");
    let output = run(&[
        &files.scan,
        Path::new("--mask"),
        &files.prediction,
        Path::new("--truth"),
        &files.truth,
        Path::new("--state"),
        &out,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let state = json(&out);
    let expected = [
        "mode",
        "file",
        "convention",
        "panes",
        "crosshair",
        "window",
        "level",
        "findings",
        "slice_dice",
        "metrics",
        "masking",
        "run",
        "errors",
    ];
    let keys: Vec<&String> = state.as_object().unwrap().keys().collect();
    for key in expected {
        assert!(keys.iter().any(|k| *k == key), "{key} is missing: {keys:?}");
    }
    assert_eq!(state["file"], files.scan.display().to_string());
    assert_eq!((&state["mode"], &state["convention"]), (&Value::from("review"), &Value::from("radiological")));
    assert_eq!(state["panes"][0]["letters"]["left"], "RI");
    assert_eq!(state["panes"].as_array().unwrap().len(), 4);
    assert_eq!(state["errors"], Value::Array(Vec::new()));
    assert_eq!(state["slice_dice"].as_array().unwrap().len(), phantom::SHAPE[2]);
    let finding = &state["findings"][0];
    for key in ["label", "volume_ml", "diameter_mm", "mean", "slice"] {
        assert!(finding[key].is_number(), "{key}: {finding}");
    }
    assert_eq!(state["panes"][0]["slice"], finding["slice"]);
    for key in ["voxel", "world_mm"] {
        assert_eq!(state["crosshair"][key].as_array().unwrap().len(), 3);
    }
    assert_eq!(state["crosshair"]["label"], 1);
}

#[test]
fn a_damaged_file_gives_exit_code_1_and_an_error_that_names_it() {
    let files = Files::new();
    let bytes = std::fs::read(&files.scan).unwrap();
    let damaged = files.path("damaged_ct.nii.gz");
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let out = files.path("state.json");
    let output = run(&[&damaged, Path::new("--state"), &out]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let state = json(&out);
    let errors = state["errors"].as_array().unwrap();
    assert!(errors.len() == 1 && errors[0].as_str().unwrap().contains("damaged_ct.nii.gz"), "{errors:?}");
    assert_eq!(state["panes"], Value::Array(Vec::new()));
    assert!(stderr(&output).contains("damaged_ct.nii.gz"));

    // A mask on another grid, a missing file, a slice that does not exist.
    let other = files.path("other_seg.nii.gz");
    phantom::write_mask(&other, &phantom::straight(), phantom::STORED, phantom::truth);
    let missing = files.path("missing_ct.nii.gz");
    let cases: [(&[&Path], &str); 3] = [
        (&[&files.scan, Path::new("--mask"), &other], "other_seg.nii.gz"),
        (&[&missing], "missing_ct.nii.gz"),
        (&[&files.scan, Path::new("--slice"), Path::new("24")], "--slice 24: "),
    ];
    for (arguments, named) in cases {
        let arguments = [arguments, &[Path::new("--state"), &out]].concat();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{named}: {}", stderr(&output));
        let errors = json(&out)["errors"].to_string();
        assert!(errors.contains(named), "{errors}");
    }
}

#[test]
fn a_screenshot_without_an_adapter_is_an_error() {
    let files = Files::new();
    let out = files.path("picture.png");
    let output = run(&[&files.scan, Path::new("--screenshot"), &out]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("no graphics adapter") && !out.exists(), "{}", stderr(&output));
}

#[test]
fn mask_options_work_with_a_patient_folder_but_not_with_a_cohort() {
    let files = Files::new();
    let patient_folder = |root: &str, patient: &str| {
        let folder = files.path(root).join(patient);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(&files.scan, folder.join("ct.nii.gz")).unwrap();
        std::fs::copy(&files.truth, folder.join("seg.nii.gz")).unwrap();
        folder
    };
    let (folder, out) = (patient_folder("one", "p1"), files.path("state.json"));
    let shown = |scan: &Path, more: &[&Path]| {
        let named = [Path::new("--mask"), &files.prediction, Path::new("--state"), &out];
        let output = run(&[&[scan], &named[..], more].concat());
        (output.status.code(), json(&out))
    };
    let (code, of_folder) = shown(&folder, &[]);
    assert_eq!(code, Some(0), "{}", of_folder["errors"]);
    let scan = folder.join("ct.nii.gz");
    let (_, of_files) = shown(&scan, &[Path::new("--truth"), &files.truth]);
    assert!(of_folder["metrics"]["dsc"].is_number(), "{}", of_folder["metrics"]);
    for key in ["metrics", "findings", "slice_dice", "file"] {
        assert_eq!(of_folder[key], of_files[key], "{key}");
    }

    let cohort = patient_folder("two", "p1").parent().unwrap().to_path_buf();
    patient_folder("two", "p2");
    let (code, state) = shown(&cohort, &[]);
    assert_eq!(code, Some(1));
    assert!(state["errors"].to_string().contains("has 2 patients: --mask"), "{}", state["errors"]);
}
