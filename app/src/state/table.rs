//! The findings, the agreement and the measurements of the open case as tables in CSV.

use super::{Document, MeasureKind, PathPurpose, State};

/// What can be exported as a table.
pub const ALL: [PathPurpose; 3] =
    [PathPurpose::FindingsTable, PathPurpose::AgreementTable, PathPurpose::MeasurementsTable];

/// The name in the window.
pub fn name(purpose: PathPurpose) -> &'static str {
    match purpose {
        PathPurpose::FindingsTable => "Findings",
        PathPurpose::AgreementTable => "Agreement",
        PathPurpose::MeasurementsTable => "Measurements",
        _ => "Table",
    }
}

/// Reason for a missing table.
fn missing(state: &State, purpose: PathPurpose) -> &'static str {
    match purpose {
        _ if is_filled(state, purpose) => "The last edit is still being measured. Try again in a moment.",
        PathPurpose::FindingsTable => "This case has no findings yet.",
        PathPurpose::AgreementTable => "Agreement needs a segmentation and a reference.",
        _ => "This case has no measurements.",
    }
}

/// Whether there is anything to export.
pub fn is_filled(state: &State, purpose: PathPurpose) -> bool {
    let document = state.document.as_ref();
    match purpose {
        PathPurpose::FindingsTable => document.and_then(|d| d.findings.as_ref()).is_some_and(|f| !f.entries.is_empty()),
        PathPurpose::AgreementTable => document.is_some_and(|d| d.metrics.is_some()),
        PathPurpose::MeasurementsTable => !state.measures().is_empty(),
        _ => false,
    }
}

/// The table with its headings. Numbers from before the last edit are never exported.
///
/// # Errors
/// Why there is nothing to export, as a sentence.
pub fn csv(state: &State, purpose: PathPurpose) -> Result<String, &'static str> {
    let document = state.document.as_ref().filter(|_| is_filled(state, purpose));
    let rows = document.and_then(|document| match purpose {
        PathPurpose::FindingsTable if document.has_old_findings() => None,
        PathPurpose::FindingsTable => findings(state, document),
        PathPurpose::AgreementTable if document.has_old_agreement() => None,
        PathPurpose::AgreementTable => agreement(state, document),
        _ => Some(measurements(state, document)),
    });
    let rows = rows.ok_or_else(|| missing(state, purpose))?;
    Ok(rows.into_iter().map(|row| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\n").collect())
}

type Row = Vec<String>;

/// A CSV cell (RFC 4180), quoted if it contains a comma, a quote or a line break.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

fn cells(names: &[&str]) -> Row {
    names.iter().map(ToString::to_string).collect()
}

fn number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map(|value| value.to_string()).unwrap_or_default()
}

/// One row per finding, including those below the minimum volume. Each label has a column.
fn findings(state: &State, document: &Document) -> Option<Vec<Row>> {
    let list = document.findings.as_ref()?;
    let labels: Vec<u16> = document.labels().into_iter().collect();
    let mut head = cells(&["case", "finding", "mask", "status", "verdict", "below_minimum"]);
    head.extend(cells(&["volume_ml", "diameter_mm", "slice"]));
    head.extend(cells(&["centre_r_mm", "centre_a_mm", "centre_s_mm", "image", "unit", "mean", "max", "peak_1_ml"]));
    head.extend(labels.iter().map(|label| format!("label_{label}_ml")));
    let image = list.values_of.and_then(|source| document.images.get(source.image));
    let grid = &document.base().volume.grid;
    let row = |(at, entry): (usize, &super::FindingEntry)| {
        let finding = &entry.finding;
        let small = finding.volume_ml < state.session.settings.minimum_ml;
        let mut row = vec![
            document.title.clone(),
            (at + 1).to_string(),
            entry.role.word().to_owned(),
            entry.status.name().to_owned(),
            state.finding_verdict(at).map(|verdict| verdict.key().to_owned()).unwrap_or_default(),
            small.to_string(),
            number(Some(finding.volume_ml)),
            number(Some(finding.diameter.mm)),
            (finding.axial_slice(grid) + 1).to_string(),
        ];
        row.extend(finding.centroid_mm.map(|mm| number(Some(mm))));
        row.push(image.map(|image| image.name.clone()).unwrap_or_default());
        row.push(image.map(|image| image.info.unit_symbol().to_owned()).unwrap_or_default());
        let values = entry.values;
        row.extend([values.map(|v| v.mean), values.map(|v| v.max), values.and_then(|v| v.peak)].map(number));
        let volume = |label: &u16| finding.labels.iter().find(|part| part.label == *label).map_or(0.0, |p| p.volume_ml);
        row.extend(labels.iter().map(|label| number(Some(volume(label)))));
        row
    };
    Some(std::iter::once(head).chain(list.entries.iter().enumerate().map(row)).collect())
}

