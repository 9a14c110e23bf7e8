//! Matches segmentations with reference masks by case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::drafts::stem_of;
use super::listing::{SEG_ENDING, masks_in};
use super::names::{composed, segmented_image};
use super::session::patients;
use super::{Case, Cohort, DiscoverOptions, ExcludedScan};
use crate::volume::dicom;
use crate::words::plural;
use crate::{Error, Result};

/// Number of parent folders to search for a run's `split.json`; `RUN/masks/test` needs two.
const LEVELS_UP: usize = 2;

/// Maximum number of names listed in a message.
const MAX_LISTED: usize = 10;

/// The segmentation and the reference of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The scan's id.
    pub case: String,
    /// The patient, over which evaluations average.
    pub patient: String,
    /// The segmentation.
    pub segmentation: PathBuf,
    /// The files of the reference, which is their union.
    pub reference: Vec<PathBuf>,
}

/// Which cases to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subset {
    /// Every segmentation.
    Segmented,
    /// Every case with a reference.
    AllReferences,
    /// The cases of these patients or scans.
    Cases(BTreeSet<String>),
}

/// All pairs, and cases without a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// The pairs, sorted by case.
    pub found: Vec<Pair>,
    /// Requested cases ([`Subset::AllReferences`] or [`Subset::Cases`]) with a reference but no segmentation.
    pub expected_missing: Vec<String>,
    /// Other cases with a reference but no segmentation.
    pub other_missing: Vec<String>,
    /// Requested or segmented cases without a reference.
    pub no_reference: Vec<String>,
    /// Segmentations outside the subset.
    pub outside: Vec<String>,
}

/// The case of a mask by its file name: the name without `.nii`, `.nii.gz`, `.hdr` or, for a DICOM SEG, `.dcm`. `None` for
/// other files and for probabilities (`<case>_prob.nii.gz`).
pub fn case_id(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let id = super::listing::stem(name).or_else(|| name.strip_suffix(SEG_ENDING))?;
    (!id.ends_with("_prob")).then(|| composed(id))
}

/// The `split.json` in the segmentations' folder or up to two levels up.
///
/// # Errors
/// If there is none; the message lists the folders searched.
pub fn find_split(segmentations: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(segmentations).map_err(Error::io("read", segmentations))?;
    let folders: Vec<&Path> = absolute.ancestors().skip(usize::from(!absolute.is_dir())).take(LEVELS_UP + 1).collect();
    let files = folders.iter().map(|folder| folder.join("split.json"));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        let why = format!(
            "found no split.json next to the segmentations or up to {LEVELS_UP} folders above. Give the split of the run"
        );
        Error::file(segmentations, why)
    })
}

impl Pairs {
    /// Pairs a file or folder of segmentations with a reference file, a folder of masks, or a cohort.
    ///
    /// Two files are a pair whatever their names. In folders, masks are paired by case id (see [`case_id`]). If no name
    /// matches, the reference's folder is read as a cohort.
    ///
    /// # Errors
    /// If a folder cannot be listed, a case has two files, or no pair is found.
    pub fn find(segmentation: &Path, reference: &Path, subset: &Subset) -> Result<Self> {
        Self::find_with(segmentation, reference, subset, &DiscoverOptions::default())
    }

    /// Like [`Pairs::find`], with the user's choices for finding the masks of a cohort.
    pub fn find_with(
        segmentation: &Path,
        reference: &Path,
        subset: &Subset,
        options: &DiscoverOptions,
    ) -> Result<Self> {
        for path in [segmentation, reference] {
            std::fs::metadata(dicom::split_selector(path).0).map_err(Error::io("read", path))?;
        }
        if !segmentation.is_dir() && !reference.is_dir() {
            let case = case_id(segmentation).unwrap_or_else(|| segmentation.display().to_string());
            let (patient, reference) = (case.clone(), vec![reference.to_path_buf()]);
            let pair = Pair { case, patient, segmentation: segmentation.to_path_buf(), reference };
            return Ok(Self { found: vec![pair], ..Self::default() });
        }
        if !reference.is_dir() {
            return Err(Error::file(
                reference,
                "is one mask, but the segmentations are a folder. Give a folder or a cohort",
            ));
        }
        let segmentations = if segmentation.is_dir() {
            masks(segmentation)?
        } else {
            let case = case_id(segmentation)
                .ok_or_else(|| Error::file(segmentation, "is not named like a mask (.nii, .nii.gz, .hdr, .dcm)"))?;
            BTreeMap::from([(case, segmentation.to_path_buf())])
        };
        if segmentations.is_empty() {
            return Err(Error::file(segmentation, "has no mask (.nii, .nii.gz, .hdr, or .dcm of a SEG)"));
        }
        let references = references(reference, &segmentations, options)?;
        let segmentations = by_image(&segmentations, &references);
        let pairs = Self::join(&segmentations, &references, subset);
        if pairs.found.is_empty() && pairs.expected_missing.is_empty() {
            let why = format!(
                "no segmentation in {} has a reference here. Segmentations: {}. References: {}",
                segmentation.display(),
                list(segmentations.keys()),
                list(references.keys())
            );
            return Err(Error::file(reference, why));
        }
        Ok(pairs)
    }

