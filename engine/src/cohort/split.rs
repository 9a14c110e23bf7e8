//! Training, validation and test patients.
//!
//! The split is by patient: all scans of a patient are in one part. It is stratified by lesion volume, so that each part has
//! small, medium and large lesions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Cohort;
use super::label_budget::by_volume;
use crate::disk::atomic::write_atomic;
use crate::seed::{self, Stream};
use crate::words::of_serde;
use crate::{Error, ErrorKind, Result};

/// The version that this program writes.
const VERSION: u32 = 1;

/// Largest split file that is read.
const FILE_BYTES: u64 = 256 << 20;

/// The training, validation and test patients of a run (`split.json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Version of the record.
    pub version: u32,
    /// The seed it was drawn with.
    pub seed: u64,
    /// Training patients, sorted.
    pub train: Vec<String>,
    /// Validation patients, sorted.
    pub val: Vec<String>,
    /// Test patients, sorted.
    pub test: Vec<String>,
    /// Lesion volume of every patient in ml, the mean over its scans with a mask; `null` for a patient without. Labelled
    /// patients are drawn from it without reading masks.
    #[serde(default)]
    pub lesion_ml: BTreeMap<String, Option<f64>>,
    /// Patients of no part that the network was trained on before, by any of the runs that this one builds on, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
}

/// A part of a [`Split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Training patients.
    Train,
    /// Validation patients.
    Val,
    /// Test patients.
    Test,
    /// All patients.
    All,
}

impl std::str::FromStr for Part {
    type Err = Error;

    /// `train`, `val`, `test` or `all`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "train" => Ok(Self::Train),
            "val" => Ok(Self::Val),
            "test" => Ok(Self::Test),
            "all" => Ok(Self::All),
            _ => Err(Error::config("subset", text, "use train, val, test or all")),
        }
    }
}

impl Split {
    /// Draws 70 % training, 10 % validation and 20 % test patients, stratified by lesion volume (ml).
    ///
    /// Three patients are enough for one test patient, five for one validation patient. Patients without a mask go to
    /// the training part, since testing needs a reference; if no patient has a mask, all are drawn from.
    pub fn draw(patients: &[(String, Option<f64>)], seed: u64) -> Self {
        let labelled = patients.iter().filter(|(_, ml)| ml.is_some()).count();
        let count = if labelled > 0 { labelled } else { patients.len() };
        let share = |part: f64, least_of: usize| {
            let wanted = (part * count as f64 + 1e-9).round() as usize;
            wanted.max(usize::from(count >= least_of)).min(count.saturating_sub(1))
        };
        Self::draw_counts(patients, share(0.2, 3), share(0.1, 5), seed)
    }

    /// Draws `tests` test and `vals` validation patients, stratified by lesion volume (ml). All others are training patients,
    /// and so are patients without a mask, unless no patient has one. With too few patients the training part is empty.
    pub fn draw_counts(patients: &[(String, Option<f64>)], tests: usize, vals: usize, seed: u64) -> Self {
        let lesion_ml: BTreeMap<String, Option<f64>> = patients.iter().cloned().collect();
        let labelled: Vec<String> = by_volume(&lesion_ml, lesion_ml.keys());
        let unlabelled = || lesion_ml.iter().filter(|(_, ml)| ml.is_none()).map(|(id, _)| id.clone());
        let (mut pool, mut train): (Vec<String>, Vec<String>) =
            if labelled.is_empty() { (unlabelled().collect(), vec![]) } else { (labelled, unlabelled().collect()) };
        let tests = tests.min(pool.len());
        let vals = vals.min(pool.len() - tests);
        let mut test = draw_stratified(&mut pool, tests, &mut seed::stream(seed, "split: test", &[]));
        let mut val = draw_stratified(&mut pool, vals, &mut seed::stream(seed, "split: validation", &[]));
        train.append(&mut pool);
        for part in [&mut train, &mut val, &mut test] {
            part.sort_unstable();
        }
        Self { version: VERSION, seed, train, val, test, lesion_ml, seen: Vec::new() }
    }

