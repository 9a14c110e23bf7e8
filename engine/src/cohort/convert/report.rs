//! The report of a conversion: results, refused objects and reasons. Contains pseudonyms and hashes, no patient text.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::disk::atomic::{sha256_file, write_atomic};
use crate::disk::create_folder;
use crate::volume::seg::{Segment, SegmentationKind};
use crate::{Error, Result};

/// Name of the report in the cohort, and of the record in a patient's folder.
pub const REPORT: &str = "conversion.json";

/// Content of `conversion.json` in the cohort.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConvertReport {
    /// Version of the program.
    pub program: String,
    /// The patients of the cohort, by name.
    pub patients: Vec<ConvertedPatient>,
    /// Series and segmentations that should be in the cohort but could not be converted.
    pub refused: Vec<RefusedImage>,
    /// Objects other than scans: reports, presentation states, localisers. Also older versions of a segmentation.
    pub skipped: Vec<RefusedImage>,
}

/// A converted patient.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConvertedPatient {
    /// The pseudonym, which is the folder's name.
    pub patient: String,
    /// Files with their SHA-256, by path in the patient's folder.
    pub files: BTreeMap<String, String>,
    /// Anything unusual about the files, one sentence each.
    pub warnings: Vec<String>,
    /// Series and segmentations of this patient that were refused.
    pub refused: Vec<RefusedImage>,
    /// Objects of this patient other than scans, and older versions of a segmentation.
    pub skipped: Vec<RefusedImage>,
    /// Hash of the instances and options that it was made from; empty while it is being converted.
    pub made_from: String,
    /// True if an earlier conversion finished it.
    #[serde(skip_deserializing)]
    pub finished_before: bool,
}

/// A series or object that was not converted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedImage {
    /// The patient; `None` for a file that cannot be read.
    pub patient: Option<String>,
    /// Modality of the series; empty if unknown.
    pub modality: String,
    /// Hash of the series' UID, or of a file's path.
    pub id: String,
    /// The reason.
    pub why: String,
}

/// The JSON sidecar of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageSidecar {
    pub modality: String,
    /// As BIDS names it: `HU`, `SUV`, `Bq/mL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// Source of the unit; for SUV the conversion used.
    pub units_evidence: String,
    /// Hashed unless ids are kept.
    pub study: String,
    pub series: String,
    /// What distinguishes it from the other volumes of its series, such as its echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    pub images: usize,
    pub resampled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    pub warnings: Vec<String>,
    pub converted_by: String,
}

/// The JSON sidecar of a mask.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MaskSidecar {
    pub kind: SegmentationKind,
    /// File name of the image whose grid it is on.
    pub image: String,
    /// Hashed unless ids are kept.
    pub series: String,
    pub segments: Vec<Segment>,
    pub warnings: Vec<String>,
    pub converted_by: String,
}

impl ConvertedPatient {
    /// Number of its images, without masks.
    pub fn images(&self) -> usize {
        let is_mask = |name: &str| name.rsplit('/').next() == Some("seg.nii.gz");
        self.files.keys().filter(|name| name.ends_with(".nii.gz") && !is_mask(name)).count()
    }

    /// Number of its images and masks.
    pub fn images_and_masks(&self) -> usize {
        self.files.keys().filter(|name| name.ends_with(".nii.gz")).count()
    }

    /// The record of a patient's folder; `None` if missing, or if it names files outside the folder.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read(folder.join(REPORT)).ok()?;
        let recorded: Self = serde_json::from_slice(&text).ok()?;
        let is_below = |name: &String| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        recorded.files.keys().all(is_below).then_some(recorded)
    }

    /// The record of a patient's folder, if it was made from the same images and options and no file has changed since.
    pub(super) fn finished(folder: &Path, made_from: &str) -> Option<Self> {
        let recorded = Self::read(folder)?;
        let is_same =
            |(name, sum): (&String, &String)| sha256_file(&folder.join(name)).is_ok_and(|found| found == *sum);
        let same = recorded.made_from == made_from && recorded.files.iter().all(is_same);
        same.then_some(Self { finished_before: true, ..recorded })
    }

    /// Writes the record.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        create_folder(folder)?;
        write_json(&folder.join(REPORT), self).map(drop)
    }
}

/// Writes a JSON file and returns its SHA-256.
pub(super) fn write_json<T: Serialize>(path: &Path, content: &T) -> Result<String> {
    let text = serde_json::to_vec_pretty(content).map_err(|error| Error::file(path, error.to_string()))?;
    write_atomic(path, &text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_patient_counts_as_finished_only_if_nothing_changed() {
        let folder = tempfile::tempdir().unwrap();
        let patient = folder.path();
        std::fs::write(patient.join("ct.nii.gz"), b"scan").unwrap();
        let record = ConvertedPatient {
            patient: "P0001".into(),
            files: BTreeMap::from([("ct.nii.gz".to_owned(), sha256_file(&patient.join("ct.nii.gz")).unwrap())]),
            made_from: "a".into(),
            ..ConvertedPatient::default()
        };
        assert_eq!(ConvertedPatient::finished(patient, "a"), None, "nothing was recorded");
        record.write(patient).unwrap();
        let expected = ConvertedPatient { finished_before: true, ..record.clone() };
        assert_eq!(ConvertedPatient::finished(patient, "a"), Some(expected));
        assert_eq!(ConvertedPatient::finished(patient, "b"), None, "made from other images");
        std::fs::write(patient.join("ct.nii.gz"), b"cut").unwrap();
        assert_eq!(ConvertedPatient::finished(patient, "a"), None, "a file changed");
        let sum = sha256_file(&patient.join("ct.nii.gz")).unwrap();
        let outside = ConvertedPatient { files: BTreeMap::from([("../x/ct.nii.gz".to_owned(), sum)]), ..record };
        outside.write(patient).unwrap();
        assert_eq!(ConvertedPatient::finished(patient, "a"), None, "a record is not followed out of its folder");
    }
}
