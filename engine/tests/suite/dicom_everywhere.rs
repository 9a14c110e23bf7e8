//! A DICOM series is accepted wherever a NIfTI file is, with the same results.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::patient;
use engine::evaluate::{Target, evaluate_files};
use engine::metrics::{Measures, Options};
use engine::volume::dicom::{DataSet, Tag, Value, Vr, file_bytes, open, read, with_series};
use engine::volume::nifti::write_volume;
use engine::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use engine::volume::{LabelTable, LabelVolume, MaskOptions, ReadOptions, Volume};
use glam::DVec3;
use serde_json::Value as Json;

/// Identifying texts of the patient, which no output may contain.
pub const PATIENT: [&str; 3] = ["Musterfrau^Erika", "QX-77310", "19430217"];

fn text(v: &[f64]) -> String {
    v.iter().map(|x| format!("{x}")).collect::<Vec<_>>().join("\\")
}

/// Fails if a text names the patient.
pub fn assert_names_no_patient(text: &str) {
    let named = PATIENT.iter().chain(&["Musterfrau"]).find(|name| text.contains(*name));
    assert!(named.is_none(), "{named:?} is in {text}");
}

/// Writes a volume as one DICOM file per slice. The slope is a power of two, which NIfTI's 32-bit slope holds exactly.
pub fn write_series(folder: &Path, number: usize, volume: &Volume) {
    std::fs::create_dir_all(folder).unwrap();
    let [nx, ny, nz] = volume.grid.shape;
    let m = volume.grid.world_from_voxel.matrix3;
    let lps = |v: DVec3| [-v.x, -v.y, v.z];
    let cosines = [lps(m.x_axis.normalize()), lps(m.y_axis.normalize())].concat();
    let [sx, sy, _] = volume.grid.spacing_mm();
    for k in 0..nz {
        let mut data = DataSet::new();
        let uid = format!("1.2.{number}.{k}");
        for (tag, value) in [
            (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.128"),
            (Tag::SOP_INSTANCE_UID, &uid),
            (Tag::STUDY_INSTANCE_UID, &format!("1.2.{number}")),
            (Tag::SERIES_INSTANCE_UID, &format!("1.2.{number}.0.1")),
            (Tag::SERIES_NUMBER, "3"),
            (Tag::MODALITY, "PT"),
            (Tag::PATIENT_NAME, PATIENT[0]),
            (Tag::PATIENT_ID, PATIENT[1]),
            (Tag::PATIENT_BIRTH_DATE, PATIENT[2]),
            (Tag::FRAME_OF_REFERENCE_UID, &format!("1.2.{number}.9")),
            (Tag::SERIES_DESCRIPTION, "whole body"),
            (Tag::UNITS, "GML"),
            (Tag::INSTANCE_NUMBER, &(nz - k).to_string()),
            (Tag::IMAGE_POSITION_PATIENT, &text(&lps(volume.grid.world([0, 0, k])))),
            (Tag::IMAGE_ORIENTATION_PATIENT, &text(&cosines)),
            (Tag::PIXEL_SPACING, &text(&[sy, sx])),
            (Tag::RESCALE_SLOPE, "0.0078125"),
            (Tag::RESCALE_INTERCEPT, "0"),
        ] {
            data.put_text(tag, value);
        }
        for (tag, value) in [(Tag::ROWS, ny), (Tag::COLUMNS, nx), (Tag::BITS_ALLOCATED, 16)] {
            data.put_u16(tag, &[value as u16]);
        }
        let value = |at: usize| (volume.value([at % nx, at / nx, k]) * 128.0).round() as u16;
        let stored = (0..nx * ny).flat_map(|at| value(at).to_le_bytes()).collect();
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(stored));
        std::fs::write(folder.join(format!("I{}", nz - k)), file_bytes(&data)).unwrap();
    }
}

