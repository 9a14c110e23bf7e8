//! A folder of patients: layouts, fingerprint, and the split by patient.
//!
//! [`Cohort::discover`] reads file names only. [`fingerprint`] reads every file and reports problems by file. Neither
//! repairs or moves anything.

mod discover;
mod fingerprint;
mod listing;
mod meaning;
mod names;
mod nnunet;
pub mod pairing;
pub mod split;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use fingerprint::{
    CaseFingerprint, Fingerprint, Tally, VolumeRange, fingerprint, fingerprint_under, fingerprint_with,
};
pub use names::canonical_modality;

use crate::{Error, Result};

/// Folder layout of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One folder a patient: `<patient>/<modality>.nii.gz`, `seg.nii.gz`.
    FolderAPatient,
    /// `ID_t1.nii.gz` ... `ID_seg.nii.gz` (2018 to 2021), `ID-t1n.nii.gz` ... `ID-seg.nii.gz` (2023).
    Brats,
    /// `ID_ct`, `ID_pt`, `ID_gtvt` (2020, 2021), or `imagesTr/ID__CT`, `ID__PT` with `labelsTr/ID` (2022).
    Hecktor,
    /// `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`, `dataset.json`.
    NnUnet,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::FolderAPatient => "folder-a-patient",
            Self::Brats => "brats",
            Self::Hecktor => "hecktor",
            Self::NnUnet => "nn-unet",
        })
    }
}

/// A patient's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// Unique in its cohort.
    pub id: String,
    /// The images by modality, in lower case.
    pub images: BTreeMap<String, PathBuf>,
    /// The mask.
    pub label: Option<PathBuf>,
    /// True for a case of a folder of test images (`imagesTs`): it needs no mask and never trains.
    pub held_out: bool,
}

/// A problem found in a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The case, if one is concerned.
    pub case: Option<String>,
    /// The file or folder.
    pub file: Option<String>,
    /// The problem in one sentence.
    pub what: String,
}

/// The patients in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// The folder.
    pub root: PathBuf,
    /// How it is laid out; the commonest layout if there are several.
    pub layout: Layout,
    /// The patients, by id.
    pub cases: Vec<Case>,
    /// Problems that the file names show.
    pub problems: Vec<Problem>,
}

impl Cohort {
    /// Finds the patients in a folder by file names (see [`Layout`]). An error if the folder cannot be listed or has no
    /// patient; trouble with single patients becomes a [`Problem`].
    pub fn discover(root: &Path) -> Result<Self> {
        let mut cohort = discover::discover(root)?;
        cohort.cases.sort_by(|a, b| a.id.cmp(&b.id));
        cohort.note_missing();
        Ok(cohort)
    }

    /// Every modality and how many cases have it.
    pub fn modalities(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for modality in self.cases.iter().flat_map(|case| case.images.keys()) {
            *counts.entry(modality.clone()).or_default() += 1;
        }
        counts
    }

    /// The cohort's own name of a modality, ignoring case and accepting synonyms (`pet` for `pt`, `t1n` for `t1`). The
    /// error lists the modalities of the cohort.
    pub fn modality(&self, name: &str) -> Result<String> {
        let known = self.modalities();
        let wanted = name.to_lowercase();
        if known.contains_key(&wanted) {
            return Ok(wanted);
        }
        let same = |m: &&String| canonical_modality(m) == canonical_modality(&wanted);
        known.keys().find(same).cloned().ok_or_else(|| {
            let list: Vec<String> = known.iter().map(|(m, n)| format!("{m} ({n} cases)")).collect();
            Error::config("modality", name, format!("{} has {}", self.root.display(), list.join(", ")))
        })
    }

    /// The case of an id.
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// Reports modalities and masks that a case lacks although others in the cohort have them.
    fn note_missing(&mut self) {
        let modalities: BTreeSet<String> = self.modalities().into_keys().collect();
        for case in &self.cases {
            let folder = case.images.values().chain(&case.label).next().and_then(|p| p.parent());
            let file = folder.map(|f| f.display().to_string());
            let mut report =
                |what| self.problems.push(Problem { case: Some(case.id.clone()), file: file.clone(), what });
            for modality in modalities.iter().filter(|m| !case.images.contains_key(*m)) {
                report(format!("missing modality {modality}"));
            }
            if case.label.is_none() && !case.held_out {
                report("missing mask".into());
            }
        }
    }
}

#[cfg(test)]
mod tests;
