//! Identifies a cohort by content, independent of its location.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cohort;
use crate::Result;
use crate::disk::atomic::sha256;
use crate::volume::nifti::HeaderSummary;

/// The scans of a cohort by id, each with a digest of its images' headers (`cohort.json` of a run). Paths, times and
/// compression do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortIdentity {
    /// Version of the record.
    pub version: u32,
    /// SHA-256 over the header digests of the images of the run's modalities, by scan.
    pub scans: BTreeMap<String, String>,
}

/// The version that this program writes.
const VERSION: u32 = 1;

impl CohortIdentity {
    /// The identity of the scans that have all of `modalities`. Scans with unreadable headers are excluded.
    pub fn of(cohort: &Cohort, modalities: &[String]) -> Self {
        let complete = cohort.cases.iter().filter(|case| case.has_all(modalities));
        let digest = |images: &BTreeMap<String, super::ImageFile>| -> Result<String> {
            let mut text = String::new();
            for (modality, image) in modalities.iter().filter_map(|modality| images.get_key_value(modality)) {
                let frame = image.frame.map_or_else(|| "None".to_owned(), |frame| format!("Some({frame})"));
                text += &format!("{modality} {frame} {}\n", HeaderSummary::read(&image.path)?.digest);
            }
            Ok(sha256(text.as_bytes()))
        };
        let scans = complete.filter_map(|case| Some((case.id.clone(), digest(&case.images).ok()?)));
        Self { version: VERSION, scans: scans.collect() }
    }

    /// Number of scans that both have, with the same headers.
    pub fn shared(&self, other: &Self) -> usize {
        self.scans.iter().filter(|(id, digest)| other.scans.get(*id) == Some(digest)).count()
    }

    /// True if most of the scans of the smaller cohort are scans of both.
    pub fn is_mostly(&self, other: &Self) -> bool {
        let smaller = self.scans.len().min(other.scans.len());
        smaller > 0 && 2 * self.shared(other) >= smaller
    }

    /// True if `other` has every scan of this cohort.
    pub fn is_within(&self, other: &Self) -> bool {
        !self.scans.is_empty() && self.shared(other) == self.scans.len()
    }
}