/// The series of a patient, and a NIfTI file of the same volume.
fn twins(folder: &Path, number: usize) -> (PathBuf, PathBuf) {
    let (series, file) = (folder.join("series"), folder.join("scan.nii.gz"));
    write_series(&series, number, &patient(number).0);
    write_volume(&file, &read(&series, &ReadOptions::default()).unwrap()).unwrap();
    (series, file)
}

/// The output of the program. Fails if the output or the log names the patient.
pub fn amlp(arguments: &[&str], paths: &[&Path]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    let output = command.env("AMLP_LOG", "debug").args(arguments).args(paths).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    [&*stderr, &*stdout].into_iter().for_each(assert_names_no_patient);
    stdout
}

pub fn json(arguments: &[&str], paths: &[&Path]) -> Json {
    serde_json::from_str(&amlp(arguments, paths)).unwrap()
}

#[test]
fn info_lists_series_and_shows_one() {
    let temp = tempfile::tempdir().unwrap();
    let (series, file) = twins(temp.path(), 1);
    let text = amlp(&["info", "--json"], &[&series]);
    let list: Json = serde_json::from_str(&text).unwrap();
    let entry = list["patients"][0]["studies"][0]["series"][0].as_object().unwrap();
    let keys: Vec<&str> = entry.keys().map(String::as_str).collect();
    let expected = "affine description frames max mean min modality number shape spacing_mm stackable transfer_syntax uid \
                    unit warnings";
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&entry["unit"], &entry["stackable"], &entry["number"]), (&"SUVbw".into(), &true.into(), &3.into()));
    let nifti = json(&["info", "--json"], &[&file]);
    for key in ["shape", "affine", "min", "max", "mean", "frames", "spacing_mm"] {
        assert_eq!(entry[key], nifti[key], "{key}");
    }
    let one = json(&["info", "--json", "--series", "3"], &[&series]);
    let keys = |value: &Json| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&one), keys(&nifti));
    assert_eq!((&one["shape"], &one["max"], &one["format"]), (&nifti["shape"], &nifti["max"], &"dicom".into()));
    assert!(amlp(&["info"], &[&series]).contains("PT   36 x 32 x 7"));
    let text = amlp(&["info", "--series", "3"], &[&series]);
    assert!(text.contains("SUVbw (Units GML, SUV by body weight)"), "{text}");
}

#[test]
fn masks_and_segmentations_are_the_same_for_dicom_and_nifti() {
    let temp = tempfile::tempdir().unwrap();
    let (series, file) = twins(temp.path(), 2);
    let line =
        ["mask", "--slice", "3", "--size", "32", "--grid", "8", "--spacing", "native", "--json", "--modality", "pet"];
    assert_eq!(json(&line, &[&series]), json(&line, &[&file]));
    assert_eq!(json(&line, &[&with_series(&series, "3")]), json(&line, &[&file]));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample/model");
    let out = temp.path().join("masks");
    let line = ["segment", "--device", "cpu", "--threads", "2", "--model", model.to_str().unwrap(), "--out"];
    amlp(&line, &[&out, &file]);
    amlp(&line, &[&out, Path::new("--series"), Path::new("3"), Path::new("--json"), &series]);
    let names =
        std::fs::read_dir(&out).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".nii.gz")).collect();
    names.sort();
    assert!(names.len() == 2 && names[0].starts_with("pt_") && names[1] == "scan.nii.gz", "{names:?}");
    let masks: Vec<LabelVolume> = names.iter().map(|name| LabelVolume::read(&out.join(name)).unwrap()).collect();
    assert_eq!(masks[0].data, masks[1].data);
    // A finished case is skipped.
    let text = amlp(&line, &[&out, Path::new("--series"), Path::new("3"), &series]);
    assert!(text.contains("finished before"), "{text}");
}

