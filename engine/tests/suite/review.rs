//! The verdicts of a cohort: two processes, a kill in the middle of a verdict, and `amlp review`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::{cohort, patient};
use engine::ErrorKind;
use engine::review::{Entry, Verdict};
use engine::run::review::{ReviewWriter, read};
use engine::volume::nifti::{write_f32, write_label};
use engine::volume::{LabelVolume, Volume};
use serde_json::Value;

/// Names the cohort in the process of [`writer_process`].
const ROOT: &str = "AMLP_TEST_REVIEW";

fn entry(case: &str, verdict: Verdict, seconds: f64) -> Entry {
    Entry { verdict, seconds, reviewer: "AB".into(), time_ms: 1_767_225_600_000, ..Entry::new(case) }
}

/// The child process of the tests below: writes verdicts until its input ends.
#[test]
fn writer_process() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let (mut writer, _) = ReviewWriter::open(&PathBuf::from(root)).unwrap();
    for n in 0..3 {
        writer.append(&entry(&format!("P0{n}"), Verdict::Accepted, 1.0)).unwrap();
    }
    eprintln!("writes");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Starts [`writer_process`] in a child process. `fault` selects its kill point.
fn writer(root: &Path, fault: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "review::writer_process", "--nocapture"])
        .env(ROOT, root)
        .env("AMLP_FAULT", fault)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn another_process_can_read_but_not_write_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = writer(folder.path(), "");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("writes")));
    assert_eq!(read(folder.path()).unwrap().entries.len(), 3);
    let error = ReviewWriter::open(folder.path()).unwrap_err();
    let ErrorKind::InReview { process, .. } = error.kind() else { panic!("{error}") };
    #[cfg(unix)]
    assert_eq!(*process, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    let (_, log) = ReviewWriter::open(folder.path()).unwrap();
    assert_eq!((log.entries.len(), log.warnings().len()), (3, 0), "a killed writer does not block others");
}

#[test]
fn a_process_killed_during_a_verdict_loses_only_that_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = writer(folder.path(), "review-middle:3");
    child.stdin.take().unwrap().flush().unwrap();
    assert!(!child.wait().unwrap().success());
    let log = read(folder.path()).unwrap();
    assert_eq!(log.entries.len(), 2);
    assert!(log.torn_bytes > 0 && log.warnings()[0].contains("the last line is incomplete"), "{:?}", log.warnings());
    let (mut writer, _) = ReviewWriter::open(folder.path()).unwrap();
    writer.append(&entry("P02", Verdict::Rejected, 1.0)).unwrap();
    let after = read(folder.path()).unwrap();
    assert_eq!((after.entries.len(), after.warnings().len()), (3, 0));
}

fn amlp(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amlp")).arg("review").arg(root).args(arguments).output().unwrap()
}

