//! The tables of a study as Markdown, CSV, LaTeX and HTML.

use super::summary::{Difference, Group, MethodSummary, Spread};
use crate::report::page::escape;
use crate::words::plural;
use crate::{Error, Result};

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
    notes.extend(identical(group));
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

/// Notes on methods whose results are equal to the last digit, because their equal rows look like an error.
fn identical(group: &Group) -> Vec<String> {
    let mut alike: Vec<Vec<&MethodSummary>> = Vec::new();
    // Networks that mark no voxel have equal results for another reason, and a note of their own.
    for method in group.methods.iter().filter(|method| !method.metrics.is_empty() && method.collapsed == 0) {
        match alike.iter_mut().find(|own| own.iter().any(|other| other.metrics == method.metrics)) {
            Some(own) => own.push(method),
            None => alike.push(vec![method]),
        }
    }
    let named = |own: &Vec<&MethodSummary>| own.iter().map(|m| m.method.as_str()).collect::<Vec<_>>().join(", ");
    let note = |names: String| {
        format!("Identical results: {names}. The settings in which they differ have no effect here, or are the same.")
    };
    alike.iter().filter(|own| own.len() > 1).map(|own| note(named(own))).collect()
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
    let deviations = first.map_or([None; 2], |spread| deviations(group, method, spread));
    cells.extend(deviations.map(|sd| sd.map_or(DASH.into(), |sd| format!("{sd:.decimals$}"))));
    for reference in references {
        let paired = method.differences.iter().find(|d| d.to == *reference && d.metric == group.metric());
        cells.push(paired.map_or(DASH.into(), |paired| difference(paired, decimals)));
    }
    notes.extend(flaws(method).into_iter().map(|flaw| format!("{}: {flaw}", method.method)));
    cells
}

/// Standard deviations over patients, and over draws and seeds; `None` for a single one, which has none.
fn deviations(group: &Group, method: &MethodSummary, spread: &Spread) -> [Option<f64>; 2] {
    [(group.patients > 1).then_some(spread.sd_patients), (method.units[0] > 1).then_some(spread.sd_draws)]
}

/// What is wrong with the runs of a method, and how many have not converged.
pub(super) fn flaws_and_convergence(method: &MethodSummary) -> Vec<String> {
    let mut flaws = flaws(method);
    if method.unconverged > 0 {
        let runs = plural(method.unconverged, "fine-tuning run has", "fine-tuning runs have");
        flaws.push(format!("{runs} not converged."));
    }
    flaws
}

/// What is wrong with the runs of a method, apart from runs that have not converged.
fn flaws(method: &MethodSummary) -> Vec<String> {
    let [done, all] = method.units;
    let mut flaws = Vec::new();
    if !method.failures.is_empty() {
        flaws.push(format!("{} of {} failed. {}", all - done, plural(all, "run", "runs"), method.failures.join(" ")));
    } else if done < all {
        flaws.push(format!("{} of {} not done yet.", all - done, plural(all, "run is", "runs are")));
    }
    if method.collapsed > 0 {
        flaws.push(format!("{} no voxel in any test patient.", plural(method.collapsed, "run marks", "runs mark")));
    }
    if method.warned > 0 {
        flaws.push(format!("pre-training of {}. {}", plural(method.warned, "run", "runs"), method.warnings.join(" ")));
    }
    flaws
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

    /// As a LaTeX `tabular` with its caption in a comment, and its footnotes in small print below.
    pub fn latex(&self) -> String {
        let cells = |cells: &[String]| cells.iter().map(|cell| latex_text(cell)).collect::<Vec<_>>().join(" & ");
        let line = |row: &[String]| format!("{} \\\\\n", cells(row));
        let mut text =
            format!("% {}\n\\begin{{tabular}}{{l{}}}\n\\hline\n", self.caption, "r".repeat(self.heading.len() - 1));
        text += &line(&self.heading);
        text += "\\hline\n";
        self.rows.iter().for_each(|row| text += &line(row));
        text += "\\hline\n\\end{tabular}\n";
        self.notes.iter().for_each(|note| text += &format!("\n{{\\footnotesize {}\\par}}\n", latex_text(note)));
        text
    }

    /// As an HTML table. Columns of words are aligned left. An interval stays in one piece, below its difference.
    pub fn html(&self) -> String {
        let own = self.heading.len().saturating_sub(self.paper);
        let of_words = |column: usize| {
            let cell = |row: &Vec<String>| row.get(column).is_some_and(|cell| cell.starts_with(char::is_alphabetic));
            self.rows.iter().all(cell)
        };
        let class = |column: usize| match (column < own, of_words(column)) {
            (false, _) => " class=\"published\"",
            (true, true) => " class=\"words\"",
            (true, false) => "",
        };
        let cell = |tag: &str, end: &str, column: usize, text: &str| {
            format!("<{tag}{}>{}</{end}>", class(column), escape(text).replace(" [", "<br>["))
        };
        let head = |(column, text): (usize, &String)| cell("th scope=\"col\"", "th", column, text);
        let data = |(column, text): (usize, &String)| match column {
            0 => cell("th scope=\"row\"", "th", column, text),
            _ => cell("td", "td", column, text),
        };
        let heading: String = self.heading.iter().enumerate().map(head).collect();
        let mut text = format!(
            "<h2>{}</h2>\n<table class=\"study\">\n<thead><tr>{heading}</tr></thead>\n<tbody>\n",
            escape(&self.caption)
        );
        for row in &self.rows {
            let row: String = row.iter().enumerate().map(data).collect();
            text += &format!("<tr>{row}</tr>\n");
        }
        text += "</tbody>\n</table>\n";
        self.notes.iter().for_each(|note| text += &format!("<p>{}</p>\n", escape(note)));
        text
    }
}

