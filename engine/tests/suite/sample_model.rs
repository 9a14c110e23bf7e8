//! The small model that the demo writes: its content, its segmentations, and the errors for damaged files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{cohort, finetune, finetune_config, patient, pretrain, pretrain_config};
use engine::cohort::Cohort;
use engine::device::Compute;
use engine::disk::atomic::sha256;
use engine::event::Control;
use engine::predict::{Choice, Segmenter, export_model};
use engine::volume::LabelVolume;
use engine::{Error, ErrorKind};

fn amlp(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amlp")).args(arguments).args(paths).output().unwrap()
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every file below a folder, by its path from there.
fn files(root: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_demo_writes_a_small_model_that_segments() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    fs::write(root.join("ATTRIBUTION.md"), "# The study\n\nMade up for a test, CC0.\n").unwrap();
    let out = temp.path().join("demo");
    let line =
        ["demo", "--seed", "5", "--steps", "2", "--fine-steps", "8", "--device", "cpu", "--threads", "2", "--sample"];
    let text = succeeds(&amlp(&line, &[&root, Path::new("--out"), &out]));
    let model = out.join("model");
    assert!(text.contains(&format!("Model: {}", model.display())), "{text}");

    let found = files(&model);
    let expected = [
        "MODEL.md",
        "checkpoints/last/manifest.json",
        "checkpoints/last/model.safetensors",
        "cohort.json",
        "config.toml",
        "split.json",
    ];
    assert_eq!(found, expected);
    let size: u64 = found.iter().map(|name| fs::metadata(model.join(name)).unwrap().len()).sum();
    assert!(size <= 8 << 20, "{size} bytes");
    for name in ["MODEL.md", "config.toml", "checkpoints/last/manifest.json"] {
        let text = fs::read_to_string(model.join(name)).unwrap();
        assert!(!text.contains(&*temp.path().to_string_lossy()), "{name} names a folder of this machine:\n{text}");
    }

    let card = fs::read_to_string(model.join("MODEL.md")).unwrap();
    let weights = fs::read(model.join("checkpoints/last/model.safetensors")).unwrap();
    let version = concat!("amlp ", env!("CARGO_PKG_VERSION"));
    let command = "`amlp demo --seed 5 --steps 2 --fine-steps 8 --device cpu --threads 2 --sample cohort`";
    for part in [command, version, &sha256(&weights), "Research use only", "Made up for a test, CC0."] {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
    let split: serde_json::Value = serde_json::from_slice(&fs::read(model.join("split.json")).unwrap()).unwrap();
    let held: Vec<&str> = split["test"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(card.contains(&format!("| held-out patients | {} |", held.join(", "))), "{card}");

    // It segments a held-out scan like the run of the demo.
    let again = temp.path().join("again");
    let scan = root.join(held[0]).join("pet.nii.gz");
    let line = ["segment", "--device", "cpu", "--threads", "2", "--model"];
    succeeds(&amlp(&line, &[&model, &scan, Path::new("--out"), &again]));
    let mask = |folder: PathBuf, name: &str| LabelVolume::read(&folder.join(format!("{name}.nii.gz"))).unwrap();
    assert_eq!(mask(again, "pet"), mask(out.join("masks"), held[0]));

    // Next to the patients it is neither a patient nor a problem.
    let cohort = Cohort::discover(&root).unwrap();
    fs::rename(&model, root.join("model")).unwrap();
    assert_eq!(Cohort::discover(&root).unwrap(), cohort);
}

/// A tiny run, and the model exported from it.
fn exported(temp: &Path) -> (PathBuf, PathBuf) {
    let (run, model) = (temp.join("run"), temp.join("model"));
    finetune(&finetune_config(&cohort(temp, 6), None), &run, false, 0).unwrap();
    let exported = export_model(&run, Choice::Last, &model).unwrap();
    let weights = fs::read(model.join(WEIGHTS)).unwrap();
    assert_eq!((exported.bytes, exported.sha256), (weights.len() as u64, sha256(&weights)));
    (run, model)
}

const WEIGHTS: &str = "checkpoints/last/model.safetensors";
const MANIFEST: &str = "checkpoints/last/manifest.json";

fn load(folder: &Path) -> Result<Segmenter, Error> {
    Segmenter::load(folder, Choice::Last, &Compute::cpu())
}

#[test]
fn an_exported_model_finds_what_its_run_finds() {
    let temp = tempfile::tempdir().unwrap();
    let (run, model) = exported(temp.path());
    let segment = |folder: &Path| {
        let image = patient(30).0;
        load(folder).unwrap().segment(&[image], &mut |_| {}, &Control::default()).unwrap().probability
    };
    assert_eq!(segment(&run), segment(&model));
    assert!(fs::metadata(run.join("checkpoints/last/optimizer.burnpack")).is_ok());
    assert_eq!(files(&model), [MANIFEST, WEIGHTS, "cohort.json", "config.toml", "split.json"]);

    let error = export_model(&run, Choice::Last, &model).unwrap_err().to_string();
    assert!(error.contains("already exists"), "{error}");
    let error = export_model(&run, Choice::Best, &temp.path().join("best")).unwrap_err().to_string();
    assert!(error.contains("no checkpoint best"), "this run never validated: {error}");
    let pre = temp.path().join("pre");
    pretrain(&pretrain_config(&cohort(temp.path(), 6)), &pre, false, 0).unwrap();
    let error = export_model(&pre, Choice::Last, &temp.path().join("x")).unwrap_err().to_string();
    assert!(error.contains("a pre-training run"), "{error}");
}

#[test]
fn an_exported_model_has_a_model_card() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 6);
    let (pre, run, model) = (temp.path().join("pre"), temp.path().join("run"), temp.path().join("model"));
    pretrain(&pretrain_config(&root), &pre, false, 0).unwrap();
    finetune(&finetune_config(&root, Some(&pre)), &run, false, 0).unwrap();
    let origin = temp.path().join("origin.md");
    fs::write(&origin, "Phantoms, CC0.\n").unwrap();
    let export =
        |run: &Path| amlp(&["export"], &[run, Path::new("--out"), &model, Path::new("--attribution"), &origin]);

    let refused = export(&pre);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("Fine-tune it first") && !model.exists(), "{text}");

    let stdout = succeeds(&export(&run));
    assert_eq!(stdout.trim(), format!("Model: {}", model.display()));
    let expected = ["MODEL.md", MANIFEST, WEIGHTS, "cohort.json", "config.toml", "split.json"];
    assert_eq!(files(&model), expected);
    let split: serde_json::Value = serde_json::from_slice(&fs::read(run.join("split.json")).unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    let ids = |list: &serde_json::Value| {
        list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let card = fs::read_to_string(model.join("MODEL.md")).unwrap();
    for part in [
        format!("| pre-trained without masks on | {} |", ids(&split["train"])),
        format!("| fine-tuned with the masks of | {} |", ids(&report["labelled"])),
        format!("| held-out patients | {} |", ids(&split["test"])),
        sha256(&fs::read(model.join(WEIGHTS)).unwrap()),
        "Phantoms, CC0.".into(),
    ] {
        assert!(card.contains(&part), "{part} is not in\n{card}");
    }
    assert!(!card.contains(&*temp.path().to_string_lossy()), "the card names a folder of this machine:\n{card}");
    load(&model).unwrap();
    let again = export(&run);
    assert!(String::from_utf8_lossy(&again.stderr).contains("already exists"));
    let of_model = export(&model);
    assert!(String::from_utf8_lossy(&of_model.stderr).contains("is already an exported model"));
}

#[test]
fn every_damage_is_a_named_error() {
    let temp = tempfile::tempdir().unwrap();
    let (_, model) = exported(temp.path());
    let edit = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = model.join(name);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(good, bad);
        fs::write(&path, bad).unwrap();
        let error = load(&model).err().unwrap();
        fs::write(&path, good).unwrap();
        load(&model).unwrap();
        assert!(error.to_string().lines().count() == 1, "{error}");
        error
    };
    let flip = |at: f64| {
        move |bytes: &mut Vec<u8>| {
            let position = (at * (bytes.len() - 1) as f64) as usize;
            bytes[position] ^= 0x10;
        }
    };
    let replace = |from: &'static str, to: &'static str| {
        move |bytes: &mut Vec<u8>| *bytes = String::from_utf8(bytes.clone()).unwrap().replace(from, to).into_bytes()
    };
    for at in [0.0, 0.001, 0.5, 1.0] {
        let error = edit(WEIGHTS, &flip(at));
        assert!(matches!(error.kind(), ErrorKind::Checksum { path, .. } if path.ends_with(WEIGHTS)), "{error}");
    }
    for keep in [0, 1, 1000] {
        let error = edit(WEIGHTS, &|bytes| bytes.truncate(keep)).to_string();
        assert!(error.contains("model.safetensors") && error.contains(&format!("has {keep} bytes")), "{error}");
    }
    let error = edit(MANIFEST, &replace("\"epoch\": 4", "\"epoch\": 5"));
    assert!(matches!(error.kind(), ErrorKind::Checksum { path, .. } if path.ends_with(MANIFEST)), "{error}");
    let error = edit(MANIFEST, &|bytes| bytes.truncate(40)).to_string();
    assert!(error.contains("manifest.json") && error.contains("is damaged"), "{error}");
    let error = edit("config.toml", &replace("version = 1", "version = 2"));
    let ErrorKind::Version { path, found, supported } = error.kind() else { panic!("{error}") };
    assert_eq!((path.ends_with("config.toml"), &**found, &**supported), (true, "2", "1"));
    let error = edit("config.toml", &|bytes| bytes.truncate(30)).to_string();
    assert!(error.contains("config.toml"), "{error}");
    // Settings of a different network from that of the weights.
    let error = edit("config.toml", &replace("width = 2", "width = 4")).to_string();
    assert!(error.contains("reading weights") && error.contains("tensor"), "{error}");
}

#[test]
fn a_missing_part_of_a_model_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let (_, model) = exported(temp.path());
    let aside = temp.path().join("aside");
    let without = |name: &str| {
        fs::rename(model.join(name), &aside).unwrap();
        let error = load(&model).err().unwrap();
        fs::rename(&aside, model.join(name)).unwrap();
        error
    };
    for name in [MANIFEST, WEIGHTS] {
        let error = without(name);
        assert!(matches!(error.kind(), ErrorKind::Io { path, .. } if path.ends_with(name)), "{error}");
    }
    let error = without("checkpoints/last").to_string();
    assert!(error.contains("has no checkpoint last or previous"), "{error}");
    let error = without("config.toml").to_string();
    assert!(error.contains("is not a run folder. It has no config.toml"), "{error}");
    // The program says the same in one line.
    fs::remove_file(model.join(MANIFEST)).unwrap();
    let scan = temp.path().join("cohort/P00/pet.nii.gz");
    let output = amlp(&["segment", "--device", "cpu", "--model"], &[&model, &scan, Path::new("--out"), temp.path()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("manifest.json"), "{text}");
}
