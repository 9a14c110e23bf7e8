//! Tests that parse the event files as TFRecord and protobuf.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::event::{EpochSummary, Stage};

/// The data of every record of a file, checksums compared.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut result = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(8);
        let (crc, rest) = rest.split_at(4);
        assert_eq!(u32::from_le_bytes(crc.try_into().unwrap()), masked(crc32c(length)), "the length's checksum");
        let (data, rest) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        let (crc, rest) = rest.split_at(4);
        assert_eq!(u32::from_le_bytes(crc.try_into().unwrap()), masked(crc32c(data)), "the data's checksum");
        result.push(data.to_vec());
        bytes = rest;
    }
    result
}

/// A protobuf field: its number, and its bytes or its number as bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let read = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let mut result = Vec::new();
    while !bytes.is_empty() {
        let key = read(&mut bytes);
        let content = match key & 7 {
            0 => read(&mut bytes).to_le_bytes().to_vec(),
            1 => bytes[..8].to_vec(),
            2 => {
                let length = read(&mut bytes) as usize;
                bytes[..length].to_vec()
            }
            5 => bytes[..4].to_vec(),
            kind => panic!("no wire type {kind}"),
        };
        if key & 7 != 0 {
            bytes = &bytes[content.len()..];
        }
        result.push((key >> 3, content));
    }
    result
}

/// Step, tag and value of every scalar, and the steps at which a session starts.
fn read(path: &Path) -> (Vec<(u64, String, f32)>, Vec<u64>) {
    let (mut scalars, mut starts) = (Vec::new(), Vec::new());
    for (index, data) in records(&std::fs::read(path).unwrap()).iter().enumerate() {
        let event = fields(data);
        assert_eq!((event[0].0, event[1].0), (1, 2), "wall time and step come first");
        let time = f64::from_le_bytes(event[0].1.clone().try_into().unwrap());
        assert!(time > 1.7e9 && time < 1e11, "{time}");
        let step = u64::from_le_bytes(event[1].1.clone().try_into().unwrap());
        let (what, content) = &event[2];
        assert_eq!(*what == 3, index == 0, "the first event is the version, and no other");
        match what {
            3 => assert_eq!(content, b"brain.Event:2"),
            5 => scalars.extend(fields(content).into_iter().map(|(_, entry)| {
                let entry = fields(&entry);
                let value = f32::from_le_bytes(entry[1].1.clone().try_into().unwrap());
                (step, String::from_utf8(entry[0].1.clone()).unwrap(), value)
            })),
            7 => starts.push(step),
            other => panic!("no field {other} is written"),
        }
    }
    (scalars, starts)
}

/// Check values of CRC-32C (RFC 3720, appendix B.4) and of the mask.
#[test]
fn checksums_equal_the_check_values_of_the_standard() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    assert_eq!(masked(0), 0xa282_ead8);
    assert_eq!(masked(0x0000_8000), 0xa282_ead9, "bit 15 comes to bit 0");
}

#[test]
fn a_varint_has_seven_bits_per_byte() {
    assert_eq!([varint(0), varint(127), varint(300)], [vec![0], vec![127], vec![0xac, 2]]);
}

#[test]
fn the_scalars_of_a_run_are_read_back_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::Finetune;
    let started = |first_epoch| Event::Started {
        stage,
        epochs: 3,
        steps_per_epoch: 2,
        slices: 8,
        parameters: 5,
        device: "cpu".into(),
        first_epoch,
    };
    let step = |epoch, step, loss| Event::Step { stage, epoch, step, loss, learning_rate: 0.125 };
    let summary = EpochSummary {
        epoch: 1,
        loss: 0.5,
        training_dice: Some(0.75),
        parts: Some([("dice", 0.25), ("bce", f64::NAN)].into_iter().collect()),
        entropy: Some([Some(1.5), None, Some(2.5)]),
        ..EpochSummary::default()
    };
    let mut board = TensorBoard::new(folder.path());
    assert!(!folder.path().join(FOLDER).exists(), "a dry run leaves nothing");
    for event in [started(1), step(1, 1, 1.0), step(1, 2, 0.5), Event::Validation { epoch: 1, dice: 0.25, best: true }]
    {
        board.event(&event).unwrap();
    }
    board.event(&Event::Epoch(Box::new(summary))).unwrap();
    // A resumed process would write a new file.
    board.event(&step(2, 1, 0.25)).unwrap();
    board.event(&Event::Finished { stage, epochs: 3 }).unwrap();
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder.path().join(FOLDER)).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."), "{file:?}");
    let (scalars, starts) = read(file);
    assert_eq!(starts, [1]);
    let expected = [
        (1, "step/loss", 1.0),
        (1, "step/learning_rate", 0.125),
        (2, "step/loss", 0.5),
        (2, "step/learning_rate", 0.125),
        (2, "epoch/validation_dice", 0.25),
        (2, "epoch/entropy/1", 1.5),
        (2, "epoch/entropy/3", 2.5),
        (2, "epoch/learning_rate", 0.0),
        (2, "epoch/loss", 0.5),
        (2, "epoch/parts/dice", 0.25),
        (2, "epoch/training_dice", 0.75),
        (3, "step/loss", 0.25),
        (3, "step/learning_rate", 0.125),
    ];
    let sorted = |mut rows: Vec<(u64, String, f32)>| {
        rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        rows
    };
    let expected = expected.iter().map(|(step, tag, value)| (*step, (*tag).to_owned(), *value)).collect();
    assert_eq!(sorted(scalars), sorted(expected));
}

#[test]
fn a_resumed_run_starts_a_session_at_its_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let started = Event::Started {
        stage: Stage::Pretrain,
        epochs: 3,
        steps_per_epoch: 10,
        slices: 80,
        parameters: 5,
        device: "cpu".into(),
        first_epoch: 2,
    };
    let mut board = TensorBoard::new(folder.path());
    board.event(&started).unwrap();
    // It was paused after the third step of its second epoch.
    board.event(&Event::Step { stage: Stage::Pretrain, epoch: 2, step: 4, loss: 1.0, learning_rate: 1.0 }).unwrap();
    board.event(&Event::Failed { message: "full".into() }).unwrap();
    let file = std::fs::read_dir(folder.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
    let (scalars, starts) = read(&file);
    assert_eq!((starts, scalars[0].0), (vec![14], 14));
}
