//! Rules about the shape of the tree, of manifests and of attributes.

use std::collections::BTreeSet;

use crate::source::File;

/// Allowed top-level entries, apart from dot-files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "app",
    "assets",
    "engine",
    "shaders",
    "tests",
];

/// Dependencies that the manifest of a package must not name.
const FORBIDDEN_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("engine/Cargo.toml", &["app", "shaders", "tests", "egui", "eframe", "egui_plot", "rfd", "winit", "wgpu"]),
    ("shaders/Cargo.toml", &["app", "engine", "tests", "burn", "egui", "eframe", "rfd", "wgpu"]),
    ("app/Cargo.toml", &["tests", "burn", "burn-flex", "burn-wgpu", "burn-cuda", "cubecl"]),
    ("tests/Cargo.toml", &["burn", "burn-flex", "burn-wgpu", "burn-cuda", "cubecl"]),
];

/// A rule over all tracked files, with samples that break it and do not.
pub struct ShapeRule {
    pub name: &'static str,
    pub check: fn(&[File]) -> Vec<String>,
    /// Files (path, text) that break the rule, and that do not.
    pub bad: &'static [(&'static str, &'static str)],
    pub good: &'static [(&'static str, &'static str)],
}

pub const RULES: &[ShapeRule] = &[
    ShapeRule {
        name: "the top level is fixed",
        check: top_level,
        bad: &[("scripts/run.sh", "")],
        good: &[(".ci/run", ""), ("engine/src/lib.rs", ""), ("README.md", "")],
    },
    ShapeRule {
        name: "manifests follow the layers",
        check: manifests,
        bad: &[("app/Cargo.toml", "[dependencies]\nburn = \"1\"\n")],
        good: &[("app/Cargo.toml", "[dependencies]\nengine.workspace = true\n")],
    },
    ShapeRule {
        name: "every allow has a reason",
        check: allows_have_reasons,
        bad: &[("engine/src/a.rs", "#[allow(\n    dead_code\n)]\nfn f() {}")],
        good: &[("engine/src/a.rs", "#[allow(dead_code, reason = \"read by the macro\")]\nfn f() { g(allow(x)) }")],
    },
    ShapeRule {
        name: "every allowed lint is explained",
        check: allowed_lints_are_explained,
        bad: &[("Cargo.toml", "[workspace.lints.clippy]\nall = \"warn\"\nsimilar_names = \"allow\"\n")],
        good: &[("Cargo.toml", "# Names as in the paper.\nsimilar_names = \"allow\"\ncast_lossless = \"allow\"\n")],
    },
    ShapeRule {
        name: "every source file belongs to a module",
        check: no_orphans,
        bad: &[("engine/src/lib.rs", "pub mod a;"), ("engine/src/a.rs", ""), ("engine/src/a/b.rs", "")],
        good: &[
            ("engine/src/lib.rs", "pub mod a;"),
            ("engine/src/a/mod.rs", "pub(crate) mod b;"),
            ("engine/src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"),
            ("engine/src/a/b_tests.rs", ""),
            ("engine/src/main.rs", ""),
        ],
    },
];

fn top_level(files: &[File]) -> Vec<String> {
    let tops: BTreeSet<&str> = files.iter().filter_map(|f| f.path.split('/').next()).collect();
    let others = tops.into_iter().filter(|top| !top.starts_with('.') && !TOP_LEVEL.contains(top));
    others.map(|top| format!("{top}: not an allowed top-level entry, {TOP_LEVEL:?}")).collect()
}

fn manifests(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, forbidden) in FORBIDDEN_DEPENDENCIES {
        let Some(file) = files.iter().find(|f| f.path == *path) else { continue };
        let manifest: toml::Table = match file.text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                found.push(format!("{path}: {error}"));
                continue;
            }
        };
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
            let names = names.filter(|name| forbidden.contains(&name.as_str()));
            found.extend(names.map(|name| format!("{path}: [{section}] must not name {name}")));
        }
    }
    found
}

fn allows_have_reasons(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let code = file.code();
        for (at, _) in code.match_indices("#[").chain(code.match_indices("#![")) {
            let attribute = attribute(&code[at..]);
            let silences = ["allow(", "expect("].iter().any(|name| attribute.contains(name));
            if silences && !attribute.contains("reason =") {
                let line = code[..at].lines().count() + 1;
                found.push(format!("{}:{line}: {attribute} has no reason", file.path));
            }
        }
    }
    found
}

/// The attribute that `code` starts with, up to its closing bracket.
fn attribute(code: &str) -> &str {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if c == ']' && depth == 0 {
            return &code[..=at];
        }
    }
    code
}

/// Finds groups of allowed lints in a manifest without a comment above them.
fn allowed_lints_are_explained(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with("Cargo.toml")) {
        let mut explained = false;
        for (i, line) in file.text.lines().enumerate() {
            let allows = line.contains("\"allow\"");
            if allows && !explained {
                found.push(format!("{}:{}: {line} is not explained", file.path, i + 1));
            }
            explained = line.starts_with('#') || (allows && explained);
        }
    }
    found
}

/// Finds files that no `mod` names. They are never compiled, so they pass every other check.
fn no_orphans(files: &[File]) -> Vec<String> {
    let declares = |parent: &str, name: &str| {
        let file = files.iter().find(|f| f.path == parent);
        file.is_some_and(|f| crate::source::line_of(&f.code(), &format!("mod {name};")).is_some())
    };
    let mut found = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let Some((package, inner)) = file.path.split_once("/src/") else { continue };
        let module = inner.strip_suffix("/mod.rs").or_else(|| inner.strip_suffix(".rs")).unwrap_or(inner);
        if matches!(module, "lib" | "main") || module.starts_with("bin/") {
            continue;
        }
        let (folder, name) = module.rsplit_once('/').map_or(("", module), |(folder, name)| (folder, name));
        let parents = if folder.is_empty() {
            vec![format!("{package}/src/lib.rs"), format!("{package}/src/main.rs")]
        } else {
            vec![format!("{package}/src/{folder}.rs"), format!("{package}/src/{folder}/mod.rs")]
        };
        // A module may be elsewhere by `#[path = "..."]` in a file of the same folder.
        let attribute = format!("path = \"{name}.rs\"");
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let by_path = files.iter().any(|f| f.is_in(folder) && f.text.contains(&attribute));
        if !by_path && !parents.iter().any(|parent| declares(parent, name)) {
            found.push(format!("{}: no `mod {name};` in {}", file.path, parents.join(" or ")));
        }
    }
    found
}
