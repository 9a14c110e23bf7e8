//! Runs in the window, live and replayed: what is shown equals what the engine recorded.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; says when something had to be skipped")]

#[path = "../common/mod.rs"]
mod common;
mod live;
#[path = "../../../engine/tests/common/mod.rs"]
mod phantom;
#[path = "../common/picture.rs"]
mod picture;
mod record;
mod replay;
mod snapshots;
#[path = "../viewer/window.rs"]
#[allow(dead_code, reason = "shared with another test program, which uses all of it")]
mod window;
