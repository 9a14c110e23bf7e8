//! Conversions of synthetic patients and of series of the corpus.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::ErrorKind;
use crate::cohort::{Cohort, Problem, fingerprint, is_in_suv, label_table_of_mask, read_masks};
use crate::event::Signal;
use crate::volume::dicom::{DataSet, DicomFile, Tag, Value, Vr, file_bytes};
use crate::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use crate::volume::{LabelStyle, LabelTable, LabelVolume, MaskOptions, Volume};

/// Text that no converted file may contain: name, id, birth date, accession number, UIDs.
const SECRETS: [&str; 7] = ["Testfall", "Ottokar", "QX-7731-Z", "19570311", "ACC99812", "1.2.840.99", "20240229"];

/// Writes a CT series of 5 x 4 pixels with slices at these heights. Voxels are 400 k + 10 j + i - 1000 HU.
pub(crate) fn ct(folder: &Path, series: &str, heights: &[f64]) {
    std::fs::create_dir_all(folder).unwrap();
    for (k, z) in heights.iter().enumerate() {
        let mut data = patient();
        for (tag, text) in [
            (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2"),
            (Tag::SOP_INSTANCE_UID, &*format!("1.2.840.99.{series}.{k}")),
            (Tag::SERIES_INSTANCE_UID, &*format!("1.2.840.99.{series}")),
            (Tag::SERIES_NUMBER, series),
            (Tag::INSTANCE_NUMBER, &*format!("{}", k + 1)),
            (Tag::MODALITY, "CT"),
            (Tag::SERIES_DESCRIPTION, "Thorax Testfall"),
            (Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0"),
            (Tag::IMAGE_POSITION_PATIENT, &*format!("-10\\20\\{z}")),
            (Tag::PIXEL_SPACING, "2\\2"),
            (Tag::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
            (Tag::RESCALE_SLOPE, "1"),
            (Tag::RESCALE_INTERCEPT, "-1000"),
        ] {
            data.put_text(tag, text);
        }
        for (tag, value) in [
            (Tag::ROWS, 4),
            (Tag::COLUMNS, 5),
            (Tag::SAMPLES_PER_PIXEL, 1),
            (Tag::BITS_ALLOCATED, 16),
            (Tag::BITS_STORED, 16),
            (Tag::HIGH_BIT, 15),
            (Tag::PIXEL_REPRESENTATION, 0),
        ] {
            data.put_u16(tag, &[value]);
        }
        let pixels = (0..20_usize).flat_map(|at| ((400 * k + 10 * (at / 5) + at % 5) as u16).to_le_bytes());
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(pixels.collect()));
        std::fs::write(folder.join(format!("Testfall_{k}.dcm")), file_bytes(&data)).unwrap();
    }
}

/// Changes the elements of every file of a series that [`ct`] wrote.
pub(super) fn change_files(folder: &Path, change: impl Fn(&mut DataSet)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = DicomFile::open(&path).unwrap();
        let pixels = file.pixel_bytes(40).unwrap();
        let mut data = file.data;
        change(&mut data);
        data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(pixels));
        std::fs::write(&path, file_bytes(&data)).unwrap();
    }
}

fn patient() -> DataSet {
    let mut data = DataSet::new();
    for (tag, text) in [
        (Tag::PATIENT_NAME, "Testfall^Ottokar"),
        (Tag::PATIENT_ID, "QX-7731-Z"),
        (Tag::PATIENT_BIRTH_DATE, "19570311"),
        (Tag::STUDY_DATE, "20240229"),
        (Tag::ACCESSION_NUMBER, "ACC99812"),
        (Tag::STUDY_INSTANCE_UID, "1.2.840.99.1"),
        (Tag::FRAME_OF_REFERENCE_UID, "1.2.840.99.2"),
    ] {
        data.put_text(tag, text);
    }
    data
}

