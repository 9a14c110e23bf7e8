//! What Train mode exports: curves and results as tables, pictures and LaTeX.

use std::fmt::Write as _;

use engine::event::CaseCounts;
use engine::jobs::evaluation::PatientRow;
use engine::predict::Choice;
use engine::run::History;

use super::{Column, Results};
use crate::state::timeline::{OpenRun, Quantity};
use crate::widget::format;

/// A file that Train mode can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainExport {
    /// The curves of the shown runs as CSV.
    CurvesTable,
    /// The charts as PNG.
    CurvesPicture,
    /// The results of a run as CSV.
    ResultsTable,
    /// The results of a run as a LaTeX table.
    ResultsLatex,
}

impl TrainExport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CurvesTable, Self::CurvesPicture, Self::ResultsTable, Self::ResultsLatex];

    /// The name in the window.
    pub fn name(self) -> &'static str {
        match self {
            Self::CurvesTable => "Export the curves as CSV",
            Self::CurvesPicture => "Export the charts as PNG",
            Self::ResultsTable => "Export the results as CSV",
            Self::ResultsLatex => "Export the results as LaTeX",
        }
    }

    /// Content of the file, in one sentence.
    pub fn content(self) -> &'static str {
        match self {
            Self::CurvesTable => "CSV, one row per run and epoch, without smoothing.",
            Self::CurvesPicture => "A PNG image of all charts of the run.",
            Self::ResultsTable => "CSV, one row per patient.",
            Self::ResultsLatex => "A LaTeX table of the patients with mean and standard deviation.",
        }
    }

    /// Extension of its file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::CurvesTable | Self::ResultsTable => "csv",
            Self::CurvesPicture => "png",
            Self::ResultsLatex => "tex",
        }
    }

    /// Whether it exports curves rather than results.
    pub fn is_of_curves(self) -> bool {
        matches!(self, Self::CurvesTable | Self::CurvesPicture)
    }
}

/// A column of the exported curves.
#[derive(Clone)]
enum CurveColumn {
    Quantity(Quantity),
    /// A loss term as printed in the paper, and the column's name.
    Printed(&'static str, &'static str),
    /// Patches in a case of the label update, and the column's name.
    Case(fn(&CaseCounts) -> u64, &'static str),
}

impl CurveColumn {
    const PRINTED: [Self; 2] =
        [Self::Printed("rrl", "loss_rrl_as_printed"), Self::Printed("lcl", "loss_lcl_as_printed")];
    const CASES: [Self; 5] = [
        Self::Case(|cases| cases.kept_foreground, "case_1_stays_1"),
        Self::Case(|cases| cases.kept_background, "case_2_stays_0"),
        Self::Case(|cases| cases.doubted_foreground, "case_3_was_1_coin"),
        Self::Case(|cases| cases.doubted_background, "case_4_was_0_coin"),
        Self::Case(|cases| cases.never_masked, "never_masked"),
    ];

    fn all(runs: &[&OpenRun]) -> impl Iterator<Item = Self> {
        let mut logged: Vec<Quantity> = Vec::new();
        for history in runs.iter().map(|run| &run.history) {
            let new = Quantity::losses(history).into_iter().chain(Quantity::diagnostics(history));
            let new: Vec<Quantity> = new.filter(|quantity| !logged.contains(quantity)).collect();
            logged.extend(new);
        }
        let (parts, diagnostics): (Vec<_>, Vec<_>) = logged
            .into_iter()
            .filter(|quantity| !Quantity::NAMED.contains(quantity))
            .partition(|quantity| matches!(quantity, Quantity::Part(_)));
        let quantities = |of: Vec<Quantity>| of.into_iter().map(Self::Quantity);
        let named = quantities(Quantity::NAMED.to_vec()).chain(quantities(parts));
        named.chain(Self::PRINTED).chain(Self::CASES).chain(quantities(diagnostics))
    }

    fn key(&self) -> String {
        match self {
            Self::Quantity(quantity) => quantity.key(),
            Self::Printed(_, key) | Self::Case(_, key) => (*key).to_owned(),
        }
    }

    /// Its logged value in an epoch, or empty.
    fn text(&self, history: &History, epoch: usize) -> String {
        let number = |value: Option<f64>| value.filter(|v| v.is_finite()).map_or_else(String::new, |v| v.to_string());
        match self {
            Self::Quantity(quantity) => number(quantity.value(history, epoch)),
            Self::Printed(part, _) => number(history.summary(epoch).and_then(|row| row.literal.as_ref()?.get(part))),
            Self::Case(count, _) => {
                history.relabel(epoch).map_or_else(String::new, |row| count(&row.cases).to_string())
            }
        }
    }
}

/// Curves as CSV: a row per run and epoch, a column per quantity that any of the runs logged. Values are as logged.
pub fn curves_csv(runs: &[&OpenRun]) -> String {
    let has = |column: &CurveColumn, run: &OpenRun| (1..=run.last()).any(|n| !column.text(&run.history, n).is_empty());
    let columns: Vec<CurveColumn> =
        CurveColumn::all(runs).filter(|column| runs.iter().any(|run| has(column, run))).collect();
    let mut csv = format!("run,epoch,{}\n", columns.iter().map(CurveColumn::key).collect::<Vec<_>>().join(","));
    for run in runs {
        for epoch in 1..=run.last() {
            let values: Vec<String> = columns.iter().map(|column| column.text(&run.history, epoch)).collect();
            let _ = writeln!(csv, "{},{epoch},{}", quoted(&run.name), values.join(","));
        }
    }
    csv
}

/// The word for the evaluated network: last or best.
pub fn network_word(results: &Results) -> &'static str {
    match results.evaluation.as_ref().map(|evaluation| evaluation.checkpoint) {
        Some(Choice::Best) => "best",
        Some(Choice::Last) | None => "last",
    }
}

