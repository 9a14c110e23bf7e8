//! What every room that writes files needs: atomic writes, checksums, the wall clock and kill points.

pub mod atomic;
pub mod clock;
pub mod fault;

/// Name of the configuration in a run folder. A folder that has one is a run, whose files are no scans.
pub(crate) const RUN_CONFIG: &str = "config.toml";
