//! Locations of the public corpora and their tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder of the corpus. If it does not exist, prints that the test is skipped.
pub fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: ../shared/corpus/{name} is absent");
    None
}

/// The rows of a tab-separated table by column name.
pub fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').from_path(path).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|r| names.iter().cloned().zip(r.unwrap().iter().map(str::to_owned)).collect());
    rows.collect()
}
