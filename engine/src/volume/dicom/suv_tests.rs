//! Tests of the SUV rules on synthetic headers. The digital reference objects are in the integration tests.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::volume::dicom::{Value, Vr};

/// 70 kg, 350 MBq of a half-life of 2 h given an hour before the scan, decay corrected to its start.
fn header() -> DataSet {
    let mut pharmaceutical = DataSet::new();
    pharmaceutical.put_text(Tag::RADIONUCLIDE_TOTAL_DOSE, "350000000");
    pharmaceutical.put_text(Tag::RADIONUCLIDE_HALF_LIFE, "7200");
    pharmaceutical.put_text(Tag::RADIOPHARMACEUTICAL_START_TIME, "110000");
    let mut data = DataSet::new();
    data.put_text(Tag::UNITS, "BQML");
    data.put_text(Tag::CORRECTED_IMAGE, "DECY\\ATTN");
    data.put_text(Tag::DECAY_CORRECTION, "START");
    data.put_text(Tag::PATIENT_WEIGHT, "70");
    data.put_text(Tag::SERIES_DATE, "20240301");
    data.put_text(Tag::SERIES_TIME, "120000");
    data.put_text(Tag::ACQUISITION_DATE, "20240301");
    data.put_text(Tag::ACQUISITION_TIME, "120000.5");
    data.put_items(Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![pharmaceutical]);
    data
}

fn factor(data: &DataSet) -> SuvFactor {
    let header = PetHeader::of(data);
    header.factor(header.acquisition)
}

fn close(result: &SuvFactor, factor: f64, unit: &str) {
    assert!((result.factor / factor - 1.0).abs() < 1e-9 && result.unit == unit, "{result:?}, {factor} expected");
}

#[test]
fn the_dose_decays_to_the_time_of_reference() {
    let expected = 70_000.0 / (3.5e8 * 0.5_f64.sqrt());
    let mut data = header();
    close(&factor(&data), expected, "SUVbw");
    // Grams and MBq.
    data.put_text(Tag::PATIENT_WEIGHT, "70000");
    close(&factor(&data), expected, "SUVbw");
    data.put_text(Tag::DECAY_CORRECTION, "ADMIN");
    close(&factor(&data), 70_000.0 / 3.5e8, "SUVbw");
}

#[test]
fn an_injection_before_midnight_was_the_day_before() {
    let mut data = header();
    data.put_text(Tag::SERIES_TIME, "000000");
    data.put_text(Tag::ACQUISITION_TIME, "000000");
    // 11:00 of the day before is 13 hours earlier.
    close(&factor(&data), 70_000.0 / 3.5e8 * 2_f64.powf(6.5), "SUVbw");
}

#[test]
fn a_series_time_after_the_scan_is_a_reconstruction() {
    let mut data = header();
    data.put_text(Tag::SERIES_TIME, "180000");
    assert!(factor(&data).evidence.contains("a time to which decay is corrected is missing"), "{:?}", factor(&data));
    data.put_text(Tag::FRAME_REFERENCE_TIME, "0");
    data.put_text(Tag::ACTUAL_FRAME_DURATION, "1");
    // A frame of a millisecond: the reference is the acquisition itself.
    let result = factor(&data);
    assert!((result.factor / (70_000.0 / 3.5e8 * 2_f64.powf(3600.5 / 7200.0)) - 1.0).abs() < 1e-6, "{result:?}");
    data.put(Tag(0x0009, 0x0010), Vr::LO, Value::Bytes(b"GEMS_PETD_01".to_vec()));
    data.put(Tag(0x0009, 0x100d), Vr::DT, Value::Bytes(b"20240301130000.00".to_vec()));
    close(&factor(&data), 70_000.0 / 3.5e8 * 2.0, "SUVbw");
}

#[test]
fn without_decay_correction_the_frame_itself_is_corrected() {
    let mut data = header();
    data.put_text(Tag::DECAY_CORRECTION, "NONE");
    data.put_text(Tag::ACTUAL_FRAME_DURATION, "7200000");
    // One half-life long, an hour and half a second after the injection.
    let within = std::f64::consts::LN_2 / 0.5;
    close(&factor(&data), 70_000.0 / 3.5e8 * within * 2_f64.powf(3600.5 / 7200.0), "SUVbw");
}

/// The header of the enhanced image that PET images are converted to, with the times of its frames.
fn converted(mut images: DataSet, times: &[&str]) -> DataSet {
    let mut enhanced = DataSet::new();
    for tag in [Tag::PATIENT_WEIGHT, Tag::SERIES_DATE, Tag::SERIES_TIME] {
        enhanced.copy(&images, tag);
        images.put_text(tag, "");
    }
    images.put_text(Tag::ACQUISITION_TIME, "");
    let mut shared = DataSet::new();
    shared.put_items(CONVERTED, vec![images]);
    enhanced.put_items(Tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]);
    let frame = |time: &&str| {
        let (mut content, mut groups) = (DataSet::new(), DataSet::new());
        content.put(FRAME_TIME, Vr::DT, Value::Bytes(time.as_bytes().to_vec()));
        content.put(FRAME_DURATION, Vr::FD, Value::Bytes(7_200_000_f64.to_le_bytes().to_vec()));
        groups.put_items(Tag::FRAME_CONTENT_SEQUENCE, vec![content]);
        groups
    };
    enhanced.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, times.iter().map(frame).collect());
    enhanced
}

