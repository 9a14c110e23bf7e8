//! What Train mode exports: curves and results as tables, pictures and LaTeX.

use std::fmt::Write as _;

use engine::jobs::evaluation::PatientRow;

use super::{Column, Results};
use crate::state::timeline::{OpenRun, Quantity};

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

    /// What the file holds, in a sentence.
    pub fn content(self) -> &'static str {
        match self {
            Self::CurvesTable => "CSV, one row per run and epoch, without smoothing.",
            Self::CurvesPicture => "A PNG image of all charts of the run.",
            Self::ResultsTable => "CSV, one row per patient.",
            Self::ResultsLatex => "A LaTeX table of the patients with mean and standard deviation.",
        }
    }

    /// Ending of its file.
    pub fn extension(self) -> &'static str {
        match self {
            Self::CurvesTable | Self::ResultsTable => "csv",
            Self::CurvesPicture => "png",
            Self::ResultsLatex => "tex",
        }
    }

    /// Whether it is about curves, else about results.
    pub fn is_of_curves(self) -> bool {
        matches!(self, Self::CurvesTable | Self::CurvesPicture)
    }
}

/// Curves as CSV: a row per run and epoch, a column per quantity that any of the runs logged. Values are as logged.
pub fn curves_csv(runs: &[&OpenRun]) -> String {
    let logged = |quantity: &Quantity| runs.iter().any(|run| !run.series.line(*quantity).is_empty());
    let quantities: Vec<Quantity> = Quantity::ALL.into_iter().filter(logged).collect();
    let mut csv = format!("run,epoch,{}\n", quantities.iter().map(|q| q.key()).collect::<Vec<_>>().join(","));
    for run in runs {
        for epoch in 1..=run.last() {
            let value =
                |quantity: &Quantity| quantity.value(&run.history, epoch).map_or_else(String::new, |v| v.to_string());
            let values: Vec<String> = quantities.iter().map(value).collect();
            let _ = writeln!(csv, "{},{epoch},{}", quoted(&run.name), values.join(","));
        }
    }
    csv
}

/// Results as CSV, one row per patient in the shown order. A measure that a patient does not have is empty.
pub fn results_csv(results: &Results) -> String {
    let mut csv = Column::ALL.map(Column::key).join(",") + "\n";
    for (_, row) in results.rows() {
        let values =
            Column::ALL[1..].iter().map(|column| value(row, *column).map_or_else(String::new, |v| v.to_string()));
        let _ = writeln!(csv, "{},{}", quoted(&row.case), values.collect::<Vec<_>>().join(","));
    }
    csv
}

/// Results as a LaTeX table with mean and standard deviation. It needs the package `booktabs`.
pub fn results_latex(results: &Results) -> String {
    let cell = |value: Option<f64>, column: Column| {
        value.map_or_else(|| "--".to_owned(), |value| format!("{value:.*}", column.decimals()))
    };
    let head = Column::ALL.map(|column| column.head().join(" ").trim().to_owned());
    let mut lines = vec![
        format!("\\begin{{tabular}}{{l{}}}", "r".repeat(Column::ALL.len() - 1)),
        "\\toprule".to_owned(),
        format!("{} \\\\", head.join(" & ")),
        "\\midrule".to_owned(),
    ];
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

    #[test]
    fn names_are_escaped_for_csv_and_latex() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("STS_001"), "STS_001");
        assert_eq!(escaped("STS_001 & 5%"), "STS\\_001 \\& 5\\%");
    }
}