    fn join(
        segmentations: &BTreeMap<String, PathBuf>,
        references: &BTreeMap<String, Reference>,
        subset: &Subset,
    ) -> Self {
        // A subset names patients, or scans.
        let wanted = |case: &String| match subset {
            Subset::Segmented | Subset::AllReferences => true,
            Subset::Cases(cases) => {
                cases.contains(case) || references.get(case).is_some_and(|reference| cases.contains(&reference.patient))
            }
        };
        let mut pairs = Self::default();
        for (case, segmentation) in segmentations {
            match references.get(case) {
                _ if !wanted(case) => pairs.outside.push(case.clone()),
                None => pairs.no_reference.push(case.clone()),
                Some(reference) => {
                    let Reference { patient, masks, .. } = reference.clone();
                    pairs.found.push(Pair {
                        case: case.clone(),
                        patient,
                        segmentation: segmentation.clone(),
                        reference: masks,
                    });
                }
            }
        }
        let missing = references.keys().filter(|case| !segmentations.contains_key(*case) && wanted(case)).cloned();
        match subset {
            Subset::Segmented => pairs.other_missing = missing.collect(),
            Subset::AllReferences | Subset::Cases(_) => pairs.expected_missing = missing.collect(),
        }
        if let Subset::Cases(cases) = subset {
            let patients: BTreeSet<&String> = references.values().map(|reference| &reference.patient).collect();
            let is_known =
                |c: &String| references.contains_key(c) || segmentations.contains_key(c) || patients.contains(c);
            let unknown = cases.iter().filter(|c| !is_known(c));
            pairs.no_reference.extend(unknown.cloned());
            pairs.no_reference.sort_unstable();
        }
        pairs
    }

    /// Warnings about segmentations that are neither evaluated nor listed as left out.
    pub fn warnings(&self) -> Vec<String> {
        let outside = (!self.outside.is_empty()).then(|| {
            let segmentations = plural(self.outside.len(), "segmentation", "segmentations");
            format!("{segmentations} outside the subset: {}", list(self.outside.iter()))
        });
        outside.into_iter().collect()
    }

    /// Requested cases that cannot be evaluated, with the reason.
    pub fn left_out(&self) -> Vec<ExcludedScan> {
        let missing = self.expected_missing.iter().map(|case| ExcludedScan::new(case, "no segmentation"));
        missing.chain(self.no_reference.iter().map(|case| ExcludedScan::new(case, "no reference"))).collect()
    }

    /// Reference masks without a segmentation whose cases were not requested.
    pub fn masks_left_out(&self) -> Vec<ExcludedScan> {
        self.other_missing.iter().map(|case| ExcludedScan::new(case, "no segmentation")).collect()
    }
}

/// Joins names for a message, shortened after [`MAX_LISTED`].
fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let total = names.len();
    if total == 0 {
        return "none".to_owned();
    }
    let shown: Vec<&str> = names.take(MAX_LISTED).map(String::as_str).collect();
    let more = if total > MAX_LISTED { format!(" and {} more", total - MAX_LISTED) } else { String::new() };
    shown.join(", ") + &more
}

/// A case's reference.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    patient: String,
    /// Names of the case's images, without ending.
    images: Vec<String>,
    /// The files, whose union is the mask.
    masks: Vec<PathBuf>,
}

/// The masks directly in a folder, by case.
fn masks(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut masks = BTreeMap::new();
    for file in masks_in(folder)? {
        if let Some(other) = masks.insert(file.stem, file.path.clone()) {
            let why = format!("is a second mask of the case of {}", other.display());
            return Err(Error::file(&file.path, why));
        }
    }
    Ok(masks)
}

