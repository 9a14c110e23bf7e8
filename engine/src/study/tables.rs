//! The tables of a study as Markdown, CSV, LaTeX and HTML.

use super::summary::{Difference, Group, MethodSummary};
use crate::report::page::escape;
use crate::words::plural;

/// One table as cells: a caption, a heading, rows, and footnotes.
pub struct TextTable {
    /// What the table shows.
    pub caption: String,
    /// Column headings.
    pub heading: Vec<String>,
    /// Rows of cells.
    pub rows: Vec<Vec<String>>,
    /// Footnotes: runs that failed, collapsed or have not converged.
    pub notes: Vec<String>,
    /// Number of trailing columns with the paper's numbers, shown in grey.
    pub paper: usize,
}

/// The table of a group: means of all metrics, and spreads and paired differences of the first.
pub fn table(group: &Group) -> TextTable {
    let is_reference = |name: &&str| group.methods.iter().any(|m| m.differences.iter().any(|d| d.to == **name));
    let references: Vec<&str> =
        group.methods.iter().map(|method| method.method.as_str()).filter(is_reference).collect();
    let mut heading = vec!["Method".to_owned()];
    heading.extend(group.columns.iter().map(|metric| metric.heading().to_owned()));
    heading.push("SD patients".into());
    heading.push("SD draws".into());
    heading.extend(references.iter().map(|reference| format!("{} - {reference} [95 %], p", group.metric().heading())));
    let mut notes = Vec::new();
    let rows = group.methods.iter().map(|method| row(group, method, &references, &mut notes)).collect();
    let unconverged = group.methods.iter().filter(|method| method.unconverged > 0);
    let unconverged: Vec<String> =
        unconverged.map(|method| format!("{} of {}", method.unconverged, method.method)).collect();
    if !unconverged.is_empty() {
        notes.push(format!(
            "Fine-tuning runs that have not converged: {}. Differences are mostly noise: raise steps or rates.",
            unconverged.join(", ")
        ));
    }
    for (part, scans) in [("testing", &group.left_out), ("training", &group.training_left_out)] {
        if !scans.is_empty() {
            notes.push(format!("Scans left out of {part} in some run: {}.", scans.join("; ")));
        }
    }
    let scans = if group.scans > group.patients {
        format!(" with {}", plural(group.scans, "scan", "scans"))
    } else {
        String::new()
    };
    let labelled = plural(group.labelled, "labelled patient", "labelled patients");
    let named = budget_name(&group.budget);
    let budget = if named == labelled { labelled } else { format!("{named} ({labelled})") };
    let patients = plural(group.patients, "test patient", "test patients");
    let caption = format!("{}, {budget}, {patients}{scans}", group.cohort);
    TextTable { caption, heading, rows, notes, paper: 0 }
}

/// A label budget in words: `5% labels`, `1 labelled patient`.
pub(super) fn budget_name(budget: &str) -> String {
    budget.parse().map_or_else(
        |_| format!("{budget} labels"),
        |patients| plural(patients, "labelled patient", "labelled patients"),
    )
}

fn row(group: &Group, method: &MethodSummary, references: &[&str], notes: &mut Vec<String>) -> Vec<String> {
    const DASH: &str = "-";
    let mut cells = vec![method.method.clone()];
    cells.extend(group.columns.iter().map(|metric| {
        method.metrics.get(metric).map_or(DASH.into(), |spread| format!("{:.*}", metric.decimals(), spread.mean))
    }));
    let (first, decimals) = (method.metrics.get(&group.metric()), group.metric().decimals());
    cells.push(first.map_or(DASH.into(), |spread| format!("{:.decimals$}", spread.sd_patients)));
    cells.push(first.map_or(DASH.into(), |spread| format!("{:.decimals$}", spread.sd_draws)));
    for reference in references {
        let paired = method.differences.iter().find(|d| d.to == *reference && d.metric == group.metric());
        cells.push(paired.map_or(DASH.into(), |paired| difference(paired, decimals)));
    }
    let [done, all] = method.units;
    if !method.failures.is_empty() {
        let lost = all - done;
        let runs = plural(all, "run", "runs");
        notes.push(format!("{}: {lost} of {runs} failed. {}", method.method, method.failures.join(" ")));
    } else if done < all {
        notes.push(format!("{}: {} of {} not done yet.", method.method, all - done, plural(all, "run is", "runs are")));
    }
    if method.collapsed > 0 {
        notes.push(format!(
            "{}: {} no voxel in any test patient.",
            method.method,
            plural(method.collapsed, "run marks", "runs mark")
        ));
    }
    cells
}

