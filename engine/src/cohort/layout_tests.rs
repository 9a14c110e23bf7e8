//! Layouts found in practice: sessions, unusual mask names, extra masks, ids with numbers.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests, also of exact values")]

use super::test_files::{grid, problems, summary, touch, write, write_on};
use super::*;
use crate::volume::nifti::write_volume;
use crate::volume::{Scale, Volume, VoxelData};

/// Patients by scan.
fn patients(cohort: &Cohort) -> Vec<(&str, &str)> {
    cohort.cases.iter().map(|case| (case.id.as_str(), case.patient.as_str())).collect()
}

/// Writes an image of many values or a mask of mostly background.
fn cohort_with(images: &[&str], masks: &[&str]) -> (tempfile::TempDir, Cohort) {
    let folder = tempfile::tempdir().unwrap();
    images.iter().for_each(|name| write(folder.path(), name, 1));
    masks.iter().for_each(|name| write(folder.path(), name, 13));
    let cohort = Cohort::discover(folder.path()).unwrap();
    (folder, cohort)
}

#[test]
fn time_points_and_sessions_belong_to_their_patient() {
    let images =
        ["a/BraTS-GLI-00002-100-t1n.nii.gz", "b/BraTS-GLI-00002-101-t1n.nii.gz", "c/BraTS-GLI-00003-100-t1n.nii.gz"];
    let (_folder, cohort) = cohort_with(&images, &[]);
    assert_eq!(cohort.patients().into_iter().collect::<Vec<_>>(), ["BraTS-GLI-00002", "BraTS-GLI-00003"]);
    assert_eq!(cohort.scans_of("BraTS-GLI-00002").count(), 2);
    assert_eq!(cohort.scans_of("BraTS-GLI-00002-101").count(), 1, "a split may name a scan");

    let sessions = ["sub-1/ses-1/flair.nii.gz", "sub-1/ses-2/flair.nii.gz", "sub-2/ses-1/flair.nii.gz"];
    let masks = sessions.map(|name| name.replace("flair", "seg"));
    let (_folder, cohort) = cohort_with(&sessions, &masks.each_ref().map(String::as_str));
    assert_eq!(patients(&cohort), [("sub-1_ses-1", "sub-1"), ("sub-1_ses-2", "sub-1"), ("sub-2_ses-1", "sub-2")]);
    assert_eq!(summary(&cohort)[1], "sub-1_ses-2 flair+");
    assert!(cohort.problems.is_empty() && cohort.left_out.is_empty(), "{:?}", cohort.problems);

    // Folders that no word names as sessions, but that every patient has.
    let (_folder, cohort) = cohort_with(&["P1/first/ct.nii", "P1/second/ct.nii", "P2/first/ct.nii"], &[]);
    assert_eq!(patients(&cohort), [("P1_first", "P1"), ("P1_second", "P1"), ("P2_first", "P2")]);
    // Sites with patients of the same numbers.
    let sites = ["a/001/ct.nii", "a/002/ct.nii", "a/003/ct.nii", "b/001/ct.nii", "b/002/ct.nii", "b/003/ct.nii"];
    let (_folder, cohort) = cohort_with(&sites, &[]);
    assert_eq!(cohort.patients().len(), 6, "{:?}", patients(&cohort));
    // Years below the patient, with the patient's name in the files.
    let (_folder, cohort) = cohort_with(&["P1/2019/P1_t1.nii", "P1/2020/P1_t1.nii", "P2/2019/P2_t1.nii"], &[]);
    assert_eq!(patients(&cohort), [("P1_2019", "P1"), ("P1_2020", "P1"), ("P2_2019", "P2")]);
}

#[test]
fn bids_names_give_patient_and_session_in_any_folder() {
    let images = ["sub-1/ses-1/anat/sub-1_ses-1_T1w.nii.gz", "sub-1/ses-2/anat/sub-1_ses-2_T1w.nii.gz"];
    let masks = [
        "sub-1/ses-1/anat/sub-1_ses-1_T1w_label-lesion_roi.nii.gz",
        "derivatives/labels/sub-1/ses-2/anat/sub-1_ses-2_label-lesion_mask.nii.gz",
        "derivatives/labels/sub-1/ses-2/anat/sub-1_ses-2_desc-brain_mask.nii.gz",
    ];
    let (_folder, cohort) = cohort_with(&images, &masks);
    assert_eq!(cohort.layout, Layout::Bids);
    assert_eq!(summary(&cohort), ["sub-1_ses-1 t1+", "sub-1_ses-2 t1+"]);
    assert_eq!(cohort.patients().len(), 1);
    assert_eq!(cohort.modality("T1w").unwrap(), "t1");
}

