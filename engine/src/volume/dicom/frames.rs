//! The frames of a file, uncompressed or encapsulated (PS3.5 annex A.4).

use std::ops::Range;

use super::codec;
use super::pixels::{PixelLayout, bits, too_short};
use super::{DicomFile, Syntax, Tag, Vr};
use crate::Result;
use crate::volume::VoxelData;
use crate::words::plural;

/// Size in bytes up to which a frame may consist of a single value, which compresses to almost nothing.
pub(super) const SMALL: usize = 16 << 20;
/// Larger frames must have at least one compressed byte per this many bytes, so that a header alone cannot cause a large
/// allocation.
const EXPANSION: usize = 4096;

/// Access to a file's frames.
pub struct Frames<'a> {
    file: &'a DicomFile,
    /// Size and type.
    pub layout: PixelLayout,
    stored: PixelStorage,
}

enum PixelStorage {
    /// Uncompressed: on disk, or in memory where reading a part would inflate the whole.
    Plain { inflated: Option<Vec<u8>> },
    /// The bytes, starting at the first item, and the fragments of each frame.
    Encapsulated { bytes: Vec<u8>, frames: Vec<Vec<Range<usize>>> },
}

impl<'a> Frames<'a> {
    /// Checks that the file holds its frames. Uncompressed pixels stay on disk until a frame is read.
    ///
    /// # Errors
    /// As [`PixelLayout::of`]; fewer bytes or fragments than frames; a transfer syntax that is not read.
    pub fn open(file: &'a DicomFile) -> Result<Self> {
        let layout = PixelLayout::of(file)?;
        let pixels = file.pixels.ok_or_else(|| file.error(Tag::PIXEL_DATA, "the instance has no pixels"))?;
        let unsupported = || {
            let name = Syntax::name(&file.syntax_uid);
            file.error(Tag::TRANSFER_SYNTAX_UID, format!("{name} ({}) is not supported", file.syntax_uid))
        };
        let encapsulated =
            !matches!(file.syntax, Syntax::Implicit | Syntax::Explicit | Syntax::BigEndian | Syntax::Deflated);
        let stored = match pixels.length {
            Some(_) if encapsulated && file.syntax != Syntax::Other => {
                return Err(file.error(pixels.tag, "compressed pixels are not encapsulated"));
            }
            Some(_) if encapsulated => return Err(unsupported()),
            Some(length) => {
                let expected = layout.total_bytes();
                let found = length.min(file.bytes_after(pixels.offset, expected)?);
                if found < expected {
                    return Err(too_short(file, expected, found));
                }
                let end = pixels.offset + expected;
                let inflated = file.is_deflated().then(|| file.read(pixels.offset, end)).transpose()?;
                PixelStorage::Plain { inflated }
            }
            None if !encapsulated => {
                return Err(file.error(pixels.tag, "encapsulated pixels in an uncompressed transfer syntax"));
            }
            None if file.syntax == Syntax::Other => return Err(unsupported()),
            None => {
                let bytes = file.read(pixels.offset, usize::MAX)?;
                if layout.total_bytes() > bytes.len().saturating_mul(EXPANSION) + SMALL {
                    let why = format!("{} compressed bytes cannot hold {}", bytes.len(), layout.total_bytes());
                    return Err(file.error(pixels.tag, why));
                }
                let extended: Vec<usize> =
                    file.data.numbers(Tag::EXTENDED_OFFSET_TABLE).iter().map(|&offset| offset as usize).collect();
                let frames = split(&bytes, layout.frames, &extended).map_err(|why| file.error(pixels.tag, why))?;
                PixelStorage::Encapsulated { bytes, frames }
            }
        };
        Ok(Self { file, layout, stored })
    }

    /// The stored numbers of a frame, 0-based, row by row, the samples of a pixel together. Not rescaled.
    ///
    /// # Errors
    /// A frame that does not exist, cannot be read or is damaged.
    pub fn frame(&self, index: usize) -> Result<VoxelData> {
        if index >= self.layout.frames {
            return Err(self.file.error(Tag::NUMBER_OF_FRAMES, format!("frame {index} of {}", self.layout.frames)));
        }
        let bytes = match &self.stored {
            PixelStorage::Plain { inflated } => return self.plain(index, inflated.as_deref()),
            PixelStorage::Encapsulated { bytes, frames } => {
                let fragments = &frames[index];
                let joined;
                let stream = match &fragments[..] {
                    [only] => &bytes[only.clone()],
                    several => {
                        joined = several.iter().flat_map(|range| &bytes[range.clone()]).copied().collect::<Vec<u8>>();
                        &joined
                    }
                };
                codec::decode(self.file, stream, &self.layout)?
            }
        };
        Ok(self.layout.numbers(&bytes))
    }

