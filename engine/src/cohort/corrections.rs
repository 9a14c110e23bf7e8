//! Corrected masks of a cohort, for the next fine-tuning run, with their provenance.
//!
//! They are in a folder that discovery skips, by default `corrections` in the cohort's folder:
//!
//! ```text
//! corrections/
//!   corrections.jsonl          one line per mask: case, reviewer, time, model, digest, verdict; the last line of a case counts
//!   p01.3f2a9c01.nii.gz        a mask, named by its case and digest
//! ```
//!
//! Nothing is overwritten: masks have unique names, and lines are appended. An interruption loses at most the mask being
//! added. The cohort's own masks do not change.

mod add;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::split::Split;
use super::{Cohort, ExcludedScan};
use crate::disk::atomic::sha256_file;
use crate::disk::clock::utc;
use crate::{Error, Result};

pub use add::{AddOutcome, Addition};

/// Default folder, inside the cohort's folder.
const FOLDER: &str = "corrections";
/// File that lists the masks.
const RECORD: &str = "corrections.jsonl";
/// Largest record that is read in bytes: some hundred thousand masks.
const RECORD_BYTES: u64 = 64 << 20;

/// A reviewer's verdict on a segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Accepted without changes.
    Accepted,
    /// Accepted after corrections.
    Corrected,
}

impl Verdict {
    /// The verdict as it is written in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Corrected => "corrected",
        }
    }
}

/// The network whose segmentation the mask is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Name of its run folder.
    pub run: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
}

/// A corrected mask with its provenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// The scan's id.
    pub case: String,
    /// The patient.
    pub patient: String,
    /// File name of the mask in the folder.
    pub mask: String,
    /// SHA-256 of that file.
    pub sha256: String,
    /// Volume of all labels in ml.
    pub lesion_ml: f64,
    /// The reviewer's verdict.
    pub verdict: Verdict,
    /// The reviewer's initials.
    pub reviewer: String,
    /// When it was added, in milliseconds since 1970.
    pub time_ms: u64,
    /// The network whose segmentation was reviewed; absent for a hand-drawn mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
}

impl Correction {
    /// "corrected by AB on 2026-01-31T08:05:00Z".
    pub fn describe(&self) -> String {
        format!("{} by {} on {}", self.verdict.name(), self.reviewer, utc(self.time_ms))
    }
}

/// The corrected masks of a cohort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Corrections {
    /// The folder.
    pub folder: PathBuf,
    /// The newest mask of each case, by case.
    pub masks: Vec<Correction>,
    /// Lines of the record that cannot be read, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Corrected masks that a run uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppliedCorrections {
    /// Unused masks of used scans: validation and test patients keep their reference.
    pub masks_left_out: Vec<ExcludedScan>,
    /// Scans that are not used because their mask is damaged or missing.
    pub left_out: Vec<ExcludedScan>,
}

impl Corrections {
    /// The default folder of a cohort's corrected masks.
    pub fn folder_of(cohort: &Path) -> PathBuf {
        cohort.join(FOLDER)
    }

    /// True if a folder contains corrected masks.
    pub(super) fn is_folder(folder: &Path) -> bool {
        folder.join(RECORD).is_file()
    }

    /// Reads the record; empty if missing. Unreadable lines, such as one truncated by a full disk, are skipped with a note.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut found = Self { folder: folder.to_path_buf(), ..Self::default() };
        let path = folder.join(RECORD);
        if !path.is_file() {
            return Ok(found);
        }
        let failed = || Error::io("read", &path);
        let mut bytes = Vec::new();
        File::open(&path).map_err(failed())?.take(RECORD_BYTES + 1).read_to_end(&mut bytes).map_err(failed())?;
        if bytes.len() as u64 > RECORD_BYTES {
            return Err(Error::file(&path, format!("is larger than the limit of {RECORD_BYTES} bytes")));
        }
        let mut newest: BTreeMap<String, Correction> = BTreeMap::new();
        let lines = bytes.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
        for (at, line) in lines {
            match serde_json::from_slice::<Correction>(line) {
                Ok(correction) if is_plain(&correction.mask) => {
                    newest.insert(correction.case.clone(), correction);
                }
                Ok(correction) => {
                    let why = format!("mask = {}: not a plain file name", correction.mask);
                    found.notes.push(format!("{}: line {}: {why}. The line is ignored.", path.display(), at + 1));
                }
                Err(error) => {
                    found.notes.push(format!("{}: line {}: {error}. The line is ignored.", path.display(), at + 1));
                }
            }
        }
        found.masks = newest.into_values().collect();
        Ok(found)
    }

    /// Falls back to the folder inside the cohort if this one is missing, for example because both were moved.
    pub(crate) fn relocate(&mut self, cohort: &Path) {
        if !self.masks.is_empty() && !self.folder.is_dir() {
            self.folder = Self::folder_of(cohort);
        }
    }

    /// The newest mask of a case.
    pub fn of_case(&self, case: &str) -> Option<&Correction> {
        self.masks.iter().find(|mask| mask.case == case)
    }

    /// The split with the corrected patients: patients in no part are added to training, and training patients get the lesion
    /// volume of their corrected mask. Validation and test patients do not change.
    #[must_use]
    pub fn extend(&self, cohort: &Cohort, mut split: Split) -> Split {
        for mask in self.masks.iter().filter(|mask| cohort.case(&mask.case).is_some()) {
            // Splits of earlier versions name scans.
            let names = [&mask.patient, &mask.case];
            if split.val.iter().chain(&split.test).any(|id| names.contains(&id)) {
                continue;
            }
            let known = split.train.iter().find(|id| names.contains(id)).cloned();
            let id = known.unwrap_or_else(|| {
                split.train.push(mask.patient.clone());
                mask.patient.clone()
            });
            split.lesion_ml.insert(id, Some(mask.lesion_ml));
        }
        split.train.sort_unstable();
        split
    }

    /// The training patients of a split that have a corrected mask.
    pub fn training_patients<'a>(&'a self, split: &'a Split) -> impl Iterator<Item = &'a String> {
        let has = |id: &&String| self.masks.iter().any(|mask| mask.patient == **id || mask.case == **id);
        split.train.iter().filter(has)
    }

    /// Replaces the masks of training patients by their corrected masks, each checked against its digest.
    pub fn apply(&self, cohort: &mut Cohort, split: &Split) -> AppliedCorrections {
        let mut applied = AppliedCorrections::default();
        for mask in &self.masks {
            let Some(case) = cohort.cases.iter_mut().find(|case| case.id == mask.case) else {
                applied.left_out.push(ExcludedScan::new(&mask.case, "has a corrected mask, but is not in the cohort"));
                continue;
            };
            let is_in = |part: &[String]| part.contains(&case.patient) || part.contains(&case.id);
            if let Some(part) = [("test", &split.test), ("validation", &split.val)].iter().find(|(_, ids)| is_in(ids)) {
                let why = format!("its corrected mask is not trained on, since it is a {} patient", part.0);
                applied.masks_left_out.push(ExcludedScan::new(&case.id, why));
                continue;
            }
            let path = self.folder.join(&mask.mask);
            match sha256_file(&path) {
                Ok(found) if found == mask.sha256 => case.masks = vec![path],
                Ok(_) => {
                    let why = "its corrected mask has changed since it was added. Add it again";
                    applied.left_out.push(ExcludedScan::new(&case.id, why));
                }
                Err(error) => applied.left_out.push(ExcludedScan::new(&case.id, error.to_string())),
            }
        }
        applied
    }
}

/// True for a name without path components.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests;