#[test]
fn files_with_unusual_names_are_masks_if_their_values_are() {
    for (images, masks, expected) in [
        (&["p/ct.nii"][..], &["p/ct_mask.nii"][..], "p ct+"),
        (&["P1/P1.nii"], &["P1/GT.nii"], "P1 image+"),
        (&["p_ct.nii"], &["p_mask.nii"], "p ct+"),
        (&["p/X_t2.nii"], &["p/X-Finding1-t2_tra_ROI.nii", "p/X-Finding2-t2_tra_ROI.nii"], "X t2++"),
        (&["p/flair.nii"], &["p/lesion_rater1.nii", "p/lesion_rater2.nii"], "p flair++"),
        (&["p/flair.nii"], &["p/consensus.nii"], "p flair+"),
        (&["p/t1.nii"], &["p/seg.nii", "p/brain_mask.nii"], "p t1+"),
        (&["p/t1.nii"], &["p/brain_mask.nii"], "p t1"),
        (&["p/CT/scan.nii", "p/PET/scan.nii"], &["p/mask/scan.nii"], "p ct,pet+"),
        (&["images/p.nii"], &["labels/p.nii"], "p image+"),
        // HECKTOR 2025 names the mask after the patient.
        (&["Task 1/C-1/C-1__CT.nii", "Task 1/C-1/C-1__PT.nii"], &["Task 1/C-1/C-1.nii"], "C-1 ct,pt+"),
    ] {
        let (_folder, cohort) = cohort_with(images, masks);
        assert_eq!(summary(&cohort), [expected], "{images:?} {masks:?}");
    }
    let (_folder, cohort) = cohort_with(&["p/ct.nii"], &["p/roi1.nii", "p/roi2.nii"]);
    assert!(problems(&cohort).contains(&"the mask is the union of 2 files: roi1, roi2"), "{:?}", problems(&cohort));
}

#[test]
fn a_label_name_pattern_selects_the_masks() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "p/ct.nii", 1);
    for name in ["p/seg.nii", "p/ct_annotation.nii", "p/segmentations/liver.nii", "p/segmentations/spleen.nii"] {
        write(folder.path(), name, 13);
    }
    let masks = |pattern: &str| {
        let options = DiscoverOptions { label_name: Some(pattern.parse().unwrap()), ..DiscoverOptions::default() };
        let cohort = Cohort::discover_with(folder.path(), &options).unwrap();
        assert_eq!(cohort.cases.len(), 1);
        cohort.cases[0]
            .masks
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(masks("annotation"), ["ct_annotation.nii"]);
    assert_eq!(masks("segmentations/liver"), ["liver.nii"]);
    assert_eq!(masks("seg"), ["seg.nii"]);
    assert_eq!(masks("segmentations/*"), ["liver.nii", "spleen.nii"], "all that match are joined");
}

#[test]
fn subfolders_of_further_masks_are_not_patients() {
    for folder in ["instances", "segmentations", "organs"] {
        let further =
            ["case_0/X/a-1.nii", "case_0/X/b-2.nii", "case_1/X/a-1.nii"].map(|name| name.replace('X', folder));
        let mut masks = vec!["case_0/segmentation.nii", "case_1/segmentation.nii"];
        masks.extend(further.each_ref().map(String::as_str));
        let (_folder, cohort) = cohort_with(&["case_0/imaging.nii", "case_1/imaging.nii"], &masks);
        assert_eq!(summary(&cohort), ["case_0 imaging+", "case_1 imaging+"], "{folder}");
        assert_eq!(cohort.problems.len(), 2, "one message per folder: {:?}", cohort.problems);
    }
}

