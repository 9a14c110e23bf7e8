//! A folder of patients: layouts, fingerprint, and the split by patient.
//!
//! A patient has at most one scan per session; a [`Case`] is one scan with its images and its mask. Splits, label budgets and
//! statistics are per patient. [`Cohort::discover`] reads file names, `dataset.json`, and the values of a few files whose names
//! are ambiguous. [`fingerprint()`] reads every file and reports problems by file. Neither repairs or moves anything.
//! [`corrections`] keeps reviewed masks beside the cohort for the next fine-tuning run.

mod bids;
mod case;
pub mod convert;
pub mod corrections;
mod dataset_json;
mod drafts;
mod fingerprint;
mod fingerprint_cache;
mod folder_names;
mod folders;
mod identity;
pub mod label_budget;
mod listing;
mod masks;
mod meaning;
mod names;
mod naming;
mod nnunet;
mod numbered;
mod options;
mod outputs;
pub mod pairing;
mod selection;
mod session;
mod sidecar;
pub mod split;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use case::{Case, ImageFile, read_masks, with_region};
pub use dataset_json::LabelNames;
pub use fingerprint::{
    CaseFingerprint, Fingerprint, FingerprintOptions, ValueCount, VolumeRange, fingerprint, fingerprint_with,
};
pub use fingerprint_cache::FingerprintCache;
pub use identity::CohortIdentity;
pub(crate) use listing::{NiftiFile, scans_in};
pub use listing::{modality_name, scan_paths};
pub use meaning::{label_map_of_scan, label_table_of_mask};
pub use names::canonical_modality;
pub(crate) use names::{is_mask_or_output, modality_in_name};
pub(crate) use nnunet::numbered_channels;
pub use options::{DiscoverOptions, NamePattern};
pub(crate) use selection::summary;
pub use selection::{ExcludedScan, Selection};
pub use sidecar::is_in_suv;

use crate::words::plural;
use crate::{Error, Result};

/// Folder layout of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One folder per patient: `<patient>/<modality>.nii.gz`, `seg.nii.gz`.
    #[serde(rename = "folder-a-patient")]
    FolderPerPatient,
    /// `sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz`, with masks such as `..._label-lesion_roi.nii.gz`.
    Bids,
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
            Self::FolderPerPatient => "one folder per patient",
            Self::Bids => "BIDS",
            Self::Brats => "BraTS",
            Self::Hecktor => "HECKTOR",
            Self::NnUnet => "nnU-Net",
        })
    }
}

/// A problem found in a cohort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The case that the problem concerns, if any.
    pub case: Option<String>,
    /// The file or folder.
    pub file: Option<String>,
    /// The problem in one sentence.
    pub what: String,
}

impl Problem {
    fn of_file(case: Option<&str>, file: &Path, what: impl Into<String>) -> Self {
        Self { case: case.map(str::to_owned), file: Some(file.display().to_string()), what: what.into() }
    }
}

/// The scans in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cohort {
    /// The folder.
    pub root: PathBuf,
    /// Its layout; the most common if there are several.
    pub layout: Layout,
    /// The scans, by id.
    pub cases: Vec<Case>,
    /// Scans in the folder that are not in the cohort, with the reason.
    pub left_out: Vec<ExcludedScan>,
    /// The meaning of label values in `dataset.json`; empty without one.
    pub labels: LabelNames,
    /// Problems found by file names alone.
    pub problems: Vec<Problem>,
}

impl Cohort {
    fn new(root: &Path, layout: Layout) -> Self {
        let labels = LabelNames::default();
        Self { root: root.to_path_buf(), layout, cases: vec![], left_out: vec![], labels, problems: vec![] }
    }

    /// Finds the scans in a folder (see [`Layout`]). Fails if the folder cannot be listed or has no patient. A problem with a
    /// single scan becomes a [`Problem`].
    pub fn discover(root: &Path) -> Result<Self> {
        Self::discover_with(root, &DiscoverOptions::default())
    }

