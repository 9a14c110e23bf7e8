//! A table of the paper in its own layout: label budgets and methods down, modalities and metrics across.

use super::paper::published;
use super::plan::{MethodPlan, Plan};
use super::summary::Group;
use super::tables::{TextTable, flaws_and_convergence};
use super::views::TablePlan;

/// All groups of a table in one, with the paper's numbers in the last columns. `shown` is the plan reduced to the table.
/// `None` for a table that does not quote the paper, or has one group, which has the same numbers.
pub fn paper_layout(asked: &TablePlan, shown: &Plan, groups: &[Group]) -> Option<TextTable> {
    if asked.paper.is_empty() || groups.len() < 2 {
        return None;
    }
    let mut budgets: Vec<&str> = Vec::new();
    for group in groups {
        if !budgets.contains(&group.budget.as_str()) {
            budgets.push(&group.budget);
        }
    }
    let has = |group: &Group, method: &str| group.methods.iter().any(|own| own.method == method);
    let pairs = budgets.iter().flat_map(|budget| shown.methods.iter().map(move |method| (*budget, method)));
    let pairs: Vec<_> = pairs
        .filter(|(budget, method)| groups.iter().any(|group| group.budget == *budget && has(group, &method.name)))
        .collect();
    let mut heading = vec!["Labels".to_owned(), "Method".to_owned()];
    let mut rows: Vec<Vec<String>> =
        pairs.iter().map(|(budget, method)| vec![(*budget).to_owned(), method.name.clone()]).collect();
    let mut quoted = Vec::new();
    for cohort in &shown.cohorts {
        for &metric in &shown.metrics {
            let name = format!("{} {}", cohort.name, metric.heading());
            let own = |(budget, method): &(&str, &MethodPlan)| {
                let group = groups.iter().find(|group| group.cohort == cohort.name && group.budget == *budget)?;
                let summary = group.methods.iter().find(|summary| summary.method == method.name)?;
                Some(format!("{:.*}", metric.decimals(), summary.metrics.get(&metric)?.mean))
            };
            let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            rows.iter_mut().zip(&pairs).for_each(|(row, pair)| row.push(cell(own(pair))));
            let printed = pairs.iter().map(|(budget, method)| published(&asked.paper, budget, method, cohort, metric));
            let printed: Vec<Option<&str>> = printed.collect();
            if printed.iter().any(Option::is_some) {
                quoted.push((format!("{name} (paper)"), printed));
            }
            heading.push(name);
        }
    }
    let paper = quoted.len();
    for (name, printed) in quoted {
        heading.push(name);
        rows.iter_mut().zip(printed).for_each(|(row, value)| row.push(value.unwrap_or("-").to_owned()));
    }
    let methods = groups.iter().flat_map(|group| group.methods.iter().map(move |method| (group, method)));
    let notes = methods.flat_map(|(group, method)| {
        let of = format!("{}, {}, {}", group.cohort, group.budget, method.method);
        flaws_and_convergence(method).into_iter().map(move |flaw| format!("{of}: {flaw}"))
    });
    Some(TextTable { caption: asked.title.clone(), heading, rows, notes: notes.collect(), paper })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::study::summary::{Metric, Spread};
    use crate::study::{Results, ready_plan, summarise};

    /// Tables 1 and 2 of the paper have a row per budget and method and a column per modality and metric.
    #[test]
    fn a_table_of_the_paper_has_its_rows_and_columns() {
        let text = ready_plan("paper-table-1").unwrap();
        let flair = "name = \"my cohort\"\npath = \"COHORT\"         # the folder of your cohort, relative to this file\nmodality = [\"flair\"]\n";
        let t1 = "[[cohorts]]\nname = \"t1\"\npath = \"COHORT\"\nmodality = [\"t1\"]\n";
        assert_eq!(text.matches(flair).count(), 1, "{text}");
        let plan = Plan::from_toml(&text.replace(flair, &format!("{flair}{t1}")), Path::new("plan.toml")).unwrap();
        let asked = &plan.tables[0];
        let shown = asked.of(&plan);
        let mut groups = summarise(&shown, &Results::default());
        let measured = groups.iter_mut().find(|group| group.cohort == "t1" && group.budget == "10%").unwrap();
        let spread = Spread { mean: 0.25, sd_patients: 0.1, sd_draws: 0.1 };
        let amlp = measured.methods.iter_mut().find(|method| method.method == "amlp").unwrap();
        amlp.metrics = BTreeMap::from([(Metric::Sensitivity, spread)]);
        (amlp.units, amlp.collapsed) = ([1, 1], 1);
        let table = paper_layout(asked, &shown, &groups).unwrap();
        assert_eq!(
            table.heading.join(", "),
            "Labels, Method, my cohort DSC, my cohort Sensitivity, t1 DSC, t1 Sensitivity, my cohort DSC (paper), \
             my cohort Sensitivity (paper), t1 DSC (paper), t1 Sensitivity (paper)"
        );
        assert_eq!((table.paper, table.rows.len()), (4, 2 * 11 + 2));
        let flaw = "t1, 10%, amlp: 1 run marks no voxel in any test patient.";
        assert!(table.notes.iter().any(|note| note == flaw), "{:?}", table.notes);
        let row = |budget: &str, method: &str| {
            let row = table.rows.iter().find(|row| row[0] == budget && row[1] == method).unwrap();
            row[2..].join(" ")
        };
        assert_eq!(row("5%", "sup"), "- - - - 0.4035 0.4837 0.1743 0.2702");
        assert_eq!(row("10%", "amlp"), "- - - 0.250 0.4971 0.6324 0.3815 0.5782");
        assert_eq!(row("100%", "sup (more labels)"), "- - - - 0.5164 0.6561 0.4923 0.1582");
        assert!(table.html().contains("<td class=\"published\">0.4971</td>"));
    }

    #[test]
    fn one_group_needs_no_paper_layout() {
        let plan = Plan::from_toml(&ready_plan("paper-table-4").unwrap(), Path::new("plan.toml")).unwrap();
        let shown = plan.tables[0].of(&plan);
        assert!(paper_layout(&plan.tables[0], &shown, &summarise(&shown, &Results::default())).is_none());
        let own = TablePlan { paper: String::new(), ..plan.tables[0].clone() };
        let twice = [summarise(&shown, &Results::default()), summarise(&shown, &Results::default())].concat();
        assert!(paper_layout(&own, &shown, &twice).is_none(), "a table of one's own");
    }
}
