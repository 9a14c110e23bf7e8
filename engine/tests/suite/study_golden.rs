//! The whole table of a small study on committed scans, bit for bit.
//!
//! Instruction sets round sums of products differently. After some steps voxels near the threshold change sides, and the tables
//! differ in the third decimal. The study therefore runs with portable kernels, which give the same results everywhere. The
//! exponential and logarithm of the system use FMA where the processor has it; without FMA this test is skipped.
//!
//! After an intended change of results, `UPDATE_GOLDEN=1` rewrites the tables.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Names of the compared files. `results.csv` is compared without the names of run folders, which depend on the settings.
const TABLES: [&str; 3] = ["tables.md", "tables.csv", "results.csv"];

fn table(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let without_run = |line: &str| line.rsplit_once(',').map_or(line, |(rest, _)| rest).to_owned() + "\n";
    if name == "results.csv" { text.lines().map(without_run).collect() } else { text }
}

/// True where the system's mathematical functions use FMA.
fn is_fused() -> bool {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        return true;
    }
    false
}

#[test]
fn the_tables_of_a_study_equal_the_committed_ones() {
    if !is_fused() {
        println!("skipped: the committed tables are those of processors with FMA");
        return;
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/study");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("study");
    let mut amlp = Command::new(env!("CARGO_BIN_EXE_amlp"));
    let done =
        amlp.arg("study").arg(golden.join("plan.toml")).arg("--out").arg(&out).env("AMLP_SIMD", "portable").output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for name in TABLES {
        let found = table(&out, name);
        let path = golden.join(name);
        if update {
            fs::write(&path, &found).unwrap();
        }
        assert!(found == fs::read_to_string(&path).unwrap(), "{name} differs:\n{found}");
    }
}
