//! What the label values of a cohort mean: from its own tables, else a guess.

use std::collections::BTreeMap;
use std::path::Path;

use super::dataset_json::DatasetInfo;
use super::{Cohort, LabelTable};
use crate::preprocess::{LabelMap, MapSource};
use crate::{Error, Result};

/// Label table of BIDS beside the cohort: columns `index` and `name`.
const DSEG_TSV: &str = "dseg.tsv";

/// How many folders above a scan a table is looked for: BIDS has it three above `sub-01/ses-1/anat/scan.nii.gz`.
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
fn of_tables(folder: &Path, dataset: &LabelTable) -> Result<Option<LabelMap>> {
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
    let bad = |e: csv::Error| Error::file(path, e.to_string());
    let mut table = csv::ReaderBuilder::new().delimiter(b'\t').from_path(path).map_err(bad)?;
    let columns = table.headers().map_err(bad)?.clone();
    let column = |name: &str| {
        let at = columns.iter().position(|column| column.trim().eq_ignore_ascii_case(name));
        at.ok_or_else(|| Error::file(path, format!("has no column {name}; expected index and name")))
    };
    let (index, name) = (column("index")?, column("name")?);
    let mut names = BTreeMap::new();
    for row in table.records() {
        let row = row.map_err(bad)?;
        let value = row.get(index).unwrap_or_default().trim();
        let label = value.parse().map_err(|_| Error::field(path, "index", value, "is no label value, 0 to 65535"))?;
        names.insert(label, row.get(name).unwrap_or_default().trim().to_owned());
    }
    Ok(names)
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
    fn the_cohorts_table_comes_before_the_guess() {
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
        // A scan of the cohort that is opened alone.
        let scan = found.cases[0].images.values().next().unwrap().path.clone();
        let (map, source) = label_map_of_scan(&scan, &["a name"]).unwrap();
        assert_eq!((map.to_string().as_str(), source), ("1=oedema,2=enhancing,3=core", MapSource::Cohort));
        std::fs::remove_file(folder.path().join("dataset.json")).unwrap();
        let alone = label_map_of_scan(&scan, &[&found.cases[0].id]).unwrap();
        assert_eq!(alone, Cohort::discover(folder.path()).unwrap().label_map().unwrap());
        std::fs::write(folder.path().join(DSEG_TSV), "value\tname\n1\tx\n").unwrap();
        assert!(label_map_of_scan(&scan, &[]).is_err());
        assert!(found.label_map().unwrap_err().to_string().contains("has no column index"));
    }
}