/// Writes a series and a SEG on it with these labels, each in a range of columns. They may overlap.
fn segmented(folder: &Path, number: usize, labels: &[(u16, std::ops::Range<usize>)]) -> PathBuf {
    let (series, path) =
        (folder.join(format!("series{number}")), folder.join(format!("{number}-{}.dcm", labels.len())));
    write_series(&series, number, &patient(5).0);
    let source = SourceSeries::of(&open(&series).unwrap()).unwrap();
    let mask = |(label, columns): &(u16, std::ops::Range<usize>)| {
        let mut voxels = vec![0; source.grid.len()];
        for (i, j) in columns.clone().flat_map(|i| (4..9).map(move |j| (i, j))) {
            voxels[source.grid.index([i, j, 2])] = *label;
        }
        LabelVolume::new(source.grid.clone(), voxels).unwrap()
    };
    let masks: Vec<LabelVolume> = labels.iter().map(mask).collect();
    let (algorithm, description) = (Algorithm::Manual, "Lesions".into());
    let options = SegOptions { algorithm, terms: Terms::built_in(), description };
    write_seg(&path, &masks, &LabelTable::default(), &source, &options).unwrap();
    path
}

fn evaluated(segmentation: &Path, reference: &Path, target: &Target) -> engine::Result<Measures> {
    let (options, masks) = (Options::default(), MaskOptions::default());
    let reference = [reference.to_path_buf()];
    Ok(evaluate_files(segmentation, &reference, std::slice::from_ref(target), &options, &masks)?.remove(0))
}

/// A label was measured without the voxels that a later segment covers.
#[test]
fn an_overlapped_segment_is_evaluated_as_a_whole() {
    let temp = tempfile::tempdir().unwrap();
    let both = segmented(temp.path(), 5, &[(1, 4..9), (2, 7..12)]);
    let first = segmented(temp.path(), 5, &[(1, 4..9)]);
    let dsc = |target: &str| {
        let there = evaluated(&both, &first, &target.parse().unwrap()).unwrap().dsc;
        assert!((evaluated(&first, &both, &target.parse().unwrap()).unwrap().dsc - there).abs() < 1e-12);
        there
    };
    // The smoothing of the score is below 1e-5.
    assert!((dsc("1") - 1.0).abs() < 1e-12 && dsc("2") < 1e-5);
    let any = 2.0 * 25.0 / (25.0 + 40.0);
    assert!((dsc("1+2") - any).abs() < 1e-5);
    assert!((evaluated(&both, &first, &Target::Any).unwrap().dsc - any).abs() < 1e-5);
}

#[test]
fn segmentations_in_different_frames_of_reference_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let [one, other] = [5, 6].map(|number| segmented(temp.path(), number, &[(1, 4..9)]));
    let error = evaluated(&one, &other, &Target::Any).unwrap_err().to_string();
    assert!(error.starts_with("segmentation ") && error.contains("different frames of reference"), "{error}");
    let image = Volume::read(&temp.path().join("series5")).unwrap();
    assert_eq!(LabelVolume::read_for(&one, &image).unwrap().0.labelled_voxels(), 25);
    let error = LabelVolume::read_for(&other, &image).unwrap_err().to_string();
    assert!(error.contains("a different frame of reference"), "{error}");
}

/// The grid of a SEG ends at its slices, and its file was read as an image.
#[test]
fn a_consensus_takes_segs_of_the_same_images() {
    let temp = tempfile::tempdir().unwrap();
    let wide = segmented(temp.path(), 5, &[(1, 4..9), (2, 9..12)]);
    let narrow = segmented(temp.path(), 5, &[(1, 4..9)]);
    let other = segmented(temp.path(), 6, &[(1, 4..9)]);
    let out = temp.path().join("majority.nii.gz");
    amlp(&["consensus", "--out", out.to_str().unwrap()], &[&wide, &narrow, &narrow]);
    assert_eq!(LabelVolume::read(&out).unwrap().voxel_counts(), [(1, 25)]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_amlp"));
    let refused = command.args(["consensus", "--out"]).args([&out, &narrow, &other]).output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && stderr.contains("a different frame of reference"), "{stderr}");
}
