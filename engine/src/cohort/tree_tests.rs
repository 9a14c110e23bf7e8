//! Public layouts in which one folder has many patients, or the files of one scan lie in several trees.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use super::test_files::{problems, summary, write};
use super::*;

/// Writes images of many values, and masks of mostly background for names with `*`. Returns the folder and its cohort.
fn cohort_of(names: &[&str]) -> (tempfile::TempDir, Cohort) {
    let folder = tempfile::tempdir().unwrap();
    let cohort = cohort_in(folder.path(), names);
    (folder, cohort)
}

fn cohort_in(root: &Path, names: &[&str]) -> Cohort {
    for name in names {
        write(root, name.trim_end_matches('*'), if name.ends_with('*') { 13 } else { 1 });
    }
    Cohort::discover(root).unwrap()
}

/// Scans with their modalities and masks, each after its patient.
fn with_patients(cohort: &Cohort) -> Vec<String> {
    cohort.cases.iter().zip(summary(cohort)).map(|(case, scan)| format!("{} | {scan}", case.patient)).collect()
}

/// Masks of UPENN-GBM were not found, and its DTI images became further patients.
#[test]
fn trees_of_the_same_patients_are_one_cohort() {
    let (folder, cohort) = cohort_of(&[
        "images_structural/UPENN-GBM-00001_11/UPENN-GBM-00001_11_FLAIR.nii",
        "images_structural/UPENN-GBM-00002_11/UPENN-GBM-00002_11_FLAIR.nii",
        "images_structural/UPENN-GBM-00002_21/UPENN-GBM-00002_21_FLAIR.nii",
        "images_DTI/images_DTI/UPENN-GBM-00002_11/UPENN-GBM-00002_11_DTI_FA.nii",
        "images_DSC/UPENN-GBM-00002_11/UPENN-GBM-00002_11_DSC_PH.nii",
        "images_segm/UPENN-GBM-00001_11_segm.nii*",
        "automated_segm/UPENN-GBM-00001_11_automated_approx_segm.nii*",
        "automated_segm/UPENN-GBM-00002_21_automated_approx_segm.nii*",
        "images_segm/UPENN-GBM-00009_11_segm.nii*",
    ]);
    assert_eq!(
        with_patients(&cohort),
        [
            "UPENN-GBM-00001 | UPENN-GBM-00001_11 flair+",
            "UPENN-GBM-00002 | UPENN-GBM-00002_11 dsc_ph,dti_fa,flair",
            "UPENN-GBM-00002 | UPENN-GBM-00002_21 flair+",
        ]
    );
    assert_eq!(cohort.cases[0].masks, [folder.path().join("images_segm/UPENN-GBM-00001_11_segm.nii")]);
    assert!(problems(&cohort).contains(&"skipped: no image matches this mask by name or folder"));

    // IXI has a folder for each modality.
    let (_folder, cohort) = cohort_of(&["IXI-T1/IXI002-Guys-0828-T1.nii", "IXI-T2/IXI002-Guys-0828-T2.nii"]);
    assert_eq!(summary(&cohort), ["IXI002-Guys-0828 t1,t2"]);
    // Files that are named alike are not of one patient.
    let (_folder, cohort) = cohort_of(&["P1/scan_t1.nii", "P2/scan_t2.nii"]);
    assert_eq!(summary(&cohort), ["P1 t1", "P2 t2"]);
    // The archive of ISLES 2015 has a folder for each image.
    let vsd = |patient: usize, name: &str| {
        format!("{patient}/VSD.Brain.XX.O.{name}.7{patient}/VSD.Brain.XX.O.{name}.7{patient}.nii")
    };
    let names: Vec<String> =
        [1, 2].iter().flat_map(|p| [vsd(*p, "MR_DWI"), vsd(*p, "MR_T1_reg"), vsd(*p, "OT") + "*"]).collect();
    let (_folder, cohort) = cohort_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(summary(&cohort), ["1 dwi,t1+", "2 dwi,t1+"]);
    // Folders of images and of masks with a folder for each patient, whatever their order.
    let (_folder, cohort) =
        cohort_of(&["images/P1/ct.nii", "images/P2/ct.nii", "annotations/P1/P1.nii*", "annotations/P2/x_ct.nii*"]);
    assert_eq!(summary(&cohort), ["P1 ct+", "P2 ct+"]);
    // The mask of another patient is not the mask of the only one.
    let (_folder, cohort) = cohort_of(&["images/P1_ct.nii", "masks/P2.nii*"]);
    assert_eq!(summary(&cohort), ["P1 ct"]);
    // Not every folder of this name has masks alone.
    let (_folder, cohort) = cohort_of(&["tumor_seg/P1/flair.nii", "control/P2/flair.nii"]);
    assert_eq!(summary(&cohort), ["P1 flair", "P2 flair"]);
}

