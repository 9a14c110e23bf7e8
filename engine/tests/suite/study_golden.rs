//! The whole table of a small study on committed scans, bit for bit.
//!
//! The numbers are a function of the masks: everything after them is counted, or computed in one fixed order. The masks are
//! the same on every x86-64 processor, although sums of different vector instructions differ in their last bits (fused or not)
//! and so do weights after some steps: no voxel's probability lies that close to the threshold in this study. They were
//! compared with AVX-512, with AVX2 and without either.
//!
//! After a change that is meant to change results, `UPDATE_GOLDEN=1` writes the tables anew (and the scans, where they are gone).

use std::fs;
use std::path::Path;

use engine::study::Plan;

use crate::common::cohort;
use crate::study::whole;

/// The tables. `results.csv` is compared without the names of run folders, which later settings may change.
const TABLES: [&str; 3] = ["tables.md", "tables.csv", "results.csv"];

fn table(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let without_run = |line: &str| line.rsplit_once(',').map_or(line, |(rest, _)| rest).to_owned() + "\n";
    if name == "results.csv" { text.lines().map(without_run).collect() } else { text }
}

#[test]
fn the_tables_of_a_study_are_the_committed_ones() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/study");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update && !golden.join("cohort").exists() {
        cohort(&golden, 8);
    }
    let plan = Plan::read(&golden.join("plan.toml")).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("study");
    let (progress, _) = whole(&plan, &out);
    assert_eq!((progress.done, progress.failed), (12, 0));
    for name in TABLES {
        let found = table(&out, name);
        let path = golden.join(name);
        if update {
            fs::write(&path, &found).unwrap();
        }
        assert!(found == fs::read_to_string(&path).unwrap(), "{name} differs:\n{found}");
    }
}
