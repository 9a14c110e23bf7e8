//! Report pages of a review: one per case with pictures, and one for the cohort. They are self-contained and have no scripts.

use std::fmt::Write;

use super::picture::Slices;
use super::table::time;
use super::{CaseVolumes, LatestEntries, MeasuredCase, MeasuredFinding, Progress, Verdict};
use crate::Result;
use crate::report::page::{NOTICE, document, embedded, escape, facts, href};
use crate::words::plural;

/// Number of findings with a picture, largest first.
const PICTURES: usize = 6;

/// Number of findings in the table of a case. There may be hundreds of tiny ones.
const MAX_LISTED: usize = 50;

/// The file name of a case's page: its id, with `_` for characters that are not portable in file names.
pub fn page_name(case: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.html", case.chars().map(safe).collect::<String>().trim_start_matches('.'))
}

/// The page of a case: verdict, pictures of the largest findings, table of the findings. `volumes` is `None` for an unreadable
/// case.
pub fn case_page(case: &MeasuredCase, volumes: Option<&CaseVolumes>) -> Result<String> {
    let mut body = String::new();
    head(&mut body, &case.case, &summary(case));
    body.push_str("<section id=\"verdict\">\n<h2>Verdict</h2>\n");
    let named = [
        ("Verdict", case.entry.verdict.name().to_owned()),
        ("Comment", case.entry.comment.clone()),
        ("Reviewer", case.entry.reviewer.clone()),
        ("Time", readable_time(case.entry.time_ms)),
        ("Patient", if case.patient == case.case { String::new() } else { case.patient.clone() }),
        ("Session", case.session.clone().unwrap_or_default()),
        ("Mask", case.mask.to_owned()),
        ("Volume", case.volume_ml.map(|ml| format!("{ml:.2} ml")).unwrap_or_default()),
        ("Problem", case.problem.clone().unwrap_or_default()),
    ];
    facts(
        &mut body,
        named.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.into(), value)),
    );
    body.push_str("</section>\n");
    if let Some(volumes) = volumes.filter(|_| !case.findings.is_empty()) {
        pictures(&mut body, case, volumes)?;
    }
    if !case.findings.is_empty() {
        findings(&mut body, case);
    }
    body.push_str("</main>\n");
    Ok(document(&escape(&case.case), &body))
}

/// The page of a cohort: the progress, and a row for every case with a link to its page.
pub fn cohort_page(name: &str, cases: &[MeasuredCase], latest: &LatestEntries) -> String {
    let progress = Progress::of(cases.iter().map(|case| case.case.as_str()), latest);
    let mut body = String::new();
    head(&mut body, &format!("Review of {name}"), &format!("{progress}."));
    body.push_str("<section id=\"progress\">\n<h2>Progress</h2>\n");
    let counts = Verdict::ALL.map(|verdict| (verdict.name().to_owned(), progress.verdicts[&verdict].to_string()));
    facts(&mut body, counts.into_iter());
    body.push_str("</section>\n<section id=\"cases\" class=\"wide\">\n<h2>Cases</h2>\n<div class=\"scroll\"><table>\n");
    let columns = ["Case", "Verdict", "Reviewer", "Time", "Lesions", "Volume (ml)", "Comment"];
    table_head(&mut body, &columns);
    for case in cases {
        let note = case.problem.as_deref().unwrap_or(&case.entry.comment);
        let _ = write!(
            body,
            "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th>",
            href(&page_name(&case.case)),
            escape(&case.case)
        );
        let has_mask = case.volume_ml.is_some();
        let cells = [
            case.entry.verdict.name().to_owned(),
            case.entry.reviewer.clone(),
            readable_time(case.entry.time_ms),
            if has_mask { case.findings.len().to_string() } else { "–".into() },
            case.volume_ml.map_or("–".into(), |ml| format!("{ml:.2}")),
            note.to_owned(),
        ];
        row(&mut body, &cells);
    }
    body.push_str("</tbody>\n</table></div>\n</section>\n</main>\n");
    document(&escape(&format!("Review of {name}")), &body)
}

/// The time of a verdict as "2026-12-01 23:18:02 UTC".
fn readable_time(time_ms: u64) -> String {
    time(time_ms).replace('T', " ").replace('Z', " UTC")
}

