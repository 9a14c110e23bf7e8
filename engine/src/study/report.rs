//! Writes the results of a study: tables, per-patient values, figures and a report page.

use std::fmt::Write;

use super::clustering;
use super::figures::{Pictures, Source, charts};
use super::job::{Cell, Job};
use super::layout::paper_layout;
use super::paper::{self, add_published_columns};
use super::plan::{CohortPlan, MethodPlan, Plan};
use super::rates::{Choice, Lock};
use super::results::Results;
use super::runner::cost;
use super::summary::{Group, summarise};
use super::tables::{TextTable, csv, table};
use super::views::TablePlan;
use crate::Result;
use crate::report::mean_sd;
use crate::report::page::{Figure, NOTICE, document, escape, figure};
use crate::run::study::StudyFolder;
use crate::words::plural;

/// Groups of results and their tables.
struct Section {
    /// All groups in one table, in the layout of the paper.
    whole: Option<TextTable>,
    groups: Vec<Group>,
    tables: Vec<TextTable>,
}

impl Section {
    fn all(&self) -> impl Iterator<Item = &TextTable> {
        self.whole.iter().chain(&self.tables)
    }
}

/// The tables that the plan asks for with the paper's numbers beside them, or one of all methods for each group.
fn sections(plan: &Plan, groups: &[Group], results: &Results) -> Vec<Section> {
    if plan.tables.is_empty() {
        let tables = groups.iter().map(table).collect();
        return vec![Section { whole: None, groups: groups.to_vec(), tables }];
    }
    let section = |asked: &TablePlan| {
        let shown = asked.of(plan);
        let groups = summarise(&shown, results);
        let titled = |group: &Group| {
            let mut table = table(group);
            add_published_columns(&mut table, &asked.paper, &shown, group);
            table.caption = format!("{}: {}", asked.title, table.caption);
            table
        };
        let whole = paper_layout(asked, &shown, &groups);
        Section { whole, tables: groups.iter().map(titled).collect(), groups }
    };
    plan.tables.iter().map(section).collect()
}

/// Writes `results.csv`, `summary.json`, `tables.{md,csv,tex,html}`, `costs.md`, `figures/` and `report.html`.
///
/// # Errors
/// A file that cannot be written.
pub fn write(plan: &Plan, lock: &Lock, finals: &[(Cell, Job)], results: &Results, folder: &StudyFolder) -> Result<()> {
    let groups = summarise(plan, results);
    let sections = sections(plan, &groups, results);
    let rates = rates_table(plan, lock);
    // Times differ from run to run, so they are not in the tables that studies are compared by.
    let mut costs = vec![cost_table(plan, finals, folder)];
    costs.extend(clustering::table(&clustering::costs(plan, folder)?));
    let tables = || sections.iter().flat_map(Section::all).chain([&rates]);
    let join = |text: fn(&TextTable) -> String| tables().map(text).collect::<Vec<_>>().join("\n");
    let published = if plan.tables.is_empty() { paper::tables(plan) } else { Vec::new() };
    let markdown = published.iter().fold(join(TextTable::markdown), |text, table| text + "\n" + &table.markdown());
    let file = |name: &str, bytes: &[u8]| folder.write(name, bytes);
    file("results.csv", &results.csv()?)?;
    folder.write_json("summary.json", &groups)?;
    file("tables.md", markdown.as_bytes())?;
    file("costs.md", costs.iter().map(TextTable::markdown).collect::<Vec<_>>().join("\n").as_bytes())?;
    file("tables.csv", &csv(&groups)?)?;
    file("tables.tex", join(TextTable::latex).as_bytes())?;
    file("tables.html", document(&escape(&plan.name), &join(TextTable::html)).as_bytes())?;
    let source = Source { plan, finals, results, groups: &groups, folder };
    let pictures = source.draw()?;
    costs.insert(0, rates);
    file("report.html", page(source, &sections, &costs, &published, &pictures).as_bytes())
}

