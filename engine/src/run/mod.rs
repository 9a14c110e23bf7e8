//! Run folders: everything that a training run leaves on disk, and how it survives being killed at any moment.
//!
//! ```text
//! RUN/
//!   config.toml      the whole configuration, every default written out
//!   split.json       which patients train, validate and test
//!   events.jsonl     one line an event; see [`log`]
//!   checkpoints/     last, previous, best: one folder each; see [`checkpoint`]
//!   probes/          what each epoch did to the pinned slices; see [`crate::probe`]
//!   report.json      the numbers of a finished run
//!   evaluation/      masks of the held-out patients and their measures, of a fine-tuned run that was evaluated
//!   failed.txt       why the run ended before its time; gone once it goes on
//!   notes.txt        the user's own words; see [`workspace`]
//!   lock             held by the process that writes here; see [`lock`]
//! ```
//!
//! # Invariants
//! - A file is either its old version or its new one, never a mixture: every write goes through [`atomic`] (the event
//!   log, which only grows, is cut back to a whole line instead).
//! - Once a first checkpoint is saved, at least one complete checkpoint is on disk at every instant.
//! - Only the holder of the lock changes a run folder, but for the user's notes; readers need no lock.
//! - Nothing that a file inside the folder says makes the program read or write outside the folder.

pub mod atomic;
pub mod checkpoint;
pub(crate) mod evaluation;
pub mod export;
pub(crate) mod failure;
pub mod fault;
pub mod folder;
pub mod history;
pub mod lock;
pub mod log;
pub mod machine;
mod manifest;
pub(crate) mod probes;
pub mod report;
mod text;
pub mod workspace;

pub use folder::{RunFolder, diff_config};
pub use history::History;
