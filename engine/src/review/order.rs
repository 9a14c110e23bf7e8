//! Orders of the review queue.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::cohort::{Case, Cohort, read_masks};
use crate::event::Control;
use crate::findings::{Counts, mean_entropy};
use crate::volume::{MaskLayers, MaskOptions, Volume};
use crate::words::plural;

/// An order of the cases.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Order {
    /// By name, as in the cohort.
    #[default]
    Listed,
    /// Highest mean entropy of the saved probability first.
    Uncertain,
    /// Lowest Dice of the segmentation against the reference first, all labels together.
    LowestDice,
    /// Largest change of volume since the patient's previous scan first.
    VolumeChange,
    /// By a list of the user.
    Ranking(Ranking),
}

/// A user's list of cases with scores, highest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// Name of the file it was read from, for messages.
    pub name: String,
    /// Score by case.
    pub scores: BTreeMap<String, f64>,
    /// Anything unusual about the file, one sentence each.
    pub notes: Vec<String>,
}

impl Ranking {
    /// Anything unusual about the file as the order of a cohort, one sentence each.
    pub fn warnings(&self, cohort: &Cohort) -> Vec<String> {
        let unknown: Vec<&String> = self.scores.keys().filter(|case| cohort.case(case).is_none()).collect();
        let rows = plural(unknown.len(), "row names", "rows name");
        let unknown =
            unknown.first().map(|case| format!("{}: {rows} no case of this folder, such as {case}", self.name));
        self.notes.iter().cloned().chain(unknown).collect()
    }
}

/// The score of a case in an order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseScore {
    /// The case's id in its cohort.
    pub case: String,
    /// The score: entropy in bits, Dice, change in ml, or from the list.
    pub score: Option<f64>,
    /// Reason for a missing score.
    pub why: Option<String>,
}

impl Order {
    /// True if the lowest score comes first.
    fn is_ascending(&self) -> bool {
        matches!(self, Self::LowestDice)
    }
}

/// Scores the cases of a cohort for an order. The result is in the cohort's order; [`rank`] sorts it. `progress` receives the
/// number of cases done, the total, and the current case.
///
/// Cases whose score cannot be computed have a reason.
///
/// # Errors
/// [`crate::ErrorKind::Cancelled`].
pub fn scores(
    cohort: &Cohort,
    order: &Order,
    masks: &MaskOptions,
    control: &Control,
    progress: &dyn Fn(usize, usize, &str),
) -> Result<Vec<CaseScore>> {
    let mut volumes = BTreeMap::new();
    let mut scored = Vec::with_capacity(cohort.cases.len());
    for (done, case) in cohort.cases.iter().enumerate() {
        control.pass()?;
        progress(done, cohort.cases.len(), &case.id);
        let score = match order {
            Order::Listed => Ok(None),
            Order::Uncertain => entropy(case).map(Some),
            Order::LowestDice => dice(case, masks).map(Some),
            Order::VolumeChange => change(cohort, case, masks, &mut volumes).map(Some),
            Order::Ranking(ranking) => {
                let score = ranking.scores.get(&case.id).copied();
                score.map(Some).ok_or_else(|| format!("not in {}", ranking.name))
            }
        };
        let (score, why) = match score {
            Ok(score) => (score, None),
            Err(why) => (None, Some(why)),
        };
        scored.push(CaseScore { case: case.id.clone(), score, why });
    }
    Ok(scored)
}

