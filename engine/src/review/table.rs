//! Verdicts and findings as CSV.

use super::MeasuredCase;
use crate::disk::clock::utc;
use crate::{Error, Result};

/// One row per case: verdict, comment, reviewer, time and mask statistics.
pub fn cases_csv(cases: &[MeasuredCase]) -> Result<Vec<u8>> {
    let head = [
        "case",
        "patient",
        "session",
        "verdict",
        "comment",
        "reviewer",
        "time",
        "seconds",
        "mask",
        "lesions",
        "lesions_accepted",
        "lesions_rejected",
        "volume_ml",
        "largest_ml",
        "problem",
    ];
    let row = |case: &MeasuredCase| {
        let has_mask = case.volume_ml.is_some();
        let count = |key: &str| {
            let marked = case.findings.iter().filter(|f| f.verdict.is_some_and(|verdict| verdict.key() == key)).count();
            if has_mask { marked.to_string() } else { String::new() }
        };
        vec![
            case.case.clone(),
            case.patient.clone(),
            case.session.clone().unwrap_or_default(),
            case.entry.verdict.key().to_owned(),
            case.entry.comment.clone(),
            case.entry.reviewer.clone(),
            time(case.entry.time_ms),
            if case.entry.time_ms == 0 { String::new() } else { format!("{:.1}", case.entry.seconds) },
            case.mask.to_owned(),
            if has_mask { case.findings.len().to_string() } else { String::new() },
            count("accepted"),
            count("rejected"),
            number(case.volume_ml),
            number(case.findings.first().map(|measured| measured.finding.volume_ml)),
            case.problem.clone().unwrap_or_default(),
        ]
    };
    csv(&head, cases.iter().map(row))
}

/// One row per finding: size, image values and verdict.
pub fn findings_csv(cases: &[MeasuredCase]) -> Result<Vec<u8>> {
    let head = [
        "case",
        "finding",
        "verdict",
        "mask",
        "labels",
        "volume_ml",
        "diameter_mm",
        "slice",
        "centre_r_mm",
        "centre_a_mm",
        "centre_s_mm",
        "image",
        "mean",
        "max",
        "suvmean",
        "suvmax",
        "suvpeak",
    ];
    let rows = cases.iter().flat_map(|case| {
        case.findings.iter().map(|measured| {
            let (finding, values) = (&measured.finding, measured.values);
            let labels: Vec<String> = finding.labels.iter().map(|part| part.label.to_string()).collect();
            let mut row = vec![
                case.case.clone(),
                finding.number.to_string(),
                measured.verdict.map(super::FindingVerdict::key).unwrap_or_default().to_owned(),
                case.mask.to_owned(),
                labels.join("+"),
                number(Some(finding.volume_ml)),
                number(Some(finding.diameter.mm)),
                measured.slice.to_string(),
            ];
            row.extend(finding.centroid_mm.map(|mm| number(Some(mm))));
            row.push(case.image.clone());
            row.extend([values.map(|v| v.mean), values.map(|v| v.max)].map(number));
            let suv = values.filter(|_| case.is_suv);
            row.extend([suv.map(|v| v.mean), suv.map(|v| v.max), suv.and_then(|v| v.peak)].map(number));
            row
        })
    });
    csv(&head, rows)
}

/// The time of a verdict; empty without one.
pub(super) fn time(ms: u64) -> String {
    if ms == 0 { String::new() } else { utc(ms) }
}

fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| format!("{}", (value * 1e6).round() / 1e6)).unwrap_or_default()
}

fn csv(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let bad = |e: csv::Error| Error::config("table", "CSV", e.to_string());
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(head).map_err(bad)?;
    for row in rows {
        csv.write_record(&row).map_err(bad)?;
    }
    csv.into_inner().map_err(|e| Error::config("table", "CSV", e.error().to_string()))
}