    /// The patients of a part, sorted.
    pub fn part(&self, part: Part) -> Vec<String> {
        match part {
            Part::Train => self.train.clone(),
            Part::Val => self.val.clone(),
            Part::Test => self.test.clone(),
            Part::All => {
                let mut all: Vec<String> = self.train.iter().chain(&self.val).chain(&self.test).cloned().collect();
                all.sort_unstable();
                all
            }
        }
    }

    /// Fails if this split validates or tests on patients that the run of the split `earlier`, or one before it, was trained on,
    /// because a network cannot be measured on scans it has seen. The error names them. `path` is the file of this split.
    pub fn check_unseen(&self, earlier: &Self, cohort: &Cohort, path: &Path) -> Result<()> {
        let seen: BTreeSet<&str> = earlier.train.iter().chain(&earlier.seen).map(|id| patient_of(cohort, id)).collect();
        for (part, ids) in [("test", &self.test), ("val", &self.val)] {
            let named = ids.iter().filter(|id| seen.contains(patient_of(cohort, id)));
            let named: Vec<&str> = named.map(String::as_str).collect();
            if !named.is_empty() {
                let why = "the network was trained on these patients before. Move them to train, leave them out, or use the \
                           split of the run that it comes from";
                return Err(Error::field(path, part, named.join(", "), why));
            }
        }
        Ok(())
    }

    /// Remembers whom the run of the split `earlier`, and those before it, were trained on.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        let seen: BTreeSet<&String> = earlier.train.iter().chain(&earlier.seen).collect();
        self.seen = seen.into_iter().filter(|id| !self.train.contains(id)).cloned().collect();
        self
    }

    /// Fails if scans of one patient are in two parts, because the network would then be tested on a patient it was trained on.
    /// `path` is the file of this split.
    pub fn check_patients(&self, cohort: &Cohort, path: &Path) -> Result<()> {
        let mut part_of: BTreeMap<&str, &str> = BTreeMap::new();
        for (part, ids) in [("train", &self.train), ("val", &self.val), ("test", &self.test)] {
            for id in ids {
                let patient = patient_of(cohort, id);
                if let Some(other) = part_of.insert(patient, part).filter(|other| *other != part) {
                    let why =
                        format!("scans of patient {patient} are in {other} and {part}. Put all of them into one part");
                    return Err(Error::field(path, part, id, why));
                }
            }
        }
        Ok(())
    }

    /// Reads the split at `path`; draws and stores it there if no file exists.
    pub fn read_or_draw(path: &Path, draw: impl FnOnce() -> Result<Self>) -> Result<Self> {
        if path.exists() {
            return Self::read(path);
        }
        let split = draw()?;
        write_atomic(path, split.to_json()?.as_bytes())?;
        Ok(split)
    }

    /// Reads a split file, which may be hand-written.
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > FILE_BYTES {
            return Err(Error::file(
                path,
                format!("has {length} bytes, too large for a split. The limit is {FILE_BYTES}"),
            ));
        }
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let split: Self = serde_json::from_slice(&text).map_err(|e| Error::file(path, of_serde(&e.to_string())))?;
        if split.version != VERSION {
            let (found, supported) = (split.version.to_string(), VERSION.to_string());
            return Err(ErrorKind::Version { path: path.to_path_buf(), found, supported }.into());
        }
        let mut seen = BTreeSet::new();
        for id in split.train.iter().chain(&split.val).chain(&split.test) {
            if !seen.insert(id) {
                return Err(Error::field(path, "train, val, test", id, "a patient belongs to one part only"));
            }
        }
        Ok(split)
    }

    /// The split as pretty JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::config("split", "", e.to_string()))
    }
}

