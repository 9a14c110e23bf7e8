//! The result of an evaluation: one row per case and label, and the mean over the cases.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};

use super::Target;
use crate::cohort::ExcludedScan;
use crate::metrics::{Lesions, Measures};
use crate::{Error, Result};

/// The measures of one case for one label.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// Scan id.
    pub case: String,
    /// The patient, over which the mean is taken.
    pub patient: String,
    /// The measured label or union of labels.
    pub label: Target,
    /// The measures, or the reason why there are none.
    pub measures: Result<Measures, String>,
}

impl CaseResult {
    /// Notes on this row, such as conventions for empty masks.
    pub fn notes(&self) -> &[String] {
        match &self.measures {
            Ok(measures) => &measures.notes,
            Err(why) => std::slice::from_ref(why),
        }
    }
}

impl Serialize for CaseResult {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let measures = self.measures.as_ref().ok();
        let value = |of: fn(&Measures) -> f64| measures.map(of);
        let mut row = to.serialize_struct("case", 11)?;
        row.serialize_field("case", &self.case)?;
        row.serialize_field("label", &self.label)?;
        row.serialize_field("dsc", &value(|m| m.dsc))?;
        row.serialize_field("sensitivity", &value(|m| m.sensitivity))?;
        row.serialize_field("precision", &value(|m| m.precision))?;
        row.serialize_field("boundary_iou", &value(|m| m.boundary_iou))?;
        row.serialize_field("hd95_mm", &value(|m| m.hd95_mm))?;
        row.serialize_field("volume_ml", &value(|m| m.volume_ml))?;
        row.serialize_field("truth_volume_ml", &value(|m| m.truth_volume_ml))?;
        row.serialize_field("lesions", &measures.map(|m| m.lesions))?;
        row.serialize_field("notes", self.notes())?;
        row.end()
    }
}

/// Lesion-wise detection, averaged over the cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanLesions {
    /// Reference lesions hit.
    pub tp: f64,
    /// False-positive lesions: components of the segmentation without any reference voxel.
    pub fp: f64,
    /// Reference lesions missed.
    #[serde(rename = "fn")]
    pub missed: f64,
}

/// The mean over the cases, including those whose values are conventions for empty masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Number of cases.
    pub cases: usize,
    /// Dice similarity coefficient.
    pub dsc: f64,
    /// Sensitivity (Eq. 11).
    pub sensitivity: f64,
    /// Fraction of the segmented voxels that are in the reference.
    pub precision: f64,
    /// Boundary IoU (Eq. 12).
    pub boundary_iou: f64,
    /// 95th percentile Hausdorff distance in mm.
    pub hd95_mm: f64,
    /// Volume of the segmentation in ml.
    pub volume_ml: f64,
    /// Volume of the reference in ml.
    pub truth_volume_ml: f64,
    /// Lesion-wise detection.
    pub lesions: MeanLesions,
}

impl From<&Measures> for Mean {
    /// The measures of one case.
    fn from(m: &Measures) -> Self {
        let Lesions { tp, fp, missed } = m.lesions;
        Self {
            cases: 1,
            dsc: m.dsc,
            sensitivity: m.sensitivity,
            precision: m.precision,
            boundary_iou: m.boundary_iou,
            hd95_mm: m.hd95_mm,
            volume_ml: m.volume_ml,
            truth_volume_ml: m.truth_volume_ml,
            lesions: MeanLesions { tp: tp as f64, fp: fp as f64, missed: missed as f64 },
        }
    }
}

impl Mean {
    /// The mean over patients, each with the mean over its scans, so that a patient with many scans counts once. `None` if
    /// there are none.
    pub fn by_patient<'a>(scans: impl Iterator<Item = (&'a str, &'a Measures)>) -> Option<Self> {
        let mut patients: BTreeMap<&str, Vec<Self>> = BTreeMap::new();
        for (patient, measures) in scans {
            patients.entry(patient).or_default().push(measures.into());
        }
        let patients: Vec<Self> = patients.into_values().filter_map(|scans| Self::average(&scans)).collect();
        Self::average(&patients)
    }

    /// The average of means, each with the same weight.
    fn average(means: &[Self]) -> Option<Self> {
        let mean = |of: &dyn Fn(&Self) -> f64| means.iter().map(of).sum::<f64>() / means.len() as f64;
        (!means.is_empty()).then(|| Self {
            cases: means.iter().map(|m| m.cases).sum(),
            dsc: mean(&|m| m.dsc),
            sensitivity: mean(&|m| m.sensitivity),
            precision: mean(&|m| m.precision),
            boundary_iou: mean(&|m| m.boundary_iou),
            hd95_mm: mean(&|m| m.hd95_mm),
            volume_ml: mean(&|m| m.volume_ml),
            truth_volume_ml: mean(&|m| m.truth_volume_ml),
            lesions: MeanLesions {
                tp: mean(&|m| m.lesions.tp),
                fp: mean(&|m| m.lesions.fp),
                missed: mean(&|m| m.lesions.missed),
            },
        })
    }
}

