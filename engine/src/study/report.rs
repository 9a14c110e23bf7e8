//! Writes what a study found: tables, every patient's values, and one page that shows both.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::job::{Cell, Job};
use super::paper;
use super::plan::Plan;
use super::rates::Lock;
use super::results::Results;
use super::runner::cost;
use super::summary::{Group, Metric, summarise};
use super::tables::{TextTable, csv, table};
use crate::Result;
use crate::experiment::figures::{Chart, Scale, Series};
use crate::experiment::mean_sd;
use crate::experiment::page::{NOTICE, document, escape};
use crate::run::study::StudyFolder;

/// Writes `results.csv`, `summary.json`, `tables.{md,csv,tex,html}` and `report.html`.
///
/// # Errors
/// A file that cannot be written.
pub fn write(plan: &Plan, lock: &Lock, finals: &[(Cell, Job)], results: &Results, folder: &StudyFolder) -> Result<()> {
    let groups = summarise(plan, results);
    let mut tables: Vec<TextTable> = groups.iter().map(table).collect();
    tables.push(rates_table(plan, lock));
    // Seconds differ from run to run, so they stay out of the tables that two studies are compared by.
    let costs = cost_table(plan, finals, folder);
    let join = |text: fn(&TextTable) -> String| tables.iter().map(text).collect::<Vec<_>>().join("\n");
    let published = paper::tables(plan);
    let markdown = published.iter().fold(join(TextTable::markdown), |text, table| text + "\n" + &table.markdown());
    let file = |name: &str, bytes: &[u8]| folder.write(name, bytes);
    file("results.csv", &results.csv()?)?;
    folder.write_json("summary.json", &groups)?;
    file("tables.md", markdown.as_bytes())?;
    file("tables.csv", csv(&groups).as_bytes())?;
    file("tables.tex", join(TextTable::latex).as_bytes())?;
    file("tables.html", document(&escape(&plan.name), &join(TextTable::html)).as_bytes())?;
    file("report.html", page(plan, &groups, &tables, &costs, &published, results).as_bytes())
}

/// The rates that each method was trained with, and what was tried.
fn rates_table(plan: &Plan, lock: &Lock) -> TextTable {
    let mut rows = Vec::new();
    for cohort in &plan.cohorts {
        for method in &plan.methods {
            let Some(choice) = lock.choice(&cohort.name, &method.name) else { continue };
            let chosen = choice.rates.map_or("-".into(), |rates| rates.to_string());
            let tried = choice.tried.iter().map(|t| {
                let dsc = t.dsc.map_or("failed".into(), |dsc| format!("{dsc:.3}"));
                format!("{}: {dsc}", t.rates)
            });
            rows.push(vec![cohort.name.clone(), method.name.clone(), chosen, tried.collect::<Vec<_>>().join(", ")]);
        }
    }
    let validated = plan.cohorts.iter().filter_map(|cohort| {
        let choice = plan.methods.iter().filter_map(|method| lock.choice(&cohort.name, &method.name));
        let most = choice.map(|choice| choice.validated.len()).max().filter(|count| *count > 0)?;
        Some(format!(
            "{}: the masks of {most} validation patients chose the rates and count in the label budget.",
            cohort.name
        ))
    });
    TextTable {
        caption: "Learning rates of pre-training and fine-tuning, chosen by validation DSC".into(),
        heading: ["Cohort", "Method", "Chosen", "Tried"].map(str::to_owned).to_vec(),
        rows,
        notes: validated.collect(),
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
    }
}