/// The references of a folder of masks or of a cohort, by case.
fn references(
    folder: &Path,
    segmentations: &BTreeMap<String, PathBuf>,
    options: &DiscoverOptions,
) -> Result<BTreeMap<String, Reference>> {
    // In a cohort's folder, two images may have the same case id, so a name conflict is not an error yet.
    let mut direct = masks(folder);
    if let Ok(direct) = &mut direct {
        // A segmentation saved next to its scan is not a reference, not even for itself.
        let names: BTreeSet<String> = direct.keys().cloned().collect();
        let is_saved = |case: &str| segmented_image(case).is_some_and(|image| names.contains(image));
        direct.retain(|case, path| segmentations.get(case) != Some(path) && !is_saved(case));
        if direct.keys().any(|case| segmentations.contains_key(case)) {
            return Ok(by_patient(direct.clone()));
        }
    }
    let cohort = Cohort::discover_with(folder, options);
    let is_labelled = |cohort: &Cohort| cohort.cases.iter().any(|case| !case.masks.is_empty());
    // A folder of masks without any match, which may be named like numbered scans: the caller lists both sides.
    if !cohort.as_ref().is_ok_and(is_labelled)
        && let Ok(masks) = direct
        && !masks.is_empty()
    {
        return Ok(by_patient(masks));
    }
    let labelled = cohort?.cases.into_iter().filter(|case| !case.masks.is_empty());
    let reference = |case: Case| {
        let images = case.images.values().map(|image| stem_of(&image.path)).collect();
        (case.id, Reference { patient: case.patient, images, masks: case.masks })
    };
    Ok(labelled.map(reference).collect())
}

/// Assigns segmentations that the viewer saved as `<image>_pred` to the case of that image.
fn by_image(
    segmentations: &BTreeMap<String, PathBuf>,
    references: &BTreeMap<String, Reference>,
) -> BTreeMap<String, PathBuf> {
    let case_of = |name: &str| {
        let image = segmented_image(name)?;
        let owns = |reference: &Reference| reference.images.iter().any(|own| own == image);
        // `ct_pred` matches every patient's `ct`, so such a name is ambiguous.
        let mut owners = references.iter().filter(|(_, reference)| owns(reference)).map(|(case, _)| case);
        owners.next().filter(|_| owners.next().is_none()).cloned()
    };
    let mut by_case = BTreeMap::new();
    for (name, path) in segmentations {
        let case = if references.contains_key(name) { None } else { case_of(name) };
        // A second segmentation of a case keeps its name and is reported as lacking a reference.
        let case = case.filter(|case| !segmentations.contains_key(case) && !by_case.contains_key(case));
        by_case.insert(case.unwrap_or_else(|| name.clone()), path.clone());
    }
    by_case
}

