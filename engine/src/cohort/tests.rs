#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests, also of exact values")]

use std::path::{Path, PathBuf};

use super::test_files::{grid, problems, summary, write, write_on};
use super::*;
use crate::event::Control;

/// A cohort of these files: masks with labels 0 to 2 if the name says so, otherwise images.
fn cohort_of(names: &[&str]) -> (tempfile::TempDir, Cohort) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let mask = ["seg", "gtvt", "labels", "Segm"].iter().any(|word| name.contains(word));
        write(folder.path(), name, if mask { 10 } else { 1 });
    }
    let cohort = Cohort::discover(folder.path()).unwrap();
    (folder, cohort)
}

#[test]
fn a_folder_per_patient_is_found() {
    let (folder, cohort) =
        cohort_of(&["b/flair.nii.gz", "b/seg.nii.gz", "a/flair.nii", "a/t1.nii.gz", "a/._t1.nii.gz"]);
    assert_eq!(cohort.layout, Layout::FolderPerPatient);
    assert_eq!(summary(&cohort), ["a flair,t1", "b flair+"]);
    assert_eq!(problems(&cohort), ["missing mask", "missing modality t1"]);
    assert_eq!(cohort.case("b").unwrap().masks, [folder.path().join("b/seg.nii.gz")]);
    let one = Cohort::discover(&folder.path().join("b")).unwrap();
    assert_eq!(summary(&one), ["b flair+"]);
}

#[test]
fn brats_layouts_of_all_years_are_found() {
    let (_folder, cohort) = cohort_of(&[
        "HGG/Brats18_A_1/Brats18_A_1_t1.nii.gz",
        "HGG/Brats18_A_1/Brats18_A_1_t1ce.nii.gz",
        "HGG/Brats18_A_1/Brats18_A_1_t2.nii.gz",
        "HGG/Brats18_A_1/Brats18_A_1_flair.nii.gz",
        "HGG/Brats18_A_1/Brats18_A_1_seg.nii.gz",
        "LGG/BraTS20_Training_355/BraTS20_Training_355_t1.nii",
        "LGG/BraTS20_Training_355/BraTS20_Training_355_t1ce.nii",
        "LGG/BraTS20_Training_355/BraTS20_Training_355_t2.nii",
        "LGG/BraTS20_Training_355/BraTS20_Training_355_flair.nii",
        "LGG/BraTS20_Training_355/W39_1998.09.19_Segm.nii",
        "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1n.nii.gz",
        "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t1c.nii.gz",
        "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2w.nii.gz",
        "BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2f.nii.gz",
        "BraTS-GLI-00000-000/BraTS-GLI-00000-000-seg.nii.gz",
    ]);
    assert_eq!(cohort.layout, Layout::Brats);
    let expected = ["BraTS-GLI-00000-000", "BraTS20_Training_355", "Brats18_A_1"];
    assert_eq!(summary(&cohort), expected.map(|id| format!("{id} flair,t1,t1ce,t2+")));
    assert_eq!(problems(&cohort).len(), 1, "the misnamed mask is mentioned: {:?}", cohort.problems);
    assert_eq!(cohort.modality("t2f").unwrap(), "flair");
}

#[test]
fn flat_folders_are_found() {
    let (_folder, cohort) =
        cohort_of(&["BraTS2021_00000_flair.nii.gz", "BraTS2021_00000_seg.nii.gz", "BraTS2021_00002_flair.nii.gz"]);
    assert_eq!(summary(&cohort), ["BraTS2021_00000 flair+", "BraTS2021_00002 flair"]);
}

#[test]
fn hecktor_layouts_of_all_years_are_found() {
    let names = ["CHGJ007_ct", "CHGJ007_pt", "CHGJ007_gtvt", "CHUM001_ct", "CHUM001_pt", "CHUM001_gtvt"];
    let flat = names.map(|name| format!("{name}.nii.gz"));
    let inner = names.map(|name| format!("hecktor_nii/{name}.nii.gz"));
    for files in [flat, inner] {
        let (_folder, cohort) = cohort_of(&files.each_ref().map(String::as_str));
        assert_eq!(cohort.layout, Layout::Hecktor);
        assert_eq!(summary(&cohort), ["CHGJ007 ct,pt+", "CHUM001 ct,pt+"]);
        assert_eq!(cohort.modality("PET").unwrap(), "pt");
        assert!(cohort.problems.is_empty());
    }
    let (_folder, cohort) =
        cohort_of(&["imagesTr/CHUM-001__CT.nii.gz", "imagesTr/CHUM-001__PT.nii.gz", "labelsTr/CHUM-001.nii.gz"]);
    assert_eq!(cohort.layout, Layout::Hecktor);
    assert_eq!(summary(&cohort), ["CHUM-001 ct,pt+"]);
}

