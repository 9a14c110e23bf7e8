//! Access to the machine: atomic writes, checksums, the wall clock, kill points, memory and processor.

pub mod atomic;
pub mod clock;
pub mod fault;
pub mod machine;

/// Name of the configuration in a run folder. A folder that has one is a run, whose files are not scans.
pub(crate) const RUN_CONFIG: &str = "config.toml";
