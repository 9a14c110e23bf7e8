//! The layers of the app: a room imports its own layer and those below, never one above.

use crate::source::{File, absolute, is_name, with_full_paths};

/// The rooms of `app/src`, from the bottom up. Rooms of one layer may import each other.
const LAYERS: &[&[&str]] = &[
    &["theme", "widget", "gpu", "sample"],
    &["scene"],
    &["state"],
    &["worker"],
    &["command"],
    &["panel", "dialog", "view"],
    &["launch", "app", "args", "demo", "main"],
];

/// Files of `app/src` with wrong imports.
pub const BAD: &[(&str, &str)] = &[
    ("app/src/view/pane.rs", "use crate::{theme, launch::window};"),
    ("app/src/gpu/texture.rs", "fn f(state: &crate::state::State) {}"),
    ("app/src/scene/camera.rs", "fn f() { super::super::view::show() }"),
    ("app/src/command/mod.rs", "use super::panel;"),
    ("app/src/helper.rs", ""),
];

pub const GOOD: &[(&str, &str)] = &[
    ("app/src/view/pane.rs", "use crate::{command::Sender, dialog::palette, theme};\nuse super::plane;"),
    ("app/src/scene/camera.rs", "//! See [`crate::view`].\nuse super::{plane::Plane, grid};"),
    ("app/src/lib.rs", "pub use app::App;"),
    ("engine/src/run/state.rs", "use crate::view::A;"),
];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// Imports of the app that break its layers, as `path:line: why`.
pub fn violations(files: &[File]) -> Vec<String> {
    files.iter().flat_map(violations_of).collect()
}

pub fn violations_of(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.path.starts_with("app/src/") {
        return Vec::new();
    }
    let module = file.module();
    // lib.rs declares the rooms and is in none.
    let Some(&room) = module.first().or((file.path == "app/src/main.rs").then_some(&"main")) else { return Vec::new() };
    let Some(own) = layer(room) else {
        return vec![format!("{}:1: `{room}` belongs to no layer of the app", file.path)];
    };
    let code = with_full_paths(&file.code(), &module);
    let mut found = Vec::new();
    for (line, text) in code.lines().enumerate() {
        for imported in imported_rooms(text, &module) {
            if layer(&imported).is_some_and(|other| other > own) {
                found.push(format!("{}:{}: `{room}` imports `{imported}`, a layer above it", file.path, line + 1));
            }
        }
    }
    found.dedup();
    found
}

/// The rooms named at the start of the paths of a line: `crate::room::..`, or `super::` as often as leads to the crate root.
fn imported_rooms(line: &str, module: &[&str]) -> Vec<String> {
    let starts = |at: &usize| !line[..*at].ends_with(|c: char| is_name(c) || c == ':');
    let paths = line.match_indices("crate::").chain(line.match_indices("super::")).map(|(at, _)| at).filter(starts);
    let rooms = paths.filter_map(|at| {
        let path: String = line[at..].chars().take_while(|&c| is_name(c) || c == ':').collect();
        absolute(&path, module).strip_prefix("crate::")?.split("::").next().map(str::to_owned)
    });
    rooms.collect()
}