#[test]
fn nnunet_layouts_of_both_versions_are_found() {
    let files = [
        "imagesTr/BR_001_0000.nii.gz",
        "imagesTr/BR_001_0001.nii.gz",
        "imagesTr/BR_002_0000.nii.gz",
        "imagesTs/BR_003_0000.nii.gz",
        "imagesTs/BR_003_0001.nii.gz",
        "labelsTr/BR_001.nii.gz",
        "labelsTr/BR_002.nii.gz",
        "labelsTr/BR_009.nii.gz",
    ];
    for (json, names) in [
        (Some(r#"{"modality": {"0": "FLAIR", "1": "T1w"}, "numTraining": 2}"#), "flair,t1w"),
        (Some(r#"{"channel_names": {"0": "MRI", "1": "MRI"}, "file_ending": ".nii.gz"}"#), "mri_0000,mri_0001"),
        (None, "0000,0001"),
    ] {
        let (folder, _) = cohort_of(&files);
        if let Some(json) = json {
            std::fs::write(folder.path().join("dataset.json"), json).unwrap();
        }
        let cohort = Cohort::discover(folder.path()).unwrap();
        assert_eq!(cohort.layout, Layout::NnUnet);
        let first = names.split(',').next().unwrap();
        assert_eq!(
            summary(&cohort),
            [format!("BR_001 {names}+"), format!("BR_002 {first}+"), format!("BR_003 {names}")]
        );
        assert!(cohort.case("BR_003").unwrap().held_out);
        let missing = format!("missing modality {}", names.split(',').nth(1).unwrap());
        assert_eq!(problems(&cohort), ["skipped: a mask without an image", missing.as_str()]);
        let ids: Vec<String> =
            fingerprint(&cohort, None).unwrap().volumes(&cohort, &[]).into_iter().map(|v| v.0).collect();
        assert_eq!(ids, ["BR_001", "BR_002"], "test images are never split");
    }
    let (folder, _) = cohort_of(&files);
    std::fs::write(folder.path().join("dataset.json"), "{").unwrap();
    assert!(Cohort::discover(folder.path()).unwrap_err().to_string().contains("dataset.json"));
}

#[test]
fn duplicates_are_reported_and_folder_names_resolve_equal_file_names() {
    let (_folder, cohort) = cohort_of(&["HGG/X/X_t1.nii.gz", "LGG/X/X_t1.nii.gz", "LGG/Y/Y_t1.nii.gz"]);
    assert_eq!(cohort.cases.len(), 2);
    assert!(problems(&cohort)[0].ends_with("a case with the same id"));
    assert!(cohort.problems[0].file.as_ref().unwrap().contains("LGG"));
    let (_folder, cohort) = cohort_of(&["P1/scan_t1.nii.gz", "P1/scan_seg.nii.gz", "P2/scan_t1.nii.gz"]);
    assert_eq!(summary(&cohort), ["P1 t1+", "P2 t1"]);
    let (_folder, cohort) = cohort_of(&["P1/t1.nii", "P1/t1.nii.gz"]);
    assert!(problems(&cohort)[0].contains("a second file of modality t1"));
}

#[test]
fn a_folder_without_scans_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (path, why) in
        [(folder.path().join("none"), "does not exist"), (folder.path().to_path_buf(), "no scans found here")]
    {
        assert!(Cohort::discover(&path).unwrap_err().to_string().contains(why));
    }
    write(folder.path(), "something.nii.gz", 1);
    assert!(Cohort::discover(folder.path()).is_err());
    assert!(Cohort::discover(&folder.path().join("something.nii.gz")).unwrap_err().to_string().contains("is a file"));
}

#[test]
fn the_fingerprint_names_every_problem_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for id in ["a", "b", "c", "d"] {
        write(root, &format!("{id}/ct.nii.gz"), 1);
        write(root, &format!("{id}/seg.nii.gz"), 10);
    }
    write_on(&grid([4, 3, 3]), root, "b/seg.nii.gz", 10);
    write(root, "c/seg.nii.gz", 100);
    std::fs::write(root.join("d/ct.nii.gz"), b"not a scan").unwrap();
    write_on(&grid([5, 3, 2]), root, "a/pet.nii.gz", 1);
    let cohort = Cohort::discover(root).unwrap();
    let found = fingerprint(&cohort, None).unwrap();
    let of = |case: &str| -> Vec<(&str, &str)> {
        let mine = found.problems.iter().filter(|p| p.case.as_deref() == Some(case));
        mine.map(|p| (p.file.as_deref().unwrap(), p.what.as_str())).collect()
    };
    let has = |case: &str, file: &str, what: &str| {
        let path = root.join(file).display().to_string();
        assert!(of(case).iter().any(|(f, w)| *f == path && w.starts_with(what)), "{what}: {:?}", of(case));
    };
    has("a", "a/pet.nii.gz", "grid differs from");
    has("b", "b/seg.nii.gz", "the mask and its image have different grids");
    has("b", "b", "missing modality pet");
    has("c", "c/seg.nii.gz", "the mask is empty");
    has("d", "d/ct.nii.gz", "unreadable");
    assert_eq!(found.labels, BTreeMap::from([(1, 2), (2, 2)]));
    let range = found.lesion_ml.unwrap();
    // 14 of 24 voxels of 2 mm3 are labelled. The mask of b is of another scan, and left out.
    assert!(
        (range.min - 0.0).abs() < 1e-12 && (range.median - 0.028).abs() < 1e-12 && (range.max - 0.028).abs() < 1e-12
    );
    assert_eq!(found.cases[0].orientation.as_deref(), Some("LPS"));
    assert_eq!(found.cases[0].spacing_mm, Some([1.0, 1.0, 2.0]));
    assert_eq!((found.cases[3].shape, found.labelled), (None, 3));
    let left: Vec<&str> = found.masks_left_out.iter().map(|left| left.case.as_str()).collect();
    assert_eq!(left, ["b"]);

    let pet = fingerprint(&cohort, Some("PET")).unwrap();
    assert!(!pet.problems.iter().any(|p| p.what.starts_with("unreadable")));
    assert!(fingerprint(&cohort, Some("t1")).unwrap_err().to_string().contains("ct (4 cases), pet (1 case)"));
    let json: serde_json::Value = serde_json::to_value(&found).unwrap();
    for key in
        ["folder", "layout", "patients", "scans", "cases", "left_out", "modalities", "labels", "lesion_ml", "problems"]
    {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(json["cases"][3]["shape"], serde_json::Value::Null);
    assert_eq!(json["labels"]["1"], 2);
}

#[test]
fn a_cached_fingerprint_rereads_only_changed_files() {
    let (folder, caches) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    for id in ["a", "b"] {
        for (name, value) in [("ct", 1), ("seg", 10)] {
            let path = format!("{id}/{name}.nii.gz");
            write(root, &path, value);
            std::fs::File::options().write(true).open(root.join(path)).unwrap().set_modified(long_ago).unwrap();
        }
    }
    let cohort = Cohort::discover(root).unwrap();
    let cache = FingerprintCache::new(caches.path().join("cohorts"));
    let read = |modality| {
        let options = FingerprintOptions { modality, cache: Some(&cache), ..FingerprintOptions::default() };
        fingerprint_with(&cohort, &options, &Control::default(), &|_, _| {}).unwrap()
    };
    let plain = fingerprint(&cohort, None).unwrap();
    assert_eq!((read(None), read(None)), (plain.clone(), plain.clone()));
    // A changed lesion volume in the cache shows whether a value was cached.
    let file = std::fs::read_dir(caches.path().join("cohorts")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    let (true_ml, kept_ml) = (plain.cases[0].lesion_ml, Some(77.0));
    let own = format!("\"lesion_ml\":{}", true_ml.unwrap());
    assert_eq!(text.matches(&own).count(), 2);
    std::fs::write(&file, text.replace(&own, "\"lesion_ml\":77.0")).unwrap();
    let volumes = |found: &Fingerprint| [0, 1].map(|case| found.cases[case].lesion_ml);
    assert_eq!(volumes(&read(None)), [kept_ml; 2]);
    assert_eq!(volumes(&read(Some("ct"))), [true_ml; 2], "another modality is another question");
    let mask = std::fs::File::options().write(true).open(root.join("b/seg.nii.gz")).unwrap();
    mask.set_modified(long_ago + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(volumes(&read(None)), [kept_ml, true_ml]);
    // A file that has just been written may be written again without another time.
    mask.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(volumes(&read(None)), [kept_ml, true_ml]);
    std::fs::write(&file, "no JSON").unwrap();
    assert_eq!(read(None), plain);
}

/// A patient whose scan could not be read was drawn as the only validation patient, so that nothing was validated.
#[test]
fn a_patient_with_an_unreadable_scan_is_only_a_training_patient() {
    let ids = ["a", "b", "c", "d", "e"];
    let files: Vec<String> =
        ids.iter().flat_map(|id| [format!("{id}/ct.nii.gz"), format!("{id}/seg.nii.gz")]).collect();
    let (folder, cohort) = cohort_of(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let path = folder.path().join("c/ct.nii.gz");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let found = fingerprint(&cohort, Some("ct")).unwrap();
    let volumes = found.volumes(&cohort, &["ct".into()]);
    let known: Vec<(&str, bool)> = volumes.iter().map(|(id, ml)| (id.as_str(), ml.is_some())).collect();
    assert_eq!(known, ids.map(|id| (id, id != "c")));
    for seed in 0..20 {
        let split = split::Split::draw(&volumes, seed);
        assert!(split.train.contains(&"c".to_owned()) && split.test.len() == 1, "seed {seed}: {split:?}");
    }
}

/// A copy of a patient in a subfolder got another id, so a split could train and test on the same scan.
#[test]
fn a_scan_that_two_patients_share_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (id, divisor) in [("a", 1), ("b", 2), ("backup/a", 1), ("c", 200), ("d", 200)] {
        write(root, &format!("{id}/ct.nii.gz"), divisor);
    }
    let cohort = Cohort::discover(root).unwrap();
    let found = fingerprint(&cohort, None).unwrap();
    let copies: Vec<&Problem> = found.problems.iter().filter(|p| p.what.contains("the same values")).collect();
    let [copy] = &*copies else { panic!("constant images are no copies: {copies:?}") };
    assert!(copy.file.as_ref().unwrap().ends_with("backup/a/ct.nii.gz"), "{copy:?}");
    assert!(copy.what.contains("the ct of patient a."), "{copy:?}");
}

/// A real cohort, if it exists on this machine.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.is_dir() {
        eprintln!("skipped: ../shared/data/{name} is absent");
        return None;
    }
    Some(path)
}

#[test]
fn real_cohorts_have_no_problems() {
    for (name, count, modalities) in [("sts", 24, &["ct", "pet"][..]), ("lgg", 48, &["flair"][..])] {
        let Some(root) = real(name) else { continue };
        let cohort = Cohort::discover(&root).unwrap();
        let found = fingerprint(&cohort, None).unwrap();
        assert_eq!(found.problems, []);
        assert_eq!((found.cases.len(), found.labelled), (count, count));
        assert_eq!(found.modalities.keys().collect::<Vec<_>>(), modalities);
        let split = split::Split::draw(&found.volumes(&cohort, &[]), 1);
        assert_eq!(split.test.len(), (count as f64 * 0.2).round() as usize);
    }
}

#[test]
fn real_patients_are_preprocessed_and_restored() {
    use crate::preprocess::{PreprocessConfig, Spacing, Targets, prepare_case};
    let Some(root) = real("sts") else { return };
    let cohort = Cohort::discover(&root).unwrap();
    let case = &cohort.cases[0];
    let cfg = PreprocessConfig { spacing: Spacing::Native, size: 144, ..PreprocessConfig::default() };
    let both = ["ct".to_owned(), "pet".to_owned()];
    let prepared = prepare_case(case, &both, true, &Targets::Binary, &cfg, 0).unwrap();
    let [ct, pet] = prepared.plan.channels.as_slice() else { panic!("two channels") };
    assert!(ct.clip[0] >= -150.0 && ct.clip[1] <= 150.0 && ct.fill < -1.0 && pet.fill == 0.0);
    assert_eq!(prepared.plan.lesion_voxels_outside_crop, Some(0));
    // The way back gives the mask itself.
    let label = crate::volume::LabelVolume::read(&case.masks[0]).unwrap();
    let target: Vec<f32> = prepared.target.as_ref().unwrap().iter().map(|bits| f32::from(*bits)).collect();
    let restored = prepared.plan.restore(&target).unwrap();
    assert!(restored.iter().zip(label.iter()).all(|(a, b)| *a == f32::from(u8::from(b > 0))));
    // At 1 mm, nearest neighbour both ways.
    let iso = PreprocessConfig { spacing: Spacing::Iso, ..cfg };
    let prepared = prepare_case(case, &both[1..], true, &Targets::Binary, &iso, 0).unwrap();
    assert_eq!(prepared.shape, [194, 198, 192]);
    let restored = prepared.plan.restore_nearest(prepared.target.as_ref().unwrap()).unwrap();
    assert!(restored.iter().zip(label.iter()).all(|(a, b)| *a == u8::from(b > 0)));
}
