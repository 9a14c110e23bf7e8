//! The panels and dialogs as a user works with them: what is clicked, typed and pressed becomes commands, and what
//! they show is what the state holds. No window and no adapter is needed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "panels/bench.rs"]
mod bench;
#[path = "panels/dialogs.rs"]
mod dialogs;
#[path = "panels/keyboard.rs"]
mod keyboard;
#[path = "panels/left.rs"]
mod left;
#[path = "panels/review.rs"]
mod review;
#[path = "panels/window.rs"]
mod window;
