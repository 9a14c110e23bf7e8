//! Masks that do not depend on a network: random patterns, and lesion recall of a mask.
//!
//! | file | contents |
//! |---|---|
//! | `pattern.rs` | random masks with exact counts |
//! | `select.rs` | how many patches a ratio masks, and how many lesion patches are among them |
//!
//! The paper's own selection and ratio are in [`crate::pretrain::amlp`].

pub mod pattern;
pub mod select;

pub use select::{indicator, masked_count, masked_patches};