#[test]
fn saved_segmentations_are_not_images() {
    let (folder, cohort) = cohort_with(
        &["p1/flair.nii.gz", "p2/flair.nii.gz", "q_t1.nii.gz"],
        &["p1/seg.nii.gz", "p1/flair_pred.nii.gz", "p2/flair_pred_2.nii.gz", "q_t1_pred.nii.gz"],
    );
    assert_eq!(summary(&cohort), ["p1 flair+", "p2 flair", "q t1"]);
    let segmentation = |id: &str| cohort.case(id).unwrap().segmentation.clone().unwrap();
    assert_eq!(segmentation("p1"), folder.path().join("p1/flair_pred.nii.gz"));
    assert_eq!(segmentation("q"), folder.path().join("q_t1_pred.nii.gz"));
    assert!(!problems(&cohort).contains(&"missing modality flair_pred"));
}

#[test]
fn masks_distinguish_ids_ending_in_four_digits_from_channels() {
    let names = |folder: &str| [0, 1, 2].map(|n| format!("{folder}/vert_{n:04}.nii.gz"));
    let (images, masks) = (names("imagesTr"), names("labelsTr"));
    let text = |names: &'_ [String; 3]| -> Vec<String> { names.to_vec() };
    let make = |masks: &[String]| {
        let folder = tempfile::tempdir().unwrap();
        text(&images).iter().chain(masks).for_each(|name| write(folder.path(), name, 1));
        write(folder.path(), "imagesTs/vert_0009.nii.gz", 1);
        std::fs::write(folder.path().join("dataset.json"), r#"{"modality": {"0": "CT"}}"#).unwrap();
        folder
    };
    let folder = make(&masks);
    let cohort = Cohort::discover(folder.path()).unwrap();
    assert_eq!(summary(&cohort), ["vert_0000 ct+", "vert_0001 ct+", "vert_0002 ct+", "vert_0009 ct"]);
    // Without masks, ids and channels cannot be distinguished, so numbers that are not channels are refused.
    let error = Cohort::discover(make(&[]).path()).unwrap_err().to_string();
    assert!(error.contains("vert_0001") && error.contains("0 (ct)") && error.contains("labelsTr"), "{error}");
}

#[test]
fn dataset_json_makes_the_frames_of_a_4d_file_channels() {
    let folder = tempfile::tempdir().unwrap();
    let grid = grid([4, 3, 2]);
    for name in ["imagesTr/B_1.nii.gz", "P1/mri.nii.gz"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let data = VoxelData::U8((0..2 * grid.len()).map(|v| v as u8).collect());
        write_volume(&path, &Volume::new(grid.clone(), data, Scale::IDENTITY)).unwrap();
    }
    std::fs::write(folder.path().join("dataset.json"), r#"{"modality": {"0": "FLAIR", "1": "T1w"}}"#).unwrap();
    let cohort = Cohort::discover(folder.path()).unwrap();
    let image = &cohort.cases[0].images["t1w"];
    assert_eq!((image.frame, image.read().unwrap().value([0, 0, 0])), (Some(1), 24.0));
    assert_eq!(cohort.cases[0].image_paths().len(), 1, "one file");

    let single = folder.path().join("P1");
    let error = Cohort::discover(&single).unwrap().cases[0].images["mri"].read().unwrap_err().to_string();
    assert!(error.contains("mri.nii.gz: frames is 2") && error.contains("frames (0 to 1)"), "{error}");
    let options = DiscoverOptions { frame: Some(1), ..DiscoverOptions::default() };
    let cohort = Cohort::discover_with(&single, &options).unwrap();
    assert_eq!(cohort.cases[0].images["mri"].read().unwrap().value([0, 0, 0]), 24.0);
}

#[test]
fn a_cohort_is_recognised_by_content() {
    let names = ["p1/ct.nii", "p2/ct.nii.gz"];
    let (_here, first) = cohort_with(&names, &[]);
    let (there, moved) = cohort_with(&["p1/ct.nii.gz", "p2/ct.nii", "p3/ct.nii"], &[]);
    let ct = ["ct".to_owned()];
    let (first, moved) = (CohortIdentity::of(&first, &ct), CohortIdentity::of(&moved, &ct));
    assert!(first.is_within(&moved) && !moved.is_within(&first) && moved.is_mostly(&first));
    write_on(&grid([5, 3, 2]), there.path(), "p1/ct.nii.gz", 1);
    let changed = CohortIdentity::of(&Cohort::discover(there.path()).unwrap(), &ct);
    assert!(!first.is_within(&changed));
    assert_eq!(first.shared(&changed), 1);
}

/// The image and the mask of two patients were joined to one scan, because `T1` and `T2` were taken for modalities.
#[test]
fn a_patient_may_be_named_like_a_modality() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for id in ["T0", "T1", "T2"] {
        write(root, &format!("{id}/flair.nii.gz"), 1);
        write(root, &format!("{id}/seg.nii.gz"), 10);
    }
    let cohort = Cohort::discover(root).unwrap();
    assert_eq!(summary(&cohort), ["T0 flair+", "T1 flair+", "T2 flair+"]);
    assert!(cohort.problems.is_empty(), "{:?}", cohort.problems);
    // Folders of modalities still hold one patient each.
    let folder = tempfile::tempdir().unwrap();
    for name in ["p1/t1/image.nii.gz", "p1/t2/image.nii.gz", "p2/t1/T1.nii.gz", "p2/t2/T2.nii.gz"] {
        write(folder.path(), name, 1);
    }
    assert_eq!(summary(&Cohort::discover(folder.path()).unwrap()), ["p1 t1,t2", "p2 t1,t2"]);
    assert_eq!(summary(&Cohort::discover(&folder.path().join("p1")).unwrap()), ["p1 t1,t2"]);
}

/// A folder of images was listed without its dataset, so that every channel became a scan.
#[test]
fn a_folder_of_images_is_read_with_its_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["imagesTr/A_0000.nii", "imagesTr/A_0001.nii", "imagesTs/B_0000.nii", "imagesTs/B_0001.nii"] {
        write(root, name, 1);
    }
    write(root, "labelsTr/A.nii", 10);
    std::fs::write(root.join("dataset.json"), r#"{"channel_names": {"0": "FLAIR", "1": "T1"}}"#).unwrap();
    let part = |name: &str| Cohort::discover(&root.join(name)).unwrap();
    assert_eq!(summary(&part("imagesTr")), ["A flair,t1+"]);
    assert_eq!((summary(&part("imagesTs")), part("imagesTs").cases[0].held_out), (vec!["B flair,t1".into()], true));
    let count = |stems: &[&str]| nnunet::numbered_channels(stems.iter().copied());
    assert_eq!(count(&["A_0000", "A_0001", "B_0000", "B_0001"]), Some(2));
    for ids in [&["A_0000", "B_0000"][..], &["v_0000", "v_0001"], &["A_0001", "A_0002", "B_0001", "B_0002"], &["A"]] {
        assert_eq!(count(ids), None, "{ids:?}");
    }
}

/// `derivatives` is listed before `sub-01`, so a preprocessed image replaced the scan.
#[test]
fn the_raw_scan_comes_before_its_derivatives() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let raw = "sub-01/anat/sub-01_FLAIR.nii.gz";
    let derived = "derivatives/preproc/sub-01/anat/sub-01_desc-preproc_FLAIR.nii.gz";
    for name in [raw, derived] {
        write(root, name, 1);
    }
    write(root, "derivatives/lesions/sub-01/anat/sub-01_dseg.nii.gz", 10);
    let cohort = Cohort::discover(root).unwrap();
    assert_eq!(summary(&cohort), ["sub-01 flair+"]);
    assert_eq!(cohort.cases[0].images["flair"].path, root.join(raw));
    let [skipped] = &*cohort.problems else { panic!("{:?}", cohort.problems) };
    assert!(skipped.file.as_ref().unwrap().ends_with(derived) && skipped.what.contains("second file"), "{skipped:?}");
}