/// The rates of each method, and the candidates where the plan gives a choice.
fn rates_table(plan: &Plan, lock: &Lock) -> TextTable {
    let folds = plan.split.folds;
    let mut choices = Vec::new();
    for cohort in &plan.cohorts {
        for method in &plan.methods {
            let of_fold = |fold| Some((cohort, method, fold, lock.choice(&cohort.name, &method.name, fold)?));
            choices.extend((0..folds).filter_map(of_fold));
        }
    }
    let is_fixed = choices.iter().all(|(.., choice)| choice.tried.is_empty());
    // Each fold chooses its own rates. Rates that are fixed are those of all folds.
    let has_folds = folds > 1 && !is_fixed;
    if is_fixed {
        choices.retain(|(_, _, fold, _)| *fold == 0);
    }
    let row = |(cohort, method, fold, choice): &(&CohortPlan, &MethodPlan, usize, &Choice)| {
        let chosen = choice.rates.map_or("-".into(), |rates| rates.to_string());
        let tried = choice.tried.iter().map(|t| {
            let dsc = t.dsc.map_or("failed".into(), |dsc| format!("{dsc:.3}"));
            format!("{}: {dsc}", t.rates)
        });
        let tried = if choice.tried.is_empty() { "fixed".into() } else { tried.collect::<Vec<_>>().join(", ") };
        let mut cells = vec![cohort.name.clone(), method.name.clone()];
        cells.extend(has_folds.then(|| (fold + 1).to_string()));
        cells.push(chosen);
        cells.extend((!is_fixed).then_some(tried));
        cells
    };
    let validated = plan.cohorts.iter().filter_map(|cohort| {
        let own = choices.iter().filter(|(of, ..)| of.name == cohort.name);
        let validated = own.map(|(.., choice)| choice.validated.len()).max().filter(|count| *count > 0)?;
        let patients = plural(validated, "validation patient", "validation patients");
        let each = if has_folds { " of each fold" } else { "" };
        Some(format!("{}: the masks of {patients}{each} chose the rates and count in the label budget.", cohort.name))
    });
    let how = if is_fixed { "fixed by the plan" } else { "chosen by validation DSC" };
    let heading: &[&str] = match (is_fixed, has_folds) {
        (true, _) => &["Cohort", "Method", "Rates"],
        (false, false) => &["Cohort", "Method", "Chosen", "Tried"],
        (false, true) => &["Cohort", "Method", "Fold", "Chosen", "Tried"],
    };
    TextTable {
        caption: format!("Learning rates of pre-training and fine-tuning, {how}"),
        heading: heading.iter().map(|head| (*head).to_owned()).collect(),
        rows: choices.iter().map(row).collect(),
        notes: validated.collect(),
        paper: 0,
    }
}

/// Steps and measured seconds of both stages.
fn cost_table(plan: &Plan, finals: &[(Cell, Job)], folder: &StudyFolder) -> TextTable {
    let mut rows = Vec::new();
    for cohort in &plan.cohorts {
        for method in &plan.methods {
            let own = || finals.iter().filter(|(cell, _)| cell.cohort == cohort.name && cell.method == method.name);
            let mean = |costs: Vec<(f64, usize)>| {
                let (seconds, _) = mean_sd(&costs.iter().map(|cost| cost.0).collect::<Vec<_>>());
                costs.first().map_or(["-".into(), "-".into()], |first| [first.1.to_string(), format!("{seconds:.0}")])
            };
            let pretrain = mean(own().filter_map(|(_, job)| cost(folder, &job.pretrain.as_ref()?.0)).collect());
            let finetune = mean(own().filter_map(|(_, job)| cost(folder, &job.name)).collect());
            let [a, b] = pretrain;
            let [c, d] = finetune;
            rows.push(vec![cohort.name.clone(), method.name.clone(), a, b, c, d]);
        }
    }
    let heading = ["Cohort", "Method", "Pre-training steps", "Seconds", "Fine-tuning steps", "Seconds"];
    TextTable {
        caption: "Compute: steps, and mean seconds as measured".into(),
        heading: heading.map(str::to_owned).to_vec(),
        rows,
        notes: Vec::new(),
        paper: 0,
    }
}

