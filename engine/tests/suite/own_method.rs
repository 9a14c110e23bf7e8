//! The user-defined method of `engine/examples/own_method.rs`, in a study.

use crate::common::{cohort, small_study};

#[path = "../../examples/own_method.rs"]
mod example;

#[test]
fn a_registered_method_trains_and_appears_in_the_tables_of_a_study() {
    let temp = tempfile::tempdir().unwrap();
    let unknown = engine::config::preset("denoise", &["pet".into()]).unwrap_err().to_string();
    assert!(unknown.contains("preset = denoise"), "{unknown}");
    let study = r#"
        name = "custom"
        labels = { budgets = ["2"], draws = 1, seeds = [0] }
        split = { folds = 1, test = "3", validation = "2" }
        methods = [{ name = "sup" }, { name = "denoise", preset = "simmim", pretrain = { method = { grid = 16 } } }]
    "#;
    let plan = small_study(study, &cohort(temp.path(), 10), 2, (4, "[1e-2]"));
    let out = temp.path().join("study");
    // Only a program that has registered the method can read a plan that names it.
    let text = plan.to_toml().unwrap().replace("preset = \"simmim\"", "preset = \"denoise\"");
    assert!(engine::study::Plan::from_toml(&text, std::path::Path::new("plan.toml")).is_err());
    example::compare(&text, &out).unwrap();
    let tables = std::fs::read_to_string(out.join("tables.md")).unwrap();
    assert!(tables.contains("denoise") && !tables.contains("failed"), "{tables}");
    // Its parameter is in the settings of its run, and its diagnostic in the log.
    let runs: Vec<_> = walk(&out).into_iter().filter(|path| path.ends_with("config.toml")).collect();
    let custom = runs.iter().find(|path| std::fs::read_to_string(path).unwrap().contains("pretext = \"own\"")).unwrap();
    assert!(std::fs::read_to_string(custom).unwrap().contains("noise = 0.5"));
    assert!(std::fs::read_to_string(custom.with_file_name("events.jsonl")).unwrap().contains("\"bias\""));
}

#[test]
fn the_example_is_short() {
    let lines = include_str!("../../examples/own_method.rs").lines().count();
    assert!(lines < 120, "{lines} lines");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
