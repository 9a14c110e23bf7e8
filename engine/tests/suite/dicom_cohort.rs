//! A cohort of DICOM series with SEGs as references: every command gives the same results as for the cohort in NIfTI, and no
//! written file names the patient.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use engine::cohort::{Cohort, Layout};
use engine::volume::dicom::{open, read, with_series};
use engine::volume::nifti::{write_label, write_volume};
use engine::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use engine::volume::{LabelTable, LabelVolume, ReadOptions, Volume};
use flate2::read::GzDecoder;
use serde_json::Value as Json;

use crate::common::{assert_same, finetune, finetune_config, patient, pretrain, pretrain_config};
use crate::dicom_everywhere::{amlp, assert_names_no_patient, json, write_series};

const PATIENTS: usize = 6;

fn options() -> SegOptions {
    let algorithm = Algorithm::Automatic("test network".into());
    SegOptions { algorithm, terms: Terms::built_in(), description: "Lesions".into() }
}

/// Writes a mask as SEG on a series, and as NIfTI next to `image`.
fn write_masks(series: &Path, mask: &LabelVolume, seg: &Path, image: &Volume, nifti: &Path) {
    let source = SourceSeries::of(&open(series).unwrap()).unwrap();
    write_seg(seg, std::slice::from_ref(mask), &LabelTable::default(), &source, &options()).unwrap();
    write_label(nifti, &mask.clone().on_grid(&image.grid), image).unwrap();
}

/// The mask moved along its first axis.
fn moved(mask: &LabelVolume, by: usize) -> LabelVolume {
    let n = mask.len();
    let labels: Vec<u16> = (0..n).map(|at| mask.get((at + n - by) % n)).collect();
    LabelVolume::new(mask.grid.clone(), labels).unwrap()
}

/// Two cohorts of the same patients, `series` and `files`, and segmentations of both in `segs` and `masks`.
fn twin_cohorts(root: &Path) {
    for name in ["segs", "masks"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    for number in 0..PATIENTS {
        let id = format!("P{number:02}");
        let (series, files) = (root.join("series").join(&id), root.join("files").join(&id));
        fs::create_dir_all(&files).unwrap();
        let (image, mask) = patient(number);
        let scan = series.join("scan");
        write_series(&scan, number, &image);
        let image = read(&scan, &ReadOptions::default()).unwrap();
        write_volume(&files.join("pet.nii.gz"), &image).unwrap();
        // Next to the folder of slices, or in a separate folder.
        let seg = if number % 2 == 0 { series.join("lesions.dcm") } else { series.join("x/1") };
        fs::create_dir_all(seg.parent().unwrap()).unwrap();
        write_masks(&scan, &mask, &seg, &image, &files.join("seg.nii.gz"));
        let [seg, nifti] = [format!("segs/{id}.dcm"), format!("masks/{id}.nii.gz")].map(|name| root.join(name));
        write_masks(&scan, &moved(&mask, 2 + 40 * number), &seg, &image, &nifti);
    }
}

/// A JSON document without the fields that name files and formats.
fn without_paths(mut document: Json) -> Json {
    fn strip(value: &mut Json) {
        match value {
            Json::Object(fields) => {
                for key in ["folder", "images", "label", "masks", "modalities", "notes", "background", "orientation"] {
                    fields.remove(key);
                }
                fields.values_mut().for_each(strip);
            }
            Json::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut document);
    document
}

/// Path and decompressed bytes of every file under a folder.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let (stored, mut bytes) = (fs::read(&path).unwrap(), Vec::new());
            if GzDecoder::new(&*stored).read_to_end(&mut bytes).is_err() {
                bytes = stored;
            }
            found.push((path, bytes));
        }
    }
    found
}

/// Fails if the content or the name of a file under `root` names the patient. Returns the number of files.
fn assert_files_name_no_patient(root: &Path) -> usize {
    let all = files(root);
    for (path, bytes) in &all {
        assert_names_no_patient(&path.to_string_lossy());
        assert_names_no_patient(&String::from_utf8_lossy(bytes));
    }
    all.len()
}

