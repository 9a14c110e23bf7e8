//! Tests of listing, choosing and loading on synthetic files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use super::super::{DataSet, Tag, Value, Vr, file_bytes, open, read, with_series};
use super::*;
use crate::volume::seg::SourceSeries;
use crate::volume::{ReadOptions, VoxelData};

#[path = "library_container_tests.rs"]
mod containers;

/// Text that identifies the patient: no message may hold it.
const NAME: &str = "Doe^Jane";

/// Slice `k` of `series`, 2 x 2 pixels whose stored values are `10 * k` to `10 * k + 3`.
fn slice(series: i64, k: usize) -> DataSet {
    let mut data = DataSet::new();
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2");
    data.put_text(Tag::SOP_INSTANCE_UID, &format!("1.2.{series}.{k}"));
    data.put_text(Tag::STUDY_INSTANCE_UID, "1.2");
    data.put_text(Tag::SERIES_INSTANCE_UID, &format!("1.2.{series}"));
    data.put_text(Tag::SERIES_NUMBER, &series.to_string());
    data.put_text(Tag::MODALITY, "CT");
    data.put_text(Tag::PATIENT_NAME, NAME);
    data.put_text(Tag::PATIENT_ID, NAME);
    data.put_text(Tag::SERIES_DESCRIPTION, NAME);
    data.put_text(Tag::INSTANCE_NUMBER, &k.to_string());
    data.put_text(Tag::IMAGE_POSITION_PATIENT, &format!("0\\0\\{}", 3 * k));
    data.put_text(Tag::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
    data.put_text(Tag::PIXEL_SPACING, "1\\1");
    data.put_text(Tag::RESCALE_INTERCEPT, "-1000");
    data.put_text(Tag::RESCALE_SLOPE, "2");
    for (tag, value) in [(Tag::ROWS, 2), (Tag::COLUMNS, 2), (Tag::BITS_ALLOCATED, 16), (Tag::SAMPLES_PER_PIXEL, 1)] {
        data.put_u16(tag, &[value]);
    }
    let stored: Vec<u8> = (0..4).flat_map(|index| (10 * k as u16 + index).to_le_bytes()).collect();
    data.put(Tag::PIXEL_DATA, Vr::OW, Value::Bytes(stored));
    data
}

/// Writes slices 0 to `n - 1` of each series.
fn study(folder: &Path, series: &[(i64, usize)]) {
    for &(number, n) in series {
        for k in 0..n {
            write(folder, &format!("{number}-{k}"), &file_bytes(&slice(number, k)));
        }
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn all() -> ReadOptions {
    ReadOptions::default()
}

#[test]
fn the_only_volume_is_opened_and_others_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 3), (9, 1)]);
    write(folder.path(), "notes.txt", b"nothing");
    let (volume, info) = (read(folder.path(), &all()).unwrap(), open(folder.path()).unwrap().info());
    assert_eq!(volume.grid.shape, [2, 2, 3]);
    assert_eq!(volume.value([1, 1, 2]), 2.0 * 23.0 - 1000.0);
    assert!(matches!(volume.data, VoxelData::U16(_)), "constant scaling keeps the stored type");
    assert_eq!((info.unit.as_deref(), info.positions.len()), (Some("HU"), 3));
    // The single image is not a volume, but can be chosen.
    assert_eq!(read(&with_series(folder.path(), "9"), &all()).unwrap().grid.shape, [2, 2, 1]);
    study(folder.path(), &[(4, 2)]);
    let why = read(folder.path(), &all()).unwrap_err().to_string();
    assert!(why.contains("3 (CT 2x2x3), 4 (CT 2x2x2)") && !why.contains("9 ("), "{why}");
    assert_eq!(read(&with_series(folder.path(), "1.2.4"), &all()).unwrap().grid.shape, [2, 2, 2]);
    let why = read(&with_series(folder.path(), "5"), &all()).unwrap_err().to_string();
    assert!(why.starts_with("series = 5") && why.contains("4 (CT 2x2x2)"), "{why}");
}

