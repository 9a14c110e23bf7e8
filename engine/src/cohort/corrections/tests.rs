#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use glam::{DAffine3, DVec3};

use super::*;
use crate::cohort::test_files::{grid, write};
use crate::volume::nifti::write_label;
use crate::volume::{Grid, LabelVolume, MaskOptions, Volume};

/// Three patients with a PET scan and a mask of one voxel.
fn cohort(root: &Path) -> Cohort {
    for id in ["p1", "p2", "p3"] {
        write(root, &format!("{id}/pet.nii.gz"), 1);
        mask(&root.join(id).join("seg.nii.gz"), &grid([4, 3, 2]), &[(5, 1)]);
    }
    Cohort::discover(root).unwrap()
}

fn mask(path: &Path, grid: &Grid, labelled: &[(usize, u8)]) -> PathBuf {
    let mut labels = vec![0_u8; grid.len()];
    labelled.iter().for_each(|(at, label)| labels[*at] = *label);
    let image = Volume::from_f32(grid.clone(), vec![0.0; grid.len()]);
    write_label(path, &LabelVolume::new(grid.clone(), labels).unwrap(), &image).unwrap();
    path.to_path_buf()
}

fn addition<'a>(case: &'a str, mask: &'a Path, reviewer: &'a str) -> Addition<'a> {
    Addition { case, mask, verdict: Verdict::Corrected, reviewer, model: None, replace: false }
}

fn add(cohort: &Cohort, addition: &Addition<'_>) -> Result<AddOutcome> {
    Corrections::add(cohort, &Corrections::folder_of(&cohort.root), addition, &MaskOptions::default())
}

fn split(train: &[&str], val: &[&str], test: &[&str]) -> Split {
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
    Split { train: ids(train), val: ids(val), test: ids(test), ..Split::draw(&[], 0) }
}

#[test]
fn an_added_mask_is_stored_with_its_provenance_and_the_cohort_does_not_change() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("cohort");
    let before = cohort(&root);
    // Stored in another axis order; must be written on the image's grid.
    let (grid, order) = grid([4, 3, 2]).reoriented_to_ras();
    let mut labels = vec![0_u8; 24];
    (labels[2], labels[3]) = (1, 2);
    let labels = order.apply(&labels, [4, 3, 2]);
    let edited = temp.path().join("edited.nii.gz");
    let image = Volume::from_f32(grid.clone(), vec![0.0; 24]);
    write_label(&edited, &LabelVolume::new(grid, labels).unwrap(), &image).unwrap();
    let model = ModelId { run: "fine".into(), weights_sha256: "ab".repeat(32) };
    let added = add(&before, &Addition { model: Some(model.clone()), ..addition("p2", &edited, " AB ") }).unwrap();
    assert!(added.replaced.is_none() && added.notes.len() == 1, "{added:?}");

    let folder = Corrections::folder_of(&root);
    let found = Corrections::read(&folder).unwrap();
    assert_eq!(found.masks, std::slice::from_ref(&added.correction));
    let one = found.of_case("p2").unwrap();
    assert_eq!((one.reviewer.as_str(), one.verdict, one.model.as_ref()), ("AB", Verdict::Corrected, Some(&model)));
    assert!((one.lesion_ml - 0.004).abs() < 1e-9, "two voxels of 2 mm3: {}", one.lesion_ml);
    assert!(one.describe().starts_with("corrected by AB on 20"), "{}", one.describe());
    let path = folder.join(&one.mask);
    assert_eq!(sha256_file(&path).unwrap(), one.sha256);
    let (stored, notes) = LabelVolume::read_for(&path, &before.cases[1].images["pet"].read().unwrap()).unwrap();
    assert_eq!((stored.iter().collect::<Vec<u16>>()[2..4].to_vec(), notes.len()), (vec![1, 2], 0));
    assert_eq!(Cohort::discover(&root).unwrap(), before, "discovery does not take corrected masks for scans");
}

#[test]
fn another_reviewers_mask_is_superseded_only_on_request_and_its_file_stays() {
    let temp = tempfile::tempdir().unwrap();
    let cohort = cohort(&temp.path().join("cohort"));
    let mine = mask(&temp.path().join("a.nii.gz"), &grid([4, 3, 2]), &[(1, 1)]);
    let theirs = mask(&temp.path().join("b.nii.gz"), &grid([4, 3, 2]), &[(2, 1)]);
    let first = add(&cohort, &addition("p1", &mine, "AB")).unwrap().correction;
    let error = add(&cohort, &addition("p1", &theirs, "CD")).unwrap_err().to_string();
    assert!(error.contains("reviewer = CD") && error.contains("p1 is already corrected by AB on 20"), "{error}");
    let second = add(&cohort, &Addition { replace: true, ..addition("p1", &theirs, "CD") }).unwrap();
    assert_eq!(second.replaced.as_ref(), Some(&first));
    let folder = Corrections::folder_of(&cohort.root);
    assert!(folder.join(&first.mask).is_file() && folder.join(&second.correction.mask).is_file());
    // A reviewer's own mask is replaced, and an equal mask gives the same file.
    let third = add(&cohort, &Addition { verdict: Verdict::Accepted, ..addition("p1", &mine, "CD") }).unwrap();
    assert_eq!((third.correction.mask.as_str(), third.correction.verdict), (first.mask.as_str(), Verdict::Accepted));
    let again = add(&cohort, &Addition { verdict: Verdict::Accepted, ..addition("p1", &mine, "CD") }).unwrap();
    assert_eq!((&again.correction, &again.replaced), (&third.correction, &None), "nothing new");
    assert_eq!(std::fs::read_to_string(folder.join(RECORD)).unwrap().lines().count(), 3);
    assert_eq!(Corrections::read(&folder).unwrap().masks, [third.correction]);
}