/// The scans of LiTS, MosMed, COVID-19-CT-Seg and BTCV were one patient for each folder, so that no split was possible.
#[test]
fn numbered_scans_of_a_folder_are_patients() {
    let (_folder, lits) = cohort_of(&[
        "Training Batch 1/volume-0.nii",
        "Training Batch 1/segmentation-0.nii*",
        "Training Batch 1/volume-1.nii",
        "Training Batch 1/segmentation-1.nii*",
        "Training Batch 2/volume-28.nii",
        "Training Batch 2/segmentation-28.nii*",
        "Training Batch 2/volume-29.nii",
    ]);
    assert_eq!(summary(&lits), ["volume-0 image+", "volume-1 image+", "volume-28 image+", "volume-29 image"]);
    let (_folder, mosmed) = cohort_of(&[
        "studies/CT-0/study_0001.nii",
        "studies/CT-0/study_0002.nii",
        "studies/CT-1/study_0255.nii",
        "studies/CT-1/study_0256.nii",
        "masks/study_0255_mask.nii*",
    ]);
    assert_eq!(summary(&mosmed), ["study_0001 image", "study_0002 image", "study_0255 image+", "study_0256 image"]);
    let covid = ["coronacases_001", "coronacases_002", "radiopaedia_10_85902_1", "radiopaedia_7_85703_0"];
    let images = covid.map(|id| format!("COVID-19-CT-Seg_20cases/{id}.nii"));
    let masks = covid.map(|id| format!("Infection_Mask/{id}.nii*"));
    let names: Vec<&str> = images.iter().chain(&masks).map(String::as_str).collect();
    let (_folder, found) = cohort_of(&names);
    assert_eq!(summary(&found), covid.map(|id| format!("{id} image+")));
    let (folder, btcv) = cohort_of(&[
        "Training/img/img0001.nii",
        "Training/label/label0001.nii*",
        "Training/img/img0002.nii",
        "Training/label/label0002.nii*",
        "Testing/img/img0061.nii",
        "Testing/img/img0062.nii",
    ]);
    assert_eq!(summary(&btcv), ["img0001 image+", "img0002 image+", "img0061 image", "img0062 image"]);
    // The folder itself may be the cohort.
    let one = Cohort::discover(&folder.path().join("Testing/img")).unwrap();
    assert_eq!(summary(&one), ["img0061 image", "img0062 image"]);
    // Shifts has a folder for each modality, in a part of the cohort or in the cohort itself.
    for part in ["", "best/train/"] {
        let mut names = Vec::new();
        for id in ["1", "2"] {
            let own = [format!("flair/{id}_FLAIR_isovox.nii"), format!("t1/{id}_T1_isovox.nii")];
            let masks = [format!("gt/{id}_gt_isovox.nii*"), format!("fg_mask/{id}_isovox_fg_mask.nii*")];
            names.extend(own.into_iter().chain(masks).map(|name| format!("{part}{name}")));
        }
        let (_folder, shifts) = cohort_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(summary(&shifts), ["1_isovox flair,t1+", "2_isovox flair,t1+"], "{part}");
    }
    // Images and masks below a part of the cohort.
    let (_folder, parts) = cohort_of(&[
        "train/images/a.nii",
        "train/images/b.nii",
        "train/masks/a.nii*",
        "train/masks/b.nii*",
        "test/images/c.nii",
        "test/images/d.nii",
        "test/masks/c_mask.nii*",
        "test/masks/d_mask.nii*",
    ]);
    assert_eq!(summary(&parts), ["a image+", "b image+", "c image+", "d image+"]);
}