#[test]
fn images_of_another_format_are_named_in_the_error() {
    for (name, named) in [("P1/flair.mha", "flair.mha"), ("imagesTr/A_0000.nrrd", "A_0000.nrrd"), ("P1/notes.txt", "")]
    {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &[name]);
        let error = Cohort::discover(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no scans found here. ") && error.contains("Expected "), "{error}");
        assert_eq!(error.contains(&format!("{named} is not NIfTI")), !named.is_empty(), "{error}");
    }
}

/// macOS stores `ü` as `u` and a mark. A mask with the other form did not match its image.
#[test]
fn names_match_whatever_their_unicode_form() {
    let (one, two) = ("M\u{fc}ller", "Mu\u{308}ller");
    let files = |root: &Path, names: [String; 2]| {
        write(root, &names[0], 1);
        write(root, &names[1], 13);
        summary(&Cohort::discover(root).unwrap())
    };
    for (image, mask) in [(one, two), (two, one)] {
        for (names, expected) in [
            ([format!("{image}_flair.nii.gz"), format!("{mask}_seg.nii.gz")], "flair"),
            ([format!("imagesTr/{image}_0000.nii.gz"), format!("labelsTr/{mask}.nii.gz")], "0000"),
            ([format!("{image}/{mask}__CT.nii.gz"), format!("{image}/{image}.nii.gz")], "ct"),
            ([format!("images/{image}.nii.gz"), format!("masks/{mask}.nii.gz")], "image"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(files(folder.path(), names), [format!("{one} {expected}+")]);
        }
    }
}

/// The channels of every case of `nnUNet_raw/Dataset001` became one patient called `imagesTr`.
#[test]
fn a_dataset_below_the_folder_is_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["raw/Dataset001/imagesTr/A_0000.nii", "raw/Dataset001/imagesTr/A_0001.nii"] {
        write(root, name, 1);
    }
    write(root, "raw/Dataset001/labelsTr/A.nii", 13);
    for below in [root.to_path_buf(), root.join("raw")] {
        let cohort = Cohort::discover(&below).unwrap();
        assert_eq!((summary(&cohort), &cohort.root), (vec!["A 0000,0001+".to_owned()], &below));
    }
    write(root, "P1/flair.nii", 1);
    let error = Cohort::discover(root).unwrap_err().to_string();
    assert!(error.contains("Dataset001 and other scans") && error.contains("P1"), "{error}");
    write(root, "raw/Dataset002/imagesTr/B_0000.nii", 1);
    let error = Cohort::discover(&root.join("raw")).unwrap_err().to_string();
    assert!(error.contains("contains 2 datasets: Dataset001, Dataset002. Choose one"), "{error}");
}