/// The patient with this id, or of the scan with this id.
fn patient_of<'a>(cohort: &'a Cohort, id: &'a str) -> &'a str {
    cohort.scans_of(id).next().map_or(id, |case| &case.patient)
}

/// Removes `count` entries from a sorted pool: a random one from each of `count` equal stretches.
fn draw_stratified(pool: &mut Vec<String>, count: usize, stream: &mut Stream) -> Vec<String> {
    let total = pool.len();
    let chosen: Vec<usize> =
        (0..count).map(|stretch| stream.random_range(stretch * total / count..(stretch + 1) * total / count)).collect();
    chosen.into_iter().rev().map(|at| pool.remove(at)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::label_budget::LabelBudget;
    use super::*;
    use proptest::prelude::*;

    fn patients(count: usize) -> Vec<(String, Option<f64>)> {
        (0..count).map(|n| (format!("P{n:03}"), Some((n * 37 % 101 + 1) as f64))).collect()
    }

    #[test]
    fn parts_are_70_10_20_percent_and_empty_only_with_too_few_patients() {
        for (count, expected) in [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [2, 0, 0]), (3, [2, 0, 1]), (4, [3, 0, 1])]
            .into_iter()
            .chain([(5, [3, 1, 1]), (10, [7, 1, 2]), (24, [17, 2, 5]), (100, [70, 10, 20])])
        {
            let split = Split::draw(&patients(count), 7);
            assert_eq!([split.train.len(), split.val.len(), split.test.len()], expected, "{count}");
        }
    }

    #[test]
    fn the_split_depends_on_the_seed_and_not_on_the_order() {
        let draw = |seed| Split::draw(&patients(40), seed);
        assert_eq!(draw(1), draw(1));
        let mut shuffled = patients(40);
        shuffled.reverse();
        assert_eq!(Split::draw(&shuffled, 1), draw(1), "the order in which patients are found does not count");
        assert_ne!(draw(1).test, draw(2).test);
    }

    #[test]
    fn test_patients_span_the_volumes() {
        for seed in 0..20 {
            let split = Split::draw(&patients(100), seed);
            let mut ranks: Vec<f64> = split.test.iter().map(|id| split.lesion_ml[id].unwrap()).collect();
            ranks.sort_by(f64::total_cmp);
            for (n, ml) in ranks.into_iter().enumerate() {
                assert!((ml - 5.05 * n as f64).abs() < 7.0, "seed {seed}, {n}: {ml}");
            }
        }
    }

    #[test]
    fn patients_without_a_mask_are_training_patients() {
        let mut all = patients(10);
        all.extend((0..5).map(|n| (format!("U{n}"), None)));
        let split = Split::draw(&all, 3);
        assert!(split.val.iter().chain(&split.test).all(|id| id.starts_with('P')));
        assert_eq!([split.train.len(), split.val.len(), split.test.len()], [12, 1, 2]);
        assert!(split.labelled(&LabelBudget::default()).unwrap().iter().all(|id| id.starts_with('P')));
        let none: Vec<_> = (0..10).map(|n| (format!("U{n}"), None)).collect();
        assert_eq!(Split::draw(&none, 3).test.len(), 2);
        assert!(Split::draw(&none, 3).labelled(&LabelBudget::default()).is_err());
    }

    /// A cohort of scans, by their id and their patient.
    fn scans(of: &[(&str, &str)]) -> Cohort {
        let mut cohort = Cohort::new(Path::new("c"), super::super::Layout::Brats);
        let case = |(id, patient): &(&str, &str)| super::super::Case {
            id: (*id).into(),
            patient: (*patient).into(),
            ..Default::default()
        };
        cohort.cases = of.iter().map(case).collect();
        cohort
    }

    fn split(train: &[&str], test: &[&str]) -> Split {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
        Split { train: ids(train), test: ids(test), ..Split::draw(&[], 0) }
    }

    #[test]
    fn a_split_that_tests_on_pre_training_patients_is_refused() {
        let all = patients(10);
        let pretraining = Split::draw(&all, 1);
        let (path, cohort) = (Path::new("own.json"), scans(&[]));
        pretraining.check_unseen(&pretraining, &cohort, path).unwrap();
        for part in ["test", "val"] {
            let mut own = pretraining.clone();
            let moved: Vec<String> = own.train.drain(..2).collect();
            let ids = if part == "test" { &mut own.test } else { &mut own.val };
            ids.extend(moved.iter().cloned());
            let error = own.check_unseen(&pretraining, &cohort, path).unwrap_err().to_string();
            assert!(error.starts_with("own.json") && error.contains(part), "{error}");
            assert!(moved.iter().all(|id| error.contains(id)), "{error}");
        }
    }

    #[test]
    fn another_scan_of_a_pre_training_patient_is_not_a_test_scan() {
        let (path, cohort) = (Path::new("own.json"), scans(&[("P1_1", "P1"), ("P1_2", "P1"), ("P2", "P2")]));
        let earlier = split(&["P1_1"], &["P2"]);
        split(&[], &["P2"]).check_unseen(&earlier, &cohort, path).unwrap();
        let error = split(&["P2"], &["P1_2"]).check_unseen(&earlier, &cohort, path).unwrap_err().to_string();
        assert!(error.contains("P1_2"), "{error}");
    }

    #[test]
    fn patients_of_all_earlier_runs_are_remembered() {
        let (path, cohort) = (Path::new("own.json"), scans(&[]));
        let (first, second) = (split(&["a", "b"], &["e"]), split(&["b", "c"], &["f"]));
        let second = second.after(&first);
        assert_eq!(second.seen, ["a"]);
        let text = second.to_json().unwrap();
        assert_eq!(serde_json::from_str::<Split>(&text).unwrap(), second);
        assert!(!first.to_json().unwrap().contains("seen"), "a field that earlier versions do not know");
        assert_eq!(split(&["d"], &[]).after(&second).seen, ["a", "b", "c"]);
        for test in ["a", "b", "c"] {
            let error = split(&["d"], &[test]).check_unseen(&second, &cohort, path).unwrap_err().to_string();
            assert!(error.contains(test), "{error}");
        }
        split(&["d"], &["e", "f"]).check_unseen(&second, &cohort, path).unwrap();
    }

    #[test]
    fn invalid_split_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("split.json");
        let split = Split::draw(&patients(12), 5);
        std::fs::write(&path, split.to_json().unwrap()).unwrap();
        assert_eq!(Split::read(&path).unwrap(), split);
        std::fs::write(&path, r#"{"version":1,"seed":0,"train":["a"],"val":["a"],"test":[]}"#).unwrap();
        assert!(Split::read(&path).unwrap_err().to_string().contains("a patient belongs to one part only"));
        std::fs::write(&path, r#"{"version":9,"seed":0,"train":[],"val":[],"test":[]}"#).unwrap();
        assert!(matches!(Split::read(&path).unwrap_err().kind(), ErrorKind::Version { .. }));
    }

    #[test]
    fn a_split_with_a_patient_in_two_parts_is_refused() {
        let cohort = scans(&[("P1_1", "P1"), ("P1_2", "P1"), ("P2", "P2")]);
        let path = Path::new("own.json");
        for fine in [split(&["P1"], &["P2"]), split(&["P1_1", "P1_2"], &["P2", "gone"])] {
            fine.check_patients(&cohort, path).unwrap();
        }
        let error = split(&["P1_1", "P2"], &["P1_2"]).check_patients(&cohort, path).unwrap_err().to_string();
        assert!(
            error.starts_with("own.json") && error.contains("scans of patient P1 are in train and test"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(count in 0usize..60, seed: u64) {
            let all = patients(count);
            let split = Split::draw(&all, seed);
            let ids: Vec<String> = all.into_iter().map(|(id, _)| id).collect();
            prop_assert_eq!(split.part(Part::All), ids);
        }
    }
}
