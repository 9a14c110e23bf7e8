//! The predefined plans as printed: `quick` on the sample study, `evidence` on a cohort in BraTS layout, and `paper-table-3`.
//! Each is stopped, continued and sharded, and must end in the same tables. All are shortened to a few steps, the long plans
//! also to a tiny network.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use engine::study::{Plan, ready_plan};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::{LabelVolume, Volume};

use crate::common::{cohort, patient};
use crate::study::{assert_same_tables, every_way};

/// A printed plan for another cohort. Methods, label budgets, draws, folds and the grid of learning rates stay.
fn printed(name: &str, root: &Path, modality: &str) -> Plan {
    let text = ready_plan(name).unwrap().replace("COHORT", &root.display().to_string()).replace("flair", modality);
    Plan::from_toml(&text, Path::new(name)).unwrap()
}

/// The plan, with runs of a few steps of a tiny network.
fn shortened(mut plan: Plan) -> Plan {
    for (stage, steps, more) in [(&mut plan.pretrain, 6, "method = { grid = 8 }\n"), (&mut plan.finetune, 2, "")] {
        (stage.steps, stage.slices, stage.epochs) = (Some(steps), None, None);
        let tiny = "preprocess = { size = 32, spacing = \"native\" }\nnetwork = { width = 2, depth = 2 }\n\
                    training = { batch = 8, every_slice = 2 }\n";
        stage.settings.extend(format!("{tiny}{more}").parse::<toml::Table>().unwrap());
    }
    plan
}

/// Ten patients in the layouts of BraTS 2020 and 2023, with the regions' labels of those years. The last was scanned twice.
fn brats(folder: &Path) -> PathBuf {
    let root = folder.join("brats");
    for number in 0..11 {
        let (name, ends, enhancing) = if number < 5 {
            (format!("BraTS20_Training_{:03}", number + 1), ["_t1", "_t1ce", "_t2", "_flair", "_seg"], 4)
        } else {
            let (patient, time) = (number.min(9), 100 + number / 10);
            (format!("BraTS-GLI-{patient:05}-{time}"), ["-t1n", "-t1c", "-t2w", "-t2f", "-seg"], 3)
        };
        let folder = root.join(&name);
        fs::create_dir_all(&folder).unwrap();
        let file = |end: &str| folder.join(format!("{name}{end}.nii.gz"));
        let (image, label) = patient(number);
        for (channel, end) in ends[..4].iter().enumerate() {
            let values = image.to_f32().iter().map(|value| value * (channel + 1) as f32).collect();
            write_volume(&file(end), &Volume::from_f32(image.grid.clone(), values)).unwrap();
        }
        let regions = label.iter().enumerate().map(|(at, l)| if l == 0 { 0 } else { [1, 2, enhancing][at % 3] });
        let regions = LabelVolume::new(label.grid.clone(), regions.collect::<Vec<u8>>()).unwrap();
        write_label(&file(ends[4]), &regions, &image).unwrap();
    }
    root
}

#[test]
fn the_evidence_plan_runs_on_a_cohort_in_brats_layout() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = shortened(printed("evidence", &brats(temp.path()), "flair"));
    // Two of five draws, two of three rates: the runs are as many as a test has time for.
    plan.labels.draws = 2;
    plan.pretrain.rates.truncate(2);
    plan.finetune.rates.truncate(2);
    let reference = every_way(&plan, temp.path(), 25);
    let text = fs::read_to_string(reference.join("tables.md")).unwrap();
    for row in ["| sup | ", "| base | ", "| amlp | ", "| amlp-plus | "] {
        // A row in the table of each budget.
        assert!(
            text.lines().filter(|line| line.starts_with(row) && line.matches('[').count() >= 2).count() == 2,
            "{text}"
        );
    }
    for name in [
        "segmentations-my-cohort-5-percent.png",
        "segmentations-my-cohort-10-percent.png",
        "label-updates-my-cohort-amlp.png",
    ] {
        assert!(reference.join("figures").join(name).is_file(), "{name}");
    }
    // Every patient has a part, and a patient's two scans have the same.
    let splits: serde_json::Value = serde_json::from_slice(&fs::read(reference.join("splits.json")).unwrap()).unwrap();
    let split = &splits["folds"]["my cohort"][0]["split"];
    let count = |part: &str| split[part].as_array().unwrap().len();
    assert_eq!([count("train"), count("val"), count("test")], [5, 1, 4], "{split}");
}

#[test]
fn the_unshortened_evidence_plan_lists_its_runs_and_hours() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("plan.toml");
    let text = ready_plan("evidence").unwrap().replace("COHORT", &brats(temp.path()).display().to_string());
    fs::write(&file, text).unwrap();
    let out = temp.path().join("study");
    let output = amlp(&["study", "--dry-run", "--json"], &file, &out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let estimate: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = estimate["jobs"].as_array().unwrap();
    let mut trainings: BTreeMap<&str, usize> = BTreeMap::new();
    for job in jobs {
        assert!(job["seconds"].as_f64().unwrap() > 0.0 && job["done"] == false, "{job}");
        assert!(job["steps"].as_u64().unwrap() >= 300, "unshortened: {job}");
        *trainings.entry(job["stage"].as_str().unwrap()).or_default() += 1;
    }
    // Pilots: three methods at three rates, each fine-tuned at three rates, and so is sup. Finals: three methods with two
    // seeds, then four methods, two seeds and five draws; with five training patients both budgets are one patient, and
    // draws of the same patient are one run.
    assert_eq!(trainings["pretrain"], 3 * 3 + 3 * 2, "{trainings:?}");
    let (pilots, draws) = (3 * 3 * 3 + 3, 1..=5);
    assert!(draws.map(|draws| pilots + 4 * 2 * draws).any(|count| trainings["finetune"] == count), "{trainings:?}");
    assert!(estimate["hours"].as_f64().unwrap() > 0.0 && !out.exists(), "nothing is left behind");
}

