//! Rules of the source tree, checked over the files in git's index.
//!
//! | table | rules |
//! |---|---|
//! | [`words::RULES`] | names that a folder must not contain: imports, file access, leftovers |
//! | [`layers`] | the layers of app and engine: no module imports one of a higher layer |
//! | [`shape::RULES`] | the top level, manifests, reasons of `allow`, files that no module names |
//!
//! Each rule has a sample that breaks it and one that does not, and is tested on both.
#![allow(clippy::print_stdout, reason = "prints that the whole check is skipped")]

mod layers;
mod shape;
mod source;
mod words;

use source::File;

/// Every tracked text file, or none outside a git checkout.
fn tracked_files() -> Option<Vec<File>> {
    let index = source::index()?;
    Some(index.iter().filter_map(|path| File::read(path)).collect())
}

fn files(samples: &[(&str, &str)]) -> Vec<File> {
    samples.iter().map(|(path, text)| File::new(path, text)).collect()
}

#[test]
fn every_tracked_file_follows_the_rules() {
    let Some(files) = tracked_files() else {
        println!("skipped: not a git checkout, so no index can be read");
        return;
    };
    assert!(files.iter().any(|f| f.path == "engine/src/lib.rs"), "the index does not list engine/src/lib.rs");
    let mut violations: Vec<String> =
        words::RULES.iter().flat_map(|rule| files.iter().flat_map(|file| rule.violations(file))).collect();
    violations.extend(
        shape::RULES
            .iter()
            .flat_map(|rule| (rule.check)(&files).into_iter().map(|violation| format!("{violation}: {}", rule.name))),
    );
    violations.extend(layers::violations(&files));
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn every_word_rule_can_fail() {
    for rule in words::RULES {
        let (bad, good) = (File::new(rule.bad.0, rule.bad.1), File::new(rule.good.0, rule.good.1));
        assert!(!rule.violations(&bad).is_empty(), "{}: its bad sample passes", rule.name);
        assert_eq!(rule.violations(&good), Vec::<String>::new(), "{}: its good sample fails", rule.name);
    }
}

#[test]
fn every_shape_rule_can_fail() {
    for rule in shape::RULES {
        assert!(!(rule.check)(&files(rule.bad)).is_empty(), "{}: its bad sample passes", rule.name);
        assert_eq!((rule.check)(&files(rule.good)), Vec::<String>::new(), "{}: its good sample fails", rule.name);
    }
}

#[test]
fn imports_of_a_higher_layer_are_found() {
    for sample in layers::BAD {
        assert_eq!(layers::violations(&files(&[*sample])).len(), 1, "{sample:?} passes");
    }
    assert_eq!(layers::violations(&files(layers::GOOD)), Vec::<String>::new());
}

/// A rule for a folder that was renamed or removed would check nothing.
#[test]
fn every_folder_named_in_a_rule_exists() {
    let Some(files) = tracked_files() else {
        println!("skipped: not a git checkout, so no index can be read");
        return;
    };
    let folders = words::RULES.iter().flat_map(|rule| rule.within).filter(|folder| folder.starts_with("engine/"));
    for folder in folders {
        assert!(files.iter().any(|f| f.is_in(folder)), "a rule applies to {folder}, which does not exist");
    }
}