fn page(
    plan: &Plan,
    groups: &[Group],
    tables: &[TextTable],
    costs: &TextTable,
    published: &[TextTable],
    results: &Results,
) -> String {
    let mut body = format!(
        "<header>\n<p class=\"notice\" role=\"note\">{NOTICE}</p>\n<h1>{}</h1>\n<p class=\"summary\">{} methods on {} \
         cohorts, {} test folds, {} draws of the labelled patients, {} seeds. Test patients were read after all choices \
         were frozen in plan.lock.json.</p>\n</header>\n<main>\n",
        escape(&plan.name),
        plan.methods.len(),
        plan.cohorts.len(),
        plan.split.folds,
        plan.labels.draws,
        plan.labels.seeds.len()
    );
    for (group, table) in groups.iter().zip(tables) {
        let _ = writeln!(body, "<section class=\"wide\">\n<div class=\"scroll\">{}</div>", table.html());
        let _ = writeln!(body, "<div class=\"charts\"><figure>{}</figure></div>\n</section>", dots(group, results));
    }
    for cohort in &plan.cohorts {
        let own: Vec<&Group> = groups.iter().filter(|group| group.cohort == cohort.name).collect();
        if own.len() > 1 {
            let svg = learning_curve(&cohort.name, &own).svg();
            let _ =
                writeln!(body, "<section class=\"wide\"><div class=\"charts\"><figure>{svg}</figure></div></section>");
        }
    }
    for table in tables[groups.len()..].iter().chain([costs]) {
        let _ = writeln!(body, "<section class=\"wide\"><div class=\"scroll\">{}</div></section>", table.html());
    }
    if !published.is_empty() {
        body += "<section class=\"wide\"><h2>The paper's own numbers</h2>\n<p>Other data, other lengths of training: they are \
                 here to be looked at, not to be compared with.</p>\n";
        published.iter().for_each(|table| body += &format!("<div class=\"scroll\">{}</div>\n", table.html()));
        body += "</section>\n";
    }
    document(&escape(&plan.name), &(body + "</main>\n"))
}

/// Mean DSC over the number of labelled patients.
fn learning_curve(cohort: &str, groups: &[&Group]) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    for group in groups {
        for method in &group.methods {
            let Some(spread) = method.metrics.get(&Metric::Dsc) else { continue };
            let point = [group.labelled as f64, spread.mean];
            match series.iter_mut().find(|series| series.name == method.method) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: method.method.clone(), points: vec![point] }),
            }
        }
    }
    series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a[0].total_cmp(&b[0])));
    Chart {
        title: format!("{cohort}: DSC by label budget"),
        x: "labelled patients".into(),
        y: "mean DSC".into(),
        scale: Scale::Share,
        series,
        note: String::new(),
    }
}

/// One dot per test patient and method: the patient's mean DSC over draws and seeds. A bar marks the method's mean.
fn dots(group: &Group, results: &Results) -> String {
    const ROW: f64 = 22.0;
    const LEFT: f64 = 130.0;
    const WIDTH: f64 = 640.0;
    let x = |dsc: f64| LEFT + dsc.clamp(0.0, 1.0) * (WIDTH - LEFT - 20.0);
    let height = ROW * group.methods.len() as f64 + 40.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"DSC of every test patient\" font-size=\"12\" \
         fill=\"currentColor\">\n"
    );
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (x, bottom) = (x(tick), height - 24.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"4\" y2=\"{bottom}\" stroke=\"currentColor\" opacity=\".15\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            height - 8.0
        );
    }
    for (row, method) in group.methods.iter().enumerate() {
        let y = ROW * (row as f64 + 0.5) + 6.0;
        let _ = writeln!(svg, "<text x=\"0\" y=\"{}\">{}</text>", y + 4.0, escape(&method.method));
        let mut patients: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for own in &results.rows {
            let cell = &own.cell;
            if (&cell.cohort, &cell.budget, &cell.method) == (&group.cohort, &group.budget, &method.method) {
                patients.entry(&own.patient).or_default().push(own.measures.dsc);
            }
        }
        for (patient, values) in patients {
            let mean = mean_sd(&values).0;
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y}\" r=\"4\" fill=\"var(--s0)\" opacity=\".55\"><title>{} {mean:.3}</title></circle>",
                x(mean),
                escape(patient)
            );
        }
        if let Some(spread) = method.metrics.get(&Metric::Dsc) {
            let (x, top, bottom) = (x(spread.mean), y - 9.0, y + 9.0);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"var(--s1)\" stroke-width=\"3\"/>"
            );
        }
    }
    svg + "</svg>\n"
}
