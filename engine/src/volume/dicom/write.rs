//! Encodes a [`DataSet`] as the bytes of a file, in explicit VR little endian.

use super::{DataSet, Element, Tag, Value, Vr};

/// Transfer syntax UID of the files that [`file_bytes`] makes.
pub const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Implementation class UID of this program: 2.25 and a fixed random number.
const IMPLEMENTATION: &str = "2.25.189267440932184217390651170325914376251";

/// A whole file: preamble, file meta information, data set. SOP class and instance are those of the data set.
pub fn file_bytes(data: &DataSet) -> Vec<u8> {
    let mut meta = DataSet::new();
    meta.put(Tag(0x0002, 0x0001), Vr::OB, Value::Bytes(vec![0, 1]));
    meta.put_text(Tag::MEDIA_STORAGE_SOP_CLASS_UID, data.uid(Tag::SOP_CLASS_UID).unwrap_or_default());
    meta.put_text(Tag::MEDIA_STORAGE_SOP_INSTANCE_UID, data.uid(Tag::SOP_INSTANCE_UID).unwrap_or_default());
    meta.put_text(Tag::TRANSFER_SYNTAX_UID, EXPLICIT_LITTLE_ENDIAN);
    meta.put_text(Tag::IMPLEMENTATION_CLASS_UID, IMPLEMENTATION);
    meta.put_text(Tag::IMPLEMENTATION_VERSION_NAME, "AMLP");
    let meta = encode(&meta);
    let mut length = DataSet::new();
    length.put_u32(Tag::META_GROUP_LENGTH, &[meta.len() as u32]);
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    bytes.extend(encode(&length));
    bytes.extend(meta);
    bytes.extend(encode(data));
    bytes
}

/// The elements of a data set, ascending. Sequences and items have defined lengths, values even ones.
pub fn encode(data: &DataSet) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.elements().iter().for_each(|element| encode_element(element, &mut bytes));
    bytes
}

fn encode_element(element: &Element, out: &mut Vec<u8>) {
    let items;
    let value = match &element.value {
        Value::Bytes(bytes) => bytes,
        Value::Items(sets) => {
            items = encode_items(sets);
            &items
        }
    };
    let padding = value.len() % 2;
    let length = value.len() + padding;
    // A text that is too long for the length field of its representation is stored as UN.
    let vr = if length > 0xfffe && !element.vr.has_long_length() { Vr::UN } else { element.vr };
    out.extend(element.tag.0.to_le_bytes());
    out.extend(element.tag.1.to_le_bytes());
    out.extend(vr.letters());
    if vr.has_long_length() {
        out.extend([0, 0]);
        out.extend((length as u32).to_le_bytes());
    } else {
        out.extend((length as u16).to_le_bytes());
    }
    out.extend(value);
    out.extend(std::iter::repeat_n(element.vr.padding(), padding));
}

fn encode_items(sets: &[DataSet]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for set in sets {
        let item = encode(set);
        bytes.extend([0xfe, 0xff, 0x00, 0xe0]);
        bytes.extend((item.len() as u32).to_le_bytes());
        bytes.extend(item);
    }
    bytes
}