fn queue(root: &Path, arguments: &[&str]) -> Value {
    let output = amlp(root, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(queue: &Value) -> Vec<&str> {
    queue["queue"].as_array().unwrap().iter().map(|row| row["case"].as_str().unwrap()).collect()
}

/// Four patients; three have an increasingly incomplete segmentation, two of them a probability.
fn reviewed(folder: &Path) -> PathBuf {
    let root = cohort(folder, 4);
    for number in 0..3 {
        let folder = root.join(format!("P{number:02}"));
        let (image, truth) = patient(number);
        let keep = |at: usize, label: u16| if at % 4 < number { 0 } else { label };
        let labels: Vec<u16> = truth.iter().enumerate().map(|(at, label)| keep(at, label)).collect();
        let mask = LabelVolume::new(truth.grid.clone(), labels).unwrap();
        write_label(&folder.join("pet_pred.nii.gz"), &mask, &image).unwrap();
        if number < 2 {
            let sure = if number == 0 { 0.9 } else { 0.6 };
            let probability: Vec<f32> = truth.iter().map(|label| if label > 0 { sure } else { 0.0 }).collect();
            write_f32(&folder.join("pet_prob.nii.gz"), &probability, &image).unwrap();
        }
    }
    let (mut writer, _) = ReviewWriter::open(&root).unwrap();
    for entry in [entry("P01", Verdict::Rejected, 30.0), entry("P00", Verdict::Accepted, 60.0)] {
        writer.append(&entry).unwrap();
    }
    root
}

#[test]
fn the_queue_is_printed_in_every_order() {
    let folder = tempfile::tempdir().unwrap();
    let root = reviewed(folder.path());
    let listed = queue(&root, &[]);
    assert_eq!(names(&listed), ["P00", "P01", "P02", "P03"]);
    assert_eq!(
        (&listed["decided"], &listed["cases"], &listed["seconds_per_case"]),
        (&2.into(), &4.into(), &45.0.into())
    );
    assert_eq!(listed["queue"][1]["verdict"], "rejected");
    assert_eq!(listed["verdicts"]["to_do"], 2);
    let worst = queue(&root, &["--order", "lowest-dice"]);
    assert_eq!(names(&worst), ["P02", "P01", "P00", "P03"]);
    assert_eq!((&worst["queue"][2]["score"], &worst["queue"][3]["no_score"]), (&1.0.into(), &"no segmentation".into()));
    let uncertain = queue(&root, &["--order", "uncertain"]);
    assert_eq!(names(&uncertain), ["P01", "P00", "P02", "P03"]);
    assert_eq!(uncertain["queue"][2]["no_score"], "no saved probability");
    let list = folder.path().join("list.csv");
    std::fs::write(&list, "case\nP03\nP01\nP99\n").unwrap();
    let by_list = queue(&root, &["--order", "list", "--list", list.to_str().unwrap()]);
    assert_eq!(names(&by_list), ["P03", "P01", "P00", "P02"]);
    assert_eq!(by_list["warnings"][0], "list.csv: 1 row names no case of this folder, such as P99");
    let change = queue(&root, &["--order", "volume-change"]);
    assert_eq!(change["queue"][0]["no_score"], "no earlier scan of this patient");
    let text = String::from_utf8(amlp(&root, &[]).stdout).unwrap();
    assert!(text.starts_with("2 of 4 done, 45 s each (2 to do, 1 accepted, 1 rejected)\n"), "{text}");
    assert!(!amlp(&root, &["--list", "x.csv"]).status.success());
}

#[test]
fn tables_and_pages_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = reviewed(folder.path());
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let output =
        amlp(&root, &["--csv", &at("cases.csv"), "--findings", &at("findings.csv"), "--report", &at("report")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
    let cases = text("cases.csv");
    let row: Vec<&str> = cases.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[3..10], ["accepted", "", "AB", "2026-01-01T00:00:00Z", "60.0", "segmentation", "1"]);
    let truth = LabelVolume::read(&root.join("P00/seg.nii.gz")).unwrap();
    assert!((row[12].parse::<f64>().unwrap() - truth.volume_ml()).abs() < 1e-6);
    let findings = text("findings.csv");
    let first: Vec<&str> = findings.lines().nth(1).unwrap().split(',').collect();
    let image = Volume::read(&root.join("P00/pet.nii.gz")).unwrap();
    let inside: Vec<f64> =
        truth.iter().zip(image.to_f32()).filter(|(l, _)| *l > 0).map(|(_, v)| f64::from(v)).collect();
    let mean = inside.iter().sum::<f64>() / inside.len() as f64;
    assert!((first[12].parse::<f64>().unwrap() - mean).abs() < 1e-5, "{first:?} {mean}");
    assert_eq!(first[14], "", "without a sidecar the unit is unknown");
    let index = text("report/index.html");
    assert!((0..4).all(|n| index.contains(&format!("href=\"P0{n}.html\""))), "{index}");
    assert!(text("report/P01.html").contains("data:image/png;base64,"));
    assert!(!index.contains(root.to_str().unwrap()), "no paths of this machine");
}
