//! Tests that the manual and the window agree.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::*;
use crate::Args;
use crate::command::action::GESTURES;
use crate::command::actions;
use crate::state::report::Report;
use crate::state::{Mode, Session, State};

fn section(title: &str) -> &'static str {
    let found = sections(WINDOW).into_iter().find(|section| section.title == title);
    found.unwrap_or_else(|| panic!("MANUAL.md has no section \"{title}\"")).text
}

/// The rows of a section's table, without its head.
fn rows(title: &str) -> Vec<&'static str> {
    section(title).lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

#[test]
fn every_shortcut_is_in_the_manual_and_no_other() {
    let mut expected = Vec::new();
    for mode in Mode::ALL {
        for action in actions(&State { session: Session { mode, ..Session::default() }, ..State::default() }) {
            let row = format!("| `{}` | {} | {} |", action.shortcut, action.label.trim_end_matches('…'), action.group);
            if !action.shortcut.is_empty() && !expected.contains(&row) {
                expected.push(row);
            }
        }
    }
    assert_eq!(rows("Keys"), expected, "app/MANUAL.md, Keys: should be\n{}", expected.join("\n"));
}

#[test]
fn every_gesture_is_in_the_manual_and_no_other() {
    let expected: Vec<String> = GESTURES.iter().map(|(gesture, does)| format!("| {gesture} | {does} |")).collect();
    assert_eq!(rows("Mouse"), expected, "app/MANUAL.md, Mouse: should be\n{}", expected.join("\n"));
}

#[test]
fn every_option_is_in_the_manual_and_no_other() {
    let named = rows("Starting").into_iter().filter_map(|row| row.strip_prefix("| `--"));
    let named: BTreeSet<&str> = named.filter_map(|row| row.split([' ', '`']).next()).collect();
    let program = Args::command();
    let real = program.get_arguments().filter(|argument| !argument.is_hide_set());
    let real: BTreeSet<&str> = real.filter_map(|argument| argument.get_long()).collect();
    assert_eq!(named, real, "app/MANUAL.md, Starting");
}

#[test]
fn every_key_of_the_state_is_in_the_manual() {
    let report = serde_json::to_value(Report::of(&State::default())).unwrap();
    let text = section("Screenshots and state");
    for key in report.as_object().unwrap().keys() {
        assert!(text.contains(&format!("`{key}`")), "app/MANUAL.md, Screenshots and state: describe {key}");
    }
}

/// The targets of all links in a text.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn every_link_leads_to_a_section_or_to_the_web() {
    for book in [ManualKind::Window, ManualKind::Engine] {
        for link in links(book.text()) {
            if link.contains("/screenshots/") {
                assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file(), "{book:?}: {link}");
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(file.is_empty() || file.ends_with(FILE) || file.starts_with("http"), "{book:?}: {link}");
            let mut reading = Reading { book, ..Reading::default() };
            follow(&Context::default(), &mut reading, link);
            assert!(anchor.is_empty() || !reading.title.is_empty(), "{book:?}: {link}");
        }
    }
    assert!(links(ManualKind::Engine.text()).iter().any(|link| link.starts_with('#')));
}

#[test]
fn a_link_to_the_other_manual_opens_it() {
    let mut reading = Reading { query: "grid".into(), ..Reading::default() };
    follow(&Context::default(), &mut reading, "../engine/MANUAL.md#run-folders");
    let Reading { book, query, title, .. } = reading;
    assert_eq!((book, query.as_str(), title.as_str()), (ManualKind::Engine, "", "Run folders"));
}