#[test]
fn an_enhanced_image_converted_from_others_has_their_suv() {
    let times = ["20240301121000", "20240301120000.5"];
    close(&factor(&converted(header(), &times)), 70_000.0 / (3.5e8 * 0.5_f64.sqrt()), "SUVbw");
    let mut uncorrected = header();
    uncorrected.put_text(Tag::DECAY_CORRECTION, "NONE");
    let one_time = factor(&converted(uncorrected.clone(), &times[1..]));
    let within = std::f64::consts::LN_2 / 0.5;
    close(&one_time, 70_000.0 / 3.5e8 * within * 2_f64.powf(3600.5 / 7200.0), "SUVbw");
    let several_times = factor(&converted(uncorrected, &times));
    assert!(several_times.unit == "Bq/ml" && several_times.evidence.contains("(0008,0032)"), "{several_times:?}");
}

#[test]
fn a_missing_attribute_leaves_the_unit_and_says_why() {
    for (tag, why) in [
        (Tag::PATIENT_WEIGHT, "(0010,1030)"),
        (Tag::CORRECTED_IMAGE, "(0028,0051)"),
        (Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, "(0018,1074)"),
        (Tag::DECAY_CORRECTION, "(0054,1102)"),
    ] {
        let mut data = header();
        data.put(tag, Vr::LO, Value::Bytes(Vec::new()));
        let result = factor(&data);
        assert!(result.factor == 1.0 && result.unit == "Bq/ml" && result.evidence.contains(why), "{result:?}");
    }
    let mut data = header();
    data.put_text(Tag::UNITS, "CNTS");
    let result = factor(&data);
    assert!(result.factor == 1.0 && result.unit == "counts", "{result:?}");
}

#[test]
fn impossible_times_are_not_times_of_administration() {
    let with_start = |date_time: &str| {
        let mut data = header();
        let mut pharmaceutical = data.items(Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE)[0].clone();
        pharmaceutical.put_text(Tag::RADIOPHARMACEUTICAL_START_DATE_TIME, date_time);
        data.put_items(Tag::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![pharmaceutical]);
        factor(&data)
    };
    close(&with_start("20240301110000"), 70_000.0 / (3.5e8 * 0.5_f64.sqrt()), "SUVbw");
    // A dynamic scan starts before the administration, another one does not. Shifted dates lie years apart.
    close(&with_start("20240301120500"), 70_000.0 / (3.5e8 * 2_f64.powf(300.0 / 7200.0)), "SUVbw");
    for wrong in ["20240301130000", "20230301110000", "20240229110000"] {
        let result = with_start(wrong);
        assert!(result.unit == "Bq/ml" && result.evidence.contains("does not fit the time of the scan"), "{result:?}");
    }
    assert_eq!((seconds("9959"), seconds("2460"), seconds("236060"), day("20241301")), (None, None, None, None));
    assert_eq!(seconds("235960"), Some(86_400.0));
}

#[test]
fn other_masses_and_surfaces_become_body_weight() {
    let mut data = header();
    data.put_text(Tag::UNITS, "GML");
    close(&factor(&data), 1.0, "SUVbw");
    data.put_text(Tag::SUV_TYPE, "LBM");
    assert!(factor(&data).unit == "g/ml" && factor(&data).evidence.contains("height"));
    data.put_text(Tag::PATIENT_SIZE, "1.75");
    data.put_text(Tag::PATIENT_SEX, "M");
    close(&factor(&data), 70.0 / (1.10 * 70.0 - 128.0 * 0.16), "SUVbw");
    data.put_text(Tag::UNITS, "CM2ML");
    let area = 0.007_184 * 70_f64.powf(0.425) * 175_f64.powf(0.725) * 1e4;
    close(&factor(&data), 70_000.0 / area, "SUVbw");
}

#[test]
fn dates_cross_months_and_leap_days() {
    assert_eq!(day("20240301").unwrap() - day("20240228").unwrap(), 2.0 * DAY);
    assert_eq!(day("2023.01.01").unwrap() - day("20221231").unwrap(), DAY);
    assert_eq!(seconds("0130"), Some(5400.0));
    assert_eq!(seconds("01:30:02.5"), Some(5402.5));
    assert_eq!((seconds(""), day("2024"), seconds("xx")), (None, None, None));
    assert_eq!(whole_date_time("20240301120000.000+0100"), date_time("20240301", "120000"));
}
