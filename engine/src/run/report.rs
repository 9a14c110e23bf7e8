//! `report.json`: the numbers of a finished run.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::RunFolder;
use super::text;
use crate::Result;

/// Replaces the run's report. Numbers that are not finite become null. Returns the SHA-256 of the file.
pub fn write_report<T: Serialize + ?Sized>(run: &RunFolder, report: &T) -> Result<String> {
    run.require_lock()?;
    text::write_json(&run.report_path(), report)
}

/// The run's report; an error if there is none or if it is not a `T`.
pub fn read_report<T: DeserializeOwned>(run: &RunFolder) -> Result<T> {
    text::read_json(&run.report_path())
}
