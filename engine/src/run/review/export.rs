//! Tables and pages of a review as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cohort::Cohort;
use crate::disk::atomic::write_atomic;
use crate::disk::create_folder;
use crate::event::Control;
use crate::review::{
    LatestEntries, MeasuredCase, case_page, cases_csv, cohort_page, findings_csv, measure_cohort, page_name,
};
use crate::volume::MaskOptions;
use crate::{Error, Result};

/// Name of the cohort's page in the folder of a report.
pub const INDEX: &str = "index.html";

/// The files to export; `None` skips one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// CSV with one row per case.
    pub cases: Option<PathBuf>,
    /// CSV with one row per finding.
    pub findings: Option<PathBuf>,
    /// Folder for `index.html` and one page per case.
    pub report: Option<PathBuf>,
}

/// Measures the cases of a cohort and writes the requested files, replacing existing ones. Returns the measured cases.
///
/// # Errors
/// A file or folder that cannot be written, two cases whose pages would have one name, cancellation.
pub fn export(
    cohort: &Cohort,
    latest: &LatestEntries,
    to: &Export,
    masks: &MaskOptions,
    control: &Control,
    progress: &dyn Fn(usize, usize, &str),
) -> Result<Vec<MeasuredCase>> {
    if let Some(folder) = &to.report {
        require_own_names(cohort, folder)?;
        create_folder(folder)?;
    }
    let page = |folder: &Path, row: &MeasuredCase, text: String| {
        write_atomic(&folder.join(page_name(&row.case)), text.as_bytes()).map(drop)
    };
    let cases = measure_cohort(cohort, latest, masks, control, progress, &mut |volumes, row| match &to.report {
        Some(folder) => page(folder, row, case_page(row, Some(volumes))?),
        None => Ok(()),
    })?;
    if let Some(folder) = &to.report {
        for row in cases.iter().filter(|row| row.problem.is_some()) {
            page(folder, row, case_page(row, None)?)?;
        }
        let name =
            cohort.root.file_name().map_or_else(|| "the cohort".into(), |name| name.to_string_lossy().into_owned());
        write_atomic(&folder.join(INDEX), cohort_page(&name, &cases, latest).as_bytes())?;
    }
    if let Some(path) = &to.cases {
        write_atomic(path, &cases_csv(&cases)?)?;
    }
    if let Some(path) = &to.findings {
        write_atomic(path, &findings_csv(&cases)?)?;
    }
    Ok(cases)
}

/// Page names must be unique.
fn require_own_names(cohort: &Cohort, folder: &Path) -> Result<()> {
    let mut names = BTreeMap::from([(INDEX.to_owned(), "the cohort's page")]);
    for case in &cohort.cases {
        // Some file systems ignore case.
        if let Some(other) = names.insert(page_name(&case.id).to_lowercase(), &case.id) {
            let why = format!("the pages of {} and {other} would have the same name. Rename one of them", case.id);
            return Err(Error::file(folder, why));
        }
    }
    Ok(())
}