/// Masks of EMIDEC, ImageCAS, KiPA and CT-ORG were not found.
#[test]
fn masks_are_found_by_the_folders_and_endings_of_published_sets() {
    for (names, expected) in [
        (
            &["Case_N006/Images/Case_N006.nii", "Case_N006/Contours/Case_N006.nii*", "Case_P1/Images/Case_P1.nii"][..],
            ["Case_N006 image+", "Case_P1 image"],
        ),
        (&["1.img.nii", "1.label.nii*", "2.img.nii", "2.label.nii*"], ["1 image+", "2 image+"]),
        (
            &["train/image/a.nii", "train/label/a.nii*", "train/image/b.nii", "train/label/b.nii*"],
            ["a image+", "b image+"],
        ),
        (
            &["ORG/volume-0.nii", "ORG/labels-0.nii*", "ORG/volume-1.nii", "ORG/labels-1.nii*"],
            ["volume-0 image+", "volume-1 image+"],
        ),
    ] {
        let (_folder, cohort) = cohort_of(names);
        assert_eq!(summary(&cohort), expected);
    }
}

/// A patient in the training and the test set is worse than a split with fewer patients.
#[test]
fn numbered_scans_of_a_patient_are_one_patient() {
    for names in [
        // Names that patients share.
        &["A/scan1.nii", "A/scan2.nii", "B/scan1.nii", "B/scan3.nii"][..],
        &["A/volume-0.nii", "A/segmentation-0.nii*", "A/volume-1.nii", "A/segmentation-1.nii*", "B/volume-0.nii"],
        // A folder with a patient's name.
        &["P01/scan1.nii", "P01/scan2.nii", "P02/scan3.nii", "P02/scan4.nii"],
        &["Smith/scan1.nii", "Smith/scan2.nii", "Jones/scan3.nii", "Jones/scan4.nii"],
        // Dates and sessions.
        &["A/2019-03-04.nii", "A/2020-01-01.nii", "B/2019-05-06.nii", "B/2021-02-03.nii"],
        &["A/flair_time01.nii", "A/flair_time02.nii", "B/flair_time03.nii", "B/flair_time04.nii"],
        // Modalities.
        &["A/t1_1.nii", "A/t1_2.nii", "A/t2_1.nii", "A/t2_2.nii", "B/flair.nii"],
    ] {
        let (_folder, cohort) = cohort_of(names);
        assert_eq!(cohort.patients().len(), 2, "{:?}", with_patients(&cohort));
        assert_eq!(cohort.cases.len(), 2, "{:?}", with_patients(&cohort));
    }
    let many: Vec<String> = (0..13).map(|n| format!("C19/scan{n}.nii")).collect();
    let (_folder, cohort) = cohort_of(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(cohort.patients().len(), 13, "no patient has so many scans");
}

/// Scans of one patient were several patients, or the second patient was left out.
#[test]
fn folders_say_which_scans_are_of_one_patient() {
    for (names, expected) in [
        (
            &[
                "P01/flair_1.nii",
                "P01/flair_1_mask.nii*",
                "P01/flair_2.nii",
                "P01/flair_2_mask.nii*",
                "P02/flair_1.nii",
                "P02/flair_1_mask.nii*",
            ][..],
            &["P01 | P01_flair_1 image+", "P01 | P01_flair_2 image+", "P02 | P02_flair_1 image+"][..],
        ),
        // Files that name the session alone.
        (
            &["P01/2019_flair.nii", "P01/2020_flair.nii", "P02/2018_flair.nii"],
            &["P01 | P01_2019 flair", "P01 | P01_2020 flair", "P02 | P02_2018 flair"],
        ),
        (
            &["P01/visit1_flair.nii", "P01/visit2_flair.nii", "P02/baseline_flair.nii"],
            &["P01 | P01_visit1 flair", "P01 | P01_visit2 flair", "P02 | P02_baseline flair"],
        ),
        // RHUH-GBM, with more scans a patient than patients.
        (
            &["R-0001/0/R-0001_0_t1.nii", "R-0001/1/R-0001_1_t1.nii", "R-0001/2/R-0001_2_t1.nii"],
            &["R-0001 | R-0001_0 t1", "R-0001 | R-0001_1 t1", "R-0001 | R-0001_2 t1"],
        ),
        // ISBI 2015.
        (
            &[
                "training01/orig/training01_01_flair.nii",
                "training01/orig/training01_02_flair.nii",
                "training01/masks/training01_01_mask1.nii*",
            ],
            &["training01 | training01_01 flair+", "training01 | training01_02 flair"],
        ),
        // ADNI.
        (
            &[
                "002_S_0295/MPR1/2006-04-18_08_20/S1/A_002_S_0295_S1.nii",
                "002_S_0295/MPR1/2007-05-25_07_12/S2/A_002_S_0295_S2.nii",
                "003_S_0907/MPR1/2006-09-11_07_52/S3/A_003_S_0907_S3.nii",
            ],
            &["002_S_0295 |", "002_S_0295 |", "003_S_0907 |"],
        ),
        (&["P1/2019/s1/x.nii", "P1/2020/s1/x.nii", "P2/2019/s1/x.nii"], &["P1 |", "P1 |", "P2 |"]),
        // Sessions above the patients.
        (
            &["baseline/P1/ct.nii", "followup/P1/ct.nii", "baseline/P2/ct.nii"],
            &["P1 | P1_baseline ct", "P1 | P1_followup ct", "P2 | P2 ct"],
        ),
        (&["2019/P1/ct.nii", "2020/P2/ct.nii"], &["P1 | P1 ct", "P2 | P2 ct"]),
        (
            &["pre/P1/ct.nii", "post/P1/ct.nii", "pre/P2/ct.nii", "post/P2/ct.nii"],
            &["P1 | P1_post ct", "P1 | P1_pre ct", "P2 | P2_post ct", "P2 | P2_pre ct"],
        ),
        (
            &["week0/P1/ct.nii", "week12/P1/ct.nii", "week0/P2/ct.nii", "week12/P2/ct.nii"],
            &["P1 | P1_week0 ct", "P1 | P1_week12 ct", "P2 | P2_week0 ct", "P2 | P2_week12 ct"],
        ),
        // Patients, although their names have a date.
        (&["P01_20190304/dicom/ct.nii", "P02_20190506/dicom/ct.nii"], &["P01_20190304 |", "P02_20190506 |"]),
        (&["pre/P1/P1_flair.nii", "post/P1/P1_t1.nii"], &["P1 | P1_post t1", "P1 | P1_pre flair"]),
        // Only the images of one session are one scan.
        (
            &["baseline/IXI-T1/P1-T1.nii", "baseline/IXI-T2/P1-T2.nii", "followup/IXI-T1/P1-T1.nii"],
            &["P1 | P1_baseline t1,t2", "P1 | P1_followup t1"],
        ),
        (&["baseline/P1/P1_flair.nii", "followup/P1/P1_t1.nii"], &["P1 | P1_baseline flair", "P1 | P1_followup t1"]),
        // A session beside a scan of its patient.
        (
            &["P1/flair.nii", "P1/followup/flair.nii", "P1/followup/seg.nii*"],
            &["P1 | P1 flair", "P1 | P1_followup flair+"],
        ),
        (
            &["P1/ct.nii", "P1/baseline/flair.nii", "P1/followup/flair.nii", "P1/followup/seg.nii*"],
            &["P1 | P1 ct", "P1 | P1_baseline flair", "P1 | P1_followup flair+"],
        ),
        (
            &["P1/ct.nii", "P1/followup/res/flair.nii", "P1/followup/res/seg.nii*"],
            &["P1 | P1 ct", "P1 | P1_followup_res flair+"],
        ),
        // A mask of another session is of no scan.
        (&["P1/ct.nii", "P1/followup/seg.nii*", "P2/ct.nii"], &["P1 | P1 ct", "P2 | P2 ct"]),
        // Patients of two centres, as in MSSEG 2016.
        (
            &["Center_01/Patient_01/ct.nii", "Center_01/Patient_02/ct.nii", "Center_07/Patient_01/ct.nii"],
            &["Center_01_Patient_01 |", "Center_01_Patient_02 |", "Center_07_Patient_01 |"],
        ),
    ] {
        // The name of the temporary folder may have a number, as a patient's has.
        let folder = tempfile::tempdir().unwrap();
        let cohort = cohort_in(&folder.path().join("study"), names);
        let found = with_patients(&cohort);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        let is_expected = |(found, expected): (&String, &&str)| {
            if expected.ends_with('|') { found.starts_with(expected) } else { found == expected }
        };
        assert!(found.iter().zip(expected).all(is_expected), "{found:?}");
    }
}

/// Scans of one patient became patients of their own, or patients were joined.
#[test]
fn names_that_could_be_of_parts_of_a_cohort_are_of_patients() {
    let visits: Vec<String> = (0..13).map(|visit| format!("P01/visit{visit}_flair.nii")).collect();
    let visits: Vec<&str> = visits.iter().map(String::as_str).chain(["P02/baseline_flair.nii"]).collect();
    let numbered: Vec<String> = (1..14).map(|number| format!("MR{number:04}/flair.nii")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    for (names, patients) in [
        (
            &[
                "P01/volume-0.nii",
                "P01/segmentation-0.nii*",
                "P01/volume-1.nii",
                "P01/segmentation-1.nii*",
                "P02/volume-2.nii",
                "P02/segmentation-2.nii*",
            ][..],
            2,
        ),
        (&["P01/images/a.nii", "P01/images/b.nii", "P01/masks/a.nii*", "P01/masks/b.nii*", "P02/images/c.nii"], 2),
        (&["PT_01/scan1.nii", "PT_01/scan2.nii", "PT_02/scan3.nii", "PT_02/scan4.nii"], 2),
        (&["PT_01/scan_t1.nii", "PT_02/scan_t2.nii"], 2),
        (
            &[
                "PT_01/flair_1.nii",
                "PT_01/flair_1_mask.nii*",
                "PT_01/flair_2.nii",
                "PT_01/flair_2_mask.nii*",
                "PT_02/flair_1.nii",
                "PT_02/flair_1_mask.nii*",
            ],
            2,
        ),
        (&visits, 2),
        (&numbered, 13),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data2024");
        let cohort = cohort_in(&root, names);
        assert_eq!(cohort.patients().len(), patients, "{:?}", with_patients(&cohort));
        assert!(cohort.left_out.is_empty(), "{:?}", cohort.left_out);
    }
}

/// Masks that are named after a scan's files or folder were left out, or made the images a folder of results.
#[test]
fn masks_in_another_tree_are_found_by_the_name_of_the_patient() {
    for (names, expected) in [
        (
            &[
                "ct/PT_001.nii",
                "pet/PT_001.nii",
                "masks/PT_001.nii*",
                "ct/PT_002.nii",
                "pet/PT_002.nii",
                "masks/PT_002.nii*",
            ][..],
            ["PT_001 ct,pet+", "PT_002 ct,pet+"],
        ),
        // Of these, the word is a modality, and the mask has the name of one of the images.
        (
            &[
                "flair/1_FLAIR_isovox.nii",
                "t1/1_T1_isovox.nii",
                "gt/1_FLAIR_isovox.nii*",
                "flair/2_FLAIR_isovox.nii",
                "t1/2_T1_isovox.nii",
                "gt/2_FLAIR_isovox.nii*",
            ],
            ["1_isovox flair,t1+", "2_isovox flair,t1+"],
        ),
        (
            &["CT_scans/P01.nii", "CT_scans/P02.nii", "labels/P01/seg.nii*", "labels/P02/seg.nii*"],
            ["P01 image+", "P02 image+"],
        ),
        // A mask of another session is of no scan.
        (
            &["CT_scans/P01.nii", "CT_scans/P02.nii", "labels/P01/followup/seg.nii*", "labels/P02/seg.nii*"],
            ["P01 image", "P02 image+"],
        ),
    ] {
        let (_folder, cohort) = cohort_of(names);
        assert_eq!(summary(&cohort), expected, "{:?}", problems(&cohort));
    }
}

/// The results of LUMIERE, in subfolders of each scan, became a patient, and its masks were not found.
#[test]
fn results_in_a_subfolder_of_a_scan_are_not_a_patient() {
    let mut names = Vec::new();
    for week in ["week-000", "week-044"] {
        for name in ["CT1.nii", "HD-GLIO/registered/CT1_reg.nii", "HD-GLIO/registered/segmentation.nii*"] {
            names.push(format!("Imaging/Patient-001/{week}/{name}"));
        }
        names.push(format!("Imaging/Patient-001/{week}/Deep/atlas/skull_strip/flair.nii"));
    }
    let (folder, cohort) = cohort_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let expected = ["week-000", "week-044"].map(|week| format!("Patient-001 | Patient-001_{week} ct1+"));
    assert_eq!(with_patients(&cohort), expected);
    let mask = "Imaging/Patient-001/week-044/HD-GLIO/registered/segmentation.nii";
    assert_eq!(cohort.cases[1].masks, [folder.path().join(mask)]);
    assert_eq!(problems(&cohort).iter().filter(|what| what.starts_with("not used: scans in a subfolder")).count(), 4);
    // A stray scan above many patients is not their patient.
    for names in [
        &["site/atlas.nii", "site/a/ct.nii", "site/b/ct.nii", "site/c/ct.nii"][..],
        &["A/atlas.nii", "A/P1/ct.nii", "B/atlas.nii", "B/P2/ct.nii"],
    ] {
        let (_folder, cohort) = cohort_of(names);
        assert_eq!(cohort.cases.len(), 4, "{:?}", with_patients(&cohort));
    }
}

/// Masks saved beside the patients' folders became a patient, whose images were the masks of all others.
#[test]
fn results_named_after_patients_are_not_a_patient() {
    let (folder, cohort) = cohort_of(&["out/p1.nii*", "out/p2.nii*", "p1/flair.nii", "p2/flair.nii", "p2/seg.nii*"]);
    assert_eq!(summary(&cohort), ["p1 flair", "p2 flair+"]);
    let note = cohort.problems.iter().find(|problem| problem.what.starts_with("not used: its files are named like"));
    assert_eq!(note.unwrap().file, Some(folder.path().join("out").display().to_string()));
}

/// One patient's mask with a negative value made all masks of the cohort images.
#[test]
fn a_mask_with_a_negative_value_is_refused_as_a_mask() {
    use crate::volume::{Scale, Volume, VoxelData, nifti::write_volume};
    let folder = tempfile::tempdir().unwrap();
    for id in ["P1", "P2"] {
        write(folder.path(), &format!("{id}/{id}_t1c.nii"), 1);
        write(folder.path(), &format!("{id}/{id}_tumor_mask.nii"), 13);
    }
    let grid = super::test_files::grid([4, 3, 2]);
    let values = (0..grid.len()).map(|at| if at == 5 { -1 } else { i16::from(at > 20) }).collect();
    let path = folder.path().join("P1/P1_tumor_mask.nii");
    write_volume(&path, &Volume::new(grid, VoxelData::I16(values), Scale::IDENTITY)).unwrap();
    let cohort = Cohort::discover(folder.path()).unwrap();
    assert_eq!(summary(&cohort), ["P1 t1ce+", "P2 t1ce+"]);
    let found = fingerprint(&cohort, None).unwrap();
    let [left] = &*found.masks_left_out else { panic!("{:?}", found.masks_left_out) };
    assert!(left.case == "P1" && left.why.contains("is -1") && left.why.contains("replace them with 0"), "{left:?}");
    assert_eq!(found.labelled, 1);
}

/// The reference of KiTS 2021 was the union of the intersection, the majority and the union of its raters.
#[test]
fn the_majority_of_raters_is_the_reference() {
    let masks = ["AND", "MAJ", "OR"].map(|name| format!("case_0/aggregated_{name}_seg.nii*"));
    let (_folder, cohort) = cohort_of(&["case_0/imaging.nii", &masks[0], &masks[1], &masks[2]]);
    assert_eq!(summary(&cohort), ["case_0 imaging+"]);
    assert!(cohort.cases[0].masks[0].ends_with("aggregated_MAJ_seg.nii"), "{:?}", cohort.cases[0].masks);
}

/// The automatic mask of TCGA-LGG was the reference, and the corrected one a segmentation.
#[test]
fn a_corrected_mask_is_the_reference() {
    let (_folder, cohort) = cohort_of(&[
        "TCGA-CS-4941/TCGA-CS-4941_2000.09.19_flair.nii",
        "TCGA-CS-4941/TCGA-CS-4941_2000.09.19_GlistrBoost.nii*",
        "TCGA-CS-4941/TCGA-CS-4941_2000.09.19_GlistrBoost_ManuallyCorrected.nii*",
    ]);
    assert_eq!(with_patients(&cohort), ["TCGA-CS-4941 | TCGA-CS-4941_2000.09.19 flair+"]);
    let mask = cohort.cases[0].masks[0].display().to_string();
    assert!(mask.ends_with("ManuallyCorrected.nii"), "{mask}");
}

/// `ground_truth_expert1` made `ground` the id of a scan, so that no scan of MSSEG-2 was found.
#[test]
fn masks_alone_do_not_name_a_scan() {
    let (_folder, cohort) = cohort_of(&[
        "013/flair_time01_on_middle_space.nii",
        "013/flair_time02_on_middle_space.nii",
        "013/brain_mask.nii*",
        "013/ground_truth.nii*",
        "013/ground_truth_expert1.nii*",
    ]);
    assert_eq!(cohort.cases.len(), 1);
    assert_eq!(cohort.cases[0].images.len(), 2, "{:?}", with_patients(&cohort));
    let [mask] = &*cohort.cases[0].masks else { panic!("{:?}", cohort.cases[0].masks) };
    assert!(mask.ends_with("ground_truth.nii"), "not the union with those of its raters: {mask:?}");
}

/// The liver and the tumour of LiTS were called core and oedema.
#[test]
fn labels_of_unknown_modalities_have_no_meaning_by_guess() {
    let folder = tempfile::tempdir().unwrap();
    let meaning = |image: &str| {
        write(folder.path(), &format!("{image}/P1/{image}.nii"), 1);
        write(folder.path(), &format!("{image}/P1/seg.nii"), 10);
        let cohort = Cohort::discover(&folder.path().join(image)).unwrap();
        fingerprint(&cohort, None).unwrap().label_meaning
    };
    for other in ["imaging", "ct", "suv", "ctres"] {
        assert_eq!(meaning(other), None, "{other}");
    }
    assert!(meaning("flair").is_some_and(|meaning| meaning.contains("a guess")));
}
