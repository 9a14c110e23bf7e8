//! The tables of the page: DSC of every method and held-out patient, and all measures.

use std::fmt::Write;

use super::PageInput;
use super::html::{escape, number};
use crate::report::MethodScores;
use crate::words::plural;

/// Decimals of the DSC; smaller differences are noise.
const DECIMALS: usize = 3;

/// Writes the DSC table, the verdicts, and a caution about the single seed.
pub(super) fn scores(out: &mut String, input: &PageInput) {
    out.push_str("<section id=\"results\">\n<h2>Results</h2>\n");
    if input.methods.is_empty() {
        out.push_str("<p>No scores.</p>\n");
    } else {
        table(out, &input.methods);
    }
    if !input.verdicts.is_empty() {
        out.push_str("<ul class=\"verdicts\">\n");
        for verdict in &input.verdicts {
            let _ = writeln!(out, "<li>{}</li>", escape(verdict));
        }
        out.push_str("</ul>\n");
    }
    let patients = input.methods.first().map_or(0, |m| m.cases.len());
    let _ = writeln!(
        out,
        "<p class=\"caution\">One seed, one split, {}: this page makes no claim that \
         pre-training helps. Such a claim needs at least three paired seeds.</p>\n</section>",
        plural(patients, "held-out patient", "held-out patients")
    );
}

fn table(out: &mut String, methods: &[MethodScores]) {
    out.push_str(
        "<p class=\"note\">DSC (Dice) of each held-out patient; 1 is perfect. The best in a row is bold and has a \
         triangle.</p>\n<div class=\"scroll\"><table class=\"scores\">\n<thead><tr><th scope=\"col\">Patient</th>",
    );
    for method in methods {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(&method.name));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for case in methods.first().map(|m| m.cases.as_slice()).unwrap_or_default() {
        let of = |m: &MethodScores| m.cases.iter().find(|c| c.case == case.case).map_or(f64::NAN, |c| c.dsc);
        row(out, &case.case, &methods.iter().map(of).collect::<Vec<_>>(), true);
    }
    out.push_str("</tbody>\n<tfoot>\n");
    row(out, "Mean", &methods.iter().map(|m| m.mean_dsc).collect::<Vec<_>>(), true);
    row(out, "SD", &methods.iter().map(|m| m.sd_dsc).collect::<Vec<_>>(), false);
    out.push_str("</tfoot>\n</table></div>\n");
}

/// Writes a row of numbers. If `marked`, the best number and its ties after rounding are marked.
fn row(out: &mut String, name: &str, values: &[f64], marked: bool) {
    let shown: Vec<String> = values.iter().map(|v| number(*v, DECIMALS)).collect();
    let best = best(values).filter(|_| marked && values.len() > 1).map(|index| shown[index].clone());
    let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(name));
    for text in &shown {
        if best.as_ref() == Some(text) {
            let _ = write!(
                out,
                "<td class=\"best\"><b>{text}</b><span class=\"mark\" title=\"best of the row\"></span></td>"
            );
        } else {
            let _ = write!(out, "<td>{text}</td>");
        }
    }
    out.push_str("</tr>\n");
}

/// Index of the largest finite value.
fn best(values: &[f64]) -> Option<usize> {
    (0..values.len()).filter(|index| values[*index].is_finite()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// Writes the table of all measures.
pub(super) fn measures(out: &mut String, methods: &[MethodScores]) {
    if methods.iter().all(|m| m.cases.is_empty()) {
        return;
    }
    out.push_str(
        "<section id=\"measures\">\n<h2>All measures</h2>\n<p>HD95 of an empty mask is set to the scan's diagonal.</p>\n\
         <div class=\"scroll\"><table class=\"measures\">\n<thead><tr><th scope=\"col\">Patient</th><th scope=\"col\">DSC</th>\
         <th scope=\"col\">Sensitivity</th><th scope=\"col\">Precision</th><th scope=\"col\">HD95 (mm)</th>\
         <th scope=\"col\">Volume (ml)</th><th scope=\"col\">Reference (ml)</th></tr></thead>\n",
    );
    for method in methods {
        let _ = writeln!(
            out,
            "<tbody>\n<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"7\">{}</th></tr>",
            escape(&method.name)
        );
        for case in &method.cases {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&case.case));
            let columns = [
                (case.dsc, DECIMALS),
                (case.sensitivity, DECIMALS),
                (case.precision, DECIMALS),
                (case.hd95_mm, 1),
                (case.volume_ml, 1),
                (case.truth_volume_ml, 1),
            ];
            for (value, decimals) in columns {
                let _ = write!(out, "<td>{}</td>", number(value, decimals));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n");
    }
    out.push_str("</table></div>\n</section>\n");
}
