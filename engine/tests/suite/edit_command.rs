//! `amlp edit` and `amlp journal`, as a user runs them.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::patient;
use engine::volume::nifti::{replace_labels, write_label, write_volume};
use engine::volume::{Grid, LabelVolume, MaskOptions, Scale, Volume, VoxelData};
use serde_json::Value;

const OPS: &str = r#"[
    {"op":"paint","label":2,"radius_mm":7,"mode":"3d","points_mm":[[40,10,38],[44,14,42]]},
    {"op":"grow","label":1,"mm":3},
    {"op":"undo"},
    {"op":"smooth","label":2,"mm":3,"overwrite":true},
    {"op":"remove_component","point_mm":[40,10,38]},
    {"op":"undo"},{"op":"redo"},{"op":"undo"},
    {"op":"relabel","from":2,"to":5}
]"#;

fn amlp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amlp")).args(arguments).output().unwrap()
}

fn done(output: &Output) -> (Value, String) {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), errors)
}

/// Writes image, mask and operations, and returns their paths.
fn files(folder: &Path, ops: &str) -> [String; 3] {
    let (image, label) = patient(2);
    let name = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let paths = [name("pet.nii.gz"), name("seg.nii.gz"), name("ops.json")];
    write_volume(paths[0].as_ref(), &image).unwrap();
    write_label(paths[1].as_ref(), &label, &image).unwrap();
    std::fs::write(&paths[2], ops).unwrap();
    paths
}

fn labels(path: &str) -> Vec<u16> {
    LabelVolume::read(path.as_ref()).unwrap().iter().collect()
}

#[test]
fn a_list_of_operations_changes_a_mask() {
    let folder = tempfile::tempdir().unwrap();
    let [image, mask, ops] = files(folder.path(), OPS);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (out, journal, restored) = (at("out.nii.gz"), at("p02.edits"), at("restored.nii.gz"));
    let edit = ["edit", "--image", &image, "--mask", &mask, "--ops", &ops, "--out", &out, "--journal", &journal];
    let (report, _) = done(&amlp(&[&edit[..], &["--json"]].concat()));
    let steps = report["ops"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["op"].as_str().unwrap()).collect();
    let expected = ["paint", "grow", "undo", "smooth", "remove_component", "undo", "redo", "undo", "relabel"];
    assert_eq!(names, expected);
    let changed: Vec<u64> = steps.iter().map(|step| step["voxels_changed"].as_u64().unwrap()).collect();
    assert!(changed.iter().all(|&n| n > 0), "{changed:?}");
    assert_eq!((changed[1], changed[4], changed[4], changed[4]), (changed[2], changed[5], changed[6], changed[7]));
    assert_eq!(steps[0]["label_volumes_ml"]["1"], steps[2]["label_volumes_ml"]["1"]);
    let edited = labels(&out);
    let count = |label: u16| edited.iter().filter(|&&l| l == label).count();
    assert_eq!(report["label_voxels"]["5"], count(5));
    assert!((report["label_volumes_ml"]["5"].as_f64().unwrap() - count(5) as f64 * 0.016).abs() < 1e-9);
    assert_eq!(count(2), 0);
    let like = Volume::read(image.as_ref()).unwrap();
    assert_eq!(LabelVolume::read(out.as_ref()).unwrap().grid, like.grid);

    // The journal gives the same mask, and a part of it an intermediate state.
    let (listed, _) = done(&amlp(&["journal", &journal, "--out", &restored, "--image", &image, "--json"]));
    assert_eq!((&listed["edits"], &listed["cut_bytes"]), (&9.into(), &0.into()));
    assert_eq!(listed["records"][1]["name"], "Grow by 3 mm, label 1");
    assert_eq!(std::fs::read(&restored).unwrap(), std::fs::read(&out).unwrap());
    done(&amlp(&["journal", &journal, "--out", &restored, "--edits", "0"]));
    assert_eq!(labels(&restored), labels(&mask));
    let whole = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    let (listed, stderr) = done(&amlp(&["journal", &journal, "--out", &restored, "--json"]));
    assert_eq!(listed["edits"], 8);
    assert!(stderr.contains("8 edits are intact") && stderr.contains("were ignored: it is truncated"), "{stderr}");
    assert_eq!(labels(&restored).iter().filter(|&&l| l == 2).count(), count(5), "before it was relabelled");
    assert_eq!(std::fs::metadata(&journal).unwrap().len(), whole.len() as u64 - 3, "reading changes nothing");
}