    /// Like [`Cohort::discover`], with the user's choices for ambiguous names.
    pub fn discover_with(root: &Path, options: &DiscoverOptions) -> Result<Self> {
        if !root.is_dir() {
            let why = if root.exists() { "is a file. Choose the folder with the patients" } else { "does not exist" };
            return Err(Error::file(root, why));
        }
        if let Some(part) = Self::discover_part(root, options) {
            return Ok(part);
        }
        if let Some(dataset) = nnunet::dataset_below(root)? {
            return Ok(Self { root: root.to_path_buf(), ..Self::discover_with(&dataset, options)? });
        }
        let mut cohort = if nnunet::is_layout(root) {
            let info = dataset_json::DatasetInfo::read(root)?;
            Self { labels: info.labels.clone(), ..nnunet::discover(root, &info, options)? }
        } else {
            let listing = listing::list(root)?;
            let skipped: Vec<_> =
                listing.skipped.iter().map(|(path, why)| Problem::of_file(None, path, why.clone())).collect();
            let mut cohort = folders::discover(root, listing, options)?;
            cohort.problems.extend(skipped);
            match dataset_json::DatasetInfo::read(root) {
                Ok(info) => cohort.labels = info.labels,
                Err(error) => cohort.problems.push(Problem { case: None, file: None, what: error.to_string() }),
            }
            cohort
        };
        cohort.cases.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(frame) = options.frame {
            cohort.cases.iter_mut().for_each(|case| case.choose_frame(frame));
        }
        cohort.note_missing();
        Ok(cohort)
    }

    /// The cases of `imagesTr` or `imagesTs` alone, if `root` is such a folder: only its dataset names their channels and masks.
    fn discover_part(root: &Path, options: &DiscoverOptions) -> Option<Self> {
        let mut cohort = Self::discover_with(&nnunet::dataset_of(root)?, options).ok()?;
        let folder = std::path::absolute(root).ok()?;
        let is_here = |case: &Case| case.folder().and_then(Path::file_name) == folder.file_name();
        let (here, elsewhere): (Vec<Case>, Vec<Case>) = cohort.cases.into_iter().partition(is_here);
        cohort.problems.retain(|problem| !elsewhere.iter().any(|case| problem.case.as_ref() == Some(&case.id)));
        (cohort.cases, cohort.root) = (here, root.to_path_buf());
        (!cohort.cases.is_empty()).then_some(cohort)
    }

    /// Every modality and how many cases have it.
    pub fn modalities(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for modality in self.cases.iter().flat_map(|case| case.images.keys()) {
            *counts.entry(modality.clone()).or_default() += 1;
        }
        counts
    }

    /// The name that the cohort uses for a modality, ignoring case and accepting synonyms (`pet` for `pt`, `t1n` for `t1`). The
    /// error lists the modalities of the cohort.
    pub fn modality(&self, name: &str) -> Result<String> {
        let known = self.modalities();
        let wanted = name.to_lowercase();
        if known.contains_key(&wanted) {
            return Ok(wanted);
        }
        let same = |m: &&String| canonical_modality(m) == canonical_modality(&wanted);
        known.keys().find(same).cloned().ok_or_else(|| {
            let list: Vec<String> =
                known.iter().map(|(m, n)| format!("{m} ({})", plural(*n, "case", "cases"))).collect();
            Error::config("modality", name, format!("{} has {}", self.root.display(), list.join(", ")))
        })
    }

    /// The case with this id.
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }

    /// "used 6 of 8 scans, left out 2: ..." with the reasons; `None` if all scans of the folder are in the cohort.
    pub fn left_out_summary(&self) -> Option<String> {
        (!self.left_out.is_empty()).then(|| summary(self.cases.len(), &self.left_out, &[]))
    }

    /// The patients' ids, sorted.
    pub fn patients(&self) -> BTreeSet<&str> {
        self.cases.iter().map(|case| case.patient.as_str()).collect()
    }

    /// The scans of a patient, or the scan of this id: splits of earlier versions name scans.
    pub fn scans_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Case> {
        let is_patient = self.cases.iter().any(|case| case.patient == id);
        self.cases.iter().filter(move |case| if is_patient { case.patient == id } else { case.id == id })
    }

    /// Reports modalities and masks that a case lacks although others in the cohort have them.
    fn note_missing(&mut self) {
        let modalities: BTreeSet<String> = self.modalities().into_keys().collect();
        // In a folder that several scans share, the file tells which one it is.
        let mut scans: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for folder in self.cases.iter().filter_map(Case::folder) {
            *scans.entry(folder.to_path_buf()).or_default() += 1;
        }
        for case in &self.cases {
            let shared = case.folder().is_some_and(|folder| scans.get(folder).is_some_and(|scans| *scans > 1));
            let place = if shared { case.first_file() } else { case.folder() };
            let file = place.map(|place| place.display().to_string());
            let mut report =
                |what| self.problems.push(Problem { case: Some(case.id.clone()), file: file.clone(), what });
            for modality in modalities.iter().filter(|m| !case.images.contains_key(*m)) {
                report(format!("missing modality {modality}"));
            }
            if case.masks.is_empty() && !case.held_out {
                report("missing mask".into());
            }
        }
    }
}

#[cfg(test)]
mod layout_tests;
#[cfg(test)]
mod test_files;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;