/// References from masks, with the patient taken from the file name.
fn by_patient(masks: BTreeMap<String, PathBuf>) -> BTreeMap<String, Reference> {
    let patients = patients(masks.keys().map(String::as_str));
    let patient = |case: &String| patients.get(case).map_or_else(|| case.clone(), |(patient, _)| patient.clone());
    masks
        .into_iter()
        .map(|(case, mask)| {
            (case.clone(), Reference { patient: patient(&case), images: Vec::new(), masks: vec![mask] })
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cohort::test_files::touch;

    fn cases(pairs: &[Pair]) -> Vec<&str> {
        pairs.iter().map(|p| p.case.as_str()).collect()
    }

    #[test]
    fn a_case_id_is_the_file_name_without_extension() {
        let id = |name: &str| case_id(Path::new(name));
        assert_eq!(id("/x/STS_001.nii.gz").unwrap(), "STS_001");
        assert_eq!(id("a.b.NII").unwrap(), "a.b");
        assert_eq!(id("a.hdr").unwrap(), "a");
        for none in ["a_prob.nii.gz", "a.png", ".nii.gz", ".hidden.nii", "split.json"] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn folders_are_matched_by_case_and_every_unmatched_file_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["p/a.nii.gz", "p/a_prob.nii.gz", "p/b.nii", "p/x.nii.gz", "p/notes.txt"]);
        touch(root, &["t/a.nii.gz", "t/b.nii.gz", "t/c.nii.gz", "t/d.nii"]);
        let (p, t) = (root.join("p"), root.join("t"));
        let pairs = Pairs::find(&p, &t, &Subset::Segmented).unwrap();
        assert_eq!(cases(&pairs.found), ["a", "b"]);
        assert_eq!(
            (pairs.other_missing.clone(), pairs.no_reference.clone()),
            (vec!["c".into(), "d".into()], vec!["x".into()])
        );
        let named = |left_out: Vec<ExcludedScan>| {
            left_out.into_iter().map(|l| format!("{}: {}", l.case, l.why)).collect::<Vec<_>>()
        };
        assert_eq!(named(pairs.masks_left_out()), ["c: no segmentation", "d: no segmentation"]);
        assert_eq!(named(pairs.left_out()), ["x: no reference"]);
        assert!(pairs.warnings().is_empty());
        let subset = Subset::Cases(["b", "c", "z"].map(String::from).into());
        let pairs = Pairs::find(&p, &t, &subset).unwrap();
        assert_eq!(cases(&pairs.found), ["b"]);
        assert_eq!(named(pairs.left_out()), ["c: no segmentation", "z: no reference"]);
        assert_eq!(pairs.warnings(), ["2 segmentations outside the subset: a, x"]);
        let pairs = Pairs::find(&p, &t, &Subset::AllReferences).unwrap();
        assert_eq!(pairs.expected_missing, ["c", "d"]);
        // One file against a folder, and against a file of any name.
        assert_eq!(cases(&Pairs::find(&p.join("a.nii.gz"), &t, &Subset::Segmented).unwrap().found), ["a"]);
        let files = Pairs::find(&p.join("a.nii.gz"), &t.join("d.nii"), &Subset::Segmented).unwrap();
        assert_eq!(cases(&files.found), ["a"]);
    }

    #[test]
    fn cohorts_are_matched_by_patient() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["p/P1.nii.gz", "p/P2.nii.gz"]);
        touch(root, &["patients/P1/pet.nii.gz", "patients/P1/seg.nii.gz", "patients/P3/pet.nii.gz"]);
        touch(root, &["patients/P3/seg.nii.gz", "patients/P2/pet.nii.gz"]);
        let pairs = Pairs::find(&root.join("p"), &root.join("patients"), &Subset::Segmented).unwrap();
        assert_eq!(cases(&pairs.found), ["P1"]);
        assert!(pairs.found[0].reference[0].ends_with("P1/seg.nii.gz"));
        assert_eq!((pairs.other_missing, pairs.no_reference), (vec!["P3".into()], vec!["P2".into()]));
        touch(root, &["brats/P2_t1.nii.gz", "brats/P2_seg.nii.gz"]);
        let pairs = Pairs::find(&root.join("p"), &root.join("brats"), &Subset::Segmented).unwrap();
        assert!(pairs.found[0].reference[0].ends_with("P2_seg.nii.gz"));
        // As the viewer saves it next to the image.
        touch(root, &["brats/P2_t1_pred.nii.gz"]);
        let saved = root.join("brats/P2_t1_pred.nii.gz");
        let pairs = Pairs::find(&saved, &root.join("brats"), &Subset::Segmented).unwrap();
        assert_eq!((cases(&pairs.found), pairs.no_reference.len()), (vec!["P2"], 0));
        touch(root, &["brats/P2_ct.nii.gz", "saved/P2_ct_pred.nii.gz", "saved/P2_t1_pred.nii.gz"]);
        let pairs = Pairs::find(&root.join("saved"), &root.join("brats"), &Subset::Segmented).unwrap();
        assert_eq!((cases(&pairs.found), pairs.no_reference), (vec!["P2"], vec!["P2_t1_pred".to_owned()]));
    }

    #[test]
    fn inputs_that_cannot_be_matched_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["p/a.nii.gz", "p/b.nii.gz", "t/other.nii.gz", "two/a.nii", "two/a.nii.gz", "none/a.txt"]);
        let message =
            |p: &str, t: &str| Pairs::find(&root.join(p), &root.join(t), &Subset::Segmented).unwrap_err().to_string();
        let none = message("p", "t");
        assert!(none.contains("Segmentations: a, b"), "{none}");
        assert!(message("two", "t").contains("second mask"), "{}", message("two", "t"));
        assert!(message("none", "t").contains("no mask"));
        assert!(message("p", "t/other.nii.gz").contains("folder or a cohort"));
        assert!(message("absent", "t").contains("absent: cannot read"));
    }

    #[test]
    fn the_split_of_a_run_is_found_above_its_predictions() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, &["run/split.json", "run/segmentations/test/a.nii.gz", "run/1/2/3/a.nii.gz"]);
        for below in ["run", "run/segmentations", "run/segmentations/test", "run/segmentations/a.nii.gz"] {
            assert!(find_split(&root.join(below)).unwrap().ends_with("run/split.json"), "{below}");
        }
        let error = find_split(&root.join("run/1/2/3")).unwrap_err().to_string();
        assert!(error.contains("Give the split of the run"), "{error}");
    }
}
