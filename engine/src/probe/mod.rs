//! Probes: slices pinned by the user, even during a run, and their records at every epoch.
//!
//! | file | contents |
//! |---|---|
//! | `pins.rs` | which slices are pinned |
//! | `record.rs` | the records: one per slice, and one per epoch |
//! | `picture.rs` | pictures, reduced to 8 bits and a limited size |
//! | `tensors.rs` | records as safetensors with a checksum |
//! | `files.rs` | their files in the run folder, and reading them |
//! | `recorder.rs` | follows the pins during a run, writes records and warns |
//! | `pinned.rs` | pinned slices of a run without patch labels: a picture after each epoch |
//! | `source.rs` | a pinned slice that is not trained on |
//!
//! ```text
//! RUN/probes/
//!   pins.json                          the pinned slices, read again on resume
//!   NAME/pretrain-slice.safetensors    a slice as the network sees it, once
//!   NAME/pretrain-000012.safetensors   epoch 12 of it, at most 32 KiB
//! ```
//!
//! # Invariants
//! - Probes change nothing: weights and all other events equal those of the same run without pins. Recording a slice that is not
//!   trained on uses separate random streams.
//! - The record of a slice that is trained on comes from the training step itself.
//! - An interrupted and resumed run leaves the records of an uninterrupted one.
//! - A record is on disk before its event is emitted.

mod files;
mod picture;
mod pinned;
mod pins;
mod record;
mod recorder;
mod source;
mod tensors;

pub use crate::config::Pin;
pub(crate) use files::stored_pins;
pub use files::{epochs, pins, read, read_slice};
pub use picture::PictureKind;
pub(crate) use pinned::{PinnedPictures, TrainingSlice};
pub use pins::Pins;
pub use record::{MAX_BYTES, MAX_PATCHES, ProbeRecord, ProbeSlice};
pub(crate) use recorder::Recorder;
pub(crate) use source::load;