fn page(
    source: Source<'_>,
    sections: &[Section],
    more: &[TextTable],
    published: &[TextTable],
    pictures: &Pictures,
) -> String {
    let Source { plan, results, .. } = source;
    let mut body = head(plan);
    let is_compared = |section: &Section| section.groups.iter().any(|group| !group.references().is_empty());
    if sections.iter().any(is_compared) {
        let _ = writeln!(body, "<section><p class=\"note\">{STATISTICS}</p></section>");
    }
    let note = "Each dot is a test patient, averaged over draws and seeds. The bar is the mean of all patients.";
    for section in sections {
        if let Some(table) = &section.whole {
            let _ =
                writeln!(body, "<section class=\"wide\">\n<div class=\"scroll\">{}</div>\n</section>", table.html());
        }
        for (group, table) in section.groups.iter().zip(&section.tables) {
            let _ = writeln!(body, "<section class=\"wide\">\n<div class=\"scroll\">{}</div>", table.html());
            let _ = writeln!(
                body,
                "<div class=\"charts\"><figure>{}<figcaption>{note}</figcaption></figure></div>\n</section>",
                charts::dots(group, results)
            );
        }
    }
    for (_, chart) in charts::learning_curves(source) {
        let (svg, note) = (chart.svg(), escape(&chart.note));
        let _ = writeln!(
            body,
            "<section class=\"wide\"><div class=\"charts\"><figure>{svg}<figcaption>{note}</figcaption></figure></div></section>"
        );
    }
    gallery(&mut body, "Segmentations", SEGMENTATIONS, &pictures.segmentations);
    gallery(&mut body, "Label updates during pre-training", UPDATES, &pictures.updates);
    for why in &pictures.missing {
        let _ = writeln!(body, "<section><p>{}</p></section>", escape(why));
    }
    for table in more {
        let _ = writeln!(body, "<section class=\"wide\"><div class=\"scroll\">{}</div></section>", table.html());
    }
    if !published.is_empty() {
        body += "<section class=\"wide\"><h2>The paper's own numbers</h2>\n<p>Other data and training lengths: for \
                 orientation, not for comparison.</p>\n";
        published.iter().for_each(|table| body += &format!("<div class=\"scroll\">{}</div>\n", table.html()));
        body += "</section>\n";
    }
    document(&escape(&plan.name), &(body + "</main>\n"))
}

const STATISTICS: &str = "SD patients is the standard deviation over patients, SD draws that of the means over draws and \
    seeds. Differences are paired by patient, draw and seed, with the 95 % interval of a crossed bootstrap of patients and \
    draws. p is from the exact Wilcoxon signed-rank test on the patients' means, with Holm's correction over the methods of \
    a table.";
const SEGMENTATIONS: &str = "Which patients are shown depends on the first column's method alone: those at its quartiles and \
    its median. Solid blue is segmented and in the reference, hatched orange segmented but not in the reference, dashed pink \
    in the reference but missed. The white line is the reference.";
const UPDATES: &str = "1, green, is a lesion patch; 0, purple, background. A yellow frame marks a patch whose label the update \
    changes. A 1 is a guess, not a finding: no reference takes part in an update.";

/// Pictures with a heading and a common caption.
fn gallery(body: &mut String, title: &str, about: &str, pictures: &[Figure]) {
    if pictures.is_empty() {
        return;
    }
    let _ = writeln!(body, "<section class=\"wide\">\n<h2>{title}</h2>\n<p>{about}</p>");
    pictures.iter().for_each(|picture| figure(body, picture));
    body.push_str("</section>\n");
}

