//! Metrics of a fine-tuned run per patient.

use std::cmp::Ordering;
use std::sync::Arc;

use engine::finetune::BeforeAfter;
use engine::jobs::evaluation::{PatientRow, RunEvaluation};
use engine::metrics::Measures;

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// The patient's name.
    Patient,
    /// Dice.
    #[default]
    Dice,
    /// Fraction of the reference's voxels that are segmented.
    Sensitivity,
    /// Fraction of the segmented voxels that are in the reference.
    Precision,
    /// 95th percentile of the surface distances, mm.
    Hd95,
    /// Intersection over union of the boundary bands.
    Boundary,
    /// Reference volume, ml.
    Truth,
    /// Segmentation volume, ml.
    Predicted,
    /// Lesions found.
    Hit,
    /// Lesions missed.
    Missed,
    /// False-positive lesions.
    Extra,
}

impl Column {
    /// All of them, from left to right.
    pub const ALL: [Self; 11] = [
        Self::Patient,
        Self::Dice,
        Self::Sensitivity,
        Self::Precision,
        Self::Hd95,
        Self::Boundary,
        Self::Truth,
        Self::Predicted,
        Self::Hit,
        Self::Missed,
        Self::Extra,
    ];

    /// Heading in two lines: the name, and its unit or kind.
    pub fn head(self) -> [&'static str; 2] {
        match self {
            Self::Patient => ["Patient", ""],
            Self::Dice => ["Dice", ""],
            Self::Sensitivity => ["Sensitivity", ""],
            Self::Precision => ["Precision", ""],
            Self::Hd95 => ["HD95", "mm"],
            Self::Boundary => ["Boundary", "IoU"],
            Self::Truth => ["Reference", "ml"],
            Self::Predicted => ["Segmentation", "ml"],
            Self::Hit => ["Lesions", "hit"],
            Self::Missed => ["Lesions", "missed"],
            Self::Extra => ["Lesions", "extra"],
        }
    }

    /// Heading in one line: "HD95 (mm)".
    pub fn title(self) -> String {
        match self.head() {
            [name, ""] => name.to_owned(),
            [name, unit @ ("mm" | "ml")] => format!("{name} ({unit})"),
            [name, kind] => format!("{name} {kind}"),
        }
    }

    /// The name in an exported table.
    pub fn key(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Dice => "dice",
            Self::Sensitivity => "sensitivity",
            Self::Precision => "precision",
            Self::Hd95 => "hd95_mm",
            Self::Boundary => "boundary_iou",
            Self::Truth => "reference_ml",
            Self::Predicted => "segmentation_ml",
            Self::Hit => "lesions_hit",
            Self::Missed => "lesions_missed",
            Self::Extra => "lesions_extra",
        }
    }

    /// The full name with its unit.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Dice => "Dice similarity coefficient",
            Self::Sensitivity => "Sensitivity",
            Self::Precision => "Precision",
            Self::Hd95 => "95 % Hausdorff distance, mm",
            Self::Boundary => "Boundary IoU",
            Self::Truth => "Reference volume, ml",
            Self::Predicted => "Segmentation volume, ml",
            Self::Hit => "Lesions hit",
            Self::Missed => "Lesions missed",
            Self::Extra => "False-positive lesions",
        }
    }

    /// Number of decimals. A segmentation of a few voxels is not 0 ml.
    pub fn decimals(self) -> usize {
        match self {
            Self::Dice | Self::Sensitivity | Self::Precision | Self::Boundary => 3,
            Self::Truth | Self::Predicted => 2,
            Self::Hd95 => 1,
            Self::Patient | Self::Hit | Self::Missed | Self::Extra => 0,
        }
    }

    /// Its value in a patient's metrics; `None` for the name.
    pub fn value(self, measures: &Measures) -> Option<f64> {
        let lesions = &measures.lesions;
        match self {
            Self::Patient => None,
            Self::Dice => Some(measures.dsc),
            Self::Sensitivity => Some(measures.sensitivity),
            Self::Precision => Some(measures.precision),
            Self::Hd95 => Some(measures.hd95_mm),
            Self::Boundary => Some(measures.boundary_iou),
            Self::Truth => Some(measures.truth_volume_ml),
            Self::Predicted => Some(measures.volume_ml),
            Self::Hit => Some(lesions.tp as f64),
            Self::Missed => Some(lesions.missed as f64),
            Self::Extra => Some(lesions.fp as f64),
        }
    }
}