#[test]
fn the_middle_slice_is_read_alone_and_earlier_versions_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 3)]);
    write(folder.path(), "3-0.previous", &file_bytes(&slice(4, 0)));
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    assert_eq!(library.series().count(), 1);
    let middle = library.series().next().unwrap().stacks[0].middle_slice().unwrap();
    assert_eq!((middle.grid.shape, middle.value([1, 0, 0])), ([2, 2, 1], 2.0 * 11.0 - 1000.0));
    assert_eq!(middle.grid.world([0, 0, 0]).z, 3.0);
}

#[test]
fn partially_decoded_slices_equal_those_of_the_volume() {
    let folder = tempfile::tempdir().unwrap();
    // Slice 7 is missing. In the second series slices are scaled in their own ways.
    for (series, own_scaling) in [(3, false), (4, true)] {
        for k in (0..101).filter(|k| *k != 7) {
            let mut data = slice(series, k);
            if own_scaling {
                data.put_text(Tag::RESCALE_SLOPE, &format!("{}", k + 1));
            }
            write(folder.path(), &format!("{series}-{k}"), &file_bytes(&data));
        }
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    for series in ["3", "4"] {
        let stack = library.select(folder.path(), Some(series)).unwrap();
        let whole = stack.load(&all(), &|_, _| true).unwrap();
        let mut steps: Vec<Vec<bool>> = Vec::new();
        let in_steps = stack.load_in_steps(&all(), &mut |partial| {
            let decoded = partial.decoded();
            assert_eq!((decoded.len(), partial.total()), (101, 101));
            assert_eq!(partial.done(), decoded.iter().filter(|decoded| **decoded).count());
            for (k, decoded) in decoded.iter().enumerate() {
                let Some(part) = partial.slice(k) else {
                    assert!(!decoded);
                    continue;
                };
                assert!(*decoded && part.grid.world([1, 0, 0]).distance(whole.grid.world([1, 0, k])) < 1e-9);
                for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    assert_eq!(part.value([i, j, 0]), whole.value([i, j, k]));
                }
            }
            assert!(partial.slice(101).is_none());
            steps.push(decoded.to_vec());
            true
        });
        assert_eq!(in_steps.unwrap().data, whole.data);
        assert!(steps.len() > 1, "it is decoded in steps");
        assert!(steps.windows(2).all(|two| two[0].iter().zip(&two[1]).all(|(before, after)| before <= after)));
        assert!(steps[0][50], "the middle slice comes first");
        for decoded in &steps {
            let inside = |k: &usize| decoded[*k];
            let (first, last) = ((0..101).find(inside).unwrap(), (0..101).rfind(inside).unwrap());
            assert!((first..=last).all(|k| decoded[k] || k == 7), "the others follow in both directions");
            assert!((50 - first).abs_diff(last - 50) <= 1, "{first} to {last}");
        }
        assert_eq!(steps.last().unwrap().iter().filter(|decoded| **decoded).count(), 100);
        let mut calls = 0;
        let stopped = stack.load_in_steps(&all(), &mut |_| {
            calls += 1;
            calls < 2
        });
        assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Cancelled));
        assert_eq!(calls, 2);
    }
}

#[test]
fn series_of_the_same_number_are_chosen_by_uid() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    for k in 0..2 {
        let mut data = slice(4, k);
        data.put_text(Tag::SERIES_NUMBER, "3");
        write(folder.path(), &format!("other-{k}"), &file_bytes(&data));
    }
    let why = read(folder.path(), &all()).unwrap_err().to_string();
    assert!(why.contains("1.2.3 (CT 2x2x2), 1.2.4 (CT 2x2x2)"), "{why}");
    assert_eq!(read(&with_series(folder.path(), "1.2.4"), &all()).unwrap().grid.shape, [2, 2, 2]);
    assert!(read(&with_series(folder.path(), "3"), &all()).is_err());
}

#[test]
fn slices_that_share_a_uid_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    for k in 0..3 {
        let mut data = slice(3, k);
        data.put_text(Tag::SOP_INSTANCE_UID, "1.2.3.0");
        write(folder.path(), &k.to_string(), &file_bytes(&data));
    }
    assert_eq!(read(folder.path(), &all()).unwrap().grid.shape, [2, 2, 3]);
}

