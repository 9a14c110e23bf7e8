//! Tests of the parser: every guard, and what damaged files of the field need.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::volume::dicom::{encode, file_bytes};

/// A data set with a sequence in a sequence, text and numbers.
fn sample() -> DataSet {
    let mut inner = DataSet::new();
    inner.put_u32(Tag::DIMENSION_INDEX_VALUES, &[1, 7]);
    let mut outer = DataSet::new();
    outer.put_items(Tag::FRAME_CONTENT_SEQUENCE, vec![inner]);
    let mut data = DataSet::new();
    data.put_text(Tag::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    data.put_text(Tag::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2");
    data.put_text(Tag::SOP_INSTANCE_UID, "1.2.3");
    data.put_text(Tag::SERIES_DESCRIPTION, "Schädel");
    data.put_text(Tag::PIXEL_SPACING, "0.5\\0.25 ");
    data.put_u16(Tag::ROWS, &[3]);
    data.put_items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![outer.clone(), outer]);
    data
}

fn parse(bytes: &[u8]) -> Result<(DataSet, Option<PixelElement>), Stop> {
    parse_data(bytes, 0, bytes.len(), Syntax::Explicit)
}

fn why(stop: Stop) -> String {
    match stop {
        Stop::Fault(tag, why) => format!("{tag:?} {why}"),
        Stop::More => "more".to_owned(),
    }
}

/// An implicit element.
fn implicit(tag: Tag, length: u32, value: &[u8]) -> Vec<u8> {
    let head = [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat();
    [head, length.to_le_bytes().to_vec(), value.to_vec()].concat()
}

#[test]
fn a_written_data_set_is_read_back() {
    let data = sample();
    let bytes = file_bytes(&data);
    let meta = parse_meta(&bytes, bytes.len()).unwrap();
    assert_eq!(meta.syntax.as_deref(), Some("1.2.840.10008.1.2.1"));
    let length = meta.data.number(Tag::META_GROUP_LENGTH).unwrap() as usize;
    assert_eq!(meta.end, 132 + 12 + length);
    let (read, pixels) = parse_data(&bytes, meta.end, bytes.len(), Syntax::Explicit).unwrap();
    assert!(pixels.is_none());
    assert_eq!(read.text(Tag::SERIES_DESCRIPTION).as_deref(), Some("Schädel"));
    assert_eq!(read.numbers(Tag::PIXEL_SPACING), [0.5, 0.25]);
    assert_eq!(read.count(Tag::ROWS), Some(3));
    let groups = read.items(Tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let content = groups[1].item(Tag::FRAME_CONTENT_SEQUENCE).unwrap();
    assert_eq!(content.numbers(Tag::DIMENSION_INDEX_VALUES), [1.0, 7.0]);
    assert_eq!(encode(&read), encode(&data));
}

#[test]
fn a_prefix_needs_more_bytes_and_a_truncated_file_names_the_element() {
    let bytes = encode(&sample());
    for end in 0..bytes.len() {
        let part = parse_data(&bytes[..end], 0, bytes.len(), Syntax::Explicit);
        assert_eq!(part.err(), Some(Stop::More), "{end}");
        // A file that ends there is damaged, or a shorter data set.
        let _ = parse(&bytes[..end]);
    }
    let cut = why(parse(&bytes[..bytes.len() - 3]).unwrap_err());
    assert!(cut.contains("(5200,9230)") && cut.contains("left"), "{cut}");
    // hostile/len4g.dcm: four gigabytes declared, none there.
    let long = implicit(Tag(0x0009, 0x1001), 0xffff_fffe, b"ab");
    let stop = parse_data(&long, 0, long.len(), Syntax::Implicit).unwrap_err();
    assert_eq!(why(stop), "Some((0009,1001)) 4294967294 bytes expected, 2 left");
}

#[test]
fn ten_thousand_nested_sequences_are_refused() {
    let one = [implicit(Tag::REFERENCED_SERIES_SEQUENCE, UNDEFINED, &[]), implicit(Tag::ITEM, UNDEFINED, &[])].concat();
    let nested = one.repeat(10_000);
    let stop = parse_data(&nested, 0, nested.len(), Syntax::Implicit).unwrap_err();
    assert_eq!(why(stop), "Some((0008,1115)) sequences nested more than 64 deep");
    // As deep as allowed, and closed properly.
    let ends = [implicit(Tag::ITEM_END, 0, &[]), implicit(Tag::SEQUENCE_END, 0, &[])].concat();
    let deep = [one.repeat(60), ends.repeat(60)].concat();
    assert!(parse_data(&deep, 0, deep.len(), Syntax::Implicit).is_ok());
}

#[test]
fn unknown_representations_hold_implicit_items() {
    // PS3.5 6.2.2: UN of undefined length is an implicit sequence, also in an explicit file.
    let item = implicit(Tag::ROWS, 2, &[5, 0]);
    let items = [implicit(Tag::ITEM, item.len() as u32, &item), implicit(Tag::SEQUENCE_END, 0, &[])].concat();
    let mut bytes = vec![0x09, 0, 0x01, 0x10, b'U', b'N', 0, 0];
    bytes.extend(UNDEFINED.to_le_bytes());
    bytes.extend(items);
    let (data, _) = parse(&bytes).unwrap();
    assert_eq!(data.item(Tag(0x0009, 0x1001)).unwrap().count(Tag::ROWS), Some(5));
}

#[test]
fn big_endian_numbers_are_swapped() {
    let mut bytes = vec![0x00, 0x28, 0x00, 0x10, b'U', b'S', 0, 2, 1, 0];
    bytes.extend([0x7f, 0xe0, 0x00, 0x10, b'O', b'W', 0, 0, 0, 0, 0, 2, 3, 4]);
    let (data, pixels) = parse_data(&bytes, 0, bytes.len(), Syntax::BigEndian).unwrap();
    assert_eq!(data.count(Tag::ROWS), Some(256));
    assert_eq!(pixels, Some(PixelElement { tag: Tag::PIXEL_DATA, offset: 22, length: Some(2), vr: Vr::OW }));
}

#[test]
fn the_first_element_determines_the_encoding_without_meta_information() {
    let implicit_file = implicit(Tag::IMAGE_TYPE, 2, b"AB");
    assert_eq!(guess_syntax(&implicit_file, 0), "1.2.840.10008.1.2");
    assert_eq!(guess_syntax(&encode(&sample()), 0), "1.2.840.10008.1.2.1");
    assert!(looks_like_dicom(&implicit_file) && looks_like_dicom(&file_bytes(&sample())));
    assert!(!looks_like_dicom(b"# Dicom-File-Format") && !looks_like_dicom(&[0; 200]));
    // Declared explicit, stored implicit.
    let (data, _) = parse(&implicit_file).unwrap();
    assert_eq!(data.text(Tag::IMAGE_TYPE).as_deref(), Some("AB"));
}

proptest::proptest! {
    /// Whatever bytes are changed, inserted or cut: a data set or a named error, never a panic.
    #[test]
    fn damaged_files_never_panic(
        changes in proptest::collection::vec((0..2000_usize, proptest::num::u8::ANY), 1..12),
        end in 0..2000_usize,
    ) {
        let mut bytes = file_bytes(&sample());
        for (index, value) in changes {
            let index = index % bytes.len();
            bytes[index] = value;
        }
        bytes.truncate(end.max(132));
        if let Ok(meta) = parse_meta(&bytes, bytes.len()) {
            for syntax in [Syntax::Explicit, Syntax::Implicit, Syntax::BigEndian] {
                if let Ok((data, _)) = parse_data(&bytes, meta.end, bytes.len(), syntax) {
                    data.elements().iter().for_each(|element| drop((data.texts(element.tag), data.numbers(element.tag))));
                }
            }
        }
    }
}

#[test]
fn private_blocks_are_found_by_creator() {
    let mut data = DataSet::new();
    data.put(Tag(0x0029, 0x0011), Vr::LO, Value::Bytes(b"SIEMENS CSA HEADER".to_vec()));
    assert_eq!(data.private_tag(0x0029, "SIEMENS CSA HEADER", 0x10), Some(Tag(0x0029, 0x1110)));
    data.put(Tag(0x0029, 0x1010), Vr::OB, Value::Bytes(vec![1, 2]));
    assert_eq!(data.private_tag(0x0029, "OTHER", 0x10), None);
    // The reference objects of PET have elements without their creator.
    let mut dropped = DataSet::new();
    dropped.put(Tag(0x7053, 0x1009), Vr::DS, Value::Bytes(b"0.5".to_vec()));
    let tag = dropped.private_tag(0x7053, "Philips PET Private Group", 0x09);
    assert_eq!(tag.and_then(|tag| dropped.number(tag)), Some(0.5));
}
