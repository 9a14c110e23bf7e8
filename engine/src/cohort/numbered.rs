//! Tells a folder of many patients from the folder of one by its file names.
//!
//! Files of one pattern (`study_0001`, `study_0002`) are patients, except where they may be scans of one patient: then the
//! folder stays one patient, because a patient in two parts of a split is worse than a split with fewer patients.

use std::collections::{BTreeMap, BTreeSet};

use super::folder_names::{may_name_patient, names_part};
use super::names::{is_known_name, modality_word};
use super::nnunet::numbered_channels;
use super::session::{MAX_SCANS, names_session, names_year};

/// True if names are of one or several patterns, each with at least two numbers, and no number counts channels, modalities or
/// sessions.
pub(super) fn are_numbered(stems: &BTreeSet<&str>) -> bool {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for stem in stems {
        *counts.entry(pattern(stem)).or_default() += 1;
    }
    let is_counted = |(pattern, count): (&String, &usize)| pattern.contains('#') && *count > 1;
    let modalities: BTreeSet<Option<String>> = stems.iter().map(|stem| modality_word(stem)).collect();
    counts.iter().all(is_counted)
        && modalities.len() == 1
        && !stems.iter().any(|stem| is_known_name(stem) || names_session(stem))
        && !stems.iter().all(|stem| names_year(stem))
        && numbered_channels(stems.iter().copied()).is_none()
}

/// True if a folder with these numbered images is not one patient's: it is named as a part of a cohort, it has too many, or it
/// is the only folder and not named like a patient.
pub(super) fn is_of_many(folder: &str, images: usize, is_only: bool) -> bool {
    names_part(folder) || images > MAX_SCANS || (is_only && !may_name_patient(folder))
}

/// A name with `#` for each of its numbers.
fn pattern(stem: &str) -> String {
    let mut pattern = String::with_capacity(stem.len());
    for letter in stem.chars() {
        if !letter.is_ascii_digit() {
            pattern.push(letter);
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_their_numbers_are_patients() {
        let are = |stems: &[&str]| are_numbered(&stems.iter().copied().collect());
        for patients in [
            &["volume-0", "volume-1", "volume-10"][..],
            &["study_0001", "study_0255"],
            &["coronacases_001", "coronacases_002", "radiopaedia_10_85902_1", "radiopaedia_7_85703_0"],
            &["001", "002"],
            &["ct_1", "ct_2"],
            &["case_0007", "case_2001"],
        ] {
            assert!(are(patients), "{patients:?}");
        }
        for scans in [
            &["volume-0"][..],
            &["flair", "dwi"],
            &["flair_1", "flair_2", "t1_1", "t1_2"],
            &["t1", "t2"],
            &["a_t1_reg", "a_t2_reg"],
            &["echo1", "echo2"],
            &["scan_2019", "scan_2021"],
            &["flair_time01", "flair_time02"],
            &["2019-03-04", "2020-01-01"],
            &["A_0000", "A_0001", "B_0000", "B_0001"],
            &["study_0001", "study_0002", "localizer"],
            &[],
        ] {
            assert!(!are(scans), "{scans:?}");
        }
    }

    #[test]
    fn a_folder_named_like_a_patient_has_few_scans() {
        for part in ["Training Batch 1", "CT-0", "COVID-19-CT-Seg_20cases", "all", "test2"] {
            assert!(is_of_many(part, 2, false), "{part}");
        }
        for patient in ["P01", "001", "TCGA-02-0006", "sub-1", "Patient_7"] {
            assert!(!is_of_many(patient, 12, true) && is_of_many(patient, 13, false), "{patient}");
        }
        assert!(is_of_many("MosMed", 2, true) && !is_of_many("Smith", 2, false), "one of several may be a patient");
    }
}
