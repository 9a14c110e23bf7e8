//! `amlp segment` in job arrays: together the jobs segment every case once, and a restart repeats no finished case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::common::{cohort, finetune, finetune_config};
use serde_json::Value;

/// Segments all cases into `out`. Returns, for each case, whether it was skipped.
fn segment(model: &Path, root: &Path, out: &Path, more: &[&str]) -> BTreeMap<String, bool> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    command.args(["segment", "--json", "--device", "cpu", "--subset", "all", "--model"]).arg(model).arg(root);
    let output = command.arg("--out").arg(out).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = report["cases"].as_array().unwrap();
    cases.iter().map(|c| (c["case"].as_str().unwrap().into(), c["skipped"].as_bool().unwrap())).collect()
}

#[test]
fn jobs_segment_each_case_once_and_continue_after_a_stop() {
    let temp = tempfile::tempdir().unwrap();
    let root = cohort(temp.path(), 7);
    let model = temp.path().join("fine");
    let mut config = finetune_config(&root, None);
    config.training.epochs = 1;
    finetune(&config, &model, false, 0).unwrap();

    let (whole, parts) = (temp.path().join("whole"), temp.path().join("parts"));
    let all = segment(&model, &root, &whole, &[]);
    assert_eq!(all.len(), 7);
    let mut seen = BTreeSet::new();
    for shard in ["1/3", "2/3", "3/3"] {
        for (case, skipped) in segment(&model, &root, &parts, &["--shard", shard]) {
            assert!(!skipped && seen.insert(case));
        }
    }
    assert!(seen.iter().eq(all.keys()));
    for case in all.keys() {
        let mask = |folder: &Path| std::fs::read(folder.join(format!("{case}.nii.gz"))).unwrap();
        assert!(mask(&whole) == mask(&parts), "{case}");
    }

    // As if a job had died: one mask was cut, of another the record was never written.
    let cut = whole.join("P00.nii.gz");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::remove_file(whole.join("P01.segmented.json")).unwrap();
    let again = segment(&model, &root, &whole, &[]);
    let redone: Vec<&str> = again.iter().filter(|(_, skipped)| !**skipped).map(|(case, _)| case.as_str()).collect();
    assert_eq!(redone, ["P00", "P01"]);
    assert!(std::fs::read(&cut).unwrap() == bytes, "the cut mask is whole again");
    assert!(segment(&model, &root, &whole, &[]).values().all(|skipped| *skipped));
    // Other options, another model or an explicit request: everything is redone.
    assert!(segment(&model, &root, &whole, &["--min-volume", "0.01"]).values().all(|skipped| !*skipped));
    assert!(segment(&model, &root, &whole, &["--min-volume", "0.01", "--again"]).values().all(|skipped| !*skipped));
    let other = temp.path().join("other");
    config.seed = 5;
    finetune(&config, &other, false, 0).unwrap();
    assert!(segment(&other, &root, &whole, &["--min-volume", "0.01"]).values().all(|skipped| !*skipped));
}
