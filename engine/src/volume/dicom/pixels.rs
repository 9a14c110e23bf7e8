//! The layout of a file's pixels, and the conversion of stored bytes to numbers.

use super::{DataSet, DicomFile, Tag};
use crate::volume::VoxelData;
use crate::words::plural;
use crate::{Error, Result};

/// Maximum size of a file's decoded frames, in bytes.
const BYTES_LIMIT: u64 = 8 << 30;

/// Size, type and meaning of the pixels of a file (PS3.3 C.7.6.3).
#[derive(Clone, Debug, PartialEq)]
pub struct PixelLayout {
    /// Height of a frame.
    pub rows: usize,
    /// Width of a frame.
    pub columns: usize,
    /// Numbers per pixel: 1, or 3 for colours.
    pub samples: usize,
    /// Number of frames.
    pub frames: usize,
    /// Bits of a stored number: 1, 8, 16, 32 or 64.
    pub bits_allocated: usize,
    /// Bits that carry the value.
    pub bits_stored: usize,
    /// Position of the highest of them.
    pub high_bit: usize,
    /// True if numbers are two's complement.
    pub signed: bool,
    /// True if the colours of a frame are stored as separate planes.
    pub planar: bool,
    /// True for FloatPixelData and DoubleFloatPixelData.
    pub float: bool,
    /// `MONOCHROME2`, `RGB`, ...
    pub photometric: String,
}

impl PixelLayout {
    /// The layout that a header describes.
    ///
    /// # Errors
    /// A missing or impossible value, a file without pixels, frames of more than 8 GiB.
    pub fn of(file: &DicomFile) -> Result<Self> {
        let data = &file.data;
        let pixels = file.pixels.ok_or_else(|| file.error(Tag::PIXEL_DATA, "the instance has no pixels"))?;
        let need = |tag: Tag, allowed: &dyn Fn(usize) -> bool, what: &str| -> Result<usize> {
            let value = data.count(tag).ok_or_else(|| file.error(tag, format!("missing, {what} expected")))?;
            if allowed(value) { Ok(value) } else { Err(file.error(tag, format!("is {value}, {what} expected"))) }
        };
        let rows = need(Tag::ROWS, &|n| (1..=65535).contains(&n), "1 to 65535")?;
        let columns = need(Tag::COLUMNS, &|n| (1..=65535).contains(&n), "1 to 65535")?;
        let samples = if data.get(Tag::SAMPLES_PER_PIXEL).is_none() {
            1
        } else {
            need(Tag::SAMPLES_PER_PIXEL, &|n| n == 1 || n == 3, "1 or 3")?
        };
        let frames = data.count(Tag::NUMBER_OF_FRAMES).unwrap_or(1).max(1);
        let float = pixels.tag != Tag::PIXEL_DATA;
        let bits_allocated = match pixels.tag {
            Tag::FLOAT_PIXEL_DATA => 32,
            Tag::DOUBLE_FLOAT_PIXEL_DATA => 64,
            _ => need(Tag::BITS_ALLOCATED, &|n| [1, 8, 16, 32].contains(&n), "1, 8, 16 or 32")?,
        };
        let bits_stored = data.count(Tag::BITS_STORED).filter(|_| !float).unwrap_or(bits_allocated);
        if !(1..=bits_allocated).contains(&bits_stored) {
            return Err(file.error(Tag::BITS_STORED, format!("is {bits_stored} of {bits_allocated} bits")));
        }
        let high_bit = data.count(Tag::HIGH_BIT).filter(|_| !float).unwrap_or(bits_stored - 1);
        if high_bit >= bits_allocated || high_bit + 1 < bits_stored {
            return Err(
                file.error(Tag::HIGH_BIT, format!("is {high_bit}, with {bits_stored} of {bits_allocated} bits"))
            );
        }
        let layout = Self {
            rows,
            columns,
            samples,
            frames,
            bits_allocated,
            bits_stored,
            high_bit,
            signed: data.count(Tag::PIXEL_REPRESENTATION) == Some(1),
            planar: data.count(Tag::PLANAR_CONFIGURATION) == Some(1) && samples > 1,
            float,
            photometric: data.text(Tag::PHOTOMETRIC_INTERPRETATION).unwrap_or_else(|| "MONOCHROME2".to_owned()),
        };
        let bytes = (layout.frame_bytes() as u64).checked_mul(frames as u64);
        if bytes.is_none_or(|bytes| bytes > BYTES_LIMIT) {
            let frames = plural(frames, "frame", "frames");
            let why = format!("{frames} of {rows} x {columns} pixels exceed 8 GiB");
            return Err(file.error(Tag::NUMBER_OF_FRAMES, why));
        }
        Ok(layout)
    }

