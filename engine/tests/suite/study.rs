//! Whole studies: learning rates are chosen without test patients, interrupted and sharded studies give the same tables, and no
//! test patient reaches training.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Watcher, cohort, patient, small_study};
use engine::cohort::split::Split;
use engine::device::Compute;
use engine::event::{Control, Event, EventSink};
use engine::jobs::stored_config;
use engine::run::study::find_studies;
use engine::run::{RunFolder, lock};
use engine::study::plan::MethodPlan;
use engine::study::summary::Metric;
use engine::study::{Plan, Shard, StudyContext, StudyProgress, StudyRunState, run};
use engine::study::{read_status, read_study, segmentations};
use engine::volume::nifti::{write_label, write_volume};

/// Two methods with the same settings, two pairs of learning rates, two folds and two draws, on ten synthetic patients.
fn plan(root: &Path) -> Plan {
    let study = r#"
        name = "small"
        labels = { budgets = ["2"], draws = 2, seeds = [0] }
        split = { folds = 2, test = "3", validation = "2" }
        methods = [{ name = "sup" }, { name = "base", preset = "base" }, { name = "mae", preset = "mae" }]
    "#;
    small_study(study, root, 2, (4, "[1e-3, 1e-2]"))
}

/// Starts or continues a study.
pub fn start(
    plan: &Plan,
    out: &Path,
    shard: Shard,
    sink: &mut dyn EventSink,
    control: &Control,
) -> engine::Result<StudyProgress> {
    run(plan, StudyContext { out, compute: &Compute::cpu(), control, sink }, shard, &mut |_| {})
}

/// Runs a study to its end. Returns its progress and the number of training steps.
pub fn whole(plan: &Plan, out: &Path) -> (StudyProgress, usize) {
    let control = Control::default();
    let mut watcher = Watcher::new(&control, 0);
    let progress = start(plan, out, Shard::WHOLE, &mut watcher, &control).unwrap();
    (progress, watcher.events.iter().filter(|event| matches!(event, Event::Step { .. })).count())
}

/// The files that must not depend on how the study was run: tables, learning rates, splits and figures.
pub fn tables(out: &Path) -> Vec<(String, Vec<u8>)> {
    let files =
        ["plan.lock.json", "splits.json", "results.csv", "summary.json", "tables.md", "tables.csv", "tables.tex"];
    let figures = fs::read_dir(out.join("figures")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = files.map(str::to_owned).to_vec();
    names.extend(figures.map(|name| format!("figures/{}", name.to_string_lossy())));
    names.sort();
    names.into_iter().map(|name| (name.clone(), fs::read(out.join(name)).unwrap())).collect()
}

/// Fails if two studies differ, and names the files.
pub fn assert_same_tables(one: &Path, other: &Path) {
    let (one, other) = (tables(one), tables(other));
    let differs = |at: usize| other.get(at).is_none_or(|file| *file != one[at]);
    let names: Vec<&str> = (0..one.len()).filter(|at| differs(*at)).map(|at| one[at].0.as_str()).collect();
    assert!(names.is_empty() && one.len() == other.len(), "{names:?}");
}

/// Runs a study in one go, interrupted after every `steps` steps, and as two shards started twice each. All give the same
/// tables. Returns the folder of the first.
pub fn every_way(plan: &Plan, folder: &Path, steps: usize) -> PathBuf {
    let reference = folder.join("reference");
    let (progress, _) = whole(plan, &reference);
    assert_eq!((progress.waiting, progress.pilots_waiting, progress.failed), (0, 0, 0));

    let stopped = folder.join("stopped");
    let mut starts = 0;
    loop {
        let control = Control::default();
        let mut watcher = Watcher::new(&control, steps);
        starts += 1;
        match start(plan, &stopped, Shard::WHOLE, &mut watcher, &control) {
            Ok(again) => break assert_eq!(again, progress),
            Err(error) => assert!(matches!(error.kind(), engine::ErrorKind::Cancelled), "{error}"),
        }
    }
    assert!(starts > 2, "{starts}");
    assert_same_tables(&stopped, &reference);

    let sharded = folder.join("sharded");
    let mut last = StudyProgress::default();
    for index in [1, 2, 1, 2] {
        let control = Control::default();
        let shard = Shard { index, count: 2 };
        last = start(plan, &sharded, shard, &mut |_: &Event| Ok(()), &control).unwrap();
    }
    assert_eq!(last, progress);
    assert_same_tables(&sharded, &reference);
    reference
}

#[test]
fn interrupted_and_sharded_studies_end_in_the_same_tables() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(&cohort(temp.path(), 10));
    let reference = every_way(&plan, temp.path(), 7);
    // Pilots of a fold: four fine-tuning runs from one pre-training run and from random weights. Finals: two folds of one
    // pre-training run, four fine-tuning runs from it and four from random weights. Base and mae are one run.
    assert_eq!(fs::read_dir(reference.join("runs")).unwrap().count(), 2 * (1 + 4) + (2 + 8));
    let expected = tables(&reference);
    let (again, steps) = whole(&plan, &reference);
    // Three methods, two folds, two draws.
    assert_eq!((again, steps), (StudyProgress { done: 12, ..StudyProgress::default() }, 0), "nothing is trained again");
    assert!(tables(&reference) == expected);
    let page = fs::read_to_string(reference.join("report.html")).unwrap();
    assert!(
        page.contains("2 labelled patients") && page.matches("<circle").count() == 3 * 6,
        "three methods, six test patients"
    );
}