/// Writes a SEG on the CT in `folder` with a lesion at (i, j, k) = (1..3, 1, 1..3), and an empty segment.
pub(crate) fn seg(folder: &Path, path: &Path) -> LabelVolume {
    let stack = crate::volume::dicom::open(folder).unwrap();
    let source = SourceSeries::of(&stack).unwrap();
    let mut labels = vec![0_u8; source.grid.len()];
    for (i, k) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        labels[source.grid.index([i, 1, k])] = 1;
    }
    let mask = LabelVolume::new(source.grid.clone(), labels).unwrap();
    let named = |name: &str| LabelStyle { colour: Some([230, 159, 0]), ..LabelStyle::named(name) };
    let names = LabelTable { labels: [(1, named("lesion of Testfall")), (2, named("oedema"))].into() };
    let options = SegOptions {
        algorithm: Algorithm::Automatic("network 1".into()),
        terms: Terms::built_in(),
        description: "Lesions".into(),
    };
    write_seg(path, std::slice::from_ref(&mask), &names, &source, &options).unwrap();
    mask
}

/// A report without an image.
fn structured_report(path: &Path) {
    let mut data = patient();
    for (tag, text) in [
        (Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.88.11"),
        (Tag::SOP_INSTANCE_UID, "1.2.840.99.9.1"),
        (Tag::SERIES_INSTANCE_UID, "1.2.840.99.9"),
        (Tag::MODALITY, "SR"),
    ] {
        data.put_text(tag, text);
    }
    std::fs::write(path, file_bytes(&data)).unwrap();
}

/// Writes an RTSTRUCT with a square on slices 1 and 2 of [`ct`], (i, j) = (1..3, 0..2), which names the images of a series.
fn structure_set(path: &Path, series: Option<&str>) {
    let texts = |texts: &[(Tag, &str)]| {
        let mut data = DataSet::new();
        texts.iter().for_each(|(tag, text)| data.put_text(*tag, text));
        data
    };
    let contour = |z: u8| {
        let corners = [(-9, 19), (-5, 19), (-5, 23), (-9, 23)].map(|(x, y)| format!("{x}\\{y}\\{z}")).join("\\");
        texts(&[(Tag::CONTOUR_GEOMETRIC_TYPE, "CLOSED_PLANAR"), (Tag::CONTOUR_DATA, &corners)])
    };
    let mut roi = texts(&[(Tag::REFERENCED_ROI_NUMBER, "1")]);
    roi.put_items(Tag::CONTOUR_SEQUENCE, vec![contour(3), contour(6)]);
    let mut data = patient();
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.481.3");
    data.put_text(Tag::SOP_INSTANCE_UID, "1.2.840.99.8.1");
    data.put_text(Tag::SERIES_INSTANCE_UID, "1.2.840.99.8");
    data.put_text(Tag::MODALITY, "RTSTRUCT");
    data.put_items(Tag::ROI_CONTOUR_SEQUENCE, vec![roi]);
    if let Some(series) = series {
        let mut named = texts(&[(Tag::SERIES_INSTANCE_UID, &format!("1.2.840.99.{series}"))]);
        let image = texts(&[(Tag::REFERENCED_SOP_INSTANCE_UID, &format!("1.2.840.99.{series}.0"))]);
        named.put_items(Tag::CONTOUR_IMAGE_SEQUENCE, vec![image]);
        let mut study = DataSet::new();
        study.put_items(Tag::RT_REFERENCED_SERIES_SEQUENCE, vec![named]);
        let mut frame = texts(&[(Tag::FRAME_OF_REFERENCE_UID, "1.2.840.99.2")]);
        frame.put_items(Tag::RT_REFERENCED_STUDY_SEQUENCE, vec![study]);
        data.put_items(Tag::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, vec![frame]);
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, file_bytes(&data)).unwrap();
}

pub(super) fn run(source: &Path, out: &Path, options: &ConvertOptions) -> ConvertReport {
    convert(&[source.to_path_buf()], out, options, &Control::default(), &mut |_| {}).unwrap()
}

/// Every file under a folder with its bytes, after gzip decompression.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|ending| ending == "gz") {
            let packed = std::mem::take(&mut bytes);
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        }
        found.push((path, bytes));
    }
    found
}

fn assert_nothing_identifies(text: &[u8], source: &str) {
    let lower = text.to_ascii_lowercase();
    for secret in SECRETS {
        let wanted = secret.to_ascii_lowercase();
        let found = lower.windows(wanted.len()).any(|part| part == wanted.as_bytes());
        assert!(!found, "{source} contains {secret}");
    }
}