/// A 4-D mask is edited in one frame and keeps the others, also via the journal.
#[test]
fn one_frame_of_a_mask_is_edited() {
    let folder = tempfile::tempdir().unwrap();
    let [image, mask, ops] = files(folder.path(), OPS);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let frames = |path: &str| -> Vec<LabelVolume> {
        let cine = Volume { file_frames: 3, ..Volume::read(image.as_ref()).unwrap() };
        let read = LabelVolume::read_frames_for(path.as_ref(), &cine, MaskOptions::default()).unwrap();
        (0..read.frames()).map(|frame| read.read(frame).unwrap().labels).collect()
    };
    // The result of the same list on a single-frame mask.
    let alone = at("alone.nii.gz");
    done(&amlp(&["edit", "--image", &image, "--mask", &mask, "--ops", &ops, "--out", &alone]));
    let (one, expected) = (frames(&mask).remove(0), frames(&alone).remove(0));
    let still = Volume::read(image.as_ref()).unwrap();
    let (cine, masks) = (at("cine.nii.gz"), at("masks.nii.gz"));
    let values: Vec<f32> = (0..3).flat_map(|_| still.to_f32()).collect();
    write_volume(cine.as_ref(), &Volume::new(still.grid.clone(), VoxelData::F32(values), Scale::IDENTITY)).unwrap();
    replace_labels(masks.as_ref(), &[one.clone(), one.clone(), one.clone()], &still).unwrap();
    let (out, journal, restored) = (at("out.nii.gz"), at("p02.edits"), at("restored.nii.gz"));
    let edit = ["edit", "--image", &cine, "--mask", &masks, "--ops", &ops, "--out", &out, "--journal", &journal];
    let (report, stderr) = done(&amlp(&[&edit[..], &["--frame", "1", "--json"]].concat()));
    assert!(stderr.contains("has 3 frames. Frame 1 is used"), "{stderr}");
    assert_eq!(report["label_voxels"]["5"], expected.iter().filter(|&l| l == 5).count());
    assert_eq!(frames(&out), [one.clone(), expected, one]);
    let (listed, _) = done(&amlp(&["journal", &journal, "--out", &restored, "--image", &cine, "--json"]));
    assert_eq!((&listed["frames"], &listed["records"][0]["frame"]), (&3.into(), &1.into()));
    assert_eq!(std::fs::read(&restored).unwrap(), std::fs::read(&out).unwrap());
    let all: usize = frames(&out).iter().map(|frame| frame.iter().filter(|&l| l == 1).count()).sum();
    assert_eq!(listed["label_voxels"]["1"], all);
}

