//! Means, spreads and paired differences of a study, by cohort and label budget.
//!
//! All statistics are per patient. A patient with several scans counts once, with their mean.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::job::Cell;
use super::plan::Plan;
use super::results::Results;
use super::statistics::{Interval, Resamples, holm, wilcoxon};
use crate::cohort::ExcludedScan;
use crate::metrics::Measures;
use crate::report::mean_sd;

/// Methods that the others are compared with, if the study has them; otherwise the first method.
const REFERENCES: [&str; 3] = ["sup", "base", "amlp"];

/// A measured quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Dice similarity coefficient (Eq. 10).
    #[default]
    Dsc,
    /// Sensitivity (Eq. 11).
    Sensitivity,
    /// Fraction of the segmented voxels that are in the reference.
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

    /// Mean over the scans of a patient.
    fn mean(self, scans: &[&Measures]) -> f64 {
        scans.iter().map(|measures| self.of(measures)).sum::<f64>() / scans.len() as f64
    }

    /// True if its values lie between 0 and 1.
    pub fn is_share(self) -> bool {
        self != Self::Hd95Mm
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
    /// The metric that is compared.
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
    /// Number of draws and seeds with results, and number of planned ones.
    pub units: [usize; 2],
    /// The metrics; empty without results.
    pub metrics: BTreeMap<Metric, Spread>,
    /// Differences to the reference methods.
    pub differences: Vec<Difference>,
    /// Reasons for missing results, without duplicates.
    pub failures: Vec<String>,
    /// Number of cells whose network segments no voxel.
    pub collapsed: usize,
    /// Cells whose fine-tuning has not converged; comparisons with them are mostly noise.
    #[serde(default)]
    pub unconverged: usize,
    /// Number of cells whose pre-training ended with a warning, such as a collapse.
    #[serde(default)]
    pub warned: usize,
    /// These warnings, without duplicates.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One cohort at one label budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the cohort in the plan.
    pub cohort: String,
    /// The label budget.
    pub budget: String,
    /// Labelled patients of a fine-tuning run.
    pub labelled: usize,
    /// Test patients.
    pub patients: usize,
    /// Their scans.
    pub scans: usize,
    /// The metrics in the order of the plan.
    pub columns: Vec<Metric>,
    /// Scans of test patients that could not be segmented or measured in some run, with the reason.
    pub left_out: Vec<String>,
    /// Scans that the training of some run left out, with the reason.
    #[serde(default)]
    pub training_left_out: Vec<String>,
    /// The methods in the order of the plan.
    pub methods: Vec<MethodSummary>,
}

impl Group {
    /// The methods that the others are compared with: those with a known role, else the first. None beside a single method.
    pub fn references(&self) -> Vec<&str> {
        let methods = || self.methods.iter().map(|method| method.method.as_str());
        let known: Vec<&str> = methods().filter(|method| REFERENCES.contains(method)).collect();
        match (self.methods.len(), known.is_empty()) {
            (0 | 1, _) => Vec::new(),
            (_, true) => methods().take(1).collect(),
            (_, false) => known,
        }
    }

    /// The metric that figures and differences in tables show: the plan's first.
    pub fn metric(&self) -> Metric {
        self.columns.first().copied().unwrap_or_default()
    }
}

/// Values of a method in a group: by unit (draw, seed), then the scans by patient.
type Table<'a> = BTreeMap<(usize, u64), Patients<'a>>;
type Patients<'a> = BTreeMap<&'a str, Vec<&'a Measures>>;
/// The index of a table, and its differences `[unit][patient]` to the reference.
type Pair = (usize, Vec<Vec<f64>>);

/// Means, spreads and paired differences of the results of a plan.
pub fn summarise(plan: &Plan, results: &Results) -> Vec<Group> {
    let mut groups = means(plan, results);
    let mut comparison = Comparison::new(plan, results);
    groups.iter_mut().for_each(|group| comparison.add_differences(group));
    groups
}

