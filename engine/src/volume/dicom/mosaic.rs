//! Siemens mosaics: the slices of a volume as tiles of one image.
//!
//! The number of slices and their normal are in the private CSA header (0029,xx10), a list of named elements with text
//! values. Without it (XA software) a mosaic has no geometry and is refused.

use glam::DVec3;

use super::instance::Plane;
use super::{DataSet, Tag};

/// Maximum number of slices of a mosaic.
const SLICE_LIMIT: usize = 1024;

/// Geometry of a mosaic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mosaic {
    pub slices: usize,
    /// Direction in which the slices follow each other.
    pub normal: DVec3,
}

/// The mosaic of an image whose type says so; an error sentence if its CSA header is missing.
pub(super) fn tiles(data: &DataSet) -> Option<Result<Mosaic, String>> {
    if !data.texts(Tag::IMAGE_TYPE).iter().any(|value| value == "MOSAIC") {
        return None;
    }
    let refused = || "a Siemens mosaic without CSA header. Its slices have no position, so it is not read".to_owned();
    let csa = data.private_tag(0x0029, "SIEMENS CSA HEADER", 0x10).and_then(|tag| data.bytes(tag));
    Some(csa.and_then(of_csa).ok_or_else(refused))
}

fn of_csa(csa: &[u8]) -> Option<Mosaic> {
    let slices = csa_numbers(csa, "NumberOfImagesInMosaic")?.first().copied()? as usize;
    let normal: [f64; 3] = csa_numbers(csa, "SliceNormalVector")?.try_into().ok()?;
    let normal = DVec3::from_array(normal).try_normalize()?;
    (1..=SLICE_LIMIT).contains(&slices).then_some(Mosaic { slices, normal })
}

/// The numbers of a CSA element. Version 2 starts with `SV10`; version 1 with the number of elements.
fn csa_numbers(csa: &[u8], name: &str) -> Option<Vec<f64>> {
    let word = |index: usize| csa.get(index..index + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize);
    let second = csa.starts_with(b"SV10");
    let start = if second { 8 } else { 0 };
    let elements = word(start)?.min(10_000);
    let mut index = start + 8;
    for _ in 0..elements {
        // Name 64, multiplicity 4, representation 4, syngo type 4, number of items 4, 77 or 205.
        let head = csa.get(index..index + 84)?;
        let label = head[..64].split(|&b| b == 0).next()?;
        let items = word(index + 76)?.min(10_000);
        index += 84;
        let mut numbers = Vec::new();
        for _ in 0..items {
            // Four words, of which the second (version 2) or the first holds the length; values are padded to four bytes.
            let length = word(index + if second { 4 } else { 0 })?;
            let value = csa.get(index + 16..(index + 16).checked_add(length)?)?;
            let text = String::from_utf8_lossy(value);
            numbers.extend(text.trim_matches(['\0', ' ']).parse::<f64>().ok());
            index += 16 + length.next_multiple_of(4);
        }
        if label == name.as_bytes() {
            return Some(numbers);
        }
    }
    None
}

impl Mosaic {
    /// The slices of the mosaic `whole`, whose position is that of a single image of its size with the same centre.
    pub fn planes(&self, whole: &Plane) -> Vec<Plane> {
        let across = (1..=SLICE_LIMIT).find(|n| n * n >= self.slices).unwrap_or(1);
        let size = whole.size.map(|n| n / across);
        let shift = |axis: DVec3, spacing: f64, n: usize, tile: usize| axis * (spacing * (n - tile) as f64 / 2.0);
        let first = match (whole.position, whole.axes, whole.spacing) {
            (Some(position), Some([row, column]), Some(spacing)) => Some(
                position
                    + shift(row, spacing[0], whole.size[0], size[0])
                    + shift(column, spacing[1], whole.size[1], size[1]),
            ),
            _ => None,
        };
        let step = whole.step.unwrap_or(1.0);
        (0..self.slices)
            .map(|slice| Plane {
                origin: [slice % across * size[0], slice / across * size[1]],
                size,
                position: first.map(|first| first + self.normal * (step * slice as f64)),
                ..whole.clone()
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::dicom::{Value, Vr};

    /// A CSA header of version 2 with these elements.
    fn csa(elements: &[(&str, &[&str])]) -> Vec<u8> {
        let mut bytes = b"SV10\x04\x03\x02\x01".to_vec();
        bytes.extend((elements.len() as u32).to_le_bytes());
        bytes.extend(77_u32.to_le_bytes());
        for (name, values) in elements {
            let mut head = name.as_bytes().to_vec();
            head.resize(76, 0);
            bytes.extend(head);
            bytes.extend((values.len() as u32).to_le_bytes());
            bytes.extend(77_u32.to_le_bytes());
            for value in *values {
                let length = value.len() as u32;
                [length, length, 77, length].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
                bytes.extend(value.as_bytes());
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    }

    #[test]
    fn the_csa_header_gives_number_and_normal() {
        let header = csa(&[
            ("EchoLinePosition", &["32"]),
            ("NumberOfImagesInMosaic", &["35"]),
            ("SliceNormalVector", &["0.0", "0.6", "0.8"]),
        ]);
        let mut data = DataSet::new();
        data.put_text(Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\M\\MOSAIC");
        assert!(tiles(&data).unwrap().unwrap_err().contains("without CSA header"));
        data.put(Tag(0x0029, 0x0010), Vr::LO, Value::Bytes(b"SIEMENS CSA HEADER".to_vec()));
        data.put(Tag(0x0029, 0x1010), Vr::OB, Value::Bytes(header.clone()));
        let mosaic = tiles(&data).unwrap().unwrap();
        assert_eq!(mosaic, Mosaic { slices: 35, normal: DVec3::new(0.0, 0.6, 0.8) });
        // No cut makes it read beyond its end; the last byte is padding.
        for end in 0..header.len() - 1 {
            data.put(Tag(0x0029, 0x1010), Vr::OB, Value::Bytes(header[..end].to_vec()));
            assert!(tiles(&data).unwrap().is_err(), "{end}");
        }
        data.put_text(Tag::IMAGE_TYPE, "ORIGINAL\\PRIMARY");
        assert!(tiles(&data).is_none());
    }
}
