//! Run folders: the files of a training run. They survive a kill at any moment.
//!
//! ```text
//! RUN/
//!   config.toml      complete configuration, defaults included
//!   split.json       training, validation and test patients
//!   events.jsonl     one event per line; see [`log`]
//!   checkpoints/     last, previous, best: one folder each; see [`checkpoint`]
//!   probes/          records of the pinned slices; see [`crate::probe`]
//!   corrections.json the corrected masks that a fine-tuning run trains on; see [`crate::cohort::corrections`]
//!   report.json      results of a finished run
//!   tensorboard/     TensorBoard event files, with `--tensorboard`; see [`tensorboard`]
//!   evaluation/      segmentations of the held-out patients by the last network and their measures, after an evaluation
//!   evaluation-best/ the same, by the network with the best validation
//!   failed.txt       the error that ended the run; removed when it is resumed
//!   notes.txt        the user's notes; see [`workspace`]
//!   lock             locked by the process that writes here; see [`lock`]
//! ```
//!
//! [`journal`], [`autosave`] and [`spill`] store edits of a mask: see [`crate::edit`].
//!
//! # Invariants
//! - A file is always its complete old or new version, because every write goes through [`crate::disk::atomic`]. The event
//!   log, which only grows, is truncated to a whole line instead.
//! - After the first save, at least one complete checkpoint is on disk at every instant.
//! - Only the holder of the lock changes a run folder, except for the user's notes. Readers need no lock.
//! - No content of a file in the folder makes the program read or write outside the folder.

pub mod autosave;
pub mod checkpoint;
pub mod convergence;
pub(crate) mod evaluation;
pub mod export;
pub(crate) mod failure;
pub mod folder;
pub mod history;
pub mod journal;
pub mod lock;
pub mod log;
mod manifest;
pub(crate) mod probes;
pub mod review;
pub mod spill;
pub mod study;
pub mod tensorboard;
mod text;
pub mod workspace;

pub use convergence::Convergence;
pub use folder::{RunFolder, diff_config, flat_settings};
pub use history::History;
