//! Chooses the labelled patients of a fine-tuning run from its training patients.
//!
//! They are drawn at random from the patients with a lesion. This reads no mask, since the split records every patient's lesion
//! volume. Options: stratify by these volumes ([`LabelDraw::Stratified`]), and include patients without lesion
//! ([`LabelBudget::any`]).

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::split::Split;
use crate::seed::{self, Stream};
use crate::words::plural;
use crate::{Error, Result};

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
    /// At random, by seed.
    #[default]
    Random,
    /// Stratified by lesion volume. This reads all training masks, so the real label budget is larger.
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

/// Which training patients are labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelBudget {
    /// How many patients, or which.
    pub share: LabelShare,
    /// How they are drawn.
    pub draw: LabelDraw,
    /// Also draw patients whose mask has no lesion.
    pub any: bool,
}

impl Default for LabelBudget {
    /// All training patients that have a mask.
    fn default() -> Self {
        Self { share: LabelShare::All, draw: LabelDraw::Random, any: false }
    }
}

impl LabelBudget {
    /// True if patients are drawn, rather than named or all used.
    fn is_drawn(&self) -> bool {
        matches!(self.share, LabelShare::Percent(_) | LabelShare::Count(_))
    }

    /// True if a patient with this lesion volume in ml may be drawn.
    fn admits(&self, lesion_ml: f64) -> bool {
        self.any || !self.is_drawn() || lesion_ml > 0.0
    }
}

impl Split {
    /// The labelled training patients, drawn with the split's own seed: see [`labelled_subset`].
    pub fn labelled(&self, budget: &LabelBudget) -> Result<Vec<String>> {
        let of = |id: &String| (id.clone(), self.lesion_ml.get(id).copied().flatten());
        labelled_subset(&self.train.iter().map(of).collect::<Vec<_>>(), budget, self.seed)
    }

    /// Notes on the draw: excluded patients, and masks used beyond those of the chosen patients.
    pub fn label_notes(&self, budget: &LabelBudget) -> Vec<String> {
        let volumes: Vec<f64> = self.train.iter().filter_map(|id| self.lesion_ml.get(id).copied().flatten()).collect();
        let (all, with_lesion) = (volumes.len(), volumes.iter().filter(|ml| budget.admits(**ml)).count());
        let mut notes = Vec::new();
        if with_lesion < all {
            notes.push(format!(
                "The labelled patients are drawn from the {} with a lesion. {} an empty mask. labels.any = true draws \
                 from all {all}.",
                plural(with_lesion, "training patient", "training patients"),
                plural(all - with_lesion, "other has", "others have")
            ));
        }
        if budget.is_drawn() && budget.draw == LabelDraw::Stratified {
            notes.push(format!(
                "The labelled patients were chosen by the lesion volumes of all {all} training masks, so every mask counts \
                 towards the label budget. With labels.draw = \"random\", only the labelled patients count."
            ));
        }
        notes
    }
}

/// Those of `ids` that have a mask, sorted by lesion volume, then by id.
pub(super) fn by_volume<'a>(
    lesion_ml: &BTreeMap<String, Option<f64>>,
    ids: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let mut known: Vec<(f64, &String)> =
        ids.filter_map(|id| Some((lesion_ml.get(id).copied().flatten()?, id))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    known.into_iter().map(|(_, id)| id.clone()).collect()
}

