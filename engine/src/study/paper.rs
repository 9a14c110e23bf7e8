//! The numbers printed in the paper (arXiv 2309.04312, Tables 1 to 6). They are shown beside those of a study, never combined
//! with them.
//!
//! Table 4 calls AMLP's own row "easy to hard", which its text defines as background first; that row is AMLP's, so it is
//! listed as `lesion-first` here, and "hard to easy" as `background-first`.

use std::collections::BTreeMap;

use super::plan::{CohortPlan, MethodPlan, Plan};
use super::summary::{Group, Metric};
use super::tables::TextTable;
use crate::cohort::canonical_modality;

/// `table,budget,method,modality,metric,value`; Table 6 names no modality.
const NUMBERS: &str = include_str!("paper.csv");

const METRICS: [(&str, &str); 4] =
    [("dsc", "DSC"), ("sensitivity", "Sensitivity"), ("boundary_iou", "Boundary IoU"), ("hd95_mm", "HD95 (mm)")];

/// One number of the paper.
struct Number<'a> {
    table: &'a str,
    budget: &'a str,
    method: &'a str,
    modality: &'a str,
    metric: &'a str,
    value: &'a str,
}

fn numbers() -> impl Iterator<Item = Number<'static>> {
    NUMBERS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let mut next = || cells.next();
        Some(Number {
            table: next()?,
            budget: next()?,
            method: next()?,
            modality: next()?,
            metric: next()?,
            value: next()?,
        })
    })
}

/// The paper's numbers for the methods, modalities and budgets of a plan: a table per modality and budget.
pub fn tables(plan: &Plan) -> Vec<TextTable> {
    let mut modalities: Vec<String> = Vec::new();
    for cohort in &plan.cohorts {
        if let [only] = cohort.modality.as_slice() {
            modalities.push(canonical_modality(only));
        }
    }
    modalities.dedup();
    let mut budgets: Vec<&String> = Vec::new();
    for budget in plan.methods.iter().flat_map(|method| plan.budgets(method)) {
        if !budgets.contains(&budget) {
            budgets.push(budget);
        }
    }
    let pairs = modalities.iter().flat_map(|modality| budgets.iter().map(move |budget| (modality, *budget)));
    pairs.filter_map(|(modality, budget)| table(plan, modality, budget)).collect()
}

/// Adds the numbers of one of the paper's tables to a study's table: a column per published metric.
pub fn add_published_columns(table: &mut TextTable, source: &str, plan: &Plan, group: &Group) {
    let Some(cohort) = plan.cohorts.iter().find(|cohort| cohort.name == group.cohort) else { return };
    for metric in &group.columns {
        let value = |row: &Vec<String>| {
            let name = row.first()?;
            let method = plan.methods.iter().find(|method| method.name == *name)?;
            published(source, &group.budget, method, cohort, *metric)
        };
        let values: Vec<Option<&str>> = table.rows.iter().map(value).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        table.heading.push(format!("{} (paper)", metric.heading()));
        table.rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value.unwrap_or("-").to_owned()));
        table.paper += 1;
    }
}

/// A number of table `source` of the paper, for a cohort of one modality.
pub(super) fn published(
    source: &str,
    budget: &str,
    method: &MethodPlan,
    cohort: &CohortPlan,
    metric: Metric,
) -> Option<&'static str> {
    let (preset, [modality]) = (published_name(method)?, cohort.modality.as_slice()) else { return None };
    // Table 6 is of BraTS, and does not name the modality.
    let is_of_modality = |name: &str| match name {
        "" => ["t1", "t1ce", "t2", "flair"].contains(&canonical_modality(modality).as_str()),
        name => canonical_modality(name) == canonical_modality(modality),
    };
    let own = |n: &Number<'_>| {
        [n.table, n.budget, n.method] == [source, budget, preset]
            && metric_of(n.metric) == Some(metric.heading())
            && is_of_modality(n.modality)
    };
    numbers().find(own).map(|number| number.value)
}

/// True for the modalities of HECKTOR.
pub(super) fn is_of_hecktor(modality: &str) -> bool {
    matches!(canonical_modality(modality).as_str(), "ct" | "pet")
}

/// Name in the paper's tables of a method of a plan. `None` for a variant, which changes settings of the method or of its
/// fine-tuning. Size and length of the pre-training do not count: `amlp compare` stores them with each method.
fn published_name(method: &MethodPlan) -> Option<&str> {
    let is_changed = method.pretrain.contains_key("method") || !method.finetune.is_empty();
    (!is_changed).then(|| method.preset.as_deref().unwrap_or("sup"))
}

/// Heading of a metric of the file.
fn metric_of(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(metric, _)| *metric == name).map(|(_, heading)| *heading)
}