#[test]
fn a_refused_mask_writes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("cohort");
    cohort(&root);
    std::fs::write(root.join("dataset.json"), r#"{"labels": {"background": 0, "lesion": 1}}"#).unwrap();
    let cohort = Cohort::discover(&root).unwrap();
    let fits = grid([4, 3, 2]);
    let beside = DVec3::new(0.4, 0.0, 0.0);
    let odd = Grid::new(fits.shape, DAffine3 { translation: beside, ..fits.world_from_voxel });
    let good = mask(&temp.path().join("good.nii.gz"), &fits, &[(1, 1)]);
    let other = mask(&temp.path().join("other.nii.gz"), &odd, &[(1, 1)]);
    let label = mask(&temp.path().join("label.nii.gz"), &fits, &[(1, 7)]);
    let gone = temp.path().join("gone.nii.gz");
    let long = "x".repeat(21);
    for (case, mask, reviewer, part) in [
        ("p9", &good, "AB", "p9: is not a case of"),
        ("p1", &other, "AB", "different grids"),
        ("p1", &label, "AB", "label is 7: the cohort's labels are 0 background, 1 lesion"),
        ("p1", &gone, "AB", "gone.nii.gz"),
        ("p1", &good, " ", "initials"),
        ("p1", &good, &long, "initials"),
    ] {
        let error = add(&cohort, &addition(case, mask, reviewer)).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!Corrections::folder_of(&root).exists());
}

#[test]
fn a_truncated_line_is_reported_and_later_lines_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let cohort = cohort(&temp.path().join("cohort"));
    let edited = mask(&temp.path().join("a.nii.gz"), &grid([4, 3, 2]), &[(1, 1)]);
    add(&cohort, &addition("p1", &edited, "AB")).unwrap();
    let folder = Corrections::folder_of(&cohort.root);
    let record = folder.join(RECORD);
    let whole = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
    add(&cohort, &addition("p2", &edited, "AB")).unwrap();
    let outside = whole.replace("\"mask\":\"p1", "\"mask\":\"../p1");
    let mut text = std::fs::read_to_string(&record).unwrap();
    text.push_str(&outside);
    std::fs::write(&record, text).unwrap();
    let found = Corrections::read(&folder).unwrap();
    assert_eq!(found.masks.iter().map(|mask| mask.case.as_str()).collect::<Vec<_>>(), ["p1", "p2"]);
    assert!(
        found.notes.len() == 2 && found.notes[0].contains("line 2") && found.notes[1].contains("../p1"),
        "{found:?}"
    );
    assert!(is_plain(&found.masks[0].mask));
}

#[test]
fn corrected_masks_apply_to_training_patients_only() {
    let temp = tempfile::tempdir().unwrap();
    let mut cohort = cohort(&temp.path().join("cohort"));
    write(&cohort.root, "p4/pet.nii.gz", 1);
    cohort = Cohort::discover(&cohort.root).unwrap();
    let edited = mask(&temp.path().join("a.nii.gz"), &grid([4, 3, 2]), &[(1, 1), (2, 1)]);
    for id in ["p1", "p2", "p3", "p4"] {
        add(&cohort, &addition(id, &edited, "AB")).unwrap();
    }
    let found = Corrections::read(&Corrections::folder_of(&cohort.root)).unwrap();
    let own = split(&["p1"], &["p2"], &["p3"]);
    let extended = found.extend(&cohort, own.clone());
    assert_eq!((&extended.val, &extended.test), (&own.val, &own.test));
    assert_eq!(extended.train, ["p1", "p4"], "a patient of no part trains");
    assert_eq!(extended.lesion_ml.keys().collect::<Vec<_>>(), ["p1", "p4"]);
    assert_eq!(found.training_patients(&extended).collect::<Vec<_>>(), ["p1", "p4"]);

    std::fs::write(found.folder.join(&found.of_case("p4").unwrap().mask), b"changed").unwrap();
    let references: Vec<Vec<PathBuf>> = cohort.cases.iter().map(|case| case.masks.clone()).collect();
    let applied = found.apply(&mut cohort, &extended);
    assert_eq!(cohort.cases[0].masks, [found.folder.join(&found.of_case("p1").unwrap().mask)]);
    assert_eq!([&cohort.cases[1].masks, &cohort.cases[2].masks], [&references[1], &references[2]]);
    let named: Vec<&str> = applied.masks_left_out.iter().map(|left| left.why.as_str()).collect();
    assert!(named[0].contains("validation patient") && named[1].contains("test patient"), "{named:?}");
    assert!(matches!(&applied.left_out[..], [one] if one.case == "p4" && one.why.contains("changed")), "{applied:?}");
    // A scan that is no longer in the cohort.
    cohort.cases.remove(0);
    assert!(found.apply(&mut cohort, &extended).left_out.iter().any(|left| left.case == "p1"));
    assert_eq!(found.extend(&cohort, own.clone()).train, ["p1", "p4"]);
}

#[test]
fn a_folder_without_a_record_has_no_corrected_masks() {
    let temp = tempfile::tempdir().unwrap();
    let found = Corrections::read(temp.path()).unwrap();
    assert!(found.masks.is_empty() && found.notes.is_empty());
    let mut moved = Corrections { folder: "gone".into(), ..Corrections::default() };
    moved.relocate(temp.path());
    assert_eq!(moved.folder, Path::new("gone"), "no masks to relocate");
}
