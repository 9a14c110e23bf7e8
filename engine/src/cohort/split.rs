//! Training, validation and test patients, and which training patients are labelled.
//!
//! The split is stratified by lesion volume: patients are sorted by it, and each part draws from small, medium and large
//! lesions alike. The labelled training patients are drawn at random, so that no other mask is read to choose them;
//! stratifying them too is an option ([`LabelDraw::Stratified`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::run::atomic::write_atomic;
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
            _ => Err(Error::config("subset", text, "use train, val, test or all")),
        }
    }
}

/// How many of the training patients are labelled.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelShare {
    /// Percent of the training patients that have a mask; at least one patient.
    Percent(f64),
    /// A number of patients.
    Count(usize),
    /// All training patients that have a mask.
    All,
    /// Exactly these patients, by id.
    Patients(Vec<String>),
}

/// How the labelled patients are drawn from the training patients that have a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LabelDraw {
    /// At random by seed: no mask is read to choose them.
    #[default]
    Random,
    /// Spread over the lesion volumes. This reads the volumes of every training mask, including those that are then not
    /// trained on, so the label budget is larger than it looks.
    Stratified,
}

/// Prefix of a list of patients.
const BY_NAME: &str = "patients:";

impl std::str::FromStr for LabelShare {
    type Err = Error;