/// Results as CSV, one row per patient in the shown order, with the network and notes on the measures. Missing measures
/// are empty.
pub fn results_csv(results: &Results) -> String {
    let mut csv = Column::ALL.map(Column::key).join(",") + ",network,epoch,notes\n";
    let epoch = results.evaluation.as_ref().map_or(0, |evaluation| evaluation.epoch);
    for (_, row) in results.rows() {
        let values =
            Column::ALL[1..].iter().map(|column| value(row, *column).map_or_else(String::new, |v| v.to_string()));
        let values = values.collect::<Vec<_>>().join(",");
        let notes = row.measures.as_ref().map_or_else(String::new, |measures| measures.notes.join("; "));
        let (case, network) = (quoted(&row.case), network_word(results));
        let _ = writeln!(csv, "{case},{values},{network},{epoch},{}", quoted(&notes));
    }
    csv
}

/// Results as a LaTeX table with mean and standard deviation. It needs the package `booktabs`.
pub fn results_latex(results: &Results) -> String {
    let cell = |value: Option<f64>, column: Column| {
        value.map_or_else(|| "--".to_owned(), |value| format!("{value:.*}", column.decimals()))
    };
    let head = Column::ALL.map(Column::title);
    let epoch = results.evaluation.as_ref().map_or(0, |evaluation| evaluation.epoch);
    let mut lines = vec![format!("% {} network, after epoch {epoch}", network_word(results))];
    lines.extend(
        results
            .notes()
            .iter()
            .map(|(note, count)| format!("% {}: {note}", format::plural(*count, "patient", "patients"))),
    );
    lines.extend([
        format!("\\begin{{tabular}}{{l{}}}", "r".repeat(Column::ALL.len() - 1)),
        "\\toprule".to_owned(),
        format!("{} \\\\", head.join(" & ")),
        "\\midrule".to_owned(),
    ]);
    for (_, row) in results.rows() {
        let values = Column::ALL[1..].iter().map(|column| cell(value(row, *column), *column));
        lines.push(format!("{} & {} \\\\", escaped(&row.case), values.collect::<Vec<_>>().join(" & ")));
    }
    let spreads = Column::ALL[1..].iter().map(|column| {
        let decimals = column.decimals().max(1);
        let spread = results.spread(*column);
        let sd = spread.and_then(|spread| spread.sd).map_or_else(String::new, |sd| format!(" ({sd:.decimals$})"));
        spread.map_or_else(|| "--".to_owned(), |spread| format!("{:.decimals$}{sd}", spread.mean))
    });
    lines.push("\\midrule".to_owned());
    lines.push(format!("Mean (SD) & {} \\\\", spreads.collect::<Vec<_>>().join(" & ")));
    lines.extend(["\\bottomrule", "\\end{tabular}"].map(str::to_owned));
    lines.join("\n") + "\n"
}

fn value(row: &PatientRow, column: Column) -> Option<f64> {
    row.measures.as_ref().and_then(|measures| column.value(measures)).filter(|value| value.is_finite())
}

/// A CSV field.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Text for LaTeX.
fn escaped(text: &str) -> String {
    let special = |c: char| match c {
        '_' | '&' | '%' | '#' | '$' | '{' | '}' => format!("\\{c}"),
        '\\' => "\\textbackslash{}".to_owned(),
        '~' => "\\textasciitilde{}".to_owned(),
        '^' => "\\textasciicircum{}".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(special).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::event::EpochSummary;
    use engine::run::history::RelabelRow;

    #[test]
    fn curves_hold_the_cases_of_an_update_and_the_losses_as_printed() {
        let cases = CaseCounts {
            kept_foreground: 1,
            kept_background: 20,
            doubted_foreground: 3,
            doubted_background: 4,
            never_masked: 50,
        };
        let row = RelabelRow { epoch: 2, cases, flips: 0, differs: 0, agreement: 0.5, lesion_recall: None };
        let literal = Some([("rrl", 1.0), ("lcl", 1.74)].into_iter().collect());
        let diagnostics = [("loss_ratio", 0.75)].into_iter().collect();
        let summaries = vec![EpochSummary { epoch: 2, literal, diagnostics, ..EpochSummary::default() }];
        let history = History { relabels: vec![row], summaries, ..History::default() };
        let of = |epoch: usize| -> Vec<String> {
            CurveColumn::PRINTED.into_iter().chain(CurveColumn::CASES).map(|c| c.text(&history, epoch)).collect()
        };
        assert_eq!(of(2), ["1", "1.74", "1", "20", "3", "4", "50"]);
        assert!(of(1).iter().all(String::is_empty), "no update in this epoch");
        let ratio = CurveColumn::Quantity(Quantity::Diagnostic("loss_ratio".to_owned()));
        assert_eq!((ratio.key(), ratio.text(&history, 2)), ("loss_ratio".to_owned(), "0.75".to_owned()));
        assert!(ratio.text(&history, 1).is_empty());
    }

    #[test]
    fn names_are_escaped_for_csv_and_latex() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("STS_001"), "STS_001");
        assert_eq!(escaped("STS_001 & 5%"), "STS\\_001 \\& 5\\%");
    }
}
