//! `amlp manual` and `amlp help`: print the manual or some of its sections, and the help of a command.

use clap::CommandFactory;

use crate::Error;
use crate::manual::{Section, TEXT, sections};

/// The number of titles that an error lists.
const MAX_TITLES: usize = 10;

pub const EXAMPLES: &str = "Examples:
  amlp manual
  amlp manual devices
  amlp manual amlp segment";

pub const HELP_EXAMPLES: &str = "Examples:
  amlp help
  amlp help segment
  amlp help run folders";

#[derive(clap::Args)]
pub struct Args {
    /// Words in the title of a section.
    topic: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    super::print_text(&sections_on(&args.topic.join(" "))?)
}

pub fn help(args: &Args) -> anyhow::Result<()> {
    super::print_text(&help_on(&args.topic)?)
}

/// The help of the program or of the command that `topic` names, else the manual's sections on it.
fn help_on(topic: &[String]) -> crate::Result<String> {
    let mut program = super::Cli::command();
    program.build();
    let command = topic.iter().try_fold(&mut program, |command, name| command.find_subcommand_mut(name));
    command.map_or_else(|| sections_on(&topic.join(" ")), |command| Ok(command.render_long_help().to_string()))
}

/// The sections whose title contains `topic`; the whole manual if it is empty.
fn sections_on(topic: &str) -> crate::Result<String> {
    if topic.is_empty() {
        return Ok(TEXT.to_owned());
    }
    let all = sections(TEXT);
    let wanted = topic.to_lowercase();
    let found = all.iter().filter(|section| section.title.to_lowercase().contains(&wanted));
    let mut text = String::new();
    for section in found {
        // Skip a subsection whose section is already included.
        if !text.contains(section.text) {
            text += section.text;
        }
    }
    if text.is_empty() {
        let titles = |keep: &dyn Fn(&Section<'_>) -> bool| {
            let kept = all.iter().filter(|section| keep(section)).map(|section| section.title);
            kept.take(MAX_TITLES).collect::<Vec<_>>().join(", ")
        };
        let mentions = titles(&|section| section.level > 2 && section.matches(topic));
        let why = if mentions.is_empty() {
            format!("no section has this title. Sections: {}", titles(&|section| section.level == 2))
        } else {
            format!("no section has this title. These mention it: {mentions}")
        };
        return Err(Error::config("topic", topic, why));
    }
    Ok(text)
}

