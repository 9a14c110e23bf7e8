//! Tracked files, and the views of Rust source that the rules read.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The paths in git's index, relative to the root; none outside a git checkout (a source archive).
pub fn index() -> Option<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = names.split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// One file of the workspace.
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Reads a tracked file; `None` if it is not text, or was deleted but is still in the index.
    pub fn read(path: &str) -> Option<Self> {
        std::fs::read_to_string(root().join(path)).ok().map(|text| Self { path: path.to_owned(), text })
    }

    pub fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == "rs")
    }

    /// Whether the file lies in a room: `engine/src/model` is `model.rs` and everything under `model/`.
    pub fn is_in(&self, room: &str) -> bool {
        let rest = self.path.strip_prefix(room);
        rest.is_some_and(|r| r.is_empty() || r == ".rs" || r.starts_with('/') || room.ends_with('/'))
    }

    /// The code, with comments and string contents blanked. Line numbers do not change.
    pub fn code(&self) -> String {
        blank_comments_and_strings(&self.text)
    }

    /// The code without test-only items.
    pub fn production_code(&self) -> String {
        let is_test_file = self.path.ends_with("tests.rs") || self.path.contains("/tests/");
        if is_test_file { String::new() } else { blank_test_items(&self.code()) }
    }

    /// The path of the module, without the crate: `engine/src/model/blocks.rs` is `["model", "blocks"]`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.split_once("/src/").map_or("", |(_, inner)| inner);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        inner.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main" | "")).collect()
    }
}

/// Where a `'` starts a character rather than a lifetime.
fn is_char_literal(rest: &[char]) -> bool {
    rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'')
}

/// The number of `#` of a raw string that starts here (`r"`, `r#"`), if one does.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest.get(1..)?.iter().take_while(|c| **c == '#').count();
    (rest[0] == 'r' && rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

/// The index at which `pattern` next begins.
fn find(chars: &[char], from: usize, pattern: &str) -> Option<usize> {
    let pattern: Vec<char> = pattern.chars().collect();
    chars.get(from..)?.windows(pattern.len()).position(|w| w == pattern).map(|i| from + i)
}

/// Past the end of a raw string whose `r` is at `at`.
fn past_raw_string(chars: &[char], at: usize, hashes: usize) -> usize {
    let close = format!("\"{}", "#".repeat(hashes));
    find(chars, at + hashes + 2, &close).map_or(chars.len(), |i| i + close.len())
}

/// Past the end of a string or character whose opening quote is at `at`.
fn past_quoted(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != chars[at] {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// Past the end of a block comment that starts at `at`; block comments nest.
fn past_block_comment(chars: &[char], at: usize) -> usize {
    let (mut i, mut depth) = (at + 2, 1);
    while i < chars.len() && depth > 0 {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (i, depth) = (i + 2, depth + 1),
            ('*', Some('/')) => (i, depth) = (i + 2, depth - 1),
            _ => i += 1,
        }
    }
    i
}

fn blank_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let after_name = i > 0 && (chars[i - 1].is_alphanumeric() || chars[i - 1] == '_');
        let (end, quoted) = match (chars[i], chars.get(i + 1)) {
            ('/', Some('/')) => (i + chars[i..].iter().take_while(|c| **c != '\n').count(), false),
            ('/', Some('*')) => (past_block_comment(&chars, i), false),
            ('"', _) => (past_quoted(&chars, i), true),
            ('\'', _) if is_char_literal(&chars[i..]) => (past_quoted(&chars, i), true),
            ('r', _) if !after_name || chars[i - 1] == 'b' => match raw_string(&chars[i..]) {
                Some(hashes) => (past_raw_string(&chars, i, hashes), true),
                None => (i, false),
            },
            _ => (i, false),
        };
        if end == i {
            code.push(chars[i]);
            i += 1;
            continue;
        }
        // Keeps an empty pair of quotes, so that attributes and calls keep their shape.
        code.push_str(if quoted { "\"\"" } else { " " });
        code.extend(chars[i..end].iter().filter(|c| **c == '\n'));
        i = end;
    }
    code
}