/// The result of an evaluation, in JSON `{cases: [..], mean: {LABEL: {..}}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Rows sorted by case, then in the order of the targets.
    pub cases: Vec<CaseResult>,
    /// The mean per label, in the order of the targets. Labels without any case are omitted.
    #[serde(serialize_with = "as_map")]
    pub mean: Vec<(Target, Mean)>,
    /// Cases that could not be measured, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<ExcludedScan>,
    /// References without a segmentation that were not requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masks_left_out: Vec<ExcludedScan>,
    /// Segmentations outside the subset, in one sentence.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

fn as_map<S: Serializer>(means: &[(Target, Mean)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(means.len()))?;
    for (label, mean) in means {
        map.serialize_entry(&label.to_string(), mean)?;
    }
    map.end()
}

/// CSV columns: the JSON keys, with the lesion counts flattened.
const COLUMNS: [&str; 13] = [
    "case",
    "label",
    "dsc",
    "sensitivity",
    "precision",
    "boundary_iou",
    "hd95_mm",
    "volume_ml",
    "truth_volume_ml",
    "lesions_tp",
    "lesions_fp",
    "lesions_fn",
    "notes",
];

impl Report {
    /// A report of these rows and their means.
    pub fn new(cases: Vec<CaseResult>, targets: &[Target], warnings: Vec<String>) -> Self {
        let mean_of = |target: &Target| {
            let rows = cases.iter().filter(|row| row.label == *target);
            let measured = rows.filter_map(|row| Some((row.patient.as_str(), row.measures.as_ref().ok()?)));
            Some((target.clone(), Mean::by_patient(measured)?))
        };
        let mean = targets.iter().filter_map(mean_of).collect();
        Self { cases, mean, left_out: Vec::new(), masks_left_out: Vec::new(), warnings }
    }

    /// The report as a JSON document.
    ///
    /// # Errors
    /// If serialisation fails, which no report causes.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|e| Error::config("report", "JSON", e.to_string()))
    }

    /// The rows as CSV with a header. Notes are joined by "; ", missing values are empty.
    ///
    /// # Errors
    /// If serialisation fails, which no report causes.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let bad = |e: csv::Error| Error::config("report", "CSV", e.to_string());
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS).map_err(bad)?;
        for row in &self.cases {
            let mut fields = vec![row.case.clone(), row.label.to_string()];
            match &row.measures {
                Ok(m) => {
                    let values = [m.dsc, m.sensitivity, m.precision, m.boundary_iou, m.hd95_mm];
                    fields.extend(values.iter().chain(&[m.volume_ml, m.truth_volume_ml]).map(f64::to_string));
                    fields.extend([m.lesions.tp, m.lesions.fp, m.lesions.missed].map(|n| n.to_string()));
                }
                Err(_) => fields.resize(COLUMNS.len() - 1, String::new()),
            }
            fields.push(row.notes().join("; "));
            csv.write_record(&fields).map_err(bad)?;
        }
        csv.into_inner().map_err(|e| Error::config("report", "CSV", e.error().to_string()))
    }

    /// The rows, means and notes as a text table.
    pub fn to_table(&self) -> String {
        let mut lines = vec![
            [
                "case",
                "label",
                "DSC",
                "sens",
                "prec",
                "bIoU",
                "HD95 mm",
                "ml",
                "ref. ml",
                "lesions hit",
                "missed",
                "extra",
            ]
            .map(str::to_owned),
        ];
        for row in &self.cases {
            let mean = row.measures.as_ref().ok().map(Mean::from);
            lines.push(table_row(&row.case, &row.label, mean.as_ref(), 0));
        }
        for (label, mean) in self.mean.iter().filter(|(_, mean)| mean.cases > 1) {
            lines.push(table_row(&format!("mean of {}", mean.cases), label, Some(mean), 1));
        }
        let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 12] = std::array::from_fn(width);
        let mut table = String::new();
        for line in &lines {
            let cells = line.iter().zip(widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(n, (cell, w))| if n == 0 { format!("{cell:<w$}") } else { format!("{cell:>w$}") })
                .collect();
            table += cells.join("  ").trim_end();
            table.push('\n');
        }
        for row in &self.cases {
            for note in row.notes() {
                // Writing to a string cannot fail.
                let _ = writeln!(table, "{}, label {}: {note}", row.case, row.label);
            }
        }
        table
    }
}

