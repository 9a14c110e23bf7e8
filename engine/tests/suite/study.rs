//! A study as a whole: rates chosen without test patients, every start and shard leads to the same tables, no patient leaks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Watcher, cohort};
use engine::cohort::split::Split;
use engine::device::Compute;
use engine::event::{Control, Event, EventSink};
use engine::jobs::stored_config;
use engine::run::RunFolder;
use engine::study::{Place, Plan, Shard, StudyProgress, run};

/// Two methods with the same settings, two pairs of rates, two folds and two draws, on ten made-up patients.
fn plan(root: &Path) -> Plan {
    let text = r#"
        name = "small"
        labels = { budgets = ["2"], draws = 2, seeds = [0] }
        split = { folds = 2, test = "3", validation = "2" }
        cohorts = [{ name = "balls", path = "COHORT", modality = ["pet"] }]
        [[methods]]
        name = "sup"
        [[methods]]
        name = "base"
        preset = "base"
        [[methods]]
        name = "mae"
        preset = "mae"
        [pretrain]
        slices = 24
        rates = [3e-3]
        [finetune]
        steps = 4
        rates = [1e-3, 1e-2]
        [pretrain.settings]
        preprocess = { size = 32, spacing = "native" }
        network = { width = 2, depth = 2 }
        training = { batch = 8 }
        method = { grid = 8 }
        [finetune.settings]
        preprocess = { size = 32, spacing = "native" }
        network = { width = 2, depth = 2 }
        training = { batch = 4 }
    "#;
    Plan::from_toml(&text.replace("COHORT", &root.display().to_string()), Path::new("plan.toml")).unwrap()
}

fn start(
    plan: &Plan,
    out: &Path,
    shard: Shard,
    sink: &mut dyn EventSink,
    control: &Control,
) -> engine::Result<StudyProgress> {
    run(plan, Place { out, compute: &Compute::cpu(), control, sink }, shard, &mut |_| {})
}

fn whole(plan: &Plan, out: &Path) -> (StudyProgress, usize) {
    let control = Control::default();
    let mut watcher = Watcher::new(&control, 0);
    let progress = start(plan, out, Shard::WHOLE, &mut watcher, &control).unwrap();
    (progress, watcher.events.iter().filter(|event| matches!(event, Event::Step { .. })).count())
}

/// Everything that must not depend on how the study was carried out.
fn tables(out: &Path) -> Vec<Vec<u8>> {
    let files =
        ["plan.lock.json", "splits.json", "results.csv", "summary.json", "tables.md", "tables.csv", "tables.tex"];
    files.iter().map(|file| fs::read(out.join(file)).unwrap()).collect()
}

#[test]
fn every_way_through_a_study_ends_in_the_same_tables() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(&cohort(temp.path(), 10));
    let reference = temp.path().join("reference");
    let (progress, steps) = whole(&plan, &reference);
    // Three methods, two folds, two draws; base and mae are one training.
    assert_eq!(progress, StudyProgress { done: 12, ..StudyProgress::default() });
    let runs = fs::read_dir(reference.join("runs")).unwrap().count();
    // Pilots: four fine-tunings from one pre-training and from random weights. Finals: two folds of one pre-training, four
    // fine-tunings from it and four from random weights.
    assert_eq!(runs, (1 + 4) + (2 + 8));
    assert!(steps > 0);
    let expected = tables(&reference);
    let (again, steps) = whole(&plan, &reference);
    assert_eq!((again.done, steps), (12, 0), "a finished study trains nothing");
    assert!(tables(&reference) == expected);

    // Stopped again and again.
    let stopped = temp.path().join("stopped");
    let mut starts = 0;
    loop {
        let control = Control::default();
        let mut watcher = Watcher::new(&control, 7);
        starts += 1;
        match start(&plan, &stopped, Shard::WHOLE, &mut watcher, &control) {
            Ok(progress) => break assert_eq!(progress.done, 12),
            Err(error) => assert!(matches!(error.kind(), engine::ErrorKind::Cancelled), "{error}"),
        }
    }
    assert!(starts > 5, "{starts}");
    assert!(tables(&stopped) == expected);

    // As two shards, each started twice.
    let sharded = temp.path().join("sharded");
    let mut last = StudyProgress::default();
    for index in [1, 2, 1, 2] {
        let control = Control::default();
        let shard = Shard { index, count: 2 };
        last = start(&plan, &sharded, shard, &mut |_: &Event| Ok(()), &control).unwrap();
    }
    assert_eq!(last.done, 12);
    assert!(tables(&sharded) == expected);
    let page = fs::read_to_string(reference.join("report.html")).unwrap();
    assert!(
        page.contains("2 labelled patients") && page.matches("<circle").count() == 3 * 6,
        "three methods, six test patients"
    );
}

#[test]
fn no_patient_is_where_it_must_not_be() {
    let temp = tempfile::tempdir().unwrap();
    let plan = plan(&cohort(temp.path(), 10));
    let out = temp.path().join("study");
    whole(&plan, &out);
    let lock: serde_json::Value = serde_json::from_slice(&fs::read(out.join("plan.lock.json")).unwrap()).unwrap();
    assert_eq!(lock["rates"]["balls"]["sup"]["tried"].as_array().unwrap().len(), 2);
    let mut tested: Vec<BTreeSet<String>> = Vec::new();
    let mut pilots = 0;
    for entry in fs::read_dir(out.join("runs")).unwrap() {
        let path = entry.unwrap().path();
        let split: Split = RunFolder::open(&path).unwrap().read_split().unwrap();
        let config = stored_config(&path).unwrap();
        let part = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>();
        let (train, val, test) = (part(&split.train), part(&split.val), part(&split.test));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test), "{}", path.display());
        if let Some(list) = config.labels.labels.strip_prefix("patients:") {
            assert!(list.split(',').all(|id| train.contains(id)), "{list}");
            let evaluation: serde_json::Value =
                serde_json::from_slice(&fs::read(path.join("evaluation/evaluation.json")).unwrap()).unwrap();
            let measured = evaluation["patients"].as_array().unwrap().iter();
            let measured: BTreeSet<String> = measured.map(|row| row["case"].as_str().unwrap().to_owned()).collect();
            assert_eq!(measured, if test.is_empty() { val.clone() } else { test.clone() });
        }
        if test.is_empty() {
            pilots += 1;
        } else if !tested.contains(&test) {
            tested.push(test);
        }
    }
    assert_eq!((pilots, tested.len()), (5, 2));
    assert!(tested[0].is_disjoint(&tested[1]));
}

#[test]
fn a_training_that_fails_stays_in_the_table_with_its_reason() {
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
    assert!(text.contains("base: 1 of 1 trainings failed."), "{text}");
    // It is tried again, and another plan is not taken for this one.
    assert_eq!(whole(&plan, &out).0.failed, 1);
    plan.labels.draws = 2;
    let control = Control::default();
    let error = start(&plan, &out, Shard::WHOLE, &mut |_: &Event| Ok(()), &control).unwrap_err().to_string();
    assert!(error.contains("splits.json") && error.contains("another plan"), "{error}");
}
