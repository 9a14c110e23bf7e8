//! The test patients of a cell, each with the mean over the draws and seeds.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use engine::study::Row;
use engine::study::summary::{Group, Metric};

use super::{StudyCell, column_of, is_distance};
use crate::state::State;
use crate::state::train::Column;

/// A test patient, segmented by one method at one label budget.
#[derive(Clone, Debug)]
pub struct StudyPatient<'a> {
    /// The patient.
    pub name: &'a str,
    /// The segmentations, one per scan, draw and seed; never empty.
    pub rows: Vec<&'a Row>,
}

impl<'a> StudyPatient<'a> {
    /// Mean of a column over draws and seeds; `None` without a finite value.
    pub fn mean(&self, column: Column) -> Option<f64> {
        let values = self.rows.iter().filter_map(|row| column.value(&row.measures));
        let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
    }

    /// The worst segmentation by a metric; the first one in a tie.
    pub fn worst(&self, metric: Metric) -> Option<&'a Row> {
        let badness = |row: &Row| badness(Some(metric.of(&row.measures)), metric);
        self.rows.iter().copied().rev().max_by(|a, b| badness(a).total_cmp(&badness(b)))
    }

    /// Number of draws and seeds.
    pub fn units(&self) -> usize {
        self.rows.iter().map(|row| (row.cell.draw, row.cell.seed)).collect::<BTreeSet<_>>().len()
    }

    /// Notes on the segmentations, each once.
    pub fn notes(&self) -> Vec<&'a str> {
        let mut notes: Vec<&str> =
            self.rows.iter().flat_map(|row| row.measures.notes.iter().map(String::as_str)).collect();
        notes.sort_unstable();
        notes.dedup();
        notes
    }
}

/// Sort key of a value: missing values are worst.
fn badness(value: Option<f64>, metric: Metric) -> f64 {
    match value.filter(|value| value.is_finite()) {
        Some(value) if is_distance(metric) => value,
        Some(value) => -value,
        None => f64::INFINITY,
    }
}