/// One command for a folder: each modality separately, shrunk, and the hours of all runs before any training.
#[test]
fn a_plan_of_the_paper_runs_on_a_cohort_at_a_scale() {
    let temp = tempfile::tempdir().unwrap();
    let (root, out) = (brats(temp.path()), temp.path().join("study"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    command.args(["study", "paper-table-4", "--modality", "flair,t1", "--scale", "0.25", "--dry-run", "--json"]);
    let output = command.arg("--cohort").arg(root).arg("--out").arg(&out).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let estimate: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = estimate["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 12, "{jobs:?}");
    for modality in ["flair", "t1"] {
        for (method, stage) in
            ["random", "background-first", "lesion-first"].iter().flat_map(|m| [(m, "pretrain"), (m, "finetune")])
        {
            let label = format!("{modality}, 10% labelled, {method}, ");
            let own =
                |job: &&serde_json::Value| job["stage"] == stage && job["label"].as_str().unwrap().starts_with(&label);
            assert_eq!(jobs.iter().filter(own).count(), 1, "{label}{stage}: {jobs:?}");
        }
    }
    assert!(estimate["hours"].as_f64().unwrap() > 0.0 && !out.exists(), "nothing is left behind");
    // The measurement of a large network takes minutes, in which nothing was said.
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(
        messages
            .lines()
            .filter(|line| line.starts_with("timed a step of ") && line.contains(", flair, 10% labelled, "))
            .count()
            >= 4,
        "{messages}"
    );
}

#[test]
fn the_plan_of_table_3_is_stopped_continued_and_sharded() {
    let temp = tempfile::tempdir().unwrap();
    let plan = shortened(printed("paper-table-3", &cohort(temp.path(), 10), "pet"));
    let reference = every_way(&plan, temp.path(), 25);
    let text = fs::read_to_string(reference.join("tables.md")).unwrap();
    for method in &plan.methods {
        assert!(text.contains(&format!("| {} | 0.", method.name)), "{}: {text}", method.name);
    }
    // The paper's numbers are in separate columns.
    assert!(text.contains("### Table 3. Parts of the method: my cohort, 5% labels"), "{text}");
    let base = text.lines().find(|line| line.starts_with("| base | ")).unwrap();
    assert!(text.contains("| DSC (paper) | HD95 (mm) (paper) |") && base.ends_with("| 0.5692 | 62.342 |"), "{base}");
}

fn amlp(line: &[&str], plan: &Path, out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    command.args(line).arg(plan).arg("--out").arg(out).stdin(Stdio::null());
    command
}

/// Starts a study with piped messages.
fn spawn(plan: &Path, out: &Path, line: &[&str]) -> Child {
    let command = [&["study"][..], line].concat();
    amlp(&command, plan, out).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a study and returns its exit code and messages.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Interrupts a study, as Ctrl+C does, after the message `after`, while the next run trains.
#[cfg(unix)]
fn interrupted(mut child: Child, after: &str) -> (Option<i32>, String) {
    let mut output = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        output += &line.unwrap();
        output.push('\n');
        if output.lines().last().is_some_and(|line| line.starts_with(after)) {
            let kill = format!("kill -INT {}", child.id());
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        }
    }
    (child.wait().unwrap().code(), output)
}

#[cfg(unix)]
#[test]
fn the_quick_plan_is_interrupted_continued_and_shared_by_two_processes() {
    let temp = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let output = Command::new(env!("CARGO_BIN_EXE_amlp")).args(["study", "--print-plan", "quick"]).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    // The same runs, each with fewer steps.
    let sample = sample.display().to_string();
    for (from, to) in [("assets/sample", &*sample), ("slices = 320", "slices = 96"), ("steps = 60", "steps = 12")] {
        assert_eq!(text.matches(from).count(), 1, "{from}: {text}");
        text = text.replace(from, to);
    }
    let plan = temp.path().join("plan.toml");
    fs::write(&plan, text).unwrap();

    let [reference, stopped, shared] = ["reference", "stopped", "shared"].map(|name| temp.path().join(name));
    let (code, output) = ended(spawn(&plan, &reference, &[]));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("run 6 of 6") && output.contains(" left)"), "{output}");

    for after in ["pilot 1 of 6", "run 2 of 6"] {
        let (code, output) = interrupted(spawn(&plan, &stopped, &[]), after);
        assert_eq!(code, Some(130), "{output}");
    }
    assert_eq!(ended(spawn(&plan, &stopped, &[])).0, Some(0));
    assert_same_tables(&stopped, &reference);

    // Two shards at the same time, then both again: the first round ends with the pilots.
    for _ in 0..2 {
        let shards = ["1/2", "2/2"].map(|shard| spawn(&plan, &shared, &["--shard", shard]));
        for shard in shards {
            let (code, output) = ended(shard);
            assert_eq!(code, Some(0), "{output}");
        }
    }
    let (code, output) = ended(spawn(&plan, &shared, &[]));
    assert_eq!(code, Some(0), "{output}");
    assert_same_tables(&shared, &reference);
}