/// A study with an even CT and its SEG, an uneven CT, and a report.
fn study(root: &Path) -> (PathBuf, LabelVolume) {
    let source = root.join("Testfall^Ottokar");
    ct(&source.join("ct"), "3", &[0.0, 3.0, 6.0, 9.0]);
    let mask = seg(&source.join("ct"), &source.join("seg.dcm"));
    ct(&source.join("uneven"), "4", &[0.0, 3.0, 7.0, 9.0]);
    structured_report(&source.join("report.dcm"));
    std::fs::write(source.join("notes.txt"), "Testfall").unwrap();
    (source, mask)
}

#[test]
fn a_study_becomes_a_pseudonymised_case() {
    let folder = tempfile::tempdir().unwrap();
    let (source, mask) = study(folder.path());
    let out = folder.path().join("cohort");
    let report = run(&source, &out, &ConvertOptions::default());
    let [done] = &report.patients[..] else { panic!("{report:?}") };
    assert_eq!((done.patient.as_str(), done.images(), done.finished_before), ("P0001", 1, false));
    let [refused] = &report.refused[..] else { panic!("{:?}", report.refused) };
    assert_eq!((refused.patient.as_deref(), refused.modality.as_str()), (Some("P0001"), "CT"));
    assert!(refused.why.contains("unevenly spaced"), "{}", refused.why);
    assert!(report.skipped.iter().any(|skipped| skipped.modality == "SR"), "{:?}", report.skipped);

    let place = out.join("P0001");
    let image = Volume::read(&place.join("ct.nii.gz")).unwrap();
    assert_eq!((image.grid.shape, image.value([4, 3, 2])), ([5, 4, 4], 800.0 + 30.0 + 4.0 - 1000.0));
    let written = LabelVolume::read_for(&place.join("seg.nii.gz"), &image).unwrap().0;
    assert_eq!(written.data, mask.data);
    let (table, _) = label_table_of_mask(&place.join("seg.nii.gz"));
    assert_eq!(table.labels[&1].name, "segment 1", "the name of the patient is replaced");
    assert_eq!((table.labels[&2].name.as_str(), table.labels[&2].colour), ("oedema", Some([230, 159, 0])));
    let cohort = Cohort::discover(&out).unwrap();
    let found = fingerprint(&cohort, Some("ct")).unwrap();
    assert_eq!((found.patients, found.labelled, found.problems.len()), (1, 1, 0), "{:?}", found.problems);

    assert!(files(&out).len() >= 7);
    for (path, bytes) in files(&out) {
        assert_nothing_identifies(&bytes, &path.display().to_string());
        assert_nothing_identifies(path.strip_prefix(&out).unwrap().to_string_lossy().as_bytes(), "a file's name");
    }
    let key = std::fs::read_to_string(folder.path().join("cohort.key.tsv")).unwrap();
    assert!(key.contains("P0001\tQX-7731-Z"), "{key}");
}

#[test]
fn an_rtstruct_gives_the_same_mask_in_place_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cohort");
    let heights = [0.0, 3.0, 6.0, 9.0];
    // In the folder of the images, its parent, and a sibling, where another CT has the same frame of reference.
    for (images, contours) in [("p1", "p1/rs.dcm"), ("p2/ct", "p2/rs.dcm"), ("p3/ct", "p3/rs/rs.dcm")] {
        ct(&root.join(images), "3", &heights);
        structure_set(&root.join(contours), Some("3"));
    }
    ct(&root.join("p3/late"), "4", &heights);
    let cohort = Cohort::discover(&root).unwrap();
    assert_eq!(cohort.cases.len(), 3, "{:?}", cohort.cases);
    run(&root.join("p3"), &folder.path().join("converted"), &ConvertOptions::default());
    let converted = LabelVolume::read(&folder.path().join("converted/P0001/seg.nii.gz")).unwrap();
    for case in &cohort.cases {
        assert_eq!(case.masks.len(), 1, "{case:?}");
        let (mask, notes) = read_masks(&case.masks, &MaskOptions::default()).unwrap();
        assert_eq!((mask.labelled_voxels(), mask.get(mask.grid.index([1, 0, 1])), notes), (8, 1, Vec::new()));
        assert_eq!(mask.on_grid(&converted.grid), converted, "{case:?}");
    }
    let found = fingerprint(&cohort, Some("ct")).unwrap();
    let of_masks = |problem: &&Problem| problem.file.as_ref().is_some_and(|file| file.ends_with("rs.dcm"));
    assert_eq!((found.labelled, found.problems.iter().find(of_masks)), (3, None));
    // Two volumes fit contours that name no image; the images of contours may be missing.
    let error = |path: &Path| LabelVolume::read(path).unwrap_err().to_string();
    structure_set(&root.join("p3/late/rs.dcm"), None);
    for k in 0..heights.len() {
        let name = format!("Testfall_{k}.dcm");
        std::fs::copy(root.join("p3/ct").join(&name), root.join("p3/late").join(format!("3_{name}"))).unwrap();
    }
    assert!(error(&root.join("p3/late/rs.dcm")).contains("several volumes"), "{}", error(&root.join("p3/late/rs.dcm")));
    structure_set(&root.join("p4/rs.dcm"), Some("7"));
    assert!(error(&root.join("p4/rs.dcm")).contains("neither in its folder"), "{}", error(&root.join("p4/rs.dcm")));
}