/// Each shard measured the time of a step itself, so that shards trained different lengths and the tables never had all runs. Two
/// names for one setting were measured twice.
#[test]
fn shards_that_start_together_train_the_same_measured_length() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    (plan.split.folds, plan.labels.draws, plan.finetune.rates) = (1, 1, vec![1e-2]);
    (plan.pretrain.slices, plan.pretrain.seconds) = (None, Some(0.3));
    let out = temp.path().join("study");
    let shard = |index: usize| {
        let (control, shard) = (Control::default(), Shard { index, count: 2 });
        start(&plan, &out, shard, &mut |_: &Event| Ok(()), &control).unwrap()
    };
    std::thread::scope(|scope| [1, 2].map(|index| scope.spawn(move || shard(index))).map(|job| job.join().unwrap()));
    assert_eq!([shard(1), shard(2)].map(|progress| (progress.waiting, progress.failed)), [(0, 0); 2]);
    assert_eq!(fs::read_dir(out.join("runs")).unwrap().count(), 3, "sup, and the two stages of base, which is mae");
}

/// The rows of `results.csv`, by the names of its columns.
fn rows(out: &Path) -> Vec<BTreeMap<String, String>> {
    let mut rows = csv::Reader::from_path(out.join("results.csv")).unwrap();
    rows.deserialize().map(Result::unwrap).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_patient_with_several_scans_counts_once() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 10);
    // Patients with an even number were scanned again.
    for number in (0..10).step_by(2) {
        let (image, label) = patient(number + 10);
        let (before, after) = (root.join(format!("P{number:02}/ses-1")), root.join(format!("P{number:02}/ses-2")));
        for folder in [&before, &after] {
            fs::create_dir_all(folder).unwrap();
        }
        for file in ["pet.nii.gz", "seg.nii.gz"] {
            fs::rename(root.join(format!("P{number:02}")).join(file), before.join(file)).unwrap();
        }
        write_volume(&after.join("pet.nii.gz"), &image).unwrap();
        write_label(&after.join("seg.nii.gz"), &label, &image).unwrap();
    }
    let mut plan = plan(&root);
    (plan.split.folds, plan.labels.draws, plan.methods) = (1, 1, plan.methods[..2].to_vec());
    plan.split.test = "4".into();
    plan.finetune.rates = vec![1e-2];
    let out = temp.path().join("study");
    whole(&plan, &out);

    let rows = rows(&out);
    let mut by_patient: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut scans: BTreeSet<&str> = BTreeSet::new();
    for row in rows.iter().filter(|row| row["method"] == "sup") {
        by_patient.entry(&row["patient"]).or_default().push(row["dsc"].parse().unwrap());
        scans.insert(&row["scan"]);
    }
    let twice = by_patient.values().filter(|values| values.len() == 2).count();
    assert_eq!(by_patient.len(), 4);
    assert!((1..4).contains(&twice) && scans.len() == 4 + twice, "scanned once and twice: {by_patient:?}");
    let means: Vec<f64> = by_patient.values().map(|values| mean(values.iter().copied())).collect();
    let of_patients = mean(means.iter().copied());
    assert_ne!(of_patients, mean(by_patient.values().flatten().copied()), "the two means differ in this study");

    let summary: serde_json::Value = serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    let group = &summary[0];
    assert_eq!((group["patients"].as_u64(), group["scans"].as_u64()), (Some(4), Some(4 + twice as u64)));
    let dsc = &group["methods"][0]["metrics"]["dsc"];
    assert!((dsc["mean"].as_f64().unwrap() - of_patients).abs() < 1e-12, "{dsc}");
    let variance = means.iter().map(|v| (v - of_patients).powi(2)).sum::<f64>() / 3.0;
    assert!((dsc["sd_patients"].as_f64().unwrap() - variance.sqrt()).abs() < 1e-12, "{dsc}");
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(text.contains(&format!("4 test patients with {} scans", 4 + twice)), "{text}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(page.matches("<circle").count(), 2 * 4, "two methods, a dot for each patient");
}