/// One row per value: for all labels together, then by label and region.
fn agreement(state: &State, document: &Document) -> Option<Vec<Row>> {
    let metrics = document.metrics.as_ref()?;
    let mut rows = vec![cells(&["case", "region", "measure", "value", "unit"])];
    let mut add = |region: &str, measure: &str, value: Option<f64>, unit: &str| {
        rows.push(vec![document.title.clone(), region.to_owned(), measure.to_owned(), number(value), unit.to_owned()]);
    };
    let all = "all labels";
    add(all, "dice", Some(metrics.dsc), "");
    add(all, "sensitivity", Some(metrics.sensitivity), "");
    add(all, "precision", Some(metrics.precision), "");
    add(all, "boundary_iou", Some(metrics.boundary_iou), "");
    add(all, "boundary_iou_slices", document.slice_boundary.map(|by_slice| by_slice.iou), "");
    add(all, "hd95", Some(metrics.hd95_mm), "mm");
    add(all, "segmentation_volume", Some(metrics.volume_ml), "ml");
    add(all, "reference_volume", Some(metrics.truth_volume_ml), "ml");
    if let Some(comparison) = &document.comparison {
        let minimum = state.session.settings.minimum_ml;
        let lesions = comparison.lesions(minimum);
        add(all, "minimum_lesion_volume", Some(minimum), "ml");
        add(all, "lesions_hit", Some(lesions.tp as f64), "");
        add(all, "lesions_missed", Some(lesions.missed as f64), "");
        add(all, "lesions_extra", Some(lesions.fp as f64), "");
    }
    if let Some(wrong) = document.wrong_label_ml() {
        add(all, "wrong_label_volume", Some(wrong), "ml");
    }
    for score in &document.region_scores {
        add(&score.name, "dice", score.dice, "");
        add(&score.name, "hd95", score.hd95_mm, "mm");
    }
    Some(rows)
}

fn measurements(state: &State, document: &Document) -> Vec<Row> {
    let mut head =
        cells(&["case", "measurement", "kind", "plane", "length_mm", "image", "unit", "mean", "sd", "voxels"]);
    head.extend(cells(&["area_mm2", "from_r_mm", "from_a_mm", "from_s_mm", "to_r_mm", "to_a_mm", "to_s_mm"]));
    let row = |(at, measure): (usize, &super::Measure)| {
        let [a, b] = measure.ends_mm;
        let (kind, length) = match measure.kind {
            MeasureKind::Ruler => ("ruler", Some(a.distance(b))),
            MeasureKind::Ellipse => ("ellipse", None),
        };
        let statistics = measure.statistics.as_ref();
        let image = statistics.and_then(|s| document.images.get(s.image));
        let mut row = vec![
            document.title.clone(),
            (at + 1).to_string(),
            kind.to_owned(),
            measure.plane.name().to_lowercase(),
            number(length),
            image.map(|image| image.name.clone()).unwrap_or_default(),
            image.map(|image| image.info.unit_symbol().to_owned()).unwrap_or_default(),
        ];
        row.extend([statistics.map(|s| s.mean), statistics.map(|s| s.sd)].map(number));
        row.push(statistics.map(|s| s.voxels.to_string()).unwrap_or_default());
        row.push(number(statistics.map(|s| s.area_mm2)));
        row.extend([a, b].into_iter().flat_map(|end| end.to_array()).map(|mm| number(Some(mm))));
        row
    };
    std::iter::once(head).chain(state.measures().iter().enumerate().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(quoted("STS_001"), "STS_001");
        assert_eq!(quoted("Meyer, \"Jo\""), "\"Meyer, \"\"Jo\"\"\"");
    }
}
