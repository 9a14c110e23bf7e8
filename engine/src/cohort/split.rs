//! Train, validation and test patients, and the labelled part of the training patients.
//!
//! Both are stratified by lesion volume: patients are ordered by it, and each part takes its share from small, middling
//! and large lesions alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::seed::{self, Stream};
use crate::{Error, ErrorKind, Result};

/// The version that this program writes.
const VERSION: u32 = 1;

/// Largest split file that is read.
const FILE_BYTES: u64 = 256 << 20;

/// Which patients train, validate and test (`split.json`).
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
    /// Lesion volume of every patient in ml, `null` for one without a label: labelled subsets are drawn from it without
    /// reading a mask.
    #[serde(default)]
    pub lesion_ml: BTreeMap<String, Option<f64>>,
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
    /// All of them.
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
            _ => Err(Error::config("subset", text, "expected train, val, test or all")),
        }
    }
}

/// How many of the training patients are labelled.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelShare {
    /// This many in a hundred, at least one.
    Percent(f64),
    /// This many.
    Count(usize),
    /// All that have a label.
    All,
    /// These and no others, by their ids.
    Patients(Vec<String>),
}

/// Before a list of patients.
const BY_NAME: &str = "patients:";

impl std::str::FromStr for LabelShare {
    type Err = Error;

    /// `5%`, a number of patients, `all`, or `patients:ID,ID`; ids with a comma in them cannot be named.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let why = "expected a share such as 5%, a number of patients, all, or patients:ID,ID";
            Error::config("labels", text, why)
        };
        let text = text.trim();
        if let Some(list) = text.strip_prefix(BY_NAME) {
            let ids: Vec<String> = list.split(',').map(|id| id.trim().to_owned()).collect();
            if ids.iter().any(String::is_empty) {
                return Err(bad());
            }
            return match ids.iter().find(|id| ids.iter().filter(|other| other == id).count() > 1) {
                Some(id) => Err(Error::config("labels", text, format!("{id} stands there twice"))),
                None => Ok(Self::Patients(ids)),
            };
        }
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        if let Some(share) = text.strip_suffix('%') {
            let share: f64 = share.trim().parse().map_err(|_| bad())?;
            return if share > 0.0 && share <= 100.0 { Ok(Self::Percent(share)) } else { Err(bad()) };
        }
        match text.parse() {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(bad()),
        }
    }
}

impl std::fmt::Display for LabelShare {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percent(share) => write!(to, "{share}%"),
            Self::Count(count) => write!(to, "{count}"),
            Self::All => write!(to, "all"),
            Self::Patients(ids) => write!(to, "{BY_NAME}{}", ids.join(",")),
        }
    }
}

impl Split {
    /// Draws 70 % training, 10 % validation and 20 % test patients, stratified by lesion volume (ml).
    ///
    /// At least one patient tests where there are three, and at least one validates where there are five. Patients
    /// without a label train, unless none has one: a test needs a mask to be compared with.
    pub fn draw(patients: &[(String, Option<f64>)], seed: u64) -> Self {
        let labelled = patients.iter().filter(|(_, ml)| ml.is_some()).count();
        let count = if labelled > 0 { labelled } else { patients.len() };
        let share = |part: f64, least_of: usize| {
            let wanted = (part * count as f64 + 1e-9).round() as usize;
            wanted.max(usize::from(count >= least_of)).min(count.saturating_sub(1))
        };
        Self::draw_counts(patients, share(0.2, 3), share(0.1, 5), seed)
    }

    /// Draws `tests` test and `vals` validation patients, stratified by lesion volume (ml); the others train. Patients
    /// without a label train, unless none has one. Fewer patients than asked for leave none to train.
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
        Self { version: VERSION, seed, train, val, test, lesion_ml }
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

    /// The labelled part of the training patients: see [`labelled_subset`].
    pub fn labelled(&self, share: &LabelShare, seed: u64) -> Result<Vec<String>> {
        let of = |id: &String| (id.clone(), self.lesion_ml.get(id).copied().flatten());
        labelled_subset(&self.train.iter().map(of).collect::<Vec<_>>(), share, seed)
    }

    /// Reads a split (`split.json`, or one of the user's own).
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > FILE_BYTES {
            return Err(Error::file(path, format!("{length} bytes are too many for a split")));
        }
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let split: Self = serde_json::from_slice(&text).map_err(|e| Error::file(path, e.to_string()))?;
        if split.version != VERSION {
            let (found, supported) = (split.version.to_string(), VERSION.to_string());
            return Err(ErrorKind::Version { path: path.to_path_buf(), found, supported }.into());
        }
        let mut seen = BTreeSet::new();
        for id in split.train.iter().chain(&split.val).chain(&split.test) {
            if !seen.insert(id) {
                return Err(Error::field(path, "train, val, test", id, "a patient may stand in one part, and once"));
            }
        }
        Ok(split)
    }

    /// The split as pretty JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::config("split", "", e.to_string()))
    }
}

