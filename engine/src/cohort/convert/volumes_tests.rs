//! Series of several volumes, and segmentations whose segments overlap.

use std::path::Path;

use super::ConvertOptions;
use super::tests::{change_files, ct, run};
use crate::volume::dicom::Tag;
use crate::volume::seg::{Algorithm, SegOptions, SourceSeries, Terms, write_seg};
use crate::volume::{LabelStyle, LabelTable, LabelVolume};

fn sidecar(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_smaller_of_two_overlapping_segments_is_whole_and_the_report_says_what_the_other_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    ct(&source.join("ct"), "3", &[0.0, 3.0, 6.0, 9.0]);
    let series = SourceSeries::of(&crate::volume::dicom::open(&source.join("ct")).unwrap()).unwrap();
    let labelled = |label: u8, inside: &dyn Fn(usize) -> bool| {
        let labels: Vec<u8> = (0..series.grid.len()).map(|at| if inside(at) { label } else { 0 }).collect();
        LabelVolume::new(series.grid.clone(), labels).unwrap()
    };
    // The lesion lies within the organ, whose number is higher.
    let (lesion, organ) = (labelled(1, &|at| at % 20 == 6), labelled(2, &|at| (5..10).contains(&(at % 20))));
    let names = LabelTable { labels: [(1, LabelStyle::named("lesion")), (2, LabelStyle::named("organ"))].into() };
    let options = SegOptions { algorithm: Algorithm::Manual, terms: Terms::built_in(), description: String::new() };
    write_seg(&source.join("seg.dcm"), &[lesion.clone(), organ.clone()], &names, &series, &options).unwrap();

    let out = folder.path().join("cohort");
    let report = run(&source, &out, &ConvertOptions::default());
    let mask = LabelVolume::read(&out.join("P0001/seg.nii.gz")).unwrap();
    assert_eq!(mask.voxel_counts(), [(1, 4), (2, 16)]);
    let warnings = &report.patients[0].warnings;
    let lost = "seg.nii.gz: where segments overlap, the mask keeps the smaller one: segment 2 keeps 16 of 20 voxels";
    assert!(warnings.iter().any(|warning| warning == lost), "{warnings:?}");
    let segments = sidecar(&out.join("P0001/seg.json"))["Segments"].clone();
    assert_eq!([segments[0]["voxels"].as_u64(), segments[1]["voxels"].as_u64()], [Some(4), Some(16)]);
}

#[test]
fn the_sidecar_of_each_volume_of_a_series_says_which_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    for (part, kernel) in [("a", "B30f"), ("b", "B70s")] {
        ct(&source.join(part), "3", &[0.0, 3.0, 6.0]);
        change_files(&source.join(part), |data| {
            let uid = format!("{}.{kernel}", data.uid(Tag::SOP_INSTANCE_UID).unwrap());
            data.put_text(Tag::SOP_INSTANCE_UID, &uid);
            data.put_text(Tag::CONVOLUTION_KERNEL, kernel);
        });
    }
    let out = folder.path().join("cohort");
    run(&source, &out, &ConvertOptions::default());
    let volume = |name: &str| sidecar(&out.join("P0001").join(name))["Volume"].clone();
    let mut volumes = [volume("ct.json"), volume("ct_2.json")].map(|text| text.as_str().unwrap().to_owned());
    volumes.sort();
    assert_eq!(volumes, ["kernel B30f", "kernel B70s"]);
    let why = crate::volume::dicom::open(&source).unwrap_err().to_string();
    assert!(why.contains("(CT 5x4x3, kernel B30f)"), "{why}");
}
