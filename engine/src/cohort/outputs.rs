//! Segmentations and probabilities that belong to the cases of a cohort.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::listing::{masks_in, stem};
use super::names::segmented_image;
use super::{Case, Cohort};
use crate::{Error, Result};

/// Endings of a probability's name.
const ENDINGS: [&str; 2] = ["_prob.nii.gz", "_prob.nii"];

impl Case {
    /// The files of the mask under review: the segmentation, else the reference. Empty without either.
    pub fn reviewed_mask(&self) -> &[PathBuf] {
        self.segmentation.as_ref().map_or(&self.masks, std::slice::from_ref)
    }

    /// The probability saved with the segmentation: `CASE_prob.nii.gz` for `CASE.nii.gz`, `ct_prob.nii.gz` for
    /// `ct_pred.nii.gz`.
    pub fn probability(&self) -> Option<PathBuf> {
        let segmentation = self.segmentation.as_ref()?;
        let own = segmentation.file_name()?.to_str().and_then(stem)?;
        let stems = [Some(own), segmented_image(own)].into_iter().flatten();
        let mut files =
            stems.flat_map(|stem| ENDINGS.map(|ending| segmentation.with_file_name(format!("{stem}{ending}"))));
        files.find(|file| file.is_file())
    }
}

impl Cohort {
    /// Uses the segmentations of a folder, named `CASE.nii.gz` as by `amlp segment`, instead of those next to the scans.
    /// Returns the names of masks without a case.
    ///
    /// # Errors
    /// A folder that cannot be listed, or that has no segmentation of any case.
    pub fn take_segmentations(&mut self, folder: &Path) -> Result<Vec<String>> {
        let masks = masks_in(folder)?;
        let mut unknown: BTreeSet<String> = masks.iter().map(|mask| mask.stem.clone()).collect();
        for case in &mut self.cases {
            case.segmentation = masks.iter().find(|mask| mask.stem == case.id).map(|mask| mask.path.clone());
            unknown.remove(&case.id);
        }
        if self.cases.iter().all(|case| case.segmentation.is_none()) {
            let example = self.cases.first().map(|case| case.id.as_str()).unwrap_or_default();
            let why = format!("has no segmentation of a case of {}, such as {example}.nii.gz", self.root.display());
            return Err(Error::file(folder, why));
        }
        Ok(unknown.into_iter().collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_probability_is_found_beside_its_segmentation() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let of = |name: &str| Case { segmentation: Some(at(name)), ..Case::default() }.probability();
        assert_eq!(Case::default().probability(), None);
        for name in ["a_prob.nii.gz", "ct_prob.nii"] {
            std::fs::write(at(name), b"").unwrap();
        }
        assert_eq!(of("a.nii.gz"), Some(at("a_prob.nii.gz")));
        assert_eq!(of("ct_pred_2.nii.gz"), Some(at("ct_prob.nii")));
        assert_eq!(of("b.nii.gz"), None);
    }

    #[test]
    fn a_folder_of_segmentations_replaces_those_beside_the_scans() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["cohort/p1/ct.nii.gz", "cohort/p2/ct.nii.gz", "cohort/p1/ct_pred.nii.gz", "out/p2.nii", "out/x.nii"]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let mut cohort = Cohort::discover(&folder.path().join("cohort")).unwrap();
        assert!(cohort.case("p1").unwrap().segmentation.is_some());
        assert_eq!(cohort.take_segmentations(&folder.path().join("out")).unwrap(), ["x"]);
        let with = |id: &str| cohort.case(id).unwrap().segmentation.is_some();
        assert_eq!((with("p1"), with("p2")), (false, true));
        let error = cohort.take_segmentations(&folder.path().join("cohort")).unwrap_err().to_string();
        assert!(error.contains("such as p1.nii.gz"), "{error}");
    }
}
