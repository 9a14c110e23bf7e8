//! Predefined plans, which `amlp study --print-plan NAME` prints for editing.

use crate::{Error, Result};

/// Names and purposes of the predefined plans.
pub const READY_PLANS: &[(&str, &str)] = &[
    ("quick", "three methods on the sample study in minutes, to check that everything works"),
    ("evidence", "sup, base, amlp and amlp-plus at 5 % and 10 %, five draws, two seeds; takes a night on two cores"),
    (
        "ablation",
        "options beyond the paper, one change to the recipe of amlp-plus at a time; takes a night on two cores",
    ),
    ("paper", "all of the paper's tables in one study; identical runs are shared"),
    ("paper-table-1", "the paper's Table 1: methods, with sup at 50 % and 100 %; DSC and sensitivity"),
    ("paper-table-2", "the paper's Table 2: the same methods; boundary IoU and HD95"),
    ("paper-table-3", "the paper's Table 3: parts of the method"),
    ("paper-table-4", "the paper's Table 4: masking order"),
    ("paper-table-5", "the paper's Table 5: losses"),
    ("paper-table-6", "the paper's Table 6: clustering, with its time per slice and how that grows with the patches"),
    ("paper-figures", "the paper's Figs. 3 and 4: segmentations side by side, and label updates"),
];

/// The text of a predefined plan.
///
/// # Errors
/// A name that is not a predefined plan.
pub fn ready_plan(name: &str) -> Result<String> {
    let text = match name {
        "quick" => include_str!("plans/quick.toml").to_owned(),
        "evidence" => include_str!("plans/evidence.toml").to_owned(),
        "ablation" => include_str!("plans/ablation.toml").to_owned(),
        "paper" => whole_paper(),
        "paper-figures" => {
            // Fig. 3 shows all methods, at 10 %.
            let methods: Vec<&str> = METHODS.iter().copied().filter(|method| *method != MORE_LABELS).collect();
            paper(name, &["10%"], &of(&methods, &[]), "")
        }
        name if name.starts_with("paper-table-") => {
            let number = &name["paper-table-".len()..];
            let table = TABLES.iter().find(|table| table.number == number).ok_or_else(|| unknown(name))?;
            paper(name, table.budgets, &of(table.methods, &[]), &table.as_toml())
        }
        _ => return Err(unknown(name)),
    };
    Ok(text)
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = READY_PLANS.iter().map(|(name, _)| *name).collect();
    Error::config("plan", name, format!("choose one of {}", names.join(", ")))
}

/// One of the paper's tables.
struct PaperTable {
    number: &'static str,
    title: &'static str,
    /// Label budgets.
    budgets: &'static [&'static str],
    /// Presets in the paper's order; `sup` has none.
    methods: &'static [&'static str],
    metrics: &'static [&'static str],
}

/// Fully supervised training with more labels, shown with Tables 1 and 2.
const MORE_LABELS: &str = "sup (more labels)";

const METHODS: &[&str] = &[
    "sup",
    "simclr",
    "byol",
    "swav",
    "mae",
    "maskfeat",
    "simmim",
    "convmae",
    "beit-v2",
    "bootmae",
    "amlp",
    MORE_LABELS,
];

/// The paper's six tables. Table 5 also has `mps-amr`, the control for its losses.
const TABLES: &[PaperTable] = &[
    PaperTable {
        number: "1",
        title: "Methods: overlap",
        budgets: &["5%", "10%", "50%", "100%"],
        methods: METHODS,
        metrics: &["dsc", "sensitivity"],
    },
    PaperTable {
        number: "2",
        title: "Methods: boundaries",
        budgets: &["5%", "10%", "50%", "100%"],
        methods: METHODS,
        metrics: &["boundary_iou", "hd95_mm"],
    },
    PaperTable {
        number: "3",
        title: "Parts of the method",
        budgets: &["5%", "10%"],
        methods: &["sup", "base", "mps", "amr", "crcl", "mps-amr", "mps-crcl", "amr-crcl", "amlp"],
        metrics: &["dsc", "hd95_mm"],
    },
    PaperTable {
        number: "4",
        title: "Masking order",
        budgets: &["10%"],
        methods: &["random", "background-first", "lesion-first"],
        metrics: &["dsc", "hd95_mm"],
    },
    PaperTable {
        number: "5",
        title: "Losses",
        budgets: &["5%"],
        methods: &["l2", "l2+arl", "l2+ccl", "amlp", "mps-amr"],
        metrics: &["dsc", "hd95_mm"],
    },
    PaperTable {
        number: "6",
        title: "Clustering",
        budgets: &["10%"],
        methods: &["kmeans", "agglomerative", "tsne", "dbscan"],
        metrics: &["dsc"],
    },
];