/// The rank of each score in the order: cases without a score last, ties in listed order.
pub fn rank(order: &Order, scores: &[CaseScore]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|&a, &b| match (scores[a].score, scores[b].score) {
        (Some(a), Some(b)) if order.is_ascending() => a.total_cmp(&b),
        (Some(a), Some(b)) => b.total_cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    places
}

/// Mean entropy of a case's probability, in bits.
fn entropy(case: &Case) -> Result<f64, String> {
    let none = if case.segmentation.is_some() { "no saved probability" } else { "no segmentation" };
    let path = case.probability().ok_or(none)?;
    let read = Volume::read(&path).and_then(|volume| mean_entropy(&volume.to_f32(), &volume.grid));
    read.map_err(|error| error.to_string())
}

/// Dice of the segmentation against the reference; 1 if both are empty.
fn dice(case: &Case, masks: &MaskOptions) -> Result<f64, String> {
    let segmentation = case.segmentation.as_ref().ok_or("no segmentation")?;
    if case.masks.is_empty() {
        return Err("no reference".to_owned());
    }
    let counted = || -> Result<Counts> {
        let what = format!("segmentation {} and its reference", segmentation.display());
        let (segmentation, reference) =
            (MaskLayers::read(segmentation, masks)?, MaskLayers::read_all(&case.masks, masks)?);
        let (segmentation, reference, _) = crate::evaluate::on_one_grid(&what, segmentation, reference, masks)?;
        Ok(Counts::of(&segmentation.inside(), &reference.inside()))
    };
    counted().map(|counts| counts.dice().unwrap_or(1.0)).map_err(|error| error.to_string())
}

/// Cached volumes by case.
type Volumes = BTreeMap<String, Result<f64, String>>;

/// Absolute change of volume since the patient's previous scan, in millilitres.
fn change(cohort: &Cohort, case: &Case, masks: &MaskOptions, volumes: &mut Volumes) -> Result<f64, String> {
    let mut scans: Vec<&Case> = cohort.cases.iter().filter(|other| other.patient == case.patient).collect();
    scans.sort_by(|a, b| by_time(a, b));
    let index = scans.iter().position(|scan| scan.id == case.id).unwrap_or(0);
    let before = index.checked_sub(1).and_then(|index| scans.get(index)).ok_or("no earlier scan of this patient")?;
    let mut volume = |case: &Case| volumes.entry(case.id.clone()).or_insert_with(|| volume_ml(case, masks)).clone();
    let earlier = volume(before).map_err(|why| format!("earlier scan {}: {why}", before.id))?;
    Ok((volume(case)? - earlier).abs())
}

fn volume_ml(case: &Case, masks: &MaskOptions) -> Result<f64, String> {
    let files = case.reviewed_mask();
    if files.is_empty() {
        return Err("no mask".to_owned());
    }
    read_masks(files, masks).map(|(mask, _)| mask.volume_ml()).map_err(|error| error.to_string())
}

/// Words for the first session.
const FIRST: [&str; 4] = ["baseline", "bl", "pre", "preop"];

/// Earlier scan first: a baseline, then sessions by their numbers (`2` before `10`), then by name.
fn by_time(a: &Case, b: &Case) -> Ordering {
    let key = |case: &Case| {
        let name = case.session.as_deref().unwrap_or(&case.id).to_lowercase();
        let name = name.strip_prefix("ses-").unwrap_or(&name).to_owned();
        let is_first = FIRST.contains(&name.trim_end_matches(|c: char| !c.is_alphabetic()));
        let numbers: Vec<u64> =
            name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
        (!is_first, numbers, name, case.id.clone())
    };
    key(a).cmp(&key(b))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn score(case: &str, score: Option<f64>) -> CaseScore {
        CaseScore { case: case.into(), score, why: None }
    }

    #[test]
    fn cases_without_a_score_come_last_and_ties_keep_their_order() {
        let all =
            [score("a", Some(0.5)), score("b", None), score("c", Some(0.9)), score("d", Some(0.5)), score("e", None)];
        let names =
            |order: &Order| rank(order, &all).into_iter().map(|index| all[index].case.clone()).collect::<String>();
        assert_eq!(names(&Order::Uncertain), "cadbe");
        assert_eq!(names(&Order::LowestDice), "adcbe");
        let listed: Vec<CaseScore> = all.iter().map(|s| score(&s.case, None)).collect();
        assert_eq!(rank(&Order::Listed, &listed), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn sessions_are_ordered_by_time() {
        let case = |session: &str| Case { id: "p".into(), session: Some(session.into()), ..Case::default() };
        let mut sessions = ["ses-10", "followup", "ses-2", "baseline", "2019-03-04", "2019-02-28"].map(case);
        sessions.sort_by(by_time);
        let names: Vec<&str> = sessions.iter().map(|case| case.session.as_deref().unwrap()).collect();
        assert_eq!(names, ["baseline", "followup", "ses-2", "ses-10", "2019-02-28", "2019-03-04"]);
    }
}