/// The labelled ones of `ids` by volume, then by id.
fn by_volume<'a>(lesion_ml: &BTreeMap<String, Option<f64>>, ids: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut known: Vec<(f64, &String)> =
        ids.filter_map(|id| Some((lesion_ml.get(id).copied().flatten()?, id))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    known.into_iter().map(|(_, id)| id.clone()).collect()
}

/// Takes `count` of an ordered pool: one from each of as many equal stretches, anywhere in it.
fn draw_stratified(pool: &mut Vec<String>, count: usize, stream: &mut Stream) -> Vec<String> {
    let total = pool.len();
    let chosen: Vec<usize> =
        (0..count).map(|stretch| stream.random_range(stretch * total / count..(stretch + 1) * total / count)).collect();
    chosen.into_iter().rev().map(|at| pool.remove(at)).collect()
}

/// The labelled patients among `train` (ids with their lesion volume in ml; those without one never count): sorted ids of
/// max(1, round(p n)) patients, n being the patients that have a label.
///
/// Subsets of one seed are nested (5 % lies within 10 %) and each spans the lesion volumes. An error if no patient has a
/// label, fewer than asked for by number, or one that is named has none or does not train.
pub fn labelled_subset(train: &[(String, Option<f64>)], share: &LabelShare, seed: u64) -> Result<Vec<String>> {
    let lesion_ml: BTreeMap<String, Option<f64>> = train.iter().cloned().collect();
    let ordered = by_volume(&lesion_ml, lesion_ml.keys());
    let total = ordered.len();
    if total == 0 {
        return Err(Error::config("labels", share, "no training patient has a label"));
    }
    let count = match share {
        LabelShare::All => total,
        LabelShare::Patients(ids) => {
            if let Some(id) = ids.iter().find(|id| !ordered.contains(id)) {
                let why = if lesion_ml.contains_key(id) { "has no label" } else { "is no training patient" };
                return Err(Error::config("labels", share, format!("{id} {why}")));
            }
            let mut chosen = ids.clone();
            chosen.sort_unstable();
            return Ok(chosen);
        }
        LabelShare::Count(count) if *count > total => {
            return Err(Error::config("labels", share, format!("only {total} training patients have a label")));
        }
        LabelShare::Count(count) => *count,
        LabelShare::Percent(percent) => (percent / 100.0 * total as f64 + 1e-9).round() as usize,
    };
    let mut subset = spread(&ordered, &mut seed::stream(seed, "labelled subset", &[]));
    subset.truncate(count.clamp(1, total));
    subset.sort_unstable();
    Ok(subset)
}