#[test]
fn commands_give_the_same_results_for_dicom_and_nifti_cohorts() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    twin_cohorts(root);
    let [series, nifti] = ["series", "files"].map(|name| root.join(name));
    let found = Cohort::discover(&series).unwrap();
    assert_eq!((found.cases.len(), found.layout), (PATIENTS, Layout::FolderPerPatient));
    assert!(found.cases.iter().all(|case| case.images.len() == 1 && case.masks.len() == 1), "{:?}", found.cases);

    let about = |cohort: &Path| without_paths(json(&["cohort", "--json"], &[cohort]));
    assert_eq!(about(&series), about(&nifti));
    assert_eq!(about(&series)["labelled"], PATIENTS);

    // A SEG omits empty slices, so each of the two has slices that the other lacks.
    let scores = |found: &str, truth: &Path| {
        let line = ["evaluate", "--json", "--prediction"];
        without_paths(json(&line, &[&root.join(found), Path::new("--truth"), truth]))
    };
    let expected = scores("masks", &nifti);
    let dice = expected["mean"]["1"]["dsc"].as_f64().unwrap();
    assert!(dice > 0.05 && dice < 0.95, "{expected}");
    for (found, truth) in [("segs", &series), ("masks", &series), ("segs", &nifti)] {
        assert_eq!(scores(found, truth), expected, "{found} {}", truth.display());
    }

    let line =
        ["mask", "--slice", "3", "--size", "32", "--grid", "8", "--spacing", "native", "--json", "--modality", "pet"];
    let mask = |image: &Path, label: &Path| json(&line, &[image, Path::new("--label"), label]);
    let (image, label) = (nifti.join("P01/pet.nii.gz"), nifti.join("P01/seg.nii.gz"));
    assert_eq!(mask(&with_series(&series.join("P01/scan"), "3"), &series.join("P01/x/1")), mask(&image, &label));

    let mut config = pretrain_config(&nifti);
    config.training.epochs = 1;
    pretrain(&config, &root.join("pre-files"), false, 0).unwrap();
    config.data.cohort.clone_from(&series);
    pretrain(&config, &root.join("pre-series"), false, 0).unwrap();
    assert_same(&root.join("pre-files"), &root.join("pre-series"));
    for (cohort, name) in [(&nifti, "files"), (&series, "series")] {
        let mut config = finetune_config(cohort, Some(&root.join(format!("pre-{name}"))));
        config.training.epochs = 2;
        finetune(&config, &root.join(format!("fine-{name}")), false, 0).unwrap();
    }
    assert_same(&root.join("fine-files"), &root.join("fine-series"));

    for run in ["pre-series", "fine-series"] {
        assert!(assert_files_name_no_patient(&root.join(run)) > 5, "{run}");
    }
}

#[test]
fn a_seg_equals_the_nifti_mask_and_only_it_names_the_patient() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let (scan, nifti) = (root.join("scan"), root.join("scan.nii.gz"));
    write_series(&scan, 2, &Volume::read(&sample.join("STS_002/pet.nii.gz")).unwrap());
    write_volume(&nifti, &read(&scan, &ReadOptions::default()).unwrap()).unwrap();
    let model = sample.join("model");
    let out = root.join("out");
    let segment = |format: &str, name: &str, input: &Path| {
        let line = ["segment", "--device", "cpu", "--threads", "2", "--format", format, "--model"];
        amlp(&line, &[&model, Path::new("--out"), &out.join(name), input]);
        let mut found = files(&out.join(name)).into_iter().map(|(path, _)| path);
        found.find(|path| [".dcm", ".nii.gz"].iter().any(|end| path.to_string_lossy().ends_with(end))).unwrap()
    };
    let [seg, mask, twin] = [("seg", "segs", &scan), ("nifti", "masks", &scan), ("nifti", "twins", &nifti)]
        .map(|(f, p, i)| segment(f, p, i));
    let expected = LabelVolume::read(&mask).unwrap();
    assert!(expected.labelled_voxels() > 100, "the model finds the lesion");
    assert_eq!(LabelVolume::read(&twin).unwrap().data, expected.data);
    assert_eq!(LabelVolume::read(&seg).unwrap().on_grid(&expected.grid), expected);
    let scores = json(&["evaluate", "--json", "--prediction"], &[&seg, Path::new("--truth"), &mask]);
    assert_eq!(scores["cases"][0]["dsc"], 1.0, "{scores}");

    // A session over the patient's files, with its output.
    let keep = |name: &str, text: &str| fs::write(out.join(name), text).unwrap();
    keep("info.json", &amlp(&["info", "--json"], &[&scan]));
    keep("info.txt", &amlp(&["info"], &[&scan]));
    keep("one.json", &amlp(&["info", "--json", "--series", "3"], &[&scan]));
    amlp(
        &["convert"],
        &[&scan, &out.join("segs"), Path::new("--out"), &out.join("cohort"), Path::new("--key"), &root.join("key.tsv")],
    );
    keep("cohort.json", &amlp(&["cohort", "--json"], &[&out.join("cohort")]));
    let csv = out.join("scores.csv");
    amlp(&["evaluate", "--prediction"], &[&seg, Path::new("--truth"), &mask, Path::new("--csv"), &csv]);
    amlp(
        &["mask", "--slice", "20", "--modality", "pet", "--out"],
        &[&out.join("mask.png"), Path::new("--label"), &seg, &scan],
    );
    fs::write(root.join("ops.json"), r#"[{"op":"grow","label":1,"mm":3}]"#).unwrap();
    let ops = [Path::new("--ops"), &root.join("ops.json"), Path::new("--out"), &out.join("edited.nii.gz")];
    let journal = [Path::new("--journal"), &out.join("edit.journal"), Path::new("--mask"), &seg];
    amlp(&["edit", "--image"], &[&[scan.as_path()][..], &ops, &journal].concat());
    // The SEG goes to the archive and keeps the patient.
    assert!(String::from_utf8_lossy(&fs::read(&seg).unwrap()).contains("Musterfrau"));
    fs::remove_file(&seg).unwrap();
    assert!(assert_files_name_no_patient(&out) > 12);
}
