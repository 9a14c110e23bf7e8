//! Helpers that the cross-crate tests share.

pub mod damaged;
pub mod edited;
pub mod random;
pub mod samples;