/// Blanks every item under `#[cfg(test)]`, in code whose strings are blank already.
fn blank_test_items(code: &str) -> String {
    let mut chars: Vec<char> = code.chars().collect();
    let mut from = 0;
    loop {
        let marks = ["#[cfg(test", "#[cfg(all(test"];
        let Some(at) = marks.iter().filter_map(|mark| find(&chars, from, mark)).min() else {
            return chars.into_iter().collect();
        };
        let mut depth = 0_usize;
        let mut end = at;
        while end < chars.len() {
            match chars[end] {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            let closed = depth == 0 && matches!(chars[end], '}' | ';');
            end += 1;
            if closed {
                break;
            }
        }
        for c in &mut chars[at..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
        from = end;
    }
}

/// The code with each `use` written out, so that `use std::{fs, io}` reads `std::fs std::io`, and a leading `super::` or
/// `self::` as a path from the crate's root. Line numbers do not change.
pub fn with_full_paths(code: &str, module: &[&str]) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = find_use(rest) {
        let (before, statement) = rest.split_at(at);
        let end = statement.find(';').unwrap_or(statement.len());
        let (statement, after) = statement.split_at(end);
        let tree: String = statement["use ".len()..].split_whitespace().collect::<Vec<_>>().join(" ");
        out.push_str(before);
        for path in expand(&tree) {
            out.push_str("use ");
            out.push_str(&absolute(&path, module));
            out.push_str("; ");
        }
        out.extend(statement.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn find_use(code: &str) -> Option<usize> {
    let starts = |at: &usize| *at == 0 || !code[..*at].ends_with(is_name);
    code.match_indices("use ").map(|(at, _)| at).find(starts)
}

/// Every path of a use tree.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let mut depth = 0_usize;
    let branches = inner.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let branches = branches.filter(|b| !b.trim().is_empty());
    branches.flat_map(|b| expand(&format!("{}{}", prefix.trim(), b.trim()))).collect()
}

/// A path from the crate's root: `super::a` in module `x::y` is `crate::x::a`.
pub fn absolute(path: &str, module: &[&str]) -> String {
    let mut depth = module.len();
    let mut rest = path.strip_prefix("self::").unwrap_or(path);
    while let Some(inner) = rest.strip_prefix("super::") {
        (depth, rest) = (depth.saturating_sub(1), inner);
    }
    if rest.len() == path.len() {
        return path.to_owned();
    }
    let mut parts = vec!["crate"];
    parts.extend(&module[..depth]);
    parts.push(rest);
    parts.join("::")
}

/// Whether a character can be part of a name.
pub fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The first line (from 1) with `word` as a whole name.
pub fn line_of(code: &str, word: &str) -> Option<usize> {
    code.lines()
        .position(|line| {
            line.match_indices(word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + word.len()..].chars().next();
                let starts = !word.starts_with(is_name) || !before.is_some_and(is_name);
                let ends = !word.ends_with(is_name) || !after.is_some_and(is_name);
                starts && ends
            })
        })
        .map(|line| line + 1)
}

#[test]
fn comments_strings_and_characters_are_blanked() {
    let text = "a // burn\n/* x /* y */ z */ b \"c \\\" d\" r#\"e \" f\"# '\"' 'g h<'i> b\"j\"\n\"k\nl\" m";
    assert_eq!(File::new("x.rs", text).code(), "a  \n  b \"\" \"\" \"\" 'g h<'i> b\"\"\n\"\"\n m");
}

#[test]
fn test_items_are_excluded_from_production_code() {
    let text = "a\n#[cfg(test)]\n#[allow(x)]\nmod tests { use b; fn c() { d } }\ne\n#[cfg(test)]\nmod tests;\nf";
    let words: Vec<String> = File::new("x.rs", text).production_code().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "e", "f"]);
}

#[test]
fn use_declarations_are_expanded() {
    let code = "use std::{fs, io::{self, Read}};\nuse super::event::Event; pub use self::x;\nlet reuse = 1;";
    let full = with_full_paths(code, &["model", "blocks"]);
    assert_eq!(
        full,
        "use std::fs; use std::io::self; use std::io::Read; ;\nuse crate::model::event::Event; ; pub use crate::model::blocks::x; ;\n\
         let reuse = 1;"
    );
}

#[test]
fn only_whole_words_match() {
    assert_eq!(line_of("a\nmy_todo!()", "todo!"), None);
    assert_eq!(line_of("a\nx(todo!())", "todo!"), Some(2));
    assert_eq!(line_of("std::fsx", "std::fs"), None);
    assert_eq!(line_of("a::std::fs::b", "std::fs"), Some(1));
}