/// The labelled patients among `train` (ids with their lesion volume in ml, `None` without a mask): sorted ids of
/// max(1, round(p n)) patients, n being the number of patients that may be drawn.
///
/// Subsets of one seed and draw are nested: 5 % is a subset of 10 %.
///
/// # Errors
/// If too few patients can be drawn, or a named patient has no mask or is not a training patient.
pub fn labelled_subset(train: &[(String, Option<f64>)], budget: &LabelBudget, seed: u64) -> Result<Vec<String>> {
    let share = &budget.share;
    let lesion_ml: BTreeMap<String, Option<f64>> = train.iter().cloned().collect();
    let has_mask = |ml: &Option<f64>| ml.is_some_and(|ml| budget.admits(ml));
    let masked: Vec<String> = lesion_ml.iter().filter(|(_, ml)| has_mask(ml)).map(|(id, _)| id.clone()).collect();
    let total = masked.len();
    if total == 0 {
        let why = if lesion_ml.values().any(Option::is_some) {
            "no training patient has a lesion. labels.any = true also draws patients with an empty mask"
        } else {
            "no training patient has a mask"
        };
        return Err(Error::config("labels", share, why));
    }
    let count = match share {
        LabelShare::All => total,
        LabelShare::Patients(ids) => {
            if let Some(id) = ids.iter().find(|id| !masked.contains(id)) {
                let why = if lesion_ml.contains_key(id) { "has no mask" } else { "is not a training patient" };
                return Err(Error::config("labels", share, format!("{id} {why}")));
            }
            let mut chosen = ids.clone();
            chosen.sort_unstable();
            return Ok(chosen);
        }
        LabelShare::Count(count) if *count > total => {
            let what = if budget.any { "mask" } else { "lesion" };
            let patients = plural(total, "training patient has", "training patients have");
            return Err(Error::config("labels", share, format!("only {patients} a {what}")));
        }
        LabelShare::Count(count) => *count,
        LabelShare::Percent(percent) => (percent / 100.0 * total as f64 + 1e-9).round() as usize,
    };
    let mut subset = match budget.draw {
        LabelDraw::Random => {
            let mut order = masked;
            order.shuffle(&mut seed::stream(seed, "labelled subset: random", &[]));
            order
        }
        LabelDraw::Stratified => {
            let ordered = by_volume(&lesion_ml, masked.iter());
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
    // The middle one of an odd number goes to a random half.
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
    use std::collections::BTreeSet;

    fn patients(count: usize) -> Vec<(String, Option<f64>)> {
        (0..count).map(|n| (format!("P{n:03}"), Some((n * 37 % 101 + 1) as f64))).collect()
    }

    fn of(share: &LabelShare, draw: LabelDraw) -> LabelBudget {
        LabelBudget { share: share.clone(), draw, any: false }
    }

    fn subset_of(
        train: &[(String, Option<f64>)],
        share: &LabelShare,
        draw: LabelDraw,
        seed: u64,
    ) -> Result<Vec<String>> {
        labelled_subset(train, &of(share, draw), seed)
    }

    #[test]
    fn label_shares_are_parsed_and_rounded() {
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
                assert_eq!(subset_of(&patients(34), &share, draw, 1).unwrap().len(), of_34, "{text} {draw:?}");
            }
        }
        for bad in ["", "0", "0%", "-5%", "101%", "half", "5.5", "NaN%", "patients:", "patients:a,,b", "patients:a,b,a"]
        {
            assert!(bad.parse::<LabelShare>().is_err(), "{bad}");
        }
        assert!(subset_of(&patients(3), &LabelShare::Count(4), LabelDraw::Random, 1).is_err());
    }

    #[test]
    fn named_patients_are_chosen_exactly() {
        let mut train = patients(4);
        train.push(("U".into(), None));
        let ids: Vec<String> = train.iter().map(|(id, _)| id.clone()).collect();
        let share = LabelShare::Patients(vec![ids[2].clone(), ids[0].clone()]);
        assert_eq!(share.to_string().parse::<LabelShare>().unwrap(), share);
        assert_eq!(subset_of(&train, &share, LabelDraw::Random, 1).unwrap(), [ids[0].clone(), ids[2].clone()]);
        assert_eq!(subset_of(&train, &share, LabelDraw::Random, 2).unwrap().len(), 2);
        for (id, why) in [("U", "U has no mask"), ("X", "X is not a training patient")] {
            let share = LabelShare::Patients(vec![ids[0].clone(), id.into()]);
            let error = subset_of(&train, &share, LabelDraw::Random, 1).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn only_a_stratified_draw_depends_on_lesion_volumes_and_says_so() {
        let all = patients(34);
        let mut other: Vec<_> = all.clone();
        for (n, (_, ml)) in other.iter_mut().enumerate() {
            *ml = Some((34 - n) as f64);
        }
        let draw = |of: &[_], draw| subset_of(of, &LabelShare::Percent(10.0), draw, 1).unwrap();
        assert_eq!(draw(&all, LabelDraw::Random), draw(&other, LabelDraw::Random));
        assert_ne!(draw(&all, LabelDraw::Stratified), draw(&other, LabelDraw::Stratified));
        let seeds: BTreeSet<_> =
            (0..20).map(|seed| subset_of(&all, &LabelShare::Count(1), LabelDraw::Random, seed).unwrap()).collect();
        assert!(seeds.len() > 10, "different seeds draw different patients: {seeds:?}");

        let split = Split::draw_counts(&all, 4, 0, 1);
        let five = LabelShare::Percent(5.0);
        assert!(split.label_notes(&of(&five, LabelDraw::Random)).is_empty());
        assert!(split.label_notes(&of(&LabelShare::All, LabelDraw::Stratified)).is_empty());
        assert!(split.label_notes(&of(&five, LabelDraw::Stratified))[0].contains("all 30 training masks"));
    }

    #[test]
    fn patients_without_lesion_are_drawn_only_on_request() {
        let mut train = patients(8);
        train.iter_mut().step_by(2).for_each(|(_, ml)| *ml = Some(0.0));
        let split = Split { train: train.iter().map(|(id, _)| id.clone()).collect(), ..Split::draw(&train, 1) };
        for draw in [LabelDraw::Random, LabelDraw::Stratified] {
            for seed in 0..20 {
                for share in [LabelShare::Count(1), LabelShare::Count(4), LabelShare::Percent(50.0)] {
                    let budget = LabelBudget { share, draw, any: false };
                    let drawn = labelled_subset(&train, &budget, seed).unwrap();
                    assert!(drawn.iter().all(|id| split.lesion_ml[id].unwrap() > 0.0), "{drawn:?}");
                }
            }
        }
        let budget = |share, any| LabelBudget { share, draw: LabelDraw::Random, any };
        assert!(labelled_subset(&train, &budget(LabelShare::Count(5), false), 1).is_err());
        assert_eq!(labelled_subset(&train, &budget(LabelShare::Count(8), true), 1).unwrap().len(), 8);
        assert_eq!(labelled_subset(&train, &budget(LabelShare::All, false), 1).unwrap().len(), 8, "all means all");
        let note = split.label_notes(&budget(LabelShare::Count(1), false)).remove(0);
        assert!(note.contains("from the 4 training patients") && note.contains("labels.any"), "{note}");
        assert!(split.label_notes(&budget(LabelShare::Count(1), true)).is_empty());
        train.iter_mut().for_each(|(_, ml)| *ml = Some(0.0));
        let error = labelled_subset(&train, &budget(LabelShare::Count(1), false), 1).unwrap_err().to_string();
        assert!(error.contains("no training patient has a lesion"), "{error}");
    }

    proptest! {
        #[test]
        fn labelled_subsets_are_nested_and_stratified_ones_are_spread(count in 1usize..80, seed: u64) {
            let all = patients(count);
            for draw in [LabelDraw::Random, LabelDraw::Stratified] {
                let mut smaller: Vec<String> = Vec::new();
                for n in 1..=count {
                    let subset = subset_of(&all, &LabelShare::Count(n), draw, seed).unwrap();
                    prop_assert_eq!(subset.len(), n);
                    prop_assert!(smaller.iter().all(|id| subset.contains(id)));
                    smaller = subset;
                }
            }
            // Half of any prefix, plus or minus one, is from the lower half of the volumes.
            let half = LabelShare::Count(count.div_ceil(2));
            let half = subset_of(&all, &half, LabelDraw::Stratified, seed).unwrap();
            let volumes: BTreeMap<String, Option<f64>> = all.iter().cloned().collect();
            let ordered = by_volume(&volumes, volumes.keys());
            let low = half.iter().filter(|id| ordered[..count / 2].contains(id)).count();
            prop_assert!(low.abs_diff(half.len() / 2) <= 1, "{} of {}", low, half.len());
        }
    }
}