/// A random order of which every beginning spans the whole list: the orders of the two halves, interleaved in pairs,
/// a coin deciding which half comes first in each pair.
fn spread(ordered: &[String], stream: &mut Stream) -> Vec<String> {
    if ordered.len() < 4 {
        let mut few = ordered.to_vec();
        few.shuffle(stream);
        return few;
    }
    // The odd one belongs to either half.
    let middle = ordered.len() / 2 + if stream.random() { ordered.len() % 2 } else { 0 };
    let (low, high) = (spread(&ordered[..middle], stream), spread(&ordered[middle..], stream));
    let (mut low, mut high) = (low.into_iter(), high.into_iter());
    let mut order = Vec::with_capacity(ordered.len());
    loop {
        let (a, b) = (low.next(), high.next());
        let pair = if stream.random() { [a, b] } else { [b, a] };
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patients(count: usize) -> Vec<(String, Option<f64>)> {
        (0..count).map(|n| (format!("P{n:03}"), Some((n * 37 % 101) as f64))).collect()
    }

    #[test]
    fn shares_are_70_10_20_and_never_empty_where_they_need_not_be() {
        for (count, expected) in [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [2, 0, 0]), (3, [2, 0, 1]), (4, [3, 0, 1])]
            .into_iter()
            .chain([(5, [3, 1, 1]), (10, [7, 1, 2]), (24, [17, 2, 5]), (100, [70, 10, 20])])
        {
            let split = Split::draw(&patients(count), 7);
            assert_eq!([split.train.len(), split.val.len(), split.test.len()], expected, "{count}");
        }
    }

    #[test]
    fn the_seed_decides() {
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
    fn patients_without_label_train() {
        let mut all = patients(10);
        all.extend((0..5).map(|n| (format!("U{n}"), None)));
        let split = Split::draw(&all, 3);
        assert!(split.val.iter().chain(&split.test).all(|id| id.starts_with('P')));
        assert_eq!([split.train.len(), split.val.len(), split.test.len()], [12, 1, 2]);
        assert!(split.labelled(&LabelShare::All, 0).unwrap().iter().all(|id| id.starts_with('P')));
        let none: Vec<_> = (0..10).map(|n| (format!("U{n}"), None)).collect();
        assert_eq!(Split::draw(&none, 3).test.len(), 2);
        assert!(Split::draw(&none, 3).labelled(&LabelShare::All, 0).is_err());
    }

    #[test]
    fn label_shares_read_and_round() {
        for (text, share, of_34) in [
            ("5%", LabelShare::Percent(5.0), 2),
            ("10 %", LabelShare::Percent(10.0), 3),
            ("0.1%", LabelShare::Percent(0.1), 1),
            ("4", LabelShare::Count(4), 4),
            ("all", LabelShare::All, 34),
            ("patients:P003, P001", LabelShare::Patients(vec!["P003".into(), "P001".into()]), 2),
        ] {
            assert_eq!(text.parse::<LabelShare>().unwrap(), share);
            assert_eq!(labelled_subset(&patients(34), &share, 1).unwrap().len(), of_34, "{text}");
        }
        for bad in ["", "0", "0%", "-5%", "101%", "half", "5.5", "NaN%", "patients:", "patients:a,,b", "patients:a,b,a"]
        {
            assert!(bad.parse::<LabelShare>().is_err(), "{bad}");
        }
        assert!(labelled_subset(&patients(3), &LabelShare::Count(4), 1).is_err());
    }

    #[test]
    fn patients_are_chosen_by_name() {
        let mut train = patients(4);
        train.push(("U".into(), None));
        let ids: Vec<String> = train.iter().map(|(id, _)| id.clone()).collect();
        let share = LabelShare::Patients(vec![ids[2].clone(), ids[0].clone()]);
        assert_eq!(share.to_string().parse::<LabelShare>().unwrap(), share);
        assert_eq!(labelled_subset(&train, &share, 1).unwrap(), [ids[0].clone(), ids[2].clone()]);
        assert_eq!(labelled_subset(&train, &share, 2).unwrap().len(), 2);
        for (id, why) in [("U", "U has no label"), ("X", "X is no training patient")] {
            let share = LabelShare::Patients(vec![ids[0].clone(), id.into()]);
            let error = labelled_subset(&train, &share, 1).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn split_files_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("split.json");
        let split = Split::draw(&patients(12), 5);
        std::fs::write(&path, split.to_json().unwrap()).unwrap();
        assert_eq!(Split::read(&path).unwrap(), split);
        std::fs::write(&path, r#"{"version":1,"seed":0,"train":["a"],"val":["a"],"test":[]}"#).unwrap();
        assert!(Split::read(&path).unwrap_err().to_string().contains("a patient may stand in one part"));
        std::fs::write(&path, r#"{"version":9,"seed":0,"train":[],"val":[],"test":[]}"#).unwrap();
        assert!(matches!(Split::read(&path).unwrap_err().kind(), ErrorKind::Version { .. }));
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(count in 0usize..60, seed: u64) {
            let all = patients(count);
            let split = Split::draw(&all, seed);
            let ids: Vec<String> = all.into_iter().map(|(id, _)| id).collect();
            prop_assert_eq!(split.part(Part::All), ids);
        }

        #[test]
        fn labelled_subsets_are_nested_and_spread(count in 1usize..80, seed: u64) {
            let all = patients(count);
            let mut smaller: Vec<String> = Vec::new();
            for n in 1..=count {
                let subset = labelled_subset(&all, &LabelShare::Count(n), seed).unwrap();
                prop_assert_eq!(subset.len(), n);
                prop_assert!(smaller.iter().all(|id| subset.contains(id)));
                smaller = subset;
            }
            // Of any beginning, the lower half of the volumes has half, give or take one.
            let half = labelled_subset(&all, &LabelShare::Count(count.div_ceil(2)), seed).unwrap();
            let volumes: BTreeMap<String, Option<f64>> = all.iter().cloned().collect();
            let ordered = by_volume(&volumes, volumes.keys());
            let low = half.iter().filter(|id| ordered[..count / 2].contains(id)).count();
            prop_assert!(low.abs_diff(half.len() / 2) <= 1, "{} of {}", low, half.len());
        }
    }
}