#[test]
fn scaling_that_differs_between_slices_becomes_floats() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    let mut other = slice(3, 2);
    other.put_text(Tag::RESCALE_SLOPE, "0.5");
    write(folder.path(), "3-2", &file_bytes(&other));
    let volume = read(folder.path(), &all()).unwrap();
    assert!(matches!(volume.data, VoxelData::F32(_)));
    assert_eq!([volume.value([0, 0, 1]), volume.value([1, 1, 2])], [-980.0, -988.5]);
}

#[test]
fn a_pet_of_mixed_units_stays_as_stored_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let write_units = |units: [&str; 3]| {
        for (k, units) in units.into_iter().enumerate() {
            let mut data = slice(3, k);
            data.put_text(Tag::MODALITY, "PT");
            data.put_text(Tag::UNITS, units);
            write(folder.path(), &format!("3-{k}"), &file_bytes(&data));
        }
    };
    for (units, unit, why) in [
        (["GML"; 3], "SUVbw", None),
        (["GML", "", "GML"], "unknown", Some("no SUV: the slices have different units. The unit is unknown")),
        (
            ["BQML"; 3],
            "Bq/ml",
            Some("no SUV: the image is not corrected for attenuation (0028,0051). The unit is Bq/ml"),
        ),
    ] {
        write_units(units);
        let (volume, info) = (read(folder.path(), &all()).unwrap(), open(folder.path()).unwrap().info());
        assert_eq!((info.unit.as_deref(), volume.value([1, 0, 2])), (Some(unit), 2.0 * 21.0 - 1000.0));
        assert_eq!(volume.warnings, why.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn luminance_and_colour_differences_become_colours() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = slice(3, 0);
    data.put_text(Tag::PHOTOMETRIC_INTERPRETATION, "YBR_FULL");
    for (tag, value) in [(Tag::SAMPLES_PER_PIXEL, 3), (Tag::PLANAR_CONFIGURATION, 0), (Tag::BITS_ALLOCATED, 8)] {
        data.put_u16(tag, &[value]);
    }
    // Red, green, blue and grey as pydicom's convert_color_space maps them.
    let pixels = vec![76, 85, 255, 150, 44, 21, 29, 255, 107, 128, 128, 128];
    data.put(Tag::PIXEL_DATA, Vr::OB, Value::Bytes(pixels));
    let path = write(folder.path(), "colours", &file_bytes(&data));
    let expected = [[254, 0, 0], [0, 255, 1], [0, 0, 254], [128; 3]];
    assert_eq!(read(&path, &all()).unwrap().data, VoxelData::Rgb(expected.to_vec()));
    data.put_text(Tag::PHOTOMETRIC_INTERPRETATION, "PALETTE COLOR");
    std::fs::write(&path, file_bytes(&data)).unwrap();
    let why = read(&path, &all()).unwrap_err().to_string();
    assert!(why.contains("colours of this kind cannot be shown"), "{why}");
}

#[test]
fn pixels_that_a_file_does_not_hold_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = slice(3, 0);
    data.put_u16(Tag::ROWS, &[60_000]);
    data.put_u16(Tag::COLUMNS, &[10_000]);
    let path = write(folder.path(), "wide", &file_bytes(&data));
    let why = read(&path, &all()).unwrap_err().to_string();
    assert!(why.contains("1200000000 bytes of pixels expected, 8 found"), "{why}");
    // Nor is there a grid for contours, whose mask would be as large.
    let library = Library::scan(&path, &|_, _| true).unwrap();
    let stack = &library.series().next().unwrap().stacks[0];
    let why = SourceSeries::of(stack).unwrap_err().to_string();
    assert!(why.contains("1200000000 bytes of pixels expected, 8 found"), "{why}");
    // Twelve bits a pixel without gaps are retired from the standard.
    let mut packed = slice(3, 0);
    packed.put_u16(Tag::BITS_ALLOCATED, &[12]);
    let why = read(&write(folder.path(), "packed", &file_bytes(&packed)), &all()).unwrap_err().to_string();
    assert!(why.contains("(0028,0100): is 12, 1, 8, 16 or 32 expected"), "{why}");
}