fn head(plan: &Plan) -> String {
    let count = |n: usize, what: &str| plural(n, what, &format!("{what}s"));
    let is_chosen = plan.pretrain.rates.len().max(plan.finetune.rates.len()) > 1;
    let order = if is_chosen && plan.split.folds > 1 {
        "Each fold's learning rates were chosen without its test patients, and frozen in plan.lock.json before any were \
         evaluated."
    } else {
        "Test patients were read after all choices were frozen in plan.lock.json."
    };
    format!(
        "<header>\n<p class=\"notice\" role=\"note\">{NOTICE}</p>\n<h1>{}</h1>\n<p class=\"summary\">{} on {}, {}, {} of \
         the labelled patients, {}. {order}</p>\n</header>\n<main>\n",
        escape(&plan.name),
        count(plan.methods.len(), "method"),
        count(plan.cohorts.len(), "cohort"),
        count(plan.split.folds, "test fold"),
        count(plan.labels.draws, "draw"),
        count(plan.labels.seeds.len(), "seed")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    /// The table of rates of a plan, before any pilot has run.
    fn rates(tried: &str) -> TextTable {
        let text = "name = 'x'\nlabels = { budgets = ['2'] }\npretrain = {}\nfinetune = {}\n\
                    cohorts = [{ name = 'c', path = 'c', modality = ['ct'] }]\n\
                    methods = [{ name = 'sup' }, { name = 'base', preset = 'base' }]\n";
        let plan = Plan::from_toml(text, Path::new("plan.toml")).unwrap();
        let choice = |tried: &str| {
            format!(
                r#"{{ "rates": {{ "pretrain": null, "finetune": 0.01 }}, "tried": [{tried}], "labelled": [], "validated": ["p"] }}"#
            )
        };
        let lock = format!(
            r#"{{ "version": 1, "plan_sha256": "", "rates": {{ "c": {{ "sup": {}, "base": {} }} }} }}"#,
            choice(tried),
            choice("")
        );
        rates_table(&plan, &serde_json::from_str(&lock).unwrap())
    }

    #[test]
    fn rates_are_called_chosen_only_where_there_was_a_choice() {
        let fixed = rates("");
        assert_eq!(fixed.caption, "Learning rates of pre-training and fine-tuning, fixed by the plan");
        assert_eq!(fixed.heading, ["Cohort", "Method", "Rates"]);
        assert_eq!(fixed.rows, [["c", "sup", "1e-2"], ["c", "base", "1e-2"]]);
        let chosen = rates(r#"{ "pretrain": null, "finetune": 0.01, "dsc": 0.5, "failed": null }"#);
        assert_eq!(chosen.caption, "Learning rates of pre-training and fine-tuning, chosen by validation DSC");
        assert_eq!(chosen.rows, [["c", "sup", "1e-2", "1e-2: 0.500"], ["c", "base", "1e-2", "fixed"]]);
        assert_eq!(
            chosen.notes,
            ["c: the masks of 1 validation patient chose the rates and count in the label budget."]
        );
    }

    /// With two folds, the rates of both were those of the first, which its training and validation patients chose. They are test
    /// patients of the second.
    #[test]
    fn each_fold_has_rates_of_its_own() {
        let text = "name = 'x'\nsplit = { folds = 2 }\nlabels = { budgets = ['2'] }\npretrain = {}\nfinetune = {}\n\
                    cohorts = [{ name = 'c', path = 'c', modality = ['ct'] }]\nmethods = [{ name = 'sup' }]\n";
        let plan = Plan::from_toml(text, Path::new("plan.toml")).unwrap();
        let choice = |rate: &str, patient: &str| {
            format!(
                r#"{{ "rates": {{ "pretrain": null, "finetune": {rate} }},
                     "tried": [{{ "pretrain": null, "finetune": {rate}, "dsc": 0.5, "failed": null }}],
                     "labelled": [], "validated": ["{patient}"] }}"#
            )
        };
        let lock = format!(
            r#"{{ "version": 1, "plan_sha256": "",
                 "rates": {{ "c": {{ "sup": {} }}, "c, fold 2": {{ "sup": {} }} }} }}"#,
            choice("0.01", "p"),
            choice("0.001", "q")
        );
        let table = rates_table(&plan, &serde_json::from_str(&lock).unwrap());
        assert_eq!(table.heading, ["Cohort", "Method", "Fold", "Chosen", "Tried"]);
        assert_eq!(table.rows, [["c", "sup", "1", "1e-2", "1e-2: 0.500"], ["c", "sup", "2", "1e-3", "1e-3: 0.500"]]);
        assert_eq!(
            table.notes,
            ["c: the masks of 1 validation patient of each fold chose the rates and count in the label budget."]
        );
    }

    #[test]
    fn the_report_says_whether_the_rates_saw_test_patients() {
        for (folds, rates, expected) in [
            (1, "[1e-3, 1e-2]", "after all choices were frozen"),
            (2, "[1e-3]", "after all choices were frozen"),
            (2, "[1e-3, 1e-2]", "chosen without its test patients"),
        ] {
            let text = format!(
                "name = 'x'\nsplit = {{ folds = {folds} }}\nlabels = {{ budgets = ['2'] }}\npretrain = {{}}\n\
                 finetune = {{ rates = {rates} }}\ncohorts = [{{ name = 'c', path = 'c', modality = ['ct'] }}]\n\
                 methods = [{{ name = 'sup' }}]\n"
            );
            let head = head(&Plan::from_toml(&text, Path::new("plan.toml")).unwrap());
            assert!(head.contains(expected), "{folds} folds, rates {rates}: {head}");
        }
    }
}
