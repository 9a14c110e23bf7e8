//! A table of results as Markdown, CSV and LaTeX.

use crate::{Error, Result};

/// Rows of text under a header. The first column names the row, the others hold numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The columns' names.
    pub header: Vec<String>,
    /// The cells, as many a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// As Markdown, with a line break at the end.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|{}\n", "---|".repeat(self.header.len()));
        line(&self.header) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }

    /// As CSV with a header.
    ///
    /// # Errors
    /// A row of another length than the header.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let bad = |e: csv::Error| Error::config("table", "CSV", e.to_string());
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(&self.header).map_err(bad)?;
        self.rows.iter().try_for_each(|row| csv.write_record(row)).map_err(bad)?;
        csv.into_inner().map_err(|e| Error::config("table", "CSV", e.error().to_string()))
    }

    /// As a LaTeX `tabular` with the rules of the package booktabs.
    pub fn latex(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns = "r".repeat(self.header.len().saturating_sub(1));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let header = line(&self.header);
        format!(
            "\\begin{{tabular}}{{l{columns}}}\n\\toprule\n{header}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n"
        )
    }
}

/// Text without meaning to LaTeX.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '<' => escaped += "$<$",
            '>' => escaped += "$>$",
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["method", "DSC"]);
        table.rows.push(vec!["SUV >= 2.5, 5 % of p_1|2".into(), "0.500".into()]);
        table
    }

    #[test]
    fn one_table_in_three_formats() {
        assert_eq!(table().markdown(), "| method | DSC |\n|---|---|\n| SUV >= 2.5, 5 % of p_1\\|2 | 0.500 |\n");
        assert_eq!(table().csv().unwrap(), b"method,DSC\n\"SUV >= 2.5, 5 % of p_1|2\",0.500\n");
        let latex = "\\begin{tabular}{lr}\n\\toprule\nmethod & DSC \\\\\n\\midrule\n\
                     SUV $>$= 2.5, 5 \\% of p\\_1|2 & 0.500 \\\\\n\\bottomrule\n\\end{tabular}\n";
        assert_eq!(table().latex(), latex);
    }

    #[test]
    fn what_latex_would_take_for_a_command_is_text() {
        assert_eq!(escape(r"a\b{c}~^&#$"), r"a\textbackslash{}b\{c\}\textasciitilde{}\textasciicircum{}\&\#\$");
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let mut table = table();
        table.rows[0].pop();
        assert!(table.csv().is_err());
    }
}
