//! Refuses settings that a plan's own rates and lengths would replace.

use super::plan::{Plan, StagePlan};
use crate::{Error, Result};

/// Settings that the length of a stage replaces.
const LENGTHS: [&str; 3] = ["steps", "min_steps", "epochs"];

/// Checks that no setting of the plan would be ignored: the rates and the length of a stage apply to every method.
///
/// # Errors
/// A learning rate or length among the settings of a stage, a cohort or a method, beside those of the stage.
pub fn check(plan: &Plan) -> Result<()> {
    for (name, stage) in [("pretrain", &plan.pretrain), ("finetune", &plan.finetune)] {
        let of_cohorts =
            plan.cohorts.iter().map(|cohort| (format!("cohorts.{}.settings", cohort.name), &cohort.settings));
        let of_methods = plan.methods.iter().map(|method| {
            let settings = if name == "pretrain" { &method.pretrain } else { &method.finetune };
            (format!("methods.{}.{name}", method.name), settings)
        });
        let of_stage = std::iter::once((format!("{name}.settings"), &stage.settings));
        for (place, settings) in of_stage.chain(of_cohorts).chain(of_methods) {
            check_table(&place, settings, name, stage)?;
        }
    }
    Ok(())
}

fn check_table(place: &str, settings: &toml::Table, name: &str, stage: &StagePlan) -> Result<()> {
    let Some(training) = settings.get("training").and_then(toml::Value::as_table) else { return Ok(()) };
    let has_length = [stage.steps, stage.slices, stage.epochs].iter().any(Option::is_some) || stage.seconds.is_some();
    let lengths = LENGTHS.iter().filter(|_| has_length).map(|length| (*length, "length"));
    let rates = (!stage.rates.is_empty()).then_some(("lr", "rates"));
    for (key, what) in lengths.chain(rates) {
        if let Some(value) = training.get(key) {
            let why =
                format!("would be ignored, because the {what} of [{name}] apply to every method. Remove one of them");
            return Err(Error::config(format!("{place}.training.{key}"), value, why));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;

    fn said(pretrain: &str, finetune: &str, more: &str) -> Option<String> {
        let text = format!(
            "name = 'x'\nlabels = {{ budgets = ['2'] }}\npretrain = {{ {pretrain} }}\nfinetune = {{ {finetune} }}\n\
             cohorts = [{{ name = 'c', path = 'c', modality = ['ct'] }}]\n[[methods]]\nname = 'own'\npreset = 'base'\n{more}\n"
        );
        Plan::from_toml(&text, Path::new("plan.toml")).err().map(|error| error.to_string())
    }

    /// A method with a rate or length of its own was trained with those of the stage, and nothing said so.
    #[test]
    fn settings_that_the_stage_replaces_are_refused() {
        let (rates, steps) = ("rates = [1e-3]", "steps = 3");
        for (pretrain, finetune, more, expected) in [
            (rates, "", "pretrain.training.lr = 3e-2", "methods.own.pretrain.training.lr"),
            ("", steps, "finetune.training.epochs = 3", "methods.own.finetune.training.epochs"),
            ("slices = 9, settings = { training = { steps = 3 } }", "", "", "pretrain.settings.training.steps"),
        ] {
            let error = said(pretrain, finetune, more).unwrap();
            assert!(error.contains(expected) && error.contains("would be ignored"), "{error}");
        }
        for (pretrain, finetune, more) in [
            (rates, steps, "pretrain.training.weight_decay = 0.1"),
            ("", rates, "pretrain.training.lr = 3e-2"),
            (rates, "", "finetune.training.epochs = 3"),
            (rates, steps, ""),
        ] {
            assert_eq!(said(pretrain, finetune, more), None, "{pretrain}, {finetune}, {more}");
        }
    }
}