    /// Count of numbers in a frame.
    pub fn frame_len(&self) -> usize {
        self.rows * self.columns * self.samples
    }

    /// Bytes of one decoded frame; of a bit mask, its bits rounded up.
    pub fn frame_bytes(&self) -> usize {
        (self.frame_len() * self.bits_allocated).div_ceil(8)
    }

    /// Bytes of all uncompressed frames. Bits run on from frame to frame.
    pub fn total_bytes(&self) -> usize {
        (self.frame_len() * self.frames * self.bits_allocated).div_ceil(8)
    }

    /// Converts the little-endian bytes of a frame to numbers in file order, with only the stored bits, sign-extended.
    /// `bytes` holds [`PixelLayout::frame_bytes`] bytes.
    pub(super) fn numbers(&self, bytes: &[u8]) -> VoxelData {
        let drop = self.high_bit + 1 - self.bits_stored;
        // Shifts bring the stored bits to the top and back down, which clears or repeats the sign.
        macro_rules! read {
            ($t:ty, $unsigned:ty, $bits:literal) => {{
                let (left, right) = ($bits - 1 - self.high_bit, $bits - self.bits_stored);
                let whole = drop == 0 && self.bits_stored == $bits;
                let values = bytes.as_chunks().0.iter().map(|&b| {
                    let stored = <$unsigned>::from_le_bytes(b);
                    if whole { stored as $t } else { ((stored << left) as $t) >> right }
                });
                values.collect()
            }};
        }
        match (self.bits_allocated, self.signed, self.float) {
            (32, _, true) => VoxelData::F32(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
            (64, _, _) => VoxelData::F64(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()),
            (1, ..) => VoxelData::U8(bits(bytes, 0, self.frame_len())),
            (8, false, _) => VoxelData::U8(read!(u8, u8, 8)),
            (8, true, _) => VoxelData::I8(read!(i8, u8, 8)),
            (16, false, _) => VoxelData::U16(read!(u16, u16, 16)),
            (16, true, _) => VoxelData::I16(read!(i16, u16, 16)),
            (_, false, _) => VoxelData::U32(read!(u32, u32, 32)),
            (_, true, _) => VoxelData::I32(read!(i32, u32, 32)),
        }
    }
}

/// `n` bits, starting at bit `first`, least significant first, one byte each.
pub(super) fn bits(bytes: &[u8], first: usize, n: usize) -> Vec<u8> {
    (first..first + n).map(|index| bytes.get(index / 8).map_or(0, |byte| byte >> (index % 8) & 1)).collect()
}

/// Lowest and highest stored value of padding: from PixelPaddingValue to PixelPaddingRangeLimit, if present.
pub(super) fn padding_range(data: &DataSet, signed: bool) -> Option<[f64; 2]> {
    // An implicit file does not say whether the value is signed, and some files write its stored bits alone.
    let bits = data.count(Tag::BITS_STORED).filter(|bits| (1..16).contains(bits)).unwrap_or(16);
    let value = |tag: Tag| {
        let stored = data.number(tag)?;
        let sizes = [bits, 16].map(|bits| f64::from(1_u32 << bits));
        let wrapped = sizes.into_iter().find(|size| signed && (size / 2.0..*size).contains(&stored));
        // Some files write a negative number beside unsigned pixels.
        let negative = if !signed && stored < 0.0 { f64::from(1_u32 << 16) } else { 0.0 };
        Some(stored - wrapped.unwrap_or(0.0) + negative)
    };
    let first = value(Tag::PIXEL_PADDING_VALUE)?;
    let last = value(Tag::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(first);
    Some([first.min(last), first.max(last)])
}

/// An error for a file whose frames do not have the size that its header says.
pub(super) fn too_short(file: &DicomFile, expected: usize, found: usize) -> Error {
    let tag = file.pixels.map_or(Tag::PIXEL_DATA, |pixels| pixels.tag);
    file.error(tag, format!("{expected} bytes of pixels expected, {found} found"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::volume::dicom::{Value, Vr};

    fn layout(allocated: usize, stored: usize, high_bit: usize, signed: bool) -> PixelLayout {
        PixelLayout {
            rows: 1,
            columns: 2,
            samples: 1,
            frames: 1,
            bits_allocated: allocated,
            bits_stored: stored,
            high_bit,
            signed,
            planar: false,
            float: false,
            photometric: "MONOCHROME2".to_owned(),
        }
    }

    #[test]
    fn only_stored_bits_count_and_carry_the_sign() {
        // 12 bits below bit 11, with an overlay bit above.
        let bytes = [0xff, 0x1f, 0x00, 0x18];
        assert_eq!(layout(16, 12, 11, true).numbers(&bytes), VoxelData::I16(vec![-1, -2048]));
        assert_eq!(layout(16, 12, 11, false).numbers(&bytes), VoxelData::U16(vec![4095, 2048]));
        // At the top of the word.
        assert_eq!(layout(16, 12, 15, false).numbers(&[0xf0, 0xff, 0x1f, 0]), VoxelData::U16(vec![4095, 1]));
        assert_eq!(layout(16, 16, 15, true).numbers(&[0xff, 0xff, 0, 1]), VoxelData::I16(vec![-1, 256]));
        assert_eq!(layout(8, 7, 6, false).numbers(&[0xff, 0x80]), VoxelData::U8(vec![127, 0]));
        assert_eq!(bits(&[0b1010_0000, 0b1], 5, 4), [1, 0, 1, 1]);
    }

    #[test]
    fn padding_is_signed_as_the_pixels_are() {
        let mut data = DataSet::new();
        assert_eq!(padding_range(&data, true), None);
        data.put_u16(Tag::PIXEL_PADDING_VALUE, &[63536]);
        assert_eq!(padding_range(&data, true), Some([-2000.0, -2000.0]));
        data.put_u16(Tag::PIXEL_PADDING_RANGE_LIMIT, &[63546]);
        assert_eq!(padding_range(&data, true), Some([-2000.0, -1990.0]));
        assert_eq!(padding_range(&data, false), Some([63536.0, 63546.0]));
        data.put(Tag::PIXEL_PADDING_VALUE, Vr::SS, Value::Bytes(vec![0xff; 2]));
        data.put(Tag::PIXEL_PADDING_RANGE_LIMIT, Vr::SS, Value::Bytes(vec![0xfe, 0xff]));
        assert_eq!(padding_range(&data, false), Some([65534.0, 65535.0]));
        assert_eq!(padding_range(&data, true), Some([-2.0, -1.0]));
        data.put_u16(Tag::PIXEL_PADDING_VALUE, &[63536]);
        data.put_u16(Tag::PIXEL_PADDING_RANGE_LIMIT, &[63546]);
        // 12 bits: the lowest value by its stored bits, and by all bits of the word.
        data.put_u16(Tag::BITS_STORED, &[12]);
        assert_eq!(padding_range(&data, true), Some([-2000.0, -1990.0]));
        data.put_u16(Tag::PIXEL_PADDING_VALUE, &[0x0800]);
        data.put_u16(Tag::PIXEL_PADDING_RANGE_LIMIT, &[0x0801]);
        assert_eq!(padding_range(&data, true), Some([-2048.0, -2047.0]));
        assert_eq!(padding_range(&data, false), Some([2048.0, 2049.0]));
    }
}