impl PaperTable {
    fn as_toml(&self) -> String {
        format!(
            "\n[[tables]]\ntitle = \"Table {0}. {1}\"\npaper = \"{0}\"\nbudgets = {2}\nmethods = {3}\nmetrics = {4}\n",
            self.number,
            self.title,
            list(self.budgets),
            list(self.methods),
            list(self.metrics)
        )
    }
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

/// All tables in one study: each method with the label budgets of the tables that show it.
fn whole_paper() -> String {
    let mut methods: Vec<(&str, Vec<&str>)> = Vec::new();
    for table in TABLES {
        for method in table.methods {
            let own = table.budgets.iter().copied().filter(|budget| ["5%", "10%"].contains(budget));
            match methods.iter_mut().find(|(known, _)| known == method) {
                Some((_, budgets)) => own.for_each(|budget| {
                    if !budgets.contains(&budget) {
                        budgets.push(budget);
                    }
                }),
                None => methods.push((method, own.collect())),
            }
        }
    }
    let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
    let text: String = TABLES.iter().map(PaperTable::as_toml).collect();
    paper("paper", &["5%", "10%"], &of(&names, &methods), &text)
}

/// Methods by preset; `budgets` overrides the budgets of some.
fn of(presets: &[&str], budgets: &[(&str, Vec<&str>)]) -> String {
    let method = |name: &&str| {
        let start = format!("\n[[methods]]\nname = \"{name}\"\n");
        match *name {
            "sup" => start,
            MORE_LABELS => start + "budgets = [\"50%\", \"100%\"]\n",
            name => {
                let own = budgets.iter().find(|(known, own)| *known == name && own.len() < 2);
                let own = own.map(|(_, own)| format!("budgets = {}\n", list(own))).unwrap_or_default();
                format!("{start}preset = \"{name}\"\n{own}")
            }
        }
    };
    presets.iter().map(method).collect()
}

/// The paper's settings; the cohort is still to be named.
fn paper(name: &str, budgets: &[&str], methods: &str, tables: &str) -> String {
    // The methods of Tables 1 and 2 with more labels name these budgets themselves.
    let budgets: Vec<&str> = budgets.iter().copied().filter(|budget| ["5%", "10%"].contains(budget)).collect();
    format!(
        include_str!("plans/paper.toml.in"),
        name = name,
        budgets = list(&budgets),
        methods = methods,
        tables = tables
    )
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
            let tables = if *name == "paper" { 6 } else { usize::from(name.starts_with("paper-table")) };
            assert_eq!(plan.tables.len(), tables, "{name}");
        }
        // Every ablation row must change something, and no two the same.
        let plan = Plan::from_toml(&ready_plan("ablation").unwrap(), Path::new("ablation")).unwrap();
        let settings = |method: &crate::study::plan::MethodPlan| {
            let pretrain = plan.pretrain_config(&plan.cohorts[0], method).unwrap();
            let pretrain = pretrain.map(|config| config.to_toml().unwrap());
            (pretrain, plan.finetune_config(&plan.cohorts[0], method).unwrap().to_toml().unwrap())
        };
        for (index, method) in plan.methods.iter().enumerate() {
            let same = plan.methods[..index].iter().find(|other| settings(other) == settings(method));
            assert!(same.is_none(), "{} is {:?}", method.name, same.map(|other| &other.name));
        }
        // The combined study contains every table.
        let of = |name: &str| Plan::from_toml(&ready_plan(name).unwrap(), Path::new(name)).unwrap();
        // The paper's Fig. 3: "AMLP and the self-supervised baselines", "with 10% labeled data".
        let figures = of("paper-figures");
        let shown: Vec<&str> = figures.methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!((shown.as_slice(), figures.labels.budgets.as_slice()), (&METHODS[..11], &["10%".to_owned()][..]));
        let whole = of("paper");
        for (index, table) in whole.tables.iter().enumerate() {
            let single = of(&format!("paper-table-{}", index + 1));
            let (shown, alone) = (table.of(&whole), single.tables[0].of(&single));
            let rows = |plan: &Plan| {
                plan.methods.iter().map(|m| (m.name.clone(), plan.budgets(m).to_vec())).collect::<Vec<_>>()
            };
            assert_eq!(rows(&shown), rows(&alone), "{}", table.title);
            assert_eq!(shown.metrics, alone.metrics, "{}", table.title);
        }
        let error = ready_plan("paper-table-7").unwrap_err().to_string();
        assert!(error.starts_with("plan = paper-table-7") && error.contains("paper-table-6"), "{error}");
    }
}