#[test]
fn padding_is_known_only_if_all_slices_agree() {
    let folder = tempfile::tempdir().unwrap();
    let with_padding = |k: usize, padding: u16| {
        let mut data = slice(3, k);
        data.put_u16(Tag::PIXEL_PADDING_VALUE, &[padding]);
        write(folder.path(), &format!("3-{k}"), &file_bytes(&data));
    };
    (0..3).for_each(|k| with_padding(k, 11));
    let volume = read(folder.path(), &all()).unwrap();
    assert_eq!((volume.padding, volume.padding_values()), (Some([11.0, 11.0]), Some([-978.0, -978.0])));
    assert_eq!(volume.stats_without_padding().unwrap().1, 1);
    with_padding(2, 12);
    assert_eq!(read(folder.path(), &all()).unwrap().padding, None);
    // Slices scaled in their own ways.
    let mut other = slice(3, 2);
    other.put_u16(Tag::PIXEL_PADDING_VALUE, &[11]);
    other.put_text(Tag::RESCALE_SLOPE, "4");
    other.put_text(Tag::RESCALE_INTERCEPT, "-1022");
    write(folder.path(), "3-2", &file_bytes(&other));
    let volume = read(folder.path(), &all()).unwrap();
    assert_eq!((volume.scale.slope, volume.padding), (1.0, Some([-978.0, -978.0])));
}

#[test]
fn too_large_pixels_are_refused_before_allocation() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    let budget = ReadOptions { memory_budget: 15, ..all() };
    assert!(matches!(read(folder.path(), &budget).unwrap_err().kind(), ErrorKind::Memory { .. }));
    assert!(read(folder.path(), &ReadOptions { memory_budget: 16, ..budget }).is_ok());
    // A header that declares eight gigabytes of frames.
    let mut huge = slice(3, 2);
    huge.put_text(Tag::NUMBER_OF_FRAMES, "2000000000");
    let path = write(folder.path(), "huge", &file_bytes(&huge));
    let why = read(&path, &ReadOptions { memory_budget: u64::MAX, ..all() }).unwrap_err().to_string();
    assert!(why.contains("(0028,0008)") && why.contains("exceed 8 GiB"), "{why}");
}

#[test]
fn too_few_pixels_name_both_sizes_and_no_patient() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = file_bytes(&slice(3, 0));
    let path = write(folder.path(), "cut", &bytes[..bytes.len() - 3]);
    let why = read(&path, &all()).unwrap_err().to_string();
    assert!(why.contains("8 bytes of pixels expected, 5 found") && why.contains(&hashed_uid("1.2.3.0")), "{why}");
    assert!(!why.contains("Doe"), "{why}");
}

#[test]
fn copies_are_left_out_and_damaged_files_are_named_without_their_path() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 3)]);
    write(folder.path(), "Doe/copy", &file_bytes(&slice(3, 1)));
    let bytes = file_bytes(&slice(3, 2));
    write(folder.path(), "Doe/damaged", &bytes[..400]);
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    let series: Vec<&Series> = library.series().collect();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].stacks[0].grid().shape, [2, 2, 3]);
    assert_eq!(series[0].warnings, ["1 second copy of a file is left out"]);
    assert!(
        library.warnings.len() == 1 && library.warnings[0].contains("damaged DICOM file"),
        "{:?}",
        library.warnings
    );
    let messages = format!("{:?}{:?}{:?}", library.warnings, series[0].warnings, series[0].stacks[0].warnings());
    assert!(!messages.contains("Doe"), "{messages}");
    assert_eq!(library.patients[0].name, NAME);
}

#[test]
fn scanning_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    let stopped = Library::scan(folder.path(), &|_, _| false);
    assert!(matches!(stopped.unwrap_err().kind(), ErrorKind::Cancelled));
    let stack =
        Library::scan(folder.path(), &|done, total| done <= total).unwrap().select(folder.path(), None).unwrap();
    assert!(matches!(stack.load(&all(), &|_, _| false).unwrap_err().kind(), ErrorKind::Cancelled));
}