fn difference(d: &Difference, decimals: usize) -> String {
    let [low, high] = d.interval;
    format!("{:+.decimals$} [{low:+.decimals$}, {high:+.decimals$}], {}", d.mean, p_value(d.p_holm))
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "p < .001".into() } else { format!("p = {p:.3}") }
}

impl TextTable {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text =
            format!("### {}\n\n{}|{}\n", self.caption, line(&self.heading), "---|".repeat(self.heading.len()));
        self.rows.iter().for_each(|row| text += &line(row));
        for note in &self.notes {
            text += &format!("\n{note}\n");
        }
        text
    }

    /// As a LaTeX `tabular` with its caption in a comment.
    pub fn latex(&self) -> String {
        let cell = |text: &String| {
            let escaped = text.replace('\\', "\\textbackslash{}");
            ["%", "_", "&", "#", "$"]
                .iter()
                .fold(escaped, |text, c| text.replace(c, &format!("\\{c}")))
                .replace('<', "$<$")
        };
        let line = |cells: &[String]| format!("{} \\\\\n", cells.iter().map(cell).collect::<Vec<_>>().join(" & "));
        let mut text =
            format!("% {}\n\\begin{{tabular}}{{l{}}}\n\\hline\n", self.caption, "r".repeat(self.heading.len() - 1));
        text += &line(&self.heading);
        text += "\\hline\n";
        self.rows.iter().for_each(|row| text += &line(row));
        text += "\\hline\n\\end{tabular}\n";
        self.notes.iter().for_each(|note| text += &format!("% {note}\n"));
        text
    }

    /// As an HTML table.
    pub fn html(&self) -> String {
        let line = |tag: &str, cells: &[String]| {
            let own = cells.len().saturating_sub(self.paper);
            let grey = |index: usize| if index < own { "" } else { " class=\"published\"" };
            let cell = |(index, cell): (usize, &String)| format!("<{tag}{}>{}</{tag}>", grey(index), escape(cell));
            let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
            format!("<tr>{}</tr>\n", cells.concat())
        };
        let mut text = format!("<h2>{}</h2>\n<table>\n{}", escape(&self.caption), line("th", &self.heading));
        self.rows.iter().for_each(|row| text += &line("td", row));
        text += "</table>\n";
        self.notes.iter().for_each(|note| text += &format!("<p>{}</p>\n", escape(note)));
        text
    }
}

/// Every number of the summary as CSV: one line per cohort, budget, method and metric.
pub fn csv(groups: &[Group]) -> String {
    let mut text =
        String::from("cohort,budget,method,metric,mean,sd_patients,sd_draws,reference,difference,low,high,p,p_holm\n");
    for group in groups {
        for method in &group.methods {
            for (metric, spread) in group.columns.iter().filter_map(|m| Some((m, method.metrics.get(m)?))) {
                let start = format!(
                    "{},{},{},{},{},{},{}",
                    group.cohort,
                    group.budget,
                    method.method,
                    metric.heading(),
                    spread.mean,
                    spread.sd_patients,
                    spread.sd_draws
                );
                let mut own = method.differences.iter().filter(|d| d.metric == *metric).peekable();
                if own.peek().is_none() {
                    text += &format!("{start},,,,,,\n");
                }
                for d in own {
                    text += &format!(
                        "{start},{},{},{},{},{},{}\n",
                        d.to, d.mean, d.interval[0], d.interval[1], d.p, d.p_holm
                    );
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_named_by_its_share_or_its_patients() {
        let names = ["1", "2", "5%", "all"].map(budget_name);
        assert_eq!(names, ["1 labelled patient", "2 labelled patients", "5% labels", "all labels"]);
    }
}
