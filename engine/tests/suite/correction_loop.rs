//! The correction loop as a user runs it: segment, correct, accept, retrain, and segment better.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{cohort, finetune, finetune_config};
use engine::ErrorKind;
use engine::cohort::Cohort;
use engine::cohort::corrections::{Addition, Corrections, Verdict};
use engine::cohort::split::Split;
use engine::device::Compute;
use engine::finetune::{FinetuneReport, initial_network};
use engine::jobs::retrain::{model_id, retrain_config};
use engine::model::record;
use engine::predict::Choice;
use engine::run::RunFolder;
use engine::volume::MaskOptions;
use serde_json::Value;

/// Number of patients without a reference in the cohort, whose segmentations are corrected later.
const UNLABELLED: usize = 4;

/// A cohort whose last patients have no mask yet, the masks that a reviewer draws for them, and a weak network that was
/// trained on one other patient.
struct CorrectionFixture {
    root: PathBuf,
    run: PathBuf,
    /// The masks that the reviewer draws, by patient.
    corrected: Vec<(String, PathBuf)>,
}

fn fixture(folder: &Path) -> CorrectionFixture {
    let root = cohort(folder, 14);
    let corrected = (14 - UNLABELLED..14)
        .map(|number| {
            let id = format!("P{number:02}");
            let drawn = folder.join(format!("{id}.nii.gz"));
            std::fs::rename(root.join(&id).join("seg.nii.gz"), &drawn).unwrap();
            (id, drawn)
        })
        .collect();
    let mut config = finetune_config(&root, None);
    (config.training.epochs, config.labels.labels, config.network.width) = (12, "1".into(), 4);
    let run = folder.join("fine");
    finetune(&config, &run, false, 0).unwrap();
    CorrectionFixture { root, run, corrected }
}

fn split(run: &Path) -> Split {
    RunFolder::open(run).unwrap().read_split().unwrap()
}