/// Metrics of a run, and how the table shows them.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The metrics of the selected run, once known.
    pub evaluation: Option<Arc<RunEvaluation>>,
    /// Dice of the held-out patients before and after, if the run continued another.
    pub change: Option<BeforeAfter>,
    /// Why there are no metrics.
    pub why: Option<String>,
    /// The column by which patients are sorted.
    pub column: Column,
    /// Largest first.
    pub falling: bool,
    /// Indices into the evaluation, in listed order.
    pub order: Vec<usize>,
}

/// Mean and standard deviation over patients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean over the patients.
    pub mean: f64,
    /// Standard deviation of the patients (n - 1); none for a single one.
    pub sd: Option<f64>,
}

impl Results {
    /// Sets the metrics and sorts the worst patient first.
    pub fn set(&mut self, evaluation: RunEvaluation) {
        (self.evaluation, self.why) = (Some(Arc::new(evaluation)), None);
        self.arrange();
    }

    /// Notes on the measures, each with its number of patients.
    pub fn notes(&self) -> Vec<(&str, usize)> {
        let mut found: Vec<(&str, usize)> = Vec::new();
        let measures = self.evaluation.iter().flat_map(|e| &e.patients).filter_map(|row| row.measures.as_ref());
        for note in measures.flat_map(|measures| &measures.notes) {
            match found.iter_mut().find(|(known, _)| known == note) {
                Some((_, count)) => *count += 1,
                None => found.push((note, 1)),
            }
        }
        found
    }

    /// Sorts by a column: ascending, or descending if it was sorted by it before.
    pub fn sort(&mut self, column: Column) {
        self.falling = self.column == column && !self.falling;
        self.column = column;
        self.arrange();
    }