#[test]
fn figures_are_stored_as_files_and_shown_in_the_page() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    plan.methods[2] = MethodPlan { name: "amlp 1".into(), preset: Some("amlp".into()), ..MethodPlan::default() };
    (plan.split.folds, plan.labels.draws, plan.labels.budgets) = (1, 1, vec!["1".into(), "3".into()]);
    (plan.pretrain.slices, plan.pretrain.epochs, plan.finetune.rates) = (None, Some(3), vec![1e-2]);
    plan.metrics = vec![Metric::BoundaryIou, Metric::Dsc];
    let out = temp.path().join("study");
    assert_eq!(whole(&plan, &out).0.done, 6);

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let pictures: Vec<&str> = page.split("<img src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let expected = ["segmentations-balls-1.png", "segmentations-balls-3.png", "label-updates-balls-amlp-1.png"]
        .map(|n| format!("figures/{n}"));
    assert_eq!(pictures, expected);
    for (name, bytes) in tables(&out).iter().filter(|(name, _)| name.starts_with("figures/")) {
        let is_picture = Path::new(name).extension().is_some_and(|end| end == "png");
        let start: &[u8] = if is_picture { b"\x89PNG" } else { b"<svg xmlns" };
        assert!(bytes.starts_with(start), "{name}");
    }
    let names = ["budgets-balls.svg", "patients-balls-1.svg", "patients-balls-3.svg"];
    assert!(names.iter().all(|name| out.join("figures").join(name).is_file()));
    // Three methods, three patients: dots of two budgets, and of the learning curve over both.
    assert_eq!(page.matches("<circle").count(), 2 * 9 + 18);
    assert!(page.contains("Boundary IoU by label budget") && !page.contains("could not be"), "{page}");
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(text.contains("| Method | Boundary IoU | DSC | SD patients | SD draws | Boundary IoU - sup"), "{text}");

    // Without the cohort the tables stay, and the page says which picture is missing.
    fs::rename(&plan.cohorts[0].path, temp.path().join("moved")).unwrap();
    let control = Control::default();
    start(&plan, &out, Shard::WHOLE, &mut |_: &Event| Ok(()), &control).unwrap();
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("No picture of the segmentations balls 1: ") && page.contains("does not exist"), "{page}");
    assert_eq!(fs::read_to_string(out.join("tables.md")).unwrap(), text);
}

