//! Plans to start from: written by `amlp study --print-plan NAME`, to be edited.

use crate::{Error, Result};

/// Names of the ready plans and what each is for.
pub const READY_PLANS: &[(&str, &str)] = &[
    ("quick", "three methods on the sample study in minutes: does everything work?"),
    ("evidence", "sup, base, amlp and amlp-plus at 5 % and 10 %, five draws, two seeds: an answer overnight"),
    ("ablation", "options beyond the paper, one change at a time over a recipe: a night on two cores"),
    ("paper-table-1", "the paper's Tables 1 and 2: methods, with sup at 50 % and 100 %"),
    ("paper-table-2", "the same as paper-table-1, which measures all of its metrics"),
    ("paper-table-3", "the paper's Table 3: parts of the method"),
    ("paper-table-4", "the paper's Table 4: masking order"),
    ("paper-table-5", "the paper's Table 5: losses"),
    ("paper-table-6", "the paper's Table 6: clustering"),
];

/// The text of a ready plan.
///
/// # Errors
/// A name that is no ready plan.
pub fn ready_plan(name: &str) -> Result<String> {
    let text = match name {
        "quick" => include_str!("plans/quick.toml").to_owned(),
        "evidence" => include_str!("plans/evidence.toml").to_owned(),
        "ablation" => include_str!("plans/ablation.toml").to_owned(),
        "paper-table-1" | "paper-table-2" => paper(name, &["5%", "10%"], &table_1()),
        "paper-table-3" => paper(
            name,
            &["5%", "10%"],
            &of(&["sup", "base", "mps", "amr", "crcl", "mps-amr", "mps-crcl", "amr-crcl", "amlp"]),
        ),
        "paper-table-4" => paper(name, &["10%"], &of(&["random", "background-first", "lesion-first"])),
        "paper-table-5" => paper(name, &["5%"], &of(&["l2", "l2+arl", "l2+ccl", "amlp", "mps-amr"])),
        "paper-table-6" => paper(name, &["10%"], &of(&["kmeans", "agglomerative", "tsne", "dbscan"])),
        _ => {
            let names: Vec<&str> = READY_PLANS.iter().map(|(name, _)| *name).collect();
            return Err(Error::config("print-plan", name, format!("choose one of {}", names.join(", "))));
        }
    };
    Ok(text)
}

/// Methods by their presets.
fn of(presets: &[&str]) -> String {
    let method = |name: &&str| match *name {
        "sup" => "\n[[methods]]\nname = \"sup\"\n".to_owned(),
        name => format!("\n[[methods]]\nname = \"{name}\"\npreset = \"{name}\"\n"),
    };
    presets.iter().map(method).collect()
}

fn table_1() -> String {
    let more = "\n[[methods]]\nname = \"sup (more labels)\"\nbudgets = [\"50%\", \"100%\"]\n";
    of(&["sup", "mae", "simmim", "amlp"]) + more
}

/// The paper's settings on a cohort that is still to be named.
fn paper(name: &str, budgets: &[&str], methods: &str) -> String {
    let budgets: Vec<String> = budgets.iter().map(|budget| format!("\"{budget}\"")).collect();
    format!(include_str!("plans/paper.toml.in"), name = name, budgets = budgets.join(", "), methods = methods)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::study::Plan;

    #[test]
    fn every_ready_plan_is_a_plan() {
        for (name, _) in READY_PLANS {
            let plan = Plan::from_toml(&ready_plan(name).unwrap(), Path::new(name)).unwrap();
            assert!(plan.methods.len() >= 3, "{name}");
        }
        // A row of the ablation that changes nothing, or the same as another, would be trained in vain.
        let plan = Plan::from_toml(&ready_plan("ablation").unwrap(), Path::new("ablation")).unwrap();
        let settings = |method: &crate::study::plan::MethodPlan| {
            let pretrain = plan.pretrain_config(&plan.cohorts[0], method).unwrap();
            let pretrain = pretrain.map(|config| config.to_toml().unwrap());
            (pretrain, plan.finetune_config(&plan.cohorts[0], method).unwrap().to_toml().unwrap())
        };
        for (at, method) in plan.methods.iter().enumerate() {
            let same = plan.methods[..at].iter().find(|other| settings(other) == settings(method));
            assert!(same.is_none(), "{} is {:?}", method.name, same.map(|other| &other.name));
        }
        assert!(ready_plan("paper-table-7").unwrap_err().to_string().contains("paper-table-6"));
    }
}