    /// The patients in listed order.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &PatientRow)> {
        let patients = self.evaluation.iter().flat_map(|e| &e.patients).collect::<Vec<_>>();
        self.order.iter().filter_map(move |&at| Some((at, *patients.get(at)?)))
    }

    /// Mean and standard deviation of a column over the patients that were measured.
    pub fn spread(&self, column: Column) -> Option<Spread> {
        let measures = self.evaluation.iter().flat_map(|e| &e.patients).filter_map(|row| row.measures.as_ref());
        let values: Vec<f64> = measures.filter_map(|m| column.value(m)).filter(|v| v.is_finite()).collect();
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        Some(Spread { mean, sd: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) })
    }

    fn arrange(&mut self) {
        let Some(evaluation) = &self.evaluation else { return };
        let (patients, column) = (&evaluation.patients, self.column);
        let value = |row: &PatientRow| row.measures.as_ref().and_then(|m| column.value(m)).filter(|v| v.is_finite());
        let mut order: Vec<usize> = (0..patients.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&patients[a], &patients[b]);
            let by_value = match (value(a), value(b)) {
                (Some(x), Some(y)) if self.falling => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                // Unmeasured patients come last in either order.
                (x, y) => y.is_some().cmp(&x.is_some()),
            };
            let by_name =
                if self.falling && column == Column::Patient { b.case.cmp(&a.case) } else { a.case.cmp(&b.case) };
            if by_value == Ordering::Equal { by_name } else { by_value }
        });
        self.order = order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::findings::Lesions;

    fn row(case: &str, dice: Option<f64>) -> PatientRow {
        let measures = dice.map(|dsc| Measures {
            dsc,
            sensitivity: 1.0,
            precision: 1.0,
            boundary_iou: 1.0,
            hd95_mm: 1.0,
            volume_ml: 1.0,
            truth_volume_ml: 1.0,
            lesions: Lesions::default(),
            notes: Vec::new(),
        });
        PatientRow {
            case: case.into(),
            patient: case.into(),
            images: std::collections::BTreeMap::new(),
            frames: std::collections::BTreeMap::new(),
            truth: None,
            more_truth: Vec::new(),
            mask: std::path::PathBuf::new(),
            measures,
            worst_slice: None,
            worst_dice: None,
        }
    }

    fn results() -> Results {
        let patients = vec![row("A", Some(0.8)), row("B", None), row("C", Some(0.2)), row("D", Some(0.5))];
        let mut results = Results::default();
        results.set(RunEvaluation {
            version: 1,
            part: "test".into(),
            checkpoint: engine::predict::Choice::Last,
            epoch: 1,
            patients,
            mean: None,
            left_out: Vec::new(),
        });
        results
    }

    fn names(results: &Results) -> Vec<&str> {
        results.rows().map(|(_, row)| row.case.as_str()).collect()
    }

    #[test]
    fn the_worst_patient_comes_first_and_a_second_click_reverses_the_order() {
        let mut results = results();
        assert_eq!(names(&results), ["C", "D", "A", "B"]);
        results.sort(Column::Dice);
        assert_eq!(names(&results), ["A", "D", "C", "B"]);
        results.sort(Column::Patient);
        assert_eq!(names(&results), ["A", "B", "C", "D"]);
        results.sort(Column::Patient);
        assert_eq!(names(&results), ["D", "C", "B", "A"]);
    }

    #[test]
    fn exports_name_the_network_and_the_notes() {
        let mut all = results();
        let mut evaluation = (*all.evaluation.clone().unwrap_or_else(|| unreachable!())).clone();
        (evaluation.checkpoint, evaluation.epoch) = (engine::predict::Choice::Best, 12);
        for row in [0, 2] {
            let measures = evaluation.patients[row].measures.as_mut();
            measures.into_iter().for_each(|measures| measures.notes.push("a band, as wide".into()));
        }
        all.set(evaluation);
        assert_eq!(all.notes(), [("a band, as wide", 2)]);
        let csv = super::super::export::results_csv(&all);
        assert!(csv.lines().next().is_some_and(|head| head.ends_with(",network,epoch,notes")), "{csv}");
        let row = csv.lines().find(|line| line.starts_with("A,")).unwrap_or_default();
        assert!(row.ends_with(",best,12,\"a band, as wide\""), "{row}");
        let latex = super::super::export::results_latex(&all);
        let parts = ["% best network, after epoch 12", "% 2 patients: a band", "Segmentation (ml)", "HD95 (mm)"];
        assert!(parts.iter().all(|part| latex.contains(part)) && !latex.contains("Segment."), "{latex}");
    }

    #[test]
    fn a_segmentation_of_a_few_voxels_does_not_look_empty() {
        let mut all = results();
        let mut evaluation = (*all.evaluation.clone().unwrap_or_else(|| unreachable!())).clone();
        let measures = evaluation.patients[0].measures.as_mut();
        measures.into_iter().for_each(|measures| measures.volume_ml = 0.03);
        all.set(evaluation);
        let latex = super::super::export::results_latex(&all);
        assert!(latex.contains(" & 0.03 & "), "{latex}");
    }

    #[test]
    fn the_spread_counts_only_evaluated_patients() {
        let spread = results().spread(Column::Dice);
        assert!(spread.is_some_and(|s| (s.mean - 0.5).abs() < 1e-12));
        assert!(spread.and_then(|s| s.sd).is_some_and(|sd| (sd - 0.3).abs() < 1e-12));
        assert_eq!(Results::default().spread(Column::Dice), None);
    }
}