fn table_row(case: &str, label: &Target, mean: Option<&Mean>, lesion_decimals: usize) -> [String; 12] {
    let Some(m) = mean else {
        let mut row = std::array::from_fn(|_| "-".to_owned());
        (row[0], row[1]) = (case.to_owned(), label.to_string());
        return row;
    };
    let lesions = |n: f64| format!("{n:.lesion_decimals$}");
    [
        case.to_owned(),
        label.to_string(),
        format!("{:.4}", m.dsc),
        format!("{:.4}", m.sensitivity),
        format!("{:.4}", m.precision),
        format!("{:.4}", m.boundary_iou),
        format!("{:.2}", m.hd95_mm),
        format!("{:.2}", m.volume_ml),
        format!("{:.2}", m.truth_volume_ml),
        lesions(m.lesions.tp),
        lesions(m.lesions.missed),
        lesions(m.lesions.fp),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::*;
    fn report() -> Report {
        let measures = |dsc: f64, tp: usize| Measures {
            dsc,
            sensitivity: 0.5,
            precision: 1.0,
            boundary_iou: 0.25,
            hd95_mm: 3.5,
            volume_ml: 10.0,
            truth_volume_ml: 12.5,
            lesions: Lesions { tp, fp: 1, missed: 0 },
            notes: if dsc > 0.7 { vec!["one".into(), "two, more".into()] } else { vec![] },
        };
        let row =
            |case: &str, measures| CaseResult { case: case.into(), patient: case.into(), label: Target::Any, measures };
        let rows = vec![
            row("a", Ok(measures(0.5, 1))),
            row("b", Ok(measures(0.75, 2))),
            row("c", Err("no segmentation".to_owned())),
        ];
        Report::new(rows, &[Target::Any, Target::Labels(vec![7])], vec!["a warning".into()])
    }

    #[test]
    fn the_mean_excludes_cases_without_measures() {
        let report = report();
        assert_eq!(report.mean.len(), 1);
        let mean = report.mean[0].1;
        assert_eq!((mean.cases, mean.dsc, mean.lesions.tp), (2, 0.625, 1.5));
    }

    #[test]
    fn a_patient_with_two_scans_counts_once_in_the_mean() {
        let rows = report().cases;
        let measures = |row: &CaseResult| row.measures.clone().unwrap();
        let (half, more) = (measures(&rows[0]), measures(&rows[1]));
        let mean = Mean::by_patient([("p", &half), ("p", &more), ("q", &more)].into_iter()).unwrap();
        assert_eq!((mean.cases, mean.dsc), (3, f64::midpoint(0.625, 0.75)));
        assert!(Mean::by_patient(std::iter::empty()).is_none());
    }

    #[test]
    fn json_csv_and_table_agree() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["cases", "mean"]);
        assert_eq!(json["cases"][1]["lesions"], serde_json::json!({"tp": 2, "fp": 1, "fn": 0}));
        assert!(json["cases"][2]["dsc"].is_null() && json["cases"][2]["lesions"].is_null());
        assert_eq!(json["cases"][2]["notes"][0], "no segmentation");
        assert_eq!(json["mean"]["1"]["lesions"]["tp"], 1.5);
        let csv = String::from_utf8(report().to_csv().unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].ends_with("truth_volume_ml,lesions_tp,lesions_fp,lesions_fn,notes"));
        assert_eq!(lines[2], "b,1,0.75,0.5,1,0.25,3.5,10,12.5,2,1,0,\"one; two, more\"");
        assert_eq!(lines[3], "c,1,,,,,,,,,,,no segmentation");
        let table = report().to_table();
        assert!(table.contains("mean of 2") && table.contains("0.6250"), "{table}");
        assert!(table.contains("\nc ") && table.ends_with("c, label 1: no segmentation\n"), "{table}");
    }
}
