//! Checks a plan.

use std::collections::BTreeSet;

use super::overrides;
use super::plan::{MethodPlan, Plan, StagePlan, count_of, is_everybody};
use crate::cohort::label_budget::LabelShare;
use crate::{Error, Result};

impl Plan {
    /// Checks names, numbers and the settings of every method.
    ///
    /// # Errors
    /// The first mistake, by its field.
    pub fn check(&self) -> Result<()> {
        self.check_lists()?;
        self.check_split()?;
        check_stage("pretrain", &self.pretrain)?;
        check_stage("finetune", &self.finetune)?;
        if self.finetune.seconds.is_some() {
            let why = "fine-tuning has the same network for all methods. Use steps";
            return Err(Error::config("finetune.seconds", "", why));
        }
        self.methods.iter().try_for_each(|method| self.check_method(method))?;
        overrides::check(self)?;
        self.tables.iter().try_for_each(|table| table.check(self))
    }

    /// Nothing is empty, and nothing is named twice.
    fn check_lists(&self) -> Result<()> {
        for (field, entries) in
            [("cohorts", self.cohorts.len()), ("methods", self.methods.len()), ("metrics", self.metrics.len())]
        {
            if entries == 0 {
                return Err(empty(field));
            }
        }
        let is_twice = |index: &usize| self.metrics[..*index].contains(&self.metrics[*index]);
        if let Some(twice) = (1..self.metrics.len()).find(is_twice) {
            return Err(Error::config("metrics", self.metrics[twice].heading(), "is named twice"));
        }
        check_names("cohorts.name", self.cohorts.iter().map(|cohort| cohort.name.as_str()))?;
        check_names("methods.name", self.methods.iter().map(|method| method.name.as_str()))?;
        if self.labels.draws == 0 {
            return Err(empty("labels.draws"));
        }
        if self.labels.seeds.is_empty() { Err(empty("labels.seeds")) } else { Ok(()) }
    }

    fn check_split(&self) -> Result<()> {
        let split = &self.split;
        if split.file.is_some() && (self.cohorts.len() > 1 || split.folds > 1) {
            return Err(Error::config("split.file", "", "a split file defines one fold of one cohort"));
        }
        if split.folds == 0 {
            return Err(empty("split.folds"));
        }
        count_of(&split.test, 100, "split.test")?;
        count_of(&split.validation, 100, "split.validation")?;
        count_of(&split.patients, 100, "split.patients")?;
        if split.file.is_some() && !is_everybody(&split.patients) {
            return Err(Error::config("split.patients", &split.patients, "a split file already names its patients"));
        }
        Ok(())
    }

    /// Checks a method's budgets and its settings on every cohort.
    fn check_method(&self, method: &MethodPlan) -> Result<()> {
        let budgets = self.budgets(method);
        if budgets.is_empty() {
            return Err(empty("labels.budgets"));
        }
        for budget in budgets {
            budget.parse::<LabelShare>()?;
        }
        if method.preset.is_none() && !method.pretrain.is_empty() {
            let why = "has pre-training settings but no preset";
            return Err(Error::config("methods.name", &method.name, why));
        }
        for cohort in &self.cohorts {
            self.finetune_config(cohort, method)?;
            self.pretrain_config(cohort, method)?;
        }
        Ok(())
    }
}

fn check_stage(stage: &str, plan: &StagePlan) -> Result<()> {
    plan.length(stage)?;
    let field = |name: &str| format!("{stage}.{name}");
    if let Some(rate) = plan.rates.iter().find(|rate| !(rate.is_finite() && **rate > 0.0)) {
        return Err(Error::config(field("rates"), rate, "a rate must be above 0"));
    }
    let share = plan.pilot_share(1.0);
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::config(field("pilot_share"), share, "must be above 0 and at most 1"));
    }
    Ok(())
}

fn empty(field: &str) -> Error {
    Error::config(field, "", "needs at least one entry")
}

/// Names become parts of file names and cells of tables.
fn check_names<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || " -_+.%()".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Error::config(field, name, "use letters, digits, spaces and -_+.%() only"));
        }
        if !seen.insert(name) {
            return Err(Error::config(field, name, "is used twice"));
        }
    }
    Ok(())
}