/// Means and spreads of the results of a plan, without differences.
pub fn means(plan: &Plan, results: &Results) -> Vec<Group> {
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
    let summaries = methods
        .iter()
        .map(|method| {
            let table = table_of(results, cohort, budget, method);
            let own = |cell: &Cell| cell.cohort == cohort && cell.budget == budget && cell.method == *method;
            let failures: BTreeSet<String> =
                results.gaps.iter().filter(|gap| own(&gap.cell)).filter_map(|gap| gap.failed.clone()).collect();
            let warned: Vec<&(Cell, String)> = results.warnings.iter().filter(|(cell, _)| own(cell)).collect();
            let warnings: BTreeSet<String> = warned.iter().map(|(_, warning)| warning.clone()).collect();
            MethodSummary {
                method: (*method).to_owned(),
                units: [table.len(), plan.labels.draws * plan.labels.seeds.len()],
                metrics: spreads(&table, &plan.metrics),
                differences: Vec::new(),
                failures: failures.into_iter().collect(),
                collapsed: results.collapsed.iter().filter(|cell| own(cell)).count(),
                unconverged: results.unconverged.iter().filter(|cell| own(cell)).count(),
                warned: warned.iter().map(|(cell, _)| cell).collect::<BTreeSet<_>>().len(),
                warnings: warnings.into_iter().collect(),
            }
        })
        .collect();
    let patients: BTreeSet<&str> = rows().map(|row| row.patient.as_str()).collect();
    let scans: BTreeSet<&str> = rows().map(|row| row.scan.as_str()).collect();
    let named = |scans: &[(Cell, ExcludedScan)]| {
        let own = scans.iter().filter(|(cell, _)| cell.cohort == cohort && cell.budget == budget);
        let names: BTreeSet<String> = own.map(|(_, left)| format!("{} ({})", left.case, left.why)).collect();
        names.into_iter().collect::<Vec<String>>()
    };
    Group {
        cohort: cohort.to_owned(),
        budget: budget.to_owned(),
        labelled: rows().map(|row| row.labelled).max().unwrap_or(0),
        patients: patients.len(),
        scans: scans.len(),
        columns: plan.metrics.clone(),
        left_out: named(&results.left_out),
        training_left_out: named(&results.training_left_out),
        methods: summaries,
    }
}

fn table_of<'a>(results: &'a Results, cohort: &str, budget: &str, method: &str) -> Table<'a> {
    let own = |cell: &Cell| (&*cell.cohort, &*cell.budget, &*cell.method) == (cohort, budget, method);
    let mut table = Table::new();
    for row in results.rows.iter().filter(|row| own(&row.cell)) {
        let patients = table.entry((row.cell.draw, row.cell.seed)).or_default();
        patients.entry(row.patient.as_str()).or_default().push(&row.measures);
    }
    table
}

/// The values of a metric of each test patient of a method: means over draws and seeds.
pub fn patient_means<'a>(results: &'a Results, group: &Group, method: &str, metric: Metric) -> BTreeMap<&'a str, f64> {
    by_patient(&table_of(results, &group.cohort, &group.budget, method), metric)
}

fn by_patient<'a>(table: &Table<'a>, metric: Metric) -> BTreeMap<&'a str, f64> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (patient, scans) in table.values().flatten() {
        values.entry(patient).or_default().push(metric.mean(scans));
    }
    values.into_iter().map(|(patient, values)| (patient, mean_sd(&values).0)).collect()
}

fn spreads(table: &Table<'_>, metrics: &[Metric]) -> BTreeMap<Metric, Spread> {
    let mut spreads = BTreeMap::new();
    for metric in metrics.iter().copied().filter(|_| !table.is_empty()) {
        let unit =
            |patients: &Patients<'_>| mean_sd(&patients.values().map(|scans| metric.mean(scans)).collect::<Vec<_>>()).0;
        let units: Vec<f64> = table.values().map(unit).collect();
        let patients: Vec<f64> = by_patient(table, metric).into_values().collect();
        let ((mean, sd_draws), (_, sd_patients)) = (mean_sd(&units), mean_sd(&patients));
        spreads.insert(metric, Spread { mean, sd_patients, sd_draws });
    }
    spreads
}

/// Compares the methods of groups. Their tables share the resamples.
pub struct Comparison<'a> {
    results: &'a Results,
    seed: u64,
    /// By number of units and patients.
    resamples: BTreeMap<[usize; 2], Resamples>,
}

impl<'a> Comparison<'a> {
    /// For groups of these results.
    pub fn new(plan: &Plan, results: &'a Results) -> Self {
        Self { results, seed: plan.seed, resamples: BTreeMap::new() }
    }