#[test]
fn an_invalid_list_names_the_operation_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (ops, expected) in [
        (r#"[{"op":"grow","label":1,"mm":3},{"op":"shrink","label":1}]"#, "operation 2: op = shrink: missing key `mm`"),
        (r#"[{"op":"remove_component","voxel":[0,0,0]}]"#, "operation 1: voxel = [0, 0, 0]: it is background"),
        (r#"[{"op":"boolean","operation":"union","a":1,"b":1,"of":"other"}]"#, "needs another mask"),
    ] {
        let [image, mask, list] = files(folder.path(), ops);
        let out = at("out.nii.gz");
        let output = amlp(&["edit", "--image", &image, "--mask", &mask, "--ops", &list, "--out", &out]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(errors.contains("ops.json") && errors.contains(expected), "{errors}");
        assert!(!Path::new(&out).exists());
    }
    let output = amlp(&["journal", &at("seg.nii.gz")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is not an edit journal"));
}

/// Errors and notes said "step", and the manual "operation".
#[test]
fn an_entry_of_a_list_is_called_an_operation_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let [image, mask, ops] = files(folder.path(), r#"[{"op":"undo"},{"op":"grow","label":9,"mm":3}]"#);
    let out = folder.path().join("out.nii.gz").to_str().unwrap().to_owned();
    let (_, notes) = done(&amlp(&["edit", "--image", &image, "--mask", &mask, "--ops", &ops, "--out", &out]));
    assert!(notes.contains("operation 1 (undo) changed nothing"), "{notes}");
    assert!(notes.contains("operation 2 (grow) changed nothing"), "{notes}");
    let help = String::from_utf8(amlp(&["edit", "--help"]).stdout).unwrap();
    assert!(!notes.contains("step") && !help.contains("step"), "{notes}{help}");
}

/// `--out` with the path of the scan replaced the scan by a mask.
#[test]
fn a_mask_is_never_written_over_the_file_it_is_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let [image, mask, ops] = files(folder.path(), r#"[{"op":"grow","label":1,"mm":3}]"#);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let journal = at("p.edits");
    let edit = ["edit", "--image", &image, "--mask", &mask, "--ops", &ops, "--journal", &journal, "--out"];
    done(&amlp(&[&edit[..], &[mask.as_str()]].concat()));
    let [scan, labels] = [&image, &mask].map(|path| std::fs::read(path).unwrap());
    for line in [
        [&edit[..], &[image.as_str()]].concat(),
        vec!["consensus", &mask, &image, "--out", &mask],
        vec!["journal", &journal, "--image", &image, "--out", &image],
    ] {
        let output = amlp(&line);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && errors.contains("would overwrite one of the inputs"), "{errors}");
    }
    assert!(std::fs::read(&image).unwrap() == scan && std::fs::read(&mask).unwrap() == labels);
}

/// The error spoke of a mask and its image, though both files are masks.
#[test]
fn a_consensus_of_masks_on_different_grids_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let [image, mask, _] = files(folder.path(), "[]");
    let other = folder.path().join("other.nii.gz").to_str().unwrap().to_owned();
    // Between the voxels of the other mask, so that it is not part of its grid.
    let mut grid = Grid::new([3, 4, 5], Volume::read(image.as_ref()).unwrap().grid.world_from_voxel);
    grid.world_from_voxel.translation.x += 0.37;
    let like = Volume::new(grid.clone(), VoxelData::F32(vec![0.0; 60]), Scale::IDENTITY);
    write_label(other.as_ref(), &LabelVolume::new(grid, vec![1_u8; 60]).unwrap(), &like).unwrap();
    let out = folder.path().join("out.nii.gz").to_str().unwrap().to_owned();
    let output = amlp(&["consensus", &mask, &other, "--out", &out]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains(&format!("masks {other} and {mask} have different grids")), "{errors}");
    assert!(!Path::new(&out).exists());
}

/// Kills the program while it edits: the journal restores the result of a shorter list of operations.
#[test]
fn the_journal_of_a_killed_edit_restores_the_first_operations() {
    let folder = tempfile::tempdir().unwrap();
    let stroke = |n: usize| {
        let (x, y, z) = (12 + n * 7 % 60, n * 11 % 50, 31 + n % 20);
        let label = 1 + n % 4;
        format!(r#"{{"op":"paint","label":{label},"radius_mm":6,"points_mm":[[{x},{},{z}]]}}"#, y as i64 - 18)
    };
    let all: Vec<String> = (0..4000).map(stroke).collect();
    let list = |n: usize| format!("[{}]", all[..n].join(","));
    let [image, mask, ops] = files(folder.path(), &list(all.len()));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (out, journal, restored) = (at("out.nii.gz"), at("p.edits"), at("restored.nii.gz"));
    let mut prefixes = Vec::new();
    for n in 0..12_u64 {
        let _ = std::fs::remove_file(&journal);
        let edit = ["edit", "--image", &image, "--mask", &mask, "--ops", &ops, "--out", &out, "--journal", &journal];
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_amlp")).args(edit).stdout(std::process::Stdio::null()).spawn().unwrap();
        // The delay starts when the journal is created, and grows with each attempt.
        while !Path::new(&journal).exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        std::thread::sleep(std::time::Duration::from_millis(3 * n));
        child.kill().unwrap();
        child.wait().unwrap();
        let (report, _) = done(&amlp(&["journal", &journal, "--out", &restored, "--json"]));
        let edits = report["edits"].as_u64().unwrap() as usize;
        prefixes.push(edits);
        let short = at("short.json");
        std::fs::write(&short, list(edits)).unwrap();
        done(&amlp(&["edit", "--image", &image, "--mask", &mask, "--ops", &short, "--out", &out]));
        assert_eq!(labels(&restored), labels(&out), "{edits} edits");
    }
    println!("restored {prefixes:?} of {} edits", all.len());
    assert!(prefixes.iter().any(|&n| n > 0 && n < all.len()), "{prefixes:?}: no kill hit the edits");
}