fn table(plan: &Plan, modality: &str, budget: &str) -> Option<TextTable> {
    // If two tables print the same number, the first is used.
    let mut published: BTreeMap<(&str, &str), (&str, &str)> = BTreeMap::new();
    for number in numbers().filter(|n| n.budget == budget && canonical_modality(n.modality) == modality) {
        published.entry((number.method, number.metric)).or_insert((number.value, number.table));
    }
    let mut rows = Vec::new();
    for method in &plan.methods {
        let Some(name) = published_name(method) else { continue };
        let own: Vec<_> = METRICS.iter().map(|(metric, _)| published.get(&(name, *metric))).collect();
        let Some((_, source)) = own.iter().flatten().next() else { continue };
        let mut row = vec![method.name.clone()];
        row.extend(own.iter().map(|number| number.map_or("-".into(), |(value, _)| (*value).to_owned())));
        row.push(format!("Table {source}"));
        rows.push(row);
    }
    let mut heading = vec!["Method".to_owned()];
    heading.extend(METRICS.iter().map(|(_, name)| (*name).to_owned()));
    heading.push("Source".into());
    let caption = format!("The paper: {}, {budget} labels", modality.to_uppercase());
    (!rows.is_empty()).then_some(TextTable { caption, heading, rows, notes: Vec::new(), paper: 0 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_published_number_is_parsed() {
        assert_eq!(numbers().count(), NUMBERS.lines().count() - 1);
        assert!(numbers().all(|n| n.value.parse::<f64>().is_ok()));
    }

    #[test]
    fn published_numbers_are_added_as_columns_of_a_study_table() {
        let text = r#"
            name = "x"
            labels = { budgets = ["10%"] }
            pretrain = {}
            finetune = {}
            cohorts = [{ name = "c", path = "c", modality = ["flair"] }]
            methods = [{ name = "mine", preset = "kmeans" }, { name = "plus", preset = "amlp-plus" }]
        "#;
        let plan = Plan::from_toml(text, Path::new("plan.toml")).unwrap();
        let group = &crate::study::summarise(&plan, &crate::study::Results::default())[0];
        let mut table = crate::study::tables::table(group);
        let own = table.heading.len();
        add_published_columns(&mut table, "6", &plan, group);
        assert_eq!((table.paper, table.heading[own..].join(", ").as_str()), (1, "DSC (paper)"));
        let last: Vec<&str> = table.rows.iter().filter_map(|row| row.last().map(String::as_str)).collect();
        assert_eq!(last, ["0.3633", "-"]);
        assert!(table.html().contains("<td class=\"published\">0.3633</td>"));
        add_published_columns(&mut table, "5", &plan, group);
        assert_eq!(table.paper, 1, "Table 5 has neither method at this budget");
    }

    /// The numbers of Table 6, which are of BraTS, stood beside results on PET.
    #[test]
    fn table_6_is_quoted_for_mr_only() {
        let columns = |modality: &str| {
            let text = format!(
                r#"
                name = "x"
                labels = {{ budgets = ["10%"] }}
                pretrain = {{}}
                finetune = {{}}
                cohorts = [{{ name = "c", path = "c", modality = ["{modality}"] }}]
                methods = [{{ name = "kmeans", preset = "kmeans" }}]
                "#
            );
            let plan = Plan::from_toml(&text, Path::new("plan.toml")).unwrap();
            let group = &crate::study::summarise(&plan, &crate::study::Results::default())[0];
            let mut table = crate::study::tables::table(group);
            add_published_columns(&mut table, "6", &plan, group);
            table.paper
        };
        assert_eq!(["flair", "t1", "ct", "pt", "pet", "dwi"].map(columns), [1, 1, 0, 0, 0, 0]);
    }

    /// A variant of a method got the paper's numbers of the method.
    #[test]
    fn a_variant_of_a_method_has_no_published_numbers() {
        let text = r#"
            name = "x"
            labels = { budgets = ["5%"] }
            pretrain = {}
            finetune = {}
            cohorts = [{ name = "c", path = "c", modality = ["pet"] }]
            methods = [
                { name = "amlp", preset = "amlp", pretrain = { training = { epochs = 3 } } },
                { name = "grid 8", preset = "amlp", pretrain = { method = { grid = 8 } } },
                { name = "decayed", finetune = { training = { weight_decay = 0.1 } } },
            ]
        "#;
        let plan = Plan::from_toml(text, Path::new("plan.toml")).unwrap();
        let names: Vec<String> = tables(&plan).remove(0).rows.into_iter().map(|mut row| row.remove(0)).collect();
        assert_eq!(names, ["amlp"]);
        let group = &crate::study::summarise(&plan, &crate::study::Results::default())[0];
        let mut table = crate::study::tables::table(group);
        add_published_columns(&mut table, "1", &plan, group);
        let last: Vec<&str> = table.rows.iter().filter_map(|row| row.last().map(String::as_str)).collect();
        assert_eq!(last[1..], ["-", "-"], "{last:?}");
    }

    #[test]
    fn published_tables_list_only_the_methods_of_the_plan() {
        let text = r#"
            name = "x"
            labels = { budgets = ["5%", "3"] }
            pretrain = {}
            finetune = {}
            cohorts = [{ name = "c", path = "c", modality = ["pt"] }]
            methods = [{ name = "sup" }, { name = "mine", preset = "amlp" }, { name = "plus", preset = "amlp-plus" }]
        "#;
        let tables = tables(&Plan::from_toml(text, Path::new("plan.toml")).unwrap());
        assert_eq!(tables.len(), 1, "the paper has no budget of three patients");
        assert_eq!(tables[0].rows[0], ["sup", "0.5452", "0.7044", "0.2493", "69.0963", "Table 1"]);
        assert_eq!(tables[0].rows[1], ["mine", "0.6296", "0.7665", "0.3113", "40.5376", "Table 1"]);
        assert_eq!(tables[0].rows.len(), 2);
    }
}
