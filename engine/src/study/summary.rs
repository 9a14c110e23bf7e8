//! Means, spreads and paired differences of a study, by cohort and label budget.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::results::Results;
use super::statistics::{Interval, crossed_interval, holm, wilcoxon};
use crate::experiment::mean_sd;
use crate::metrics::Measures;

/// Methods that the others are compared with, where the study has them; else the first method.
const REFERENCES: [&str; 3] = ["sup", "base", "amlp"];

/// A measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Dice similarity coefficient (Eq. 10).
    Dsc,
    /// Sensitivity (Eq. 11).
    Sensitivity,
    /// Precision.
    Precision,
    /// Boundary IoU (Eq. 12).
    BoundaryIou,
    /// 95th percentile Hausdorff distance in mm (Eq. 13); smaller is better.
    Hd95Mm,
}

impl Metric {
    /// All metrics in the order of the tables.
    pub const ALL: [Self; 5] = [Self::Dsc, Self::Sensitivity, Self::Precision, Self::BoundaryIou, Self::Hd95Mm];

    /// Heading of its column.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Dsc => "DSC",
            Self::Sensitivity => "Sensitivity",
            Self::Precision => "Precision",
            Self::BoundaryIou => "Boundary IoU",
            Self::Hd95Mm => "HD95 (mm)",
        }
    }

    /// Its value.
    pub fn of(self, measures: &Measures) -> f64 {
        match self {
            Self::Dsc => measures.dsc,
            Self::Sensitivity => measures.sensitivity,
            Self::Precision => measures.precision,
            Self::BoundaryIou => measures.boundary_iou,
            Self::Hd95Mm => measures.hd95_mm,
        }
    }

    /// Decimals in tables.
    pub fn decimals(self) -> usize {
        if self == Self::Hd95Mm { 1 } else { 3 }
    }
}

/// Mean of a metric and its spreads (n - 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean over patients, draws and seeds.
    pub mean: f64,
    /// Standard deviation of the patients' means over draws and seeds.
    pub sd_patients: f64,
    /// Standard deviation of the means over patients, between draws and seeds.
    pub sd_draws: f64,
}

/// Paired difference of a method to a reference method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The reference method.
    pub to: String,
    /// The metric.
    pub metric: Metric,
    /// Mean difference.
    pub mean: f64,
    /// Limits of the 95 % interval of crossed resamples (draws and seeds, patients).
    pub interval: [f64; 2],
    /// Exact two-sided Wilcoxon p of the patients' mean differences.
    pub p: f64,
    /// The same after Holm's correction over the methods compared with this reference.
    pub p_holm: f64,
}

/// One method in a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSummary {
    /// Its name.
    pub method: String,
    /// Draws and seeds with results, of how many.
    pub units: [usize; 2],
    /// The metrics; empty without results.
    pub metrics: BTreeMap<Metric, Spread>,
    /// Differences to the reference methods.
    pub differences: Vec<Difference>,
    /// Why cells have no result, each reason once.
    pub failures: Vec<String>,
    /// Cells whose network marks nothing.
    pub collapsed: usize,
}

/// One cohort at one label budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The cohort.
    pub cohort: String,
    /// The label budget.
    pub budget: String,
    /// Labelled patients of a fine-tuning.
    pub labelled: usize,
    /// Test patients.
    pub patients: usize,
    /// The methods in the order of the plan.
    pub methods: Vec<MethodSummary>,
}

/// Values of a method in a group: by unit (draw, seed), then by patient.
type Table<'a> = BTreeMap<(usize, u64), Patients<'a>>;
type Patients<'a> = BTreeMap<&'a str, &'a Measures>;

/// Summarises the results of a plan.
pub fn summarise(plan: &Plan, results: &Results) -> Vec<Group> {
    let mut groups = Vec::new();
    for cohort in &plan.cohorts {
        let mut budgets: Vec<&String> = Vec::new();
        for budget in plan.methods.iter().flat_map(|method| plan.budgets(method)) {
            if !budgets.contains(&budget) {
                budgets.push(budget);
            }
        }
        groups.extend(budgets.into_iter().map(|budget| group(plan, results, &cohort.name, budget)));
    }
    groups
}