fn head(out: &mut String, title: &str, summary: &str) {
    let _ = writeln!(
        out,
        "<header>\n<p class=\"notice\" role=\"note\">{NOTICE}</p>\n<h1>{}</h1>\n<p class=\"summary\">{}</p>\n</header>\n<main>",
        escape(title),
        escape(summary)
    );
}

/// Summary sentence, such as "Accepted. 3 lesions, 12.40 ml."
fn summary(case: &MeasuredCase) -> String {
    let verdict = case.entry.verdict.name();
    match (&case.problem, case.volume_ml) {
        (Some(_), _) => format!("{verdict}. The case could not be read."),
        (None, None) => format!("{verdict}. The case has no mask."),
        (None, Some(ml)) => {
            let lesions = plural(case.findings.len(), "lesion", "lesions");
            format!("{verdict}. {lesions}, {ml:.2} ml.")
        }
    }
}

fn pictures(out: &mut String, case: &MeasuredCase, volumes: &CaseVolumes) -> Result<()> {
    let slices = Slices::new(volumes);
    let with_reference = if volumes.reference.is_some() { " The reference is outlined dashed pink." } else { "" };
    let _ = writeln!(
        out,
        "<section id=\"pictures\" class=\"wide\">\n<h2>Largest findings</h2>\n<p>{} with the {} outlined in solid blue, in the \
         axial slice of each finding's longest diameter.{with_reference} Radiological view: the patient's right is on the \
         left.</p>\n<div class=\"charts\">",
        escape(&volumes.base_name.to_uppercase()),
        case.mask
    );
    for found in case.findings.iter().take(PICTURES) {
        let finding = &found.finding;
        let caption = format!(
            "Finding {}: {:.2} ml, {:.1} mm, slice {}{}",
            finding.number,
            finding.volume_ml,
            finding.diameter.mm,
            found.slice,
            found.verdict.map(|verdict| format!(", {}", verdict.key())).unwrap_or_default()
        );
        let alt = format!("Axial slice {} of {} with finding {} outlined", found.slice, case.case, finding.number);
        embedded(out, &slices.png(found.slice - 1)?, &alt, &caption);
    }
    out.push_str("</div>\n</section>\n");
    Ok(())
}

fn findings(out: &mut String, case: &MeasuredCase) {
    out.push_str("<section id=\"findings\">\n<h2>Findings</h2>\n");
    let more = case.findings.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        let _ = writeln!(out, "<p class=\"note\">The {MAX_LISTED} largest. {more} smaller ones are in the CSV.</p>");
    }
    out.push_str("<div class=\"scroll\"><table>\n");
    let image = case.image.to_uppercase();
    let [mean, max] = if case.is_suv {
        ["SUVmean".to_owned(), "SUVmax".to_owned()]
    } else {
        [format!("{image} mean"), format!("{image} max")]
    };
    let mut columns = vec!["Finding", "Volume (ml)", "Diameter (mm)", "Slice", &mean, &max];
    if case.is_suv {
        columns.push("SUVpeak");
    }
    columns.push("Verdict");
    table_head(out, &columns);
    for found in case.findings.iter().take(MAX_LISTED) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", found.finding.number);
        row(out, &cells(found, case.is_suv));
    }
    out.push_str("</tbody>\n</table></div>\n</section>\n");
}

fn cells(found: &MeasuredFinding, with_peak: bool) -> Vec<String> {
    let number =
        |value: Option<f64>| value.filter(|v| v.is_finite()).map_or("–".into(), |value| format!("{value:.2}"));
    let mut cells = vec![
        number(Some(found.finding.volume_ml)),
        number(Some(found.finding.diameter.mm)),
        found.slice.to_string(),
        number(found.values.map(|values| values.mean)),
        number(found.values.map(|values| values.max)),
    ];
    if with_peak {
        cells.push(number(found.values.and_then(|values| values.peak)));
    }
    cells.push(found.verdict.map(super::FindingVerdict::key).unwrap_or_default().to_owned());
    cells
}

fn table_head(out: &mut String, columns: &[&str]) {
    out.push_str("<thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

/// The cells of a row, after its heading.
fn row(out: &mut String, cells: &[String]) {
    for cell in cells {
        let _ = write!(out, "<td>{}</td>", escape(cell));
    }
    out.push_str("</tr>\n");
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
