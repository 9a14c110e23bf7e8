//! Layers of the app and of the engine: a top-level module imports its own layer and those below, never one above.

use crate::source::{File, absolute, is_name, with_full_paths};

/// The top-level modules of `app/src`, from the bottom up. Modules of one layer may import each other.
const APP: &[&[&str]] = &[
    &["theme", "widget", "gpu", "sample"],
    &["scene"],
    &["state"],
    &["worker"],
    &["command"],
    &["panel", "dialog", "view"],
    &["launch", "app", "args", "demo", "main"],
];

/// The same for `engine/src`. The code map of its `lib.rs` shows these rows.
const ENGINE: &[&[&str]] = &[
    &["error", "log", "manual", "seed", "words"],
    &["disk", "threads", "parallel"],
    &["volume"],
    &["findings", "metrics"],
    &["event", "edit", "cohort", "preprocess"],
    &["patch", "masking", "cluster"],
    &["compute", "loss", "model"],
    &["draw", "report"],
    &["evaluate", "review"],
    &["device"],
    &["config"],
    &["augment", "run"],
    &["probe"],
    &["trainer"],
    &["pretrain"],
    &["predict", "finetune"],
    &["jobs", "bench", "inspect"],
    &["assess", "study", "demo"],
    &["cli", "main"],
];

/// Allowed imports of a higher layer: `config` lists the presets of the methods, and has each method check its settings.
const UPWARD: &[(&str, &str)] = &[("config", "pretrain")];

/// Files with wrong imports.
pub const BAD: &[(&str, &str)] = &[
    ("app/src/view/pane.rs", "use crate::{theme, launch::window};"),
    ("app/src/gpu/texture.rs", "fn f(state: &crate::state::State) {}"),
    ("app/src/scene/camera.rs", "fn f() { super::super::view::show() }"),
    ("app/src/command/mod.rs", "use super::panel;"),
    ("app/src/helper.rs", ""),
    ("engine/src/volume/label.rs", "use crate::{Error, cohort::Case};"),
    ("engine/src/preprocess/store.rs", "use super::super::masking::Order;"),
    ("engine/src/edit/history.rs", "use crate::run::RunFolder;"),
    ("engine/src/evaluate.rs", "use crate::cli::output;"),
    ("engine/src/config/check.rs", "use crate::{probe::Pins, pretrain::numbers};"),
    ("engine/src/run/history.rs", "use crate::pretrain::Slices;"),
    ("engine/src/helper.rs", ""),
];

pub const GOOD: &[(&str, &str)] = &[
    ("app/src/view/pane.rs", "use crate::{command::Sender, dialog::palette, theme};\nuse super::plane;"),
    ("app/src/scene/camera.rs", "//! See [`crate::view`].\nuse super::{plane::Plane, grid};"),
    ("app/src/lib.rs", "pub use app::App;"),
    ("engine/src/run/state.rs", "use crate::review::Entry;"),
    ("engine/src/config/preset.rs", "use crate::pretrain::registered;"),
    (
        "engine/src/edit/history.rs",
        "//! See [`crate::run::spill`].\n#[cfg(test)]\nmod tests { use crate::run::RunFolder; }",
    ),
    ("engine/src/test_tensors.rs", ""),
    ("shaders/src/patches.rs", "use crate::colour;"),
];

/// The layers of the crate that a file belongs to, if it has any.
fn layers(path: &str) -> Option<&'static [&'static [&'static str]]> {
    let crates = [("app/src/", APP), ("engine/src/", ENGINE)];
    crates.into_iter().find(|(folder, _)| path.starts_with(folder)).map(|(_, layers)| layers)
}

/// Imports that break the layers, as `path:line: why`.
pub fn violations(files: &[File]) -> Vec<String> {
    files.iter().flat_map(violations_of).collect()
}

pub fn violations_of(file: &File) -> Vec<String> {
    let Some(layers) = layers(&file.path).filter(|_| file.is_rust()) else { return Vec::new() };
    let layer = |name: &str| layers.iter().position(|names| names.contains(&name));
    let module = file.module();
    // lib.rs declares the modules and is in none; test_tensors.rs is a helper of unit tests.
    let top = module.first().or(file.path.ends_with("/main.rs").then_some(&"main"));
    let Some(&top) = top.filter(|top| **top != "test_tensors") else { return Vec::new() };
    let Some(own) = layer(top) else {
        return vec![format!("{}:1: `{top}` belongs to no layer of its crate", file.path)];
    };
    let code = with_full_paths(&file.production_code(), &module);
    let mut found = Vec::new();
    for (line, text) in code.lines().enumerate() {
        for imported in imported_modules(text, &module) {
            let allowed = UPWARD.contains(&(top, &imported));
            if layer(&imported).is_some_and(|other| other > own) && !allowed {
                found.push(format!(
                    "{}:{}: `{top}` imports `{imported}`, which is in a higher layer",
                    file.path,
                    line + 1
                ));
            }
        }
    }
    found.dedup();
    found
}

/// The top-level modules in the paths of a line: `crate::name::..`, or `super::` repeated up to the crate root.
fn imported_modules(line: &str, module: &[&str]) -> Vec<String> {
    let starts = |at: &usize| !line[..*at].ends_with(|c: char| is_name(c) || c == ':');
    let paths = line.match_indices("crate::").chain(line.match_indices("super::")).map(|(at, _)| at).filter(starts);
    let names = paths.filter_map(|at| {
        let path: String = line[at..].chars().take_while(|&c| is_name(c) || c == ':').collect();
        absolute(&path, module).strip_prefix("crate::")?.split("::").next().map(str::to_owned)
    });
    names.collect()
}