/// Tests that the manual and the program agree.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::config::{Config, Family, PRESETS};

    /// Commands that take the options of both stages.
    const TRAINERS: [&str; 3] = ["pretrain", "finetune", "compare"];
    const SHARED: &str = "Options of both stages";

    fn section(title: &str) -> &'static str {
        let found = sections(TEXT).into_iter().find(|section| section.title == title);
        found.unwrap_or_else(|| panic!("MANUAL.md has no section \"{title}\"")).text
    }

    /// The long options that a text mentions, without `--`.
    fn options(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let named = words.filter_map(|word| word.strip_prefix("--"));
        named.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).map(str::to_owned).collect()
    }

    #[test]
    fn the_manual_lists_every_option_of_every_command_and_no_other() {
        let program = super::super::Cli::command();
        let shared = options(section(SHARED));
        let everywhere = options(section("Commands").split("\n### ").next().unwrap());
        assert!(everywhere.contains("json"), "MANUAL.md, Commands: describe --json");
        for command in program.get_subcommands() {
            let name = command.get_name();
            let named = options(section(&format!("amlp {name}")));
            let nested = command.get_subcommands().flat_map(clap::Command::get_arguments);
            let real: BTreeSet<String> = command
                .get_arguments()
                .chain(nested)
                .filter(|arg| !arg.is_hide_set())
                .filter_map(|a| a.get_long())
                .map(str::to_owned)
                .collect();
            let taken: &BTreeSet<String> = if TRAINERS.contains(&name) { &shared } else { &BTreeSet::new() };
            let described = |o: &&String| [&named, taken, &everywhere].iter().any(|options| options.contains(*o));
            let absent: Vec<&String> = real.iter().filter(|o| !described(o)).collect();
            assert!(absent.is_empty(), "MANUAL.md, amlp {name}: describe {absent:?}");
            let stale: Vec<&String> = named.iter().chain(taken).filter(|option| !real.contains(*option)).collect();
            assert!(stale.is_empty(), "MANUAL.md, amlp {name}: there is no {stale:?}");
        }
        assert!(options("a | `--one-two X`, --3, ---").iter().eq(["one-two"]));
    }

    #[test]
    fn every_preset_is_in_the_manual() {
        let text = section("Presets");
        for preset in PRESETS {
            assert!(text.contains(&format!("`{}`", preset.name)), "MANUAL.md, Presets: describe {}", preset.name);
        }
        // Each ablation has a row. Each other method has an entry with the text of `amlp presets`.
        for preset in PRESETS.iter().filter(|preset| preset.family != Family::Amlp) {
            let entry = format!("`{}`: {} *{}*", preset.name, preset.about, preset.citation);
            assert!(text.contains(&entry), "MANUAL.md, Presets: add\n- {entry}");
        }
    }

    /// Every setting by its full name, with its value as TOML.
    fn settings(config: &Config) -> BTreeMap<String, String> {
        fn collect(prefix: &str, table: &toml::Table, found: &mut BTreeMap<String, String>) {
            for (key, value) in table {
                match value {
                    toml::Value::Table(inner) => collect(&format!("{prefix}{key}."), inner, found),
                    value => drop(found.insert(format!("{prefix}{key}"), value.to_string())),
                }
            }
        }
        let (table, mut found) = (config.to_toml().unwrap().parse().unwrap(), BTreeMap::new());
        collect("", &table, &mut found);
        found
    }

    #[test]
    fn every_setting_and_its_default_is_in_the_manual() {
        let text = section("config.toml");
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
        let written: BTreeMap<String, String> =
            rows.filter_map(|(key, rest)| Some((key.to_owned(), rest.split_once('`')?.0.to_owned()))).collect();
        let real = settings(&Config::default());
        let row = |(key, value): (&String, &String)| format!("| `{key}` | `{value}` | ... |");
        let absent: Vec<String> = real.iter().filter(|(k, v)| written.get(*k) != Some(*v)).map(row).collect();
        assert!(absent.is_empty(), "MANUAL.md, config.toml: add or correct\n{}", absent.join("\n"));
        let stale: Vec<&String> = written.keys().filter(|key| !real.contains_key(*key)).collect();
        assert!(stale.is_empty(), "MANUAL.md, config.toml: there is no {stale:?}");
        for (key, value) in settings(&Config::finetune()) {
            let same = real.get(&key) == Some(&value) || key == "stage" || key == "preset";
            let difference = format!("`{key} = {value}`");
            assert!(same || text.contains(&difference), "MANUAL.md, config.toml: fine-tuning has {difference}");
        }
    }

    #[test]
    fn a_topic_prints_its_sections_once() {
        assert_eq!(sections_on("").unwrap(), TEXT);
        assert!(sections_on("DEVICES").unwrap().contains(section("Devices")));
        assert_eq!(sections_on("commands").unwrap(), section("Commands"), "no command is printed twice");
        let error = sections_on("zebra").unwrap_err().to_string();
        assert!(error.contains("zebra") && error.contains("Run folders"), "{error}");
        let error = sections_on("cosine").unwrap_err().to_string();
        assert!(error.contains("config.toml") && !error.contains("Run folders"), "{error}");
    }

    #[test]
    fn help_is_that_of_a_command_or_of_the_manual() {
        let on = |topic: &[&str]| help_on(&topic.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(on(&[]).unwrap().contains("Usage: amlp <COMMAND>"));
        assert!(on(&["segment"]).unwrap().contains("Usage: amlp segment [OPTIONS]"));
        assert_eq!(on(&["run", "folders"]).unwrap(), section("Run folders"));
        assert!(on(&["zebra"]).is_err());
    }

    #[test]
    fn help_lists_what_a_command_requires_before_the_options_of_both_stages() {
        for name in TRAINERS {
            let help = help_on(&[name.to_owned()]).unwrap();
            let (own, shared) = help.split_once("\nOptions of both stages:").unwrap();
            let (_, own) = own.split_once("\nOptions:\n").unwrap();
            let first: Vec<&str> = own.lines().map(str::trim).filter(|line| line.starts_with("--")).take(3).collect();
            assert!(first.contains(&"--modality <M>") && first.contains(&"--out <RUN>"), "{own}");
            assert!(shared.contains("--weight-decay <X>\n") && !shared.contains("Folder of patients"), "{shared}");
        }
        let pretrain = help_on(&["pretrain".to_owned()]).unwrap();
        let (_, beyond) = pretrain.split_once("\nOptions beyond the paper:").unwrap();
        assert!(beyond.contains("--hints <FRACTION>\n") && !beyond.contains("--weight-decay"), "{beyond}");
    }
}
