//! Meaning of a cohort's label values, from its tables or by a guess.

use std::collections::BTreeMap;
use std::path::Path;

use super::dataset_json::DatasetInfo;
use super::{Cohort, LabelNames};
use crate::preprocess::{LabelMap, MapSource};
use crate::volume::LabelTable;
use crate::{Error, Result};

/// BIDS label table in the cohort: columns `index` and `name`.
const DSEG_TSV: &str = "dseg.tsv";

/// Number of parent folders to search for a table: BIDS has it three above `sub-01/ses-1/anat/scan.nii.gz`.
const LEVELS_UP: usize = 3;

/// The tumour part of each label value of a scan that is opened without its cohort: from the nearest `dseg.tsv` or
/// `dataset.json` in its folder or up to three above, else a guess from the scan's names. The same tables and the same
/// guess as [`Cohort::label_map`].
///
/// # Errors
/// A table that cannot be read.
pub fn label_map_of_scan(scan: &Path, names: &[&str]) -> Result<(LabelMap, MapSource)> {
    let scan = std::path::absolute(scan).map_err(Error::io("read", scan))?;
    for folder in scan.ancestors().skip(1).take(1 + LEVELS_UP) {
        if let Some(map) = of_tables(folder, &DatasetInfo::read(folder)?.labels)? {
            return Ok((map, MapSource::Cohort));
        }
    }
    Ok(LabelMap::guess(names.iter().copied()))
}

/// The map by the tables of a folder; `None` if they name no tumour parts.
fn of_tables(folder: &Path, dataset: &LabelNames) -> Result<Option<LabelMap>> {
    let sidecar = read_dseg(&folder.join(DSEG_TSV))?;
    Ok(LabelMap::of_names(&sidecar, &BTreeMap::new()).or_else(|| LabelMap::of_names(&dataset.names, &dataset.regions)))
}

impl Cohort {
    /// The tumour part of each label value: from `dseg.tsv` or `dataset.json` in the cohort's folder, else a guess from the
    /// case names.
    ///
    /// # Errors
    /// A `dseg.tsv` that cannot be read.
    pub fn label_map(&self) -> Result<(LabelMap, MapSource)> {
        Ok(match of_tables(&self.root, &self.labels)? {
            Some(map) => (map, MapSource::Cohort),
            None => LabelMap::guess(self.cases.iter().map(|case| case.id.as_str())),
        })
    }
}

/// Label names by value; empty without a file.
fn read_dseg(path: &Path) -> Result<BTreeMap<u16, String>> {
    if !path.is_file() {
        return Ok(BTreeMap::new());
    }
    Ok(LabelTable::read(path)?.labels.into_iter().map(|(value, style)| (value, style.name)).collect())
}