#[test]
fn converted_files_keep_their_padding() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("source"), folder.path().join("cohort"));
    // The first four voxels of the first slice, -1000 to -997 HU, are padding.
    for (series, heights) in [("3", [0.0, 3.0, 6.0, 9.0]), ("4", [0.0, 3.0, 7.0, 9.0])] {
        ct(&source.join(series), series, &heights);
        change_files(&source.join(series), |data| {
            data.put_u16(Tag::PIXEL_PADDING_VALUE, &[0]);
            data.put_u16(Tag::PIXEL_PADDING_RANGE_LIMIT, &[3]);
        });
    }
    run(&source, &out, &ConvertOptions { resample: true, ..ConvertOptions::default() });
    let dicom = Volume::read(&source.join("3")).unwrap();
    let nifti = Volume::read(&out.join("P0001/ct.nii.gz")).unwrap();
    assert_eq!((nifti.padding, nifti.padding_values()), (Some([0.0, 3.0]), Some([-1000.0, -997.0])));
    assert_eq!((&nifti.data, nifti.scale), (&dicom.data, dicom.scale));
    let (stats, padded) = nifti.stats_without_padding().unwrap();
    assert_eq!((stats.min, padded), (Some(-996.0), 4));
    assert_eq!(Some((stats, padded)), dicom.stats_without_padding());
    assert_eq!(nifti.percentiles(0, &[0.0, 50.0]), dicom.percentiles(0, &[0.0, 50.0]));
    // Resampled slices have the smallest tissue value there, and no values between it and padding.
    let even = Volume::read(&out.join("P0001/ct_2.nii.gz")).unwrap();
    assert_eq!((even.padding, even.value([0, 0, 0]), even.value([3, 0, 1])), (None, -996.0, -996.0));
}

/// A correction is saved beside the segmentation that it corrects.
#[test]
fn the_newest_version_of_a_segmentation_is_the_mask_and_older_ones_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (source, mask) = study(folder.path());
    std::fs::remove_dir_all(source.join("uneven")).unwrap();
    let older = source.join("older");
    std::fs::create_dir(&older).unwrap();
    let copy = |change: &dyn Fn(&mut DataSet)| {
        std::fs::copy(source.join("seg.dcm"), older.join("seg.dcm")).unwrap();
        change_files(&older, |data| {
            data.put_text(Tag::SOP_INSTANCE_UID, "1.2.840.99.7.1");
            data.put_text(Tag::SERIES_INSTANCE_UID, "1.2.840.99.7");
            data.put_text(Tag::CONTENT_DATE, "20200101");
            change(data);
        });
        run(&source, &folder.path().join("cohort"), &ConvertOptions::default())
    };
    let report = copy(&|_| {});
    let written = LabelVolume::read(&folder.path().join("cohort/P0001/seg.nii.gz")).unwrap();
    assert_eq!((written.data, report.refused), (mask.data, vec![]));
    let skipped: Vec<&str> = report.skipped.iter().map(|object| object.modality.as_str()).collect();
    assert_eq!(skipped, ["SR", "SEG"]);
    assert!(report.skipped[1].why.contains("a newer version"), "{:?}", report.skipped);
    let warnings = &report.patients[0].warnings;
    assert!(warnings.iter().any(|warning| warning.contains("a newer version")), "{warnings:?}");

    // Segments of the older one only would be lost.
    let report = copy(&|data| {
        data.put_text(Tag::SOP_INSTANCE_UID, "1.2.840.99.7.2");
        let mut segments = data.items(Tag::SEGMENT_SEQUENCE).to_vec();
        segments[1].put_text(Tag::SEGMENT_LABEL, "necrosis");
        data.put_items(Tag::SEGMENT_SEQUENCE, segments);
    });
    let refused: Vec<&str> = report.refused.iter().map(|object| object.modality.as_str()).collect();
    assert_eq!(refused, ["SEG"]);
    assert!(report.refused[0].why.contains("another segmentation"), "{:?}", report.refused);
}