impl State {
    /// The patients of a method at a label budget of the open study, the worst first by the shown metric.
    pub fn study_patients(&self, group: &Group, method: &str) -> Vec<StudyPatient<'_>> {
        let Some(study) = &self.cache.study.open else { return Vec::new() };
        let metric = self.study_metric();
        let mut found: Vec<StudyPatient<'_>> = Vec::new();
        for row in &study.results.rows {
            let cell = &row.cell;
            if (&cell.cohort, &cell.budget, cell.method.as_str()) != (&group.cohort, &group.budget, method) {
                continue;
            }
            match found.iter_mut().find(|patient| patient.name == row.patient) {
                Some(patient) => patient.rows.push(row),
                None => found.push(StudyPatient { name: &row.patient, rows: vec![row] }),
            }
        }
        let badness = |patient: &StudyPatient<'_>| badness(patient.mean(column_of(metric)), metric);
        found.sort_by(|a, b| match badness(b).total_cmp(&badness(a)) {
            Ordering::Equal => a.name.cmp(b.name),
            order => order,
        });
        found
    }

    /// All methods' segmentations of a patient in plan order, for the draw and seed in which the cell's method is
    /// worst, and the index of that method.
    pub fn study_segmentations(&self, cell: &StudyCell, patient: &str) -> Option<(usize, Vec<Row>)> {
        let study = self.cache.study.open.as_ref()?;
        let group = self.study_groups().into_iter().find(|group| group.budget == cell.budget)?;
        let patients = self.study_patients(group, &cell.method);
        let worst = patients.iter().find(|found| found.name == patient)?.worst(self.study_metric())?;
        let is_alike = |row: &&Row| {
            let (a, b) = (&row.cell, &worst.cell);
            row.scan == worst.scan
                && (&a.cohort, &a.budget, a.fold, a.draw, a.seed) == (&b.cohort, &b.budget, b.fold, b.draw, b.seed)
        };
        let rows: Vec<Row> = study.results.rows.iter().filter(is_alike).cloned().collect();
        let shown = rows.iter().position(|row| row.cell.method == cell.method)?;
        Some((shown, rows))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use engine::metrics::Measures;
    use engine::study::{Cell, Results, StudyRecord, StudyStatus, summarise};

    use super::*;
    use crate::state::train::TrainPage;

    fn row(method: &str, patient: &str, draw: usize, dsc: f64, hd95_mm: f64) -> Row {
        let measures = Measures {
            dsc,
            sensitivity: dsc,
            precision: dsc,
            boundary_iou: dsc,
            hd95_mm,
            volume_ml: 1.0,
            truth_volume_ml: 1.0,
            lesions: engine::findings::Lesions::default(),
            notes: Vec::new(),
        };
        let (cohort, budget) = ("a".to_owned(), "2".to_owned());
        let cell = Cell { cohort, budget, method: method.into(), fold: 0, draw, seed: 0 };
        Row {
            cell,
            labelled: 2,
            patient: patient.into(),
            scan: patient.into(),
            measures,
            run: format!("{method}-{draw}"),
        }
    }

    fn state() -> State {
        let text = r#"
            name = "small"
            labels = { budgets = ["2"], draws = 2 }
            cohorts = [{ name = "a", path = "a", modality = ["pet"] }]
            methods = [{ name = "sup" }, { name = "base", preset = "base" }]
            pretrain = {}
            finetune = {}
        "#;
        let plan = engine::study::Plan::from_toml(text, std::path::Path::new("plan.toml")).unwrap();
        let rows = vec![
            row("sup", "P1", 0, 0.9, 2.0),
            row("sup", "P2", 0, 0.2, f64::INFINITY),
            row("sup", "P1", 1, 0.5, 1.0),
            row("sup", "P2", 1, 0.8, 3.0),
            row("base", "P1", 0, 0.6, 2.0),
            row("base", "P1", 1, 0.7, 2.0),
        ];
        let results = Results { rows, ..Results::default() };
        let groups = summarise(&plan, &results);
        let mut state = State::default();
        state.session.train.page = TrainPage::Studies;
        state.cache.study.open = Some(Box::new(StudyRecord { plan, status: StudyStatus::default(), results, groups }));
        state
    }

    fn names<'a>(patients: &[StudyPatient<'a>]) -> Vec<&'a str> {
        patients.iter().map(|patient| patient.name).collect()
    }

    #[test]
    fn the_worst_patient_comes_first_by_the_shown_metric() {
        let mut state = state();
        let group = state.study_groups()[0].clone();
        let patients = state.study_patients(&group, "sup");
        assert_eq!(names(&patients), ["P2", "P1"]);
        assert_eq!(patients[0].mean(Column::Dice), Some(0.5));
        // A distance that one of the draws does not have is left out of the mean.
        assert_eq!(patients[0].mean(Column::Hd95), Some(3.0));
        assert_eq!(patients[1].worst(Metric::Dsc).unwrap().cell.draw, 1);
        assert_eq!(patients[0].worst(Metric::Hd95Mm).unwrap().cell.draw, 0, "no distance is worse than any");
        state.session.study.metric = Metric::Hd95Mm;
        assert_eq!(names(&state.study_patients(&group, "sup")), ["P2", "P1"]);
        assert!(state.study_patients(&group, "amlp").is_empty());
    }

    #[test]
    fn all_methods_are_shown_with_the_draw_in_which_the_chosen_one_is_worst() {
        let state = state();
        let cell = |method: &str| StudyCell { budget: "2".into(), method: method.into() };
        let (shown, rows) = state.study_segmentations(&cell("base"), "P1").unwrap();
        assert_eq!(rows.iter().map(|row| row.run.as_str()).collect::<Vec<_>>(), ["sup-0", "base-0"]);
        assert_eq!(shown, 1);
        let (shown, rows) = state.study_segmentations(&cell("sup"), "P1").unwrap();
        assert_eq!((shown, rows[0].run.as_str()), (0, "sup-1"));
        // A method without a result of this patient is left out.
        let (_, rows) = state.study_segmentations(&cell("sup"), "P2").unwrap();
        assert_eq!(rows.len(), 1);
        assert!(state.study_segmentations(&cell("base"), "P2").is_none());
    }

    #[test]
    fn choices_of_another_study_fall_back_to_the_first() {
        let mut state = state();
        assert_eq!((state.study_reference(), state.study_cohort()), (Some("sup"), Some("a")));
        state.session.study.reference = Some("base".into());
        assert_eq!(state.study_reference(), Some("base"));
        (state.session.study.reference, state.session.study.cohort) = (Some("gone".into()), Some("gone".into()));
        state.session.study.cell = Some(StudyCell { budget: "5%".into(), method: "sup".into() });
        assert_eq!((state.study_reference(), state.study_cohort()), (Some("sup"), Some("a")));
        assert!(state.study_cell().is_none() && state.study_group().is_some());
    }
}
