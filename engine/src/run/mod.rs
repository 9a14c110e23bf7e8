//! run

pub mod atomic;