#[test]
fn messages_and_the_report_do_not_identify_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    let (source, _) = study(folder.path());
    // A CT that is cut within its pixels, in a folder that is named after the patient.
    let cut = source.join("ct/Testfall_2.dcm");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 10]).unwrap();
    let mut messages = String::new();
    let mut collect = |patient: &ConvertedPatient| messages += &format!("{patient:?}");
    let out = folder.path().join("cohort");
    let report = convert(&[source], &out, &ConvertOptions::default(), &Control::default(), &mut collect).unwrap();
    assert_eq!(report.refused.len(), 3, "both series and the segmentation: {:?}", report.refused);
    assert_nothing_identifies(messages.as_bytes(), "a message");
    assert_nothing_identifies(format!("{report:?}").as_bytes(), "the report");
}

#[test]
fn only_changed_patients_are_converted_again() {
    let folder = tempfile::tempdir().unwrap();
    let (source, _) = study(folder.path());
    let (out, options) = (folder.path().join("cohort"), ConvertOptions::default());
    let first = run(&source, &out, &options);
    let image = out.join("P0001/ct.nii.gz");
    let written = std::fs::metadata(&image).unwrap().modified().unwrap();
    let again = run(&source, &out, &options);
    assert!(again.patients[0].finished_before);
    assert_eq!((again.refused, again.skipped), (first.refused, first.skipped), "the report is whole each time");
    assert_eq!(std::fs::metadata(&image).unwrap().modified().unwrap(), written);
    // A file that was lost, an option, and a new series.
    std::fs::remove_file(out.join("P0001/seg.nii.gz")).unwrap();
    assert!(!run(&source, &out, &options).patients[0].finished_before);
    assert!(out.join("P0001/seg.nii.gz").exists());
    let resample = ConvertOptions { resample: true, ..options.clone() };
    let report = run(&source, &out, &resample);
    assert_eq!((report.refused.len(), report.patients[0].images()), (0, 2));
    let even = Volume::read(&out.join("P0001/ct_2.nii.gz")).unwrap();
    assert_eq!((even.grid.shape, even.grid.spacing_mm()), ([5, 4, 6], [2.0, 2.0, 2.0]));
    // Slices at 0, 3, 7, 9 mm with 400 a slice: 4 mm is a quarter of the way from 3 to 7.
    assert!((even.value([0, 0, 2]) - (400.0 + 100.0 - 1000.0)).abs() < 1e-3);
    // Without resampling it is removed again.
    run(&source, &out, &options);
    assert!(!out.join("P0001/ct_2.nii.gz").exists());
    ct(&source.join("new"), "5", &[0.0, 3.0]);
    let report = run(&source, &out, &options);
    assert!(!report.patients[0].finished_before && report.patients[0].images() == 2);
}

#[test]
fn a_cancelled_conversion_continues() {
    let folder = tempfile::tempdir().unwrap();
    let (source, _) = study(folder.path());
    let out = folder.path().join("cohort");
    let control = Control::default();
    control.set(Signal::Cancel);
    let error =
        convert(std::slice::from_ref(&source), &out, &ConvertOptions::default(), &control, &mut |_| {}).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Cancelled));
    assert!(!out.join("P0001").exists());
    assert_eq!(run(&source, &out, &ConvertOptions::default()).patients[0].images(), 1);
}

