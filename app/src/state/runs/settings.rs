//! Settings of runs side by side.

use std::collections::BTreeSet;

use engine::run::workspace::RunEntry;

use crate::state::State;

/// A setting that differs between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// Its name in `config.toml`.
    pub name: String,
    /// Its value in each run; none where the run does not have it.
    pub values: Vec<Option<String>>,
}

/// The settings that differ between runs, by name.
pub fn differences(runs: &[&RunEntry]) -> Vec<SettingDifference> {
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    let rows = names.into_iter().map(|name| SettingDifference {
        name: name.clone(),
        values: runs.iter().map(|run| run.settings.get(name).cloned()).collect(),
    });
    rows.filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
}

impl State {
    /// The ticked runs that are listed, in the order in which they were ticked.
    pub fn ticked_runs(&self) -> Vec<&RunEntry> {
        self.session.runs.ticked.iter().filter_map(|path| self.cache.runs.run(path)).collect()
    }

    /// The settings that can have a column: those that differ between the listed runs first.
    pub fn settings_to_show(&self) -> Vec<String> {
        let runs: Vec<&RunEntry> = self.cache.runs.all().iter().collect();
        let differing: Vec<String> = differences(&runs).into_iter().map(|row| row.name).collect();
        let all: BTreeSet<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
        let others = all.into_iter().filter(|name| !differing.contains(name)).cloned();
        differing.iter().cloned().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_differ_are_listed_and_one_that_a_run_lacks_counts() {
        let run = |settings: &[(&str, &str)]| RunEntry {
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..RunEntry::default()
        };
        let runs =
            [run(&[("seed", "1"), ("training.lr", "0.1")]), run(&[("seed", "1"), ("training.lr", "0.2"), ("x", "3")])];
        let rows = differences(&runs.iter().collect::<Vec<_>>());
        let row = |name: &str, values: [Option<&str>; 2]| SettingDifference {
            name: name.into(),
            values: values.map(|value| value.map(str::to_owned)).to_vec(),
        };
        assert_eq!(rows, [row("training.lr", [Some("0.1"), Some("0.2")]), row("x", [None, Some("3")])]);
        assert_eq!(differences(&[]), []);
    }
}
