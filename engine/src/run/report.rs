//! `report.json`: the results of a finished run.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::RunFolder;
use super::text;
use crate::Result;

/// Replaces the run's report. Non-finite numbers become null.
pub fn write_report<T: Serialize + ?Sized>(run: &RunFolder, report: &T) -> Result<()> {
    run.require_lock()?;
    text::write_json(&run.report_path(), report)
}

/// Reads the run's report.
///
/// # Errors
/// If it does not exist or is not a `T`.
pub fn read_report<T: DeserializeOwned>(run: &RunFolder) -> Result<T> {
    text::read_json(&run.report_path())
}