#[test]
fn no_test_patient_is_used_in_pilots_or_training() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(&cohort(temp.path(), 10));
    let out = temp.path().join("study");
    whole(&plan, &out);
    let ids = |list: &serde_json::Value| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    let json = |path: &Path| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let part = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>();
    // The rates of each fold are chosen without its test patients.
    let folds: Vec<(BTreeSet<String>, BTreeSet<String>)> = json(&out.join("splits.json"))["folds"]["balls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fold| (ids(&fold["split"]["train"]), ids(&fold["split"]["test"])))
        .collect();
    for ((_, test), part) in folds.iter().zip(["balls", "balls, fold 2"]) {
        let lock = &json(&out.join("plan.lock.json"))["rates"][part];
        for method in ["sup", "base", "mae"] {
            assert_eq!(lock[method]["tried"].as_array().unwrap().len(), 2);
            let (labelled, validated) = (ids(&lock[method]["labelled"]), ids(&lock[method]["validated"]));
            assert!(labelled.is_disjoint(&validated) && labelled.is_disjoint(test) && validated.is_disjoint(test));
        }
    }
    let mut tested: Vec<BTreeSet<String>> = Vec::new();
    let mut pilots = 0;
    for entry in fs::read_dir(out.join("runs")).unwrap() {
        let path = entry.unwrap().path();
        let split: Split = RunFolder::open(&path).unwrap().read_split().unwrap();
        let config = stored_config(&path).unwrap();
        let (train, val, test) = (part(&split.train), part(&split.val), part(&split.test));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test), "{}", path.display());
        if let Some(list) = config.labels.labels.strip_prefix("patients:") {
            assert!(list.split(',').all(|id| train.contains(id)), "{list}");
            let report = json(&path.join("report.json"));
            assert_eq!(ids(&report["labelled"]), list.split(',').map(str::to_owned).collect());
            assert!(ids(&report["validated"]).is_disjoint(&test), "{report}");
            let measured = &json(&path.join("evaluation/evaluation.json"))["patients"];
            let measured = measured.as_array().unwrap().iter().map(|row| row["patient"].as_str().unwrap().to_owned());
            assert_eq!(measured.collect::<BTreeSet<_>>(), if test.is_empty() { val.clone() } else { test.clone() });
        }
        // Nothing that a pilot writes names a test patient of its fold.
        let of_fold = &folds.iter().find(|fold| fold.0 == train).unwrap().1;
        let forbidden = if test.is_empty() { of_fold } else { &test };
        let files: &[&str] = if test.is_empty() {
            pilots += 1;
            &["split.json", "config.toml", "events.jsonl", "report.json", "evaluation/evaluation.json"]
        } else {
            &["config.toml", "events.jsonl", "report.json"]
        };
        for text in files.iter().filter_map(|file| fs::read_to_string(path.join(file)).ok()) {
            let text = text.replace(&temp.path().display().to_string(), "");
            assert!(forbidden.iter().all(|id| !text.contains(id)), "{}: {text}", path.display());
        }
        if !test.is_empty() && !tested.contains(&test) {
            tested.push(test);
        }
    }
    assert_eq!((pilots, tested.len()), (2 * 5, 2));
    assert!(tested[0].is_disjoint(&tested[1]));
}