fn amlp(arguments: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    command.args(arguments);
    for (option, path) in paths {
        command.arg(option).arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

fn correct(fixture: &CorrectionFixture, id: &str, mask: &Path, verdict: Verdict) {
    let model = Some(model_id(&fixture.run, Choice::Last).unwrap());
    let addition = Addition { case: id, mask, verdict, reviewer: "AB", model, replace: false };
    let cohort = Cohort::discover(&fixture.root).unwrap();
    Corrections::add(&cohort, &Corrections::folder_of(&fixture.root), &addition, &MaskOptions::default()).unwrap();
}

#[test]
fn retraining_on_corrected_cases_improves_the_other_cases() {
    let temp = tempfile::tempdir().unwrap();
    let fixture = fixture(temp.path());
    let first = split(&fixture.run);
    let (out, next) = (temp.path().join("out"), temp.path().join("fine-2"));
    assert!(first.test.len() >= 2 && fixture.corrected.iter().all(|(id, _)| first.train.contains(id)), "{first:?}");

    // Three are segmented and corrected, and of a test patient the segmentation is accepted.
    let segment = ["segment", fixture.root.to_str().unwrap(), "--device", "cpu", "--subset", "all"];
    amlp(&segment, &[("--model", &fixture.run), ("--out", &out)]);
    for (id, drawn) in &fixture.corrected[..3] {
        let add = ["labels", "add", "--case", id, "--reviewer", "AB", "--json"];
        let added = json(&amlp(&add, &[("--cohort", &fixture.root), ("--mask", drawn), ("--model", &fixture.run)]));
        assert_eq!(
            (&added["correction"]["verdict"], &added["correction"]["model"]["run"]),
            (&"corrected".into(), &"fine".into())
        );
    }
    let tested = &first.test[0];
    let accepted = out.join(format!("{tested}.nii.gz"));
    let add = ["labels", "add", "--case", tested, "--reviewer", "AB", "--verdict", "accepted"];
    amlp(&add, &[("--cohort", &fixture.root), ("--mask", &accepted), ("--model", &fixture.run)]);
    let list = json(&amlp(&["labels", "list", "--json"], &[("--cohort", &fixture.root)]));
    assert_eq!(list["masks"].as_array().unwrap().len(), 4);

    let retrain =
        ["retrain", fixture.run.to_str().unwrap(), "--steps", "160", "--lr", "0.01", "--device", "cpu", "--json"];
    let done = amlp(&retrain, &[("--out", &next)]);
    let (report, stderr) = (json(&done), String::from_utf8_lossy(&done.stderr).into_owned());
    let expected: Vec<&str> = fixture.corrected[..3].iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(texts(&report["corrected"]), expected);
    let labelled = texts(&report["labelled"]);
    assert!(
        labelled.len() == 4 && expected.iter().all(|id| labelled.contains(id)),
        "the first run's one joins: {report}"
    );
    assert!(
        !labelled.contains(&tested.as_str())
            && stderr.contains(tested.as_str())
            && stderr.contains("is a test patient"),
        "{stderr}"
    );

    let change = &report["before_after"];
    let rows = change["patients"].as_array().unwrap();
    assert_eq!(rows.iter().filter_map(|row| row["patient"].as_str()).collect::<Vec<_>>(), first.test);
    assert!(rows.iter().all(|row| row["before"].is_f64() && row["after"].is_f64()), "{change}");
    let (before, after) = (change["before"].as_f64().unwrap(), change["after"].as_f64().unwrap());
    assert!(after > before + 0.05 && after > 0.6, "Dice {before} before, {after} after: {change}");
    assert_eq!((&change["from"], &change["part"]), (&"fine".into(), &"test".into()));
    let second = split(&next);
    assert_eq!((second.test, second.val), (first.test, first.val));
    let stored: FinetuneReport = RunFolder::open(&next).unwrap().read_report().unwrap();
    assert_eq!(serde_json::to_value(stored.before_after).unwrap(), *change);
    // The finished run still reports it.
    let again = amlp(&["resume", next.to_str().unwrap()], &[]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(text.contains("before (fine) and after") && text.contains(&format!("{after:.4}")), "{text}");
}

#[test]
fn retraining_starts_from_the_whole_network_and_resumes_with_the_same_masks() {
    let temp = tempfile::tempdir().unwrap();
    let fixture = fixture(temp.path());
    let why = |run: &Path| retrain_config(run, None, None, false).unwrap_err().to_string();
    assert!(why(&fixture.run).contains("has no corrected mask"), "{}", why(&fixture.run));
    let (tested, mask) = (split(&fixture.run).test[0].clone(), &fixture.corrected[0].1);
    let reference = fixture.root.join(&tested).join("seg.nii.gz");
    correct(&fixture, &tested, &reference, Verdict::Accepted);
    assert!(why(&fixture.run).contains("holds them out"), "{}", why(&fixture.run));

    correct(&fixture, &fixture.corrected[0].0, mask, Verdict::Corrected);
    let config = retrain_config(&fixture.run, None, None, false).unwrap();
    let source = finetune_config(&fixture.root, None);
    assert!((config.training.lr - 0.2 * source.training.lr).abs() < 1e-12);
    assert_eq!((config.training.epochs, config.training.min_steps), (4, 0));
    let started = record::to_bytes(&initial_network(&config, &Compute::cpu()).unwrap()).unwrap();
    let trained = std::fs::read(fixture.run.join("checkpoints/last/model.safetensors")).unwrap();
    assert!(started == trained, "head and running statistics are transferred too");

    let out = temp.path().join("next");
    let error = finetune(&config, &out, false, 2).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{error}");
    correct(&fixture, &fixture.corrected[1].0, &fixture.corrected[1].1, Verdict::Corrected);
    let error =
        finetune(&retrain_config(&fixture.run, None, None, false).unwrap(), &out, true, 0).unwrap_err().to_string();
    assert!(error.contains("labels.labels"), "another training: {error}");
    finetune(&config, &out, true, 0).unwrap();
    let report: FinetuneReport = RunFolder::open(&out).unwrap().read_report().unwrap();
    assert_eq!(report.corrected, [fixture.corrected[0].0.clone()]);
    assert_eq!(report.before_after, None, "the command and the window measure it after the training");
}