#[test]
fn studies_without_a_patient_id_are_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    for (series, study) in [("3", "1.2.840.99.71"), ("4", "1.2.840.99.72")] {
        let place = source.join(series);
        ct(&place, series, &[0.0, 3.0]);
        change_files(&place, |data| {
            data.put_text(Tag::PATIENT_ID, "");
            data.put_text(Tag::STUDY_INSTANCE_UID, study);
        });
    }
    let report = run(&source, &folder.path().join("cohort"), &ConvertOptions::default());
    let names: Vec<&str> = report.patients.iter().map(|patient| patient.patient.as_str()).collect();
    assert_eq!(names, ["P0001", "P0002"]);
    for patient in &report.patients {
        let is_said = patient.warnings.iter().any(|warning| warning.contains("no PatientID"));
        assert!(patient.images() == 1 && is_said, "{patient:?}");
    }
}

#[test]
fn ids_are_kept_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let (source, _) = study(folder.path());
    let out = folder.path().join("cohort");
    run(&source, &out, &ConvertOptions { keep_ids: true, ..ConvertOptions::default() });
    let json = std::fs::read_to_string(out.join("QX-7731-Z/ct.json")).unwrap();
    assert!(json.contains("\"Series\": \"1.2.840.99.3\"") && json.contains("\"Units\": \"HU\""), "{json}");
    assert!(!folder.path().join("cohort.key.tsv").exists());
}

#[test]
fn a_folder_without_dicom_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no scan").unwrap();
    let out = folder.path().join("cohort");
    let source = [folder.path().to_path_buf()];
    let error = convert(&source, &out, &ConvertOptions::default(), &Control::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no DICOM file"), "{error}");
    assert!(!out.exists());
}

fn corpus(name: &str, to: &Path) -> Option<PathBuf> {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/dicom-series").join(name);
    if !archive.exists() {
        println!("skipped: ../shared/corpus/dicom-series/{name} is absent");
        return None;
    }
    assert!(Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(to).status().unwrap().success());
    Some(to.to_path_buf())
}

#[test]
fn a_pet_is_converted_to_suv_with_its_contours_as_mask() {
    let folder = tempfile::tempdir().unwrap();
    let Some(place) = corpus("suv-dro.tar.xz", folder.path()) else { return };
    let out = folder.path().join("cohort");
    let report = run(&place.join("DRO/DRO_0_0"), &out, &ConvertOptions::default());
    assert!(report.refused.is_empty(), "{:?}", report.refused);
    let place = out.join("P0001");
    assert_eq!(LabelVolume::read(&place.join("seg.nii.gz")).unwrap().labelled_voxels(), 174_690);
    assert!(is_in_suv(&place.join("pt.nii.gz")).unwrap());
    let json = std::fs::read_to_string(place.join("seg.json")).unwrap();
    assert!(json.contains("\"voxels\": 174690") && json.contains("rtstruct"), "{json}");
    for (path, bytes) in files(&out) {
        let lower = bytes.to_ascii_lowercase();
        assert!(!lower.windows(6).any(|part| part == b"petdro"), "{}", path.display());
    }
}

#[test]
fn a_tilted_and_uneven_series_is_refused_or_resampled() {
    let folder = tempfile::tempdir().unwrap();
    let Some(place) = corpus("ct-ge-tilt-uneven.tar.xz", folder.path()) else { return };
    let (source, out) = (place.join("ct-ge-tilt-uneven"), folder.path().join("cohort"));
    let report = run(&source, &out, &ConvertOptions::default());
    assert!(report.refused.len() == 1 && report.patients[0].images() == 0, "{report:?}");
    let report = run(&source, &out, &ConvertOptions { resample: true, ..ConvertOptions::default() });
    assert!(report.refused.is_empty(), "{:?}", report.refused);
    let volume = Volume::read(&out.join("P0001/ct.nii.gz")).unwrap();
    let [x, y, z] = [0, 1, 2].map(|axis| volume.grid.world_from_voxel.matrix3.col(axis).normalize());
    assert!(x.dot(z).abs() < 1e-4 && y.dot(z).abs() < 1e-4, "the axes are perpendicular");
    // The smallest distance of slices along the table is 1.081 mm.
    assert!((volume.grid.spacing_mm()[2] - 1.081).abs() < 0.06, "{:?}", volume.grid.spacing_mm());
}
