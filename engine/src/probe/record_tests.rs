//! Tests of the records of a pinned slice, as bytes and as files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::ErrorKind;
use crate::probe::{Recorder, epochs, pins, read, read_slice};
use crate::run::RunFolder;
use crate::seed::{Stream, stream};

fn place() -> &'static Path {
    Path::new("a.safetensors")
}

/// A full, incompressible record.
fn full(size: usize, grid: usize, case: &str) -> ProbeRecord {
    let mut draw = stream(1, "record", &[size as u64, grid as u64]);
    let n = grid * grid;
    let bits = |draw: &mut Stream| (0..n).map(|_| draw.random_range(0..2u8)).collect::<Vec<u8>>();
    let numbers = |draw: &mut Stream| (0..n).map(|_| Some(draw.random::<f32>())).collect::<Vec<_>>();
    let mut record = ProbeRecord {
        sigma: Some(0.987_654_321),
        before: bits(&mut draw),
        after: bits(&mut draw),
        cases: (0..n).map(|_| draw.random_range(0..5)).collect(),
        coins: (0..n).map(|_| Some(draw.random_range(0..2))).collect(),
        masked: vec![true; n],
        order: (0..n as u16).map(|patch| (patch * 7 + 3) % n as u16).collect(),
        losses: numbers(&mut draw),
        relative: numbers(&mut draw),
        mean_relative: numbers(&mut draw),
        kind: PictureKind::Codes,
        ..ProbeRecord::empty(Pin::new(case, u32::MAX), Stage::Pretrain, 1_000_000, true)
    };
    let pixels: Vec<f32> = (0..size * size).map(|_| draw.random_range(-3.0..5.0)).collect();
    record.draw(&pixels, size, None);
    record
}

fn slice(size: usize, grid: usize) -> ProbeSlice {
    let mut draw = stream(2, "slice", &[size as u64]);
    let n = grid * grid;
    let pixels: Vec<f32> = (0..2 * size * size).map(|_| draw.random_range(-3.0..5.0)).collect();
    let target: Vec<u8> = (0..size * size).map(|_| draw.random_range(0..3)).collect();
    let clustering = Clustering {
        labels: (0..n).map(|_| draw.random_range(0..2)).collect(),
        logit: vec![0.0; n],
        probability: (0..n).map(|_| draw.random()).collect(),
        centres: [Vec::new(), Vec::new()],
        air: (0..n).map(|_| draw.random()).collect(),
        ..Clustering::default()
    };
    let lesion: Vec<bool> = (0..n).map(|_| draw.random()).collect();
    let grid = PatchGrid::new(size, grid).unwrap();
    ProbeSlice::new(Pin::new("P 1", 7), Stage::Pretrain, true, size, &pixels, Some(&target))
        .at(std::array::from_fn(|i| i as f64 / 3.0))
        .with_patches(&grid, &clustering, Some(&lesion))
}

#[test]
fn the_largest_record_round_trips_and_fits_the_limit() {
    let long = "x".repeat(255);
    for (size, grid, side) in [(160, 16, 160), (144, 16, 144), (512, 32, 64), (240, 16, 120), (360, 40, 40)] {
        for case in ["P", &long] {
            let record = full(size, grid, case);
            let bytes = record.to_bytes().unwrap();
            assert!(bytes.len() <= MAX_BYTES, "{size} {grid}: {} bytes", bytes.len());
            assert_eq!(record.side, side, "{size} {grid}");
            assert_eq!(ProbeRecord::from_bytes(&bytes, place()).unwrap(), record);
        }
    }
}

#[test]
fn a_fine_tuning_record_contains_only_a_picture() {
    let mut record = ProbeRecord::empty(Pin::new("P", 1), Stage::Finetune, 3, false);
    let pixels: Vec<f32> = (0..1024).map(|at| at as f32 / 1023.0).collect();
    record.draw(&pixels, 32, Some([0.0, 1.0]));
    let back = ProbeRecord::from_bytes(&record.to_bytes().unwrap(), place()).unwrap();
    assert_eq!(back, record);
    assert_eq!((back.side, back.range), (32, [0.0, 1.0]));
    for (value, pixel) in back.values().iter().zip(&pixels) {
        assert!((value - pixel).abs() <= 0.5 / 255.0 + 1e-6, "{value} {pixel}");
    }
}

#[test]
fn a_slice_round_trips() {
    for (size, grid) in [(32, 8), (160, 16), (1024, 32)] {
        let slice = slice(size, grid);
        assert_eq!(ProbeSlice::from_bytes(&slice.to_bytes().unwrap(), place()).unwrap(), slice);
        assert_eq!(slice.side, size.min(512));
    }
    let plain = ProbeSlice::new(Pin::new("P", 0), Stage::Finetune, false, 8, &[1.0; 64], None);
    assert_eq!(ProbeSlice::from_bytes(&plain.to_bytes().unwrap(), place()).unwrap(), plain);
    assert_eq!((plain.grid, plain.values()), (0, vec![1.0; 64]));
}

