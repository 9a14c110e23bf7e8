//! Folds and labelled draws of a study: drawn once from the plan's seed, the same for every method.

use std::collections::BTreeSet;

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::plan::{CohortPlan, Plan, count_of};
use crate::cohort::label_budget::{LabelBudget, LabelShare, labelled_subset};
use crate::cohort::split::Split;
use crate::event::Control;
use crate::jobs::{eligible_patients, with_known_modalities, with_volumes};
use crate::words::plural;
use crate::{Error, Result, seed};

/// A test fold of a cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// Training, validation and test patients.
    pub split: Split,
    /// The labelled patients, `[budget][draw]`; a budget is named as in the plan.
    pub labelled: Vec<(String, Vec<Vec<String>>)>,
}

impl Fold {
    /// The labelled patients of a budget and a draw.
    pub fn labelled(&self, budget: &str, draw: usize) -> &[String] {
        self.labelled
            .iter()
            .find(|(name, _)| name == budget)
            .and_then(|(_, draws)| draws.get(draw))
            .map_or(&[], Vec::as_slice)
    }

    /// The split without test patients, for pilots, which must not see them.
    pub fn without_test(&self) -> Split {
        let mut split = self.split.clone();
        for id in std::mem::take(&mut split.test) {
            split.lesion_ml.remove(&id);
        }
        split
    }
}

/// A fraction of a cohort has at least this many patients, so that every part of a split gets some.
const FEWEST: usize = 10;

/// The folds of a cohort. Test folds are disjoint; validation patients are drawn from the rest of each.
///
/// # Errors
/// A cohort that cannot be read; fewer patients with a mask than the folds need.
pub fn folds(plan: &Plan, cohort: &CohortPlan, control: &Control) -> Result<Vec<Fold>> {
    let Some(method) = plan.methods.first() else { return Ok(Vec::new()) };
    let config = plan.finetune_config(cohort, method)?;
    let cases = config.data.discover()?;
    let config = with_known_modalities(config, &cases)?;
    if let Some(file) = &plan.split.file {
        let split = with_volumes(Split::read(file)?, &config, &cases, control)?;
        let labelled = labelled_draws(plan, cohort, &split, 0)?;
        return Ok(vec![Fold { split, labelled }]);
    }
    let mut patients = eligible_patients(&config, &cases, control)?;
    let mut count = count_of(&plan.split.patients, patients.len(), "split.patients")?;
    if plan.split.patients.ends_with('%') {
        count = count.max(FEWEST);
    }
    if count < patients.len() {
        patients.shuffle(&mut seed::stream(plan.seed, "study: patients", &[]));
        patients.sort_by_key(|(_, ml)| ml.is_none());
        patients.truncate(count);
        patients.sort_by(|a, b| a.0.cmp(&b.0));
    }
    // Testing, validation and labelling need a mask; the other patients are used for pre-training only.
    let masked = patients.iter().filter(|(_, ml)| ml.is_some()).count();
    let (tests, vals) = (
        count_of(&plan.split.test, masked, "split.test")?.max(1),
        count_of(&plan.split.validation, masked, "split.validation")?,
    );
    if tests * plan.split.folds > masked || tests + vals >= masked {
        let why = format!(
            "{} of {} and {} need more than the {} with a mask",
            plural(plan.split.folds, "fold", "folds"),
            plural(tests, "test patient", "test patients"),
            plural(vals, "validation patient", "validation patients"),
            plural(masked, "patient", "patients"),
        );
        return Err(too_few(cohort, &why, "split.test or split.validation"));
    }
    let mut tested: Vec<(String, Option<f64>)> = Vec::new();
    let mut folds = Vec::new();
    for fold in 0..plan.split.folds {
        let mut split = Split::draw_counts(&patients, tests, vals, plan.seed.wrapping_add(fold as u64));
        let is_test: BTreeSet<&String> = split.test.iter().collect();
        let (test, rest): (Vec<_>, Vec<_>) = patients.iter().cloned().partition(|(id, _)| is_test.contains(id));
        split.train.extend(tested.iter().map(|(id, _)| id.clone()));
        split.train.sort_unstable();
        split.lesion_ml.extend(tested.iter().cloned());
        let labelled = labelled_draws(plan, cohort, &split, fold)?;
        folds.push(Fold { split, labelled });
        patients = rest;
        tested.extend(test);
    }
    Ok(folds)
}

/// A cohort that has too few patients for a setting of the plan. In a predefined plan, each modality is a cohort.
fn too_few(cohort: &CohortPlan, why: &dyn std::fmt::Display, setting: &str) -> Error {
    let why = format!("{why}. Lower {setting}, or study other modalities of this cohort");
    Error::config(format!("cohorts.{}", cohort.name), cohort.path.display(), why)
}

/// For every budget of the plan, the labelled patients of each draw.
fn labelled_draws(
    plan: &Plan,
    cohort: &CohortPlan,
    split: &Split,
    fold: usize,
) -> Result<Vec<(String, Vec<Vec<String>>)>> {
    let mut budgets: Vec<&String> = plan.methods.iter().flat_map(|method| plan.budgets(method)).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let volume = |id: &String| (id.clone(), split.lesion_ml.get(id).copied().flatten());
    let train: Vec<_> = split.train.iter().map(volume).collect();
    let can_label = train.iter().any(|(_, ml)| ml.is_some_and(|ml| plan.labels.any || ml > 0.0));
    let draws = |budget: &String| {
        let labels = &plan.labels;
        let shares = LabelBudget { share: budget.parse()?, draw: labels.draw, any: labels.any };
        let draw = |draw: usize| {
            let seed = seed::stream(plan.seed, "study: labelled draw", &[fold as u64, draw as u64]).next_u64();
            labelled_subset(&train, &shares, seed)
        };
        let drawn: Result<_> = (0..plan.labels.draws).map(draw).collect();
        // A lower number helps only where a number is too large.
        let is_lowerable = can_label && matches!(shares.share, LabelShare::Count(_));
        let remedied = |error| if is_lowerable { too_few(cohort, &error, "labels.budgets") } else { error };
        Ok((budget.clone(), drawn.map_err(remedied)?))
    };
    budgets.into_iter().map(draws).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::study::scale::plan_on_cohort;

    /// The message of a budget that cannot be drawn from three training patients of these lesion volumes, or an empty one.
    fn refusal(budget: &str, volumes: [Option<f64>; 3]) -> String {
        let mut plan = plan_on_cohort("paper-table-5", Path::new("brats"), &["flair".into()], 1.0).unwrap();
        plan.labels.budgets = vec![budget.into()];
        let patients: Vec<_> = ["A", "B", "C"].map(str::to_owned).into_iter().zip(volumes).collect();
        let split = Split::draw_counts(&patients, 0, 0, 0);
        let drawn = labelled_draws(&plan, &plan.cohorts[0], &split, 0);
        drawn.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_budget_is_told_to_be_lowered_only_where_that_helps() {
        let with_lesion = [Some(2.0), Some(1.0), Some(3.0)];
        assert_eq!(refusal("3", with_lesion), "");
        let too_many = refusal("4", with_lesion);
        assert!(too_many.contains("Lower labels.budgets"), "{too_many}");
        // No number of labelled patients can be drawn without a lesion, and a percentage is never too large.
        for budget in ["1", "4", "50%"] {
            let none = refusal(budget, [Some(0.0), None, None]);
            assert!(!none.is_empty() && !none.contains("Lower"), "{budget}: {none}");
        }
    }
}