#[test]
fn a_failed_run_stays_in_the_table_with_its_reason() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    plan.split.folds = 1;
    plan.labels.draws = 1;
    plan.finetune.rates = vec![1e-2];
    plan.methods.remove(2);
    // The weights of its pre-training do not fit its fine-tuning's network.
    plan.methods[1].finetune = "[network]\ndepth = 3\n".parse().unwrap();
    let out = temp.path().join("study");
    let (progress, _) = whole(&plan, &out);
    assert_eq!(progress, StudyProgress { done: 1, failed: 1, ..StudyProgress::default() });
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    let row = text.lines().find(|line| line.starts_with("| base")).unwrap();
    assert!(row.contains("| - |"), "{row}");
    assert!(text.contains("base: 1 of 1 run failed."), "{text}");
    // It is retried, and another plan is not confused with this one.
    assert_eq!(whole(&plan, &out).0.failed, 1);
    plan.labels.draws = 2;
    let control = Control::default();
    let error = start(&plan, &out, Shard::WHOLE, &mut |_: &Event| Ok(()), &control).unwrap_err().to_string();
    assert!(error.contains("splits.json") && error.contains("another plan"), "{error}");
}

#[test]
fn a_method_whose_pilots_all_fail_stays_in_the_table_and_the_others_are_trained() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    plan.split.folds = 1;
    plan.labels.draws = 1;
    plan.methods.remove(2);
    let good = plan.clone();
    // The weights of its pre-training do not fit its fine-tuning's network.
    plan.methods[1].finetune = "[network]\ndepth = 3\n".parse().unwrap();
    let out = temp.path().join("study");
    let (progress, _) = whole(&plan, &out);
    assert_eq!(progress, StudyProgress { done: 1, failed: 1, ..StudyProgress::default() });
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(text.contains("base: 1 of 1 run failed. every pilot failed, the first with: "), "{text}");
    assert!(text.contains("| balls | base | - |"), "no rates: {text}");
    // The next start retries the pilots and keeps the chosen rates.
    let lock = |out: &Path| fs::read(out.join("plan.lock.json")).unwrap();
    let before = lock(&out);
    assert_eq!((whole(&plan, &out).0, lock(&out) == before), (progress, true));
    assert_eq!(whole(&good, &temp.path().join("good")).0.done, 2);
}

#[test]
fn a_network_with_empty_masks_stays_in_the_table_with_a_note() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    (plan.split.folds, plan.labels.draws, plan.finetune.rates) = (1, 1, vec![1e-2]);
    plan.methods.truncate(2);
    let out = temp.path().join("study");
    whole(&plan, &out);
    let note = "base: 1 run marks no voxel in any test patient.";
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(!text.contains(note));
    // A few steps: a comparison of such networks compares noise.
    assert_eq!(text.matches("Fine-tuning runs that have not converged:").count(), 1, "all methods in one note: {text}");
    assert!(text.contains("1 of base"), "{text}");
    // As if the network had collapsed: its evaluation measures empty masks, and one scan could not be read.
    let run = rows(&out).iter().find(|row| row["method"] == "base").unwrap()["run"].clone();
    // The training left a scan out, which no table of a study said.
    let path = out.join("runs").join(&run).join("report.json");
    let mut report: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    report["left_out"] = serde_json::json!([{ "case": "P99", "why": "a truncated file" }]);
    fs::write(&path, report.to_string()).unwrap();
    let path = out.join("runs").join(run).join("evaluation/evaluation.json");
    let mut evaluation: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let patients = evaluation["patients"].as_array_mut().unwrap();
    let lost = patients.pop().unwrap()["case"].clone();
    for patient in patients {
        (patient["measures"]["volume_ml"], patient["measures"]["dsc"]) = (0.0.into(), 0.0.into());
    }
    evaluation["left_out"] = serde_json::json!([{ "case": lost, "why": "a damaged file" }]);
    fs::write(&path, evaluation.to_string()).unwrap();
    assert_eq!(whole(&plan, &out).0.done, 2);
    let text = fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(text.contains(note) && text.contains("| base | 0.000 |"), "{text}");
    let test = format!("Scans left out of testing in some run: {} (a damaged file).", lost.as_str().unwrap());
    assert!(text.contains(&test), "{text}");
    assert!(text.contains("Scans left out of training in some run: P99 (a truncated file)."), "{text}");
}