/// Two studies of a patient became two patients, so that one could be in the training and the test set.
#[test]
fn a_patient_with_several_studies_is_one_patient() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for study in ["08-29-2002-NA-PET-CT Ganz-21150", "12-30-2003-NA-PET-CT Ganz-99999"] {
        write(root, &format!("PETCT_01/{study}/SUV.nii.gz"), 1);
        write(root, &format!("PETCT_01/{study}/SEG.nii.gz"), 13);
    }
    for visit in ["Timepoint_1", "Timepoint_2"] {
        write(root, &format!("PatientID_0003/{visit}/PatientID_0003_{visit}_brain_t1c.nii.gz"), 1);
        write(root, &format!("PatientID_0003/{visit}/PatientID_0003_{visit}_tumorMask.nii.gz"), 13);
    }
    let cohort = Cohort::discover(root).unwrap();
    assert_eq!((cohort.cases.len(), cohort.patients()), (4, ["PETCT_01", "PatientID_0003"].into()));
    assert!(cohort.cases.iter().all(|case| case.masks.len() == 1 && case.session.is_some()), "{:?}", cohort.cases);
}

/// Such masks were not found, and the images in a folder below became one patient.
#[test]
fn masks_in_a_folder_beside_the_images_are_matched_by_name_or_number() {
    for (names, expected) in [
        (
            &["volume-0.nii", "segmentation-0.nii", "volume-10.nii", "segmentation-10.nii"][..],
            ["volume-0", "volume-10"],
        ),
        (&["img/img0001.nii", "label/label0001.nii", "img/img0002.nii", "label/label0002.nii"], ["img0001", "img0002"]),
        (&["train/data/001.nii", "train/label/001.nii", "train/data/002.nii", "train/label/002.nii"], ["001", "002"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (at, name) in names.iter().enumerate() {
            write(folder.path(), name, if at % 2 == 0 { 1 } else { 13 });
        }
        let found = summary(&Cohort::discover(folder.path()).unwrap());
        assert_eq!(found, expected.map(|id| format!("{id} image+")), "{names:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, divisor) in [
        ("images/FLARE_0001_0000.nii", 1),
        ("labels/FLARE_0001.nii", 13),
        ("images/FLARE_0002_0000.nii", 1),
        ("labels/FLARE_0002.nii", 13),
    ] {
        write(folder.path(), name, divisor);
    }
    assert_eq!(summary(&Cohort::discover(folder.path()).unwrap()), ["FLARE_0001 0000+", "FLARE_0002 0000+"]);
    // Masks are named as the images, with their modality.
    let folder = tempfile::tempdir().unwrap();
    for (name, divisor) in
        [("images/1_t2.nii", 1), ("masks/1_t2.nii", 13), ("images/2_t2.nii", 1), ("masks/2_t2.nii", 13)]
    {
        write(folder.path(), name, divisor);
    }
    assert_eq!(summary(&Cohort::discover(folder.path()).unwrap()), ["1 t2+", "2 t2+"]);
}

/// The reference of MSLUB and UCSF-PDGM was the union of the lesions and the whole brain.
#[test]
fn a_brain_mask_is_not_part_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, divisor) in [
        ("patient01/patient01_FLAIR.nii", 1),
        ("patient01/patient01_brainmask.nii", 14),
        ("patient01/patient01_consensus_gt.nii", 13),
        // Of a skull-stripped scan, `brain` is part of the id.
        ("P3/P3_brain_FLAIR.nii", 3),
        ("P3/P3_brain_seg.nii", 12),
        ("patient02/patient02_FLAIR.nii", 2),
        ("patient02/patient02_brain_segmentation.nii", 14),
        ("patient02/patient02_brain_parenchyma_segmentation.nii", 15),
        ("patient02/patient02_tumor_segmentation.nii", 13),
    ] {
        write(root, name, divisor);
    }
    let cohort = Cohort::discover(root).unwrap();
    assert_eq!(summary(&cohort), ["P3_brain flair+", "patient01 flair+", "patient02 flair+"]);
    assert!(cohort.cases[1].masks[0].ends_with("patient01_consensus_gt.nii"), "{:?}", cohort.cases[1].masks);
    assert!(cohort.cases[2].masks[0].ends_with("patient02_tumor_segmentation.nii"), "{:?}", cohort.cases[2].masks);
    assert_eq!(problems(&cohort).iter().filter(|what| what.contains("not a lesion mask")).count(), 3);
}

/// The images of the WMH and MSSEG challenges were two sessions without a mask, and those of MSSEG-2 were not found.
#[test]
fn processed_scans_come_first_and_a_consensus_stands_for_its_raters() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["Utrecht/0/orig/FLAIR.nii", "Utrecht/0/pre/FLAIR.nii", "Utrecht/0/orig/3DT1.nii"] {
        write(root, name, 1);
    }
    write(root, "Utrecht/0/wmh.nii", 13);
    for name in ["Masks/Brain_Mask", "Masks/Consensus", "Masks/ManualSegmentation_1", "Masks/ManualSegmentation_2"] {
        write(root, &format!("Utrecht/Patient_01/{name}.nii"), 13);
    }
    write(root, "Utrecht/Patient_01/Preprocessed_Data/FLAIR_preprocessed.nii", 1);
    write(root, "Utrecht/Patient_01/Raw_Data/FLAIR.nii", 1);
    write(root, "Utrecht/013/flair_time01_on_middle_space.nii", 1);
    write(root, "Utrecht/013/brain_mask.nii", 13);
    write(root, "Utrecht/013/ground_truth.nii", 13);
    let cohort = Cohort::discover(root).unwrap();
    let expected = ["0 3dt1,flair+", "013 flair_time01_on_middle_space+", "Patient_01 flair,flair_preprocessed+"];
    assert_eq!(summary(&cohort), expected);
    assert!(cohort.cases[0].images["flair"].path.ends_with("pre/FLAIR.nii"));
    assert!(cohort.cases[1].masks[0].ends_with("ground_truth.nii"));
    assert!(cohort.cases[2].masks[0].ends_with("Consensus.nii"));
    // Without `orig`, `pre` is a session.
    let (_folder, cohort) = cohort_with(&["P1/pre/flair.nii", "P1/post/flair.nii"], &[]);
    assert_eq!(patients(&cohort), [("P1_post", "P1"), ("P1_pre", "P1")]);
}
