//! `amlp presets`: lists the pre-training presets by family, or describes some.

use std::ffi::OsString;

use super::{print_json, print_text};
use crate::config::{Family, Number, Preset};
use crate::pretrain::numbers;

pub const EXAMPLES: &str = "Examples:
  amlp presets
  amlp presets simmim
  amlp presets --json";

#[derive(clap::Args)]
pub struct Args {
    /// Presets to describe: method, our adaptations, parameters and source.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Entry {
    name: &'static str,
    family: &'static str,
    what: &'static str,
    about: &'static str,
    citation: &'static str,
    /// Defaults of `[method.numbers]`.
    numbers: std::collections::BTreeMap<String, f64>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let named = args.names.iter().map(|name| Preset::named(name)).collect::<crate::Result<Vec<_>>>()?;
    if args.json {
        let all = Family::ALL.into_iter().flat_map(Family::presets).collect();
        let chosen: Vec<&Preset> = if named.is_empty() { all } else { named };
        return print_json(&chosen.into_iter().map(entry).collect::<Vec<_>>());
    }
    let text = if named.is_empty() { list() } else { named.into_iter().map(describe).collect::<Vec<_>>().join("\n") };
    print_text(&text)
}

fn entry(preset: &Preset) -> Entry {
    let Preset { name, pretext, family, what, about, citation } = *preset;
    Entry { name, family: family.title(), what, about, citation, numbers: Number::defaults(numbers(pretext)) }
}

/// The presets by family, one line each.
pub(super) fn list() -> String {
    let width = crate::config::PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let of = |family: Family| {
        let lines = family.presets().map(|preset| format!("  {:width$}  {}\n", preset.name, preset.what));
        let lines: String = lines.collect();
        if lines.is_empty() { lines } else { format!("{}:\n{lines}", family.title()) }
    };
    Family::ALL.map(of).into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

fn describe(preset: &Preset) -> String {
    let mut text = format!(
        "{} ({})\n{}\n{}\nSource: {}\n",
        preset.name,
        preset.family.title(),
        preset.what,
        preset.about,
        preset.citation
    );
    for Number { name, default, range: [min, max], what } in numbers(preset.pretext) {
        text += &format!("  {name} = {default} ({min} to {max}): {what}\n");
    }
    text
}

/// What `amlp pretrain --preset NAME --help` prints above the options: the description of the preset.
pub(super) fn help(arguments: &[OsString]) -> Option<String> {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let follows = texts.iter().position(|text| *text == "--preset").and_then(|at| texts.get(at + 1)).copied();
    let name = follows.or_else(|| texts.iter().find_map(|text| text.strip_prefix("--preset=")))?;
    Preset::named(name).ok().map(describe)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::PRESETS;

    #[test]
    fn the_help_of_pretrain_describes_the_named_preset() {
        let of = |line: &str| help(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["amlp pretrain --preset byol --help", "amlp pretrain --help --preset=byol"] {
            assert!(of(line).unwrap().contains("Grill et al."), "{line}");
        }
        assert_eq!([of("amlp pretrain --help"), of("amlp pretrain --preset bylo --help")], [None, None]);
    }

    /// What it is, what is adapted, and which weights are transferred.
    #[test]
    fn every_preset_is_described_in_three_sentences() {
        for Preset { name, about, .. } in PRESETS {
            let sentences = about.split(". ").filter(|sentence| !sentence.starts_with(char::is_lowercase)).count();
            assert_eq!(sentences, 3, "{name}: {about}");
        }
    }

    #[test]
    fn every_preset_is_listed_once_under_its_family_and_described_with_its_source() {
        let list = list();
        for preset in PRESETS {
            let line = list.lines().filter(|line| line.split_whitespace().next() == Some(preset.name));
            assert_eq!(line.count(), 1, "{}", preset.name);
            let text = describe(preset);
            assert!(text.contains(preset.citation) && text.contains(preset.family.title()), "{text}");
        }
        assert!(list.find("Masked image:").unwrap() < list.find("AMLP and ablations:").unwrap());
        let fremae = describe(Preset::named("fremae").unwrap());
        assert!(fremae.contains("  low_weight = 1.3 (0 to 100): "), "{fremae}");
    }
}