#[test]
fn the_status_of_a_running_study_can_be_read() {
    let temp = tempfile::tempdir().unwrap();
    let mut plan = plan(&cohort(temp.path(), 10));
    plan.split.folds = 1;
    plan.methods.remove(2);
    let out = temp.path().join("studies/small");
    assert!(read_status(&out).unwrap_err().to_string().contains("is not a study folder"));
    assert!(find_studies(temp.path()).unwrap().is_empty());
    // Stopped while the pilots run: the first is done.
    let control = Control::default();
    let mut watcher = Watcher::new(&control, 6);
    start(&plan, &out, Shard::WHOLE, &mut watcher, &control).unwrap_err();
    assert_eq!(find_studies(temp.path()).unwrap(), std::slice::from_ref(&out));
    let status = read_status(&out).unwrap();
    // Two pilots of each method, and two draws.
    assert_eq!(status.runs.len(), 4 + 4);
    assert_eq!((status.done(), status.waiting(), status.frozen), (1, 7, false));
    assert!(status.runs[0].label.starts_with("pilot: balls, sup"), "{}", status.runs[0].label);
    assert!(status.seconds_left.is_none(), "no pre-training has ended that could be judged by");
    assert!(read_study(&out).unwrap().groups.is_empty());
    // Another process works on the second.
    let second = status.runs[1].folder.clone();
    let held = lock::Lock::take(&second).unwrap();
    let status = read_status(&out).unwrap();
    assert_eq!((status.running(), status.waiting(), status.processes), (1, 6, 1));
    assert_eq!(status.runs[1].state, StudyRunState::Running);
    drop(held);

    whole(&plan, &out);
    let study = read_study(&out).unwrap();
    assert!(study.status.is_complete() && study.status.frozen);
    assert_eq!((study.status.done(), study.status.seconds_left), (8, Some(0.0)));
    let stored: serde_json::Value = serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&study.groups).unwrap(), stored, "the numbers of the tables");
    // Every method's segmentation of a patient; a removed mask is reported.
    let first = &study.results.rows[0];
    let alike = |row: &&engine::study::Row| row.scan == first.scan && row.cell.draw == first.cell.draw;
    let rows: Vec<_> = study.results.rows.iter().filter(alike).cloned().collect();
    let found = segmentations(&out, &rows).unwrap();
    assert_eq!(found.iter().map(|one| one.method.as_str()).collect::<Vec<_>>(), ["sup", "base"]);
    assert!(found.iter().all(|one| one.has_mask && one.patient.case == first.scan));
    fs::remove_file(&found[1].patient.mask).unwrap();
    let masks: Vec<bool> = segmentations(&out, &rows).unwrap().iter().map(|one| one.has_mask).collect();
    assert_eq!(masks, [true, false]);

    // A run without its measures waits again, and one that failed has its reason.
    let runs: Vec<_> = study.status.runs.iter().rev().take(2).map(|run| run.folder.clone()).collect();
    runs.iter().for_each(|run| fs::remove_dir_all(run.join("evaluation")).unwrap());
    let name = runs[0].file_name().unwrap().to_str().unwrap();
    fs::create_dir_all(out.join("failed")).unwrap();
    fs::write(out.join(format!("failed/{name}.txt")), "out of memory").unwrap();
    let status = read_status(&out).unwrap();
    assert_eq!((status.done(), status.failed(), status.waiting()), (6, 1, 1));
    assert_eq!(status.runs[7].state, StudyRunState::Failed("out of memory".into()));
    assert!(status.seconds_left.is_some_and(|seconds| seconds >= 0.0));
    // A changed plan no longer describes the runs.
    let text = fs::read_to_string(out.join("plan.toml")).unwrap();
    fs::write(out.join("plan.toml"), text.replace("draws = 2", "draws = 1")).unwrap();
    assert!(read_status(&out).unwrap_err().to_string().contains("has changed"));
}