    /// `5%`, a number of patients, `all`, or `patients:ID,ID`; ids with a comma in them cannot be named.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let why = "use a percentage such as 5%, a number of patients, all, or patients:ID,ID";
            Error::config("labels", text, why)
        };
        let text = text.trim();
        if let Some(list) = text.strip_prefix(BY_NAME) {
            let ids: Vec<String> = list.split(',').map(|id| id.trim().to_owned()).collect();
            if ids.iter().any(String::is_empty) {
                return Err(bad());
            }
            return match ids.iter().find(|id| ids.iter().filter(|other| other == id).count() > 1) {
                Some(id) => Err(Error::config("labels", text, format!("{id} is named twice"))),
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

    /// Draws `tests` test and `vals` validation patients, stratified by lesion volume (ml); the others train. Patients
    /// without a mask train, unless no patient has one. With too few patients the training part is empty.
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

    /// The labelled training patients, drawn with the split's own seed: see [`labelled_subset`].
    pub fn labelled(&self, share: &LabelShare, draw: LabelDraw) -> Result<Vec<String>> {
        let of = |id: &String| (id.clone(), self.lesion_ml.get(id).copied().flatten());
        labelled_subset(&self.train.iter().map(of).collect::<Vec<_>>(), share, draw, self.seed)
    }

    /// Which masks were read to choose the labelled patients, beyond the chosen patients' own; `None` if none was.
    pub fn label_draw_note(&self, share: &LabelShare, draw: LabelDraw) -> Option<String> {
        let drawn = matches!(share, LabelShare::Percent(_) | LabelShare::Count(_));
        if !drawn || draw == LabelDraw::Random {
            return None;
        }
        let masks = self.train.iter().filter(|id| self.lesion_ml.get(*id).copied().flatten().is_some()).count();
        Some(format!(
            "The labelled patients were chosen by the lesion volumes of all {masks} training masks, so choosing them used \
             every mask. Draw them at random (labels.draw = \"random\") for a label budget that counts only them."
        ))
    }

    /// Refuses to validate or test on patients that `pretraining` trained on, naming them: a network that has seen a
    /// patient's scan cannot be measured on it. `path` is the file of this split.
    pub fn check_unseen(&self, pretraining: &Self, path: &Path) -> Result<()> {
        let seen: BTreeSet<&String> = pretraining.train.iter().collect();
        for (part, ids) in [("test", &self.test), ("val", &self.val)] {
            let named: Vec<&str> = ids.iter().filter(|id| seen.contains(id)).map(String::as_str).collect();
            if !named.is_empty() {
                let why = "the network was pre-trained on these patients. Move them to train, leave them out, or use the \
                           split of the pre-training run";
                return Err(Error::field(path, part, named.join(", "), why));
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

    /// Reads a split (`split.json`, or one of the user's own).
    pub fn read(path: &Path) -> Result<Self> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        if length > FILE_BYTES {
            return Err(Error::file(
                path,
                format!("{length} bytes is too large for a split; at most {FILE_BYTES} are read"),
            ));
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

/// The labelled patients among `train` (ids with their lesion volume in ml, `None` without a mask): sorted ids of
/// max(1, round(p n)) patients, n being the number of patients with a mask.
///
/// Subsets of one seed and draw are nested: 5 % lies within 10 %. An error if no patient has a mask, fewer than the number
/// asked for have one, or a named patient has none or does not train.
pub fn labelled_subset(
    train: &[(String, Option<f64>)],
    share: &LabelShare,
    draw: LabelDraw,
    seed: u64,
) -> Result<Vec<String>> {
    let lesion_ml: BTreeMap<String, Option<f64>> = train.iter().cloned().collect();
    let masked: Vec<String> = lesion_ml.iter().filter(|(_, ml)| ml.is_some()).map(|(id, _)| id.clone()).collect();
    let total = masked.len();
    if total == 0 {
        return Err(Error::config("labels", share, "no training patient has a mask"));
    }
    let count = match share {
        LabelShare::All => total,
        LabelShare::Patients(ids) => {
            if let Some(id) = ids.iter().find(|id| !masked.contains(id)) {
                let why = if lesion_ml.contains_key(id) { "has no mask" } else { "is no training patient" };
                return Err(Error::config("labels", share, format!("{id} {why}")));
            }
            let mut chosen = ids.clone();
            chosen.sort_unstable();
            return Ok(chosen);
        }
        LabelShare::Count(count) if *count > total => {
            return Err(Error::config("labels", share, format!("only {total} training patients have a mask")));
        }
        LabelShare::Count(count) => *count,
        LabelShare::Percent(percent) => (percent / 100.0 * total as f64 + 1e-9).round() as usize,
    };
    let mut subset = match draw {
        LabelDraw::Random => {
            let mut order = masked;
            order.shuffle(&mut seed::stream(seed, "labelled subset: random", &[]));
            order
        }
        LabelDraw::Stratified => {
            let ordered = by_volume(&lesion_ml, lesion_ml.keys());
            spread(&ordered, &mut seed::stream(seed, "labelled subset", &[]))
        }
    };
    subset.truncate(count.clamp(1, total));
    subset.sort_unstable();
    Ok(subset)
}

/// A random order every prefix of which spans the whole list: the orders of the two halves, interleaved in pairs, with a
/// coin toss for the order within each pair.
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
        assert!(split.labelled(&LabelShare::All, LabelDraw::Random).unwrap().iter().all(|id| id.starts_with('P')));
        let none: Vec<_> = (0..10).map(|n| (format!("U{n}"), None)).collect();
        assert_eq!(Split::draw(&none, 3).test.len(), 2);
        assert!(Split::draw(&none, 3).labelled(&LabelShare::All, LabelDraw::Random).is_err());
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
            for draw in [LabelDraw::Random, LabelDraw::Stratified] {
                assert_eq!(labelled_subset(&patients(34), &share, draw, 1).unwrap().len(), of_34, "{text} {draw:?}");
            }
        }
        for bad in ["", "0", "0%", "-5%", "101%", "half", "5.5", "NaN%", "patients:", "patients:a,,b", "patients:a,b,a"]
        {
            assert!(bad.parse::<LabelShare>().is_err(), "{bad}");
        }
        assert!(labelled_subset(&patients(3), &LabelShare::Count(4), LabelDraw::Random, 1).is_err());
    }

    #[test]
    fn patients_are_chosen_by_name() {
        let mut train = patients(4);
        train.push(("U".into(), None));
        let ids: Vec<String> = train.iter().map(|(id, _)| id.clone()).collect();
        let share = LabelShare::Patients(vec![ids[2].clone(), ids[0].clone()]);
        assert_eq!(share.to_string().parse::<LabelShare>().unwrap(), share);
        assert_eq!(labelled_subset(&train, &share, LabelDraw::Random, 1).unwrap(), [ids[0].clone(), ids[2].clone()]);
        assert_eq!(labelled_subset(&train, &share, LabelDraw::Random, 2).unwrap().len(), 2);
        for (id, why) in [("U", "U has no mask"), ("X", "X is no training patient")] {
            let share = LabelShare::Patients(vec![ids[0].clone(), id.into()]);
            let error = labelled_subset(&train, &share, LabelDraw::Random, 1).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_random_draw_reads_no_volume_and_a_stratified_one_says_that_it_does() {
        let all = patients(34);
        let mut other: Vec<_> = all.clone();
        for (n, (_, ml)) in other.iter_mut().enumerate() {
            *ml = Some((34 - n) as f64);
        }
        let draw = |of: &[_], draw| labelled_subset(of, &LabelShare::Percent(10.0), draw, 1).unwrap();
        assert_eq!(draw(&all, LabelDraw::Random), draw(&other, LabelDraw::Random));
        assert_ne!(draw(&all, LabelDraw::Stratified), draw(&other, LabelDraw::Stratified));
        let seeds: BTreeSet<_> = (0..20)
            .map(|seed| labelled_subset(&all, &LabelShare::Count(1), LabelDraw::Random, seed).unwrap())
            .collect();
        assert!(seeds.len() > 10, "the seed decides: {seeds:?}");

        let split = Split::draw_counts(&all, 4, 0, 1);
        let five = LabelShare::Percent(5.0);
        assert_eq!(split.label_draw_note(&five, LabelDraw::Random), None);
        assert_eq!(split.label_draw_note(&LabelShare::All, LabelDraw::Stratified), None);
        assert!(split.label_draw_note(&five, LabelDraw::Stratified).unwrap().contains("all 30 training masks"));
    }

    #[test]
    fn patients_of_the_pre_training_are_no_test_patients() {
        let all = patients(10);
        let pretraining = Split::draw(&all, 1);
        let path = Path::new("own.json");
        pretraining.check_unseen(&pretraining, path).unwrap();
        for part in ["test", "val"] {
            let mut own = pretraining.clone();
            let moved: Vec<String> = own.train.drain(..2).collect();
            let ids = if part == "test" { &mut own.test } else { &mut own.val };
            ids.extend(moved.iter().cloned());
            let error = own.check_unseen(&pretraining, path).unwrap_err().to_string();
            assert!(error.starts_with("own.json") && error.contains(part), "{error}");
            assert!(moved.iter().all(|id| error.contains(id)), "{error}");
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
        assert!(Split::read(&path).unwrap_err().to_string().contains("a patient belongs to one part only"));
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
        fn labelled_subsets_are_nested_and_stratified_ones_are_spread(count in 1usize..80, seed: u64) {
            let all = patients(count);
            for draw in [LabelDraw::Random, LabelDraw::Stratified] {
                let mut smaller: Vec<String> = Vec::new();
                for n in 1..=count {
                    let subset = labelled_subset(&all, &LabelShare::Count(n), draw, seed).unwrap();
                    prop_assert_eq!(subset.len(), n);
                    prop_assert!(smaller.iter().all(|id| subset.contains(id)));
                    smaller = subset;
                }
            }
            // Of any prefix, the lower half of the volumes has half, give or take one.
            let half = LabelShare::Count(count.div_ceil(2));
            let half = labelled_subset(&all, &half, LabelDraw::Stratified, seed).unwrap();
            let volumes: BTreeMap<String, Option<f64>> = all.iter().cloned().collect();
            let ordered = by_volume(&volumes, volumes.keys());
            let low = half.iter().filter(|id| ordered[..count / 2].contains(id)).count();
            prop_assert!(low.abs_diff(half.len() / 2) <= 1, "{} of {}", low, half.len());
        }
    }
}