    /// True if colours are red, green and blue once decoded.
    pub(super) fn is_rgb(&self) -> bool {
        let compressed = matches!(self.stored, PixelStorage::Encapsulated { .. });
        match &*self.layout.photometric {
            "RGB" => true,
            "YBR_RCT" | "YBR_ICT" => compressed,
            // The JPEG decoder converts them.
            "YBR_FULL" | "YBR_FULL_422" => self.file.syntax == Syntax::Jpeg,
            _ => false,
        }
    }

    /// True if colours are luminance, blue and red difference once decoded, each for every pixel.
    pub(super) fn is_ybr(&self) -> bool {
        self.layout.photometric == "YBR_FULL" && self.file.syntax != Syntax::Jpeg
    }

    /// [`DicomFile::error`] of the frames' file.
    pub(super) fn error(&self, tag: Tag, why: &str) -> crate::Error {
        self.file.error(tag, why)
    }

    fn plain(&self, index: usize, inflated: Option<&[u8]>) -> Result<VoxelData> {
        let layout = &self.layout;
        let Some(pixels) = self.file.pixels else { return Err(too_short(self.file, layout.total_bytes(), 0)) };
        let read = |from: usize, to: usize| match inflated {
            Some(all) => Ok(all.get(from..to).unwrap_or_default().to_vec()),
            None => self.file.read(pixels.offset + from, pixels.offset + to),
        };
        if layout.bits_allocated == 1 {
            // Frames need not start at a byte.
            let first = index * layout.frame_len();
            let (from, to) = (first / 8, (first + layout.frame_len()).div_ceil(8));
            let bytes = read(from, to)?;
            return Ok(VoxelData::U8(bits(&bytes, first % 8, layout.frame_len())));
        }
        let from = index * layout.frame_bytes();
        let mut bytes = read(from, from + layout.frame_bytes())?;
        if bytes.len() < layout.frame_bytes() {
            return Err(too_short(self.file, layout.frame_bytes(), bytes.len()));
        }
        if self.file.syntax == Syntax::BigEndian {
            // Bytes stored as words are swapped in pairs.
            let width =
                if pixels.vr == Vr::OW { (layout.bits_allocated / 8).max(2) } else { layout.bits_allocated / 8 };
            bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        if layout.planar {
            bytes = interleave(&bytes, layout.rows * layout.columns, layout.samples, layout.bits_allocated / 8);
        }
        Ok(layout.numbers(&bytes))
    }
}

/// Brings the samples of each pixel together: from planes of `pixels` values of `width` bytes.
pub(super) fn interleave(planes: &[u8], pixels: usize, samples: usize, width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(planes.len());
    for pixel in 0..pixels {
        for sample in 0..samples {
            let offset = (sample * pixels + pixel) * width;
            out.extend_from_slice(&planes[offset..offset + width]);
        }
    }
    out
}

/// The fragments of each frame among the items, which start with the basic offset table. If that is empty, `extended` counts.
fn split(bytes: &[u8], frames: usize, extended: &[usize]) -> Result<Vec<Vec<Range<usize>>>, String> {
    let mut items = items(bytes)?;
    if items.is_empty() {
        return Err("the encapsulated pixels have no basic offset table".to_owned());
    }
    let table = items.remove(0);
    if items.len() < frames {
        let expected = plural(frames, "frame", "frames");
        return Err(format!("{expected} expected, {} found", plural(items.len(), "fragment", "fragments")));
    }
    if frames == 1 {
        return Ok(vec![items]);
    }
    let offsets: Vec<usize> =
        bytes[table.clone()].as_chunks().0.iter().map(|&b| u32::from_le_bytes(b) as usize).collect();
    let offsets = if offsets.is_empty() { extended } else { &offsets };
    if let Some(grouped) = by_offsets(&items, offsets, table.end, frames) {
        return Ok(grouped);
    }
    if items.len() == frames {
        return Ok(items.into_iter().map(|item| vec![item]).collect());
    }
    // No usable table: a fragment that starts an image starts a frame.
    let starts = |item: &Range<usize>| matches!(bytes[item.clone()], [0xff, 0xd8 | 0x4f, 0xff, ..]);
    let mut grouped: Vec<Vec<Range<usize>>> = Vec::new();
    for item in items {
        match grouped.last_mut() {
            Some(frame) if !starts(&item) => frame.push(item),
            _ => grouped.push(vec![item]),
        }
    }
    if grouped.len() == frames {
        return Ok(grouped);
    }
    let fragments = grouped.iter().map(Vec::len).sum::<usize>();
    Err(format!("{fragments} fragments cannot be assigned to {}", plural(frames, "frame", "frames")))
}

/// Fragments by the offsets of their frames, if these are sane. Offsets count from the first item after the table.
fn by_offsets(
    items: &[Range<usize>],
    offsets: &[usize],
    first: usize,
    frames: usize,
) -> Option<Vec<Vec<Range<usize>>>> {
    if offsets.len() != frames || offsets[0] != 0 || !offsets.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let mut grouped: Vec<Vec<Range<usize>>> = Vec::new();
    for item in items {
        // An item's head has eight bytes.
        if offsets.get(grouped.len()).is_some_and(|offset| first + offset + 8 == item.start) {
            grouped.push(vec![item.clone()]);
        } else {
            grouped.last_mut()?.push(item.clone());
        }
    }
    (grouped.len() == frames).then_some(grouped)
}

/// The values of the items up to the sequence delimiter or the end of the file. The last fragment may be cut.
fn items(bytes: &[u8]) -> Result<Vec<Range<usize>>, String> {
    let (mut fragments, mut index) = (Vec::new(), 0);
    while let Some(head) = bytes.get(index..index + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match head[..4] {
            [0xfe, 0xff, 0x00, 0xe0] => {}
            [0xfe, 0xff, 0xdd, 0xe0] => break,
            _ => return Err(format!("no item at byte {index} of the encapsulated pixels")),
        }
        let start = index + 8;
        let left = bytes.len() - start;
        if length > left {
            return Err(format!("a fragment of {length} bytes expected, {left} found"));
        }
        fragments.push(start..start + length);
        index = start + length;
    }
    Ok(fragments)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn item(value: &[u8]) -> Vec<u8> {
        [&[0xfe, 0xff, 0x00, 0xe0][..], &(value.len() as u32).to_le_bytes(), value].concat()
    }

    fn lengths(bytes: &[u8], frames: usize) -> Result<Vec<Vec<usize>>, String> {
        with_extended(bytes, frames, &[])
    }

    fn with_extended(bytes: &[u8], frames: usize, extended: &[usize]) -> Result<Vec<Vec<usize>>, String> {
        split(bytes, frames, extended)
            .map(|all| all.iter().map(|frame| frame.iter().map(Range::len).collect()).collect())
    }

    #[test]
    fn frames_of_several_fragments_are_joined() {
        let fragments = [item(&[0xff, 0xd8, 0xff, 1]), item(&[2, 3]), item(&[0xff, 0xd8, 0xff, 4, 5, 6])].concat();
        let by_marker = [item(&[]), fragments.clone()].concat();
        assert_eq!(lengths(&by_marker, 2).unwrap(), [vec![4, 2], vec![6]]);
        assert_eq!(lengths(&by_marker, 1).unwrap(), [vec![4, 2, 6]]);
        assert_eq!(lengths(&by_marker, 3).unwrap(), [vec![4], vec![2], vec![6]]);
        let table = [0_u32, 12].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        // The table decides against the markers.
        assert_eq!(lengths(&[item(&table), fragments.clone()].concat(), 2).unwrap(), [vec![4], vec![2, 6]]);
        // So does an extended one, beside an empty basic one.
        let extended = |bytes: &[u8]| with_extended(bytes, 2, &[0, 12]).unwrap();
        assert_eq!(extended(&by_marker), [vec![4], vec![2, 6]]);
        // A table that points nowhere is ignored.
        let wrong = [0_u32, 13].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(lengths(&[item(&wrong), fragments].concat(), 2).unwrap(), [vec![4, 2], vec![6]]);
    }

    #[test]
    fn missing_and_truncated_fragments_are_errors() {
        assert_eq!(
            lengths(&[item(&[]), item(&[1, 2])].concat(), 2).unwrap_err(),
            "2 frames expected, 1 fragment found"
        );
        let cut = [item(&[]), item(&[1, 2, 3, 4])].concat();
        let why = lengths(&cut[..cut.len() - 1], 1).unwrap_err();
        assert_eq!(why, "a fragment of 4 bytes expected, 3 found");
        assert!(lengths(&[], 1).unwrap_err().contains("no basic offset table"));
        assert!(lengths(&[1; 20], 1).unwrap_err().contains("no item at byte 0"));
    }

    #[test]
    fn planes_are_interleaved_to_pixels() {
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6], 2, 3, 1), [1, 3, 5, 2, 4, 6]);
    }
}