/// Names, colours and locks of a mask's labels, from the first of: `<mask>.labels.tsv` and `labels.tsv` in its folder, a BIDS
/// table of its name (`<mask>.tsv` of a `..._dseg`), and the nearest `dseg.tsv` or `dataset.json` in its folder or up to three
/// levels up. Empty if there is none. An unreadable table is skipped with a message.
pub fn label_table_of_mask(mask: &Path) -> (LabelTable, Vec<String>) {
    let mask = std::path::absolute(mask).unwrap_or_else(|_| mask.to_path_buf());
    let own = LabelTable::path_beside(&mask);
    let stem = own.file_name().and_then(|name| name.to_str()?.strip_suffix(".labels.tsv")).unwrap_or_default();
    let bids = stem.to_lowercase().ends_with("dseg").then(|| mask.with_file_name(format!("{stem}.tsv")));
    let beside = [Some(own.clone()), bids, Some(mask.with_file_name("labels.tsv"))];
    let mut messages = Vec::new();
    let mut ignored = |error: Error| messages.push(format!("{error}. The table is ignored."));
    for path in beside.into_iter().flatten().filter(|path| path.is_file()) {
        match LabelTable::read(&path) {
            Ok(table) => return (table, messages),
            Err(error) => ignored(error),
        }
    }
    for folder in mask.ancestors().skip(1).take(1 + LEVELS_UP) {
        let dseg = folder.join(DSEG_TSV);
        let named = if dseg.is_file() {
            LabelTable::read(&dseg)
        } else {
            DatasetInfo::read(folder).map(|info| LabelTable::of_names(&info.labels.names))
        };
        match named {
            Ok(table) if table.labels.is_empty() => {}
            Ok(table) => return (table, messages),
            Err(error) => ignored(error),
        }
    }
    (LabelTable::default(), messages)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn cohort(root: &Path, ids: &[&str]) -> Cohort {
        for id in ids {
            std::fs::create_dir_all(root.join(id)).unwrap();
            for name in ["t1c", "seg"] {
                std::fs::write(root.join(id).join(format!("{id}-{name}.nii.gz")), b"").unwrap();
            }
        }
        Cohort::discover(root).unwrap()
    }

    #[test]
    fn the_cohorts_table_takes_precedence_over_the_guess() {
        let folder = tempfile::tempdir().unwrap();
        let found = cohort(folder.path(), &["BraTS-GLI-00000-100", "BraTS-GLI-00001-100"]);
        let (map, source) = found.label_map().unwrap();
        assert_eq!((map.to_string().as_str(), source), ("1=core,2=oedema,3=enhancing,4=other", MapSource::CaseNames));
        let table = "index\tname\n0\tbackground\n1\tenhancing\n2\tnecrosis\n3\tedema\n";
        std::fs::write(folder.path().join(DSEG_TSV), table).unwrap();
        let (map, source) = found.label_map().unwrap();
        assert_eq!((map.to_string().as_str(), source), ("1=enhancing,2=core,3=oedema", MapSource::Cohort));
        std::fs::remove_file(folder.path().join(DSEG_TSV)).unwrap();
        let dataset = r#"{"labels": {"background": 0, "edema": 1, "enhancing": 2, "necrosis": 3}}"#;
        std::fs::write(folder.path().join("dataset.json"), dataset).unwrap();
        let (map, source) = Cohort::discover(folder.path()).unwrap().label_map().unwrap();
        assert_eq!((map.to_string().as_str(), source), ("1=oedema,2=enhancing,3=core", MapSource::Cohort));
        // A scan of the cohort opened as a single file.
        let scan = found.cases[0].images.values().next().unwrap().path.clone();
        let (map, source) = label_map_of_scan(&scan, &["a name"]).unwrap();
        assert_eq!((map.to_string().as_str(), source), ("1=oedema,2=enhancing,3=core", MapSource::Cohort));
        std::fs::remove_file(folder.path().join("dataset.json")).unwrap();
        let alone = label_map_of_scan(&scan, &[&found.cases[0].id]).unwrap();
        assert_eq!(alone, Cohort::discover(folder.path()).unwrap().label_map().unwrap());
        std::fs::write(folder.path().join(DSEG_TSV), "number\tname\n1\tx\n").unwrap();
        assert!(label_map_of_scan(&scan, &[]).is_err());
        assert!(found.label_map().unwrap_err().to_string().contains("has no column index"));
    }

    #[test]
    fn the_nearest_label_table_is_used_and_an_unreadable_one_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let patient = folder.path().join("p01");
        std::fs::create_dir_all(&patient).unwrap();
        let mask = patient.join("seg.nii.gz");
        assert_eq!(label_table_of_mask(&mask), (LabelTable::default(), Vec::new()));
        let name = |mask: &Path| label_table_of_mask(mask).0.labels[&1].name.clone();
        std::fs::write(folder.path().join("dataset.json"), r#"{"labels": {"background": 0, "edema": 1}}"#).unwrap();
        assert_eq!(name(&mask), "edema");
        std::fs::write(folder.path().join(DSEG_TSV), "index\tname\n1\tfrom dseg\n").unwrap();
        assert_eq!(name(&mask), "from dseg");
        std::fs::write(patient.join("labels.tsv"), "value\tname\n1\tbeside\n").unwrap();
        assert_eq!(name(&mask), "beside");
        let bids = patient.join("sub-1_dseg.nii.gz");
        std::fs::write(patient.join("sub-1_dseg.tsv"), "index\tname\n1\tits own\n").unwrap();
        assert_eq!(name(&bids), "its own");
        std::fs::write(patient.join("seg.labels.tsv"), "index\tname\tcolor\n1\tbroken\tred\n").unwrap();
        let (table, messages) = label_table_of_mask(&mask);
        assert_eq!(table.labels[&1].name, "beside");
        assert!(
            matches!(&messages[..], [one] if one.contains("seg.labels.tsv") && one.contains("ignored")),
            "{messages:?}"
        );
        std::fs::write(patient.join("seg.labels.tsv"), "index\tname\n1\tsaved\n").unwrap();
        assert_eq!((name(&mask), label_table_of_mask(&mask).1.len()), ("saved".to_owned(), 0));
    }
}