#[test]
fn slices_with_a_series_each_are_joined_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    for k in 0..3 {
        let mut data = slice(3, k);
        data.put_text(Tag::SERIES_INSTANCE_UID, &format!("1.2.3.{k}"));
        write(folder.path(), &k.to_string(), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    assert!(library.series().all(|series| series.warnings[0].contains("3 series of one image share number 3")));
    assert_eq!(library.select(folder.path(), Some("3")).unwrap().grid().shape, [2, 2, 3]);
}

#[test]
fn images_of_two_patients_are_never_joined() {
    let folder = tempfile::tempdir().unwrap();
    for (patient, k) in [("a", 0), ("a", 1), ("b", 2), ("b", 3)] {
        let mut data = slice(3, k);
        data.put_text(Tag::PATIENT_ID, patient);
        data.put_text(Tag::STUDY_INSTANCE_UID, &format!("1.2.{patient}"));
        data.put_text(Tag::SERIES_INSTANCE_UID, &format!("1.2.3.{k}"));
        write(folder.path(), &k.to_string(), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    let why = library.select(folder.path(), Some("3")).unwrap_err().to_string();
    assert!(why.contains("several series"), "{why}");
}

#[test]
fn patients_without_an_id_are_distinguished_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in (0..).zip(["Doe^Jane", "Roe^Rita", "Doe^Jane"]) {
        let mut data = slice(index, 0);
        data.put_text(Tag::PATIENT_ID, "");
        data.put_text(Tag::PATIENT_NAME, name);
        data.put_text(Tag::STUDY_INSTANCE_UID, &format!("1.2.{index}"));
        write(folder.path(), &index.to_string(), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    let patients: Vec<(&str, usize)> = library.patients.iter().map(|one| (&*one.name, one.studies.len())).collect();
    assert_eq!(patients, [("Doe^Jane", 2), ("Roe^Rita", 1)]);
}

#[test]
fn a_copy_under_another_patient_id_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    for k in 0..3 {
        let mut data = slice(3, k);
        data.put_text(Tag::PATIENT_ID, "Zoe");
        write(folder.path(), &format!("copy/{k}"), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    let selectors: Vec<String> = library.series().map(|series| library.selector(series, 0)).collect();
    assert_eq!(selectors, ["3:1", "3:2"]);
    for (selector, slices) in [("3:1", 2), ("3:2", 3), ("1.2.3:2", 3)] {
        assert_eq!(library.select(folder.path(), Some(selector)).unwrap().grid().shape[2], slices, "{selector}");
    }
    let why = library.select(folder.path(), Some("3")).unwrap_err().to_string();
    assert!(why.contains("3:1 (CT 2x2x2), 3:2 (CT 2x2x3)"), "{why}");
}

#[test]
fn a_segmentation_does_not_take_the_number_of_an_image() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), &[(3, 2)]);
    for (series, number) in [(8, 3), (9, 10)] {
        let mut data = slice(series, 0);
        data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.66.4");
        data.put_text(Tag::MODALITY, "SEG");
        data.put_text(Tag::SERIES_NUMBER, &number.to_string());
        write(folder.path(), &series.to_string(), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    let selectors: Vec<String> = library.series().map(|series| library.selector(series, 0)).collect();
    assert_eq!(selectors, ["3", "3", "10"]);
    let why = library.select(folder.path(), Some("10")).unwrap_err().to_string();
    assert!(why.contains("series = 10: is SEG, which has no images"), "{why}");
}

#[test]
fn series_without_a_number_are_listed_last() {
    let folder = tempfile::tempdir().unwrap();
    for (series, number) in [(1, ""), (2, "7"), (3, "2")] {
        let mut data = slice(series, 0);
        data.put_text(Tag::SERIES_NUMBER, number);
        write(folder.path(), &series.to_string(), &file_bytes(&data));
    }
    let library = Library::scan(folder.path(), &|_, _| true).unwrap();
    assert_eq!(library.series().map(|series| series.number).collect::<Vec<_>>(), [Some(2), Some(7), None]);
}

#[test]
fn a_folder_without_images_is_refused_with_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = slice(3, 0);
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.66.4");
    data.put_text(Tag::MODALITY, "SEG");
    let path = write(folder.path(), "seg.dcm", &file_bytes(&data));
    let why = read(&path, &all()).unwrap_err().to_string();
    assert!(why.ends_with("contains no DICOM image. Modalities found: SEG"), "{why}");
    let mut mosaic = slice(3, 0);
    mosaic.put_text(Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M\\MOSAIC");
    let path = write(folder.path(), "mosaic.dcm", &file_bytes(&mosaic));
    let why = read(&path, &all()).unwrap_err().to_string();
    assert!(why.contains("(a Siemens mosaic without CSA header"), "{why}");
}
