//! Says from a folder's name what it has: scans, masks, one modality, a patient, or a part of a cohort.

use super::names::{canonical_modality, has_digit, is_modality_suffix, is_modality_word, is_plain_mask_word, words};

/// Last words of a folder of masks whose name says more: `images_segm`, `Infection_Mask`.
const MASK_FOLDER_WORDS: [&str; 18] = [
    "seg",
    "segm",
    "segs",
    "segmentation",
    "segmentations",
    "mask",
    "masks",
    "label",
    "labels",
    "roi",
    "rois",
    "annotation",
    "annotations",
    "contours",
    "delineations",
    "gt",
    "truth",
    "groundtruth",
];

/// Words for the images of a cohort.
const IMAGES_WORDS: [&str; 6] = ["images", "scans", "nifti", "volumes", "data", "studies"];

/// Words for a part of a cohort, with or without a number: no patient's folder is named `Training Batch 1`.
const PART_WORDS: [&str; 24] = [
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "batch",
    "fold",
    "part",
    "group",
    "subset",
    "dataset",
    "cohort",
    "grade",
    "cases",
    "patients",
    "subjects",
    "all",
    "controls",
    "healthy",
    "normal",
    "hgg",
    "lgg",
];

/// Content of a patient's subfolder, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FolderRole {
    /// Scans of the patient; the folder name is not part of their names.
    Scans,
    /// Scans of this modality.
    Modality(String),
    /// Masks.
    Masks,
}

/// The role of a subfolder; `None` for a patient's folder.
pub(super) fn folder_role(name: &str) -> Option<FolderRole> {
    let name = name.to_lowercase();
    match name.as_str() {
        "anat" | "func" | "perf" | "nifti" | "nii" | "images" | "scans" | "raw" | "volumes" | "img" | "imgs"
        | "data" | "orig" | "original" | "raw_data" => Some(FolderRole::Scans),
        _ if is_processed_folder(&name) && name != "pre" => Some(FolderRole::Scans),
        _ if is_modality_suffix(&name) => Some(FolderRole::Modality(canonical_modality(&name))),
        _ if name.starts_with("vsd.") || name.starts_with("smir.") => archive_role(&name),
        _ => (is_plain_mask_word(&name) || is_named_for_masks(&name)).then_some(FolderRole::Masks),
    }
}

/// The role of a folder of the SMIR archive, which has one image: `VSD.Brain.XX.O.MR_DWI_reg.70010`, or `...O.OT.71001` for the
/// mask (ISLES 2015 to 2018).
fn archive_role(name: &str) -> Option<FolderRole> {
    let mut parts = name.split('.').skip_while(|part| *part != "o").skip(1);
    let part = parts.next()?;
    let part = part.strip_suffix("_reg").unwrap_or(part);
    let image = part.strip_prefix("mr_").or_else(|| part.strip_prefix("ct_")).unwrap_or(part);
    Some(if part == "ot" { FolderRole::Masks } else { FolderRole::Modality(canonical_modality(image)) })
}

/// True for a folder whose last word names masks, without a number. `Images_and_Segmentations` has both.
pub(super) fn is_named_for_masks(folder: &str) -> bool {
    let words = words(folder);
    let has_both = words.windows(2).any(|pair| IMAGES_WORDS.contains(&&*pair[0]) && pair[1] == "and");
    words.last().is_some_and(|last| MASK_FOLDER_WORDS.contains(&&**last)) && !has_digit(folder) && !has_both
}

/// True if a folder may be named after a patient: it has a number, and no word for a part of a cohort.
pub(super) fn may_name_patient(folder: &str) -> bool {
    has_digit(folder) && !names_part(folder)
}

/// True if a folder's name has a word for a modality.
pub(super) fn names_modality(folder: &str) -> bool {
    words(folder).iter().any(|word| is_modality_word(word))
}

/// True if a folder's name has a word for a part of a cohort, or for its images.
pub(super) fn names_part(folder: &str) -> bool {
    words(folder).iter().any(|word| {
        let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
        PART_WORDS.contains(&plain) || IMAGES_WORDS.contains(&plain) || is_modality_word(word)
    })
}

/// True for a name that begins with the word for a patient: `Patient_01`, `sub-3`.
pub(super) fn is_named_patient(folder: &str) -> bool {
    let name = folder.to_lowercase();
    let words = ["patient", "pat", "subject", "subj", "sub", "case"];
    let rest = |word: &&str| name.strip_prefix(*word).map(|rest| rest.trim_start_matches(['_', '-', ' ']));
    words.iter().filter_map(rest).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// True for a folder of processed scans, which come before the acquired ones in `orig` or `raw_data`: masks are on their grid.
pub(super) fn is_processed_folder(name: &str) -> bool {
    ["pre", "preprocessed", "preprocessed_data", "processed"].contains(&name.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_known_by_their_names() {
        let modality = |name: &str| Some(FolderRole::Modality(name.to_owned()));
        for (name, role) in [
            ("anat", Some(FolderRole::Scans)),
            ("PET", modality("pet")),
            ("masks", Some(FolderRole::Masks)),
            ("images_segm", Some(FolderRole::Masks)),
            ("Lung_and_Infection_Mask", Some(FolderRole::Masks)),
            ("VSD.Brain.XX.O.MR_DWI_reg.70010", modality("dwi")),
            ("SMIR.Brain.XX.O.CT_Tmax.345585", modality("tmax")),
            ("VSD.Brain.XX.O.OT.71001", Some(FolderRole::Masks)),
            ("NIfTI_and_Segmentations", None),
            ("COVID-19-CT-Seg_20cases", None),
            ("lesion_07_seg", None),
            ("P01", None),
        ] {
            assert_eq!(folder_role(name), role, "{name}");
        }
    }

    #[test]
    fn a_folder_with_a_number_may_be_a_patient() {
        for patient in ["P01", "001", "TCGA-02-0006", "UPENN-GBM-00001_11", "C19", "PT_01", "PD-001"] {
            assert!(may_name_patient(patient), "{patient}");
        }
        for part in ["Training Batch 1", "CT-0", "COVID-19-CT-Seg_20cases", "IXI-T1", "images", "fold2"] {
            assert!(!may_name_patient(part), "{part}");
        }
        assert!(["Patient_01", "sub-3", "case7"].iter().all(|name| is_named_patient(name)));
        assert!(!["first", "Center_01", "patients"].iter().any(|name| is_named_patient(name)));
    }
}
