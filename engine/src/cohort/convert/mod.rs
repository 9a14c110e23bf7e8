//! Converts DICOM to a cohort: one folder per patient with images, a mask, and a JSON sidecar for each file.
//!
//! Patients get pseudonyms by default. No file of the cohort contains text that identifies a patient: UIDs are hashed,
//! descriptions are left out, and segment names that contain the patient's name are replaced. The key file is stored outside
//! the cohort.

mod even;
mod image;
mod key;
mod names;
mod patient;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use key::Key;
pub use report::{ConvertReport, ConvertedPatient, REPORT, RefusedImage};

use crate::disk::create_folder;
use crate::event::Control;
use crate::volume::dicom::{Library, Patient, Study};
use crate::{Error, Result};

/// How a cohort is made.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// The key file of the pseudonyms; `None` for [`Key::path_beside`] the cohort.
    pub key: Option<PathBuf>,
    /// Name folders by patient id, and keep UIDs. The cohort then identifies its patients.
    pub keep_ids: bool,
    /// Resample series whose slices are uneven or tilted, instead of refusing them.
    pub resample: bool,
    /// Convert finished patients again.
    pub again: bool,
}

/// Converts every patient under `sources`, and writes the report `conversion.json` in the cohort. A patient already converted
/// from the same images is skipped. `progress` is called after each patient.
///
/// # Errors
/// A source that cannot be read; a cohort or key file that cannot be written; [`crate::ErrorKind::Cancelled`]. Problems with
/// single series are in the report.
pub fn convert(
    sources: &[PathBuf],
    out: &Path,
    options: &ConvertOptions,
    control: &Control,
    progress: &mut dyn FnMut(&ConvertedPatient),
) -> Result<ConvertReport> {
    let mut patients: BTreeMap<String, Vec<Patient>> = BTreeMap::new();
    let mut report = ConvertReport { program: program(), ..ConvertReport::default() };
    for (at, source) in sources.iter().enumerate() {
        let library = Library::scan(source, &|_, _| control.check().is_ok())?;
        for patient in library.patients.into_iter().flat_map(with_id) {
            patients.entry(patient.0).or_default().push(patient.1);
        }
        let id = format!("source {}", at + 1);
        let unread = |why| RefusedImage { patient: None, modality: String::new(), id: id.clone(), why };
        report.refused.extend(library.warnings.into_iter().map(unread));
    }
    if let (true, Some(source)) = (patients.is_empty(), sources.first()) {
        return Err(Error::file(source, "contains no DICOM file"));
    }
    create_folder(out)?;
    let key_path = options.key.clone().unwrap_or_else(|| Key::path_beside(out));
    let mut key = if options.keep_ids { None } else { Some(Key::open(&key_path, out)?) };
    let mut folders: Vec<String> = Vec::new();
    for (id, parts) in &patients {
        control.check()?;
        let name = match &mut key {
            Some(key) => key.pseudonym(id)?,
            None => names::unused_name(&names::folder_name(id), &folders),
        };
        folders.push(name.clone());
        let done = patient::convert(&name, parts, out, options, control)?;
        progress(&done);
        report.refused.extend(done.refused.iter().cloned());
        report.skipped.extend(done.skipped.iter().cloned());
        report.patients.push(done);
    }
    report::write_json(&out.join(REPORT), &report)?;
    Ok(report)
}

/// A patient by id. Without an id, each study becomes a separate patient, since nothing connects them.
fn with_id(patient: Patient) -> Vec<(String, Patient)> {
    if !patient.id.is_empty() {
        return vec![(patient.id.clone(), patient)];
    }
    let Patient { id, name, studies } = patient;
    let alone = |study: Study| {
        let key = format!("study {}", study.uid);
        (key, Patient { id: id.clone(), name: name.clone(), studies: vec![study] })
    };
    studies.into_iter().map(alone).collect()
}

/// Name and version of this program.
fn program() -> String {
    format!("amlp {}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; a skipped one says why")]
pub(crate) mod tests;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod volumes_tests;