/// Text of a LaTeX document. A hyphen that is a minus is set as one.
fn latex_text(text: &str) -> String {
    let mut escaped = String::new();
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_minus = |after: &char| matches!(before, ' ' | '[') && (after.is_ascii_digit() || *after == ' ');
        match c {
            '-' if rest.peek().is_some_and(is_minus) => escaped += "$-$",
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '<' | '>' => escaped += &format!("${c}$"),
            '%' | '_' | '&' | '#' | '$' | '{' | '}' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
        before = c;
    }
    escaped
}

/// Every number of the summary as CSV: one line per cohort, budget, method, metric and reference. A method without results has
/// one line, with the reason.
pub fn csv(groups: &[Group]) -> Result<Vec<u8>> {
    const HEADING: [&str; 16] = [
        "cohort",
        "budget",
        "method",
        "metric",
        "mean",
        "sd_patients",
        "sd_draws",
        "reference",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
        "runs",
        "planned",
        "notes",
    ];
    let failed = |e: csv::Error| Error::config("tables", "", e.to_string());
    let mut to = csv::Writer::from_writer(Vec::new());
    to.write_record(HEADING).map_err(failed)?;
    for (group, method) in groups.iter().flat_map(|group| group.methods.iter().map(move |method| (group, method))) {
        let notes = flaws_and_convergence(method);
        let [runs, planned] = method.units.map(|units| units.to_string());
        let end = [runs, planned, notes.join(" ")];
        let mut write = |metric: &str, spread: Option<&Spread>, paired: Option<&Difference>| {
            let spread = spread.map(|s| {
                let [patients, draws] = deviations(group, method, s);
                [Some(s.mean), patients, draws].map(|value| value.map(|value| value.to_string()).unwrap_or_default())
            });
            let numbers = paired.map(|d| [d.mean, d.interval[0], d.interval[1], d.p, d.p_holm].map(|n| n.to_string()));
            let mut line = [&group.cohort, &group.budget, &method.method].map(Clone::clone).to_vec();
            line.push(metric.to_owned());
            line.extend(spread.unwrap_or_default());
            line.push(paired.map(|d| d.to.clone()).unwrap_or_default());
            line.extend(numbers.unwrap_or_default());
            line.extend(end.iter().cloned());
            to.write_record(&line).map_err(failed)
        };
        if method.metrics.is_empty() {
            write("", None, None)?;
        }
        for (metric, spread) in group.columns.iter().filter_map(|metric| Some((metric, method.metrics.get(metric)?))) {
            let mut own = method.differences.iter().filter(|d| d.metric == *metric).peekable();
            if own.peek().is_none() {
                write(metric.heading(), Some(spread), None)?;
            }
            own.try_for_each(|d| write(metric.heading(), Some(spread), Some(d)))?;
        }
    }
    to.into_inner().map_err(|e| Error::config("tables", "", e.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::study::summary::Metric;

    fn method(name: &str, mean: Option<f64>) -> MethodSummary {
        let spread = mean.map(|mean| (Metric::Dsc, Spread { mean, sd_patients: 0.25, sd_draws: 0.125 }));
        MethodSummary {
            method: name.into(),
            units: [usize::from(mean.is_some()), 1],
            metrics: spread.into_iter().collect(),
            differences: Vec::new(),
            failures: Vec::new(),
            collapsed: 0,
            unconverged: 0,
            warned: 0,
            warnings: Vec::new(),
        }
    }

    /// A method without results was missing in `tables.csv`, a collapsed pre-training in all tables, and notes in print.
    #[test]
    fn failed_and_collapsed_methods_stay_in_every_table_with_the_reason() {
        let failed = MethodSummary { failures: vec!["out of memory, at step 3".into()], ..method("mae", None) };
        let warned =
            MethodSummary { warned: 1, warnings: vec!["Training has collapsed.".into()], ..method("byol", Some(0.5)) };
        let group = group(vec![failed, warned]);
        let csv = csv(std::slice::from_ref(&group)).unwrap();
        let mut lines = csv::Reader::from_reader(csv.as_slice());
        let lines: Vec<BTreeMap<String, String>> = lines.deserialize().map(std::result::Result::unwrap).collect();
        let cells = |line: &BTreeMap<String, String>| {
            ["method", "metric", "mean", "runs", "planned", "notes"].map(|name| line[name].clone())
        };
        // One run has no deviation between draws. It was given as 0.
        assert_eq!(["sd_patients", "sd_draws"].map(|name| lines[1][name].as_str()), ["0.25", ""]);
        assert_eq!(cells(&lines[0]), ["mae", "", "", "0", "1", "1 of 1 run failed. out of memory, at step 3"]);
        let note = "pre-training of 1 run. Training has collapsed.";
        assert_eq!(cells(&lines[1]), ["byol", "DSC", "0.5", "1", "1", note]);
        let table = table(&group);
        assert_eq!(table.rows[1], ["byol", "0.500", "0.250", "-"]);
        assert_eq!(table.notes, ["mae: 1 of 1 run failed. out of memory, at step 3", &format!("byol: {note}")]);
        for text in [table.markdown(), table.html(), table.latex()] {
            assert!(text.contains(note) && text.contains("out of memory"), "{text}");
        }
        assert!(!table.latex().lines().skip(1).any(|line| line.starts_with('%')), "notes are printed");
    }

    fn group(methods: Vec<MethodSummary>) -> Group {
        Group {
            cohort: "c".into(),
            budget: "5%".into(),
            labelled: 2,
            patients: 3,
            scans: 3,
            columns: vec![Metric::Dsc],
            left_out: Vec::new(),
            training_left_out: Vec::new(),
            methods,
        }
    }

    /// Five rows of an ablation were equal to the last digit, and nothing said why.
    #[test]
    fn methods_with_identical_results_are_named() {
        let collapsed = |name| MethodSummary { collapsed: 1, ..method(name, Some(0.0)) };
        let methods = [("recipe", 0.5), ("sup", 0.25), ("brighter", 0.5)].map(|(name, mean)| method(name, Some(mean)));
        let all = [methods.to_vec(), vec![collapsed("a"), collapsed("b"), method("failed", None)]].concat();
        let notes = table(&group(all)).notes;
        let about: Vec<&String> = notes.iter().filter(|note| note.starts_with("Identical results")).collect();
        assert_eq!(about.len(), 1, "{notes:?}");
        assert!(about[0].starts_with("Identical results: recipe, brighter. "), "{about:?}");
    }

    /// Names were aligned right below a heading on the left, and intervals were broken in two.
    #[test]
    fn html_aligns_words_left_and_keeps_intervals_in_one_piece() {
        let paired = Difference {
            to: "sup".into(),
            metric: Metric::Dsc,
            mean: -0.1,
            interval: [-0.2, 0.05],
            p: 0.5,
            p_holm: 0.5,
        };
        let better = MethodSummary { differences: vec![paired], ..method("no warm-up", Some(0.5)) };
        let table = table(&group(vec![method("sup", Some(0.25)), better]));
        let html = table.html();
        assert!(html.contains("<th scope=\"row\" class=\"words\">no warm-up</th><td>0.500</td>"), "{html}");
        assert!(html.contains("<td>-0.100<br>[-0.200, +0.050], p = 0.500</td>"), "{html}");
        let latex = table.latex();
        assert!(latex.contains("no warm-up") && latex.contains("DSC $-$ sup [95 \\%], p"), "{latex}");
        assert!(
            latex.contains("$-$0.100 [$-$0.200, +0.050], p = 0.500") && latex.contains("0.250 & - & - "),
            "{latex}"
        );
    }

    #[test]
    fn latex_escapes_what_a_reason_may_contain() {
        assert_eq!(
            latex_text("a_b {5%} < C:\\d ~^"),
            "a\\_b \\{5\\%\\} $<$ C:\\textbackslash{}d \\textasciitilde{}\\textasciicircum{}"
        );
    }

    #[test]
    fn a_budget_is_named_by_its_share_or_its_patients() {
        let names = ["1", "2", "5%", "all"].map(budget_name);
        assert_eq!(names, ["1 labelled patient", "2 labelled patients", "5% labels", "all labels"]);
    }
}
