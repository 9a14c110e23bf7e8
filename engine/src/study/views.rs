//! Tables that a plan defines: selected methods, budgets and metrics under a title, as in the paper.

use serde::{Deserialize, Serialize};

use super::plan::{MethodPlan, Plan};
use super::summary::Metric;
use crate::{Error, Result};

/// One table of a study's report. Without any, the report has a table of all methods for each cohort and label budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePlan {
    /// Title above the table.
    pub title: String,
    /// Names of methods of the plan, its rows in this order.
    pub methods: Vec<String>,
    /// Label budgets; by default the study's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<String>,
    /// Metrics, its columns in this order; by default the study's. Differences use the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Number of the paper's table whose values stand beside the study's; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub paper: String,
}

impl TablePlan {
    /// The plan reduced to the table's methods, budgets and metrics.
    pub fn of(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        let all = std::mem::take(&mut plan.methods);
        let own = |name: &String| {
            let method = all.iter().find(|method| method.name == *name)?.clone();
            let budgets = if method.budgets.is_empty() { &plan.labels.budgets } else { &method.budgets };
            let shown = |budget: &String| self.budgets.is_empty() || self.budgets.contains(budget);
            let budgets: Vec<String> = budgets.iter().filter(|budget| shown(budget)).cloned().collect();
            (!budgets.is_empty()).then_some(MethodPlan { budgets, ..method })
        };
        plan.methods = self.methods.iter().filter_map(own).collect();
        if !self.metrics.is_empty() {
            plan.metrics.clone_from(&self.metrics);
        }
        plan
    }

    /// # Errors
    /// A name that is no method of the plan; a budget that none of its methods has.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        if self.methods.is_empty() {
            return Err(Error::config("tables.methods", &self.title, "needs at least one method"));
        }
        if let Some(name) = self.methods.iter().find(|name| !plan.methods.iter().any(|method| method.name == **name)) {
            return Err(Error::config("tables.methods", name, "is not a method of the plan"));
        }
        let shown = self.of(plan);
        let has = |budget: &&String| shown.methods.iter().any(|method| shown.budgets(method).contains(budget));
        if let Some(budget) = self.budgets.iter().find(|budget| !has(budget)) {
            return Err(Error::config("tables.budgets", budget, "no method of the table has this label budget"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    const PLAN: &str = r#"
        name = "x"
        labels = { budgets = ["5%", "10%"] }
        pretrain = {}
        finetune = {}
        cohorts = [{ name = "c", path = "c", modality = ["flair"] }]
        methods = [{ name = "sup" }, { name = "amlp", preset = "amlp" }, { name = "late", preset = "base", budgets = ["10%"] }]
        [[tables]]
        title = "Boundaries"
        methods = ["late", "amlp"]
        budgets = ["10%"]
        metrics = ["boundary_iou", "hd95_mm"]
        paper = "2"
    "#;

    #[test]
    fn a_table_shows_its_methods_budgets_and_metrics() {
        let plan = Plan::from_toml(PLAN, Path::new("plan.toml")).unwrap();
        let shown = plan.tables[0].of(&plan);
        let names: Vec<&str> = shown.methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(names, ["late", "amlp"]);
        assert!(shown.methods.iter().all(|method| shown.budgets(method) == ["10%"]));
        assert_eq!(shown.metrics, [Metric::BoundaryIou, Metric::Hd95Mm]);
        let all = TablePlan { title: "all".into(), methods: vec!["sup".into(), "late".into()], ..TablePlan::default() };
        let shown = all.of(&plan);
        assert_eq!((shown.budgets(&shown.methods[0]).len(), shown.metrics.len()), (2, 5));
        let early = TablePlan { budgets: vec!["5%".into()], ..all };
        assert_eq!(early.of(&plan).methods.len(), 1, "a method without the budget has no row");
    }

    #[test]
    fn a_table_with_unknown_methods_or_budgets_is_refused() {
        for (from, to, expected) in [
            ("\"late\", \"amlp\"]\n", "\"mae\"]\n", "mae: is not a method"),
            ("budgets = [\"10%\"]\n        metrics", "budgets = [\"50%\"]\n        metrics", "50%: no method"),
            ("methods = [\"late\", \"amlp\"]", "methods = []", "at least one method"),
        ] {
            let error = Plan::from_toml(&PLAN.replace(from, to), Path::new("plan.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