fn group(plan: &Plan, results: &Results, cohort: &str, budget: &str) -> Group {
    let rows = || results.rows.iter().filter(|row| row.cell.cohort == cohort && row.cell.budget == budget);
    let methods: Vec<&str> = plan
        .methods
        .iter()
        .filter(|method| plan.budgets(method).iter().any(|own| own == budget))
        .map(|method| method.name.as_str())
        .collect();
    let table = |method: &str| {
        let mut table = Table::new();
        for row in rows().filter(|row| row.cell.method == method) {
            table.entry((row.cell.draw, row.cell.seed)).or_default().insert(row.patient.as_str(), &row.measures);
        }
        table
    };
    let tables: BTreeMap<&str, Table<'_>> = methods.iter().map(|method| (*method, table(method))).collect();
    let mut summaries: Vec<MethodSummary> = methods
        .iter()
        .map(|method| {
            let own =
                |cell: &super::job::Cell| cell.cohort == cohort && cell.budget == budget && cell.method == *method;
            let failures: BTreeSet<String> =
                results.gaps.iter().filter(|gap| own(&gap.cell)).filter_map(|gap| gap.failed.clone()).collect();
            MethodSummary {
                method: (*method).to_owned(),
                units: [tables[method].len(), plan.labels.draws * plan.labels.seeds.len()],
                metrics: spreads(&tables[method]),
                differences: Vec::new(),
                failures: failures.into_iter().collect(),
                collapsed: results.collapsed.iter().filter(|cell| own(cell)).count(),
            }
        })
        .collect();
    for reference in references(&methods) {
        compare_with(&mut summaries, &tables, reference, plan.seed);
    }
    let patients: BTreeSet<&str> = rows().map(|row| row.patient.as_str()).collect();
    Group {
        cohort: cohort.to_owned(),
        budget: budget.to_owned(),
        labelled: rows().map(|row| row.labelled).max().unwrap_or(0),
        patients: patients.len(),
        methods: summaries,
    }
}

fn references<'a>(methods: &[&'a str]) -> Vec<&'a str> {
    let known: Vec<&str> = methods.iter().copied().filter(|method| REFERENCES.contains(method)).collect();
    if known.is_empty() { methods.first().copied().into_iter().collect() } else { known }
}

fn spreads(table: &Table<'_>) -> BTreeMap<Metric, Spread> {
    let mut spreads = BTreeMap::new();
    for metric in Metric::ALL {
        let mut by_patient: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut by_unit = Vec::new();
        for patients in table.values() {
            let values: Vec<f64> = patients.values().map(|measures| metric.of(measures)).collect();
            by_unit.push(mean_sd(&values).0);
            for (patient, value) in patients.keys().zip(values) {
                by_patient.entry(patient).or_default().push(value);
            }
        }
        if by_unit.is_empty() {
            continue;
        }
        let patients: Vec<f64> = by_patient.values().map(|values| mean_sd(values).0).collect();
        let ((mean, sd_draws), (_, sd_patients)) = (mean_sd(&by_unit), mean_sd(&patients));
        spreads.insert(metric, Spread { mean, sd_patients, sd_draws });
    }
    spreads
}

/// Adds the differences of every other method to `reference`, over the units and patients that both have.
fn compare_with(summaries: &mut [MethodSummary], tables: &BTreeMap<&str, Table<'_>>, reference: &str, seed: u64) {
    for metric in Metric::ALL {
        let mut found = Vec::new();
        for (at, summary) in summaries.iter().enumerate().filter(|(_, summary)| summary.method != reference) {
            let differences = paired(&tables[summary.method.as_str()], &tables[reference], metric);
            let Some(Interval { mean, low, high, .. }) = crossed_interval(&differences, seed) else { continue };
            let patients = differences.first().map_or(0, Vec::len);
            let by_patient: Vec<f64> =
                (0..patients).map(|p| mean_sd(&differences.iter().map(|unit| unit[p]).collect::<Vec<_>>()).0).collect();
            found.push((at, mean, [low, high], wilcoxon(&by_patient).p));
        }
        let corrected = holm(&found.iter().map(|(.., p)| *p).collect::<Vec<_>>());
        for ((at, mean, interval, p), p_holm) in found.into_iter().zip(corrected) {
            summaries[at].differences.push(Difference { to: reference.to_owned(), metric, mean, interval, p, p_holm });
        }
    }
}

/// Differences `[unit][patient]` of the units and patients that both tables have.
fn paired(own: &Table<'_>, other: &Table<'_>, metric: Metric) -> Vec<Vec<f64>> {
    let common: Vec<(&Patients<'_>, &Patients<'_>)> =
        own.iter().filter_map(|(unit, patients)| Some((patients, other.get(unit)?))).collect();
    let everywhere = |patient: &&str| common.iter().all(|(a, b)| a.contains_key(patient) && b.contains_key(patient));
    let patients: Vec<&str> =
        common.first().into_iter().flat_map(|(a, _)| a.keys().copied()).filter(everywhere).collect();
    common.iter().map(|(a, b)| patients.iter().map(|p| metric.of(a[p]) - metric.of(b[p])).collect()).collect()
}