    /// Adds the differences to each reference method to a group that has none, over the units and patients that both methods
    /// have.
    pub fn add_differences(&mut self, group: &mut Group) {
        let results = self.results;
        let of = |method: &MethodSummary| table_of(results, &group.cohort, &group.budget, &method.method);
        let tables: Vec<Table<'_>> = group.methods.iter().map(of).collect();
        let references: Vec<String> = group.references().into_iter().map(str::to_owned).collect();
        for to in references {
            let Some(reference) = group.methods.iter().position(|method| method.method == to) else { continue };
            for metric in group.columns.clone() {
                for (index, difference) in self.differences(&tables, reference, metric) {
                    group.methods[index].differences.push(Difference { to: to.clone(), ..difference });
                }
            }
        }
    }

    /// Differences of a metric of every other table to that of `reference`, with the index of the table and without the name
    /// of the reference.
    fn differences(&mut self, tables: &[Table<'_>], reference: usize, metric: Metric) -> Vec<(usize, Difference)> {
        let mut by_shape: BTreeMap<[usize; 2], Vec<Pair>> = BTreeMap::new();
        for (index, table) in tables.iter().enumerate().filter(|(index, _)| *index != reference) {
            let values = paired(table, &tables[reference], metric);
            let shape = [values.len(), values.first().map_or(0, Vec::len)];
            by_shape.entry(shape).or_default().push((index, values));
        }
        let mut results = Vec::new();
        for (shape, pairs) in by_shape {
            let resamples = self.resamples.entry(shape).or_insert_with(|| Resamples::new(shape, self.seed));
            let values: Vec<&[Vec<f64>]> = pairs.iter().map(|(_, values)| values.as_slice()).collect();
            let intervals = resamples.intervals(&values).into_iter().flatten();
            for ((index, values), Interval { mean, low, high, .. }) in pairs.iter().zip(intervals) {
                let by_patient: Vec<f64> = (0..shape[1])
                    .map(|patient| mean_sd(&values.iter().map(|unit| unit[patient]).collect::<Vec<_>>()).0)
                    .collect();
                let p = wilcoxon(&by_patient).p;
                let interval = [low, high];
                results.push((*index, Difference { to: String::new(), metric, mean, interval, p, p_holm: p }));
            }
        }
        results.sort_by_key(|(index, _)| *index);
        let corrected = holm(&results.iter().map(|(_, difference)| difference.p).collect::<Vec<_>>());
        for ((_, difference), p_holm) in results.iter_mut().zip(corrected) {
            difference.p_holm = p_holm;
        }
        results
    }
}

/// Differences `[unit][patient]` of the units and patients that both tables have.
fn paired(own: &Table<'_>, other: &Table<'_>, metric: Metric) -> Vec<Vec<f64>> {
    let common: Vec<(&Patients<'_>, &Patients<'_>)> =
        own.iter().filter_map(|(unit, patients)| Some((patients, other.get(unit)?))).collect();
    let everywhere = |patient: &&str| common.iter().all(|(a, b)| a.contains_key(patient) && b.contains_key(patient));
    let patients: Vec<&str> =
        common.first().into_iter().flat_map(|(a, _)| a.keys().copied()).filter(everywhere).collect();
    common.iter().map(|(a, b)| patients.iter().map(|p| metric.mean(&a[p]) - metric.mean(&b[p])).collect()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::metrics::Lesions;
    use crate::study::results::Row;

    fn row(method: &str, draw: usize, patient: &str, scan: &str, dsc: f64) -> Row {
        let cell = Cell { cohort: "c".into(), budget: "2".into(), method: method.into(), fold: 0, draw, seed: 0 };
        let measures = Measures {
            dsc,
            sensitivity: 0.5,
            precision: 0.5,
            boundary_iou: 0.5,
            hd95_mm: 10.0 * dsc,
            volume_ml: 1.0,
            truth_volume_ml: 1.0,
            lesions: Lesions::default(),
            notes: Vec::new(),
        };
        Row { cell, labelled: 2, patient: patient.into(), scan: scan.into(), measures, run: "run".into() }
    }

    fn plan(more: &str) -> Plan {
        let text = "name = 'x'\nlabels = { budgets = ['2'], draws = 2 }\npretrain = {}\nfinetune = {}\n\
                    cohorts = [{ name = 'c', path = 'c', modality = ['ct'] }]\nmethods = [{ name = 'sup' }, { name = 'own' }]\n";
        Plan::from_toml(&format!("{more}{text}"), Path::new("plan.toml")).unwrap()
    }

    #[test]
    fn statistics_are_per_patient_with_averaged_scans() {
        let rows = vec![
            row("sup", 0, "p", "p_1", 0.2),
            row("sup", 0, "p", "p_2", 0.4),
            row("sup", 0, "q", "q", 0.9),
            row("sup", 1, "p", "p_1", 0.3),
            row("sup", 1, "p", "p_2", 0.7),
            row("sup", 1, "q", "q", 0.7),
            row("own", 0, "p", "p_1", 0.3),
            row("own", 0, "p", "p_2", 0.5),
            row("own", 0, "q", "q", 0.8),
        ];
        let results = Results { rows, ..Results::default() };
        let group = summarise(&plan(""), &results).remove(0);
        assert_eq!(
            (group.patients, group.scans, group.methods[0].units, group.methods[1].units),
            (2, 3, [2, 2], [1, 2])
        );
        let near = |actual: f64, expected: f64| assert!((actual - expected).abs() < 1e-12, "{actual} {expected}");
        // p: .3 and .5, q: .9 and .7. Over scans the means of the draws would be .5 and .567.
        let dsc = group.methods[0].metrics[&Metric::Dsc];
        near(dsc.mean, 0.6);
        near(dsc.sd_draws, 0.0);
        near(dsc.sd_patients, (0.8 - 0.4) / 2f64.sqrt());
        let means: Vec<f64> = patient_means(&results, &group, "sup", Metric::Dsc).into_values().collect();
        near(means[0], 0.4);
        near(means[1], 0.8);
        // Paired on the draw that both have: p + .1, q - .1.
        let difference = &group.methods[1].differences[0];
        assert_eq!((difference.metric, difference.to.as_str()), (Metric::Dsc, "sup"));
        near(difference.mean, 0.0);
        // Of the four resamples -.1, 0, 0 and .1, linearly.
        near(difference.interval[0], -0.0925);
        near(difference.p, 1.0);
    }

    #[test]
    fn means_do_not_depend_on_the_differences() {
        let rows = ["sup", "own"].iter().flat_map(|method| {
            let dsc = if *method == "sup" { 0.5 } else { 0.7 };
            [row(method, 0, "p", "p", dsc), row(method, 0, "q", "q", dsc / 2.0), row(method, 1, "p", "p", dsc)]
        });
        let results = Results { rows: rows.collect(), ..Results::default() };
        let plan = plan("");
        let whole = summarise(&plan, &results);
        let mut groups = means(&plan, &results);
        assert!(groups[0].methods.iter().all(|method| method.differences.is_empty()));
        assert_eq!(groups[0].references(), ["sup"]);
        let mut comparison = Comparison::new(&plan, &results);
        groups.iter_mut().for_each(|group| comparison.add_differences(group));
        assert_eq!(groups, whole);
        assert_eq!(whole[0].methods[1].differences.len(), Metric::ALL.len());
        // Both units have only p: one shape of tables, drawn once for all metrics.
        assert_eq!(comparison.resamples.keys().collect::<Vec<_>>(), [&[2, 1]]);
        groups[0].methods.truncate(1);
        assert!(groups[0].references().is_empty(), "a single method is compared with none");
    }

    #[test]
    fn the_plan_selects_the_metrics_and_differences_use_the_first() {
        let results =
            Results { rows: vec![row("sup", 0, "p", "p", 0.5), row("own", 0, "p", "p", 0.7)], ..Results::default() };
        let group = summarise(&plan("metrics = ['hd95_mm', 'dsc']\n"), &results).remove(0);
        assert_eq!((group.metric(), group.methods[0].metrics.len()), (Metric::Hd95Mm, 2));
        let table = crate::study::tables::table(&group);
        let expected = ["Method", "HD95 (mm)", "DSC", "SD patients", "SD draws", "HD95 (mm) - sup [95 %], p"];
        assert_eq!(table.heading, expected);
        assert_eq!(table.rows[1][..3], ["own", "7.0", "0.700"]);
        assert!(table.rows[1][5].starts_with("+2.0 [+2.0, +2.0]"), "{:?}", table.rows[1]);
    }
}