#[test]
fn a_file_with_any_flipped_bit_is_refused() {
    let (record, slice) = (full(32, 8, "P").to_bytes().unwrap(), slice(32, 8).to_bytes().unwrap());
    let refused = |bytes: &[u8], at: usize, bit: usize, read: &dyn Fn(&[u8]) -> bool| {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1 << bit;
        assert!(read(&damaged), "byte {at}, bit {bit}");
    };
    for (at, bit) in (0..record.len()).map(|at| (at, at % 8)) {
        refused(&record, at, bit, &|bytes| ProbeRecord::from_bytes(bytes, place()).is_err());
    }
    for (at, bit) in (0..slice.len()).map(|at| (at, at % 8)) {
        refused(&slice, at, bit, &|bytes| ProbeSlice::from_bytes(bytes, place()).is_err());
    }
    for cut in [0, 7, 15, 79, 80, record.len() - 1] {
        assert!(ProbeRecord::from_bytes(&record[..cut], place()).is_err(), "cut at {cut}");
    }
    let error = ProbeRecord::from_bytes(&slice, place()).unwrap_err().to_string();
    assert!(error.contains("a.safetensors") && error.contains("epoch"), "{error}");
    let mut damaged = record;
    *damaged.last_mut().unwrap() ^= 1;
    let error = ProbeRecord::from_bytes(&damaged, place()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Checksum { .. }), "{error}");
}

proptest! {
    /// With a right checksum: refused or read, but never a panic.
    #[test]
    fn forged_fields_never_panic(side in 0usize..40, grid in 0usize..10, lengths: [u8; 3], order: Vec<u16>, byte: u8) {
        let list = |at: usize| vec![byte; usize::from(lengths[at])];
        let mut to = TensorWriter::default();
        ["before", "after", "kmeans"].into_iter().for_each(|name| to.u8(name, &list(0)));
        ["cases", "coins", "air"].into_iter().for_each(|name| to.u8(name, &list(1)));
        ["probability", "picture", "pixels"].into_iter().for_each(|name| to.u8(name, &list(2)));
        to.u16("order", &order);
        ["losses", "relative", "mean_relative"].into_iter().for_each(|name| to.f32(name, order.iter().map(|v| f32::from(*v))));
        let head = serde_json::json!({
            "pin": "P:1", "stage": "pretrain", "epoch": 1, "trained": true, "sigma": 0.5, "side": side, "range": [0.0, 1.0],
            "size": side, "grid": grid, "world_from_crop": ([0.0; 16]),
        });
        let bytes = to.seal(&head).unwrap();
        let _ = ProbeRecord::from_bytes(&bytes, place());
        let _ = ProbeSlice::from_bytes(&bytes, place());
    }
}

#[test]
fn another_version_is_refused() {
    let bytes = full(8, 4, "P").to_bytes().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let at = text.find("version\\\":2").unwrap() + "version\\\":".len();
    let mut other = bytes.clone();
    other[at] = b'3';
    let error = ProbeRecord::from_bytes(&other, place()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Version { .. }), "{error}");
}

#[test]
fn files_are_written_where_they_are_read_and_repeated_epochs_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let run = RunFolder::create(&root, "version = 1\n").unwrap();
    assert_eq!(pins(&root).unwrap(), []);
    let (pin, other) = (Pin::new("../P/1", u32::MAX), Pin::new("Q", 1));
    let shared = crate::probe::Pins::new(vec![other.clone()]);
    let mut recorder = Recorder::new(&run, &shared, Stage::Pretrain);
    assert_eq!(recorder.changed().unwrap().len(), 1);
    assert!(recorder.changed().is_none());
    shared.add(pin.clone());
    assert_eq!(recorder.changed().unwrap(), [pin.clone(), other.clone()]);
    assert_eq!(pins(&root).unwrap(), [pin.clone(), other.clone()]);
    for epoch in [3, 12, 2] {
        recorder.record(&ProbeRecord { epoch, ..full(32, 8, &pin.case) });
    }
    let events = recorder.events();
    assert!(events.iter().all(|event| matches!(event, crate::event::Event::Probe(_))), "{events:?}");
    assert_eq!(epochs(&root, &pin, Stage::Pretrain), [2, 3, 12]);
    assert!(epochs(&root, &pin, Stage::Finetune).is_empty());
    assert!(epochs(&root, &other, Stage::Pretrain).is_empty());
    assert_eq!(read(&root, &pin, Stage::Pretrain, 3).unwrap(), ProbeRecord { epoch: 3, ..full(32, 8, &pin.case) });
    recorder.slice(&slice(32, 8));
    assert_eq!(read_slice(&root, &Pin::new("P 1", 7), Stage::Pretrain).unwrap(), slice(32, 8));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies outside the run");

    // A file in place of another is not accepted as its record.
    let place = |epoch: usize| root.join("probes").join(pin.folder()).join(format!("pretrain-{epoch:06}.safetensors"));
    fs::copy(place(3), place(4)).unwrap();
    let error = read(&root, &pin, Stage::Pretrain, 4).unwrap_err().to_string();
    assert!(error.contains("epoch 4") && error.contains("epoch 3"), "{error}");
    let error = read(&root, &pin, Stage::Pretrain, 5).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io { .. }), "{error}");

    // Files of version 1 are named as such.
    fs::write(place(7).with_extension("probe"), b"AMLPPROB").unwrap();
    let error = read(&root, &pin, Stage::Pretrain, 7).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Version { .. }), "{error}");
    fs::remove_file(place(7).with_extension("probe")).unwrap();

    // Repeated epochs are removed, and so are a killed writer's files.
    fs::write(place(3).with_file_name(".pretrain-000003.safetensors.1.2.tmp"), b"half").unwrap();
    drop(run);
    let run = RunFolder::resume(&root).unwrap();
    Recorder::new(&run, &shared, Stage::Pretrain).forget_from(3).unwrap();
    assert_eq!(epochs(&root, &pin, Stage::Pretrain), [2]);
    assert_eq!(fs::read_dir(place(2).parent().unwrap()).unwrap().count(), 1);

    fs::write(root.join("probes/pins.json"), b"[\"nobody\"]").unwrap();
    let error = pins(&root).unwrap_err().to_string();
    assert!(error.contains("pins.json") && error.contains("nobody"), "{error}");
}
